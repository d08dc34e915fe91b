//! The ballast: room on disk that is given up when there is no other.
//!
//! To drop events out of a spill file what is kept of it is written anew, which needs room for a moment. On a disk without a byte
//! left that is this file's. It is set aside again as soon as the old file is gone. At a shutdown it makes room for what is in
//! memory.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{
    Spool, SpoolError, SpoolErrorKind,
    storage::{EntryKind, Storage},
};

/// The name of the file in the spool directory.
const FILE: &str = ".ballast";

/// It takes no more than this part of what is free beyond what is to stay free,
const SHARE: u64 = 4;

/// and is not worth it below so many bytes.
const LEAST: u64 = 64 << 10;

impl Spool {
    /// Makes the ballast, or a larger one, if there is room.
    ///
    /// # Errors
    ///
    /// When the disk does not take it although there seems to be room.
    pub(crate) fn keep_ballast(&self) -> io::Result<()> {
        let there = self.ballast_bytes().unwrap_or_default();
        if there >= self.bounds.ballast {
            return Ok(());
        }
        let free = self.storage.free_bytes(&self.dir)?.saturating_sub(self.bounds.min_free) + there;
        let bytes = self.bounds.ballast.min(free / SHARE);
        // Not larger by a little again and again.
        if bytes < LEAST || (bytes < self.bounds.ballast && bytes < there * 2) {
            return Ok(());
        }
        self.drop_ballast();
        self.set_ballast_aside(bytes)
    }

    /// Gives its room up, and says how much that was.
    pub(crate) fn drop_ballast(&self) -> Option<u64> {
        let bytes = self.ballast_bytes()?;
        let removed = self.keep_lock().is_ok() && self.storage.remove(&self.ballast()).is_ok();
        removed.then_some(bytes)
    }

    /// Does something; once more with the room of the ballast, if there was no other. The ballast is set aside again after that.
    pub(crate) fn with_ballast<T>(
        &self,
        mut what: impl FnMut(&Self) -> Result<T, SpoolError>,
    ) -> Result<T, SpoolError> {
        let is_full = |result: &Result<T, SpoolError>| {
            result.as_ref().is_err_and(|error| error.kind() == SpoolErrorKind::Full)
        };
        let mut result = what(self);
        if is_full(&result)
            && let Some(bytes) = self.drop_ballast()
        {
            result = what(self);
            if let Err(error) = self.set_ballast_aside(bytes) {
                tracing::debug!(dir = %self.dir.display(), %error, "no room can be set aside for a full disk");
            }
        }
        result
    }

    fn set_ballast_aside(&self, bytes: u64) -> io::Result<()> {
        let path = self.ballast();
        self.storage.reserve(&path, bytes).inspect_err(|_| {
            // A part of it is of no use.
            let _ = self.storage.remove(&path);
        })
    }

    /// How large it is; `None` where there is none.
    fn ballast_bytes(&self) -> Option<u64> {
        bytes(self.storage.as_ref(), &self.dir)
    }

    fn ballast(&self) -> PathBuf {
        self.dir.join(FILE)
    }
}

/// How large the ballast in a spool directory is; `None` where there is none.
pub(super) fn bytes(storage: &dyn Storage, dir: &Path) -> Option<u64> {
    let there = storage.metadata(&dir.join(FILE)).ok()?;
    (there.kind == EntryKind::File).then_some(there.len)
}
