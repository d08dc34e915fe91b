//! The rules for envelopes: the fields that the runtime writes, categories and levels.

use std::collections::BTreeMap;

use super::Findings;
use super::types::enumeration;
use crate::model::{EnumValue, Envelope};
use crate::names;

/// The runtime keeps filters as one bit per category in a 64-bit word, and bit 0 is no category.
const MAX_CATEGORY: i32 = 63;

/// The greatest severity: the runtime keeps the levels of a category in the bits of one byte.
const MAX_SEVERITY: u32 = 7;

/// The level enum of the runtime. A schema elsewhere uses it, for a level has to mean the same to every filter.
const LEVEL_ENUM: &str = "enum rodent.events.EventLevel";

/// The envelope's fields that the runtime writes: number, name, type. `None` is any enum.
const ENVELOPE_FIELDS: &[(u32, &str, Option<&str>)] = &[
    (1, "event_id", Some("string")),
    (2, "level", Some(LEVEL_ENUM)),
    (3, "category", None),
    (4, "source", Some("string")),
    (5, "timestamp", Some("int64")),
    (6, "metadata", Some("map<string, string>")),
];

/// Checks an envelope, its categories and its levels.
pub(super) fn check(envelope: &Envelope, findings: &mut Findings) {
    envelope_fields(envelope, findings);
    branches(envelope, findings);
    levels(envelope, findings);
}

fn envelope_fields(envelope: &Envelope, findings: &mut Findings) {
    for (number, name, ty) in ENVELOPE_FIELDS {
        let shown = ty.map_or("an enum", |ty| ty.strip_prefix("enum ").unwrap_or(ty));
        let cure = format!("write `{shown} {name} = {number};`: the runtime writes this field");
        let Some(field) = envelope.fields.iter().find(|field| field.number == *number) else {
            let message = format!("the envelope {} has no field number {number}", envelope.full_name);
            findings.add("envelope-field", &envelope.origin, message, cure);
            continue;
        };
        let fits = ty.map_or_else(|| field.ty.starts_with("enum "), |ty| field.ty == ty);
        if field.name != *name || !fits {
            let ty = field.ty.strip_prefix("enum ").unwrap_or(&field.ty);
            let message = format!("field number {number} of an envelope cannot be `{ty} {}`", field.name);
            findings.add("envelope-field", &field.origin, message, cure);
        }
    }
    if envelope.oneofs.len() != 1 {
        findings.add(
            "envelope-oneof",
            envelope.oneofs.get(1).unwrap_or(&envelope.origin),
            format!("the envelope {} has {} oneofs", envelope.full_name, envelope.oneofs.len()),
            "give it exactly one, whose fields are the categories",
        );
    }
}

fn branches(envelope: &Envelope, findings: &mut Findings) {
    for branch in &envelope.branches {
        if !branch.is_message {
            findings.add(
                "category-shape",
                &branch.origin,
                format!("`{}` is not a message, so it can list no events", branch.field),
                "give it a message with a oneof of payload messages",
            );
        }
        for (name, origin) in &branch.unfit {
            findings.add(
                "category-shape",
                origin,
                format!("`{name}` cannot be an event: it is not a message inside the oneof"),
                "move it into the oneof and give it a payload message, or remove it",
            );
        }
        let Some(categories) = &envelope.categories else { continue };
        match branch.number {
            None => {
                let known = categories.values.iter().map(|value| value.name.as_str());
                let hint = names::nearest(&branch.value, known)
                    .map_or_else(String::new, |near| format!("; the nearest that it has is `{near}`"));
                findings.add(
                    "unknown-category",
                    &branch.origin,
                    format!(
                        "`{}` asks for the category `{}`, which {} does not have",
                        branch.field, branch.value, categories.full_name
                    ),
                    format!("add `{} = …;` to the enum{hint}", branch.value),
                );
            }
            Some(number) if !(1..=MAX_CATEGORY).contains(&number) => findings.add(
                "category-number",
                &branch.origin,
                format!("the category `{}` has the number {number}", branch.value),
                format!("give it a number from 1 to {MAX_CATEGORY}"),
            ),
            Some(_) => {}
        }
    }
    if let Some(categories) = &envelope.categories {
        enumeration(categories, findings);
    }
}

fn levels(envelope: &Envelope, findings: &mut Findings) {
    // An enum that is not the runtime's has been refused as a field of the envelope.
    let Some(levels) = envelope.levels.as_ref().filter(|levels| LEVEL_ENUM.ends_with(&levels.full_name))
    else {
        return;
    };
    enumeration(levels, findings);
    let mut taken: BTreeMap<u32, &EnumValue> = BTreeMap::new();
    for value in &levels.values {
        let cure = format!(
            "write `[(rodent.events.severity) = N]` behind it, N from 1 (the least) to {MAX_SEVERITY}, each once"
        );
        match value.severity {
            None => {
                findings.add(
                    "no-severity",
                    &value.origin,
                    format!("the level `{}` has no severity", value.name),
                    cure,
                );
            }
            Some(severity) if !(1..=MAX_SEVERITY).contains(&severity) => {
                let message = format!("the level `{}` has the severity {severity}", value.name);
                findings.add("severity-range", &value.severity_origin, message, cure);
            }
            Some(severity) => {
                if let Some(other) = taken.insert(severity, value) {
                    let message = format!(
                        "the levels `{}` and `{}` both have the severity {severity}",
                        other.name, value.name
                    );
                    let places = (&value.severity_origin, &other.severity_origin);
                    findings.clash("same-severity", places, message, cure);
                }
            }
        }
    }
}
