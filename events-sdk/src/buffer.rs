//! The memory buffer: where an emitted event waits until it is sent or written to disk.
//!
//! One lock, held for a copy of a few hundred bytes. Under it lie the waiting chunks, the ids and the accounts, so that
//! events are in the order of their ids, the bounds are exact, and whoever looks sees accounts that balance. The
//! delivery task takes whole chunks out; it never holds the lock while it sends or writes.
//!
//! When memory is full, an event that is graver than the least grave ones waiting takes their place; otherwise it is
//! dropped itself. Either way it is counted.

mod bounds;
mod fates;
mod held;
mod leaving;

use std::{
    collections::VecDeque,
    path::Path,
    sync::{Arc, PoisonError},
    time::Instant,
};

use tokio::sync::Notify;
use uuid::Uuid;

pub(crate) use self::{bounds::Limits, fates::Fate, held::Held, leaving::Left};
use self::{fates::Fates, held::HeldBatches};
use crate::{
    DropReason, Level, Ticket,
    accounts::Accounts,
    chunk::{Chunk, SEVERITIES},
    id::{self, ID_TEXT_LEN, IdGenerator},
    ledger::Ledger,
    plural::counted,
    primitives::{Mutex, MutexGuard},
    segment::{Segment, Segments, pool::Pool},
    stats::Status,
    ticket::Place as TicketPlace,
    uplink::DEFAULT_MAX_MESSAGE_BYTES,
};

/// The largest single event: it has to fit into a message, with room for batch id and timestamp.
pub(crate) const MAX_EVENT_BYTES: usize = DEFAULT_MAX_MESSAGE_BYTES - (4 << 10);

/// How many emptied chunks are kept for new events, so that a steady stream allocates nothing. Four in flight, one
/// being filled, and as many again for a burst.
const SPARE_CHUNKS: usize = 9;

/// A spare chunk that has grown beyond this is given back to the system: nine of them are all that an idle buffer holds.
const SPARE_BYTES: usize = 2 << 20;

/// Events of this level and graver are sent at once.
pub(crate) const URGENT: Level = Level::Error;

/// What kind of guest an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guest {
    /// Like most.
    Usual,
    /// It is dropped rather than put on disk.
    BestEffort,
    /// The delivery task's own. It is accepted while a shutdown is under way too, displaces no other, and no segment is made for it:
    /// the task waits for no disk.
    Own,
}

/// What the delivery task wants to be woken for while it sleeps.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct WakeOn {
    /// The first event after nothing waited: a batch timeout begins.
    pub(crate) first: bool,
    /// A batch is full.
    pub(crate) batch: bool,
    /// An event came in that does not wait for company.
    pub(crate) urgent: bool,
    /// The flush threshold is reached.
    pub(crate) threshold: bool,
}

/// Segments that are not on stable storage, and the place of the last event in them.
pub(crate) struct Unsynced {
    pub(crate) paths: Vec<Arc<Path>>,
    pub(crate) upto: u64,
}

/// The buffer and what lies under the same lock.
#[derive(Debug)]
pub(crate) struct Buffer {
    state: Mutex<State>,
    wake: Notify,
    segments: Option<Arc<Segments>>,
}

/// What the lock protects.
#[derive(Debug)]
pub(crate) struct State {
    limits: Limits,
    /// The chunk being filled.
    open: Chunk,
    /// Full chunks, oldest first.
    ready: VecDeque<Chunk>,
    spare: Vec<Chunk>,
    waiting_events: usize,
    waiting_bytes: usize,
    waiting_by_severity: [u32; SEVERITIES],
    waiting_bytes_by_severity: [usize; SEVERITIES],
    /// Bytes of chunks that were taken out to be written to disk.
    writing_bytes: usize,
    held: HeldBatches,
    /// How many events that the delivery task has in its hands lie in segments, as it last said.
    kept_elsewhere: u64,
    /// The places in the order of chunks of which an event was dropped that told of losses.
    untold: Vec<u64>,
    fates: Fates,
    next_sequence: u64,
    /// Chunks below this place in the order have segments that could not be synced, or are gone.
    unsafe_before: u64,
    ids: IdGenerator,
    closed: bool,
    wake_on: WakeOn,
    /// What makes events outlive the process, where that is asked for.
    pub(crate) pool: Option<Pool>,
    pub(crate) accounts: Accounts,
    /// What the delivery task last said of itself.
    pub(crate) status: Status,
}

impl Buffer {
    #[cfg(test)]
    pub(crate) fn new(limits: Limits) -> Self {
        Self::with_segments(limits, None, Ledger::in_memory(1))
    }

