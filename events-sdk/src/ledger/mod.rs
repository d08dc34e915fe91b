//! The ledger: the accounts of all processes that ever used a spool, kept with it.
//!
//! ```text
//! accepted = delivered + in memory + in flight + on disk + quarantined + dropped
//! ```
//!
//! [`crate::accounts`] counts where the events of this process are; here stands what became of all that were ever accepted
//! under this spool directory: numbers that only grow, but for what is in the quarantine. What is in memory, in flight and on
//! disk is not written down but follows from them, so that a process that is killed leaves no wrong number behind. How many events of
//! ours are in spill files is noted as well: it tells only what somebody removed from what a killed process had in memory.
//!
//! The file is `<spool>/.accounts`, mapped into memory. [`cells`] is its format: a store for each event that is accepted, no
//! system call. A kill loses nothing of it. A loss of power takes it back to where it was synced last, at most some seconds ago;
//! before a spill file is removed it is synced, so that what is gone from the disk is in the books.
//!
//! # The start
//!
//! When all files that earlier processes left have been looked at, what they accepted and neither delivered nor dropped
//! is compared with what is there: the *survey*. What is missing was in memory when a process ended, or was taken out of the
//! directory, segments among it ([`unkept`]); it is counted as lost then. What is too much was delivered or written after the
//! numbers were synced that a loss of power left; then `accepted` is raised.
//!
//! # Files of others
//!
//! A spill file whose seal does not carry the ledger's identity was put there by another: `events emit`, the earlier agent,
//! somebody who copied it. Its events are accepted when they are delivered, dropped or set aside; until then they wait outside
//! of the books. So it does not matter how often such a file is found.
//!
//! # Progress
//!
//! For each file of which a piece was offered to Toggle a slot says which of its pieces have been dealt with, and that a file is done
//! with before it is removed. It changes together with `delivered`. After a kill those pieces are not sent again, and nothing is
//! dropped out of what is left. What was delivered of other pieces, in part or too far on to be noted, is taken back: it waits again.

mod beyond;
mod cells;
mod drops;
mod file;
mod slots;
mod survey;
mod unkept;

use uuid::Uuid;

#[cfg(feature = "cli")]
pub(crate) use self::file::damaged;
pub(crate) use self::{
    beyond::Beyond,
    file::{FILE, Kept},
    slots::{Known, Step},
};
use self::{
    cells::{Cells, Changes},
    slots::Slots,
    survey::Survey,
};
use crate::{DropReason, accounts::CATEGORIES, chunk::SEVERITIES, id::IdGenerator, losses};

/// "events" and the version of the format, in 48 bits.
const MAGIC: u64 = 0x6576_656E_0002;

const MAGIC_AT: usize = cells::FIRST;
const ID: usize = MAGIC_AT + 1;
const ACCEPTED: usize = ID + 1;
const DELIVERED: usize = ACCEPTED + 1;
const QUARANTINED: usize = DELIVERED + 1;
/// The last process ended with nothing in memory, and its survey was done.
const CLEAN: usize = QUARANTINED + 1;
/// When the ledger was begun, milliseconds since the Unix epoch.
const BEGUN: usize = CLEAN + 1;
/// Up to when Toggle has been told of losses.
const TOLD_UNTIL: usize = BEGUN + 1;
/// How many events of ours wait in spill files, as the process knew that worked here last. Zero where an older version wrote it.
const IN_FILES: usize = TOLD_UNTIL + 1;
/// How many spill files the process that works here misses in the directory.
const FILES_GONE: usize = IN_FILES + 1;

/// Reasons are told apart by their numbers on the wire; so many are foreseen.
const REASONS: usize = 16;

/// The cells of one table of drops: by reason, category and severity.
const MATRIX: usize = REASONS * CATEGORIES * SEVERITIES;
/// What was dropped.
const DROPPED_AT: usize = slots::END;
/// What of it Toggle has been told.
const TOLD_AT: usize = DROPPED_AT + MATRIX;
const CELLS: usize = TOLD_AT + MATRIX;

/// The length of the file.
pub(crate) const BYTES: u64 = CELLS as u64 * 8;

/// All that ever happened to events, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) begun_ms: u64,
    pub(crate) accepted: u64,
    pub(crate) delivered: u64,
    pub(crate) quarantined: u64,
    pub(crate) dropped: u64,
}

