//! Syncs that fail: nothing is called durable that is not, nothing is lost, and it works again when the disk does.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::BTreeSet,
    fs,
    ops::Range,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
    time::{Duration, Instant},
};

use events_sdk::{
    Batch, Config, DropReason, Durability, DurabilityMode, ErrorKind, Events, Kind, Level, Outcome, Stats,
    Ticket, Uplink, WaitOutcome, kinds,
    payload::{StoragePoolOperation, StoragePoolPayload},
    testing::{Mode, fail_at, faults_left, hang_at, let_go, limit_free_bytes},
    uplink::SendFuture,
};
use events_tests::{NUMBER, Rig, assert_numbers, config, config_for, queue_number, storm, wait_until};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);
/// So long the emitter of a synced kind waits at most.
const EMITTER_PATIENCE: Duration = Duration::from_secs(5);
/// More often than anything is tried here.
const ALWAYS: u32 = u32::MAX;

/// Faults are the process's: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn power(config: &mut Config) {
    config.durability = DurabilityMode::Power;
    config.sync_interval = Duration::from_secs(3600);
    config.batch_timeout = Duration::from_secs(600);
}

/// Emits an event of a kind whose emitter waits for stable storage.
fn emit_synced(events: &Events, number: usize) -> Ticket {
    // Kinds live as long as the program.
    let kind: &'static Kind =
        Box::leak(Box::new(Kind { durability: Durability::Sync, ..kinds::storage_pool::KIND }));
    let text = number.to_string();
    let payload = StoragePoolPayload::new(StoragePoolOperation::Created);
    events.__emit(kind, Level::Info, &payload, [(NUMBER, text.as_str())])
}

