//! The catalogue: every event of a schema for people who do not read .proto files.
//!
//! Built once from the model and the descriptors, then written as [`markdown`], [`html`] or JSON. All three say the same,
//! in the order of the schema.

mod html;
mod json;
mod markdown;
mod sample;

use std::collections::BTreeSet;

use prost_reflect::{EnumDescriptor, EnumValueDescriptor, FieldDescriptor, Kind, MessageDescriptor};

use crate::annotations;
use crate::compile::Compiled;
use crate::model::{Durability, EventKind, OPERATION, Schema};
use crate::names;
use crate::source::comment;
use json::Json;

/// The annotations that have a column of their own.
const REQUIRED: &str = "required";
const SENSITIVITY: &str = "sensitivity";

/// What an event schema holds, ready to be written.
#[derive(Debug, Clone)]
pub struct Catalog {
    events: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    emitter: String,
    signature: String,
    category: String,
    source: String,
    /// `None` where the caller says it.
    level: Option<String>,
    /// What each value of the operation makes the level; empty unless the operation says it.
    levels: Vec<(String, String)>,
    owner: Option<String>,
    since: Option<String>,
    /// `best_effort`, `spill` or `sync`.
    durability: &'static str,
    payload: String,
    docs: String,
    deprecated: bool,
    fields: Vec<Field>,
    rust: String,
    json: String,
}

/// A field of a payload; those inside of it follow, with its name before theirs.
#[derive(Debug, Clone)]
struct Field {
    name: String,
    ty: String,
    /// What an enum can be, in Rust's names.
    values: Vec<String>,
    required: bool,
    /// `public` or `pii`.
    sensitivity: String,
    /// What a number counts or measures.
    unit: Option<String>,
    /// In bytes; a longer text is cut.
    max_len: Option<u32>,
    docs: String,
    deprecated: bool,
}

impl Catalog {
    pub(crate) fn new(compiled: &Compiled, schema: &Schema) -> Self {
        let entry = |kind: &EventKind| {
            let payload = compiled.pool.get_message_by_name(&kind.payload)?;
            Some(Entry::new(kind, &payload, schema))
        };
        Self { events: schema.kinds().filter_map(entry).collect() }
    }

    /// As Markdown, a section for each event.
    pub fn markdown(&self) -> String {
        markdown::write(self)
    }

    /// As one page that needs nothing but itself.
    pub fn html(&self) -> String {
        html::write(self)
    }

    /// As JSON: `{"events": [...]}`.
    pub fn json(&self) -> String {
        let text = |text: &str| Json::Text(text.to_owned());
        let maybe = |text: Option<&String>| {
            text.map_or(Json::Plain("null".to_owned()), |text| Json::Text(text.clone()))
        };
        let field = |field: &Field| {
            Json::Object(vec![
                ("name".to_owned(), text(&field.name)),
                ("type".to_owned(), text(&field.ty)),
                ("values".to_owned(), Json::List(field.values.iter().map(|one| text(one)).collect())),
                ("required".to_owned(), Json::Plain(field.required.to_string())),
                ("sensitivity".to_owned(), text(&field.sensitivity)),
                ("unit".to_owned(), maybe(field.unit.as_ref())),
                (
                    "max_len".to_owned(),
                    Json::Plain(field.max_len.map_or("null".to_owned(), |len| len.to_string())),
                ),
                ("deprecated".to_owned(), Json::Plain(field.deprecated.to_string())),
                ("docs".to_owned(), text(&field.docs)),
            ])
        };
        let events = self.events.iter().map(|one| {
            Json::Object(vec![
                ("emitter".to_owned(), Json::Text(format!("emit_{}", one.emitter))),
                ("signature".to_owned(), text(&one.signature)),
                ("category".to_owned(), text(&one.category)),
                ("source".to_owned(), text(&one.source)),
                ("level".to_owned(), maybe(one.level.as_ref())),
                (
                    "levels".to_owned(),
                    Json::Object(
                        one.levels.iter().map(|(value, level)| (value.clone(), text(level))).collect(),
                    ),
                ),
                ("owner".to_owned(), maybe(one.owner.as_ref())),
                ("since".to_owned(), maybe(one.since.as_ref())),
                ("durability".to_owned(), text(one.durability)),
                ("payload".to_owned(), text(&one.payload)),
                ("deprecated".to_owned(), Json::Plain(one.deprecated.to_string())),
                ("docs".to_owned(), text(&one.docs)),
                ("fields".to_owned(), Json::List(one.fields.iter().map(field).collect())),
                ("rust".to_owned(), text(&one.rust)),
                ("json".to_owned(), text(&one.json)),
            ])
        });
        format!("{}\n", Json::Object(vec![("events".to_owned(), Json::List(events.collect()))]))
    }
}

impl Entry {
    fn new(kind: &EventKind, payload: &MessageDescriptor, schema: &Schema) -> Self {
        let (rust_name, lifetime) = schema.message(&kind.payload).map_or(("", ""), |message| {
            (message.rust_name.as_str(), if message.borrows { "<'_>" } else { "" })
        });
        let level = if kind.level.is_some() { "" } else { "level: Level, " };
        let mut fields = Vec::new();
        collect(payload, "", &mut Vec::new(), &mut fields);
        Self {
            emitter: kind.emitter.clone(),
            signature: format!(
                "emit_{}({level}payload: {rust_name}{lifetime}, metadata: impl Metadata) -> Ticket",
                kind.emitter
            ),
            category: kind.category.name.clone(),
            source: kind.source.clone().unwrap_or_default(),
            level: kind.level.as_ref().map(|level| level.to_uppercase()),
            levels: levels(kind, payload),
            owner: kind.owner.clone(),
            since: kind.since.clone(),
            durability: match kind.durability {
                Durability::BestEffort => "best_effort",
                Durability::Spill => "spill",
                Durability::Sync => "sync",
            },
            payload: kind.payload.clone(),
            docs: words(&comment(&payload.parent_file(), payload.path())),
            deprecated: kind.deprecated || annotations::deprecated(&payload.options()),
            fields,
            rust: sample::rust(kind, payload, schema),
            json: sample::json(kind, payload, schema).to_string(),
        }
    }

