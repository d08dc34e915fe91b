//! Which piece of a spill file each of its events is in.

#[cfg(feature = "cli")]
use super::SpoolFile;
use super::format::{PIECE_BYTES, PIECE_EVENTS};
use crate::proto::BatchSeal;

/// Goes through the events of an undamaged file, and cuts them as a [`Reader`](super::Reader) does.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places {
    /// All of the file is one piece.
    whole: bool,
    place: u32,
    /// Of the piece so far.
    events: u32,
    bytes: usize,
}

impl Places {
    #[cfg(feature = "cli")]
    pub(crate) fn of(file: &SpoolFile) -> Self {
        Self { whole: file.whole, place: 0, events: 0, bytes: 0 }
    }

    /// The place of the piece that the next event is in.
    pub(crate) fn next(&mut self, entry: &[u8]) -> u32 {
        let is_full = self.events == PIECE_EVENTS
            || self.events > 0 && self.bytes.saturating_add(entry.len()) > PIECE_BYTES;
        if is_full && !self.whole {
            (self.place, self.events, self.bytes) = (self.place.saturating_add(1), 0, 0);
        }
        self.events = self.events.saturating_add(1);
        self.bytes = self.bytes.saturating_add(entry.len());
        self.place
    }
}

/// Where a file is cut, for its seal: among damaged events of unlike sizes nobody could tell it from those that are left.
#[derive(Debug, Default)]
pub(super) struct Cuts {
    places: Places,
    /// How many events each piece has so far.
    pieces: Vec<u32>,
}

impl Cuts {
    /// More pieces than these do not go into the seal, whose place at the end of the file is bounded: of a file of more than two
    /// GiB. Its seal has none, and cuts in damaged places are an estimate.
    const MOST: usize = 2_048;

    /// One event more.
    pub(super) fn add(&mut self, entry: &[u8]) {
        let place = self.places.next(entry) as usize;
        self.pieces.resize(place + 1, 0);
        self.pieces[place] += 1;
    }

    /// What the seal says of them: nothing where there is one piece.
    pub(super) fn into_seal(self) -> Vec<u32> {
        if (2..=Self::MOST).contains(&self.pieces.len()) { self.pieces } else { Vec::new() }
    }

    /// What a seal says of them, if that can be. Whoever wrote it, no piece becomes larger than pieces are.
    pub(super) fn of_seal(seal: &BatchSeal) -> &[u32] {
        let pieces = seal.piece_events.as_slice();
        let all: u64 = pieces.iter().copied().map(u64::from).sum();
        let is_sound = pieces.iter().all(|events| (1..=PIECE_EVENTS).contains(events));
        if is_sound && !seal.whole && all == u64::from(seal.events) { pieces } else { &[] }
    }
}

#[cfg(all(test, feature = "cli"))]
mod tests {
    use super::*;
    use crate::spool::{
        Spool, format,
        tests::samples::{id, spill},
    };

    /// In which piece each of these events of a file is.
    fn places<'a>(file: &SpoolFile, entries: impl IntoIterator<Item = &'a [u8]>) -> Vec<u32> {
        let mut places = Places::of(file);
        entries.into_iter().map(|entry| places.next(entry)).collect()
    }

    #[test]
    fn whoever_goes_through_the_events_of_a_file_knows_in_which_piece_each_is() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path()).unwrap();
        for (number, whole) in [(1, false), (2, true)] {
            let file = spill(&spool, id(number), 0..300, whole).unwrap();
            let (mut reader, mut events, mut expected) = (spool.read(&file).unwrap(), Vec::new(), Vec::new());
            while let Some(piece) = reader.next_piece().unwrap() {
                expected.extend((0..piece.count).map(|_| piece.index));
                events.extend(piece.events);
            }
            assert_eq!(places(&file, format::entries(&events)), expected, "whole: {whole}");
            let large = vec![b'x'; 3_000_000];
            let sizes = [400_000, 400_000, 400_000, 3_000_000, 10];
            let found = places(&file, sizes.map(|size| &large[..size]));
            assert_eq!(found, if whole { [0; 5] } else { [0, 0, 1, 2, 3] });
        }
    }
}
