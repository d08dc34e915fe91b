//! The bytes of a segment: its header, its entries, and what is made of them after a crash.
//!
//! ```text
//! header, first copy (128 bytes)    header, second copy (128 bytes)    entry  entry  entry …     leftovers of earlier uses
//! ```
//!
//! | header at | is |
//! |---:|---|
//! | 0 | magic `RODENTSG` |
//! | 8 | version, u32 |
//! | 12 | CRC-32C of the identity: magic, version, and the 40 bytes from 16 on |
//! | 16 | id of the batch, 16 bytes |
//! | 32 | fingerprint of the schema, u64 |
//! | 40 | the start of the machine in which it was written, u64, see [`boot`] |
//! | 48 | how many times the segment has been used, u32 |
//! | 64 | `batch_timestamp`, i64, and its complement; zeros until the batch is put together |
//! | 80 | where the entries end, u32, how many there are, u32, and the complements of both. First copy only |
//! | 96 | [`FREE`] while the segment holds nothing that matters, anything else while it does. First copy only |
//!
//! | entry at | is |
//! |---:|---|
//! | 0 | length of the event, u32 |
//! | 4 | check, u32: CRC-32C of the event's first and of its second half, mixed with its length, severity, category, use and the batch's id. Complemented when the event was dropped |
//! | 8 | severity, category, and the use of the segment, u16: its number without the upper half |
//! | 12 | the event, filled up to a multiple of four |
//!
//! Integers are little endian: segments are read where they were written. As each entry says of which use it is, and the id of
//! the batch is in its check, one of an earlier use of the same file is never believed, whatever reaches the disk in whatever
//! order.
//!
//! # Damaged or torn
//!
//! While the machine runs, the kernel has every byte that was stored: what is no entry then is damaged. When it has started again
//! the pages of a segment may be of different ages, and bytes that are no entry may be leftovers of an earlier use in the place of
//! events that were never synced, or of what a later use has put over events that are elsewhere. The bytes alone do not tell one
//! from the other, nor from damage. So they are taken for torn: nothing of them is set aside as damaged. How many events they should
//! have been is [said](Batch::torn_events); those that the accounts know of are counted as lost with the process. So are those that
//! were behind the end of a file that [somebody cut short](Batch::cut_events): of them there are no bytes to set aside.

use std::ops::Range;

use uuid::Uuid;

use super::boot;
use crate::chunk::SEVERITIES;

const MAGIC: [u8; 8] = *b"RODENTSG";
const VERSION: u32 = 2;

/// Stands at [`STATE_AT`] while the segment holds nothing that matters. A few flipped bits do not make it.
const FREE: [u8; 8] = *b"FREE\xa5\x5a\xc3\x3c";

/// Stands there otherwise.
const IN_USE: [u8; 8] = *b"in use\x00\x00";

const COPY: usize = 128;
const CRC_AT: usize = 12;
const ID_AT: usize = 16;
const FINGERPRINT_AT: usize = 32;
const BOOT_AT: usize = 40;
const USE_AT: usize = 48;
const IDENTITY_END: usize = 56;
const TIMESTAMP_AT: usize = 64;
const END_AT: usize = 80;
const STATE_AT: usize = 96;

/// Where the entries begin.
pub(crate) const HEADER: usize = 2 * COPY;

/// What an entry takes beside the event.
pub(crate) const ENTRY_HEAD: usize = 12;

/// Every event begins with the tag of `EventBatch.events`.
const EVENTS_TAG: u8 = 0x0A;

/// Looking for entries behind damaged bytes may read each byte so many times: enough for any accident, an end for
/// bytes that were made to take long.
const EFFORT: usize = 64;

/// The room an event of `len` bytes takes.
#[inline]
pub(crate) const fn entry_len(len: usize) -> usize {
    ENTRY_HEAD + len.next_multiple_of(4)
}

/// What tells the entries of one use of a segment from those of all others.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Generation {
    /// The part of every check that says to which batch, and to which use, an entry belongs.
    seed: u32,
    number: u16,
}

impl Generation {
    fn new(id: Uuid, number: u32) -> Self {
        let id = id.as_u128();
        let folded = (id ^ (id >> 32) ^ (id >> 64) ^ (id >> 96)) as u32;
        Self { seed: folded ^ number.wrapping_mul(0x27D4_EB2F), number: number as u16 }
    }

    /// That of the header in these bytes.
    #[cfg(test)]
    pub(crate) fn in_header(bytes: &[u8]) -> Self {
        Self::new(id(bytes), u32_at(bytes, USE_AT).unwrap_or_default())
    }
}

/// Where an event of `len` bytes is halved for its check: at a multiple of eight, the bytes of one step, and so that the
/// second half is the shorter one, since up to seven single bytes at its end take a step each.
#[inline]
fn half(len: usize) -> usize {
    ((len / 2 + 16) & !7).min(len)
}

