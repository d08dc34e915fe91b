//! The generator as a command: the same library, for looking at what it writes and for checking a schema by hand.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command speaks on its standard streams")]

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use events_codegen::{Builder, Error};

const USAGE: &str = "\
usage: events-codegen generate [--include DIR]... --out DIR FILE...
       events-codegen check    [--include DIR]... FILE...

  generate   writes events.rs and the wire types to DIR
  check      only looks for mistakes, and names them all
  --include  where FILE and its imports are looked for (default: the current directory); may be repeated";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments.is_empty() || arguments.iter().any(|one| one == "--help" || one == "-h") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let command = match Command::parse(arguments) {
        Ok(command) => command,
        Err(complaint) => {
            eprintln!("{complaint}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Debug, Default)]
struct Command {
    generate: bool,
    includes: Vec<PathBuf>,
    out: Option<PathBuf>,
    files: Vec<PathBuf>,
}

impl Command {
    fn parse(arguments: Vec<String>) -> Result<Self, String> {
        let mut arguments = arguments.into_iter();
        let mut command = Self::default();
        match arguments.next().as_deref() {
            Some("generate") => command.generate = true,
            Some("check") => {}
            other => return Err(format!("`{}` is not a command", other.unwrap_or_default())),
        }
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--include" | "-I" => {
                    command.includes.push(arguments.next().ok_or("--include needs a directory")?.into());
                }
                "--out" => command.out = Some(arguments.next().ok_or("--out needs a directory")?.into()),
                option if option.starts_with('-') => return Err(format!("`{option}` is not an option")),
                file => command.files.push(file.into()),
            }
        }
        if command.files.is_empty() {
            return Err("no .proto file was named".to_owned());
        }
        if command.generate && command.out.is_none() {
            return Err("`generate` needs --out".to_owned());
        }
        if command.includes.is_empty() {
            command.includes.push(PathBuf::from("."));
        }
        Ok(command)
    }

    fn run(self) -> Result<(), Error> {
        let builder = Builder::new().emit_rerun_if_changed(false);
        match self.out.filter(|_| self.generate) {
            None => builder.check(&self.files, &self.includes),
            Some(out) => {
                // If it cannot be made, writing into it says why.
                let _ = fs::create_dir_all(&out);
                builder.out_dir(out).compile(&self.files, &self.includes)
            }
        }
    }
}
