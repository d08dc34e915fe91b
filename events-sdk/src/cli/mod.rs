//! The command `events`: looks into spools, mends them, and emits events from shell scripts.
//!
//! `main` is all there is to call; the binary `events` does nothing else. What is in a spill file is found by the
//! spool's own reader, so that the command and the agent never disagree about it.
//!
//! # What it touches
//!
//! `ls`, `cat`, `grep`, `stats`, `accounts`, `verify` and `export` change nothing, and hold no lock but for the instant in which
//! `accounts`, `verify`, `ls` and `stats` see whether it is free: they may be used beside a running agent, whose files come and go meanwhile, and on the disk of a dead node. `repair`, `requeue` and `prune` change the
//! spool; they hold its lock while they work, and refuse while an agent has it, or where there never was a spool. `emit` adds
//! a file of its own under a name that nobody else uses, for which no lock is needed, within the bounds of the configuration.
//!
//! # Exit codes
//!
//! | code | is |
//! |---|---|
//! | 0 | done; also when the reader of a pipe went away |
//! | 1 | done, and something was found: damage (`verify`, `prune`), accounts that are gone (`verify`, `prune`), missing events (`verify`, `accounts`), accounts that do not add up, or nothing was found (`grep`) |
//! | 2 | the command line, or the configuration, makes no sense: nothing was done |
//! | 3 | something could not be read or written; what could be was |
//! | 4 | an agent is using the spool: nothing was done |

mod args;
mod emit;
mod event;
mod failure;
mod filter;
#[cfg(test)]
mod fuzz;
mod json;
mod kinds;
mod manual;
mod names;
mod out;
mod owner;
mod peek;
mod personal;
mod place;
mod progress;
mod schema;
mod shown;
mod spool;
mod time;
mod value;
mod walk;

use std::{ffi::OsString, io::Write, process::ExitCode};

#[cfg(feature = "testing")]
pub(crate) use self::spool::accounts::in_files;
use self::{args::Args, failure::Failure, out::Out};

/// Runs the command with these arguments, the first of which is its name.
pub fn main(args: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> ExitCode {
    let args = match Args::of(args) {
        Ok(args) => args,
        Err(error) => {
            // Nobody is left to tell when this fails.
            let _ = error.print();
            return if error.use_stderr() { failure::USAGE.into() } else { ExitCode::SUCCESS };
        }
    };
    let mut out = Out::stdout();
    let result = args.run(&mut out).and_then(|code| out.flush().map(|()| code).map_err(Failure::from));
    match result {
        Ok(code) => code.into(),
        Err(failure) => {
            if let Some(text) = failure.text() {
                out::complain(text);
            }
            failure.code().into()
        }
    }
}
