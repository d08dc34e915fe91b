//! The generator as a command: the same library, for looking at what it writes and for checking a schema by hand.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command speaks on its standard streams")]

mod command;

use std::env;
use std::process::ExitCode;

use command::{Failure, USAGE, run};

fn main() -> ExitCode {
    match run(env::args().skip(1)) {
        Ok(code) => code,
        Err(Failure::Usage(complaint)) => {
            eprintln!("{complaint}\n\n{USAGE}");
            ExitCode::from(2)
        }
        Err(Failure::Error(text)) => {
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}