fn segments(rig: &Rig) -> BTreeSet<PathBuf> {
    let folder = fs::read_dir(rig.spool.path().join("segments")).unwrap();
    folder.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn a_segment_whose_sync_failed_is_never_believed_again() {
    let _alone = alone();
    for sync in ["sync segment", "sync segments"] {
        let rig = Rig::with(power);
        rig.toggle.stop();
        // Nothing that there is now may be used for what comes after the failure.
        assert!(queue_number(&rig.events, 0).is_queued());
        let before = segments(&rig);
        fail_at(sync, 0, 1);
        let ticket = emit_synced(&rig.events, 1);
        assert_eq!(faults_left(), 0, "{sync}");
        // What failed leaves memory at once, as a spill file here, and before that it is not called durable.
        let stats = rig.events.stats();
        assert!(ticket.is_durable(), "{sync}: {stats:#?}");
        assert_eq!((stats.on_disk, stats.in_memory + stats.in_flight), (2, 0), "{sync}: {stats:#?}");
        let why = stats.durability.degraded.clone().unwrap_or_default();
        assert!(why.contains("cannot sync a segment"), "{sync}: {stats:#?}");

        // The disk works again: that is shown, and what comes in is durable, in new segments.
        let ticket = emit_synced(&rig.events, 2);
        assert!(ticket.is_durable(), "{sync}: {:#?}", rig.events.stats());
        // It may have gone to a file before its segment was synced.
        let stats = wait_until(&rig.events, PATIENCE, |stats| stats.durability.degraded.is_none());
        assert_eq!((stats.durability.degraded, stats.durability.unprotected), (None, 0), "{sync}");
        wait_until(&rig.events, PATIENCE, |_| segments(&rig).is_disjoint(&before));
        assert!(segments(&rig).is_disjoint(&before), "{sync}: a segment that failed is still there");

        rig.toggle.restart().unwrap();
        let _ = rig.events.flush(PATIENCE);
        rig.assert_all_delivered(3, PATIENCE);
    }
    let_go();
}

#[test]
fn while_nothing_can_be_synced_nothing_is_called_durable_and_nothing_is_lost() {
    let _alone = alone();
    let rig = Rig::with(|config| {
        power(config);
        config.toggle.timeout = Duration::from_secs(10);
    });
    // It is there, and answers nothing: what is sent is neither acknowledged nor written.
    rig.toggle.set_mode(Mode::Hang);
    fail_at("sync segment", 0, ALWAYS);
    emit_in_vain(&rig.events, 0..50, "hangs");
    assert!(rig.events.stats().durability.degraded.is_some());
    rig.toggle.set_mode(Mode::Ok);
    // Waiting for one is still possible: Toggle has it then.
    let ticket = queue_number(&rig.events, 50);
    assert_eq!(rig.events.wait(&ticket, PATIENCE), WaitOutcome::Settled);
    assert_eq!(rig.events.stats().in_memory, 0);
    assert!(emit_synced(&rig.events, 51).is_durable(), "{:#?}", rig.events.stats());
    let_go();
    // Toggle may have one before it is synced.
    let last = (52..152).find(|&number| {
        assert!(emit_synced(&rig.events, number).is_durable());
        rig.events.stats().durability.degraded.is_none()
    });
    let last = last.unwrap_or_else(|| panic!("{:#?}", rig.events.stats()));
    let _ = rig.events.flush(PATIENCE);
    rig.assert_all_delivered(last + 1, PATIENCE);
}

/// Emits events of which neither disk nor Toggle takes any: the first one's emitter waits for them, and no other does. Gives the
/// last one's ticket.
fn emit_in_vain(events: &Events, numbers: Range<usize>, why: &str) -> Ticket {
    let start = Instant::now();
    let tickets: Vec<Ticket> = numbers.map(|number| emit_synced(events, number)).collect();
    let took = start.elapsed();
    assert!(took >= EMITTER_PATIENCE && took < EMITTER_PATIENCE * 2, "{why}: {took:?}");
    assert!(tickets.iter().all(|ticket| ticket.is_queued() && !ticket.is_durable()), "{why}: {tickets:?}");
    *tickets.last().unwrap()
}

const HANGS: &str = "a sync hangs";
const NO_SEGMENTS: &str = "there are no segments";
/// Why an event cannot be synced.
const TROUBLES: [&str; 3] = ["a sync fails", HANGS, NO_SEGMENTS];

fn break_syncs(trouble: &str) {
    if trouble == HANGS {
        hang_at("sync segment");
    } else {
        fail_at("sync segment", 0, ALWAYS);
    }
}

/// Has something else stand where the folder of segments would be.
fn no_segments(config: &Config) {
    fs::write(config.spool_dir.join("segments"), "in the way").unwrap();
}

#[test]
fn where_nothing_can_be_synced_the_emitter_of_a_synced_kind_waits_for_toggle_or_a_spill_file() {
    let _alone = alone();
    for trouble in TROUBLES {
        let rig = Rig::with(|config| {
            power(config);
            if trouble == NO_SEGMENTS {
                no_segments(config);
            }
        });
        break_syncs(trouble);
        assert!(emit_synced(&rig.events, 0).is_durable(), "{trouble}: {:#?}", rig.events.stats());
        assert_eq!(rig.toggle.unique_events(), 1, "{trouble}");
        let ticket = queue_number(&rig.events, 1);
        assert_eq!(rig.events.wait(&ticket, PATIENCE), WaitOutcome::Settled, "{trouble}");
        assert_eq!(rig.toggle.unique_events(), 2, "{trouble}");
        rig.toggle.stop();
        assert!(emit_synced(&rig.events, 2).is_durable(), "{trouble}: {:#?}", rig.events.stats());
        assert_eq!((rig.events.stats().on_disk, rig.spill_files().len()), (1, 1), "{trouble}");
        let unprotected = rig.events.stats().durability.unprotected;
        assert_eq!(unprotected, if trouble == NO_SEGMENTS { 3 } else { 0 }, "{trouble}: what it is about");
        let_go();
        rig.toggle.restart().unwrap();
        rig.assert_all_delivered(3, PATIENCE);
    }
}

#[test]
fn where_neither_disk_nor_toggle_takes_anything_one_emitter_waits_in_vain_and_others_when_something_settles()
{
    let _alone = alone();
    for trouble in TROUBLES {
        let rig = Rig::with(|config| {
            power(config);
            (config.retry_initial, config.retry_max) =
                (Duration::from_millis(50), Duration::from_millis(200));
            if trouble == NO_SEGMENTS {
                no_segments(config);
            }
        });
        rig.toggle.stop();
        // For the first batch a segment is ready.
        limit_free_bytes(Some(0));
        break_syncs(trouble);
        let last = emit_in_vain(&rig.events, 0..50, trouble);
        rig.toggle.restart().unwrap();
        assert_eq!(rig.events.wait(&last, PATIENCE), WaitOutcome::Settled, "{trouble}");
        rig.assert_all_delivered(50, PATIENCE);
        assert!(emit_synced(&rig.events, 50).is_durable(), "{trouble}: {:#?}", rig.events.stats());
        assert_eq!(rig.toggle.unique_events(), 51, "{trouble}");
        let_go();
        limit_free_bytes(None);
    }
}

#[test]
fn an_emitter_that_waits_at_the_shutdown_waits_no_longer_than_that_and_hears_of_a_spill_file() {
    let _alone = alone();
    for has_room in [true, false] {
        let rig = Rig::with(|config| {
            power(config);
            no_segments(config);
            config.spool_min_free_bytes = 1 << 20;
        });
        rig.toggle.set_mode(Mode::Hang);
        limit_free_bytes((!has_room).then_some(0));
        let emitter = thread::spawn({
            let events = rig.events.clone();
            move || emit_synced(&events, 0)
        });
        wait_until(&rig.events, PATIENCE, |stats| stats.in_flight == 1);
        let start = Instant::now();
        rig.events.shutdown(Duration::from_secs(1));
        let ticket = emitter.join().unwrap();
        limit_free_bytes(None);
        assert!(start.elapsed() < EMITTER_PATIENCE, "{:?}", start.elapsed());
        assert_eq!(ticket.is_durable(), has_room, "{:#?}", rig.events.stats());
        let stats = rig.events.stats();
        let ended = (stats.on_disk, stats.dropped_for(DropReason::Shutdown));
        assert_eq!(ended, if has_room { (1, 0) } else { (0, 1) }, "{stats:#?}");
    }
}

/// Emits a synced event for each batch that it is given.
#[derive(Debug, Default)]
struct Echo {
    events: OnceLock<Events>,
    took: Mutex<Vec<Duration>>,
}

impl Uplink for Echo {
    fn send(&self, _: Arc<Batch>) -> SendFuture<'_> {
        let mut took = self.took.lock().unwrap();
        if let Some(events) = self.events.get().filter(|_| took.is_empty()) {
            let start = Instant::now();
            assert!(emit_synced(events, 1).is_queued());
            took.push(start.elapsed());
        }
        Box::pin(async { Ok(()) })
    }

    fn target(&self) -> String {
        "an echo".into()
    }
}

