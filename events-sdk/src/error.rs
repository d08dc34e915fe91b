//! What can go wrong when an event system starts.

use std::{error, fmt, io};

use crate::{ConfigError, SendError, pii::KeyError, spool::SpoolError, uplink::GrpcConfigError};

/// An event system could not be started.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn error::Error + Send + Sync>>,
}

/// Why an event system could not be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The configuration is wrong.
    Config,
    /// Personal data is to be hashed, and there is no key for it.
    PiiKey,
    /// Another process uses the spool directory.
    SpoolInUse,
    /// The system gave no thread.
    Thread,
    /// The process has an event system already.
    AlreadyInitialized,
    /// Toggle did not register this node.
    Registration,
}

impl Error {
    fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    fn with_source(mut self, source: impl Into<Box<dyn error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    pub(crate) fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    pub(crate) fn pii_key(error: KeyError) -> Self {
        Self::new(ErrorKind::PiiKey, error.to_string()).with_source(error)
    }

    pub(crate) fn spool(error: SpoolError) -> Self {
        Self::new(ErrorKind::SpoolInUse, error.to_string()).with_source(error)
    }

    pub(crate) fn thread(error: io::Error) -> Self {
        Self::new(
            ErrorKind::Thread,
            "the system gave no thread for the event system; raise the limit of processes",
        )
        .with_source(error)
    }

    pub(crate) fn already_initialized() -> Self {
        Self::new(
            ErrorKind::AlreadyInitialized,
            "the event system of this process is initialised already; call shutdown first, or use a handle",
        )
    }

    pub(crate) fn registration(error: SendError) -> Self {
        Self::new(ErrorKind::Registration, format!("Toggle did not register this node: {error}"))
            .with_source(error)
    }

    /// What kind of failure it was.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Self::config(error.to_string()).with_source(error)
    }
}

impl From<GrpcConfigError> for Error {
    fn from(error: GrpcConfigError) -> Self {
        Self::config(error.to_string()).with_source(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn error::Error + 'static))
    }
}
