//! An event as people and scripts get to see it: a tree of names and values, with personal data masked.

use std::fmt::Write as _;

use prost_reflect::{DynamicMessage, EnumDescriptor, MapKey, Value};

use super::{
    event::Facts,
    json::{Object, text_to},
    names,
    out::{Out, is_unsafe, visible},
    schema::Schema,
    time,
};
use crate::Category;

/// What stands in place of personal data, as in `Debug` output.
const MASK: &str = "<pii>";

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shown {
    Text(String),
    Number(i128),
    Float(f64),
    Flag(bool),
    List(Vec<Shown>),
    Map(Vec<(String, Shown)>),
}

/// An event, ready to be shown.
#[derive(Debug)]
pub(super) struct ShownEvent<'a> {
    facts: Facts<'a>,
    kind: Option<String>,
    payload: Vec<(String, Shown)>,
    metadata: Vec<(String, String)>,
}

impl<'a> ShownEvent<'a> {
    /// Decodes an event. A payload of a kind that this version does not know stays out.
    pub(super) fn of(schema: &Schema, facts: Facts<'a>, body: &[u8], show_pii: bool) -> Self {
        let kind = schema.kind(facts.fields);
        let mut shown =
            Self { facts, kind: kind.map(names::of_kind), payload: Vec::new(), metadata: Vec::new() };
        let Ok(event) = DynamicMessage::decode(schema.event().clone(), body) else { return shown };
        if let Some(metadata) = event.get_field_by_name("metadata")
            && let Some(pairs) = metadata.as_map()
        {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            shown.metadata = pairs.iter().map(|(key, value)| (key_text(key), text(value))).collect();
            shown.metadata.sort();
        }
        let (category, kind) = facts.fields;
        if let Some(category) = event.get_field_by_number(category)
            && let Some(payload) = category.as_message().and_then(|message| message.get_field_by_number(kind))
            && let Some(payload) = payload.as_message()
        {
            shown.payload = members(schema, payload, show_pii);
        }
        shown
    }

    /// One line of JSON. `file` is where the event was found.
    pub(super) fn json(&self, file: &str) -> String {
        let facts = &self.facts;
        let metadata = self.metadata.iter().fold(Object::new(), |all, (key, value)| all.text(key, value));
        Object::new()
            .text("event_id", facts.id)
            .text("time", &time::show(facts.timestamp_ms))
            .number("timestamp_ms", facts.timestamp_ms)
            .text("level", &self.level())
            .text("category", &category(facts.category))
            .text("kind", self.kind())
            .text("source", facts.source)
            .raw("payload", &object(&self.payload))
            .raw("metadata", &metadata.end())
            .text("file", file)
            .end()
    }

    /// One line of text, as [`emit`](super::emit) would take it.
    pub(super) fn line(&self, out: &Out) -> String {
        let level = out.level(self.facts.known_level(), &self.level());
        format!("{} {level} {}", time::show(self.facts.timestamp_ms), self.words())
    }

    /// The line without what depends on the terminal, to search in.
    pub(super) fn plain(&self) -> String {
        format!("{} {} {}", time::show(self.facts.timestamp_ms), self.level(), self.words())
    }

    fn words(&self) -> String {
        let mut line = format!("{} {}", self.kind(), word(self.facts.source));
        for (name, value) in &self.payload {
            write_value(name, value, &mut line);
        }
        for (key, value) in &self.metadata {
            // Writing to a String cannot fail.
            let _ = write!(line, " meta.{}={}", word(key), word(value));
        }
        let _ = write!(line, " id={}", word(self.facts.id));
        line
    }

    /// Whether the field at this path has this value: `pool_name`, `meta.task`. Of a list one element is enough.
    pub(super) fn has(&self, path: &str, value: &str) -> bool {
        match path.strip_prefix("meta.").or_else(|| path.strip_prefix("metadata.")) {
            Some(key) => self.metadata.iter().any(|(name, text)| name == key && text == value),
            None => has(&self.payload, path, value),
        }
    }

    fn kind(&self) -> &str {
        self.kind.as_deref().unwrap_or("unknown")
    }

    fn level(&self) -> String {
        level(self.facts.level)
    }
}

/// The name of a level by its number on the wire.
pub(super) fn level(number: i32) -> String {
    crate::Level::from_number(number).map_or_else(|| number.to_string(), |level| level.name().to_owned())
}

/// The name of a category by its number on the wire.
pub(super) fn category(number: i32) -> String {
    Category::from_number(number).map_or_else(|| number.to_string(), |category| category.name().to_owned())
}

/// What the name of an enum's value adds to the enum's: `CREATED`.
pub(super) fn short_name(descriptor: &EnumDescriptor, name: &str) -> String {
    let zero = descriptor.get_value(0);
    let prefix = zero.as_ref().and_then(|zero| zero.name().strip_suffix("UNSPECIFIED"));
    prefix.and_then(|prefix| name.strip_prefix(prefix)).unwrap_or(name).to_owned()
}

