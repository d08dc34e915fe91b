//! A disk without a byte left, or nearly so: what it takes is the gravest, and what goes is the lightest.

#![allow(clippy::expect_used, reason = "helpers of tests fail as tests do")]

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use events_sdk::{Config, DropReason, DurabilityMode, Events, Level, Stats, payload::*, testing::Toggle};
use events_tests::{SmallDisk, config, wait_until};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);
/// What is set aside on disk for the moment when it is full, of this quota.
const BALLAST: u64 = 1 << 20;
const QUOTA: usize = 64 << 20;

fn start(toggle: &Toggle, spool: &Path, change: impl FnOnce(&mut Config)) -> Events {
    let mut config = config(toggle, spool);
    config.spool_max_bytes = QUOTA;
    config.spool_min_free_bytes = 0;
    change(&mut config);
    Events::start(config).expect("an event system")
}

fn emit(events: &Events, level: Level, count: usize) {
    for _ in 0..count {
        let payload = StoragePoolPayload::new(StoragePoolOperation::Created);
        events.emit_storage_pool(level, payload, [("padding", "some more bytes of text")]);
    }
}

fn dropped(stats: &Stats, level: Level) -> u64 {
    stats.dropped.iter().filter(|one| one.level == Some(level)).map(|one| one.count).sum()
}

fn has_ballast(spool: &Path) -> bool {
    spool.join(".ballast").metadata().is_ok_and(|there| there.len() == BALLAST)
}

fn wait_for_ballast(events: &Events, spool: &Path) {
    wait_until(events, PATIENCE, |_| has_ballast(spool));
    assert!(has_ballast(spool));
}

#[test]
fn where_every_file_is_mixed_the_lightest_events_go_out_of_them_on_a_disk_without_a_byte() {
    let Some(disk) = SmallDisk::mount(16 << 10) else { return };
    let toggle = Toggle::start().expect("a port on loopback");
    toggle.stop();
    let events = start(&toggle, disk.path(), |config| {
        (config.buffer_size, config.flush_threshold) = (2_000, 1_000);
    });
    wait_for_ballast(&events, disk.path());
    for _ in 0..5 {
        for _ in 0..500 {
            emit(&events, Level::Info, 1);
            emit(&events, Level::Warn, 1);
        }
        wait_until(&events, PATIENCE, |stats| stats.in_memory == 0);
    }
    let stats = events.stats();
    assert_eq!((stats.on_disk, stats.dropped_total()), (5_000, 0), "{stats:#?}");
    disk.fill(0);
    // As fast as room is made, until none is.
    for _ in 0..40 {
        emit(&events, Level::Warn, 100);
        let stats = wait_until(&events, Duration::from_secs(5), |stats| stats.in_memory < 1_000);
        if stats.in_memory >= 1_000 {
            break;
        }
    }
    let stats = events.stats();
    assert!(dropped(&stats, Level::Info) > 0, "{stats:#?}");
    let (info, warn) = (dropped(&stats, Level::Info), dropped(&stats, Level::Warn));
    // What was offered to Toggle, a batch, stays.
    assert!(warn == 0 || info >= 2_400, "{info} INFO and {warn} WARN: {stats:#?}");
    assert!(stats.balances() && stats.dropped_for(DropReason::SpoolFull) > 0, "{stats:#?}");
    events.shutdown(Duration::from_secs(5));
}

#[test]
fn at_the_shutdown_a_disk_with_little_room_takes_the_gravest() {
    let Some(disk) = SmallDisk::mount(8 << 10) else { return };
    let toggle = Toggle::start().expect("a port on loopback");
    toggle.stop();
    // Nothing is written before the end.
    let events = start(&toggle, disk.path(), |config| config.batch_timeout = PATIENCE);
    let free = 64;
    disk.fill(free);
    emit(&events, Level::Info, 5_000);
    emit(&events, Level::Error, 100);
    let report = events.shutdown(Duration::from_secs(5));
    assert_eq!(dropped(&report.stats, Level::Error), 0, "{report:#?}");
    assert!(report.on_disk > 200 && report.dropped > 0 && !report.complete, "{report:#?}");
    let on_disk = report.stats.spool.bytes;
    assert!(on_disk > (free << 10) / 3, "{on_disk} of {free} KiB are used: {report:#?}");
    assert_eq!(report.on_disk + report.dropped, 5_100);
}

