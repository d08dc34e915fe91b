//! What every compiler of .proto files guarantees of descriptors, and those who read them take for granted.

use prost_reflect::prost_types::field_descriptor_proto::{Label, Type};
use prost_reflect::prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
};

/// The number and the name of a map entry's fields.
const ENTRY: [(i32, &str); 2] = [(1, "key"), (2, "value")];

/// The names of a file's parts, and what they are.
type Names<'a> = Vec<(&'static str, &'a str)>;

/// Says what no compiler writes.
pub(super) fn check(file: &FileDescriptorProto) -> Result<(), String> {
    match file.syntax.as_deref() {
        None | Some("proto2" | "proto3") => {}
        Some(other) => return Err(format!("the syntax `{other}` is not supported")),
    }
    if file.name().is_empty() || file.name().contains(char::is_control) {
        return Err("this is no name for a file".to_owned());
    }
    let mut names: Names<'_> = file
        .package()
        .split('.')
        .filter(|_| !file.package().is_empty())
        .map(|part| ("package", part))
        .collect();
    fields(&file.extension, &mut names)?;
    enums(&file.enum_type, &mut names);
    for service in &file.service {
        names.push(("service", service.name()));
        names.extend(service.method.iter().map(|method| ("method", method.name())));
    }
    // A list instead of recursion: messages may be nested deeper than the stack.
    let mut open: Vec<&DescriptorProto> = file.message_type.iter().collect();
    while let Some(message) = open.pop() {
        open.extend(&message.nested_type);
        names.push(("message", message.name()));
        names.extend(message.oneof_decl.iter().map(|oneof| ("oneof", oneof.name())));
        fields(&message.field, &mut names)?;
        fields(&message.extension, &mut names)?;
        enums(&message.enum_type, &mut names);
        if is_entry(message) {
            entry(message)?;
        }
    }
    match names.iter().find(|(_, name)| !is_name(name)) {
        Some((what, name)) => Err(format!("{name:?} is no name for a {what}")),
        None => Ok(()),
    }
}

fn fields<'a>(fields: &'a [FieldDescriptorProto], names: &mut Names<'a>) -> Result<(), String> {
    for field in fields {
        names.push(("field", field.name()));
        let ty = field.r#type.is_none_or(|number| Type::try_from(number).is_ok());
        if !ty || field.label.is_some_and(|number| Label::try_from(number).is_err()) {
            return Err(format!("the field `{}` has an unknown type or label", field.name()));
        }
    }
    Ok(())
}

fn enums<'a>(enums: &'a [EnumDescriptorProto], names: &mut Names<'a>) {
    for one in enums {
        names.push(("enum", one.name()));
        names.extend(one.value.iter().map(|value| ("value", value.name())));
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn is_entry(message: &DescriptorProto) -> bool {
    message.options.as_ref().is_some_and(|options| options.map_entry())
}

/// The message of a map's entries: a key and a value, and nothing else.
fn entry(message: &DescriptorProto) -> Result<(), String> {
    let fits = |field: &FieldDescriptorProto, (number, name): (i32, &str)| {
        field.number() == number
            && field.name() == name
            && field.label() == Label::Optional
            && field.oneof_index.is_none()
    };
    let key = |field: &FieldDescriptorProto| {
        !matches!(
            field.r#type(),
            Type::Double | Type::Float | Type::Bytes | Type::Message | Type::Enum | Type::Group
        )
    };
    match message.field.as_slice() {
        [first, second] if fits(first, ENTRY[0]) && fits(second, ENTRY[1]) && key(first) => Ok(()),
        _ => Err(format!("`{}` is no map's entry", message.name())),
    }
}

/// The paths of a file's messages, enums and services, and of all inside them that somebody wrote: maps have messages, and
/// `optional` fields oneofs, that nobody did.
pub(super) fn paths(file: &FileDescriptorProto) -> impl Iterator<Item = Vec<i32>> + '_ {
    let mut found = Vec::new();
    let mut open: Vec<(Vec<i32>, &DescriptorProto)> = Vec::new();
    let below = |path: &[i32], tag: i32, count: usize| {
        let path = path.to_owned();
        (0..count)
            .map(move |index| [path.as_slice(), &[tag, i32::try_from(index).unwrap_or(i32::MAX)]].concat())
    };
    let enums = |path: &[i32], tag: i32, enums: &[EnumDescriptorProto], found: &mut Vec<Vec<i32>>| {
        for (path, one) in below(path, tag, enums.len()).zip(enums) {
            found.extend(below(&path, 2, one.value.len()));
            found.push(path);
        }
    };
    open.extend(below(&[], 4, file.message_type.len()).zip(&file.message_type));
    enums(&[], 5, &file.enum_type, &mut found);
    for (path, service) in below(&[], 6, file.service.len()).zip(&file.service) {
        found.extend(below(&path, 2, service.method.len()));
        found.push(path);
    }
    while let Some((path, message)) = open.pop() {
        if is_entry(message) {
            continue;
        }
        found.extend(below(&path, 2, message.field.len()));
        let written = |oneof: &i32| {
            message.field.iter().any(|field| field.oneof_index == Some(*oneof) && !field.proto3_optional())
        };
        let oneofs = below(&path, 8, message.oneof_decl.len());
        found.extend(oneofs.zip(0..).filter(|(_, oneof)| written(oneof)).map(|(path, _)| path));
        enums(&path, 4, &message.enum_type, &mut found);
        open.extend(below(&path, 3, message.nested_type.len()).zip(&message.nested_type));
        found.push(path);
    }
    found.into_iter()
}
