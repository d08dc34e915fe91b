//! A number that stands for a schema's meaning.
//!
//! It covers names, numbers, types and options of the envelopes and of everything that an event may hold, but protobuf's
//! own types. Comments, positions, files, and what no event of the schema holds leave it as it is. It says which schema a
//! spill file was written with; it is no protection against malice.

use std::collections::BTreeMap;

use prost_reflect::prost::Message;
use prost_reflect::{EnumDescriptor, Kind, MessageDescriptor};

/// The fingerprint of what can be reached from `envelopes`.
pub(crate) fn fingerprint(envelopes: impl IntoIterator<Item = MessageDescriptor>) -> u64 {
    let mut hash = Fnv::default();
    for (name, meaning) in meanings(envelopes) {
        hash.text(name.as_bytes());
        hash.text(&meaning);
    }
    hash.0
}

/// What each message and each enum means, by its full name.
fn meanings(envelopes: impl IntoIterator<Item = MessageDescriptor>) -> BTreeMap<String, Vec<u8>> {
    let mut meanings = BTreeMap::new();
    let mut open: Vec<MessageDescriptor> = envelopes.into_iter().collect();
    while let Some(message) = open.pop() {
        let name = message.full_name();
        if message.package_name() == "google.protobuf" || meanings.contains_key(name) {
            continue;
        }
        meanings.insert(name.to_owned(), message_meaning(&message));
        for field in message.fields() {
            match field.kind() {
                Kind::Message(inner) => open.push(inner),
                Kind::Enum(inner) => {
                    meanings.entry(inner.full_name().to_owned()).or_insert_with(|| enum_meaning(&inner));
                }
                _ => {}
            }
        }
    }
    meanings
}

/// A message without the messages and enums inside it, which count where a field holds them. Options are read through
/// reflection, which knows ours.
fn message_meaning(message: &MessageDescriptor) -> Vec<u8> {
    let mut proto = message.descriptor_proto().clone();
    proto.nested_type.clear();
    proto.enum_type.clear();
    proto.options = None;
    for field in &mut proto.field {
        field.options = None;
        // One compiler writes the name in JSON even where it follows from the name, another does not.
        field.json_name = None;
    }
    proto.field.sort_by_key(|field| field.number);
    for oneof in &mut proto.oneof_decl {
        oneof.options = None;
    }
    let mut meaning = proto.encode_to_vec();
    meaning.extend(message.options().encode_to_vec());
    for field in message.fields() {
        meaning.extend(field.json_name().as_bytes());
        meaning.extend(field.options().encode_to_vec());
    }
    for oneof in message.oneofs() {
        meaning.extend(oneof.options().encode_to_vec());
    }
    meaning
}

fn enum_meaning(one: &EnumDescriptor) -> Vec<u8> {
    let mut proto = one.enum_descriptor_proto().clone();
    proto.options = None;
    for value in &mut proto.value {
        value.options = None;
    }
    proto.value.sort_by(|a, b| (a.number, &a.name).cmp(&(b.number, &b.name)));
    let mut meaning = proto.encode_to_vec();
    meaning.extend(one.options().encode_to_vec());
    for value in one.values() {
        meaning.extend(value.options().encode_to_vec());
    }
    meaning
}

/// FNV-1a, 64 bits: short, and the same everywhere and for ever.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    /// Its length first, which keeps two texts from reading as one.
    fn text(&mut self, text: &[u8]) {
        self.write(&text.len().to_le_bytes());
        self.write(text);
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Fnv;

    #[test]
    fn the_hash_is_fnv_1a() {
        let mut hash = Fnv::default();
        hash.write(b"foobar");
        assert_eq!(hash.0, 0x8594_4171_f739_67e8);
    }
}
