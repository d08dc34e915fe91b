//! `events spool requeue`: what Toggle refused is offered again.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Write},
    os::fd::AsFd,
    path::Path,
};

use clap::Args;
use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, openat, renameat, statat, unlinkat},
    io::Errno,
};

use super::hold::Hold;

use crate::{
    cli::{
        failure::{BROKEN, DONE, Failure},
        json::Object,
        out::{Out, note, visible},
        owner,
        place::{self, Where},
    },
    plural::{counted, is_or_are},
    spool::{FileName, QUARANTINE, View},
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
        let dir = at.to_work_on(None)?;
        // Not through a link, behind which lies what is none of ours.
        let quarantine = View::of(&dir).quarantine()?;
        let there = quarantine.as_ref().map_or_else(|| Ok(Vec::new()), View::list)?;
        let quarantine = dir.join(QUARANTINE);
        let bare = |wanted: &'_ str| {
            wanted
                .strip_prefix(QUARANTINE)
                .and_then(|rest| rest.strip_prefix('/'))
                .map_or(wanted.to_owned(), str::to_owned)
        };
        let called = |wanted: &str, name: &str| bare(wanted) == name;
        let is_there = |wanted: &&String| there.iter().any(|name| called(wanted, &name.to_string()));
        let unknown: Vec<&String> = self.files.iter().filter(|wanted| !is_there(wanted)).collect();
        for wanted in &unknown {
            let hint = match wanted {
                _ if wanted.ends_with(".damaged") => ": damaged bytes cannot be sent".to_owned(),
                _ if Path::new(wanted).is_dir() => {
                    format!(": that is a directory; a spool is named with --spool {wanted}")
                }
                _ => String::new(),
            };
            note(&format!("there is no refused event `{wanted}` in the quarantine{hint}"));
        }
        if !unknown.is_empty() {
            return Err(Failure::Usage("nothing was moved".to_owned()));
        }
        // Held until the end.
        let meanwhile = "what they say of files under way is not known";
        let mut hold = if self.dry_run { None } else { Some(Hold::open(&dir, meanwhile)?) };
        let (mut moved, mut code) = (0_u64, DONE);
        for name in there {
            let text = name.to_string();
            if !self.files.is_empty() && !self.files.iter().any(|wanted| called(wanted, &text)) {
                continue;
            }
            let reason = place::reason(&quarantine.join(name.to_os_string())).unwrap_or_default();
            if let Some(hold) = &mut hold
                && let Err(failure) = requeue(hold, &dir, &quarantine, &name)
            {
                note(failure.text().unwrap_or_default());
                code = BROKEN;
                continue;
            }
            moved += 1;
            if self.json {
                let object = Object::new().text("file", &text).flag("done", hold.is_some());
                writeln!(out, "{}", object.text("reason", &reason).end())?;
            } else {
                writeln!(out, "{}  {}", visible(&text), visible(&reason))?;
            }
        }
        if hold.is_some() {
            owner::hand_over_all(&dir).map_err(|error| {
                Failure::Broken(format!("cannot give {} to its owner: {error}", dir.display()))
            })?;
        }
        if !self.json {
            let files = counted(moved, "file");
            match self.dry_run {
                true => writeln!(out, "{files} would be offered again")?,
                false => writeln!(out, "{files} {} offered again at the next start", is_or_are(moved))?,
            }
        }
        Ok(code)
    }
}

/// Moves one file, durably, and removes the text that went with it. By what is open, not by paths: a name may stand for
/// something else a moment later.
fn requeue(hold: &mut Hold, dir: &Path, quarantine: &Path, name: &FileName) -> Result<(), Failure> {
    let (from, to) = (quarantine.join(name.to_os_string()), dir.join(name.to_os_string()));
    let failed = |error: io::Error| {
        Failure::Broken(format!("cannot move {} to {}: {error}", from.display(), to.display()))
    };
    let quarantine = open(CWD, quarantine, OFlags::DIRECTORY).map_err(failed)?;
    let spool = open(CWD, dir, OFlags::DIRECTORY).map_err(failed)?;
    // That one may have been delivered, and wait to be removed.
    must_be_free(&spool, &name.to_os_string()).map_err(failed)?;
    // A slot of the file that was once delivered under this identity, left by a kill, would have the next start of the agent remove
    // this one as done.
    hold.books.forget(name.id())?;
    move_file(&quarantine, &spool, &name.to_os_string()).map_err(failed)?;
    hold.came_back(name)
}

fn must_be_free(spool: &File, name: &OsStr) -> io::Result<()> {
    match statat(spool, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Err(io::Error::new(io::ErrorKind::AlreadyExists, "another file of this name is there")),
    }
}

fn move_file(quarantine: &File, spool: &File, name: &OsStr) -> io::Result<()> {
    // Without NONBLOCK, opening a named pipe would wait for its writer for ever.
    owner::give(&spool.metadata()?, &open(quarantine, Path::new(name), OFlags::NONBLOCK)?)?;
    renameat(quarantine, name, spool, name)?;
    spool.sync_all()?;
    let mut text = name.to_owned();
    text.push(".txt");
    match unlinkat(quarantine, &text, AtFlags::empty()) {
        Err(Errno::NOENT) => {}
        removed => removed?,
    }
    quarantine.sync_all()
}

fn open(at: impl AsFd, path: &Path, flags: OFlags) -> io::Result<File> {
    let flags = flags | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(File::from(openat(at, path, flags, Mode::empty())?))
}
