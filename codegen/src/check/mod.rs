//! The rules of events, and every breach of them in a schema.
//!
//! Each rule is a function from the model to findings; none stops at the first. What passes here can be generated.

mod envelope;
mod levels;
mod types;
mod warnings;

use crate::finding::Finding;
use crate::model::{EventKind, OPERATION, Schema};
use crate::names;
use crate::opt_out;
use crate::origin::Origin;

/// Collects every breach of a rule.
pub(crate) fn check(schema: &Schema) -> Vec<Finding> {
    let mut findings = Findings(Vec::new());
    files(schema, &mut findings);
    for envelope in &schema.envelopes {
        envelope::check(envelope, &mut findings);
        for kind in &envelope.kinds {
            event(kind, schema, &mut findings);
        }
    }
    for message in &schema.messages {
        types::fields(message, &mut findings);
    }
    for one in &schema.enums {
        types::enumeration(one, &mut findings);
        levels::values(one, schema, &mut findings);
    }
    types::collisions(schema, &mut findings);
    warnings::check(schema, &mut findings);
    opt_out::apply(schema, &mut findings.0);
    findings.0
}

/// The rules that need every file: while one is broken, they would tell of what stands in it.
pub(crate) const NEED_EVERY_FILE: &[&str] = &["no-envelope", "stray-payload"];

struct Findings(Vec<Finding>);

impl Findings {
    fn add(
        &mut self,
        rule: &'static str,
        origin: &Origin,
        message: impl Into<String>,
        cure: impl Into<String>,
    ) {
        self.0.push(Finding::new(rule, origin, message, cure));
    }

    /// The same for what clashes: `first` was there before.
    fn clash(
        &mut self,
        rule: &'static str,
        (origin, first): (&Origin, &Origin),
        message: impl Into<String>,
        cure: impl Into<String>,
    ) {
        self.0.push(Finding::new(rule, origin, message, cure).label("again here").also(first, "first here"));
    }
}

fn files(schema: &Schema, findings: &mut Findings) {
    if schema.envelopes.is_empty() {
        let file = schema.files.first().cloned().unwrap_or_default();
        findings.add(
            "no-envelope",
            &Origin::file(file),
            "no message is marked as the envelope of events, so there is nothing to generate",
            "import \"events/annotations.proto\" and write `option (rodent.events.envelope) = true;` in the message whose \
             oneof lists the categories",
        );
    }
    for (name, package, origin) in &schema.same_modules {
        findings.add(
            "same-module",
            origin,
            format!("the types inside {name} and the package {package} would be in the same Rust module"),
            "rename the message or the package, or move the types out of the message",
        );
    }
    for (other, name, rust, origin) in &schema.twins {
        findings.add(
            "same-name",
            origin,
            format!("{other} and {name} are both called `{rust}` in Rust"),
            "rename one of them",
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
    for one in &schema.misplaced {
        findings.add(
            "misplaced-annotation",
            &one.origin,
            format!("`({})` says nothing on {}", one.option, one.on),
            format!("remove it; it belongs {}", one.belongs),
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

fn event(kind: &EventKind, schema: &Schema, findings: &mut Findings) {
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
    levels::kind(kind, name, schema, findings);
    let category = kind.category.name.as_str();
    let rest = kind.emitter.strip_prefix(category);
    if kind.category.number.is_none() {
        // The category itself is wrong, and has been told.
    } else if !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_')) {
        findings.add(
            "emitter-name",
            &kind.name_origin,
            format!("the emitter `{}` of {name} does not begin with its category `{category}`", kind.emitter),
            format!("rename the message, or add `name: \"{category}_...\"` to its `event` option"),
        );
    } else if !kind.emitter.is_ascii() {
        findings.add(
            "emitter-name",
            &kind.name_origin,
            format!("the emitter `{}` of {name} has letters other than those from a to z", kind.emitter),
            "write it with a to z, digits and `_`: callers have to type it",
        );
    } else if names::snake(&kind.emitter) != kind.emitter {
        findings.add(
            "emitter-name",
            &kind.name_origin,
            format!("the emitter `{}` of {name} is not in snake case", kind.emitter),
            format!("did you mean `\"{}\"`?", names::snake(&kind.emitter)),
        );
    }
    if let Some(field) =
        message.and_then(|m| m.fields.iter().find(|field| field.name == OPERATION && !field.required))
    {
        findings.add(
            "operation-required",
            &field.origin,
            format!("`operation` of {name} is not required"),
            "write `[(rodent.events.field).required = true]` behind it: an event that does not say what was done says nothing",
        );
    }
}
