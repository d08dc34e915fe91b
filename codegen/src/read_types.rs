//! From message and enum descriptors to the model's types: the payloads, what is inside them, and their enums.

use std::collections::BTreeSet;

use prost_reflect::{
    EnumDescriptor, EnumValueDescriptor, FieldDescriptor, Kind, MessageDescriptor, OneofDescriptor, Syntax,
};

use crate::annotations::{self, FieldRules};
use crate::model::{
    Alias, Enum, EnumValue, Field, FieldPlaces, Message, Oneof, Presence, Scalar, Sensitivity, Type, Unfit,
    WellKnown,
};
use crate::names;
use crate::read::real_oneof;
use crate::source::{Item, Sources};
use crate::type_names;

/// Collects types in the order of first use, each once.
pub(crate) struct Types<'a> {
    sources: &'a Sources<'a>,
    seen: BTreeSet<String>,
    messages: Vec<Message>,
    enums: Vec<Enum>,
}

impl<'a> Types<'a> {
    pub(crate) fn new(sources: &'a Sources<'a>) -> Self {
        Self { sources, seen: BTreeSet::new(), messages: Vec::new(), enums: Vec::new() }
    }

    /// The messages and enums that were met, with their lifetimes and names settled.
    pub(crate) fn finish(mut self) -> (Vec<Message>, Vec<Enum>) {
        settle_borrows(&mut self.messages);
        type_names::settle(&mut self.messages, &mut self.enums);
        (self.messages, self.enums)
    }

    /// Takes in a message, those inside it and the enums of their fields.
    pub(crate) fn message(&mut self, descriptor: &MessageDescriptor) {
        // A list instead of recursion: a schema may be nested deeper than the stack.
        let mut open = vec![descriptor.clone()];
        while let Some(descriptor) = open.pop() {
            if !self.seen.insert(descriptor.full_name().to_owned()) {
                continue;
            }
            let mut inner = Vec::new();
            let message = self.read(&descriptor, &mut inner);
            self.messages.push(message);
            open.extend(inner.into_iter().rev());
        }
    }

    fn read(&mut self, descriptor: &MessageDescriptor, inner: &mut Vec<MessageDescriptor>) -> Message {
        let mut message = Message {
            full_name: descriptor.full_name().to_owned(),
            rust_name: names::camel(descriptor.name()),
            package: descriptor.package_name().to_owned(),
            file: descriptor.parent_file().name().to_owned(),
            docs: self.sources.comment(Item::Message(descriptor)),
            origin: self.sources.message(descriptor),
            fields: Vec::new(),
            borrows: false,
            deprecated: annotations::deprecated(&descriptor.options()),
            unfit: Vec::new(),
        };
        for field in descriptor.fields() {
            match (self.field(&field, inner), real_oneof(&field)) {
                (Ok(field), None) => message.fields.push(field),
                (Ok(field), Some(oneof)) => self.variant(&mut message, field, &oneof),
                (Err((what, cure)), _) => message.unfit.push(Unfit {
                    name: field.name().to_owned(),
                    what,
                    cure,
                    origin: self.sources.field_type(&field),
                }),
            }
        }
        message.fields.sort_by_key(|field| field.number);
        message
    }

    fn field(
        &mut self,
        field: &FieldDescriptor,
        inner: &mut Vec<MessageDescriptor>,
    ) -> Result<Field, (String, &'static str)> {
        let (kind, presence) = match field.kind() {
            Kind::Message(entry) if field.is_map() => {
                let key = scalar(&entry.map_entry_key_field().kind());
                let key = key.ok_or_else(|| ("a map with an odd key".to_owned(), "use a scalar key"))?;
                (entry.map_entry_value_field().kind(), Presence::Map { key })
            }
            kind if field.is_list() => {
                let packed = packed(field, &kind);
                (kind, Presence::Repeated { packed })
            }
            kind if field.is_required() => (kind, Presence::Required),
            kind if field.supports_presence() => (kind, Presence::Explicit),
            kind => (kind, Presence::Implicit),
        };
        let ty = match &kind {
            Kind::Message(message) if message.package_name() == GOOGLE => {
                Type::WellKnown(well_known(message.name()).ok_or_else(|| foreign(message.full_name()))?)
            }
            Kind::Enum(one) if one.full_name() == NULL => Type::WellKnown(WellKnown::Null),
            Kind::Enum(one) if one.package_name() == GOOGLE => return Err(foreign(one.full_name())),
            Kind::Message(message) => {
                inner.push(message.clone());
                let single = !matches!(presence, Presence::Repeated { .. } | Presence::Map { .. });
                let recursive = single && reaches(message, field.parent_message().full_name());
                Type::Message {
                    full_name: message.full_name().to_owned(),
                    recursive,
                    group: field.is_group(),
                }
            }
            Kind::Enum(one) => {
                if self.seen.insert(one.full_name().to_owned()) {
                    let one = self.enumeration(one);
                    self.enums.push(one);
                }
                Type::Enum(one.full_name().to_owned())
            }
            kind => Type::Scalar(
                scalar(kind).ok_or_else(|| ("of an unknown type".to_owned(), "use a scalar type"))?,
            ),
        };
        let FieldRules { required, sensitivity, unit, max_len } = annotations::rules(field);
        Ok(Field {
            name: field.name().to_owned(),
            number: field.number(),
            ty,
            presence,
            required: required || presence == Presence::Required,
            sensitivity,
            unit,
            max_len,
            deprecated: annotations::deprecated(&field.options()),
            docs: self.sources.comment(Item::Field(field)),
            origin: self.sources.field(field),
            places: annotations::field_places(self.sources, field),
        })
    }

