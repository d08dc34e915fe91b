//! The rules whose breach is a warning: the schema works, and could serve its readers better.
//!
//! Only the files that were asked for are judged; what they import is somebody else's.

use heck::ToShoutySnakeCase;

use super::Findings;
use crate::model::{Enum, EventKind, Field, Message, Scalar, Schema, Type, WellKnown};
use crate::names;
use crate::origin::Origin;

/// Checks all of a schema.
pub(super) fn check(schema: &Schema, findings: &mut Findings) {
    let ours = |origin: &Origin| schema.files.contains(&origin.file);
    for (name, origin) in &schema.unused_imports {
        findings.add(
            "unused-import",
            origin,
            format!("nothing of `{name}` is used in this file"),
            "remove the import",
        );
    }
    // Who looks after an event is worth asking where the schema says it at all.
    let owned = schema.kinds().any(|kind| kind.owner.is_some());
    for kind in schema.kinds().filter(|kind| owned && kind.owner.is_none() && ours(&kind.payload_origin)) {
        no_owner(kind, findings);
    }
    for message in schema.messages.iter().filter(|message| ours(&message.origin)) {
        one_message(message, findings);
        message.all_fields().for_each(|field| one_field(field, message, findings));
    }
    for one in schema.enums.iter().filter(|one| ours(&one.origin)) {
        one_enum(one, findings);
    }
}

fn no_owner(kind: &EventKind, findings: &mut Findings) {
    findings.add(
        "no-owner",
        &kind.payload_origin,
        format!("nobody looks after {}, and other events have an owner", kind.payload),
        "add `owner: \"...\"` to its `event` option",
    );
}

fn one_message(message: &Message, findings: &mut Findings) {
    let name = message.short_name();
    if message.docs.is_empty() {
        findings.add(
            "no-comment",
            &message.origin,
            format!("message {name} has no comment"),
            "write above it what it tells: `// A pool was created, changed or destroyed.`",
        );
    }
    pascal(name, "message", &message.origin, findings);
    if message.deprecated {
        hint(name, &message.docs, &message.origin, findings);
    }
}

fn one_field(field: &Field, message: &Message, findings: &mut Findings) {
    let name = field.name.as_str();
    if field.docs.is_empty() {
        findings.add(
            "no-comment",
            &field.origin,
            format!("field `{name}` of {} has no comment", message.short_name()),
            "write above it what it means, and in which unit: `// How much is in use, bytes.`",
        );
    }
    if name.chars().any(|c| c.is_uppercase() || !(c.is_ascii_alphanumeric() || c == '_')) {
        findings.add(
            "name-style",
            &field.origin,
            format!("field `{name}` of {} is not in snake case", message.short_name()),
            format!("did you mean `{}`?", names::snake(name)),
        );
    }
    if field.unit.is_none()
        && is_number(&field.ty)
        && let Some(word) = names::measure(name)
    {
        findings.add(
            "no-unit",
            &field.origin,
            format!("`{name}` of {} measures something (`{word}`), and nothing says in which unit", message.short_name()),
            "write `[(rodent.events.field).unit = \"...\"]` behind it, or let its name end in the unit, as `…_bytes` does",
        );
    }
    if field.deprecated {
        hint(name, &field.docs, &field.origin, findings);
    }
}

fn one_enum(one: &Enum, findings: &mut Findings) {
    let name = one.full_name.rsplit('.').next().unwrap_or(&one.full_name);
    pascal(name, "enum", &one.origin, findings);
    if one.deprecated {
        hint(name, &one.docs, &one.origin, findings);
    }
    let prefix = names::enum_value(name, "");
    for value in one.values.iter().chain(one.aliases.iter().map(|alias| &alias.value)) {
        let upper = value.name.to_shouty_snake_case();
        if value.name.chars().any(|c| c.is_lowercase()) {
            findings.add(
                "name-style",
                &value.origin,
                format!("value `{}` of {name} is not in capitals", value.name),
                format!("did you mean `{upper}`?"),
            );
        } else if !value.name.starts_with(&prefix) {
            findings.add(
                "value-prefix",
                &value.origin,
                format!("value `{}` does not begin with the name of its enum, {name}", value.name),
                format!("did you mean `{prefix}{upper}`?"),
            );
        }
        if value.deprecated {
            hint(&value.name, &value.docs, &value.origin, findings);
        }
    }
}

fn pascal(name: &str, what: &str, origin: &Origin, findings: &mut Findings) {
    if name.contains('_') || name.starts_with(|c: char| c.is_lowercase()) {
        findings.add(
            "name-style",
            origin,
            format!("{what} `{name}` is not in Pascal case"),
            format!("did you mean `{}`?", names::camel(name)),
        );
    }
}

/// A deprecated thing whose comment leaves its users alone.
fn hint(name: &str, docs: &str, origin: &Origin, findings: &mut Findings) {
    /// One of these is in every sentence that says what to do instead.
    const WORDS: &[&str] = &["instead", "use ", "replace", "supersede", "successor", "no longer", "moved"];
    let docs = docs.to_lowercase();
    if !WORDS.iter().any(|word| docs.contains(word)) {
        findings.add(
            "deprecated-hint",
            origin,
            format!("`{name}` is deprecated, and its comment does not say what to use instead"),
            "write it in the comment: `// Deprecated: use ... instead.`",
        );
    }
}

fn is_number(ty: &Type) -> bool {
    let (Type::Scalar(scalar) | Type::WellKnown(WellKnown::Wrapper(scalar))) = ty else { return false };
    !matches!(scalar, Scalar::Bool | Scalar::String | Scalar::Bytes)
}
