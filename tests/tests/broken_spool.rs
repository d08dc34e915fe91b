//! A disk that takes nothing: events stay in memory, the least grave ones go first, and the disk may come back.

#![allow(clippy::expect_used, reason = "helpers of tests fail as tests do")]

use std::{fs, time::Duration};

use events_sdk::{DropReason, FlushOutcome, Level, payload::*};
use events_tests::{NUMBER, Rig, emit_number, losses_in, storm, wait_until};

const PATIENCE: Duration = Duration::from_secs(30);
const BUFFER: usize = 1_000;

/// A rig whose spool directory cannot be made: a file has its name.
fn rig() -> Rig {
    Rig::with(|config| {
        config.spool_dir.push("events");
        fs::write(&config.spool_dir, "in the way").expect("a file");
        config.buffer_size = BUFFER;
        config.flush_threshold = BUFFER - 100;
    })
}

#[test]
fn the_system_starts_and_delivers_without_a_spool_and_says_so() {
    let rig = rig();
    assert!(rig.events.stats().spool.broken.is_some());
    storm(&rig.events, 0..500, 100_000);
    rig.assert_all_delivered(500, PATIENCE);
}

#[test]
fn lower_levels_go_first_and_a_spool_that_comes_back_takes_the_rest() {
    let rig = rig();
    rig.toggle.stop();
    let payload = StoragePoolPayload::new(StoragePoolOperation::Created);
    for _ in 0..BUFFER {
        rig.events.emit_storage_pool(Level::Info, payload, ());
    }
    for _ in 0..BUFFER / 2 {
        rig.events.emit_storage_pool(Level::Error, payload, ());
    }
    let stats = rig.events.stats();
    assert!(stats.balances(), "{stats:#?}");
    assert!(stats.dropped_for(DropReason::BufferFull) > 0);
    assert!(stats.dropped.iter().all(|drop| drop.level == Some(Level::Info)), "{:#?}", stats.dropped);
    assert!(stats.in_memory + stats.in_flight <= (BUFFER + 400) as u64, "{stats:#?}");

    fs::remove_file(&stats.spool.directory).expect("the file in the way");
    let stats = wait_until(&rig.events, PATIENCE, |stats| stats.spool.broken.is_none() && stats.on_disk > 0);
    assert!(stats.spool.broken.is_none() && stats.on_disk > 0, "{stats:#?}");

    rig.toggle.restart().expect("the same port");
    let kept = (BUFFER + BUFFER / 2) as u64 - stats.dropped_total();
    // The event that tells of what was dropped comes on top, once.
    let stats = wait_until(&rig.events, PATIENCE, |stats| stats.delivered == kept + 1);
    assert_eq!(stats.delivered, kept + 1, "{stats:#?}");
    let (told, events): (Vec<_>, Vec<_>) =
        rig.toggle.events().into_iter().partition(|event| losses_in(event).is_some());
    assert_eq!(told.len(), 1);
    let errors = events.iter().filter(|event| event.level == Level::Error.number()).count();
    assert_eq!(errors, BUFFER / 2, "no error was lost");
}

#[test]
fn a_flush_that_was_given_up_hurries_nobody() {
    let rig = Rig::with(|config| {
        config.spool_dir.push("events");
        fs::write(&config.spool_dir, "in the way").expect("a file");
        config.batch_timeout = Duration::from_secs(600);
        // What is tried again meanwhile takes others along.
        (config.retry_initial, config.retry_max) = (Duration::from_secs(5), Duration::from_secs(5));
    });
    rig.toggle.refuse_when(|event| event.metadata.get(NUMBER).is_some_and(|number| number == "0"));
    emit_number(&rig.events, 0);
    // Neither Toggle nor the disk takes it.
    assert_eq!(rig.events.flush(Duration::from_millis(200)), FlushOutcome::TimedOut);
    for number in 1..50 {
        emit_number(&rig.events, number);
        std::thread::sleep(Duration::from_millis(2));
    }
    // They wait for company, but for what shows whether Toggle takes others.
    let delivered = rig.events.stats().delivered;
    assert!(delivered <= 2, "{delivered}");
    rig.toggle.refuse_nothing();
    let _ = rig.events.flush(PATIENCE);
    rig.assert_all_delivered(50, PATIENCE);
}

#[test]
fn a_spill_file_that_somebody_removed_is_counted_as_lost_and_the_others_go_on() {
    let rig = Rig::with(|config| {
        config.flush_threshold = 1_000;
        config.retry_initial = Duration::from_secs(2);
        config.retry_max = Duration::from_secs(2);
    });
    rig.toggle.stop();
    storm(&rig.events, 0..5_000, 10_000);
    let stats = wait_until(&rig.events, PATIENCE, |stats| stats.in_memory == 0 && stats.in_flight == 0);
    let files = rig.spill_files();
    let largest = |name: &&String| fs::metadata(rig.spool.path().join(name)).map_or(0, |file| file.len());
    // Not one of the first, whose pieces may have been read ahead.
    let victim = files[2..].iter().max_by_key(largest).expect("spill files");
    fs::remove_file(rig.spool.path().join(victim)).expect("the file");
    rig.toggle.restart().expect("the same port");
    let end = wait_until(&rig.events, PATIENCE, |stats| {
        stats.delivered + stats.dropped_for(DropReason::Vanished) == stats.accepted
    });
    // The event that tells of it, unless it is still to come, is the only one on top.
    let told = rig.toggle.events().iter().filter(|event| losses_in(event).is_some()).count() as u64;
    assert!(end.accepted - stats.accepted <= told && told <= 1, "{told} {end:#?}");
    assert!(end.dropped_for(DropReason::Vanished) > 0);
}
