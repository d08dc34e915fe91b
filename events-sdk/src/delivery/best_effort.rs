//! Events that are dropped rather than put on disk: when they go, so that no other goes for them there.
//!
//! They are shed from what is on its way to disk, and before room is made: what is there is worth a place, and they are not. From a
//! batch that failed they are shed only if Toggle cannot have stored it, or if it has no others: a batch that Toggle may have is
//! never changed, and goes to disk as it is. So does what shares one that is in flight when the process ends, or one in a segment,
//! where it has its id already.

use super::{Delivery, DiskCopy, Origin};
use crate::{DropReason, accounts::Place, buffer::State, chunk::Entry, emit::now_ms};

impl Delivery {
    /// Whether events may be dropped on disk for the sake of what is in memory. What is not worth a place there goes first, and
    /// perhaps that is enough.
    pub(super) fn must_make_room(&self, state: &mut State) -> bool {
        if !self.must_spill(state) {
            return false;
        }
        state.shed_waiting();
        self.must_spill(state)
    }

    /// At the end: what is only in memory or in segments, and not worth a place on disk, does not go on to the next process.
    pub(super) fn shed_rest(&mut self) {
        let mut state = self.intake.buffer.lock();
        state.shed_waiting();
        state.shed_held(now_ms());
        for (_, parcel) in self.in_flight.extract_if(|_, parcel| parcel.is_not_for_disk()) {
            let Origin::Memory { mut chunk, .. } = parcel.origin else { continue };
            let sequence = chunk.sequence;
            chunk.evict_where(Entry::is_best_effort, |entry| {
                state.lose(Place::Flight, DropReason::BestEffort, entry, sequence);
            });
            state.recycle(chunk);
        }
    }
}

impl super::Parcel {
    /// Whether it goes to no disk, wherever it ends.
    fn is_not_for_disk(&self) -> bool {
        match &self.origin {
            Origin::Memory { chunk, file: DiskCopy::None } => chunk.is_best_effort(),
            Origin::Memory { .. } | Origin::Disk { .. } => false,
        }
    }
}