    /// With segments, where events are to outlive the process.
    pub(crate) fn with_segments(limits: Limits, segments: Option<Arc<Segments>>, ledger: Ledger) -> Self {
        let chunks = limits.events / limits.batch.max(1);
        let state = State {
            limits,
            open: Chunk::default(),
            ready: VecDeque::new(),
            spare: Vec::with_capacity(SPARE_CHUNKS),
            waiting_events: 0,
            waiting_bytes: 0,
            waiting_by_severity: [0; SEVERITIES],
            waiting_bytes_by_severity: [0; SEVERITIES],
            writing_bytes: 0,
            held: HeldBatches::default(),
            kept_elsewhere: 0,
            untold: Vec::new(),
            fates: Fates::default(),
            next_sequence: 1,
            unsafe_before: 0,
            ids: IdGenerator::new(),
            closed: false,
            wake_on: WakeOn::default(),
            pool: segments.clone().map(|segments| Pool::new(segments, chunks)),
            accounts: Accounts::new(ledger),
            status: Status::default(),
        };
        Self { state: Mutex::new(state), wake: Notify::new(), segments }
    }

    /// Where segments are made, if they are.
    pub(crate) fn segments(&self) -> Option<&Arc<Segments>> {
        self.segments.as_ref()
    }

    /// The lock. A thread that panicked while holding it left nothing half done that could not be counted on: each
    /// movement is one call.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until something the delivery task asked for has happened.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// A sync of segments failed. Nothing up to the place that this gives is on stable storage by it, and what waits in
    /// memory does so no longer than it must.
    pub(crate) fn fail_sync(&self, error: &str) -> u64 {
        self.give_up_segments(format!("cannot sync a segment: {error}"), |pool| pool.fail_sync(error))
    }

    /// So many files of segments were removed; otherwise as [`fail_sync`](Self::fail_sync).
    pub(crate) fn lose_segments(&self, count: usize) -> u64 {
        let (segments, were) = (counted(count as u64, "segment"), if count == 1 { "was" } else { "were" });
        let error = format!("{segments} {were} removed; find who tidies up in the spool directory");
        self.give_up_segments(error, |pool| pool.lose(count))
    }

    fn give_up_segments(&self, error: String, give_up: impl FnOnce(&mut Pool)) -> u64 {
        let mut state = self.lock();
        state.seal();
        state.unsafe_before = state.next_sequence;
        state.pool.as_mut().map(give_up);
        state.status.fail(error);
        let last = state.last_place();
        drop(state);
        self.wake.notify_one();
        last
    }

    /// Takes over one encoded event; its id goes to `id_at`.
    #[cfg(test)]
    pub(crate) fn accept(
        &self,
        event: &[u8],
        id_at: usize,
        now_ms: u64,
        level: Level,
        category: u8,
    ) -> Ticket {
        self.accept_as(&mut event.to_vec(), id_at, now_ms, level, category, Guest::Usual)
    }

    /// Takes over one encoded event; its id goes to `id_at`.
    ///
    /// The id is written before the event is copied: what is summed up for a segment then begins where a vector does, and not
    /// anywhere in a chunk, which would cost the sum a third more.
    #[inline]
    pub(crate) fn accept_as(
        &self,
        event: &mut [u8],
        id_at: usize,
        now_ms: u64,
        level: Level,
        category: u8,
        guest: Guest,
    ) -> Ticket {
        let mut state = self.lock();
        let mut made = None;
        if let Some(segments) = self.segments.as_ref().filter(|_| guest != Guest::Own) {
            (state, made) = self.prepare(state, segments, event.len());
        }
        let fate = state.admit(event.len(), level.severity(), category, guest);
        if let Err(reason) = fate {
            state.not_needed(made);
            return Ticket::dropped(reason);
        }
        let (wake, place) = state.append(event, id_at, now_ms, level, category, &mut made);
        if guest != Guest::Usual {
            state.mark_last(guest);
        }
        state.not_needed(made);
        drop(state);
        if wake {
            self.wake.notify_one();
        }
        Ticket::queued(place)
    }

