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
    let mut chain = ChainFileResolver::new();
    for include in includes {
        chain.add(IncludeFileResolver::new(include.as_ref().to_owned()));
    }
    chain.add(OwnFiles);
    chain.add(GoogleFileResolver::new());
    let log = Log::default();
    let includes = includes.iter().map(|include| include.as_ref().to_owned()).collect();
    let mut compiler = Compiler::with_file_resolver(Reader { chain, includes, log: Rc::clone(&log) });

    let mut errors = Vec::new();
    for proto in protos {
        if let Err(error) = compiler.open_file(proto) {
            errors.push((error, Some(proto.as_ref().display().to_string())));
        }
    }
    let mut roots = Vec::new();
    let mut own = Vec::new();
    for file in compiler.files() {
        if !file.is_import() {
            roots.push(file.name().to_owned());
        }
        if file.path().is_none() && is_own(file.name()) {
            own.push(file.name().to_owned());
        }
    }
    if !errors.is_empty() {
        errors.extend(of_imports(&mut compiler, &log).into_iter().map(|error| (error, None)));
    }

    let log = log.take();
    let on_disk: BTreeMap<String, PathBuf> =
        log.iter().filter_map(|(name, file)| file.path.clone().map(|path| (name.clone(), path))).collect();
    let texts =
        Texts::new(log.into_iter().filter_map(|(name, file)| Some((shown(&on_disk, &name), file.text?))));
    let pool = compiler.descriptor_pool();
    let seen = Seen { pool: &pool, on_disk: &on_disk, texts: &texts };
    let refused =
        errors.iter().flat_map(|(error, asked)| refused::findings(error, asked.as_deref(), &seen)).collect();
    Compiled { pool, roots, on_disk, own, texts, refused }
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
}

/// Finds files, and remembers their texts.
struct Reader {
    chain: ChainFileResolver,
    includes: Vec<PathBuf>,
    log: Log,
}

impl Reader {
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
        self.chain.resolve_path(path)
    }

    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        let (mut file, mut marked) = (self.chain.open_file(name), None);
        if file.is_err()
            && let Some((path, unmarked)) = self.without_mark(name)
        {
            (file, marked) = (unmarked, Some(path));
        }
        let read = match &file {
            Ok(file) => Read {
                path: file.path().map(Path::to_owned).or(marked),
                text: file.source().map(Text::new),
                imports: file.file_descriptor_proto().dependency.clone(),
            },
            // Broken, or not there at all.
            Err(_) => match self.on_disk(name) {
                Some(path) => Read {
                    text: fs::read_to_string(&path).ok().as_deref().map(Text::new),
                    path: Some(path),
                    imports: Vec::new(),
                },
                None => return file,
            },
        };
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
