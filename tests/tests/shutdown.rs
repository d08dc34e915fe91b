//! A shutdown returns by its deadline in every state: threads that hang at any point, a disk that hangs, an uplink that
//! never answers or never even returns, a token that cannot be read, flushes under way.
//!
//! What hangs here hangs until the test lets it go, so a shutdown that waited for it would never return.

#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::{
    fs,
    path::Path,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use events_sdk::{
    Batch, Config, DurabilityMode, ErrorKind, Events, FlushOutcome, ShutdownReport, Stats, TokenSource,
    Uplink, WaitOutcome,
    testing::{Mode, Toggle, faults_left, hang_at, let_go, panic_points, syncs},
    uplink::SendFuture,
};
use events_tests::{Rig, assert_numbers, config, emit_number, queue_number, share_of, storm, wait_until};
use tempfile::TempDir;

const EVENTS: usize = 300;
/// The time that a shutdown is given.
const DEADLINE: Duration = Duration::from_millis(200);
/// After this a call counts as one that never returns.
const NEVER: Duration = Duration::from_secs(60);

/// Faults are the process's: one test at a time. Whatever hangs goes on at the end.
struct Faults(#[allow(dead_code, reason = "held, not read")] MutexGuard<'static, ()>);

impl Faults {
    fn mine() -> Self {
        static ONE: Mutex<()> = Mutex::new(());
        Self(ONE.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        let_go();
    }
}

/// What this returns, if it does.
fn returned<T: Send + 'static>(what: &str, call: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = mpsc::channel();
    thread::spawn(move || done.send(call()));
    match result.recv_timeout(NEVER) {
        Ok(value) => value,
        Err(RecvTimeoutError::Timeout) => panic!("{what}: never returned"),
        Err(RecvTimeoutError::Disconnected) => panic!("{what}: panicked"),
    }
}

fn shut_down(what: &str, events: &Events) -> ShutdownReport {
    let events = events.clone();
    returned(what, move || events.shutdown(DEADLINE))
}

/// An event system on a spool that another one is about to leave: its thread goes on with what it was told.
fn start_next(toggle: &Toggle, spool: &Path) -> Events {
    for _ in 0..1_000 {
        match Events::start(config(toggle, spool)) {
            Err(error) if error.kind() == ErrorKind::SpoolInUse => thread::sleep(Duration::from_millis(20)),
            started => return started.unwrap(),
        }
    }
    panic!("the spool is never left");
}

/// What the next process finds: all numbers, each once.
fn assert_all_come_with_the_next(what: &str, toggle: &Toggle, spool: &Path, count: usize) {
    let events = start_next(toggle, spool);
    let arrived = toggle.wait_for_events(count, NEVER);
    assert!(arrived, "{what}: {} of {count}: {:#?}", toggle.unique_events(), events.stats());
    assert_numbers(toggle, count);
    events.shutdown(NEVER);
}

/// The last handle is dropped, and the spool is free.
fn dropped(what: &str, events: Events) {
    returned(what, move || drop(events));
}

/// Waits until the threads of an event system have put down what they had.
fn closed(what: &str, events: &Events) {
    let stats = wait_until(events, NEVER, |stats| stats.in_memory == 0 && stats.in_flight == 0);
    assert!(stats.in_memory == 0 && stats.in_flight == 0 && stats.balances(), "{what}: {stats:#?}");
    assert_eq!(stats.dropped_total(), 0, "{what}: {stats:#?}");
}

fn quick(config: &mut Config) {
    config.batch_size = 20;
    config.batch_timeout = Duration::from_millis(20);
    config.retry_max = Duration::from_millis(200);
}

/// Emits with Toggle there, away and back, until somebody hangs at that point.
fn hang_somewhere(rig: &Rig, point: &'static str) -> usize {
    hang_at(point);
    let mut count = 0;
    for round in 0..60 {
        rig.toggle.set_mode(if round % 2 == 0 { Mode::Ok } else { Mode::Unavailable });
        storm(&rig.events, count..count + EVENTS, 1_000_000);
        count += EVENTS;
        // Some points are passed when files come back, others when somebody asks for something.
        wait_until(&rig.events, Duration::from_millis(300), |_| faults_left() == 0);
        if faults_left() > 0 {
            let _ = rig.events.flush(Duration::from_millis(50));
        }
        if faults_left() == 0 {
            return count;
        }
    }
    panic!("{point} was never passed");
}

#[test]
fn wherever_a_thread_hangs_shutdown_and_drop_return_and_nothing_is_lost() {
    let points = share_of(
        panic_points().to_vec(),
        "wherever_a_thread_hangs_shutdown_and_drop_return_and_nothing_is_lost",
    );
    let faults = Faults::mine();
    for point in points {
        let rig = Rig::with(quick);
        let count = hang_somewhere(&rig, point);
        rig.toggle.set_mode(Mode::Unavailable);
        let report = shut_down(point, &rig.events);
        assert!(report.stats.balances(), "{point}: {report:#?}");
        // Again, and from two threads at once.
        let other = rig.events.clone();
        let twice = thread::spawn(move || shut_down("the second", &other));
        shut_down(point, &rig.events);
        twice.join().unwrap();
        let_go();
        closed(point, &rig.events);
        dropped(point, rig.events);
        rig.toggle.set_mode(Mode::Ok);
        assert_all_come_with_the_next(point, &rig.toggle, rig.spool.path(), count);
    }
    drop(faults);
}

#[test]
fn a_disk_that_hangs_in_a_sync_holds_up_nobody_beyond_his_deadline() {
    let faults = Faults::mine();
    for sync in syncs() {
        let rig = Rig::with(|config| {
            quick(config);
            config.durability = DurabilityMode::Power;
            config.sync_interval = Duration::from_millis(20);
        });
        let count = hang_somewhere(&rig, sync);
        rig.toggle.set_mode(Mode::Unavailable);
        // Whoever waits for an event or a flush waits for as long as he said.
        let ticket = queue_number(&rig.events, count);
        let count = count + usize::from(ticket.is_queued());
        let events = rig.events.clone();
        let waiting = thread::spawn(move || {
            let waited = returned("wait", {
                let events = events.clone();
                move || events.wait(&ticket, DEADLINE)
            });
            assert_ne!(waited, WaitOutcome::NotQueued);
            let _ = returned("flush", move || events.flush(DEADLINE));
        });
        let report = shut_down(sync, &rig.events);
        assert!(report.stats.balances(), "{sync}: {report:#?}");
        waiting.join().unwrap();
        let_go();
        closed(sync, &rig.events);
        dropped(sync, rig.events);
        rig.toggle.set_mode(Mode::Ok);
        assert_all_come_with_the_next(sync, &rig.toggle, rig.spool.path(), count);
    }
    drop(faults);
}

#[test]
fn the_last_handle_is_dropped_while_the_disk_hangs() {
    let faults = Faults::mine();
    let rig = Rig::with(quick);
    rig.toggle.set_mode(Mode::Unavailable);
    hang_at("spool write");
    storm(&rig.events, 0..EVENTS, 1_000_000);
    wait_until(&rig.events, NEVER, |_| faults_left() == 0);
    let Rig { toggle, spool, events } = rig;
    dropped("drop", events);
    let_go();
    toggle.set_mode(Mode::Ok);
    assert_all_come_with_the_next("drop", &toggle, spool.path(), EVENTS);
    drop(faults);
}

/// How an uplink hangs.
#[derive(Clone, Copy, PartialEq)]
enum Hangs {
    /// Its answer never comes.
    Answer,
    /// It does not even return: it blocks the thread that it is called on.
    Thread,
}

struct Hanging {
    how: Hangs,
    released: Arc<(Mutex<bool>, Condvar)>,
}

impl Uplink for Hanging {
    fn send(&self, _: Arc<Batch>) -> SendFuture<'_> {
        if self.how == Hangs::Thread {
            let (released, changed) = &*self.released;
            drop(changed.wait_while(released.lock().unwrap(), |released| !*released).unwrap());
        }
        Box::pin(std::future::pending())
    }

    fn target(&self) -> String {
        "nowhere".to_owned()
    }
}

