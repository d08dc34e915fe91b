//! `events kinds`: what can be emitted, and with which fields.

use std::io::Write;

use clap::Args;
use prost_reflect::{FieldDescriptor, Kind as Type};

use super::{
    failure::{DONE, Failure},
    json::Object,
    names,
    out::{Out, Table},
    schema::Schema,
    shown,
};
use crate::{Kind, kinds};

/// Lists kinds, or the fields of one.
#[derive(Debug, Args)]
pub(super) struct KindsArgs {
    /// The kind whose fields to list, storage.pool for example
    #[arg(value_parser = names::kind)]
    kind: Option<&'static Kind>,
    /// One JSON object a line instead of a table
    #[arg(long)]
    json: bool,
}

impl KindsArgs {
    pub(super) fn run(&self, out: &mut Out) -> Result<u8, Failure> {
        match self.kind {
            Some(kind) => self.fields(kind, out)?,
            None => self.kinds(out)?,
        }
        Ok(DONE)
    }

    fn kinds(&self, out: &mut Out) -> Result<(), Failure> {
        let mut table = Table::new(&["KIND", "CATEGORY", "SOURCE", "LEVEL"]);
        for kind in kinds::ALL {
            let (name, level) = (names::of_kind(kind), level(kind));
            if self.json {
                let object = Object::new().text("kind", &name).text("category", kind.category_name);
                writeln!(out, "{}", object.text("source", kind.source).text("level", level).end())?;
            } else {
                table.row([name, kind.category_name.to_owned(), kind.source.to_owned(), level.to_owned()]);
            }
        }
        if !self.json {
            out.table(&table)?;
        }
        Ok(())
    }

    fn fields(&self, kind: &Kind, out: &mut Out) -> Result<(), Failure> {
        let schema = Schema::load()?;
        let mut table = Table::new(&["FIELD", "TYPE", "REQUIRED", "VALUES"]);
        for field in schema.payload(kind)?.fields() {
            let (required, values) = (schema.rules(&field).required, values(&field).join(", "));
            if self.json {
                let object = Object::new().text("field", field.name()).text("type", &type_name(&field));
                writeln!(out, "{}", object.flag("required", required).text("values", &values).end())?;
            } else {
                let required = if required { "yes" } else { "" }.to_owned();
                table.row([field.name().to_owned(), type_name(&field), required, values]);
            }
        }
        if !self.json {
            out.table(&table)?;
        }
        Ok(())
    }
}

fn level(kind: &Kind) -> &'static str {
    match kind.level {
        Some(level) => level.name(),
        None if kind.level_by_operation => "by operation",
        None => "by --level",
    }
}

/// What a field takes, in the words of a shell.
pub(super) fn type_name(field: &FieldDescriptor) -> String {
    let one = match field.kind() {
        Type::String => "text",
        Type::Bytes => "bytes",
        Type::Bool => "true or false",
        Type::Float | Type::Double => "number",
        Type::Enum(_) => "name",
        Type::Message(_) => "message",
        Type::Uint32 | Type::Uint64 | Type::Fixed32 | Type::Fixed64 => "whole number, not negative",
        _ => "whole number",
    };
    match () {
        () if field.is_map() => "values by key".to_owned(),
        () if field.is_list() => format!("{one}, repeated"),
        () => one.to_owned(),
    }
}

/// The values of an enum, but for the one that means that nothing was said.
pub(super) fn values(field: &FieldDescriptor) -> Vec<String> {
    let Type::Enum(descriptor) = field.kind() else { return Vec::new() };
    let said = descriptor.values().filter(|value| value.number() != 0);
    said.map(|value| shown::short_name(&descriptor, value.name())).collect()
}
