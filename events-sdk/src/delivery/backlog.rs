//! The backlog: spill files on their way back to Toggle, oldest first, piece by piece.
//!
//! Files with events of [`URGENT`] or graver go before the others, three of them to one of the others at most.
//!
//! One file is read at a time and a few pieces ahead. A file is done when all of it has been read and every piece of it
//! has been acknowledged; only then may it be removed.

mod behind;
mod cut_out;
mod files;
mod victims;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use uuid::Uuid;

use crate::{
    Batch,
    buffer::URGENT,
    ledger::{Beyond, Step},
    spool::{Passed, Piece, RefusedOf, SpoolFile},
};

use self::files::Files;
pub(crate) use self::{cut_out::CutOut, victims::Begun};

/// A piece that waits to be sent.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) file: Uuid,
    /// The place of the piece that it is, or is a part of.
    pub(crate) place: u32,
    pub(crate) batch: Arc<Batch>,
    /// How often Toggle has refused it.
    pub(crate) refusals: u32,
    /// It stays behind until then, because it was refused.
    pub(crate) not_before: Option<Instant>,
}

impl Waiting {
    /// It is one event, which was refused itself, and not only the batch that it was in.
    fn is_cornered(&self) -> bool {
        self.batch.len() == 1 && self.not_before.is_some()
    }
}

/// A file some of whose pieces are read.
#[derive(Debug)]
struct Open {
    file: SpoolFile,
    /// Pieces that were read and are not acknowledged.
    outstanding: usize,
    /// Pieces that were read.
    pieces: u32,
    /// Events that were read, or are dealt with.
    read: u64,
    /// Events that are set aside already and were not come upon.
    to_cut_out: u64,
    /// How far the file has been dealt with.
    step: Step,
    /// The pieces behind the first ones that are dealt with, as far as they were read.
    under_way: VecDeque<UnderWay>,
    /// All of it has been read.
    exhausted: bool,
    /// Somebody removed it before that.
    vanished: bool,
    /// Reads in a row that failed.
    failures: u32,
}

impl Open {
    /// What was read of it, or dealt with before.
    fn passed(&self) -> Passed {
        Passed { pieces: self.pieces, events: self.read, step: self.step }
    }

    /// Whether Toggle may have something of it behind the first pieces that are dealt with.
    fn is_offered(&self) -> bool {
        self.file.offered
            || !self.step.beyond.is_empty()
            || self.under_way.iter().any(|piece| piece.delivered + piece.set_aside > 0)
    }

    /// Events that were not read, and are neither dealt with nor set aside.
    fn unread(&self) -> u64 {
        u64::from(self.file.events).saturating_sub(self.read + self.to_cut_out)
    }

    /// Brings the step as far as the pieces are that are under way.
    fn advance(&mut self) {
        loop {
            let first = self.step.pieces;
            let done = |(_, piece): &(u32, &UnderWay)| piece.delivered + piece.set_aside >= piece.events;
            for (place, piece) in (first..).zip(&self.under_way).take(Beyond::PIECES).filter(done) {
                self.step.note(place, piece.events, piece.delivered);
            }
            let passed = self.step.pieces.saturating_sub(first) as usize;
            if passed == 0 {
                return;
            }
            // Those that were too far on to be noted are nearer now.
            self.under_way.drain(..passed.min(self.under_way.len()));
        }
    }
}

/// A piece that was read, while it or one before it is not dealt with.
#[derive(Debug, Default)]
struct UnderWay {
    events: u64,
    delivered: u64,
    set_aside: u64,
    /// Those of these that were set aside before it was read.
    cut_out: u64,
}

/// What becomes of a file when its last piece has been acknowledged.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) file: SpoolFile,
    /// Events that the file was believed to hold and that could not be read.
    pub(crate) missing: u64,
    /// Because somebody removed it.
    pub(crate) vanished: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Backlog {
    /// Files with events of [`URGENT`] or graver that are not begun, oldest first. They go before the others.
    grave: Files,
    /// How many of them went since one of the others was read to its end.
    grave_in_a_row: u32,
    /// The other files that are not begun, oldest first.
    files: Files,
    /// One of the others that was interrupted by a graver one.
    interrupted: Option<Uuid>,
    open: HashMap<Uuid, Open>,
    /// The file being read.
    current: Option<Uuid>,
    /// A read was asked for and not yet answered.
    reading: bool,
    /// Pieces to send, oldest first.
    pieces: VecDeque<Waiting>,
    /// Files that could not be read, and when each is tried again. They hold up no other.
    parked: Vec<(Instant, Uuid)>,
    /// Files of which all that was read was refused, and was forgotten to have memory for others: they are read when all others were.
    behind: HashSet<Uuid>,
    /// Files in which no room could be made, until when they are left alone.
    spared: HashMap<Uuid, Instant>,
    /// Files that are to be removed, until they are.
    leaving: HashSet<Uuid>,
    /// Which events of a file that was found are in the quarantine: they are not sent with the others.
    refused: RefusedOf,
    /// The one of the files that leave that is dropped although pieces of it were read and sent.
    going: Option<Begun>,
}

