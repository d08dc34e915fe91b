//! Where things stand in .proto files, and what was written above them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use prost_reflect::prost_types::source_code_info::Location;
use prost_reflect::{
    EnumDescriptor, EnumValueDescriptor, FieldDescriptor, FileDescriptor, MessageDescriptor, OneofDescriptor,
};

use crate::model::Origin;

/// Looks up positions and comments.
#[derive(Debug)]
pub(crate) struct Sources<'a> {
    paths: &'a BTreeMap<String, PathBuf>,
}

impl<'a> Sources<'a> {
    /// `paths` says where files lie on disk; any other file goes by its import name.
    pub(crate) fn new(paths: &'a BTreeMap<String, PathBuf>) -> Self {
        Self { paths }
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

    fn origin(&self, file: &FileDescriptor, path: &[i32]) -> Origin {
        let place = |at: usize| {
            let span = location(file, path, |location| location.span.get(at).copied());
            // Spans count from 0, people from 1.
            span.and_then(|number| u32::try_from(number).ok()).map_or(0, |number| number.saturating_add(1))
        };
        Origin { file: self.path(file), line: place(0), column: place(1) }
    }
}

/// The comment above the thing at `path`, or else the one behind it on its line.
pub(crate) fn comment(file: &FileDescriptor, path: &[i32]) -> String {
    location(file, path, |location| {
        let said = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
        said(&location.leading_comments).or_else(|| said(&location.trailing_comments))
    })
    .unwrap_or_default()
}

fn location<T>(file: &FileDescriptor, path: &[i32], take: impl Fn(&Location) -> Option<T>) -> Option<T> {
    let info = file.file_descriptor_proto().source_code_info.as_ref()?;
    info.location.iter().filter(|location| location.path == path).find_map(take)
}
