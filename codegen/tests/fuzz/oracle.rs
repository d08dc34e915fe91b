//! What every answer of the generator has to be.

use std::collections::BTreeSet;

use events_codegen::{Builder, ErrorKind, Generated};
use prost_reflect::prost::Message as _;
use protox::file::File;
use syn::Item;

use crate::base::{Base, ROOT};

/// Generates from .proto text; `None` if it is no valid protobuf text, else whether there is code.
pub(crate) fn text(base: &Base, text: &str, format: bool) -> Option<bool> {
    let file = File::from_source(ROOT, text).ok()?;
    let file = file.file_descriptor_proto();
    let set = base.imports.set(file.dependency.iter().cloned(), &file.encode_to_vec());
    Some(set_of(&set.bytes, ROOT, format, || text.to_owned()))
}

/// Generates from an encoded descriptor set; whether there is code.
pub(crate) fn set(set: &[u8], root: &str, format: bool) -> bool {
    set_of(set, root, format, || match prost_reflect::prost_types::FileDescriptorSet::decode(set) {
        Ok(set) => format!("{:#?}", set.file.last()),
        Err(_) => format!("{set:?}"),
    })
}

fn set_of(set: &[u8], root: &str, format: bool, shown: impl Fn() -> String) -> bool {
    judge(Builder::new().format(format).generate_from_descriptors(set, &[root]), shown)
}

/// Generates from a file on disk, as a build script does.
pub(crate) fn disk(name: &str, source: &str) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(ROOT), source).unwrap();
    let parts = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/torture");
    let answer = Builder::new().generate(&[ROOT], &[folder.path(), parts.as_ref()]);
    judge(answer, || format!("{name}\n{source}"));
}

fn judge(answer: Result<Generated, events_codegen::Error>, shown: impl Fn() -> String) -> bool {
    match answer {
        Ok(generated) => {
            for (name, code) in &generated.files {
                let file = syn::parse_file(code);
                let file = file.unwrap_or_else(|error| panic!("{name}: {error}\n{}\n{code}", shown()));
                if let Some(twice) = twice(&file.items) {
                    panic!("{name}: `{twice}` twice\n{}\n{code}", shown());
                }
            }
            true
        }
        Err(error) => {
            assert_ne!(error.kind(), ErrorKind::Internal, "{error}\n{}", shown());
            assert!(error.to_string().contains("cure: "), "{error}\n{}", shown());
            false
        }
    }
}

/// A name that two types, functions, fields or variants have in the same place: it parses, but does not compile.
fn twice(items: &[Item]) -> Option<String> {
    let (mut types, mut values) = (BTreeSet::new(), BTreeSet::new());
    for item in items {
        let (ident, fresh, inner) = match item {
            Item::Struct(one) => {
                let fields = unique(one.fields.iter().filter_map(|field| field.ident.as_ref()));
                (&one.ident, types.insert(&one.ident), fields)
            }
            Item::Enum(one) => {
                let variants = unique(one.variants.iter().map(|variant| &variant.ident));
                (&one.ident, types.insert(&one.ident), variants)
            }
            Item::Type(one) => (&one.ident, types.insert(&one.ident), None),
            Item::Trait(one) => (&one.ident, types.insert(&one.ident), None),
            Item::Mod(one) => {
                let inner = one.content.as_ref().and_then(|(_, items)| twice(items));
                (&one.ident, types.insert(&one.ident), inner)
            }
            Item::Fn(one) => (&one.sig.ident, values.insert(&one.sig.ident), None),
            Item::Const(one) => (&one.ident, values.insert(&one.ident), None),
            Item::Static(one) => (&one.ident, values.insert(&one.ident), None),
            _ => continue,
        };
        match inner {
            Some(inner) => return Some(format!("{ident}::{inner}")),
            None if !fresh => return Some(ident.to_string()),
            None => {}
        }
    }
    None
}

fn unique<'a>(idents: impl Iterator<Item = &'a syn::Ident>) -> Option<String> {
    let mut seen = BTreeSet::new();
    idents.into_iter().find(|ident| !seen.insert(*ident)).map(ToString::to_string)
}
