//! Where things stand in .proto files, and what was written above them.

use std::collections::HashMap;

use prost_reflect::prost_types::FileDescriptorProto;
use prost_reflect::prost_types::source_code_info::Location;
use prost_reflect::{
    EnumDescriptor, EnumValueDescriptor, FieldDescriptor, FileDescriptor, MessageDescriptor,
    MethodDescriptor, OneofDescriptor,
};

use crate::compile::Compiled;
use crate::origin::Origin;
use crate::texts::Text;

/// The numbers of fields in protobuf's own descriptors, of which paths are made.
mod tag {
    /// The name of a message, field, oneof, enum or value.
    pub(super) const NAME: i32 = 1;
    pub(super) const FIELD_TYPE: i32 = 5;
    pub(super) const FIELD_TYPE_NAME: i32 = 6;
    pub(super) const FILE_IMPORT: i32 = 3;

    pub(super) const FILE_OPTIONS: i32 = 8;
    pub(super) const MESSAGE_OPTIONS: i32 = 7;
    pub(super) const FIELD_OPTIONS: i32 = 8;
    pub(super) const ONEOF_OPTIONS: i32 = 2;
    pub(super) const ENUM_OPTIONS: i32 = 3;
    pub(super) const VALUE_OPTIONS: i32 = 3;
    pub(super) const METHOD_OPTIONS: i32 = 4;
}

