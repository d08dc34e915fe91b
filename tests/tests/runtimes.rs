//! Emitting, flushing and shutting down from every kind of thread and runtime.

use std::time::{Duration, Instant};

use events_sdk::{Events, FlushOutcome};
use events_tests::{Rig, assert_numbers, config, storm, wait_until};
use tokio::runtime::Builder;

const EVENTS: usize = 1_000;
const DEADLINE: Duration = Duration::from_secs(5);
/// What a loaded machine may add before a call that must return by its deadline counts as hanging.
const SLACK: Duration = Duration::from_secs(5);
/// What an earlier process left waits for up to ten seconds, and then begins slowly.
const LEFT_OVER: Duration = Duration::from_secs(30);

/// Emits, flushes and shuts down, with Toggle there and with Toggle away.
fn exercise() {
    let rig = Rig::start();
    storm(&rig.events, 0..EVENTS, 100_000);
    assert_eq!(rig.events.flush(DEADLINE), FlushOutcome::Complete);
    rig.assert_all_delivered(EVENTS, DEADLINE);

    rig.toggle.stop();
    storm(&rig.events, 0..EVENTS, 100_000);
    let start = Instant::now();
    let report = rig.events.shutdown(DEADLINE);
    assert!(start.elapsed() < DEADLINE + SLACK, "the shutdown hung");
    assert!(report.complete, "{report:#?}");
    assert_eq!((report.delivered, report.on_disk), (EVENTS as u64, EVENTS as u64), "{report:#?}");
}

#[test]
fn a_plain_thread() {
    exercise();
}

#[test]
fn a_current_thread_runtime() {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let local = tokio::task::LocalSet::new();
    runtime.block_on(local.run_until(async {
        tokio::task::spawn_local(async { exercise() }).await.expect("no panic");
    }));
}

#[test]
fn a_one_worker_runtime() {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let handle = runtime.spawn(async { exercise() });
    runtime.block_on(handle).expect("no panic");
}

#[test]
fn inside_block_on() {
    let runtime = Builder::new_multi_thread().worker_threads(1).build().expect("a runtime");
    runtime.block_on(async { exercise() });
}

#[test]
fn dropping_the_last_handle_without_a_runtime_puts_what_is_left_on_disk() {
    let Rig { toggle, spool, events } = Rig::with(|config| config.batch_timeout = Duration::from_secs(60));
    toggle.stop();
    storm(&events, 0..EVENTS, 100_000);
    drop(events);
    toggle.restart().expect("the same port");
    let _events = Events::start(config(&toggle, spool.path())).expect("the spool is free again");
    assert!(toggle.wait_for_events(EVENTS, LEFT_OVER));
    assert_numbers(&toggle, EVENTS);
}

#[test]
fn a_shutdown_returns_by_its_deadline_while_toggle_hangs() {
    let rig = Rig::with(|config| config.toggle.timeout = Duration::from_secs(60));
    rig.toggle.set_mode(events_sdk::testing::Mode::Hang);
    storm(&rig.events, 0..EVENTS, 100_000);
    assert!(rig.toggle.wait_for_attempts(1, DEADLINE), "something is in flight");
    let start = Instant::now();
    let report = rig.events.shutdown(Duration::from_secs(3));
    assert!(start.elapsed() < Duration::from_secs(3) + SLACK, "the shutdown hung");
    assert!(report.complete, "{report:#?}");
    assert_eq!(
        (report.delivered, report.on_disk),
        (0, EVENTS as u64),
        "what is in flight is on disk as well"
    );
}

#[test]
fn a_shutdown_that_is_given_no_time_still_closes_its_books() {
    let rig = Rig::start();
    rig.toggle.stop();
    storm(&rig.events, 0..15_000, 1_000_000);
    rig.events.shutdown(Duration::from_millis(1));
    let stats = wait_until(&rig.events, DEADLINE, |stats| stats.in_memory == 0 && stats.in_flight == 0);
    assert_eq!((stats.on_disk, stats.dropped_total()), (15_000, 0), "{stats:#?}");
}
