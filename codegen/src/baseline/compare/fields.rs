//! Changes of messages and their fields.

use std::collections::BTreeSet;

use super::events::callers;
use super::{ADDED, Comparison, Missing, RETIRED, missing};
use crate::baseline::read::{DEFAULT, ENCODING, PRESENCE};
use crate::baseline::{Breaks, Contract, Field, Label, Message, changed, said};

/// The annotations that have rules of their own.
const REQUIRED: &str = "required";
const SENSITIVITY: &str = "sensitivity";
const UNIT: &str = "unit";

impl<'a> Comparison<'a> {
    pub(super) fn messages(&mut self) {
        for (name, accepted) in &self.accepted.messages {
            match self.now.messages.get(name) {
                Some(now) => self.message(name, accepted, now),
                None => self.type_removed("message", name, &accepted.at),
            }
        }
        for (name, now) in &self.now.messages {
            if !self.accepted.messages.contains_key(name) {
                self.note(ADDED, &now.at, None, format!("message `{name}` was added"));
            }
        }
    }

    fn message(&mut self, owner: &str, accepted: &Message, now: &Message) {
        self.reserved(owner, (&accepted.reserved, &accepted.at), (&now.reserved, &now.at), |number| {
            now.fields.keys().any(|one| i64::from(*one) == number)
        });
        let number_of = |message: &Message, name: &str| {
            message.fields.iter().find(|(_, field)| field.name == name).map(|(number, _)| *number)
        };
        for (&number, was) in &accepted.fields {
            if self.moved.contains(&(owner, number)) {
                continue;
            }
            let elsewhere = number_of(now, &was.name).filter(|other| *other != number);
            match (now.fields.get(&number), elsewhere) {
                (Some(is), None) if is.name == was.name || is.ty == was.ty => {
                    self.field(owner, number, was, is)
                }
                (Some(is), _) => self.breaking(
                    "number-reused",
                    Breaks::WIRE.and(Breaks::SOURCE).and(Breaks::MEANING),
                    (&is.at, &was.at),
                    format!(
                        "number {number} of {owner} was `{} {}` and is `{} {}`",
                        was.ty, was.name, is.ty, is.name
                    ),
                    format!("put `{}` back, and give `{}` a number that was never used", was.name, is.name),
                ),
                (None, Some(other)) => {
                    let at = now.fields.get(&other).map_or(&now.at, |is| &is.at);
                    self.breaking(
                        "field-renumbered",
                        Breaks::WIRE,
                        (at, &was.at),
                        format!("`{}` of {owner} had the number {number} and has {other}", was.name),
                        format!("give it back the number {number}"),
                    );
                }
                (None, None) => self.removed(owner, number, was, now),
            }
        }
        for (&number, is) in now.fields.iter().filter(|(number, _)| !accepted.fields.contains_key(*number)) {
            if self.moved.contains(&(owner, number)) || number_of(accepted, &is.name).is_some() {
                continue;
            }
            if accepted.reserved.has_number(i64::from(number)) || accepted.reserved.names.contains(&is.name) {
                self.reused(owner, &is.name, i64::from(number), &is.at, &accepted.at);
            } else if is.facts.contains_key(REQUIRED) || is.facts.contains_key(PRESENCE) {
                let breaks = match is.facts.contains_key(PRESENCE) {
                    true => Breaks::WIRE.and(Breaks::SOURCE),
                    false => Breaks::SOURCE,
                };
                self.breaking(
                    "required-changed",
                    breaks,
                    (&is.at, &accepted.at),
                    format!("the new field `{}` of {owner} is required", is.name),
                    "remove `required`: a payload's `new` would get another argument, and what was sent before lacks it",
                );
            } else {
                self.note(
                    ADDED,
                    &is.at,
                    None,
                    format!("`{} {} = {number}` was added to {owner}", is.ty, is.name),
                );
            }
        }
    }