#[test]
fn what_the_delivery_thread_emits_does_not_wait_for_that_thread() {
    let _alone = alone();
    let (spool, echo) = (TempDir::new().unwrap(), Arc::new(Echo::default()));
    let mut config = config_for("http://127.0.0.1:1".into(), spool.path());
    power(&mut config);
    no_segments(&config);
    let events = Events::start_with(config, Arc::clone(&echo) as _).unwrap();
    echo.events.set(events.clone()).unwrap();
    assert!(emit_synced(&events, 0).is_durable(), "{:#?}", events.stats());
    let took = echo.took.lock().unwrap().clone();
    assert!(took.len() == 1 && took[0] < EMITTER_PATIENCE / 2, "{took:?}");
    assert!(events.shutdown(PATIENCE).complete);
    assert_eq!(events.stats().delivered, 2);
}

#[test]
fn no_event_counts_as_settled_before_what_holds_it_was_synced() {
    let _alone = alone();
    for &durability in DurabilityMode::ALL {
        let rig = Rig::with(|config| {
            power(config);
            config.durability = durability;
        });
        rig.toggle.stop();
        let ticket = queue_number(&rig.events, 0);
        // Neither a spill file nor a segment is to be had.
        limit_free_bytes(Some(0));
        fail_at("sync segment", 0, ALWAYS);
        let outcome = rig.events.wait(&ticket, Duration::from_millis(300));
        assert_eq!(outcome, WaitOutcome::TimedOut, "{durability:?}");
        // With `memory` nobody syncs; but the thread of an event system before this one may just do so for the last time.
        assert!(faults_left() < ALWAYS || durability == DurabilityMode::Memory, "{durability:?}");
        let_go();
        limit_free_bytes(None);
        assert_eq!(rig.events.wait(&ticket, PATIENCE), WaitOutcome::Settled, "{durability:?}");
        assert_eq!(
            rig.events.stats().on_disk,
            1,
            "{durability:?}: a file, as its segment is not believed again"
        );
    }
    for durability in [DurabilityMode::Process, DurabilityMode::Power] {
        let rig = Rig::with(|config| {
            power(config);
            config.durability = durability;
        });
        rig.toggle.stop();
        let ticket = queue_number(&rig.events, 0);
        assert_eq!(rig.events.wait(&ticket, PATIENCE), WaitOutcome::Settled, "{durability:?}");
        let stats = rig.events.stats();
        assert_eq!(
            (stats.in_memory, stats.on_disk),
            (1, 0),
            "{durability:?}: a segment that is synced is enough"
        );
    }
}

