//! Where things stand in .proto files, and what was written above them.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use prost_reflect::prost_types::source_code_info::Location;
use prost_reflect::{
    DescriptorPool, EnumDescriptor, EnumValueDescriptor, FieldDescriptor, FileDescriptor, MessageDescriptor,
    OneofDescriptor,
};

use crate::model::Origin;

/// Where things are in one file, by their paths; a thing may be in several places.
type Places<'a> = HashMap<&'a [i32], Vec<&'a Location>>;

/// Looks up positions and comments.
#[derive(Debug)]
pub(crate) struct Sources<'a> {
    paths: &'a BTreeMap<String, PathBuf>,
    /// By the import names of the files. A file may have a hundred thousand places, too many to look through for each.
    places: HashMap<&'a str, Places<'a>>,
}

impl<'a> Sources<'a> {
    /// `paths` says where files lie on disk; any other file goes by its import name.
    pub(crate) fn new(pool: &'a DescriptorPool, paths: &'a BTreeMap<String, PathBuf>) -> Self {
        let mut places: HashMap<&str, Places<'_>> = HashMap::new();
        for file in pool.file_descriptor_protos() {
            let places = places.entry(file.name()).or_default();
            for location in file.source_code_info.iter().flat_map(|info| &info.location) {
                places.entry(&location.path).or_default().push(location);
            }
        }
        Self { paths, places }
    }

    pub(crate) fn message(&self, message: &MessageDescriptor) -> Origin {
        self.origin(&message.parent_file(), message.path())
    }

    pub(crate) fn field(&self, field: &FieldDescriptor) -> Origin {
        self.origin(&field.parent_message().parent_file(), field.path())
    }

    pub(crate) fn oneof(&self, oneof: &OneofDescriptor) -> Origin {
        self.origin(&oneof.parent_message().parent_file(), oneof.path())
    }

    pub(crate) fn enumeration(&self, one: &EnumDescriptor) -> Origin {
        self.origin(&one.parent_file(), one.path())
    }

    pub(crate) fn value(&self, value: &EnumValueDescriptor) -> Origin {
        self.origin(&value.parent_enum().parent_file(), value.path())
    }

    fn path(&self, file: &FileDescriptor) -> String {
        self.paths.get(file.name()).map_or_else(|| file.name().to_owned(), |path| path.display().to_string())
    }

    pub(crate) fn origin(&self, file: &FileDescriptor, path: &[i32]) -> Origin {
        let locations = self.places.get(file.name()).and_then(|places| places.get(path));
        let place = |at: usize| {
            let span =
                locations.and_then(|all| all.iter().find_map(|location| location.span.get(at).copied()));
            // Spans count from 0, people from 1.
            span.and_then(|number| u32::try_from(number).ok()).map_or(0, |number| number.saturating_add(1))
        };
        Origin { file: self.path(file), line: place(0), column: place(1) }
    }

    /// The comment above the thing at `path`, or else the one behind it on its line.
    pub(crate) fn comment(&self, file: &FileDescriptor, path: &[i32]) -> String {
        let locations = self.places.get(file.name()).and_then(|places| places.get(path));
        locations.and_then(|all| all.iter().find_map(|location| said(location))).unwrap_or_default()
    }
}

/// The same where few are looked up.
pub(crate) fn comment(file: &FileDescriptor, path: &[i32]) -> String {
    let info = file.file_descriptor_proto().source_code_info.as_ref();
    let mut all = info.into_iter().flat_map(|info| &info.location).filter(|location| location.path == path);
    all.find_map(said).unwrap_or_default()
}

fn said(location: &Location) -> Option<String> {
    let said = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
    said(&location.leading_comments).or_else(|| said(&location.trailing_comments))
}
