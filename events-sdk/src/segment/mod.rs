//! Segments: memory-mapped files that hold what waits in memory, so that it outlives the process.
//!
//! With the durability `process` or `power` every chunk of the memory buffer has a segment. An emitted event is copied
//! into the chunk, from where it is sent, and into the segment, from where only the next process reads it, should this
//! one be killed. No system call is made for it. When the chunk's events are delivered, on disk in a spill file or
//! dropped, the segment is marked free, by a store too, and serves another chunk.
//!
//! Owns the files and how they are filled; [`format`] is their format. [`Segments`] makes them and knows where they lie:
//! `<spool>/segments/<uuid>-<number>.seg`. When a segment is needed, and how many are kept, is the buffer's business; what
//! becomes of those that an earlier process left is the spool's.
//!
//! # Invariants
//!
//! 1. Once an emit has returned, the event is in its segment with a right check, or the segment says that it was dropped.
//! 2. A segment is in use from before its first event until all its events are elsewhere: acknowledged, or in a file on
//!    stable storage. A kill in between repeats events under the same id of the batch, and loses none.
//! 3. What is found in a segment is delivered under the id, and with the bytes, under which it may have been offered before. So a
//!    batch in a segment is never cut: when it is to be halved it goes to a spill file first, and its segment is free.
//! 4. A sync that failed is not believed when it succeeds later: the kernel reports an error once, and then takes pages for
//!    written that are not. What is emitted next goes into segments that are made anew; what was in the others leaves memory
//!    at once, for Toggle or for a spill file.
//! 5. Segments whose files are gone from the folder, or that whole folder, are noticed within a second: what they hold leaves
//!    memory at once, as after a failed sync, and new ones are made. Nothing is made or removed behind a link.
//! 6. A disk without room fails when a segment is made, never when an event is stored.

pub(crate) mod boot;
mod folder;
pub(crate) mod format;
pub(crate) mod pool;
pub(crate) mod quota;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    ffi::OsString,
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt,
    path::Path,
    sync::{Arc, PoisonError, atomic::Ordering},
    time::{Duration, SystemTime},
};

use memmap2::MmapMut;
use uuid::Uuid;

use self::{folder::Folder, format::Generation, quota::Quota};

use crate::{
    fault,
    mapped::Mapped,
    primitives::{AtomicBool, AtomicU64, Mutex},
};

/// The folder of segments inside the spool directory.
pub(crate) const FOLDER: &str = "segments";

/// How the name of a segment ends.
pub(crate) const ENDING: &str = ".seg";

/// The smallest and the largest segment for events of ordinary size.
const CAPACITY: (usize, usize) = (64 << 10, 1 << 20);

/// For so many bytes on average an event has room in a segment; where events are larger, batches have fewer of them.
const EVENT_BYTES: usize = 512;

/// A folder that was changed this short a time before it was listed may have been changed again just after, without showing a
/// later time. The coarsest local file systems count in two seconds.
const SETTLED: Duration = Duration::from_secs(2);

/// One segment, mapped: that of one chunk.
#[derive(Debug)]
pub(crate) struct Segment {
    map: MmapMut,
    path: Arc<Path>,
    /// Where the next entry goes.
    at: usize,
    count: u32,
    generation: Generation,
    id: Uuid,
    timestamp_ms: Option<i64>,
    /// The pass of syncs in whose list it stands already.
    pub(crate) listed: u64,
    /// How often segments had been given up when it was made.
    failures: u64,
    /// Its file is not where the next process looks for it.
    lost: Arc<Lost>,
}

/// Whether the file of a segment is gone.
type Lost = std::sync::atomic::AtomicBool;

/// What is remembered of a segment wherever it is.
#[derive(Debug)]
struct Known {
    bytes: u64,
    lost: Arc<Lost>,
}

impl Segment {
    /// Begins a use for the batch of this id.
    pub(crate) fn begin(&mut self, id: Uuid, fingerprint: u64) {
        self.generation = format::begin(&mut self.map, id, fingerprint);
        self.at = format::HEADER;
        self.count = 0;
        self.id = id;
        self.timestamp_ms = None;
    }

    /// Whether an event of `len` bytes has room.
    #[inline]
    pub(crate) fn has_room(&self, len: usize) -> bool {
        self.map.len() - self.at >= format::entry_len(len)
    }

