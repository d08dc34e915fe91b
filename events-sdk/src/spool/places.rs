//! Which piece of a spill file each of its events is in.

use super::{
    SpoolFile,
    format::{PIECE_BYTES, PIECE_EVENTS},
};

/// Goes through the events of an undamaged file, and cuts them as a [`Reader`](super::Reader) does.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// All of the file is one piece.
    whole: bool,
    place: u32,
    /// Of the piece so far.
    events: u32,
    bytes: usize,
}

impl Places {
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

#[cfg(test)]
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
