//! What is put into the quarantine a second time, because a process ended before the books had it.
//!
//! The first copy was counted when the quarantine was looked at at the start, while its events were still in the file, or the
//! segment, as well. Under the same name they take its place, so they must not be counted again.

use std::{
    collections::HashSet,
    ffi::OsStr,
    hash::{BuildHasher, RandomState},
    io,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{FileName, Spool, quarantine};

/// The names in the quarantine at the start, and how many events were put there a second time since. There may be very many
/// names: of each only a hash is kept.
#[derive(Debug, Default)]
pub(super) struct Twice {
    hasher: RandomState,
    names: Mutex<HashSet<u64>>,
    /// The names that are there now, as far as we know.
    here: Mutex<HashSet<u64>>,
    events: AtomicU64,
}

impl Twice {
    /// A file was there at the start.
    pub(super) fn was_there(&self, name: &OsStr) {
        let name = self.hasher.hash_one(name);
        self.names.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
        self.here.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
    }

    /// A file with so many events was put there.
    pub(super) fn put(&self, name: &OsStr, events: u64) {
        let name = self.hasher.hash_one(name);
        self.here.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
        if self.names.lock().unwrap_or_else(PoisonError::into_inner).remove(&name) {
            self.events.fetch_add(events, Ordering::Relaxed);
        }
    }

    /// A file is not there any more.
    pub(super) fn is_gone(&self, name: &OsStr) {
        let name = self.hasher.hash_one(name);
        self.names.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
        self.here.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
    }

    /// Whether a file was there, for all we know.
    fn is_here(&self, name: &OsStr) -> bool {
        self.here.lock().unwrap_or_else(PoisonError::into_inner).contains(&self.hasher.hash_one(name))
    }

    /// How many events were put there a second time since this was asked last.
    pub(super) fn take(&self) -> u64 {
        self.events.swap(0, Ordering::Relaxed)
    }
}

impl Spool {
    /// Whether a spill file that was found was in the quarantine until somebody moved it back. Said once.
    pub(crate) fn has_come_back(&self, name: &FileName) -> bool {
        let name = name.to_os_string();
        if !self.twice.is_here(&name) {
            return false;
        }
        let there = self.storage.metadata(&self.dir.join(quarantine::FOLDER).join(&name));
        let has_moved = there.is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        if has_moved {
            self.twice.is_gone(&name);
        }
        has_moved
    }
}
