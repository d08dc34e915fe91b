//! The spool's thread: everything that waits for a disk, in the order it was asked for.
//!
//! The delivery task sends commands and gets one reply for each; it never waits for a disk itself. Files that earlier
//! processes left are examined one at a time, whenever there is no command, so that a large backlog holds nothing up. So
//! are files that others put there while this process works: the directory is looked at every few seconds. What somebody removed
//! that this process counts on, the directory itself, segments or the ledger, is made again ([`thread`]).

mod thread;

use std::{
    fs::File,
    io,
    path::PathBuf,
    sync::{Arc, mpsc as std_mpsc},
};

use tokio::sync::mpsc;
use uuid::Uuid;

use self::thread::Thread;
use super::shortened::Shortened;
use crate::{
    Batch,
    chunk::{self, Chunk, SEVERITIES},
    ledger::{Kept, Ledger},
    segment::{Segment, Segments},
    spool::{Bounds, Passed, Piece, Refused, Spool, SpoolError, SpoolFile, Thinned, Thinning},
    worker,
};

/// What is to become a spill file.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there are only a few of them under way")]
pub(crate) enum Content {
    /// What waited in memory.
    Chunks {
        /// The chunks.
        chunks: Vec<Chunk>,
        /// They are one batch, to be sent under the file's own id.
        whole: bool,
    },
    /// A batch that was put together: it keeps its identity and is never cut.
    Whole {
        /// The batch.
        batch: Arc<Batch>,
        /// How many of its events are of each severity.
        by_severity: [u32; SEVERITIES],
        /// What the accounts know of it, where this file takes the batch's place and is not just a copy.
        chunk: Option<Chunk>,
    },
}

/// A spill file to write.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) id: Uuid,
    pub(crate) timestamp_ms: i64,
    pub(crate) content: Content,
    /// The place of its oldest events in the order of chunks.
    pub(crate) sequence: u64,
}

impl Write {
    /// The size of its events.
    pub(crate) fn bytes(&self) -> u64 {
        match &self.content {
            Content::Chunks { chunks, .. } => chunk::total_bytes(chunks),
            Content::Whole { batch, .. } => batch.events().len() as u64,
        }
    }

    /// How many of its events lie in segments. Not those of a copy: they are in flight.
    pub(crate) fn kept(&self) -> u64 {
        let chunks = match &self.content {
            Content::Chunks { chunks, .. } => chunks.as_slice(),
            Content::Whole { chunk, .. } => chunk.as_slice(),
        };
        chunks.iter().filter(|chunk| chunk.is_kept()).map(|chunk| chunk.len() as u64).sum()
    }

    /// Whether it may as well be written in several files.
    pub(crate) fn can_be_cut(&self) -> bool {
        matches!(self.content, Content::Chunks { whole: false, .. }) && self.count() > 1
    }

    pub(crate) fn count(&self) -> usize {
        match &self.content {
            Content::Chunks { chunks, .. } => chunks.iter().map(Chunk::len).sum(),
            Content::Whole { batch, .. } => batch.len(),
        }
    }
}

#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there are only a few of them under way")]
enum Command {
    Open,
    List,
    Write(Write),
    Probe,
    Read(SpoolFile, Passed),
    Remove(SpoolFile),
    Thin(SpoolFile, Part),
    SetAside {
        file: Uuid,
        place: u32,
        batch: Arc<Batch>,
        reason: String,
    },
    /// Make so many segments.
    MakeSegments(usize),
    RemoveSegments(Vec<Segment>),
    /// All of the ledger was stored once more.
    LedgerRenewed,
    /// Give up the room that is set aside on disk.
    DropBallast,
    /// Somebody else has written into the file of the ledger.
    LedgerSpoiled,
    /// The ledger is in this file now, which is to get its name.
    LedgerMoved(Option<Arc<File>>),
    Stop,
}