    fn removed(&mut self, owner: &str, number: u32, was: &Field, now: &Message) {
        let name = &was.name;
        let is_required = was.facts.contains_key(PRESENCE);
        // The name of an extension is none of the message's, which could not reserve it.
        let is_name_kept = was.is_extension() || now.reserved.names.contains(name);
        let is_kept = (now.reserved.has_number(i64::from(number)), is_name_kept);
        match missing(is_kept, i64::from(number), name) {
            None if is_required => self.breaking(
                "field-removed",
                Breaks::WIRE.and(Breaks::SOURCE),
                (&now.at, &was.at),
                format!("`{name} = {number}` of {owner} was required and was removed"),
                "put it back: readers refuse a message without a field that they know as required",
            ),
            None => {
                let callers = callers(self.accepted, owner, number);
                self.note(
                    RETIRED,
                    &now.at,
                    Some(&was.at),
                    format!("`{name} = {number}` of {owner} was removed and is reserved; {callers} no longer compiles"),
                );
            }
            Some(Missing { what, lines, breaks }) => self.breaking(
                "field-removed",
                if is_required { breaks.and(Breaks::WIRE) } else { breaks },
                (&now.at, &was.at),
                format!("`{name} = {number}` of {owner} was removed without reserving {what}"),
                format!("mark it `[deprecated = true]` instead, or write {lines} into the message"),
            ),
        }
    }

    fn field(&mut self, owner: &str, number: u32, was: &Field, is: &Field) {
        let at = (&is.at, &was.at);
        let name = &is.name;
        if was.name != is.name {
            self.breaking(
                "field-renamed",
                Breaks::SOURCE.and(Breaks::MEANING),
                at,
                format!("field {number} of {owner} was `{}` and is `{name}`", was.name),
                format!(
                    "call it `{}` again, and let its comment say what it means; what means something else gets a number \
                     that was never used",
                    was.name
                ),
            );
        }
        if was.ty != is.ty {
            let alike = alike(self.accepted, &was.ty, self.now, &is.ty);
            self.breaking(
                "field-type",
                if alike { Breaks::SOURCE } else { Breaks::WIRE.and(Breaks::SOURCE) },
                at,
                format!("`{name}` of {owner} was `{}` and is `{}`", was.ty, is.ty),
                "give it back its type, and add a field under a new number for the new one",
            );
        }
        if was.oneof != is.oneof {
            let place = |oneof: &Option<String>| {
                oneof.as_ref().map_or("in no oneof".to_owned(), |oneof| format!("in the oneof `{oneof}`"))
            };
            // One that has the same fields still has another name, of which the wire knows nothing. Fields that came or
            // went meanwhile moved nowhere.
            let beside = |contract: &Contract, other: &Contract, field: &Field| -> BTreeSet<u32> {
                let numbers = in_oneof(contract, owner, field);
                numbers.filter(|number| has_field(other, owner, *number)).collect()
            };
            let is_renamed = was.oneof.is_some()
                && is.oneof.is_some()
                && beside(self.accepted, self.now, was) == beside(self.now, self.accepted, is);
            let (breaks, cure) = match is_renamed {
                true => (Breaks::SOURCE, "call the oneof what it was called: its name is that of a type"),
                false => (
                    Breaks::WIRE.and(Breaks::SOURCE),
                    "put it back: a oneof holds one field at a time, and readers drop what was there beside it",
                ),
            };
            self.breaking(
                "oneof-moved",
                breaks,
                at,
                format!("`{name}` of {owner} was {} and is {}", place(&was.oneof), place(&is.oneof)),
                cure,
            );
        }
        // What was required and is optional, or the other way round, is told as that.
        let is_told = was.facts.get(PRESENCE) != is.facts.get(PRESENCE) && was.is_one() && is.is_one();
        if was.label != is.label && !is_told {
            self.label(owner, was, is);
        }
        self.facts(owner, was, is);
    }

