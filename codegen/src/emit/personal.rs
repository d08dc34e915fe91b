//! Where in the bytes of payloads personal data stands: tables for the runtime, which hashes or leaves out what they name.
//!
//! Only messages that hold personal data, themselves or in a message inside them, have a table. Tables refer to each other
//! as the messages do, so they are statics: a message may hold itself.

use std::collections::BTreeSet;

use crate::model::{Field, Message, Presence, Scalar, Schema, Sensitivity, Type, WellKnown};
use crate::names;
use crate::text::Code;

/// The tables of a schema.
pub(crate) struct Tables<'a> {
    schema: &'a Schema,
    /// The full names of the messages that have one.
    with: BTreeSet<&'a str>,
}

impl<'a> Tables<'a> {
    pub(crate) fn new(schema: &'a Schema) -> Self {
        let mut with = BTreeSet::new();
        loop {
            let before = with.len();
            for message in schema
                .messages
                .iter()
                .filter(|one| !with.contains(one.full_name.as_str()))
                .collect::<Vec<_>>()
            {
                if message
                    .all_fields()
                    .any(|field| field.sensitivity == Sensitivity::Pii || within(field, &with).is_some())
                {
                    with.insert(message.full_name.as_str());
                }
            }
            if with.len() == before {
                return Self { schema, with };
            }
        }
    }

    /// The name of the message's table, if it has one.
    pub(crate) fn of(&self, message: &Message) -> Option<String> {
        self.name(&message.full_name)
    }

    /// `mod personal`, if there is anything in it.
    pub(crate) fn module(&self, code: &mut Code) {
        if self.with.is_empty() {
            return;
        }
        code.line("/// Where personal data stands in the messages that hold any.");
        code.line("#[allow(non_upper_case_globals)]");
        code.open("mod personal");
        code.line("use super::wire::{Personal, Place};");
        for message in &self.schema.messages {
            let Some(name) = self.of(message) else { continue };
            let places: Vec<String> = message
                .all_fields()
                .filter_map(|field| Some(format!("({}, {})", field.number, self.place(field)?)))
                .collect();
            code.fit(format_args!(
                "pub(super) static {name}: Personal = Personal(&[{}]);",
                places.join(", ")
            ));
        }
        code.close();
    }

    fn name(&self, full_name: &str) -> Option<String> {
        let message = self.schema.message(full_name).filter(|_| self.with.contains(full_name))?;
        Some(names::ident(&message.rust_name))
    }

    /// What stands in the field, if any of it is personal.
    fn place(&self, field: &Field) -> Option<String> {
        if field.sensitivity != Sensitivity::Pii {
            let name = self.name(within(field, &self.with)?)?;
            return Some(match field.presence {
                Presence::Map { .. } => {
                    format!("Place::Within(&Personal(&[(2, Place::Within(&{name}))]))")
                }
                _ => format!("Place::Within(&{name})"),
            });
        }
        let place = match field.presence {
            Presence::Map { key: Scalar::String } => {
                format!("Place::Parts(&Personal(&[(1, Place::Text), (2, {})]))", value(&field.ty))
            }
            Presence::Map { .. } => "Place::Other".to_owned(),
            _ => value(&field.ty),
        };
        Some(match field.presence {
            Presence::Required => format!("Place::Needed(&{place})"),
            _ => place,
        })
    }
}

/// The message that the field holds, if it is one of those `with` personal data.
fn within<'a>(field: &'a Field, with: &BTreeSet<&str>) -> Option<&'a str> {
    match &field.ty {
        Type::Message { full_name, .. } if with.contains(full_name.as_str()) => Some(full_name),
        _ => None,
    }
}

/// What a personal value is.
fn value(ty: &Type) -> String {
    match ty {
        Type::Scalar(Scalar::String) => "Place::Text".to_owned(),
        Type::Scalar(Scalar::Bytes) => "Place::Bytes".to_owned(),
        Type::WellKnown(WellKnown::Wrapper(inner @ (Scalar::String | Scalar::Bytes))) => {
            format!("Place::Parts(&Personal(&[(1, {})]))", value(&Type::Scalar(*inner)))
        }
        _ => "Place::Other".to_owned(),
    }
}
