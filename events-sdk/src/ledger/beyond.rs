//! Which pieces of a file are dealt with beyond the first that is not: one piece that Toggle refuses, or that is on its way for long,
//! does not have those behind it sent again, or counted as lost, after a restart.

/// So many cells hold them.
pub(super) const CELLS: usize = 8;

/// So many pieces are noted in a cell.
const OF_A_CELL: usize = 48;

/// A bit for each piece, from the first on that is not dealt with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Beyond([u64; CELLS]);

impl Beyond {
    /// So many pieces can be noted. Those further on are sent again.
    pub(crate) const PIECES: usize = CELLS * OF_A_CELL;

    pub(super) fn from_cells(cells: [u64; CELLS]) -> Self {
        Self(cells)
    }

    pub(super) fn cells(self) -> [u64; CELLS] {
        self.0
    }

    pub(crate) fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// Whether the piece so far on is dealt with.
    pub(super) fn has(self, far: usize) -> bool {
        self.0.get(far / OF_A_CELL).is_some_and(|cell| cell >> (far % OF_A_CELL) & 1 != 0)
    }

    /// The piece so far on is dealt with. `false` where that is too far.
    pub(super) fn note(&mut self, far: usize) -> bool {
        let cell = self.0.get_mut(far / OF_A_CELL);
        cell.map(|cell| *cell |= 1 << (far % OF_A_CELL)).is_some()
    }

    /// The first one counts no more.
    pub(super) fn pass(&mut self) {
        let mut above = 0;
        for cell in self.0.iter_mut().rev() {
            let lowest = *cell & 1;
            *cell = *cell >> 1 | above << (OF_A_CELL - 1);
            above = lowest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_comes_nearer_with_every_piece_that_is_passed() {
        let mut beyond = Beyond::default();
        let noted = [1, 47, 48, 49, 95, 96, Beyond::PIECES - 1];
        assert!(noted.into_iter().all(|far| beyond.note(far)));
        assert!(!beyond.note(Beyond::PIECES) && !beyond.has(Beyond::PIECES));
        for passed in 0..Beyond::PIECES {
            let has: Vec<_> = (0..Beyond::PIECES).filter(|&far| beyond.has(far)).collect();
            let left = noted.iter().filter_map(|far| far.checked_sub(passed));
            assert_eq!(has, left.collect::<Vec<_>>(), "after {passed}");
            assert!(beyond.cells().iter().all(|cell| cell >> OF_A_CELL == 0));
            beyond.pass();
        }
        assert!(beyond.is_empty());
    }
}
