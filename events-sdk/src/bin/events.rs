//! The command `events`: looks into spools, mends them, and emits events from shell scripts.

use std::process::ExitCode;

fn main() -> ExitCode {
    events_sdk::cli::main(std::env::args_os())
}
