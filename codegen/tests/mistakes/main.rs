//! Findings: all at once, each in its line; warnings and how they are allowed; files that are no protobuf.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use events_codegen::{Builder, Error, ErrorKind, Finding, Look, Origin, Report, Severity};

/// A schema without any finding.
const CLEAN: &str = r#"syntax = "proto3";
package acme;
import "events/annotations.proto";
import "events/event_messages.proto";
enum Category { CATEGORY_UNSPECIFIED = 0; CATEGORY_BACKUP = 1; }
message Event {
  option (rodent.events.envelope) = true;
  string event_id = 1;
  rodent.events.EventLevel level = 2;
  Category category = 3;
  string source = 4;
  int64 timestamp = 5;
  map<string, string> metadata = 6;
  oneof event_payload { BackupEvent backup_event = 10; }
}
message BackupEvent { oneof event_type { BackupPayload backup = 1; } }
// A backup.
message BackupPayload {
  option (rodent.events.event) = { source: "acme" };
  // How much was copied.
  int64 copied_bytes = 1;
  // How it was copied.
  oneof way {
    // In full.
    int32 full = 2;
  }
  // How it ended.
  End end = 3;

  // How a backup can end.
  enum End {
    // The sender did not say.
    END_UNSPECIFIED = 0;
    // Well.
    END_DONE = 1;
  }
}
"#;

/// The same, with a warning about a field.
fn warned() -> String {
    CLEAN.replace("int64 copied_bytes", "int64 copied_size")
}

fn check(files: &[(&str, &str)], asked: &[&str]) -> Result<Report, Error> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    Builder::new().check(asked, &[folder.path()])
}

fn findings(files: &[(&str, &str)], asked: &[&str]) -> Vec<Finding> {
    match check(files, asked) {
        Ok(report) => report.findings().to_vec(),
        Err(error) => error.findings().to_vec(),
    }
}

fn rules(schema: &str) -> Vec<&'static str> {
    findings(&[("acme.proto", schema)], &["acme.proto"]).iter().map(|finding| finding.rule).collect()
}

/// The line and the rule of each mistake that a schema says it has.
fn marked(schema: &str) -> Vec<(u32, String)> {
    let mut marks = Vec::new();
    for (line, text) in (1..).zip(schema.lines()) {
        let Some((_, rules)) = text.split_once("← ") else { continue };
        let rules = rules.split("*/").next().unwrap_or_default();
        marks.extend(rules.split(',').map(|rule| (line, rule.trim().to_owned())));
    }
    marks.sort();
    marks
}

#[test]
fn more_than_thirty_mistakes_are_told_in_one_run_each_in_its_line() {
    let schema = include_str!("thirty.proto");
    let marked = marked(schema);
    let told = findings(&[("thirty.proto", schema)], &["thirty.proto"]);
    let mut found: Vec<(u32, String)> =
        told.iter().map(|finding| (finding.origin.line, finding.rule.to_owned())).collect();
    found.sort();
    assert_eq!(found, marked);
    let distinct: BTreeSet<&str> = marked.iter().map(|(_, rule)| rule.as_str()).collect();
    assert!(distinct.len() >= 30, "{}: {distinct:?}", distinct.len());
    for finding in &told {
        // The place is a part of the line, and no more of it than is wrong.
        let line = schema.lines().nth(finding.origin.line as usize - 1).unwrap();
        let (begin, end) = (finding.origin.column as usize - 1, finding.origin.end_column as usize - 1);
        let place = line.get(begin..end).unwrap();
        assert!(!place.is_empty() && place.len() < 60 && !place.contains("←"), "{finding}: {place}");
        assert!(!finding.why().is_empty() && !finding.cure.is_empty(), "{finding}");
    }
}

#[test]
fn a_clean_schema_has_no_finding_and_ours_is_clean() {
    assert_eq!(rules(CLEAN), [""; 0]);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let ours = ["base.proto", "events/event_messages.proto", "events/annotations.proto"];
    let report = Builder::sdk().check(&ours, &[root.join("proto")]).unwrap();
    assert!(report.is_empty(), "{report}");
    let example = root.join("examples/custom_schema/proto");
    let report = Builder::new().check(&["acme/backup.proto"], &[example]).unwrap();
    assert!(report.is_empty(), "{report}");
}

