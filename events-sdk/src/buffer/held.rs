//! Batches that failed and are in memory, because the disk takes nothing or it is not known yet whether they may be sent
//! again.
//!
//! They count towards the bounds, and give way to graver events as what waits does; but as a whole: Toggle may know the
//! batch already, and what is left of it would go by another id. What is not worth a place on disk is dropped out of those that
//! Toggle cannot know, before they go there.

use std::{collections::VecDeque, sync::Arc, time::Instant};

use uuid::Uuid;

use super::State;
use crate::{
    Batch, DropReason,
    accounts::Place,
    chunk::{Chunk, Entry, SEVERITIES},
};

/// A batch that failed and is in memory, with what the accounts know of it.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) batch: Arc<Batch>,
    pub(crate) chunk: Chunk,
    /// How often Toggle has refused it.
    pub(crate) refusals: u32,
    /// It stays behind until then, because it was refused.
    pub(crate) not_before: Option<Instant>,
}

/// What failed, oldest first.
#[derive(Debug, Default)]
pub(super) struct HeldBatches {
    batches: VecDeque<Held>,
    /// The size of their events.
    bytes: usize,
    /// What may give way to graver events, by the severity of the gravest event of each batch: whoever emits while memory is full
    /// should not have to look at every batch.
    yielding: [Yielding; SEVERITIES],
    /// That of others which failed and are being written, as the delivery task last said.
    pub(super) writing_bytes: usize,
    /// Those that are no more, since this was asked last: they gave way, or have another id now.
    dropped: Vec<Uuid>,
}

/// How many batches, with how many events and bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Yielding {
    batches: usize,
    events: u64,
    bytes: usize,
}

impl HeldBatches {
    /// The size of all that failed and is in memory.
    pub(super) fn total_bytes(&self) -> usize {
        self.bytes + self.writing_bytes
    }

    /// How many events, and bytes, would give way to one of this severity.
    pub(super) fn lighter_than(&self, severity: u8) -> (u64, usize) {
        let lighter = self.yielding.iter().take(severity.into());
        lighter.fold((0, 0), |(events, bytes), one| (events + one.events, bytes + one.bytes))
    }

    /// The severity of the gravest event of the batch in which that is the lightest.
    pub(super) fn lightest(&self, below: u8) -> Option<u8> {
        (0..below).find(|&severity| self.yielding[usize::from(severity) % SEVERITIES].batches > 0)
    }

    fn count(&mut self, held: &Held, more: bool) {
        let (events, bytes) = (held.chunk.len() as u64, held.batch.events().len());
        self.bytes = if more { self.bytes + bytes } else { self.bytes - bytes };
        let all = &mut self.yielding[usize::from(held.chunk.gravest_severity()) % SEVERITIES];
        *all = if more {
            Yielding { batches: all.batches + 1, events: all.events + events, bytes: all.bytes + bytes }
        } else {
            Yielding { batches: all.batches - 1, events: all.events - events, bytes: all.bytes - bytes }
        };
    }
}

impl State {
    /// Keeps a batch that failed.
    pub(crate) fn hold(&mut self, held: Held) {
        self.held.count(&held, true);
        self.held.batches.push_back(held);
    }

    /// Batches that failed, oldest first.
    pub(crate) fn held(&self) -> impl Iterator<Item = &Held> {
        self.held.batches.iter()
    }

    /// The oldest of them that may go.
    pub(crate) fn take_held(&mut self, may_go: impl Fn(&Held) -> bool) -> Option<Held> {
        let place = self.held.batches.iter().position(may_go)?;
        self.remove_held(place)
    }

    /// The delivery task has so many bytes in its hands of batches that failed and are not on disk yet.
    pub(crate) fn set_failed_writing(&mut self, bytes: usize) {
        self.held.writing_bytes = bytes;
    }

    /// Those that gave way to graver events or have another id now, since this was asked last.
    pub(crate) fn take_dropped_held(&mut self) -> Vec<Uuid> {
        std::mem::take(&mut self.held.dropped)
    }

    /// The oldest batch whose gravest event is of this severity gives way to graver events. `false` when there is none.
    pub(super) fn drop_held(&mut self, gravest: u8) -> bool {
        let dropped = self.take_held(|held| held.chunk.gravest_severity() == gravest);
        let Some(Held { batch, mut chunk, .. }) = dropped else { return false };
        let sequence = chunk.sequence;
        let Self { accounts, untold, fates, .. } = self;
        chunk.evict_where(
            |_| true,
            |entry| {
                accounts.lose(Place::Memory, DropReason::BufferFull, entry.category, entry.severity);
                fates.dropped(sequence, entry.within(), DropReason::BufferFull);
                untold.extend(entry.is_own().then_some(sequence));
            },
        );
        self.held.dropped.push(batch.id());
        self.recycle(chunk);
        true
    }

    /// Drops the events out of what failed that are [not for the disk](Chunk::not_for_disk).
    pub(crate) fn shed_held(&mut self, now_ms: u64) {
        let is_meant = |held: &Held| held.chunk.not_for_disk() > 0;
        if !self.held().any(is_meant) {
            return;
        }
        // All of them, so that they stay in their order.
        let all: Vec<Held> = std::iter::from_fn(|| self.take_held(|_| true)).collect();
        for Held { batch, chunk, refusals, not_before } in all {
            if let Some((batch, chunk)) = self.shed_batch(batch, chunk, now_ms) {
                self.hold(Held { batch, chunk, refusals, not_before });
            }
        }
    }

    /// The same for one that is not here, on its way to disk. What is left of it has another id, for that one stood for other bytes.
    pub(crate) fn shed_batch(
        &mut self,
        batch: Arc<Batch>,
        mut chunk: Chunk,
        now_ms: u64,
    ) -> Option<(Arc<Batch>, Chunk)> {
        if chunk.not_for_disk() == 0 {
            return Some((batch, chunk));
        }
        let (old, timestamp_ms, sequence) = (batch.id(), batch.timestamp_ms(), chunk.sequence);
        // An uplink may still hold on to the batch.
        let bytes = Arc::try_unwrap(batch).map_or_else(|shared| shared.events().to_vec(), Batch::into_events);
        chunk.put_bytes(bytes);
        let Self { accounts, fates, .. } = self;
        chunk.evict_where(Entry::is_best_effort, |entry| {
            accounts.lose(Place::Memory, DropReason::BestEffort, entry.category, entry.severity);
            fates.dropped(sequence, entry.within(), DropReason::BestEffort);
        });
        self.held.dropped.push(old);
        if chunk.is_empty() {
            self.recycle(chunk);
            return None;
        }
        let (id, count) = (self.next_id(now_ms), chunk.len() as u32);
        Some((Arc::new(Batch::new(id, timestamp_ms, chunk.take_bytes(), count)), chunk))
    }

    fn remove_held(&mut self, place: usize) -> Option<Held> {
        let held = self.held.batches.remove(place)?;
        self.held.count(&held, false);
        Some(held)
    }
}
