//! The real file system, through std and, where std has no word for it, rustix.
//!
//! Owns the flags, modes and locks of the spool's files. Nothing here knows what is in them.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    os::fd::AsFd,
    os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rustix::{
    fs::{FallocateFlags, OFlags, StatVfsMountFlags},
    io::Errno,
};

use crate::{
    fault,
    file_limit::{self, Limited},
    fork::LockFile,
};

use super::storage::{EntryKind, Lock, LockGuard, Metadata, ReadFile, Storage, WriteFile};

/// Only the agent's user looks into the spool: events name users and addresses.
const DIR_MODE: u32 = 0o700;
/// See [`DIR_MODE`].
const FILE_MODE: u32 = 0o600;
/// A lock file that is replaced between opening and locking it is opened again. More than a few times in a row is no
/// accident but somebody who does it on purpose.
const LOCK_ATTEMPTS: u32 = 8;
/// A lock that is held is tried again so often: the command `events` holds it for an instant to see whether it is free.
const LOOKS: u32 = 40;
/// The pause in between. Looking takes microseconds, but the process that does so may have to wait for its turn.
const LOOK: Duration = Duration::from_millis(5);
/// A process id and a line end fit several times over; whatever else stands in a lock file is not read.
pub(super) const NOTE_BYTES: u64 = 64;

/// What is written of a file without interest in one go.
const BLOCK: usize = 64 << 10;

/// The file system of the machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Disk;

impl Storage for Disk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let missing: Vec<&Path> =
            dir.ancestors().take_while(|dir| !dir.as_os_str().is_empty() && !dir.exists()).collect();
        DirBuilder::new().recursive(true).mode(DIR_MODE).create(dir)?;
        // A new directory is on stable storage once the one it stands in is.
        for parent in missing.iter().rev().filter_map(|dir| dir.parent()) {
            self.sync_dir(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })?;
        }
        Ok(())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        let file = options(OFlags::NOFOLLOW).write(true).create_new(true).mode(FILE_MODE).open(path)?;
        Ok(Box::new(Limited::new(file)))
    }

    fn reserve(&self, path: &Path, bytes: u64) -> io::Result<()> {
        file_limit::allow(bytes)?;
        let mut file = options(OFlags::NOFOLLOW).write(true).create_new(true).mode(FILE_MODE).open(path)?;
        match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, bytes) {
            // Some file systems know no other way.
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => fill(&mut file, bytes),
            reserved => Ok(reserved?),
        }
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        Ok(Box::new(open_regular(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let opened = options(OFlags::DIRECTORY).read(true).open(dir)?;
        match fault::fallible("sync spool").and_then(|()| opened.sync_all()) {
            // Some network and FUSE file systems cannot sync a directory; there is nothing better to do on them.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) =>
            {
                Ok(())
            }
            result => result,
        }
    }

    fn list(&self, dir: &Path, each: &mut dyn FnMut(OsString, EntryKind)) -> io::Result<()> {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            match entry.file_type() {
                Ok(kind) => each(entry.file_name(), kind_of(kind)),
                // Some file systems have to look, and it has vanished meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        fs::symlink_metadata(path).map(|metadata| describe(&metadata))
    }

    fn lock(&self, path: &Path, note: &str) -> io::Result<Lock> {
        for _ in 0..LOCK_ATTEMPTS {
            let file = options(OFlags::NOFOLLOW | OFlags::NONBLOCK)
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(FILE_MODE)
                .open(path)?;
            let mut locked = file.try_lock();
            for _ in 0..LOOKS {
                if !matches!(locked, Err(TryLockError::WouldBlock)) {
                    break;
                }
                thread::sleep(LOOK);
                locked = file.try_lock();
            }
            match locked {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let mut note = String::new();
                    // Without the note the lock is just as taken.
                    let _ = file.take(NOTE_BYTES).read_to_string(&mut note);
                    return Ok(Lock::InUse(note.trim().to_owned()));
                }
                Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                    tracing::warn!(
                        path = %path.display(),
                        "the file system has no locks: nothing keeps a second process out of the spool"
                    );
                }
                Err(TryLockError::Error(error)) => return Err(error),
            }
            // Closed in a forked child, or the lock would be held until that ends too.
            let in_children = LockFile::new(file.as_fd());
            let guard = FileLock { path: path.to_owned(), file, _in_children: in_children };
            // Whoever removed the file between our opening and locking it left us a lock that nobody sees.
            if guard.is_current()? {
                let mut file = &guard.file;
                let note = format!("{note}\n");
                let noted = file
                    .set_len(0)
                    .and_then(|()| file_limit::allow(note.len() as u64))
                    .and_then(|()| file.seek(SeekFrom::Start(0)))
                    .and_then(|_| file.write_all(note.as_bytes()));
                if let Err(error) = noted {
                    // A full disk must not keep the process from starting.
                    tracing::warn!(path = %path.display(), %error, "the lock is taken but cannot name its holder");
                }
                return Ok(Lock::Held(Box::new(guard)));
            }
        }
        Err(io::Error::new(io::ErrorKind::ResourceBusy, "the lock file is replaced again and again"))
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        free_bytes(dir)
    }

    fn concerns(&self, dir: &Path) -> Vec<String> {
        let mut concerns = Vec::new();
        let path = dir.display();
        // Where it cannot even be made, what is around it tells why.
        let there = dir.ancestors().find(|dir| dir.exists()).unwrap_or(dir);
        if rustix::fs::statvfs(there).is_ok_and(|about| about.f_flag.contains(StatVfsMountFlags::RDONLY)) {
            concerns.push(format!(
                "the spool directory {path} is on a file system that is mounted read-only; mount it for writing, or choose another `spool_dir`"
            ));
        }
        if let Some(kind) = file_system(there).and_then(volatile_or_remote) {
            concerns.push(format!(
                "the spool directory {path} is on {kind}; put it on a local disk to keep events over a reboot or a network failure"
            ));
        }
        if let Some(kind) = file_system(there).and_then(copy_on_write) {
            concerns.push(format!(
                "the spool directory {path} is on {kind}, which writes what is changed to another place: no space can be set aside for the files that are kept in memory, and on a full disk a store into one ends the process; put it on ext4 or XFS, or see that the disk never fills up"
            ));
        }
        if let Ok(metadata) = fs::metadata(dir) {
            let ours = rustix::process::geteuid().as_raw();
            if metadata.uid() != ours {
                let owner = metadata.uid();
                concerns.push(format!(
                    "the spool directory {path} belongs to user {owner}, not to {ours} which this process runs as; chown it"
                ));
            }
            let mode = metadata.mode() & 0o7777;
            if mode & 0o022 != 0 {
                concerns.push(format!(
                    "the spool directory {path} can be written by other users (mode {mode:04o}); chmod it to 0700"
                ));
            }
        }
        concerns
    }
}

