//! What Toggle acknowledged stays delivered, though a piece before it in its file was refused and a process ended since: whatever
//! becomes of the rest of the file, it is not sent again and not counted as lost.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use events_sdk::{Config, DropReason, Events, Level, Stats, testing::Toggle};
use events_tests::{NUMBER, config, killed, numbers, spill_files, storm_of, wait_until};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

/// Events of the file, and those behind its first piece, which is refused.
const ALL: u64 = 490;
const BEHIND: u64 = 365;

fn small(toggle: &Toggle, spool: &Path) -> Config {
    Config {
        buffer_size: 1_000,
        flush_threshold: 500,
        batch_size: 500,
        buffer_bytes: 400 << 10,
        spool_max_bytes: 1 << 20,
        spool_min_free_bytes: 0,
        batch_timeout: Duration::from_millis(50),
        // What is refused is not halved before the process ends.
        retry_initial: Duration::from_secs(5),
        retry_max: Duration::from_secs(10),
        ..config(toggle, spool)
    }
}

/// Every other one is a warning.
fn mixed(number: usize) -> Level {
    if number.is_multiple_of(2) { Level::Info } else { Level::Warn }
}

/// A spool as a process leaves it, killed or not, that delivered all of a file but its first piece.
fn left_by_another(toggle: &Toggle, is_killed: bool) -> TempDir {
    let spool = TempDir::new().unwrap();
    toggle.stop();
    let patient = Config { batch_timeout: Duration::from_secs(600), ..small(toggle, spool.path()) };
    let events = Events::start(patient.clone()).unwrap();
    storm_of(&events, 0..ALL as usize, 100_000, mixed);
    assert_eq!(events.shutdown(PATIENCE).on_disk, ALL);
    drop(events);
    refuse_one(toggle);
    toggle.restart().unwrap();
    let events = Events::start(patient).unwrap();
    let stats = wait_until(&events, PATIENCE, |stats| stats.delivered == BEHIND && stats.in_flight == 0);
    assert_eq!(stats.delivered, BEHIND, "{stats:#?}");
    let dead = killed(spool.path());
    toggle.stop();
    events.shutdown(Duration::from_millis(100));
    drop(events);
    toggle.refuse_nothing();
    if is_killed { dead } else { spool }
}

/// Of the first piece.
fn refuse_one(toggle: &Toggle) {
    toggle.refuse_when(|event| event.metadata.get(NUMBER).is_some_and(|text| text == "3"));
}

fn start(toggle: &Toggle, spool: &Path) -> Events {
    let events = Events::start(small(toggle, spool)).unwrap();
    let stats = wait_until(&events, PATIENCE, |stats| stats.lifetime.is_surveyed);
    assert!(stats.lifetime.is_surveyed, "{stats:#?}");
    events
}

/// What was dropped of these events, by all processes.
fn lost(stats: &Stats) -> u64 {
    let of_ours = stats.lifetime.dropped.iter().filter(|drop| drop.level != Some(Level::Error));
    of_ours.map(|drop| drop.count).sum()
}

/// Exit code and output of `events spool …`.
fn tool(dir: &Path, args: &[&str]) -> (Option<i32>, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_events-tool"))
        .arg("spool")
        .args(args)
        .args(["--json", "--spool", dir.to_str().unwrap()])
        .env_clear()
        .output()
        .unwrap();
    let text = [out.stdout, out.stderr].concat();
    (out.status.code(), String::from_utf8(text).unwrap())
}

fn assert_accounts(dir: &Path, code: i32, numbers: &[(&str, u64)]) {
    let (told, out) = tool(dir, &["accounts"]);
    assert_eq!(told, Some(code), "{out}");
    for (name, number) in numbers {
        assert!(out.contains(&format!("\"{name}\":{number},")), "{name}: {number}: {out}");
    }
}

