//! An event's own facts, read without its payload: enough to choose by and to count, at a fraction of the cost.

use prost::{
    bytes::Buf,
    encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field},
};

use crate::Level;

/// The first field number of `Event` that is a category.
const FIRST_CATEGORY: u32 = 10;

/// What the envelope of an event says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Facts<'a> {
    pub(super) id: &'a str,
    /// The number of its level on the wire.
    pub(super) level: i32,
    /// The number of its category on the wire.
    pub(super) category: i32,
    pub(super) source: &'a str,
    /// Milliseconds since the Unix epoch.
    pub(super) timestamp_ms: i64,
    /// The numbers of the fields that hold the payload: the category's in `Event`, the kind's in that. Zeros if there is
    /// none.
    pub(super) fields: (u32, u32),
}

impl<'a> Facts<'a> {
    /// Reads them from the bytes of an event; what does not decode stays empty.
    pub(super) fn of(body: &'a [u8]) -> Self {
        let mut facts = Self::default();
        // Whoever believed these bytes decoded them, or compared their checksum.
        let _ = facts.read(body);
        facts
    }

    /// Its level, if this version knows it.
    pub(super) fn known_level(&self) -> Option<Level> {
        Level::from_number(self.level)
    }

    fn read(&mut self, mut rest: &'a [u8]) -> Option<()> {
        while !rest.is_empty() {
            let (number, wire_type) = decode_key(&mut rest).ok()?;
            match (number, wire_type) {
                (1, WireType::LengthDelimited) => self.id = std::str::from_utf8(bytes(&mut rest)?).ok()?,
                (2, WireType::Varint) => self.level = decode_varint(&mut rest).ok()? as i32,
                (3, WireType::Varint) => self.category = decode_varint(&mut rest).ok()? as i32,
                (4, WireType::LengthDelimited) => {
                    self.source = std::str::from_utf8(bytes(&mut rest)?).ok()?
                }
                (5, WireType::Varint) => self.timestamp_ms = decode_varint(&mut rest).ok()?.cast_signed(),
                (FIRST_CATEGORY.., WireType::LengthDelimited) => {
                    let mut inner = bytes(&mut rest)?;
                    self.fields = (number, decode_key(&mut inner).map_or(0, |(kind, _)| kind));
                }
                _ => skip_field(wire_type, number, &mut rest, DecodeContext::default()).ok()?,
            }
        }
        Some(())
    }
}

/// A length and so many bytes.
fn bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::try_from(decode_varint(rest).ok()?).ok()?;
    let found = rest.get(..len)?;
    rest.advance(len);
    Some(found)
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::proto::events::{
        Event, StorageEvent, StoragePoolPayload, event::EventPayload, storage_event::EventType,
    };

    #[test]
    fn facts_are_what_prost_decodes_and_nonsense_is_no_reason_to_fail() {
        let event = Event {
            event_id: "an id".to_owned(),
            level: 7,
            category: 2,
            source: "zfs".to_owned(),
            timestamp: 1_800_000_000_000,
            metadata: [("a".to_owned(), "b".to_owned())].into(),
            event_payload: Some(EventPayload::StorageEvent(StorageEvent {
                event_type: Some(EventType::PoolEvent(StoragePoolPayload::default())),
            })),
        };
        let bytes = event.encode_to_vec();
        let facts = Facts::of(&bytes);
        assert_eq!((facts.id, facts.level, facts.category, facts.source), ("an id", 7, 2, "zfs"));
        assert_eq!((facts.timestamp_ms, facts.fields), (1_800_000_000_000, (11, 1)));
        assert_eq!(facts.known_level(), Some(Level::Trace));
        for cut in 0..bytes.len() {
            let _ = Facts::of(&bytes[..cut]);
        }
        assert_eq!(Facts::of(&[0xff; 20]), Facts::default());
    }
}
