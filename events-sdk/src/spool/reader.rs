//! Reads a spill file piece by piece, with the memory of one piece whatever the size of the file.

use std::{
    io::{self, SeekFrom},
    mem,
    path::PathBuf,
};

use uuid::Uuid;

use super::{
    Spool, SpoolError, SpoolFile,
    checks::Checks,
    format::{Crc, PIECE_BYTES, PIECE_EVENTS, WHOLE_BYTES, piece_id},
    places::Cuts,
    scan::{Found, Reason, Scanner, Span, Trust},
    seal::Seals,
    storage::{ReadFile, Storage},
};
use crate::ledger::Step;

/// A part of a spill file that is sent as one batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Its place in the file, from 0 on.
    pub(crate) index: u32,
    /// Its identity: the same every time the file is read.
    pub(crate) id: Uuid,
    /// A run of `EventBatch.events` entries, the bytes of the file.
    pub(crate) events: Vec<u8>,
    /// How many events it holds.
    pub(crate) count: u32,
    /// When the batch was put together, in milliseconds since the Unix epoch.
    pub(crate) timestamp_ms: i64,
}

/// What of a file is not delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Damage {
    /// How many bytes.
    pub(crate) bytes: u64,
    /// How many events, as far as can be known.
    pub(crate) events: u32,
    /// How many more the file was said to hold that were cut off it since: nothing of them is there.
    pub(crate) cut_off: u32,
    /// In how many places.
    pub(crate) spans: u64,
    /// What is wrong with the first of them, and where.
    pub(crate) reason: String,
}

impl Damage {
    /// Adds one more place to what is known so far.
    pub(super) fn add(so_far: &mut Option<Self>, span: Span) {
        let damage = so_far.get_or_insert_with(|| Self {
            bytes: 0,
            events: 0,
            cut_off: 0,
            spans: 0,
            reason: format!("at byte {}: {}", span.offset, span.reason),
        });
        damage.bytes = damage.bytes.saturating_add(span.len);
        damage.events = damage.events.saturating_add(span.events);
        damage.spans += 1;
    }

    /// Adds what is known of other places behind these.
    fn merge(so_far: &mut Option<Self>, more: Option<Self>) {
        match (so_far, more) {
            (Some(damage), Some(more)) => {
                damage.bytes = damage.bytes.saturating_add(more.bytes);
                damage.events = damage.events.saturating_add(more.events);
                damage.spans += more.spans;
            }
            (_, None) => {}
            (none, more) => *none = more,
        }
    }

    /// What is known at the end: of the events that the file was said to hold, those that were not found are in the
    /// damaged places; where it is shorter than it was, only as many as these seem to hold.
    pub(super) fn settle(so_far: Option<Self>, claimed: u32, found: u32, is_shorter: bool) -> Option<Self> {
        let missing = claimed.saturating_sub(found);
        if missing == 0 {
            return so_far.map(|damage| Self { events: 0, ..damage });
        }
        let there = so_far.as_ref().map_or(0, |damage| damage.events).min(missing);
        let events = if is_shorter { there } else { missing };
        let damage = so_far.unwrap_or_else(|| Self {
            bytes: 0,
            events,
            cut_off: 0,
            spans: 0,
            reason: "fewer events than its seal says".to_owned(),
        });
        Some(Self { events, cut_off: missing - events, ..damage })
    }
}

/// A spill file opened, its seals looked at and its checksum compared.
pub(super) struct Opened {
    pub(super) scanner: Scanner<Box<dyn ReadFile>>,
    pub(super) seals: Seals,
    pub(super) bytes: u64,
}

impl Opened {
    pub(super) fn new(mut file: Box<dyn ReadFile>) -> io::Result<Self> {
        let bytes = file.size()?;
        let seals = Seals::find(file.as_mut(), bytes)?;
        let start = seals.events_start();
        let Some(found) = &seals.tail else {
            file.seek(SeekFrom::Start(start))?;
            // What is left of the end is passed over, and has the time of the batch.
            let scanner = Scanner::new(file, bytes, Trust::Unsealed).starting_at(start);
            return Ok(Self { scanner, seals, bytes });
        };
        let end = found.body_end;
        let is_intact = Crc::of_file(file.as_mut(), found.seal_start)? == found.seal.crc32c;
        let checks = Checks::load(file.as_mut(), found)?;
        file.seek(SeekFrom::Start(start))?;
        let scanner = match checks {
            Some((end, checks)) => Scanner::with_checks(file, end, checks, is_intact),
            None => Scanner::new(file, end, if is_intact { Trust::Intact } else { Trust::Suspect }),
        };
        Ok(Self { scanner: scanner.starting_at(start), seals, bytes })
    }

