//! The survey: what earlier processes should have left is compared with what is found.

use std::collections::HashSet;

use uuid::Uuid;

use super::{ACCEPTED, Ledger, QUARANTINED, cells::Changes, unkept::LOOKING};
use crate::DropReason;

/// The comparison of what earlier processes should have left with what is found.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Events that should be there.
    pub(super) expected: i64,
    /// Events in files that have been found.
    pub(super) found: u64,
    /// Events that waited in spill files when the last process ended.
    pub(super) in_files: u64,
    /// Events among those found that it had in segments, and not in files.
    pub(super) in_segments: u64,
    /// What the books said of the quarantine.
    pub(super) quarantined: u64,
    /// Events that are among these, and were to be set aside once more.
    pub(super) twice: u64,
    pub(super) was_clean: bool,
    pub(super) done: bool,
    /// Files with a slot of an earlier process that have not been found.
    pub(super) unseen: HashSet<Uuid>,
    /// How many events lay in no segment when the last process ended, at most; `None` where it may be any number.
    pub(super) unkept: Option<u64>,
}

impl Survey {
    fn found_in_files(&self) -> u64 {
        self.found.saturating_sub(self.in_segments)
    }
}

impl Ledger {
    /// Events of this spool were found that are not in a file of others.
    pub(crate) fn find(&mut self, events: u64) {
        if self.survey.done {
            // They were given up for lost, or never counted.
            self.accept_others(events);
        } else {
            self.survey.found += events;
        }
    }

    /// So many events that are [found](Self::found) lay in a segment when the last process ended.
    pub(crate) fn find_in_segment(&mut self, events: u64) {
        self.survey.in_segments += events;
    }

    /// How many of the events that waited in spill files when the last process ended have not been found yet.
    pub(crate) fn not_found(&self) -> u64 {
        if self.survey.done {
            return 0;
        }
        self.survey.in_files.saturating_sub(self.survey.found_in_files())
    }

    /// How many events of ours waited in spill files when these numbers were read, with what of them is to be sent again.
    #[cfg(feature = "cli")]
    pub(crate) fn in_files(&self) -> u64 {
        self.survey.in_files
    }

    /// Files that were being delivered, and have not been found.
    #[cfg(feature = "cli")]
    pub(crate) fn begun_and_gone(&self) -> Vec<Uuid> {
        let unseen = self.survey.unseen.iter().copied();
        let mut gone: Vec<_> = unseen.filter(|&file| !self.slots.is_finished(&self.cells, file)).collect();
        gone.sort_unstable();
        gone
    }

    /// Whether whoever works here has not looked at all yet that earlier processes left: what of it was in their memory only is not
    /// counted as lost so far.
    #[cfg(feature = "cli")]
    pub(crate) fn is_looking(&self) -> bool {
        self.cells.load(LOOKING) != 0
    }

    /// Whether all that earlier processes left has been compared with what should be there.
    pub(crate) fn is_surveyed(&self) -> bool {
        self.survey.done
    }

    /// All files have been found. `quarantined` events were in the quarantine at the start. Gives why events are lost, and how
    /// many.
    pub(crate) fn survey(&mut self, quarantined: u64) -> Vec<(DropReason, u64)> {
        if self.survey.done {
            return Vec::new();
        }
        self.survey.done = true;
        self.cells.store(LOOKING, 0);
        let unkept = self.survey.unkept;
        self.forget_unkept();
        let quarantined = quarantined.saturating_sub(self.survey.twice);
        // Not the slots that were taken since: what was dealt with meanwhile is perhaps still to be removed.
        let gone = std::mem::take(&mut self.survey.unseen);
        gone.into_iter().for_each(|file| self.forget(file));
        let now = self.cells.load(QUARANTINED) + quarantined;
        self.cells.store(QUARANTINED, now.saturating_sub(self.survey.quarantined));
        let lost = self.survey.expected - (self.survey.found + quarantined).cast_signed();
        if lost < 0 {
            self.accept_others(lost.unsigned_abs());
            return Vec::new();
        }
        let lost = lost.unsigned_abs();
        // A process that was killed took its memory with it, but no file and no segment.
        let found = self.survey.found_in_files();
        let aside = quarantined.saturating_sub(self.survey.quarantined);
        let gone = self.survey.in_files.saturating_sub(found + aside).min(lost);
        let in_memory = if self.survey.was_clean { 0 } else { unkept.unwrap_or(lost) };
        let vanished = gone.max(lost.saturating_sub(in_memory));
        let mut losses = vec![(DropReason::Vanished, vanished), (DropReason::ProcessEnded, lost - vanished)];
        losses.retain(|(_, lost)| *lost > 0);
        losses
    }

    /// How many events more are in the quarantine than when the ledger was opened.
    pub(crate) fn set_aside_since(&self) -> u64 {
        self.cells.load(QUARANTINED).saturating_sub(self.survey.quarantined)
    }

    /// Events are set aside once more that were counted in the quarantine at the start, because a process ended before it was
    /// written down here that they had been, or were found in a file that somebody moved out of the quarantine. Whoever calls this
    /// [sets them aside](Self::set_aside), or [finds](Self::found) them, as well.
    pub(crate) fn counted_twice(&mut self, events: u64) {
        if !self.survey.done {
            self.survey.twice += events;
            return;
        }
        let (accepted, there) = (self.cells.load(ACCEPTED), self.cells.load(QUARANTINED));
        let events = events.min(accepted).min(there);
        let mut changes = Changes::default();
        self.set_accepted(accepted - events, &mut changes);
        changes.set(QUARANTINED, there - events);
        self.cells.change(&changes);
    }
}