/// The ledger.
#[derive(Debug)]
pub(crate) struct Ledger {
    cells: Cells,
    slots: Slots,
    survey: Survey,
    /// The sum of what was dropped.
    dropped: u64,
    /// Events in files of others that have been found and not been dealt with.
    foreign: u64,
    /// What is accepted but for the events of this process. A difference: what is taken back may make it less than nothing.
    before: u64,
    /// There was none when it was opened.
    is_new: bool,
    /// In which start of the machine this process keeps its events in segments; zero where it does not.
    kept_since: u64,
}

impl Ledger {
    /// A ledger in memory, for as long as there is no directory.
    pub(crate) fn in_memory(now_ms: u64) -> Self {
        let mut cells = Cells::in_memory(CELLS);
        begin(&mut cells, now_ms);
        Self::on(cells, true)
    }

    fn on(cells: Cells, is_new: bool) -> Self {
        let slots = Slots::read(&cells);
        let dropped: u64 = (DROPPED_AT..TOLD_AT).map(|at| cells.load(at)).sum();
        let outside = cells.load(DELIVERED) + dropped;
        let survey = Survey {
            expected: cells.load(ACCEPTED).cast_signed() - outside.cast_signed(),
            quarantined: cells.load(QUARANTINED),
            in_files: cells.load(IN_FILES),
            was_clean: cells.load(CLEAN) != 0,
            done: is_new,
            unseen: slots.files().collect(),
            unkept: unkept::read(&cells),
            ..Survey::default()
        };
        let before = cells.load(ACCEPTED);
        Self { cells, slots, survey, dropped, foreign: 0, before, is_new: false, kept_since: 0 }
    }

    /// What this one counted in memory goes on in `file`, which has been opened meanwhile.
    pub(crate) fn move_to(&mut self, mut file: Self) {
        let matrices = DROPPED_AT..CELLS;
        for at in [ACCEPTED, DELIVERED, QUARANTINED].into_iter().chain(matrices) {
            let more = self.cells.load(at);
            if more > 0 {
                file.cells.store(at, file.cells.load(at) + more);
            }
        }
        self.move_unkept_to(&mut file);
        file.dropped += self.dropped;
        file.foreign += self.foreign;
        file.before = file.before.wrapping_add(self.before);
        *self = file;
    }

    /// What a seal says of whose file it is.
    pub(crate) fn id(&self) -> u64 {
        self.cells.load(ID)
    }

    /// An event was accepted.
    #[inline]
    pub(crate) fn accept(&mut self) {
        self.cells.store(ACCEPTED, self.cells.load(ACCEPTED) + 1);
    }

    /// How often that was so in this process.
    #[inline]
    pub(crate) fn accepted_here(&self) -> u64 {
        self.cells.load(ACCEPTED).wrapping_sub(self.before)
    }

    /// Has these changes include that so many events are accepted, though this process accepts none.
    fn set_accepted(&mut self, number: u64, changes: &mut Changes) {
        self.before = self.before.wrapping_add(number.wrapping_sub(self.cells.load(ACCEPTED)));
        changes.set(ACCEPTED, number);
    }

    /// So many events more are accepted, though this process accepts none.
    fn accept_others(&mut self, count: u64) {
        let mut changes = Changes::default();
        self.set_accepted(self.cells.load(ACCEPTED) + count, &mut changes);
        self.cells.change(&changes);
    }

    /// Events were dropped. Those of a file of others were never accepted before.
    pub(crate) fn drop_events(
        &mut self,
        reason: DropReason,
        category: u8,
        severity: u8,
        count: u64,
        foreign: bool,
    ) {
        let Some(at) = dropped_at(reason, category, severity) else { return };
        let mut changes = self.book_in(count, foreign);
        changes.set(at, self.cells.load(at) + count);
        self.dropped += count;
        self.cells.change(&changes);
    }

    /// Events of the quarantine were dropped.
    pub(crate) fn clear(&mut self, reason: DropReason, count: u64) {
        let Some(at) = dropped_at(reason, 0, 0) else { return };
        let there = self.cells.load(QUARANTINED);
        let count = count.min(there);
        let mut changes = Changes::default();
        changes.set(QUARANTINED, there - count);
        changes.set(at, self.cells.load(at) + count);
        self.dropped += count;
        self.cells.change(&changes);
    }

    /// Events from memory were delivered. `kept` is the batch, where the next process may find it in a segment or a file.
    pub(crate) fn deliver(&mut self, count: u64, kept: Option<Uuid>) {
        let mut changes = Changes::default();
        changes.set(DELIVERED, self.cells.load(DELIVERED) + count);
        if let Some(batch) = kept {
            self.slots.finish(&mut self.cells, batch, &mut changes);
        }
        self.cells.change(&changes);
    }

