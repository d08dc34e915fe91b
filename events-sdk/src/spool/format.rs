//! The bytes of a spill file: its limits, its end, and how the end is found again.

use std::io::{self, Read, SeekFrom};

use crc_fast::{CrcAlgorithm, Digest, checksum_combine};
use prost::Message;
use uuid::Uuid;

use super::{seal, storage::ReadFile};
use crate::{
    buffer::MAX_EVENT_BYTES,
    proto::{BatchSeal, EventBatch, LevelCount},
};

/// Events in a piece. Part of the format: the cuts decide the identities, so that they must not follow configuration.
/// A live event waits for one piece of the backlog at most; at 500 events a piece that made twice the wait of a node with no
/// backlog. At 125 the calls to Toggle take half as long again for a whole backlog, which is in no hurry.
pub(crate) const PIECE_EVENTS: u32 = 125;

/// Bytes of events in a piece, unless one event alone is larger. Part of the format. A quarter of the 4 MiB that gRPC
/// servers accept by default.
pub(crate) const PIECE_BYTES: usize = 1 << 20;

/// A file that is larger than this is cut although its seal says that it is one batch. Part of the format. Four times
/// what gRPC servers accept by default, so no batch of that size was ever accepted, and one piece must fit in memory.
pub(crate) const WHOLE_BYTES: u64 = 16 << 20;

/// The longest event that is believed: what gRPC servers accept by default, so that a longer one could not be delivered
/// anyhow, and none that is longer is ever accepted, whatever the configuration. It also bounds what a length makes us read
/// ahead.
pub(super) const EVENT_BYTES: u64 = 4 << 20;

const _: () = assert!(MAX_EVENT_BYTES as u64 <= EVENT_BYTES, "an event that is accepted can be read again");

/// How much of the end of a file is searched for its seal. A seal with a count for every level takes some 100 bytes;
/// the rest leaves room for fields to come.
const TAIL_BYTES: u64 = 4 << 10;

/// Bytes read at once. Large enough that the system call costs nothing beside the bytes, small enough for any cache.
pub(super) const CHUNK: usize = 64 << 10;

/// The tag of `events`: 1, length-delimited.
pub(super) const ENTRY_TAG: u8 = 0x0A;

/// That of the seal: 100, length-delimited, which takes two bytes.
pub(super) const SEAL_TAG: [u8; 2] = [0xA2, 0x06];

/// That of `batch_timestamp`: 2, varint.
const TIMESTAMP_TAG: u8 = 0x10;

/// That of `batch_id`, 3, length-delimited, and the length of a UUID.
const ID_HEAD: [u8; 2] = [0x1A, UUID_LEN as u8];

/// The length of a UUID in its usual spelling.
const UUID_LEN: usize = 36;

/// The identity of the piece at this place of a file: the UUIDv5 (RFC 9562) of the place in decimal digits, in the
/// namespace of the file's own identity. Anybody can compute it again.
pub(crate) fn piece_id(file: Uuid, index: u32) -> Uuid {
    Uuid::new_v5(&file, index.to_string().as_bytes())
}

/// Level and category of an event, by their numbers on the wire; 0 where they cannot be told. `entry` is one
/// `EventBatch.events`.
pub(super) fn brief(entry: &[u8]) -> (i32, i32) {
    /// What is read of a batch; the other fields are skipped.
    #[derive(prost::Message)]
    struct Batch {
        #[prost(message, repeated, tag = "1")]
        events: Vec<Brief>,
    }
    /// What is read of an event.
    #[derive(prost::Message)]
    struct Brief {
        #[prost(int32, tag = "2")]
        level: i32,
        #[prost(int32, tag = "3")]
        category: i32,
    }
    let batch = Batch::decode(entry).unwrap_or_default();
    batch.events.first().map_or((0, 0), |event| (event.level, event.category))
}

/// The entries of a piece, one by one. A piece holds nothing but whole entries; if it did, the rest would be one more.
pub(super) fn entries(mut piece: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        if piece.is_empty() {
            return None;
        }
        let mut rest = piece.get(1..)?;
        let length = prost::encoding::decode_varint(&mut rest).ok()?;
        let end = (piece.len() - rest.len()).saturating_add(usize::try_from(length).ok()?);
        let (entry, next) = piece.split_at(end.min(piece.len()));
        piece = next;
        Some(entry)
    })
}

/// A running CRC-32C (Castagnoli).
pub(super) struct Crc(Digest);

