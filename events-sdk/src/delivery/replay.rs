//! Back from disk: the spool's answers, the files on their way to Toggle, and the state of the spool.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::backlog::{CutOut, Finished};
use super::shortened::Shortened;
use super::spooler::Reply;
use super::{Delivery, LOG_AGAIN, SPOOL_RETRY};
use crate::DropReason;
use crate::accounts::Place;
use crate::fault;
use crate::ledger::{Known, Ledger};
use crate::spool::{Refused, SpoolError, SpoolErrorKind, SpoolFile};

/// Longer than it takes until it is tried again to remove a segment.
const BOUND: Duration = Duration::from_secs(150);

impl Delivery {
    pub(super) fn read_ahead(&mut self) {
        let buffer = &self.intake.buffer;
        self.backlog.make_room(
            |batch| self.refusals.may_be_stored(batch),
            |step| {
                let noted = buffer.lock().accounts.ledger.step(step.file, true);
                (noted.pieces, noted.beyond) == (step.pieces, step.beyond)
            },
        );
        let intake = Arc::clone(&self.intake);
        let known = |file: &SpoolFile| {
            let ledger = &intake.buffer.lock().accounts.ledger;
            ledger.step(file.id, file.is_of(ledger.id()))
        };
        if let Some((file, passed)) = self.backlog.next_read(self.read_ahead_limit(), Instant::now(), known) {
            self.spooler.read(file, passed);
        }
    }

    pub(super) fn spooled(&mut self, reply: Reply) {
        let kept = self.salvage.keep(reply);
        fault::point("reply");
        let Some(reply) = kept.release() else { return };
        match reply {
            Reply::Panicked(message) => self.restarted("spool", &message),
            Reply::Found(files) => {
                for file in files {
                    self.found(file, false, Vec::new());
                }
            }
            Reply::FoundInPart(file, refused) => {
                self.found(file, false, refused);
            }
            Reply::CameBack(file) => {
                self.found(file, true, Vec::new());
            }
            Reply::Surveyed { quarantined, is_late, shortened } => {
                self.surveyed(quarantined, is_late, &shortened);
            }
            Reply::Bound(file) => self.backlog.spare(file, Instant::now() + BOUND),
            Reply::Stuck(count) => self.intake.buffer.lock().status.spool.stuck = count,
            Reply::Missing(count) => self.missing_files(count),
            Reply::Damaged(events) => self.damaged(events),
            Reply::TakenOver(file) => {
                let adopted = self.found(file, false, Vec::new());
                self.intake.buffer.lock().accounts.ledger.find_in_segment(adopted);
            }
            Reply::Segments(segments, error) => self.segments_made(segments, error),
            Reply::SegmentsLost(count) => self.segments_lost(count),
            Reply::Wrote(write, result) => self.wrote(write, result),
            Reply::Probed(result) => {
                self.probing = false;
                match result {
                    Ok(()) => self.spool_works(),
                    Err(error) => self.spool_fails(&error),
                }
            }
            Reply::Read(file, Ok(Some(piece))) => {
                let read = self.backlog.read_with(file.id, &piece);
                let beyond = read.saturating_sub(u64::from(file.events)).min(u64::from(piece.count));
                if beyond > 0 && !self.backlog.is_dealt_with(file.id, &piece) {
                    // It holds more than was known of it.
                    let accounts = &mut self.intake.buffer.lock().accounts;
                    accounts.adopt_more(beyond, !file.is_of(accounts.ledger.id()));
                }
                let cut = self.backlog.piece(file.id, piece, |batch| self.refusals.times(batch));
                self.cut_out(&file, &cut);
            }
            Reply::CutOff(file, events) => self.cut_off(&file, events),
            Reply::SealDamaged(file, what) => {
                self.seals.add([1], Instant::now());
                self.seal_told = Some((file.name, what));
            }
            Reply::Read(file, Ok(None)) => {
                let finished = self.backlog.exhausted(file.id);
                self.finish(finished);
            }
            Reply::Read(file, Err(error)) if error.kind() == SpoolErrorKind::Missing => {
                self.intake.buffer.lock().status.fail(error);
                // What was read of it is still being delivered.
                let finished = self.backlog.vanished(file.id);
                self.finish(finished);
            }
            Reply::Read(file, Err(error)) => {
                let backoff = &mut self.spool_backoff;
                let failures =
                    self.backlog.unreadable(file.id, Instant::now(), |failures| backoff.pause(failures));
                if failures == 1 {
                    tracing::warn!(%error, file = %file.id, "a spill file cannot be read; it is tried again");
                }
                self.intake.buffer.lock().status.fail(error);
            }
            Reply::Removed(file, Ok(())) => {
                self.backlog.removed(file.id);
                self.refusals.forget_all_of(file.id);
                let mut state = self.intake.buffer.lock();
                state.accounts.ledger.forget(file.id);
                state.status.spool.files = state.status.spool.files.saturating_sub(1);
                state.status.spool.bytes = state.status.spool.bytes.saturating_sub(file.bytes);
            }
            Reply::Removed(file, Err(error)) => {
                // It stays known, so that it is not taken for a new one; the next start knows it by its slot in the ledger.
                tracing::warn!(%error, file = %file.id, "a delivered spill file cannot be removed; it is tried again within a minute");
                self.intake.buffer.lock().status.fail(error);
            }
            Reply::Thinned(file, result) => self.thinned(file, result),
            Reply::LedgerNotSynced => {
                self.intake.buffer.lock().accounts.ledger.renew();
                self.spooler.ledger_renewed();
            }
            Reply::CountedTwice(events) => self.intake.buffer.lock().accounts.ledger.counted_twice(events),
            Reply::LedgerKept(kept) => self.intake.buffer.lock().status.ledger_broken = kept.err(),
            Reply::LedgerTouched => {
                let is_ours = self.intake.buffer.lock().accounts.ledger.is_in_place();
                if !is_ours {
                    self.spooler.ledger_spoiled();
                }
            }
            Reply::LedgerLost(ledger) => {
                let file = self.intake.buffer.lock().accounts.ledger.go_on_in(*ledger);
                self.spooler.ledger_moved(file);
            }
            Reply::Cleared(gone) => {
                tracing::debug!(gone, "the oldest of what is in the quarantine was removed");
                self.cleared.add([gone], Instant::now());
                let pending = self.backlog.damaged();
                self.intake.buffer.lock().accounts.clear(gone, pending);
            }
            Reply::SetAside { file, place, batch, result } => self.set_aside(file, place, batch, result),
            Reply::Opened(result) => {
                self.opening = false;
                self.spool_is_closed = result.is_err();
                match result {
                    Ok(ledger) => {
                        if let Some(ledger) = ledger {
                            self.move_ledger(*ledger);
                        }
                        self.spool_works();
                    }
                    Err(error) => self.spool_fails(&error),
                }
            }
            Reply::Stopped => {}
        }
    }

