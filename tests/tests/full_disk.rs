//! A disk that is full for a while: what waits goes to it as soon as it has room again, and nothing is dropped for room
//! that there is.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    fs,
    path::Path,
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use events_sdk::{Config, DurabilityMode, Events, Level, Stats, payload::*, testing::Toggle};
use events_tests::{NUMBER, Rig, config, emit_number, storm, storm_of, wait_until};

const PATIENCE: Duration = Duration::from_secs(20);

/// All disks of this process are full at once: one test at a time.
static DISKS: Mutex<()> = Mutex::new(());

struct Disk {
    _mine: MutexGuard<'static, ()>,
}

impl Disk {
    fn mine() -> Self {
        Self { _mine: DISKS.lock().unwrap_or_else(PoisonError::into_inner) }
    }

    fn fill(&self) {
        events_sdk::testing::limit_free_bytes(Some(0));
    }

    fn clear(&self) {
        events_sdk::testing::limit_free_bytes(None);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.clear();
    }
}

fn keeps_some_free(config: &mut Config) {
    config.spool_min_free_bytes = 1 << 20;
    config.spool_max_bytes = 100 << 20;
    (config.buffer_size, config.flush_threshold) = (10_000, 4_000);
}

fn is_on_disk(stats: &Stats) -> bool {
    stats.in_memory == 0 && stats.in_flight == 0
}

/// Emits events while the disk is full, until that has been noticed.
fn notice(events: &Events, disk: &Disk) {
    disk.fill();
    for number in 0..100 {
        emit_number(events, number);
    }
    let stats = wait_until(events, PATIENCE, |stats| stats.spool.broken.is_some());
    let why = stats.spool.broken.unwrap_or_default();
    assert!(why.contains("spool_min_free_bytes"), "{why}");
    disk.clear();
}

/// Emits events while the disk takes all of them.
fn fill(events: &Events, count: usize) {
    for start in (0..count).step_by(2_000) {
        storm(events, start..start + 2_000, 50_000);
        let stats = wait_until(events, PATIENCE, is_on_disk);
        assert!(is_on_disk(&stats), "{stats:#?}");
    }
    assert_eq!(events.stats().on_disk, count as u64);
}

#[test]
fn a_disk_that_was_full_for_a_moment_is_used_again_and_nothing_is_dropped() {
    let disk = Disk::mine();
    let rig = Rig::with(keeps_some_free);
    rig.toggle.stop();
    fill(&rig.events, 20_000);
    notice(&rig.events, &disk);
    let stats = wait_until(&rig.events, PATIENCE, is_on_disk);
    assert_eq!((stats.on_disk, stats.spool.broken), (20_100, None));
    notice(&rig.events, &disk);
    // Memory fills up before it has been tried again.
    storm(&rig.events, 0..4_800, 20_000);
    let stats = wait_until(&rig.events, PATIENCE, is_on_disk);
    assert_eq!((stats.on_disk, stats.dropped_total()), (25_000, 0), "{stats:#?}");
}

#[test]
fn a_disk_that_stays_full_costs_nothing_while_memory_has_room_and_no_backlog_in_vain() {
    let disk = Disk::mine();
    let rig = Rig::with(keeps_some_free);
    rig.toggle.stop();
    fill(&rig.events, 20_000);
    disk.fill();
    storm(&rig.events, 0..8_500, 50_000);
    let stats = wait_until(&rig.events, Duration::from_secs(4), |stats| stats.dropped_total() > 0);
    assert_eq!((stats.dropped_total(), stats.in_memory), (0, 8_500), "{stats:#?}");
    // What is freed does not stay free, so that is not tried again.
    storm(&rig.events, 0..6_000, 5_000);
    let stats = wait_until(&rig.events, Duration::from_secs(4), |stats| stats.on_disk < 10_000);
    assert!(stats.on_disk > 10_000 && stats.dropped_total() > 3_000, "{stats:#?}");
    disk.clear();
    let stats = wait_until(&rig.events, PATIENCE, is_on_disk);
    assert!(is_on_disk(&stats) && stats.spool.broken.is_none(), "{stats:#?}");
}

