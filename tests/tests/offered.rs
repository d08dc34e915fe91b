//! Room is made while Toggle may know some of what lies on disk, though it never said so: what comes again is known by its
//! `batch_id` all the same.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{path::Path, time::Duration};

use events_sdk::{
    Config, Events, Level, Stats,
    testing::{Mode, Toggle},
};
use events_tests::{config, spill_files, storm_of, wait_until};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);
const QUOTA: usize = 1 << 20;
const FLOOD: usize = 100_000;

fn small(toggle: &Toggle, spool: &Path) -> Config {
    Config {
        buffer_size: 1_000,
        flush_threshold: 500,
        batch_size: 100,
        buffer_bytes: 400 << 10,
        spool_max_bytes: QUOTA,
        spool_min_free_bytes: 0,
        batch_timeout: Duration::from_millis(50),
        ..config(toggle, spool)
    }
}

/// Every other one is a warning: what is thinned keeps some.
fn mixed(number: usize) -> Level {
    if number.is_multiple_of(2) { Level::Info } else { Level::Warn }
}

/// Emits with Toggle away until more than so many events on disk had to go for those that came.
fn flood(events: &Events, level: Level, gone: u64) {
    for round in 0..1_000 {
        let from = FLOOD + round * 100;
        storm_of(events, from..from + 100, 20_000, |_| level);
        // As fast as the disk takes them.
        let stats = wait_until(events, Duration::from_secs(2), |stats| stats.in_memory < 600);
        if stats.spool.thinned > gone {
            return;
        }
    }
    assert_eq!(events.stats().spool.thinned, u64::MAX, "nothing had to go");
}

/// Lets Toggle come back, and checks that it got everything that was not dropped, and nothing under another batch than before.
fn assert_no_stranger(toggle: &Toggle, events: &Events) {
    toggle.set_mode(Mode::Ok);
    toggle.restart().unwrap();
    let is_settled = |stats: &Stats| {
        stats.delivered + stats.dropped_total() == stats.accepted + stats.adopted && stats.spool.files == 0
    };
    let stats = wait_until(events, PATIENCE, is_settled);
    assert!(is_settled(&stats), "{stats:#?}");
    assert_eq!((toggle.repeated_event_ids(), toggle.altered_repeats()), (0, 0), "{stats:#?}");
    assert_eq!(stats.quarantined, 0, "{stats:#?}");
}

#[test]
fn a_batch_from_memory_whose_answer_was_lost_is_known_again_after_room_was_made() {
    for level in [Level::Info, Level::Error] {
        let (toggle, spool) = (Toggle::start().unwrap(), TempDir::new().unwrap());
        toggle.set_mode(Mode::StoreThenFail);
        let events = Events::start(small(&toggle, spool.path())).unwrap();
        storm_of(&events, 0..100, 100_000, mixed);
        assert!(toggle.wait_for_events(100, PATIENCE), "{:#?}", events.stats());
        let stats = wait_until(&events, PATIENCE, |stats| stats.on_disk == 100);
        assert_eq!(stats.on_disk, 100, "{stats:#?}");
        toggle.stop();
        flood(&events, level, 300);
        assert_no_stranger(&toggle, &events);
        events.shutdown(PATIENCE);
    }
}

#[test]
fn a_piece_that_an_earlier_process_sent_is_known_again_after_room_was_made() {
    for level in [Level::Info, Level::Error] {
        let (toggle, spool) = (Toggle::start().unwrap(), TempDir::new().unwrap());
        toggle.stop();
        let patient = Config {
            batch_timeout: Duration::from_secs(600),
            batch_size: 500,
            ..small(&toggle, spool.path())
        };
        let events = Events::start(patient.clone()).unwrap();
        storm_of(&events, 0..400, 100_000, mixed);
        let report = events.shutdown(PATIENCE);
        assert_eq!((report.on_disk, spill_files(spool.path()).len()), (400, 1), "{report:#?}");

        toggle.set_mode(Mode::StoreThenFail);
        toggle.restart().unwrap();
        let events = Events::start(patient).unwrap();
        assert!(toggle.wait_for_events(1, PATIENCE), "{:#?}", events.stats());
        let stats = wait_until(&events, PATIENCE, |stats| stats.uplink.attempts_failed > 0);
        assert!(stats.uplink.attempts_failed > 0 && stats.delivered == 0, "{stats:#?}");
        toggle.stop();
        events.shutdown(Duration::from_millis(200));
        let stored = toggle.unique_events();
        assert!((125..400).contains(&stored), "{stored}: a piece, and not all of them");

        let events = Events::start(small(&toggle, spool.path())).unwrap();
        wait_until(&events, PATIENCE, |stats| stats.adopted == 400);
        flood(&events, level, 300);
        // Only where graver events come the whole file goes for them, and of that Toggle has what it has.
        let left = if level == Level::Error { stored } else { 400 };
        assert_no_stranger(&toggle, &events);
        let known = events_tests::numbers(&toggle).into_iter().filter(|number| *number < FLOOD);
        assert_eq!(known.collect::<Vec<_>>(), (0..left).collect::<Vec<_>>());
        events.shutdown(PATIENCE);
    }
}