fn members(schema: &Schema, message: &DynamicMessage, show_pii: bool) -> Vec<(String, Shown)> {
    let shown = |(field, value): (prost_reflect::FieldDescriptor, &Value)| {
        let masked = !show_pii && schema.is_personal(&field);
        let value =
            if masked { Shown::Text(MASK.to_owned()) } else { shown(schema, &field.kind(), value, show_pii) };
        (field.name().to_owned(), value)
    };
    message.fields().map(shown).collect()
}

fn shown(schema: &Schema, kind: &prost_reflect::Kind, value: &Value, show_pii: bool) -> Shown {
    let again = |value: &Value| shown(schema, kind, value, show_pii);
    match value {
        Value::Bool(flag) => Shown::Flag(*flag),
        Value::I32(number) => Shown::Number((*number).into()),
        Value::I64(number) => Shown::Number((*number).into()),
        Value::U32(number) => Shown::Number((*number).into()),
        Value::U64(number) => Shown::Number((*number).into()),
        Value::F32(number) => Shown::Float((*number).into()),
        Value::F64(number) => Shown::Float(*number),
        Value::String(text) => Shown::Text(text.clone()),
        Value::Bytes(bytes) => Shown::Text(bytes.iter().fold("0x".to_owned(), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })),
        Value::EnumNumber(number) => {
            let name = kind
                .as_enum()
                .and_then(|descriptor| Some(short_name(descriptor, descriptor.get_value(*number)?.name())));
            name.map_or(Shown::Number((*number).into()), Shown::Text)
        }
        Value::Message(message) => Shown::Map(members(schema, message, show_pii)),
        Value::List(values) => Shown::List(values.iter().map(again).collect()),
        Value::Map(values) => {
            // The kind is that of the entry; the value's is its second field's.
            let inner = kind.as_message().map(|entry| entry.map_entry_value_field().kind());
            let inner = inner.as_ref().unwrap_or(kind);
            let mut pairs: Vec<_> = values
                .iter()
                .map(|(key, value)| (key_text(key), shown(schema, inner, value, show_pii)))
                .collect();
            pairs.sort_by(|a, b| a.0.cmp(&b.0));
            Shown::Map(pairs)
        }
    }
}

fn key_text(key: &MapKey) -> String {
    match key {
        MapKey::Bool(key) => key.to_string(),
        MapKey::I32(key) => key.to_string(),
        MapKey::I64(key) => key.to_string(),
        MapKey::U32(key) => key.to_string(),
        MapKey::U64(key) => key.to_string(),
        MapKey::String(key) => key.clone(),
    }
}

fn object(members: &[(String, Shown)]) -> String {
    members.iter().fold(Object::new(), |all, (name, value)| all.raw(name, &json(value))).end()
}

fn json(value: &Shown) -> String {
    match value {
        Shown::Text(text) => {
            let mut quoted = String::new();
            text_to(text, &mut quoted);
            quoted
        }
        Shown::Number(number) => number.to_string(),
        Shown::Float(number) if number.is_finite() => number.to_string(),
        Shown::Float(number) => format!("\"{number}\""),
        Shown::Flag(flag) => flag.to_string(),
        Shown::List(values) => format!("[{}]", values.iter().map(json).collect::<Vec<_>>().join(",")),
        Shown::Map(values) => object(values),
    }
}

/// ` name=value`; of lists one for each element, of messages one for each field.
fn write_value(name: &str, value: &Shown, line: &mut String) {
    match value {
        Shown::List(values) => values.iter().for_each(|value| write_value(name, value, line)),
        Shown::Map(values) => {
            values.iter().for_each(|(inner, value)| write_value(&format!("{name}.{inner}"), value, line));
        }
        scalar => {
            // Writing to a String cannot fail.
            let _ = write!(line, " {}={}", word(name), word(&text(scalar)));
        }
    }
}

fn text(scalar: &Shown) -> String {
    match scalar {
        Shown::Text(text) => text.clone(),
        Shown::Number(number) => number.to_string(),
        Shown::Float(number) => number.to_string(),
        Shown::Flag(flag) => flag.to_string(),
        Shown::List(_) | Shown::Map(_) => String::new(),
    }
}

/// A text as one word, quoted where it has to be.
fn word(text: &str) -> String {
    let plain = |c: char| !c.is_whitespace() && !is_unsafe(c) && !matches!(c, '"' | '\'' | '=' | '\\');
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    let mut quoted = String::new();
    text_to(text, &mut quoted);
    visible(&quoted)
}

fn has(members: &[(String, Shown)], path: &str, value: &str) -> bool {
    members.iter().any(|(name, shown)| {
        let rest = path.strip_prefix(name.as_str());
        rest.is_some_and(|rest| holds(shown, rest, value))
    })
}

fn holds(shown: &Shown, rest: &str, value: &str) -> bool {
    match shown {
        Shown::List(values) => values.iter().any(|one| holds(one, rest, value)),
        Shown::Map(values) => rest.strip_prefix('.').is_some_and(|path| has(values, path, value)),
        scalar => rest.is_empty() && text(scalar) == value,
    }
}
