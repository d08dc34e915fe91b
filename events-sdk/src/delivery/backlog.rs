//! The backlog: spill files on their way back to Toggle, oldest first, piece by piece.
//!
//! One file is read at a time and a few pieces ahead. A file is done when all of it has been read and every piece of it
//! has been acknowledged; only then may it be removed.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use uuid::Uuid;

use crate::{
    Batch,
    spool::{Piece, SpoolFile},
};

/// A piece that waits to be sent.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) file: Uuid,
    pub(crate) batch: Arc<Batch>,
    /// How often Toggle has refused it.
    pub(crate) refusals: u32,
    /// It stays behind until then, because it was refused.
    pub(crate) not_before: Option<Instant>,
}

/// A file some of whose pieces are read.
#[derive(Debug)]
struct Open {
    file: SpoolFile,
    /// Pieces that were read and are not acknowledged.
    outstanding: usize,
    /// Pieces that were read.
    pieces: u32,
    /// Events that were read.
    read: u64,
    /// All of it has been read.
    exhausted: bool,
    /// Reads in a row that failed.
    failures: u32,
}

/// What becomes of a file when its last piece has been acknowledged.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) file: SpoolFile,
    /// Events that the file was believed to hold and that could not be read.
    pub(crate) missing: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Backlog {
    /// Files that are not begun, oldest first.
    files: VecDeque<SpoolFile>,
    open: HashMap<Uuid, Open>,
    /// The file being read.
    current: Option<Uuid>,
    /// A read was asked for and not yet answered.
    reading: bool,
    /// Pieces to send, oldest first.
    pieces: VecDeque<Waiting>,
    /// Files that could not be read, and when each is tried again. They hold up no other.
    parked: Vec<(Instant, Uuid)>,
    /// Files that are to be removed, until they are.
    leaving: HashSet<Uuid>,
}

/// Pieces that wait for another try are kept in memory up to this size; beyond it reading stops until some are gone. A
/// piece is at most a batch.
const PIECES_BYTES: usize = 16 << 20;

impl Backlog {
    /// A file joins, in its place by age.
    pub(crate) fn add(&mut self, file: SpoolFile) {
        let place = self
            .files
            .partition_point(|other| (other.timestamp_ms, other.id) <= (file.timestamp_ms, file.id));
        self.files.insert(place, file);
    }

    /// The file to read from next and the place of the piece in it, if another is wanted and may be read.
    pub(crate) fn next_read(&mut self, ahead: usize, now: Instant) -> Option<(SpoolFile, u32)> {
        if self.next_read_at(ahead, now)? > now {
            return None;
        }
        if self.current.is_none() {
            self.current = Some(match self.files.pop_front() {
                Some(file) => {
                    let id = file.id;
                    let open =
                        Open { file, outstanding: 0, pieces: 0, read: 0, exhausted: false, failures: 0 };
                    self.open.insert(id, open);
                    id
                }
                None => {
                    let due = self.parked.iter().position(|&(at, _)| at <= now)?;
                    self.parked.swap_remove(due).1
                }
            });
        }
        let open = self.open.get(&self.current?)?;
        self.reading = true;
        Some((open.file.clone(), open.pieces))
    }

    /// A piece was read. `refusals` is how often it has been refused before.
    pub(crate) fn piece(&mut self, file: Uuid, piece: Piece, refusals: u32) {
        self.reading = false;
        if let Some(open) = self.open.get_mut(&file) {
            open.outstanding += 1;
            open.pieces += 1;
            open.failures = 0;
            open.read += u64::from(piece.count);
            let batch = Batch::new(piece.id, piece.timestamp_ms, piece.events, piece.count);
            self.pieces.push_back(Waiting { file, batch: Arc::new(batch), refusals, not_before: None });
        }
    }

    /// Two halves take the place of a piece.
    pub(crate) fn halved(&mut self, file: Uuid, halves: [Batch; 2]) {
        if let Some(open) = self.open.get_mut(&file) {
            open.outstanding += 1;
            for batch in halves {
                self.pieces.push_back(Waiting {
                    file,
                    batch: Arc::new(batch),
                    refusals: 1,
                    not_before: None,
                });
            }
        }
    }

    /// How many events of the file have been read.
    pub(crate) fn events_read(&self, file: Uuid) -> u64 {
        self.open.get(&file).map_or(0, |open| open.read)
    }

    /// The file being read has no more pieces.
    pub(crate) fn exhausted(&mut self, file: Uuid) -> Option<Finished> {
        self.reading = false;
        self.current = None;
        self.open.get_mut(&file)?.exhausted = true;
        self.finish(file)
    }

    /// The file could not be read; the pieces of it that were are not affected. It is tried again after a pause, which
    /// depends on how often it has failed; the others go on.
    pub(crate) fn unreadable(
        &mut self,
        file: Uuid,
        now: Instant,
        pause: impl FnOnce(u32) -> Duration,
    ) -> u32 {
        self.reading = false;
        self.current = None;
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

    /// A piece was not delivered.
    pub(crate) fn put_back(&mut self, piece: Waiting) {
        if piece.refusals > 0 {
            self.pieces.push_back(piece);
        } else {
            self.pieces.push_front(piece);
        }
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
        let missing = u64::from(open.file.events).saturating_sub(open.read);
        Some(Finished { file: open.file, missing })
    }

    /// When the next piece may be sent: now, or when the first of those that were refused has waited long enough.
    pub(crate) fn next_piece_at(&self, now: Instant) -> Option<Instant> {
        self.pieces.iter().map(|piece| piece.not_before.unwrap_or(now)).min()
    }

    /// When the next piece may be read; `None` when none is wanted or one is being read.
    pub(crate) fn next_read_at(&self, ahead: usize, now: Instant) -> Option<Instant> {
        let clean = self.pieces.iter().filter(|piece| piece.refusals == 0).count();
        let bytes: usize = self.pieces.iter().map(|piece| piece.batch.events().len()).sum();
        if self.reading || clean >= ahead || bytes >= PIECES_BYTES {
            return None;
        }
        if self.current.is_some() || !self.files.is_empty() {
            return Some(now);
        }
        self.parked.iter().map(|&(at, _)| at).min()
    }

    /// Whether this file is waiting, being read or about to be removed.
    pub(crate) fn knows(&self, file: Uuid) -> bool {
        self.open.contains_key(&file)
            || self.leaving.contains(&file)
            || self.files.iter().any(|other| other.id == file)
    }

    /// The file is gone.
    pub(crate) fn removed(&mut self, file: Uuid) {
        self.leaving.remove(&file);
    }

    /// Whether no file is left, read or unread.
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.open.is_empty()
    }
}