#[test]
fn a_warning_is_allowed_for_a_field_a_message_a_oneof_an_enum_or_a_file() {
    let allow = |at: &str, option: &str| warned().replacen(at, &format!("{at} {option}"), 1);
    assert_eq!(rules(&warned()), ["no-unit"]);
    let field = warned().replace("size = 1;", "size = 1 [(rodent.events.allow_field) = \"no-unit\"];");
    assert_eq!(rules(&field), [""; 0]);
    let message = allow("message BackupPayload {", "option (rodent.events.allow_message) = \"no-unit\";");
    assert_eq!(rules(&message), [""; 0]);
    let file = allow("package acme;", "option (rodent.events.allow_file) = \"no-unit\";");
    assert_eq!(rules(&file), [""; 0]);

    let oneof = CLEAN.replace("int32 full", "int32 fullSize");
    assert_eq!(rules(&oneof), ["name-style", "no-unit"]);
    let options = "option (rodent.events.allow_oneof) = \"name-style\"; option (rodent.events.allow_oneof) = \"no-unit\";";
    assert_eq!(rules(&oneof.replace("oneof way {", &format!("oneof way {{ {options}"))), [""; 0]);

    let values = CLEAN.replace("END_DONE", "DONE");
    assert_eq!(rules(&values), ["value-prefix"]);
    let option = "enum End { option (rodent.events.allow_enum) = \"value-prefix\";";
    assert_eq!(rules(&values.replace("enum End {", option)), [""; 0]);
}

#[test]
fn what_allows_nothing_is_told() {
    let allow = |rule: &str| {
        warned().replace("size = 1;", &format!("size = 1 [(rodent.events.allow_field) = \"{rule}\"];"))
    };
    assert_eq!(rules(&allow("no-comment")), ["no-unit", "unused-allow"]);
    assert_eq!(rules(&allow("no-unitt")), ["unknown-rule", "no-unit"]);
    let told = findings(&[("acme.proto", &allow("no-unitt"))], &["acme.proto"]);
    assert_eq!(told[0].cure, "did you mean `\"no-unit\"`?");
    // An error stays one, whatever is allowed.
    let mute = allow("no-source").replace("source: \"acme\"", "");
    assert_eq!(rules(&mute), ["no-source", "unknown-rule", "no-unit"]);
}

#[test]
fn broken_files_are_told_together_and_with_what_is_wrong_in_the_others() {
    let other = CLEAN.replace("package acme;", "package other;").replace("source: \"acme\"", "");
    let files = [
        ("broken.proto", "syntax = \"proto3\";\nmesage Broken {}\n"),
        ("also.proto", "syntax = \"proto3\";\nimport \"deep.proto\";\nimport \"deeper.proto\";\n"),
        ("deep.proto", "syntax = \"proto3\";\nmessage Deep {\n  strin name = 1;\n  Unknown what = 2;\n}\n"),
        ("deeper.proto", "syntax = \"proto3\";\nmessage Deeper {\n  string name = 1\n}\n"),
        ("other.proto", &other),
    ];
    let told = findings(&files, &["broken.proto", "also.proto", "other.proto", "nowhere.proto"]);
    let places: Vec<(String, &str, u32, &str)> = told
        .iter()
        .map(|one| {
            let name = Path::new(&one.origin.file).file_name().unwrap().to_string_lossy().into_owned();
            (name, one.rule, one.origin.line, one.cure.as_str())
        })
        .collect();
    for (name, rule, line, cure) in [
        ("broken.proto", "proto-syntax", 2, "did you mean `message`?"),
        ("deep.proto", "proto-name", 3, "did you mean `string`?"),
        ("deep.proto", "proto-name", 4, "define `Unknown`, or import the file that does"),
        ("deeper.proto", "proto-syntax", 3, "end line 3 with `;`"),
    ] {
        let sought = (name.to_owned(), rule, line, cure);
        assert_eq!(places.iter().filter(|one| **one == sought).count(), 1, "{sought:?} in {places:#?}");
    }
    assert!(told.iter().any(|one| one.rule == "no-source" && one.origin.file.ends_with("other.proto")));
    assert!(told.iter().any(|one| one.rule == "proto-file" && one.message.contains("nowhere.proto")));
    assert_eq!(told.len(), 6, "{places:#?}");
}

