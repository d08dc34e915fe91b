//! The rules for what payloads are made of: fields, enums, and names that must differ.

use std::collections::BTreeMap;

use super::Findings;
use crate::model::{
    Enum, EnumValue, EventKind, Field, Message, Presence, Scalar, Schema, Sensitivity, Type, WellKnown,
};
use crate::names;
use crate::origin::Origin;
use crate::secret::secret;

pub(super) fn fields(message: &Message, findings: &mut Findings) {
    for unfit in &message.unfit {
        findings.add(
            "unsupported-field",
            &unfit.origin,
            format!("`{}` of {} is {}, which no payload can hold", unfit.name, message.full_name, unfit.what),
            unfit.cure,
        );
    }
    for field in message.oneofs().flat_map(|(_, oneof)| &oneof.variants).filter(|field| field.required) {
        findings.add(
            "required-field",
            &field.places.required,
            format!(
                "`{}` of {} cannot be required: it is one of the alternatives of a oneof",
                field.name, message.full_name
            ),
            "remove `required`",
        );
    }
    for field in message.all_fields() {
        if field.sensitivity == Sensitivity::Secret {
            findings.add(
                "secret-field",
                &field.places.sensitivity,
                format!(
                    "`{}` of {} is a secret, and a secret has no place in an event",
                    field.name, message.full_name
                ),
                "remove the field; an identifier or a fingerprint of the secret is enough to speak of it",
            );
        }
        if field.sensitivity == Sensitivity::Unsaid
            && holds_text(&field.ty)
            && let Some(word) = secret(&field.name)
        {
            findings.add(
                "secret-name",
                &field.origin,
                format!(
                    "`{}` of {} smells of a secret (`{word}`), and nothing says that it is none",
                    field.name, message.full_name
                ),
                "remove the field, or write `[(rodent.events.field).sensitivity = SENSITIVITY_PUBLIC]` behind it if it holds no secret",
            );
        }
        if field.max_len.is_some() && !can_be_cut(field, message) {
            findings.add(
                "max-len",
                &field.places.max_len,
                format!("`{}` of {} cannot have a `max_len`", field.name, message.full_name),
                "remove it: only a single `string` outside of oneofs is cut",
            );
        }
        if let Some(why) = cannot_be_required(field) {
            findings.add(
                "required-field",
                &field.places.required,
                format!("`{}` of {} cannot be required: {why}", field.name, message.full_name),
                "remove `required`",
            );
        }
    }
}

/// Whether the type holds text or bytes, or may within: a number or a choice is no secret, whatever it is called.
fn holds_text(ty: &Type) -> bool {
    matches!(
        ty,
        Type::Scalar(Scalar::String | Scalar::Bytes)
            | Type::Message { .. }
            | Type::WellKnown(
                WellKnown::Wrapper(Scalar::String | Scalar::Bytes)
                    | WellKnown::Struct
                    | WellKnown::Value
                    | WellKnown::List
                    | WellKnown::Any
            )
    )
}

fn can_be_cut(field: &Field, message: &Message) -> bool {
    matches!(field.ty, Type::Scalar(Scalar::String))
        && !matches!(field.presence, Presence::Repeated { .. } | Presence::Map { .. })
        && message.fields.contains(field)
}

fn cannot_be_required(field: &Field) -> Option<&'static str> {
    match (field.required, field.presence, &field.ty) {
        (true, Presence::Repeated { .. }, _) => Some("it is repeated, and may be empty"),
        (true, Presence::Map { .. }, _) => Some("it is a map, and may be empty"),
        (true, Presence::Implicit | Presence::Explicit, Type::WellKnown(WellKnown::Empty)) => {
            Some("there is nothing in it to be said")
        }
        (true, _, Type::Message { recursive: true, .. }) => {
            Some("its message holds itself, and would never end")
        }
        _ => None,
    }
}

