//! What is no batch lies in the spool under a name that ends in `.pb`. Alone in its process, as the peak of memory is the process's.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{fs, time::Duration};

use events_sdk::{Events, testing::Toggle};
use events_tests::{config, wait_until};
use tempfile::TempDir;

/// The most memory that this process ever had, in MiB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

#[test]
fn a_text_in_the_spool_costs_no_more_memory_than_a_piece() {
    let (toggle, spool) = (Toggle::start().unwrap(), TempDir::new().unwrap());
    let before = peak();
    fs::write(spool.path().join("notes.pb"), vec![b' '; 16 << 20]).unwrap();
    let events = Events::start(config(&toggle, spool.path())).unwrap();
    wait_until(&events, Duration::from_secs(120), |stats| stats.spool.files == 1);
    let stats = wait_until(&events, Duration::from_secs(240), |stats| stats.spool.files == 0);
    let after = peak();
    assert_eq!(stats.spool.files, 0, "{stats:#?}");
    events.shutdown(Duration::from_secs(5));
    assert!(after < before + 64, "{before} MiB before, {after} MiB at most");
}
