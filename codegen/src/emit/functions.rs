//! The emitters: one method on the handle and one free function for each kind of event.

use super::Paths;
use super::kinds::level;
use super::payload::type_of;
use crate::docs;
use crate::model::{EventKind, Message, OPERATION, Schema};
use crate::names;
use crate::text::Code;

/// Methods and free functions.
pub(crate) fn emit(schema: &Schema, paths: &Paths, code: &mut Code) {
    let runtime = Runtime::new(paths);
    let emitters: Vec<Emitter> = schema
        .kinds()
        .filter_map(|kind| Some(Emitter::new(kind, schema.message(&kind.payload)?, schema, &runtime)))
        .collect();
    if paths.in_sdk() {
        code.line("/// One method for each kind of event.");
        code.open(format_args!("impl {}", runtime.events));
        for emitter in &emitters {
            emitter.attributes(code);
            emitter.method("pub fn", &runtime, code);
        }
        code.close();
    } else {
        code.line("/// One method on the handle for each kind of event of this schema.");
        code.open("pub trait EmitExt");
        for emitter in &emitters {
            emitter.attributes(code);
            let (Emitter { name, parameters, .. }, ticket) = (emitter, &runtime.ticket);
            code.fit(format_args!("fn {name}(&self, {parameters}) -> {ticket};"));
        }
        code.close();
        // A method of an implementation cannot be marked as deprecated itself.
        if emitters.iter().any(|emitter| emitter.deprecated) {
            code.line("#[allow(deprecated)]");
        }
        code.open(format_args!("impl EmitExt for {}", runtime.events));
        for emitter in &emitters {
            emitter.method("fn", &runtime, code);
        }
        code.close();
    }
    for emitter in &emitters {
        emitter.attributes(code);
        emitter.function(&runtime, code);
    }
}

/// What emitters name of the runtime.
struct Runtime {
    events: String,
    level: String,
    metadata: String,
    ticket: String,
    emit: String,
}

impl Runtime {
    fn new(paths: &Paths) -> Self {
        Self {
            events: paths.private("Events"),
            level: paths.level(),
            metadata: paths.private("Metadata"),
            ticket: paths.private("Ticket"),
            emit: paths.private("emit"),
        }
    }
}

/// The parts of an emitter.
struct Emitter {
    docs: Vec<String>,
    deprecated: bool,
    name: String,
    module: String,
    /// Behind `&self`; the level is among them unless the kind fixes it.
    parameters: String,
    level: String,
}

impl Emitter {
    fn new(kind: &EventKind, message: &Message, schema: &Schema, runtime: &Runtime) -> Self {
        let Runtime { level: level_type, metadata, .. } = runtime;
        let (parameter, level) = match level(kind, schema) {
            None if kind.level_by_operation() => {
                (String::new(), format!("payload.{}.level()", names::ident(OPERATION)))
            }
            None => (format!("level: {level_type}, "), "level".to_owned()),
            Some(variant) => (String::new(), format!("{level_type}::{}", names::ident(&variant))),
        };
        let payload = type_of(message, "'_");
        Self {
            docs: documentation(kind, message),
            deprecated: message.deprecated,
            name: names::ident(&format!("emit_{}", kind.emitter)),
            module: names::ident(&kind.emitter),
            parameters: format!("{parameter}payload: payload::{payload}, metadata: impl {metadata}"),
            level,
        }
    }

    fn attributes(&self, code: &mut Code) {
        code.docs(&self.docs);
        docs::deprecated(self.deprecated, code);
        if self.deprecated {
            // Its payload is deprecated too, which is not news here.
            code.line("#[allow(deprecated)]");
        }
    }

    fn method(&self, function: &str, runtime: &Runtime, code: &mut Code) {
        let (Self { name, module, parameters, level, .. }, ticket) = (self, &runtime.ticket);
        code.open(format_args!("{function} {name}(&self, {parameters}) -> {ticket}"));
        code.fit(format_args!("self.__emit(&kinds::{module}::KIND, {level}, &payload, metadata)"));
        code.close();
    }

    fn function(&self, runtime: &Runtime, code: &mut Code) {
        let (Self { name, module, parameters, level, .. }, Runtime { ticket, emit, .. }) = (self, runtime);
        code.open(format_args!("pub fn {name}({parameters}) -> {ticket}"));
        code.fit(format_args!("{emit}(&kinds::{module}::KIND, {level}, &payload, metadata)"));
        code.close();
    }
}

/// The payload's comment, and behind it what the schema fixes.
fn documentation(kind: &EventKind, message: &Message) -> Vec<String> {
    let mut lines = docs::lines_or(&message.docs, || format!("Emits the event `{}`.", kind.emitter));
    lines.push(String::new());
    let level = match &kind.level {
        Some(_) if kind.level_by_operation() => "level by the operation".to_owned(),
        Some(level) => format!("level always `{}`", level.to_uppercase()),
        None => "level as the caller says".to_owned(),
    };
    let source = kind.source.as_deref().unwrap_or_default();
    lines.push(format!("Category `{}`, source `{source}`, {level}.", kind.category.name));
    let said = [("Owner", &kind.owner), ("Since", &kind.since)];
    let said: Vec<_> =
        said.iter().filter_map(|(what, text)| Some(format!("{what}: {}.", text.as_ref()?))).collect();
    if !said.is_empty() {
        lines.push(String::new());
        lines.extend(docs::lines(&said.join(" ")));
    }
    if kind.deprecated {
        lines.push(String::new());
        lines.push(
            "The schema marks this event as one of the earlier generation: Toggle still reads it.".to_owned(),
        );
    }
    lines
}
