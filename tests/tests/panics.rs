//! Panics in the delivery task and in the spool's thread, at every point: nothing is lost and the accounts balance.

#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use events_sdk::{
    Config, DropReason, DurabilityMode, Events, Stats, UplinkState,
    testing::{Mode, Toggle, faults_left, panic_at, panic_points, special_panic_points},
};
use events_tests::{NUMBER, Rig, assert_numbers, config, emit_number, share_of, storm, wait_until};

/// All of them over the points: a few thousand per point would be minutes in a debug build.
const EVENTS: usize = 20_000;
const LIMIT: Duration = Duration::from_secs(60);

/// So many times events go to disk during the outage, each time from memory and in a file of their own: more often than
/// any point is passed before it panics for the last time.
const BURSTS: usize = 6;

/// The points are the process's: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn a_panic_at_any_point_loses_nothing() {
    let points = panic_points();
    let each = EVENTS.div_ceil(points.len());
    let points = share_of(points.iter().copied().enumerate().collect(), "a_panic_at_any_point_loses_nothing");
    let _alone = alone();
    for (place, point) in points {
        let rig = Rig::with(|config| {
            config.batch_size = 20;
            config.batch_timeout = Duration::from_millis(20);
            config.retry_max = Duration::from_millis(200);
        });
        panic_at(point, place as u32 % 3, 3);
        storm(&rig.events, 0..each / 3, 20_000);
        // Away, so that events go to disk and come back.
        rig.toggle.set_mode(Mode::Unavailable);
        let (from, length) = (each / 3, each * 2 / 3 - each / 3);
        for burst in 0..BURSTS {
            let numbers = from + length * burst / BURSTS..from + length * (burst + 1) / BURSTS;
            storm(&rig.events, numbers, 20_000);
            let stats = wait_until(&rig.events, LIMIT, |stats| {
                stats.on_disk > 0 && stats.in_memory == 0 && stats.uplink.state != UplinkState::Up
            });
            assert!(stats.on_disk > 0 && stats.in_memory == 0, "{point}: {stats:#?}");
        }
        rig.toggle.set_mode(Mode::Ok);
        storm(&rig.events, each * 2 / 3..each, 20_000);
        let _ = rig.events.flush(LIMIT);
        rig.assert_all_delivered(each, LIMIT);
        let stats = wait_until(&rig.events, Duration::from_secs(10), |stats| {
            // Files are removed a moment later.
            stats.restarts == u64::from(3 - faults_left()) && stats.spool.files == 0
        });
        assert!(stats.balances(), "{point}: {stats:#?}");
        assert_eq!(stats.restarts, u64::from(3 - faults_left()), "{point}: {stats:#?}");
        assert!(stats.restarts > 0, "{point} was never passed");
        let report = rig.events.shutdown(Duration::from_secs(10));
        assert!(report.complete && report.dropped == 0, "{point}: {report:#?}");
        assert_numbers(&rig.toggle, each);
    }
    panic_at("", 0, 0);
}

/// What a killed process leaves: so many events in segments, and as many in spill files of one before it.
fn left_behind(toggle: &Toggle, spool: &Path, each: usize) {
    toggle.stop();
    let events = Events::start(config(toggle, spool)).unwrap();
    storm(&events, 0..each, 1_000_000);
    assert!(events.shutdown(LIMIT).complete);
    drop(events);
    let mut agent = Command::new(env!("CARGO_BIN_EXE_agent"))
        .args([&toggle.endpoint(), spool.to_str().unwrap(), "18000"])
        .env("AGENT_DURABILITY", DurabilityMode::Process.name())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(agent.stdout.take().unwrap()).lines();
    output.next().unwrap().unwrap();
    writeln!(agent.stdin.as_mut().unwrap(), "emit {each} {each}").unwrap();
    output.next().unwrap().unwrap();
    agent.kill().unwrap();
    agent.wait().unwrap();
    toggle.restart().unwrap();
}

/// Starts in what others left, with a panic waiting, and checks that everything arrives.
fn starts_in_what_is_left(point: &'static str) {
    let (toggle, spool) = (Toggle::start().unwrap(), tempfile::tempdir().unwrap());
    let each = 150;
    left_behind(&toggle, spool.path(), each);
    panic_at(point, 0, 1);
    let events = Events::start(config(&toggle, spool.path())).unwrap();
    assert!(toggle.wait_for_events(2 * each, LIMIT), "{point}: {:#?}", events.stats());
    assert_numbers(&toggle, 2 * each);
    let settled = |stats: &Stats| stats.spool.files == 0 && stats.lifetime.is_surveyed && faults_left() == 0;
    let stats = wait_until(&events, LIMIT, settled);
    assert!(settled(&stats) && stats.restarts == 1, "{point}: {stats:#?}");
    assert!(stats.lifetime.balances(), "{point}: {stats:#?}");
    assert_eq!((stats.delivered, stats.dropped_total()), (2 * each as u64, 0), "{point}: {stats:#?}");
    events.shutdown(LIMIT);
}

/// Emits with segments that are synced, with Toggle away and there.
fn syncs_and_spills(point: &'static str, panics: u32) {
    let rig = Rig::with(|config| {
        config.durability = DurabilityMode::Power;
        config.sync_interval = Duration::from_millis(10);
        config.batch_timeout = Duration::from_millis(20);
    });
    panic_at(point, 1, panics);
    let mut count = 0;
    for round in 0..100 {
        if round >= 6 && faults_left() == 0 {
            break;
        }
        rig.toggle.set_mode(if round % 2 == 0 { Mode::Unavailable } else { Mode::Ok });
        storm(&rig.events, count..count + 500, 5_000);
        count += 500;
    }
    rig.toggle.set_mode(Mode::Ok);
    rig.assert_all_delivered(count, LIMIT);
    finds_its_way_back(point, &rig, u64::from(panics));
}

