//! Emitters that wait for stable storage, in many orders. See [`crate::primitives::model`].

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

use shuttle::{rand::Rng, thread};
use uuid::Uuid;

use super::*;
use crate::{
    Filter, Level,
    buffer::{
        Buffer, Guest, Limits,
        interleavings::{event, marks},
    },
    emit::FilterCell,
    ledger::Ledger,
    primitives::model::{explore, step},
    segment::format::{self, Found},
};

const EMITTERS: u8 = 2;
const EVENTS: u8 = 2;

static RUN: AtomicUsize = AtomicUsize::new(0);

struct Stage {
    spool: std::path::PathBuf,
    intake: Arc<Intake>,
    segments: Arc<Segments>,
    syncs: Arc<Syncs>,
    /// The events that were in a file when that was synced, or whose chunk has left.
    durable: Arc<std::sync::Mutex<BTreeSet<u8>>>,
}

impl Stage {
    fn new(folder: &Path) -> Self {
        let spool = folder.join(RUN.fetch_add(1, Ordering::Relaxed).to_string());
        fs::create_dir(&spool).unwrap();
        let segments = Arc::new(Segments::new(2, 7, Uuid::nil()).for_power(true));
        segments.open(&spool).unwrap();
        let limits = Limits { events: 10, bytes: 10_000, threshold: 9, batch: 2, batch_bytes: 1 << 20 };
        let buffer = Buffer::with_segments(limits, Some(Arc::clone(&segments)), Ledger::in_memory(1));
        let syncs = Arc::<Syncs>::default();
        let filter = FilterCell::new(&Filter::default());
        let intake = Arc::new(Intake::new(filter, buffer, None, Some(Arc::clone(&syncs)), true));
        Self { spool, intake, segments, syncs, durable: Arc::default() }
    }

    /// The thread that syncs. `fails` says of each sync whether it fails.
    fn thread(&self, fails: impl Fn() -> bool + Send + 'static) -> thread::JoinHandle<()> {
        let (intake, segments) = (Arc::clone(&self.intake), Arc::clone(&self.segments));
        let (syncs, durable) = (Arc::clone(&self.syncs), Arc::clone(&self.durable));
        thread::spawn(move || {
            let file = |path: &Path| {
                let bytes = fs::read(path)?;
                step();
                if fails() {
                    return Err(io::Error::other("a failing disk"));
                }
                if let Found::Batch(batch) = format::read(&bytes) {
                    durable.lock().unwrap().extend(marks(&batch.events));
                }
                step();
                Ok(())
            };
            let names = |_: &Path| {
                step();
                Ok(())
            };
            run(&intake, &segments, &syncs, None, ToDisk { file: &file, names: &names });
        })
    }

    /// Emits and waits, several times. What is said to be durable is.
    fn emitter(&self, emitter: u8) -> thread::JoinHandle<u32> {
        let (intake, syncs, durable) =
            (Arc::clone(&self.intake), Arc::clone(&self.syncs), Arc::clone(&self.durable));
        thread::spawn(move || {
            let mut settled = 0;
            for number in 0..EVENTS {
                let mark = emitter * EVENTS + number;
                let ticket = intake.buffer.accept_as(&mut event(mark), 2, 1, Level::Info, 2, Guest::Usual);
                let place = ticket.place();
                if !place.is_kept() {
                    // A sync failed while its segment was being made, which is not used then. It is not said to be safe.
                    continue;
                }
                match syncs.wait(place, Instant::now() + Duration::from_secs(3600)) {
                    Some(true) => {
                        settled += 1;
                        assert!(durable.lock().unwrap().contains(&mark), "event {mark} is not on disk");
                    }
                    Some(false) => {}
                    None => panic!("time does not pass here"),
                }
            }
            settled
        })
    }

    /// Emits and waits as the emitters of synced kinds do, several times. The delivery task, where it is asked and `answers`, has all
    /// that came before leave memory. Gives how many events became safe.
    fn asker(&self, emitter: u8, answers: bool) -> thread::JoinHandle<u32> {
        let (intake, syncs) = (Arc::clone(&self.intake), Arc::clone(&self.syncs));
        thread::spawn(move || {
            let mut settled = 0;
            for number in 0..EVENTS {
                let mut event = event(emitter * EVENTS + number);
                let ticket = intake.buffer.accept_as(&mut event, 2, 1, Level::Info, 2, Guest::Usual);
                let place = ticket.place();
                let ask = || {
                    let syncs = Arc::clone(&syncs);
                    if answers {
                        thread::spawn(move || syncs.gone_below(place.sequence() + 1));
                    }
                    true
                };
                let is_settled = syncs.wait_to_emit(place, Instant::now() + Duration::from_secs(3600), ask);
                settled += u32::from(is_settled);
            }
            settled
        })
    }