#[inline]
fn check(seed: u32, severity: u8, category: u8, event: &[u8]) -> u32 {
    // Odd factors: no two values of one field give the same product.
    let place = (u32::from(severity) << 8 | u32::from(category)).wrapping_mul(0x85EB_CA6B);
    let mixed = seed ^ (event.len() as u32).wrapping_mul(0x9E37_79B1) ^ place;
    // The processor waits for its own sum at every step: two sums side by side take half as long.
    let (first, second) = event.split_at(half(event.len()));
    // Not by `map` over an array: that was a call for each, and a third of the instructions of the sums.
    let (first, second) = (crc_fast::crc32_iscsi(first), crc_fast::crc32_iscsi(second));
    first.wrapping_mul(0xC2B2_AE35) ^ second ^ mixed
}

/// Begins a use of the segment: from now on it belongs to this batch, which has no entry yet.
pub(crate) fn begin(bytes: &mut [u8], id: Uuid, fingerprint: u64) -> Generation {
    let last = bytes.get(..COPY).filter(|copy| is_whole(copy)).and_then(|copy| u32_at(copy, USE_AT));
    let number = last.unwrap_or_default().wrapping_add(1);
    let generation = Generation::new(id, number);
    let mut header = [0; COPY];
    header[..8].copy_from_slice(&MAGIC);
    header[8..CRC_AT].copy_from_slice(&VERSION.to_le_bytes());
    header[ID_AT..FINGERPRINT_AT].copy_from_slice(id.as_bytes());
    header[FINGERPRINT_AT..BOOT_AT].copy_from_slice(&fingerprint.to_le_bytes());
    header[BOOT_AT..USE_AT].copy_from_slice(&boot::this().to_le_bytes());
    header[USE_AT..USE_AT + 4].copy_from_slice(&number.to_le_bytes());
    let crc = identity_crc(&header);
    header[CRC_AT..ID_AT].copy_from_slice(&crc.to_le_bytes());
    header[STATE_AT..STATE_AT + 8].copy_from_slice(&FREE);
    let Some(copies) = bytes.get_mut(..HEADER) else { return generation };
    copies[..COPY].copy_from_slice(&header);
    copies[COPY..].copy_from_slice(&header);
    set_end(bytes, HEADER, 0);
    // Killed before this, there is nothing to find.
    std::sync::atomic::compiler_fence(std::sync::atomic::Ordering::Release);
    bytes[STATE_AT..STATE_AT + 8].copy_from_slice(&IN_USE);
    generation
}

/// Nothing in the segment matters any more.
pub(crate) fn set_free(bytes: &mut [u8]) {
    if let Some(state) = bytes.get_mut(STATE_AT..STATE_AT + 8) {
        state.copy_from_slice(&FREE);
    }
}

/// The batch was put together, and is or was about to be offered under this timestamp.
pub(crate) fn set_timestamp(bytes: &mut [u8], timestamp_ms: i64) {
    let mut both = [0; 16];
    both[..8].copy_from_slice(&timestamp_ms.to_le_bytes());
    both[8..].copy_from_slice(&(!timestamp_ms).to_le_bytes());
    for at in [TIMESTAMP_AT, COPY + TIMESTAMP_AT] {
        if let Some(place) = bytes.get_mut(at..at + 16) {
            place.copy_from_slice(&both);
        }
    }
}

#[inline]
fn set_end(bytes: &mut [u8], end: usize, count: u32) {
    let value = u64::from(end as u32) | u64::from(count) << 32;
    let both = u128::from(value) | u128::from(!value) << 64;
    if let Some(place) = bytes.get_mut(END_AT..END_AT + 16) {
        place.copy_from_slice(&both.to_le_bytes());
    }
}

/// Writes one entry at `at`, behind `count` others. Gives where it ends; `None` if there is no room.
#[inline]
pub(crate) fn push(
    bytes: &mut [u8],
    at: usize,
    count: u32,
    generation: Generation,
    event: &[u8],
    severity: u8,
    category: u8,
) -> Option<usize> {
    let end = at + entry_len(event.len());
    let entry = bytes.get_mut(at..end)?;
    let mut head = [0; ENTRY_HEAD];
    head[..4].copy_from_slice(&(event.len() as u32).to_le_bytes());
    head[4..8].copy_from_slice(&check(generation.seed, severity, category, event).to_le_bytes());
    head[8] = severity;
    head[9] = category;
    head[10..].copy_from_slice(&generation.number.to_le_bytes());
    entry[..ENTRY_HEAD].copy_from_slice(&head);
    entry[ENTRY_HEAD..ENTRY_HEAD + event.len()].copy_from_slice(event);
    // The end is only moved over an entry that is there.
    std::sync::atomic::compiler_fence(std::sync::atomic::Ordering::Release);
    set_end(bytes, end, count + 1);
    Some(end)
}