    /// `INFO`, or whose it is.
    fn level(&self) -> String {
        if self.levels.is_empty() {
            return self.level.as_deref().unwrap_or("as the caller says").to_owned();
        }
        let levels: Vec<String> =
            self.levels.iter().map(|(value, level)| format!("{value} → {level}")).collect();
        format!("by operation: {}", levels.join(", "))
    }

    /// What else is known of it, as pairs of a name and a text.
    fn facts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("Durability", Some(self.durability)),
            ("Owner", self.owner.as_deref()),
            ("Since", self.since.as_deref()),
        ]
        .into_iter()
        .filter_map(|(name, text)| Some((name, text?)))
    }
}

impl Field {
    /// Its unit and its greatest length, in words; empty when it has neither.
    fn measure(&self) -> String {
        let unit = self.unit.as_ref().map(|unit| format!("In {unit}."));
        let len = self.max_len.map(|len| format!("Cut after {len} bytes."));
        unit.into_iter().chain(len).collect::<Vec<_>>().join(" ")
    }
}

/// The level that each value of the operation makes, where the operation says it.
fn levels(kind: &EventKind, payload: &MessageDescriptor) -> Vec<(String, String)> {
    if !kind.level_by_operation() {
        return Vec::new();
    }
    let Some(Kind::Enum(operation)) = payload.get_field_by_name(OPERATION).map(|field| field.kind()) else {
        return Vec::new();
    };
    let levels = first_names(&operation).into_iter().filter_map(|value| {
        let level = annotations::event_level(&value)?.to_uppercase();
        Some((names::variant(operation.name(), value.name()), level))
    });
    levels.collect()
}

/// Takes in the fields of a message and of those inside of it; `within` are the messages on the way.
fn collect(message: &MessageDescriptor, prefix: &str, within: &mut Vec<String>, fields: &mut Vec<Field>) {
    /// Deeper than people follow; a schema that nests on and on must not use up the stack.
    const DEEPEST: usize = 6;
    if within.len() > DEEPEST || within.iter().any(|one| one == message.full_name()) {
        return;
    }
    within.push(message.full_name().to_owned());
    for field in message.fields() {
        let said = annotations::said_of_field(&field);
        let name = format!("{prefix}{}", field.name());
        let sensitivity = said.get(SENSITIVITY).map_or("public", |text| text.as_str());
        let rules = annotations::rules(&field);
        fields.push(Field {
            name: name.clone(),
            ty: type_name(&field),
            values: match held(&field) {
                Kind::Enum(one) => variants(&one),
                _ => Vec::new(),
            },
            required: said.contains_key(REQUIRED) || field.is_required(),
            sensitivity: sensitivity.trim_start_matches("SENSITIVITY_").to_lowercase(),
            unit: rules.unit,
            max_len: rules.max_len,
            docs: words(&comment(&message.parent_file(), field.path())),
            deprecated: deprecated(&field),
        });
        if let Kind::Message(inner) = held(&field)
            && inner.package_name() != "google.protobuf"
        {
            collect(&inner, &format!("{name}."), within, fields);
        }
    }
    within.pop();
}

/// What a field holds: of a map its values.
fn held(field: &FieldDescriptor) -> Kind {
    match field.kind() {
        Kind::Message(entry) if field.is_map() => entry.map_entry_value_field().kind(),
        kind => kind,
    }
}

/// The field is marked with protobuf's own option.
fn deprecated(field: &FieldDescriptor) -> bool {
    field.field_descriptor_proto().options.as_ref().is_some_and(|options| options.deprecated())
}

/// A field's type as its author wrote it, but for the packages.
fn type_name(field: &FieldDescriptor) -> String {
    let short = |kind: &Kind| match kind {
        Kind::Message(one) => one.name().to_owned(),
        Kind::Enum(one) => one.name().to_owned(),
        scalar => format!("{scalar:?}").to_lowercase(),
    };
    match field.kind() {
        Kind::Message(entry) if field.is_map() => format!(
            "map<{}, {}>",
            short(&entry.map_entry_key_field().kind()),
            short(&entry.map_entry_value_field().kind())
        ),
        kind if field.is_list() => format!("repeated {}", short(&kind)),
        kind if field.field_descriptor_proto().proto3_optional() => format!("optional {}", short(&kind)),
        kind => short(&kind),
    }
}

fn variants(one: &EnumDescriptor) -> Vec<String> {
    let values = first_names(one).into_iter().filter(|value| value.number() != 0);
    values.map(|value| names::variant(one.name(), value.name())).collect()
}

/// The values of an enum as the schema lists them, without second names.
fn first_names(one: &EnumDescriptor) -> Vec<EnumValueDescriptor> {
    let mut numbers = BTreeSet::new();
    let listed = one.enum_descriptor_proto().value.iter();
    let values = listed.filter_map(|value| one.get_value_by_name(value.name()));
    values.filter(|value| numbers.insert(value.number())).collect()
}

/// A comment without the space that stands before each of its lines.
fn words(comment: &str) -> String {
    let lines: Vec<&str> =
        comment.lines().map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end()).collect();
    lines.join("\n").trim().to_owned()
}