#[test]
fn what_a_shutdown_leaves_in_segments_is_synced_before_it_says_that_all_is_done() {
    let _alone = alone();
    for fails in [false, true] {
        let rig = Rig::with(power);
        rig.toggle.stop();
        (0..50).for_each(|number| assert!(queue_number(&rig.events, number).is_queued()));
        // There is no room for spill files.
        limit_free_bytes(Some(0));
        if fails {
            fail_at("sync segment", 0, ALWAYS);
        }
        let report = rig.events.shutdown(Duration::from_secs(15));
        limit_free_bytes(None);
        assert_eq!((report.on_disk, report.dropped), (50, 0), "{report:#?}");
        assert_eq!(report.complete, !fails, "{report:#?}");
        assert!(!fails || faults_left() < ALWAYS, "nobody synced");
        let_go();
        rig.toggle.restart().unwrap();
        let next = Events::start(config(&rig.toggle, rig.spool.path())).unwrap();
        assert!(rig.toggle.wait_for_events(50, PATIENCE), "{:#?}", next.stats());
        assert_numbers(&rig.toggle, 50);
    }
}

#[test]
fn a_shutdown_whose_last_sync_hangs_ends_in_time_and_says_so() {
    let _alone = alone();
    let rig = Rig::with(power);
    rig.toggle.stop();
    (0..50).for_each(|number| assert!(queue_number(&rig.events, number).is_queued()));
    limit_free_bytes(Some(0));
    hang_at("sync");
    let start = Instant::now();
    let report = rig.events.shutdown(Duration::from_secs(2));
    limit_free_bytes(None);
    let took = start.elapsed();
    let_go();
    assert!(!report.complete, "{report:#?}");
    assert!(took < PATIENCE / 2, "{took:?}");
}

#[test]
fn a_spill_file_that_cannot_be_synced_is_not_there_and_is_written_anew() {
    let _alone = alone();
    let all = ["sync file", "sync spool"]
        .into_iter()
        .flat_map(|sync| DurabilityMode::ALL.iter().map(move |&durability| (sync, durability)));
    for (sync, durability) in all {
        let rig = Rig::with(|config| config.durability = durability);
        rig.toggle.stop();
        fail_at(sync, 0, ALWAYS);
        storm(&rig.events, 0..300, 1_000_000);
        let stats = wait_until(&rig.events, PATIENCE, |stats| stats.spool.broken.is_some());
        let why = stats.spool.broken.clone().unwrap_or_default();
        assert!(why.contains("os error 5"), "{sync}, {durability:?}: {stats:#?}");
        assert_eq!((stats.on_disk, stats.spool.files), (0, 0), "{sync}, {durability:?}: {stats:#?}");
        let_go();
        let settled = |stats: &Stats| stats.spool.broken.is_none() && stats.on_disk == 300;
        let stats = wait_until(&rig.events, PATIENCE, settled);
        assert!(settled(&stats), "{sync}, {durability:?}: {stats:#?}");
        rig.toggle.restart().unwrap();
        rig.assert_all_delivered(300, PATIENCE);
    }
}

#[test]
fn files_stay_until_the_ledger_that_says_they_are_dealt_with_is_on_stable_storage() {
    let _alone = alone();
    let rig = Rig::start();
    rig.toggle.stop();
    storm(&rig.events, 0..300, 1_000_000);
    wait_until(&rig.events, PATIENCE, |stats| stats.on_disk == 300);
    fail_at("sync ledger", 0, ALWAYS);
    rig.toggle.restart().unwrap();
    rig.assert_all_delivered(300, PATIENCE);
    // So often that it was tried again.
    wait_until(&rig.events, PATIENCE, |_| faults_left() <= ALWAYS - 3);
    assert!(!rig.spill_files().is_empty(), "a file was removed that the ledger on disk does not know of");
    let_go();
    let stats = wait_until(&rig.events, PATIENCE, |stats| stats.spool.files == 0);
    assert_eq!((stats.spool.files, rig.spill_files().len()), (0, 0), "{stats:#?}");
    let report = rig.events.shutdown(PATIENCE);
    assert!(report.complete, "{report:#?}");
    let next = Events::start(config(&rig.toggle, rig.spool.path())).unwrap();
    let stats = wait_until(&next, PATIENCE, |stats| stats.lifetime.is_surveyed);
    assert_eq!((stats.lifetime.delivered, stats.lifetime.dropped_total()), (300, 0), "{stats:#?}");
    assert_numbers(&rig.toggle, 300);
}

