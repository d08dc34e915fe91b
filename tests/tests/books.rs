//! The books after what happens at bad moments: what the next process and `events spool accounts` say of a spool as a kill leaves it.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    fs,
    path::Path,
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use events_sdk::{
    Config, DropReason, DurabilityMode, Events, FlushOutcome, Level, Stats, Ticket, ToggleConfig,
    WaitOutcome,
    payload::{StoragePoolOperation, StoragePoolPayload},
    testing::{Mode, Toggle, faults_left, hang_at, let_go, limit_free_bytes},
};
use events_tests::{NUMBER, Rig, config, killed, numbers, spill_files, storm, storm_of, wait_until};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

/// What is broken is broken for the whole process: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn queue(events: &Events, level: Level, number: usize) -> Ticket {
    let payload = StoragePoolPayload::new(StoragePoolOperation::Created);
    events.emit_storage_pool(level, payload, [(NUMBER, number.to_string().as_str())])
}

fn dropped_of(events: &Events, level: Level) -> usize {
    let stats = events.stats();
    stats.dropped.iter().filter(|drop| drop.level == Some(level)).map(|drop| drop.count as usize).sum()
}

/// Exit code and output of `events spool accounts`.
fn accounts(dir: &Path) -> (Option<i32>, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_events-tool"))
        .args(["spool", "accounts", "--spool", dir.to_str().unwrap()])
        .env_clear()
        .output()
        .unwrap();
    let text = [out.stdout, out.stderr].concat();
    (out.status.code(), String::from_utf8(text).unwrap())
}

#[test]
fn dropped_events_are_not_called_settled_however_many_they_are() {
    const MANY: usize = 5_500;
    let _alone = alone();
    // Each is a batch of its own, of which fewer are remembered.
    let rig = Rig::with(|config| {
        (config.buffer_size, config.flush_threshold, config.batch_size) = (6_000, 5_999, 1);
        config.batch_timeout = Duration::from_secs(600);
        (config.retry_initial, config.retry_max) = (Duration::from_secs(60), Duration::from_secs(60));
    });
    rig.toggle.stop();
    queue(&rig.events, Level::Critical, 0);
    wait_until(&rig.events, PATIENCE, |stats| stats.on_disk == 1);
    limit_free_bytes(Some(0));
    // The oldest goes last.
    queue(&rig.events, Level::Warn, 1);
    let tickets: Vec<Ticket> = (0..MANY).map(|number| queue(&rig.events, Level::Info, number)).collect();
    assert!(tickets.iter().all(|ticket| ticket.is_queued()));
    let start = Instant::now();
    while dropped_of(&rig.events, Level::Warn) == 0 && start.elapsed() < PATIENCE {
        if !queue(&rig.events, Level::Error, 1_000).is_queued() {
            thread::sleep(Duration::from_millis(2));
        }
    }
    let dropped = dropped_of(&rig.events, Level::Info);
    assert!(dropped > 4_000, "{dropped}");
    limit_free_bytes(None);
    rig.toggle.restart().unwrap();
    assert_eq!(rig.events.flush(PATIENCE), FlushOutcome::Complete);
    let settled = tickets.iter().filter(|ticket| rig.events.wait(ticket, PATIENCE) == WaitOutcome::Settled);
    let settled = settled.count();
    assert!(settled <= MANY - dropped, "{settled} are called settled, and {dropped} of {MANY} were dropped");
}