#[test]
fn at_the_shutdown_what_is_in_memory_takes_the_place_of_the_ballast() {
    let Some(disk) = SmallDisk::mount(8 << 10) else { return };
    let toggle = Toggle::start().expect("a port on loopback");
    toggle.stop();
    let events = start(&toggle, disk.path(), |config| config.batch_timeout = PATIENCE);
    wait_for_ballast(&events, disk.path());
    disk.fill(0);
    emit(&events, Level::Info, 3_000);
    let report = events.shutdown(Duration::from_secs(5));
    assert_eq!((report.on_disk, report.dropped, report.complete), (3_000, 0, true), "{report:#?}");
    assert!(!has_ballast(disk.path()));
}

#[test]
fn at_the_shutdown_lighter_events_in_mixed_files_go_for_all_that_is_graver_in_memory() {
    let Some(disk) = SmallDisk::mount(16 << 10) else { return };
    let toggle = Toggle::start().expect("a port on loopback");
    toggle.stop();
    let events = start(&toggle, disk.path(), |config| {
        config.spool_max_bytes = 4 * QUOTA;
        config.durability = DurabilityMode::Process;
    });
    let has_ballast = || disk.path().join(".ballast").exists();
    wait_until(&events, PATIENCE, |_| has_ballast());
    assert!(has_ballast());
    let large = "x".repeat(800);
    let emit = |level, count| {
        for _ in 0..count {
            let payload = StoragePoolPayload::new(StoragePoolOperation::Created);
            events.emit_storage_pool(level, payload, [("padding", large.as_str())]);
        }
    };
    // All files are mixed.
    for _ in 0..12 {
        for _ in 0..125 {
            emit(Level::Info, 3);
            emit(Level::Error, 1);
        }
        let _ = events.flush(PATIENCE);
    }
    let stats = events.stats();
    assert_eq!((stats.on_disk, stats.dropped_total()), (6_000, 0), "{stats:#?}");
    disk.fill(0);
    // More than the room of the ballast.
    emit(Level::Error, 6_000);
    let report = events.shutdown(Duration::from_secs(30));
    assert_eq!(dropped(&report.stats, Level::Error), 0, "{report:#?}");
    assert!(dropped(&report.stats, Level::Info) > 0, "{report:#?}");
}

#[test]
fn on_a_disk_that_stays_full_lighter_events_go_for_graver_ones_as_long_as_there_are_any() {
    let Some(disk) = SmallDisk::mount(32 << 10) else { return };
    let toggle = Toggle::start().expect("a port on loopback");
    toggle.stop();
    let events = start(&toggle, disk.path(), |_| {});
    wait_for_ballast(&events, disk.path());
    for _ in 0..30 {
        for _ in 0..500 {
            emit(&events, Level::Info, 1);
            emit(&events, Level::Warn, 1);
        }
        wait_until(&events, PATIENCE, |stats| stats.in_memory == 0);
    }
    disk.fill(0);
    // More than memory holds, as fast as room is made, in files each of which must be written anew.
    for _ in 0..300 {
        emit(&events, Level::Error, 100);
        wait_until(&events, PATIENCE, |stats| stats.in_memory < 19_500);
    }
    let stats = events.stats();
    assert_eq!(dropped(&stats, Level::Error), 0, "{stats:#?}");
    assert!(dropped(&stats, Level::Info) > 5_000 && stats.balances(), "{stats:#?}");
    events.shutdown(Duration::from_secs(5));
}

#[test]
fn a_limit_on_the_size_of_files_does_not_end_the_process() {
    let (dir, toggle) = (TempDir::new().expect("a folder"), Toggle::start().expect("a port on loopback"));
    let mut agent = Command::new("sh")
        // In blocks of 512 bytes, or of 1 KiB: less than what is set aside on disk, more than anything else.
        .args(["-c", "ulimit -f 4096; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_agent"), &toggle.endpoint()])
        .arg(dir.path())
        .arg("1000")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("an agent");
    // Longer than until it looks around in its spool.
    std::thread::sleep(Duration::from_secs(5));
    let ended = agent.try_wait().expect("ours");
    let _ = agent.kill();
    let _ = agent.wait();
    assert_eq!(ended, None);
}
