//! The rules of events, and every breach of them in a schema.
//!
//! Each rule is a function from the model to findings; none stops at the first. What passes here can be generated.

use std::collections::BTreeMap;

use crate::error::Finding;
use crate::model::{Enum, Envelope, EventKind, Field, Message, Origin, Presence, Schema, Sensitivity, Type};
use crate::names;

/// The runtime keeps filters as one bit per category in a 64-bit word, and bit 0 is no category.
const MAX_CATEGORY: i32 = 63;

/// Severities index small tables in the runtime; more levels than this help nobody.
const MAX_SEVERITY: u32 = 15;

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

/// Collects every breach of a rule.
pub(crate) fn check(schema: &Schema) -> Vec<Finding> {
    let mut findings = Findings(Vec::new());
    files(schema, &mut findings);
    for envelope in &schema.envelopes {
        envelope_fields(envelope, &mut findings);
        branches(envelope, &mut findings);
        levels(envelope, &mut findings);
        for kind in &envelope.kinds {
            event(kind, envelope, schema, &mut findings);
        }
    }
    for message in &schema.messages {
        fields(message, &mut findings);
    }
    for one in &schema.enums {
        enumeration(one, &mut findings);
    }
    collisions(schema, &mut findings);
    findings.0
}

struct Findings(Vec<Finding>);

impl Findings {
    fn add(
        &mut self,
        rule: &'static str,
        origin: &Origin,
        message: impl Into<String>,
        cure: impl Into<String>,
    ) {
        self.0.push(Finding { rule, origin: origin.clone(), message: message.into(), cure: cure.into() });
    }
}

fn files(schema: &Schema, findings: &mut Findings) {
    if schema.envelopes.is_empty() {
        let file = schema.roots.first().cloned().unwrap_or_default();
        findings.add(
            "no-envelope",
            &Origin { file, line: 0, column: 0 },
            "no message is marked as the envelope of events, so there is nothing to generate",
            "import \"events/annotations.proto\" and write `option (rodent.events.envelope) = true;` in the message whose \
             oneof lists the categories",
        );
    }
    for (origin, syntax) in &schema.foreign_syntax {
        findings.add(
            "foreign-syntax",
            origin,
            format!("the file is {syntax}, and events are proto3"),
            "begin the file with `syntax = \"proto3\";`",
        );
    }
    for (name, origin) in &schema.nameless {
        findings.add(
            "unusable-name",
            origin,
            format!("`{name}` leaves nothing to name a Rust item with"),
            "give it a name with letters",
        );
    }
    for (name, origin) in schema.strays.iter().filter(|_| !schema.envelopes.is_empty()) {
        findings.add(
            "stray-payload",
            origin,
            format!("message {name} looks like an event's payload, but no category lists it"),
            format!(
                "add a field of type `{name}` to the oneof of its category message, or rename the message"
            ),
        );
    }
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
    if envelope.oneofs != 1 {
        findings.add(
            "envelope-oneof",
            &envelope.origin,
            format!("the envelope {} has {} oneofs", envelope.full_name, envelope.oneofs),
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
                    .map_or_else(String::new, |near| format!(", or rename the field if you meant `{near}`"));
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
    let mut taken: BTreeMap<u32, &str> = BTreeMap::new();
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
                findings.add("severity-range", &value.origin, message, cure);
            }
            Some(severity) => {
                if let Some(other) = taken.insert(severity, &value.name) {
                    let message = format!(
                        "the levels `{other}` and `{}` both have the severity {severity}",
                        value.name
                    );
                    findings.add("same-severity", &value.origin, message, cure);
                }
            }
        }
    }
}

fn event(kind: &EventKind, envelope: &Envelope, schema: &Schema, findings: &mut Findings) {
    let message = schema.message(&kind.payload);
    let name = message.map_or(kind.payload.as_str(), |message| message.rust_name.as_str());
    if kind.source.is_none() {
        findings.add(
            "no-source",
            &kind.payload_origin,
            format!("message {name} has no source"),
            "add `option (rodent.events.event) = { source: \"...\" };` that names the component that reports",
        );
    }
    if let (Some(level), Some(levels)) = (&kind.level, &envelope.levels)
        && find_level(levels, level).is_none()
    {
        let known = levels.values.iter().map(|value| value.short.to_uppercase()).collect::<Vec<_>>();
        let hint = match names::nearest(level, known.iter().map(String::as_str)) {
            Some(near) => format!("write \"{near}\""),
            None => format!("write one of {}, or leave it out so that the caller says it", known.join(", ")),
        };
        findings.add(
            "unknown-level",
            &kind.payload_origin,
            format!("message {name} has the unknown level \"{level}\""),
            hint,
        );
    }
    let category = kind.category.name.as_str();
    let rest = kind.emitter.strip_prefix(category);
    if kind.category.number.is_none() {
        // The category itself is wrong, and has been told.
    } else if !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_')) {
        findings.add(
            "emitter-name",
            &kind.payload_origin,
            format!("the emitter `{}` of {name} does not begin with its category `{category}`", kind.emitter),
            format!("rename the message, or add `name: \"{category}_...\"` to its `event` option"),
        );
    } else if names::snake(&kind.emitter) != kind.emitter {
        findings.add(
            "emitter-name",
            &kind.payload_origin,
            format!("the emitter `{}` of {name} is not in snake case", kind.emitter),
            format!("write `name: \"{}\"`", names::snake(&kind.emitter)),
        );
    }
    if let Some(field) =
        message.and_then(|m| m.fields.iter().find(|field| field.name == "operation" && !field.required))
    {
        findings.add(
            "operation-required",
            &field.origin,
            format!("`operation` of {name} is not required"),
            "write `[(rodent.events.field).required = true]` behind it: an event that does not say what was done says nothing",
        );
    }
}

