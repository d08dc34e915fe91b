//! The payload types: borrowed, with public fields, and with `new` for what an event cannot do without.

use super::{Paths, enums, oneofs, personal, wire};
use crate::docs;
use crate::model::{Field, Message, Oneof, Presence, Scalar, Schema, Sensitivity, Type, WellKnown};
use crate::names;
use crate::text::Code;

/// What stands in `Debug` output for personal data.
const MASK: &str = "<pii>";

/// `pub mod payload`.
pub(crate) fn module(schema: &Schema, paths: &Paths, code: &mut Code) {
    let personal = personal::Tables::new(schema);
    code.line(
        "/// What events carry: borrowed types for emitting, with the enums of the schema as Rust enums.",
    );
    if schema.has_deprecated() {
        code.line("#[allow(deprecated)]");
    }
    code.open("pub mod payload");
    // Every kind has a payload, and every payload is encoded: the import is always used, and no type is in lower case.
    if !schema.messages.is_empty() {
        code.line(format_args!("use {};", paths.private("wire")));
    }
    for message in &schema.messages {
        let members: Vec<Member<'_>> =
            message.fields.iter().map(|field| Member::new(field, schema)).collect();
        structure(message, &members, code);
        constructors(message, &members, schema, code);
        debug(message, &members, paths, code);
        wire::encoding(message, &members, personal.of(message).as_deref(), code);
        to_wire_type(message, &members, paths, code);
        oneofs::emit(message, schema, paths, code);
    }
    for one in &schema.enums {
        enums::emit(one, schema, paths, code);
    }
    personal.module(code);
    code.close();
}

/// A field with its name and type in Rust.
pub(crate) struct Member<'a> {
    pub(crate) field: &'a Field,
    pub(crate) name: String,
    ty: String,
}

impl<'a> Member<'a> {
    fn new(field: &'a Field, schema: &Schema) -> Self {
        Self { field, name: names::ident(&names::snake(&field.name)), ty: field_type(field, schema) }
    }
}

/// The type's name with its lifetime, if it has one.
pub(crate) fn type_of(message: &Message, lifetime: &str) -> String {
    named(&message.rust_name, message.borrows, lifetime)
}

/// The name of an enum made of a oneof, with its lifetime, if it has one.
pub(crate) fn oneof_type(oneof: &Oneof, lifetime: &str) -> String {
    named(&oneof.rust_name, oneof.borrows, lifetime)
}

fn named(name: &str, borrows: bool, lifetime: &str) -> String {
    let name = names::ident(name);
    match borrows {
        true => format!("{name}<{lifetime}>"),
        false => name,
    }
}

/// The Rust type of one value of the field.
pub(crate) fn element(ty: &Type, schema: &Schema) -> String {
    let fixed = match ty {
        Type::Enum(name) => {
            return names::ident(schema.enumeration(name).map_or("", |one| &one.rust_name));
        }
        Type::Message { full_name, recursive, .. } => {
            let ty = schema.message(full_name).map(|message| type_of(message, "'a")).unwrap_or_default();
            return match recursive {
                true => format!("&'a {ty}"),
                false => ty,
            };
        }
        Type::Oneof(oneof) => return oneof_type(oneof, "'a"),
        Type::Scalar(one) | Type::WellKnown(WellKnown::Wrapper(one)) => scalar(*one),
        Type::WellKnown(WellKnown::Timestamp) => "wire::Timestamp",
        Type::WellKnown(WellKnown::Duration) => "wire::Duration",
        Type::WellKnown(WellKnown::Struct) => "wire::Struct<'a>",
        Type::WellKnown(WellKnown::Value) => "wire::Value<'a>",
        Type::WellKnown(WellKnown::List) => "wire::List<'a>",
        Type::WellKnown(WellKnown::Empty) => "()",
        Type::WellKnown(WellKnown::Any) => "wire::Any<'a>",
        Type::WellKnown(WellKnown::FieldMask) => "wire::FieldMask<'a>",
        Type::WellKnown(WellKnown::Null) => "wire::Null",
    };
    fixed.to_owned()
}

fn scalar(scalar: Scalar) -> &'static str {
    match scalar {
        Scalar::Double => "f64",
        Scalar::Float => "f32",
        Scalar::Int32 | Scalar::Sint32 | Scalar::Sfixed32 => "i32",
        Scalar::Int64 | Scalar::Sint64 | Scalar::Sfixed64 => "i64",
        Scalar::Uint32 | Scalar::Fixed32 => "u32",
        Scalar::Uint64 | Scalar::Fixed64 => "u64",
        Scalar::Bool => "bool",
        Scalar::String => "&'a str",
        Scalar::Bytes => "&'a [u8]",
    }
}

/// The field may be left out, which `None` says.
fn is_option(field: &Field) -> bool {
    match (field.presence, &field.ty) {
        (Presence::Repeated { .. } | Presence::Map { .. }, _)
        | (Presence::Implicit, Type::Scalar(_) | Type::WellKnown(WellKnown::Null)) => false,
        _ => !field.required,
    }
}