/// Writes so many bytes that cannot be compressed: xorshift (Marsaglia, 2003).
fn fill(file: &mut File, bytes: u64) -> io::Result<()> {
    let mut block = vec![0_u8; BLOCK];
    let (mut word, mut left) = (0x9e37_79b9_7f4a_7c15_u64, bytes);
    while left > 0 {
        for eight in block.chunks_exact_mut(8) {
            word ^= word << 13;
            word ^= word >> 7;
            word ^= word << 17;
            eight.copy_from_slice(&word.to_le_bytes());
        }
        // No more than a block.
        let now = left.min(BLOCK as u64) as usize;
        file.write_all(&block[..now])?;
        left -= now as u64;
    }
    file.sync_data()
}

/// Opens a regular file to read it. What lies behind a link is none of the spool's, and a named pipe or a device may never end.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    // Without NONBLOCK, opening a named pipe would wait for its writer for ever.
    let file = options(OFlags::NOFOLLOW | OFlags::NONBLOCK).read(true).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    Ok(file)
}

/// Whether somebody holds the lock of this file, which need not be there. Holds it for an instant, beside whoever else only looks.
#[cfg(feature = "cli")]
pub(super) fn is_locked(path: &Path) -> io::Result<bool> {
    let file = match open_regular(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        opened => opened?,
    };
    match file.try_lock_shared() {
        Ok(()) => file.unlock().map(|()| false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// What an operator should know where so many bytes are to stay free around this directory: that the file system does not even have
/// as many.
pub(crate) fn concern_about_room(dir: &Path, min_free: u64) -> Option<String> {
    let there = dir.ancestors().find(|dir| dir.exists()).unwrap_or(dir);
    let about = rustix::fs::statvfs(there).ok()?;
    let all = about.f_blocks.saturating_mul(about.f_frsize);
    // Some file systems do not say.
    (all > 0 && all <= min_free).then(|| {
        format!(
            "the spool directory {} is on a file system of {all} bytes, and `spool_min_free_bytes` keeps {min_free} free: nothing is ever \
             written there; lower `spool_min_free_bytes`, or choose another `spool_dir`",
            dir.display()
        )
    })
}

/// How many bytes of the file system around this directory this process may still use.
pub(crate) fn free_bytes(dir: &Path) -> io::Result<u64> {
    let about = rustix::fs::statvfs(dir)?;
    if about.f_blocks == 0 {
        // As `/proc` and the like, where no room can be made: what is wrong there a write tells.
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "the file system does not say how much is free",
        ));
    }
    Ok(fault::at_most_free(about.f_bavail.saturating_mul(about.f_frsize)))
}

impl ReadFile for File {
    fn size(&self) -> io::Result<u64> {
        self.metadata().map(|metadata| metadata.len())
    }
}

impl WriteFile for Limited {
    fn write_over_start(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file().write_all_at(bytes, 0)
    }

    fn sync(&mut self) -> io::Result<()> {
        // The length of a new file is data in this sense; its times are not worth a second journal entry.
        fault::fallible("sync file")?;
        self.file().sync_data()
    }
}

struct FileLock {
    path: PathBuf,
    /// Before the file: what is closed must not be closed once more.
    _in_children: LockFile,
    file: File,
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // A process that is being started has a copy of the descriptor until its program runs, and would hold the lock as long.
        let _ = self.file.unlock();
    }
}

