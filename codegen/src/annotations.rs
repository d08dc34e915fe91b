//! Reads our options from descriptors.
//!
//! prost drops options that it does not know, so they are read through reflection, by name. A schema that does not
//! import `events/annotations.proto` has none, which is no error here.

use std::collections::BTreeMap;

use prost_reflect::{
    DescriptorPool, DynamicMessage, EnumValueDescriptor, FieldDescriptor, Kind, MessageDescriptor,
    ReflectMessage, Value,
};

use crate::model::{Durability, FieldPlaces, Sensitivity};
use crate::origin::Origin;
use crate::source::{Item, Sources};

/// The package of our options.
const PACKAGE: &str = "rodent.events";

const ENVELOPE: &str = "rodent.events.envelope";
const EVENT: &str = "rodent.events.event";
pub(crate) const EMITTER: &str = "rodent.events.emitter";
pub(crate) const FIELD: &str = "rodent.events.field";
pub(crate) const SEVERITY: &str = "rodent.events.severity";

pub(crate) const EVENT_LEVEL: &str = "rodent.events.event_level";

/// The numbers of `rodent.events.Durability`.
const BEST_EFFORT: i32 = 1;
const SPILL: i32 = 2;
const SYNC: i32 = 3;

/// The numbers of `rodent.events.Sensitivity`.
const PUBLIC: i32 = 1;
const PII: i32 = 2;
const SECRET: i32 = 3;

/// What `EventOptions` says; a key that is absent or empty was not said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct EventOptions {
    pub(crate) name: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) level: Option<String>,
    pub(crate) owner: Option<String>,
    pub(crate) since: Option<String>,
    pub(crate) durability: Option<Durability>,
}

impl EventOptions {
    fn read(message: &DynamicMessage) -> Self {
        let text = |key| {
            let value = message.get_field_by_name(key)?;
            value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let durability = message.get_field_by_name("durability").and_then(|value| value.as_enum_number());
        Self {
            name: text("name"),
            source: text("source"),
            level: text("level"),
            owner: text("owner"),
            since: text("since"),
            durability: match durability {
                Some(BEST_EFFORT) => Some(Durability::BestEffort),
                Some(SPILL) => Some(Durability::Spill),
                Some(SYNC) => Some(Durability::Sync),
                _ => None,
            },
        }
    }

    /// What is said here, and where nothing is, what `other` says.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            name: self.name.or(other.name),
            source: self.source.or(other.source),
            level: self.level.or(other.level),
            owner: self.owner.or(other.owner),
            since: self.since.or(other.since),
            durability: self.durability.or(other.durability),
        }
    }
}

/// Whether the message is an envelope.
pub(crate) fn envelope(message: &MessageDescriptor) -> bool {
    option(message.parent_pool(), &message.options(), ENVELOPE).and_then(|value| value.as_bool())
        == Some(true)
}

/// The `event` option of a payload message.
pub(crate) fn event(message: &MessageDescriptor) -> Option<EventOptions> {
    let value = option(message.parent_pool(), &message.options(), EVENT)?;
    value.as_message().map(EventOptions::read)
}

/// The `emitter` option of a category message's field.
pub(crate) fn emitter(field: &FieldDescriptor) -> Option<EventOptions> {
    let value = option(field.parent_pool(), &field.options(), EMITTER)?;
    value.as_message().map(EventOptions::read)
}

/// What `FieldRules` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FieldRules {
    pub(crate) required: bool,
    pub(crate) sensitivity: Sensitivity,
    pub(crate) unit: Option<String>,
    pub(crate) max_len: Option<u32>,
}

/// The `field` option of a payload's field.
pub(crate) fn rules(field: &FieldDescriptor) -> FieldRules {
    let value = option(field.parent_pool(), &field.options(), FIELD);
    let Some(message) = value.as_ref().and_then(Value::as_message) else {
        return FieldRules::default();
    };
    let sensitivity = message.get_field_by_name("sensitivity").and_then(|value| value.as_enum_number());
    let unit = message.get_field_by_name("unit");
    let max_len = message.get_field_by_name("max_len").and_then(|value| value.as_u32());
    FieldRules {
        required: message.get_field_by_name("required").and_then(|value| value.as_bool()) == Some(true),
        sensitivity: match sensitivity {
            Some(PUBLIC) => Sensitivity::Public,
            Some(PII) => Sensitivity::Pii,
            Some(SECRET) => Sensitivity::Secret,
            _ => Sensitivity::Unsaid,
        },
        unit: unit.and_then(|value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)),
        max_len: max_len.filter(|len| *len > 0),
    }
}

/// The `event_level` option of a value of a payload's enum.
pub(crate) fn event_level(value: &EnumValueDescriptor) -> Option<String> {
    option(value.parent_pool(), &value.options(), EVENT_LEVEL)?.as_str().map(str::to_owned)
}

/// The `severity` option of a level.
pub(crate) fn severity(value: &EnumValueDescriptor) -> Option<u32> {
    option(value.parent_pool(), &value.options(), SEVERITY)?.as_u32()
}

/// The `deprecated` option that protobuf itself has, of fields, messages, enums and their values alike.
pub(crate) fn deprecated(options: &DynamicMessage) -> bool {
    options.get_field_by_name("deprecated").and_then(|value| value.as_bool()) == Some(true)
}

/// Whether one of our options is said at all; and of one with keys, the first of those that are said.
pub(crate) fn stands(pool: &DescriptorPool, options: &DynamicMessage, name: &str) -> Option<Option<String>> {
    let value = option(pool, options, name)?;
    Some(value.as_message().and_then(|keys| Some(keys.fields().next()?.0.name().to_owned())))
}

