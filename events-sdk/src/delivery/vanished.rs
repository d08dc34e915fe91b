//! Spill files that somebody removed: what is said of them, and what it costs.

use std::time::Instant;

use super::Delivery;
use crate::{DropReason, accounts::Place, spool::SpoolFile};

impl Delivery {
    /// So many files are not in the directory any more. Whoever took them may put them back, so nothing is lost yet.
    pub(super) fn missing_files(&self, count: u64) {
        let mut state = self.intake.buffer.lock();
        let before = std::mem::replace(&mut state.status.spool.missing, count);
        // For whoever looks at the books while this process changes them.
        state.accounts.ledger.note_files_gone(count);
        if count <= before {
            return;
        }
        state.status.fail(format!("{count} spill files were removed by somebody else; put them back"));
        drop(state);
        tracing::error!(
            count,
            "spill files were removed; put them back, or their events are lost when it is their turn"
        );
    }

    /// A file is gone that somebody else must have removed, and with it the events that were not read.
    pub(super) fn vanished(&mut self, file: &SpoolFile, missing: u64) {
        tracing::debug!(file = %file.id, missing, "a spill file was removed");
        self.vanished.add([1, missing], Instant::now());
        let mut state = self.intake.buffer.lock();
        let foreign = !file.is_of(state.accounts.ledger.id());
        state.accounts.lose_of(Place::Disk, DropReason::Vanished, 0, 0, missing, foreign);
        state.accounts.ledger.forget(file.id);
        state.status.spool.files = state.status.spool.files.saturating_sub(1);
        state.status.spool.bytes = state.status.spool.bytes.saturating_sub(file.bytes);
        drop(state);
        self.backlog.removed(file.id);
        self.refusals.forget_all_of(file.id);
    }
}
