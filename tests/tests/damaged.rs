//! Spill files that are damaged or cut short after a part of them was delivered: that costs what is damaged, and no other event.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use events_sdk::{
    Config, DropReason, Events, Level, Stats,
    testing::{Mode, Toggle},
};
use events_tests::{Rig, config, numbers, spill_files, storm, storm_of, wait_until};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);
const ALL: usize = 2_000;

fn patient(toggle: &Toggle, spool: &Path) -> Config {
    Config { batch_timeout: Duration::from_secs(600), batch_size: 3_000, ..config(toggle, spool) }
}

/// All events in one spill file, Toggle being away.
fn filled() -> (Toggle, TempDir) {
    let (toggle, spool) = (Toggle::start().unwrap(), TempDir::new().unwrap());
    toggle.stop();
    let events = Events::start(patient(&toggle, spool.path())).unwrap();
    storm(&events, 0..ALL, 1_000_000);
    assert_eq!(events.shutdown(PATIENCE).on_disk, ALL as u64);
    assert_eq!(spill_files(spool.path()).len(), 1);
    (toggle, spool)
}

/// Delivers two pieces of it at least, and not all.
fn begin(toggle: &Toggle, spool: &Path) {
    toggle.set_mode(Mode::Slow(Duration::from_millis(300)));
    toggle.restart().unwrap();
    let events = Events::start(patient(toggle, spool)).unwrap();
    let stats = wait_until(&events, PATIENCE, |stats| stats.delivered >= 250);
    assert!((250..ALL as u64).contains(&stats.delivered), "{stats:#?}");
    events.shutdown(Duration::from_millis(700));
    toggle.set_mode(Mode::Ok);
}

/// Changes a byte of an event in the first piece, and gives back what it was.
fn flip(spool: &Path) -> (PathBuf, Vec<u8>) {
    let path = spool.join(spill_files(spool).pop().unwrap());
    let mut bytes = fs::read(&path).unwrap();
    let before = bytes.clone();
    let (at, _) = bytes.windows(4).enumerate().filter(|(_, four)| four == b"tank").nth(10).unwrap();
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
    (path, before)
}

/// Delivers what is left, and gives the numbers that Toggle never got.
fn drain(toggle: &Toggle, spool: &Path) -> (Vec<usize>, Stats) {
    let events = Events::start(patient(toggle, spool)).unwrap();
    let stats = wait_until(&events, PATIENCE, |stats| {
        stats.lifetime.is_surveyed && stats.spool.files == 0 && stats.on_disk + stats.in_flight == 0
    });
    events.shutdown(PATIENCE);
    let there: HashSet<usize> = numbers(toggle).into_iter().collect();
    let missing = (0..ALL).filter(|number| !there.contains(number)).collect();
    (missing, stats)
}

fn told(stats: &Stats) -> (u64, u64, u64) {
    (stats.lifetime.delivered, stats.lifetime.quarantined, stats.lifetime.dropped_total())
}

fn quarantined(spool: &Path) -> usize {
    fs::read_dir(spool.join("quarantine")).map_or(0, Iterator::count)
}

#[test]
fn an_event_that_is_damaged_after_it_was_delivered_costs_no_other() {
    let (toggle, spool) = filled();
    begin(&toggle, spool.path());
    flip(spool.path());
    let (missing, stats) = drain(&toggle, spool.path());
    assert_eq!((missing, told(&stats)), (Vec::new(), (ALL as u64, 0, 0)), "{stats:#?}");
    assert_eq!((toggle.altered_repeats(), toggle.repeated_event_ids()), (0, 0));
    assert_eq!(quarantined(spool.path()), 0, "Toggle has it");
}

#[test]
fn an_event_that_is_damaged_while_toggle_may_have_its_piece_costs_no_other() {
    let (toggle, spool) = filled();
    toggle.set_mode(Mode::StoreThenFail);
    toggle.restart().unwrap();
    let events = Events::start(patient(&toggle, spool.path())).unwrap();
    assert!(toggle.wait_for_events(125, PATIENCE));
    wait_until(&events, PATIENCE, |stats| stats.uplink.attempts_failed > 0);
    toggle.stop();
    events.shutdown(Duration::from_millis(300));
    drop(events);
    flip(spool.path());
    toggle.set_mode(Mode::Ok);
    toggle.restart().unwrap();
    let (missing, stats) = drain(&toggle, spool.path());
    // Nobody knows that Toggle has it. The rest of its piece goes by the same id as before.
    assert_eq!((missing, told(&stats)), (Vec::new(), (ALL as u64 - 1, 1, 0)), "{stats:#?}");
    assert_eq!(toggle.repeated_event_ids(), 0);
}