/// Whether a thread of this name runs in this process.
fn is_running(thread: &str) -> bool {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let names = threads.filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("comm")).ok());
    names.into_iter().any(|name| name.trim() == thread)
}

#[test]
fn what_a_shutdown_left_in_segments_unsynced_is_not_called_settled() {
    let _alone = alone();
    // In a spill file, in a segment whose sync fails, and in one that is synced once more before the thread that does so ends.
    for (durability, fails) in [
        (DurabilityMode::Power, None),
        (DurabilityMode::Power, Some("sync segment")),
        (DurabilityMode::Process, Some("sync file")),
    ] {
        let rig = Rig::with(|config| {
            power(config);
            config.durability = durability;
            config.spool_min_free_bytes = 1 << 20;
        });
        rig.toggle.stop();
        let ticket = queue_number(&rig.events, 0);
        if let Some(fails) = fails {
            fail_at(fails, 0, ALWAYS);
        }
        limit_free_bytes((fails == Some("sync segment")).then_some(0));
        rig.events.shutdown(Duration::from_millis(500));
        let stats = wait_until(&rig.events, PATIENCE, |stats| {
            stats.in_memory + stats.in_flight == 0 && !is_running("events-sync")
        });
        let outcome = rig.events.wait(&ticket, Duration::from_millis(50));
        let_go();
        limit_free_bytes(None);
        assert_eq!(stats.on_disk, 1, "{stats:#?}");
        assert_eq!(rig.spill_files().is_empty(), fails.is_some());
        let is_unsynced = fails == Some("sync segment");
        let expected = if is_unsynced { WaitOutcome::TimedOut } else { WaitOutcome::Settled };
        assert_eq!(outcome, expected, "{durability:?} {fails:?}");
    }
}

#[test]
fn an_event_that_toggle_has_is_settled_though_the_disk_hangs() {
    let _alone = alone();
    let rig = Rig::with(|config| {
        power(config);
        config.batch_timeout = Duration::from_millis(20);
    });
    hang_at("sync segment");
    // Before it is acknowledged, and after.
    let ticket = queue_number(&rig.events, 0);
    assert_eq!(rig.events.wait(&ticket, PATIENCE), WaitOutcome::Settled);
    assert_eq!(rig.events.wait(&ticket, Duration::ZERO), WaitOutcome::Settled);
    assert!(emit_synced(&rig.events, 1).is_durable());
    let stats = rig.events.stats();
    let_go();
    assert_eq!(stats.delivered, 2, "{stats:#?}");
}

/// A memory for 20 events, and neither Toggle nor the disk takes any; one before them is on disk.
fn full_memory(change: impl FnOnce(&mut Config)) -> Rig {
    let rig = Rig::with(|config| {
        (config.buffer_size, config.flush_threshold, config.batch_size) = (20, 19, 1);
        config.batch_timeout = Duration::from_secs(600);
        (config.retry_initial, config.retry_max) = (Duration::from_secs(60), Duration::from_secs(60));
        change(config);
    });
    rig.toggle.stop();
    // Segments were asked for before this was to be written, so there are some when the disk has no room for any.
    queue(&rig.events, Level::Critical, 0);
    wait_until(&rig.events, PATIENCE, |stats| stats.on_disk == 1);
    limit_free_bytes(Some(0));
    rig
}

/// How many events of that level were dropped.
fn dropped_of(events: &Events, level: Level) -> usize {
    let stats = events.stats();
    assert!(stats.balances(), "{stats:#?}");
    stats.dropped.iter().filter(|drop| drop.level == Some(level)).map(|drop| drop.count as usize).sum()
}

/// Emits graver events until so many of INFO had to make room.
fn displace(events: &Events, count: usize) {
    let start = Instant::now();
    while dropped_of(events, Level::Info) < count && start.elapsed() < PATIENCE {
        // While a probe is on its way nothing of that makes room.
        if !queue(events, Level::Error, 1_000).is_queued() {
            thread::sleep(Duration::from_millis(5));
        }
    }
    assert!(dropped_of(events, Level::Info) >= count, "{:#?}", events.stats());
}

fn queue(events: &Events, level: Level, number: usize) -> Ticket {
    let payload = StoragePoolPayload::new(StoragePoolOperation::Created);
    events.emit_storage_pool(level, payload, [(NUMBER, number.to_string().as_str())])
}

