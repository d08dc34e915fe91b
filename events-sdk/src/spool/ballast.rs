//! The ballast: room on disk that is given up when there is no other.
//!
//! To drop events out of a spill file what is kept of it is written anew, which needs room for a moment. On a disk without a byte
//! left that is this file's. It is made again once there is plenty. At a shutdown it makes room for what is in memory.

use std::{io, path::PathBuf};

use super::{
    Spool, SpoolError, SpoolErrorKind,
    storage::{EntryKind, WriteFile},
};

/// The name of the file in the spool directory.
pub(super) const FILE: &str = ".ballast";

/// It is made when so many times its size is free beyond what is to stay free.
const PLENTY: u64 = 4;

/// What it is written of in one go. Not zeros, which some file systems keep nowhere.
const BLOCK: usize = 64 << 10;

impl Spool {
    /// Makes the ballast if it is not there and there is plenty of room.
    pub(crate) fn keep_ballast(&self) {
        let wanted = self.bounds.ballast;
        let path = self.ballast();
        if wanted == 0 || self.storage.metadata(&path).is_ok_and(|there| there.len >= wanted) {
            return;
        }
        let plenty = self.bounds.min_free.saturating_add(wanted.saturating_mul(PLENTY));
        if self.storage.free_bytes(&self.dir).is_ok_and(|free| free < plenty) || self.keep_lock().is_err() {
            return;
        }
        let made = self
            .remove_ballast()
            .and_then(|_| self.storage.create(&path))
            .and_then(|mut file| fill(file.as_mut(), wanted));
        if let Err(error) = made {
            tracing::debug!(path = %path.display(), %error, "no room can be set aside for a full disk");
            let _ = self.remove_ballast();
        }
    }

    /// Gives its room up. `false` if there is none.
    pub(crate) fn drop_ballast(&self) -> bool {
        self.keep_lock().is_ok() && self.remove_ballast().unwrap_or(false)
    }

    /// Does something; once more without the ballast, if there was no room for it.
    pub(crate) fn or_without_ballast<T>(
        &self,
        mut what: impl FnMut(&Self) -> Result<T, SpoolError>,
    ) -> Result<T, SpoolError> {
        match what(self) {
            Err(error) if error.kind() == SpoolErrorKind::Full && self.drop_ballast() => what(self),
            result => result,
        }
    }

    fn remove_ballast(&self) -> io::Result<bool> {
        let path = self.ballast();
        match self.storage.metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
            Ok(there) if there.kind == EntryKind::Dir => Ok(false),
            Ok(_) => self.storage.remove(&path).map(|()| true),
        }
    }

    fn ballast(&self) -> PathBuf {
        self.dir.join(FILE)
    }
}

fn fill(file: &mut dyn WriteFile, bytes: u64) -> io::Result<()> {
    let mut block = vec![0_u8; BLOCK];
    // Xorshift (Marsaglia, 2003): nothing that can be compressed.
    let mut word = 0x9e37_79b9_7f4a_7c15_u64;
    let mut left = bytes;
    while left > 0 {
        for eight in block.chunks_exact_mut(8) {
            word ^= word << 13;
            word ^= word >> 7;
            word ^= word << 17;
            eight.copy_from_slice(&word.to_le_bytes());
        }
        let now = left.min(BLOCK as u64);
        // No more than a block.
        file.write_all(&block[..now as usize])?;
        left -= now;
    }
    file.sync()
}