#[test]
fn an_uplink_that_never_returns_holds_up_no_shutdown() {
    // What another test has hang would be what this one waits for.
    let _mine = Faults::mine();
    for how in [Hangs::Answer, Hangs::Thread] {
        let (toggle, spool) = (Toggle::start().unwrap(), tempfile::tempdir().unwrap());
        let released = Arc::<(Mutex<bool>, Condvar)>::default();
        let mut config = config(&toggle, spool.path());
        quick(&mut config);
        let uplink = Hanging { how, released: Arc::clone(&released) };
        let events = Events::start_with(config, Arc::new(uplink)).unwrap();
        storm(&events, 0..EVENTS, 1_000_000);
        wait_until(&events, NEVER, |stats| stats.in_flight > 0 || how == Hangs::Thread);
        let report = shut_down("a hanging uplink", &events);
        assert!(report.stats.balances(), "{report:#?}");
        *released.0.lock().unwrap() = true;
        released.1.notify_all();
        closed("a hanging uplink", &events);
        let stats = events.stats();
        assert_eq!((stats.delivered, stats.on_disk), (0, EVENTS as u64), "{stats:#?}");
        dropped("a hanging uplink", events);
        assert_all_come_with_the_next("a hanging uplink", &toggle, spool.path(), EVENTS);
    }
}

