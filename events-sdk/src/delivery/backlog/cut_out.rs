//! Pieces of which events were set aside before: what is left of them is sent in the halves in which it was sent then.

use uuid::Uuid;

use super::Backlog;
use crate::{Batch, ledger::Step, spool::Refused};

/// What was cut out of a piece.
#[derive(Debug, Default)]
pub(crate) struct CutOut {
    /// How far that brings its file, where nothing else of the piece was left.
    pub(crate) step: Option<Step>,
    /// How many events that should have been in it were not.
    pub(crate) missed: u64,
}

impl Backlog {
    /// These events of a file, which is about to be [added](Self::add), are set aside.
    pub(crate) fn are_set_aside(&mut self, file: Uuid, refused: Vec<Refused>) {
        if !refused.is_empty() {
            self.refused.insert(file, refused);
        }
    }

    /// How many events of a file are set aside in pieces that are not dealt with.
    pub(super) fn to_cut_out(&self, file: Uuid, step: &Step) -> u64 {
        let refused = self.refused.get(&file).into_iter().flatten();
        refused.filter(|refused| !step.has(refused.piece)).count() as u64
    }
}

/// How many events of this piece are set aside.
pub(super) fn in_piece(refused: &[Refused], place: u32) -> u64 {
    refused.iter().filter(|refused| refused.piece == place).count() as u64
}

/// What is left of a piece, in halves as large as they can be, and how many of its events are set aside. Those that are not in it are
/// `refused` no more; the others are to be cut out again should the file be read once more.
pub(super) fn cut_out(batch: Batch, place: u32, refused: &mut Vec<Refused>) -> (Vec<Batch>, u64) {
    let mut missed: Vec<Refused> = refused.iter().copied().filter(|one| one.piece == place).collect();
    let mut batches = Vec::new();
    let found = part(batch, place, &mut missed, &mut batches);
    for one in &missed {
        let place = refused.iter().position(|other| other == one);
        place.map(|place| refused.swap_remove(place));
    }
    (batches, found)
}

/// Adds what is left of a batch to these, and gives how many of its events are not.
fn part(batch: Batch, place: u32, wanted: &mut Vec<Refused>, batches: &mut Vec<Batch>) -> u64 {
    if batch.len() == 1 && Refused::take(wanted, place, batch.events()) {
        return 1;
    }
    let before = batches.len();
    let halves = batch.halves().filter(|_| !wanted.is_empty());
    let found = halves.into_iter().flatten().map(|half| part(half, place, wanted, batches)).sum();
    if found == 0 {
        // Whole, if none of them is in it.
        batches.truncate(before);
        batches.push(batch);
    }
    found
}
