//! How much memory may hold, and what goes when that is reached.

use super::{Fate, State, TicketPlace, URGENT};
use crate::{
    DropReason,
    accounts::Place,
    chunk::{Chunk, Entry, SEVERITIES},
};

/// One part in so many comes on top of the bounds on events and bytes for those of [`URGENT`] and graver, so that they find
/// a place while all others are on their way to Toggle or to disk and none can make room.
const RESERVE: usize = 20;

/// So many bytes are moved at most for each event that makes room.
const MOVED: usize = 64 << 10;

/// What the buffer may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Events in memory, those on their way to disk included, and those of [`URGENT`] and graver not counted that come on
    /// top: see [`RESERVE`].
    pub(crate) events: usize,
    /// Bytes of events that wait, are being written to disk, or failed and are in memory; with the same reserve.
    pub(crate) bytes: usize,
    /// So many waiting events are written to disk.
    pub(crate) threshold: usize,
    /// So many events make a batch.
    pub(crate) batch: usize,
    /// And so do so many bytes.
    pub(crate) batch_bytes: usize,
}

impl Limits {
    /// How many events may be in memory when one of this severity comes in.
    fn events_for(&self, severity: u8) -> u64 {
        let reserve = if severity >= URGENT.severity() { self.events / RESERVE } else { 0 };
        (self.events + reserve) as u64
    }

    /// How many bytes may be in memory with an event of this severity.
    fn bytes_for(&self, severity: u8) -> usize {
        let reserve = if severity >= URGENT.severity() { self.bytes / RESERVE } else { 0 };
        self.bytes.saturating_add(reserve)
    }
}

impl State {
    /// Whether an event of `length` bytes exceeds a bound.
    pub(super) fn is_full_for(&self, length: usize, severity: u8) -> bool {
        self.accounts.in_memory >= self.limits.events_for(severity)
            || self.bytes_in_memory() + length > self.limits.bytes_for(severity)
    }

    /// Bytes of all that is counted as in memory.
    pub(super) fn bytes_in_memory(&self) -> usize {
        self.waiting_bytes + self.writing_bytes + self.held.total_bytes()
    }

    /// Whether so much waits that it should go to disk: the flush threshold, or nine tenths of the bytes, what failed
    /// included.
    pub(crate) fn is_over_threshold(&self) -> bool {
        self.waiting_events >= self.limits.threshold
            || self.waiting_bytes + self.held.total_bytes() >= self.limits.bytes / 10 * 9
    }

    /// Whether memory is about to overflow: nine tenths of the events or of the bytes that it may hold are there.
    pub(crate) fn is_nearly_full(&self) -> bool {
        self.accounts.in_memory >= (self.limits.events / 10 * 9) as u64
            || self.bytes_in_memory() >= self.limits.bytes / 10 * 9
    }

    /// Drops the least grave events that wait or failed until an event of `severity` and `length` bytes fits. `false` when
    /// there are none that are less grave.
    pub(super) fn make_room(&mut self, length: usize, severity: u8) -> bool {
        let lower = ..usize::from(severity) % SEVERITIES;
        let (held_events, held_bytes) = self.held.lighter_than(severity);
        let events = held_events + self.waiting_by_severity[lower].iter().map(|&n| u64::from(n)).sum::<u64>();
        let bytes = held_bytes + self.waiting_bytes_by_severity[lower].iter().sum::<usize>();
        let would_fit = self.accounts.in_memory - events < self.limits.events_for(severity)
            && self.bytes_in_memory() - bytes + length <= self.limits.bytes_for(severity);
        if !would_fit {
            // Nothing is dropped in vain.
            return false;
        }
        while self.is_full_for(length, severity) {
            let least = (0..usize::from(severity)).find(|&severity| self.waiting_by_severity[severity] > 0);
            let held = self.held.lightest(severity);
            if let Some(gravest) = held
                && least.is_none_or(|least| usize::from(gravest) < least)
                && self.drop_held(gravest)
            {
                continue;
            }
            let Some(least) = least else { return false };
            let events = (self.accounts.in_memory + 1).saturating_sub(self.limits.events_for(severity));
            let bytes = self.bytes_in_memory() + length;
            self.evict(least, events, bytes.saturating_sub(self.limits.bytes_for(severity)));
        }
        true
    }