    fn label(&mut self, owner: &str, was: &Field, is: &Field) {
        let what = format!("`{}` of {owner} was `{}` and is `{}`", is.name, was.tail(), is.tail());
        let breaks = match (was.label, is.label) {
            (Label::Repeated | Label::Unpacked, Label::Repeated | Label::Unpacked) => {
                // Every reader of protobuf takes both.
                return self.note("field-label", &is.at, Some(&was.at), what);
            }
            (Label::Single | Label::Optional, Label::Single | Label::Optional) => {
                Breaks::SOURCE.and(Breaks::MEANING)
            }
            _ => Breaks::WIRE.and(Breaks::SOURCE),
        };
        let cure = "write its label as it was, and add a field under a new number for the new one";
        self.breaking("field-label", breaks, (&is.at, &was.at), what, cure);
    }

    fn facts(&mut self, owner: &str, was: &Field, is: &Field) {
        for key in changed(&was.facts, &is.facts) {
            let (before, after) = (said(&was.facts, key), said(&is.facts, key));
            let message = format!("`{key}` of `{}` in {owner} was {before} and is {after}", is.name);
            if key == UNIT && !was.facts.contains_key(key) {
                // What it always was is written down now.
                self.note(ADDED, &is.at, Some(&was.at), message);
                continue;
            }
            let (rule, breaks, cure) = match key {
                REQUIRED => (
                    "required-changed",
                    Breaks::SOURCE,
                    "leave `required` as it was: every call of the payload's `new` has it as an argument, or lacks it",
                ),
                PRESENCE => (
                    "required-changed",
                    Breaks::WIRE.and(Breaks::SOURCE),
                    "leave it as it was: readers refuse a message without a field that they know as required",
                ),
                ENCODING => (
                    "field-type",
                    Breaks::WIRE.and(Breaks::SOURCE),
                    "leave it as it was, and add a field under a new number: a group has another encoding than a message",
                ),
                DEFAULT => (
                    "annotation-changed",
                    Breaks::MEANING,
                    "leave it as it was: readers take it for what a message says that lacks the field",
                ),
                SENSITIVITY => (
                    "sensitivity-changed",
                    Breaks::MEANING,
                    "leave it as it was, or accept it knowingly: from one version to the next the field is shown where it \
                     was masked, or masked where somebody reads it",
                ),
                _ => (
                    "annotation-changed",
                    Breaks::MEANING,
                    "write the annotation as it was, or accept the change knowingly",
                ),
            };
            self.breaking(rule, breaks, (&is.at, &was.at), message, cure);
        }
    }
}

impl Field {
    fn is_one(&self) -> bool {
        matches!(self.label, Label::Single | Label::Optional)
    }

    fn is_extension(&self) -> bool {
        self.name.starts_with('[')
    }
}

/// The numbers of the fields in the same oneof.
fn in_oneof<'a>(contract: &'a Contract, owner: &str, field: &'a Field) -> impl Iterator<Item = u32> + 'a {
    let fields = contract.messages.get(owner).into_iter().flat_map(|message| &message.fields);
    fields.filter(|(_, other)| other.oneof == field.oneof).map(|(number, _)| *number)
}

fn has_field(contract: &Contract, owner: &str, number: u32) -> bool {
    contract.messages.get(owner).is_some_and(|message| message.fields.contains_key(&number))
}

/// Whether two types of different names look the same on the wire.
fn alike(accepted: &Contract, was: &str, now: &Contract, is: &str) -> bool {
    if let (Some(was), Some(is)) = (accepted.messages.get(was), now.messages.get(is)) {
        let shape = |message: &Message| -> Vec<(u32, String)> {
            message.fields.iter().map(|(number, field)| (*number, field.tail())).collect()
        };
        return shape(was) == shape(is);
    }
    let (Some(was), Some(is)) = (was.strip_prefix("enum "), is.strip_prefix("enum ")) else { return false };
    match (accepted.enums.get(was), now.enums.get(is)) {
        (Some(was), Some(is)) => {
            was.values.values().map(|one| one.number).eq(is.values.values().map(|one| one.number))
        }
        _ => false,
    }
}
