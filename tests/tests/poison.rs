//! Events that Toggle refuses: they are found, set aside with the reason, and stop nobody else.

#![allow(clippy::expect_used, reason = "helpers of tests fail as tests do")]

use std::{collections::HashSet, fs, time::Duration};

use events_sdk::{
    FlushOutcome, Level,
    payload::{StoragePoolOperation, StoragePoolPayload},
};
use events_tests::{NUMBER, Rig, emit_number, storm, wait_until};

const EVENTS: usize = 5_000;
/// One in so many is refused.
const POISON: usize = 1_000;
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn poisonous_events_are_set_aside_alone_and_all_others_are_delivered() {
    let rig = Rig::start();
    rig.toggle.refuse_when(|event| {
        event
            .metadata
            .get(NUMBER)
            .and_then(|text| text.parse::<usize>().ok())
            .is_some_and(|number| number % POISON == 0)
    });
    storm(&rig.events, 0..EVENTS, 2_000);
    let bad = EVENTS / POISON;
    let stats = wait_until(&rig.events, PATIENCE, |stats| {
        stats.delivered as usize == EVENTS - bad && stats.quarantined as usize == bad
    });
    assert_eq!((stats.delivered as usize, stats.quarantined as usize), (EVENTS - bad, bad), "{stats:#?}");
    assert_eq!(stats.dropped_total(), 0);
    let numbers: HashSet<usize> =
        rig.toggle.events().iter().filter_map(|event| event.metadata.get(NUMBER)?.parse().ok()).collect();
    assert_eq!(numbers.len(), EVENTS - bad);
    let reasons = fs::read_dir(rig.spool.path().join("quarantine"))
        .expect("the quarantine")
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "txt"));
    let reasons: Vec<_> = reasons.map(|path| fs::read_to_string(path).expect("a reason")).collect();
    assert_eq!(reasons.len(), bad);
    assert!(reasons.iter().all(|reason| reason.contains("INVALID_ARGUMENT")), "{reasons:?}");
}

#[test]
fn when_toggle_refuses_everything_nothing_is_set_aside() {
    let rig = Rig::start();
    rig.toggle.refuse_when(|_| true);
    storm(&rig.events, 0..EVENTS, 5_000);
    std::thread::sleep(Duration::from_secs(2));
    rig.toggle.refuse_nothing();
    rig.assert_all_delivered(EVENTS, PATIENCE);
    assert_eq!(rig.events.stats().quarantined, 0);
}

/// Refuses every event whose number the function picks, emits so many, and waits until all others are delivered and those
/// are set aside.
fn isolates(count: usize, is_bad: fn(usize) -> bool) {
    let rig = Rig::with(|config| config.retry_max = Duration::from_millis(200));
    rig.toggle.refuse_when(move |event| {
        event.metadata.get(NUMBER).and_then(|text| text.parse::<usize>().ok()).is_some_and(is_bad)
    });
    storm(&rig.events, 0..count, 100_000);
    let bad = (0..count).filter(|&number| is_bad(number)).count();
    let stats = wait_until(&rig.events, PATIENCE, |stats| {
        stats.delivered as usize == count - bad && stats.quarantined as usize == bad
    });
    assert_eq!(stats.delivered as usize, count - bad, "{stats:#?}");
    assert_eq!(stats.dropped_total(), 0);
}

#[test]
fn the_good_events_of_a_lone_batch_are_delivered_although_nothing_else_is_sent() {
    let rig = Rig::with(|config| config.retry_max = Duration::from_millis(200));
    rig.toggle.refuse_when(|event| event.metadata.get(NUMBER).is_some_and(|number| number == "99"));
    storm(&rig.events, 0..100, 100_000);
    let stats = wait_until(&rig.events, PATIENCE, |stats| stats.delivered == 99 && stats.quarantined == 1);
    assert_eq!((stats.delivered, stats.quarantined), (99, 1), "{stats:#?}");
    assert_eq!(stats.dropped_total(), 0);
}

#[test]
fn bad_events_in_every_batch_hold_none_of_the_others_up() {
    isolates(2_000, |number| number % 50 == 7);
}

#[test]
fn a_poisonous_batch_stops_nobody_while_the_disk_takes_nothing() {
    let rig = Rig::with(|config| {
        config.spool_dir.push("events");
        fs::write(&config.spool_dir, "in the way").expect("a file");
        config.retry_max = Duration::from_millis(200);
    });
    rig.toggle.refuse_when(|event| event.metadata.get(NUMBER).is_some_and(|number| number == "42"));
    storm(&rig.events, 0..EVENTS, 5_000);
    let stats = wait_until(&rig.events, PATIENCE, |stats| stats.delivered as usize == EVENTS - 1);
    // The other one is tried again and again.
    assert_eq!((stats.delivered as usize, stats.in_memory + stats.in_flight), (EVENTS - 1, 1), "{stats:#?}");
    assert_eq!(stats.dropped_total(), 0);
}

