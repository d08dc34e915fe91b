//! Edits of descriptor sets: of any field of any descriptor, our options too, with values that compilers never write.

use prost_reflect::prost::Message as _;
use prost_reflect::{DynamicMessage, ExtensionDescriptor, FieldDescriptor, Kind, ReflectMessage as _, Value};

use crate::base::{Base, ROOT};
use crate::choices::Choices;

const NAMES: &[&str] = &[
    "",
    "_",
    "__",
    ".",
    "..",
    "a.b",
    ".a",
    "é",
    "a-b",
    "1",
    "x y",
    "a\nb",
    "*/",
    "\"",
    "self",
    "Self",
    "crate",
    "type",
    "operation",
    "Event",
    "DemoEvent",
    "DemoPayload",
    "key",
    "value",
    "XEntry",
    "level",
    "Level",
    "Option",
    "String",
    "Vec",
    "password",
    ".golden.nowhere.Gone",
    "google.protobuf",
    ".google.protobuf.Any",
    ".google.protobuf.Timestamp",
    "google.protobuf.Struct",
    ".rodent.events.EventLevel",
    ".torture.parts.Mood",
    "rodent.events",
    ".torture.parts.DemoNestedPayload",
    "proto2",
    "proto3",
    "editions",
    "mutated.proto",
    "events/annotations.proto",
    "google/protobuf/any.proto",
    "BY_OPERATION",
    "INFO",
    "\u{0}",
];

const INTEGERS: &[i64] = &[
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    10,
    11,
    14,
    15,
    18,
    19,
    63,
    64,
    255,
    18_999,
    19_000,
    536_870_911,
    536_870_912,
    i32::MAX as i64,
    -1,
    i32::MIN as i64,
    i64::MAX,
    i64::MIN,
];

/// Messages inside messages end here.
const DEEPEST: usize = 12;

/// An encoded set with one mutated file in it, and the file's name.
pub(crate) fn mutated(base: &Base, choices: &mut Choices<'_>, most: usize) -> (Vec<u8>, String) {
    let one = choices.below(base.files.len());
    // Positions and comments are most of a file, and mean least.
    let mut file = if choices.below(8) == 1 { base.files[one].clone() } else { base.bare[one].clone() };
    for _ in 0..=choices.below(most) {
        if choices.is_empty() {
            break;
        }
        let donor = choices.of(&base.files);
        message(&mut file, donor, choices, 0);
    }
    let name = file.get_field_by_name("name").and_then(|name| name.as_str().map(str::to_owned));
    let imports = file.get_field_by_name("dependency");
    let imports = imports.iter().flat_map(|one| one.as_list().unwrap_or_default());
    let imports: Vec<String> = imports.filter_map(|one| one.as_str().map(str::to_owned)).collect();
    (
        base.imports.set(imports, &file.encode_to_vec()).bytes,
        name.filter(|name| !name.is_empty()).unwrap_or_else(|| ROOT.to_owned()),
    )
}

/// A field of a message, or an extension of it.
#[derive(Clone)]
enum Slot {
    Field(FieldDescriptor),
    Extension(ExtensionDescriptor),
}

impl Slot {
    fn kind(&self) -> Kind {
        match self {
            Self::Field(one) => one.kind(),
            Self::Extension(one) => one.kind(),
        }
    }

    fn is_list(&self) -> bool {
        matches!(self, Self::Field(one) if one.is_list())
    }

    fn get_mut<'a>(&self, message: &'a mut DynamicMessage) -> &'a mut Value {
        match self {
            Self::Field(one) => message.get_field_mut(one),
            Self::Extension(one) => message.get_extension_mut(one),
        }
    }

    fn put(&self, message: &mut DynamicMessage, value: Value) {
        // A value of the slot's own kind always fits.
        match self {
            Self::Field(one) => message.set_field(one, value),
            Self::Extension(one) => message.set_extension(one, value),
        }
    }

    fn clear(&self, message: &mut DynamicMessage) {
        match self {
            Self::Field(one) => message.clear_field(one),
            Self::Extension(one) => message.clear_extension(one),
        }
    }
}