fn finds_its_way_back(point: &str, rig: &Rig, panics: u64) {
    let settled = |stats: &Stats| faults_left() == 0 && stats.restarts == panics && stats.spool.files == 0;
    let stats = wait_until(&rig.events, LIMIT, settled);
    assert!(settled(&stats), "{point}, {} left: {stats:#?}", faults_left());
    let report = rig.events.shutdown(LIMIT);
    assert!(report.complete, "{point}: {report:#?}");
}

/// The directory cannot be opened, and then it can.
fn opens_late(point: &'static str) {
    let rig = Rig::with(|config| {
        config.spool_dir.push("events");
        fs::write(&config.spool_dir, "in the way").unwrap();
    });
    rig.toggle.stop();
    storm(&rig.events, 0..300, 1_000_000);
    panic_at(point, 0, 2);
    fs::remove_file(rig.spool.path().join("events")).unwrap();
    let stats = wait_until(&rig.events, LIMIT, |stats| stats.on_disk == 300);
    assert_eq!(stats.on_disk, 300, "{point}: {stats:#?}");
    rig.toggle.restart().unwrap();
    rig.assert_all_delivered(300, LIMIT);
    finds_its_way_back(point, &rig, 2);
}

fn small(config: &mut Config) {
    (config.buffer_size, config.flush_threshold) = (1_000, 500);
    config.buffer_bytes = 256 << 10;
    config.spool_max_bytes = 1 << 20;
    config.batch_timeout = Duration::from_millis(50);
}

/// The quota is reached: the oldest events go, each is counted, and the others arrive.
fn makes_room(point: &'static str) {
    let rig = Rig::with(small);
    rig.toggle.stop();
    panic_at(point, 1, 3);
    let count = 10_000;
    for number in 0..count {
        emit_number(&rig.events, number);
        if number % 100 == 0 {
            wait_until(&rig.events, Duration::from_secs(2), |stats| stats.in_memory < 600);
        }
    }
    let stats = wait_until(&rig.events, LIMIT, |_| faults_left() == 0);
    assert!(stats.dropped_for(DropReason::SpoolFull) > 0, "{point}: {stats:#?}");
    rig.toggle.restart().unwrap();
    let settled = |stats: &Stats| stats.delivered + stats.dropped_total() == stats.accepted;
    let stats = wait_until(&rig.events, LIMIT, settled);
    assert!(settled(&stats) && stats.adopted == 0, "{point}: {stats:#?}");
    assert_eq!(stats.dropped_for(DropReason::Vanished), 0, "{point}: {stats:#?}");
    assert_eq!((rig.toggle.repeated_event_ids(), rig.toggle.altered_repeats()), (0, 0), "{point}");
    finds_its_way_back(point, &rig, 3);
}

/// Toggle does not want one event.
fn sets_aside(point: &'static str) {
    let rig = Rig::with(|config| {
        config.batch_size = 20;
        config.batch_timeout = Duration::from_millis(20);
    });
    rig.toggle.refuse_when(|event| event.metadata.get(NUMBER).is_some_and(|number| number == "77"));
    panic_at(point, 0, 2);
    storm(&rig.events, 0..300, 100_000);
    let settled = |stats: &Stats| stats.delivered == 299 && stats.quarantined == 1;
    let stats = wait_until(&rig.events, LIMIT, settled);
    assert!(settled(&stats), "{point}: {stats:#?}");
    finds_its_way_back(point, &rig, 2);
}

/// Nothing happens, until it is looked whether somebody put a file there.
fn looks_around(point: &'static str) {
    let rig = Rig::start();
    panic_at(point, 0, 2);
    storm(&rig.events, 0..300, 100_000);
    rig.assert_all_delivered(300, LIMIT);
    finds_its_way_back(point, &rig, 2);
}

/// Files are delivered, and to be removed.
fn removes(point: &'static str) {
    let rig = Rig::start();
    rig.toggle.stop();
    storm(&rig.events, 0..300, 100_000);
    let stats = wait_until(&rig.events, LIMIT, |stats| stats.on_disk == 300);
    assert_eq!(stats.on_disk, 300, "{point}: {stats:#?}");
    panic_at(point, 0, 2);
    rig.toggle.restart().unwrap();
    rig.assert_all_delivered(300, LIMIT);
    finds_its_way_back(point, &rig, 2);
    assert_eq!(rig.spill_files(), Vec::<String>::new(), "{point}");
}

#[test]
fn a_panic_over_what_is_special_loses_nothing_either() {
    let points =
        share_of(special_panic_points().to_vec(), "a_panic_over_what_is_special_loses_nothing_either");
    let _alone = alone();
    for point in points {
        match point {
            "sync" => syncs_and_spills(point, 3),
            // More may not be needed later.
            "spool segments" => syncs_and_spills(point, 1),
            "spool adopt" | "spool examine" | "spool survey" => starts_in_what_is_left(point),
            "spool open" => opens_late(point),
            "spool thin" | "spool thinned" => makes_room(point),
            "spool set aside" | "spool is set aside" => sets_aside(point),
            "spool look around" => looks_around(point),
            "spool leave" => removes(point),
            other => panic!("{other} has no story here"),
        }
    }
    panic_at("", 0, 0);
}
