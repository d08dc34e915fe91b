//! `coverage`: what a source tree emits, and what it does not.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn coverage(folder: &Path, more: &[&str]) -> Output {
    let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto");
    let mut command = Command::new(env!("CARGO_BIN_EXE_events-codegen"));
    command
        .current_dir(folder)
        .args(["coverage", "--schema", "events/event_messages.proto", "--include"])
        .arg(proto);
    command.args(more).output().unwrap()
}

#[test]
fn calls_are_listed_with_their_places_and_the_rest_as_never_called() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("src/deep")).unwrap();
    fs::create_dir_all(folder.path().join("src/target")).unwrap();
    fs::write(folder.path().join("src/a.rs"), "fn f() {\n    emit_storage_pool(1);\n}\n").unwrap();
    fs::write(folder.path().join("src/deep/b.rs"), "fn g() { emit!(storage_pool, info); emit_nothing(2) }")
        .unwrap();
    fs::write(folder.path().join("src/target/c.rs"), "fn h() { emit_storage_disk(1) }").unwrap();
    fs::write(folder.path().join("src/broken.rs"), b"fn \xff\xfe emit_usage_quota(1) } } \" '").unwrap();
    let output = coverage(folder.path(), &["src"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("emit_storage_pool: 2 calls\n  src/a.rs:2:5\n  src/deep/b.rs:1:10\n"), "{text}");
    assert!(text.contains("emit_usage_quota: 1 call\n  src/broken.rs:1:"), "{text}");
    assert!(text.contains("emit_storage_disk: never called, declared at "), "{text}");
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto/events/event_messages.proto");
    let kinds = fs::read_to_string(schema).unwrap().matches("\n  option (event) =").count();
    let all = format!("\n2 of {kinds} events are emitted");
    assert!(text.contains("event_messages.proto:") && text.contains(&all), "{all}: {text}");
    let warnings = String::from_utf8(output.stderr).unwrap();
    assert!(warnings.contains("warning[not-parsed]: src/broken.rs"), "{warnings}");

    assert_eq!(coverage(folder.path(), &["--deny-unused", "src"]).status.code(), Some(1));
    assert_eq!(coverage(folder.path(), &["nowhere"]).status.code(), Some(1));
    assert_eq!(coverage(folder.path(), &[]).status.code(), Some(2));
}

#[test]
fn a_tree_that_emits_everything_passes() {
    let folder = tempfile::tempdir().unwrap();
    let listed = String::from_utf8(coverage(folder.path(), &["."]).stdout).unwrap();
    let calls = listed.lines().filter_map(|line| line.split_once(": never called"));
    let source: String = calls.map(|(emitter, _)| format!("fn f() {{ {emitter}(1) }}\n")).collect();
    fs::write(folder.path().join("all.rs"), source).unwrap();
    let output = coverage(folder.path(), &["--deny-unused", "all.rs"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
}