    /// Adds a field to the oneof that it was written in.
    fn variant(&self, message: &mut Message, field: Field, oneof: &OneofDescriptor) {
        let known = message.fields.iter_mut().find_map(|one| match &mut one.ty {
            Type::Oneof(known) if one.name == oneof.name() => Some((&mut one.number, known)),
            _ => None,
        });
        if let Some((number, known)) = known {
            *number = field.number.min(*number);
            known.variants.push(field);
            return;
        }
        let parent = oneof.parent_message();
        let rust_name = names::camel(oneof.name());
        // As prost does it: a nested type of the same name has it first.
        let messages = parent.child_messages().map(|one| names::camel(one.name()));
        let taken = messages.chain(parent.child_enums().map(|one| names::camel(one.name())));
        let wire_name = match taken.into_iter().any(|name| name == rust_name) {
            true => format!("{rust_name}OneOf"),
            false => rust_name.clone(),
        };
        message.fields.push(Field {
            name: oneof.name().to_owned(),
            number: field.number,
            presence: Presence::Explicit,
            required: false,
            sensitivity: Sensitivity::Public,
            unit: None,
            max_len: None,
            deprecated: false,
            docs: self.sources.comment(Item::Oneof(oneof)),
            origin: self.sources.oneof(oneof),
            places: FieldPlaces::default(),
            ty: Type::Oneof(Box::new(Oneof { rust_name, wire_name, borrows: false, variants: vec![field] })),
        });
    }

    /// Reads an enum. It is not among those that [`finish`](Self::finish) gives unless a field has it.
    pub(crate) fn enumeration(&self, descriptor: &EnumDescriptor) -> Enum {
        let file = descriptor.parent_file();
        // As the schema lists them: the descriptor's own list is sorted by number.
        let listed = descriptor.enum_descriptor_proto().value.iter();
        let zero = listed.clone().find(|value| value.number() == 0).map(|value| value.name().to_owned());
        let (mut values, mut aliases): (Vec<EnumValue>, Vec<Alias>) = (Vec::new(), Vec::new());
        let mut numbers = BTreeSet::new();
        for value in listed.filter_map(|value| descriptor.get_value_by_name(value.name())) {
            let number = value.number();
            if number == 0 {
                continue;
            }
            let value = self.value(descriptor, &value);
            match numbers.insert(number) {
                true => values.push(value),
                false => {
                    aliases.push(Alias {
                        constant: names::constant(descriptor.name(), &value.name),
                        number,
                        value,
                    });
                }
            }
        }
        Enum {
            full_name: descriptor.full_name().to_owned(),
            package: descriptor.package_name().to_owned(),
            rust_name: names::camel(descriptor.name()),
            deprecated: annotations::deprecated(&descriptor.options()),
            docs: self.sources.comment(Item::Enum(descriptor)),
            origin: self.sources.enumeration(descriptor),
            closed: file.syntax() == Syntax::Proto2,
            zero_origin: match zero.as_ref().and_then(|name| descriptor.get_value_by_name(name)) {
                Some(zero) => self.sources.value(&zero),
                None => self.sources.enumeration(descriptor),
            },
            zero,
            values,
            aliases,
        }
    }

    fn value(&self, owner: &EnumDescriptor, value: &EnumValueDescriptor) -> EnumValue {
        let variant = names::variant(owner.name(), value.name());
        EnumValue {
            name: value.name().to_owned(),
            short: names::snake(&variant),
            variant,
            number: value.number(),
            severity: annotations::severity(value),
            level: annotations::event_level(value),
            deprecated: annotations::deprecated(&value.options()),
            docs: self.sources.comment(Item::Value(value)),
            origin: self.sources.value(value),
            level_origin: annotations::event_level_place(self.sources, value),
            severity_origin: annotations::severity_place(self.sources, value),
        }
    }
}

/// Whether the values of a repeated field share one tag: in proto3 all numbers do, unless the schema says otherwise, and in
/// proto2 those do of which the schema says so.
fn packed(field: &FieldDescriptor, kind: &Kind) -> bool {
    let packable = !matches!(kind, Kind::String | Kind::Bytes | Kind::Message(_));
    // The option itself, as prost reads it: the descriptor's own answer is given before options are resolved.
    let said = field.field_descriptor_proto().options.as_ref().and_then(|options| options.packed);
    packable && said.unwrap_or(field.parent_message().parent_file().syntax() == Syntax::Proto3)
}

