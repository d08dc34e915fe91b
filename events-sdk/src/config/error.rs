//! What can be wrong with a configuration, and where.
//!
//! All problems are reported at once, each with the file and line or the variable that it comes from and with what to do
//! about it. No text ever repeats the value of a secret.

use std::{error::Error, fmt, io, path::PathBuf};

/// Where a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// A line of a file, counted from 1.
    Line {
        /// The file.
        file: PathBuf,
        /// The line.
        line: usize,
    },
    /// An environment variable.
    Variable(String),
    /// A [`Config`](crate::Config) that the program has put together.
    Program,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { file, line } => write!(f, "{}:{line}", file.display()),
            Self::Variable(name) => write!(f, "environment variable {}", name.escape_debug()),
            Self::Program => f.write_str("the program's Config"),
        }
    }
}

/// One thing that is wrong, or worth a warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    place: Place,
    message: String,
}

impl Problem {
    pub(super) fn new(place: Place, message: impl Into<String>) -> Self {
        Self { place, message: message.into() }
    }

    /// Where it is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What it is, and what to do about it.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// The configuration cannot be used.
#[derive(Debug)]
pub struct ConfigError {
    reason: Reason,
}

#[derive(Debug)]
enum Reason {
    Unreadable { file: PathBuf, source: io::Error },
    Invalid(Vec<Problem>),
}

/// Why a configuration cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConfigErrorKind {
    /// The file is there and cannot be read.
    Unreadable,
    /// The file, the environment or the program says something that makes no sense.
    Invalid,
}

impl ConfigError {
    pub(super) fn unreadable(file: PathBuf, source: io::Error) -> Self {
        Self { reason: Reason::Unreadable { file, source } }
    }

    pub(super) fn invalid(problems: Vec<Problem>) -> Self {
        Self { reason: Reason::Invalid(problems) }
    }

    /// What kind of error it is.
    pub fn kind(&self) -> ConfigErrorKind {
        match self.reason {
            Reason::Unreadable { .. } => ConfigErrorKind::Unreadable,
            Reason::Invalid(_) => ConfigErrorKind::Invalid,
        }
    }

    /// Everything that is wrong, the file first and from top to bottom, then the environment. Empty when the file
    /// cannot be read.
    pub fn problems(&self) -> &[Problem] {
        match &self.reason {
            Reason::Unreadable { .. } => &[],
            Reason::Invalid(problems) => problems,
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            // The cause is in the source chain.
            Reason::Unreadable { file, source } => {
                let file = file.display();
                match source.kind() {
                    io::ErrorKind::InvalidData => {
                        write!(
                            f,
                            "{file} is not UTF-8 text: save it as UTF-8, or remove it to run on defaults"
                        )
                    }
                    io::ErrorKind::IsADirectory => write!(
                        f,
                        "{file} is a directory: put the file in its place, or remove it to run on defaults"
                    ),
                    io::ErrorKind::FileTooLarge => write!(
                        f,
                        "{file} is larger than 1 MiB, which no configuration is: put the right file in its place"
                    ),
                    _ => write!(
                        f,
                        "cannot read {file}: make it readable for the user that Rodent runs as, or remove it to run on defaults"
                    ),
                }
            }
            Reason::Invalid(problems) => {
                let plural = if problems.len() == 1 { "" } else { "s" };
                write!(f, "{} problem{plural} in the configuration of events", problems.len())?;
                problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
            }
        }
    }
}

impl Error for ConfigError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.reason {
            Reason::Unreadable { source, .. } => Some(source),
            Reason::Invalid(_) => None,
        }
    }
}
