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
