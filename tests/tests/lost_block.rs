//! Blocks that the disk loses in a file some of which was delivered, and bytes that change while it is being delivered: what Toggle has
//! stays delivered, and what is damaged beside it is set aside.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    fs,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use events_sdk::{
    Config, Events, Level, Stats,
    payload::{StoragePoolOperation, StoragePoolPayload},
    testing::{Mode, Toggle},
};
use events_tests::{NUMBER, config, spill_files, storm, wait_until};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

fn patient(toggle: &Toggle, spool: &Path) -> Config {
    Config {
        batch_timeout: Duration::from_secs(600),
        batch_size: 3_000,
        retry_initial: Duration::from_secs(20),
        retry_max: Duration::from_secs(20),
        ..config(toggle, spool)
    }
}

/// All events in one spill file, Toggle being away.
fn filled(all: usize) -> (Toggle, TempDir) {
    let (toggle, spool) = (Toggle::start().unwrap(), TempDir::new().unwrap());
    toggle.stop();
    let events = Events::start(patient(&toggle, spool.path())).unwrap();
    storm(&events, 0..all, 1_000_000);
    assert_eq!(events.shutdown(PATIENCE).on_disk, all as u64);
    assert_eq!(spill_files(spool.path()).len(), 1);
    (toggle, spool)
}

fn file_of(spool: &Path) -> PathBuf {
    spool.join(&spill_files(spool)[0])
}

/// Where the entries of a file begin and end, by its order of events.
fn entries(bytes: &[u8]) -> Vec<(usize, usize)> {
    let (mut at, mut all) = (27, Vec::new());
    while bytes[at] == 0x0A {
        let (mut len, mut shift, mut head) = (0_usize, 0, 1);
        loop {
            let byte = bytes[at + head];
            len |= usize::from(byte & 0x7f) << shift;
            (head, shift) = (head + 1, shift + 7);
            if byte & 0x80 == 0 {
                break;
            }
        }
        all.push((at, at + head + len));
        at += head + len;
    }
    all
}

/// Loses a block of the disk, which reaches over these events.
fn lose(path: &Path, events: std::ops::Range<usize>) {
    let mut bytes = fs::read(path).unwrap();
    let all = entries(&bytes);
    let (from, to) = (all[events.start].0 + 9, all[events.end - 1].1 - 1);
    assert!(to - from <= 4096);
    bytes[from..to].fill(0);
    fs::write(path, bytes).unwrap();
}

fn quarantine(spool: &Path) -> Vec<String> {
    fs::read_dir(spool.join("quarantine"))
        .map(|folder| folder.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect())
        .unwrap_or_default()
}

fn accounts(spool: &Path) -> (Option<i32>, String) {
    let mut tool = Command::new(env!("CARGO_BIN_EXE_events-tool"));
    let out = tool.args(["spool", "accounts", "--json", "--spool"]).arg(spool).env_clear().output().unwrap();
    (out.status.code(), String::from_utf8([out.stdout, out.stderr].concat()).unwrap())
}

fn refuse(toggle: &Toggle, numbers: &'static [usize]) {
    toggle.refuse_when(move |event| {
        let number = event.metadata.get(NUMBER).and_then(|text| text.parse::<usize>().ok());
        number.is_some_and(|number| numbers.contains(&number))
    });
}

fn drain(toggle: &Toggle, spool: &Path) -> Stats {
    let events = Events::start(patient(toggle, spool)).unwrap();
    let stats = wait_until(&events, PATIENCE, |stats| {
        stats.lifetime.is_surveyed && stats.spool.files == 0 && stats.on_disk + stats.in_flight == 0
    });
    events.shutdown(PATIENCE);
    stats
}

/// 255 events, of which 250 are delivered; then one block is lost in which the last of those lie and the other five.
#[test]
fn a_block_that_is_lost_over_what_was_delivered_and_the_rest_of_the_file_is_set_aside() {
    let (toggle, spool) = filled(255);
    refuse(&toggle, &[252]);
    toggle.restart().unwrap();
    let events = Events::start(patient(&toggle, spool.path())).unwrap();
    let stats = wait_until(&events, PATIENCE, |stats| stats.delivered == 250 && stats.in_flight == 0);
    assert_eq!(stats.delivered, 250);
    events.shutdown(Duration::from_millis(300));
    drop(events);
    toggle.refuse_nothing();
    lose(&file_of(spool.path()), 248..255);
    let stats = drain(&toggle, spool.path());
    let all = &stats.lifetime;
    assert_eq!((all.accepted, all.delivered, all.quarantined, all.dropped_total()), (255, 250, 5, 0));
    let (code, said) = accounts(spool.path());
    assert_eq!(quarantine(spool.path()).len(), 2, "the bytes, and what they are; {said}");
    assert_eq!(code, Some(0), "{said}");
}