impl Crc {
    pub(super) fn new() -> Self {
        Self(Digest::new(CrcAlgorithm::Crc32Iscsi))
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The sum of these bytes.
    pub(super) fn of(bytes: &[u8]) -> u32 {
        crc_fast::crc32_iscsi(bytes)
    }

    pub(super) fn value(&self) -> u32 {
        // A 32 bit sum comes in the lower half.
        self.0.finalize() as u32
    }

    /// The sum of bytes with this sum and `len` bytes with the other one behind them.
    pub(super) fn joined(first: u32, second: u32, len: u64) -> u32 {
        // As in `value`.
        checksum_combine(CrcAlgorithm::Crc32Iscsi, first.into(), second.into(), len) as u32
    }

    /// The sum of the first `len` bytes of a file, or of all there are if it is shorter.
    pub(super) fn of_file(file: &mut dyn ReadFile, len: u64) -> io::Result<u32> {
        let mut crc = Self::new();
        let mut chunk = vec![0; CHUNK];
        file.seek(SeekFrom::Start(0))?;
        let mut input = file.take(len);
        loop {
            match input.read(&mut chunk) {
                Ok(0) => return Ok(crc.value()),
                Ok(read) => crc.update(&chunk[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// `batch_timestamp` and `batch_id`: what follows the events.
pub(super) fn encode_trailer(timestamp_ms: i64, id: Uuid) -> Vec<u8> {
    EventBatch { batch_timestamp: timestamp_ms, batch_id: id.to_string(), ..EventBatch::default() }
        .encode_to_vec()
}

/// Counts by level as the seal has them.
pub(super) fn level_counts(levels: &[(i32, u32)]) -> Vec<LevelCount> {
    levels.iter().map(|&(level, events)| LevelCount { level, events }).collect()
}

/// The end of a file as the writer of this module leaves it: timestamp, id and seal, in that order and nothing behind.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tail {
    /// Where the events, and their checksums, end.
    pub(super) body_end: u64,
    /// Where the tag of the seal stands: the checksum is over all bytes before it.
    pub(super) seal_start: u64,
    pub(super) timestamp_ms: i64,
    pub(super) seal: BatchSeal,
    /// Whether timestamp, id and seal are what was written; `None` where the seal has no checksum of its own.
    pub(super) is_as_written: Option<bool>,
}

impl Tail {
    /// Looks for it at the end of the file, without reading the rest. `None` for a file that another writer left, or
    /// whose end is damaged.
    pub(super) fn find(file: &mut dyn ReadFile, len: u64) -> io::Result<Option<Self>> {
        let begin = len.saturating_sub(TAIL_BYTES);
        let mut bytes = Vec::with_capacity(TAIL_BYTES as usize);
        file.seek(SeekFrom::Start(begin))?;
        file.take(len - begin).read_to_end(&mut bytes)?;
        Ok(Self::parse(&bytes, begin))
    }

    /// `bytes` are the last ones of the file and begin at `begin`.
    fn parse(bytes: &[u8], begin: u64) -> Option<Self> {
        // From the back: seals are short, and bytes that merely look like one are likelier in a long stretch.
        let ends = (0..bytes.len().saturating_sub(SEAL_TAG.len())).rev();
        ends.filter(|&at| bytes[at..].starts_with(&SEAL_TAG)).find_map(|at| Self::parse_at(bytes, begin, at))
    }

    fn parse_at(bytes: &[u8], begin: u64, at: usize) -> Option<Self> {
        let field = &bytes[at + SEAL_TAG.len()..];
        let (len, head) = varint(field)?;
        if len != (field.len() - head) as u64 {
            return None;
        }
        let seal = BatchSeal::decode(&field[head..]).ok()?;
        let id_start = at.checked_sub(ID_HEAD.len() + UUID_LEN)?;
        // The id itself may be damaged like any other byte; the seal then says so.
        bytes[id_start..at].strip_prefix(&ID_HEAD)?;
        let timestamp = timestamp_before(&bytes[..id_start]);
        // A checksum of an event may look like a timestamp where there is none.
        let ends = [timestamp.unwrap_or((id_start, 0)), (id_start, 0)];
        let has_sum = seal.seal_crc32c != 0;
        let right = ends.into_iter().find(|&(end, _)| has_sum && seal::is_as_written(&bytes[end..], &seal));
        let (body_end, timestamp_ms) = right.unwrap_or(ends[0]);
        let body_end = begin + body_end as u64;
        // No event is shorter than its tag and its length.
        (u64::from(seal.events) <= body_end / 2).then_some(Self {
            body_end,
            seal_start: begin + at as u64,
            timestamp_ms,
            seal,
            is_as_written: has_sum.then_some(right.is_some()),
        })
    }
}

/// Reads a `batch_timestamp` field that ends where the bytes end. Returns where it begins and what it says.
fn timestamp_before(bytes: &[u8]) -> Option<(usize, i64)> {
    let last = bytes.len().checked_sub(1)?;
    // All bytes of a varint but the last have the top bit, and the tag before it has not.
    let more = bytes[..last].iter().rev().take_while(|byte| **byte & 0x80 != 0).count();
    let tag = (last - more).checked_sub(1)?;
    let (value, len) = varint(&bytes[tag + 1..])?;
    (bytes[tag] == TIMESTAMP_TAG && tag + 1 + len == bytes.len()).then_some((tag, value.cast_signed()))
}

/// The varint at the start of these bytes, and how many of them it takes. `None` when it is cut off or too long.
pub(super) fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0_u64;
    for (place, byte) in bytes.iter().take(10).enumerate() {
        let bits = u64::from(byte & 0x7f);
        // The tenth byte has room for one bit.
        if place == 9 && bits > 1 {
            return None;
        }
        value |= bits << (7 * place);
        if byte & 0x80 == 0 {
            return Some((value, place + 1));
        }
    }
    None
}
