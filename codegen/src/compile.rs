//! From .proto files to a descriptor pool, in pure Rust.
//!
//! Files are looked for in the include directories first, then among the copies of our own schema that the generator
//! carries, then among protobuf's. So a crate elsewhere may `import "events/annotations.proto"` without having it.
//!
//! A file that is no valid protobuf does not end it: what is wrong with it is kept, and the other files are compiled.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use prost_reflect::DescriptorPool;
use protox::Compiler;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver, IncludeFileResolver};

use crate::finding::Finding;
use crate::positions::{self, Parsed};
use crate::refused::{self, Seen};
use crate::texts::{Text, Texts};

/// The name of the file that holds our options. It has a meaning at build time only: no Rust is made of it.
pub(crate) const ANNOTATIONS: &str = "events/annotations.proto";

/// Our own schema, as of this generator.
pub(crate) const OWN_FILES: &[(&str, &str)] = &[
    ("base.proto", include_str!("../../proto/base.proto")),
    ("events/event_messages.proto", include_str!("../../proto/events/event_messages.proto")),
    (ANNOTATIONS, include_str!("../../proto/events/annotations.proto")),
];

/// Compiled .proto files.
#[derive(Debug, Clone)]
pub(crate) struct Compiled {
    pub(crate) pool: DescriptorPool,
    /// The files that were asked for and are valid, by their import names.
    pub(crate) roots: Vec<String>,
    /// Where the files that are on disk were found, by their import names.
    pub(crate) on_disk: BTreeMap<String, PathBuf>,
    /// The import names of the files that the generator carries itself.
    pub(crate) own: Vec<String>,
    /// The text of every file, by the name that people know it by.
    pub(crate) texts: Texts,
    /// What is no valid protobuf.
    pub(crate) refused: Vec<Finding>,
}

impl Compiled {
    fn new(pool: DescriptorPool, roots: Vec<String>, log: BTreeMap<String, Read>) -> Self {
        let on_disk: BTreeMap<String, PathBuf> = log
            .iter()
            .filter_map(|(name, file)| file.path.clone().map(|path| (name.clone(), path)))
            .collect();
        let own = pool.files().map(|file| file.name().to_owned());
        let own = own.filter(|name| is_own(name) && !on_disk.contains_key(name)).collect();
        let texts =
            Texts::new(log.into_iter().filter_map(|(name, file)| Some((shown(&on_disk, &name), file.text?))));
        Self { pool, roots, on_disk, own, texts, refused: Vec::new() }
    }

    /// How a file is called in messages to people.
    pub(crate) fn shown(&self, name: &str) -> String {
        shown(&self.on_disk, name)
    }
}

/// Whether the generator carries a file of this import name itself.
pub(crate) fn is_own(name: &str) -> bool {
    OWN_FILES.iter().any(|(own, _)| *own == name)
}

fn shown(on_disk: &BTreeMap<String, PathBuf>, name: &str) -> String {
    on_disk.get(name).map_or_else(|| name.to_owned(), |path| path.display().to_string())
}

/// Compiles `protos` and all that they import.
pub(crate) fn compile(protos: &[impl AsRef<Path>], includes: &[impl AsRef<Path>]) -> Compiled {
    // With positions, which all errors need, it takes long for large files.
    apart(protos, includes).unwrap_or_else(|| within(protos, includes))
}

/// Compiles with positions kept apart. `None` where anything is wrong.
fn apart(protos: &[impl AsRef<Path>], includes: &[impl AsRef<Path>]) -> Option<Compiled> {
    let reader = Reader::new(includes, true);
    let names: Vec<String> = protos.iter().map(|proto| reader.name(proto.as_ref())).collect::<Option<_>>()?;
    let log = Rc::clone(&reader.log);
    let mut compiler = Compiler::with_file_resolver(reader);
    for name in names {
        compiler.open_file(name).ok()?;
    }
    let (pool, roots) = (compiler.descriptor_pool(), roots(&compiler));
    drop(compiler);
    let log = log.take();
    let pool = positions::put_back(&pool, |name| log.get(name)?.parsed.as_ref())?;
    Some(Compiled::new(pool, roots, log))
}

