//! Refused events in the quarantine whose spill file still waits.
//!
//! An event that Toggle refuses is set aside alone, and the file that it is from goes when the last of its pieces is dealt with: until
//! then the event is in both. What lies in the quarantine says of which piece of which file it is, so that whoever comes next neither
//! counts nor sends it again with the rest of its piece. The event itself is told by its bytes: whatever a seal says, nothing else is
//! taken out of a file.

use std::collections::HashMap;

use uuid::Uuid;

use super::{Passed, Reader, Spool, SpoolError, SpoolFile, format};
use crate::proto::BatchSeal;

/// The namespace of what tells an event: `UUIDv5(NAMESPACE, its entry)`.
const NAMESPACE: Uuid = Uuid::from_u128(0x4be1_90d7_13c6_4f58_a2f9_6d0c_e37b_518a);

/// A refused event in the quarantine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused {
    /// The place of the piece that it is from.
    pub(crate) piece: u32,
    /// What tells the event.
    event: Uuid,
}

/// Refused events, by the identity of the spill file that they are from.
pub(crate) type RefusedOf = HashMap<Uuid, Vec<Refused>>;

impl Refused {
    pub(crate) fn new(piece: u32, entry: &[u8]) -> Self {
        Self { piece, event: Uuid::new_v5(&NAMESPACE, entry) }
    }

    /// Takes this event of a piece out of those that are set aside. `false` where it is none of them.
    pub(crate) fn take(all: &mut Vec<Self>, piece: u32, entry: &[u8]) -> bool {
        if !all.iter().any(|refused| refused.piece == piece) {
            return false;
        }
        let wanted = Self::new(piece, entry);
        let place = all.iter().position(|refused| *refused == wanted);
        place.map(|place| all.swap_remove(place)).is_some()
    }
}

/// From which piece of which file that is which has this seal, if it says so.
pub(super) fn origin(seal: &BatchSeal) -> Option<(Uuid, u32)> {
    Some((Uuid::try_parse(&seal.part_of).ok()?, seal.piece))
}

/// Those of these events that are in the file which is read, in pieces that are not dealt with.
pub(super) fn found_in(
    mut reader: Reader,
    passed: Passed,
    refused: &[Refused],
) -> Result<Vec<Refused>, SpoolError> {
    let mut wanted = refused.to_vec();
    wanted.retain(|refused| !passed.has(refused.piece));
    let mut found = Vec::new();
    if wanted.is_empty() {
        return Ok(found);
    }
    reader.skip(passed)?;
    while !wanted.is_empty()
        && let Some(piece) = reader.next_piece()?
    {
        let mut is_wanted = |entry: &&[u8]| Refused::take(&mut wanted, piece.index, entry);
        let of_piece = format::entries(&piece.events).filter(|entry| is_wanted(entry));
        found.extend(of_piece.map(|entry| Refused::new(piece.index, entry)));
    }
    Ok(found)
}

impl Spool {
    /// Those of these events, which are set aside, that are in this file as well and not dealt with.
    pub(crate) fn refused_in(
        &self,
        file: &SpoolFile,
        passed: Passed,
        refused: &[Refused],
    ) -> Result<Vec<Refused>, SpoolError> {
        found_in(self.read(file)?, passed, refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Batch,
        ledger::Step,
        spool::tests::samples::{id, spill},
    };

    #[test]
    fn what_is_set_aside_is_found_in_its_piece_by_its_bytes_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path()).unwrap();
        let file = spill(&spool, id(1), 0..300, false).unwrap();
        let mut reader = spool.read(&file).unwrap();
        let pieces: Vec<_> = std::iter::from_fn(|| reader.next_piece().unwrap()).collect();
        let entry = |piece: usize, event| format::entries(&pieces[piece].events).nth(event).unwrap().to_vec();
        let aside = |number, origin, event: Vec<u8>| {
            spool.set_aside(&Batch::new(id(number), 1, event, 1), origin, "no").unwrap();
        };
        aside(11, (file.id, 0), entry(0, 3));
        aside(12, (file.id, 2), entry(2, 49));
        // Set aside once more, by others.
        aside(13, (file.id, 0), entry(0, 3));
        // From another piece, from one that is not there, and from another file.
        aside(14, (file.id, 1), entry(0, 4));
        aside(15, (file.id, u32::MAX), entry(0, 5));
        aside(16, (id(2), 0), entry(0, 6));
        let two = format::entries(&pieces[0].events).take(2).flat_map(<[u8]>::to_vec).collect();
        spool.set_aside(&Batch::new(id(17), 1, two, 2), (file.id, 0), "no").unwrap();
        // Changed.
        let mut other = entry(0, 7);
        let last = other.len() - 1;
        other[last] ^= 1;
        aside(18, (file.id, 0), other);
        let mut refused = RefusedOf::new();
        assert_eq!(spool.look_through_quarantine(&mut refused).unwrap(), 9);
        assert_eq!(refused[&file.id].len(), 8);

        let found = |passed| {
            let mut found = spool.refused_in(&file, passed, &refused[&file.id]).unwrap();
            found.sort_unstable_by_key(|refused| (refused.piece, refused.event));
            found
        };
        let there = |piece: u32, event| Refused::new(piece, &entry(piece as usize, event));
        let mut expected = vec![there(0, 0), there(0, 1), there(0, 3), there(2, 49)];
        expected.sort_unstable_by_key(|refused| (refused.piece, refused.event));
        assert_eq!(found(Passed::default()), expected);
        let mut step = Step::none(file.id);
        step.note(0, 125, 125);
        assert_eq!(found(Passed::of(step)), [there(2, 49)]);
        step.note(2, 50, 49);
        assert_eq!(found(Passed::of(step)), []);
    }

    #[test]
    fn a_seal_that_names_no_file_says_nothing() {
        let seal =
            |part_of: &str| BatchSeal { part_of: part_of.to_owned(), piece: 7, ..BatchSeal::default() };
        for nonsense in ["", "x", "../../etc/passwd", "\0", &"9".repeat(10_000)] {
            assert_eq!(origin(&seal(nonsense)), None, "{nonsense}");
        }
        assert_eq!(origin(&seal(&id(3).to_string())), Some((id(3), 7)));
    }
}
