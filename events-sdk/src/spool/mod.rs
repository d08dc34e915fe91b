//! The spool: the directory of spill files, where events wait while Toggle is away.
//!
//! Owns the directory, its lock and the format of its files. Everything here blocks and belongs on a thread that may.
//! It keeps no list of files in memory: what is there is what the directory says. When to spill, what to deliver
//! first, how much may lie here and what became of each event is the business of whoever calls.
//!
//! # The directory
//!
//! | name | is |
//! |---|---|
//! | `<uuid>.pb` | a spill file; the name is its identity. Other names ending in `.pb` are read too |
//! | `.<uuid>.tmp` | a spill file being written |
//! | `.accounts` | what became of all events ever accepted here, see [`crate::ledger`] |
//! | `.accounts.tmp` | new accounts that are not complete yet |
//! | `.accounts.damaged`, `.accounts.damaged.2` to `.9` | accounts that could not be read and gave up their name |
//! | `.<uuid>.<file>.thinned` | a complete spill file that is about to take the place of the other, see [`thin`] |
//! | `.ballast` | room that is given up when there is no other, see [`ballast`] |
//! | `.lock` | locked (`flock`) by the one process that works here, and holding its process id |
//! | `segments/` | what waits in memory, see [`crate::segment`] |
//! | `quarantine/` | damaged bytes and refused events, see [`quarantine`] |
//!
//! Directories have mode 0700, files 0600. In the directory no symbolic link is followed, and nothing but the above is
//! touched. The configured path itself may lead through links: where the spool lies is the operator's choice.
//!
//! # A spill file
//!
//! One plain `rodent.EventBatch`, which any protobuf library reads:
//!
//! ```text
//! seal (100)            BatchSeal, first part: how many events, whole, whose, offered, and crc32c of this part
//! events (1)            entry  entry  entry …     raw bytes as they were emitted
//! seal (100)            BatchSeal, second part: crc32c of each entry
//! batch_timestamp (2)   when the batch was put together
//! batch_id (3)          the UUID of the file's name
//! seal (100)            BatchSeal, all but the second part: crc32c of every byte before this field, counts, whole, schema
//!                       fingerprint, …, and crc32c of the timestamp, the id and this field
//! ```
//!
//! Protobuf readers merge the three parts of the seal into one message. The last part is always the last field and the
//! id the one before it, so that the end of a file tells what is in it; where the second part lies follows from the count
//! in the last. The first part, which has the same length in every file, repeats what must not be lost with the end: under
//! which identity the events go, in whose books they are, and how many there were. It is believed where the end is gone or is
//! not what was written. Files of earlier versions have no first part and no checksum of the seal itself; their seals are
//! believed. Files without a seal, as the earlier agent left them, are read just so; their fields may stand in any
//! order, and each event must decode as one.
//!
//! # Pieces
//!
//! A file is sent in pieces, cut after [`format::PIECE_EVENTS`] events or before [`format::PIECE_BYTES`] bytes. These
//! numbers are part of the format: where the cuts are, and with them the identities
//! `UUIDv5(namespace = id of the file, name = place of the piece in decimal)`, depends on the bytes of the file alone.
//! The seal says how many events each piece has, so that damage moves no cut.
//! A file sealed as `whole` is one batch: it is sent as it is, under its own id. One sealed as `offered` was sent to Toggle before.
//!
//! # Invariants
//!
//! 1. A name ending in `.pb` is given to a file after all its bytes are on stable storage. There are no half files.
//! 2. [`Spool::write`] returns `Ok` after the name too is on stable storage; when it returns an error there is no file.
//! 3. A file is never changed. It is removed as a whole, or another of a new name takes its place, with fewer of its events:
//!    see [`thin`]. (The command `events spool repair`, which holds the lock, puts a file of the same name and the same good
//!    events in place of a damaged one.)
//! 4. Damaged bytes are in the quarantine, as a copy on stable storage, before their file is removed.
//! 5. Reading never fails because of what is in a file. Every byte of it is a delivered event, a field of the batch,
//!    or counted as damaged.
//!
//! # What survives what
//!
//! | crash or power loss | then |
//! |---|---|
//! | while the temporary file is written or synced, before the rename | no spill file; the next start removes the rest. It was never accounted as on disk, not even if it is complete |
//! | between rename and the sync of the directory | a complete spill file, or none |
//! | after `write` has returned | a complete spill file |
//! | while a segment becomes a file | the segment, the file, or both, under the same id |
//! | while a file is being removed, and a second after | the file, complete, or none; what is read again repeats its ids |
//! | while events of a file are dropped to make room | the file as it was, or what is left of it under its new identity, never both |
//! | while damaged bytes are set aside | the file is still there; the same bytes go to the same name again |
//! | after a refused event is set aside, while its file is still there | the event is in both; what lies in the quarantine says where it is from, and counts: see [`refused`] |
//!
//! | damage | costs |
//! |---|---|
//! | changed, missing or added bytes among the events | exactly the events they are in |
//! | in the part of the seal at the start | nothing. The end says the same |
//! | in the checksums | nothing. Events are believed if they decode, which does not show a change within a text |
//! | in the rest of the seal, the id or the timestamp | nothing. The start says under which identity the events go and in whose books they are |
//! | the file ends too early | what is cut off; the start says how much that is. The rest is believed if it decodes, and goes under the same identity |
//! | in the seal at both ends | the identity of a batch that was sent whole, whose it is, and how many events are missing, if any are |
//! | anything in a file without a seal | the events that do not decode, and in rare cases a neighbour |

