//! Batches that failed and are in memory, because the disk takes nothing or it is not known yet whether they may be sent
//! again.
//!
//! They count towards the bounds, and give way to graver events as what waits does; but as a whole: Toggle may know the
//! batch already, and what is left of it would go by another id.

use std::{collections::VecDeque, sync::Arc, time::Instant};

use uuid::Uuid;

use super::State;
use crate::{Batch, DropReason, accounts::Place, chunk::Chunk};

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
    /// That of others which failed and are being written, as the delivery task last said.
    pub(super) writing_bytes: usize,
    /// Those that gave way, since this was asked last.
    dropped: Vec<Uuid>,
}

impl Held {
    /// Whether all of it is lighter than this severity. Half of a batch whose segment knows only the whole never gives way.
    fn gives_way_to(&self, severity: u8) -> bool {
        self.chunk.gravest_severity() < severity && !self.chunk.shares_segment()
    }
}

impl HeldBatches {
    /// The size of all that failed and is in memory.
    pub(super) fn total_bytes(&self) -> usize {
        self.bytes + self.writing_bytes
    }

    /// How many events, and bytes, would give way to one of this severity.
    pub(super) fn lighter_than(&self, severity: u8) -> (u64, usize) {
        let lighter = self.batches.iter().filter(|held| held.gives_way_to(severity));
        lighter.fold((0, 0), |(events, bytes), held| {
            (events + held.chunk.len() as u64, bytes + held.batch.events().len())
        })
    }

    /// The batch whose gravest event is the lightest, with that severity; of several the oldest.
    pub(super) fn lightest(&self, below: u8) -> Option<(usize, u8)> {
        let lighter = self.batches.iter().enumerate().filter(|(_, held)| held.gives_way_to(below));
        lighter
            .map(|(place, held)| (place, held.chunk.gravest_severity()))
            .min_by_key(|&(_, gravest)| gravest)
    }
}

impl State {
    /// Keeps a batch that failed.
    pub(crate) fn hold(&mut self, held: Held) {
        self.held.bytes += held.batch.events().len();
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

    /// Those that gave way to graver events, since this was asked last.
    pub(crate) fn take_dropped_held(&mut self) -> Vec<Uuid> {
        std::mem::take(&mut self.held.dropped)
    }

    /// A batch gives way to graver events.
    pub(super) fn drop_held(&mut self, place: usize) {
        let Some(Held { batch, mut chunk, .. }) = self.remove_held(place) else { return };
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
    }

    fn remove_held(&mut self, place: usize) -> Option<Held> {
        let held = self.held.batches.remove(place)?;
        self.held.bytes -= held.batch.events().len();
        Some(held)
    }
}
