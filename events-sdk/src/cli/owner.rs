//! Files that root makes in a spool must belong to the agent, or it cannot read them.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, lchown},
    path::Path,
};

/// Gives a new file to the owner of the directory it will lie in. Does nothing unless root runs this.
pub(super) fn hand_over(dir: &Path, path: &Path) -> io::Result<()> {
    let (owner, there) = (fs::metadata(dir)?, fs::symlink_metadata(path)?);
    if !rustix::process::geteuid().is_root() || owner.uid() == there.uid() {
        return Ok(());
    }
    lchown(path, Some(owner.uid()), Some(owner.gid()))
}

/// The same for what working on a spool may have left: the lock file, and the quarantine with what is in it.
pub(super) fn hand_over_all(dir: &Path) -> io::Result<()> {
    let quarantine = dir.join("quarantine");
    let inside = fs::read_dir(&quarantine).into_iter().flatten().flatten().map(|entry| entry.path());
    for path in [dir.join(".lock"), quarantine.clone()].into_iter().chain(inside) {
        match hand_over(dir, &path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