#[test]
fn events_that_are_refused_and_stay_hold_up_nothing_that_is_taken() {
    const REFUSED: usize = 60;
    let rig = Rig::with(|config| {
        config.retry_max = Duration::from_millis(200);
        config.batch_timeout = Duration::from_secs(600);
    });
    rig.toggle.stop();
    for number in 0..REFUSED {
        emit_number(&rig.events, number);
        assert_eq!(rig.events.flush(PATIENCE), FlushOutcome::Complete);
    }
    storm(&rig.events, REFUSED..REFUSED + EVENTS, 1_000_000);
    assert_eq!(rig.events.flush(PATIENCE), FlushOutcome::Complete);
    // They stay in their files: the quarantine cannot be used.
    fs::write(rig.spool.path().join("quarantine"), "in the way").expect("a file");
    refuse_below(&rig, REFUSED);
    rig.toggle.restart().expect("the same port");
    let stats = wait_until(&rig.events, PATIENCE, |stats| stats.delivered as usize == EVENTS);
    assert_eq!((stats.delivered as usize, stats.on_disk as usize), (EVENTS, REFUSED), "{stats:#?}");
    assert_eq!(stats.dropped_total(), 0);
}

#[test]
fn a_live_event_shows_that_toggle_is_well_however_long_the_line_of_refused_ones_before_it_is() {
    const REFUSED: usize = 300;
    // Each of them as a probe, that takes minutes.
    let rig = Rig::with(|config| config.batch_timeout = Duration::from_secs(20));
    rig.toggle.stop();
    for number in 0..REFUSED {
        emit_number(&rig.events, number);
        assert_eq!(rig.events.flush(PATIENCE), FlushOutcome::Complete);
    }
    refuse_below(&rig, REFUSED);
    rig.toggle.restart().expect("the same port");
    let tried = wait_until(&rig.events, PATIENCE, |stats| stats.uplink.attempts_failed > 5);
    assert_eq!(tried.delivered, 0, "{tried:#?}");
    emit_number(&rig.events, REFUSED);
    let stats = wait_until(&rig.events, PATIENCE, |stats| stats.delivered == 1);
    assert_eq!((stats.delivered, stats.dropped_total()), (1, 0), "{stats:#?}");
}

/// Refused events that take up more memory than what is read may are not in the way of those behind them.
#[test]
fn a_long_line_of_large_refused_events_is_not_taken_for_a_toggle_in_trouble() {
    const REFUSED: usize = 24;
    let rig = Rig::with(|config| {
        config.retry_max = Duration::from_millis(200);
        config.batch_timeout = Duration::from_secs(600);
    });
    rig.toggle.stop();
    let text = "x".repeat(1 << 20);
    let payload = StoragePoolPayload { raid_type: &text, ..pool() };
    for number in 0..REFUSED {
        rig.events.emit_storage_pool(Level::Info, payload, [(NUMBER, number.to_string().as_str())]);
        assert_eq!(rig.events.flush(PATIENCE), FlushOutcome::Complete);
    }
    (REFUSED..REFUSED + 10).for_each(|number| emit_number(&rig.events, number));
    assert_eq!(rig.events.flush(PATIENCE), FlushOutcome::Complete);
    assert_eq!(rig.events.stats().on_disk as usize, REFUSED + 10);
    refuse_below(&rig, REFUSED);
    rig.toggle.restart().expect("the same port");
    let stats = wait_until(&rig.events, 2 * PATIENCE, |stats| stats.delivered == 10);
    assert_eq!(stats.delivered, 10, "{stats:#?}");
    // One event that is taken after they were refused shows that it is them.
    let number = std::cell::Cell::new(REFUSED + 10);
    let stats = wait_until(&rig.events, 2 * PATIENCE, |stats| {
        emit_number(&rig.events, number.replace(number.get() + 1));
        stats.quarantined == REFUSED as u64
    });
    assert_eq!(stats.quarantined as usize, REFUSED, "{stats:#?}");
}

fn pool() -> StoragePoolPayload<'static> {
    StoragePoolPayload::new(StoragePoolOperation::Created)
}

/// Has Toggle refuse the events of lower numbers.
fn refuse_below(rig: &Rig, refused: usize) {
    rig.toggle.refuse_when(move |event| {
        let number = event.metadata.get(NUMBER).and_then(|text| text.parse::<usize>().ok());
        number.is_some_and(|number| number < refused)
    });
}

#[test]
fn large_events_go_to_disk_before_memory_is_full() {
    let rig = Rig::start();
    rig.toggle.stop();
    let text = "x".repeat(4096);
    for number in 0..12_000 {
        rig.events.emit_storage_pool(Level::Info, pool(), [("text", text.as_str())]);
        if number % 250 == 0 {
            // Memory holds 7,900 of them; nine tenths of that go to disk, long before there are 18,000.
            wait_until(&rig.events, PATIENCE, |stats| stats.in_memory < 7_500);
        }
    }
    let stats = rig.events.stats();
    assert_eq!((stats.accepted, stats.dropped_total()), (12_000, 0), "{stats:#?}");
    rig.toggle.restart().expect("the same port");
    let stats = wait_until(&rig.events, PATIENCE, |stats| stats.delivered == 12_000);
    assert_eq!(stats.delivered, 12_000, "{stats:#?}");
}
