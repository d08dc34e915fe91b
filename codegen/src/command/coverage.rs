//! `coverage`: walks source trees and tells what they emit.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::arguments::Arguments;
use super::{Failure, builder, complain, say};

/// Folders that hold what is built or kept, not what is written.
const SKIPPED: &[&str] = &["target", "node_modules"];

/// Lists calls and what is emitted nowhere.
pub(super) fn coverage(arguments: &Arguments) -> Result<ExitCode, Failure> {
    if arguments.schemas.is_empty() {
        return Err(Failure::Usage("`coverage` needs --schema".to_owned()));
    }
    if arguments.rest.is_empty() {
        return Err(Failure::Usage("no directory with Rust sources was named".to_owned()));
    }
    let mut coverage = builder().coverage(&arguments.schemas, &arguments.includes)?;
    for root in &arguments.rest {
        for path in sources(root)? {
            match fs::read(&path) {
                Ok(bytes) => coverage.add(&path.display().to_string(), &String::from_utf8_lossy(&bytes)),
                Err(cause) => complain(format_args!("warning[io]: {}: {cause}: left out", path.display())),
            }
        }
    }
    for (path, why) in &coverage.not_parsed {
        complain(format_args!("warning[not-parsed]: {path}: {why}: searched as far as it can be read"));
    }
    for (emitter, places) in coverage.calls.iter().filter(|(_, places)| !places.is_empty()) {
        say(format!(
            "emit_{emitter}: {}",
            if places.len() == 1 { "1 call".into() } else { format!("{} calls", places.len()) }
        ))?;
        for place in places {
            say(format!("  {place}"))?;
        }
    }
    let unused: Vec<&str> = coverage.unused().collect();
    for emitter in &unused {
        let declared = coverage.declared.get(*emitter).cloned().unwrap_or_default();
        say(format!("emit_{emitter}: never called, declared at {declared}"))?;
    }
    let all = coverage.declared.len();
    say(format!("{} of {all} events are emitted", all - unused.len()))?;
    Ok(ExitCode::from(u8::from(arguments.deny_unused && !unused.is_empty())))
}

/// The Rust files below `root`, sorted; `root` may be a file. Links to folders are not followed: they may lead round.
fn sources(root: &Path) -> Result<Vec<PathBuf>, Failure> {
    if root.is_file() {
        return Ok(vec![root.to_owned()]);
    }
    let (mut found, mut open) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = open.pop() {
        let entries = fs::read_dir(&folder).map_err(|cause| {
            Failure::Error(format!(
                "error[io]: {}: {cause}\n  cure: name a directory that exists and may be read",
                folder.display()
            ))
        })?;
        for entry in entries.flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && !name.starts_with('.') && !SKIPPED.contains(&&*name) => {
                    open.push(path)
                }
                Ok(kind) if !kind.is_dir() && name.ends_with(".rs") => found.push(path),
                _ => {}
            }
        }
    }
    found.sort();
    Ok(found)
}