    /// Stores an event. `false` if it has no room.
    #[inline]
    pub(crate) fn push(&mut self, event: &[u8], severity: u8, category: u8) -> bool {
        let end =
            format::push(&mut self.map, self.at, self.count, self.generation, event, severity, category);
        if let Some(end) = end {
            self.at = end;
            self.count += 1;
        }
        end.is_some()
    }

    /// Some events were dropped: `is_gone` is asked for each that is left, by its place among them.
    pub(crate) fn drop_events(&mut self, is_gone: impl FnMut(usize) -> bool) {
        format::drop_entries(&mut self.map, self.at, self.generation, is_gone);
    }

    /// The identity of the batch, and when it was put together: now, unless that was said before.
    pub(crate) fn identity(&mut self, now_ms: i64) -> (Uuid, i64) {
        let timestamp_ms = *self.timestamp_ms.get_or_insert_with(|| {
            format::set_timestamp(&mut self.map, now_ms);
            now_ms
        });
        (self.id, timestamp_ms)
    }

    /// All its events are elsewhere.
    pub(crate) fn set_free(&mut self) {
        format::set_free(&mut self.map);
    }

    /// How many bytes it takes on disk.
    pub(crate) fn capacity(&self) -> usize {
        self.map.len()
    }

    pub(crate) fn path(&self) -> &Arc<Path> {
        &self.path
    }

    /// Whether its file is gone: then nothing in it outlives the process.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }
}

/// The room that an event of `len` bytes needs in a segment of its own.
pub(crate) const fn capacity_for(len: usize) -> usize {
    format::HEADER + format::entry_len(len)
}

/// The size of an ordinary segment, for batches of so many events.
pub(crate) fn capacity_for_batch(events: usize) -> usize {
    let room = events.saturating_mul(EVENT_BYTES).saturating_add(format::HEADER);
    room.clamp(CAPACITY.0, CAPACITY.1).next_power_of_two()
}

/// Where segments are made.
#[derive(Debug)]
pub(crate) struct Segments {
    /// The size of an ordinary one, in bytes.
    pub(crate) capacity: usize,
    pub(crate) fingerprint: u64,
    /// They are to outlive a loss of power, not just the process.
    pub(crate) is_power: bool,
    /// How much room they may take.
    pub(crate) quota: Quota,
    /// The directory, once it is there and ours.
    folder: Mutex<Option<Folder>>,
    /// The segments of this process.
    there: Mutex<HashMap<Arc<Path>, Known>>,
    /// When the directory was changed in which all of them were found, if it has been quiet since.
    settled: Mutex<Option<SystemTime>>,
    /// What distinguishes our names from those of earlier processes.
    pub(crate) prefix: Uuid,
    next: AtomicU64,
    /// A name was added since the directory was synced.
    names_changed: AtomicBool,
    /// The name of the directory itself may not be on stable storage.
    is_new: AtomicBool,
    /// How often all segments that there were had to be given up.
    failures: std::sync::atomic::AtomicU64,
    /// What was removed while a sync is under way.
    removed: Mutex<Option<HashSet<Arc<Path>>>>,
}

/// How something is brought to stable storage: the file of a segment, and a directory.
#[derive(Clone, Copy)]
pub(crate) struct ToDisk<'a> {
    pub(crate) file: &'a dyn Fn(&Path) -> io::Result<()>,
    pub(crate) names: &'a dyn Fn(&Path) -> io::Result<()>,
}

impl ToDisk<'_> {
    /// By the system's calls for it.
    pub(crate) const SYSTEM: Self = Self {
        file: &|path| {
            let file = File::open(path)?;
            fault::fallible("sync segment")?;
            file.sync_data()
        },
        names: &|path| {
            let folder = File::open(path)?;
            fault::fallible("sync segments")?;
            folder.sync_all()
        },
    };
}

impl Segments {
    /// For batches of so many events.
    pub(crate) fn new(batch: usize, fingerprint: u64, prefix: Uuid) -> Self {
        Self {
            capacity: capacity_for_batch(batch),
            fingerprint,
            is_power: false,
            quota: Quota::new(u64::MAX, 0),
            folder: Mutex::new(None),
            there: Mutex::default(),
            settled: Mutex::default(),
            prefix,
            next: AtomicU64::new(0),
            names_changed: AtomicBool::new(false),
            is_new: AtomicBool::new(true),
            failures: std::sync::atomic::AtomicU64::new(0),
            removed: Mutex::new(None),
        }
    }

