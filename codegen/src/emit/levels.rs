//! `Level` and `Category`: written for the SDK alone, whose filters and counters every other schema shares.

use crate::docs;
use crate::model::{Enum, EnumValue, Schema};
use crate::names;
use crate::text::Code;

/// Both enums, from the first envelope.
pub(crate) fn emit(schema: &Schema, code: &mut Code) {
    let Some(envelope) = schema.envelopes.first() else { return };
    if let Some(levels) = &envelope.levels {
        level(levels, code);
    }
    if let Some(categories) = &envelope.categories {
        category(categories, code);
    }
}

fn level(levels: &Enum, code: &mut Code) {
    let mut values: Vec<&EnumValue> = levels.values.iter().collect();
    values.sort_by_key(|value| value.severity);
    code.docs(&docs::lines_or(&levels.docs, || "How grave an event is.".to_owned()));
    code.line("#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]");
    code.line("#[repr(u8)]");
    code.open("pub enum Level");
    variants(&values, |value| i64::from(value.severity.unwrap_or_default()), code);
    code.close();

    code.open("impl Level");
    code.line("/// Its place in the order of severity, from 1 on.");
    code.open("pub const fn severity(self) -> u8");
    code.line("self as u8");
    code.close();
    code.line("/// Its number on the wire, which has nothing to do with its severity.");
    code.open("pub const fn number(self) -> i32");
    code.open("match self");
    for value in &values {
        code.line(format_args!("Self::{} => {},", names::ident(&value.variant), value.number));
    }
    code.close();
    code.close();
    common("level", "the least grave first", &values, code);
    code.close();
    display("Level", code);
}

fn category(categories: &Enum, code: &mut Code) {
    let mut values: Vec<&EnumValue> = categories.values.iter().collect();
    values.sort_by_key(|value| value.number);
    code.docs(&docs::lines_or(&categories.docs, || "The area of the node an event speaks of.".to_owned()));
    code.line("#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]");
    code.line("#[repr(u8)]");
    code.line("#[non_exhaustive]");
    code.open("pub enum Category");
    variants(&values, |value| i64::from(value.number), code);
    code.close();

    code.open("impl Category");
    code.line("/// Its number on the wire.");
    code.open("pub const fn number(self) -> i32");
    code.line("self as i32");
    code.close();
    common("category", "by number", &values, code);
    code.close();
    display("Category", code);
}

fn variants(values: &[&EnumValue], number: impl Fn(&EnumValue) -> i64, code: &mut Code) {
    for value in values {
        code.docs(&docs::lines_or(&value.docs, || format!("`{}`", value.name)));
        code.line(format_args!("{} = {},", names::ident(&value.variant), number(value)));
    }
}

/// What both have: the list, names, and the ways back from name and number.
fn common(noun: &str, order: &str, values: &[&EnumValue], code: &mut Code) {
    let idents: Vec<String> = values.iter().map(|value| names::ident(&value.variant)).collect();
    code.line(format_args!("/// Every {noun}, {order}."));
    let all: Vec<String> = idents.iter().map(|ident| format!("Self::{ident}")).collect();
    code.fit(format_args!("pub const ALL: &'static [Self] = &[{}];", all.join(", ")));
    code.line("/// Its name in lower case with underscores, as in configuration files.");
    code.open("pub const fn name(self) -> &'static str");
    code.open("match self");
    for (value, ident) in values.iter().zip(&idents) {
        code.fit(format_args!("Self::{ident} => {:?},", value.short));
    }
    code.close();
    code.close();
    code.line(format_args!("/// The {noun} with this number on the wire."));
    code.open("pub const fn from_number(number: i32) -> ::core::option::Option<Self>");
    code.open("match number");
    for (value, ident) in values.iter().zip(&idents) {
        code.fit(format_args!("{} => ::core::option::Option::Some(Self::{ident}),", value.number));
    }
    code.line("_ => ::core::option::Option::None,");
    code.close();
    code.close();
    code.line(format_args!("/// The {noun} with this name, in upper or lower case."));
    code.open("pub fn from_name(name: &str) -> ::core::option::Option<Self>");
    code.fit("Self::ALL.iter().copied().find(|one| one.name().eq_ignore_ascii_case(name))");
    code.close();
}

fn display(ty: &str, code: &mut Code) {
    code.open(format_args!("impl ::core::fmt::Display for {ty}"));
    code.open("fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result");
    code.line("f.pad(self.name())");
    code.close();
    code.close();
}
