//! Personal data in an event that the command emits: treated as the configuration asks, as the emitters do.
//!
//! The generator writes down for each payload where personal data stands; here the schema tells at run time.

use std::path::Path;

use prost_reflect::{FieldDescriptor, Kind as Type, MessageDescriptor};

use super::{failure::Failure, owner, schema::Schema};
use crate::{
    Config, Pii,
    pii::{Personal, Place, Treatment},
    wire,
};

/// Messages within messages are followed this deep. Ours are two deep; one that holds itself has no end.
const DEPTH: u32 = 16;

/// A payload as prost-reflect encoded it.
struct Encoded<'a>(&'a [u8]);

impl wire::Message for Encoded<'_> {
    fn encoded_len(&self) -> usize {
        self.0.len()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0);
    }
}

/// The encoded payload as it may leave the node.
pub(super) fn treat(
    schema: &Schema,
    config: &Config,
    descriptor: &MessageDescriptor,
    payload: Vec<u8>,
) -> Result<Vec<u8>, Failure> {
    if config.pii == Pii::Keep {
        return Ok(payload);
    }
    let Some(personal) = places(schema, descriptor, DEPTH) else { return Ok(payload) };
    let had_key = config.pii_key_file.exists();
    let treatment = Treatment::start(config.pii, &config.pii_key_file)
        .map_err(|error| Failure::Broken(format!("the event is not emitted: {error}")))?;
    if !had_key {
        hand_over_key(&config.spool_dir, &config.pii_key_file)?;
    }
    let Some(treatment) = treatment else { return Ok(payload) };
    let treated = treatment.treat(&Encoded(&payload), &personal, |treated| {
        let mut bytes = Vec::new();
        wire::Message::encode(treated, &mut bytes);
        Some(bytes)
    });
    treated.ok_or_else(|| {
        Failure::Broken(
            "the event is not emitted: its personal data could not be found in its bytes".to_owned(),
        )
    })
}

/// Where personal data stands in such a message; `None` if nowhere.
///
/// What it points to is kept until the command ends, which is soon.
fn places(schema: &Schema, message: &MessageDescriptor, depth: u32) -> Option<Personal> {
    let place = |field: FieldDescriptor| Some((field.number(), place(schema, &field, depth)?));
    let places: Vec<_> = message.fields().filter_map(place).collect();
    if places.is_empty() { None } else { Some(Personal(Vec::leak(places))) }
}

fn place(schema: &Schema, field: &FieldDescriptor, depth: u32) -> Option<Place> {
    match (schema.is_personal(field), field.kind()) {
        (true, Type::String) => Some(Place::Text),
        (true, Type::Bytes) => Some(Place::Bytes),
        (true, _) => Some(Place::Other),
        // Too deep to tell: rather nothing of it than something personal.
        (false, Type::Message(_)) if depth == 0 => Some(Place::Other),
        (false, Type::Message(inner)) => {
            let personal: &'static Personal = Box::leak(Box::new(places(schema, &inner, depth - 1)?));
            Some(Place::Within(personal))
        }
        (false, _) => None,
    }
}

/// A key that root made must be readable for the agent, to whom the spool belongs.
fn hand_over_key(spool: &Path, key: &Path) -> Result<(), Failure> {
    match owner::hand_over(spool, key) {
        // A link was there before: what we make is a file.
        Err(error) if error.kind() != std::io::ErrorKind::NotFound && !owner::is_link(&error) => {
            Err(Failure::Broken(format!("cannot give {} to the agent: {error}", key.display())))
        }
        _ => Ok(()),
    }
}