/// The first piece is refused and waits, the second is delivered; then one block is lost over the cut.
#[test]
fn a_block_that_is_lost_over_a_refused_piece_and_one_behind_it_that_was_delivered_is_set_aside() {
    let (toggle, spool) = filled(400);
    refuse(&toggle, &[3]);
    toggle.restart().unwrap();
    let events = Events::start(patient(&toggle, spool.path())).unwrap();
    let stats = wait_until(&events, PATIENCE, |stats| stats.delivered == 275 && stats.in_flight == 0);
    assert_eq!(stats.delivered, 275);
    events.shutdown(Duration::from_millis(300));
    drop(events);
    toggle.refuse_nothing();
    lose(&file_of(spool.path()), 122..128);
    let stats = drain(&toggle, spool.path());
    let all = &stats.lifetime;
    assert_eq!((all.accepted, all.delivered, all.quarantined, all.dropped_total()), (400, 397, 3, 0));
    let (code, said) = accounts(spool.path());
    assert_eq!(quarantine(spool.path()).len(), 2, "the bytes, and what they are; {said}");
    assert_eq!(code, Some(0), "{said}");
}

/// A byte changes on disk while the file it is in is being delivered.
#[test]
fn what_is_damaged_while_its_file_is_being_delivered_does_not_reach_toggle() {
    let (toggle, spool) = filled(2_000);
    toggle.set_mode(Mode::Slow(Duration::from_millis(300)));
    toggle.restart().unwrap();
    let events = Events::start(patient(&toggle, spool.path())).unwrap();
    let stats = wait_until(&events, PATIENCE, |stats| stats.delivered >= 125);
    assert!((125..1_000).contains(&stats.delivered), "{stats:#?}");
    let path = file_of(spool.path());
    let mut bytes = fs::read(&path).unwrap();
    let (from, to) = entries(&bytes)[1_900];
    let at = from + bytes[from..to].windows(4).position(|four| four == b"tank").unwrap();
    bytes[at] ^= 1;
    fs::OpenOptions::new().write(true).open(&path).unwrap().write_all_at(&bytes[at..=at], at as u64).unwrap();
    toggle.set_mode(Mode::Ok);
    let stats =
        wait_until(&events, PATIENCE, |stats| stats.spool.files == 0 && stats.on_disk + stats.in_flight == 0);
    events.shutdown(PATIENCE);
    let altered = toggle.events().iter().filter(|event| !format!("{event:?}").contains("tank")).count();
    assert_eq!((altered, stats.quarantined), (0, 1));
}

/// The quarantine has no room for what is damaged in a file whose good events are still on their way.
#[test]
fn damaged_events_that_leave_a_full_quarantine_before_their_file_is_done_are_counted_as_dropped() {
    let (toggle, spool) = (Toggle::start().unwrap(), TempDir::new().unwrap());
    toggle.stop();
    let events = Events::start(patient(&toggle, spool.path())).unwrap();
    let big = "x".repeat(100_000);
    let payload =
        || StoragePoolPayload { pool_name: "tank", ..StoragePoolPayload::new(StoragePoolOperation::Created) };
    let _ = events.emit_storage_pool(Level::Info, payload(), [(NUMBER, "0"), ("big", big.as_str())]);
    storm(&events, 1..120, 1_000_000);
    assert_eq!(events.shutdown(PATIENCE).on_disk, 120);
    drop(events);
    let path = file_of(spool.path());
    let mut bytes = fs::read(&path).unwrap();
    bytes[50_000] ^= 1;
    fs::write(&path, bytes).unwrap();
    toggle.set_mode(Mode::Slow(Duration::from_millis(700)));
    toggle.restart().unwrap();
    let config = Config { quarantine_max_bytes: 64 << 10, ..patient(&toggle, spool.path()) };
    let events = Events::start(config).unwrap();
    let stats = wait_until(&events, PATIENCE, |stats| {
        stats.lifetime.is_surveyed && stats.spool.files == 0 && stats.on_disk + stats.in_flight == 0
    });
    events.shutdown(PATIENCE);
    let (code, said) = accounts(spool.path());
    assert_eq!(code, Some(0), "{said}");
    assert_eq!((stats.lifetime.quarantined, stats.lifetime.dropped_total()), (0, 1));
}
