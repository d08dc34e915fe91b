//! The generator as a command: the same library, for looking at what it writes and for checking a schema by hand.

mod command;

use std::env;
use std::process::ExitCode;

use command::{Failure, USAGE, complain, run};

fn main() -> ExitCode {
    match run(env::args_os().skip(1)) {
        Ok(code) => code,
        Err(Failure::Usage(complaint)) => {
            complain(format_args!("{complaint}\n\n{USAGE}"));
            ExitCode::from(2)
        }
        Err(Failure::Error(text)) => {
            complain(text);
            ExitCode::FAILURE
        }
    }
}
