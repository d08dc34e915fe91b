//! The command `events` for the tests: cargo tells a test only where the binaries of its own package are.

use std::process::ExitCode;

fn main() -> ExitCode {
    events_sdk::cli::main(std::env::args_os())
}
