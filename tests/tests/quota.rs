//! A spool with a quota: what goes is the lowest level and of that the oldest, and every event of it is counted.

#![allow(clippy::expect_used, reason = "helpers of tests fail as tests do")]

use std::{collections::HashMap, fs, path::Path, time::Duration};

use events_sdk::{Config, DropReason, DurabilityMode, Events, Level, Stats, payload::*, testing::Mode};
use events_tests::{Mounted, NUMBER, Rig, emit_number, losses_in, storm, wait_until};

const PATIENCE: Duration = Duration::from_secs(60);
const QUOTA: usize = 1 << 20;

fn small(config: &mut Config) {
    config.buffer_size = 1_000;
    config.flush_threshold = 500;
    config.buffer_bytes = 256 << 10;
    config.spool_max_bytes = QUOTA;
    config.batch_timeout = Duration::from_millis(50);
}

/// Emits numbered events with a level for each, as fast as the disk takes them.
fn emit(rig: &Rig, count: usize, level: impl Fn(usize) -> Level) -> HashMap<Level, u64> {
    let mut emitted = HashMap::new();
    for number in 0..count {
        let (level, text) = (level(number), number.to_string());
        let payload = StoragePoolPayload::new(StoragePoolOperation::Created);
        rig.events.emit_storage_pool(
            level,
            payload,
            [(NUMBER, text.as_str()), ("padding", "some more bytes of text")],
        );
        *emitted.entry(level).or_default() += 1;
        if number % 200 == 0 {
            let stats = wait_until(&rig.events, Duration::from_secs(2), |stats| stats.in_memory < 600);
            assert!(stats.spool.bytes <= QUOTA as u64 + (256 << 10), "{stats:#?}");
        }
    }
    emitted
}

fn dropped(stats: &Stats, level: Level) -> u64 {
    stats.dropped.iter().filter(|drop| drop.level == Some(level)).map(|drop| drop.count).sum()
}

#[test]
fn a_full_spool_gives_up_the_lowest_level_first_and_keeps_all_others() {
    for &durability in DurabilityMode::ALL {
        let rig = Rig::with(|config| {
            small(config);
            config.durability = durability;
        });
        rig.toggle.stop();
        let emitted = emit(&rig, 20_000, |number| match number % 50 {
            0 => Level::Error,
            1..=4 => Level::Warn,
            _ => Level::Info,
        });
        let stats = rig.events.stats();
        assert!(stats.dropped_for(DropReason::SpoolFull) > 5_000, "{durability:?}: {stats:#?}");
        assert_eq!(
            (dropped(&stats, Level::Error), dropped(&stats, Level::Warn)),
            (0, 0),
            "{durability:?}: {stats:#?}"
        );
        assert_eq!(
            dropped(&stats, Level::Info),
            stats.dropped_total(),
            "{durability:?}: every drop has its level"
        );
        assert!(
            stats.dropped.iter().all(|drop| drop.category.is_some()),
            "and its category: {durability:?}: {stats:#?}"
        );

        rig.toggle.restart().expect("the same port");
        // A file that was being thinned when Toggle came back still counts.
        let end = wait_until(&rig.events, PATIENCE, |stats| {
            stats.delivered + stats.dropped_total() == stats.accepted
        });
        assert_eq!(end.delivered + end.dropped_total(), end.accepted, "{durability:?}: {end:#?}");
        assert_eq!(
            dropped(&end, Level::Info),
            end.dropped_total(),
            "only the lowest level was dropped: {durability:?}: {end:#?}"
        );
        let arrived: Vec<_> =
            rig.toggle.events().into_iter().filter(|event| losses_in(event).is_none()).collect();
        for level in [Level::Error, Level::Warn] {
            let count = arrived.iter().filter(|event| event.level == level.number()).count();
            assert_eq!(count as u64, emitted[&level], "{durability:?}: {level}");
        }
        // What is left of the lowest level is the newest of it.
        let mut infos: Vec<usize> = arrived
            .iter()
            .filter(|event| event.level == Level::Info.number())
            .filter_map(|event| event.metadata.get(NUMBER)?.parse().ok())
            .collect();
        infos.sort_unstable();
        let newest = infos.iter().filter(|&&number| number >= 10_000).count();
        assert!(
            newest * 10 >= infos.len() * 9,
            "{newest} of {} are from the second half, {durability:?}",
            infos.len()
        );
    }
}

