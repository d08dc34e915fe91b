//! The calls that encode a payload, field by field in the order of numbers, so that the bytes equal prost's.

use std::borrow::Cow;

use super::payload::Member;
use crate::model::{Field, Message, Oneof, Presence, Scalar, Type, WellKnown};
use crate::names;
use crate::text::Code;

const LEN: &str = "fn encoded_len(&self) -> usize";

/// `impl wire::Message for` a payload type, which says in which table `personal` data of it is named.
pub(crate) fn encoding(message: &Message, members: &[Member<'_>], personal: Option<&str>, code: &mut Code) {
    begin(&message.rust_name, message.borrows, code);
    if members.is_empty() {
        code.open(LEN);
        code.line("0");
        code.close();
        code.line("fn encode(&self, _out: &mut ::std::vec::Vec<u8>) {}");
        return code.close();
    }
    if let Some(table) = personal {
        code.fit(format_args!(
            "const PERSONAL: ::core::option::Option<&'static wire::Personal> = ::core::option::Option::Some(&personal::{table});"
        ));
    }
    let calls: Vec<(Call, &Member<'_>)> = members.iter().map(|one| (Call::of(one.field), one)).collect();
    code.line("#[inline]");
    code.open(LEN);
    let lens: Vec<String> = calls
        .iter()
        .map(|(Call { function, codecs, number }, member)| {
            format!("wire::{function}_len{codecs}({number}{})", value(member, false))
        })
        .collect();
    code.fit(lens.join(" + "));
    code.close();
    writing(code);
    for (Call { function, codecs, number }, member) in &calls {
        code.fit(format_args!("wire::{function}{codecs}({number}{}, out);", value(member, true)));
    }
    code.close();
    code.close();
}

/// `impl wire::Message for` the enum of a oneof: a field, without anything around it.
pub(crate) fn alternatives(oneof: &Oneof, code: &mut Code) {
    begin(&oneof.rust_name, oneof.borrows, code);
    code.line("#[inline]");
    code.open(LEN);
    arms(oneof, "always_len", "", code);
    code.close();
    writing(code);
    arms(oneof, "always", ", out", code);
    code.close();
    code.close();
}

fn begin(rust_name: &str, borrows: bool, code: &mut Code) {
    let lifetime = if borrows { "<'_>" } else { "" };
    code.open(format_args!("impl wire::Message for {}{lifetime}", names::ident(rust_name)));
}

fn writing(code: &mut Code) {
    code.line("#[inline]");
    code.open("fn encode(&self, out: &mut ::std::vec::Vec<u8>)");
}

fn arms(oneof: &Oneof, function: &str, out: &str, code: &mut Code) {
    code.open("match *self");
    for field in &oneof.variants {
        let (variant, codec) = (names::ident(&names::camel(&field.name)), codec(&field.ty));
        let number = field.number;
        code.fit(format_args!("Self::{variant}(one) => wire::{function}::<{codec}, _>({number}, one{out}),"));
    }
    code.close();
}

fn value(member: &Member<'_>, counted: bool) -> String {
    cut(member.field, format!("self.{}", member.name), counted)
}

/// The `value` of a field, no longer than the schema allows; whether that is `counted` as a cut.
pub(crate) fn cut(field: &Field, value: String, counted: bool) -> String {
    let Some(max) = field.max_len else { return value };
    let function = if counted { "cut_counted" } else { "cut" };
    match field.presence {
        Presence::Explicit if !field.required => format!("{value}.map(|one| wire::{function}(one, {max}))"),
        _ => format!("wire::{function}({value}, {max})"),
    }
}

/// The function of `wire` that writes a field; the one that measures it is called the same with `_len` behind it.
struct Call {
    function: &'static str,
    /// Type arguments and the field's number, unless it is a oneof, whose fields say them.
    codecs: String,
    number: String,
}

impl Call {
    fn of(field: &Field) -> Self {
        if let Type::Oneof(_) = field.ty {
            return Self { function: "oneof", codecs: String::new(), number: String::new() };
        }
        let codec = codec(&field.ty);
        let (function, codecs) = match (&field.ty, field.presence) {
            (_, Presence::Map { key }) => ("map", format!("::<{}, {codec}, _, _>", scalar(key))),
            (_, Presence::Repeated { packed: true }) => ("packed", format!("::<{codec}, _>")),
            (_, Presence::Repeated { packed: false }) => ("repeated", format!("::<{codec}, _>")),
            (Type::Scalar(_) | Type::WellKnown(WellKnown::Null), Presence::Implicit) => {
                ("implicit", format!("::<{codec}, _>"))
            }
            _ if field.required => ("always", format!("::<{codec}, _>")),
            _ => ("optional", format!("::<{codec}, _>")),
        };
        Self { function, codecs, number: format!("{}, ", field.number) }
    }
}

fn codec(ty: &Type) -> Cow<'static, str> {
    match ty {
        Type::Scalar(one) => Cow::Borrowed(scalar(*one)),
        Type::Enum(_) | Type::WellKnown(WellKnown::Null) => Cow::Borrowed("wire::Enum"),
        Type::Message { group: true, .. } => Cow::Borrowed("wire::Group"),
        Type::WellKnown(WellKnown::Empty) => Cow::Borrowed("wire::Empty"),
        Type::WellKnown(WellKnown::Wrapper(one)) => Cow::Owned(format!("wire::Wrapped<{}>", scalar(*one))),
        Type::Message { .. } | Type::Oneof(_) | Type::WellKnown(_) => Cow::Borrowed("wire::Sub"),
    }
}

/// The codec of a scalar: protobuf's name for it.
fn scalar(scalar: Scalar) -> &'static str {
    match scalar {
        Scalar::Double => "wire::Double",
        Scalar::Float => "wire::Float",
        Scalar::Int32 => "wire::Int32",
        Scalar::Int64 => "wire::Int64",
        Scalar::Uint32 => "wire::Uint32",
        Scalar::Uint64 => "wire::Uint64",
        Scalar::Sint32 => "wire::Sint32",
        Scalar::Sint64 => "wire::Sint64",
        Scalar::Fixed32 => "wire::Fixed32",
        Scalar::Fixed64 => "wire::Fixed64",
        Scalar::Sfixed32 => "wire::Sfixed32",
        Scalar::Sfixed64 => "wire::Sfixed64",
        Scalar::Bool => "wire::Bool",
        Scalar::String => "wire::Str",
        Scalar::Bytes => "wire::Bytes",
    }
}