mod ballast;
mod checks;
mod compose;
mod disk;
mod error;
mod file;
pub(crate) mod format;
mod name;
mod places;
mod quarantine;
mod reader;
mod refused;
mod scan;
mod seal;
#[cfg(feature = "cli")]
mod segment_view;
mod segments;
mod storage;
#[cfg(test)]
pub(crate) mod tests;
mod thin;
mod twice;
#[cfg(feature = "cli")]
mod view;
mod write;

use std::{
    ffi::{OsStr, OsString},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
};

use uuid::Uuid;

pub(crate) use compose::{Composer, Sealing};
#[cfg(feature = "cli")]
pub(crate) use compose::{Quota, leave};
#[cfg(feature = "cli")]
pub(crate) use disk::open_regular;
pub(crate) use disk::{concern_about_room, free_bytes};
pub(crate) use error::{SpoolError, SpoolErrorKind};
#[cfg(feature = "cli")]
pub(crate) use file::{ANY_LEDGER, NO_LEDGER};
pub(crate) use file::{Cut, SpoolFile, severity_of};
pub(crate) use name::FileName;
#[cfg(feature = "cli")]
pub(crate) use name::{is_unfinished, replaces};
#[cfg(feature = "cli")]
pub(crate) use places::Places;
#[cfg(feature = "cli")]
pub(crate) use quarantine::FOLDER as QUARANTINE;
#[cfg(test)]
pub(crate) use reader::Damage;
pub(crate) use reader::{Passed, Piece, Reader};
pub(crate) use refused::{Refused, RefusedOf};
pub(crate) use segments::Adopted;
pub(crate) use thin::{Thinned, Thinning};
#[cfg(feature = "cli")]
pub(crate) use view::{Aside, Holder, Item, Scan, View};
pub(crate) use write::NewFile;

use disk::Disk;
use file::{inspect_file, severities};
use storage::{EntryKind, Lock, LockGuard, Storage};
use twice::Twice;

/// The name of the lock file.
pub(crate) const LOCK: &str = ".lock";

