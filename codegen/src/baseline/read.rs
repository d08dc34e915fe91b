//! From descriptors to the contract.
//!
//! Of the asked-for files and what they import, those on disk count: protobuf's own files and those that the generator
//! carries are promised by others. The vocabulary of annotations is left out too, for it never travels.

use std::collections::BTreeSet;

use prost_reflect::prost_types::FieldDescriptorProto;
use prost_reflect::{
    Cardinality, EnumDescriptor, ExtensionDescriptor, FieldDescriptor, FileDescriptor, Kind,
    MessageDescriptor, MethodDescriptor, Value as FieldValue,
};

use super::{Contract, Enum, Event, Facts, Field, Label, Message, Method, Path, Reserved, Value};
use crate::annotations;
use crate::compile::{ANNOTATIONS, Compiled};
use crate::model::Schema;
use crate::read::real_oneof;
use crate::source::Sources;

/// The keys of an event's annotation that have lines of their own, and those that promise nothing: whose it is, and since
/// when there is one.
const NO_FACTS: &[&str] = &["name", "source", "level", "owner", "since"];

/// What a field is that no one said anything of.
const PUBLIC: &str = "SENSITIVITY_PUBLIC";

/// How carefully an event is kept of which no one said anything.
const SPILL: &str = "DURABILITY_SPILL";

/// What proto2 says of a field beside its label.
pub(super) const PRESENCE: &str = "presence";
pub(super) const ENCODING: &str = "encoding";
pub(super) const DEFAULT: &str = "default";

/// What the compiled files promise; `schema` is what was read from them.
pub(crate) fn read(compiled: &Compiled, schema: &Schema) -> Contract {
    let sources = Sources::new(compiled);
    let mut contract = Contract::default();
    let counted =
        |file: &FileDescriptor| compiled.on_disk.contains_key(file.name()) && file.name() != ANNOTATIONS;
    for file in compiled.pool.files().filter(counted) {
        let mut open: Vec<MessageDescriptor> = file.messages().collect();
        let mut enums: Vec<EnumDescriptor> = file.enums().collect();
        while let Some(one) = open.pop() {
            // The entries of maps are written by the compiler, not by the author.
            if one.is_map_entry() {
                continue;
            }
            open.extend(one.child_messages());
            enums.extend(one.child_enums());
            contract.messages.insert(one.full_name().to_owned(), message(&one, &sources));
        }
        for one in enums {
            contract.enums.insert(one.full_name().to_owned(), enumeration(&one, &sources));
        }
        for service in file.services() {
            for one in service.methods() {
                let name = format!("{}/{}", service.full_name(), one.name());
                contract
                    .methods
                    .insert(name, Method { at: sources.method(&one), signature: signature(&one) });
            }
        }
    }
    // After all messages, for an extension may stand in another file than what it extends. The vocabulary of options is
    // nobody's field: what it extends does not count.
    for one in compiled.pool.all_extensions().filter(|one| counted(&one.parent_file())) {
        if let Some(message) = contract.messages.get_mut(one.containing_message().full_name()) {
            message.fields.insert(one.number(), extension(&one, &sources));
        }
    }
    events(compiled, schema, &mut contract);
    contract
}

fn events(compiled: &Compiled, schema: &Schema, contract: &mut Contract) {
    for envelope in &schema.envelopes {
        let message = compiled.pool.get_message_by_name(&envelope.full_name);
        for kind in &envelope.kinds {
            let leaf = message.as_ref().and_then(|message| {
                let branch = message.get_field(kind.category.tag)?.kind();
                branch.as_message()?.get_field(kind.tag)
            });
            let mut facts = leaf.map(|leaf| annotations::said_of_event(&leaf)).unwrap_or_default();
            facts.retain(|key, value| !NO_FACTS.contains(&key.as_str()) && value != SPILL);
            let number = kind.category.number.unwrap_or_default();
            let path =
                Path { envelope: envelope.full_name.clone(), category: kind.category.tag, leaf: kind.tag };
            contract.events.insert(
                path,
                Event {
                    at: kind.origin.clone(),
                    emitter: kind.emitter.clone(),
                    payload: kind.payload.clone(),
                    category: format!("{} = {number}", kind.category.value),
                    source: kind.source.clone().unwrap_or_default(),
                    level: kind.level.as_ref().map(|level| level.to_uppercase()),
                    facts,
                },
            );
        }
    }
}

fn message(one: &MessageDescriptor, sources: &Sources<'_>) -> Message {
    let numbers =
        one.reserved_ranges().map(|range| (i64::from(range.start), i64::from(range.end) - 1)).collect();
    Message {
        at: sources.message(one),
        fields: one.fields().map(|one| (one.number(), field(&one, sources))).collect(),
        reserved: Reserved { numbers, names: one.reserved_names().map(str::to_owned).collect() },
    }
}