#[test]
fn what_was_delivered_behind_a_refused_piece_is_not_sent_again() {
    for is_killed in [true, false] {
        let toggle = Toggle::start().unwrap();
        let spool = left_by_another(&toggle, is_killed);
        assert_accounts(
            spool.path(),
            0,
            &[("accepted", ALL), ("delivered", BEHIND), ("on_disk", ALL - BEHIND)],
        );
        let events = start(&toggle, spool.path());
        assert_eq!(events.stats().lifetime.delivered, BEHIND);
        toggle.restart().unwrap();
        let stats = wait_until(&events, PATIENCE, |stats| stats.spool.files == 0);
        assert_eq!((stats.delivered, stats.lifetime.delivered), (ALL - BEHIND, ALL), "{stats:#?}");
        assert_eq!(stats.lifetime.accepted, ALL, "{stats:#?}");
        assert_eq!((toggle.unique_events() as u64, toggle.duplicates()), (ALL, 0));
        events.shutdown(PATIENCE);
        assert_accounts(
            spool.path(),
            0,
            &[("accepted", ALL), ("delivered", ALL), ("on_disk", 0), ("dropped", 0)],
        );
    }
}

#[test]
fn a_file_that_gives_way_after_a_restart_costs_only_what_toggle_does_not_have() {
    for is_killed in [true, false] {
        let toggle = Toggle::start().unwrap();
        let spool = left_by_another(&toggle, is_killed);
        let events = start(&toggle, spool.path());
        // Graver events need its place.
        for round in 0..1_000 {
            let from = 10_000 + round * 100;
            storm_of(&events, from..from + 100, 20_000, |_| Level::Error);
            let stats = wait_until(&events, Duration::from_secs(2), |stats| stats.in_memory < 600);
            if lost(&stats) > 0 {
                break;
            }
        }
        let stats = events.stats();
        assert_eq!((lost(&stats), stats.lifetime.delivered), (ALL - BEHIND, BEHIND), "{stats:#?}");
        events.shutdown(Duration::from_millis(300));
    }
}

#[test]
fn prune_deletes_only_what_toggle_does_not_have() {
    for is_killed in [true, false] {
        let toggle = Toggle::start().unwrap();
        let spool = left_by_another(&toggle, is_killed);
        let dropped = format!("\"dropped\":{}", ALL - BEHIND);
        for really in ["--dry-run", "--yes"] {
            let (code, out) = tool(spool.path(), &["prune", "--below", "error", really]);
            assert!(code == Some(0) && out.contains(&dropped), "{out}");
        }
        let numbers = [("accepted", ALL), ("delivered", BEHIND), ("on_disk", 0), ("dropped", ALL - BEHIND)];
        assert_accounts(spool.path(), 0, &numbers);
        assert!(spill_files(spool.path()).is_empty());
    }
}

#[test]
fn prune_writes_no_event_anew_that_toggle_has() {
    let toggle = Toggle::start().unwrap();
    let spool = left_by_another(&toggle, true);
    let (code, out) = tool(spool.path(), &["prune", "--below", "warn", "--yes"]);
    // Of the first piece.
    assert!(code == Some(0) && out.contains("\"dropped\":63,\"kept\":62,"), "{out}");
    let expected = [("accepted", ALL), ("delivered", BEHIND), ("on_disk", 62), ("dropped", 63)];
    assert_accounts(spool.path(), 0, &expected);
    let events = start(&toggle, spool.path());
    toggle.restart().unwrap();
    let stats = wait_until(&events, PATIENCE, |stats| stats.spool.files == 0);
    assert_eq!((stats.spool.files, stats.lifetime.dropped_total()), (0, 63), "{stats:#?}");
    assert_eq!(numbers(&toggle).len() as u64, ALL - 63);
    assert_eq!((toggle.repeated_event_ids(), toggle.duplicates()), (0, 0));
}

#[test]
fn a_file_that_vanishes_costs_only_what_toggle_does_not_have() {
    let toggle = Toggle::start().unwrap();
    let spool = left_by_another(&toggle, true);
    fs::remove_file(file_of(spool.path())).unwrap();
    let stats = delivered(&toggle, spool.path());
    assert_eq!(vanished(&stats), ALL - BEHIND, "{stats:#?}");
    assert_eq!(toggle.duplicates(), 0);
}