pub(super) fn enumeration(one: &Enum, findings: &mut Findings) {
    match &one.zero {
        Some(name) if name.ends_with(names::UNSPECIFIED) => {}
        None if one.closed => {}
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
            findings.add("enum-zero", &one.zero_origin, message, cure);
        }
    }
    if one.values.is_empty() {
        let message = format!("enum {} has no value but the unspecified one", one.full_name);
        findings.add("empty-enum", &one.origin, message, "add the values that an event can have");
    }
    let mut taken: BTreeMap<&str, &EnumValue> = BTreeMap::new();
    for value in &one.values {
        if let Some(other) = taken.insert(&value.variant, value) {
            let message = format!(
                "`{}` and `{}` of {} are both called `{}` in Rust",
                other.name, value.name, one.full_name, value.variant
            );
            findings.clash("same-name", (&value.origin, &other.origin), message, "rename one of them");
        }
    }
    aliases(one, findings);
}

/// Second names become constants, which must differ from each other, from the variants and from [`ALL`].
fn aliases(one: &Enum, findings: &mut Findings) {
    let mut taken: BTreeMap<&str, &EnumValue> = BTreeMap::new();
    for alias in &one.aliases {
        let (constant, value) = (alias.constant.as_str(), &alias.value);
        let variant = one.values.iter().find(|one| one.variant == constant && one.number != alias.number);
        if let Some(other) = variant.or(taken.insert(constant, value)) {
            let message = format!(
                "`{}` and `{}` of {} are both called `{constant}` in Rust",
                other.name, value.name, one.full_name
            );
            findings.clash("same-name", (&value.origin, &other.origin), message, "rename one of them");
        } else if constant == ALL {
            let message = format!(
                "`{}` of {} is called `{ALL}` in Rust, and so is the list of all values",
                value.name, one.full_name
            );
            findings.add("same-name", &value.origin, message, "rename it");
        }
    }
}

/// The constant of every generated enum that lists its values.
const ALL: &str = "ALL";

pub(super) fn collisions(schema: &Schema, findings: &mut Findings) {
    let mut emitters: BTreeMap<&str, &EventKind> = BTreeMap::new();
    // A kind of an unknown category has no name to compare yet.
    for kind in schema.kinds().filter(|kind| kind.category.number.is_some()) {
        if let Some(other) = emitters.insert(&kind.emitter, kind) {
            findings.clash(
                "same-emitter",
                (&kind.origin, &other.origin),
                format!("two events are emitted by `emit_{}`", kind.emitter),
                format!(
                    "write `[(rodent.events.emitter) = {{ name: \"{}_...\" }}]` behind one of the fields",
                    kind.category.name
                ),
            );
        }
    }
    let mut types: BTreeMap<&str, (&str, &Origin)> = BTreeMap::new();
    let messages = schema.messages.iter().map(|one| (&one.rust_name, one.full_name.as_str(), &one.origin));
    let oneofs = schema.messages.iter().flat_map(|message| {
        message.oneofs().map(|(field, oneof)| (&oneof.rust_name, field.name.as_str(), &field.origin))
    });
    let enums = schema.enums.iter().map(|one| (&one.rust_name, one.full_name.as_str(), &one.origin));
    for (rust_name, full_name, origin) in messages.chain(oneofs).chain(enums) {
        if let Some((other, first)) = types.insert(rust_name, (full_name, origin)) {
            findings.clash(
                "same-type",
                (origin, first),
                format!("{other} and {full_name} are both called `payload::{rust_name}` in Rust"),
                "rename one of them: types stand side by side in the `payload` module, and here the messages and packages around them do not tell them apart",
            );
        }
    }
    for message in &schema.messages {
        let mut taken: BTreeMap<String, &Field> = BTreeMap::new();
        for field in &message.fields {
            let name = names::ident(&names::snake(&field.name)).to_string();
            if let Some(other) = taken.insert(name, field) {
                let text = format!(
                    "`{}` and `{}` of {} have the same name in Rust",
                    other.name, field.name, message.full_name
                );
                findings.clash("same-name", (&field.origin, &other.origin), text, "rename one of them");
            }
        }
        for (_, oneof) in message.oneofs() {
            let mut taken: BTreeMap<String, &Field> = BTreeMap::new();
            for field in &oneof.variants {
                if let Some(other) = taken.insert(names::camel(&field.name), field) {
                    let text = format!(
                        "`{}` and `{}` of {} are the same variant in Rust",
                        other.name, field.name, message.full_name
                    );
                    findings.clash("same-name", (&field.origin, &other.origin), text, "rename one of them");
                }
            }
        }
    }
}

fn short(full_name: &str) -> &str {
    full_name.rsplit('.').next().unwrap_or(full_name)
}