/// Changes something in a message or inside of it.
fn message(one: &mut DynamicMessage, donor: &DynamicMessage, choices: &mut Choices<'_>, depth: usize) {
    let set: Vec<Slot> = one
        .fields()
        .map(|(field, _)| Slot::Field(field))
        .chain(one.extensions().map(|(field, _)| Slot::Extension(field)))
        .collect();
    if set.is_empty() || choices.below(8) == 7 {
        // Something that is not there yet.
        let descriptor = one.descriptor();
        let all: Vec<Slot> = descriptor
            .fields()
            .map(Slot::Field)
            .chain(descriptor.extensions().map(Slot::Extension))
            .collect();
        if let Some(slot) = all.get(choices.below(all.len())) {
            let value = value(&slot.kind(), choices);
            slot.put(one, if slot.is_list() { Value::List(vec![value]) } else { value });
        }
        return;
    }
    // Go down more often than change what is up here: there is more of it.
    let inner: Vec<&Slot> = set.iter().filter(|slot| matches!(slot.kind(), Kind::Message(_))).collect();
    let slot = match !inner.is_empty() && choices.below(4) != 3 {
        true => (*choices.of(&inner)).clone(),
        false => choices.of(&set).clone(),
    };
    let go_down = depth < DEEPEST && choices.below(6) != 5;
    match slot.get_mut(one) {
        Value::Message(inner) if go_down => message(inner, donor, choices, depth + 1),
        Value::List(values) => list(values, &slot, donor, choices, depth),
        _ if choices.below(4) == 3 => slot.clear(one),
        _ => slot.put(one, value(&slot.kind(), choices)),
    }
}

fn list(list: &mut Vec<Value>, slot: &Slot, donor: &DynamicMessage, choices: &mut Choices<'_>, depth: usize) {
    let at = choices.below(list.len());
    match choices.below(10) {
        0 if !list.is_empty() => {
            list.remove(at);
        }
        1 if !list.is_empty() => {
            let copy = list[at].clone();
            list.push(copy);
        }
        2 if !list.is_empty() => {
            let other = choices.below(list.len());
            list.swap(at, other);
        }
        3 => match taken(donor, slot) {
            Some(more) if !more.is_empty() => list.push(choices.of(&more).clone()),
            _ => list.push(value(&slot.kind(), choices)),
        },
        _ => match list.get_mut(at) {
            Some(Value::Message(inner)) => message(inner, donor, choices, depth + 1),
            Some(other) => *other = value(&slot.kind(), choices),
            None => list.push(value(&slot.kind(), choices)),
        },
    }
}

/// What another schema lists in the same place.
fn taken(donor: &DynamicMessage, slot: &Slot) -> Option<Vec<Value>> {
    let Slot::Field(field) = slot else { return None };
    if *field.parent_message() != donor.descriptor() {
        return None;
    }
    Some(donor.get_field(field).as_list()?.to_vec())
}

fn value(kind: &Kind, choices: &mut Choices<'_>) -> Value {
    let integer = *choices.of(INTEGERS);
    match kind {
        Kind::Double | Kind::Float => match kind {
            Kind::Double => Value::F64(f64::NAN),
            _ => Value::F32(f32::INFINITY),
        },
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(integer as i32),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(integer),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(integer as u32),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(integer as u64),
        Kind::Bool => Value::Bool(choices.yes()),
        Kind::String => Value::String(choices.word(NAMES).to_owned()),
        Kind::Bytes => Value::Bytes(choices.word(NAMES).as_bytes().to_vec().into()),
        Kind::Message(one) => Value::Message(DynamicMessage::new(one.clone())),
        // Numbers that the enum has more often than not.
        Kind::Enum(_) => Value::EnumNumber(choices.below(20) as i32),
    }
}
