//! What the spool needs of a file system, and no more.
//!
//! Small on purpose: whoever implements these operations can fail, tear or forget each of them, which is how the
//! spool's promises are tested. The real one is [`Disk`](super::disk::Disk). No operation on a file follows
//! a symbolic link in the last part of its path; those on directories do.

use std::{
    ffi::OsString,
    fmt, io,
    io::{Read, Seek, Write},
    path::Path,
};

/// A file system, as the spool sees it.
pub(crate) trait Storage: fmt::Debug + Send + Sync {
    /// Makes the directory, readable by its owner only, and its parents. It may exist already.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// Makes a new file, readable by its owner only. It must not exist yet.
    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>>;

    /// Makes a new file that takes up so much of the disk and holds nothing of interest. It must not exist yet.
    fn reserve(&self, path: &Path, bytes: u64) -> io::Result<()>;

    /// Opens a regular file to read it.
    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>>;

    /// Gives a file another name in one step, in place of any file of that name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Returns when the names in the directory are on stable storage.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Calls `each` with everything in the directory, in no order, and of what kind it is. There may be very many, so
    /// nothing is asked of the entries themselves.
    fn list(&self, dir: &Path, each: &mut dyn FnMut(OsString, EntryKind)) -> io::Result<()>;

    /// What lies at this path.
    fn metadata(&self, path: &Path) -> io::Result<Metadata>;

    /// Takes the lock at this path for as long as the guard lives, and leaves `note` in it for others to read.
    fn lock(&self, path: &Path, note: &str) -> io::Result<Lock>;

    /// How many bytes the file system of the directory still takes from this user.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;

    /// What an operator should know of the place: it forgets at reboot, belongs to somebody else, and so on.
    fn concerns(&self, dir: &Path) -> Vec<String>;
}

/// A file being read.
pub(crate) trait ReadFile: Read + Seek + Send {
    /// Its length in bytes, now.
    fn size(&self) -> io::Result<u64>;
}

/// A file being written.
pub(crate) trait WriteFile: Write + Send {
    /// Puts these bytes in the place of as many at its start, which were written before.
    fn write_over_start(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Returns when all that was written is on stable storage.
    fn sync(&mut self) -> io::Result<()>;
}

/// What taking a lock came to.
pub(crate) enum Lock {
    /// It is ours until the guard goes.
    Held(Box<dyn LockGuard>),
    /// Somebody else has it, and left this note.
    InUse(String),
}

/// A lock that is held.
pub(crate) trait LockGuard: Send {
    /// Whether the lock still lies where others look for it. `false` once the file or its directory was removed or
    /// replaced: then it keeps nobody out any more.
    fn is_current(&self) -> io::Result<bool>;
}

/// What lies at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Metadata {
    /// Of what kind it is.
    pub(crate) kind: EntryKind,
    /// Its length in bytes.
    pub(crate) len: u64,
    /// When it was last changed, in milliseconds since the Unix epoch.
    pub(crate) modified_ms: i64,
}

/// Of what kind the thing at a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link, a socket, a device: nothing for us.
    Other,
}