/// The level that `text` names: the value without the enum's name, in any case.
pub(crate) fn find_level<'a>(levels: &'a Enum, text: &str) -> Option<&'a crate::model::EnumValue> {
    levels.values.iter().find(|value| value.short.eq_ignore_ascii_case(text))
}

fn fields(message: &Message, findings: &mut Findings) {
    for unfit in &message.unfit {
        findings.add(
            "unsupported-field",
            &unfit.origin,
            format!("`{}` of {} is {}, which no payload can hold", unfit.name, message.full_name, unfit.what),
            unfit.cure,
        );
    }
    for field in &message.fields {
        if field.sensitivity == Sensitivity::Secret {
            findings.add(
                "secret-field",
                &field.origin,
                format!(
                    "`{}` of {} is a secret, and a secret has no place in an event",
                    field.name, message.full_name
                ),
                "remove the field; an identifier or a fingerprint of the secret is enough to speak of it",
            );
        }
        if let Some(why) = cannot_be_required(field) {
            findings.add(
                "required-field",
                &field.origin,
                format!("`{}` of {} cannot be required: {why}", field.name, message.full_name),
                "remove `required`",
            );
        }
    }
}

fn cannot_be_required(field: &Field) -> Option<&'static str> {
    match (field.required, field.presence, &field.ty) {
        (true, Presence::Repeated { .. }, _) => Some("it is repeated, and may be empty"),
        (true, Presence::Map { .. }, _) => Some("it is a map, and may be empty"),
        (true, _, Type::Message { recursive: true, .. }) => {
            Some("its message holds itself, and would never end")
        }
        _ => None,
    }
}

fn enumeration(one: &Enum, findings: &mut Findings) {
    match &one.zero {
        Some(name) if name.ends_with(names::UNSPECIFIED) => {}
        zero => {
            let cure = format!(
                "begin it with `{} = 0;`",
                names::enum_value(short(&one.full_name), names::UNSPECIFIED)
            );
            let message = match zero {
                Some(name) => {
                    format!("the zero value `{name}` of enum {} is not named `…_UNSPECIFIED`", one.full_name)
                }
                None => format!("enum {} has no zero value", one.full_name),
            };
            findings.add("enum-zero", &one.origin, message, cure);
        }
    }
    if one.values.is_empty() {
        let message = format!("enum {} has no value but the unspecified one", one.full_name);
        findings.add("empty-enum", &one.origin, message, "add the values that an event can have");
    }
    let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
    for value in &one.values {
        if let Some(other) = taken.insert(&value.variant, &value.name) {
            let message = format!(
                "`{other}` and `{}` of {} are both called `{}` in Rust",
                value.name, one.full_name, value.variant
            );
            findings.add("same-name", &value.origin, message, "rename one of them");
        }
    }
}

fn collisions(schema: &Schema, findings: &mut Findings) {
    let mut emitters: BTreeMap<&str, &EventKind> = BTreeMap::new();
    for kind in schema.kinds() {
        if let Some(other) = emitters.insert(&kind.emitter, kind) {
            findings.add(
                "same-emitter",
                &kind.origin,
                format!(
                    "two events are emitted by `emit_{}`: this one and the one at {}",
                    kind.emitter, other.origin
                ),
                "give one of the fields `[(rodent.events.emitter) = { name: \"...\" }]`",
            );
        }
    }
    let mut types: BTreeMap<&str, (&str, &Origin)> = BTreeMap::new();
    let all = schema
        .messages
        .iter()
        .map(|message| (&message.rust_name, &message.full_name, &message.origin))
        .chain(schema.enums.iter().map(|one| (&one.rust_name, &one.full_name, &one.origin)));
    for (rust_name, full_name, origin) in all {
        if let Some((other, _)) = types.insert(rust_name, (full_name, origin)) {
            findings.add(
                "same-type",
                origin,
                format!("{other} and {full_name} are both called `payload::{rust_name}` in Rust"),
                "rename one of them: nested types stand side by side in the `payload` module",
            );
        }
    }
    for message in &schema.messages {
        let mut taken: BTreeMap<String, &str> = BTreeMap::new();
        for field in &message.fields {
            if let Some(other) =
                taken.insert(names::ident(&names::snake(&field.name)).to_string(), &field.name)
            {
                let text = format!(
                    "`{other}` and `{}` of {} have the same name in Rust",
                    field.name, message.full_name
                );
                findings.add("same-name", &field.origin, text, "rename one of them");
            }
        }
    }
}

fn short(full_name: &str) -> &str {
    full_name.rsplit('.').next().unwrap_or(full_name)
}