/// Pieces that wait for another try are kept in memory up to this size; beyond it reading stops until some are gone. A
/// piece is at most a batch.
const PIECES_BYTES: usize = 16 << 20;

/// After so many files with grave events one of the others goes, so that a storm of errors does not keep all else back.
const GRAVE_IN_A_ROW: u32 = 3;

impl Backlog {
    /// A file joins, in its place by age.
    pub(crate) fn add(&mut self, file: SpoolFile) {
        if is_grave(&file) {
            self.grave.add(file);
        } else {
            self.files.add(file);
        }
    }

    /// The turn of the graver files has come.
    fn is_graves_turn(&self) -> bool {
        let others_wait = !self.files.are_all(&self.behind) || self.interrupted.is_some();
        !self.grave.are_all(&self.behind) && (!others_wait || self.grave_in_a_row < GRAVE_IN_A_ROW)
    }

    /// The next file to begin or to go on with. `known` says how far an earlier process came with it.
    fn next_file(&mut self, now: Instant, known: impl FnOnce(&SpoolFile) -> Step) -> Option<Uuid> {
        if !self.are_others_fresh() {
            self.behind.clear();
        }
        let file = if self.is_graves_turn() {
            self.grave_in_a_row += 1;
            self.grave.pop(&self.behind)
        } else {
            if self.grave.are_all(&self.behind) {
                self.grave_in_a_row = 0;
            }
            if let Some(id) = self.interrupted.take() {
                return Some(id);
            }
            self.files.pop(&self.behind)
        };
        let Some(file) = file else {
            let due = self.parked.iter().position(|&(at, _)| at <= now)?;
            return Some(self.parked.swap_remove(due).1);
        };
        let id = file.id;
        let step = known(&file);
        let open = Open {
            file,
            outstanding: 0,
            pieces: step.pieces,
            read: step.events,
            to_cut_out: self.to_cut_out(id, &step),
            step,
            under_way: VecDeque::new(),
            exhausted: false,
            vanished: false,
            failures: 0,
        };
        self.open.insert(id, open);
        Some(id)
    }

    /// A graver file goes before the one being read.
    fn give_way(&mut self) {
        let is_grave = |id: &Uuid| self.open.get(id).is_none_or(|open| is_grave(&open.file));
        if self.interrupted.is_none()
            && self.current.as_ref().is_some_and(|id| !is_grave(id))
            && self.grave_in_a_row < GRAVE_IN_A_ROW
            && !self.grave.are_all(&self.behind)
        {
            self.interrupted = self.current.take();
        }
    }

    /// The file to read from next and what is passed of it, if another piece is wanted and may be read.
    /// `known` says how far an earlier process came with a file.
    pub(crate) fn next_read(
        &mut self,
        ahead: usize,
        now: Instant,
        known: impl FnOnce(&SpoolFile) -> Step,
    ) -> Option<(SpoolFile, Passed)> {
        if self.next_read_at(ahead, now)? > now {
            return None;
        }
        self.give_way();
        if self.current.is_none() {
            self.current = Some(self.next_file(now, known)?);
        }
        let open = self.open.get(&self.current?)?;
        self.reading = true;
        Some((open.file.clone(), open.passed()))
    }