    /// The delivery task, which sends a batch, and the spool's thread, which removes its segment.
    fn consumer(&self) -> thread::JoinHandle<()> {
        let (intake, segments) = (Arc::clone(&self.intake), Arc::clone(&self.segments));
        let durable = Arc::clone(&self.durable);
        thread::spawn(move || {
            for _ in 0..2 {
                let chunk = intake.buffer.lock().take_due(Duration::ZERO, Instant::now(), true);
                let Some(chunk) = chunk else { continue };
                step();
                // Toggle has it.
                durable.lock().unwrap().extend(marks(chunk.bytes()));
                let mut state = intake.buffer.lock();
                state.recycle(chunk);
                let spare = state.pool.as_mut().unwrap().take_spare();
                drop(state);
                segments.remove(spare);
            }
        })
    }
}

#[test]
fn whoever_waits_is_told_and_what_is_called_durable_is_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    explore(move || {
        let stage = Stage::new(folder.path());
        let thread = stage.thread(|| false);
        let emitters = [0, 1].map(|emitter| stage.emitter(emitter));
        let settled: u32 = emitters.into_iter().map(|emitter| emitter.join().unwrap()).sum();
        // Nothing fails and nobody stops: everybody hears that it is done.
        assert_eq!(settled, u32::from(EMITTERS * EVENTS));
        stage.syncs.stop();
        thread.join().unwrap();
        fs::remove_dir_all(&stage.spool).unwrap();
    });
}

#[test]
fn segments_that_are_removed_during_a_sync_are_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    explore(move || {
        let stage = Stage::new(folder.path());
        let thread = stage.thread(|| false);
        let consumer = stage.consumer();
        let settled = stage.emitter(0).join().unwrap();
        consumer.join().unwrap();
        assert_eq!(settled, u32::from(EVENTS));
        stage.syncs.stop();
        thread.join().unwrap();
        fs::remove_dir_all(&stage.spool).unwrap();
    });
}

#[test]
fn what_a_failing_disk_did_not_take_is_not_called_durable() {
    let folder = tempfile::tempdir().unwrap();
    explore(move || {
        let stage = Stage::new(folder.path());
        let thread = stage.thread(|| shuttle::rand::thread_rng().gen_bool(0.5));
        let emitters = [0, 1].map(|emitter| stage.emitter(emitter));
        for emitter in emitters {
            emitter.join().unwrap();
        }
        stage.syncs.stop();
        thread.join().unwrap();
        fs::remove_dir_all(&stage.spool).unwrap();
    });
}

#[test]
fn nobody_waits_for_a_thread_that_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    explore(move || {
        let stage = Stage::new(folder.path());
        let thread = stage.thread(|| false);
        let emitter = stage.emitter(0);
        let syncs = Arc::clone(&stage.syncs);
        let stopper = thread::spawn(move || syncs.stop());
        emitter.join().unwrap();
        stopper.join().unwrap();
        thread.join().unwrap();
        fs::remove_dir_all(&stage.spool).unwrap();
    });
}

#[test]
fn whoever_cannot_have_a_sync_is_told_when_the_event_has_left_memory() {
    let folder = tempfile::tempdir().unwrap();
    explore(move || {
        let stage = Stage::new(folder.path());
        let thread = stage.thread(|| shuttle::rand::thread_rng().gen_bool(0.5));
        let emitters = [0, 1].map(|emitter| stage.asker(emitter, true));
        let settled: u32 = emitters.into_iter().map(|emitter| emitter.join().unwrap()).sum();
        assert_eq!(settled, u32::from(EMITTERS * EVENTS));
        stage.syncs.stop();
        thread.join().unwrap();
        fs::remove_dir_all(&stage.spool).unwrap();
    });
}

#[test]
fn whoever_asked_a_delivery_task_that_answers_nothing_is_free_at_the_shutdown() {
    let folder = tempfile::tempdir().unwrap();
    explore(move || {
        let stage = Stage::new(folder.path());
        let thread = stage.thread(|| true);
        let emitter = stage.asker(0, false);
        let syncs = Arc::clone(&stage.syncs);
        let stopper = thread::spawn(move || syncs.stop());
        assert_eq!(emitter.join().unwrap(), 0, "nothing was synced, and nothing left memory");
        stopper.join().unwrap();
        thread.join().unwrap();
        fs::remove_dir_all(&stage.spool).unwrap();
    });
}
