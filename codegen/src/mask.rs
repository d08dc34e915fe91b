//! Takes prost's `Debug` from the wire types that hold personal data; [`emit`](crate::emit) writes one that masks it.
//!
//! prost-build can be told to leave `Debug` out, but then it does so for everything inside the message too. So the
//! attribute that its derive understands is put on the very structs that are meant.

use std::collections::HashSet;

use crate::error::Error;
use crate::model::Message;
use crate::names;
use crate::text::INDENT;

/// What makes prost's derive leave `Debug` out.
const ATTRIBUTE: &str = "#[prost(skip_debug)]";

/// What prost-build writes at the beginning of a line, however deep the line before it is.
const NOT_INDENTED: &str = "#[prost(prost_path";

/// `text`, a module that prost wrote, with the types of `messages` that hold personal data left without `Debug`.
pub(crate) fn without_debug<'a>(
    text: &str,
    messages: impl Iterator<Item = &'a Message>,
) -> Result<String, Error> {
    let mut personal: HashSet<String> = messages.flat_map(personal).collect();
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    // The modules that the line is in; prost indents each by one level.
    let mut modules: Vec<&str> = Vec::new();
    let mut indent = "";
    for line in text.lines() {
        let code = line.trim_start();
        if code.starts_with(NOT_INDENTED) {
            out.push_str(indent);
        } else {
            indent = line.get(..line.len() - code.len()).unwrap_or_default();
        }
        if let Some(head) = code.strip_prefix("pub ").and_then(|code| code.strip_suffix(" {")) {
            modules.truncate(indent.len() / INDENT.len());
            if let Some(name) = head.strip_prefix("mod ") {
                modules.push(name);
            } else if let Some(name) = head.strip_prefix("struct ").or_else(|| head.strip_prefix("enum "))
                && personal.remove(&path(&modules, name))
            {
                out.extend([indent, ATTRIBUTE, "\n"]);
            }
        }
        out.extend([line, "\n"]);
    }
    match personal.into_iter().min() {
        Some(name) => Err(Error::internal(format!("prost-build wrote no type `{name}`"))),
        None => Ok(out),
    }
}

fn path(modules: &[&str], name: &str) -> String {
    modules.iter().chain([&name]).copied().collect::<Vec<_>>().join("::")
}

/// The types of a message that hold personal data, as their paths in the module of the package.
fn personal(message: &Message) -> Vec<String> {
    let mut types = Vec::new();
    if !message.has_pii() && !message.oneofs().any(|(_, oneof)| oneof.has_pii()) {
        return types;
    }
    let within = message.full_name.strip_prefix(&message.package).unwrap_or(&message.full_name);
    let inside: Vec<String> = within
        .split('.')
        .filter(|part| !part.is_empty())
        .map(|part| names::ident(&names::snake(part)))
        .collect();
    let inside: Vec<&str> = inside.iter().map(String::as_str).collect();
    if message.has_pii() {
        let outer = inside.get(..inside.len().saturating_sub(1)).unwrap_or_default();
        types.push(path(outer, &names::ident(&names::camel(message.short_name()))));
    }
    let oneofs = message.oneofs().filter(|(_, oneof)| oneof.has_pii());
    types.extend(oneofs.map(|(_, oneof)| path(&inside, &names::ident(&oneof.wire_name))));
    types
}