    /// A piece was read. `refusals` is how often a batch has been refused before. Gives what was cut out of it.
    pub(crate) fn piece(&mut self, file: Uuid, piece: Piece, refusals: impl Fn(Uuid) -> u32) -> CutOut {
        self.reading = false;
        let mut cut = CutOut::default();
        let is_known = self.is_dealt_with(file, &piece);
        if let Some(open) = self.open.get_mut(&file) {
            // Pieces of which nothing is left.
            let empty = open.pieces.max(open.step.pieces)..piece.index;
            open.under_way.extend(empty.map(|_| UnderWay::default()));
            open.pieces = piece.index + 1;
            open.failures = 0;
            if is_known {
                // An earlier process did that, out of turn.
                if piece.index >= open.step.pieces {
                    open.under_way.push_back(UnderWay::default());
                }
                return cut;
            }
            let (place, events) = (piece.index, u64::from(piece.count));
            let batch = Batch::new(piece.id, piece.timestamp_ms, piece.events, piece.count);
            let (batches, set_aside) = match self.refused.get_mut(&file) {
                Some(refused) => {
                    let wanted = cut_out::in_piece(refused, place);
                    let (batches, found) = cut_out::cut_out(batch, place, refused);
                    open.to_cut_out = open.to_cut_out.saturating_sub(wanted);
                    cut.missed = wanted - found;
                    (batches, found)
                }
                None => (vec![batch], 0),
            };
            open.outstanding += batches.len();
            open.read += events;
            open.under_way.push_back(UnderWay {
                events,
                set_aside,
                cut_out: set_aside,
                ..UnderWay::default()
            });
            if set_aside > 0 {
                let before = open.step;
                open.advance();
                cut.step = (open.step != before).then_some(open.step);
            }
            self.pieces.extend(batches.into_iter().map(|batch| {
                let refusals = refusals(batch.id());
                Waiting { file, place, batch: Arc::new(batch), refusals, not_before: None }
            }));
        }
        cut
    }

    /// Two halves take the place of a piece.
    pub(crate) fn halved(&mut self, file: Uuid, place: u32, halves: [Batch; 2]) {
        if let Some(open) = self.open.get_mut(&file) {
            open.outstanding += 1;
            for batch in halves {
                self.pieces.push_back(Waiting {
                    file,
                    place,
                    batch: Arc::new(batch),
                    refusals: 1,
                    not_before: None,
                });
            }
        }
    }

    /// Whether a piece was dealt with by an earlier process: it is not sent again.
    pub(crate) fn is_dealt_with(&self, file: Uuid, piece: &Piece) -> bool {
        self.open.get(&file).is_some_and(|open| open.step.has(piece.index))
    }

    /// How many events of the file have been read or are dealt with once this piece is read.
    pub(crate) fn read_with(&self, file: Uuid, piece: &Piece) -> u64 {
        let more = if self.is_dealt_with(file, piece) { 0 } else { piece.count };
        self.open.get(&file).map_or(0, |open| open.read) + u64::from(more)
    }

    /// The file being read is not read any further.
    fn end_turn(&mut self, file: Uuid) {
        self.reading = false;
        self.current = None;
        if self.open.get(&file).is_some_and(|open| !is_grave(&open.file)) {
            self.grave_in_a_row = 0;
        }
    }

    /// The file being read holds so many events less than it did. Gives how many of them were not dealt with.
    pub(crate) fn cut_off(&mut self, file: Uuid, events: u32) -> u32 {
        let Some(open) = self.open.get_mut(&file) else { return 0 };
        let left = open.unread();
        let events = events.min(u32::try_from(left).unwrap_or(u32::MAX));
        open.file.events -= events;
        events
    }

    /// The file being read has no more pieces.
    pub(crate) fn exhausted(&mut self, file: Uuid) -> Option<Finished> {
        self.end_turn(file);
        self.open.get_mut(&file)?.exhausted = true;
        self.finish(file)
    }

    /// The file being read is gone: somebody removed it.
    pub(crate) fn vanished(&mut self, file: Uuid) -> Option<Finished> {
        self.open.get_mut(&file)?.vanished = true;
        self.exhausted(file)
    }

    /// The file could not be read; the pieces of it that were are not affected. It is tried again after a pause, which
    /// depends on how often it has failed; the others go on.
    pub(crate) fn unreadable(
        &mut self,
        file: Uuid,
        now: Instant,
        pause: impl FnOnce(u32) -> Duration,
    ) -> u32 {
        self.end_turn(file);
        let Some(open) = self.open.get_mut(&file) else { return 0 };
        open.failures = open.failures.saturating_add(1);
        let failures = open.failures;
        self.parked.push((now + pause(failures), file));
        failures
    }

    /// The oldest piece that may be sent now. `clean` asks for one that was never refused.
    pub(crate) fn take(&mut self, now: Instant, clean: bool) -> Option<Waiting> {
        let may_go =
            |piece: &Waiting| piece.not_before.is_none_or(|at| now >= at) && !(clean && piece.refusals > 0);
        let place = self.pieces.iter().position(may_go)?;
        self.pieces.remove(place)
    }

    /// What is most easily cut down to an event that Toggle takes, or to the one that it does not: of the pieces that were
    /// refused the smallest that may be sent now, the oldest of those. Not an event alone that was refused itself.
    pub(crate) fn take_suspect(&mut self, now: Instant) -> Option<Waiting> {
        let may_go = |piece: &Waiting| {
            piece.refusals > 0 && !piece.is_cornered() && piece.not_before.is_none_or(|at| now >= at)
        };
        let suspects = self.pieces.iter().enumerate().filter(|(_, piece)| may_go(piece));
        let (place, _) = suspects.min_by_key(|(_, piece)| piece.batch.len())?;
        self.pieces.remove(place)
    }

