//! Emitters, the delivery task and the spool's thread at the buffer, in many orders. See [`crate::primitives::model`].

use std::{
    collections::BTreeSet,
    fs,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use shuttle::{future::block_on, thread};

use super::*;
use crate::{
    primitives::model::explore,
    segment::format::{self, Found},
};

const EMITTERS: u8 = 2;
const EVENTS: u8 = 3;
const LONG: Duration = Duration::from_secs(3600);

fn limits() -> Limits {
    Limits { events: 10, bytes: 10_000, threshold: 9, batch: 2, batch_bytes: 1 << 20 }
}

/// An entry with room for an id, and a mark to know it by.
pub(crate) fn event(mark: u8) -> Vec<u8> {
    let mut event = vec![0x0A, ID_TEXT_LEN as u8 + 1];
    event.resize(2 + ID_TEXT_LEN, b'-');
    event.push(mark);
    event
}

/// The marks of the events in a run of entries.
pub(crate) fn marks(run: &[u8]) -> Vec<u8> {
    let events = run.chunks(event(0).len());
    events.map(|event| event[event.len() - 1]).collect()
}

/// Each emits its events; the last of each does not wait for company.
fn emitters(buffer: &Arc<Buffer>) -> Vec<thread::JoinHandle<Vec<Ticket>>> {
    let emit = |emitter: u8| {
        let buffer = Arc::clone(buffer);
        thread::spawn(move || {
            let each = (0..EVENTS).map(|number| {
                let level = if number + 1 == EVENTS { Level::Error } else { Level::Info };
                let mark = emitter * EVENTS + number;
                buffer.accept_as(&mut event(mark), 2, 1_800_000_000_000, level, 2, Guest::Usual)
            });
            each.collect()
        })
    };
    (0..EMITTERS).map(emit).collect()
}

/// Takes chunks out as the delivery task does, and sleeps in between, until it has `count` events. No clock wakes it.
fn take(buffer: &Buffer, count: usize, mut each: impl FnMut(&Buffer, Chunk)) {
    let mut taken = 0;
    while taken < count {
        let mut state = buffer.lock();
        if let Some(chunk) = state.take_due(LONG, Instant::now(), false) {
            taken += chunk.len();
            drop(state);
            each(buffer, chunk);
            continue;
        }
        let first = state.oldest().is_none();
        state.set_wake_on(WakeOn { first, batch: true, urgent: true, threshold: true });
        drop(state);
        block_on(buffer.woken());
    }
}

#[test]
fn the_delivery_task_sleeps_through_no_event() {
    explore(|| {
        let buffer = Arc::new(Buffer::new(limits()));
        let emitters = emitters(&buffer);
        let mut found = Vec::new();
        take(&buffer, usize::from(EMITTERS * EVENTS), |buffer, chunk| {
            found.extend(chunk.bytes().chunks(event(0).len()).map(<[u8]>::to_vec));
            buffer.lock().recycle(chunk);
        });
        emitters.into_iter().for_each(|emitter| drop(emitter.join().unwrap()));
        assert!(found.is_sorted(), "events are not in the order of their ids");
        let marks: BTreeSet<u8> = marks(&found.concat()).into_iter().collect();
        assert_eq!(marks.len(), found.len());
        assert_eq!(found.len(), usize::from(EMITTERS * EVENTS));
    });
}

#[test]
fn only_what_is_asked_for_wakes_the_delivery_task() {
    explore(|| {
        let buffer = Arc::new(Buffer::new(limits()));
        buffer.lock().set_wake_on(WakeOn { threshold: true, ..WakeOn::default() });
        let emitters = [(); 2].map(|()| {
            let buffer = Arc::clone(&buffer);
            thread::spawn(move || {
                for mark in 0..5 {
                    buffer.accept_as(&mut event(mark), 2, 1, Level::Info, 2, Guest::Usual);
                }
            })
        });
        block_on(buffer.woken());
        assert!(buffer.lock().is_over_threshold());
        emitters.into_iter().for_each(|emitter| emitter.join().unwrap());
    });
}

#[test]
fn every_event_is_in_a_segment_of_its_own_chunk_until_it_is_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    static RUN: AtomicUsize = AtomicUsize::new(0);
    explore(move || {
        let spool = folder.path().join(RUN.fetch_add(1, Ordering::Relaxed).to_string());
        fs::create_dir(&spool).unwrap();
        let segments = Arc::new(Segments::new(2, 7, Uuid::nil()));
        segments.open(&spool).unwrap();
        let buffer =
            Arc::new(Buffer::with_segments(limits(), Some(Arc::clone(&segments)), Ledger::in_memory(1)));
        let emitters = emitters(&buffer);
        // The spool's thread, which gives what it has made and takes away what nobody needs.
        let provider = {
            let (buffer, segments) = (Arc::clone(&buffer), Arc::clone(&segments));
            thread::spawn(move || {
                for _ in 0..2 {
                    let made = vec![segments.make(segments.capacity).unwrap()];
                    let mut state = buffer.lock();
                    let pool = state.pool.as_mut().unwrap();
                    pool.provide(made);
                    let (_, unneeded) = pool.order();
                    drop(state);
                    segments.remove(unneeded);
                }
            })
        };
        // The first chunks leave; those behind them stay.
        let mut gone = Vec::new();
        take(&buffer, 2, |buffer, chunk| {
            gone.extend(marks(chunk.bytes()));
            buffer.lock().recycle(chunk);
        });
        for emitter in emitters {
            for ticket in emitter.join().unwrap() {
                assert!(ticket.is_queued() && ticket.place().is_kept());
            }
        }
        provider.join().unwrap();
        assert!(buffer.lock().pool.as_ref().unwrap().failure().is_none());

        // What the next process would find.
        let (mut ids, mut found) = (BTreeSet::new(), gone);
        for file in fs::read_dir(spool.join(crate::segment::FOLDER)).unwrap() {
            if let Found::Batch(batch) = format::read(&fs::read(file.unwrap().path()).unwrap()) {
                assert!(batch.damage.is_empty() && ids.insert(batch.id));
                found.extend(marks(&batch.events));
            }
        }
        found.sort_unstable();
        assert_eq!(found, (0..EMITTERS * EVENTS).collect::<Vec<_>>());
        fs::remove_dir_all(&spool).unwrap();
    });
}
