//! Oneofs inside payloads: Rust enums of borrowed values, one variant for each field.

use super::payload::{convert, element, field_docs, oneof_type};
use super::{Paths, wire};
use crate::docs;
use crate::model::{Field, Message, Oneof, Schema, Sensitivity};
use crate::names;
use crate::text::Code;

/// The enums for the oneofs of a message.
pub(crate) fn emit(message: &Message, schema: &Schema, paths: &Paths, code: &mut Code) {
    for (field, oneof) in message.oneofs() {
        enumeration(field, oneof, message, schema, code);
        debug(oneof, message, paths, code);
        wire::alternatives(oneof, code);
        to_wire_type(oneof, message, paths, code);
    }
}

fn variant(field: &Field) -> String {
    names::ident(&names::camel(&field.name))
}

fn enumeration(field: &Field, oneof: &Oneof, message: &Message, schema: &Schema, code: &mut Code) {
    let otherwise = || format!("What `{}` of `{}` can be.", field.name, message.full_name);
    code.docs(&docs::lines_or(&field.docs, otherwise));
    let debug = if oneof.has_pii() { "" } else { "Debug, " };
    code.line(format_args!("#[derive({debug}Clone, Copy, PartialEq)]"));
    code.line("#[non_exhaustive]");
    code.open(format_args!("pub enum {}", oneof_type(oneof, "'a")));
    for field in &oneof.variants {
        field_docs(field, code);
        docs::deprecated(field.deprecated, code);
        code.line(format_args!("{}({}),", variant(field), element(&field.ty, schema)));
    }
    code.close();
}

/// `Debug` by hand where a variant is personal data, for ours and, unless it is the SDK's, for the wire type.
fn debug(oneof: &Oneof, message: &Message, paths: &Paths, code: &mut Code) {
    if !oneof.has_pii() {
        return;
    }
    debug_of(&oneof_type(oneof, "'_"), oneof, code);
    if paths.owns(message) {
        debug_of(&paths.wire_oneof(message, oneof), oneof, code);
    }
}

fn debug_of(ty: &str, oneof: &Oneof, code: &mut Code) {
    code.open(format_args!("impl ::core::fmt::Debug for {ty}"));
    code.open("fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result");
    code.open("match self");
    for field in &oneof.variants {
        let (name, shown) = (variant(field), names::camel(&field.name));
        match field.sensitivity {
            Sensitivity::Pii => code.fit(format_args!("Self::{name}(_) => wire::masked({shown:?}, f),")),
            _ => code.fit(format_args!("Self::{name}(one) => f.debug_tuple({shown:?}).field(one).finish(),")),
        }
    }
    code.close();
    code.close();
    code.close();
}

/// `From` for prost's enum.
fn to_wire_type(oneof: &Oneof, message: &Message, paths: &Paths, code: &mut Code) {
    let (ty, target) = (oneof_type(oneof, "'_"), paths.wire_oneof(message, oneof));
    let from = names::ident(&oneof.rust_name);
    code.open(format_args!("impl ::core::convert::From<{ty}> for {target}"));
    code.open(format_args!("fn from(oneof: {ty}) -> Self"));
    code.open("match oneof");
    for field in &oneof.variants {
        let (name, value) = (variant(field), convert(&field.ty, "one"));
        let value = value.as_deref().unwrap_or("one");
        code.fit(format_args!("{from}::{name}(one) => Self::{name}({value}),"));
    }
    code.close();
    code.close();
    code.close();
}
