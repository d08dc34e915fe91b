//! The table of rules: every rule is in it, its example breaks it, the cure cures, and what is said of it is in `rules/`.
//!
//! A text that differs from its file fails the test. After a change that is meant:
//! `EVENTS_GOLDEN=write cargo test -p events-codegen --test explain`, then read the difference before committing it.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use events_codegen::{Builder, Contract, Error, Example, Rule, Severity};
use tempfile::TempDir;

const WRITE: &str = "EVENTS_GOLDEN";

/// What begins another file in an example.
const NEXT_FILE: &str = "\n// other.proto:\n";

/// What the examples leave out: each definition with the line it begins with.
const FRAME: &[(&str, &str)] = &[
    ("enum Category ", "{\n  CATEGORY_UNSPECIFIED = 0;\n  CATEGORY_DEMO = 1;\n}"),
    (
        "message Event ",
        "{
  option (rodent.events.envelope) = true;

  string event_id = 1;
  rodent.events.EventLevel level = 2;
  Category category = 3;
  string source = 4;
  int64 timestamp = 5;
  map<string, string> metadata = 6;
  oneof event_payload {
    DemoEvent demo_event = 10;
  }
}",
    ),
    ("message DemoEvent ", "{\n  oneof event_type {\n    DemoPayload demo = 1;\n  }\n}"),
    ("message DemoPayload ", "{\n  option (rodent.events.event) = { source: \"demo\" };\n}"),
];

/// A whole schema of an example: with what it leaves out, unless it is a whole file itself.
fn whole(part: &str) -> String {
    if part.starts_with("syntax") {
        return part.to_owned();
    }
    let mut text = "syntax = \"proto3\";\n".to_owned();
    // The level enum has to be the runtime's own.
    text += match part.contains("enum EventLevel") {
        true => "package rodent.events;\n",
        false => "package demo;\nimport \"events/event_messages.proto\";\n",
    };
    text += "import \"events/annotations.proto\";\n";
    if part.contains("google.protobuf.Api") {
        text += "import \"google/protobuf/api.proto\";\n";
    }
    let left_out = |head: &str| !part.contains(head);
    for (head, body) in FRAME.iter().filter(|(head, _)| left_out(head)) {
        text += &format!("// What a schema has.\n{head}{body}\n");
    }
    text + part
}

/// A folder with an example in it.
fn folder(part: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (part, other) = part.split_once(NEXT_FILE).unwrap_or((part, ""));
    fs::write(folder.path().join("demo.proto"), whole(part)).unwrap();
    fs::write(folder.path().join("other.proto"), other).unwrap();
    folder
}

fn contract(part: &str) -> Result<Contract, Error> {
    Builder::new().contract(&["demo.proto"], &[folder(part).path()])
}

/// The rules that a schema breaks.
fn broken(part: &str) -> Vec<(&'static str, Severity)> {
    let told = Builder::new().check(&["demo.proto"], &[folder(part).path()]);
    let findings = match &told {
        Ok(report) => report.findings(),
        Err(error) => error.findings(),
    };
    findings.iter().map(|finding| (finding.rule, finding.severity)).collect()
}

/// What is said of a schema: the blocks of one rule.
fn said(part: &str, rule: &Rule) -> String {
    let folder = folder(part);
    let told = Builder::new().check(&["demo.proto"], &[folder.path()]);
    let text = told.map_or_else(|error| error.to_string(), |report| report.to_string());
    let head = format!("{}[{}]", rule.severity(), rule.name);
    blocks(&text.replace(&format!("{}/", folder.path().display()), ""), &head)
}

fn blocks(text: &str, head: &str) -> String {
    text.split("\n\n").filter(|block| block.starts_with(head)).collect::<Vec<_>>().join("\n\n")
}

/// What is said where a rule is broken by no text of a schema.
fn provoked(rule: &Rule) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let command = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_events-codegen"));
        let output = command.current_dir(folder.path()).args(arguments).output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    match rule.name {
        "proto-file" => Builder::new().check(&["demo.proto"], &[folder.path()]).unwrap_err().to_string(),
        "lock-file" => {
            let lock = contract("message DemoOther {}").unwrap().to_string();
            Contract::parse("events.lock", &format!("<<<<<<< ours\n{lock}")).unwrap_err().to_string()
        }
        "lock-stale" => {
            file("demo.proto", &whole("message DemoOther {}"));
            command(&["accept", "--lock", "events.lock", "demo.proto"]);
            file("demo.proto", &whole("message DemoOther { string more = 1; }"));
            command(&["check", "--locked", "--lock", "events.lock", "demo.proto"])
        }
        "not-parsed" => {
            file("demo.proto", &whole("message DemoOther {}"));
            file("half.rs", "fn half(");
            command(&["coverage", "--schema", "demo.proto", "half.rs"])
        }
        "io" => {
            file("demo.proto", &whole("message DemoOther {}"));
            let builder = Builder::new().out_dir(folder.path().join("nowhere")).emit_rerun_if_changed(false);
            let error = builder.compile(&["demo.proto"], &[folder.path()]).unwrap_err().to_string();
            // Which of the files comes first is not the point, nor how the system says it.
            assert!(error.contains("nowhere"), "{error}");
            error.replace(&format!("{}/", folder.path().display()), "")
        }
        "usage" => Builder::new().runtime("a b").generate(&["demo.proto"], &["."]).unwrap_err().to_string(),
        // The caller says that there is nothing, and fails.
        _ => String::new(),
    }
}

