//! What a schema allows: warnings that its author has seen, and does not want.

use prost_reflect::{DynamicMessage, EnumDescriptor, FileDescriptor};

use crate::annotations;
use crate::explain::Rule;
use crate::finding::{Finding, Severity};
use crate::model::{Allow, Schema};
use crate::read::messages;
use crate::source::{Item, Sources};

/// What the items of a file allow.
pub(crate) fn read(file: &FileDescriptor, sources: &Sources<'_>) -> Vec<Allow> {
    let mut allows = Vec::new();
    let mut take = |item: Item<'_>, options: &DynamicMessage| {
        let said = annotations::allows(file.parent_pool(), sources, item, options);
        allows.extend(said.into_iter().map(|(rule, origin)| Allow {
            rule,
            origin,
            over: sources.whole(item),
        }));
    };
    take(Item::File(file), &file.options());
    let mut enums: Vec<EnumDescriptor> = file.enums().collect();
    for message in messages(file) {
        take(Item::Message(&message), &message.options());
        message.fields().for_each(|field| take(Item::Field(&field), &field.options()));
        message.oneofs().for_each(|oneof| take(Item::Oneof(&oneof), &oneof.options()));
        enums.extend(message.child_enums());
    }
    enums.iter().for_each(|one| take(Item::Enum(one), &one.options()));
    allows
}

/// Removes from `findings` the warnings that the schema allows, and adds what is wrong with its opt-outs.
pub(crate) fn apply(schema: &Schema, findings: &mut Vec<Finding>) {
    let mut wrong = Vec::new();
    for allow in &schema.allows {
        let Some(rule) = Rule::find(&allow.rule).filter(|rule| rule.severity() == Severity::Warning) else {
            wrong.push(unknown(allow));
            continue;
        };
        let is_meant = |finding: &Finding| finding.rule == rule.name && allow.over.holds(&finding.origin);
        if !findings.iter().any(is_meant) {
            wrong.push(Finding::new(
                "unused-allow",
                &allow.origin,
                format!("there is no warning `{}` here to allow", allow.rule),
                "remove it, so that the next such warning is seen",
            ));
        }
    }
    findings.retain(|finding| {
        let allowed = |allow: &&Allow| allow.rule == finding.rule && allow.over.holds(&finding.origin);
        finding.severity == Severity::Error || schema.allows.iter().find(allowed).is_none()
    });
    findings.extend(wrong);
}

fn unknown(allow: &Allow) -> Finding {
    let name = &allow.rule;
    if Rule::find(name).is_some() {
        let message = format!("`{name}` is an error, and errors cannot be allowed");
        return Finding::new("unknown-rule", &allow.origin, message, "remove it, and mend the schema");
    }
    let cure = match Rule::nearest_warning(name) {
        Some(near) => format!("did you mean `\"{near}\"`?"),
        None => {
            "`events-codegen explain` lists all rules; those marked as warnings can be allowed".to_owned()
        }
    };
    Finding::new("unknown-rule", &allow.origin, format!("`{name}` is not a rule"), cure)
}
