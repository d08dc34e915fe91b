//! Events whose schema says that they are dropped rather than put on disk: they go to no disk, and no others go for them there.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::time::Duration;

use events_sdk::{
    Config, DropReason, Durability, DurabilityMode, Events, Filter, Kind, Level, Stats, kinds,
    payload::{StoragePoolOperation, StoragePoolPayload},
    testing::{Mode, Toggle},
};
use events_tests::{NUMBER, Rig, config, emit_number, numbers, spill_files, storm_of, wait_until};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

/// A kind as the schema would declare it.
fn best_effort() -> &'static Kind {
    // Kinds live as long as the program.
    Box::leak(Box::new(Kind { durability: Durability::BestEffort, ..kinds::storage_pool::KIND }))
}

fn emit_best_effort(events: &Events, kind: &'static Kind, level: Level, number: usize) {
    let text = number.to_string();
    let payload = StoragePoolPayload::new(StoragePoolOperation::Created);
    let _ = events.__emit(kind, level, &payload, [(NUMBER, text.as_str())]);
}

/// Toggle is away, and the quota of a small spool is used up by events of DEBUG.
fn full(durability: DurabilityMode) -> (Rig, Stats) {
    let rig = Rig::with(|config: &mut Config| {
        config.durability = durability;
        config.buffer_size = 2_000;
        config.flush_threshold = 500;
        config.batch_size = 100;
        config.buffer_bytes = 400 << 10;
        config.spool_max_bytes = 1 << 20;
        config.spool_min_free_bytes = 0;
        config.batch_timeout = Duration::from_millis(50);
        config.filter = Filter::from_min_level(Level::Trace);
    });
    rig.toggle.stop();
    for round in 0..100 {
        storm_of(&rig.events, round * 100..round * 100 + 100, 20_000, |_| Level::Debug);
        let stats = wait_until(&rig.events, Duration::from_secs(1), |stats| stats.in_memory == 0);
        if stats.in_memory > 0 {
            assert_eq!(stats.dropped_total(), 0, "{stats:#?}");
            return (rig, stats);
        }
    }
    panic!("{:#?}", rig.events.stats());
}

