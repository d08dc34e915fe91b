//! How the command ends when it does not end well, and its exit codes.

use std::io;

use crate::spool::{SpoolError, SpoolErrorKind};

/// Done.
pub(super) const DONE: u8 = 0;
/// Done, and something was found that should not be there, or nothing that was looked for.
pub(super) const FOUND: u8 = 1;
/// The command line or the configuration makes no sense.
pub(super) const USAGE: u8 = 2;
/// Something could not be read or written.
pub(super) const BROKEN: u8 = 3;
/// An agent is using the spool.
pub(super) const IN_USE: u8 = 4;

/// Why the command stopped.
#[derive(Debug)]
pub(super) enum Failure {
    /// What was asked for makes no sense.
    Usage(String),
    /// Something could not be read or written.
    Broken(String),
    /// The same, because there is no room for it.
    Full(String),
    /// An agent is using the spool.
    InUse(String),
    /// Whoever read our output has gone, `head` for one: no reason to complain.
    Unheard,
}

impl Failure {
    /// The exit code.
    pub(super) fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => USAGE,
            Self::Broken(_) | Self::Full(_) => BROKEN,
            Self::InUse(_) => IN_USE,
            Self::Unheard => DONE,
        }
    }

    /// What to say, if anything.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Usage(text) | Self::Broken(text) | Self::Full(text) | Self::InUse(text) => Some(text),
            Self::Unheard => None,
        }
    }
}

impl From<SpoolError> for Failure {
    fn from(error: SpoolError) -> Self {
        match error.kind() {
            // A directory of its own, as the SDK advises, is nothing for whoever wants to work on this one.
            SpoolErrorKind::InUse => Self::InUse(format!(
                "{}; stop the agent, or wait until the command that works there is done; nothing was done",
                error.in_use_by()
            )),
            SpoolErrorKind::Full => Self::Full(error.to_string()),
            _ => Self::Broken(error.to_string()),
        }
    }
}

/// An error of our own output.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Unheard,
            _ => Self::Broken(format!("cannot write the output: {error}")),
        }
    }
}