    /// Sees that there is a segment for an event of `len` bytes. Where none is ready it is made here, without the lock.
    #[inline]
    fn prepare<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        segments: &Segments,
        len: usize,
    ) -> (MutexGuard<'a, State>, Option<Segment>) {
        let Some(capacity) = state.missing_segment(len) else { return (state, None) };
        drop(state);
        let made = segments.make(capacity);
        state = self.lock();
        let made = made.map_err(|error| {
            // The delivery task logs it, and has others made.
            if let Some(pool) = &mut state.pool {
                pool.fail(&error);
            }
            self.wake.notify_one();
        });
        (state, made.ok())
    }

    /// Counts an event that was dropped before it reached the buffer.
    pub(crate) fn reject(&self, reason: DropReason, category: u8, level: Level) -> Ticket {
        let mut state = self.lock();
        if state.closed {
            return Ticket::dropped(DropReason::NotInitialized);
        }
        state.accounts.reject(reason, category, level.severity());
        Ticket::dropped(reason)
    }
}

impl State {
    /// Whether an event of this length is accepted; what has to make room for it is dropped.
    #[inline]
    fn admit(&mut self, length: usize, severity: u8, category: u8, guest: Guest) -> Result<(), DropReason> {
        if self.closed && guest != Guest::Own {
            return Err(DropReason::NotInitialized);
        }
        if length > MAX_EVENT_BYTES.min(self.limits.bytes) {
            self.accounts.reject(DropReason::TooLarge, category, severity);
            return Err(DropReason::TooLarge);
        }
        // What tells of losses causes none.
        let may_displace = guest != Guest::Own;
        if self.is_full_for(length, severity) && !(may_displace && self.make_room(length, severity)) {
            self.accounts.reject(DropReason::BufferFull, category, severity);
            return Err(DropReason::BufferFull);
        }
        Ok(())
    }

    /// A segment was made, and another one came to be used.
    #[inline]
    fn not_needed(&mut self, made: Option<Segment>) {
        if let (Some(pool), Some(made)) = (&mut self.pool, made) {
            pool.give_back(made);
        }
    }

    /// The event that came in last is such a guest.
    fn mark_last(&mut self, guest: Guest) {
        let chunk = if self.open.is_empty() { self.ready.back_mut() } else { Some(&mut self.open) };
        match (chunk, guest) {
            (Some(chunk), Guest::BestEffort) => chunk.last_is_best_effort(),
            (Some(chunk), Guest::Own) => chunk.last_is_own(),
            _ => {}
        }
    }

    #[inline]
    fn append(
        &mut self,
        event: &mut [u8],
        id_at: usize,
        now_ms: u64,
        level: Level,
        category: u8,
        made: &mut Option<Segment>,
    ) -> (bool, TicketPlace) {
        let severity = level.severity();
        let mut happened = WakeOn::default();
        if self.is_cut_before(event.len()) {
            self.seal();
            happened.batch = true;
        }
        let id = self.ids.next(now_ms);
        if self.open.is_empty() {
            self.open.opened_at = Some(Instant::now());
            self.open.sequence = self.next_sequence;
            self.next_sequence += 1;
            happened.first = true;
            if self.pool.is_some() {
                self.open_segment(made, event.len(), now_ms);
            }
        }
        if let Some(place) = event.get_mut(id_at..id_at + ID_TEXT_LEN).and_then(|text| text.try_into().ok()) {
            id::write_text(id, place);
        }
        self.open.push(event, severity, category);
        let mut kept = false;
        let mut is_low = false;
        if let Some(pool) = &mut self.pool {
            kept = self.open.keep_last(event);
            if !kept {
                pool.count_unprotected();
                self.accounts.ledger.count_unkept();
            }
            is_low = self.open.len() == 1 && pool.is_getting_low();
        }
        let place = TicketPlace::new(self.open.sequence, self.open.given, kept);
        self.accounts.accept();
        self.waiting_events += 1;
        self.waiting_bytes += event.len();
        self.waiting_by_severity[usize::from(severity) % SEVERITIES] += 1;
        self.waiting_bytes_by_severity[usize::from(severity) % SEVERITIES] += event.len();
        if level >= URGENT {
            self.open.urgent = true;
            happened.urgent = true;
        }
        if self.open.len() >= self.limits.batch {
            self.seal();
            happened.batch = true;
        }
        happened.threshold = self.is_over_threshold();
        let wake = (happened.first && self.wake_on.first)
            || (happened.batch && self.wake_on.batch)
            || (happened.urgent && self.wake_on.urgent)
            || (happened.threshold && self.wake_on.threshold);
        if wake {
            self.wake_on = WakeOn::default();
        }
        (wake || is_low, place)
    }

    /// Whether the open chunk ends before an event of `len` bytes.
    #[inline]
    fn is_cut_before(&self, len: usize) -> bool {
        !self.open.is_empty()
            && (self.open.bytes().len() + len > self.limits.batch_bytes
                || !self.open.has_room(len)
                || (self.open.segment.is_none() && self.pool.as_ref().is_some_and(Pool::may_give))
                || self.open.given >= TicketPlace::MOST_WITHIN)
    }

