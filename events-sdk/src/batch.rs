//! A batch: a run of encoded events with an identity, on its way to Toggle or to disk.
//!
//! The events inside are final protobuf bytes, each one `events` entry of an `EventBatch` (tag, length, body). To send
//! a batch is to write that run and, behind it, `batch_timestamp` and `batch_id`: nothing is decoded or encoded again.

use bytes::BufMut;
use prost::Message;
use uuid::Uuid;

use crate::proto;

/// Encoded events under one identity.
///
/// Its id never changes: every retry, the spill file and a replay after a restart carry the same one, so that Toggle
/// can recognise a repeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    id: Uuid,
    timestamp_ms: i64,
    events: Vec<u8>,
    count: u32,
}

impl Batch {
    /// `events` is a run of `count` entries of `EventBatch.events`.
    pub(crate) fn new(id: Uuid, timestamp_ms: i64, events: Vec<u8>, count: u32) -> Self {
        Self { id, timestamp_ms, events, count }
    }

    /// The identity of the batch.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// When the batch was put together, in milliseconds since the Unix epoch.
    pub fn timestamp_ms(&self) -> i64 {
        self.timestamp_ms
    }

    /// How many events it holds.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether it holds no event.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The events: `EventBatch.events` entries, one after the other.
    pub fn events(&self) -> &[u8] {
        &self.events
    }

    /// The length of the encoded `EventBatch`, in bytes.
    pub fn encoded_len(&self) -> usize {
        self.events.len() + self.trailer().encoded_len()
    }

    /// Writes the `EventBatch` message.
    pub fn encode(&self, out: &mut impl BufMut) {
        out.put_slice(&self.events);
        out.put_slice(&self.trailer().encode_to_vec());
    }

    /// Reads the batch as any receiver would. For tests and tools.
    ///
    /// # Errors
    ///
    /// When an event is not a valid `rodent.events.Event`.
    pub fn decode(&self) -> Result<proto::EventBatch, prost::DecodeError> {
        let mut bytes = Vec::with_capacity(self.encoded_len());
        self.encode(&mut bytes);
        proto::EventBatch::decode(bytes.as_slice())
    }

    /// The batch in two halves, whose ids follow from its own; `None` when it cannot be cut.
    pub(crate) fn halves(&self) -> Option<[Self; 2]> {
        let first = self.count / 2;
        let cut = (0..first).try_fold(0, |at, _| entry_end(&self.events, at)).filter(|&cut| cut > 0)?;
        let half = |place: &str, events: &[u8], count| Self {
            id: Uuid::new_v5(&self.id, place.as_bytes()),
            timestamp_ms: self.timestamp_ms,
            events: events.to_vec(),
            count,
        };
        let (left, right) = self.events.split_at(cut);
        Some([half("left", left, first), half("right", right, self.count - first)])
    }

    /// Gives the memory of the events back, to be filled again.
    pub(crate) fn into_events(self) -> Vec<u8> {
        self.events
    }

    fn trailer(&self) -> proto::EventBatch {
        proto::EventBatch {
            batch_timestamp: self.timestamp_ms,
            batch_id: self.id.to_string(),
            ..proto::EventBatch::default()
        }
    }
}

/// Where the entry of `EventBatch.events` that begins at `start` ends.
fn entry_end(events: &[u8], start: usize) -> Option<usize> {
    // A tag of one byte, then the length.
    let mut rest = events.get(start + 1..)?;
    let length = prost::decode_length_delimiter(&mut rest).ok()?;
    let end = (events.len() - rest.len()).checked_add(length)?;
    (end <= events.len()).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(events: usize) -> Batch {
        let events: Vec<_> = (0..events)
            .map(|number| proto::events::Event { event_id: "x".repeat(number * 50), ..Default::default() })
            .collect();
        let count = events.len() as u32;
        let run = proto::EventBatch { events, ..Default::default() }.encode_to_vec();
        Batch::new(Uuid::from_u128(7), 1_800_000_000_000, run, count)
    }

    #[test]
    fn halves_hold_the_same_events_in_order_under_ids_that_repeat() {
        let whole = batch(7);
        let halves = whole.halves().expect("more than one event");
        assert_eq!(halves, whole.halves().expect("again"));
        assert_ne!(halves[0].id(), halves[1].id());
        assert_eq!((halves[0].len(), halves[1].len()), (3, 4));
        let events: Vec<_> = halves.iter().flat_map(|half| half.decode().expect("valid").events).collect();
        assert_eq!(events, whole.decode().expect("valid").events);
    }

    #[test]
    fn one_event_cannot_be_halved() {
        assert_eq!(batch(1).halves(), None);
        assert_eq!(batch(0).halves(), None);
    }
}
