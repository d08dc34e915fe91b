//! Names that would be the same twice in one Rust module of the wire types, which prost names.
//!
//! What payloads are made of is not looked at again where [`check`](crate::check) compares its names itself: types, fields,
//! and values of enums other than the zero value.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use prost_reflect::{DescriptorPool, EnumDescriptor, FileDescriptor, MessageDescriptor};

use crate::model::{Enum, Message};
use crate::names;
use crate::origin::Origin;
use crate::read::{messages, real_oneof, real_oneofs};
use crate::source::Sources;

/// Two things of one name: what they are called in the schema, their name in Rust, and where the second one is.
pub(crate) type Twin = (String, String, String, Origin);

/// The names of one module.
#[derive(Default)]
struct Scope {
    taken: BTreeMap<String, String>,
}

impl Scope {
    fn add(&mut self, rust: String, name: &str, origin: impl FnOnce() -> Origin, twins: &mut Vec<Twin>) {
        match self.taken.get(&rust) {
            Some(other) => twins.push((other.clone(), name.to_owned(), rust, origin())),
            None => {
                self.taken.insert(rust, name.to_owned());
            }
        }
    }
}

/// Whether prost makes a module for what is inside of the message.
pub(crate) fn has_module(message: &MessageDescriptor) -> bool {
    message.child_messages().any(|inner| !inner.is_map_entry())
        || message.child_enums().next().is_some()
        || real_oneofs(message).next().is_some()
}

/// All twins in the files on disk. `payloads` and `enums` are what payloads are made of.
pub(crate) fn twins(
    pool: &DescriptorPool,
    paths: &BTreeMap<String, PathBuf>,
    sources: &Sources<'_>,
    payloads: &[Message],
    enums: &[Enum],
) -> Vec<Twin> {
    let payloads: BTreeSet<&str> = payloads.iter().map(|one| one.full_name.as_str()).collect();
    let enums: BTreeSet<&str> = enums.iter().map(|one| one.full_name.as_str()).collect();
    let mut packages: BTreeMap<String, Scope> = BTreeMap::new();
    let mut twins = Vec::new();
    for file in pool.files().filter(|file| paths.contains_key(file.name())) {
        let scope = packages.entry(names::snake(file.package_name())).or_default();
        top(&file, scope, sources, &mut twins);
        for one in file.enums() {
            values(&one, &enums, sources, &mut twins);
        }
        for message in messages(&file) {
            inside(&message, sources, &mut twins);
            if !payloads.contains(message.full_name()) {
                fields(&message, sources, &mut twins);
            }
            for one in message.child_enums() {
                values(&one, &enums, sources, &mut twins);
            }
        }
    }
    // Two types of payloads have been compared too, as what they are called in `payload`.
    let known = |name: &str| payloads.contains(name) || enums.contains(name);
    twins.retain(|(one, other, ..)| !(known(one) && known(other)));
    twins
}

/// What lies in the module of a package.
fn top(file: &FileDescriptor, scope: &mut Scope, sources: &Sources<'_>, twins: &mut Vec<Twin>) {
    types(file.messages(), file.enums(), scope, sources, twins);
    for service in file.services() {
        for part in ["client", "server"] {
            let rust = format!("{}_{part}", names::snake(service.name()));
            let origin = || sources.origin(file, service.path());
            scope.add(rust, service.full_name(), origin, twins);
        }
    }
}

/// What lies in the module of a message.
fn inside(message: &MessageDescriptor, sources: &Sources<'_>, twins: &mut Vec<Twin>) {
    let mut scope = Scope::default();
    types(message.child_messages(), message.child_enums(), &mut scope, sources, twins);
    for oneof in real_oneofs(message) {
        let name = names::camel(oneof.name());
        // As prost does it: a nested type of the same name has it first.
        let name = if scope.taken.contains_key(&names::ident(&name)) { format!("{name}OneOf") } else { name };
        scope.add(names::ident(&name), oneof.full_name(), || sources.oneof(&oneof), twins);
    }
}

fn types(
    messages: impl Iterator<Item = MessageDescriptor>,
    enums: impl Iterator<Item = EnumDescriptor>,
    scope: &mut Scope,
    sources: &Sources<'_>,
    twins: &mut Vec<Twin>,
) {
    for message in messages.filter(|message| !message.is_map_entry()) {
        scope.add(
            names::ident(&names::camel(message.name())),
            message.full_name(),
            || sources.message(&message),
            twins,
        );
        if has_module(&message) {
            let module = format!("the module of {}", message.full_name());
            scope.add(
                names::ident(&names::snake(message.name())),
                &module,
                || sources.message(&message),
                twins,
            );
        }
    }
    for one in enums {
        scope.add(
            names::ident(&names::camel(one.name())),
            one.full_name(),
            || sources.enumeration(&one),
            twins,
        );
    }
}

/// The fields of a message, its oneofs among them.
fn fields(message: &MessageDescriptor, sources: &Sources<'_>, twins: &mut Vec<Twin>) {
    let mut scope = Scope::default();
    for field in message.fields().filter(|field| real_oneof(field).is_none()) {
        scope.add(
            names::ident(&names::snake(field.name())),
            field.full_name(),
            || sources.field(&field),
            twins,
        );
    }
    for oneof in real_oneofs(message) {
        scope.add(
            names::ident(&names::snake(oneof.name())),
            oneof.full_name(),
            || sources.oneof(&oneof),
            twins,
        );
        let mut variants = Scope::default();
        for field in oneof.fields() {
            let rust = names::ident(&names::camel(field.name()));
            variants.add(rust, field.full_name(), || sources.field(&field), twins);
        }
    }
}

/// The values of an enum. Several names of one number are one variant.
fn values(one: &EnumDescriptor, payloads: &BTreeSet<&str>, sources: &Sources<'_>, twins: &mut Vec<Twin>) {
    let known = payloads.contains(one.full_name());
    let (mut taken, mut numbers) = (BTreeMap::new(), BTreeSet::new());
    let listed = one.enum_descriptor_proto().value.iter();
    for value in listed.filter_map(|value| one.get_value_by_name(value.name())) {
        if !numbers.insert(value.number()) {
            continue;
        }
        let rust = names::ident(&names::variant(one.name(), value.name()));
        if let Some((other, number)) =
            taken.insert(rust.clone(), (value.full_name().to_owned(), value.number()))
            && (!known || number == 0 || value.number() == 0)
        {
            twins.push((other, value.full_name().to_owned(), rust, sources.value(&value)));
        }
    }
}
