//! Spill files that somebody removed: what is said of them, and what it costs.

use std::time::{Duration, Instant};

use super::{Delivery, LOG_AGAIN};
use crate::{DropReason, accounts::Place, spool::SpoolFile};

/// Whoever removes one file mostly removes more: for so long they are added up before the log hears of them.
const GATHER: Duration = Duration::from_secs(1);

/// Files that were gone when it was their turn, and that the log has not heard of.
#[derive(Debug, Default)]
pub(super) struct Vanished {
    files: u64,
    events: u64,
    /// When the first of them was found gone.
    since: Option<Instant>,
    told_at: Option<Instant>,
}

impl Vanished {
    fn add(&mut self, events: u64, now: Instant) {
        self.files += 1;
        self.events += events;
        self.since.get_or_insert(now);
    }

    /// When the log is to hear of them, if there are any: with all that goes in the same moment, and once in a while.
    fn told_at(&self) -> Option<Instant> {
        let gathered = self.since? + GATHER;
        Some(self.told_at.map_or(gathered, |at| gathered.max(at + LOG_AGAIN)))
    }

    /// How many files, and how many events of them, the log hears of now.
    fn take(&mut self, now: Instant) -> (u64, u64) {
        let taken = (self.files, self.events);
        *self = Self { told_at: Some(now), ..Self::default() };
        taken
    }
}

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
        self.vanished.add(missing, Instant::now());
        let mut state = self.intake.buffer.lock();
        let foreign = !file.is_of(state.accounts.ledger.id());
        state.accounts.lose_of(Place::Disk, DropReason::Vanished, 0, 0, missing, foreign);
        state.accounts.ledger.forget(file.id);
        state.status.spool.files = state.status.spool.files.saturating_sub(1);
        state.status.spool.bytes = state.status.spool.bytes.saturating_sub(file.bytes);
        drop(state);
        self.backlog.removed(file.id);
    }

    /// When the log is to hear of files that vanished.
    pub(super) fn vanished_told_at(&self) -> Option<Instant> {
        self.vanished.told_at()
    }

    /// Has the log say how many files vanished, when it is time; `at_once` where there is no later.
    pub(super) fn tell_vanished(&mut self, now: Instant, at_once: bool) {
        if self.vanished.told_at().is_some_and(|at| at_once || now >= at) {
            let (files, lost) = self.vanished.take(now);
            tracing::error!(files, lost, "spill files were removed; their events are lost");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_vanishes_in_the_same_moment_is_told_together_and_the_rest_once_in_a_while() {
        let (mut vanished, now) = (Vanished::default(), Instant::now());
        assert_eq!(vanished.told_at(), None);
        (0..1_000).for_each(|_| vanished.add(10, now));
        assert_eq!(vanished.told_at(), Some(now + GATHER));
        assert_eq!(vanished.take(now + GATHER), (1_000, 10_000));
        assert_eq!(vanished.told_at(), None);
        vanished.add(1, now + GATHER);
        assert_eq!(vanished.told_at(), Some(now + GATHER + LOG_AGAIN));
        vanished.add(1, now + LOG_AGAIN * 3);
        assert_eq!(vanished.take(now + LOG_AGAIN * 4), (2, 2));
    }
}
