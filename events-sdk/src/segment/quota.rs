//! How much of the disk segments may take up.
//!
//! They are a part of what the spool may hold. A quarter of that is the most there is for them, so that whatever waits in
//! memory, which is at most half of it, always finds room in spill files as well, beside the tenth that is kept for
//! grave events. Of a disk with less room than that they take half at most, for the same reason: a batch in a segment stays as it
//! is, and the gravest of all that waits should find room first.

use std::{
    io,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::spool::{free_bytes, no_room};

/// The share of the spool's quota that segments may have: one part in so many.
pub(crate) const SHARE: u64 = 4;

/// The share that they may have of what the disk has for them and for spill files.
const DISK_SHARE: u64 = 2;

/// The share that may lie there and wait to be used.
const SPARE_SHARE: u64 = 16;

/// What segments may have, and what there is.
#[derive(Debug)]
pub(crate) struct Quota {
    max_bytes: u64,
    /// Bytes that stay free on the file system.
    min_free: u64,
    /// Bytes of the segments of this process.
    segments: AtomicU64,
    /// Bytes of spill files, those being written among them, as far as it was [said](Self::set_files).
    files: AtomicU64,
}

impl Quota {
    /// For a spool of at most so many bytes that leaves so many free.
    pub(super) fn new(max_bytes: u64, min_free: u64) -> Self {
        Self { max_bytes, min_free, segments: AtomicU64::new(0), files: AtomicU64::new(0) }
    }

    /// Takes so many bytes for a segment in this folder.
    ///
    /// # Errors
    ///
    /// `StorageFull` when they are not to be had.
    pub(super) fn take(&self, bytes: u64, folder: &Path) -> io::Result<()> {
        let full = |text| Err(io::Error::new(io::ErrorKind::StorageFull, text));
        let free = free_bytes(folder).ok();
        if let Some(free) = free
            && free < self.min_free.saturating_add(bytes)
        {
            return full(no_room(bytes, free, self.min_free));
        }
        // Taken first, so that two who come at once see each other.
        let segments = self.segments.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if let Some(free) = free
            && let all = free.saturating_sub(self.min_free).saturating_add(segments - bytes)
            && segments > all / DISK_SHARE
        {
            self.give_back(bytes);
            return full(format!(
                "{free} bytes are free on the disk, and segments, which would have {segments}, leave half of what there is to spill files"
            ));
        }
        let files = self.files.load(Ordering::Relaxed);
        if segments > self.max_bytes / SHARE || segments.saturating_add(files) > self.max_bytes {
            self.give_back(bytes);
            let max = self.max_bytes;
            return full(format!(
                "spill files have {files} bytes and segments would have {segments}; `spool_max_bytes` is {max}, a quarter of it for segments"
            ));
        }
        Ok(())
    }

    /// A segment of so many bytes is gone.
    pub(super) fn give_back(&self, bytes: u64) {
        self.segments.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Bytes of segments.
    pub(crate) fn segments(&self) -> u64 {
        self.segments.load(Ordering::Relaxed)
    }

    /// Says how many bytes spill files have.
    pub(crate) fn set_files(&self, bytes: u64) {
        self.files.store(bytes, Ordering::Relaxed);
    }

    /// Says that a spill file of so many bytes is being written.
    pub(crate) fn add_file(&self, bytes: u64) {
        self.files.fetch_add(bytes, Ordering::Relaxed);
    }

    /// How many bytes of segments may wait to be used.
    pub(super) fn most_spare(&self) -> u64 {
        self.max_bytes / SPARE_SHARE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_is_told_with_what_it_is_short_of() {
        let folder = tempfile::tempdir().unwrap();
        let why = |max_bytes, min_free, bytes| {
            Quota::new(max_bytes, min_free).take(bytes, folder.path()).unwrap_err().to_string()
        };
        let disk = why(u64::MAX, 0, 1 << 60);
        assert!(disk.contains("the disk is full: 1152921504606846976 bytes are needed, and "), "{disk}");
        let floor = why(u64::MAX, 1 << 60, 1);
        assert!(floor.contains("and `spool_min_free_bytes` keeps 1152921504606846976 free"), "{floor}");
        assert!(why(0, 0, 1).contains("`spool_max_bytes` is 0"));
    }
}