/// What of a file is to be dropped.
#[derive(Debug, Clone, Copy)]
enum Part {
    /// Events of one level.
    Level(Thinning),
    /// All that is behind this.
    Rest(Passed),
}

/// What became of a command.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there are only a few of them under way")]
pub(crate) enum Reply {
    /// Spill files were found: of an earlier process, or known ones.
    Found(Vec<SpoolFile>),
    /// A spill file was found, and these events of it lie in the quarantine.
    FoundInPart(SpoolFile, Vec<Refused>),
    /// A file of the quarantine was moved back.
    CameBack(SpoolFile),
    /// The directory could be opened now, or not; with the ledger in it, if that was not known.
    Opened(Result<Option<Box<Ledger>>, SpoolError>),
    /// All files of earlier processes were found, and so many events were in the quarantine at the start; or later, where what this
    /// process has set aside since is among them.
    Surveyed { quarantined: u64, is_late: bool, shortened: Box<Shortened> },
    /// Nothing may be dropped out of this file for now: a segment holds all of it as well, and cannot be removed.
    Bound(Uuid),
    /// So many files and segments of earlier processes cannot be read or taken over at present.
    Stuck(u64),
    /// So many files that should be in the directory are not.
    Missing(u64),
    /// A spill file was written, or not: then its content comes back.
    Wrote(Write, Result<SpoolFile, SpoolError>),
    /// The disk takes something, or not.
    Probed(Result<(), SpoolError>),
    /// The next piece of a file; `None` at its end.
    Read(SpoolFile, Result<Option<Piece>, SpoolError>),
    /// So many events were cut off a file that has been read to its end: nothing of them is there any more.
    CutOff(SpoolFile, u32),
    /// What a file says of itself is not what was written, at its start or at its end, though that has cost no event so far.
    SealDamaged(SpoolFile, &'static str),
    /// A file was removed, or not yet: that is said once.
    Removed(SpoolFile, Result<(), SpoolError>),
    /// Events of a file were dropped to make room, or not: then it is as it was.
    Thinned(SpoolFile, Result<Thinned, SpoolError>),
    /// A refused batch, a piece of that file, was put into the quarantine.
    SetAside { file: Uuid, place: u32, batch: Arc<Batch>, result: Result<(), SpoolError> },
    /// So many events that are set aside now were counted in the quarantine at the start.
    CountedTwice(u64),
    /// So many events had to leave the quarantine, which was full.
    Cleared(u64),
    /// The spool's thread panicked over a command, and goes on; the command is answered with an error.
    Panicked(String),
    /// Segments that were asked for, and why there are not more.
    Segments(Vec<Segment>, Option<io::Error>),
    /// The files of so many segments of this process are gone.
    SegmentsLost(usize),
    /// The ledger is kept on disk, or not: then why.
    LedgerKept(Result<(), String>),
    /// The file of the ledger was written to, perhaps not by this process.
    LedgerTouched,
    /// The file of the ledger is gone, or somebody else's; here is an empty one, which has no name yet.
    LedgerLost(Box<Ledger>),
    /// So many events in the segments of an earlier process were damaged, and are in the quarantine.
    Damaged(u32),
    /// A segment of an earlier process became this spill file.
    TakenOver(SpoolFile),
    /// The ledger could not be synced. It is not tried again before all of it has been stored once more.
    LedgerNotSynced,
    /// The spool is closed and its lock released.
    Stopped,
}

/// The delivery task's end.
#[derive(Debug)]
pub(crate) struct Spooler {
    commands: std_mpsc::Sender<Command>,
    replies: mpsc::UnboundedReceiver<Reply>,
    fingerprint: u64,
}

impl Spooler {
    /// Starts the thread. `spool` is what could be opened already.
    /// `segments` is where this process makes its own, if it does. `ledger` is that in the spool, if it could be opened too.
    pub(crate) fn start(
        directory: PathBuf,
        spool: Option<Spool>,
        bounds: Bounds,
        fingerprint: u64,
        segments: Option<Arc<Segments>>,
        ledger: Kept,
    ) -> io::Result<Self> {
        let (commands, command_queue) = std_mpsc::channel();
        let (reply_queue, replies) = mpsc::unbounded_channel();
        let mut thread = Thread::new(directory, bounds, fingerprint, reply_queue, segments);
        if let Some(spool) = spool {
            let spool = spool.bounded(bounds);
            // Before the first event is accepted, so that it finds a place.
            thread.begin(spool, ledger);
        }
        std::thread::Builder::new().name("events-spool".into()).spawn(move || {
            worker::own();
            thread.run(&command_queue);
        })?;
        Ok(Self { commands, replies, fingerprint })
    }

