//! What of the memory of a process goes with it: all of it, or only what did not lie in segments as well.
//!
//! A process that keeps events in segments says so, with the start of the machine in which it does: after a loss of power some of
//! them may be gone by themselves. How many events it accepted without one it counts, so that an ordinary emit costs nothing
//! more. What is missing beyond these lay on disk, and somebody removed it.

use super::{Ledger, cells::Cells};
use crate::segment::boot;

/// In which start of the machine the process that works here keeps its events in segments; zero where it does not, or what earlier
/// processes had in memory may not have lain there and is still to be surveyed. Zero where an older version wrote it.
const KEPT_SINCE: usize = super::FILES_GONE + 1;
/// How many events were accepted without one meanwhile.
const UNKEPT: usize = KEPT_SINCE + 1;

/// Whether the process that works here, or the last one, has not looked at all yet that earlier processes left. Zero where an older
/// version wrote it.
pub(super) const LOOKING: usize = UNKEPT + 1;

const _: () = assert!(LOOKING < super::slots::SLOTS_AT);

impl Ledger {
    /// What is accepted from now on lies in segments, or not.
    pub(crate) fn keep_in_segments(&mut self, yes: bool) {
        self.kept_since = if yes { this_start() } else { 0 };
        if self.survey.unkept.is_none() {
            self.cells.store(UNKEPT, 0);
        }
        let has_no_past = self.is_new || self.survey.done || self.survey.was_clean;
        let is_known = has_no_past || self.survey.unkept.is_some();
        self.cells.store(KEPT_SINCE, if is_known { self.kept_since } else { 0 });
    }

    /// An event is accepted that lies in no segment, though others do.
    pub(crate) fn count_unkept(&mut self) {
        self.cells.store(UNKEPT, self.cells.load(UNKEPT) + 1);
    }

    /// The same goes on in another file.
    pub(super) fn move_unkept_to(&self, file: &mut Self) {
        file.keep_in_segments(self.kept_since != 0);
        file.cells.store(UNKEPT, file.cells.load(UNKEPT) + self.cells.load(UNKEPT));
    }

    /// How many of the events that earlier processes had in memory lay in no segment, at most. `None` where it may be any number.
    #[cfg(feature = "cli")]
    pub(crate) fn most_unkept(&self) -> Option<u64> {
        self.survey.unkept
    }

    /// What earlier processes left is surveyed: from now on only the events of this one count.
    pub(super) fn forget_unkept(&mut self) {
        if let Some(events) = self.survey.unkept.take() {
            self.cells.store(UNKEPT, self.cells.load(UNKEPT).saturating_sub(events));
        }
        self.cells.store(KEPT_SINCE, self.kept_since);
    }
}

/// How many events lay in no segment, at most, where these cells say.
pub(super) fn read(cells: &Cells) -> Option<u64> {
    let since = cells.load(KEPT_SINCE);
    (since != 0 && since == this_start()).then(|| cells.load(UNKEPT))
}

/// This start of the machine, as a number of a cell; zero where the system does not tell.
fn this_start() -> u64 {
    boot::this() & ((1 << 48) - 1)
}