#[test]
fn what_is_graver_displaces_what_lies_on_disk_and_not_the_other_way_round() {
    let rig = Rig::with(small);
    rig.toggle.stop();
    emit(&rig, 10_000, |number| if number < 5_000 { Level::Info } else { Level::Error });
    let stats = wait_until(&rig.events, Duration::from_secs(5), |stats| stats.in_memory < 500);
    assert_eq!(dropped(&stats, Level::Info) + dropped(&stats, Level::Error), stats.dropped_total());
    let infos_left = 5_000 - dropped(&stats, Level::Info);
    assert!(
        dropped(&stats, Level::Error) == 0 || infos_left == 0,
        "an error went before an info: {stats:#?}"
    );
    let errors = dropped(&stats, Level::Error);

    // The disk is full of errors now: lighter events find no place there, and take none from them.
    emit(&rig, 5_000, |_| Level::Info);
    let stats = rig.events.stats();
    assert_eq!(dropped(&stats, Level::Error), errors, "{stats:#?}");
    assert!(dropped(&stats, Level::Info) > 0);
}

#[test]
fn a_file_of_which_a_piece_was_sent_gives_way_to_graver_events() {
    let rig = Rig::with(|config| {
        (config.batch_size, config.flush_threshold) = (10_000, 10_000);
        config.batch_timeout = Duration::from_secs(600);
    });
    rig.toggle.set_mode(Mode::Unavailable);
    for number in 0..2_200 {
        let text = format!("{number:0200}");
        let payload = StoragePoolPayload::new(StoragePoolOperation::Created);
        rig.events.emit_storage_pool(Level::Info, payload, [(NUMBER, text.as_str())]);
    }
    assert_eq!(rig.events.shutdown(PATIENCE).on_disk, 2_200);
    let Rig { events, toggle, spool } = rig;
    drop(events);

    let mut config = events_tests::config(&toggle, spool.path());
    small(&mut config);
    config.retry_max = Duration::from_millis(50);
    let rig = Rig { events: Events::start(config).expect("the next process"), toggle, spool };
    // A piece of the one file was offered, and may have been stored.
    wait_until(&rig.events, PATIENCE, |stats| stats.uplink.attempts_failed > 1);
    emit(&rig, 5_000, |_| Level::Error);
    let stats = wait_until(&rig.events, Duration::from_secs(5), |stats| stats.in_memory < 500);
    let left = 2_200 - dropped(&stats, Level::Info);
    assert!(dropped(&stats, Level::Error) == 0 || left == 0, "{left} stay: {stats:#?}");
    assert_eq!(left, 0, "{stats:#?}");
    assert!(stats.balances() && stats.lifetime.balances(), "{stats:#?}");
    assert_eq!(
        dropped(&stats, Level::Info),
        stats.dropped_for(DropReason::SpoolFull) - dropped(&stats, Level::Error)
    );

    rig.toggle.set_mode(Mode::Ok);
    let end = wait_until(&rig.events, PATIENCE, |stats| {
        stats.delivered + stats.dropped_total() == stats.accepted + stats.adopted
    });
    assert_eq!(end.delivered + end.dropped_total(), end.accepted + end.adopted, "{end:#?}");
    assert!(end.lifetime.balances(), "{end:#?}");
    let arrived = rig.toggle.events().into_iter().filter(|event| losses_in(event).is_none());
    let errors = arrived.filter(|event| event.level == Level::Error.number()).count();
    assert_eq!(errors as u64, 5_000 - dropped(&end, Level::Error));
}

#[test]
fn a_disk_that_must_keep_more_free_than_it_has_takes_nothing_and_says_why() {
    let rig = Rig::with(|config| {
        small(config);
        config.spool_min_free_bytes = 1 << 40;
    });
    rig.toggle.stop();
    emit(&rig, 1_500, |number| if number % 10 == 0 { Level::Error } else { Level::Info });
    let stats = wait_until(&rig.events, Duration::from_secs(5), |stats| stats.spool.broken.is_some());
    let why = stats.spool.broken.clone().unwrap_or_default();
    assert!(why.contains("spool_min_free_bytes"), "{why}");
    assert_eq!(stats.spool.files, 0);
    assert_eq!(dropped(&stats, Level::Error), 0, "{stats:#?}");
    rig.toggle.restart().expect("the same port");
    let end =
        wait_until(&rig.events, PATIENCE, |stats| stats.delivered + stats.dropped_total() == stats.accepted);
    assert_eq!(end.delivered + end.dropped_total(), end.accepted, "{end:#?}");
}

