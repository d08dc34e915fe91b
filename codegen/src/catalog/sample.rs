//! Examples: one event of a kind, as Rust that emits it and as the JSON that protobuf makes of it.
//!
//! Both show the same fields: the required ones and the first few others.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use super::json::Json;
use super::{REQUIRED, deprecated, words};
use crate::annotations;
use crate::model::{EnumValue, EventKind, Schema};
use crate::names;
use crate::read::real_oneof;
use crate::source::comment;

/// How many fields an example shows besides the required ones: enough to see how, short enough to be read.
const SHOWN: usize = 2;

/// The level in examples of kinds that leave it to the caller.
const LEVEL: &str = "info";

/// The call that emits an event of the kind.
pub(super) fn rust(kind: &EventKind, payload: &MessageDescriptor, schema: &Schema) -> String {
    let level = match &kind.level {
        Some(_) => String::new(),
        None => level(kind, schema).map_or(String::new(), |level| format!("    Level::{},\n", level.variant)),
    };
    let name = schema.message(&kind.payload).map_or("", |message| message.rust_name.as_str());
    let base = construct(payload, schema);
    let shown: String = shown(payload)
        .iter()
        .filter(|field| !required(field))
        .filter_map(|field| {
            let name = names::ident(&names::snake(field.name()));
            Some(format!("        {name}: {},\n", value(field, schema)?))
        })
        .collect();
    let payload = match shown.is_empty() {
        true => base,
        false => format!("{name} {{\n{shown}        ..{base}\n    }}"),
    };
    format!("emit_{}(\n{level}    {payload},\n    (),\n);", kind.emitter)
}

/// The same event in protobuf's JSON.
pub(super) fn json(kind: &EventKind, payload: &MessageDescriptor, schema: &Schema) -> Json {
    let text = |text: &str| Json::Text(text.to_owned());
    let body = Json::Object(
        shown(payload).iter().map(|field| (field.json_name().to_owned(), in_json(field))).collect(),
    );
    let envelope =
        schema.envelopes.iter().find(|one| one.kinds.iter().any(|one| one.emitter == kind.emitter));
    let pool = payload.parent_pool();
    let branch = envelope
        .and_then(|one| pool.get_message_by_name(&one.full_name))
        .and_then(|one| one.get_field(kind.category.tag));
    let leaf = branch.as_ref().and_then(|branch| branch.kind().as_message()?.get_field(kind.tag));
    let name =
        |field: &Option<FieldDescriptor>| field.as_ref().map_or("", |field| field.json_name()).to_owned();
    Json::Object(vec![
        ("eventId".to_owned(), text("0198c0de-0000-7000-8000-000000000001")),
        ("level".to_owned(), level(kind, schema).map_or(text(""), |level| text(&level.name))),
        ("category".to_owned(), text(&kind.category.value)),
        ("source".to_owned(), text(kind.source.as_deref().unwrap_or_default())),
        ("timestamp".to_owned(), text("1750000000000")),
        (name(&branch), Json::Object(vec![(name(&leaf), body)])),
    ])
}

fn level<'a>(kind: &EventKind, schema: &'a Schema) -> Option<&'a EnumValue> {
    let levels = schema.envelopes.iter().find_map(|envelope| envelope.levels.as_ref())?;
    let wanted = kind.level.as_deref().filter(|_| !kind.level_by_operation()).unwrap_or(LEVEL);
    let found = levels.values.iter().find(|value| value.short.eq_ignore_ascii_case(wanted));
    found.or_else(|| levels.values.first())
}

fn required(field: &FieldDescriptor) -> bool {
    annotations::said_of_field(field).contains_key(REQUIRED) || field.is_required()
}

/// A value of one of protobuf's own types, as Rust and as protobuf's JSON, which writes most of them in a way of their own.
fn own_type(field: &FieldDescriptor) -> Option<(String, Json)> {
    let kind = field.kind();
    let name = match &kind {
        Kind::Message(message) => message.full_name(),
        Kind::Enum(one) => one.full_name(),
        _ => return None,
    };
    let name = name.strip_prefix("google.protobuf.")?;
    let text = |text: &str| Json::Text(text.to_owned());
    let plain = |text: &str| Json::Plain(text.to_owned());
    let (rust, json) = match name {
        "Timestamp" => ("std::time::SystemTime::UNIX_EPOCH.into()", text("1970-01-01T00:00:00Z")),
        "Duration" => ("std::time::Duration::from_secs(1).into()", text("1s")),
        "Struct" => ("events_sdk::well_known::Struct(&[])", Json::Object(Vec::new())),
        "Value" => ("events_sdk::well_known::Value::Bool(true)", plain("true")),
        "ListValue" => ("events_sdk::well_known::List(&[])", Json::List(Vec::new())),
        "NullValue" => ("events_sdk::well_known::Null", plain("null")),
        "Any" => ("events_sdk::well_known::Any::default()", Json::Object(Vec::new())),
        "FieldMask" => ("events_sdk::well_known::FieldMask(&[\"name\"])", text("name")),
        "Empty" => ("()", Json::Object(Vec::new())),
        "BoolValue" => ("true", plain("true")),
        "DoubleValue" | "FloatValue" => ("1.5", plain("1.5")),
        "Int32Value" | "UInt32Value" => ("1", plain("1")),
        "Int64Value" | "UInt64Value" => ("1", text("1")),
        "BytesValue" => ("b\"bytes\"", text(BYTES)),
        "StringValue" => return Some((format!("{:?}", example(field)), Json::Text(example(field)))),
        _ => return None,
    };
    Some((rust.to_owned(), json))
}

