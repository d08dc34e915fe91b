//! The bytes of the ledger: numbers that each carry a check of their own, and changes of several that happen together.
//!
//! A cell is eight bytes, little-endian: the number in the lower 48 bits, and above it 16 bits that depend on the number and on
//! the place of the cell. Storing a cell is one store of the processor, so a process that is killed leaves the old number
//! or the new one. Where several cells change together, the new numbers are first written to a list in the file itself;
//! whoever finds that list not emptied does the same stores again.
//!
//! What a loss of power leaves is any mixture of older and newer pages. Each number in it is one that stood there once.
//!
//! Numbers are read from a copy in memory, never out of the mapped file: whoever writes into that while the process runs changes
//! no number of it, and is found out by [comparing](Cells::are_in_place) both.

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{Ordering, compiler_fence},
    },
};

use crate::mapped::Mapped;

/// The bits of a number.
const BITS: u32 = 48;

/// The largest number that a cell holds.
const MOST: u64 = (1 << BITS) - 1;

/// How many cells may change together.
const TOGETHER: usize = 16;

/// How many changes are listed.
const LISTED: usize = 0;

/// The list: pairs of a place and a number.
const LIST: usize = 1;

/// The first cell that is not the list's.
pub(super) const FIRST: usize = LIST + 2 * TOGETHER;

#[cfg(test)]
thread_local! {
    /// What this thread stored in cells of files, in order: the place and the bytes.
    pub(super) static STORES: std::cell::RefCell<Vec<(usize, u64)>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// Cells, in memory or in a file as well.
#[derive(Debug)]
pub(super) struct Cells {
    /// As they were stored.
    own: Vec<u64>,
    /// Where they outlive the process.
    file: Option<Mapped>,
}

/// Changes that are made together.
#[derive(Debug, Default)]
pub(super) struct Changes {
    list: [(usize, u64); TOGETHER],
    len: usize,
}

impl Changes {
    pub(super) fn set(&mut self, at: usize, number: u64) {
        debug_assert!(self.len < TOGETHER, "more than {TOGETHER} changes at once");
        if let Some(place) = self.list.get_mut(self.len) {
            *place = (at, number);
            self.len += 1;
        }
    }
}

impl Cells {
    /// So many cells in memory, all zero.
    pub(super) fn in_memory(count: usize) -> Self {
        Self { own: (0..count).map(|at| sealed(at, 0)).collect(), file: None }
    }

    /// So many cells in a new file, all zero.
    pub(super) fn create(path: &Path, count: usize) -> io::Result<Self> {
        let mapped = Mapped::create(path, count * 8)?;
        mapped.pin();
        let mut cells = Self { file: Some(mapped), ..Self::in_memory(count) };
        for at in 0..count {
            cells.store(at, 0);
        }
        Ok(cells)
    }

    /// The cells of a file that is there, with what was left half done.
    ///
    /// # Errors
    ///
    /// `InvalidData` when it does not have so many cells, or one of them is damaged.
    pub(super) fn open(path: &Path, count: usize) -> io::Result<Self> {
        let mapped = Mapped::open(path, count * 8)?;
        let found = parse(mapped.bytes(), count)?;
        mapped.pin();
        let mut cells = Self { file: Some(mapped), ..Self::of(&found) };
        let changes = listed(&found);
        cells.apply(&changes);
        cells.store(LISTED, 0);
        Ok(cells)
    }

    /// Reads the cells of a file that somebody else may be changing.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    #[cfg_attr(
        not(feature = "cli"),
        allow(dead_code, reason = "only the command looks at the ledger of others")
    )]
    pub(super) fn read(bytes: &[u8], count: usize) -> io::Result<Self> {
        let found = parse(bytes, count)?;
        let changes = listed(&found);
        let mut cells = Self::of(&found);
        cells.apply(&changes);
        Ok(cells)
    }

    /// These numbers, in memory.
    fn of(numbers: &[u64]) -> Self {
        Self { own: numbers.iter().enumerate().map(|(at, &number)| sealed(at, number)).collect(), file: None }
    }

    /// Stores every page once more, as it is.
    pub(super) fn renew(&mut self) {
        if let Some(mapped) = &mut self.file {
            mapped.warm();
        }
    }

    /// The number in a cell.
    #[inline]
    pub(super) fn load(&self, at: usize) -> u64 {
        self.own.get(at).copied().unwrap_or_default() & MOST
    }

    /// Whether the file holds what was stored in it, and nobody else has written there.
    pub(super) fn are_in_place(&self) -> bool {
        self.file.as_ref().is_none_or(|mapped| {
            let words = self.own.iter().map(|word| word.to_le_bytes());
            mapped.bytes().chunks_exact(8).eq(words)
        })
    }

    /// Stores one number. One that is too large counts as the largest.
    #[inline]
    pub(super) fn store(&mut self, at: usize, number: u64) {
        let word = sealed(at, number.min(MOST));
        if let Some(cell) = self.own.get_mut(at) {
            *cell = word;
        }
        if let Some(mapped) = &mut self.file {
            #[cfg(test)]
            STORES.with(|stores| stores.borrow_mut().push((at, word)));
            if let Some(cell) = mapped.bytes_mut().get_mut(at * 8..at * 8 + 8) {
                cell.copy_from_slice(&word.to_le_bytes());
            }
        }
        compiler_fence(Ordering::SeqCst);
    }

    /// Stores several numbers: a process that is killed has changed all of them or none.
    pub(super) fn change(&mut self, changes: &Changes) {
        match changes.list.get(..changes.len).unwrap_or_default() {
            [] => {}
            [(at, number)] => self.store(*at, *number),
            list => {
                for (place, &(at, number)) in list.iter().enumerate() {
                    self.store(LIST + 2 * place, at as u64);
                    self.store(LIST + 2 * place + 1, number);
                }
                self.store(LISTED, list.len() as u64);
                self.apply(list);
                self.store(LISTED, 0);
            }
        }
    }

    fn apply(&mut self, changes: &[(usize, u64)]) {
        for &(at, number) in changes {
            self.store(at, number);
        }
    }

    /// The file, to be synced; `None` in memory.
    pub(super) fn file(&self) -> Option<&Arc<std::fs::File>> {
        self.file.as_ref().map(Mapped::file)
    }
}