/// The Rust type of the field.
fn field_type(field: &Field, schema: &Schema) -> String {
    let element = element(&field.ty, schema);
    match field.presence {
        Presence::Repeated { .. } => format!("&'a [{element}]"),
        Presence::Map { key } => format!("&'a [({}, {element})]", scalar(key)),
        _ if is_option(field) => format!("::core::option::Option<{element}>"),
        _ => element,
    }
}

/// What the schema says of a field, as documentation.
pub(crate) fn field_docs(field: &Field, code: &mut Code) {
    let mut lines = docs::lines_or(&field.docs, || format!("The field `{}`.", field.name));
    if field.sensitivity == Sensitivity::Pii {
        lines.extend([String::new(), "Masked in `Debug` output.".to_owned()]);
    }
    if let Some(unit) = &field.unit {
        // As the comments are: what is written is shown, and is no markup.
        lines.push(String::new());
        lines.extend(docs::lines(&format!("Unit: {unit}.")));
    }
    if let Some(max) = field.max_len {
        lines.extend([String::new(), format!("At most {max} bytes: a longer text is cut, and counted.")]);
    }
    code.docs(&lines);
}

fn structure(message: &Message, members: &[Member<'_>], code: &mut Code) {
    code.docs(&docs::lines_or(&message.docs, || format!("The message `{}`.", message.full_name)));
    docs::deprecated(message.deprecated, code);
    let debug = if message.has_pii() { "" } else { "Debug, " };
    let default = if message.required().next().is_none() { ", Default" } else { "" };
    code.line(format_args!("#[derive({debug}Clone, Copy, PartialEq{default})]"));
    code.open(format_args!("pub struct {}", type_of(message, "'a")));
    for Member { field, name, ty } in members {
        field_docs(field, code);
        docs::deprecated(field.deprecated, code);
        code.line(format_args!("pub {name}: {ty},"));
    }
    code.close();
}

fn constructors(message: &Message, members: &[Member<'_>], schema: &Schema, code: &mut Code) {
    let generics = if message.borrows { "<'a>" } else { "" };
    code.open(format_args!("impl{generics} {}", type_of(message, "'a")));
    let required: Vec<&Member<'_>> = members.iter().filter(|member| member.field.required).collect();
    if !required.is_empty() {
        let parameters: Vec<String> =
            required.iter().map(|Member { name, ty, .. }| format!("{name}: {ty}")).collect();
        let names: Vec<String> = required.iter().map(|member| member.name.clone()).collect();
        code.line("/// With what the event cannot do without; every other field is empty.");
        if required.len() > TOO_MANY_ARGUMENTS {
            code.line("#[allow(clippy::too_many_arguments)]");
        }
        code.open(format_args!("pub const fn new({}) -> Self", parameters.join(", ")));
        code.fields("Self", &names, (names.len() < members.len()).then_some("..Self::__unset()"));
        code.close();
    }
    code.line(
        "/// Every field empty, and those that must be given at the first value there is. For the `emit!` macro.",
    );
    code.line("#[doc(hidden)]");
    code.open("pub const fn __unset() -> Self");
    let unset: Vec<String> = members
        .iter()
        .map(|Member { field, name, .. }| format!("{name}: {}", unset(field, schema)))
        .collect();
    code.fields("Self", &unset, None);
    code.close();
    code.close();
}

/// clippy counts arguments, and this is its limit; how many an event needs is for its schema to say.
const TOO_MANY_ARGUMENTS: usize = 7;

/// The value of a field that nobody gave one.
fn unset(field: &Field, schema: &Schema) -> String {
    const NONE: &str = "::core::option::Option::None";
    let fixed = match &field.ty {
        _ if matches!(field.presence, Presence::Repeated { .. } | Presence::Map { .. }) => "&[]",
        _ if is_option(field) => NONE,
        Type::Scalar(one) | Type::WellKnown(WellKnown::Wrapper(one)) => match one {
            Scalar::String => "\"\"",
            Scalar::Bytes => "&[]",
            Scalar::Bool => "false",
            Scalar::Double | Scalar::Float => "0.0",
            _ => "0",
        },
        Type::WellKnown(WellKnown::Timestamp) => "wire::Timestamp::UNIX_EPOCH",
        Type::WellKnown(WellKnown::Duration) => "wire::Duration::ZERO",
        Type::WellKnown(WellKnown::Struct) => "wire::Struct(&[])",
        Type::WellKnown(WellKnown::Value) => "wire::Value::Null",
        Type::WellKnown(WellKnown::List) => "wire::List(&[])",
        Type::WellKnown(WellKnown::Empty) => "()",
        Type::WellKnown(WellKnown::Any) => "wire::Any { type_url: \"\", value: &[] }",
        Type::WellKnown(WellKnown::FieldMask) => "wire::FieldMask(&[])",
        Type::WellKnown(WellKnown::Null) => "wire::Null",
        Type::Enum(name) => {
            let one = schema.enumeration(name);
            let first = one.and_then(|one| one.values.first()).map_or("", |value| &value.variant);
            let ty = names::ident(one.map_or("", |one| &one.rust_name));
            return format!("{ty}::{}", names::ident(first));
        }
        Type::Message { full_name, .. } => {
            let ty = names::ident(schema.message(full_name).map_or("", |message| &message.rust_name));
            return format!("{ty}::__unset()");
        }
        // A oneof is never required, so it has been dealt with above.
        Type::Oneof(_) => NONE,
    };
    fixed.to_owned()
}

/// `Debug` by hand where a field is personal data, for the payload and, unless it is the SDK's, for its wire type.
fn debug(message: &Message, members: &[Member<'_>], paths: &Paths, code: &mut Code) {
    if !message.has_pii() {
        return;
    }
    debug_of(&type_of(message, "'_"), message, members, |_| "", code);
    if paths.owns(message) {
        // prost keeps the number of an enum, and has a function of the same name that says the enum.
        let call = |field: &Field| match (field.presence, &field.ty) {
            (Presence::Implicit | Presence::Required, Type::Enum(_) | Type::WellKnown(WellKnown::Null)) => {
                "()"
            }
            _ => "",
        };
        debug_of(&paths.wire_type(message), message, members, call, code);
    }
}

/// `call` is what stands behind the name of a field to get its value.
fn debug_of(
    ty: &str,
    message: &Message,
    members: &[Member<'_>],
    call: impl Fn(&Field) -> &'static str,
    code: &mut Code,
) {
    let mut fields = String::new();
    for Member { field, name, .. } in members {
        let value = match field.sensitivity {
            Sensitivity::Pii => format!("::core::format_args!({MASK:?})"),
            _ => format!("self.{name}{}", call(field)),
        };
        fields += &format!(".field({:?}, &{value})", field.name);
    }
    code.open(format_args!("impl ::core::fmt::Debug for {ty}"));
    code.open("fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result");
    code.fit(format_args!("f.debug_struct({:?}){fields}.finish()", message.rust_name));
    code.close();
    code.close();
}

/// `From` for the prost type.
fn to_wire_type(message: &Message, members: &[Member<'_>], paths: &Paths, code: &mut Code) {
    let (ty, target) = (type_of(message, "'_"), paths.wire_type(message));
    let payload = if members.is_empty() { "_payload" } else { "payload" };
    code.open(format_args!("impl ::core::convert::From<{ty}> for {target}"));
    code.open(format_args!("fn from({payload}: {ty}) -> Self"));
    let fields: Vec<String> =
        members.iter().map(|member| format!("{}: {}", member.name, owned(member))).collect();
    code.fields("Self", &fields, None);
    code.close();
    code.close();
}

/// The field as prost holds it.
fn owned(Member { field, name, .. }: &Member<'_>) -> String {
    let value = wire::cut(field, format!("payload.{name}"), false);
    match (field.presence, &field.ty) {
        (Presence::Repeated { .. }, ty) => match convert(ty, "one") {
            None => format!("{value}.to_vec()"),
            Some(one) => format!("{value}.iter().map(|&one| {one}).collect()"),
        },
        (Presence::Map { key }, ty) => {
            let key = convert(&Type::Scalar(key), "key").unwrap_or_else(|| "key".to_owned());
            let one = convert(ty, "one").unwrap_or_else(|| "one".to_owned());
            format!("{value}.iter().map(|&(key, one)| ({key}, {one})).collect()")
        }
        // prost holds an enum without presence as a number, and 0 for none.
        (Presence::Implicit, Type::Enum(_)) if is_option(field) => {
            format!("{value}.map_or(0, |one| one.number())")
        }
        (Presence::Implicit | Presence::Required, ty) => convert(ty, &value).unwrap_or(value),
        (Presence::Explicit, ty) if is_option(field) => match convert(ty, "one") {
            None => value,
            Some(one) => format!("{value}.map(|one| {one})"),
        },
        (Presence::Explicit, ty) => {
            let one = convert(ty, &value).unwrap_or(value);
            format!("::core::option::Option::Some({one})")
        }
    }
}

/// A borrowed value made owned, or `None` where it already is.
pub(crate) fn convert(ty: &Type, value: &str) -> Option<String> {
    match ty {
        Type::Scalar(one) | Type::WellKnown(WellKnown::Wrapper(one)) => match one {
            Scalar::String => Some(format!("{value}.to_owned()")),
            Scalar::Bytes => Some(format!("{value}.to_vec()")),
            _ => None,
        },
        Type::WellKnown(WellKnown::Empty) => None,
        Type::Enum(_) | Type::WellKnown(WellKnown::Null) => Some(format!("{value}.number()")),
        Type::Message { recursive: true, .. } => Some(format!("::std::boxed::Box::new((*{value}).into())")),
        Type::Message { .. } | Type::Oneof(_) | Type::WellKnown(_) => Some(format!("{value}.into()")),
    }
}
