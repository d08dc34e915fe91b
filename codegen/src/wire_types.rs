//! The wire types and services, which prost-build and tonic write.
//!
//! Only files on disk get types of their own. Those that the generator carries itself are the SDK's, and generated
//! code names the SDK's types for them.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use prost_build::{Config, Module};
use prost_reflect::prost_types::FileDescriptorProto;
use prost_reflect::{FieldDescriptor, Kind};

use crate::compile::{ANNOTATIONS, Compiled};
use crate::descriptors::{said, whole_positions};
use crate::emit::ProtoModule;
use crate::error::Error;
use crate::mask;
use crate::model::{Message, Schema};
use crate::names;
use crate::read;
use crate::read_types::reaches;

/// The file of a schema without a package.
const NO_PACKAGE: &str = "_";

/// Where types lie that no Rust is made of: a path that nothing ever names.
const NOWHERE: &str = "::events_annotations";

/// What prost wrote: a text for each module.
pub(crate) struct WireTypes {
    pub(crate) modules: Vec<ProtoModule>,
    pub(crate) files: BTreeMap<String, String>,
}

/// Writes the wire types of the files on disk. `runtime` is where the SDK is found, unless this is the SDK; `format` is
/// whether people are to read them.
pub(crate) fn write(
    compiled: &Compiled,
    schema: &Schema,
    runtime: Option<&str>,
    format: bool,
) -> Result<WireTypes, Error> {
    // All files, for prost looks into every message that is referred to; those that have a type elsewhere it skips.
    let files =
        compiled.pool.file_descriptor_protos().map(|file| match compiled.on_disk.contains_key(file.name()) {
            true => whole_positions(file.clone()),
            false => FileDescriptorProto { service: Vec::new(), ..file.clone() },
        });
    let mut config = Config::new();
    config.format(format);
    if let Some(runtime) = runtime {
        config.prost_path(format!("{runtime}::__private::prost"));
        // prost puts the parts of this path into snake case, so it cannot be in `__private`.
        config.prost_types_path(format!("{runtime}::proto::google::protobuf"));
    }
    for file in compiled.pool.file_descriptor_protos() {
        let place = match runtime {
            _ if file.name() == ANNOTATIONS => NOWHERE.to_owned(),
            Some(runtime) if compiled.own.iter().any(|own| own == file.name()) => sdk_module(file, runtime),
            _ => continue,
        };
        for (proto, rust) in types(file, &place) {
            config.extern_path(proto, rust);
        }
    }
    for path in boxed(compiled) {
        config.boxed(path);
    }
    config.service_generator(
        tonic_prost_build::configure()
            .build_client(true)
            .build_server(true)
            // An rpc named `Connect` would collide with the transport's constructor.
            .build_transport(false)
            .service_generator(),
    );

    let requests: Vec<(Module, FileDescriptorProto)> =
        files.map(|file| (Module::from_protobuf_package_name(file.package()), file)).collect();
    // prost-build asserts what it cannot do; `check` refuses what we know of, and this catches the rest.
    let written = catch_unwind(AssertUnwindSafe(|| config.generate(requests)))
        .map_err(|panic| Error::internal(format!("prost-build panicked on the schema: {}", said(&*panic))))?
        .map_err(|error| Error::internal(format!("prost-build: {error}")))?;

    let mut types = WireTypes { modules: Vec::new(), files: BTreeMap::new() };
    for (module, text) in written {
        let here = |message: &&Message| {
            compiled.on_disk.contains_key(&message.file)
                && Module::from_protobuf_package_name(&message.package) == module
        };
        let text = mask::without_debug(text, schema.messages.iter().filter(here), format)?;
        let file = module.to_file_name_or(NO_PACKAGE);
        types
            .modules
            .push(ProtoModule { path: module.parts().map(str::to_owned).collect(), file: file.clone() });
        types.files.insert(file, text);
    }
    types.modules.sort();
    Ok(types)
}

/// The fields that a message holds itself by, where groups are involved: prost-build follows messages alone when it looks for
/// what to box.
fn boxed(compiled: &Compiled) -> Vec<String> {
    let files = compiled.pool.files().filter(|file| compiled.on_disk.contains_key(file.name()));
    let messages: Vec<_> = files.flat_map(|file| read::messages(&file)).collect();
    if !messages.iter().any(|message| message.fields().any(|field| field.is_group())) {
        return Vec::new();
    }
    let recursive = |field: &FieldDescriptor| match field.kind() {
        Kind::Message(inner) if !field.is_list() && !field.is_map() => {
            reaches(&inner, field.parent_message().full_name())
        }
        _ => false,
    };
    let path = |field: FieldDescriptor| {
        let oneof = read::real_oneof(&field).map_or_else(String::new, |oneof| format!(".{}", oneof.name()));
        format!(".{}{oneof}.{}", field.parent_message().full_name(), field.name())
    };
    messages.iter().flat_map(|message| message.fields()).filter(recursive).map(path).collect()
}

/// The SDK's module for a file that the generator carries.
fn sdk_module(file: &FileDescriptorProto, runtime: &str) -> String {
    file.package()
        .split('.')
        .skip(1)
        .fold(format!("{runtime}::proto"), |path, part| format!("{path}::{part}"))
}

/// The types of a file, each with its place in `module`. They are named one by one, since a schema elsewhere may add
/// types to the same package.
fn types(file: &FileDescriptorProto, module: &str) -> Vec<(String, String)> {
    let messages = file.message_type.iter().map(|message| message.name());
    let names = messages.chain(file.enum_type.iter().map(|one| one.name()));
    names
        .map(|name| (format!(".{}.{name}", file.package()), format!("{module}::{}", names::camel(name))))
        .collect()
}