#[test]
fn a_disk_that_has_room_again_is_noticed_while_toggle_is_there_and_takes_what_toggle_refuses() {
    let disk = Disk::mine();
    let rig = Rig::with(|config| {
        keeps_some_free(config);
        config.batch_timeout = Duration::from_millis(20);
    });
    rig.toggle.stop();
    disk.fill();
    (0..100).for_each(|number| emit_number(&rig.events, number));
    let stats = wait_until(&rig.events, PATIENCE, |stats| stats.spool.broken.is_some());
    assert!(stats.spool.broken.is_some(), "{stats:#?}");
    rig.toggle.restart().expect("the same port");
    wait_until(&rig.events, PATIENCE, |stats| stats.delivered == 100);
    disk.clear();
    let stats = wait_until(&rig.events, PATIENCE, |stats| stats.spool.broken.is_none());
    assert_eq!((stats.delivered, stats.spool.broken), (100, None));
    rig.toggle.refuse_when(|event| event.metadata.get(NUMBER).is_some_and(|number| number == "777"));
    for number in 700..1_500 {
        emit_number(&rig.events, number);
        std::thread::sleep(Duration::from_millis(1));
    }
    let set_aside = |stats: &Stats| stats.quarantined == 1 && stats.delivered == 899;
    let stats = wait_until(&rig.events, PATIENCE, set_aside);
    assert!(set_aside(&stats), "{stats:#?}");
}

#[test]
fn a_shutdown_right_after_the_disk_was_full_puts_all_of_it_there() {
    let disk = Disk::mine();
    let rig = Rig::with(keeps_some_free);
    rig.toggle.stop();
    for _ in 0..200 {
        let payload = StoragePoolPayload::new(StoragePoolOperation::Created);
        rig.events.emit_storage_pool(Level::Error, payload, ());
    }
    wait_until(&rig.events, PATIENCE, is_on_disk);
    notice(&rig.events, &disk);
    let report = rig.events.shutdown(Duration::from_secs(5));
    assert_eq!((report.on_disk, report.dropped, report.complete), (300, 0, true), "{report:#?}");
}

#[test]
fn segments_of_a_killed_process_are_taken_over_when_the_disk_has_room_again() {
    const LEFT: usize = 90;
    let disk = Disk::mine();
    for durability in [DurabilityMode::Process, DurabilityMode::Power] {
        let toggle = Toggle::start().expect("a port on loopback");
        toggle.stop();
        let (killed, spool) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let process = |dir| {
            let mut config = config(&toggle, dir);
            keeps_some_free(&mut config);
            config.durability = durability;
            config
        };
        // As one that was killed leaves them: a copy of what one has that still lives.
        let first =
            Events::start(Config { batch_timeout: Duration::from_secs(600), ..process(killed.path()) })
                .unwrap();
        (0..LEFT).for_each(|number| emit_number(&first, number));
        let segments = spool.path().join("segments");
        fs::create_dir(&segments).unwrap();
        for segment in fs::read_dir(killed.path().join("segments")).unwrap().map(Result::unwrap) {
            fs::copy(segment.path(), segments.join(segment.file_name())).unwrap();
        }

        disk.fill();
        toggle.restart().expect("the same port");
        let second = Events::start(process(spool.path())).unwrap();
        let stats = wait_until(&second, PATIENCE, |stats| stats.spool.stuck > 0);
        assert!(stats.spool.stuck > 0 && !stats.lifetime.is_surveyed, "{durability:?}: {stats:#?}");
        disk.clear();
        // Toggle was never away for it.
        let stats = wait_until(&second, PATIENCE, |stats| {
            stats.delivered == LEFT as u64 && stats.lifetime.is_surveyed
        });
        assert_eq!((stats.delivered, stats.spool.stuck), (LEFT as u64, 0), "{durability:?}: {stats:#?}");
        assert!(stats.lifetime.is_surveyed && stats.lifetime.balances(), "{durability:?}: {stats:#?}");
    }
}

/// What `events spool accounts` says of a spool.
fn accounts_of(dir: &Path) -> serde_json::Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_events-tool"));
    let said = command.env_clear().args(["spool", "accounts", "--json"]).arg(dir).output().unwrap();
    serde_json::from_slice(&said.stdout).expect("one JSON object")
}