#[test]
fn every_example_breaks_its_rule_and_every_cure_cures() {
    for rule in Rule::all() {
        match rule.example {
            Example::Schema { bad, good } => {
                let told = broken(bad);
                assert!(told.contains(&(rule.name, rule.severity())), "{}: {told:?}", rule.name);
                // What it leaves out has no comments, which is none of its matter.
                let mut left = broken(good);
                left.retain(|(name, severity)| *severity == Severity::Error || *name == rule.name);
                assert!(left.is_empty(), "{}: the cure breaks {left:?}", rule.name);
            }
            Example::Change { before, bad, good } => {
                let accepted = contract(before).unwrap();
                let changes = |part| accepted.changes(&contract(part).unwrap());
                assert!(
                    changes(bad).iter().any(|change| change.rule == rule.name),
                    "{}: {:?}",
                    rule.name,
                    changes(bad)
                );
                let left = changes(good);
                assert!(left.iter().all(|change| !change.breaks.any()), "{}: {left:?}", rule.name);
                assert!(
                    left.iter().all(|change| change.rule != rule.name || rule.name == "added"),
                    "{}",
                    rule.name
                );
            }
            Example::Words { bad, good } => assert!(!bad.is_empty() && !good.is_empty()),
            _ => panic!("{}: an example that is not tested", rule.name),
        }
    }
}

/// The rule that nothing known breaks: a schema that did would be a bug to mend, not to keep.
const UNBROKEN: &str = "internal";

#[test]
fn what_is_said_of_every_rule_is_as_its_golden_text_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts = BTreeMap::from([(root.join("RULES.md"), Rule::markdown())]);
    for rule in Rule::all().filter(|rule| rule.name != UNBROKEN) {
        let text = match rule.example {
            Example::Schema { bad, .. } => said(bad, rule),
            Example::Change { before, bad, .. } => {
                let (accepted, folder) = (contract(before).unwrap().to_string(), folder(bad));
                let now = Builder::new().contract(&["demo.proto"], &[folder.path()]).unwrap();
                let changes = Contract::parse("events.lock", &accepted).unwrap().changes(&now);
                let changes = changes.iter().filter(|change| change.rule == rule.name);
                let text = changes.map(ToString::to_string).collect::<Vec<_>>().join("\n\n");
                text.replace(&format!("{}/", folder.path().display()), "")
            }
            _ => provoked(rule),
        };
        let name = rule.name;
        assert!(text.contains(&format!("[{name}]")), "nothing here breaks {name}: write what does: {text}");
        texts.insert(root.join(format!("tests/rules/{}.txt", rule.name)), format!("{}\n", text.trim_end()));
    }
    let mut differences = Vec::new();
    for (path, text) in &texts {
        if fs::read_to_string(path).unwrap_or_default() != *text {
            match env::var(WRITE).is_ok_and(|value| value == "write") {
                true => fs::write(path, text).unwrap(),
                false => differences.push(format!("{}:\n{text}", path.display())),
            }
        }
    }
    assert!(differences.is_empty(), "run with {WRITE}=write if this was meant:\n{}", differences.join("\n"));
    for entry in fs::read_dir(root.join("tests/rules")).unwrap() {
        let path = entry.unwrap().path();
        assert!(texts.contains_key(&path), "{} is of a rule that is gone", path.display());
    }
}

#[test]
fn every_rule_that_the_generator_names_is_in_the_table_once() {
    let table: Vec<&str> = Rule::all().map(|rule| rule.name).collect();
    assert_eq!(table.len(), table.iter().collect::<BTreeSet<_>>().len(), "a rule is there twice");
    // A name in the sources: a text of small letters and hyphens where rules are checked.
    let mut open = ["src/check", "src/baseline", "src/refused.rs", "src/opt_out.rs"]
        .map(|one| Path::new(env!("CARGO_MANIFEST_DIR")).join(one))
        .to_vec();
    let (mut named, mut files) = (BTreeSet::new(), 0);
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        files += 1;
        let text = fs::read_to_string(&path).unwrap();
        let is_rule = |word: &&str| {
            word.contains('-')
                && word
                    .split('-')
                    .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase()))
        };
        named.extend(text.split('"').filter(is_rule).map(str::to_owned));
    }
    assert!(files > 5 && named.contains("no-source") && named.contains("field-removed"), "{named:?}");
    let missing: Vec<_> = named.iter().filter(|name| !table.contains(&name.as_str())).collect();
    assert!(missing.is_empty(), "without an entry in src/explain: {missing:?}");
}

#[test]
fn the_command_explains_one_rule_lists_all_and_helps_with_names() {
    let explain = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_events-codegen")).arg("explain").args(arguments).output().unwrap()
    };
    let list = String::from_utf8(explain(&[]).stdout).unwrap();
    assert_eq!(list.lines().count(), Rule::all().count());
    let one = String::from_utf8(explain(&["no-source"]).stdout).unwrap();
    assert!(one.starts_with("no-source\n\nA payload says") && one.contains("keeps it:"), "{one}");
    let output = explain(&["no-sauce"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("did you mean `no-source`?"));
}