/// Bytes of everything that lies in the spool.
fn bytes_on_disk(rig: &Rig) -> u64 {
    let of = |dir: &Path, ending: &str| -> u64 {
        let entries = fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
        entries
            .filter(|entry| entry.path().extension().is_some_and(|it| it == ending))
            // One may be removed just now.
            .filter_map(|entry| Some(entry.metadata().ok()?.len()))
            .sum()
    };
    of(rig.spool.path(), "pb") + of(&rig.spool.path().join("segments"), "seg")
}

#[test]
fn segments_are_a_part_of_the_quota() {
    for durability in [DurabilityMode::Process, DurabilityMode::Power] {
        const QUOTA: usize = 4 << 20;
        let rig = Rig::with(|config| {
            small(config);
            config.durability = durability;
            config.spool_max_bytes = QUOTA;
            config.buffer_bytes = 1 << 20;
            (config.buffer_size, config.flush_threshold) = (5_000, 4_000);
        });
        rig.toggle.stop();
        let mut most = 0;
        for number in 0..40_000 {
            let text = number.to_string();
            rig.events.emit_storage_pool(
                Level::Info,
                StoragePoolPayload::new(StoragePoolOperation::Created),
                [(NUMBER, text.as_str()), ("padding", "some more bytes of text")],
            );
            if number % 100 == 0 {
                wait_until(&rig.events, Duration::from_secs(2), |stats| stats.in_memory < 4_100);
                most = most.max(bytes_on_disk(&rig));
            }
        }
        let stats = rig.events.stats();
        assert!(
            stats.dropped_for(DropReason::SpoolFull) > 0,
            "the quota was reached with {durability:?}: {stats:#?}"
        );
        assert!(stats.durability.segment_bytes > 0, "{durability:?}: {stats:#?}");
        // Seals, and the rest of a file that is thinned, which lies there until the file itself is removed.
        let seals = 256 << 10;
        assert!(most <= (QUOTA + seals) as u64, "{most} bytes of {QUOTA}, {durability:?}");
        assert!(most >= (QUOTA / 2) as u64, "only {most} bytes of {QUOTA} were used, {durability:?}");
        assert!(stats.balances(), "{durability:?}: {stats:#?}");

        rig.toggle.restart().expect("the same port");
        let end = wait_until(&rig.events, PATIENCE, |stats| {
            stats.delivered + stats.dropped_total() == stats.accepted
        });
        assert_eq!(end.delivered + end.dropped_total(), end.accepted, "{durability:?}: {end:#?}");
    }
}

#[test]
fn what_waits_in_segments_finds_room_on_disk_at_the_shutdown() {
    for durability in [DurabilityMode::Process, DurabilityMode::Power] {
        let rig = Rig::with(|config| {
            small(config);
            config.durability = durability;
            config.batch_timeout = Duration::from_secs(600);
            config.buffer_bytes = QUOTA / 2;
        });
        rig.toggle.stop();
        for number in 0..499 {
            emit_number(&rig.events, number);
        }
        let report = rig.events.shutdown(PATIENCE);
        assert_eq!((report.on_disk, report.dropped, report.complete), (499, 0, true), "{report:#?}");
        assert!(bytes_on_disk(&rig) < QUOTA as u64, "{durability:?}");
    }
}

#[test]
fn no_segment_is_made_where_more_must_stay_free_than_there_is() {
    let rig = Rig::with(|config| {
        small(config);
        config.durability = DurabilityMode::Process;
        config.spool_min_free_bytes = 1 << 40;
    });
    (0..100).for_each(|number| emit_number(&rig.events, number));
    let stats = rig.events.stats();
    let why = stats.durability.degraded.clone().unwrap_or_default();
    assert!(why.contains("spool_min_free_bytes"), "{stats:#?}");
    assert_eq!((stats.durability.unprotected, stats.durability.segment_bytes), (100, 0), "{stats:#?}");
    assert_eq!(bytes_on_disk(&rig), 0);
    rig.assert_all_delivered(100, PATIENCE);
}

#[test]
fn batches_that_toggle_refuses_stay_within_the_quota_too() {
    let rig = Rig::with(small);
    let poisoned = |number: &String| number.parse::<usize>().is_ok_and(|number| number.is_multiple_of(100));
    rig.toggle.refuse_when(move |event| event.metadata.get(NUMBER).is_some_and(poisoned));
    rig.toggle.set_mode(Mode::Slow(Duration::from_millis(5)));
    let mut most = 0;
    for second in 0..12 {
        storm(&rig.events, second * 5_000..(second + 1) * 5_000, 5_000);
        most = most.max(rig.events.stats().spool.bytes);
    }
    assert!(most <= QUOTA as u64, "{most} bytes of {QUOTA}");
    let stats = rig.events.stats();
    assert!(stats.balances() && stats.delivered > 0, "{stats:#?}");
}

