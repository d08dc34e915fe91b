//! The generator and the disk: what it writes, what it leaves alone, and what its fingerprint sees.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use events_codegen::{Builder, EVENTS_FILE, ErrorKind};

const SCHEMA: &str = r#"
syntax = "proto3";
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
  string name = 1;
}
"#;

fn write(folder: &Path, schema: &str) {
    fs::write(folder.join("acme.proto"), schema).unwrap();
}

fn fingerprint(schema: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), schema);
    let files = Builder::new().generate(&["acme.proto"], &[folder.path()]).unwrap().files;
    let line = files[EVENTS_FILE].lines().find(|line| line.contains("SCHEMA_FINGERPRINT")).unwrap();
    line.to_owned()
}

#[test]
fn what_would_not_change_is_not_written_again() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), SCHEMA);
    let build = || {
        let builder = Builder::new().out_dir(folder.path()).emit_rerun_if_changed(false);
        builder.compile(&["acme.proto"], &[folder.path()]).unwrap();
    };
    build();
    let (events, wire) = (folder.path().join(EVENTS_FILE), folder.path().join("acme.rs"));
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    for path in [&events, &wire] {
        fs::File::options().write(true).open(path).unwrap().set_modified(long_ago).unwrap();
    }
    build();
    for path in [&events, &wire] {
        assert_eq!(fs::metadata(path).unwrap().modified().unwrap(), long_ago, "{}", path.display());
    }
    write(folder.path(), &SCHEMA.replace("string name = 1;", "string title = 1;"));
    build();
    for path in [&events, &wire] {
        assert_ne!(fs::metadata(path).unwrap().modified().unwrap(), long_ago, "{}", path.display());
    }
}

#[test]
fn every_file_on_disk_that_was_read_is_an_input() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &SCHEMA.replace("package acme;", "package acme;\nimport \"part.proto\";"));
    fs::write(folder.path().join("part.proto"), "syntax = \"proto3\"; package acme; message Part {}")
        .unwrap();
    let generated = Builder::new().generate(&["acme.proto"], &[folder.path()]).unwrap();
    assert_eq!(generated.inputs, [folder.path().join("acme.proto"), folder.path().join("part.proto")]);
}

#[test]
fn the_fingerprint_sees_meaning_and_not_words() {
    let original = fingerprint(SCHEMA);
    let fields =
        "string name = 1; Part part = 2; enum Part { PART_UNSPECIFIED = 0; PART_A = 1; PART_B = 2; }";
    let turned =
        "enum Part { PART_UNSPECIFIED = 0; PART_B = 2; PART_A = 1; } Part part = 2; string name = 1;";
    let with_fields = fingerprint(&SCHEMA.replace("string name = 1;", fields));
    assert_ne!(with_fields, original);
    for (from, to, same) in [
        ("// A backup.", "// Another comment.\n\n\n", &original),
        ("message BackupPayload", "message Unused { string name = 1; }\nmessage BackupPayload", &original),
        ("string name = 1;", turned, &with_fields),
    ] {
        assert_eq!(&fingerprint(&SCHEMA.replace(from, to)), same, "{to}");
    }
    for (from, to) in [
        ("string name = 1;", "string name = 2;"),
        ("string name = 1;", "string name = 1 [(rodent.events.field).max_len = 80];"),
        ("string name = 1;", "string name = 1 [json_name = \"label\"];"),
        ("string name = 1;", "string label = 1;"),
        ("string name = 1;", "bytes name = 1;"),
        ("source: \"acme\"", "source: \"acme2\""),
        ("source: \"acme\"", "source: \"acme\", level: \"INFO\""),
    ] {
        assert_ne!(fingerprint(&SCHEMA.replace(from, to)), original, "{to}");
    }
}

#[test]
fn the_runtime_may_have_another_name() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), SCHEMA);
    let files =
        Builder::new().runtime("::telemetry::sdk").generate(&["acme.proto"], &[folder.path()]).unwrap().files;
    assert!(files.values().all(|text| !text.contains("events_sdk")));
    assert!(files[EVENTS_FILE].contains("::telemetry::sdk::__private::Kind"));
    let error = Builder::new().runtime("not a path").generate(&["acme.proto"], &[folder.path()]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
}

#[test]
fn a_directory_that_is_not_there_is_told() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), SCHEMA);
    let builder = Builder::new().out_dir(folder.path().join("nowhere")).emit_rerun_if_changed(false);
    let error = builder.compile(&["acme.proto"], &[folder.path()]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("nowhere"), "{error}");
}

#[test]
fn the_command_checks_and_generates() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), SCHEMA);
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_events-codegen"));
        command.current_dir(folder.path()).args(arguments).output().unwrap()
    };
    assert!(run(&["check", "acme.proto"]).status.success());
    assert!(run(&["generate", "--include", ".", "--out", "out", "acme.proto"]).status.success());
    assert!(folder.path().join("out").join(EVENTS_FILE).exists());
    assert_eq!(run(&["generate", "acme.proto"]).status.code(), Some(2));
    assert_eq!(run(&["frobnicate"]).status.code(), Some(2));

    write(
        folder.path(),
        &SCHEMA.replace("source: \"acme\"", "").replace("= 10;", "= 10; BackupEvent lost_event = 11;"),
    );
    let output = run(&["check", "acme.proto"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("error[no-source]")
            && text.contains("[./acme.proto:19:9]")
            && text.contains("error[unknown-category]"),
        "{text}"
    );
}

#[test]
fn the_command_puts_up_with_closed_streams_and_with_arguments_that_are_no_text() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    use std::process::{Command, Stdio};
    let command = || Command::new(env!("CARGO_BIN_EXE_events-codegen"));
    for (arguments, code) in [(&["explain"][..], 0), (&["nonsense"], 2), (&["check", "nowhere.proto"], 1)] {
        // Nobody reads: each pipe is closed before anything is written to it.
        let (_, out) = std::io::pipe().unwrap();
        let (_, err) = std::io::pipe().unwrap();
        let status =
            command().args(arguments).stdout(Stdio::from(out)).stderr(Stdio::from(err)).status().unwrap();
        assert_eq!(status.code(), Some(code), "{arguments:?}");
    }
    let output = command().arg("check").arg(OsStr::from_bytes(b"\xff.proto")).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && told.contains("is not UTF-8"), "{told}");
}

#[test]
fn an_edition_is_refused_in_a_descriptor_set_as_in_a_text() {
    use prost_reflect::prost::Message as _;
    use prost_reflect::prost_types::{FileDescriptorProto, FileDescriptorSet};
    let file = FileDescriptorProto {
        name: Some("new.proto".to_owned()),
        syntax: Some("editions".to_owned()),
        ..FileDescriptorProto::default()
    };
    let set = FileDescriptorSet { file: vec![file] }.encode_to_vec();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("new.proto"), "edition = \"2023\";").unwrap();
    let errors = [
        Builder::new().generate_from_descriptors(&set, &["new.proto"]).unwrap_err(),
        Builder::new().generate(&["new.proto"], &[folder.path()]).unwrap_err(),
    ];
    for error in errors.map(|error| error.to_string()) {
        assert!(error.contains("of an edition, and only proto2 and proto3 are supported"), "{error}");
        assert!(error.contains("cure: begin the file with `syntax = \"proto3\";`"), "{error}");
    }
}