/// The directory of spill files, ours alone as long as this lives.
pub(crate) struct Spool {
    dir: PathBuf,
    storage: Arc<dyn Storage>,
    lock: Mutex<Box<dyn LockGuard>>,
    concerns: Vec<String>,
    bounds: Bounds,
    /// Files that should not lie where they do, because the disk did not do it yet: what they hold is elsewhere too, and
    /// they are to be removed, or they are to get this name.
    misplaced: Mutex<Vec<(PathBuf, Option<FileName>)>>,
    /// What the seals of new files say of whose they are.
    ledger: u64,
    /// Bytes in the quarantine, or more; the most there is as long as nobody has looked.
    quarantined: AtomicU64,
    /// What is put there a second time.
    twice: Twice,
}

/// How much the spool leaves free, and how much of what cannot be delivered it keeps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Bytes that stay free on the file system.
    pub(crate) min_free: u64,
    /// Bytes that the quarantine may hold.
    pub(crate) quarantine: u64,
    /// Bytes that are kept for the moment when the disk is full; zero for none.
    pub(crate) ballast: u64,
}

impl Spool {
    /// Makes the directory if need be, takes its lock, and removes what earlier crashes left unfinished.
    pub(crate) fn open(dir: &Path) -> Result<Self, SpoolError> {
        Self::open_on(Arc::new(Disk), dir)
    }

    fn open_on(storage: Arc<dyn Storage>, dir: &Path) -> Result<Self, SpoolError> {
        let spool = Self::begin_on(storage, dir)?;
        spool.tidy()?;
        Ok(spool)
    }

    /// Makes the directory if need be and takes its lock, which takes no longer the more files there are. What earlier
    /// crashes left unfinished is there until [`tidy`](Self::tidy).
    pub(crate) fn begin(dir: &Path) -> Result<Self, SpoolError> {
        Self::begin_on(Arc::new(Disk), dir)
    }

    fn begin_on(storage: Arc<dyn Storage>, dir: &Path) -> Result<Self, SpoolError> {
        let lock = take_lock(storage.as_ref(), dir)?;
        let concerns = storage.concerns(dir);
        Ok(Self {
            dir: dir.to_owned(),
            storage,
            lock: Mutex::new(lock),
            concerns,
            bounds: Bounds::NONE,
            misplaced: Mutex::default(),
            ledger: 0,
            quarantined: AtomicU64::new(u64::MAX),
            twice: Twice::default(),
        })
    }

    /// What an operator should know of a place where no spool could be opened.
    pub(crate) fn concerns_about(dir: &Path) -> Vec<String> {
        Disk.concerns(dir)
    }

    /// Removes what earlier crashes left unfinished. Not while something is being written.
    pub(crate) fn tidy(&self) -> Result<(), SpoolError> {
        self.remove_unfinished(&self.dir, name::is_unfinished)?;
        self.settle_replacements()?;
        let quarantine = self.dir.join(quarantine::FOLDER);
        if self.storage.metadata(&quarantine).is_ok_and(|there| there.kind == EntryKind::Dir) {
            self.remove_unfinished(&quarantine, name::is_unfinished_copy)?;
        }
        Ok(())
    }

    /// The same with bounds.
    pub(crate) fn bounded(self, bounds: Bounds) -> Self {
        Self { bounds, ..self }
    }

    /// The same for this ledger, whose identity the seals of new files carry.
    pub(crate) fn of_ledger(self, ledger: u64) -> Self {
        Self { ledger, ..self }
    }

    /// What an operator should know of the place of the spool: it is on a tmpfs, others may write to it, and so on.
    pub(crate) fn concerns(&self) -> &[String] {
        &self.concerns
    }

    /// The spill files, oldest first: by the time in a UUIDv7 name, by the time of the last change with other names,
    /// and by name where that is the same.
    ///
    /// Only those that are `wanted`: there may be very many.
    pub(crate) fn list(&self, wanted: impl Fn(&FileName) -> bool) -> Result<Vec<FileName>, SpoolError> {
        self.keep_lock()?;
        self.settle_misplaced()?;
        list_files(self.storage.as_ref(), &self.dir, &wanted)
    }

