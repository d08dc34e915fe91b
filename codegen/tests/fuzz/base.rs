//! What mutation starts from.

use std::fs;
use std::path::{Path, PathBuf};

use prost_reflect::prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, Kind, MessageDescriptor, Value};
use protox::file::File;

/// The name that every schema goes by here.
pub(crate) const ROOT: &str = "mutated.proto";

/// What schemas import. Of ours only what they need is kept, for speed.
const IMPORTS: &[&str] = &[
    "google/protobuf/descriptor.proto",
    "google/protobuf/duration.proto",
    "google/protobuf/empty.proto",
    "google/protobuf/struct.proto",
    "google/protobuf/timestamp.proto",
    "google/protobuf/wrappers.proto",
    "events/annotations.proto",
    "events/event_messages.proto",
    "torture_parts.proto",
];

pub(crate) struct Base {
    /// Schemas by name, each of one file.
    pub(crate) sources: Vec<(String, String)>,
    /// The encoded set of the files that schemas import.
    pub(crate) imports: Vec<u8>,
    /// The encoded set of each schema that is valid protobuf, behind `imports`.
    pub(crate) sets: Vec<Vec<u8>>,
    /// Each of `sets` without the imports, to be taken apart.
    pub(crate) files: Vec<DynamicMessage>,
    /// Encoded sets that were answered wrongly once.
    pub(crate) damaged: Vec<Vec<u8>>,
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
        let pool = DescriptorPool::decode(imports.as_slice()).unwrap();
        let file = pool.get_message_by_name("google.protobuf.FileDescriptorProto").unwrap();
        let valid: Vec<Vec<u8>> =
            sources.iter().filter_map(|(_, source)| compile(&imports, source)).collect();
        assert!(valid.len() > 10, "{} schemas", valid.len());
        let files = valid.iter().map(|one| DynamicMessage::decode(file.clone(), one.as_slice()).unwrap());
        Self {
            files: files.collect(),
            sets: valid.iter().map(|one| [imports.as_slice(), &as_set(one)].concat()).collect(),
            imports,
            damaged: read("tests/fuzz/corpus", "pb").into_iter().map(|(_, bytes)| bytes).collect(),
            sources,
        }
    }
}

/// The encoded file, if it is valid protobuf.
fn compile(imports: &[u8], source: &str) -> Option<Vec<u8>> {
    let file = File::from_source(ROOT, source).ok()?;
    let set = [imports, &as_set(&file.file_descriptor_proto().encode_to_vec())].concat();
    let pool = DescriptorPool::decode(set.as_slice()).ok()?;
    Some(pool.get_file_by_name(ROOT)?.encode_to_vec())
}

/// A set of this one encoded file. Encoded sets may be joined end to end.
pub(crate) fn as_set(file: &[u8]) -> Vec<u8> {
    let mut set = vec![0x0a];
    prost_reflect::prost::encoding::encode_varint(file.len() as u64, &mut set);
    set.extend_from_slice(file);
    set
}

fn imports() -> Vec<u8> {
    let mut compiler =
        protox::Compiler::new([here().join("../proto"), here().join("../tests/torture")]).unwrap();
    compiler.open_files(IMPORTS).unwrap();
    let pool = compiler.descriptor_pool();
    let file = pool.get_message_by_name("google.protobuf.FileDescriptorProto").unwrap();
    let mut set = Vec::new();
    for one in pool.files() {
        let mut message = DynamicMessage::decode(file.clone(), one.encode_to_vec().as_slice()).unwrap();
        message.clear_field_by_name("source_code_info");
        if one.name() == "events/event_messages.proto" {
            only_levels(&mut message, &file);
        }
        set.extend(as_set(&message.encode_to_vec()));
    }
    set
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
