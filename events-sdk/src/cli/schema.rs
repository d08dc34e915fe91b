//! The schema at run time: which message an event of each kind carries, and which of its fields are personal.

use std::collections::{HashMap, HashSet};

use prost_reflect::{DescriptorPool, EnumValueDescriptor, FieldDescriptor, MessageDescriptor};

use super::failure::Failure;
use crate::{Kind, Level, kinds};

/// The compiled schema, with its options.
static DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/schema.bin"));

/// The number of `SENSITIVITY_PII`.
const PII: i32 = 2;

/// The schema that this program was built from.
pub(super) struct Schema {
    event: MessageDescriptor,
    /// By the number of the category's field in `Event`, and of the kind's field in that.
    kinds: HashMap<(u32, u32), &'static Kind>,
    /// Personal fields: the message's full name and the field's number.
    personal: HashSet<(String, u32)>,
    pool: DescriptorPool,
}

impl Schema {
    /// Reads the schema that is part of this program.
    pub(super) fn load() -> Result<Self, Failure> {
        let broken = |what: &str| Failure::Broken(format!("this program was built wrong: {what}"));
        let pool = DescriptorPool::decode(DESCRIPTORS)
            .map_err(|error| broken(&format!("its schema is unreadable: {error}")))?;
        let event = pool.get_message_by_name("rodent.events.Event");
        let event = event.ok_or_else(|| broken("its schema has no events"))?;
        let kinds = kinds::ALL.iter().map(|kind| ((field(kind.category_tag), field(kind.kind_tag)), *kind));
        let rules = pool.get_extension_by_name("rodent.events.field");
        let rules = rules.ok_or_else(|| broken("its schema has no annotations"))?;
        let is_personal = |field: &FieldDescriptor| {
            let options = field.options();
            let rules = options.get_extension(&rules);
            let sensitivity =
                rules.as_message().and_then(|rules| rules.get_field_by_name("sensitivity")?.as_enum_number());
            sensitivity == Some(PII)
        };
        let personal = pool
            .all_messages()
            .flat_map(|message| message.fields().collect::<Vec<_>>())
            .filter(is_personal)
            .map(|field| (field.parent_message().full_name().to_owned(), field.number()))
            .collect();
        Ok(Self { event, kinds: kinds.collect(), personal, pool })
    }

    /// The message around every event.
    pub(super) fn event(&self) -> &MessageDescriptor {
        &self.event
    }

    /// The kind of event that is in these fields.
    pub(super) fn kind(&self, fields: (u32, u32)) -> Option<&'static Kind> {
        self.kinds.get(&fields).copied()
    }

    /// What events of this kind carry.
    pub(super) fn payload(&self, kind: &Kind) -> Result<MessageDescriptor, Failure> {
        self.pool.get_message_by_name(kind.payload).ok_or_else(|| {
            Failure::Broken(format!("this program was built wrong: its schema has no {}", kind.payload))
        })
    }

    /// Whether a field holds personal data.
    pub(super) fn is_personal(&self, field: &FieldDescriptor) -> bool {
        !self.personal.is_empty()
            && self.personal.contains(&(field.parent_message().full_name().to_owned(), field.number()))
    }

    /// What the annotations say of a field.
    pub(super) fn rules(&self, field: &FieldDescriptor) -> Rules {
        let Some(extension) = self.pool.get_extension_by_name("rodent.events.field") else {
            return Rules::default();
        };
        let options = field.options();
        let rules = options.get_extension(&extension);
        let rule = |name| rules.as_message().and_then(|rules| rules.get_field_by_name(name));
        Rules {
            required: rule("required").and_then(|value| value.as_bool()).unwrap_or_default(),
            max_len: rule("max_len").and_then(|value| value.as_u32()).unwrap_or_default() as usize,
        }
    }

    /// The level of an event whose operation has this value.
    pub(super) fn level_of(&self, operation: &EnumValueDescriptor) -> Option<Level> {
        let extension = self.pool.get_extension_by_name("rodent.events.event_level")?;
        Level::from_name(operation.options().get_extension(&extension).as_str()?)
    }
}

/// What the annotations say of a field.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rules {
    /// The event makes no sense without it.
    pub(super) required: bool,
    /// How long a text may be, in bytes; 0 for any length.
    pub(super) max_len: usize,
}

/// The number of the field with this encoded tag.
fn field(mut tag: &[u8]) -> u32 {
    // The generator writes tags that are varints of a key.
    prost::encoding::decode_key(&mut tag).map_or(0, |(number, _)| number)
}