fn option(pool: &DescriptorPool, options: &DynamicMessage, name: &str) -> Option<Value> {
    let extension = pool.get_extension_by_name(name)?;
    // A schema may have an extension of this name on something else: it is not ours then.
    if extension.containing_message() != options.descriptor() || !options.has_extension(&extension) {
        return None;
    }
    Some(options.get_extension(&extension).into_owned())
}

/// Where the `event` option of a payload says `key`, or else the message's name.
pub(crate) fn event_place(sources: &Sources<'_>, message: &MessageDescriptor, key: &str) -> Origin {
    sources.value_of(place(message.parent_pool(), sources, Item::Message(message), EVENT, Some(key)))
}

/// Where the `emitter` option of a category message's field says `key`, or else the field's name.
pub(crate) fn emitter_place(sources: &Sources<'_>, field: &FieldDescriptor, key: &str) -> Origin {
    sources.value_of(place(field.parent_pool(), sources, Item::Field(field), EMITTER, Some(key)))
}

/// Where the parts of a payload's field are.
pub(crate) fn field_places(sources: &Sources<'_>, field: &FieldDescriptor) -> FieldPlaces {
    let said = |key| place(field.parent_pool(), sources, Item::Field(field), FIELD, Some(key));
    FieldPlaces {
        ty: sources.field_type(field),
        required: said("required"),
        sensitivity: said("sensitivity"),
        max_len: said("max_len"),
    }
}

/// Where the `event_level` option of a value stands, or else its name.
pub(crate) fn event_level_place(sources: &Sources<'_>, value: &EnumValueDescriptor) -> Origin {
    sources.value_of(place(value.parent_pool(), sources, Item::Value(value), EVENT_LEVEL, None))
}

/// Where the `severity` option of a level stands, or else its name.
pub(crate) fn severity_place(sources: &Sources<'_>, value: &EnumValueDescriptor) -> Origin {
    sources.value_of(place(value.parent_pool(), sources, Item::Value(value), SEVERITY, None))
}

/// Where an option, or one key of it, stands.
pub(crate) fn place(
    pool: &DescriptorPool,
    sources: &Sources<'_>,
    item: Item<'_>,
    option: &str,
    key: Option<&str>,
) -> Origin {
    let extension = pool.get_extension_by_name(option);
    let number = extension.as_ref().map_or(0, |extension| extension.number());
    let key = key.and_then(|key| match extension.as_ref()?.kind() {
        Kind::Message(message) => Some((message.get_field_by_name(key)?.number(), key)),
        _ => None,
    });
    sources.option(item, number, key)
}

/// The warnings that an item allows, with where it says so.
pub(crate) fn allows(
    pool: &DescriptorPool,
    sources: &Sources<'_>,
    item: Item<'_>,
    options: &DynamicMessage,
) -> Vec<(String, Origin)> {
    let name = match item {
        Item::File(_) => "rodent.events.allow_file",
        Item::Message(_) => "rodent.events.allow_message",
        Item::Field(_) => "rodent.events.allow_field",
        Item::Oneof(_) => "rodent.events.allow_oneof",
        Item::Enum(_) => "rodent.events.allow_enum",
        Item::Value(_) | Item::Method(_) => return Vec::new(),
    };
    let Some(Value::List(rules)) = option(pool, options, name) else { return Vec::new() };
    let number = pool.get_extension_by_name(name).map_or(0, |extension| extension.number());
    let rules = rules.iter().enumerate();
    rules
        .filter_map(|(index, rule)| {
            Some((rule.as_str()?.to_owned(), sources.value_of(sources.element(item, number, index))))
        })
        .collect()
}

/// What the `field` option says of a field, key by key, as text; what it leaves at its default it does not say.
pub(crate) fn said_of_field(field: &FieldDescriptor) -> BTreeMap<String, String> {
    said(option(field.parent_pool(), &field.options(), FIELD).as_ref())
}

/// What the `emitter` option of a category message's field says, and where it says nothing, the `event` option of its
/// payload.
pub(crate) fn said_of_event(leaf: &FieldDescriptor) -> BTreeMap<String, String> {
    let mut all = match leaf.kind() {
        Kind::Message(payload) => said(option(payload.parent_pool(), &payload.options(), EVENT).as_ref()),
        _ => BTreeMap::new(),
    };
    all.extend(said(option(leaf.parent_pool(), &leaf.options(), EMITTER).as_ref()));
    all
}

/// What our options say of an enum's value, by the option's name without its package.
pub(crate) fn said_of_value(value: &EnumValueDescriptor) -> BTreeMap<String, String> {
    let options = value.options();
    let ours = options.extensions().filter(|(option, _)| option.parent_file().package_name() == PACKAGE);
    ours.map(|(option, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (option.name().to_owned(), text)
    })
    .collect()
}

fn said(value: Option<&Value>) -> BTreeMap<String, String> {
    let Some(message) = value.and_then(Value::as_message) else { return BTreeMap::new() };
    let text = |field: FieldDescriptor, value: &Value| match (field.kind(), value) {
        (Kind::Enum(one), Value::EnumNumber(number)) => match one.get_value(*number) {
            Some(value) => value.name().to_owned(),
            None => number.to_string(),
        },
        (_, Value::String(text)) => text.clone(),
        (_, value) => value.to_string(),
    };
    message
        .fields()
        .filter(|(field, value)| !value.is_default_for_field(field))
        .map(|(field, value)| (field.name().to_owned(), text(field, value)))
        .collect()
}