#[test]
fn an_event_that_is_damaged_before_it_is_read_is_set_aside_over_a_restart_and_costs_no_other() {
    let (toggle, spool) = filled();
    flip(spool.path());
    begin(&toggle, spool.path());
    let (missing, stats) = drain(&toggle, spool.path());
    assert_eq!((missing.len(), told(&stats)), (1, (ALL as u64 - 1, 1, 0)), "{stats:#?}");
    assert_eq!(quarantined(spool.path()), 2, "its bytes, and what they are");
}

/// Exit code and output of `events spool repair`.
fn repair(spool: &Path, more: &[&str]) -> (Option<i32>, String) {
    let mut tool = Command::new(env!("CARGO_BIN_EXE_events-tool"));
    let out = tool.args(["spool", "repair"]).args(more).arg(spool).env_clear().output().unwrap();
    (out.status.code(), String::from_utf8([out.stdout, out.stderr].concat()).unwrap())
}

#[test]
fn repair_leaves_larger_files_alone_where_the_accounts_cannot_say_what_toggle_has() {
    let (toggle, spool) = filled();
    begin(&toggle, spool.path());
    flip(spool.path());
    fs::write(spool.path().join(".accounts"), "garbage").unwrap();
    let (_, said) = repair(spool.path(), &[]);
    assert!(said.contains("for all that is known"), "{said}");
    let (missing, stats) = drain(&toggle, spool.path());
    assert_eq!(missing, Vec::<usize>::new(), "{stats:#?}");
}

#[test]
fn repair_leaves_a_file_alone_of_which_toggle_has_pieces() {
    let (toggle, spool) = filled();
    begin(&toggle, spool.path());
    let (path, _) = flip(spool.path());
    let damaged = fs::read(&path).unwrap();
    let (code, said) = repair(spool.path(), &["--dry-run"]);
    assert!(code == Some(0) && said.contains("0 of 1 file would be repaired"), "{code:?}: {said}");
    let (code, said) = repair(spool.path(), &[]);
    assert!(code == Some(0) && said.contains("pieces of it were sent"), "{code:?}: {said}");
    assert!(said.contains("0 of 1 file repaired"), "{said}");
    assert_eq!(fs::read(&path).unwrap(), damaged);
    let (missing, stats) = drain(&toggle, spool.path());
    assert_eq!((missing, told(&stats)), (Vec::new(), (ALL as u64, 0, 0)), "{stats:#?}");
}

#[test]
fn of_a_file_that_is_cut_to_less_than_was_delivered_only_what_was_left_is_lost() {
    // A file of a graver event, of another spool, which interrupts the one that is cut.
    let grave = Rig::start();
    grave.toggle.stop();
    storm_of(&grave.events, 100_000..100_001, 1_000, |_| Level::Error);
    wait_until(&grave.events, PATIENCE, |stats| stats.on_disk == 1);
    grave.events.shutdown(PATIENCE);
    let name = grave.spill_files().pop().unwrap();

    let (toggle, spool) = filled();
    let path = spool.path().join(spill_files(spool.path()).pop().unwrap());
    toggle.set_mode(Mode::Slow(Duration::from_millis(400)));
    toggle.restart().unwrap();
    let events = Events::start(patient(&toggle, spool.path())).unwrap();
    let stats = wait_until(&events, PATIENCE, |stats| stats.delivered >= 375);
    assert!((375..ALL as u64).contains(&stats.delivered), "{stats:#?}");
    fs::copy(grave.spool.path().join(&name), spool.path().join(".grave")).unwrap();
    fs::rename(spool.path().join(".grave"), spool.path().join(&name)).unwrap();
    let adopted = ALL as u64 + 1;
    let stats = wait_until(&events, PATIENCE, |stats| stats.adopted == adopted);
    assert_eq!(stats.adopted, adopted, "{stats:#?}");
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(20_000).unwrap();
    let is_over = |stats: &Stats| stats.spool.files == 0 && stats.on_disk + stats.in_flight == 0;
    let stats = wait_until(&events, PATIENCE, is_over);
    assert!(is_over(&stats) && stats.balances() && stats.lifetime.balances(), "{stats:#?}");
    // Toggle is told of it in one event more. At most the event that was being read was cut in two.
    let told = stats.accepted;
    let lost = stats.dropped_for(DropReason::Vanished);
    assert_eq!(stats.delivered + lost + stats.quarantined, adopted + told, "{stats:#?}");
    assert!(stats.quarantined <= 1 && lost > 0 && told <= 1, "{stats:#?}");
    assert_eq!((stats.delivered, stats.restarts), (toggle.unique_events() as u64, 0), "{stats:#?}");
}