#[test]
fn grave_events_go_to_the_part_that_is_kept_for_them_while_others_wait_in_memory() {
    let rig = Rig::with(small);
    rig.toggle.stop();
    let mut emitted = 0;
    let full = loop {
        (emitted..emitted + 100).for_each(|number| emit_number(&rig.events, number));
        emitted += 100;
        let stats = wait_until(&rig.events, Duration::from_secs(3), |stats| stats.in_memory == 0);
        if stats.in_memory > 0 {
            break stats;
        }
        assert!(stats.spool.bytes <= QUOTA as u64, "{stats:#?}");
    };
    assert_eq!((full.in_memory, full.dropped_total()), (100, 0), "{full:#?}");
    for _ in 0..3 {
        let payload = StoragePoolPayload::new(StoragePoolOperation::Created);
        rig.events.emit_storage_pool(Level::Error, payload, ());
    }
    let goes = |stats: &Stats| stats.on_disk == full.on_disk + 3;
    let stats = wait_until(&rig.events, PATIENCE, goes);
    assert!(goes(&stats) && stats.in_memory == 100 && stats.dropped_total() == 0, "{stats:#?}");
}

/// A spool whose quota is full of events of one level, and a Toggle that is away.
fn filled_with(level: Level) -> Rig {
    let rig = Rig::with(small);
    rig.toggle.stop();
    emit(&rig, 12_000, |_| level);
    let report = rig.events.shutdown(Duration::from_secs(5));
    assert!(report.stats.spool.bytes > (QUOTA / 10 * 8) as u64, "{report:#?}");
    rig
}

/// The next system on that spool.
fn next(rig: &Rig, change: impl FnOnce(&mut Config)) -> Events {
    let mut config = events_tests::config(&rig.toggle, rig.spool.path());
    small(&mut config);
    change(&mut config);
    let events = Events::start(config).expect("an event system");
    let stats = wait_until(&events, PATIENCE, |stats| stats.lifetime.is_surveyed);
    assert!(stats.lifetime.is_surveyed, "{stats:#?}");
    events
}

fn emit_level(events: &Events, level: Level, count: usize) {
    for _ in 0..count {
        let payload = StoragePoolPayload::new(StoragePoolOperation::Created);
        events.emit_storage_pool(level, payload, [("padding", "some more bytes of text")]);
    }
}

#[test]
fn a_batch_in_flight_at_the_shutdown_finds_room_where_lighter_events_are() {
    let rig = filled_with(Level::Info);
    rig.toggle.restart().expect("the same port");
    rig.toggle.set_mode(Mode::Hang);
    let events = next(&rig, |config| config.toggle.timeout = PATIENCE);
    emit_level(&events, Level::Warn, 400);
    let stats = wait_until(&events, PATIENCE, |stats| stats.in_flight > 0);
    assert!(stats.in_flight > 0, "{stats:#?}");
    let report = events.shutdown(Duration::from_secs(4));
    assert_eq!(dropped(&report.stats, Level::Warn), 0, "{report:#?}");
}

#[test]
fn at_the_shutdown_one_light_event_does_not_bar_the_grave_ones() {
    let rig = filled_with(Level::Warn);
    let events = next(&rig, |config| {
        config.flush_threshold = 995;
        config.batch_timeout = PATIENCE;
    });
    emit_level(&events, Level::Info, 1);
    emit_level(&events, Level::Error, 980);
    let report = events.shutdown(Duration::from_secs(5));
    assert_eq!(dropped(&report.stats, Level::Error), 0, "{report:#?}");
}

#[test]
fn what_is_in_segments_at_the_shutdown_takes_no_place_from_what_is_on_disk() {
    let rig = Rig::with(|config| {
        small(config);
        config.durability = DurabilityMode::Process;
        // Few segments, for each of which there is room.
        (config.batch_size, config.spool_max_bytes) = (500, 2 * QUOTA);
    });
    rig.toggle.stop();
    emit_level(&rig.events, Level::Info, 500);
    // So many that they may stay in memory for as long as the process lives.
    let waits = |stats: &Stats| stats.in_memory < 500;
    let mut rounds = 0;
    let before = loop {
        let thinned = rig.events.stats().spool.thinned;
        while rig.events.stats().spool.thinned == thinned {
            emit_level(&rig.events, Level::Info, 250);
            wait_until(&rig.events, PATIENCE, waits);
        }
        // Nothing tells when room has been made for all of them.
        std::thread::sleep(Duration::from_secs(2));
        let before = wait_until(&rig.events, PATIENCE, waits);
        emit_level(&rig.events, Level::Info, 450_usize.saturating_sub(before.in_memory as usize));
        let stats = rig.events.stats();
        if stats.durability.unprotected == before.durability.unprotected
            && stats.spool.thinned == before.spool.thinned
        {
            break before;
        }
        // Not all of them are in segments, or room is still being made for what was emitted before: then some may go.
        rounds += 1;
        assert!(rounds < 20, "room is being made all the time: {stats:#?}");
    };
    let report = rig.events.shutdown(Duration::from_secs(5));
    assert_eq!(report.stats.dropped_total(), before.dropped_total(), "{report:#?}");
    assert!(report.complete && report.stats.lifetime.balances(), "{report:#?}");
}

