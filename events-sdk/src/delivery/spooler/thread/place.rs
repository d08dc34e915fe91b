//! Whether what this process counts on lies where the next one looks for it: the directory with its lock, the segments, the ledger.
//!
//! Files that are mapped can be written to after they were removed, and nobody would ever find again what is stored there. So it
//! is looked every second, and what is gone is made again. So is a ledger into which somebody else has written: its numbers are
//! those in memory, but the next process would read the others.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Reply, SETTLED_MS, Thread};
use crate::{
    delivery::LOG_AGAIN,
    ledger::{self, Ledger},
    spool::Spool,
};

/// How often it is looked: what is emitted meanwhile may be in files that nobody finds. Costs three system calls.
pub(super) const KEEP: Duration = Duration::from_secs(1);

impl Thread {
    /// Makes again what was removed.
    pub(super) fn keep_place(&mut self) {
        let Some(spool) = &self.spool else { return };
        let kept = spool.keep();
        self.keep_segments(kept.is_ok());
        match kept {
            Ok(()) => {
                self.keep_ledger();
                if std::mem::take(&mut self.displaced) {
                    self.reply(Reply::Probed(Ok(())));
                }
            }
            Err(error) => {
                self.displaced = true;
                self.reply(Reply::Probed(Err(error)));
            }
        }
    }

    /// Marks segments that are gone. Their folder is made again where the directory is `ours`.
    fn keep_segments(&self, ours: bool) {
        let Some(segments) = &self.segments else { return };
        let lost = segments.find_lost();
        if ours
            && !segments.is_in_place()
            && let Err(error) = segments.open(&self.directory)
        {
            // Whoever needs a segment says so.
            tracing::debug!(%error, "the folder of segments cannot be used");
        }
        match lost {
            Ok(0) => {}
            Ok(lost) => self.reply(Reply::SegmentsLost(lost)),
            Err(error) => tracing::debug!(%error, "the folder of segments is not listed"),
        }
    }

    /// Has the ledger go on in a new file if its own is gone, or could not be made. One of earlier processes that could not be
    /// opened for want of room stays: what this process counted without it cannot be told from what stands in it.
    fn keep_ledger(&mut self) {
        if self.ledger_doubted {
            return;
        }
        let path = self.directory.join(ledger::FILE);
        let is_there = match &self.ledger {
            Some(file) => is_at(file, &path) && self.is_intact(file),
            None => !is_absent(&path),
        };
        if is_there {
            return self.compare_ledger();
        }
        match Ledger::create(&self.directory, crate::emit::now_ms()) {
            Ok(empty) => {
                // Nothing may be removed on the word of a file that has no name.
                self.ledger_doubted = true;
                self.reply(Reply::LedgerLost(Box::new(empty)));
            }
            Err(error) if self.ledger.is_none() => {
                // That was said at the start.
                tracing::debug!(%error, "the accounts of the spool cannot be made yet");
            }
            // Files that were delivered still go: they may be what has filled the disk.
            Err(error) => self.complain_of_ledger(&error),
        }
    }

    /// Whether nobody is known to have written into the file of the ledger, or to have changed its length.
    fn is_intact(&self, file: &File) -> bool {
        !self.ledger_is_spoiled && file.metadata().is_ok_and(|there| there.len() == ledger::BYTES)
    }

    /// Has the file of the ledger compared with the ledger, if it was written to since. That is the case where this process stores
    /// numbers as well, but nobody is woken for it where nothing happens.
    fn compare_ledger(&mut self) {
        let Some(there) = self.ledger.as_ref().and_then(|file| file.metadata().ok()) else { return };
        let written = (there.mtime(), there.mtime_nsec());
        if self.ledger_compared != Some(written) {
            let now_ms = i64::try_from(crate::emit::now_ms()).unwrap_or(i64::MAX);
            let since_ms = now_ms.saturating_sub(written.0.saturating_mul(1_000));
            // What is written a moment later may have the same time.
            self.ledger_compared = (since_ms > SETTLED_MS).then_some(written);
            self.reply(Reply::LedgerTouched);
        }
    }

    /// Somebody else has written into the file of the ledger.
    pub(super) fn ledger_spoiled(&mut self) {
        self.ledger_is_spoiled = true;
        self.keep_ledger();
    }

    /// The ledger is in this new file, which gets its name.
    pub(super) fn ledger_moved(&mut self, file: Option<Arc<File>>) {
        let is_spoiled = self.ledger.as_ref().is_some_and(|file| !self.is_intact(file));
        if is_spoiled {
            Ledger::set_aside_what_is_there(&self.directory);
        }
        let published = Ledger::publish(&self.directory);
        let was_there = self.ledger.is_some();
        (self.ledger, self.ledger_doubted) = (file, false);
        match published {
            Ok(()) => {
                (self.ledger_complained, self.ledger_is_spoiled) = (false, false);
                self.reply(Reply::LedgerKept(Ok(())));
                if is_spoiled {
                    self.tell_spoiled();
                } else if was_there {
                    tracing::warn!("the accounts of the spool were removed, and were made again");
                } else {
                    tracing::info!("the accounts are kept on disk from now on");
                }
                self.sync_ledger();
                self.spool.as_ref().map(Spool::sync_removals);
            }
            // It is looked again in a moment.
            Err(error) => self.complain_of_ledger(&error),
        }
    }

    /// Said once in a while, should somebody do it again and again.
    fn tell_spoiled(&mut self) {
        let now = Instant::now();
        if self.ledger_spoiled_told.is_none_or(|at| now >= at + LOG_AGAIN) {
            self.ledger_spoiled_told = Some(now);
            tracing::error!(
                "somebody else wrote into the accounts of the spool; what they wrote is set aside, and the accounts go on with their own numbers"
            );
        }
    }

    fn complain_of_ledger(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.ledger_complained, true) {
            self.reply(Reply::LedgerKept(Err(error.to_string())));
            tracing::error!(%error, "the accounts of the spool were removed and cannot be made again; they end with this process unless that is mended");
        }
    }
}

/// Whether it is certain that nothing has this name.
fn is_absent(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// Whether a file lies there. What cannot be looked at is believed to.
fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(ours), there) = (file.metadata(), fs::symlink_metadata(path)) else { return true };
    match there {
        Ok(there) => (there.dev(), there.ino()) == (ours.dev(), ours.ino()),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}