impl LockGuard for FileLock {
    fn is_current(&self) -> io::Result<bool> {
        let held = self.file.metadata()?;
        match fs::symlink_metadata(&self.path) {
            Ok(there) => Ok(there.dev() == held.dev() && there.ino() == held.ino()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn options(flags: OFlags) -> OpenOptions {
    let mut options = OpenOptions::new();
    // The bits of the flags are the same set in both types.
    options.custom_flags(flags.bits().cast_signed());
    options
}

fn kind_of(kind: fs::FileType) -> EntryKind {
    if kind.is_file() {
        EntryKind::File
    } else if kind.is_dir() {
        EntryKind::Dir
    } else {
        EntryKind::Other
    }
}

fn describe(metadata: &fs::Metadata) -> Metadata {
    let kind = kind_of(metadata.file_type());
    let modified_ms = metadata.mtime().saturating_mul(1000).saturating_add(metadata.mtime_nsec() / 1_000_000);
    Metadata { kind, len: metadata.len(), modified_ms }
}

/// The number by which Linux tells the file system around this from others (linux/magic.h).
#[cfg(target_os = "linux")]
fn file_system(dir: &Path) -> Option<u64> {
    // The type of the field differs between architectures; the numbers are 32 bits wide.
    Some(rustix::fs::statfs(dir).ok()?.f_type as u64 & 0xffff_ffff)
}

#[cfg(not(target_os = "linux"))]
fn file_system(_: &Path) -> Option<u64> {
    None
}

/// File systems on which the blocks that a file was given are not those that a change of it goes to.
fn copy_on_write(number: u64) -> Option<&'static str> {
    match number {
        0x9123_683e => Some("btrfs"),
        0x2fc1_2fc1 => Some("ZFS"),
        0xca45_1a4e => Some("bcachefs"),
        _ => None,
    }
}

/// Those that lose files at reboot or with the network.
fn volatile_or_remote(number: u64) -> Option<&'static str> {
    match number {
        0x0102_1994 => Some("a tmpfs, which forgets everything at reboot"),
        0x8584_58f6 => Some("a ramfs, which forgets everything at reboot"),
        0x0000_6969 => Some("NFS, a network file system"),
        0xff53_4d42 | 0xfe53_4d42 | 0x0000_517b => Some("SMB, a network file system"),
        0x0102_1997 => Some("9p, a network file system"),
        0x00c3_6400 => Some("Ceph, a network file system"),
        _ => None,
    }
}