/// `bytes` in base64.
const BYTES: &str = "Ynl0ZXM=";

/// The fields of an example, in the order of their numbers. What is a message, or in a oneof, is left to the types.
fn shown(message: &MessageDescriptor) -> Vec<FieldDescriptor> {
    let mut left = SHOWN;
    let simple = |field: &FieldDescriptor| {
        !matches!(field.kind(), Kind::Message(_)) && real_oneof(field).is_none() && !deprecated(field)
    };
    message
        .fields()
        .filter(|field| {
            if required(field) {
                return true;
            }
            let take = left > 0 && simple(field);
            left -= usize::from(take);
            take
        })
        .collect()
}

/// `Payload::new(…)` with what is required, or `Payload::default()`. A required message cannot hold itself.
fn construct(message: &MessageDescriptor, schema: &Schema) -> String {
    let name = schema.message(message.full_name()).map_or("", |message| message.rust_name.as_str());
    let arguments: Vec<String> = message
        .fields()
        .filter(required)
        .map(|field| value(&field, schema).unwrap_or_else(|| "Default::default()".to_owned()))
        .collect();
    match arguments.is_empty() {
        true => format!("{name}::default()"),
        false => format!("{name}::new({})", arguments.join(", ")),
    }
}

/// The field's value in Rust.
fn value(field: &FieldDescriptor, schema: &Schema) -> Option<String> {
    let one = match field.kind() {
        Kind::Message(_) if field.is_map() || field.is_list() => return None,
        _ if let Some((rust, _)) = own_type(field) => rust,
        Kind::Message(message) => schema.message(message.full_name()).map(|_| construct(&message, schema))?,
        Kind::Enum(one) => {
            let one = schema.enumeration(one.full_name())?;
            format!("{}::{}", one.rust_name, names::ident(&one.values.first()?.variant))
        }
        Kind::Double | Kind::Float => "1.5".to_owned(),
        Kind::Bool => "true".to_owned(),
        Kind::String => format!("{:?}", example(field)),
        Kind::Bytes => "b\"bytes\"".to_owned(),
        _ => "1".to_owned(),
    };
    // An enum without presence may be left out, but for the one that has a single value.
    let choice = matches!(field.kind(), Kind::Enum(_)) && own_type(field).is_none();
    let plain = !field.supports_presence() && !choice;
    Some(match () {
        () if field.is_list() => format!("&[{one}]"),
        () if plain || required(field) => one,
        () => format!("Some({one})"),
    })
}

fn in_json(field: &FieldDescriptor) -> Json {
    let one = match field.kind() {
        _ if let Some((_, json)) = own_type(field) => json,
        // As in Rust: a message inside has what it cannot do without.
        Kind::Message(message) => Json::Object(
            message
                .fields()
                .filter(required)
                .map(|field| (field.json_name().to_owned(), in_json(&field)))
                .collect(),
        ),
        Kind::Enum(one) => {
            let first = one.enum_descriptor_proto().value.iter().find(|value| value.number() != 0);
            Json::Text(first.map_or("", |value| value.name()).to_owned())
        }
        Kind::Double | Kind::Float => Json::Plain("1.5".to_owned()),
        Kind::Bool => Json::Plain("true".to_owned()),
        Kind::String => Json::Text(example(field)),
        Kind::Bytes => Json::Text(BYTES.to_owned()),
        // Numbers of 64 bits are texts in protobuf's JSON: not every reader has so many bits.
        Kind::Int64 | Kind::Uint64 | Kind::Sint64 | Kind::Fixed64 | Kind::Sfixed64 => {
            Json::Text("1".to_owned())
        }
        _ => Json::Plain("1".to_owned()),
    };
    if field.is_list() { Json::List(vec![one]) } else { one }
}

/// What the field's comment gives as an example, in quotes, or else the field's name.
fn example(field: &FieldDescriptor) -> String {
    let docs = words(&comment(&field.parent_message().parent_file(), field.path()));
    let quoted = docs.split_once("example \"").and_then(|(_, rest)| rest.split_once('"'));
    quoted.map_or_else(|| field.name().to_owned(), |(text, _)| text.to_owned())
}
