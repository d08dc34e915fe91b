//! What can go wrong while code is generated.
//!
//! A build script that returns an [`Error`] from `main` is printed with `{:?}`, so `Debug` here is the readable text:
//! one block per finding, each with its source line, why, and the cure.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::finding::{Finding, Severity};
use crate::origin::Origin;
use crate::render::{self, Look};
use crate::report::Report;
use crate::texts::Texts;

/// Why no code was generated.
pub struct Error(Box<Inner>);

/// What sort of [`Error`] it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A .proto file is missing, cannot be read or is not valid protobuf: see [`Error::findings`].
    Proto,
    /// The schema is valid protobuf but breaks a rule of events: see [`Error::findings`].
    Schema,
    /// A lock file is not one: see [`Error::findings`].
    Lock,
    /// The generated files could not be written.
    Io,
    /// The generator was called wrongly: no output directory, a runtime that is not a Rust path.
    Usage,
    /// The generator, or a compiler that it builds on, failed on a schema that breaks no rule. A fault of ours, never of the
    /// schema's author.
    Internal,
}

#[derive(Debug)]
enum Inner {
    Found { kind: ErrorKind, report: Report },
    Io { path: PathBuf, cause: io::Error },
    Usage { message: String, cure: &'static str },
    Internal(String),
}

impl Error {
    /// What sort of error it is.
    pub fn kind(&self) -> ErrorKind {
        match &*self.0 {
            Inner::Found { kind, .. } => *kind,
            Inner::Io { .. } => ErrorKind::Io,
            Inner::Usage { .. } => ErrorKind::Usage,
            Inner::Internal(_) => ErrorKind::Internal,
        }
    }

    /// Every finding in the schema or the lock file, errors first, each in the order of files and lines. Empty unless the kind
    /// is [`ErrorKind::Proto`], [`ErrorKind::Schema`] or [`ErrorKind::Lock`].
    pub fn findings(&self) -> &[Finding] {
        match &*self.0 {
            Inner::Found { report, .. } => report.findings(),
            _ => &[],
        }
    }

    /// All of it as text, for a terminal say. `Display` is the same with [`Look::plain`].
    pub fn render(&self, look: Look) -> String {
        let block = |rule, origin: &Origin, message: String, cure: &str| {
            render::finding(&Finding::new(rule, origin, message, cure), &Texts::default(), look)
        };
        match &*self.0 {
            Inner::Found { report, .. } => report.render(look),
            Inner::Io { path, cause } => block(
                "io",
                &Origin::file(path.display().to_string()),
                format!("the file cannot be written: {cause}"),
                "make sure the directory exists and can be written to",
            ),
            Inner::Usage { message, cure } => block("usage", &Origin::default(), message.clone(), cure),
            Inner::Internal(message) => block(
                "internal",
                &Origin::default(),
                message.clone(),
                "this is a fault of the generator: report it with the schema",
            ),
        }
    }

    /// What was found in a schema, of which something is an error or counts as one.
    pub(crate) fn found(report: Report) -> Self {
        let proto =
            |finding: &Finding| finding.severity == Severity::Error && crate::refused::names(finding.rule);
        let kind = if report.findings().iter().any(proto) { ErrorKind::Proto } else { ErrorKind::Schema };
        Self(Box::new(Inner::Found { kind, report }))
    }

    pub(crate) fn lock(findings: Vec<Finding>, texts: Texts) -> Self {
        Self(Box::new(Inner::Found { kind: ErrorKind::Lock, report: Report::new(findings, texts) }))
    }

    pub(crate) fn io(path: &Path, cause: io::Error) -> Self {
        Self(Box::new(Inner::Io { path: path.to_owned(), cause }))
    }

    pub(crate) fn internal(message: impl fmt::Display) -> Self {
        Self(Box::new(Inner::Internal(message.to_string())))
    }

    pub(crate) fn usage(message: impl fmt::Display, cure: &'static str) -> Self {
        Self(Box::new(Inner::Usage { message: message.to_string(), cure }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Look::plain()))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A build script's `Error: ` stands before it: the first block begins on a line of its own.
        write!(f, "the event schema cannot be compiled\n\n{self}\n")
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &*self.0 {
            Inner::Io { cause, .. } => Some(cause),
            _ => None,
        }
    }
}
