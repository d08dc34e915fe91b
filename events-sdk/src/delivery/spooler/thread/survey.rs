//! What others left and put there: segments and files of earlier processes, and files of others. When it has all been found.

use std::{
    cell::Cell,
    collections::{HashSet, VecDeque},
    path::Path,
    time::Instant,
};

use uuid::Uuid;

use super::{AGAIN, BALLAST_AGAIN, EXAMINE, Reply, SETTLED_MS, Thread};
use crate::{
    fault,
    ledger::Ledger,
    spool::{Adopted, FileName, Passed, Refused, RefusedOf, SpoolError, SpoolErrorKind, SpoolFile},
};

impl Thread {
    /// Looks at the whole directory anew, with what could not be read or taken over before. When that fails, all is as it
    /// was.
    pub(super) fn look_anew(&mut self) -> Result<(), SpoolError> {
        let own = self.segments.as_ref().map(|segments| segments.prefix);
        // Opened it is by nobody else than who opens the accounts with it.
        let Some(spool) = &self.spool else { return Ok(()) };
        let segments = spool.segments_left(own)?;
        let is_new = |id: &Uuid| !self.known.contains(id) || self.unreadable.contains(id);
        let names = spool.list(|name| is_new(&name.id()))?;
        for file in self.unreadable.drain(..) {
            self.known.remove(&file);
        }
        (self.left, self.found, self.stuck) = (segments.into(), in_turn(names), 0);
        Ok(())
    }

    pub(super) fn adopt(&mut self, segment: &Path) {
        fault::point("spool adopt");
        let Some(spool) = &self.spool else { return };
        let adopted = match self.taken_over.get(segment) {
            Some(&batch) => {
                let left = spool.remove_segment(segment).err().map(|error| (batch, error));
                Ok(Adopted { left, ..Adopted::default() })
            }
            None => spool.adopt_segment(segment),
        };
        let left = match adopted {
            Ok(Adopted { file, damaged, torn, cut, left }) => {
                if cut > 0 {
                    // The survey misses them, and counts them.
                    tracing::error!(segment = %segment.display(), cut, "a segment of an earlier process was cut short; the events behind its end are lost");
                }
                if torn > 0 {
                    tracing::warn!(segment = %segment.display(), torn, "events of an earlier process had not reached the disk when the machine stopped");
                }
                if damaged > 0 {
                    self.quarantine_grew = true;
                    tracing::error!(segment = %segment.display(), damaged, "events of an earlier process are damaged; they are in the quarantine folder");
                    self.reply(Reply::Damaged(damaged));
                }
                let left = match left {
                    Some((batch, error)) => {
                        self.taken_over.insert(segment.to_owned(), batch);
                        self.reply(Reply::Bound(batch));
                        Some(error)
                    }
                    None => {
                        self.taken_over.remove(segment);
                        None
                    }
                };
                if file.is_some() || damaged > 0 {
                    self.tell_ledger_gone();
                }
                // Not before it is known that nothing may be dropped out of it.
                if let Some(file) = file {
                    self.known.insert(file.id);
                    self.reply(Reply::TakenOver(file));
                }
                left
            }
            Err(error) => Some(error),
        };
        let Some(error) = left else { return };
        self.stuck += 1;
        if self.complained.insert(segment.to_owned()) {
            tracing::warn!(%error, "what an earlier process left in a segment cannot be taken over yet; it is tried again within a minute");
        }
    }

