//! Files that root makes in a spool must belong to the agent, or it cannot read them.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, lchown},
    path::Path,
};

use crate::ledger;

/// Gives a new file to the owner of the directory it will lie in. Does nothing unless root runs this.
pub(super) fn hand_over(dir: &Path, path: &Path) -> io::Result<()> {
    let (owner, there) = (fs::metadata(dir)?, fs::symlink_metadata(path)?);
    if !rustix::process::geteuid().is_root() || owner.uid() == there.uid() {
        return Ok(());
    }
    lchown(path, Some(owner.uid()), Some(owner.gid()))
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
    let quarantine = dir.join("quarantine");
    // Not through a link, behind which lies what is none of ours.
    let is_ours = fs::symlink_metadata(&quarantine).is_ok_and(|there| there.is_dir());
    let inside = is_ours.then(|| fs::read_dir(&quarantine)).into_iter().flatten().flatten().flatten();
    let inside = inside.map(|entry| entry.path());
    let own = [".lock", ledger::FILE, ledger::DAMAGED].map(|name| dir.join(name));
    for path in own.into_iter().chain([quarantine.clone()]).chain(inside) {
        match hand_over(dir, &path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
