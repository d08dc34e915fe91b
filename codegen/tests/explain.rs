//! The table of rules: every rule is in it, its example breaks it, and the cure cures.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use events_codegen::{Builder, Contract, Error, ErrorKind, Example, Rule};

/// What the examples leave out: each definition with the line it begins with.
const FRAME: &[(&str, &str)] = &[
    ("enum Category ", "{ CATEGORY_UNSPECIFIED = 0; CATEGORY_DEMO = 1; }"),
    (
        "message Event ",
        "{ option (rodent.events.envelope) = true; string event_id = 1; rodent.events.EventLevel level = 2; \
         Category category = 3; string source = 4; int64 timestamp = 5; map<string, string> metadata = 6; \
         oneof event_payload { DemoEvent demo_event = 10; } }",
    ),
    ("message DemoEvent ", "{ oneof event_type { DemoPayload demo = 1; } }"),
    ("message DemoPayload ", "{ option (rodent.events.event) = { source: \"demo\" }; }"),
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
    text += "import \"events/annotations.proto\";\nimport \"google/protobuf/any.proto\";\n";
    for (head, body) in FRAME.iter().filter(|(head, _)| !part.contains(head)) {
        text += &format!("{head}{body}\n");
    }
    text + part
}

fn contract(part: &str) -> Result<Contract, Error> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("demo.proto"), whole(part)).unwrap();
    Builder::new().contract(&["demo.proto"], &[folder.path()])
}

/// The rules that a schema breaks.
fn broken(part: &str) -> Vec<&'static str> {
    match contract(part) {
        Ok(_) => Vec::new(),
        Err(error) if error.kind() == ErrorKind::Proto => vec!["proto"],
        Err(error) => error.findings().iter().map(|finding| finding.rule).collect(),
    }
}

#[test]
fn every_example_breaks_its_rule_and_every_cure_cures() {
    for rule in Rule::all() {
        match rule.example {
            Example::Schema { bad, good } => {
                assert!(broken(bad).contains(&rule.name), "{}: {:?}", rule.name, broken(bad));
                // A file without any event is enough to show its syntax.
                let left: Vec<_> = broken(good)
                    .into_iter()
                    .filter(|one| !good.starts_with("syntax") || *one == rule.name)
                    .collect();
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

#[test]
fn every_rule_that_the_generator_names_is_in_the_table_once() {
    let table: Vec<&str> = Rule::all().map(|rule| rule.name).collect();
    assert_eq!(table.len(), table.iter().collect::<BTreeSet<_>>().len(), "a rule is there twice");
    // A name in the sources: a text of small letters and hyphens where rules are checked.
    let mut open =
        ["src/check", "src/baseline"].map(|one| Path::new(env!("CARGO_MANIFEST_DIR")).join(one)).to_vec();
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
