//! Reads our options from descriptors.
//!
//! prost drops options that it does not know, so they are read through reflection, by name. A schema that does not
//! import `events/annotations.proto` has none, which is no error here.

use prost_reflect::{
    DescriptorPool, DynamicMessage, EnumValueDescriptor, FieldDescriptor, MessageDescriptor, ReflectMessage,
    Value,
};

use crate::model::Sensitivity;

const ENVELOPE: &str = "rodent.events.envelope";
const EVENT: &str = "rodent.events.event";
const EMITTER: &str = "rodent.events.emitter";
const FIELD: &str = "rodent.events.field";
const SEVERITY: &str = "rodent.events.severity";

/// The numbers of `rodent.events.Sensitivity`.
const PII: i32 = 2;
const SECRET: i32 = 3;

/// What `EventOptions` says; a key that is absent or empty was not said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct EventOptions {
    pub(crate) name: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) level: Option<String>,
}

impl EventOptions {
    fn read(message: &DynamicMessage) -> Self {
        let text = |key| {
            let value = message.get_field_by_name(key)?;
            value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
        };
        Self { name: text("name"), source: text("source"), level: text("level") }
    }

    /// What is said here, and where nothing is, what `other` says.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            name: self.name.or(other.name),
            source: self.source.or(other.source),
            level: self.level.or(other.level),
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

/// The `field` option of a payload's field: whether it is required, and how sensitive it is.
pub(crate) fn rules(field: &FieldDescriptor) -> (bool, Sensitivity) {
    let Some(value) = option(field.parent_pool(), &field.options(), FIELD) else {
        return (false, Sensitivity::Public);
    };
    let Some(message) = value.as_message() else {
        return (false, Sensitivity::Public);
    };
    let required = message.get_field_by_name("required").and_then(|value| value.as_bool()) == Some(true);
    let sensitivity = match message.get_field_by_name("sensitivity").and_then(|value| value.as_enum_number())
    {
        Some(PII) => Sensitivity::Pii,
        Some(SECRET) => Sensitivity::Secret,
        _ => Sensitivity::Public,
    };
    (required, sensitivity)
}

/// The `severity` option of a level.
pub(crate) fn severity(value: &EnumValueDescriptor) -> Option<u32> {
    option(value.parent_pool(), &value.options(), SEVERITY)?.as_u32()
}

/// The `deprecated` option that protobuf itself has.
pub(crate) fn deprecated(field: &FieldDescriptor) -> bool {
    field.field_descriptor_proto().options.as_ref().is_some_and(|options| options.deprecated())
}

fn option(pool: &DescriptorPool, options: &DynamicMessage, name: &str) -> Option<Value> {
    let extension = pool.get_extension_by_name(name)?;
    // A schema may have an extension of this name on something else: it is not ours then.
    if extension.containing_message() != options.descriptor() || !options.has_extension(&extension) {
        return None;
    }
    Some(options.get_extension(&extension).into_owned())
}
