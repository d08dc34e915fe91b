//! A look into a received `EventBatch` without decoding its events.
//!
//! Decoding costs a server more than everything else it does for a batch, so the test Toggle walks the tags: it counts
//! the events and picks out the batch's id, and leaves the rest for whoever asks.

use bytes::Buf;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

/// `EventBatch.events`.
const EVENTS: u32 = 1;

/// `EventBatch.batch_id`.
const BATCH_ID: u32 = 3;

/// What the walk found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outline {
    pub(super) events: usize,
    pub(super) batch_id: String,
}

/// Walks the fields of an encoded `EventBatch`, or says what is wrong with it.
pub(super) fn outline(mut bytes: &[u8]) -> Result<Outline, String> {
    let mut outline = Outline::default();
    while !bytes.is_empty() {
        let (tag, wire_type) = decode_key(&mut bytes).map_err(|error| error.to_string())?;
        match (tag, wire_type) {
            (EVENTS, WireType::LengthDelimited) => {
                skip(&mut bytes)?;
                outline.events += 1;
            }
            (BATCH_ID, WireType::LengthDelimited) => {
                let id = skip(&mut bytes)?;
                outline.batch_id =
                    str::from_utf8(id).map_err(|error| format!("batch_id: {error}"))?.to_owned();
            }
            _ => skip_field(wire_type, tag, &mut bytes, DecodeContext::default())
                .map_err(|error| error.to_string())?,
        }
    }
    Ok(outline)
}

/// Takes a length and what it spans.
fn skip<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], String> {
    let length = decode_varint(bytes).map_err(|error| error.to_string())?;
    let span = usize::try_from(length)
        .ok()
        .and_then(|length| bytes.get(..length))
        .ok_or_else(|| format!("a field of {length} bytes where {} are left", bytes.len()))?;
    bytes.advance(span.len());
    Ok(span)
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::proto;

    #[test]
    fn an_outline_agrees_with_prost() {
        let batch = proto::EventBatch {
            events: vec![proto::events::Event { event_id: "e".to_owned(), ..Default::default() }; 3],
            batch_timestamp: 17,
            batch_id: "b-1".to_owned(),
            seal: Some(proto::BatchSeal { events: 3, ..Default::default() }),
        };
        let bytes = batch.encode_to_vec();
        assert_eq!(outline(&bytes), Ok(Outline { events: 3, batch_id: "b-1".to_owned() }));
        for end in 0..bytes.len() {
            // A torn message is an error or a shorter one, never a panic.
            let torn = outline(&bytes[..end]);
            assert_eq!(torn.is_ok(), proto::EventBatch::decode(&bytes[..end]).is_ok(), "at {end}");
        }
    }
}
