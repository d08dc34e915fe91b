//! `events spool requeue`: what Toggle refused is offered again.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Write},
    os::fd::AsFd,
    path::{Path, PathBuf},
};

use clap::Args;
use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, openat, renameat, statat, unlinkat},
    io::Errno,
};

use super::{
    accounts,
    hold::{Hold, tell_holder},
};

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
    /// The spool directory, instead of that of the configuration, and files of its quarantine, as `ls --quarantine` lists them; all that
    /// hold refused events where none is named
    #[arg(value_name = "DIR|FILE")]
    named: Vec<String>,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// One JSON object a line instead of text
    #[arg(long)]
    json: bool,
}

/// What the command line names.
#[derive(Debug, Default)]
struct Named {
    /// The spool.
    dir: Option<PathBuf>,
    /// Files of its quarantine, by their names there.
    files: Vec<String>,
}

impl Named {
    fn of(all: &[String]) -> Result<Self, Failure> {
        let mut named = Self::default();
        for text in all {
            let path = Path::new(text);
            let inside = path.parent().filter(|above| above.ends_with(QUARANTINE));
            match (inside, path.file_name().and_then(OsStr::to_str)) {
                (Some(quarantine), Some(name)) => {
                    named.files.push(name.to_owned());
                    // As `ls` writes it, it says nothing of where the spool is.
                    if let Some(dir) = quarantine.parent().filter(|dir| !dir.as_os_str().is_empty()) {
                        named.add_dir(dir)?;
                    }
                }
                _ if path.ends_with(QUARANTINE) && path.is_dir() => {
                    return Err(Failure::Usage(format!(
                        "{text} is where a spool sets aside what Toggle refused; name the spool, {}",
                        path.parent()
                            .filter(|dir| !dir.as_os_str().is_empty())
                            .unwrap_or(Path::new("."))
                            .display()
                    )));
                }
                // What is not there is told as with the other commands.
                _ if path.is_dir() || text.contains('/') => named.add_dir(path)?,
                _ => named.files.push(text.clone()),
            }
        }
        Ok(named)
    }

    fn add_dir(&mut self, dir: &Path) -> Result<(), Failure> {
        let same = |one: &Path| one == dir || one.canonicalize().ok() == dir.canonicalize().ok();
        match &self.dir {
            Some(other) if !same(other) => Err(Failure::Usage(format!(
                "{} and {} are two spools; name one at a time",
                other.display(),
                dir.display()
            ))),
            _ => {
                self.dir = Some(dir.to_owned());
                Ok(())
            }
        }
    }
}

impl RequeueArgs {
    pub(in crate::cli) fn run(&self, at: &Where, out: &mut Out) -> Result<u8, Failure> {
        let Named { dir, files } = Named::of(&self.named)?;
        let dir = at.to_work_on(dir.as_deref())?;
        if self.dry_run {
            tell_holder(&dir);
        }
        // Not through a link, behind which lies what is none of ours.
        let quarantine = View::of(&dir).quarantine()?;
        let there = quarantine.as_ref().map_or_else(|| Ok(Vec::new()), View::list)?;
        let quarantine = dir.join(QUARANTINE);
        let is_there = |wanted: &&String| there.iter().any(|name| name.to_string() == **wanted);
        let unknown: Vec<&String> = files.iter().filter(|wanted| !is_there(wanted)).collect();
        for wanted in &unknown {
            let hint = match wanted {
                _ if wanted.ends_with(".damaged") => ": damaged bytes cannot be sent".to_owned(),
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
            if !files.is_empty() && !files.contains(&text) {
                continue;
            }
            let reason = place::reason(&quarantine.join(name.to_os_string())).unwrap_or_default();
            let requeued = may_go(&dir, &name)
                .and_then(|()| hold.as_mut().map_or(Ok(()), |hold| requeue(hold, &dir, &quarantine, &name)));
            if let Err(failure) = requeued {
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

/// Fails where the event is in a file as well that waits: away from the quarantine it would be taken for one that is to be sent with it.
fn may_go(dir: &Path, name: &FileName) -> Result<(), Failure> {
    let view = View::of(dir);
    match view.waits_in(name, |file| accounts::step_of(&view, file))? {
        None => Ok(()),
        Some(file) => Err(Failure::Broken(format!(
            "{QUARANTINE}/{name} stays where it is: the batch that it is from still waits in {file}, so that it would come twice; start the \
             agent, and requeue it when the rest of that batch is delivered"
        ))),
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
