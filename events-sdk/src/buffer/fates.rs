//! Which events were dropped out of memory, for whoever asks what became of one.
//!
//! That a chunk has left memory says nothing of an event that was dropped out of it before, and tickets may be asked about at any
//! time. So each event that is dropped leaves a bit here. There is room for so many; beyond that the oldest are forgotten, and of
//! events as old as these nobody can say any more that they were not dropped.

use std::collections::BTreeMap;

use crate::{DropReason, ticket::Place};

/// So many words of 64 bits are kept at most, 256 KiB: the bits of some 300,000 events in batches of 100, or of 3,600 that were alone in theirs.
const MOST_WORDS: usize = 32 << 10;

/// What a chunk takes beside its bits, in words.
const OVERHEAD: usize = 8;

/// What is known here of an event that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It was not dropped out of memory.
    NotDropped,
    /// It was, for this reason.
    Dropped(DropReason),
    /// It may have been.
    Forgotten,
}

/// The events that were dropped out of memory.
#[derive(Debug, Default)]
pub(super) struct Fates {
    /// By chunk and reason, a bit for each event.
    dropped: BTreeMap<(u64, DropReason), Vec<u64>>,
    /// How much that is.
    words: usize,
    /// Of chunks below this place in their order not all is known any more.
    known_from: u64,
}

impl Fates {
    /// The event at this place in the chunk of this place was dropped.
    pub(super) fn dropped(&mut self, sequence: u64, within: u32, reason: DropReason) {
        if sequence < self.known_from {
            return;
        }
        let (word, bit) = (within as usize / 64, 1 << (within % 64));
        let bits = self.dropped.entry((sequence, reason)).or_insert_with(|| {
            self.words += OVERHEAD;
            Vec::new()
        });
        if bits.len() <= word {
            self.words += word + 1 - bits.len();
            bits.resize(word + 1, 0);
        }
        bits[word] |= bit;
        while self.words > MOST_WORDS
            && let Some(((sequence, _), bits)) = self.dropped.pop_first()
        {
            self.words -= OVERHEAD + bits.len();
            self.known_from = self.known_from.max(sequence + 1);
        }
    }

    /// What is known of the event at this place.
    pub(super) fn of(&self, place: Place) -> Fate {
        let (sequence, within) = (place.sequence(), place.within());
        let (word, bit) = (within as usize / 64, 1 << (within % 64));
        let reason = DropReason::ALL.iter().find(|&&reason| {
            let bits = self.dropped.get(&(sequence, reason));
            bits.and_then(|bits| bits.get(word)).is_some_and(|word| word & bit != 0)
        });
        match reason {
            Some(&reason) => Fate::Dropped(reason),
            None if sequence < self.known_from => Fate::Forgotten,
            None => Fate::NotDropped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(sequence: u64, within: u32) -> Place {
        Place::new(sequence, within, true)
    }

    #[test]
    fn each_dropped_event_is_known_by_its_place_and_its_reason() {
        let mut fates = Fates::default();
        fates.dropped(7, 1, DropReason::BufferFull);
        fates.dropped(7, 64, DropReason::BufferFull);
        fates.dropped(7, 2, DropReason::Shutdown);
        let of = |sequence, within| fates.of(at(sequence, within));
        assert_eq!([of(7, 1), of(7, 64)], [Fate::Dropped(DropReason::BufferFull); 2]);
        assert_eq!(of(7, 2), Fate::Dropped(DropReason::Shutdown));
        assert_eq!([of(7, 3), of(7, 63), of(7, 900), of(6, 1), of(8, 1)], [Fate::NotDropped; 5]);
    }

    #[test]
    fn what_is_forgotten_is_never_taken_for_kept_and_what_is_kept_is_bounded() {
        let mut fates = Fates::default();
        let chunks = 2 * MOST_WORDS as u64 / (OVERHEAD as u64 + 1);
        for sequence in 1..=chunks {
            fates.dropped(sequence, 5, DropReason::BufferFull);
            assert!(fates.words <= MOST_WORDS);
        }
        let kept: usize = fates.dropped.values().map(|bits| OVERHEAD + bits.len()).sum();
        assert_eq!(fates.words, kept);
        assert_eq!([fates.of(at(1, 5)), fates.of(at(1, 6))], [Fate::Forgotten; 2]);
        assert_eq!(fates.of(at(chunks, 5)), Fate::Dropped(DropReason::BufferFull));
        assert_eq!(fates.of(at(chunks, 6)), Fate::NotDropped);
        // One that is older than all that is known is forgotten at once.
        fates.dropped(1, 6, DropReason::BufferFull);
        assert_eq!(fates.of(at(1, 6)), Fate::Forgotten);
        assert_eq!(fates.of(at(chunks / 4, 5)), Fate::Forgotten, "what was forgotten before stays so");
    }
}
