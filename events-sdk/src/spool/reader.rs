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
    scan::{Found, Scanner, Span, Trust},
    seal::Seals,
    storage::ReadFile,
};

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
        let checks = if is_intact { None } else { Checks::load(file.as_mut(), found)? };
        file.seek(SeekFrom::Start(start))?;
        let scanner = match checks {
            Some((end, checks)) => Scanner::with_checks(file, end, checks),
            None => Scanner::new(file, end, if is_intact { Trust::Intact } else { Trust::Suspect }),
        };
        Ok(Self { scanner: scanner.starting_at(start), seals, bytes })
    }
}

impl Opened {
    /// It is one batch, sent under its own id.
    pub(super) fn is_whole(&self) -> bool {
        self.seals.seal.as_ref().is_some_and(|seal| seal.whole) && self.bytes <= WHOLE_BYTES
    }

    /// Whether it was cut short since it was inspected.
    pub(super) fn is_shorter_than(&self, file: &SpoolFile) -> bool {
        self.bytes < file.bytes
    }
}

/// Yields the pieces of one spill file, in order.
pub(crate) struct Reader {
    path: PathBuf,
    id: Uuid,
    scanner: Scanner<Box<dyn ReadFile>>,
    timestamp_ms: i64,
    whole: bool,
    next: u32,
    /// An event that did not fit into the piece before.
    carry: Vec<u8>,
    /// How many events the file had when it was inspected, and how many were found in it so far.
    claimed: u32,
    found: u32,
    /// It was shorter than that when it was opened.
    is_shorter: bool,
    ended: bool,
    damage: Option<Damage>,
}

impl Spool {
    /// Opens a file to read its pieces.
    ///
    /// Reads it through once, to compare the checksum. A file that is damaged opens as any other: its pieces hold what
    /// is left of it.
    pub(crate) fn read(&self, file: &SpoolFile) -> Result<Reader, SpoolError> {
        self.settle_misplaced()?;
        let path = self.path_of(&file.name);
        let opened = self
            .storage
            .open(&path)
            .and_then(Opened::new)
            .map_err(|error| SpoolError::of_file("read the spill file", &path, error))?;
        let whole = opened.is_whole();
        Ok(Reader {
            path,
            id: file.id,
            is_shorter: opened.is_shorter_than(file),
            scanner: opened.scanner,
            timestamp_ms: file.timestamp_ms,
            whole,
            next: 0,
            carry: Vec::new(),
            claimed: file.events,
            found: 0,
            ended: false,
            damage: None,
        })
    }
}

impl Reader {
    /// The next piece, or `None` when there is no more.
    ///
    /// Where pieces begin and end follows from the bytes of the file alone: 125 events, or 1 MiB if that comes first.
    /// A file whose seal says so is one piece with the file's own identity.
    pub(crate) fn next_piece(&mut self) -> Result<Option<Piece>, SpoolError> {
        let (max_events, max_bytes) =
            if self.whole { (u32::MAX, usize::MAX) } else { (PIECE_EVENTS, PIECE_BYTES) };
        let mut events = mem::take(&mut self.carry);
        let mut count = u32::from(!events.is_empty());
        while count < max_events {
            let found = self
                .scanner
                .next()
                .map_err(|error| SpoolError::of_file("read the spill file", &self.path, error))?;
            match found {
                None => {
                    self.ended = true;
                    break;
                }
                Some(Found::Damage(span)) => Damage::add(&mut self.damage, span),
                Some(Found::Event(entry)) => {
                    self.found = self.found.saturating_add(1);
                    if count > 0 && events.len() + entry.len() > max_bytes {
                        self.carry.extend_from_slice(entry);
                        break;
                    }
                    events.extend_from_slice(entry);
                    count += 1;
                }
            }
        }
        if count == 0 {
            return Ok(None);
        }
        let index = self.next;
        self.next = index.saturating_add(1);
        let id = if self.whole { self.id } else { piece_id(self.id, index) };
        Ok(Some(Piece { index, id, events, count, timestamp_ms: self.timestamp_ms }))
    }

    /// Passes over the pieces before this place, because they were delivered earlier.
    ///
    /// It reads them, at the speed of memory: where a piece begins is known only from those before it.
    pub(crate) fn skip_to(&mut self, index: u32) -> Result<(), SpoolError> {
        while self.next < index && self.next_piece()?.is_some() {}
        Ok(())
    }

    /// How many events were found so far, those that were skipped among them.
    #[cfg(test)]
    pub(crate) fn found(&self) -> u32 {
        self.found
    }

    /// What of the file cannot be delivered. Complete once [`next_piece`](Self::next_piece) has returned `None`; then
    /// `found() + damage.events + damage.cut_off` is the number of events that the file was said to hold, or more.
    pub(crate) fn damage(&self) -> Option<Damage> {
        if !self.ended {
            return self.damage.clone();
        }
        Damage::settle(
            self.damage.clone(),
            self.claimed,
            self.found,
            self.is_shorter || self.scanner.shrank(),
        )
    }
}