#[test]
fn a_kill_counts_nothing_twice_though_more_files_were_offered_than_the_ledger_has_slots() {
    const REFUSED: usize = 300;
    const TAKEN: usize = 4_000;
    const ALL: u64 = (REFUSED + TAKEN) as u64;
    let _alone = alone();
    let (toggle, spool) = (Toggle::start().unwrap(), TempDir::new().unwrap());
    toggle.stop();
    let events = Events::start(Config {
        retry_initial: Duration::from_millis(1),
        retry_max: Duration::from_millis(10),
        batch_size: TAKEN,
        batch_timeout: Duration::from_secs(600),
        ..config(&toggle, spool.path())
    })
    .unwrap();
    for number in 0..REFUSED {
        queue(&events, Level::Info, number);
        assert_eq!(events.flush(PATIENCE), FlushOutcome::Complete);
    }
    storm(&events, REFUSED..REFUSED + TAKEN, 1_000_000);
    assert_eq!(events.flush(PATIENCE), FlushOutcome::Complete);
    let stats = wait_until(&events, PATIENCE, |stats| stats.on_disk == ALL);
    assert_eq!(stats.on_disk, ALL, "{stats:#?}");
    // A refused event stays in its file where the quarantine cannot be used.
    fs::write(spool.path().join("quarantine"), "").unwrap();
    toggle.refuse_when(|event| {
        event
            .metadata
            .get(NUMBER)
            .and_then(|text| text.parse().ok())
            .is_some_and(|number: usize| number < REFUSED)
    });
    toggle.restart().unwrap();
    let stats = wait_until(&events, 5 * PATIENCE, |stats| stats.delivered >= 125);
    assert!(stats.delivered >= 125, "{stats:#?}");
    toggle.set_mode(Mode::Hang);
    thread::sleep(Duration::from_millis(300));
    assert!(events.stats().delivered < TAKEN as u64, "a part of the file is left");
    let dead = killed(spool.path());
    events.shutdown(Duration::ZERO);

    let toggle = Toggle::start().unwrap();
    let next = Events::start(config(&toggle, dead.path())).unwrap();
    let is_done = |stats: &Stats| {
        stats.lifetime.is_surveyed && stats.spool.files == 0 && stats.in_flight + stats.on_disk == 0
    };
    let lifetime = wait_until(&next, PATIENCE, is_done).lifetime;
    assert_eq!((lifetime.accepted, lifetime.delivered), (ALL, ALL), "{lifetime:#?}");
}

#[test]
fn a_file_that_is_removed_after_a_kill_during_the_start_is_missing() {
    let _alone = alone();
    let (toggle, spool) = (Toggle::start().unwrap(), TempDir::new().unwrap());
    toggle.stop();
    let events = Events::start(config(&toggle, spool.path())).unwrap();
    for hundred in 0..3 {
        storm(&events, hundred * 100..(hundred + 1) * 100, 1_000_000);
        assert_eq!(events.flush(PATIENCE), FlushOutcome::Complete);
    }
    assert_eq!(events.shutdown(PATIENCE).on_disk, 300);
    drop(events);
    hang_at("spool examine");
    let events = Events::start(config(&toggle, spool.path())).unwrap();
    queue(&events, Level::Error, 1_000);
    wait_until(&events, PATIENCE, |stats| stats.uplink.attempts_failed > 0);
    let dead = killed(spool.path());
    let_go();
    events.shutdown(PATIENCE);
    fs::remove_file(dead.path().join(&spill_files(dead.path())[0])).unwrap();
    let (code, text) = accounts(dead.path());
    assert_eq!(code, Some(1), "{text}");
    let next = Events::start(config(&toggle, dead.path())).unwrap();
    let stats = wait_until(&next, PATIENCE, |stats| stats.lifetime.is_surveyed);
    assert_eq!(stats.lifetime.dropped_for(DropReason::Vanished), 100, "{stats:#?}");
}

#[test]
fn what_was_dropped_for_room_just_before_a_kill_is_not_told_as_removed_by_somebody() {
    let _alone = alone();
    let (toggle, spool) = (Toggle::start().unwrap(), TempDir::new().unwrap());
    toggle.stop();
    let events = Events::start(Config {
        buffer_size: 1_000,
        flush_threshold: 500,
        batch_size: 100,
        buffer_bytes: 400 << 10,
        spool_max_bytes: 1 << 20,
        spool_min_free_bytes: 0,
        batch_timeout: Duration::from_millis(50),
        ..config(&toggle, spool.path())
    })
    .unwrap();
    // Done, and not in the books.
    hang_at("spool thinned");
    for round in 0..200 {
        let level = |number: usize| if number.is_multiple_of(2) { Level::Info } else { Level::Warn };
        storm_of(&events, round * 100..(round + 1) * 100, 20_000, level);
        wait_until(&events, Duration::from_millis(500), |stats| stats.in_memory < 600);
        if faults_left() == 0 {
            break;
        }
    }
    assert_eq!(faults_left(), 0, "no room had to be made");
    let dead = killed(spool.path());
    let_go();
    events.shutdown(PATIENCE);
    let (code, text) = accounts(dead.path());
    assert!(code == Some(0) && !text.contains("put them back"), "{text}");
}