/// The numbers in these bytes.
fn parse(bytes: &[u8], count: usize) -> io::Result<Vec<u64>> {
    let damaged = |text: &str| io::Error::new(io::ErrorKind::InvalidData, text);
    if bytes.len() != count * 8 {
        return Err(damaged("it has another length"));
    }
    (0..count)
        .map(|at| {
            let word = word_at(bytes, at).unwrap_or_default();
            (sealed(at, word & MOST) == word).then_some(word & MOST)
        })
        .collect::<Option<_>>()
        .ok_or_else(|| damaged("a number in it is damaged"))
}

/// The changes that were listed and perhaps not all made.
fn listed(found: &[u64]) -> Vec<(usize, u64)> {
    let count = usize::try_from(found[LISTED]).unwrap_or(usize::MAX).min(TOGETHER);
    let pairs = found[LIST..FIRST].chunks_exact(2).take(count);
    let in_place = |at: usize| (FIRST..found.len()).contains(&at);
    pairs.map(|pair| (pair[0] as usize, pair[1])).filter(|&(at, _)| in_place(at)).collect()
}

fn word_at(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at * 8..at * 8 + 8)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

/// A number as it stands in this cell.
#[inline]
pub(super) fn sealed(at: usize, number: u64) -> u64 {
    // Odd factors: a change of one bit changes the product at that bit and above it.
    let mixed =
        (number ^ (at as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    (mixed ^ mixed.rotate_left(24)) >> BITS << BITS | number & MOST
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNT: usize = FIRST + 100;

    fn bytes_of(path: &Path) -> Vec<u8> {
        std::fs::read(path).unwrap()
    }

    #[test]
    fn what_is_stored_is_there_when_the_file_is_opened_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let mut cells = Cells::create(&path, COUNT).unwrap();
        cells.store(FIRST, 7);
        let mut changes = Changes::default();
        for (at, number) in [(FIRST + 1, MOST), (FIRST + 2, 1), (COUNT - 1, 3)] {
            changes.set(at, number);
        }
        cells.change(&changes);
        cells.store(FIRST + 3, u64::MAX);
        drop(cells);
        let cells = Cells::open(&path, COUNT).unwrap();
        let numbers: Vec<_> = [0, 1, 2, 3, 4, 99].map(|at| cells.load(FIRST + at)).into();
        assert_eq!(numbers, [7, MOST, 1, MOST, 0, 3]);
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let mut cells = Cells::create(&path, COUNT).unwrap();
        for at in FIRST..COUNT {
            cells.store(at, (at as u64).wrapping_mul(0x1234_5678_9ABC) & MOST);
        }
        drop(cells);
        let mut bytes = bytes_of(&path);
        assert!(Cells::read(&bytes, COUNT).is_ok());
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Cells::read(&bytes, COUNT).is_err(), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        for len in 0..bytes.len() {
            assert!(Cells::read(&bytes[..len], COUNT).is_err(), "{len} bytes");
        }
        bytes.swap(FIRST * 8, FIRST * 8 + 8);
        assert!(Cells::read(&bytes, COUNT).is_err());
    }

    #[test]
    fn whoever_writes_into_the_file_is_found_out_and_changes_no_number() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let mut cells = Cells::create(&path, COUNT).unwrap();
        cells.store(FIRST, 7);
        let before = bytes_of(&path);
        cells.store(FIRST, 8);
        assert!(cells.are_in_place() && Cells::in_memory(COUNT).are_in_place());
        // What stood there once is right in itself.
        for garbage in [vec![0xA5; COUNT * 8], vec![0; COUNT * 8], before] {
            let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
            std::os::unix::fs::FileExt::write_all_at(&file, &garbage, 0).unwrap();
            assert_eq!(cells.load(FIRST), 8);
            assert!(!cells.are_in_place());
        }
    }

    #[test]
    fn a_change_that_was_begun_is_made_in_full() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let mut cells = Cells::create(&path, COUNT).unwrap();
        let changes = [(FIRST, 1), (FIRST + 9, 2), (COUNT - 1, 3)];
        // As `change` does it, killed after every store.
        let mut stores = Vec::new();
        for (place, &(at, number)) in changes.iter().enumerate() {
            stores.extend([(LIST + 2 * place, at as u64), (LIST + 2 * place + 1, number)]);
        }
        stores.push((LISTED, 3));
        stores.extend(changes);
        for (done, (at, number)) in stores.into_iter().enumerate() {
            cells.store(at, number);
            let found = Cells::read(&bytes_of(&path), COUNT).unwrap();
            let is_made = done >= 2 * changes.len();
            for (at, number) in changes {
                assert_eq!(found.load(at), if is_made { number } else { 0 }, "after {done} stores");
            }
        }
        drop(cells);
        let cells = Cells::open(&path, COUNT).unwrap();
        assert_eq!((cells.load(LISTED), cells.load(FIRST + 9)), (0, 2));
    }
}