    /// Every piece of a file has been acknowledged: it may go, if it is not gone already.
    pub(super) fn finish(&mut self, finished: Option<Finished>) {
        let Some(Finished { file, missing, vanished }) = finished else { return };
        if vanished {
            return self.vanished(&file, missing);
        }
        if missing > 0 {
            tracing::error!(file = %file.id, damaged = missing, "events of a spill file were damaged; what is left of them is in the quarantine folder");
        }
        let mut state = self.intake.buffer.lock();
        let foreign = !file.is_of(state.accounts.ledger.id());
        state.accounts.finish(file.id, missing, foreign);
        drop(state);
        self.spooler.remove(file);
    }

    /// Events of a piece that was read lie in the quarantine.
    fn cut_out(&self, file: &SpoolFile, cut: &CutOut) {
        let mut state = self.intake.buffer.lock();
        if cut.missed > 0 {
            // They are not in the file any more as they were when it was found, so that others wait in their place.
            let foreign = !file.is_of(state.accounts.ledger.id());
            state.accounts.adopt_more(cut.missed, foreign);
        }
        if let Some(step) = &cut.step {
            // They are in the books already.
            state.accounts.set_aside_piece(0, step);
        }
    }

    /// A spill file was found, perhaps one that this process did not write. `came_back` says that it was in the quarantine before, and
    /// `refused` which of its events are. Gives how many of its events wait now that were not known to.
    fn found(&mut self, mut file: SpoolFile, came_back: bool, mut refused: Vec<Refused>) -> u64 {
        if self.backlog.knows(&file) || self.is_copy(file.id) {
            return 0;
        }
        self.spool_grows(&file);
        let mut state = self.intake.buffer.lock();
        let is_ours = file.is_of(state.accounts.ledger.id());
        file.offered |= state.accounts.ledger.was_offered(file.id);
        let step = state.accounts.ledger.step(file.id, is_ours);
        refused.retain(|refused| !step.has(refused.piece));
        // The others count in the quarantine.
        let events = u64::from(file.events).saturating_sub(refused.len() as u64);
        let known = state.accounts.adopt(file.id, events, is_ours);
        let adopted = match &known {
            Known::From(step) => events.saturating_sub(step.events),
            Known::Finished => 0,
        };
        if came_back && is_ours {
            state.accounts.come_back(adopted);
        }
        drop(state);
        match known {
            Known::From(_) => {
                self.backlog.are_set_aside(file.id, refused);
                self.backlog.add(file);
            }
            Known::Finished => self.spooler.remove(file),
        }
        adopted
    }

