//! How far each file is of which something was offered to Toggle: one slot of cells for each.

use std::collections::HashMap;

use uuid::Uuid;

use super::{
    beyond::{self, Beyond},
    cells::{Cells, Changes},
};

/// Files that are being delivered, were begun, or are about to be removed: as many as are in flight, interrupted or parked, and some.
pub(super) const SLOTS: usize = 256;
/// So many cells make a slot: it lies in one sector.
pub(super) const SLOT: usize = 16;
/// The first cell of the first slot.
pub(super) const SLOTS_AT: usize = 64;
/// The first cell behind them.
pub(super) const END: usize = SLOTS_AT + SLOTS * SLOT;

// The cells within a slot. The identity of the file has three, from the first on.

/// The third part of the identity, with the state.
pub(super) const STATE: usize = 2;
/// [`Step::pieces`].
pub(super) const PIECES: usize = 3;
/// [`Step::events`].
pub(super) const EVENTS: usize = 4;
/// [`Step::delivered`].
pub(super) const DELIVERED_IN: usize = 5;
/// How many events of the file were delivered, those of pieces included that are not dealt with.
pub(super) const DELIVERED_OF: usize = 6;
/// [`Step::beyond`].
pub(super) const BEYOND: usize = 7;
/// Belongs to the numbers before it: after a loss of power some of them may be older than others.
pub(super) const CHECK: usize = BEYOND + beyond::CELLS;

/// So many numbers a slot has between its state and its check.
const NUMBERS: usize = CHECK - PIECES;

const _: () = assert!(CHECK + 1 == SLOT);

// States of a slot, above the 32 bits of the identity.

/// It is a file's.
pub(super) const USED: u64 = 1 << 32;
/// The file is only to be removed.
pub(super) const FINISHED: u64 = 1 << 33;
/// A piece that is not dealt with was sent, and may be stored.
pub(super) const OFFERED: u64 = 1 << 34;

/// How far a spill file has been dealt with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) file: Uuid,
    /// Its events are not in the books yet.
    pub(crate) foreign: bool,
    /// So many pieces, from the first on, are delivered or set aside.
    pub(crate) pieces: u32,
    /// Those beyond them that are as well.
    pub(crate) beyond: Beyond,
    /// The events in all these.
    pub(crate) events: u64,
    /// Those of them that were delivered.
    pub(crate) delivered: u64,
}

impl Step {
    /// Of a file that nothing is known of.
    pub(crate) fn none(file: Uuid) -> Self {
        Self { file, foreign: false, pieces: 0, beyond: Beyond::default(), events: 0, delivered: 0 }
    }

    /// Whether the piece at this place is dealt with.
    pub(crate) fn has(&self, place: u32) -> bool {
        place.checked_sub(self.pieces).is_none_or(|far| self.beyond.has(far as usize))
    }

    /// The piece at this place is dealt with, so many of whose events were delivered. One that is too far on is not noted, and
    /// may be [noted](Self::note) again.
    pub(crate) fn note(&mut self, place: u32, events: u64, delivered: u64) {
        if self.has(place) || !self.beyond.note((place - self.pieces) as usize) {
            return;
        }
        self.events += events;
        self.delivered += delivered;
        while self.beyond.has(0) {
            self.beyond.pass();
            self.pieces = self.pieces.saturating_add(1);
        }
    }
}

/// What the ledger knows of a file that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// All of it has been dealt with: it is only to be removed.
    Finished,
    /// It is to be delivered behind these pieces.
    From(Step),
}

/// Which slot is which file's. Of a file without one a kill repeats what is known by its ids.
#[derive(Debug)]
pub(super) struct Slots {
    /// The first cell of each file's slot.
    of: HashMap<Uuid, usize>,
    free: Vec<usize>,
}

impl Slots {
    /// The slots as they stand in the cells.
    pub(super) fn read(cells: &Cells) -> Self {
        let (mut of, mut free) = (HashMap::new(), Vec::new());
        for at in (SLOTS_AT..END).step_by(SLOT).rev() {
            match file_of(cells, at) {
                Some(file) => drop(of.insert(file, at)),
                None => free.push(at),
            }
        }
        Self { of, free }
    }

    pub(super) fn files(&self) -> impl Iterator<Item = Uuid> {
        self.of.keys().copied()
    }

    pub(super) fn knows(&self, file: Uuid) -> bool {
        self.of.contains_key(&file)
    }

    /// Whether a file is only to be removed.
    pub(super) fn is_finished(&self, cells: &Cells, file: Uuid) -> bool {
        self.of.get(&file).is_some_and(|&at| cells.load(at + STATE) & FINISHED != 0)
    }

    /// How far a file has been dealt with.
    pub(super) fn step(&self, cells: &Cells, file: Uuid) -> Step {
        self.of.get(&file).map_or(Step::none(file), |&at| Step {
            pieces: cells.load(at + PIECES) as u32,
            beyond: Beyond::from_cells(std::array::from_fn(|cell| cells.load(at + BEYOND + cell))),
            events: cells.load(at + EVENTS),
            delivered: cells.load(at + DELIVERED_IN),
            ..Step::none(file)
        })
    }

