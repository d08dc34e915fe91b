//! What "the same" means: our bytes read by prost and by prost-reflect, and their bytes beside ours.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::LazyLock;

use events_sdk::__private::{prost, wire};
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, encode_key, encode_varint};
use prost_reflect::{DescriptorPool, DynamicMessage, Kind, MessageDescriptor, Value};

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::from_file_descriptor_set(
        protox::compile(["torture.proto"], ["torture", "../proto"]).unwrap(),
    )
    .unwrap()
});

/// The message called `name`.
pub(crate) fn descriptor(name: &str) -> MessageDescriptor {
    POOL.get_message_by_name(name).unwrap()
}

/// Checks a payload in both directions and gives it as prost has it.
///
/// There: what we write is of the length that we said, and prost and prost-reflect read from it what the payload converts
/// to, with nothing left unknown. Back: what prost and prost-reflect write of that value is what we wrote, byte for byte
/// where protobuf leaves no choice, and in [canonical order](canonical) where it does.
pub(crate) fn same<P, W>(name: &str, payload: P) -> W
where
    P: wire::Message + Copy,
    W: prost::Message + From<P> + Default + PartialEq + Debug,
{
    let descriptor = descriptor(name);
    let mut ours = Vec::new();
    payload.encode(&mut ours);
    assert_eq!(ours.len(), payload.encoded_len());
    let theirs = W::from(payload);

    assert_eq!(W::decode(ours.as_slice()).unwrap(), theirs);
    let dynamic = DynamicMessage::decode(descriptor.clone(), ours.as_slice()).unwrap();
    assert!(known(&dynamic), "{dynamic:?}");
    assert_eq!(dynamic.transcode_to::<W>().unwrap(), theirs);

    let (by_prost, by_reflect) = (theirs.encode_to_vec(), prost::Message::encode_to_vec(&dynamic));
    assert_eq!(DynamicMessage::decode(descriptor.clone(), by_prost.as_slice()).unwrap(), dynamic);
    let mut choice = false;
    let order = canonical(&ours, &descriptor, &mut choice);
    assert_eq!(order, canonical(&by_prost, &descriptor, &mut choice));
    assert_eq!(order, canonical(&by_reflect, &descriptor, &mut choice));
    if !choice {
        assert_eq!(ours, by_prost);
    }
    theirs
}

/// Nothing in the message, however deep, is unknown to the schema.
fn known(message: &DynamicMessage) -> bool {
    fn value(value: &Value) -> bool {
        match value {
            Value::Message(message) => known(message),
            Value::List(all) => all.iter().all(value_of),
            Value::Map(all) => all.values().all(value_of),
            _ => true,
        }
    }
    fn value_of(one: &Value) -> bool {
        value(one)
    }
    message.unknown_fields().count() == 0 && message.fields().all(|(_, one)| value(one))
}

/// The same message with its fields in the order of their numbers, and the entries of each map in the order of their keys,
/// the last of each key, without what is zero in them. Says so if a map left its writer a `choice`.
fn canonical(bytes: &[u8], descriptor: &MessageDescriptor, choice: &mut bool) -> Vec<u8> {
    let mut fields: Vec<(u32, Vec<u8>)> = Vec::new();
    let mut maps: BTreeMap<u32, BTreeMap<Vec<u8>, Vec<u8>>> = BTreeMap::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (number, wire_type) = decode_key(&mut rest).unwrap();
        let before = rest;
        prost::encoding::skip_field(wire_type, number, &mut rest, DecodeContext::default()).unwrap();
        let value = &before[..before.len() - rest.len()];
        let field = descriptor.get_field(number).unwrap();
        let mut out = Vec::new();
        encode_key(number, wire_type, &mut out);
        match (field.kind(), wire_type) {
            (Kind::Message(inner), WireType::LengthDelimited) => {
                let mut body = value;
                decode_varint(&mut body).unwrap();
                let body = match field.is_map() {
                    true => entry(body, &inner, choice),
                    false => canonical(body, &inner, choice),
                };
                encode_varint(body.len() as u64, &mut out);
                out.extend(&body);
                if field.is_map() {
                    let key = key(&body);
                    let entries = maps.entry(number).or_default();
                    *choice |= !entries.is_empty();
                    entries.insert(key, out);
                    continue;
                }
            }
            (Kind::Message(inner), WireType::StartGroup) => {
                let end = value.len() - prost::encoding::key_len(number);
                out.extend(canonical(&value[..end], &inner, choice));
                out.extend(&value[end..]);
            }
            _ => out.extend(value),
        }
        fields.push((number, out));
    }
    fields.extend(
        maps.into_iter().map(|(number, entries)| (number, entries.into_values().flatten().collect())),
    );
    // Stable: the values of a repeated field stay in their order.
    fields.sort_by_key(|(number, _)| *number);
    fields.into_iter().flat_map(|(_, bytes)| bytes).collect()
}

/// An entry of a map, without a key or a value that is zero: some write it, some do not.
fn entry(bytes: &[u8], descriptor: &MessageDescriptor, choice: &mut bool) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), bytes);
    while !rest.is_empty() {
        let before = rest;
        let (number, wire_type) = decode_key(&mut rest).unwrap();
        let value = rest;
        prost::encoding::skip_field(wire_type, number, &mut rest, DecodeContext::default()).unwrap();
        if value[..value.len() - rest.len()].iter().any(|byte| *byte != 0) {
            out.extend(&before[..before.len() - rest.len()]);
        }
    }
    canonical(&out, descriptor, choice)
}

/// The key of a canonical entry, with its tag; nothing where it is zero.
fn key(entry: &[u8]) -> Vec<u8> {
    let mut rest = entry;
    if entry.is_empty() {
        return Vec::new();
    }
    let (number, wire_type) = decode_key(&mut rest).unwrap();
    prost::encoding::skip_field(wire_type, number, &mut rest, DecodeContext::default()).unwrap();
    if number == 1 { entry[..entry.len() - rest.len()].to_vec() } else { Vec::new() }
}