    /// All that earlier processes left is found.
    fn surveyed(&mut self, quarantined: u64, is_late: bool, shortened: &Shortened) {
        let mut state = self.intake.buffer.lock();
        let of_ours = if is_late { state.accounts.ledger.set_aside_since() } else { 0 };
        let losses = state.accounts.survey(quarantined.saturating_sub(of_ours));
        drop(state);
        // What an earlier process has counted is not told again.
        if losses.iter().any(|(reason, _)| *reason == DropReason::Vanished) {
            shortened.tell();
        }
        for (reason, lost) in losses {
            tracing::error!(lost, %reason, "events of earlier processes are lost");
        }
    }

    /// The ledger of the spool could be opened only now.
    fn move_ledger(&mut self, ledger: Ledger) {
        let mut state = self.intake.buffer.lock();
        state.accounts.move_to(ledger);
        let gone = state.status.spool.missing;
        state.accounts.ledger.note_files_gone(gone);
        self.teller.move_to(&state.accounts.ledger);
    }

    /// Events are gone that somebody cut off a file.
    fn cut_off(&mut self, file: &SpoolFile, events: u32) {
        let events = self.backlog.cut_off(file.id, events);
        if events == 0 {
            return;
        }
        tracing::error!(file = %file.id, lost = events, "a spill file was cut short; what is gone of it is lost");
        let mut state = self.intake.buffer.lock();
        let foreign = !file.is_of(state.accounts.ledger.id());
        state.accounts.lose_of(Place::Disk, DropReason::Vanished, 0, 0, events.into(), foreign);
    }

    pub(super) fn spool_grows(&self, file: &SpoolFile) {
        let mut state = self.intake.buffer.lock();
        state.status.spool.files += 1;
        state.status.spool.bytes += file.bytes;
    }

    pub(super) fn spool_works(&mut self) {
        self.spool_retry_at = None;
        self.write_failed = false;
        self.spool_failures = 0;
        self.intake.buffer.lock().status.spool.broken = None;
        self.tell_spool_works(Instant::now());
    }

    /// When the log may say that the spool takes events again, if it is to say so. On a full disk where room is made again and again
    /// it breaks and is mended by turns: that is told once in a while, and what was told last is true.
    pub(super) fn spool_works_told_at(&self) -> Option<Instant> {
        let works = self.spool_failures == 0 && !self.spool_is_closed;
        (self.spool_is_told && works).then(|| self.spool_told_at + LOG_AGAIN)
    }

    pub(super) fn tell_spool_works(&mut self, now: Instant) {
        if self.spool_works_told_at().is_some_and(|at| now >= at) {
            self.spool_is_told = false;
            tracing::info!("the spool takes events again");
        }
    }

    pub(super) fn spool_fails(&mut self, error: &SpoolError) {
        self.spool_failures = self.spool_failures.saturating_add(1);
        let pause = self.spool_backoff.pause(self.spool_failures).min(SPOOL_RETRY);
        self.spool_retry_at = Some(Instant::now() + pause);
        let mut state = self.intake.buffer.lock();
        state.status.spool.broken = Some(error.to_string());
        state.status.fail(error);
        drop(state);
        if !self.spool_is_told {
            (self.spool_is_told, self.spool_told_at) = (true, Instant::now());
            tracing::error!(%error, "the spool takes no events; they stay in memory");
        }
    }
}