#[test]
fn what_was_never_offered_is_thinned_after_a_restart_as_before() {
    let (toggle, spool) = (Toggle::start().unwrap(), TempDir::new().unwrap());
    toggle.stop();
    let events = Events::start(small(&toggle, spool.path())).unwrap();
    storm_of(&events, 0..1_000, 100_000, mixed);
    let stats = wait_until(&events, PATIENCE, |stats| stats.on_disk == 1_000);
    assert_eq!(stats.on_disk, 1_000, "{stats:#?}");
    events.shutdown(PATIENCE);
    let events = Events::start(small(&toggle, spool.path())).unwrap();
    let stats = wait_until(&events, PATIENCE, |stats| stats.adopted == 1_000);
    assert_eq!(stats.adopted, 1_000, "{stats:#?}");
    flood(&events, Level::Warn, 150);
    toggle.restart().unwrap();
    let stats = wait_until(&events, PATIENCE, |stats| stats.on_disk + stats.in_memory + stats.in_flight == 0);
    assert_eq!(stats.delivered + stats.dropped_total(), stats.accepted + stats.adopted, "{stats:#?}");
    let numbers = events_tests::numbers(&toggle);
    let (info, warn): (Vec<usize>, Vec<usize>) = numbers
        .into_iter()
        .filter(|number| *number < 1_000)
        .partition(|number| mixed(*number) == Level::Info);
    assert!(info.len() < 400, "the lighter ones went: {} are left", info.len());
    assert!(
        info.is_empty() || warn.len() == 500,
        "{} of 500 where {} lighter ones are left",
        warn.len(),
        info.len()
    );
    assert_eq!((toggle.repeated_event_ids(), toggle.altered_repeats()), (0, 0));
    events.shutdown(PATIENCE);
}

#[test]
fn a_file_of_which_every_answer_came_is_thinned_like_any_other() {
    let (toggle, spool) = (Toggle::start().unwrap(), TempDir::new().unwrap());
    toggle.stop();
    let patient =
        Config { batch_timeout: Duration::from_secs(600), batch_size: 500, ..small(&toggle, spool.path()) };
    let events = Events::start(patient.clone()).unwrap();
    storm_of(&events, 0..400, 100_000, mixed);
    assert_eq!(events.shutdown(PATIENCE).on_disk, 400);
    drop(events);
    // A piece is taken, and the next is turned away unseen.
    toggle.limit(Some(1.0), None);
    toggle.restart().unwrap();
    let events = Events::start(patient).unwrap();
    wait_until(&events, PATIENCE, |stats| stats.delivered >= 125);
    toggle.set_mode(Mode::ResourceExhausted);
    let stats = wait_until(&events, PATIENCE, |stats| stats.in_flight == 0);
    assert!((125..400).contains(&stats.delivered), "{stats:#?}");
    assert_eq!(stats.delivered as usize, toggle.unique_events(), "every answer came");
    events.shutdown(Duration::from_millis(200));
    drop(events);
    toggle.stop();

    let events = Events::start(small(&toggle, spool.path())).unwrap();
    wait_until(&events, PATIENCE, |stats| stats.adopted > 0);
    flood(&events, Level::Warn, 50);
    let info = events.stats().dropped.iter().any(|drop| drop.level == Some(Level::Info));
    assert!(info, "lighter ones lay on disk: {:#?}", events.stats());
    toggle.limit(None, None);
    assert_no_stranger(&toggle, &events);
    events.shutdown(PATIENCE);
}

/// Toggle has the batch, and then refuses everything for a while: halved, it would be stored a second time.
fn comes_again_as_it_was(then: Mode) {
    let toggle = Toggle::start().unwrap();
    let spool = TempDir::new().unwrap();
    toggle.set_mode(Mode::StoreThenFail);
    let config = Config { retry_max: Duration::from_millis(200), ..small(&toggle, spool.path()) };
    let events = Events::start(config).unwrap();
    storm_of(&events, 0..100, 100_000, mixed);
    assert!(toggle.wait_for_events(100, PATIENCE));
    let failed =
        wait_until(&events, PATIENCE, |stats| stats.uplink.attempts_failed > 0).uplink.attempts_failed;
    toggle.set_mode(then);
    // More often than another batch would be refused before it is halved.
    wait_until(&events, PATIENCE, |stats| stats.uplink.attempts_failed > failed + 10);
    assert_no_stranger(&toggle, &events);
    events.shutdown(PATIENCE);
}

#[test]
fn what_was_stored_comes_again_under_its_id_though_everything_is_refused_for_a_while() {
    comes_again_as_it_was(Mode::InvalidArgument);
}

#[test]
fn what_was_stored_comes_again_under_its_id_though_everything_is_declined_for_a_while() {
    comes_again_as_it_was(Mode::SuccessFalse);
}
