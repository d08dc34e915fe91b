//! A burst of a million events from four threads.

use std::{
    thread,
    time::{Duration, Instant},
};

use events_tests::{Rig, emit_number, wait_until};

const THREADS: usize = 4;
const EVENTS: usize = 1_000_000;

#[test]
fn of_a_million_events_from_four_threads_every_drop_is_counted() {
    let rig = Rig::start();
    rig.toggle.only_count(true);
    let start = Instant::now();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let events = &rig.events;
            scope.spawn(move || {
                (thread..EVENTS).step_by(THREADS).for_each(|number| emit_number(events, number))
            });
        }
    });
    let burst = start.elapsed();
    let stats = wait_until(&rig.events, Duration::from_secs(120), |stats| {
        stats.delivered + stats.dropped_total() == stats.accepted
    });
    assert_eq!(stats.delivered + stats.dropped_total(), stats.accepted, "{stats:#?}");
    // On top come only the events that tell of what was dropped, of which there is at most one a minute.
    let told = stats.accepted - EVENTS as u64;
    assert!(told <= 3 && (told == 0 || stats.dropped_total() > 0), "{stats:#?}");
    assert_eq!(rig.toggle.unique_events() as u64, stats.delivered);
    println!(
        "burst of {burst:?}: {} delivered, {} dropped and counted",
        stats.delivered,
        stats.dropped_total()
    );
}
