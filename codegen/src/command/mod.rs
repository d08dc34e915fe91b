//! The commands: arguments in, files and text out. What they say is worked out by the library.

mod arguments;
mod catalog;
mod coverage;
mod explain;
mod lock;

use std::env;
use std::ffi::OsString;
use std::fmt::Display;
use std::fs;
use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use arguments::Arguments;
use events_codegen::{Builder, Error, Look, Report};

pub(crate) const USAGE: &str = "\
usage: events-codegen generate [--include DIR]... [--deny-warnings] --out DIR FILE...
       events-codegen check    [--include DIR]... [--deny-warnings] [--lock LOCK [--locked]] FILE...
       events-codegen accept   [--include DIR]... --lock LOCK [--breaking] FILE...
       events-codegen explain  [RULE]
       events-codegen catalog  [--include DIR]... [--format md|json|html] [--out PATH] FILE...
       events-codegen coverage [--include DIR]... --schema FILE... [--deny-unused] DIR...

  generate       writes events.rs and the wire types to DIR
  check          looks for mistakes, and names them all; with --lock also for changes that break what LOCK promises
  accept         writes what the schema promises now to LOCK, and prints the lines for the changelog
  explain        says what a rule wants, why, and how to keep it; without RULE, lists all rules
  catalog        describes every event: md (default), json, or html, one searchable page
  coverage       lists where Rust sources call each emitter, and the events that none of them emits

  --include DIR  where FILE and its imports are looked for (default: the current directory); may be repeated
  --lock LOCK    the lock file, such as proto/events.lock
  --locked       additions that LOCK does not have yet are an error too, so that nobody adds by accident; for CI
  --breaking     accept changes that break wire, source or meaning; without it they are refused
  --deny-warnings  a warning is an error too; for CI
  --out          where to write; catalog prints unless it is given
  --schema FILE  the schema that declares the events; may be repeated
  --deny-unused  exit with 1 if an event is emitted nowhere

exit code: 0 when all is well, 1 when something was found or could not be done, 2 when the command is wrong";

/// Why a command did not do what it should.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The arguments make no sense.
    Usage(String),
    /// It was tried, and this is what came of it.
    Error(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error.render(look()))
    }
}

/// Runs the command that `arguments` are, without the program's name.
pub(crate) fn run(arguments: impl Iterator<Item = OsString>) -> Result<ExitCode, Failure> {
    let texts = arguments.map(|one| {
        one.into_string().map_err(|one| Failure::Usage(format!("`{}` is not UTF-8", one.display())))
    });
    let arguments = texts.collect::<Result<Vec<String>, Failure>>()?;
    if arguments.is_empty() || arguments.iter().any(|one| one == "--help" || one == "-h") {
        return say(USAGE);
    }
    let (command, rest) =
        arguments.split_first().map(|(first, rest)| (first.as_str(), rest)).unwrap_or_default();
    let parse = |known: &[&str]| Arguments::parse(rest, known).map_err(Failure::Usage);
    match command {
        "generate" => generate(&parse(&["--include", "--out", "--deny-warnings"])?),
        "check" => lock::check(&parse(&["--include", "--lock", "--locked", "--deny-warnings"])?),
        "accept" => lock::accept(&parse(&["--include", "--lock", "--breaking"])?),
        "explain" => explain::explain(&parse(&[])?),
        "catalog" => catalog::catalog(&parse(&["--include", "--format", "--out"])?),
        "coverage" => coverage::coverage(&parse(&["--include", "--schema", "--deny-unused"])?),
        other => Err(Failure::Usage(format!("`{other}` is not a command"))),
    }
}

fn generate(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let out = arguments.out.as_ref().ok_or_else(|| Failure::Usage("`generate` needs --out".to_owned()))?;
    // If it cannot be made, writing into it says why.
    let _ = fs::create_dir_all(out);
    let builder = builder().deny_warnings(arguments.deny_warnings);
    let generated = builder.generate(arguments.files()?, &arguments.includes)?;
    warn(&generated.warnings);
    generated.write(out)?;
    Ok(ExitCode::SUCCESS)
}

fn builder() -> Builder {
    Builder::new().emit_rerun_if_changed(false)
}

/// Tells warnings on standard error, where they do not mix with what was asked for.
fn warn(warnings: &Report) {
    if !warnings.is_empty() {
        complain(format_args!("{}\n", warnings.render(look())));
    }
}

/// Colours for people at a terminal who want them, and as many columns as the shell says there are.
fn look() -> Look {
    let said = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = env::var_os("TERM").is_some_and(|value| value == "dumb");
    let look = Look::plain().colours(io::stderr().is_terminal() && !said("NO_COLOR") && !dumb);
    match env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()) {
        Some(columns) => look.width(columns),
        None => look,
    }
}

/// Prints, and puts up with a reader that has seen enough.
fn say(text: impl Display) -> Result<ExitCode, Failure> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::Error(format!(
            "error[io]: standard output: {error}\n  cure: make room where it goes"
        ))),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// The same on standard error.
pub(crate) fn complain(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|cause| {
        Failure::Error(format!(
            "error[io]: {}: {cause}\n  cure: make sure the directory exists and can be written to",
            path.display()
        ))
    })
}
