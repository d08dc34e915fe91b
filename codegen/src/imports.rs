//! Which imports of a file nothing in it needs.

use std::collections::BTreeSet;

use prost_reflect::{DynamicMessage, FieldDescriptor, FileDescriptor, Kind, Value};

use crate::origin::Origin;
use crate::read::messages;
use crate::source::Sources;

/// The imports of `files` that they use nothing of, each with its place. What is imported `public` is for others, and never
/// counts.
pub(crate) fn unused(files: &[FileDescriptor], sources: &Sources<'_>) -> Vec<(String, Origin)> {
    let mut unused = Vec::new();
    for file in files {
        let proto = file.file_descriptor_proto();
        let used = used(file);
        for (index, name) in proto.dependency.iter().enumerate() {
            let is_public = i32::try_from(index).is_ok_and(|index| proto.public_dependency.contains(&index));
            let Some(imported) = file.parent_pool().get_file_by_name(name) else { continue };
            if !is_public && given(&imported).is_disjoint(&used) {
                unused.push((name.clone(), sources.import(file, index)));
            }
        }
    }
    unused
}

/// The names of a file and of those that it imports publicly: all that importing it makes usable.
fn given(file: &FileDescriptor) -> BTreeSet<String> {
    let (mut names, mut open) = (BTreeSet::new(), vec![file.clone()]);
    while let Some(file) = open.pop() {
        if names.insert(file.name().to_owned()) {
            open.extend(file.public_dependencies());
        }
    }
    names
}

/// The names of the files whose types or options a file uses.
fn used(file: &FileDescriptor) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    options(&file.options(), &mut used);
    for message in messages(file) {
        options(&message.options(), &mut used);
        message.fields().for_each(|field| one_field(&field, &mut used));
        message.oneofs().for_each(|oneof| options(&oneof.options(), &mut used));
        message.child_extensions().for_each(|one| extension(&one, &mut used));
    }
    let inner = messages(file).into_iter().flat_map(|message| message.child_enums().collect::<Vec<_>>());
    for one in file.enums().chain(inner) {
        options(&one.options(), &mut used);
        one.values().for_each(|value| options(&value.options(), &mut used));
    }
    file.extensions().for_each(|one| extension(&one, &mut used));
    for service in file.services() {
        options(&service.options(), &mut used);
        for method in service.methods() {
            options(&method.options(), &mut used);
            used.insert(method.input().parent_file().name().to_owned());
            used.insert(method.output().parent_file().name().to_owned());
        }
    }
    used
}

fn one_field(field: &FieldDescriptor, used: &mut BTreeSet<String>) {
    options(&field.options(), used);
    let mut of = |kind: Kind| used.extend(defined(&kind));
    match field.kind() {
        Kind::Message(entry) if field.is_map() => of(entry.map_entry_value_field().kind()),
        kind => of(kind),
    }
}

fn extension(one: &prost_reflect::ExtensionDescriptor, used: &mut BTreeSet<String>) {
    used.insert(one.containing_message().parent_file().name().to_owned());
    used.extend(defined(&one.kind()));
}

/// The file that defines a type.
fn defined(kind: &Kind) -> Option<String> {
    match kind {
        Kind::Message(message) => Some(message.parent_file().name().to_owned()),
        Kind::Enum(one) => Some(one.parent_file().name().to_owned()),
        _ => None,
    }
}

/// The files that define the options which are set, and those inside their values.
fn options(options: &DynamicMessage, used: &mut BTreeSet<String>) {
    for (extension, value) in options.extensions() {
        used.insert(extension.parent_file().name().to_owned());
        inside(value, used);
    }
}

fn inside(value: &Value, used: &mut BTreeSet<String>) {
    // Options are nested as deep as somebody wrote them, which the parser bounds.
    if let Value::Message(message) = value {
        options(message, used);
        message.fields().for_each(|(_, value)| inside(value, used));
    }
}