#[test]
fn a_token_that_cannot_be_read_in_time_keeps_nothing_from_the_disk() {
    let faults = Faults::mine();
    let tokens = tempfile::tempdir().unwrap();
    let file = tokens.path().join("token");
    std::fs::write(&file, "a.b.c").unwrap();
    let rig = Rig::with(|config| {
        quick(config);
        config.toggle.token = TokenSource::File(file);
        config.toggle.timeout = Duration::from_millis(100);
    });
    hang_at("token file");
    storm(&rig.events, 0..EVENTS, 1_000_000);
    let flushing = rig.events.clone();
    assert_eq!(returned("flush", move || flushing.flush(NEVER)), FlushOutcome::Complete);
    let stats = wait_until(&rig.events, NEVER, |stats| stats.last_error.is_some());
    let why = stats.last_error.unwrap_or_default();
    assert!(why.contains("token file") && why.contains("not read within"), "{why}");
    let events = rig.events.clone();
    let report = returned("a token that hangs", move || events.shutdown(NEVER));
    assert!(report.complete, "{report:#?}");
    assert_eq!((report.delivered + report.on_disk, report.dropped), (EVENTS as u64, 0), "{report:#?}");
    let_go();
    dropped("a token that hangs", rig.events);
    assert_all_come_with_the_next("a token that hangs", &rig.toggle, rig.spool.path(), EVENTS);
    drop(faults);
}

#[test]
fn whoever_waits_for_ever_waits_until_it_is_done() {
    let faults = Faults::mine();
    let rig = Rig::start();
    let ticket = queue_number(&rig.events, 0);
    assert_eq!(rig.events.wait(&ticket, Duration::MAX), WaitOutcome::Settled);
    emit_number(&rig.events, 1);
    assert_eq!(rig.events.flush(Duration::MAX), FlushOutcome::Complete);
    let report = rig.events.shutdown(Duration::MAX);
    assert!(report.complete && report.delivered == 2, "{report:#?}");
    drop(faults);
}

#[test]
fn flushes_and_waits_under_way_end_with_the_shutdown() {
    let _mine = Faults::mine();
    let rig = Rig::with(|config| config.batch_timeout = Duration::from_secs(600));
    rig.toggle.set_mode(Mode::Hang);
    let tickets: Vec<_> = (0..EVENTS).map(|number| queue_number(&rig.events, number)).collect();
    let flushes: Vec<_> = (0..4)
        .map(|_| {
            let events = rig.events.clone();
            thread::spawn(move || returned("flush", move || events.flush(NEVER)))
        })
        .collect();
    let events = rig.events.clone();
    let waiting = thread::spawn(move || returned("wait", move || events.wait(&tickets[0], NEVER)));
    assert!(rig.toggle.wait_for_attempts(1, NEVER), "something is in flight");
    let events = rig.events.clone();
    let report = returned("the shutdown", move || events.shutdown(Duration::from_secs(5)));
    assert!(report.complete && report.dropped == 0, "{report:#?}");
    for flush in flushes {
        assert_eq!(flush.join().unwrap(), FlushOutcome::Complete);
    }
    assert_eq!(waiting.join().unwrap(), WaitOutcome::Settled);
}

#[test]
fn a_copy_that_was_not_needed_is_not_counted_by_the_process_that_finds_it() {
    let _mine = Faults::mine();
    let rig = Rig::with(|config| {
        config.batch_timeout = Duration::from_millis(50);
        config.toggle.timeout = NEVER;
    });
    rig.toggle.set_mode(Mode::Slow(Duration::from_secs(1)));
    storm(&rig.events, 0..100, 1_000_000);
    wait_until(&rig.events, NEVER, |stats| stats.in_flight == 100);
    // It is delivered while it is being copied to disk, and the process is killed before the copy is removed.
    hang_at("spool write");
    let events = rig.events.clone();
    let down = thread::spawn(move || events.shutdown(NEVER));
    wait_until(&rig.events, NEVER, |stats| stats.delivered == 100);
    hang_at("spool leave");
    let is_written = |_: &Stats| !rig.spill_files().is_empty();
    wait_until(&rig.events, NEVER, is_written);
    let left = TempDir::new().unwrap();
    for entry in fs::read_dir(rig.spool.path()).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), left.path().join(entry.file_name())).unwrap();
        }
    }
    let_go();
    let report = down.join().unwrap();
    assert_eq!((report.delivered, report.on_disk, report.dropped), (100, 0, 0), "{report:#?}");
    rig.toggle.set_mode(Mode::Ok);
    let next = Events::start(config(&rig.toggle, left.path())).unwrap();
    let is_done = |stats: &Stats| stats.lifetime.is_surveyed && stats.spool.files == 0;
    let life = wait_until(&next, NEVER, is_done).lifetime;
    assert_eq!((life.accepted, life.delivered, life.on_disk), (100, 100, 0), "{life:#?}");
}

