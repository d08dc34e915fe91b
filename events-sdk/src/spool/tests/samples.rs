//! Events to fill files with, and small helpers over them.

use std::ops::Range;

use prost::Message;
use uuid::Uuid;

use crate::{
    proto::{EventBatch, events::Event},
    spool::{NewFile, Spool, SpoolError, SpoolFile},
};

/// The wire number of INFO.
pub(crate) const INFO: i32 = 1;

/// A UUIDv7 of this millisecond.
pub(crate) fn id(ms: u64) -> Uuid {
    Uuid::from_u128((u128::from(ms) << 80) | (7 << 76) | (2 << 62) | 0x5eed)
}

pub(crate) fn event(index: u32) -> Event {
    Event {
        event_id: id(0x0190_0000_0000 + u64::from(index)).to_string(),
        level: INFO,
        category: 2,
        source: "zfs".to_owned(),
        timestamp: 1_700_000_000_000 + i64::from(index),
        metadata: [
            ("component".to_owned(), "a component of the node".to_owned()),
            ("index".to_owned(), format!("{index:08}")),
            ("text".to_owned(), "x".repeat(40)),
        ]
        .into(),
        ..Event::default()
    }
}

/// The entry of one event. Always the same bytes: metadata is put in order by hand.
pub(crate) fn entry(index: u32) -> Vec<u8> {
    let mut event = event(index);
    let mut metadata: Vec<_> = std::mem::take(&mut event.metadata).into_iter().collect();
    metadata.sort();
    let mut body = event.encode_to_vec();
    for pair in metadata {
        let one = Event { metadata: [pair].into(), ..Event::default() };
        body.extend(one.encode_to_vec());
    }
    let mut entry = vec![0x0A];
    prost::encoding::encode_varint(body.len() as u64, &mut entry);
    entry.extend(body);
    entry
}

/// The entry of an event of about this size, which no other is like.
pub(crate) fn sized(index: u32, size: usize) -> Vec<u8> {
    let event = Event { source: "x".repeat(size), metadata: [].into(), ..event(index) };
    EventBatch { events: vec![event], ..EventBatch::default() }.encode_to_vec()
}

pub(crate) fn entries(range: Range<u32>) -> Vec<u8> {
    range.flat_map(entry).collect()
}

/// Splits a run of entries; the run must be well formed.
pub(crate) fn split(run: &[u8]) -> Vec<Vec<u8>> {
    let batch = EventBatch::decode(run).unwrap();
    let mut rest = run;
    let mut parts = Vec::new();
    for _ in batch.events {
        let (len, head) = super::super::format::varint(&rest[1..]).unwrap();
        let (part, tail) = rest.split_at(1 + head + usize::try_from(len).unwrap());
        parts.push(part.to_vec());
        rest = tail;
    }
    assert!(rest.is_empty());
    parts
}

/// Writes a file with these events in two runs.
pub(crate) fn spill(
    spool: &Spool,
    id: Uuid,
    range: Range<u32>,
    whole: bool,
) -> Result<SpoolFile, SpoolError> {
    let middle = range.start + (range.end - range.start) / 2;
    let count = range.end - range.start;
    let runs = [entries(range.start..middle), entries(middle..range.end)];
    spool.write(NewFile {
        id,
        timestamp_ms: 1_700_000_000_123,
        runs: &[&runs[0], &runs[1]],
        count,
        levels: &[(INFO, count)],
        whole,
        offered: false,
        fingerprint: 0xfeed,
        ledger: 0,
        part_of: None,
    })
}

/// All events of a file, as their entries.
pub(crate) fn read_all(spool: &Spool, file: &SpoolFile) -> Vec<Vec<u8>> {
    let mut reader = spool.read(file).unwrap();
    let mut events = Vec::new();
    while let Some(piece) = reader.next_piece().unwrap() {
        let parts = split(&piece.events);
        assert_eq!(parts.len(), piece.count as usize);
        events.extend(parts);
    }
    events
}

/// Writes a file of these entries, whose seal says that there are so many.
pub(crate) fn write(spool: &Spool, run: &[u8], count: u32) -> SpoolFile {
    let file = NewFile {
        id: id(1),
        timestamp_ms: 1,
        runs: &[run],
        count,
        levels: &[],
        whole: false,
        offered: false,
        fingerprint: 0,
        ledger: 0,
        part_of: None,
    };
    spool.write(file).unwrap()
}
