//! Which events of a file wait: those that an agent did not deliver, or set aside, before it ended.

use crate::{
    ledger::Known,
    spool::{Places, Refused, SpoolFile},
};

/// Goes through the events of an undamaged file.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    known: Known,
    places: Places,
    /// Those that are set aside though the rest of their piece waits.
    refused: Vec<Refused>,
}

impl Waiting {
    /// `known` is what the accounts know of it.
    pub(super) fn of(file: &SpoolFile, known: Known) -> Self {
        Self { known, places: Places::of(file), refused: Vec::new() }
    }

    /// The same without these, which are set aside.
    pub(super) fn without(self, refused: Vec<Refused>) -> Self {
        Self { refused, ..self }
    }

    /// Whether the next event waits.
    pub(super) fn next(&mut self, entry: &[u8]) -> bool {
        let place = self.places.next(entry);
        match &self.known {
            Known::Finished => false,
            Known::From(step) => !step.has(place) && !Refused::take(&mut self.refused, place, entry),
        }
    }
}