    /// Takes up files that were put into the directory since it was looked at last.
    pub(super) fn look_around(&mut self) {
        fault::point("spool look around");
        self.sync_ledger();
        self.try_again();
        let Some(spool) = self.spool.as_ref().filter(|_| self.found.is_empty()) else { return };
        if Instant::now() >= self.ballast_at
            && let Err(error) = spool.keep_ballast()
        {
            tracing::debug!(%error, "no room can be set aside for a full disk");
            self.ballast_at = Instant::now() + BALLAST_AGAIN;
        }
        // Asked for before the list, so that what changes meanwhile is seen the next time.
        let Ok(changed_ms) = spool.changed_ms() else { return };
        if self.settled == Some(changed_ms) {
            return;
        }
        let there = Cell::new(0);
        let is_new = |name: &FileName| {
            let is_known = self.known.contains(&name.id());
            there.set(there.get() + usize::from(is_known));
            !is_known
        };
        match spool.list(is_new) {
            Ok(names) => {
                self.found = in_turn(names);
                self.tell_missing(self.known.len().saturating_sub(there.get()));
                let now_ms = i64::try_from(crate::emit::now_ms()).unwrap_or(i64::MAX);
                self.settled = (now_ms.saturating_sub(changed_ms) > SETTLED_MS).then_some(changed_ms);
            }
            Err(error) => tracing::debug!(%error, "the spool directory is not listed"),
        }
    }

    /// Looks once more at what could not be read or taken over, when it is time.
    fn try_again(&mut self) {
        let now = Instant::now();
        let (at, pause) = self.again;
        if self.stuck + self.unreadable.len() == 0 && !self.survey_failed {
            self.again = (now + AGAIN.0, AGAIN.0);
        } else if now >= at && self.found.is_empty() && self.left.is_empty() {
            let pause = (pause * 2).min(AGAIN.1);
            self.again = (now + pause, pause);
            if std::mem::take(&mut self.survey_failed) {
                self.survey_is_late = true;
                self.begin_survey();
            }
            if let Err(error) = self.look_anew() {
                tracing::debug!(%error, "the spool directory is not listed");
            }
        }
    }

    /// Says how many known files are not there.
    fn tell_missing(&mut self, missing: usize) {
        if std::mem::replace(&mut self.missing, missing) != missing {
            self.reply(Reply::Missing(missing as u64));
        }
    }

    /// Says how much of what earlier processes left cannot be read or taken over at present.
    pub(super) fn tell_stuck(&mut self) {
        let stuck = self.stuck + self.unreadable.len();
        if stuck != self.told_stuck {
            self.told_stuck = stuck;
            self.reply(Reply::Stuck(stuck as u64));
        }
    }

    /// The files in the directory that were not found before.
    pub(super) fn unknown(&self) -> Result<VecDeque<FileName>, SpoolError> {
        let Some(spool) = &self.spool else { return Ok(VecDeque::new()) };
        spool.list(|name| !self.known.contains(&name.id())).map(in_turn)
    }

    /// Examines files for a moment.
    pub(super) fn examine_some(&mut self) {
        let until = Instant::now() + EXAMINE;
        while Instant::now() < until
            && let Some(name) = self.found.pop_front()
        {
            let examined = self.guarded("examine a file of", |thread| {
                thread.examine(&name);
                Ok(())
            });
            if examined.is_err() && self.panicked.insert(name.to_os_string().into()) {
                self.found.push_back(name);
            } else if examined.is_err() {
                // As one that cannot be read.
                self.known.insert(name.id());
                self.unreadable.push(name.id());
            }
        }
        // Once there may have been very many.
        if self.found.len() <= self.found.capacity() / 2 {
            self.found.shrink_to(self.found.len());
        }
    }

    pub(super) fn examine(&mut self, name: &FileName) {
        fault::point("spool examine");
        let Some(spool) = &self.spool else { return };
        let found = spool
            .inspect_rest(name, |file| self.passed(file.id))
            .and_then(|(file, cut)| self.refused_in(&file).map(|refused| (file, cut, refused)));
        match found {
            Ok((file, cut, refused)) => {
                self.known.insert(file.id);
                if let Some(shortened) = self.shortened.as_mut().filter(|_| file.is_of(self.ledger_id)) {
                    shortened.add(name, cut);
                }
                let has_come_back = spool.has_come_back(name);
                if file.names_ledger() && !file.is_of(self.ledger_id) {
                    self.tell_ledger_gone();
                }
                if has_come_back || !refused.is_empty() {
                    let before = std::mem::take(&mut self.examined);
                    self.reply(Reply::Found(before));
                    self.reply(match has_come_back {
                        true => Reply::CameBack(file),
                        false => Reply::FoundInPart(file, refused),
                    });
                } else {
                    self.examined.push(file);
                }
            }
            // Delivered and removed since the directory was listed.
            Err(error) if error.kind() == SpoolErrorKind::Missing => {}
            Err(error) => {
                // Said once, not at every look around.
                self.known.insert(name.id());
                self.unreadable.push(name.id());
                if self.complained.insert(name.to_os_string().into()) {
                    tracing::warn!(%error, %name, "a spill file cannot be read; it is looked at again within a minute");
                }
            }
        }
    }