/// The schema with the edit that a finding proposes, if it asks "did you mean".
fn mended(schema: &str, finding: &Finding) -> Option<String> {
    let edit = finding.cure.strip_prefix("did you mean `")?.strip_suffix("`?")?;
    let Origin { line, column, end_line, end_column, .. } = finding.origin;
    let offset = |line: u32, column: u32| {
        let before = schema.split_inclusive('\n').take(line as usize - 1).map(str::len).sum::<usize>();
        before + column as usize - 1
    };
    let mut mended = schema.to_owned();
    mended.replace_range(offset(line, column)..offset(end_line, end_column), edit);
    Some(mended)
}

#[test]
fn what_was_meant_cures_where_it_is_written_in_the_place_of_the_mistake() {
    let mut mended_rules = BTreeSet::new();
    let payload = |line: &str| {
        CLEAN.replace("source: \"acme\" };", &format!("source: \"acme\" }};\n  // More.\n  {line}"))
    };
    for schema in [
        CLEAN.replace("source: \"acme\"", "source: \"acme\", level: \"INFOO\""),
        CLEAN.replace("source: \"acme\"", "source: \"acme\", name: \"backup_Done\""),
        CLEAN.replace("source:", "sorce:"),
        CLEAN.replace("END_DONE = 1", "END_DONE = 1 [(rodent.events.event_level) = \"WARNING\"]"),
        CLEAN.replace("END_DONE", "DONE"),
        CLEAN.replace("END_DONE", "END_done"),
        CLEAN.replace("copied_bytes", "copiedBytes"),
        CLEAN.replace("End end", "Ende end"),
        CLEAN.replace("int64 copied", "int46 copied"),
        CLEAN.replace("// A backup.\nmessage", "// A backup.\nmesage"),
        CLEAN.replace("events/annotations", "events/anotations"),
        payload("string more = 9 [(rodent.events.field).requird = true];"),
        payload("string more = 9 [(rodent.events.field) = { requird: true }];"),
        payload("string more = 9 [(rodent.events.field).sensitivity = PII];"),
        payload("string more = 9 [(rodent.events.field) = { sensitivity: SENSITIVITY_PUBLICK }];"),
        payload("string more = 9 [(rodent.events.fild).required = true];"),
        payload("int64 more_size = 9 [(rodent.events.allow_field) = \"no-unitt\"];"),
    ] {
        let told = findings(&[("acme.proto", &schema)], &["acme.proto"]);
        let meant = told.iter().find_map(|one| Some((one.rule, mended(&schema, one)?)));
        let (rule, mended) = meant.unwrap_or_else(|| panic!("nothing was meant: {told:#?}\n{schema}"));
        let left = rules(&mended);
        let before = |one: &&str| told.iter().any(|finding| finding.rule == *one);
        assert!(!left.contains(&rule) && left.iter().all(before), "{rule}: {left:?}: {told:#?}\n{mended}");
        mended_rules.insert(rule);
    }
    assert!(mended_rules.len() >= 9, "{mended_rules:?}");
}

