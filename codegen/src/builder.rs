//! The builder that a build script calls: files in, files out.
//!
//! ```no_run
//! // build.rs
//! fn main() -> Result<(), events_codegen::Error> {
//!     events_codegen::Builder::new().compile(&["acme/events.proto"], &["proto"])
//! }
//! ```

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::baseline::{self, Contract};
use crate::beside::beside;
use crate::catalog::Catalog;
use crate::check::{NEED_EVERY_FILE, check};
use crate::compile::{Compiled, compile};
use crate::coverage::Coverage;
use crate::descriptors;
use crate::emit::{Paths, emit, proto_module};
use crate::error::Error;
use crate::model::Schema;
use crate::read::read;
use crate::report::Report;
use crate::wire_types::{self, WireTypes};

/// The file that holds the emitters.
pub const EVENTS_FILE: &str = "events.rs";

/// Where a crate finds the SDK unless it says otherwise.
const DEFAULT_RUNTIME: &str = "::events_sdk";

/// Generates emitters, payload types and wire types from event schemas.
#[derive(Debug, Clone)]
pub struct Builder {
    runtime: String,
    in_sdk: bool,
    out_dir: Option<PathBuf>,
    rerun_if_changed: bool,
    deny_warnings: bool,
}

/// What was generated, in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Generated {
    /// The text of each file, by its name.
    pub files: BTreeMap<String, String>,
    /// The .proto files on disk that were read.
    pub inputs: Vec<PathBuf>,
    /// What the schema could do better.
    pub warnings: Report,
}

impl Generated {
    /// Writes the files into a directory, which must be there. One that would not change is left untouched, so that nothing is
    /// compiled again for it.
    ///
    /// # Errors
    ///
    /// When a file cannot be written.
    pub fn write(&self, directory: &Path) -> Result<(), Error> {
        self.files.iter().try_for_each(|(name, text)| write_if_changed(&directory.join(name), text))
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    /// A builder for a crate that depends on the SDK.
    pub fn new() -> Self {
        Self {
            runtime: DEFAULT_RUNTIME.to_owned(),
            in_sdk: false,
            out_dir: None,
            rerun_if_changed: true,
            deny_warnings: false,
        }
    }

    /// A builder for the SDK itself: emitters are methods of its handle, and `Level` and `Category` are generated.
    #[doc(hidden)]
    pub fn sdk() -> Self {
        Self { runtime: "crate".to_owned(), in_sdk: true, ..Self::new() }
    }

    /// The path to the SDK, for a crate that knows it by another name than `::events_sdk`.
    #[must_use]
    pub fn runtime(mut self, path: impl Into<String>) -> Self {
        self.runtime = path.into();
        self
    }

    /// Where to write; `OUT_DIR` unless this is called.
    #[must_use]
    pub fn out_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.out_dir = Some(path.into());
        self
    }

    /// Whether to tell cargo on standard output which files to watch, and of warnings. On unless this is called.
    #[must_use]
    pub fn emit_rerun_if_changed(mut self, yes: bool) -> Self {
        self.rerun_if_changed = yes;
        self
    }

    /// Whether a warning fails the build as an error does. Off unless this is called.
    #[must_use]
    pub fn deny_warnings(mut self, yes: bool) -> Self {
        self.deny_warnings = yes;
        self
    }

    /// Compiles `protos`, found below `includes`, and writes the generated files. A file that would not change is
    /// left untouched, so that nothing is compiled again for it.
    ///
    /// # Errors
    ///
    /// When a .proto file is missing or broken, when the schema breaks rules (all breaches are told at once), and when
    /// the files cannot be written.
    pub fn compile(&self, protos: &[impl AsRef<Path>], includes: &[impl AsRef<Path>]) -> Result<(), Error> {
        let out_dir = match &self.out_dir {
            Some(path) => path.clone(),
            None => env::var_os("OUT_DIR").map(PathBuf::from).ok_or_else(|| {
                Error::usage("there is no directory to write to", "call `out_dir`, or run in a build script")
            })?,
        };
        let generated = self.generate(protos, includes)?;
        if self.rerun_if_changed {
            tell_cargo(&generated);
        }
        generated.write(&out_dir)
    }

    /// The same without writing anything.
    ///
    /// # Errors
    ///
    /// As [`compile`](Self::compile), but for the writing.
    pub fn generate(
        &self,
        protos: &[impl AsRef<Path>],
        includes: &[impl AsRef<Path>],
    ) -> Result<Generated, Error> {
        let compiled = compile(protos, includes);
        let generated = self.write(&compiled)?;
        Ok(Generated { inputs: compiled.on_disk.into_values().collect(), ..generated })
    }

    /// The same from a descriptor set that another compiler wrote: `set` is an encoded
    /// `google.protobuf.FileDescriptorSet` with all imports in it, and `files` are the ones of it that are asked for, by
    /// their import names. [`Generated::inputs`] stays empty.
    ///
    /// # Errors
    ///
    /// When the set is not a schema or lacks one of the files, and when the schema breaks rules.
    pub fn generate_from_descriptors(
        &self,
        set: &[u8],
        files: &[impl AsRef<str>],
    ) -> Result<Generated, Error> {
        self.write(&descriptors::load(set, files)?)
    }

