//! The table of rules for people, as Markdown.

use super::{OTHERS, Rule, changes, proto, schema, warnings};

const HEAD: &str = "\
# Rules

What `events-codegen` finds, by the name that a finding shows in brackets. `events-codegen explain RULE` shows an example that
breaks the rule and one that keeps it. Errors cannot be allowed; a warning is, by an option with the name of its rule:

```protobuf
option (rodent.events.allow_file) = \"no-owner\";              // in the whole file
option (rodent.events.allow_message) = \"no-comment\";         // in a message and all inside; allow_oneof, allow_enum likewise
int64 size = 1 [(rodent.events.allow_field) = \"no-unit\"];    // of a field
```

`check --deny-warnings`, and `Builder::deny_warnings` in a build script, make an error of every warning.

<!-- This file is written from codegen/src/explain by `EVENTS_GOLDEN=write cargo test -p events-codegen --test explain`. -->
";

impl Rule {
    /// All rules as a page of Markdown: the file `RULES.md`.
    pub fn markdown() -> String {
        let groups = [
            (
                "Errors of protobuf",
                "A file that breaks one is not read further. The other files are.",
                proto::RULES,
            ),
            ("Errors of a schema", "All are found at once.", schema::RULES),
            ("Warnings", "Code is generated all the same.", warnings::RULES),
            ("Changes", "What `check --lock` finds between the schema and its lock file.", changes::RULES),
            ("Others", "What is not about the text of a schema.", OTHERS),
        ];
        let mut text = HEAD.to_owned();
        for (title, words, rules) in groups {
            text += &format!("\n## {title}\n\n{words}\n\n| rule | wants | why |\n|---|---|---|\n");
            for rule in rules {
                let cell = |text: &str| text.replace('|', "\\|");
                text += &format!("| `{}` | {} | {} |\n", rule.name, cell(rule.what), cell(rule.why));
            }
        }
        text
    }
}
