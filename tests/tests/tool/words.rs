//! What the command says when it does not do what was asked: what is wrong, and what to do.

use std::{
    fs,
    os::unix::{fs::MetadataExt, process::CommandExt},
};

use events_tests::spill_files;
use tempfile::TempDir;

use super::{command, dead_spool, events, mixture, said, spool};

#[test]
fn export_writes_over_no_file_and_to_standard_output_where_that_is_asked_for() {
    let dir = dead_spool(mixture);
    let out = TempDir::new().unwrap();
    for name in ["out.json", "out.pb"] {
        let path = out.path().join(name);
        fs::write(&path, "mine").unwrap();
        let said = spool(dir.path(), &["export", "--show-pii", "-o", path.to_str().unwrap()]);
        assert!(said.code == 2 && said.err.contains("is there already, and is not written over"), "{said:?}");
        assert_eq!(fs::read(&path).unwrap(), b"mine");
    }
    let mut export = command(&["spool", "export", "-o", "-", "--spool", dir.path().to_str().unwrap()]);
    let said = said(export.current_dir(out.path()));
    assert_eq!((said.code, said.json().len(), said.err.as_str()), (0, 115, ""), "{said:?}");
    assert!(!out.path().join("-").exists());
    let batch = spool(dir.path(), &["export", "--show-pii", "--format", "pb", "-o", "-"]);
    assert!(batch.code == 2 && batch.err.contains("needs a file"), "{batch:?}");
}

#[test]
fn a_range_in_which_no_time_is_is_a_mistake() {
    let dir = dead_spool(mixture);
    for command in ["ls", "cat", "stats", "export"] {
        let said = spool(dir.path(), &[command, "--since", "1h", "--until", "2h"]);
        assert!(said.code == 2 && said.err.contains("--since takes the earlier of the two"), "{said:?}");
        assert_eq!(spool(dir.path(), &[command, "--since", "2h", "--until", "1h"]).code, 0);
    }
}

#[test]
fn the_timeout_of_emit_may_be_a_number_of_seconds() {
    let config = TempDir::new().unwrap();
    fs::write(config.path().join("rodent.yml"), "").unwrap();
    let path = config.path().to_str().unwrap();
    for (timeout, code) in [("0", 0), ("5", 0), ("500ms", 0), ("5 minutes", 2)] {
        let args = [
            "emit",
            "storage.pool",
            "--level",
            "warn",
            "operation=CREATED",
            "--timeout",
            timeout,
            "--config",
            path,
        ];
        assert_eq!(events(&args).code, code, "{timeout}");
    }
    assert_eq!(spill_files(&config.path().join("events")).len(), 3);
}

#[test]
fn emit_into_a_place_where_no_spool_can_be_says_so_and_not_that_the_disk_is_full() {
    let config = TempDir::new().unwrap();
    fs::write(config.path().join("rodent.yml"), "events:\n  spool_dir: /proc/no/spool\n").unwrap();
    let path = config.path().to_str().unwrap();
    let said = events(&["emit", "storage.pool", "--level", "warn", "operation=CREATED", "--config", path]);
    assert!(
        said.code == 3 && said.err.contains("cannot make the spool directory /proc/no/spool"),
        "{said:?}"
    );
    assert!(!said.err.contains("free"), "{said:?}");
}

#[test]
fn whoever_may_not_look_is_told_who_may() {
    let dir = dead_spool(mixture);
    let mut ls = command(&["spool", "ls", dir.path().to_str().unwrap()]);
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        // Nobody but root becomes somebody else.
        return;
    }
    let Ok(output) = ls.uid(65_534).gid(65_534).output() else {
        // Nobody may start the command where it lies.
        return;
    };
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(
        text.contains("or run this as the user whose spool it is") && !text.contains("writable"),
        "{text}"
    );
}