    /// Events of a piece of a spill file were delivered; that brings the file to this step.
    pub(crate) fn deliver_piece(&mut self, count: u64, step: &Step) {
        let mut changes = self.book_in(count, step.foreign);
        changes.set(DELIVERED, self.cells.load(DELIVERED) + count);
        self.progress(&mut changes, step, count);
        self.cells.change(&changes);
    }

    /// Events of a piece of a spill file were set aside; that brings the file to this step.
    pub(crate) fn set_aside_piece(&mut self, count: u64, step: &Step) {
        let mut changes = self.book_in(count, step.foreign);
        changes.set(QUARANTINED, self.cells.load(QUARANTINED) + count);
        self.progress(&mut changes, step, 0);
        self.cells.change(&changes);
    }

    /// Events of a spill file were set aside, and it goes on without them.
    #[cfg(feature = "cli")]
    pub(crate) fn set_aside_of(&mut self, count: u64, foreign: bool) {
        self.leave_files(count, foreign);
        let mut changes = self.book_in(count, foreign);
        changes.set(QUARANTINED, self.cells.load(QUARANTINED) + count);
        self.cells.change(&changes);
    }

    /// Events of a spill file of ours are set aside, and it goes on without them, that were found in the quarantine before and taken for
    /// events of others.
    #[cfg(feature = "cli")]
    pub(crate) fn set_aside_again(&mut self, count: u64) {
        self.leave_files(count, false);
        let mut changes = Changes::default();
        self.set_accepted(self.cells.load(ACCEPTED).saturating_sub(count), &mut changes);
        self.cells.change(&changes);
    }

    /// How many events the books have in the quarantine.
    pub(crate) fn quarantined(&self) -> u64 {
        self.cells.load(QUARANTINED)
    }

    /// Events do not wait in spill files any more. Those of a file of others never counted among them.
    #[cfg(feature = "cli")]
    pub(crate) fn leave_files(&mut self, count: u64, foreign: bool) {
        if !foreign {
            self.note_in_files(self.cells.load(IN_FILES).saturating_sub(count));
        }
    }

    /// Events were put into the spool once more that had been set aside.
    #[cfg(feature = "cli")]
    pub(crate) fn enter_files(&mut self, count: u64) {
        self.note_in_files(self.cells.load(IN_FILES) + count);
    }

    /// Events were set aside that belong to no file.
    pub(crate) fn set_aside(&mut self, count: u64) {
        self.cells.store(QUARANTINED, self.cells.load(QUARANTINED) + count);
    }

    /// A spill file is only to be removed; `missing` events of it were damaged and are in the quarantine.
    pub(crate) fn finish(&mut self, file: Uuid, missing: u64, foreign: bool) {
        let mut changes = self.book_in(missing, foreign);
        if missing > 0 {
            changes.set(QUARANTINED, self.cells.load(QUARANTINED) + missing);
        }
        self.slots.finish(&mut self.cells, file, &mut changes);
        self.cells.change(&changes);
    }

    /// A piece of a spill file is about to be offered to Toggle.
    pub(crate) fn offer(&mut self, file: Uuid) {
        self.slots.offer(&mut self.cells, file);
    }

    /// Whether Toggle may know a piece of a file that is not dealt with, for all that is known here.
    pub(crate) fn was_offered(&self, file: Uuid) -> bool {
        self.slots.is_offered(&self.cells, file)
    }

    /// No piece of a file is with Toggle but for those that are dealt with.
    pub(crate) fn withdraw(&mut self, file: Uuid) {
        self.slots.withdraw(&mut self.cells, file);
    }

    /// A spill file, or a segment, is gone.
    pub(crate) fn forget(&mut self, file: Uuid) {
        self.slots.forget(&mut self.cells, file);
    }

    /// A spill file was found. `is_ours` says whether its seal carries our identity.
    pub(crate) fn found(&mut self, file: Uuid, events: u64, is_ours: bool) -> Known {
        let step = self.step(file, is_ours);
        if self.slots.knows(file) {
            self.survey.unseen.remove(&file);
            if self.slots.is_finished(&self.cells, file) {
                return Known::Finished;
            }
            self.take_back(&step);
        }
        let left = events.saturating_sub(step.events);
        self.find_more(left, !is_ours);
        Known::From(step)
    }

    /// Events were found in a spill file. Those of a file of others wait outside of the books.
    pub(crate) fn find_more(&mut self, events: u64, foreign: bool) {
        if foreign {
            self.foreign += events;
        } else {
            self.find(events);
        }
    }

