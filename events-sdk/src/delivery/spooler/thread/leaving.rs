//! How files go that have been dealt with: the ledger is on stable storage first, then they are removed, and before long that is too.

use std::{
    collections::HashSet,
    io,
    time::{Duration, Instant},
};

use uuid::Uuid;

use super::{AGAIN, Reply, Thread};
use crate::{
    fault, ledger,
    spool::{SpoolError, SpoolFile},
};

/// So long after a file was removed that is brought to stable storage, with all that were removed meanwhile: a sync takes
/// longer than all else that is done for a small file, and a removal that a loss of power takes back repeats known ids.
pub(super) const SYNC_REMOVALS: Duration = Duration::from_secs(1);

/// Files that have been dealt with are removed together, so that one sync of the ledger serves them all: after this time,
pub(super) const LEAVE: Duration = Duration::from_millis(200);

/// or when there are so many.
const LEAVE_TOGETHER: usize = 64;

impl Thread {
    /// Tries once more to remove files that could not be removed, when it is time.
    pub(super) fn leave_again(&mut self) {
        let now = Instant::now();
        let (at, pause) = self.leave_again;
        if self.staying.is_empty() {
            self.leave_again = (now + AGAIN.0, AGAIN.0);
        } else if now >= at {
            let pause = (pause * 2).min(AGAIN.1);
            self.leave_again = (now + pause, pause);
            self.take_up_staying();
            self.leave_at.get_or_insert(now);
        }
    }

    /// Those that could not be removed are among those to be removed, each once.
    pub(super) fn take_up_staying(&mut self) {
        let under_way: HashSet<Uuid> = self.leaving.iter().map(|file| file.id).collect();
        self.leaving.extend(self.staying.iter().filter(|file| !under_way.contains(&file.id)).cloned());
    }

    /// A file has been dealt with, and is removed before long.
    pub(super) fn leave(&mut self, file: SpoolFile) {
        self.leaving.push(file);
        let now = Instant::now();
        // Exactly so many: where more wait, the ledger could not be synced, and the next attempt has its time.
        if self.leaving.len() == LEAVE_TOGETHER {
            self.leave_at = Some(now);
        }
        self.leave_at.get_or_insert(now + LEAVE);
    }

    /// Removes the files that have been dealt with, once it is certain that the ledger says so.
    pub(super) fn remove_leaving(&mut self) {
        self.leave_at = None;
        if !self.sync_ledger() {
            // What stays is not sent again, unless the power fails as well.
            self.leave_at = (!self.leaving.is_empty()).then(|| Instant::now() + SYNC_REMOVALS);
            return;
        }
        fault::point("spool leave");
        let told: HashSet<Uuid> = self.staying.iter().map(|file| file.id).collect();
        while let Some(file) = self.leaving.pop() {
            let result = self.guarded("remove a file from", |thread| thread.remove(&file));
            self.staying.retain(|other| other.id != file.id);
            if result.is_err() {
                self.staying.push(file.clone());
            }
            if result.is_ok() || !told.contains(&file.id) {
                self.reply(Reply::Removed(file, result));
            }
        }
    }

    pub(super) fn remove(&mut self, file: &SpoolFile) -> Result<(), SpoolError> {
        fault::point("spool remove");
        self.spool()?.remove(file)?;
        self.known.remove(&file.id);
        if self.missing > 0 {
            // It may be one of those, and then the directory does not change.
            self.settled = None;
        }
        self.removed_at.get_or_insert_with(Instant::now);
        Ok(())
    }

    pub(super) fn sync_removals(&mut self) {
        if let (Some(_), Some(spool)) = (self.removed_at.take(), &self.spool) {
            spool.sync_removals();
        }
    }

    /// Brings the ledger to stable storage, or says that this fails.
    pub(super) fn sync_books(&mut self) -> Result<(), SpoolError> {
        if self.sync_ledger() {
            return Ok(());
        }
        let path = self.directory.join(ledger::FILE);
        Err(SpoolError::new("sync the accounts of the spool", &path, io::Error::other("that fails")))
    }

    /// Brings the ledger to stable storage.
    pub(super) fn sync_ledger(&mut self) -> bool {
        if self.ledger_doubted {
            return false;
        }
        let synced = self.ledger.as_ref().map_or(Ok(()), |file| {
            fault::fallible("sync ledger")?;
            file.sync_data()
        });
        if let Err(error) = &synced {
            tracing::debug!(%error, "the accounts of the spool are not on stable storage");
            self.ledger_doubted = true;
            self.reply(Reply::LedgerNotSynced);
        }
        synced.is_ok()
    }
}
