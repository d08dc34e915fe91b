//! The checksum of every entry of a spill file: which of the events in a damaged file are still what was written.
//!
//! They are the second part of the file's seal, behind the events. An intact file has them too: it may be damaged while it is read.

use std::io::{self, Read, SeekFrom};

use prost::{Message, encoding::encoded_len_varint};

use super::{
    format::{Crc, ENTRY_TAG, SEAL_TAG, Tail, varint},
    storage::ReadFile,
};
use crate::proto::{BatchSeal, EventBatch, events::Event};

/// The tag of `BatchSeal.event_crc32c`: field 6, length-delimited because packed.
const CHECKS_TAG: u8 = 0x32;

/// A checksum takes four bytes.
const CHECK_BYTES: u64 = 4;

/// More checksums than this are not held in memory; the events of such a file must decode instead. Twenty times the
/// events that fit into the largest buffer of the standard profiles, and 8 MiB.
const MOST_CHECKS: u32 = 1 << 20;

/// The checksums of the entries that are still to come.
#[derive(Debug, Default)]
pub(super) struct Checks {
    /// Each checksum with its place in the file, in order of both.
    sorted: Vec<(u32, u32)>,
    /// The place of the next entry, if none is missing.
    next: u32,
}

impl Checks {
    /// The field that holds the checksums of these entries, and the checksum of the checksums. `None` if the runs are
    /// not `count` well framed entries.
    pub(super) fn encode(runs: &[&[u8]], count: u32) -> Option<(Vec<u8>, u32)> {
        let mut event_crc32c = Vec::with_capacity(count as usize);
        for run in runs {
            let mut rest = *run;
            while !rest.is_empty() {
                let (len, head) = varint(rest.strip_prefix(&[ENTRY_TAG])?)?;
                let size = usize::try_from(len).ok()?.checked_add(1 + head)?;
                let (entry, behind) = rest.split_at_checked(size)?;
                event_crc32c.push(Crc::of(entry));
                rest = behind;
            }
        }
        (event_crc32c.len() == count as usize).then(|| Self::field(event_crc32c))
    }

    /// The field that holds these checksums, and the checksum of the checksums.
    pub(super) fn field(event_crc32c: Vec<u32>) -> (Vec<u8>, u32) {
        if event_crc32c.is_empty() {
            return (Vec::new(), 0);
        }
        let mut own = Crc::new();
        event_crc32c.iter().for_each(|check| own.update(&check.to_le_bytes()));
        let seal = BatchSeal { event_crc32c, ..BatchSeal::default() };
        (EventBatch { seal: Some(seal), ..EventBatch::default() }.encode_to_vec(), own.value())
    }

    /// Reads them from a file, and says where their field begins, which is where the events end. `None` if they are
    /// damaged themselves.
    pub(super) fn load(file: &mut dyn ReadFile, tail: &Tail) -> io::Result<Option<(u64, Self)>> {
        let count = tail.seal.events;
        if count == 0 || count > MOST_CHECKS {
            return Ok(None);
        }
        let packed = CHECK_BYTES * u64::from(count);
        let mut head = SEAL_TAG.to_vec();
        prost::encoding::encode_varint(1 + encoded_len_varint(packed) as u64 + packed, &mut head);
        head.push(CHECKS_TAG);
        prost::encoding::encode_varint(packed, &mut head);
        let Some(start) = tail.body_end.checked_sub(head.len() as u64 + packed) else { return Ok(None) };

        let mut field = Vec::new();
        file.seek(SeekFrom::Start(start))?;
        file.take(tail.body_end - start).read_to_end(&mut field)?;
        let Some(packed) = field.strip_prefix(head.as_slice()) else { return Ok(None) };
        if Crc::of(packed) != tail.seal.event_crc32c_crc32c {
            return Ok(None);
        }
        let (checks, _) = packed.as_chunks();
        let mut sorted: Vec<_> = checks.iter().map(|check| u32::from_le_bytes(*check)).zip(0..).collect();
        sorted.sort_unstable();
        Ok(Some((start, Self { sorted, next: 0 })))
    }

    /// The place of the next entry, if none is missing.
    pub(super) fn place(&self) -> u32 {
        self.next
    }

    /// Whether this entry, with this body, is one that was written and did not come up yet. Those before it will not
    /// come up any more.
    pub(super) fn pass(&mut self, entry: &[u8], body: &[u8]) -> bool {
        let place = self.place_of(entry, body);
        if let Some(place) = place {
            self.next = place + 1;
        }
        place.is_some()
    }

    /// Whether this entry is the next one that was written.
    pub(super) fn pass_next(&mut self, entry: &[u8]) -> bool {
        let is_next = self.sorted.binary_search(&(Crc::of(entry), self.next)).is_ok();
        self.next += u32::from(is_next);
        is_next
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// The same, and the entry may come up again.
    pub(super) fn would_pass(&self, entry: &[u8], body: &[u8]) -> bool {
        self.place_of(entry, body).is_some()
    }

    fn place_of(&self, entry: &[u8], body: &[u8]) -> Option<u32> {
        let crc = Crc::of(entry);
        let at = self.sorted.partition_point(|check| *check < (crc, self.next));
        let (_, place) = self.sorted.get(at).copied().filter(|(check, _)| *check == crc)?;
        // Among many checksums one fits by chance now and then. Where entries are missing, it must decode as well.
        (place == self.next || Event::decode(body).is_ok()).then_some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::tests::samples::{entries, entry};

    #[test]
    fn runs_that_are_not_whole_entries_get_no_checksums() {
        let run = entries(0..3);
        assert!(Checks::encode(&[&run], 3).is_some());
        assert_eq!(Checks::encode(&[&run], 4), None);
        assert_eq!(Checks::encode(&[&run[1..]], 3), None);
        assert_eq!(Checks::encode(&[&run[..run.len() - 1]], 3), None);
        assert_eq!(Checks::encode(&[&[0x0A, 0xFF, 0xFF]], 1), None);
        assert_eq!(Checks::encode(&[], 0), Some((Vec::new(), 0)));
    }

    #[test]
    fn entries_pass_once_and_in_order_and_equal_ones_as_often_as_they_were_written() {
        let run = [entry(0), entry(1), entry(1), entry(2)].concat();
        let batch = EventBatch::decode(Checks::encode(&[&run], 4).unwrap().0.as_slice()).unwrap();
        let mut sorted: Vec<_> = batch.seal.unwrap().event_crc32c.into_iter().zip(0..).collect();
        sorted.sort_unstable();
        let mut checks = Checks { sorted, next: 0 };
        let mut pass = |index| checks.pass(&entry(index), &entry(index)[3..]);
        assert_eq!([1, 0, 1, 1, 2, 2, 7].map(&mut pass), [true, false, true, false, true, false, false]);
    }
}
