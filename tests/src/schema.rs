//! The schema as other programs see it: compiled descriptors, and messages decoded by them alone.

use std::path::Path;

use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, MessageDescriptor, Value};

/// The schema of this project, compiled.
pub fn compiled() -> DescriptorPool {
    compile(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto"))
}

/// The schema in another folder, compiled.
pub fn compile(root: &Path) -> DescriptorPool {
    let mut compiler = protox::Compiler::new([root]).expect("a folder");
    compiler.include_imports(true);
    compiler.open_files(["base.proto", "events/event_messages.proto"]).expect("a schema");
    compiler.descriptor_pool()
}

/// The description of a message.
pub fn message(pool: &DescriptorPool, name: &str) -> MessageDescriptor {
    pool.get_message_by_name(name).expect("a message of the schema")
}

/// An encoded `rodent.EventBatch`, decoded without any generated code.
pub fn decode_batch(pool: &DescriptorPool, bytes: &[u8]) -> DynamicMessage {
    DynamicMessage::decode(message(pool, "rodent.EventBatch"), bytes).expect("a batch")
}

/// The events of a batch.
pub fn events(batch: &DynamicMessage) -> Vec<DynamicMessage> {
    let events = batch.get_field_by_name("events").expect("events");
    events
        .as_list()
        .expect("a list")
        .iter()
        .map(|event| event.as_message().expect("an event").clone())
        .collect()
}

/// A field of a message.
pub fn get(message: &DynamicMessage, field: &str) -> Value {
    message.get_field_by_name(field).expect("a field of the message").into_owned()
}

/// The text in a field.
pub fn text(message: &DynamicMessage, field: &str) -> String {
    get(message, field).as_str().expect("a text").to_owned()
}

/// The one field of a message's oneofs that is set, with the message in it.
pub fn branch(message: &DynamicMessage) -> (FieldDescriptor, DynamicMessage) {
    let mut set = message.fields().filter(|(field, _)| field.containing_oneof().is_some());
    let (field, value) = set.next().expect("a branch that is set");
    assert!(set.next().is_none(), "more than one branch is set");
    (field, value.as_message().expect("a message").clone())
}

/// The bodies of the `events` entries in an encoded batch, as they stand there.
pub fn entries(mut batch: &[u8]) -> Vec<&[u8]> {
    use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

    let mut entries = Vec::new();
    while !batch.is_empty() {
        let (number, wire_type) = decode_key(&mut batch).expect("a key");
        if (number, wire_type) != (1, WireType::LengthDelimited) {
            skip_field(wire_type, number, &mut batch, DecodeContext::default()).expect("a field");
            continue;
        }
        let length = decode_varint(&mut batch).expect("a length");
        let (entry, rest) = batch.split_at(usize::try_from(length).expect("a length in memory"));
        entries.push(entry);
        batch = rest;
    }
    entries
}