/// Emits so many as fast as the task can look at them.
fn flood(events: &Events, level: Level, count: usize) {
    let kind = best_effort();
    for number in 0..count {
        emit_best_effort(events, kind, level, 100_000 + number);
        if number % 50 == 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn nothing_on_a_full_disk_goes_for_what_is_not_worth_a_place_there() {
    for durability in DurabilityMode::ALL {
        for level in [Level::Warn, Level::Error] {
            let (rig, before) = full(*durability);
            flood(&rig.events, level, 1_000);
            let stats = wait_until(&rig.events, PATIENCE, |stats| {
                stats.dropped_total() >= 1_000 && stats.in_memory <= before.in_memory
            });
            assert_eq!(
                stats.dropped_for(DropReason::BestEffort),
                1_000,
                "{durability:?} {level}: {stats:#?}"
            );
            assert_eq!(stats.dropped_total(), 1_000, "{durability:?} {level}: {stats:#?}");
            let kept = |stats: &Stats| stats.on_disk + stats.in_memory + stats.in_flight;
            assert_eq!(kept(&stats), kept(&before), "{durability:?} {level}: {stats:#?}");
        }
    }
}

#[test]
fn what_is_not_worth_a_place_on_disk_makes_memory_no_fuller_for_what_is() {
    for durability in DurabilityMode::ALL {
        let (rig, before) = full(*durability);
        // With all of it memory is over its threshold, and what is there would have to go to disk.
        storm_of(&rig.events, 50_000..50_100, 20_000, |_| Level::Warn);
        flood(&rig.events, Level::Warn, 1_000);
        let stats = wait_until(&rig.events, PATIENCE, |stats| {
            stats.dropped_total() > 0 && stats.in_memory <= before.in_memory + 100
        });
        assert_eq!(stats.dropped_for(DropReason::SpoolFull), 0, "{durability:?}: {stats:#?}");
        assert_eq!(stats.dropped_for(DropReason::BufferFull), 0, "{durability:?}: {stats:#?}");
    }
}

#[test]
fn a_batch_of_such_events_alone_that_failed_goes_to_no_disk() {
    for durability in DurabilityMode::ALL {
        for mode in [Mode::Unauthenticated, Mode::StoreThenFail, Mode::InvalidArgument] {
            let rig = Rig::with(|config| {
                config.durability = *durability;
                config.batch_timeout = Duration::from_millis(50);
            });
            rig.toggle.set_mode(mode);
            let kind = best_effort();
            (0..10).for_each(|number| emit_best_effort(&rig.events, kind, Level::Info, number));
            let stats = wait_until(&rig.events, PATIENCE, |stats| {
                assert_eq!(stats.on_disk, 0, "{durability:?} {mode:?}: {stats:#?}");
                stats.dropped_total() == 10
            });
            assert_eq!(stats.dropped_for(DropReason::BestEffort), 10, "{durability:?} {mode:?}: {stats:#?}");
            assert_eq!(rig.spill_files(), Vec::<String>::new(), "{durability:?} {mode:?}");
        }
    }
}

/// Ten of each, by turns and in one batch, of which Toggle says this.
fn mixed(mode: Mode, durability: DurabilityMode) -> (Rig, Stats) {
    let rig = Rig::with(|config| {
        config.durability = durability;
        config.batch_timeout = Duration::from_secs(600);
    });
    rig.toggle.set_mode(mode);
    let kind = best_effort();
    for number in 0..10 {
        emit_best_effort(&rig.events, kind, Level::Info, 1_000 + number);
        emit_number(&rig.events, number);
    }
    rig.events.flush(PATIENCE);
    let stats = wait_until(&rig.events, PATIENCE, |stats| stats.in_memory + stats.in_flight == 0);
    (rig, stats)
}

/// Toggle takes everything from now on.
fn assert_no_stranger(rig: &Rig) {
    rig.toggle.set_mode(Mode::Ok);
    let stats = wait_until(&rig.events, PATIENCE, |stats| {
        stats.delivered + stats.dropped_total() == stats.accepted && stats.spool.files == 0
    });
    assert_eq!(stats.delivered + stats.dropped_total(), stats.accepted, "{stats:#?}");
    assert_eq!((rig.toggle.repeated_event_ids(), rig.toggle.altered_repeats()), (0, 0), "{stats:#?}");
}

#[test]
fn of_a_batch_that_toggle_cannot_have_stored_only_what_is_worth_it_goes_to_disk() {
    let (rig, stats) = mixed(Mode::Unauthenticated, DurabilityMode::Memory);
    assert_eq!((stats.on_disk, stats.dropped_for(DropReason::BestEffort)), (10, 10), "{stats:#?}");
    assert_no_stranger(&rig);
    assert_eq!(numbers(&rig.toggle), (0..10).collect::<Vec<_>>());
}

#[test]
fn a_batch_is_not_changed_that_toggle_may_have_stored_or_that_is_in_a_segment() {
    for (mode, durability) in [
        (Mode::StoreThenFail, DurabilityMode::Memory),
        (Mode::StoreThenFail, DurabilityMode::Process),
        (Mode::Unauthenticated, DurabilityMode::Process),
    ] {
        let (rig, stats) = mixed(mode, durability);
        assert_eq!((stats.on_disk, stats.dropped_total()), (20, 0), "{mode:?} {durability:?}: {stats:#?}");
        assert_no_stranger(&rig);
        assert_eq!(numbers(&rig.toggle).len(), 20);
    }
}

#[test]
fn what_is_in_flight_when_the_process_ends_is_not_put_on_disk_either() {
    for durability in DurabilityMode::ALL {
        let rig = Rig::with(|config| {
            config.durability = *durability;
            config.batch_timeout = Duration::from_millis(50);
        });
        rig.toggle.set_mode(Mode::Hang);
        let kind = best_effort();
        (0..10).for_each(|number| emit_best_effort(&rig.events, kind, Level::Info, number));
        let stats = wait_until(&rig.events, PATIENCE, |stats| stats.in_flight == 10);
        assert_eq!(stats.in_flight, 10, "{durability:?}: {stats:#?}");
        rig.events.shutdown(Duration::from_millis(500));
        // On a busy machine the books are closed a moment later.
        wait_until(&rig.events, PATIENCE, |stats| stats.in_flight == 0);
        let report = rig.events.shutdown(Duration::ZERO);
        assert_eq!(report.stats.dropped_for(DropReason::BestEffort), 10, "{durability:?}: {report:#?}");
        assert_eq!((report.on_disk, report.undecided), (0, 0), "{durability:?}: {report:#?}");
        assert_eq!(spill_files(rig.spool.path()), Vec::<String>::new(), "{durability:?}");

        rig.toggle.set_mode(Mode::Ok);
        let events = Events::start(config(&rig.toggle, rig.spool.path())).unwrap();
        let stats = wait_until(&events, PATIENCE, |stats| stats.lifetime.is_surveyed);
        assert_eq!(
            (stats.adopted, stats.lifetime.dropped_for(DropReason::BestEffort)),
            (0, 10),
            "{stats:#?}"
        );
        events.shutdown(PATIENCE);
    }
}

#[test]
fn what_is_too_large_for_toggle_is_halved_and_not_dropped() {
    for &durability in DurabilityMode::ALL {
        let (toggle, spool) =
            (Toggle::builder().max_message_bytes(10_000).start().unwrap(), TempDir::new().unwrap());
        let config = Config { durability, batch_size: 200, ..config(&toggle, spool.path()) };
        let events = Events::start(config).unwrap();
        let kind = best_effort();
        (0..200).for_each(|number| emit_best_effort(&events, kind, Level::Info, number));
        let stats = wait_until(&events, PATIENCE, |stats| stats.delivered == 200);
        assert_eq!((stats.delivered, stats.dropped_total()), (200, 0), "{durability:?}: {stats:#?}");
        assert_eq!((numbers(&toggle).len(), toggle.repeated_event_ids()), (200, 0));
        events.shutdown(PATIENCE);
    }
}
