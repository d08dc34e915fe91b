//! The constants of each kind of event, and what the `emit!` macro must know of its payload.

use std::fmt::Write as _;

use super::Paths;
use super::payload::type_of;
use crate::model::{Durability, EventKind, Field, Message, Presence, Schema, Type};
use crate::names;
use crate::text::Code;

/// The wire type of strings and messages.
const LENGTH_DELIMITED: u64 = 2;

/// The envelope's field numbers that are the same for all events of a kind.
const CATEGORY: u64 = 3;
const SOURCE: u64 = 4;

/// `pub mod kinds`.
pub(crate) fn module(schema: &Schema, paths: &Paths, code: &mut Code) {
    code.line("/// What is the same for all events of a kind, one module for each.");
    if schema.has_deprecated() {
        code.line("#[allow(deprecated)]");
    }
    code.open("pub mod kinds");
    code.line(format_args!("use {};", paths.private("Kind")));
    code.line("/// Every kind, in the order of the schema.");
    let all: Vec<String> =
        schema.kinds().map(|kind| format!("&{}::KIND", names::ident(&kind.emitter))).collect();
    code.fit(format_args!("pub static ALL: &[&Kind] = &[{}];", all.join(", ")));
    for kind in schema.kinds() {
        if let Some(message) = schema.message(&kind.payload) {
            one(kind, message, schema, paths, code);
        }
    }
    code.close();
}

fn one(kind: &EventKind, message: &Message, schema: &Schema, paths: &Paths, code: &mut Code) {
    code.docs(&[format!("The kind `{}`.", kind.emitter)]);
    code.open(format_args!("pub mod {}", names::ident(&kind.emitter)));
    code.line("/// What an event of this kind carries.");
    let lifetime = if message.borrows { "<'a>" } else { "" };
    code.line(format_args!(
        "pub type Payload{lifetime} = super::super::payload::{};",
        type_of(message, "'a")
    ));
    code.line("/// What is the same for all events of this kind.");
    constant(kind, message, schema, paths, code);
    code.line("/// The fields that an event cannot do without, each with what to say when it is missing.");
    let required: Vec<String> = message
        .required()
        .map(|field| format!("({:?}, {:?})", rust_name(field), missing(kind, field, schema)))
        .collect();
    code.fit(format_args!("pub const REQUIRED: &[(&str, &str)] = &[{}];", required.join(", ")));
    fields(message, schema, code);
    code.close();
}

/// `pub mod fields` of a kind.
fn fields(message: &Message, schema: &Schema, code: &mut Code) {
    let enums: Vec<(&Field, &str)> = message
        .fields
        .iter()
        .filter(|field| !matches!(field.presence, Presence::Map { .. }))
        .filter_map(|field| match &field.ty {
            Type::Enum(name) => Some((field, schema.enumeration(name)?.rust_name.as_str())),
            _ => None,
        })
        .collect();
    code.line(match enums.is_empty() {
        true => "/// No field of the payload is an enum.",
        false => "/// The payload's enums, by the fields that hold them.",
    });
    code.open("pub mod fields");
    for (field, ty) in enums {
        let (alias, ty) = (names::ident(&names::snake(&field.name)), names::ident(ty));
        code.docs(&[format!("The enum of the field `{}`.", field.name)]);
        code.line("#[allow(non_camel_case_types)]");
        code.line(format_args!("pub type {alias} = super::super::super::payload::{ty};"));
    }
    code.close();
}