    /// How many events of a file were delivered, those of pieces included that are not dealt with.
    pub(super) fn delivered_of(&self, cells: &Cells, file: Uuid) -> u64 {
        self.of.get(&file).map_or(0, |&at| cells.load(at + DELIVERED_OF))
    }

    /// Has these changes include that the file has come to this step, and `delivered_of` in all.
    ///
    /// The changes name the file by the last part of its identity, which goes with the state. After a loss of power they may
    /// be older than the slot, which may be another file's by then. Applied to it they leave an identity that is no file's: the
    /// other one is unknown and sent again, rather than believed to be as far as this one.
    pub(super) fn record(
        &mut self,
        cells: &mut Cells,
        step: &Step,
        delivered_of: u64,
        changes: &mut Changes,
    ) {
        let Some(at) = self.take(cells, step.file, true) else { return };
        let numbers = [u64::from(step.pieces), step.events, step.delivered, delivered_of];
        let numbers = numbers.into_iter().chain(step.beyond.cells());
        changes.set(at + STATE, cells.load(at + STATE));
        for (at, number) in (at + PIECES..).zip(numbers.clone()) {
            changes.set(at, number);
        }
        changes.set(at + CHECK, check_of(numbers));
    }

    /// Has these changes include that the file is only to be removed.
    pub(super) fn finish(&mut self, cells: &mut Cells, file: Uuid, changes: &mut Changes) {
        if let Some(at) = self.take(cells, file, true) {
            changes.set(at + STATE, cells.load(at + STATE) | FINISHED);
        }
    }

    /// A piece of the file is about to be offered to Toggle.
    pub(super) fn offer(&mut self, cells: &mut Cells, file: Uuid) {
        // Should all be taken by what is worth more, a kill leaves nobody who knows.
        if let Some(at) = self.take(cells, file, false) {
            cells.store(at + STATE, cells.load(at + STATE) | OFFERED);
        }
    }

    /// Nothing of the file can be with Toggle but what is dealt with.
    pub(super) fn withdraw(&mut self, cells: &mut Cells, file: Uuid) {
        let Some(&at) = self.of.get(&file) else { return };
        if is_begun(cells, at) {
            cells.store(at + STATE, cells.load(at + STATE) & !OFFERED);
        } else {
            self.forget(cells, file);
        }
    }

    /// Whether a piece that is not dealt with may be with Toggle, or one is that is not among the first.
    pub(super) fn is_offered(&self, cells: &Cells, file: Uuid) -> bool {
        let is_offered = |&at: &usize| cells.load(at + STATE) & OFFERED != 0;
        self.of.get(&file).is_some_and(is_offered) || !self.step(cells, file).beyond.is_empty()
    }

    /// The file is gone.
    pub(super) fn forget(&mut self, cells: &mut Cells, file: Uuid) {
        if let Some(at) = self.of.remove(&file) {
            cells.store(at + STATE, 0);
            self.free.push(at);
        }
    }

    /// The first cell of this file's slot. `None` when all are taken; `must` has one give way of which no more is known than that a piece
    /// was sent.
    fn take(&mut self, cells: &mut Cells, file: Uuid, must: bool) -> Option<usize> {
        if let Some(&at) = self.of.get(&file) {
            return Some(at);
        }
        if self.free.is_empty() && must {
            let idle = self.of.iter().find(|&(_, &at)| !is_begun(cells, at)).map(|(&file, _)| file);
            idle.into_iter().for_each(|file| self.forget(cells, file));
        }
        let at = self.free.pop()?;
        self.of.insert(file, at);
        let id = file.as_u128();
        for cell in PIECES..=CHECK {
            cells.store(at + cell, 0);
        }
        cells.store(at, (id >> 80) as u64);
        cells.store(at + 1, (id >> 32) as u64 & 0xFFFF_FFFF_FFFF);
        cells.store(at + STATE, id as u64 & 0xFFFF_FFFF | USED);
        Some(at)
    }
}

/// Whether something of a slot's file was dealt with.
fn is_begun(cells: &Cells, at: usize) -> bool {
    cells.load(at + STATE) & FINISHED != 0 || numbers_of(cells, at).iter().any(|&number| number != 0)
}

fn numbers_of(cells: &Cells, at: usize) -> [u64; NUMBERS] {
    std::array::from_fn(|cell| cells.load(at + PIECES + cell))
}

/// What belongs to these numbers of a slot: zero to zeros.
fn check_of(numbers: impl IntoIterator<Item = u64>) -> u64 {
    let mixed = numbers
        .into_iter()
        .fold(0_u64, |sum, number| (sum ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23));
    mixed >> 16
}

/// The file of a slot in use. None of one that power was lost on while it changed: its file is sent again.
fn file_of(cells: &Cells, at: usize) -> Option<Uuid> {
    let state = cells.load(at + STATE);
    let is_whole = cells.load(at + CHECK) == check_of(numbers_of(cells, at));
    let id = u128::from(cells.load(at)) << 80
        | u128::from(cells.load(at + 1)) << 32
        | u128::from(state & 0xFFFF_FFFF);
    (state & USED != 0 && is_whole).then(|| Uuid::from_u128(id))
}

/// Has the numbers of a slot belong together.
#[cfg(test)]
pub(super) fn seal(cells: &mut Cells, at: usize) {
    cells.store(at + CHECK, check_of(numbers_of(cells, at)));
}