#[test]
fn light_batches_that_failed_do_not_hold_up_graver_events() {
    let rig = filled_with(Level::Warn);
    rig.toggle.restart().expect("the same port");
    rig.toggle.set_mode(Mode::Hang);
    let events = next(&rig, |config| config.toggle.timeout = PATIENCE);
    emit_level(&events, Level::Info, 300);
    let stats = wait_until(&events, PATIENCE, |stats| stats.in_flight > 0);
    assert!(stats.in_flight > 0, "{stats:#?}");
    rig.toggle.stop();
    wait_until(&events, PATIENCE, |stats| stats.in_flight == 0);
    for _ in 0..40 {
        emit_level(&events, Level::Error, 50);
        // Room may be on its way; more than so many need not wait for it.
        wait_until(&events, Duration::from_secs(1), |stats| stats.in_memory < 500);
    }
    let stats = events.stats();
    assert_eq!(dropped(&stats, Level::Error), 0, "{stats:#?}");
    assert!(dropped(&stats, Level::Warn) > 0, "{stats:#?}");
}

#[test]
fn files_in_which_no_room_can_be_made_do_not_keep_others_from_it() {
    let rig = Rig::with(small);
    rig.toggle.stop();
    emit(&rig, 12_000, |_| Level::Info);
    for name in rig.spill_files().into_iter().take(5) {
        let path = rig.spool.path().join(name);
        fs::remove_file(&path).expect("a spill file");
        fs::create_dir(&path).expect("a directory in its place");
    }
    for _ in 0..60 {
        emit_level(&rig.events, Level::Info, 10);
        emit_level(&rig.events, Level::Error, 10);
        wait_until(&rig.events, PATIENCE, |stats| stats.in_memory < 600);
    }
    let stats = rig.events.stats();
    assert_eq!(dropped(&stats, Level::Error), 0, "{stats:#?}");
}

#[test]
fn at_the_shutdown_what_finds_room_is_written_though_not_all_does() {
    let rig = Rig::with(|config| {
        small(config);
        (config.flush_threshold, config.batch_timeout) = (995, Duration::from_secs(5));
    });
    rig.toggle.stop();
    emit(&rig, 7_000, |_| Level::Error);
    let full = wait_until(&rig.events, PATIENCE, |stats| stats.in_memory == 0);
    assert_eq!((full.on_disk, full.dropped_total()), (7_000, 0), "{full:#?}");
    emit_level(&rig.events, Level::Info, 980);
    let report = rig.events.shutdown(Duration::from_secs(5));
    let infos = dropped(&report.stats, Level::Info);
    assert!(infos > 0 && infos < 700 && dropped(&report.stats, Level::Error) == 0, "{report:#?}");
}

#[test]
fn a_full_spool_on_a_file_system_that_turned_read_only_says_so_and_goes_on_when_it_is_mended() {
    let rig = Rig::with(small);
    rig.toggle.stop();
    emit(&rig, 12_000, |_| Level::Info);
    let Some(read_only) = Mounted::read_only(rig.spool.path()) else { return };
    let says_so = |stats: &Stats| stats.spool.broken.as_ref().is_some_and(|why| why.contains("Read-only"));
    let stats = wait_until(&rig.events, PATIENCE, |stats| {
        emit_level(&rig.events, Level::Warn, 20);
        says_so(stats)
    });
    assert!(says_so(&stats), "{stats:#?}");
    drop(read_only);
    let stats = wait_until(&rig.events, PATIENCE, |stats| stats.spool.broken.is_none());
    assert_eq!(stats.spool.broken, None);
    let goes_on = |stats: &Stats| stats.on_disk > 0 && stats.in_memory < 500;
    let stats = wait_until(&rig.events, PATIENCE, goes_on);
    assert!(goes_on(&stats), "{stats:#?}");
}
