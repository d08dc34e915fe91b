//! The enums of payloads: real Rust enums without an "unspecified" variant.

use super::Paths;
use crate::docs;
use crate::model::{Alias, Enum, EnumValue, Schema};
use crate::names;
use crate::text::Code;

/// One enum of the `payload` module.
pub(crate) fn emit(one: &Enum, schema: &Schema, paths: &Paths, code: &mut Code) {
    let ty = names::ident(&one.rust_name);
    let idents: Vec<String> = one.values.iter().map(|value| names::ident(&value.variant)).collect();
    code.docs(&docs::lines_or(&one.docs, || format!("The values of `{}`.", one.full_name)));
    docs::deprecated(one.deprecated, code);
    code.line("#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]");
    code.line("#[repr(i32)]");
    code.line("#[non_exhaustive]");
    code.open(format_args!("pub enum {ty}"));
    for (value, ident) in one.values.iter().zip(&idents) {
        code.docs(&docs::lines_or(&value.docs, || format!("`{}`", value.name)));
        docs::deprecated(value.deprecated, code);
        code.line(format_args!("{ident} = {},", value.number));
    }
    code.close();

    code.open(format_args!("impl {ty}"));
    code.line("/// Every value, as the schema lists them.");
    let all: Vec<String> = idents.iter().map(|ident| format!("Self::{ident}")).collect();
    code.fit(format_args!("pub const ALL: &'static [Self] = &[{}];", all.join(", ")));
    for alias in &one.aliases {
        // A name that differs in its letters' case alone may be the variant's very own.
        let of = one.values.iter().find(|value| value.number == alias.number);
        if let Some(of) = of.filter(|of| of.variant != alias.constant) {
            constant(alias, of, code);
        }
    }
    code.line("/// Its number on the wire.");
    number("pub const fn", code);
    code.line("/// Its name in snake case, without the name of the enum.");
    code.open("pub const fn name(self) -> &'static str");
    code.open("match self");
    for (value, ident) in one.values.iter().zip(&idents) {
        code.fit(format_args!("Self::{ident} => {:?},", value.short));
    }
    code.close();
    code.close();
    let level = one.has_levels().then(|| level(one, schema, paths, code));
    code.close();

    code.open(format_args!("impl wire::Enumeration for {ty}"));
    number("fn", code);
    if let Some(level) = level {
        code.open(format_args!("fn level(self) -> ::core::option::Option<{level}>"));
        code.line("::core::option::Option::Some(Self::level(self))");
        code.close();
    }
    code.close();
}

/// One more name for the value `of`.
fn constant(alias: &Alias, of: &EnumValue, code: &mut Code) {
    let otherwise = || format!("`{}`, another name for `{}`.", alias.value.name, of.name);
    code.docs(&docs::lines_or(&alias.value.docs, otherwise));
    docs::deprecated(alias.value.deprecated, code);
    let (name, variant) = (names::ident(&alias.constant), names::ident(&of.variant));
    code.line(format_args!("pub const {name}: Self = Self::{variant};"));
}

fn number(function: &str, code: &mut Code) {
    code.open(format_args!("{function} number(self) -> i32"));
    code.line("self as i32");
    code.close();
}

/// The level of an event that says the value, where the schema gives each value one: as a function, and as what the `emit!`
/// macro asks. Gives the name of the levels.
fn level(one: &Enum, schema: &Schema, paths: &Paths, code: &mut Code) -> String {
    // As seen from inside the `payload` module.
    let level = match paths.in_sdk() {
        true => "super::Level".to_owned(),
        false => paths.private("Level"),
    };
    code.line("/// The level that the schema gives to an event that says this.");
    code.open(format_args!("pub const fn level(self) -> {level}"));
    code.open("match self");
    for value in &one.values {
        let Some(known) = value.level.as_deref().and_then(|name| schema.level(name)) else { continue };
        let (value, known) = (names::ident(&value.variant), names::ident(&known.variant));
        code.fit(format_args!("Self::{value} => {level}::{known},"));
    }
    code.close();
    code.close();
    level
}
