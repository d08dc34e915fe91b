//! Makes room: drops the least grave events of a spill file, oldest first, and keeps the others.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use uuid::Uuid;

use super::{
    Composer, FileName, Passed, Reader, Sealing, Spool, SpoolError, SpoolFile, format, name, severity_of,
    storage::EntryKind,
};
use crate::Category;

/// What became of a file that was thinned.
#[derive(Debug)]
pub(crate) struct Thinned {
    /// The file with what was kept; `None` when nothing was.
    pub(crate) file: Option<SpoolFile>,
    /// What was dropped, by category and severity.
    pub(crate) dropped: Vec<(u8, u8, u64)>,
    /// Events that turned out to be damaged. They are in the quarantine.
    pub(crate) damaged: u64,
    /// Events that somebody cut off the file.
    pub(crate) cut_off: u64,
}

/// What is to be dropped.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Thinning {
    /// Events of this severity; zero stands for all levels that are not known.
    pub(crate) severity: u8,
    /// Until so many bytes of them are gone.
    pub(crate) bytes: u64,
    /// The identity of what is left. A batch goes by its id for ever; other bytes have another.
    pub(crate) id: Uuid,
    /// The schema that this program was built from.
    pub(crate) fingerprint: u64,
    /// What has been dealt with: nothing of it is left.
    pub(crate) passed: Passed,
}

impl Thinned {
    /// How many events it was about.
    pub(crate) fn events(&self) -> u64 {
        let dropped: u64 = self.dropped.iter().map(|(.., count)| count).sum();
        dropped + self.damaged + self.cut_off + self.file.as_ref().map_or(0, |file| u64::from(file.events))
    }

    /// All of these events were dropped as well.
    pub(crate) fn drop_all(&mut self, events: &[u8]) {
        for entry in format::entries(events) {
            let (level, category) = format::brief(entry);
            count(&mut self.dropped, level, category);
        }
    }
}

impl Spool {
    /// Drops events of one level out of a file, with the memory of one piece of it.
    ///
    /// What is kept is on stable storage before the old file goes, though that leaves less free than there should be: more
    /// is freed right after. When this fails, the file is as it was. Where nothing is kept, nothing is written.
    pub(crate) fn thin(&self, file: &SpoolFile, thinning: Thinning) -> Result<Thinned, SpoolError> {
        self.keep_lock()?;
        self.settle_misplaced()?;
        let mut kept = None;
        let thinned = self.thin_into(&mut kept, file, thinning);
        if let Some(unfinished) = kept {
            self.give_up(&unfinished.abandon());
        }
        thinned
    }

    /// `kept` is what is being written; it is taken out when it gets its name.
    fn thin_into(
        &self,
        kept: &mut Option<Composer>,
        file: &SpoolFile,
        thinning: Thinning,
    ) -> Result<Thinned, SpoolError> {
        let mut reader = self.read(file)?;
        reader.skip(thinning.passed)?;
        let (mut dropped, mut freed) = (Vec::new(), 0);
        while let Some(piece) = reader.next_piece()? {
            for entry in format::entries(&piece.events) {
                let (level, category) = format::brief(entry);
                if severity_of(level) == thinning.severity && freed < thinning.bytes {
                    freed += entry.len() as u64;
                    count(&mut dropped, level, category);
                } else {
                    let kept = match kept {
                        Some(kept) => kept,
                        None => kept.insert(self.compose(thinning.id)?),
                    };
                    kept.push(entry, level)?;
                }
            }
        }
        let (damaged, cut_off) = self.keep_damage(file, &reader)?;
        // Should the segment come back of which the file was made, so would what is dropped, and nobody would know the rest
        // for repeats.
        self.sync_segment_removals()?;
        let file_left = if let Some(kept) = kept.take() {
            let sealing = Sealing {
                id: thinning.id,
                timestamp_ms: file.timestamp_ms,
                whole: file.whole,
                offered: false,
                fingerprint: thinning.fingerprint,
                ledger: file.ledger,
            };
            Some(self.replace(file, kept, sealing)?)
        } else {
            self.remove(file)?;
            // What was dropped does not come back.
            self.sync_removals();
            None
        };
        Ok(Thinned { file: file_left, dropped, damaged, cut_off })
    }

    /// Drops a file that may have been offered to Toggle, so that it cannot be written anew under another identity: all that is
    /// not passed, whatever level it is of.
    ///
    /// When this fails, the file is as it was.
    pub(crate) fn drop_rest(&self, file: &SpoolFile, passed: Passed) -> Result<Thinned, SpoolError> {
        self.keep_lock()?;
        self.settle_misplaced()?;
        let mut reader = self.read(file)?;
        reader.skip(passed)?;
        let mut thinned = Thinned { file: None, dropped: Vec::new(), damaged: 0, cut_off: 0 };
        while let Some(piece) = reader.next_piece()? {
            if !passed.has(piece.index) {
                thinned.drop_all(&piece.events);
            }
        }
        (thinned.damaged, thinned.cut_off) = self.keep_damage(file, &reader)?;
        // As when it is thinned.
        self.sync_segment_removals()?;
        self.remove(file)?;
        self.sync_removals();
        Ok(thinned)
    }

    /// Puts into the quarantine what could not be read of a file. Gives how many events that is, and how many are not there any
    /// more.
    fn keep_damage(&self, file: &SpoolFile, reader: &Reader) -> Result<(u64, u64), SpoolError> {
        let Some(damage) = reader.damage() else { return Ok((0, 0)) };
        self.quarantine(file, Some(&reader.done()))?;
        Ok((damage.events.into(), damage.cut_off.into()))
    }

