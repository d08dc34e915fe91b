//! Where things stand in .proto files, kept apart while they are compiled.
//!
//! The compiler puts the options of a file, which are names until all imports are known, under their numbers, and moves their
//! positions along: for each option it goes over all positions of the file, which takes seconds for a schema of a thousand
//! kinds of events. So the files are compiled without positions; here they are put back, those of options under the
//! numbers that the names have by then.

use prost_reflect::prost_types::source_code_info::Location;
use prost_reflect::prost_types::uninterpreted_option::NamePart;
use prost_reflect::prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, ServiceDescriptorProto,
    SourceCodeInfo, UninterpretedOption,
};
use prost_reflect::{DescriptorPool, Kind, MessageDescriptor};

use crate::descriptors::SOURCE_CODE_INFO;

/// Where options stand before their names are known: `uninterpreted_option` of every kind of options.
const UNKNOWN: i32 = 999;

/// A file as it was parsed, with its positions beside it.
#[derive(Debug)]
pub(crate) struct Parsed {
    file: FileDescriptorProto,
    positions: SourceCodeInfo,
}

impl Parsed {
    /// Takes the positions out of a file.
    pub(crate) fn new(mut file: FileDescriptorProto) -> Option<Self> {
        let positions = file.source_code_info.take()?;
        Some(Self { file, positions })
    }

    /// The file without them.
    pub(crate) fn file(&self) -> &FileDescriptorProto {
        &self.file
    }

    /// The positions with all options under their numbers.
    fn resolved(&self, pool: &DescriptorPool) -> SourceCodeInfo {
        let resolve = |location: &Location| {
            let path = path(&self.file, &location.path, pool).unwrap_or_else(|| location.path.clone());
            Location { path, ..location.clone() }
        };
        SourceCodeInfo { location: self.positions.location.iter().map(resolve).collect() }
    }
}

/// The same pool, with positions in these files. `None` if they cannot be put back.
pub(crate) fn put_back<'a>(
    pool: &DescriptorPool,
    parsed: impl Fn(&str) -> Option<&'a Parsed>,
) -> Option<DescriptorPool> {
    let mut whole = DescriptorPool::new();
    for file in pool.files() {
        let mut bytes = file.encode_to_vec();
        if let Some(parsed) = parsed(file.name()) {
            prost_reflect::prost::encoding::message::encode(
                SOURCE_CODE_INFO,
                &parsed.resolved(pool),
                &mut bytes,
            );
        }
        whole.decode_file_descriptor_proto(bytes.as_slice()).ok()?;
    }
    Some(whole)
}