/// Marks entries before `end` as dropped: `is_gone` is asked for each that is not yet, by its place among those.
pub(crate) fn drop_entries(
    bytes: &mut [u8],
    end: usize,
    generation: Generation,
    mut is_gone: impl FnMut(usize) -> bool,
) {
    let (mut at, mut place) = (HEADER, 0);
    while at < end {
        let Some(entry) = Entry::at(bytes, at, generation) else { return };
        let (next, is_left) = (entry.end, !entry.dropped);
        if is_left
            && is_gone(place)
            && let Some(check) = bytes.get_mut(at + 4..at + 8)
        {
            check.iter_mut().for_each(|byte| *byte = !*byte);
        }
        place += usize::from(is_left);
        at = next;
    }
}

/// An entry whose check is right.
struct Entry {
    event: Range<usize>,
    end: usize,
    severity: u8,
    dropped: bool,
}

impl Entry {
    fn at(bytes: &[u8], at: usize, generation: Generation) -> Option<Self> {
        let (event, severity, category) = Self::looks_like(bytes, at, generation)?;
        let stored = u32_at(bytes, at + 4)?;
        let check = check(generation.seed, severity, category, &bytes[event.clone()]);
        let dropped = stored == !check;
        let end = at + entry_len(event.len());
        (dropped || stored == check).then_some(Self { event, end, severity, dropped })
    }

    /// What is cheap to see: most places where no entry begins are told by it.
    fn looks_like(bytes: &[u8], at: usize, generation: Generation) -> Option<(Range<usize>, u8, u8)> {
        let head = bytes.get(at..at + ENTRY_HEAD)?;
        let len = u32_at(bytes, at)? as usize;
        let (severity, category) = (head[8], head[9]);
        let is_ours = head[10..] == generation.number.to_le_bytes();
        let known = severity >= 1 && usize::from(severity) < SEVERITIES && is_ours;
        let start = at + ENTRY_HEAD;
        let event = bytes.get(start..start.checked_add(len)?)?;
        // One entry of the batch, whole: the tag, and the length of what follows.
        let mut rest = event.strip_prefix(&[EVENTS_TAG])?;
        let body = prost::decode_length_delimiter(&mut rest).ok()?;
        (known && body == rest.len()).then_some((start..start + len, severity, category))
    }
}

/// What is found in a segment.
#[derive(Debug)]
pub(crate) enum Found {
    /// Nothing that matters: it was free, or never used.
    Nothing,
    /// A batch.
    Batch(Batch),
    /// It cannot be told to which batch it belongs.
    Unreadable(&'static str),
}

/// The batch of a segment.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) id: Uuid,
    /// When it was put together; `None` if it was not.
    pub(crate) timestamp_ms: Option<i64>,
    pub(crate) fingerprint: u64,
    /// A run of `EventBatch.events` entries.
    pub(crate) events: Vec<u8>,
    pub(crate) by_severity: [u32; SEVERITIES],
    /// What is neither an entry nor a leftover.
    pub(crate) damage: Vec<Range<usize>>,
    /// Where the file ends, if its entries went on behind that.
    pub(crate) cut_at: Option<usize>,
    /// How many events were in the damaged bytes, as far as can be known.
    pub(crate) damaged_events: u32,
    /// How many events did not reach the disk before the machine stopped, as far as can be known.
    pub(crate) torn_events: u32,
    /// How many events were cut off with the end of the file, as far as can be known: of each damaged place one is thought to be left.
    pub(crate) cut_events: u32,
}

/// Reads a segment.
pub(crate) fn read(bytes: &[u8]) -> Found {
    if bytes.len() < HEADER {
        return if bytes.iter().all(|&byte| byte == 0) {
            Found::Nothing
        } else {
            Found::Unreadable("it is shorter than a header")
        };
    }
    if bytes[STATE_AT..STATE_AT + 8] == FREE || bytes[..HEADER].iter().all(|&byte| byte == 0) {
        return Found::Nothing;
    }
    let copies = [&bytes[..COPY], &bytes[COPY..HEADER]];
    let Some(header) = copies.iter().find(|copy| is_whole(copy)) else {
        return Found::Unreadable("both copies of its header are damaged, or another program wrote it");
    };
    let mut batch = Batch {
        id: id(header),
        timestamp_ms: copies.iter().find_map(|copy| timestamp(copy)),
        fingerprint: u64_at(header, FINGERPRINT_AT).unwrap_or(0),
        events: Vec::new(),
        by_severity: [0; SEVERITIES],
        damage: Vec::new(),
        cut_at: None,
        damaged_events: 0,
        torn_events: 0,
        cut_events: 0,
    };
    batch.read_entries(bytes, Generation::new(batch.id, u32_at(header, USE_AT).unwrap_or_default()));
    let [then, now] = [u64_at(header, BOOT_AT).unwrap_or(boot::UNKNOWN), boot::this()];
    if then != now && then != boot::UNKNOWN && now != boot::UNKNOWN {
        batch.damage.clear();
        batch.torn_events = std::mem::take(&mut batch.damaged_events) + std::mem::take(&mut batch.cut_events);
    }
    Found::Batch(batch)
}