    /// When a name in the directory was last added, changed or removed, in milliseconds since the Unix epoch.
    pub(crate) fn changed_ms(&self) -> io::Result<i64> {
        Ok(self.storage.metadata(&self.dir)?.modified_ms)
    }

    /// What is known of a file of which nothing is dealt with.
    pub(crate) fn inspect(&self, name: &FileName) -> Result<SpoolFile, SpoolError> {
        self.inspect_rest(name, |_| Passed::default()).map(|(file, _)| file)
    }

    /// What is known of a file. Reads the end of a sealed file and all of any other, those with a damaged seal among them. `passed` says
    /// what of it is dealt with: where the file ends too early, that is not missing. Gives what is gone of it as well.
    pub(crate) fn inspect_rest(
        &self,
        name: &FileName,
        passed: impl FnOnce(&SpoolFile) -> Passed,
    ) -> Result<(SpoolFile, Cut), SpoolError> {
        inspect_file(self.storage.as_ref(), name, &self.path_of(name), passed)
            .map(|(file, _, cut)| (file, cut))
    }

    /// Removes a file whose events are all delivered or in the quarantine. It may be gone already.
    ///
    /// Until [`sync_removals`](Self::sync_removals) a loss of power brings it back, and Toggle sees ids that it knows.
    pub(crate) fn remove(&self, file: &SpoolFile) -> Result<(), SpoolError> {
        self.settle_misplaced()?;
        let path = self.path_of(&file.name);
        match self.storage.remove(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result.map_err(|error| SpoolError::new("remove the spill file", &path, error)),
        }
    }

    /// Brings to stable storage that files were removed.
    pub(crate) fn sync_removals(&self) {
        if let Err(error) = self.storage.sync_dir(&self.dir) {
            tracing::debug!(dir = %self.dir.display(), %error, "the removal of spill files is not on stable storage yet");
        }
    }

    /// Removes a file of ours that should not be there. What cannot be removed is remembered.
    fn give_up(&self, path: &Path) {
        if let Err(error) = self.storage.remove(path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), %error, "a file that was not finished could not be removed; it is tried again before anything else");
            self.misplaced(path, None);
        }
    }

    fn misplaced(&self, path: &Path, name: Option<FileName>) {
        self.misplaced.lock().unwrap_or_else(PoisonError::into_inner).push((path.to_owned(), name));
    }

    /// Does what the disk did not do before: found by a next start, or by ourselves, what these files hold would come again
    /// under another identity. Nothing else is done until this is.
    fn settle_misplaced(&self) -> Result<(), SpoolError> {
        let mut misplaced = self.misplaced.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((path, name)) = misplaced.last() {
            let settled = match name {
                Some(name) => self.take_place(path, name),
                None => self
                    .storage
                    .remove(path)
                    .map_err(|error| SpoolError::new("remove the unfinished file", path, error)),
            };
            // One that is gone is in nobody's way.
            settled.or_else(|error| if error.is_not_found() { Ok(()) } else { Err(error) })?;
            misplaced.pop();
            self.sync_removals();
        }
        Ok(())
    }

    fn path_of(&self, name: &FileName) -> PathBuf {
        self.dir.join(name.to_os_string())
    }

    /// Where a file of this identity is written before it gets its name.
    fn temp_of(&self, id: Uuid) -> PathBuf {
        self.dir.join(format!(".{id}.tmp"))
    }

    /// Makes the directory and the lock again if they were removed.
    pub(crate) fn keep(&self) -> Result<(), SpoolError> {
        self.keep_lock()
    }

    /// Makes sure that the directory is there and the lock still keeps others out; takes it again if the directory or
    /// the lock file was removed or replaced.
    fn keep_lock(&self) -> Result<(), SpoolError> {
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let is_current = lock.is_current().map_err(|error| {
            // Not taken again: it is ours still, for all that is known, and would seem to be somebody else's.
            SpoolError::new("look at the lock of the spool directory", &self.dir, error)
        })?;
        if is_current {
            return Ok(());
        }
        *lock = take_lock(self.storage.as_ref(), &self.dir)?;
        tracing::warn!(dir = %self.dir.display(), "the spool directory or its lock was removed, and was made again");
        Ok(())
    }

    fn remove_unfinished(&self, dir: &Path, is_ours: fn(&OsStr) -> bool) -> Result<(), SpoolError> {
        let failed = |error| SpoolError::new("clear unfinished files out of", dir, error);
        let mut unfinished = Vec::new();
        let mut each = |name: OsString, kind| {
            if kind != EntryKind::Dir && is_ours(&name) {
                unfinished.push(name);
            }
        };
        self.storage.list(dir, &mut each).map_err(failed)?;
        for name in unfinished {
            let path = dir.join(&name);
            tracing::warn!(
                path = %path.display(),
                "removing a file that an earlier process did not finish writing"
            );
            match self.storage.remove(&path) {
                // Whoever was writing it has removed it, or has finished.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                result => {
                    result.map_err(|error| SpoolError::new("remove the unfinished file", &path, error))?;
                }
            }
        }
        Ok(())
    }
}