/// Something in a file that has options.
enum Item<'a> {
    File(&'a FileDescriptorProto),
    Message(&'a DescriptorProto),
    Field(&'a FieldDescriptorProto),
    Oneof(&'a prost_reflect::prost_types::OneofDescriptorProto),
    Enum(&'a EnumDescriptorProto),
    Value(&'a prost_reflect::prost_types::EnumValueDescriptorProto),
    Service(&'a ServiceDescriptorProto),
    Method(&'a prost_reflect::prost_types::MethodDescriptorProto),
}

/// The path of a position within an option, with the option's numbers. `None` for any other.
fn path(file: &FileDescriptorProto, path: &[i32], pool: &DescriptorPool) -> Option<Vec<i32>> {
    if !path.contains(&UNKNOWN) {
        return None;
    }
    let (mut item, mut at) = (Item::File(file), 0);
    let mut scope = file.package().to_owned();
    loop {
        let (&tag, &index) = (path.get(at)?, path.get(at + 1)?);
        if let Some((options, all)) = options(&item, tag) {
            let which = usize::try_from(*path.get(at + 2)?).ok()?;
            let numbers = (index == UNKNOWN).then(|| numbers(pool, options, &scope, all, which))??;
            let (before, behind) = (path.get(..=at)?, path.get(at + 3..)?);
            return Some([before, &numbers, behind].concat());
        }
        let (name, inner) = inner(&item, tag, usize::try_from(index).ok()?)?;
        if matches!(inner, Item::Message(_) | Item::Enum(_) | Item::Service(_)) {
            scope = if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") };
        }
        (item, at) = (inner, at + 2);
    }
}

/// The message of options that this field of an item's descriptor is, and those that are written in it.
fn options<'a>(item: &Item<'a>, tag: i32) -> Option<(&'static str, &'a [UninterpretedOption])> {
    macro_rules! of {
        ($item:expr, $name:literal) => {
            ($name, $item.options.as_ref()?.uninterpreted_option.as_slice())
        };
    }
    Some(match (item, tag) {
        (Item::File(one), 8) => of!(one, "google.protobuf.FileOptions"),
        (Item::Message(one), 7) => of!(one, "google.protobuf.MessageOptions"),
        (Item::Field(one), 8) => of!(one, "google.protobuf.FieldOptions"),
        (Item::Oneof(one), 2) => of!(one, "google.protobuf.OneofOptions"),
        (Item::Enum(one), 3) => of!(one, "google.protobuf.EnumOptions"),
        (Item::Value(one), 3) => of!(one, "google.protobuf.EnumValueOptions"),
        (Item::Service(one), 3) => of!(one, "google.protobuf.ServiceOptions"),
        (Item::Method(one), 4) => of!(one, "google.protobuf.MethodOptions"),
        _ => return None,
    })
}

/// What stands in an item's descriptor at this place, and its name.
fn inner<'a>(item: &Item<'a>, tag: i32, index: usize) -> Option<(&'a str, Item<'a>)> {
    macro_rules! of {
        ($list:expr, $item:path) => {{
            let one = $list.get(index)?;
            (one.name(), $item(one))
        }};
    }
    Some(match (item, tag) {
        (Item::File(one), 4) => of!(one.message_type, Item::Message),
        (Item::File(one), 5) => of!(one.enum_type, Item::Enum),
        (Item::File(one), 6) => of!(one.service, Item::Service),
        (Item::File(one), 7) => of!(one.extension, Item::Field),
        (Item::Message(one), 2) => of!(one.field, Item::Field),
        (Item::Message(one), 3) => of!(one.nested_type, Item::Message),
        (Item::Message(one), 4) => of!(one.enum_type, Item::Enum),
        (Item::Message(one), 6) => of!(one.extension, Item::Field),
        (Item::Message(one), 8) => of!(one.oneof_decl, Item::Oneof),
        (Item::Enum(one), 2) => of!(one.value, Item::Value),
        (Item::Service(one), 2) => of!(one.method, Item::Method),
        _ => return None,
    })
}

/// The numbers of an option's name; behind them, where it is repeated, its place among those of that name.
fn numbers(
    pool: &DescriptorPool,
    options: &str,
    scope: &str,
    all: &[UninterpretedOption],
    which: usize,
) -> Option<Vec<i32>> {
    let option = all.get(which)?;
    let known = pool.get_message_by_name(options);
    let mut message = known.or_else(|| DescriptorPool::global().get_message_by_name(options))?;
    let (mut numbers, mut is_list) = (Vec::new(), false);
    for part in &option.name {
        let (number, kind, list) = field(&message, part, scope, pool)?;
        numbers.push(i32::try_from(number).ok()?);
        is_list = list;
        if let Kind::Message(inner) = kind {
            message = inner;
        }
    }
    if is_list {
        let before = all.iter().take(which).filter(|other| other.name == option.name).count();
        numbers.push(i32::try_from(before).ok()?);
    }
    Some(numbers)
}

/// A part of an option's name: its number, its type, and whether it is repeated.
fn field(
    message: &MessageDescriptor,
    part: &NamePart,
    scope: &str,
    pool: &DescriptorPool,
) -> Option<(u32, Kind, bool)> {
    if !part.is_extension {
        let field = message.get_field_by_name(&part.name_part)?;
        return Some((field.number(), field.kind(), field.is_list()));
    }
    let found = match part.name_part.strip_prefix('.') {
        Some(full) => pool.get_extension_by_name(full),
        // From the innermost scope outwards.
        None => scopes(scope).find_map(|scope| match scope {
            "" => pool.get_extension_by_name(&part.name_part),
            scope => pool.get_extension_by_name(&format!("{scope}.{}", part.name_part)),
        }),
    }?;
    Some((found.number(), found.kind(), found.is_list()))
}

/// A scope and those around it, the empty one last.
fn scopes(scope: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(scope), |&scope| match scope.rsplit_once('.') {
        Some((around, _)) => Some(around),
        None => (!scope.is_empty()).then_some(""),
    })
}