    /// It is one batch, sent under its own id.
    pub(super) fn is_whole(&self) -> bool {
        self.seals.seal.as_ref().is_some_and(|seal| seal.whole) && self.bytes <= WHOLE_BYTES
    }

    /// Whether it was cut short since it was inspected, or before.
    pub(super) fn is_shorter_than(&self, file: &SpoolFile) -> bool {
        self.bytes < file.bytes || self.seals.is_cut()
    }
}

/// What of a file was read before, or dealt with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Passed {
    /// So many pieces, from the first on,
    pub(crate) pieces: u32,
    /// and those that are dealt with out of turn.
    pub(crate) step: Step,
    /// So many events were in all these.
    pub(crate) events: u64,
}

impl Passed {
    /// What is dealt with.
    pub(crate) fn of(step: Step) -> Self {
        Self { pieces: step.pieces, step, events: step.events }
    }

    /// Whether the piece at this place is among it.
    pub(crate) fn has(&self, place: u32) -> bool {
        place < self.pieces || self.step.has(place)
    }
}

impl Default for Passed {
    fn default() -> Self {
        Self::of(Step::none(Uuid::nil()))
    }
}

#[cfg(test)]
impl Passed {
    /// So many pieces, with so many events.
    pub(crate) fn first(pieces: u32, events: u64) -> Self {
        Self { pieces, events, ..Self::default() }
    }

    /// And this piece.
    pub(crate) fn add(&mut self, piece: &Piece) {
        self.pieces = piece.index + 1;
        self.events += u64::from(piece.count);
    }
}

/// What of a damaged file is done with all the same.
#[derive(Debug)]
pub(crate) struct Done {
    /// Where the damaged places are in what was good when it was dealt with: from one to another.
    places: Vec<(u64, u64)>,
    /// How many events were found, or dealt with.
    pub(super) found: u32,
}

impl Done {
    /// Whether the damaged place that begins there is among it.
    pub(super) fn has(&self, offset: u64) -> bool {
        self.places.iter().any(|&(first, last)| (first..=last).contains(&offset))
    }
}

/// Damaged places, as a sum: there may be very many.
#[derive(Debug, Default)]
struct DamagedPlaces {
    damage: Option<Damage>,
    /// Where the first of them begins, and the last.
    between: Option<(u64, u64)>,
}

impl DamagedPlaces {
    fn add(&mut self, span: Span) {
        Damage::add(&mut self.damage, span);
        let first = self.between.map_or(span.offset, |(first, _)| first);
        self.between = Some((first, span.offset));
    }
}

/// The good events so far.
#[derive(Debug, Default)]
struct Good {
    events: u64,
    bytes: u64,
}

impl Good {
    fn add(&mut self, entry: &[u8]) {
        self.events += 1;
        self.bytes += entry.len() as u64;
    }

    /// How many events there were in a damaged place where no checksums tell: as many as are as long as the others.
    fn events_in(&self, span: Span) -> u32 {
        let mean =
            self.bytes.checked_div(self.events).filter(|&mean| mean > 0 && span.reason != Reason::TooLong);
        let guessed = mean.map_or(0, |mean| (span.len + mean / 2) / mean);
        span.events.max(u32::try_from(guessed).unwrap_or(u32::MAX))
    }
}

/// What was come upon and is not part of a piece yet, because it did not fit into the one before.
#[derive(Debug, Default)]
struct Ahead {
    /// The damaged places,
    places: DamagedPlaces,
    /// the events that were in them,
    damaged: u32,
    /// how long each of these was, as far as can be known,
    each: u64,
    /// whether one of them was in a piece that is not dealt with,
    waits: bool,
    /// and the event behind them.
    event: Vec<u8>,
}

/// Yields the pieces of one spill file, in order.
pub(crate) struct Reader {
    path: PathBuf,
    id: Uuid,
    scanner: Scanner<Box<dyn ReadFile>>,
    timestamp_ms: i64,
    whole: bool,
    /// How many events each piece has, where its seal says so.
    cuts: Vec<u32>,
    /// The place of the next piece.
    next: u32,
    ahead: Ahead,
    good: Good,
    /// What was dealt with before,
    passed: Passed,
    /// how many events were written in what of it was come upon,
    placed: u64,
    /// what is damaged there,
    in_passed: Option<Damage>,
    /// and where: between other pieces from one place to another.
    passed_places: Vec<(u64, u64)>,
    /// The last damage was in what was dealt with.
    was_passed: bool,
    /// How many events the file had when it was inspected, and how many were found in it that were not dealt with.
    claimed: u32,
    found: u32,
    /// It was shorter than that when it was opened.
    is_shorter: bool,
    /// It has a seal that is believed.
    has_seal: bool,
    /// What of what it says of itself was not what was written then.
    bad_seal: Option<&'static str>,
    /// At the end: in which piece the next event would be.
    ended_in: Option<u32>,
    damage: Option<Damage>,
}

