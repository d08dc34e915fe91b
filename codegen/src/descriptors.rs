//! From a descriptor set that another compiler wrote (`protoc --descriptor_set_out`, `buf build`) to a descriptor pool.
//!
//! Nothing in it is trusted to be what a compiler would write: what is no schema is refused, and the rest goes the way
//! that .proto files go.

mod sound;

use std::any::Any;
use std::collections::{BTreeMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use prost::encoding::{DecodeContext, decode_key, skip_field};
use prost_reflect::DescriptorPool;
use prost_reflect::prost::Message as _;
use prost_reflect::prost::bytes::Bytes;
use prost_reflect::prost_types::FileDescriptorProto;

use crate::compile::{Compiled, is_own};
use crate::error::Error;
use crate::finding::Finding;
use crate::origin::Origin;
use crate::refused::{EDITION, NO_EDITION};
use crate::report::Report;
use crate::texts::Texts;

/// The package of protobuf's own files, which have no types of ours.
const GOOGLE: &str = "google.protobuf";

/// The number of `FileDescriptorProto.source_code_info`.
pub(crate) const SOURCE_CODE_INFO: u32 = 9;

/// The syntax of files that say `edition`.
const EDITIONS: &str = "editions";

/// What to do about a set that cannot be read.
const ANEW: &str = "write the set anew with its imports, say by `protoc --include_imports --include_source_info --descriptor_set_out=FILE`";

/// A descriptor set, with its files left as the bytes that they are: decoding them would lose our options.
#[derive(Clone, PartialEq, prost::Message)]
struct Set {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    file: Vec<Bytes>,
}

/// A file that is not yet in the pool.
struct Waiting {
    name: String,
    imports: Vec<String>,
    bytes: Bytes,
}

/// Reads an encoded `google.protobuf.FileDescriptorSet`; `files` are the ones of it that are asked for.
pub(crate) fn load(set: &[u8], files: &[impl AsRef<str>]) -> Result<Compiled, Error> {
    let pool = pool(set)?;
    let mut roots = Vec::new();
    for file in files.iter().map(AsRef::as_ref) {
        if pool.get_file_by_name(file).is_none() {
            return Err(refused(
                format!("the descriptor set has no file `{file}`"),
                "name the file as an import of it would",
            ));
        }
        roots.push(file.to_owned());
    }
    let (mut on_disk, mut own) = (BTreeMap::new(), Vec::new());
    for file in pool.files() {
        let name = file.name();
        match file.package_name() {
            _ if is_own(name) => own.push(name.to_owned()),
            GOOGLE => {}
            _ => {
                on_disk.insert(name.to_owned(), name.into());
            }
        }
    }
    Ok(Compiled { pool, roots, on_disk, own, texts: Texts::default(), refused: Vec::new() })
}

/// Adds the files of a set one by one, each after those that it imports, in whatever order they come.
fn pool(set: &[u8]) -> Result<DescriptorPool, Error> {
    let unreadable = |error: prost::DecodeError| refused(format!("this is no descriptor set: {error}"), ANEW);
    let mut waiting = Vec::new();
    for bytes in Set::decode(set).map_err(unreadable)?.file {
        let file = outline(&bytes).map_err(unreadable)?;
        if file.syntax() == EDITIONS {
            return Err(refused(format!("{:?}: {EDITION}", file.name()), NO_EDITION));
        }
        sound::check(&file).map_err(|text| refused(format!("{:?}: {text}", file.name()), ANEW))?;
        waiting.push(Waiting { name: file.name().to_owned(), imports: file.dependency, bytes });
    }
    let mut pool = DescriptorPool::new();
    while !waiting.is_empty() {
        let has = |import: &String| pool.get_file_by_name(import).is_some();
        // Where nothing is ready, an import is missing or a circle: the pool says which.
        let next = waiting.iter().position(|file| file.imports.iter().all(has)).unwrap_or_default();
        let file = waiting.remove(next);
        // The reader is made for what compilers write; this catches what it does not expect.
        let added = catch_unwind(AssertUnwindSafe(|| pool.decode_file_descriptor_proto(file.bytes)));
        let added = added.map_err(|panic| {
            Error::internal(format!("prost-reflect panicked on {}: {}", file.name, said(&*panic)))
        })?;
        added.map_err(|error| refused(format!("{error:?}"), ANEW))?;
    }
    Ok(pool)
}

/// A file without positions and comments: they are most of its bytes, and the pool reads them once more.
fn outline(file: &Bytes) -> Result<FileDescriptorProto, prost::DecodeError> {
    let (mut kept, mut rest) = (Vec::new(), file.clone());
    while !rest.is_empty() {
        let begin = file.len() - rest.len();
        let (tag, wire_type) = decode_key(&mut rest)?;
        skip_field(wire_type, tag, &mut rest, DecodeContext::default())?;
        if tag != SOURCE_CODE_INFO {
            kept.extend_from_slice(file.get(begin..file.len() - rest.len()).unwrap_or_default());
        }
    }
    FileDescriptorProto::decode(kept.as_slice())
}

/// Takes positions and comments from a file that does not have them for all of its parts: prost-build takes all for
/// granted, or none. A carriage return becomes a space: prost-build writes comments as they are, and Rust has none there.
pub(crate) fn whole_positions(mut file: FileDescriptorProto) -> FileDescriptorProto {
    for location in file.source_code_info.iter_mut().flat_map(|info| &mut info.location) {
        let attached = [&mut location.leading_comments, &mut location.trailing_comments];
        let comments = attached.into_iter().flatten().chain(&mut location.leading_detached_comments);
        for comment in comments.filter(|comment| comment.contains('\r')) {
            *comment = comment.replace('\r', " ");
        }
    }
    if let Some(info) = &file.source_code_info {
        let known: HashSet<&[i32]> = info.location.iter().map(|one| one.path.as_slice()).collect();
        if !sound::paths(&file).all(|path| known.contains(path.as_slice())) {
            file.source_code_info = None;
        }
    }
    file
}

/// What a panic said.
pub(crate) fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("nothing")
}

fn refused(text: String, cure: &'static str) -> Error {
    let finding = Finding::new("proto-file", &Origin::default(), text, cure);
    Error::found(Report::new(vec![finding], Texts::default()))
}