#[test]
fn what_a_killed_process_had_in_memory_is_not_said_to_be_in_that_of_the_next_one_before_it_has_looked() {
    const LOST: u64 = 3;
    let disk = Disk::mine();
    let toggle = Toggle::start().expect("a port on loopback");
    toggle.stop();
    let (killed, spool) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let process = |dir| {
        let mut config = config(&toggle, dir);
        keeps_some_free(&mut config);
        Config { durability: DurabilityMode::Process, batch_timeout: Duration::from_secs(600), ..config }
    };
    let first = Events::start(process(killed.path())).unwrap();
    (0..90).for_each(|number| emit_number(&first, number));
    fs::create_dir(spool.path().join("segments")).unwrap();
    for segment in fs::read_dir(killed.path().join("segments")).unwrap().map(Result::unwrap) {
        fs::copy(segment.path(), spool.path().join("segments").join(segment.file_name())).unwrap();
    }
    // So many the accounts have in no segment.
    (0..LOST as usize).for_each(|number| emit_number(&first, number));
    fs::copy(killed.path().join(".accounts"), spool.path().join(".accounts")).unwrap();

    disk.fill();
    let second = Events::start(process(spool.path())).unwrap();
    let stats = wait_until(&second, PATIENCE, |stats| stats.spool.stuck > 0);
    assert!(!stats.lifetime.is_surveyed, "{stats:#?}");
    let said = accounts_of(spool.path());
    let memory = format!("{LOST} events are in the memory of process {}", std::process::id());
    assert_eq!(
        (&said["in_memory_or_lost"], &said["on_disk"], &said["surveyed"]),
        (&LOST.into(), &90.into(), &false.into()),
        "{said}"
    );
    let verdict = said["verdict"].as_str().unwrap();
    let or = format!("{memory}, or were in that of an earlier one and lost with it");
    assert!(verdict.contains(&or), "{verdict}");
    disk.clear();
    let stats = wait_until(&second, PATIENCE, |stats| stats.lifetime.is_surveyed);
    assert_eq!(stats.lifetime.dropped_total(), LOST, "{stats:#?}");
    let said = accounts_of(spool.path());
    assert_eq!(
        (&said["in_memory_or_lost"], &said["dropped"], &said["surveyed"], &said["verdict"]),
        (&0.into(), &LOST.into(), &true.into(), &"the accounts balance".into()),
        "{said}"
    );
}

#[test]
fn errors_take_the_place_of_lighter_events_in_segments_while_the_disk_is_full() {
    let disk = Disk::mine();
    for durability in [DurabilityMode::Process, DurabilityMode::Power] {
        let rig = Rig::with(|config| {
            keeps_some_free(config);
            (config.buffer_size, config.flush_threshold) = (2_000, 1_000);
            config.durability = durability;
        });
        rig.toggle.stop();
        disk.fill();
        for _ in 0..5 {
            storm(&rig.events, 0..500, 1_000_000);
            std::thread::sleep(Duration::from_millis(200));
        }
        let stats = wait_until(&rig.events, PATIENCE, |stats| stats.spool.broken.is_some());
        assert!(stats.spool.broken.is_some() && stats.in_memory > 1_500, "{stats:#?}");
        for _ in 0..3 {
            storm_of(&rig.events, 0..500, 1_000_000, |_| Level::Error);
            // However often writing is tried in vain meanwhile.
            std::thread::sleep(Duration::from_millis(700));
        }
        let stats = rig.events.stats();
        let errors = stats.dropped.iter().filter(|drop| drop.level == Some(Level::Error));
        assert_eq!(errors.map(|drop| drop.count).sum::<u64>(), 0, "{durability:?}: {stats:#?}");
        disk.clear();
        rig.toggle.restart().expect("the same port");
        let all_went = |stats: &Stats| stats.delivered + stats.dropped_total() == stats.accepted;
        let stats = wait_until(&rig.events, PATIENCE, all_went);
        assert!(all_went(&stats), "{stats:#?}");
    }
}
