//! `check` and `accept`: the schema against its lock file.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;

use events_codegen::{Change, Contract};

use super::arguments::Arguments;
use super::{Failure, builder, complain, say, warn, write};

/// Looks for mistakes, and for changes that break what the lock file promises.
pub(super) fn check(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let files = arguments.files()?;
    warn(&builder().deny_warnings(arguments.deny_warnings).check(files, &arguments.includes)?);
    let Some(lock) = &arguments.lock else {
        if arguments.locked {
            return Err(Failure::Usage("--locked needs --lock".to_owned()));
        }
        return Ok(ExitCode::SUCCESS);
    };
    let now = builder().contract(files, &arguments.includes)?;
    let text = read(lock)?.ok_or_else(|| {
        Failure::Error(format!(
            "error[lock-file]: {}: there is no lock file\n  cure: write it with `events-codegen accept`, and commit it",
            lock.display()
        ))
    })?;
    let changes = Contract::parse(&lock.display().to_string(), &text)?.changes(&now);
    let breaking = tell(&changes)?;
    if breaking > 0 {
        return Err(Failure::Error(format!(
            "{breaking} of {} changes break what {} promises\n  cure: undo them, or accept them knowingly with \
             `events-codegen accept --breaking`",
            changes.len(),
            lock.display()
        )));
    }
    // Text against text: a difference that is no change, such as a line that was edited by hand, is not current either.
    if text.replace("\r\n", "\n") == now.to_string() {
        return Ok(ExitCode::SUCCESS);
    }
    let stale = format!(
        "[lock-stale]: {}:1:1: the lock file is not what the schema promises now\n  cure: accept what was added with \
         `events-codegen accept`, and commit the lock file",
        lock.display()
    );
    match arguments.locked {
        true => Err(Failure::Error(format!("error{stale}"))),
        false => say(format!("note{stale}")),
    }
}

/// Writes the lock file, and the lines for the changelog.
pub(super) fn accept(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let files = arguments.files()?;
    let lock = arguments.lock.as_ref().ok_or_else(|| Failure::Usage("`accept` needs --lock".to_owned()))?;
    let now = builder().contract(files, &arguments.includes)?;
    let old = read(lock)?;
    // A lock file that cannot be read promises nothing that could be compared; with --breaking it is replaced.
    let accepted = match &old {
        None => None,
        Some(text) => match Contract::parse(&lock.display().to_string(), text) {
            Ok(accepted) => Some(accepted),
            Err(_) if arguments.breaking => None,
            Err(error) => {
                let (Failure::Error(text) | Failure::Usage(text)) = error.into();
                return Err(Failure::Error(format!(
                    "{}\n  or add `--breaking`: what it promised is given up, and what the schema promises now is written",
                    text.trim_end()
                )));
            }
        },
    };
    let changes = accepted.as_ref().map(|accepted| accepted.changes(&now)).unwrap_or_default();
    if !arguments.breaking && changes.iter().any(|change| change.breaks.any()) {
        let breaking = tell(&changes)?;
        return Err(Failure::Error(format!(
            "{breaking} changes break what {} promises, so it was left as it is\n  cure: undo them, or add `--breaking`",
            lock.display()
        )));
    }
    let text = now.to_string();
    if old.as_deref() == Some(text.as_str()) {
        return say(format!("{} is current", lock.display()));
    }
    write(lock, &text)?;
    match accepted {
        None => say("* Schema: accepted as it is.")?,
        Some(_) => say(changes.iter().map(Change::changelog).collect::<Vec<_>>().join("\n"))?,
    };
    Ok(ExitCode::SUCCESS)
}

/// Breaks go to standard error and notes to standard output; says how many breaks there are.
fn tell(changes: &[Change]) -> Result<usize, Failure> {
    let (breaks, notes): (Vec<&Change>, Vec<&Change>) =
        changes.iter().partition(|change| change.breaks.any());
    breaks.iter().for_each(|change| complain(format_args!("{change}\n")));
    for change in notes {
        say(change)?;
    }
    Ok(breaks.len())
}

fn read(lock: &Path) -> Result<Option<String>, Failure> {
    match fs::read_to_string(lock) {
        Ok(text) => Ok(Some(text)),
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(Failure::Error(format!(
            "error[io]: {}: {cause}\n  cure: make sure that it is a text file and may be read",
            lock.display()
        ))),
    }
}