    /// How far a spill file has been dealt with.
    pub(crate) fn step(&self, file: Uuid, is_ours: bool) -> Step {
        Step { foreign: !is_ours, ..self.slots.step(&self.cells, file) }
    }

    /// So many events of ours wait in spill files.
    pub(crate) fn note_in_files(&mut self, events: u64) {
        if self.cells.load(IN_FILES) != events {
            self.cells.store(IN_FILES, events);
        }
    }

    /// So many spill files are not in the directory any more, though nobody here removed them.
    pub(crate) fn note_files_gone(&mut self, files: u64) {
        self.cells.store(FILES_GONE, files);
    }

    /// How many spill files the process that works here misses.
    #[cfg(feature = "cli")]
    pub(crate) fn files_gone(&self) -> u64 {
        self.cells.load(FILES_GONE)
    }

    /// What was delivered of pieces that are not dealt with in full, or not known to be, is sent again.
    fn take_back(&mut self, step: &Step) {
        let (accepted, delivered) = (self.cells.load(ACCEPTED), self.cells.load(DELIVERED));
        // After a loss of power the slot may be newer than the sums. No more than is in them can be taken out of them, or the
        // books would not balance.
        let most = if step.foreign { accepted.min(delivered) } else { delivered };
        let delivered_of = self.slots.delivered_of(&self.cells, step.file);
        let again = delivered_of.saturating_sub(step.delivered).min(most);
        if again == 0 {
            return;
        }
        let mut changes = Changes::default();
        changes.set(DELIVERED, delivered - again);
        if step.foreign {
            self.set_accepted(accepted - again, &mut changes);
        } else {
            self.survey.in_files += again;
            self.note_in_files(self.cells.load(IN_FILES) + again);
            self.survey.expected += again.cast_signed();
        }
        self.slots.record(&mut self.cells, step, step.delivered, &mut changes);
        self.cells.change(&changes);
    }

    /// The process ends, and nothing is in memory.
    pub(crate) fn close(&mut self) {
        self.cells.store(CLEAN, u64::from(self.survey.done));
    }

    /// Whether the last process that worked here said so.
    #[cfg(feature = "cli")]
    pub(crate) fn was_closed(&self) -> bool {
        self.survey.was_clean
    }

    /// The numbers. Events in files of others that wait count as accepted.
    pub(crate) fn totals(&self) -> Totals {
        Totals {
            begun_ms: self.cells.load(BEGUN),
            accepted: self.cells.load(ACCEPTED) + self.foreign,
            delivered: self.cells.load(DELIVERED),
            quarantined: self.cells.load(QUARANTINED),
            dropped: self.dropped,
        }
    }

    /// How many events in files of others wait.
    pub(crate) fn foreign(&self) -> u64 {
        self.foreign
    }

    /// How many events were ever dropped.
    #[inline]
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Events of a file of others come into the books.
    fn book_in(&mut self, count: u64, foreign: bool) -> Changes {
        let mut changes = Changes::default();
        if foreign && count > 0 {
            self.foreign = self.foreign.saturating_sub(count);
            self.set_accepted(self.cells.load(ACCEPTED) + count, &mut changes);
        }
        changes
    }

    fn progress(&mut self, changes: &mut Changes, step: &Step, delivered: u64) {
        let delivered_of = self.slots.delivered_of(&self.cells, step.file) + delivered;
        self.slots.record(&mut self.cells, step, delivered_of, changes);
    }
}

fn begin(cells: &mut Cells, now_ms: u64) {
    // The lower half of it is random.
    cells.store(ID, IdGenerator::new().next(now_ms).as_u128() as u64 & 0xFFFF_FFFF_FFFF | 1);
    cells.store(BEGUN, now_ms);
    cells.store(MAGIC_AT, MAGIC);
}

/// Where events are counted that were dropped. `None` for what is never accepted.
fn dropped_at(reason: DropReason, category: u8, severity: u8) -> Option<usize> {
    let reason = losses::reason_of(reason)?.number() as usize % REASONS;
    let (category, severity) = (usize::from(category) % CATEGORIES, usize::from(severity) % SEVERITIES);
    Some(DROPPED_AT + (reason * CATEGORIES + category) * SEVERITIES + severity)
}

/// What this thread has stored in ledgers since it was asked last: at which byte, and what.
#[cfg(test)]
pub(crate) fn take_stores() -> Vec<(usize, [u8; 8])> {
    let stores = cells::STORES.with(std::cell::RefCell::take);
    stores.into_iter().map(|(at, word)| (at * 8, word.to_le_bytes())).collect()
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