    /// Which events of a file were in the quarantine at the start and are not dealt with.
    fn refused_in(&self, file: &SpoolFile) -> Result<Vec<Refused>, SpoolError> {
        match (&self.spool, self.refused.get(&file.id)) {
            (Some(spool), Some(refused)) => match spool.refused_in(file, self.passed(file.id), refused) {
                Err(error) if error.kind() != SpoolErrorKind::Missing => {
                    // That it cannot be read holds up nothing but itself. What is there in truth its pieces show.
                    tracing::debug!(%error, file = %file.id, "which of its events are set aside is not compared");
                    Ok(refused.clone())
                }
                result => result,
            },
            _ => Ok(Vec::new()),
        }
    }

    /// What of a file that ends too early, or is in the quarantine in part, is dealt with, as the ledger says.
    fn passed(&self, file: Uuid) -> Passed {
        let step = self.ledger.as_ref().and_then(|ledger| match Ledger::read_from(ledger) {
            Ok(ledger) => Some(ledger.step(file, true)),
            Err(error) => {
                tracing::debug!(%error, "the accounts do not say what is dealt with");
                None
            }
        });
        step.map(Passed::of).unwrap_or_default()
    }

    /// Something was found that an earlier process left here, or a process elsewhere, which had accounts.
    fn tell_ledger_gone(&mut self) {
        if std::mem::take(&mut self.ledger_is_new) {
            tracing::warn!(
                "the accounts that files in the spool belong to are gone: they begin anew, and nobody can tell what earlier processes lost"
            );
        }
    }

    /// Counts what is in the quarantine before anything of this process is, unless that was not possible.
    pub(super) fn begin_survey(&mut self) {
        fault::point("spool survey");
        let mut refused = RefusedOf::new();
        let counted = self.spool.as_ref().map(|spool| spool.look_through_quarantine(&mut refused));
        // Not of files that were found before: those count with all their events by now.
        if !self.survey_is_late {
            self.refused = self.with_files(refused);
        }
        match counted {
            Some(Ok(quarantined)) => self.surveying = Some(quarantined),
            // What is missing cannot be told from what is there.
            Some(Err(error)) => {
                self.survey_failed = true;
                if !self.survey_is_late {
                    tracing::warn!(%error, "what is in the quarantine is not counted yet; it is tried again within a minute");
                }
            }
            None => {}
        }
        self.survey_begun = true;
    }

    /// Without those whose spill file is gone. That may be very many.
    fn with_files(&self, mut refused: RefusedOf) -> RefusedOf {
        if let Some(spool) = self.spool.as_ref().filter(|_| !refused.is_empty())
            && let Ok(names) = spool.list(|name| refused.contains_key(&name.id()))
        {
            let there: HashSet<Uuid> = names.iter().map(FileName::id).collect();
            refused.retain(|file, _| there.contains(file));
            refused.shrink_to_fit();
        }
        refused
    }

    /// Says so when all that earlier processes left is found.
    pub(super) fn end_survey(&mut self) {
        if self.told_stuck > 0 {
            return;
        }
        if let Some(quarantined) = self.surveying.take() {
            // What is found from now on was put there since.
            self.ledger_is_new = false;
            let shortened = Box::new(self.shortened.take().unwrap_or_default());
            self.reply(Reply::Surveyed { quarantined, is_late: self.survey_is_late, shortened });
        }
    }
}

/// Files that were listed, to be examined one after the other. There may be very many: what the list took beyond that goes.
pub(super) fn in_turn(mut names: Vec<FileName>) -> VecDeque<FileName> {
    names.shrink_to_fit();
    names.into()
}