    /// Opens the directory, where that was not possible before.
    pub(crate) fn open(&self) {
        self.command(Command::Open);
    }

    /// Looks what lies in the directory.
    pub(crate) fn list(&self) {
        self.command(Command::List);
    }

    /// Writes a file.
    pub(crate) fn write(&self, write: Write) {
        self.command(Command::Write(write));
    }

    /// Sees whether the disk takes something.
    pub(crate) fn probe(&self) {
        self.command(Command::Probe);
    }

    /// Reads the piece of a file at this place. Files are read one after the other, pieces in order.
    pub(crate) fn read(&self, file: SpoolFile, passed: Passed) {
        self.command(Command::Read(file, passed));
    }

    /// Removes a file that Toggle has.
    pub(crate) fn remove(&self, file: SpoolFile) {
        self.command(Command::Remove(file));
    }

    /// Drops events of that severity out of a file until so many bytes are gone. What is left becomes a file of that id.
    /// What is `passed` of the old one has been dealt with.
    pub(crate) fn thin(&self, file: SpoolFile, severity: u8, bytes: u64, id: Uuid, passed: Passed) {
        let thinning = Thinning { severity, bytes, id, fingerprint: self.fingerprint, passed };
        self.command(Command::Thin(file, Part::Level(thinning)));
    }

    /// Drops a file with all that is behind what is passed. Answered as if it were thinned.
    pub(crate) fn drop_rest(&self, file: SpoolFile, passed: Passed) {
        self.command(Command::Thin(file, Part::Rest(passed)));
    }

    /// Puts a refused batch, a piece of that file, into the quarantine.
    pub(crate) fn set_aside(&self, file: Uuid, place: u32, batch: Arc<Batch>, reason: String) {
        self.command(Command::SetAside { file, place, batch, reason });
    }

    /// Makes so many segments.
    pub(crate) fn make_segments(&self, count: usize) {
        self.command(Command::MakeSegments(count));
    }

    /// Removes segments that nobody needs.
    pub(crate) fn remove_segments(&self, segments: Vec<Segment>) {
        self.command(Command::RemoveSegments(segments));
    }

    /// Gives up the room that was set aside on disk.
    pub(crate) fn drop_ballast(&self) {
        self.command(Command::DropBallast);
    }

    /// The ledger was stored once more, after a sync of it had failed.
    pub(crate) fn ledger_renewed(&self) {
        self.command(Command::LedgerRenewed);
    }

    /// What stands in the file of the ledger is not what was stored there.
    pub(crate) fn ledger_spoiled(&self) {
        self.command(Command::LedgerSpoiled);
    }

    /// The ledger is in a new file.
    pub(crate) fn ledger_moved(&self, file: Option<Arc<File>>) {
        self.command(Command::LedgerMoved(file));
    }

    /// Closes the spool.
    pub(crate) fn stop(&self) {
        self.command(Command::Stop);
    }

    /// The next reply; `None` when the thread is gone.
    pub(crate) async fn reply(&mut self) -> Option<Reply> {
        self.replies.recv().await
    }

    fn command(&self, command: Command) {
        // The thread ends only after `Stop`, behind which nothing is sent.
        let _ = self.commands.send(command);
    }
}

#[cfg(test)]
mod tests;
