//! Files that others go before, because all that was read of them was refused.

use uuid::Uuid;

use super::{Backlog, Open, PIECES_BYTES};
use crate::ledger::Step;

impl Backlog {
    /// Where refused pieces take up all the memory that pieces may, nothing that Toggle would take could be read, and everything would
    /// seem to be refused. The pieces of one file are forgotten then, to be read again when all others were.
    ///
    /// `may_be_stored` says of which batches an answer was lost: those are offered again as they are.
    /// `is_noted` says whether the ledger knows how far a file is: from there it begins again.
    pub(crate) fn make_room(
        &mut self,
        may_be_stored: impl Fn(Uuid) -> bool,
        is_noted: impl Fn(&Step) -> bool,
    ) {
        let is_stuck = !self.reading && self.is_full() && self.pieces.iter().all(|piece| piece.refusals > 0);
        if !is_stuck {
            return;
        }
        let candidates = self
            .open
            .values()
            .filter(|open| self.may_go_behind(open, &may_be_stored) && is_noted(&open.step));
        let largest = candidates.map(|open| open.file.id).max_by_key(|&id| self.bytes_of(id));
        if let Some(id) = largest
            && let Some(file) = self.take_out(id)
        {
            self.behind.insert(id);
            self.add(file);
        }
    }

    fn may_go_behind(&self, open: &Open, may_be_stored: impl Fn(Uuid) -> bool) -> bool {
        let id = open.file.id;
        let is_another_read = [self.current, self.interrupted].into_iter().flatten().any(|other| other != id);
        // What was delivered of a piece that was halved must not be offered again with the whole of it, nor what is too far on to be
        // noted. What was cut out is cut out again.
        let is_halfway = (open.step.pieces..)
            .zip(&open.under_way)
            .any(|(place, piece)| piece.delivered + piece.set_aside > piece.cut_out && !open.step.has(place));
        let mut pieces = self.pieces.iter().filter(|piece| piece.file == id);
        (is_another_read || self.are_others_fresh())
            && !open.vanished
            && self.is_at_rest(open)
            && !is_halfway
            && !pieces.any(|piece| may_be_stored(piece.batch.id()))
    }

    /// Whether files wait that are not to stay behind, or one that gave way to a graver one.
    pub(super) fn are_others_fresh(&self) -> bool {
        self.interrupted.is_some() || !(self.files.are_all(&self.behind) && self.grave.are_all(&self.behind))
    }

    /// Whether what was read and waits takes up all the memory that it may.
    pub(super) fn is_full(&self) -> bool {
        self.pieces.iter().map(|piece| piece.batch.events().len()).sum::<usize>() >= PIECES_BYTES
    }

    fn bytes_of(&self, file: Uuid) -> usize {
        let pieces = self.pieces.iter().filter(|piece| piece.file == file);
        pieces.map(|piece| piece.batch.events().len()).sum()
    }
}