#[test]
fn what_protobuf_refuses_has_a_cure_that_fits() {
    for (from, to, rule, cure) in [
        (
            "int64 copied",
            "google.protobuf.Timestamp copied",
            "proto-name",
            "write `import \"google/protobuf/timestamp.proto\";`",
        ),
        ("End end", "Ende end", "proto-name", "did you mean `End`?"),
        (
            "bytes = 1;",
            "bytes = 1 [(field).required = true];",
            "proto-name",
            "did you mean `rodent.events.field`?",
        ),
        ("bytes = 1;", "bytes = 2;", "proto-number", "another number"),
        ("bytes = 1;", "bytes = 19500;", "proto-number", "19000 to 19999"),
        ("END_UNSPECIFIED = 0;", "END_UNSPECIFIED = 2;", "proto-number", "begin the enum"),
        ("int32 full = 2;", "int32 copied_bytes = 2;", "proto-duplicate", "rename one of the two"),
        (
            "bytes = 1;",
            "bytes = 1 [(rodent.events.field).max_length = 3];",
            "proto-option",
            "did you mean `max_len`?",
        ),
        (
            "bytes = 1;",
            "bytes = 1 [(rodent.events.field).sensitivity = PII];",
            "proto-option",
            "did you mean `SENSITIVITY_PII`?",
        ),
        (
            "bytes = 1;",
            "bytes = 1 [(rodent.events.field).sensitivity = SENSITIVITY_PRIVATE];",
            "proto-option",
            "SENSITIVITY_",
        ),
        (
            "bytes = 1;",
            "bytes = 1 [(rodent.events.field).required = yes];",
            "proto-option",
            "`true` or `false`",
        ),
        (
            "bytes = 1;",
            "bytes = 1 [(rodent.events.field) = { unitt: \"x\" }];",
            "proto-option",
            "did you mean `unit`?",
        ),
        (
            "bytes = 1;",
            "bytes = 1 [(rodent.events.event).name = \"x\"];",
            "proto-option",
            "`(rodent.events.field)`",
        ),
        (
            "bytes = 1;",
            "bytes = 1 [(rodent.events.fild).required = true];",
            "proto-name",
            "did you mean `rodent.events.field`?",
        ),
        ("source: \"acme\"", "source: acme", "proto-option", "its keys are"),
        (
            "import \"events/annotations.proto\";",
            "import \"events/anotations.proto\";",
            "proto-import",
            "did you mean `import \"events/annotations.proto\";`?",
        ),
        ("// How it ended.\n  End end = 3;", "// How it ended.\n  End end = 3", "proto-syntax", "with `;`"),
    ] {
        assert!(CLEAN.contains(from), "{from}");
        let told = findings(&[("acme.proto", &CLEAN.replacen(from, to, 1))], &["acme.proto"]);
        let first = told.first().unwrap_or_else(|| panic!("{to}: nothing was found"));
        assert!(first.rule == rule && first.cure.contains(cure), "{to}: {first:?}");
        assert!(first.origin.line > 0, "{to}: {first:?}");
    }
}

fn run(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_events-codegen"));
    command.current_dir(folder).args(arguments).envs(variables.iter().copied()).output().unwrap()
}

#[test]
fn the_command_tells_warnings_on_standard_error_and_denies_them_when_told() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("acme.proto"), warned()).unwrap();
    let output = run(folder.path(), &["check", "acme.proto"], &[("COLUMNS", "60")]);
    assert!(output.status.success() && output.stdout.is_empty());
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("warning[no-unit]") && told.contains("[./acme.proto:21:9]"), "{told}");
    assert!(told.contains("1 warning;") && !told.contains('\u{1b}'), "{told}");
    assert!(told.lines().all(|line| line.chars().count() <= 60 || line.contains('`')), "{told}");
    let output = run(folder.path(), &["check", "--deny-warnings", "acme.proto"], &[]);
    assert_eq!(output.status.code(), Some(1));
    let output = run(folder.path(), &["generate", "--deny-warnings", "--out", "out", "acme.proto"], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(!folder.path().join("out/events.rs").exists());
}

#[test]
fn a_finding_is_readable_however_it_is_printed() {
    let error =
        check(&[("acme.proto", &CLEAN.replace("source: \"acme\"", ""))], &["acme.proto"]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Schema);
    // A build script's `main` prints `Error: {error:?}`.
    let printed = format!("Error: {error:?}");
    assert!(printed.contains("error[no-source]\n  × message BackupPayload has no source\n"), "{printed}");
    assert!(printed.contains("18 │ message BackupPayload {"), "{printed}");
    let boxed: Box<dyn std::error::Error> = error.into();
    assert!(
        boxed.to_string().contains("cure: add `option (rodent.events.event) = { source: \"...\" };`"),
        "{boxed}"
    );

    let report = check(&[("acme.proto", &warned())], &["acme.proto"]).unwrap();
    let finding = &report.findings()[0];
    assert_eq!(finding.severity, Severity::Warning);
    // cargo takes a line for each warning of a build script.
    assert!(!finding.line().contains('\n') && finding.line().ends_with("[no-unit]"), "{}", finding.line());
    assert!(report.render(Look::plain().colours(true)).contains('\u{1b}'));
    assert!(!report.to_string().contains('\u{1b}'));
}