    /// All but the inputs, which need not be on a disk.
    fn write(&self, compiled: &Compiled) -> Result<Generated, Error> {
        syn::parse_str::<syn::Path>(&self.runtime).map_err(|error| {
            Error::usage(
                format!("the runtime `{}` is not a Rust path: {error}", self.runtime),
                "write `::events_sdk`",
            )
        })?;
        let (schema, warnings) = self.checked(compiled)?;
        let elsewhere = (!self.in_sdk).then_some(self.runtime.as_str());
        let paths = Paths::new(&self.runtime, self.in_sdk, compiled.own.clone());
        // Neither needs the other, and each takes about as long.
        let (wire_types, mut code) =
            beside(|| wire_types::write(compiled, &schema, elsewhere), || emit(&schema, &paths));
        let WireTypes { modules, mut files } = wire_types?;
        if !self.in_sdk {
            proto_module(&modules, &mut code);
        }
        files.insert(EVENTS_FILE.to_owned(), code.finish());
        Ok(Generated { files, inputs: Vec::new(), warnings })
    }

    /// The compiled schema as an encoded `google.protobuf.FileDescriptorSet`, imports and options included, for programs
    /// that read events without generated types.
    ///
    /// # Errors
    ///
    /// When a .proto file is missing or broken.
    pub fn descriptor_set(
        &self,
        protos: &[impl AsRef<Path>],
        includes: &[impl AsRef<Path>],
    ) -> Result<Vec<u8>, Error> {
        let compiled = compile(protos, includes);
        match compiled.refused.is_empty() {
            true => Ok(compiled.pool.encode_to_vec()),
            false => Err(Error::found(Report::new(compiled.refused, compiled.texts))),
        }
    }

    /// Only looks for mistakes, and tells of what the schema could do better.
    ///
    /// # Errors
    ///
    /// As [`generate`](Self::generate).
    pub fn check(&self, protos: &[impl AsRef<Path>], includes: &[impl AsRef<Path>]) -> Result<Report, Error> {
        self.checked(&compile(protos, includes)).map(|(_, warnings)| warnings)
    }

    /// What the schema promises, for comparing with what was accepted before.
    ///
    /// # Errors
    ///
    /// As [`generate`](Self::generate).
    pub fn contract(
        &self,
        protos: &[impl AsRef<Path>],
        includes: &[impl AsRef<Path>],
    ) -> Result<Contract, Error> {
        let compiled = compile(protos, includes);
        let (schema, _) = self.checked(&compiled)?;
        Ok(baseline::read(&compiled, &schema))
    }

    /// Every event of the schema, described for people.
    ///
    /// # Errors
    ///
    /// As [`generate`](Self::generate).
    pub fn catalog(
        &self,
        protos: &[impl AsRef<Path>],
        includes: &[impl AsRef<Path>],
    ) -> Result<Catalog, Error> {
        let compiled = compile(protos, includes);
        let (schema, _) = self.checked(&compiled)?;
        Ok(Catalog::new(&compiled, &schema))
    }

    /// The schema, and what it could do better; or everything that is wrong with it, in as many files as can be read.
    fn checked(&self, compiled: &Compiled) -> Result<(Schema, Report), Error> {
        let schema = read(compiled);
        let mut findings = check(&schema);
        if !compiled.refused.is_empty() {
            findings.retain(|finding| !NEED_EVERY_FILE.contains(&finding.rule));
            findings.extend(compiled.refused.iter().cloned());
        }
        let report = Report::new(findings, compiled.texts.clone());
        match report.has_errors() || (self.deny_warnings && !report.is_empty()) {
            true => Err(Error::found(report)),
            false => Ok((schema, report)),
        }
    }

    /// The events that the schema declares, for finding out who emits them: give it Rust sources with
    /// [`Coverage::add`].
    ///
    /// # Errors
    ///
    /// As [`generate`](Self::generate).
    pub fn coverage(
        &self,
        protos: &[impl AsRef<Path>],
        includes: &[impl AsRef<Path>],
    ) -> Result<Coverage, Error> {
        let (schema, _) = self.checked(&compile(protos, includes))?;
        Ok(Coverage::new(schema.kinds().map(|kind| (kind.emitter.clone(), kind.origin.clone())).collect()))
    }
}

#[allow(clippy::print_stdout, reason = "standard output is how a build script speaks to cargo")]
fn tell_cargo(generated: &Generated) {
    for path in &generated.inputs {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    // A line each: cargo writes the package before every line.
    for warning in generated.warnings.findings() {
        println!("cargo::warning={}", warning.line());
    }
}

fn write_if_changed(path: &Path, text: &str) -> Result<(), Error> {
    if fs::read(path).is_ok_and(|old| old == text.as_bytes()) {
        return Ok(());
    }
    fs::write(path, text).map_err(|cause| Error::io(path, cause))
}