#[test]
fn a_batch_that_was_too_large_out_of_a_segment_comes_under_its_own_id_alone_after_a_kill() {
    const ALL: usize = 40;
    let _alone = alone();
    // Half of the batch is not too large. The first half is refused, and of the other one nothing is heard.
    let toggle = Toggle::builder().max_message_bytes(8 << 10).start().unwrap();
    toggle.refuse_when(|event| event.metadata.get(NUMBER).is_some_and(|number| number == "7"));
    toggle.set_mode(Mode::Hang);
    let spool = TempDir::new().unwrap();
    let patient = |toggle: &Toggle, spool: &Path| Config {
        durability: DurabilityMode::Process,
        batch_size: ALL,
        batch_timeout: Duration::from_secs(600),
        // What is refused is not halved once more before the process ends.
        retry_initial: Duration::from_secs(5),
        retry_max: Duration::from_secs(10),
        toggle: ToggleConfig { timeout: Duration::from_secs(60), ..config(toggle, spool).toggle },
        ..config(toggle, spool)
    };
    let events = Events::start(patient(&toggle, spool.path())).unwrap();
    let text = "x".repeat(200);
    let payload =
        StoragePoolPayload { pool_name: &text, ..StoragePoolPayload::new(StoragePoolOperation::Created) };
    for number in 0..ALL {
        let _ = events.emit_storage_pool(Level::Info, payload, [(NUMBER, number.to_string().as_str())]);
    }
    let is_there = |stats: &Stats| toggle.attempts() >= 2 && stats.spool.files > 0;
    let stats = wait_until(&events, PATIENCE, is_there);
    assert!(is_there(&stats) && stats.delivered == 0, "{stats:#?}");
    let dead = killed(spool.path());

    // One that takes all of it at once: what came under two ids shows there.
    let other = Toggle::start().unwrap();
    let next = Events::start(patient(&other, dead.path())).unwrap();
    let is_done = |stats: &Stats| {
        stats.lifetime.is_surveyed && stats.spool.files == 0 && stats.in_flight + stats.on_disk == 0
    };
    let stats = wait_until(&next, PATIENCE, is_done);
    let lifetime = &stats.lifetime;
    assert_eq!((lifetime.accepted, lifetime.delivered), (ALL as u64, ALL as u64), "{stats:#?}");
    assert_eq!((other.unique_events(), other.batches().len()), (ALL, 1), "{stats:#?}");
    assert_eq!((other.repeated_event_ids(), lifetime.dropped_total()), (0, 0), "{stats:#?}");
}

#[test]
fn a_refused_batch_in_a_segment_stays_whole_while_the_disk_takes_nothing_and_comes_once_after_a_kill() {
    const BAD: usize = 77;
    const ALL: u64 = 500;
    let _alone = alone();
    let rig = Rig::with(|config| {
        config.durability = DurabilityMode::Process;
        config.retry_max = Duration::from_millis(200);
    });
    // There are segments by now.
    queue(&rig.events, Level::Info, 0);
    wait_until(&rig.events, PATIENCE, |stats| stats.delivered == 1);
    limit_free_bytes(Some(0));
    let is_bad = |number: &String| number.parse() == Ok(BAD);
    rig.toggle.refuse_when(move |event| event.metadata.get(NUMBER).is_some_and(is_bad));
    storm(&rig.events, 1..ALL as usize, 1_000_000);
    let others_are_gone =
        |stats: &Stats| stats.delivered >= ALL - 100 && stats.delivered + stats.in_memory == ALL;
    let stats = wait_until(&rig.events, PATIENCE, others_are_gone);
    assert!(others_are_gone(&stats), "{stats:#?}");
    let dead = killed(rig.spool.path());
    limit_free_bytes(None);
    let (code, text) = accounts(dead.path());
    assert!(code == Some(0) && !text.contains("more are there"), "{text}");

    let toggle = Toggle::start().unwrap();
    let next = Events::start(config(&toggle, dead.path())).unwrap();
    let is_done = |stats: &Stats| {
        stats.lifetime.is_surveyed && stats.spool.files == 0 && stats.in_flight + stats.on_disk == 0
    };
    let stats = wait_until(&next, PATIENCE, is_done);
    let lifetime = &stats.lifetime;
    assert_eq!((lifetime.accepted, lifetime.delivered), (ALL, ALL), "{stats:#?}");
    assert_eq!((toggle.repeated_event_ids(), lifetime.dropped_total()), (0, 0), "{stats:#?}");

    // Of the one that was not killed only the event that Toggle refuses stays behind, now that the disk takes something.
    let is_settled = |stats: &Stats| stats.delivered + stats.quarantined == ALL;
    let stats = wait_until(&rig.events, PATIENCE, is_settled);
    assert_eq!((stats.delivered, stats.quarantined, stats.dropped_total()), (ALL - 1, 1, 0), "{stats:#?}");
}

