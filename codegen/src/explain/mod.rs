//! The rules that diagnostics name: what each wants, why, and an example that breaks and one that keeps it.
//!
//! A table, so that the documentation of a rule and its test are one thing: every example of a schema is compiled by the
//! tests, and must break its rule and keep it again.

mod changes;
mod proto;
mod schema;
mod table;
mod warnings;

use std::fmt;

use crate::finding::Severity;
use crate::names;

/// A rule, by the name that diagnostics show in brackets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rule {
    /// The name, such as `no-source`.
    pub name: &'static str,
    /// What it wants.
    pub what: &'static str,
    /// Why.
    pub why: &'static str,
    /// How it is broken and kept.
    pub example: Example,
}

/// How a rule is broken and kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Example {
    /// Parts of a schema.
    Schema {
        /// Breaks the rule.
        bad: &'static str,
        /// Keeps it.
        good: &'static str,
    },
    /// Parts of a schema that change.
    Change {
        /// As it was accepted.
        before: &'static str,
        /// A change that breaks the rule.
        bad: &'static str,
        /// What to do instead.
        good: &'static str,
    },
    /// Words: the rule is not about the text of a schema.
    Words {
        /// When it is broken.
        bad: &'static str,
        /// What to do then.
        good: &'static str,
    },
}

/// The rules that no text of a schema breaks.
const OTHERS: &[Rule] = &[
    Rule {
        name: "lock-file",
        what: "The lock file is there, and is as `events-codegen accept` wrote it.",
        why: "A line that is not understood could be a promise that nobody watches any more.",
        example: Example::Words {
            bad: "A merge left `<<<<<<<` in proto/events.lock.",
            good: "Take either side, and run `events-codegen accept`.",
        },
    },
    Rule {
        name: "lock-stale",
        what: "The lock file is what the schema promises now; an error with `--locked`, else a note.",
        why: "Whoever adds a number promises to keep it, and should know.",
        example: Example::Words {
            bad: "A field was added, and the lock file was not committed with it.",
            good: "Run `events-codegen accept`, and commit the lock file.",
        },
    },
    Rule {
        name: "not-parsed",
        what: "The sources that `coverage` reads are Rust: a warning.",
        why: "Calls in a file that does not parse may be missed.",
        example: Example::Words {
            bad: "A file that is a template, or half of another one.",
            good: "Leave its folder out, or mend it.",
        },
    },
    Rule {
        name: "io",
        what: "Files can be read and written.",
        why: "The operating system refused, and says why.",
        example: Example::Words { bad: "The directory for the output does not exist.", good: "Create it." },
    },
    Rule {
        name: "usage",
        what: "The generator is told where to write, and where the SDK is.",
        why: "A build script has `OUT_DIR`; anything else must say where.",
        example: Example::Words {
            bad: "`Builder::runtime(\"not a path\")`",
            good: "`Builder::runtime(\"::events_sdk\")`",
        },
    },
    Rule {
        name: "internal",
        what: "The generator writes valid Rust.",
        why: "That it did not is a fault of the generator, never of the schema's author.",
        example: Example::Words {
            bad: "Any schema that leads to this.",
            good: "Report it, with the schema.",
        },
    },
];

impl Rule {
    /// Every rule: those for protobuf itself, for schemas, the warnings, those for changes, and the rest.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        proto::RULES.iter().chain(schema::RULES).chain(warnings::RULES).chain(changes::RULES).chain(OTHERS)
    }

    /// The rule of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        Self::all().find(|rule| rule.name == name)
    }

    /// How grave a breach is.
    pub fn severity(&self) -> Severity {
        match warnings::RULES.iter().any(|rule| rule.name == self.name) {
            true => Severity::Warning,
            false => Severity::Error,
        }
    }

    /// The warning that was probably meant by `name`.
    pub(crate) fn nearest_warning(name: &str) -> Option<&'static str> {
        names::nearest(name, warnings::RULES.iter().map(|rule| rule.name))
    }

    /// The name of the rule that was probably meant by `name`.
    pub fn nearest(name: &str) -> Option<&'static str> {
        names::nearest(name, Self::all().map(|rule| rule.name))
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, what, why, example } = self;
        let allowed = match self.severity() {
            Severity::Error => "",
            Severity::Warning => {
                "\nA warning, which can be allowed: `option (rodent.events.allow_message) = \"RULE\";`, or `allow_file`, `allow_field`, `allow_oneof`, `allow_enum`."
            }
        };
        writeln!(f, "{name}\n\n{what}\n{why}{}", allowed.replace("RULE", name))?;
        let parts: &[(&str, &str)] = match example {
            Example::Schema { bad, good } => &[("breaks it", bad), ("keeps it", good)],
            Example::Change { before, bad, good } => {
                &[("accepted", before), ("then this breaks it", bad), ("this does not", good)]
            }
            Example::Words { bad, good } => &[("for example", bad), ("then", good)],
        };
        for (title, text) in parts {
            writeln!(f, "\n{title}:\n")?;
            match text.is_empty() {
                true => writeln!(f, "    (nothing)")?,
                false => text.lines().try_for_each(|line| match line {
                    "" => writeln!(f),
                    line => writeln!(f, "    {line}"),
                })?,
            }
        }
        Ok(())
    }
}
