//! What can go wrong while code is generated, and how it is told.
//!
//! A build script that returns an [`Error`] from `main` is printed with `{:?}`, so `Debug` here is the readable text:
//! one block per mistake, each with file, line, column, rule and cure.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::model::Origin;

/// One mistake in a schema.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Where it is.
    pub origin: Origin,
    /// The name of the rule that was broken, such as `no-source`.
    pub rule: &'static str,
    /// What is wrong, and with what.
    pub message: String,
    /// What to do about it.
    pub cure: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, rule, message, cure } = self;
        write!(f, "error[{rule}]: {origin}: {message}\n  cure: {cure}")
    }
}

/// Why no code was generated.
#[derive(thiserror::Error)]
#[error(transparent)]
pub struct Error(#[from] Inner);

/// What sort of [`Error`] it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A .proto file is missing, cannot be read or is not valid protobuf.
    Proto,
    /// The schema is valid protobuf but breaks a rule of events: see [`Error::findings`].
    Schema,
    /// A lock file is not one: see [`Error::findings`].
    Lock,
    /// The generated files could not be written.
    Io,
    /// The generator was called wrongly: no output directory, a runtime that is not a Rust path.
    Usage,
    /// The generator wrote something that is not Rust. A fault of ours, never of the schema's author.
    Internal,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Inner {
    #[error("error[proto]: {0}\n  cure: {1}")]
    Proto(String, &'static str),
    #[error("{}", blocks(.0))]
    Schema(Vec<Finding>),
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n"))]
    Lock(Vec<Finding>),
    #[error("error[io]: {path}: {cause}\n  cure: make sure the directory exists and can be written to", path = path.display())]
    Io { path: PathBuf, cause: io::Error },
    #[error("error[usage]: {0}\n  cure: {1}")]
    Usage(String, &'static str),
    #[error("error[internal]: {0}\n  cure: this is a fault of the generator: report it with the schema")]
    Internal(String),
}

impl Error {
    /// What sort of error it is.
    pub fn kind(&self) -> ErrorKind {
        match &self.0 {
            Inner::Proto(..) => ErrorKind::Proto,
            Inner::Schema(_) => ErrorKind::Schema,
            Inner::Lock(_) => ErrorKind::Lock,
            Inner::Io { .. } => ErrorKind::Io,
            Inner::Usage(..) => ErrorKind::Usage,
            Inner::Internal(_) => ErrorKind::Internal,
        }
    }

    /// Every mistake in the schema or the lock file, in the order of files and lines. Empty unless the kind is
    /// [`ErrorKind::Schema`] or [`ErrorKind::Lock`].
    pub fn findings(&self) -> &[Finding] {
        match &self.0 {
            Inner::Schema(findings) | Inner::Lock(findings) => findings,
            _ => &[],
        }
    }

    pub(crate) fn schema(mut findings: Vec<Finding>) -> Self {
        findings.sort();
        findings.dedup();
        Self(Inner::Schema(findings))
    }

    pub(crate) fn lock(findings: Vec<Finding>) -> Self {
        Self(Inner::Lock(findings))
    }

    pub(crate) fn io(path: &Path, cause: io::Error) -> Self {
        Self(Inner::Io { path: path.to_owned(), cause })
    }

    pub(crate) fn internal(message: impl fmt::Display) -> Self {
        Self(Inner::Internal(message.to_string()))
    }

    pub(crate) fn usage(message: impl fmt::Display, cure: &'static str) -> Self {
        Self(Inner::Usage(message.to_string(), cure))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A build script's `Error: ` stands before it: the first block begins on a line of its own.
        write!(f, "the event schema cannot be compiled\n\n{self}\n")
    }
}

fn blocks(findings: &[Finding]) -> String {
    let mut text: Vec<String> = findings.iter().map(ToString::to_string).collect();
    let mistakes =
        if findings.len() == 1 { "1 mistake".to_owned() } else { format!("{} mistakes", findings.len()) };
    text.push(format!("{mistakes} in the event schema"));
    text.join("\n\n")
}