impl Spool {
    /// Opens a file to read its pieces.
    ///
    /// Reads it through once, to compare the checksum. A file that is damaged opens as any other: its pieces hold what
    /// is left of it.
    pub(crate) fn read(&self, file: &SpoolFile) -> Result<Reader, SpoolError> {
        self.settle_misplaced()?;
        Reader::open(self.storage.as_ref(), self.path_of(&file.name), file)
    }
}

impl Reader {
    /// As [`Spool::read`], for whoever only looks.
    pub(super) fn open(storage: &dyn Storage, path: PathBuf, file: &SpoolFile) -> Result<Self, SpoolError> {
        let opened = storage
            .open(&path)
            .and_then(Opened::new)
            .map_err(|error| SpoolError::of_file("read the spill file", &path, error))?;
        let whole = opened.is_whole();
        let cuts = opened.seals.seal.as_ref().map_or(&[][..], Cuts::of_seal).to_vec();
        Ok(Self {
            path,
            id: file.id,
            is_shorter: opened.is_shorter_than(file),
            has_seal: opened.seals.seal.is_some(),
            bad_seal: opened.seals.damaged_part(),
            scanner: opened.scanner,
            timestamp_ms: file.timestamp_ms,
            whole,
            cuts,
            next: 0,
            ahead: Ahead::default(),
            good: Good::default(),
            passed: Passed::default(),
            placed: 0,
            in_passed: None,
            passed_places: Vec::new(),
            was_passed: false,
            claimed: file.events,
            found: 0,
            ended_in: None,
            damage: None,
        })
    }

    /// The next piece, or `None` when there is no more.
    ///
    /// Where pieces begin and end follows from what was written alone: 125 events, or 1 MiB if that comes first; the seal says how
    /// many events each piece has. What is damaged has its place among them all the same, so that no other event changes into a piece
    /// that Toggle may have, or that is dealt with. A piece of which nothing is left is passed over. A file whose seal says so is one
    /// piece with the file's own identity.
    pub(crate) fn next_piece(&mut self) -> Result<Option<Piece>, SpoolError> {
        while let Some((events, count)) = self.next_cut()? {
            let index = self.next - 1;
            if count == 0 {
                continue;
            }
            let id = if self.whole { self.id } else { piece_id(self.id, index) };
            return Ok(Some(Piece { index, id, events, count, timestamp_ms: self.timestamp_ms }));
        }
        Ok(None)
    }

    /// What is good of the next piece, and how many events that are. `None` at the end.
    fn next_cut(&mut self) -> Result<Option<(Vec<u8>, u32)>, SpoolError> {
        let (max_events, max_bytes) = match self.cuts.get(self.next as usize) {
            _ if self.whole => (u32::MAX, u64::MAX),
            cut => (cut.copied().unwrap_or(PIECE_EVENTS), PIECE_BYTES as u64),
        };
        let (mut events, mut count) = (Vec::new(), 0);
        let (mut placed, mut bytes) = (0, 0_u64);
        let is_passed = self.passed.has(self.next);
        loop {
            let is_full = |placed: u32, bytes: u64, more: u64| {
                placed == max_events || placed > 0 && bytes.saturating_add(more) > max_bytes
            };
            while self.ahead.damaged > 0 && !is_full(placed, bytes, self.ahead.each) {
                self.ahead.damaged -= 1;
                self.ahead.waits |= !is_passed;
                placed += 1;
                bytes = bytes.saturating_add(self.ahead.each);
            }
            if self.ahead.damaged > 0 {
                break;
            }
            // A run of them that reaches into the next piece counts there, and one at the end behind all pieces.
            if self.ended_in.is_none() {
                let DamagedPlaces { damage, between } = mem::take(&mut self.ahead.places);
                let waits = mem::take(&mut self.ahead.waits);
                self.place(damage, between, is_passed && !waits);
            }
            let more = self.ahead.event.len() as u64;
            if more > 0 {
                if is_full(placed, bytes, more) {
                    break;
                }
                events.append(&mut self.ahead.event);
                (count, placed, bytes) = (count + 1, placed + 1, bytes.saturating_add(more));
                self.found = self.found.saturating_add(u32::from(!is_passed));
            }
            if placed == max_events || !self.look_ahead()? {
                break;
            }
        }
        self.placed += if is_passed { u64::from(placed) } else { 0 };
        self.next = self.next.saturating_add(u32::from(placed > 0));
        Ok((placed > 0).then_some((events, count)))
    }