/// Compiles as the compiler does it, and keeps what it finds wrong.
fn within(protos: &[impl AsRef<Path>], includes: &[impl AsRef<Path>]) -> Compiled {
    let reader = Reader::new(includes, false);
    let log = Rc::clone(&reader.log);
    let mut compiler = Compiler::with_file_resolver(reader);
    let mut errors = Vec::new();
    for proto in protos {
        if let Err(error) = compiler.open_file(proto) {
            errors.push((error, Some(proto.as_ref().display().to_string())));
        }
    }
    let roots = roots(&compiler);
    if !errors.is_empty() {
        errors.extend(of_imports(&mut compiler, &log).into_iter().map(|error| (error, None)));
    }
    let mut compiled = Compiled::new(compiler.descriptor_pool(), roots, log.take());
    let seen = Seen { pool: &compiled.pool, on_disk: &compiled.on_disk, texts: &compiled.texts };
    compiled.refused =
        errors.iter().flat_map(|(error, asked)| refused::findings(error, asked.as_deref(), &seen)).collect();
    compiled
}

/// The files that were asked for and are valid.
fn roots(compiler: &Compiler) -> Vec<String> {
    compiler.files().filter(|file| !file.is_import()).map(|file| file.name().to_owned()).collect()
}

/// The errors of imported files: compiling a file ends at the first broken one that it imports.
fn of_imports(compiler: &mut Compiler, log: &Log) -> Vec<protox::Error> {
    let (mut tried, mut errors) = (BTreeSet::new(), Vec::new());
    loop {
        let log = log.borrow();
        let imports = log.values().flat_map(|file| &file.imports);
        let Some(next) = imports.filter(|name| !tried.contains(*name)).min().cloned() else { return errors };
        drop(log);
        tried.insert(next.clone());
        if let Err(error) = compiler.open_file(&next)
            && !error.is_file_not_found()
        {
            errors.push(error);
        }
    }
}

/// What was read, by import name.
type Log = Rc<RefCell<BTreeMap<String, Read>>>;

#[derive(Debug, Default)]
struct Read {
    path: Option<PathBuf>,
    text: Option<Text>,
    imports: Vec<String>,
    /// Where its positions are kept apart.
    parsed: Option<Parsed>,
}

/// Finds files, and remembers their texts.
struct Reader {
    chain: ChainFileResolver,
    includes: Vec<PathBuf>,
    log: Log,
    /// Positions are kept apart.
    apart: bool,
}

impl Reader {
    fn new(includes: &[impl AsRef<Path>], apart: bool) -> Self {
        let mut chain = ChainFileResolver::new();
        for include in includes {
            chain.add(IncludeFileResolver::new(include.as_ref().to_owned()));
        }
        chain.add(OwnFiles);
        chain.add(GoogleFileResolver::new());
        let includes = includes.iter().map(|include| include.as_ref().to_owned()).collect();
        Self { chain, includes, log: Log::default(), apart }
    }

    /// The import name of a file that was asked for. `None` if it is not certain to be that file.
    fn name(&self, asked: &Path) -> Option<String> {
        let Some(name) = self.chain.resolve_path(asked) else { return Some(asked.to_str()?.to_owned()) };
        let found = fs::canonicalize(self.on_disk(&name)?).ok()?;
        (found == fs::canonicalize(asked).ok()?).then_some(name)
    }

    fn on_disk(&self, name: &str) -> Option<PathBuf> {
        self.includes.iter().map(|include| include.join(name)).find(|path| path.is_file())
    }

    /// The file without the byte order mark that some editors put before it, and that protoc accepts. `None` where it has none.
    fn without_mark(&self, name: &str) -> Option<(PathBuf, Result<File, protox::Error>)> {
        let path = self.on_disk(name)?;
        let text = fs::read_to_string(&path).ok()?;
        let file = File::from_source(name, text.strip_prefix('\u{feff}')?);
        Some((path, file))
    }
}

