//! Findings that take more than the example of their rule.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::fs::{self, OpenOptions};
use std::path::Path;
use std::process::Command;

use events_codegen::{Builder, Finding, Severity};
use tempfile::TempDir;

const HEAD: &str = r#"syntax = "proto3";
package demo;
import "events/event_messages.proto";
import "events/annotations.proto";
"#;

/// A schema with one kind of event; each part may be given.
struct Demo {
    category: &'static str,
    source: &'static str,
    leaf: &'static str,
    event: &'static str,
    fields: &'static str,
}

const DEMO: Demo = Demo { category: "", source: "", leaf: "", event: "source: \"demo\"", fields: "" };

impl Demo {
    fn text(&self) -> String {
        let Self { category, source, leaf, event, fields } = self;
        format!(
            "{HEAD}enum Category {{ CATEGORY_UNSPECIFIED = 0; CATEGORY_DEMO = 1{category}; }}
message Event {{
  option (rodent.events.envelope) = true;
  string event_id = 1;
  rodent.events.EventLevel level = 2;
  Category category = 3;
  string source = 4{source};
  int64 timestamp = 5;
  map<string, string> metadata = 6;
  oneof event_payload {{ DemoEvent demo_event = 10; }}
}}
message DemoEvent {{ oneof event_type {{ DemoPayload demo = 1{leaf}; }} }}
message DemoPayload {{
  option (rodent.events.event) = {{ {event} }};
{fields}
}}
message Keys {{ string pem = 1; }}
"
        )
    }

    fn check(&self) -> Vec<(String, u32, u32)> {
        let folder = folder(&self.text());
        match Builder::new().check(&["demo.proto"], &[folder.path()]) {
            Ok(_) => Vec::new(),
            Err(error) => places(error.findings()),
        }
    }
}

fn folder(text: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("demo.proto"), text).unwrap();
    folder
}

/// Rule, line and column of each mistake.
fn places(findings: &[Finding]) -> Vec<(String, u32, u32)> {
    let mistakes = findings.iter().filter(|finding| finding.severity == Severity::Error);
    mistakes.map(|finding| (finding.rule.to_owned(), finding.origin.line, finding.origin.column)).collect()
}

fn rules(found: &[(String, u32, u32)]) -> Vec<&str> {
    found.iter().map(|(rule, ..)| rule.as_str()).collect()
}

#[test]
fn an_annotation_where_nobody_looks_at_it_is_told_at_its_place() {
    let secret = " [(rodent.events.field).sensitivity = SENSITIVITY_SECRET]";
    let found = Demo { source: secret, ..DEMO }.check();
    assert_eq!(found, [("misplaced-annotation".to_owned(), 11, 22)]);
    assert_eq!(rules(&Demo { leaf: secret, ..DEMO }.check()), ["misplaced-annotation"]);
    let severity = " [(rodent.events.severity) = 3]";
    assert_eq!(rules(&Demo { category: severity, ..DEMO }.check()), ["misplaced-annotation"]);
    let level = " [(rodent.events.event_level) = \"WARN\"]";
    assert_eq!(rules(&Demo { category: level, ..DEMO }.check()), ["misplaced-annotation"]);
    let emitter = "  string text = 1 [(rodent.events.emitter) = { name: \"demo_other\" }];";
    assert_eq!(rules(&Demo { fields: emitter, ..DEMO }.check()), ["misplaced-annotation"]);
    let right = " [(rodent.events.emitter) = { name: \"demo_other\" }]";
    assert_eq!(rules(&Demo { leaf: right, ..DEMO }.check()), [""; 0]);
}

#[test]
fn an_emitter_is_written_with_the_letters_of_ascii() {
    let found = Demo { event: "source: \"demo\" name: \"demo_é\"", ..DEMO }.check();
    assert_eq!(rules(&found), ["emitter-name"]);
}

#[test]
fn a_message_is_as_secret_as_its_name() {
    let fields = "  Keys credentials = 1;\n  map<string, Keys> private_keys = 2;\n  int32 token_count = 3;\n  Keys keys = 4;";
    assert_eq!(rules(&Demo { fields, ..DEMO }.check()), ["secret-name", "secret-name"]);
}

#[test]
fn a_name_that_is_there_twice_is_one_mistake() {
    let fields = "  string text = 1;\n  string text = 2;";
    assert_eq!(rules(&Demo { fields, ..DEMO }.check()), ["proto-duplicate"]);
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_file() {
    let folder = folder(&format!("\u{feff}{}", DEMO.text()));
    let generated = Builder::new().generate(&["demo.proto"], &[folder.path()]).unwrap();
    assert_eq!(generated.inputs, [folder.path().join("demo.proto")]);
}

#[test]
fn what_cannot_be_printed_is_no_success() {
    let folder = folder(&DEMO.text());
    let full = Path::new("/dev/full");
    if !full.exists() {
        return;
    }
    for arguments in [&["explain"][..], &["catalog", "--include", ".", "demo.proto"]] {
        let out = OpenOptions::new().write(true).open(full).unwrap();
        let ended = Command::new(env!("CARGO_BIN_EXE_events-codegen"))
            .args(arguments)
            .current_dir(folder.path())
            .stdout(out)
            .output()
            .unwrap();
        assert_eq!(ended.status.code(), Some(1), "{arguments:?}");
        assert!(String::from_utf8_lossy(&ended.stderr).contains("standard output"), "{ended:?}");
    }
}