fn field(one: &FieldDescriptor, sources: &Sources<'_>) -> Field {
    let proto = one.field_descriptor_proto();
    let kept_apart = one.supports_presence() && one.containing_oneof().is_none();
    let label = match one.is_map() {
        true => Label::Single,
        false => label(proto, &one.kind(), one.cardinality(), kept_apart),
    };
    let ty = match one.kind() {
        Kind::Message(entry) if one.is_map() => {
            let (key, value) = (entry.map_entry_key_field().kind(), entry.map_entry_value_field().kind());
            format!("map<{}, {}>", type_name(&key), type_name(&value))
        }
        kind => type_name(&kind),
    };
    let mut facts = annotations::said_of_field(one);
    // To say that a field is ordinary data is to say nothing new.
    facts.retain(|_, value| value != PUBLIC);
    let default = default(proto, &one.kind(), &one.default_value());
    facts.extend(proto2(one.is_required(), one.is_group(), default));
    Field {
        at: sources.field(one),
        name: one.name().to_owned(),
        ty,
        label,
        oneof: real_oneof(one).map(|oneof| oneof.name().to_owned()),
        facts,
    }
}

/// An extension is a field of what it extends, under the name that it has in JSON: no field has brackets in its name.
fn extension(one: &ExtensionDescriptor, sources: &Sources<'_>) -> Field {
    let proto = one.field_descriptor_proto();
    let default = default(proto, &one.kind(), &one.default_value());
    Field {
        at: sources.origin(&one.parent_file(), one.path()),
        name: one.json_name().to_owned(),
        ty: type_name(&one.kind()),
        label: label(proto, &one.kind(), one.cardinality(), one.supports_presence()),
        oneof: None,
        // Annotations are of payloads' own fields.
        facts: proto2(one.cardinality() == Cardinality::Required, one.is_group(), default),
    }
}

/// `kept_apart` is whether a field that is not set differs from one that has its default.
fn label(proto: &FieldDescriptorProto, kind: &Kind, cardinality: Cardinality, kept_apart: bool) -> Label {
    let unpacked = || proto.options.as_ref().and_then(|options| options.packed) == Some(false);
    match cardinality {
        Cardinality::Repeated if unpacked() => Label::Unpacked,
        Cardinality::Repeated => Label::Repeated,
        Cardinality::Required => Label::Single,
        Cardinality::Optional if proto.proto3_optional() => Label::Optional,
        // In proto2 that is what `optional` means; a message is kept apart in any case.
        Cardinality::Optional if kept_apart && kind.as_message().is_none() => Label::Optional,
        Cardinality::Optional => Label::Single,
    }
}

fn proto2(is_required: bool, is_group: bool, default: Option<String>) -> Facts {
    let all = [
        (PRESENCE, is_required.then(|| "required".to_owned())),
        (ENCODING, is_group.then(|| "group".to_owned())),
        (DEFAULT, default),
    ];
    all.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
}

/// What a reader takes for the value of a field that is not there, unless it is the zero that every type has: to write
/// that down says nothing new. An enum of proto2 may begin with another value, which counts although nobody wrote it.
fn default(proto: &FieldDescriptorProto, kind: &Kind, value: &FieldValue) -> Option<String> {
    match (value, kind) {
        (FieldValue::EnumNumber(0), _) => None,
        (FieldValue::EnumNumber(_), Kind::Enum(one)) => {
            Some(proto.default_value.clone().unwrap_or_else(|| one.default_value().name().to_owned()))
        }
        (value, kind) if value.is_default(kind) => None,
        _ => proto.default_value.clone(),
    }
}

/// A type as a .proto file would say it, but that an enum is called one: its full name alone could be a message's.
pub(crate) fn type_name(kind: &Kind) -> String {
    match kind {
        Kind::Message(message) => message.full_name().to_owned(),
        Kind::Enum(one) => format!("enum {}", one.full_name()),
        scalar => format!("{scalar:?}").to_lowercase(),
    }
}

fn enumeration(one: &EnumDescriptor, sources: &Sources<'_>) -> Enum {
    let numbers: BTreeSet<_> =
        one.reserved_ranges().map(|range| (i64::from(*range.start()), i64::from(*range.end()))).collect();
    let values = one.values().map(|value| {
        let mut facts = annotations::said_of_value(&value);
        // Levels are read in any case.
        facts.get_mut("event_level").into_iter().for_each(|level| *level = level.to_uppercase());
        let entry = Value { at: sources.value(&value), number: value.number(), facts };
        (value.name().to_owned(), entry)
    });
    Enum {
        at: sources.enumeration(one),
        values: values.collect(),
        reserved: Reserved { numbers, names: one.reserved_names().map(str::to_owned).collect() },
    }
}

fn signature(method: &MethodDescriptor) -> String {
    let side = |message: MessageDescriptor, streaming: bool| {
        format!("({}{})", if streaming { "stream " } else { "" }, message.full_name())
    };
    format!(
        "{} returns {}",
        side(method.input(), method.is_client_streaming()),
        side(method.output(), method.is_server_streaming())
    )
}
