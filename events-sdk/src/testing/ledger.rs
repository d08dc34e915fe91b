//! What a test Toggle has seen.
//!
//! Every attempt is written down; the events of a batch are kept once, the first time it is stored. A batch is known by
//! its id: the same id again is a repeat, and one whose bytes differ from the first sight of it is an altered repeat,
//! which a correct sender never makes.

use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use prost::Message;

use crate::proto;

/// One `SendEvents` call as the test Toggle saw it.
#[derive(Clone)]
#[non_exhaustive]
pub struct Received {
    /// The batch's id; empty if the sender gave none.
    pub batch_id: String,
    /// How many events the batch held.
    pub events: usize,
    /// The length of the message, after decompression.
    pub bytes: usize,
    /// When it came.
    pub at: SystemTime,
    /// The bearer token it came with.
    pub token: Option<String>,
    /// The compression it came in, as the header `grpc-encoding` says.
    pub compression: Option<String>,
    /// Whether the batch was stored by this call.
    pub stored: bool,
    /// Whether the batch had been stored before, so that Toggle recognised a repeat.
    pub duplicate: bool,
    /// Whether the sender was told that Toggle has the batch.
    pub acknowledged: bool,
    body: Option<Bytes>,
}

impl Received {
    /// The batch, decoded. `None` unless this call stored it, and when Toggle only counts.
    ///
    /// # Errors
    ///
    /// When an event in it is not a valid `rodent.events.Event`.
    pub fn batch(&self) -> Option<Result<proto::EventBatch, prost::DecodeError>> {
        self.body.clone().map(proto::EventBatch::decode)
    }

    /// The message as it came, where [`batch`](Self::batch) has something to decode.
    pub fn body(&self) -> Option<&[u8]> {
        self.body.as_deref()
    }
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received")
            .field("batch_id", &self.batch_id)
            .field("events", &self.events)
            .field("bytes", &self.bytes)
            .field("stored", &self.stored)
            .field("duplicate", &self.duplicate)
            .field("acknowledged", &self.acknowledged)
            .finish_non_exhaustive()
    }
}

/// A call that is about to be written down.
pub(super) struct Call {
    pub(super) batch_id: String,
    pub(super) events: usize,
    pub(super) body: Bytes,
    pub(super) token: Option<String>,
    pub(super) compression: Option<String>,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Stored and acknowledged.
    Stored,
    /// Stored, but the sender was told otherwise.
    StoredThenFailed,
    /// Not stored.
    Turned,
}

#[derive(Default)]
pub(super) struct Ledger {
    book: Mutex<Book>,
    changed: Condvar,
    hasher: RandomState,
}

#[derive(Default)]
pub(super) struct Book {
    pub(super) calls: Vec<Received>,
    pub(super) unique_events: usize,
    pub(super) duplicates: usize,
    pub(super) duplicate_events: usize,
    pub(super) altered: usize,
    pub(super) registrations: Vec<proto::SystemInfo>,
    seen: HashMap<String, Sight>,
    subscribers: Vec<mpsc::Sender<proto::events::Event>>,
}

/// What is remembered of a batch.
struct Sight {
    /// Nothing while Toggle only counts.
    fingerprint: Option<u64>,
    stored: bool,
}

impl Ledger {
    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a call down. With `only_count` nothing but numbers is kept.
    pub(super) fn record(&self, call: Call, fate: Fate, only_count: bool) {
        let fingerprint = (!only_count).then(|| self.hasher.hash_one(&call.body));
        let mut book = self.book();
        let (altered, known) = match book.seen.get_mut(&call.batch_id) {
            Some(sight) => {
                let altered = matches!((sight.fingerprint, fingerprint), (Some(a), Some(b)) if a != b);
                let known = sight.stored;
                sight.stored |= fate != Fate::Turned;
                (altered, known)
            }
            None => {
                // Batches without an id cannot be told apart: each is its own.
                if !call.batch_id.is_empty() {
                    let sight = Sight { fingerprint, stored: fate != Fate::Turned };
                    book.seen.insert(call.batch_id.clone(), sight);
                }
                (false, false)
            }
        };
        let stored = fate != Fate::Turned && !known;
        book.altered += usize::from(altered);
        if known {
            book.duplicates += 1;
            book.duplicate_events += call.events;
        }
        if stored {
            book.unique_events += call.events;
            if !only_count {
                book.tell_subscribers(&call.body);
            }
        }
        book.calls.push(Received {
            batch_id: call.batch_id,
            events: call.events,
            bytes: call.body.len(),
            at: SystemTime::now(),
            token: call.token,
            compression: call.compression,
            stored,
            duplicate: known,
            acknowledged: fate == Fate::Stored,
            body: (stored && !only_count).then_some(call.body),
        });
        drop(book);
        self.changed.notify_all();
    }

    pub(super) fn register(&self, system: proto::SystemInfo) {
        self.book().registrations.push(system);
    }

    pub(super) fn subscribe(&self) -> mpsc::Receiver<proto::events::Event> {
        let (sender, receiver) = mpsc::channel();
        self.book().subscribers.push(sender);
        receiver
    }

    /// Waits until the book is as wanted, or for so long at most; whether it is.
    pub(super) fn wait(&self, limit: Duration, wanted: impl Fn(&Book) -> bool) -> bool {
        let (book, _) = self
            .changed
            .wait_timeout_while(self.book(), limit, |book| !wanted(book))
            .unwrap_or_else(PoisonError::into_inner);
        wanted(&book)
    }

    /// All stored events, batch by batch in order of arrival. What cannot be decoded is left out.
    pub(super) fn events(&self) -> Vec<proto::events::Event> {
        let bodies: Vec<Bytes> = self.book().calls.iter().filter_map(|call| call.body.clone()).collect();
        bodies
            .into_iter()
            .filter_map(|body| proto::EventBatch::decode(body).ok())
            .flat_map(|batch| batch.events)
            .collect()
    }

    /// Starts a new page: nothing was seen yet. Subscribers stay.
    pub(super) fn clear(&self) {
        let mut book = self.book();
        let subscribers = std::mem::take(&mut book.subscribers);
        *book = Book { subscribers, ..Book::default() };
    }
}

impl Book {
    fn tell_subscribers(&mut self, body: &Bytes) {
        if self.subscribers.is_empty() {
            return;
        }
        let Ok(batch) = proto::EventBatch::decode(body.clone()) else { return };
        for event in batch.events {
            self.subscribers.retain(|subscriber| subscriber.send(event.clone()).is_ok());
        }
    }
}