    /// A sync failed, or files are gone. No segment that there is can be trusted with another batch.
    pub(crate) fn distrust(&self) {
        self.failures.fetch_add(1, Ordering::AcqRel);
    }

    /// How often segments had to be given up.
    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Acquire)
    }

    /// Whether no sync has failed since this segment was made, and its file is there.
    pub(crate) fn trusts(&self, segment: &Segment) -> bool {
        segment.failures == self.failures() && !segment.is_lost()
    }

    /// The same, to outlive a loss of power too.
    pub(crate) fn for_power(self, is_power: bool) -> Self {
        Self { is_power, ..self }
    }

    /// The same, in a spool of at most so many bytes that leaves so many of the file system free.
    pub(crate) fn within(self, max_bytes: u64, min_free: u64) -> Self {
        Self { quota: Quota::new(max_bytes, min_free), ..self }
    }

    /// From now on segments lie in this spool directory, which is locked by this process.
    ///
    /// # Errors
    ///
    /// When the folder cannot be made, or something else has its name.
    pub(crate) fn open(&self, spool: &Path) -> io::Result<()> {
        match DirBuilder::new().mode(0o700).create(spool.join(FOLDER)) {
            Ok(()) => {}
            // A process that made it may have been killed before its name was on stable storage.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        *self.folder.lock().unwrap_or_else(PoisonError::into_inner) = Some(Folder::of(spool)?);
        self.is_new.store(true, Ordering::Release);
        Ok(())
    }

    /// Makes a segment of so many bytes, ready to be filled.
    ///
    /// # Errors
    ///
    /// When there is no room on the disk, or no directory to make it in.
    pub(crate) fn make(&self, capacity: usize) -> io::Result<Segment> {
        let folder = self
            .folder()
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotConnected, "the spool directory is not open"))?;
        if folder.metadata()?.is_none() {
            // It was removed, or something else has its name. Not so with the directory around it, unless its lock is taken anew.
            self.open(folder.spool()?)?;
        }
        let folder = folder.path;
        // Looked at first: its name is younger than whatever fails from now on.
        let failures = self.failures();
        self.quota.take(capacity as u64, &folder)?;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("{}-{number}{ENDING}", self.prefix));
        let map = Mapped::create(&path, capacity).inspect_err(|_| self.quota.give_back(capacity as u64))?;
        let (path, lost) = (Arc::<Path>::from(path), Arc::<Lost>::default());
        self.there
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(Arc::clone(&path), Known { bytes: capacity as u64, lost: Arc::clone(&lost) });
        self.names_changed.store(true, Ordering::Release);
        Ok(Segment {
            // A file descriptor for each would soon be all a process may have. The file is opened again to be synced.
            map: map.into_map(),
            path,
            at: format::HEADER,
            count: 0,
            generation: Generation::default(),
            id: Uuid::nil(),
            timestamp_ms: None,
            listed: 0,
            failures,
            lost,
        })
    }

    fn folder(&self) -> Option<Folder> {
        self.folder.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sees whether the segments of this process still lie in the folder, and gives how many do not. Those are marked. As
    /// [`remove`](Self::remove), it belongs on the spool's thread: nothing is removed meanwhile that would be missed.
    ///
    /// Costs one system call unless something has changed.
    ///
    /// # Errors
    ///
    /// When the folder cannot be listed: then nothing is known, and nothing marked.
    pub(crate) fn find_lost(&self) -> io::Result<usize> {
        // What is made from now on is there.
        let there: Vec<Arc<Path>> =
            self.there.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect();
        let Some(folder) = self.folder() else { return Ok(0) };
        let mut settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        let mut names = HashSet::<OsString>::new();
        if let Some(changed) = folder.metadata()?.map(|about| about.modified()).transpose()? {
            if *settled == Some(changed) {
                return Ok(0);
            }
            for entry in fs::read_dir(&folder.path)? {
                names.insert(entry?.file_name());
            }
            let is_quiet = SystemTime::now().duration_since(changed).is_ok_and(|since| since > SETTLED);
            *settled = is_quiet.then_some(changed);
        } else {
            *settled = None;
        }
        let lost = there.iter().filter(|path| path.file_name().is_none_or(|name| !names.contains(name)));
        Ok(lost.filter(|path| self.lose(path)).count())
    }

    /// The file of a segment is gone, and takes up no room.
    fn lose(&self, path: &Path) -> bool {
        let gone = self.there.lock().unwrap_or_else(PoisonError::into_inner).remove(path);
        if let Some(Known { bytes, lost }) = &gone {
            lost.store(true, Ordering::Release);
            self.quota.give_back(*bytes);
        }
        gone.is_some()
    }

    /// Whether the folder lies where it was made.
    pub(crate) fn is_in_place(&self) -> bool {
        // What cannot be looked at is believed to.
        self.folder().is_some_and(|folder| !matches!(folder.metadata(), Ok(None)))
    }

    /// Begins a sync. What is removed from now on, because its events are elsewhere, is not missed by it.
    pub(crate) fn begin_sync(&self) -> Syncing<'_> {
        *self.removed.lock().unwrap_or_else(PoisonError::into_inner) = Some(HashSet::new());
        Syncing(self)
    }

    /// Brings the names of new segments to stable storage.
    fn sync_names(&self, to_disk: ToDisk<'_>) -> io::Result<()> {
        let Some(Folder { path: folder, .. }) = self.folder() else { return Ok(()) };
        if self.names_changed.swap(false, Ordering::AcqRel) {
            (to_disk.names)(&folder).inspect_err(|_| self.names_changed.store(true, Ordering::Release))?;
        }
        if self.is_new.swap(false, Ordering::AcqRel) {
            (to_disk.names)(folder.parent().unwrap_or(&folder))
                .inspect_err(|_| self.is_new.store(true, Ordering::Release))?;
        }
        Ok(())
    }

    /// Brings to stable storage which of the segments of this process are free: what was in them does not come back.
    pub(crate) fn sync_all(&self, to_disk: ToDisk<'_>) -> io::Result<()> {
        let Some(Folder { path: folder, .. }) = self.folder() else { return Ok(()) };
        let prefix = self.prefix.to_string();
        for entry in fs::read_dir(&folder)? {
            let name = entry?.file_name();
            if name.as_encoded_bytes().starts_with(prefix.as_bytes()) {
                match (to_disk.file)(&folder.join(name)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        // Nor does what was removed.
        (to_disk.names)(&folder)
    }

    /// Removes segments that are not needed any more.
    pub(crate) fn remove(&self, segments: Vec<Segment>) {
        let is_in_place = self.is_in_place();
        for segment in segments {
            if let Some(removed) = &mut *self.removed.lock().unwrap_or_else(PoisonError::into_inner) {
                removed.insert(Arc::clone(&segment.path));
            }
            if !is_in_place {
                // What has that name now is not ours.
                self.lose(&segment.path);
                continue;
            }
            match fs::remove_file(&segment.path) {
                Ok(()) => drop(self.lose(&segment.path)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => drop(self.lose(&segment.path)),
                // The next start finds it free, and tries again.
                Err(error) => {
                    self.there.lock().unwrap_or_else(PoisonError::into_inner).remove(&segment.path);
                    tracing::debug!(path = %segment.path.display(), %error, "a spare segment stays on disk")
                }
            }
        }
    }

    fn was_removed(&self, path: &Path) -> bool {
        let removed = self.removed.lock().unwrap_or_else(PoisonError::into_inner);
        removed.as_ref().is_some_and(|removed| removed.contains(path))
    }
}

/// A sync under way.
#[derive(Debug)]
pub(crate) struct Syncing<'a>(&'a Segments);

impl Syncing<'_> {
    /// Brings these segments, and the names of all, to stable storage.
    pub(crate) fn sync(&self, paths: &[Arc<Path>], to_disk: ToDisk<'_>) -> io::Result<()> {
        self.0.sync_names(to_disk)?;
        paths.iter().try_for_each(|path| match (to_disk.file)(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.0.was_removed(path) => Ok(()),
            result => result,
        })
    }
}

impl Drop for Syncing<'_> {
    fn drop(&mut self) {
        *self.0.removed.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