/// How many events a segment had that is shorter than a header by now, where what is left of its first copy tells that it was in use
/// in this start of the machine.
#[cfg(feature = "cli")]
pub(crate) fn count_in_rest(bytes: &[u8]) -> Option<u32> {
    let state = bytes.get(STATE_AT..bytes.len().min(STATE_AT + 8)).filter(|state| !state.is_empty())?;
    let is_ours = is_whole(bytes) && u64_at(bytes, BOOT_AT) == Some(boot::this());
    end(bytes).filter(|_| is_ours && !FREE.starts_with(state)).map(|(_, count)| count)
}

impl Batch {
    /// How many events it holds.
    pub(crate) fn count(&self) -> u32 {
        self.by_severity.iter().sum()
    }

    /// What is wrong with this damage.
    pub(crate) fn reason(&self, damage: &Range<usize>) -> &'static str {
        match self.cut_at {
            Some(at) if damage.end == at => "the segment was cut short here, in the middle of an event",
            _ => "no event of the segment's batch stands here whose checksum is right",
        }
    }

    fn read_entries(&mut self, bytes: &[u8], generation: Generation) {
        // Without a believable end every entry that can be found counts.
        let known = end(bytes);
        // A file that was cut short ends where it ends.
        let end = known.map_or(bytes.len(), |(end, _)| end.min(bytes.len()));
        self.cut_at = known.filter(|&(end, _)| end > bytes.len()).map(|_| bytes.len());
        let (mut at, mut entries, mut effort) = (HEADER, 0_u32, bytes.len().saturating_mul(EFFORT));
        while at < end {
            if let Some(entry) = Entry::at(bytes, at, generation) {
                entries += 1;
                if !entry.dropped {
                    self.events.extend_from_slice(&bytes[entry.event]);
                    self.by_severity[usize::from(entry.severity) % SEVERITIES] += 1;
                }
                at = entry.end;
                continue;
            }
            let next = (at + 4..end).step_by(4).find(|&next| {
                let cost = Entry::looks_like(bytes, next, generation).map_or(0, |(event, ..)| event.len());
                if cost == 0 || cost > effort {
                    return false;
                }
                effort -= cost;
                Entry::at(bytes, next, generation).is_some()
            });
            match (next, known) {
                (Some(next), _) => self.damage.push(at..next),
                (None, Some(_)) => self.damage.push(at..end),
                // Where the leftovers of earlier uses begin.
                (None, None) => {}
            }
            at = next.unwrap_or(end);
        }
        self.damaged_events = match known {
            Some((_, count)) => count.saturating_sub(entries),
            None => self.damage.len() as u32,
        };
        if self.cut_at.is_some() {
            let there = self.damaged_events.min(self.damage.len() as u32);
            self.cut_events = self.damaged_events - there;
            self.damaged_events = there;
        }
    }
}

fn identity_crc(header: &[u8]) -> u32 {
    let mut identity = [0; CRC_AT + IDENTITY_END - ID_AT];
    identity[..CRC_AT].copy_from_slice(&header[..CRC_AT]);
    identity[CRC_AT..].copy_from_slice(&header[ID_AT..IDENTITY_END]);
    crc_fast::crc32_iscsi(&identity)
}

fn is_whole(header: &[u8]) -> bool {
    header[..8] == MAGIC
        && u32_at(header, 8) == Some(VERSION)
        && u32_at(header, CRC_AT) == Some(identity_crc(header))
}

fn id(header: &[u8]) -> Uuid {
    let mut id = [0; 16];
    id.copy_from_slice(&header[ID_AT..FINGERPRINT_AT]);
    Uuid::from_bytes(id)
}

fn timestamp(header: &[u8]) -> Option<i64> {
    let (value, complement) = (u64_at(header, TIMESTAMP_AT)?, u64_at(header, TIMESTAMP_AT + 8)?);
    (value == !complement && value.cast_signed() > 0).then_some(value.cast_signed())
}

/// Where the entries end and how many there are.
fn end(bytes: &[u8]) -> Option<(usize, u32)> {
    let (value, complement) = (u64_at(bytes, END_AT)?, u64_at(bytes, END_AT + 8)?);
    let end = value as u32 as usize;
    (value == !complement && end >= HEADER).then_some((end, (value >> 32) as u32))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes)
}

#[cfg(test)]
#[path = "format_tests.rs"]
mod tests;
