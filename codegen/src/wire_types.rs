//! The wire types and services, which prost-build and tonic write.
//!
//! Only files on disk get types of their own. Those that the generator carries itself are the SDK's, and generated
//! code names the SDK's types for them.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use prost_build::{Config, Module};
use prost_reflect::prost_types::{FileDescriptorProto, FileDescriptorSet};

use crate::compile::{ANNOTATIONS, Compiled};
use crate::emit::ProtoModule;
use crate::error::Error;

/// The file of a schema without a package.
const NO_PACKAGE: &str = "_";

/// What prost wrote: a text for each module.
pub(crate) struct WireTypes {
    pub(crate) modules: Vec<ProtoModule>,
    pub(crate) files: BTreeMap<String, String>,
}

/// Writes the wire types of the files on disk. `runtime` is where the SDK is found, unless this is the SDK.
pub(crate) fn write(compiled: &Compiled, runtime: Option<&str>) -> Result<WireTypes, Error> {
    let files: Vec<FileDescriptorProto> = compiled
        .pool
        .file_descriptor_protos()
        .filter(|file| compiled.on_disk.contains_key(file.name()) && file.name() != ANNOTATIONS)
        .cloned()
        .collect();
    let mut config = Config::new();
    if let Some(runtime) = runtime {
        config.prost_path(format!("{runtime}::__private::prost"));
        for (proto, rust) in sdk_types(compiled, runtime) {
            config.extern_path(proto, rust);
        }
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
        files.iter().map(|file| (Module::from_protobuf_package_name(file.package()), file.clone())).collect();
    // prost-build asserts what it cannot do; `check` refuses what we know of, and this catches the rest.
    let written = catch_unwind(AssertUnwindSafe(|| config.generate(requests)))
        .map_err(|_| Error::internal("prost-build panicked on the schema: its message stands above"))?
        .map_err(|error| Error::internal(format!("prost-build: {error}")))?;

    let mut types = WireTypes { modules: Vec::new(), files: BTreeMap::new() };
    for (module, text) in written {
        let file = module.to_file_name_or(NO_PACKAGE);
        types
            .modules
            .push(ProtoModule { path: module.parts().map(str::to_owned).collect(), file: file.clone() });
        types.files.insert(file, text);
    }
    types.modules.sort();
    Ok(types)
}

/// The types of the files that the generator carries, each with its place in the SDK. They are named one by one,
/// since a schema elsewhere may add types to the same package.
fn sdk_types(compiled: &Compiled, runtime: &str) -> Vec<(String, String)> {
    let set = FileDescriptorSet { file: compiled.pool.file_descriptor_protos().cloned().collect() };
    let mut paths = Vec::new();
    for file in set.file.iter().filter(|file| compiled.own.iter().any(|own| own == file.name())) {
        let below: Vec<&str> = file.package().split('.').skip(1).collect();
        let module = below.iter().fold(format!("{runtime}::proto"), |path, part| format!("{path}::{part}"));
        let messages = file.message_type.iter().map(|message| message.name());
        for name in messages.chain(file.enum_type.iter().map(|one| one.name())) {
            paths.push((
                format!(".{}.{name}", file.package()),
                format!("{module}::{}", crate::names::camel(name)),
            ));
        }
    }
    paths
}
