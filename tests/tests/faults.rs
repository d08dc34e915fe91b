//! The fault table: 50,000 events at 5,000 a second through everything that Toggle and the network can do to them.
//!
//! Each row ends with every event stored by Toggle exactly once, repeats recognisable by their batch id, and accounts
//! that balance.

use std::{thread, time::Duration};

use events_sdk::{Events, testing::Mode};
use events_tests::{Rig, assert_numbers, config, storm, wait_until};

/// Events of a row.
const EVENTS: usize = 50_000;
/// Events a second.
const RATE: usize = 5_000;
/// How long the rest may take to arrive when the fault is over.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the storm; two seconds into it the fault begins, and ends after `length`.
fn storm_with_fault(begin: impl FnOnce(&Rig) + Send, length: Duration, end: impl FnOnce(&Rig) + Send) -> Rig {
    let rig = Rig::start();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_secs(2));
            begin(&rig);
            thread::sleep(length);
            end(&rig);
        });
        storm(&rig.events, 0..EVENTS, RATE);
    });
    rig.assert_all_delivered(EVENTS, PATIENCE);
    rig
}

fn storm_with_mode(mode: Mode) -> Rig {
    storm_with_fault(
        |rig| rig.toggle.set_mode(mode),
        Duration::from_secs(5),
        |rig| rig.toggle.set_mode(Mode::Ok),
    )
}

#[test]
fn toggle_is_down_from_the_start() {
    let rig = Rig::start();
    rig.toggle.stop();
    storm(&rig.events, 0..EVENTS, RATE);
    assert!(!rig.spill_files().is_empty(), "memory alone does not hold 50,000 events");
    rig.toggle.restart().expect("the same port");
    rig.assert_all_delivered(EVENTS, PATIENCE);
    wait_until(&rig.events, PATIENCE, |stats| stats.spool.files == 0);
    assert_eq!(rig.spill_files(), Vec::<String>::new(), "delivered files are removed");
}

#[test]
fn toggle_is_killed_for_20_seconds() {
    storm_with_fault(
        |rig| rig.toggle.stop(),
        Duration::from_secs(20),
        |rig| rig.toggle.restart().expect("the same port"),
    );
}

#[test]
fn toggle_answers_unavailable_for_5_seconds() {
    storm_with_mode(Mode::Unavailable);
}

#[test]
fn toggle_answers_success_false_for_5_seconds() {
    storm_with_mode(Mode::SuccessFalse);
}

#[test]
fn toggle_stores_and_then_fails_and_repeats_carry_the_same_batch_id() {
    let rig = storm_with_mode(Mode::StoreThenFail);
    assert!(rig.toggle.duplicates() > 0, "batches that were stored are sent again");
    assert_eq!(rig.toggle.repeated_event_ids(), 0, "and all of them are recognisable");
}

#[test]
fn toggle_hangs() {
    storm_with_mode(Mode::Hang);
}

#[test]
fn toggle_drops_connections() {
    storm_with_mode(Mode::DropConnections);
}

#[test]
fn the_token_expires_for_5_seconds() {
    storm_with_mode(Mode::Unauthenticated);
}

#[test]
fn what_a_shutdown_left_on_disk_is_delivered_by_the_next_process() {
    let Rig { toggle, spool, events } = Rig::start();
    toggle.stop();
    storm(&events, 0..EVENTS, 2 * RATE);
    let report = events.shutdown(Duration::from_secs(10));
    assert!(report.complete, "{report:#?}");
    assert_eq!((report.on_disk, report.dropped), (EVENTS as u64, 0));
    drop(events);

    toggle.restart().expect("the same port");
    let events = Events::start(config(&toggle, spool.path())).expect("an event system");
    assert!(toggle.wait_for_events(EVENTS, PATIENCE), "{:#?}", events.stats());
    assert_numbers(&toggle, EVENTS);
    let stats = wait_until(&events, PATIENCE, |stats| stats.delivered == EVENTS as u64);
    assert_eq!((stats.adopted, stats.delivered), (EVENTS as u64, EVENTS as u64));
}