impl FileResolver for Reader {
    fn resolve_path(&self, path: &Path) -> Option<String> {
        // What is asked for by its name is not looked for as a path again.
        if self.apart { None } else { self.chain.resolve_path(path) }
    }

    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        let (mut file, mut marked) = (self.chain.open_file(name), None);
        if file.is_err()
            && let Some((path, unmarked)) = self.without_mark(name)
        {
            (file, marked) = (unmarked, Some(path));
        }
        let mut read = match &file {
            Ok(file) => Read {
                path: file.path().map(Path::to_owned).or(marked),
                text: file.source().map(Text::new),
                imports: file.file_descriptor_proto().dependency.clone(),
                parsed: None,
            },
            // Broken, or not there at all.
            Err(_) => match self.on_disk(name) {
                Some(path) => Read {
                    text: fs::read_to_string(&path).ok().as_deref().map(Text::new),
                    path: Some(path),
                    imports: Vec::new(),
                    parsed: None,
                },
                None => return file,
            },
        };
        if self.apart
            && let (Some(_), Ok(whole)) = (&read.path, &file)
            && let Some(parsed) = Parsed::new(whole.file_descriptor_proto().clone())
        {
            file = Ok(File::from_file_descriptor_proto(parsed.file().clone()));
            read.parsed = Some(parsed);
        }
        self.log.borrow_mut().insert(name.to_owned(), read);
        file
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Every kind of option, on every kind of item, in every way to write it.
    const ALL: &str = r#"syntax = "proto3";
package demo.inner;
option java_package = "x"; option (rodent.events.allow_file) = "no-comment"; option (rodent.events.allow_file) = "no-unit";
import "events/annotations.proto";
import "google/protobuf/descriptor.proto";
message Holder {
  extend google.protobuf.FieldOptions { Deep deep = 51000; repeated Deep deeps = 51001; }
  message Deep { Deep deep = 1; repeated string texts = 2; map<string, string> words = 3; string text = 4; }
  string a = 1 [deprecated = true, (rodent.events.field).unit = "ms", (rodent.events.field).required = true];
  string b = 2 [(deep).deep.text = "x", (deep).deep.texts = "y", (deep).deep.texts = "z", (.demo.inner.Holder.deeps) = { text: "t" }];
  string c = 3 [(Holder.deep) = { deep: { text: "x" } }, (demo.inner.Holder.deeps).text = "no" ];
  oneof one { option (rodent.events.allow_oneof) = "no-comment"; string d = 4 [json_name = "dd"]; }
  message Inner { option (rodent.events.allow_message) = "no-comment"; string e = 1 [(deep).text = "q"]; }
  enum E { option allow_alias = true; option (rodent.events.allow_enum) = "x"; A = 0; B = 1 [(rodent.events.event_level) = "INFO"]; C = 1 [deprecated = true]; }
}
service S { option deprecated = true; rpc Go(Holder) returns (Holder) { option deprecated = true; option idempotency_level = IDEMPOTENT; } }
extend google.protobuf.FileOptions { string top = 51002 [(rodent.events.field).unit = "s"]; }
"#;

    fn same(protos: &[&str], include: &Path) {
        let (apart, within) = (apart(protos, &[include]).expect("no mistakes"), within(protos, &[include]));
        assert!(within.refused.is_empty(), "{:#?}", within.refused);
        assert_eq!((&apart.roots, &apart.on_disk, &apart.own), (&within.roots, &within.on_disk, &within.own));
        let names =
            |pool: &DescriptorPool| pool.files().map(|file| file.name().to_owned()).collect::<Vec<_>>();
        assert_eq!(names(&apart.pool), names(&within.pool));
        for (one, other) in apart.pool.files().zip(within.pool.files()) {
            assert_eq!(one.file_descriptor_proto(), other.file_descriptor_proto(), "{}", one.name());
            assert_eq!(one.encode_to_vec().len(), other.encode_to_vec().len(), "{}", one.name());
        }
    }

    #[test]
    fn positions_that_were_kept_apart_are_put_back_where_the_compiler_would_have_them() {
        let folder = tempfile::tempdir().unwrap();
        // An option that is a list cannot be entered by a name: left out here, and an error below.
        let valid = ALL.replace(", (demo.inner.Holder.deeps).text = \"no\"", "");
        fs::write(folder.path().join("all.proto"), &valid).unwrap();
        same(&["all.proto"], folder.path());
        let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto");
        same(&["base.proto", "events/event_messages.proto"], &proto);
        let path = folder.path().join("all.proto");
        same(&[path.to_str().unwrap()], folder.path());
    }

    #[test]
    fn what_is_wrong_is_found_with_its_position() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("all.proto"), ALL).unwrap();
        assert!(apart(&["all.proto"], &[folder.path()]).is_none());
        let refused = compile(&["all.proto"], &[folder.path()]).refused;
        assert_eq!(
            refused.iter().map(|one| (one.rule, one.origin.line)).collect::<Vec<_>>(),
            [("proto-option", 11)]
        );
    }
}