#[test]
fn a_synced_event_that_had_to_make_room_before_it_was_synced_is_dropped_and_not_durable() {
    let _alone = alone();
    let rig = full_memory(power);
    hang_at("sync segment");
    let emitter = thread::spawn({
        let events = rig.events.clone();
        move || emit_synced(&events, 1)
    });
    wait_until(&rig.events, PATIENCE, |_| faults_left() == 0);
    displace(&rig.events, 1);
    let_go();
    let ticket = emitter.join().unwrap();
    limit_free_bytes(None);
    assert_eq!(ticket.outcome(), Outcome::Dropped(DropReason::BufferFull));
    assert!(!ticket.is_durable());
}

#[test]
fn whoever_waits_for_an_event_hears_that_it_was_dropped_whenever_he_asks() {
    let _alone = alone();
    for &durability in DurabilityMode::ALL {
        let rig = full_memory(|config| config.durability = durability);
        let tickets: Vec<Ticket> = (0..19).map(|number| queue(&rig.events, Level::Info, number)).collect();
        displace(&rig.events, 8);
        let outcome = WaitOutcome::Dropped(DropReason::BufferFull);
        let is_gone = |ticket: &Ticket| rig.events.wait(ticket, Duration::ZERO) == outcome;
        let (gone, kept): (Vec<Ticket>, Vec<Ticket>) = tickets.into_iter().partition(is_gone);
        assert_eq!(gone.len(), dropped_of(&rig.events, Level::Info), "{durability:?}");
        limit_free_bytes(None);
        for ticket in &kept {
            assert_eq!(rig.events.wait(ticket, PATIENCE), WaitOutcome::Settled, "{durability:?}");
        }
        // All around them has left memory, and after that there is no event system any more.
        let _ = rig.events.flush(PATIENCE);
        for ticket in &gone {
            assert_eq!(rig.events.wait(ticket, PATIENCE), outcome, "{durability:?}");
        }
        rig.events.shutdown(PATIENCE);
        for (tickets, outcome) in [(gone, outcome), (kept, WaitOutcome::Settled)] {
            for ticket in &tickets {
                assert_eq!(rig.events.wait(ticket, PATIENCE), outcome, "{durability:?}: after the shutdown");
            }
        }
    }
}

#[test]
fn what_the_shutdown_had_to_drop_is_not_called_settled() {
    let _alone = alone();
    let rig = full_memory(|_| {});
    let ticket = queue(&rig.events, Level::Info, 1);
    rig.events.shutdown(Duration::from_secs(1));
    let stats = wait_until(&rig.events, PATIENCE, |stats| stats.in_memory + stats.in_flight == 0);
    limit_free_bytes(None);
    assert_eq!(stats.dropped_for(DropReason::Shutdown), 1, "{stats:#?}");
    assert_eq!(rig.events.wait(&ticket, PATIENCE), WaitOutcome::Dropped(DropReason::Shutdown));
}

#[test]
fn accounts_that_cannot_be_opened_for_a_moment_are_tried_again_and_others_are_set_aside() {
    let _alone = alone();
    for failures in [3, 6] {
        for &durability in DurabilityMode::ALL {
            let rig = Rig::with(|config| config.durability = durability);
            rig.toggle.stop();
            storm(&rig.events, 0..100, 1_000_000);
            assert_eq!(rig.events.shutdown(PATIENCE).on_disk, 100, "{durability:?}");
            let Rig { toggle, spool, events } = rig;
            drop(events);

            fail_at("open accounts", 0, failures);
            let config = Config { durability, ..config(&toggle, spool.path()) };
            let events = Events::start(config.clone()).unwrap();
            assert_eq!(faults_left(), 0);
            let_go();
            // Nobody else is let in meanwhile.
            assert_eq!(Events::start(config).unwrap_err().kind(), ErrorKind::SpoolInUse, "{durability:?}");
            storm(&events, 100..150, 1_000_000);
            assert_eq!(spool.path().join(".accounts.damaged").exists(), failures > 3, "{durability:?}");
            toggle.restart().unwrap();
            let is_done = |stats: &Stats| stats.lifetime.delivered == 150 && stats.lifetime.is_surveyed;
            let stats = wait_until(&events, PATIENCE, is_done);
            let lifetime = &stats.lifetime;
            assert_eq!((lifetime.accepted, lifetime.delivered), (150, 150), "{durability:?}: {stats:#?}");
            assert_eq!(
                (lifetime.dropped_total(), stats.spool.broken.clone()),
                (0, None),
                "{durability:?}: {stats:#?}"
            );
            assert_numbers(&toggle, 150);
            events.shutdown(PATIENCE);
        }
    }
}
