//! From .proto files to a descriptor pool, in pure Rust.
//!
//! Files are looked for in the include directories first, then among the copies of our own schema that the generator
//! carries, then among protobuf's. So a crate elsewhere may `import "events/annotations.proto"` without having it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use prost_reflect::DescriptorPool;
use protox::Compiler;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver, IncludeFileResolver};

use crate::error::{Error, Inner};

/// The name of the file that holds our options. It has a meaning at build time only: no Rust is made of it.
pub(crate) const ANNOTATIONS: &str = "events/annotations.proto";

/// Our own schema, as of this generator.
const OWN_FILES: &[(&str, &str)] = &[
    ("base.proto", include_str!("../../proto/base.proto")),
    ("events/event_messages.proto", include_str!("../../proto/events/event_messages.proto")),
    (ANNOTATIONS, include_str!("../../proto/events/annotations.proto")),
];

/// Compiled .proto files.
#[derive(Debug, Clone)]
pub(crate) struct Compiled {
    pub(crate) pool: DescriptorPool,
    /// The files that were asked for, by their import names.
    pub(crate) roots: Vec<String>,
    /// Where the files that are on disk were found, by their import names.
    pub(crate) on_disk: BTreeMap<String, PathBuf>,
    /// The import names of the files that the generator carries itself.
    pub(crate) own: Vec<String>,
}

/// Compiles `protos` and all that they import.
pub(crate) fn compile(protos: &[impl AsRef<Path>], includes: &[impl AsRef<Path>]) -> Result<Compiled, Error> {
    let mut resolver = ChainFileResolver::new();
    for include in includes {
        resolver.add(IncludeFileResolver::new(include.as_ref().to_owned()));
    }
    resolver.add(OwnFiles);
    resolver.add(GoogleFileResolver::new());

    let mut compiler = Compiler::with_file_resolver(resolver);
    for proto in protos {
        compiler.open_file(proto).map_err(|error| refused(&error, includes))?;
    }

    let mut compiled = Compiled {
        pool: compiler.descriptor_pool(),
        roots: Vec::new(),
        on_disk: BTreeMap::new(),
        own: Vec::new(),
    };
    for file in compiler.files() {
        let name = file.name().to_owned();
        if !file.is_import() {
            compiled.roots.push(name.clone());
        }
        match file.path() {
            Some(path) => {
                compiled.on_disk.insert(name, path.to_owned());
            }
            None if is_own(&name) => compiled.own.push(name),
            None => {}
        }
    }
    Ok(compiled)
}

/// Whether the generator carries a file of this import name itself.
pub(crate) fn is_own(name: &str) -> bool {
    OWN_FILES.iter().any(|(own, _)| *own == name)
}

/// protox names the file as an import would; its `Debug` adds line and column.
fn refused(error: &protox::Error, includes: &[impl AsRef<Path>]) -> Error {
    let mut text = format!("{error:?}");
    let cure = match &text {
        _ if error.is_file_not_found() => {
            "name the file as it lies below one of the include directories, or add its directory to them"
        }
        text if text.contains("but found 'edition'") => {
            "editions are not supported: begin the file with `syntax = \"proto3\";`"
        }
        // protox says that the value is wrong, and not what would be right.
        text if text.contains("'rodent.events.EventOptions'") => {
            "its keys are `name`, `source`, `level`, `owner` and `since`, each a string, and `durability`: `DURABILITY_BEST_EFFORT`, \
             `DURABILITY_SPILL` or `DURABILITY_SYNC`"
        }
        text if text.contains("'rodent.events.FieldRules'") => {
            "its keys are `required: true`, `sensitivity: SENSITIVITY_PUBLIC` or `SENSITIVITY_PII`, `unit`, a string, and `max_len`, \
             a number"
        }
        _ => "correct the file at this place",
    };
    if let Some(name) = error.file()
        && text.starts_with(&format!("{name}:"))
        && let Some(path) =
            includes.iter().map(|include| include.as_ref().join(name)).find(|path| path.exists())
    {
        text.replace_range(..name.len(), &path.display().to_string());
    }
    Error::from(Inner::Proto(text, cure))
}

/// Finds our own schema in the generator itself.
struct OwnFiles;

impl FileResolver for OwnFiles {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match OWN_FILES.iter().find(|(own, _)| *own == name) {
            Some((_, source)) => File::from_source(name, source),
            None => Err(protox::Error::file_not_found(name)),
        }
    }
}