fn constant(kind: &EventKind, message: &Message, schema: &Schema, paths: &Paths, code: &mut Code) {
    // `check` keeps categories between 1 and 63 and every source present.
    let category = kind.category.number.and_then(|number| u8::try_from(number).ok()).unwrap_or_default();
    let source = kind.source.as_deref().unwrap_or_default();
    let level =
        level(kind, schema).map(|variant| format!("{}::{}", paths.private("Level"), names::ident(&variant)));
    let text = |text: &Option<String>| option(text.as_ref().map(|text| format!("{text:?}")));
    let durability = match kind.durability {
        Durability::BestEffort => "BestEffort",
        Durability::Spill => "Spill",
        Durability::Sync => "Sync",
    };
    let mut head = Vec::new();
    varint(CATEGORY << 3, &mut head);
    varint(u64::from(category), &mut head);
    varint(SOURCE << 3 | LENGTH_DELIMITED, &mut head);
    varint(source.len() as u64, &mut head);
    head.extend_from_slice(source.as_bytes());
    code.open("pub static KIND: super::Kind = super::Kind");
    code.line(format_args!("name: {:?},", kind.emitter));
    code.line(format_args!("payload: {:?},", message.full_name));
    code.line(format_args!("category: {category},"));
    code.line(format_args!("category_name: {:?},", kind.category.name));
    code.line(format_args!("source: {source:?},"));
    code.fit(format_args!("level: {},", option(level)));
    code.line(format_args!("level_by_operation: {},", kind.level_by_operation()));
    code.line(format_args!("durability: {}::{durability},", paths.private("Durability")));
    code.fit(format_args!("owner: {},", text(&kind.owner)));
    code.fit(format_args!("since: {},", text(&kind.since)));
    code.line(format_args!("head: {},", bytes(&head)));
    code.line(format_args!("category_tag: {},", bytes(&tag(kind.category.tag))));
    code.line(format_args!("kind_tag: {},", bytes(&tag(kind.tag))));
    code.close_with(";");
}

fn option(value: Option<String>) -> String {
    match value {
        Some(value) => format!("::core::option::Option::Some({value})"),
        None => "::core::option::Option::None".to_owned(),
    }
}

/// A byte string as Rust writes it.
fn bytes(bytes: &[u8]) -> String {
    let mut text = String::from("b\"");
    for byte in bytes {
        match byte {
            b'\t' => text.push_str("\\t"),
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'"' => text.push_str("\\\""),
            b'\\' => text.push_str("\\\\"),
            b' '..=b'~' => text.push(char::from(*byte)),
            // Writing to a string does not fail.
            _ => drop(write!(text, "\\x{byte:02X}")),
        }
    }
    text.push('"');
    text
}

/// The variant of `Level` that every event of the kind has.
pub(crate) fn level(kind: &EventKind, schema: &Schema) -> Option<String> {
    schema.level(kind.level.as_ref()?).map(|value| value.variant.clone())
}

/// The field as a caller writes it, without `r#`.
fn rust_name(field: &Field) -> String {
    names::unraw(&names::ident(&names::snake(&field.name))).to_owned()
}

/// What the `emit!` macro says when a required field is missing.
fn missing(kind: &EventKind, field: &Field, schema: &Schema) -> String {
    let (emitter, name) = (&kind.emitter, rust_name(field));
    let values = match &field.ty {
        Type::Enum(name) => schema.enumeration(name).map(|one| &one.values),
        _ => None,
    };
    match values {
        Some(values) => {
            let values: Vec<_> = values.iter().map(|value| value.variant.as_str()).collect();
            format!("{emitter} needs `{name}`: one of {}", values.join(", "))
        }
        None => format!("{emitter} needs `{name}`"),
    }
}

fn tag(number: u32) -> Vec<u8> {
    let mut out = Vec::new();
    varint(u64::from(number) << 3 | LENGTH_DELIMITED, &mut out);
    out
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_as_rust_reads_them() {
        assert_eq!(bytes(b"a\"\\\n\x00\xff~"), r#"b"a\"\\\n\x00\xFF~""#);
    }

    #[test]
    fn a_tag_is_a_varint_of_number_and_wire_type() {
        assert_eq!(tag(1), [0x0a]);
        assert_eq!(tag(19), [0x9a, 0x01]);
        assert_eq!(tag(1000), [0xc2, 0x3e]);
    }
}
