//! A disk without a byte left, or nearly so: what it takes is the gravest, and what goes is the lightest.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use std::{
    fs::{self, Metadata},
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use events_sdk::{Config, DropReason, DurabilityMode, Events, Level, Stats, payload::*, testing::Toggle};
use events_tests::{SmallDisk, config, queue_number, wait_until};
use serde_json::Value;
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
    let mixed = |pairs| {
        for _ in 0..pairs {
            emit(&events, Level::Info, 1);
            emit(&events, Level::Warn, 1);
        }
        wait_until(&events, PATIENCE, |stats| stats.in_memory + stats.in_flight == 0);
    };
    // The oldest file, which Toggle is offered again and again, is one batch.
    mixed(50);
    (0..4).for_each(|_| mixed(500));
    mixed(450);
    let stats = events.stats();
    // A piece may be on its way to see whether Toggle is there.
    assert_eq!((stats.on_disk + stats.in_flight, stats.dropped_total()), (5_000, 0), "{stats:#?}");
    disk.fill(0);
    // As fast as room is made, until none is.
    for _ in 0..40 {
        emit(&events, Level::Warn, 100);
        let stats = wait_until(&events, Duration::from_secs(15), |stats| stats.in_memory < 1_800);
        if stats.in_memory >= 1_800 {
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
fn a_disk_that_had_little_room_at_the_start_takes_the_gravest_in_each_durability() {
    for &durability in DurabilityMode::ALL {
        let Some(disk) = SmallDisk::mount(8 << 10) else { return };
        let toggle = Toggle::start().expect("a port on loopback");
        toggle.stop();
        // Too little for the ballast, and for more than a few segments.
        disk.fill(400);
        let events = start(&toggle, disk.path(), |config| {
            (config.durability, config.batch_timeout) = (durability, Duration::from_secs(30));
        });
        for _ in 0..500 {
            emit(&events, Level::Info, 9);
            emit(&events, Level::Error, 1);
        }
        let report = events.shutdown(Duration::from_secs(5));
        assert_eq!(dropped(&report.stats, Level::Error), 0, "{durability:?}: {report:#?}");
        assert!(report.dropped > 0, "{durability:?}: {report:#?}");
        assert_eq!(report.on_disk + report.dropped, 5_000, "{durability:?}");
    }
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
    assert_eq!((stats.on_disk + stats.in_flight, stats.dropped_total()), (6_000, 0), "{stats:#?}");
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
fn where_the_disk_has_no_room_for_segments_events_go_on_in_memory_until_it_has() {
    for durability in [DurabilityMode::Process, DurabilityMode::Power] {
        let Some(disk) = SmallDisk::mount(8 << 10) else { return };
        let toggle = Toggle::start().expect("a port on loopback");
        toggle.stop();
        let events = start(&toggle, disk.path(), |config| {
            (config.durability, config.batch_timeout) = (durability, Duration::from_secs(600));
        });
        wait_for_ballast(&events, disk.path());
        disk.fill(0);
        (0..5_000).for_each(|number| assert!(queue_number(&events, number).is_queued()));
        let stats = events.stats();
        let why = stats.durability.degraded.clone().unwrap_or_default();
        assert!(why.contains("cannot make a segment"), "{durability:?}: {stats:#?}");
        assert!(stats.durability.unprotected > 0, "{durability:?}: {stats:#?}");
        assert_eq!((stats.in_memory, stats.dropped_total()), (5_000, 0), "{durability:?}: {stats:#?}");
        fs::remove_file(disk.path().join("filler")).expect("the filler");
        let stats = wait_until(&events, PATIENCE, |stats| stats.durability.degraded.is_none());
        assert_eq!(stats.durability.degraded, None, "{durability:?}");
        assert!(queue_number(&events, 5_000).is_queued());
        assert_eq!(events.stats().durability.unprotected, stats.durability.unprotected, "{durability:?}");
        let report = events.shutdown(PATIENCE);
        assert_eq!((report.on_disk, report.dropped, report.complete), (5_001, 0, true), "{report:#?}");
    }
}

/// An agent that may make no file larger than so many KiB.
struct LimitedAgent {
    process: Child,
    output: BufReader<ChildStdout>,
}

impl LimitedAgent {
    fn start(kib: usize, durability: DurabilityMode, toggle: &Toggle, spool: &Path) -> Self {
        let mut process = Command::new("bash")
            .args(["-c", &format!("ulimit -f {kib}; exec \"$@\""), "bash", env!("CARGO_BIN_EXE_agent")])
            .arg(toggle.endpoint())
            .arg(spool)
            .arg("1000")
            .env("AGENT_DURABILITY", durability.name())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("an agent");
        let output = BufReader::new(process.stdout.take().expect("its output"));
        Self { process, output }
    }

    /// Its accounts after a command, which must balance.
    fn read(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line");
        let stats: Value = serde_json::from_str(&line).unwrap_or_else(|_| {
            panic!("it said {line:?} and ended with {:?}", self.process.wait());
        });
        let count = |name: &str| stats[name].as_u64().expect("a number");
        let places = ["delivered", "in_memory", "in_flight", "on_disk", "quarantined", "dropped"];
        let there: u64 = places.iter().map(|name| count(name)).sum();
        assert_eq!(count("accepted") + count("adopted"), there, "{stats}");
        stats
    }

    fn ask(&mut self, command: &str) -> Value {
        let input = self.process.stdin.as_mut().expect("its input");
        writeln!(input, "{command}").expect("it lives");
        self.read()
    }
}

impl Drop for LimitedAgent {
    fn drop(&mut self) {
        // It has ended already unless the test failed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_limit_on_the_size_of_files_does_not_end_the_process_and_what_fits_is_used() {
    for durability in [DurabilityMode::Memory, DurabilityMode::Power] {
        for kib in [0, 4, 100, 300, 4096] {
            let dir = TempDir::new().expect("a folder");
            let toggle = Toggle::start().expect("a port on loopback");
            toggle.stop();
            let mut agent = LimitedAgent::start(kib, durability, &toggle, dir.path());
            agent.read();
            let mut stats = agent.ask("emit 0 3000");
            // From 4 KiB on there is a size that fits.
            let fits = kib > 4;
            for _ in 0..600 {
                if !fits || stats["on_disk"] == 3_000 {
                    break;
                }
                std::thread::sleep(Duration::from_millis(100));
                stats = agent.ask("stats");
            }
            assert!(!fits || stats["on_disk"] == 3_000, "{kib} KiB, {durability:?}: {stats}");
            if !fits {
                let number = |name: &str| stats[name].as_u64().expect("a number");
                let there = number("in_memory") + number("in_flight");
                assert_eq!(there, 3_000, "{kib} KiB, {durability:?}: {stats}");
            }
            let stats = agent.ask("shutdown 3000");
            assert_eq!(stats["in_memory"], 0, "{kib} KiB, {durability:?}: {stats}");
            drop(agent.process.stdin.take());
            let ended = agent.process.wait().expect("ours");
            assert!(ended.success(), "{kib} KiB, {durability:?}: {ended}");
            let sizes =
                fs::read_dir(dir.path()).expect("a folder").flatten().filter_map(|one| one.metadata().ok());
            let largest = sizes.filter(Metadata::is_file).map(|about| about.len()).max().unwrap_or(0);
            assert!(largest <= (kib as u64) << 10, "{largest} bytes, {kib} KiB, {durability:?}");
        }
    }
}
