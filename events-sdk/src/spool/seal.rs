//! What a spill file says of itself, at its start and at its end, and how much of that is believed.
//!
//! The end has the whole seal. What decides under which identity events are sent, and in whose books they are, stands at the
//! start as well: a bit that flips in one of them, or a file that is cut short, must not have Toggle store a batch twice.

use std::io::{self, Read, SeekFrom};

use prost::Message;

use super::{
    format::{Crc, SEAL_TAG, Tail},
    storage::ReadFile,
};
use crate::proto::{BatchSeal, EventBatch};

/// How long the part in front of the events is. Always the same, so that it can be filled in when all else is written.
pub(super) const HEAD_BYTES: usize = SEAL_TAG.len() + 1 + HEAD_CONTENT;

/// Its fields: `events` as five bytes whatever the number is, `whole`, `ledger`, `offered` and `seal_crc32c`.
const HEAD_CONTENT: usize = 6 + 2 + 9 + 2 + OWN_BYTES;

/// The tag of the checksum of a part of the seal over itself: 10, with four bytes.
const OWN_TAG: u8 = 0x55;

/// That tag, and these.
const OWN_BYTES: usize = 5;

/// The part of this seal that stands in front of the events. Protobuf takes numbers that are longer than they need be.
pub(super) fn encode_head(seal: &BatchSeal) -> [u8; HEAD_BYTES] {
    let mut bytes = Vec::with_capacity(HEAD_BYTES);
    bytes.extend(SEAL_TAG);
    bytes.push(HEAD_CONTENT as u8);
    bytes.push(0x10);
    bytes.extend(
        (0..5).map(|place| (seal.events >> (7 * place)) as u8 & 0x7f | if place < 4 { 0x80 } else { 0 }),
    );
    bytes.extend([0x18, u8::from(seal.whole), 0x41]);
    bytes.extend(seal.ledger.to_le_bytes());
    bytes.extend([0x48, u8::from(seal.offered)]);
    let own = own_sum(&bytes);
    bytes.push(OWN_TAG);
    bytes.extend(own.to_le_bytes());
    let mut head = [0; HEAD_BYTES];
    head.copy_from_slice(&bytes);
    head
}

/// The seal as the last field of the file, behind this trailer. Its own checksum is put into it.
pub(super) fn encode_seal(trailer: &[u8], seal: &mut BatchSeal) -> Vec<u8> {
    let content = BatchSeal { seal_crc32c: 0, ..seal.clone() }.encode_to_vec();
    let mut bytes = [trailer, &SEAL_TAG].concat();
    prost::encoding::encode_varint((content.len() + OWN_BYTES) as u64, &mut bytes);
    bytes.extend(content);
    seal.seal_crc32c = own_sum(&bytes);
    // Behind all others, whatever their numbers are.
    bytes.push(OWN_TAG);
    bytes.extend(seal.seal_crc32c.to_le_bytes());
    bytes.split_off(trailer.len())
}

/// Whether the seal that these bytes end with, and what stands before it, are what was written. `seal` is what they say.
pub(super) fn is_as_written(bytes: &[u8], seal: &BatchSeal) -> bool {
    let Some(covered) = bytes.len().checked_sub(OWN_BYTES) else { return false };
    own_sum(&bytes[..covered]) == seal.seal_crc32c && bytes.ends_with(&seal.seal_crc32c.to_le_bytes())
}

/// Never zero, which protobuf leaves out.
fn own_sum(bytes: &[u8]) -> u32 {
    Crc::of(bytes).max(1)
}

/// What stands in front of the events; `None` where that is not what was written, or another writer left the file.
fn find_head(file: &mut dyn ReadFile) -> io::Result<Option<BatchSeal>> {
    let mut bytes = Vec::with_capacity(HEAD_BYTES);
    file.seek(SeekFrom::Start(0))?;
    file.take(HEAD_BYTES as u64).read_to_end(&mut bytes)?;
    let batch = EventBatch::decode(bytes.as_slice()).unwrap_or_default();
    // Shorter ones, which a cut file begins with, do not decode.
    Ok(batch
        .seal
        .filter(|seal| seal.seal_crc32c != 0 && bytes.len() == HEAD_BYTES && is_as_written(&bytes, seal)))
}

