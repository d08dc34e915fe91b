//! The command `events` on the spool of the model, and what its books say.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use events_sdk::testing::{self, InFiles};
use events_tests::NUMBER;
use serde_json::Value;

/// Runs the command: its exit code, and what it said.
pub(crate) fn run(args: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_events-tool"));
    let output = command.args(args).env_clear().stdin(Stdio::null()).output().expect("the command");
    assert!(output.status.code().is_some_and(|code| code < 2), "{args:?}: {output:?}");
    (output.status.code().unwrap_or(-1), String::from_utf8(output.stdout).expect("UTF-8"))
}

/// Runs `events spool …`.
pub(crate) fn spool(dir: &Path, args: &[&str]) -> (i32, String) {
    run(&[&["spool"], args, &["--spool", dir.to_str().expect("a path in UTF-8")]].concat())
}

/// What `events spool accounts` says, and what the books note of files.
#[derive(Debug, Clone)]
pub(crate) struct Books {
    pub(crate) code: i32,
    pub(crate) accepted: u64,
    pub(crate) delivered: u64,
    pub(crate) on_disk: u64,
    pub(crate) quarantined: u64,
    /// In memory, or lost with it.
    pub(crate) in_memory: u64,
    pub(crate) missing: u64,
    pub(crate) dropped: u64,
    pub(crate) vanished: u64,
    pub(crate) process_ended: u64,
    /// Only shown.
    _verdict: String,
    pub(crate) files: InFiles,
}

impl Books {
    pub(crate) fn of(dir: &Path) -> Self {
        let (code, out) = spool(dir, &["accounts", "--json"]);
        let said: Value = serde_json::from_str(&out).expect("JSON");
        let number = |name: &str| said[name].as_u64().unwrap_or_else(|| panic!("{name}: {said}"));
        assert!(number("unreadable") == 0 && said["moving"] == false, "{said}");
        let drops = said["drops"].as_array().expect("drops");
        let dropped_for = |reason: &str| {
            let drops = drops.iter().filter(|drop| drop["reason"] == reason);
            drops.map(|drop| drop["count"].as_u64().expect("a count")).sum()
        };
        Self {
            code,
            accepted: number("accepted"),
            delivered: number("delivered"),
            on_disk: number("on_disk"),
            quarantined: number("quarantined"),
            in_memory: number("in_memory_or_lost"),
            missing: number("missing"),
            dropped: number("dropped"),
            vanished: dropped_for("vanished"),
            process_ended: dropped_for("process_ended"),
            _verdict: said["verdict"].as_str().expect("a text").to_owned(),
            files: testing::in_files(dir).expect("the books"),
        }
    }
}

/// The numbers of the events that the command shows; `None` for those that have none.
fn numbers_in(out: &str) -> Vec<Option<usize>> {
    let number = |line: &str| {
        let event: Value = serde_json::from_str(line).expect("JSON");
        event["metadata"][NUMBER].as_str().and_then(|text| text.parse().ok())
    };
    out.lines().map(number).collect()
}

/// The numbers of the events in a file.
pub(crate) fn numbers_of(file: &Path) -> Vec<Option<usize>> {
    numbers_in(&run(&["spool", "cat", "--json", file.to_str().expect("a path in UTF-8")]).1)
}

/// The numbers in the quarantine.
pub(crate) fn quarantine(dir: &Path) -> HashSet<usize> {
    if !dir.join("quarantine").is_dir() {
        return HashSet::new();
    }
    numbers_in(&spool(dir, &["cat", "--json", "--quarantine"]).1).into_iter().flatten().collect()
}

/// Has `events emit` put an event into a spool.
pub(crate) fn emit(configuration: &Path, number: usize) {
    let number = format!("meta.{NUMBER}={number}");
    let configuration = configuration.to_str().expect("a path in UTF-8");
    let kind = ["emit", "storage.pool", "--level", "warn", "pool_name=tank", "operation=CREATED"];
    run(&[&kind[..], &[&number, "--timeout", "0", "--config", configuration]].concat());
}

/// The spill files of a directory.
pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    events_tests::spill_files(dir).into_iter().map(|name| dir.join(name)).collect()
}