/// Something in a schema that can be pointed at.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Item<'a> {
    File(&'a FileDescriptor),
    Message(&'a MessageDescriptor),
    Field(&'a FieldDescriptor),
    Oneof(&'a OneofDescriptor),
    Enum(&'a EnumDescriptor),
    Value(&'a EnumValueDescriptor),
    Method(&'a MethodDescriptor),
}

impl Item<'_> {
    pub(crate) fn file(self) -> FileDescriptor {
        match self {
            Self::File(file) => file.clone(),
            Self::Message(one) => one.parent_file(),
            Self::Field(one) => one.parent_message().parent_file(),
            Self::Oneof(one) => one.parent_message().parent_file(),
            Self::Enum(one) => one.parent_file(),
            Self::Value(one) => one.parent_enum().parent_file(),
            Self::Method(one) => one.parent_file(),
        }
    }

    fn path(&self) -> &[i32] {
        match self {
            Self::File(_) => &[],
            Self::Message(one) => one.path(),
            Self::Field(one) => one.path(),
            Self::Oneof(one) => one.path(),
            Self::Enum(one) => one.path(),
            Self::Value(one) => one.path(),
            Self::Method(one) => one.path(),
        }
    }

    fn options(self) -> i32 {
        match self {
            Self::File(_) => tag::FILE_OPTIONS,
            Self::Message(_) => tag::MESSAGE_OPTIONS,
            Self::Field(_) => tag::FIELD_OPTIONS,
            Self::Oneof(_) => tag::ONEOF_OPTIONS,
            Self::Enum(_) => tag::ENUM_OPTIONS,
            Self::Value(_) => tag::VALUE_OPTIONS,
            Self::Method(_) => tag::METHOD_OPTIONS,
        }
    }
}

/// Lines and columns from 0 on: where it begins, and where it ends.
type Span = [i32; 4];

/// Looks up positions and comments.
#[derive(Debug)]
pub(crate) struct Sources<'a> {
    compiled: &'a Compiled,
    /// By the import names of the files.
    files: HashMap<&'a str, Places<'a>>,
}

/// Where things are in one file.
#[derive(Debug, Default)]
struct Places<'a> {
    /// How people know the file.
    shown: String,
    /// Sorted by their paths: there may be a hundred thousand, too many to look through for each. A thing may be in several
    /// places, which stay in their order.
    sorted: Vec<&'a Location>,
}

impl<'a> Sources<'a> {
    pub(crate) fn new(compiled: &'a Compiled) -> Self {
        let places = |file: &'a FileDescriptorProto| {
            let mut sorted: Vec<_> = file.source_code_info.iter().flat_map(|info| &info.location).collect();
            sorted.sort_by(|a, b| a.path.cmp(&b.path));
            (file.name(), Places { shown: compiled.shown(file.name()), sorted })
        };
        Self { compiled, files: compiled.pool.file_descriptor_protos().map(places).collect() }
    }

    /// The name of a message.
    pub(crate) fn message(&self, message: &MessageDescriptor) -> Origin {
        self.name(Item::Message(message))
    }

    /// The name of a field.
    pub(crate) fn field(&self, field: &FieldDescriptor) -> Origin {
        self.name(Item::Field(field))
    }

    /// The type of a field.
    pub(crate) fn field_type(&self, field: &FieldDescriptor) -> Origin {
        let item = Item::Field(field);
        self.part(item, &[&[tag::FIELD_TYPE_NAME], &[tag::FIELD_TYPE], &[tag::NAME]])
    }

    /// The name of a service's method.
    pub(crate) fn method(&self, method: &MethodDescriptor) -> Origin {
        self.name(Item::Method(method))
    }

    /// The name of a oneof.
    pub(crate) fn oneof(&self, oneof: &OneofDescriptor) -> Origin {
        self.name(Item::Oneof(oneof))
    }

    /// The name of an enum.
    pub(crate) fn enumeration(&self, one: &EnumDescriptor) -> Origin {
        self.name(Item::Enum(one))
    }

    /// The name of a value.
    pub(crate) fn value(&self, value: &EnumValueDescriptor) -> Origin {
        self.name(Item::Value(value))
    }

    /// An import of a file, by its place among them.
    pub(crate) fn import(&self, file: &FileDescriptor, index: usize) -> Origin {
        let index = i32::try_from(index).unwrap_or(i32::MAX);
        self.part(Item::File(file), &[&[tag::FILE_IMPORT, index]])
    }

    /// All of it, from its first word to its last.
    pub(crate) fn whole(&self, item: Item<'_>) -> Origin {
        match item {
            Item::File(file) => Origin::file(self.path(file)),
            item => self.part(item, &[]),
        }
    }

    /// What the option `number` says of an item, as far as possible just its `key`, which has the number and the name.
    /// Where it stands nowhere, the name of the item.
    pub(crate) fn option(&self, item: Item<'_>, number: u32, key: Option<(u32, &str)>) -> Origin {
        let number = i32::try_from(number).unwrap_or_default();
        let options = item.options();
        let Some((key_number, key)) = key else {
            return self.part(item, &[&[options, number], &[options, number, 0], &[tag::NAME]]);
        };
        let exact = [options, number, i32::try_from(key_number).unwrap_or_default()];
        if self.span(item, &exact).is_some() {
            return self.part(item, &[&exact]);
        }
        let whole = self.part(item, &[&[options, number], &[tag::NAME]]);
        self.compiled.texts.get(&whole.file).and_then(|text| narrow(text, &whole, key)).unwrap_or(whole)
    }

    /// What the element `index` of a repeated option says.
    pub(crate) fn element(&self, item: Item<'_>, number: u32, index: usize) -> Origin {
        let number = i32::try_from(number).unwrap_or_default();
        let index = i32::try_from(index).unwrap_or_default();
        self.part(item, &[&[item.options(), number, index], &[item.options(), number], &[tag::NAME]])
    }

    /// The comment above an item, or else the one behind it on its line.
    pub(crate) fn comment(&self, item: Item<'_>) -> String {
        self.locations(item, &[]).iter().find_map(|location| said(location)).unwrap_or_default()
    }

    /// The value alone of a place that holds `key: value` or `(option) = value`; any other place as it is.
    pub(crate) fn value_of(&self, place: Origin) -> Origin {
        let value = || {
            let text = self.compiled.texts.get(&place.file)?;
            let (begin, end) = text.range(&place)?;
            let (_, value) = text.as_str().get(begin..end)?.split_once([':', '='])?;
            Some(text.origin(&place.file, end - value.trim_start().len(), end))
        };
        value().unwrap_or(place)
    }

    /// How a file is called in messages to people.
    pub(crate) fn path(&self, file: &FileDescriptor) -> String {
        self.files
            .get(file.name())
            .map_or_else(|| self.compiled.shown(file.name()), |file| file.shown.clone())
    }

    fn name(&self, item: Item<'_>) -> Origin {
        self.part(item, &[&[tag::NAME]])
    }

    /// The first of the `parts` that has a place, or else the whole item.
    fn part(&self, item: Item<'_>, parts: &[&[i32]]) -> Origin {
        let file = self.path(&item.file());
        match parts.iter().chain(&[[].as_slice()]).find_map(|part| self.span(item, part)) {
            // Spans count from 0, people from 1.
            Some(span) => {
                let [line, column, end_line, end_column] =
                    span.map(|number| u32::try_from(number).unwrap_or_default().saturating_add(1));
                Origin { file, line, column, end_line, end_column }
            }
            None => Origin::file(file),
        }
    }

    /// The name of what has a path of its own in a file, such as a service; or all of it, where it has no name.
    pub(crate) fn origin(&self, file: &FileDescriptor, path: &[i32]) -> Origin {
        self.part(Item::File(file), &[&[path, &[tag::NAME]].concat(), path])
    }

    fn span(&self, item: Item<'_>, part: &[i32]) -> Option<Span> {
        self.locations(item, part).iter().find_map(|location| match *location.span {
            [line, column, end] => Some([line, column, line, end]),
            [line, column, end_line, end] => Some([line, column, end_line, end]),
            _ => None,
        })
    }

    /// Where a part of an item stands.
    fn locations(&self, item: Item<'_>, part: &[i32]) -> &[&'a Location] {
        let places = self.files.get(item.file().name()).map_or(&[][..], |file| file.sorted.as_slice());
        let compared = |location: &Location| location.path.iter().cmp(item.path().iter().chain(part));
        let begin = places.partition_point(|location| compared(location).is_lt());
        let places = places.get(begin..).unwrap_or_default();
        let end = places.iter().take_while(|location| compared(location).is_eq()).count();
        places.get(..end).unwrap_or_default()
    }
}

/// Where `key: value` stands in the text of an option such as `(event) = { source: "demo", level: "INFO" }`.
fn narrow(text: &Text, whole: &Origin, key: &str) -> Option<Origin> {
    let (begin, end) = text.range(whole)?;
    let part = text.as_str().get(begin..end)?;
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    for (at, _) in part.match_indices(key) {
        let (before, behind) = (part.get(..at)?, part.get(at + key.len()..)?);
        let value = behind.trim_start();
        // Not a part of another word, and not inside a text: as many quotes before it as close again.
        if before.ends_with(is_word) || !value.starts_with(':') || before.matches('"').count() % 2 == 1 {
            continue;
        }
        let value = value.strip_prefix(':')?.trim_start();
        let length = match value.strip_prefix('"') {
            Some(quoted) => quoted.find('"')? + 2,
            None => value.find(|c: char| !is_word(c)).unwrap_or(value.len()),
        };
        return Some(text.origin(&whole.file, begin + at, end - value.len() + length));
    }
    None
}

/// The comment of the thing at `path`, where few are looked up.
pub(crate) fn comment(file: &FileDescriptor, path: &[i32]) -> String {
    let info = file.file_descriptor_proto().source_code_info.as_ref();
    let locations = info.into_iter().flat_map(|info| &info.location);
    locations.filter(|location| location.path == path).find_map(said).unwrap_or_default()
}

fn said(location: &Location) -> Option<String> {
    let said = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
    said(&location.leading_comments).or_else(|| said(&location.trailing_comments))
}