#[test]
fn a_shutdown_without_time_names_what_is_undecided_and_that_is_decided_though_nobody_holds_a_handle() {
    let faults = Faults::mine();
    for (point, time) in [
        ("round", Duration::ZERO),
        ("round", Duration::from_millis(1)),
        ("spool write", Duration::ZERO),
        ("spool write", Duration::from_millis(1)),
    ] {
        let rig = Rig::with(quick);
        rig.toggle.set_mode(Mode::Unavailable);
        hang_at(point);
        storm(&rig.events, 0..EVENTS, 1_000_000);
        wait_until(&rig.events, NEVER, |_| faults_left() == 0);
        let events = rig.events.clone();
        let report = returned(point, move || events.shutdown(time));
        let all = report.delivered + report.on_disk + report.dropped + report.undecided;
        assert_eq!((all, report.stats.accepted), (EVENTS as u64, EVENTS as u64), "{point}: {report:#?}");
        assert!(report.undecided > 0 && !report.complete, "{point}: {report:#?}");
        dropped(point, rig.events);
        let_go();
        rig.toggle.set_mode(Mode::Ok);
        assert_all_come_with_the_next(point, &rig.toggle, rig.spool.path(), EVENTS);
    }
    drop(faults);
}

#[test]
fn what_is_in_flight_out_of_spill_files_is_on_disk_in_the_report_of_a_shutdown_without_time() {
    let _mine = Faults::mine();
    let (toggle, spool) = (Toggle::start().unwrap(), TempDir::new().unwrap());
    toggle.stop();
    let patient = Config { batch_timeout: NEVER, ..config(&toggle, spool.path()) };
    let events = Events::start(patient.clone()).unwrap();
    storm(&events, 0..1_000, 1_000_000);
    assert_eq!(events.shutdown(NEVER).on_disk, 1_000);
    dropped("at first", events);
    toggle.set_mode(Mode::Hang);
    toggle.restart().unwrap();
    let events = Events::start(patient).unwrap();
    let stats = wait_until(&events, NEVER, |stats| stats.adopted == 1_000 && stats.in_flight > 0);
    assert!(stats.in_flight > 0, "{stats:#?}");
    let report = events.shutdown(Duration::ZERO);
    assert_eq!((report.undecided, report.on_disk), (0, 1_000), "{report:#?}");
    assert!(report.complete && report.stats.balances(), "{report:#?}");
    closed("after it", &events);
    assert_eq!(events.shutdown(Duration::ZERO).on_disk, 1_000);
}

#[test]
fn what_waits_or_is_in_flight_in_segments_is_on_disk_in_the_report_of_a_shutdown_without_time() {
    let _mine = Faults::mine();
    for durability in [DurabilityMode::Process, DurabilityMode::Power] {
        let rig = Rig::with(|config| {
            quick(config);
            config.durability = durability;
        });
        rig.toggle.set_mode(Mode::Hang);
        storm(&rig.events, 0..EVENTS, 1_000_000);
        let stats = wait_until(&rig.events, NEVER, |stats| stats.in_flight > 0 && stats.in_memory > 0);
        assert!(stats.in_flight > 0 && stats.durability.unprotected == 0, "{durability:?}: {stats:#?}");
        // Nor can the task put down anything meanwhile.
        hang_at("round");
        emit_number(&rig.events, EVENTS);
        wait_until(&rig.events, NEVER, |_| faults_left() == 0);
        let report = rig.events.shutdown(Duration::ZERO);
        assert_eq!((report.undecided, report.on_disk), (0, EVENTS as u64 + 1), "{durability:?}: {report:#?}");
        // Whether it is on stable storage nobody knows yet.
        assert_eq!(report.complete, durability == DurabilityMode::Process, "{report:#?}");
        let_go();
        closed("after it", &rig.events);
    }
}

#[test]
fn whatever_time_a_shutdown_has_its_report_accounts_for_every_event() {
    let _mine = Faults::mine();
    for (ms, mode) in (0..20).flat_map(|ms| [(ms, Mode::Ok), (ms, Mode::Unavailable)]) {
        let rig = Rig::with(quick);
        rig.toggle.set_mode(mode);
        storm(&rig.events, 0..EVENTS, 1_000_000);
        let report = rig.events.shutdown(Duration::from_millis(ms));
        let all = report.delivered + report.on_disk + report.dropped + report.undecided;
        assert_eq!(all, EVENTS as u64, "{ms} ms: {report:#?}");
        closed("after it", &rig.events);
        assert_eq!(rig.events.shutdown(Duration::ZERO).undecided, 0, "{ms} ms");
    }
}