    /// The size of the segment that has to be made before an event of `len` bytes is accepted, if any.
    #[inline]
    fn missing_segment(&self, len: usize) -> Option<usize> {
        let begins = self.open.is_empty() || self.is_cut_before(len);
        self.pool.as_ref().filter(|_| begins && len <= MAX_EVENT_BYTES)?.missing_for(len)
    }

    /// The open chunk, which begins with an event of `len` bytes, gets a segment if there is one.
    fn open_segment(&mut self, made: &mut Option<Segment>, len: usize, now_ms: u64) {
        let id = self.ids.next(now_ms);
        let Some(pool) = &mut self.pool else { return };
        // One that every event was dropped out of.
        if let Some(old) = self.open.segment.take() {
            pool.give_back(old);
        }
        self.open.segment = pool.take(made.take(), len, id);
    }

    /// What is not on stable storage.
    pub(crate) fn take_unsynced(&mut self) -> Unsynced {
        let upto = self.last_place();
        let open = self.open.segment.as_mut();
        let paths = self.pool.as_mut().map(|pool| pool.take_unsynced(open)).unwrap_or_default();
        Unsynced { paths, upto }
    }

    /// Every event up to now has this place or one before it.
    pub(crate) fn last_place(&self) -> u64 {
        if self.open.is_empty() {
            TicketPlace::new(self.next_sequence, 0, false).order()
        } else {
            TicketPlace::new(self.open.sequence, self.open.given, false).order()
        }
    }

    /// The open chunk is full: the next event starts another.
    pub(crate) fn seal(&mut self) {
        if !self.open.is_empty() {
            let next = self.spare.pop().unwrap_or_default();
            self.ready.push_back(std::mem::replace(&mut self.open, next));
        }
    }

    /// A new id for a batch or a file.
    pub(crate) fn next_id(&mut self, now_ms: u64) -> Uuid {
        self.ids.next(now_ms)
    }

    /// Refuses every further event.
    pub(crate) fn close(&mut self) {
        self.closed = true;
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    pub(crate) fn waiting_events(&self) -> usize {
        self.waiting_events
    }

    pub(crate) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// Whether something waits or has failed that goes with the process.
    pub(crate) fn holds_unkept(&self) -> bool {
        let failed = self.held().map(|held| &held.chunk);
        self.ready.iter().chain([&self.open]).chain(failed).any(|chunk| !chunk.is_empty() && !chunk.is_kept())
    }

    /// Whether something waits whose segment could not be synced, or is gone.
    pub(crate) fn holds_unsafe(&self) -> bool {
        self.unsafe_before > 0 && self.oldest_sequence().is_some_and(|oldest| oldest < self.unsafe_before)
    }

    /// Whether an event waits that does not wait for company.
    pub(crate) fn has_urgent(&self) -> bool {
        self.waiting_by_severity[usize::from(URGENT.severity())..].iter().any(|&count| count > 0)
    }

    /// The severity of the least grave event that waits; zero when none does.
    pub(crate) fn least_severity(&self) -> u8 {
        (0..SEVERITIES as u8)
            .find(|&severity| self.waiting_by_severity[usize::from(severity)] > 0)
            .unwrap_or_default()
    }

    /// The severity of the gravest event that waits; zero when none does.
    pub(crate) fn gravest_severity(&self) -> u8 {
        (0..SEVERITIES as u8)
            .rfind(|&severity| self.waiting_by_severity[usize::from(severity)] > 0)
            .unwrap_or_default()
    }

    /// When the oldest waiting event came in.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.ready.front().unwrap_or(&self.open).opened_at
    }

    /// The place of the oldest waiting chunk in the order of chunks.
    pub(crate) fn oldest_sequence(&self) -> Option<u64> {
        let chunk = self.ready.front().unwrap_or(&self.open);
        (!chunk.is_empty()).then_some(chunk.sequence)
    }

    /// Every chunk up to now has a lower place in the order than this.
    pub(crate) fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    pub(crate) fn has_full_batch(&self) -> bool {
        !self.ready.is_empty() || (self.open.urgent && !self.open.is_empty())
    }

    /// What the delivery task wants to be woken for.
    pub(crate) fn set_wake_on(&mut self, wake_on: WakeOn) {
        self.wake_on = wake_on;
    }
}

#[cfg(test)]
pub(crate) mod interleavings;
#[cfg(test)]
mod tests;
