//! The rules for levels that the schema says: of a kind of event, and of the values of an enum.

use super::Findings;
use crate::model::{BY_OPERATION, Enum, EventKind, OPERATION, Presence, Schema, Type};
use crate::names;
use crate::origin::Origin;

/// Checks the level of a kind, whose payload goes by `name`.
pub(super) fn kind(kind: &EventKind, name: &str, schema: &Schema, findings: &mut Findings) {
    if !kind.level_by_operation() {
        if let Some(level) = &kind.level {
            known(level, &format!("message {name}"), &kind.level_origin, schema, findings);
        }
        return;
    }
    let message = schema.message(&kind.payload);
    let operation = message.and_then(|one| one.fields.iter().find(|field| field.name == OPERATION));
    let levels = operation.is_some_and(|field| match (&field.ty, field.presence) {
        (Type::Enum(full_name), Presence::Implicit | Presence::Explicit) => {
            field.required && schema.enumeration(full_name).is_some_and(Enum::has_levels)
        }
        _ => false,
    });
    if !levels {
        findings.add(
            "level-by-operation",
            &kind.level_origin,
            format!("message {name} has its level \"{BY_OPERATION}\", and no operation that says one"),
            format!(
                "give it a required field `{OPERATION}` of an enum, and write `[(rodent.events.event_level) = \"INFO\"]` or another \
                 level behind each of its values"
            ),
        );
    }
}

/// Checks the levels of an enum's values.
pub(super) fn values(one: &Enum, schema: &Schema, findings: &mut Findings) {
    aliases(one, findings);
    if !one.has_levels() {
        return;
    }
    for value in &one.values {
        match &value.level {
            Some(level) => known(level, &format!("`{}`", value.name), &value.level_origin, schema, findings),
            None => findings.add(
                "value-level",
                &value.origin,
                format!("`{}` of {} has no level, and other values have", value.name, one.full_name),
                "write `[(rodent.events.event_level) = \"INFO\"]` or another level behind it, or remove it from all values",
            ),
        }
    }
}

/// A second name says nothing of its own: what stands behind it must be the level of its value.
fn aliases(one: &Enum, findings: &mut Findings) {
    for alias in &one.aliases {
        let Some(level) = &alias.value.level else { continue };
        let Some(of) = one.values.iter().find(|value| value.number == alias.number) else { continue };
        if !of.level.as_ref().is_some_and(|known| known.eq_ignore_ascii_case(level)) {
            findings.add(
                "value-level",
                &alias.value.level_origin,
                format!("`{}` is another name for `{}`, and has another level", alias.value.name, of.name),
                "say the level behind the first of the names, or the same behind each",
            );
        }
    }
}

fn known(level: &str, whose: &str, origin: &Origin, schema: &Schema, findings: &mut Findings) {
    let Some(levels) = schema.envelopes.iter().find_map(|envelope| envelope.levels.as_ref()) else { return };
    if schema.level(level).is_some() {
        return;
    }
    let known = levels.values.iter().map(|value| value.short.to_uppercase()).collect::<Vec<_>>();
    let hint = match names::nearest(level, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `\"{near}\"`?"),
        None => format!("write one of {}, or leave it out so that the caller says it", known.join(", ")),
    };
    findings.add("unknown-level", origin, format!("{whose} has the unknown level \"{level}\""), hint);
}