    /// Drops the first events of one severity out of the oldest chunk that holds any: so many, and so many bytes, if it has
    /// them.
    pub(super) fn evict(&mut self, severity: usize, events: u64, bytes: usize) {
        let Self { ready, open, accounts, untold, fates, .. } = self;
        let place = ready.iter().position(|chunk| chunk.count_of(severity) > 0);
        let chunk = match place {
            Some(place) => &mut ready[place],
            None => open,
        };
        let count = chunk.count_of(severity);
        let sequence = chunk.sequence;
        // What is left is moved together, which must not cost each that comes in more and more.
        let events = events.max((chunk.bytes().len() / MOVED) as u64);
        let freed = chunk.evict(severity, events, bytes, |entry: Entry| {
            accounts.lose(Place::Memory, DropReason::BufferFull, entry.category, entry.severity);
            fates.dropped(sequence, entry.within(), DropReason::BufferFull);
            untold.extend(entry.is_own().then_some(sequence));
        });
        let count = count - chunk.count_of(severity);
        self.waiting_events -= count as usize;
        self.waiting_bytes -= freed;
        self.waiting_by_severity[severity] -= count;
        self.waiting_bytes_by_severity[severity] -= freed;
        if let Some(place) = place
            && self.ready[place].is_empty()
            && let Some(chunk) = self.ready.remove(place)
        {
            self.recycle(chunk);
        }
    }

    /// The size of what waits, without the events that are dropped rather than put on disk.
    pub(crate) fn bytes_for_disk(&self) -> usize {
        let dropped = self.ready.iter().chain([&self.open]).map(Chunk::best_effort_bytes);
        self.waiting_bytes - dropped.sum::<usize>()
    }

    /// Of what waits, drops the events that are not worth a place on disk.
    pub(crate) fn shed_waiting(&mut self) {
        if self.bytes_for_disk() < self.waiting_bytes {
            let mut chunks = self.take_all();
            self.shed(&mut chunks);
            self.put_back(chunks);
        }
    }

    /// Of what was taken to be written, drops the events that are not worth a place on disk.
    pub(crate) fn shed(&mut self, chunks: &mut Vec<Chunk>) {
        let Self { accounts, writing_bytes, fates, .. } = self;
        for chunk in chunks.iter_mut().filter(|chunk| chunk.best_effort_bytes() > 0) {
            let sequence = chunk.sequence;
            *writing_bytes -= chunk.evict_where(Entry::is_best_effort, |entry| {
                accounts.lose(Place::Memory, DropReason::BestEffort, entry.category, entry.severity);
                fates.dropped(sequence, entry.within(), DropReason::BestEffort);
            });
        }
        for empty in chunks.extract_if(.., |chunk| chunk.is_empty()).collect::<Vec<_>>() {
            self.recycle(empty);
        }
    }

    /// Counts an event of the chunk of this place in the order as dropped out of memory.
    pub(crate) fn lose(&mut self, from: Place, reason: DropReason, entry: Entry, sequence: u64) {
        self.accounts.lose(from, reason, entry.category, entry.severity);
        self.fates.dropped(sequence, entry.within(), reason);
        self.untold.extend(entry.is_own().then_some(sequence));
    }

    /// What is known of an event that was accepted: whether it was dropped out of memory.
    pub(crate) fn fate_of(&self, event: TicketPlace) -> Fate {
        self.fates.of(event)
    }

    /// The places in the order of those chunks out of which an event was dropped that tells of losses, since this was asked last.
    pub(crate) fn take_untold(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.untold)
    }
}
