//! Files that root makes in a spool must belong to the agent, or it cannot read them.
//!
//! What is given away is what was opened, without following a link: a name may stand for something else a moment later.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt, fchown},
    path::Path,
};

use rustix::{fs::OFlags, io::Errno};

use crate::{
    ledger,
    spool::{LOCK, QUARANTINE},
};

/// Gives a new file to the owner of the directory it will lie in. Does nothing unless root runs this.
pub(super) fn hand_over(dir: &Path, path: &Path) -> io::Result<()> {
    if !is_root() {
        return Ok(());
    }
    // Without NONBLOCK, opening a named pipe would wait for its writer for ever.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    give(&fs::metadata(dir)?, &OpenOptions::new().read(true).custom_flags(flags).open(path)?)
}

/// The same for a file that is open, and a directory of which this is known.
pub(super) fn give(dir: &fs::Metadata, file: &File) -> io::Result<()> {
    let there = file.metadata()?;
    if !is_root() || dir.uid() == there.uid() {
        return Ok(());
    }
    // A second name may stand for a file that is none of the spool's.
    if !(there.is_dir() || there.is_file() && there.nlink() == 1) {
        let text = "it is no regular file of one name, and only those are given to the owner of the spool";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    fchown(file, Some(dir.uid()), Some(dir.gid()))
}

/// Gives a spool that has just been made to whom the directory around it belongs: whoever may make it there is the agent.
pub(super) fn hand_over_directory(dir: &Path) -> io::Result<()> {
    match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => hand_over(parent, dir),
        Some(_) => hand_over(Path::new("."), dir),
        None => Ok(()),
    }
}

/// The same for what working on a spool may have left: the lock file, the accounts, and the quarantine with what is in it.
pub(super) fn hand_over_all(dir: &Path) -> io::Result<()> {
    let quarantine = dir.join(QUARANTINE);
    // Not through a link, behind which lies what is none of ours.
    let is_ours = fs::symlink_metadata(&quarantine).is_ok_and(|there| there.is_dir());
    let inside = is_ours.then(|| fs::read_dir(&quarantine)).into_iter().flatten().flatten().flatten();
    let inside =
        inside.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file())).map(|entry| entry.path());
    let own = [LOCK, ledger::FILE].map(|name| dir.join(name)).into_iter().chain(ledger::damaged(dir));
    for path in own.chain([quarantine.clone()]).chain(inside) {
        match hand_over(dir, &path) {
            // A link is nothing that working on the spool left.
            Err(error) if is_link(&error) || error.kind() == io::ErrorKind::NotFound => {}
            result => result?,
        }
    }
    Ok(())
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether it failed because a link stands there.
pub(super) fn is_link(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::LOOP.raw_os_error())
}