/// The share of the quota that only grave events may use: one part in so many.
pub(crate) const RESERVE: u64 = 10;

/// How many bytes of a quota files may have: all of it where something grave is in them.
pub(crate) fn quota_for(max_bytes: u64, grave: bool) -> u64 {
    if grave { max_bytes } else { max_bytes - max_bytes / RESERVE }
}

/// Why so many bytes are not written where so many are free.
pub(crate) fn no_room(bytes: u64, free: u64, min_free: u64) -> String {
    if min_free == 0 {
        return format!("the disk is full: {bytes} bytes are needed, and {free} are free");
    }
    format!("{free} bytes are free on the disk, and `spool_min_free_bytes` keeps {min_free} free")
}

impl Bounds {
    /// Nothing is bounded.
    pub(crate) const NONE: Self = Self { min_free: 0, quarantine: u64::MAX, ballast: 0 };
}

/// The spill files in a directory, as [`Spool::list`] gives them.
fn list_files(
    storage: &dyn Storage,
    dir: &Path,
    wanted: &dyn Fn(&FileName) -> bool,
) -> Result<Vec<FileName>, SpoolError> {
    let mut files: Vec<(i64, FileName)> = Vec::new();
    let mut each = |name: OsString, kind| {
        let name = FileName::parse(&name).filter(|name| kind == EntryKind::File && wanted(name));
        files.extend(name.and_then(|name| {
            let modified = || Some(storage.metadata(&dir.join(name.to_os_string())).ok()?.modified_ms);
            // What vanishes meanwhile is left out.
            Some((name.time_ms().or_else(modified)?, name))
        }));
    };
    storage.list(dir, &mut each).map_err(|error| SpoolError::new("list the spool directory", dir, error))?;
    files.sort_unstable();
    Ok(files.into_iter().map(|(_, name)| name).collect())
}

fn take_lock(storage: &dyn Storage, dir: &Path) -> Result<Box<dyn LockGuard>, SpoolError> {
    storage.create_dir(dir).map_err(|error| SpoolError::new("make the spool directory", dir, error))?;
    let path = dir.join(LOCK);
    if storage.metadata(&path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        // A process that was killed between making the directory and syncing its name has left no lock in it. Where the
        // directory above cannot be read there is nothing better to do.
        let above = dir.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let _ = storage.sync_dir(above);
    }
    let lock = storage
        .lock(&path, &std::process::id().to_string())
        .map_err(|error| SpoolError::new("lock the spool directory through", &path, error))?;
    match lock {
        Lock::Held(guard) => Ok(guard),
        Lock::InUse(holder) => Err(SpoolError::in_use(dir, &holder)),
    }
}