    /// What is damaged belongs to a piece, which is dealt with or not.
    fn place(&mut self, damage: Option<Damage>, between: Option<(u64, u64)>, is_passed: bool) {
        let Some((first, last)) = between else { return };
        if !is_passed {
            self.was_passed = false;
            return Damage::merge(&mut self.damage, damage);
        }
        Damage::merge(&mut self.in_passed, damage);
        match self.passed_places.last_mut().filter(|_| self.was_passed) {
            Some((_, end)) => *end = last,
            None => self.passed_places.push((first, last)),
        }
        self.was_passed = true;
    }

    /// Comes upon the next event, and what is damaged before it. `false` when there is none.
    fn look_ahead(&mut self) -> Result<bool, SpoolError> {
        let (ahead, mut missing, mut bytes) = (&mut self.ahead, 0_u32, 0_u64);
        loop {
            let place = self.scanner.place();
            let found = self
                .scanner
                .next()
                .map_err(|error| SpoolError::of_file("read the spill file", &self.path, error))?;
            match found {
                Some(Found::Damage(span)) => {
                    missing = missing.saturating_add(self.good.events_in(span));
                    bytes = bytes.saturating_add(span.len);
                    ahead.places.add(span);
                }
                Some(Found::Event(entry)) => {
                    ahead.event.extend_from_slice(entry);
                    self.good.add(entry);
                    // The checksums know which of those that were written it is.
                    if let (Some(expected), Some(next)) = (place, self.scanner.place()) {
                        missing = next.saturating_sub(expected).saturating_sub(1);
                    }
                    ahead.damaged = missing;
                    // Where it is known how many events a piece has, their size does not matter.
                    ahead.each = if self.cuts.is_empty() { bytes / u64::from(missing.max(1)) } else { 0 };
                    return Ok(true);
                }
                None => {
                    self.ended_in.get_or_insert(self.next);
                    return Ok(false);
                }
            }
        }
    }

    /// Passes over the pieces that were read before.
    ///
    /// It reads them, at the speed of memory: where a piece begins is known only from those before it.
    pub(crate) fn skip(&mut self, passed: Passed) -> Result<(), SpoolError> {
        self.passed = passed;
        while self.next < passed.pieces && self.next_cut()?.is_some() {}
        self.next = self.next.max(passed.pieces);
        Ok(())
    }

    /// How many events that are not passed are gone with the end of the file.
    pub(super) fn cut_off(mut self, passed: Passed) -> Result<u32, SpoolError> {
        self.skip(passed)?;
        while self.next_piece()?.is_some() {}
        Ok(self.damage().map_or(0, |damage| damage.cut_off))
    }

    /// Whether what is damaged in what is passed was good then: as much of it as was written.
    fn was_good(&self) -> bool {
        self.placed <= self.passed.events
    }

    /// Whether some of what is passed is not there any more, and what is damaged at the end belongs to it.
    fn is_cut(&self) -> bool {
        let is_shorter = self.is_shorter || self.scanner.shrank();
        self.ended_in.is_some_and(|place| self.passed.has(place))
            && self.placed < self.passed.events
            && (is_shorter || self.claimed <= self.found())
    }

    /// What of the file is not to be set aside, once [`next_piece`](Self::next_piece) has returned `None`: what is passed is none of our
    /// business.
    pub(crate) fn done(&self) -> Done {
        let mut places = if self.was_good() { self.passed_places.clone() } else { Vec::new() };
        places.extend(self.ahead.places.between.filter(|_| self.is_cut()));
        Done { places, found: self.found() }
    }

    /// How many events were found so far, those that are passed among them.
    pub(crate) fn found(&self) -> u32 {
        self.found.saturating_add(u32::try_from(self.passed.events).unwrap_or(u32::MAX))
    }

    /// Which of its seals are not what was written. Known once it was read to its end.
    pub(crate) fn bad_seal(&self) -> Option<&'static str> {
        // One that is believed and has too many checksums to be held is passed over as well.
        let has_lost_both = !self.has_seal && self.scanner.passed_seal();
        self.bad_seal.or(has_lost_both.then_some("the seals at its start and at its end"))
    }

    /// What of the file cannot be delivered. Complete once [`next_piece`](Self::next_piece) has returned `None`; then
    /// `found() + damage.events + damage.cut_off` is the number of events that the file was said to hold, or more.
    pub(crate) fn damage(&self) -> Option<Damage> {
        let mut damage = self.damage.clone();
        if self.ended_in.is_none() {
            return damage;
        }
        Damage::merge(&mut damage, self.in_passed.clone().filter(|_| !self.was_good()));
        Damage::merge(&mut damage, self.ahead.places.damage.clone().filter(|_| !self.is_cut()));
        let is_shorter = self.is_shorter || self.scanner.shrank();
        Damage::settle(damage, self.claimed, self.found(), is_shorter)
    }
}