    /// Begins a file that is written event by event.
    fn compose(&self, id: Uuid) -> Result<Composer, SpoolError> {
        let temp = self.temp_of(id);
        let file =
            self.create_temp(&temp).map_err(|error| SpoolError::new("write the spill file", &temp, error))?;
        Ok(Composer::begin_on(Arc::clone(&self.storage), temp, file))
    }

    /// Puts one file in the place of another, under its own identity. At no time are both there for a next start to find,
    /// because Toggle would not know one for a repeat of the other, and at no time is neither:
    ///
    /// 1. the new file is written, under a name that is no spill file's and says which file it replaces,
    /// 2. the old file is removed,
    /// 3. the new one gets its name,
    ///
    /// and each of these is on stable storage before the next. What is between 1 and 3 at a start is finished or undone by
    /// [`settle_replacements`](Self::settle_replacements).
    fn replace(&self, old: &SpoolFile, new: Composer, sealing: Sealing) -> Result<SpoolFile, SpoolError> {
        let name = FileName::of(sealing.id);
        // Not ours where there is none: no name of ours is so long. Then it is safe from everything but a crash at this
        // moment, which repeats events under another id.
        let waiting = self.waiting_for(sealing.id, &old.name);
        let target = waiting.clone().unwrap_or_else(|| self.path_of(&name));
        let (events, severities) = (new.events(), new.severities());
        let (temp, written) = new.close(sealing);
        let file = SpoolFile {
            name,
            id: sealing.id,
            bytes: self.place(&temp, &target, written)?,
            events,
            whole: sealing.whole,
            offered: sealing.offered,
            sealed: true,
            timestamp_ms: sealing.timestamp_ms,
            severities,
            ledger: sealing.ledger,
        };
        self.swap(old, waiting.as_deref(), &file.name)?;
        Ok(file)
    }

    /// Where a file of this identity waits to take the place of another; `None` where no name is that long.
    pub(crate) fn waiting_for(&self, id: Uuid, old: &FileName) -> Option<PathBuf> {
        name::replacement(id, old).map(|waiting| self.dir.join(waiting))
    }

    /// Removes a file, and gives the one that [waits](Self::waiting_for) for it its name. Where none waits it has its name already.
    pub(crate) fn swap(
        &self,
        old: &SpoolFile,
        waiting: Option<&Path>,
        name: &FileName,
    ) -> Result<(), SpoolError> {
        let Some(waiting) = waiting else {
            self.remove(old)?;
            self.sync_removals();
            return Ok(());
        };
        let removed = self.storage.metadata(&self.path_of(&old.name)).and_then(|_| {
            // Not gone before: somebody who removed it does not want its events.
            self.storage.remove(&self.path_of(&old.name))
        });
        if let Err(error) = removed {
            self.give_up(waiting);
            self.sync_removals();
            return Err(SpoolError::of_file("replace the spill file", &self.path_of(&old.name), error));
        }
        // The old file is gone, and what was dropped of it is dropped: from here on this has succeeded.
        if let Err(error) = self.take_place(waiting, name) {
            tracing::warn!(%error, "what is left of a spill file has no name yet; it is tried again before anything else");
            self.misplaced(waiting, Some(name.clone()));
        }
        Ok(())
    }

    /// The file that is waited for is gone: the one that waits gets its name.
    pub(super) fn take_place(&self, waiting: &Path, name: &FileName) -> Result<(), SpoolError> {
        let target = self.path_of(name);
        let failed = |error| SpoolError::new("write the spill file", &target, error);
        self.sync_removals();
        self.storage.rename(waiting, &target).map_err(failed)?;
        self.sync_removals();
        Ok(())
    }

    /// Where an earlier process was putting a file in the place of another: if that one is still there, it stays, and
    /// nothing of it is dropped; otherwise the new one is taken.
    pub(super) fn settle_replacements(&self) -> Result<(), SpoolError> {
        let mut waiting = Vec::new();
        let mut each = |name: OsString, kind| {
            if kind == EntryKind::File
                && let Some((id, old)) = name::replaced_by(&name)
            {
                waiting.push((self.dir.join(name), id, old));
            }
        };
        self.storage
            .list(&self.dir, &mut each)
            .map_err(|error| SpoolError::new("list the spool directory", &self.dir, error))?;
        for (path, id, old) in waiting {
            match self.storage.metadata(&self.path_of(&old)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.take_place(&path, &FileName::of(id))?;
                }
                Err(error) => {
                    return Err(SpoolError::new("look at the spill file", &self.path_of(&old), error));
                }
                Ok(_) => {
                    self.storage
                        .remove(&path)
                        .and_then(|()| self.storage.sync_dir(&self.dir))
                        .map_err(|error| SpoolError::new("remove the unfinished file", &path, error))?;
                }
            }
        }
        Ok(())
    }
}

fn count(dropped: &mut Vec<(u8, u8, u64)>, level: i32, category: i32) {
    let severity = severity_of(level);
    let category = Category::from_number(category).map_or(0, |category| category as u8);
    match dropped.iter_mut().find(|(one, other, _)| (*one, *other) == (category, severity)) {
        Some((_, _, count)) => *count += 1,
        None => dropped.push((category, severity, 1)),
    }
}