/// What both ends of a file say.
#[derive(Debug)]
pub(super) struct Seals {
    /// The start of the file is one of ours, and as it was written.
    has_head: bool,
    /// What is believed of what the file says of itself: all that the seal says, or where that is damaged or gone the part of it
    /// that the start of the file repeats.
    pub(super) seal: Option<BatchSeal>,
    /// The end of the file, though its seal may be damaged.
    pub(super) tail: Option<Tail>,
    /// One of the ends is not what was written, or not there.
    pub(super) is_damaged: bool,
}

impl Seals {
    /// Looks for them, without reading what lies between.
    pub(super) fn find(file: &mut dyn ReadFile, len: u64) -> io::Result<Self> {
        let tail = Tail::find(file, len)?;
        let head = find_head(file)?;
        let has_head = head.is_some();
        Ok(match (tail, head) {
            // Where one has a checksum of its own, so has the other.
            (Some(tail), head)
                if tail.is_as_written == Some(true) || (!has_head && tail.is_as_written.is_none()) =>
            {
                let is_damaged = tail.is_as_written.is_some() && head.is_none();
                Self { has_head, seal: Some(tail.seal.clone()), tail: Some(tail), is_damaged }
            }
            (Some(tail), Some(head)) => {
                // These are compared with the bytes of the file, so that they speak for themselves.
                let (crc32c, event_crc32c_crc32c) = (tail.seal.crc32c, tail.seal.event_crc32c_crc32c);
                let seal = BatchSeal { crc32c, event_crc32c_crc32c, seal_crc32c: 0, ..head };
                let tail = Tail { seal: seal.clone(), ..tail };
                Self { has_head, seal: Some(seal), tail: Some(tail), is_damaged: true }
            }
            (None, Some(head)) => Self { has_head, seal: Some(head), tail: None, is_damaged: true },
            (tail, None) => Self { has_head, seal: None, is_damaged: tail.is_some(), tail: None },
        })
    }

    /// The seal at the end, if that is what was written: then nothing else needs to be read to know what is in the file.
    pub(super) fn intact_tail(file: &mut dyn ReadFile, len: u64) -> io::Result<Option<Tail>> {
        let Some(tail) = Tail::find(file, len)? else { return Ok(None) };
        Ok(match tail.is_as_written {
            Some(is_as_written) => is_as_written,
            // A file of an earlier version, or one that lost its checksum.
            None => find_head(file)?.is_none(),
        }
        .then_some(tail))
    }

    /// Which of them are not what was written, or not there any more.
    pub(super) fn damaged_part(&self) -> Option<&'static str> {
        match (self.is_damaged, self.has_head, &self.seal) {
            (false, ..) => None,
            (true, true, _) => Some("the seal at its end"),
            (true, false, Some(_)) => Some("the seal at its start"),
            (true, false, None) => Some("the seals at its start and at its end"),
        }
    }

    /// Where the first event stands.
    pub(super) fn events_start(&self) -> u64 {
        if self.has_head { HEAD_BYTES as u64 } else { 0 }
    }

    /// The end of the file is damaged or gone, and the start tells what there was.
    pub(super) fn is_cut(&self) -> bool {
        self.tail.is_none() && self.has_head
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_front_of_the_events_is_always_as_long_and_reads_as_the_seal() {
        for (events, whole, ledger, offered) in
            [(0, false, 0, false), (1, true, 7, false), (u32::MAX, true, u64::MAX, true)]
        {
            let seal = BatchSeal { events, whole, ledger, offered, ..BatchSeal::default() };
            let bytes = encode_head(&seal);
            let read = EventBatch::decode(bytes.as_slice()).unwrap().seal.unwrap();
            assert!(is_as_written(&bytes, &read));
            assert_eq!(BatchSeal { seal_crc32c: 0, ..read }, seal);
            // Any flipped bit of it is known.
            for bit in 0..HEAD_BYTES * 8 {
                let mut flipped = bytes;
                flipped[bit / 8] ^= 1 << (bit % 8);
                let read =
                    EventBatch::decode(flipped.as_slice()).unwrap_or_default().seal.unwrap_or_default();
                assert!(!is_as_written(&flipped, &read), "bit {bit}");
            }
        }
    }
}