    /// Whether an event that was refused alone waits.
    pub(crate) fn has_cornered(&self) -> bool {
        self.pieces.iter().any(Waiting::is_cornered)
    }

    /// Toggle may have stored a piece of this file and never said so.
    pub(crate) fn offered(&mut self, file: Uuid) {
        if let Some(open) = self.open.get_mut(&file) {
            open.file.offered = true;
        }
    }

    /// Whether Toggle has nothing of this file but what is dealt with, and will not get any before another piece is sent.
    pub(crate) fn is_unknown_to_toggle(&self, file: Uuid) -> bool {
        self.open.get(&file).is_some_and(|open| !open.is_offered() && self.is_at_rest(open))
    }

    /// Whether nothing of a file is on its way.
    fn is_at_rest(&self, open: &Open) -> bool {
        let waiting = || self.pieces.iter().filter(|piece| piece.file == open.file.id).count();
        open.outstanding == waiting()
    }

    /// A piece was not delivered.
    pub(crate) fn put_back(&mut self, piece: Waiting) {
        if piece.refusals > 0 {
            self.pieces.push_back(piece);
        } else {
            self.pieces.push_front(piece);
        }
    }

    /// So many events of a piece were delivered and set aside. Gives how far that brings the file.
    pub(crate) fn dealt_with(
        &mut self,
        file: Uuid,
        place: u32,
        delivered: u64,
        set_aside: u64,
    ) -> Option<Step> {
        let open = self.open.get_mut(&file)?;
        let piece = open.under_way.get_mut(place.checked_sub(open.step.pieces)? as usize)?;
        piece.delivered += delivered;
        piece.set_aside += set_aside;
        open.advance();
        Some(open.step)
    }

    /// A piece was delivered or set aside. Gives the file back when that was the last of it.
    pub(crate) fn done(&mut self, file: Uuid) -> Option<Finished> {
        let open = self.open.get_mut(&file)?;
        open.outstanding = open.outstanding.saturating_sub(1);
        self.finish(file)
    }

    fn finish(&mut self, file: Uuid) -> Option<Finished> {
        let open = self.open.get(&file)?;
        if !open.exhausted || open.outstanding > 0 {
            return None;
        }
        let open = self.open.remove(&file)?;
        self.leaving.insert(file);
        let missing = open.unread();
        Some(Finished { file: open.file, missing, vanished: open.vanished })
    }

    /// How many events are damaged, and set aside, of files of which the rest is under way.
    pub(crate) fn damaged(&self) -> u64 {
        let read = self.open.values().filter(|open| open.exhausted && !open.vanished);
        read.map(Open::unread).sum()
    }

    /// When the next piece may be sent: now, or when the first of those that were refused has waited long enough.
    pub(crate) fn next_piece_at(&self, now: Instant) -> Option<Instant> {
        self.pieces.iter().map(|piece| piece.not_before.unwrap_or(now)).min()
    }

    /// When the next piece may be read; `None` when none is wanted or one is being read.
    pub(crate) fn next_read_at(&self, ahead: usize, now: Instant) -> Option<Instant> {
        let clean = self.pieces.iter().filter(|piece| piece.refusals == 0).count();
        if self.reading || clean >= ahead || self.is_full() {
            return None;
        }
        let waits = !self.files.is_empty() || !self.grave.is_empty() || self.interrupted.is_some();
        if self.current.is_some() || waits {
            return Some(now);
        }
        self.parked.iter().map(|&(at, _)| at).min()
    }

    /// Whether this file is waiting, being read or about to be removed.
    pub(crate) fn knows(&self, file: &SpoolFile) -> bool {
        self.open.contains_key(&file.id)
            || self.leaving.contains(&file.id)
            || self.files.has(file)
            || self.grave.has(file)
    }

    /// The file is gone.
    pub(crate) fn removed(&mut self, file: Uuid) {
        self.leaving.remove(&file);
        self.behind.remove(&file);
        self.refused.remove(&file);
    }

    /// Whether no file is left, read or unread.
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.grave.is_empty() && self.open.is_empty()
    }
}

/// Whether a file holds events that go before all others.
fn is_grave(file: &SpoolFile) -> bool {
    file.severities >> URGENT.severity() != 0
}

#[cfg(test)]
mod tests;
