//! Annotations that stand where they say nothing.
//!
//! protobuf allows an option on every item of its kind; ours mean something on some of them. What is never looked at must not
//! seem to be said, least of all that a field is a secret.

use std::collections::BTreeSet;

use prost_reflect::{DescriptorPool, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};

use crate::annotations::{self, EMITTER, EVENT_LEVEL, FIELD, SEVERITY};
use crate::model::{Enum, Message};
use crate::origin::Origin;
use crate::read::real_oneof;
use crate::source::{Item, Sources};

/// An option that says nothing where it is.
#[derive(Debug, Clone)]
pub(crate) struct Misplaced {
    pub(crate) option: &'static str,
    /// What it stands on.
    pub(crate) on: String,
    pub(crate) origin: Origin,
    /// Where it says something.
    pub(crate) belongs: &'static str,
}

const ON_LEAVES: &str = "on a field of a category's message, behind the payload";
const ON_FIELDS: &str = "on a field of a payload";
const ON_OPERATIONS: &str = "on a value of a payload's enum `operation`";
const ON_LEVELS: &str = "on a value of the enum of levels";

/// All of them in these envelopes, and in what payloads are made of.
pub(crate) fn misplaced(
    envelopes: &[&MessageDescriptor],
    messages: &[Message],
    enums: &[Enum],
    pool: &DescriptorPool,
    sources: &Sources<'_>,
) -> Vec<Misplaced> {
    let mut found = Found { pool, sources, misplaced: Vec::new() };
    let mut categories = BTreeSet::new();
    let (mut levels, mut others) = (Vec::new(), Vec::new());
    for envelope in envelopes {
        for field in envelope.fields() {
            found.on_field(&field, EMITTER, ON_LEAVES);
            found.on_field(&field, FIELD, ON_FIELDS);
            match (field.kind(), field.name()) {
                (Kind::Message(category), _)
                    if real_oneof(&field).is_some() && categories.insert(category.full_name().to_owned()) =>
                {
                    category.fields().for_each(|leaf| found.on_field(&leaf, FIELD, ON_FIELDS));
                }
                (Kind::Enum(one), "level") => levels.push(one),
                (Kind::Enum(one), _) => others.push(one),
                _ => {}
            }
        }
    }
    for message in messages.iter().filter_map(|one| pool.get_message_by_name(&one.full_name)) {
        if !categories.contains(message.full_name()) {
            message.fields().for_each(|field| found.on_field(&field, EMITTER, ON_LEAVES));
        }
    }
    let of_payloads: Vec<_> = enums.iter().filter_map(|one| pool.get_enum_by_name(&one.full_name)).collect();
    let is_level = |one: &EnumDescriptor| levels.contains(one);
    others.iter().chain(&levels).for_each(|one| found.on_values(one, EVENT_LEVEL, ON_OPERATIONS));
    let strangers = others.iter().chain(&of_payloads).filter(|one| !is_level(one));
    strangers.for_each(|one| found.on_values(one, SEVERITY, ON_LEVELS));
    found.misplaced
}

struct Found<'a> {
    pool: &'a DescriptorPool,
    sources: &'a Sources<'a>,
    misplaced: Vec<Misplaced>,
}

impl Found<'_> {
    fn on_field(&mut self, field: &FieldDescriptor, option: &'static str, belongs: &'static str) {
        // Most fields have no options at all, and reading them takes its time.
        if field.field_descriptor_proto().options.is_some()
            && let Some(key) = annotations::stands(self.pool, &field.options(), option)
        {
            let name = format!("`{}` of {}", field.name(), field.parent_message().full_name());
            self.add((option, key), name, Item::Field(field), belongs);
        }
    }

    fn on_values(&mut self, one: &EnumDescriptor, option: &'static str, belongs: &'static str) {
        for value in one.values().filter(|value| value.enum_value_descriptor_proto().options.is_some()) {
            if let Some(key) = annotations::stands(self.pool, &value.options(), option) {
                let name = format!("`{}` of {}", value.name(), one.full_name());
                self.add((option, key), name, Item::Value(&value), belongs);
            }
        }
    }

    fn add(
        &mut self,
        (option, key): (&'static str, Option<String>),
        on: String,
        item: Item<'_>,
        belongs: &'static str,
    ) {
        let origin = annotations::place(self.pool, self.sources, item, option, key.as_deref());
        self.misplaced.push(Misplaced { option, on, origin, belongs });
    }
}
