//! Nodes that come back together against a Toggle that takes only so much: everything arrives, and nobody is run over.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use events_sdk::{
    Events, Stats, UplinkState,
    testing::{Mode, Toggle},
};
use events_tests::{config, emit_number, wait_until};
use tempfile::TempDir;

const NODES: usize = 8;
const EVENTS: usize = 3_000;
/// As long as it may take with pauses that only chance ends: Toggle is healed for a node three quarters of a minute after it was busy.
const LIMIT: Duration = Duration::from_secs(180);

fn node(toggle: &Toggle, spool: &TempDir) -> Events {
    let mut config = config(toggle, spool.path());
    config.batch_size = 50;
    Events::start(config).unwrap()
}

#[test]
fn nodes_that_come_back_together_are_drained_by_a_toggle_that_takes_only_so_much() {
    let toggle = Toggle::start().unwrap();
    toggle.stop();
    let spools: Vec<TempDir> = (0..NODES).map(|_| TempDir::new().unwrap()).collect();
    let nodes: Vec<Events> = spools.iter().map(|spool| node(&toggle, spool)).collect();
    for (number, events) in nodes.iter().enumerate() {
        for event in 0..EVENTS {
            emit_number(events, number * EVENTS + event);
        }
        let stats = wait_until(events, LIMIT, |stats| stats.on_disk == EVENTS as u64);
        assert_eq!(stats.on_disk, EVENTS as u64, "{stats:#?}");
    }
    toggle.limit(Some(40.0), Some(Duration::from_millis(100)));
    toggle.restart().unwrap();
    assert!(toggle.wait_for_events(NODES * EVENTS, LIMIT), "{} arrived", toggle.unique_events());
    events_tests::assert_numbers(&toggle, NODES * EVENTS);
    for events in &nodes {
        let stats = wait_until(events, LIMIT, |stats| stats.delivered == EVENTS as u64);
        assert_eq!((stats.delivered, stats.dropped_total()), (EVENTS as u64, 0), "{stats:#?}");
    }
}

#[test]
fn a_busy_answer_does_not_make_live_events_wait_for_long_or_go_to_disk() {
    let toggle = Toggle::start().unwrap();
    let spool = TempDir::new().unwrap();
    let mut config = config(&toggle, spool.path());
    // After an outage live events would wait for this; after a busy answer they wait a second or two.
    (config.retry_initial, config.retry_max) = (Duration::from_secs(60), Duration::from_secs(3_600));
    let events = Events::start(config).unwrap();
    emit_number(&events, 0);
    let is_delivered =
        |stats: &Stats, count| stats.delivered == count && stats.uplink.state == UplinkState::Up;
    let stats = wait_until(&events, LIMIT, |stats| is_delivered(stats, 1));
    assert!(is_delivered(&stats, 1), "{stats:#?}");

    toggle.set_mode(Mode::ResourceExhausted);
    emit_number(&events, 1);
    let stats = wait_until(&events, LIMIT, |stats| stats.uplink.attempts_failed > 0);
    assert!(stats.uplink.attempts_failed > 0, "it was never busy: {stats:#?}");
    toggle.set_mode(Mode::Ok);
    (2..100).for_each(|number| emit_number(&events, number));
    // Where it counted as an outage, or events went to disk, this would show at one of the looks.
    let stats = wait_until(&events, LIMIT, |stats| {
        assert_eq!(
            (stats.uplink.state, stats.on_disk, stats.spool.files),
            (UplinkState::Up, 0, 0),
            "{stats:#?}"
        );
        stats.delivered == 100
    });
    assert_eq!((stats.delivered, stats.dropped_total()), (100, 0), "{stats:#?}");
    events_tests::assert_numbers(&toggle, 100);
}