/// The package of protobuf's own types.
const GOOGLE: &str = "google.protobuf";

/// The one enum of protobuf's own that payloads hold.
const NULL: &str = "google.protobuf.NullValue";

fn foreign(full_name: &str) -> (String, &'static str) {
    (
        format!("of protobuf's own type `{full_name}`"),
        "use a message or an enum of your own; of protobuf's, payloads hold Timestamp, Duration, Struct, Value, ListValue, \
         NullValue, Any, FieldMask, Empty and the wrappers",
    )
}

fn well_known(name: &str) -> Option<WellKnown> {
    Some(match name {
        "Timestamp" => WellKnown::Timestamp,
        "Duration" => WellKnown::Duration,
        "Struct" => WellKnown::Struct,
        "Value" => WellKnown::Value,
        "ListValue" => WellKnown::List,
        "Empty" => WellKnown::Empty,
        "Any" => WellKnown::Any,
        "FieldMask" => WellKnown::FieldMask,
        "BoolValue" => WellKnown::Wrapper(Scalar::Bool),
        "BytesValue" => WellKnown::Wrapper(Scalar::Bytes),
        "DoubleValue" => WellKnown::Wrapper(Scalar::Double),
        "FloatValue" => WellKnown::Wrapper(Scalar::Float),
        "Int32Value" => WellKnown::Wrapper(Scalar::Int32),
        "Int64Value" => WellKnown::Wrapper(Scalar::Int64),
        "StringValue" => WellKnown::Wrapper(Scalar::String),
        "UInt32Value" => WellKnown::Wrapper(Scalar::Uint32),
        "UInt64Value" => WellKnown::Wrapper(Scalar::Uint64),
        _ => return None,
    })
}

fn scalar(kind: &Kind) -> Option<Scalar> {
    Some(match kind {
        Kind::Double => Scalar::Double,
        Kind::Float => Scalar::Float,
        Kind::Int32 => Scalar::Int32,
        Kind::Int64 => Scalar::Int64,
        Kind::Uint32 => Scalar::Uint32,
        Kind::Uint64 => Scalar::Uint64,
        Kind::Sint32 => Scalar::Sint32,
        Kind::Sint64 => Scalar::Sint64,
        Kind::Fixed32 => Scalar::Fixed32,
        Kind::Fixed64 => Scalar::Fixed64,
        Kind::Sfixed32 => Scalar::Sfixed32,
        Kind::Sfixed64 => Scalar::Sfixed64,
        Kind::Bool => Scalar::Bool,
        Kind::String => Scalar::String,
        Kind::Bytes => Scalar::Bytes,
        Kind::Message(_) | Kind::Enum(_) => return None,
    })
}

/// Whether `from` is the message `target` or holds it by value, at any depth. prost boxes such a field.
pub(crate) fn reaches(from: &MessageDescriptor, target: &str) -> bool {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from.clone()]);
    while let Some(message) = open.pop() {
        if message.full_name() == target {
            return true;
        }
        if !seen.insert(message.full_name().to_owned()) {
            continue;
        }
        open.extend(message.fields().filter(|field| !field.is_list() && !field.is_map()).filter_map(
            |field| match field.kind() {
                Kind::Message(inner) => Some(inner),
                _ => None,
            },
        ));
    }
    false
}

/// A message borrows if a field of it does; a field that holds a message by value does if that message does.
fn settle_borrows(messages: &mut [Message]) {
    let mut borrowing: BTreeSet<String> = BTreeSet::new();
    loop {
        let before = borrowing.len();
        for message in messages.iter_mut().filter(|message| !message.borrows) {
            if message.fields.iter().any(|field| borrows(field, &borrowing)) {
                message.borrows = true;
                borrowing.insert(message.full_name.clone());
            }
        }
        if borrowing.len() == before {
            break;
        }
    }
    for field in messages.iter_mut().flat_map(|message| &mut message.fields) {
        let does = borrows(field, &borrowing);
        if let Type::Oneof(oneof) = &mut field.ty {
            oneof.borrows = does;
        }
    }
}

/// Whether the field holds a reference, given the messages that do.
fn borrows(field: &Field, borrowing: &BTreeSet<String>) -> bool {
    match (&field.presence, &field.ty) {
        (Presence::Repeated { .. } | Presence::Map { .. }, _) => true,
        (_, Type::Scalar(Scalar::String | Scalar::Bytes)) => true,
        (_, Type::Scalar(_) | Type::Enum(_)) => false,
        (_, Type::WellKnown(one)) => matches!(
            one,
            WellKnown::Struct
                | WellKnown::Value
                | WellKnown::List
                | WellKnown::Any
                | WellKnown::FieldMask
                | WellKnown::Wrapper(Scalar::String | Scalar::Bytes)
        ),
        (_, Type::Message { recursive: true, .. }) => true,
        (_, Type::Message { full_name, .. }) => borrowing.contains(full_name),
        (_, Type::Oneof(oneof)) => oneof.variants.iter().any(|field| borrows(field, borrowing)),
    }
}
