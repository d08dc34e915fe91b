//! The backlog: spill files on their way back to Toggle, oldest first, piece by piece.
//!
//! One file is read at a time and a few pieces ahead. A file is done when all of it has been read and every piece of it
//! has been acknowledged; only then may it be removed.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Instant,
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
    /// No file is read before then, because the last read failed.
    pub(crate) read_after: Option<Instant>,
}

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
        self.read_after = None;
        if self.current.is_none() {
            let file = self.files.pop_front()?;
            self.current = Some(file.id);
            self.open.insert(file.id, Open { file, outstanding: 0, pieces: 0, read: 0, exhausted: false });
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

    /// The file could not be read; the pieces of it that were are not affected. It is tried again after `until`, unless
    /// it is gone.
    pub(crate) fn unreadable(&mut self, file: Uuid, gone: bool, until: Instant) -> Option<Finished> {
        if gone {
            return self.exhausted(file);
        }
        self.reading = false;
        self.read_after = Some(until);
        if self.open.get(&file)?.pieces == 0 {
            // Not begun: another file may be in better health.
            self.current = None;
            let open = self.open.remove(&file)?;
            self.files.push_back(open.file);
        }
        None
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
        let missing = u64::from(open.file.events).saturating_sub(open.read);
        Some(Finished { file: open.file, missing })
    }

    /// When the next piece may be sent: now, or when the first of those that were refused has waited long enough.
    pub(crate) fn next_piece_at(&self, now: Instant) -> Option<Instant> {
        self.pieces.iter().map(|piece| piece.not_before.unwrap_or(now)).min()
    }

    /// When the next piece may be read; `None` when none is wanted or one is being read.
    pub(crate) fn next_read_at(&self, ahead: usize, now: Instant) -> Option<Instant> {
        let nothing = self.current.is_none() && self.files.is_empty();
        (!self.reading && self.pieces.len() < ahead && !nothing).then(|| self.read_after.unwrap_or(now))
    }

    /// Whether no file is left, read or unread.
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.open.is_empty()
    }
}
