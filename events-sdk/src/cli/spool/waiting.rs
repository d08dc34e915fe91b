//! Which events of a file wait: those that an agent did not deliver, or set aside, before it ended.

use crate::{
    ledger::Known,
    spool::{Places, SpoolFile},
};

/// Goes through the events of an undamaged file.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    known: Known,
    places: Places,
}

impl Waiting {
    /// `known` is what the accounts know of it.
    pub(super) fn of(file: &SpoolFile, known: Known) -> Self {
        Self { known, places: Places::of(file) }
    }

    /// Whether the next event waits.
    pub(super) fn next(&mut self, entry: &[u8]) -> bool {
        let place = self.places.next(entry);
        match &self.known {
            Known::Finished => false,
            Known::From(step) => !step.has(place),
        }
    }
}
