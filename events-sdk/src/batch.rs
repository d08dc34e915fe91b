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
