//! What mutation starts from.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use prost_reflect::prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, Kind, MessageDescriptor, Value};
use protox::file::File;

/// The name that every schema goes by here.
pub(crate) const ROOT: &str = "mutated.proto";

/// What the options of a schema are defined in.
pub(crate) const ANNOTATIONS: &str = "events/annotations.proto";

/// What schemas import. Of ours only what they need is kept, for speed.
const IMPORTS: &[&str] = &[
    "google/protobuf/descriptor.proto",
    "google/protobuf/any.proto",
    "google/protobuf/duration.proto",
    "google/protobuf/empty.proto",
    "google/protobuf/field_mask.proto",
    "google/protobuf/struct.proto",
    "google/protobuf/timestamp.proto",
    "google/protobuf/wrappers.proto",
    ANNOTATIONS,
    "events/event_messages.proto",
    "torture_older.proto",
    "torture_parts.proto",
];

pub(crate) struct Base {
    /// Schemas by name, each of one file.
    pub(crate) sources: Vec<(String, String)>,
    /// What schemas import.
    pub(crate) imports: Imports,
    /// The encoded set of each schema that is valid protobuf.
    pub(crate) sets: Vec<Set>,
    /// Each of `sets` without what it imports, to be taken apart.
    pub(crate) files: Vec<DynamicMessage>,
    /// The same without positions and comments.
    pub(crate) bare: Vec<DynamicMessage>,
    /// Encoded sets that were answered wrongly once.
    pub(crate) damaged: Vec<Vec<u8>>,
}

/// A file behind all that it imports, encoded.
#[derive(Clone)]
pub(crate) struct Set {
    pub(crate) bytes: Vec<u8>,
    /// Where the file itself begins.
    pub(crate) own: usize,
}

/// Files that may be imported, each after those that it imports itself. Of them a set gets those that it asks for: reading all
/// of them for every input would take most of the time.
pub(crate) struct Imports(Vec<Import>);

struct Import {
    name: String,
    imports: Vec<String>,
    set: Vec<u8>,
}

impl Imports {
    /// The encoded `file` behind those of `wanted` that there are, and what they import.
    pub(crate) fn set(&self, wanted: impl IntoIterator<Item = String>, file: &[u8]) -> Set {
        let mut bytes = self.alone(wanted);
        let own = bytes.len();
        bytes.extend(as_set(file));
        Set { bytes, own }
    }

    /// Those of `wanted` that there are, and what they import.
    pub(crate) fn alone(&self, wanted: impl IntoIterator<Item = String>) -> Vec<u8> {
        let mut wanted: BTreeSet<String> = wanted.into_iter().collect();
        let mut taken: Vec<&[u8]> = Vec::new();
        for one in self.0.iter().rev() {
            if wanted.remove(&one.name) {
                wanted.extend(one.imports.iter().cloned());
                taken.push(&one.set);
            }
        }
        taken.reverse();
        taken.concat()
    }

    fn all(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|one| one.name.clone())
    }
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn read(folder: &str, ending: &str) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(here().join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let files = files.into_iter().filter(|path| path.extension().is_some_and(|one| one == ending));
    files.map(|path| (path.display().to_string(), fs::read(path).unwrap())).collect()
}

impl Base {
    pub(crate) fn load() -> Self {
        let mut sources = Vec::new();
        for folder in [
            "tests/fuzz/corpus",
            "../tests/golden",
            "../tests/torture",
            "../examples/custom_schema/proto/acme",
        ] {
            let texts = read(folder, "proto");
            sources.extend(texts.into_iter().map(|(name, text)| (name, String::from_utf8(text).unwrap())));
        }
        let imports = imports();
        let pool = DescriptorPool::decode(imports.alone(imports.all()).as_slice()).unwrap();
        let file = pool.get_message_by_name("google.protobuf.FileDescriptorProto").unwrap();
        let valid: Vec<(Vec<String>, Vec<u8>)> =
            sources.iter().filter_map(|(_, source)| compile(&imports, source)).collect();
        assert!(valid.len() > 10, "{} schemas", valid.len());
        let files =
            valid.iter().map(|(_, one)| DynamicMessage::decode(file.clone(), one.as_slice()).unwrap());
        let files: Vec<DynamicMessage> = files.collect();
        let mut bare = files.clone();
        bare.iter_mut().for_each(|file| file.clear_field_by_name("source_code_info"));
        Self {
            files,
            bare,
            sets: valid.iter().map(|(wanted, one)| imports.set(wanted.iter().cloned(), one)).collect(),
            imports,
            damaged: read("tests/fuzz/corpus", "pb").into_iter().map(|(_, bytes)| bytes).collect(),
            sources,
        }
    }
}

/// What the file imports and the encoded file, if it is valid protobuf.
fn compile(imports: &Imports, source: &str) -> Option<(Vec<String>, Vec<u8>)> {
    let file = File::from_source(ROOT, source).ok()?;
    let file = file.file_descriptor_proto();
    let set = imports.set(file.dependency.iter().cloned(), &file.encode_to_vec());
    let pool = DescriptorPool::decode(set.bytes.as_slice()).ok()?;
    Some((file.dependency.clone(), pool.get_file_by_name(ROOT)?.encode_to_vec()))
}

/// A set of this one encoded file. Encoded sets may be joined end to end.
fn as_set(file: &[u8]) -> Vec<u8> {
    let mut set = vec![0x0a];
    prost_reflect::prost::encoding::encode_varint(file.len() as u64, &mut set);
    set.extend_from_slice(file);
    set
}

fn imports() -> Imports {
    let mut compiler =
        protox::Compiler::new([here().join("../proto"), here().join("../tests/torture")]).unwrap();
    compiler.open_files(IMPORTS).unwrap();
    let pool = compiler.descriptor_pool();
    let file = pool.get_message_by_name("google.protobuf.FileDescriptorProto").unwrap();
    let mut imports = Vec::new();
    for one in pool.files() {
        let mut message = DynamicMessage::decode(file.clone(), one.encode_to_vec().as_slice()).unwrap();
        message.clear_field_by_name("source_code_info");
        if one.name() == "events/event_messages.proto" {
            only_levels(&mut message, &file);
        }
        imports.push(Import {
            name: one.name().to_owned(),
            imports: one.dependencies().map(|one| one.name().to_owned()).collect(),
            set: as_set(&message.encode_to_vec()),
        });
    }
    Imports(imports)
}

/// Takes all but the enum of the levels from our own schema.
fn only_levels(file: &mut DynamicMessage, descriptor: &MessageDescriptor) {
    file.clear_field_by_name("message_type");
    let enums = descriptor.get_field_by_name("enum_type").unwrap();
    assert!(matches!(enums.kind(), Kind::Message(_)));
    if let Value::List(enums) = file.get_field_mut(&enums) {
        enums.retain(|one| {
            let name = one.as_message().and_then(|one| one.get_field_by_name("name"));
            name.is_some_and(|name| name.as_str() == Some("EventLevel"))
        });
    }
}