/// Where the file is cut so far behind its first piece, that has all its events; what is gone was delivered.
#[test]
fn a_file_that_loses_its_end_within_what_was_delivered_costs_nothing() {
    for is_killed in [true, false] {
        for spoil in [cut_to_300 as fn(&Path), zero_the_end] {
            let toggle = Toggle::start().unwrap();
            let spool = left_by_another(&toggle, is_killed);
            spoil(&file_of(spool.path()));
            assert_accounts(spool.path(), 0, &[("accepted", ALL), ("on_disk", ALL - BEHIND), ("missing", 0)]);
            let stats = delivered(&toggle, spool.path());
            let all = &stats.lifetime;
            assert_eq!((all.accepted, all.delivered), (ALL, ALL), "{stats:#?}");
            assert_eq!((numbers(&toggle).len() as u64, toggle.duplicates()), (ALL, 0));
        }
    }
}

fn cut_to_300(path: &Path) {
    cut(path, 300);
}

/// Two pages of zeros, in place of the seal, the checksums and some events.
fn zero_the_end(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let length = bytes.len();
    bytes[length - 8192..].fill(0);
    fs::write(path, bytes).unwrap();
}

/// What is gone of the piece that waits is lost, once, though the process ends before the rest of that piece is delivered.
#[test]
fn a_file_that_is_cut_within_the_refused_piece_loses_what_is_gone_of_that_and_loses_it_once() {
    let toggle = Toggle::start().unwrap();
    let spool = left_by_another(&toggle, true);
    let path = file_of(spool.path());
    cut(&path, 100);
    let left = whole_events(&path);
    let gone = ALL - BEHIND - left;
    // What is left of the event at the cut is set aside.
    assert_accounts(spool.path(), 1, &[("accepted", ALL), ("on_disk", left + 1), ("missing", gone - 1)]);
    refuse_one(&toggle);
    toggle.restart().unwrap();
    let events = start(&toggle, spool.path());
    // Set aside once all is read.
    let quarantine = spool.path().join("quarantine");
    let is_read = || fs::read_dir(&quarantine).is_ok_and(|folder| folder.count() == 2);
    wait_until(&events, PATIENCE, |_| is_read());
    assert!(is_read());
    let dead = killed(spool.path());
    toggle.stop();
    events.shutdown(Duration::from_millis(100));
    toggle.refuse_nothing();
    let stats = delivered(&toggle, dead.path());
    assert_eq!((vanished(&stats), stats.lifetime.quarantined), (gone - 1, 1), "{stats:#?}");
    assert_eq!((numbers(&toggle).len() as u64, toggle.duplicates()), (BEHIND + left, 0));
}

/// How many of the numbered events a file holds in full.
fn whole_events(path: &Path) -> u64 {
    let out = Command::new(env!("CARGO_BIN_EXE_events-tool"))
        .args(["spool", "cat", "--json"])
        .arg(path)
        .env_clear()
        .output()
        .unwrap();
    String::from_utf8(out.stdout).unwrap().lines().count() as u64
}

/// The spill file of a spool.
fn file_of(spool: &Path) -> PathBuf {
    spool.join(&spill_files(spool)[0])
}

/// Cuts a file of all events behind so many of them, half an event more or less.
fn cut(path: &Path, events: u64) {
    let length = fs::metadata(path).unwrap().len();
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(length * events / ALL).unwrap();
}

/// What the books say once all that is left in a spool is delivered.
fn delivered(toggle: &Toggle, spool: &Path) -> Stats {
    let events = start(toggle, spool);
    toggle.restart().unwrap();
    // What it tells of a loss is an event as well.
    let is_settled = |stats: &Stats| {
        let all = &stats.lifetime;
        stats.spool.files == 0 && all.accepted == all.delivered + all.quarantined + all.dropped_total()
    };
    let stats = wait_until(&events, PATIENCE, is_settled);
    assert!(is_settled(&stats), "{stats:#?}");
    events.shutdown(PATIENCE);
    stats
}

fn vanished(stats: &Stats) -> u64 {
    stats.lifetime.dropped_for(DropReason::Vanished)
}
