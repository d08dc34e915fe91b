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