#[test]
fn events_that_were_cut_off_a_segment_are_not_called_on_disk() {
    let _alone = alone();
    let rig = Rig::with(|config| {
        config.durability = DurabilityMode::Process;
        config.batch_timeout = Duration::from_secs(600);
    });
    rig.toggle.stop();
    let has_segments = |stats: &Stats| stats.lifetime.is_surveyed && stats.durability.segment_bytes > 0;
    wait_until(&rig.events, PATIENCE, has_segments);
    storm(&rig.events, 0..50, 1_000_000);
    let dead = killed(rig.spool.path());
    for entry in fs::read_dir(dead.path().join("segments")).unwrap() {
        let file = fs::OpenOptions::new().write(true).open(entry.unwrap().path()).unwrap();
        file.set_len(file.metadata().unwrap().len().min(4_000)).unwrap();
    }
    let (_, text) = accounts(dead.path());
    let on_disk = text.lines().find_map(|line| line.trim().strip_prefix("on disk")).unwrap();
    let on_disk: u64 = on_disk.trim().parse().unwrap();
    let next = Events::start(config(&rig.toggle, dead.path())).unwrap();
    let stats = wait_until(&next, PATIENCE, |stats| stats.lifetime.is_surveyed);
    let lost = stats.lifetime.dropped_total();
    assert!(lost > 0 && on_disk == 50 - lost, "{on_disk} on disk, {lost} lost: {text}");
}

#[test]
fn a_spool_that_can_be_opened_only_later_is_used_though_its_accounts_are_no_file() {
    let _alone = alone();
    let (toggle, around) = (Toggle::start().unwrap(), TempDir::new().unwrap());
    toggle.stop();
    let (made, later) = (around.path().join("made"), around.path().join("later"));
    let events = Events::start(config(&toggle, &made)).unwrap();
    storm(&events, 0..100, 1_000_000);
    assert_eq!(events.shutdown(PATIENCE).on_disk, 100);
    drop(events);
    fs::remove_file(made.join(".accounts")).unwrap();
    fs::create_dir(made.join(".accounts")).unwrap();
    toggle.restart().unwrap();
    fs::write(&later, "a file").unwrap();
    let events = Events::start(config(&toggle, &later)).unwrap();
    assert!(events.stats().spool.broken.is_some());
    fs::remove_file(&later).unwrap();
    fs::rename(&made, &later).unwrap();
    let stats = wait_until(&events, PATIENCE, |stats| stats.delivered == 100);
    assert_eq!((stats.delivered, stats.spool.broken.clone()), (100, None), "{stats:#?}");
    events.shutdown(PATIENCE);
}

/// A batch that is in flight when the process ends is in a spill file, and was in a segment.
#[test]
fn what_is_pruned_does_not_come_back_out_of_the_segment_that_it_was_copied_from() {
    let (toggle, spool) = (Toggle::start().unwrap(), TempDir::new().unwrap());
    let config_of = |toggle: &Toggle| Config {
        durability: DurabilityMode::Process,
        batch_size: 100,
        ..config(toggle, spool.path())
    };
    let events = Events::start(config_of(&toggle)).unwrap();
    storm(&events, 0..1, 1_000);
    assert_eq!(wait_until(&events, PATIENCE, |stats| stats.delivered == 1).delivered, 1);
    toggle.set_mode(Mode::Hang);
    storm(&events, 1..101, 1_000_000);
    wait_until(&events, PATIENCE, |stats| stats.in_flight == 100);
    assert_eq!(events.shutdown(Duration::from_millis(400)).on_disk, 100);
    drop(events);
    toggle.stop();
    let tool = Command::new(env!("CARGO_BIN_EXE_events-tool"))
        .args(["spool", "prune", "--below", "error", "--yes", "--spool"])
        .arg(spool.path())
        .env_clear()
        .output()
        .unwrap();
    assert!(tool.status.success(), "{tool:?}");
    let (code, said) = accounts(spool.path());
    assert_eq!(code, Some(0), "{said}");
    let next = Toggle::start().unwrap();
    let events = Events::start(config_of(&next)).unwrap();
    let is_settled = |stats: &Stats| {
        let all = &stats.lifetime;
        all.is_surveyed && all.accepted == all.delivered + all.dropped_total()
    };
    let stats = wait_until(&events, PATIENCE, is_settled);
    assert!(is_settled(&stats) && stats.lifetime.dropped_total() == 100, "{stats:#?}");
    events.shutdown(PATIENCE);
    assert_eq!(numbers(&next), Vec::<usize>::new(), "they were pruned");
}
