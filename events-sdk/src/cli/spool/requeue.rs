//! `events spool requeue`: what Toggle refused is offered again.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

use clap::Args;

use crate::{
    cli::{
        failure::{BROKEN, DONE, Failure},
        json::Object,
        out::{Out, note, visible},
        owner,
        place::{self, Where},
    },
    spool::{Spool, View},
};

/// Moves files from the quarantine into the spool.
#[derive(Debug, Args)]
pub(in crate::cli) struct RequeueArgs {
    /// Files of the quarantine, as `ls --quarantine` lists them; all that hold refused events without any
    files: Vec<String>,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// One JSON object a line instead of text
    #[arg(long)]
    json: bool,
}

impl RequeueArgs {
    pub(in crate::cli) fn run(&self, at: &Where, out: &mut Out) -> Result<u8, Failure> {
        let dir = at.existing()?;
        let quarantine = View::of(&dir).quarantine();
        // Not through a link, behind which lies what is none of ours.
        let is_ours = fs::symlink_metadata(quarantine.dir()).is_ok_and(|there| there.is_dir());
        let there = if is_ours { quarantine.list()? } else { Vec::new() };
        let called = |wanted: &str, name: &str| wanted.strip_prefix("quarantine/").unwrap_or(wanted) == name;
        let is_there = |wanted: &&String| there.iter().any(|name| called(wanted, &name.to_string()));
        let unknown: Vec<&String> = self.files.iter().filter(|wanted| !is_there(wanted)).collect();
        for wanted in &unknown {
            let hint = if wanted.ends_with(".damaged") { ": damaged bytes cannot be sent" } else { "" };
            note(&format!("there is no refused event `{wanted}` in the quarantine{hint}"));
        }
        if !unknown.is_empty() {
            return Err(Failure::Usage("nothing was moved".to_owned()));
        }
        // Held until the end.
        let spool = if self.dry_run { None } else { Some(Spool::open(&dir)?) };
        let (mut moved, mut code) = (0_u64, DONE);
        for name in there {
            let text = name.to_string();
            if !self.files.is_empty() && !self.files.iter().any(|wanted| called(wanted, &text)) {
                continue;
            }
            let (from, to) = (quarantine.path_of(&name), dir.join(name.to_os_string()));
            let reason = place::reason(&from).unwrap_or_default();
            if spool.is_some()
                && let Err(error) = requeue(&dir, &from, &to)
            {
                note(&format!("cannot move {} to {}: {error}", from.display(), to.display()));
                code = BROKEN;
                continue;
            }
            moved += 1;
            if self.json {
                let object = Object::new().text("file", &text).flag("done", spool.is_some());
                writeln!(out, "{}", object.text("reason", &reason).end())?;
            } else {
                writeln!(out, "{}  {}", visible(&text), visible(&reason))?;
            }
        }
        if spool.is_some() {
            owner::hand_over_all(&dir).map_err(|error| {
                Failure::Broken(format!("cannot give {} to its owner: {error}", dir.display()))
            })?;
        }
        if !self.json {
            let done =
                if self.dry_run { "would be offered again" } else { "are offered again at the next start" };
            writeln!(out, "{moved} files {done}")?;
        }
        Ok(code)
    }
}

/// Moves one file, durably, and removes the text that went with it.
fn requeue(dir: &Path, from: &Path, to: &Path) -> io::Result<()> {
    match fs::symlink_metadata(to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
        Ok(_) => {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "another file of this name is there"));
        }
    }
    owner::hand_over(dir, from)?;
    fs::rename(from, to)?;
    File::open(dir)?.sync_all()?;
    let mut text = from.as_os_str().to_owned();
    text.push(".txt");
    match fs::remove_file(text) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    match from.parent() {
        Some(quarantine) => File::open(quarantine)?.sync_all(),
        None => Ok(()),
    }
}
