//! The thread itself: what it does for each command, and between them.

mod leaving;
mod place;
mod survey;
mod thin;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    fs::File,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{Arc, mpsc as std_mpsc},
    time::{Duration, Instant},
};

use tokio::sync::mpsc;
use uuid::Uuid;

use self::leaving::{LEAVE, SYNC_REMOVALS};
use super::{Command, Content, Reply, Write};
use crate::{
    chunk::{Chunk, SEVERITIES, level_counts},
    delivery::{salvage::message_of, shortened::Shortened},
    fault,
    ledger::{Kept, Ledger},
    segment::{Segments, ToDisk},
    spool::{
        Bounds, FileName, NewFile, Passed, Piece, Reader, RefusedOf, Spool, SpoolError, SpoolErrorKind,
        SpoolFile,
    },
};

/// How often the directory is looked at for files that others put there, `events emit` for one. Soon enough for whoever
/// waits for such an event; a look costs one system call unless something has changed.
const LOOK_AROUND: Duration = Duration::from_secs(3);

/// A directory that was changed this short a time before it was listed may have been changed again just after, without
/// showing a later time. The coarsest local file systems count in two seconds.
const SETTLED_MS: i64 = 2_000;

/// What earlier processes left and could not be read or taken over is tried again after this, doubling up to the second.
pub(super) const AGAIN: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));

/// A disk that does not take the ballast although it has room is left alone for so long.
const BALLAST_AGAIN: Duration = Duration::from_secs(3600);

/// Small files are examined for so long before the delivery task is told of them: it has other things to do than to
/// hear of each.
const EXAMINE: Duration = Duration::from_millis(2);

pub(super) struct Thread {
    directory: PathBuf,
    spool: Option<Spool>,
    bounds: Bounds,
    fingerprint: u64,
    replies: mpsc::UnboundedSender<Reply>,
    /// Files of earlier processes that are still to be examined.
    found: VecDeque<FileName>,
    /// What was examined and not yet told.
    examined: Vec<SpoolFile>,
    /// Segments of earlier processes that are still to become files.
    left: VecDeque<PathBuf>,
    segments: Option<Arc<Segments>>,
    /// Files that were found or written and not removed: what else lies there is new.
    known: HashSet<Uuid>,
    /// Those of them that could not be read, and are looked at again when the directory is to be listed.
    unreadable: Vec<Uuid>,
    /// When a file was removed, the first of those whose removal is not on stable storage yet.
    removed_at: Option<Instant>,
    /// How many known files are not in the directory, as the delivery task was told.
    missing: usize,
    /// When the directory was changed that was listed last, if it has been quiet since.
    settled: Option<i64>,
    /// When to look at it again.
    look_at: Instant,
    reader: Option<(Uuid, Reader)>,
    /// The file of the ledger, where it could be opened.
    ledger: Option<Arc<File>>,
    /// The identity of the ledger.
    ledger_id: u64,
    /// There was none at the start, and nothing was found since that says otherwise.
    ledger_is_new: bool,
    /// A sync of the ledger failed, and it has not been stored once more since: the next one would be believed wrongly.
    ledger_doubted: bool,
    /// What was in the quarantine at the start, until all that earlier processes left is found.
    surveying: Option<u64>,
    /// That was counted, at the start or when the directory could be opened.
    survey_begun: bool,
    /// Refused events that were in the quarantine at the start, and whose spill file was there too.
    refused: RefusedOf,
    /// It could not be counted.
    survey_failed: bool,
    /// It was counted after that, when this process may have put something there.
    survey_is_late: bool,
    /// Files that were cut short before that; `None` once it is done.
    shortened: Option<Shortened>,
    /// Files to be removed once the ledger, which says that all of them is dealt with, is on stable storage.
    leaving: Vec<SpoolFile>,
    /// When to do that.
    leave_at: Option<Instant>,
    /// Those of them that could not be removed, as the delivery task was told.
    staying: Vec<SpoolFile>,
    /// When these are tried again, and the pause after that.
    leave_again: (Instant, Duration),
    /// How many segments of earlier processes could not be taken over, since they were looked for last.
    stuck: usize,
    /// When these, and files that could not be read, are looked for again, and the pause after that.
    again: (Instant, Duration),
    /// How many of both there are, as the delivery task was told.
    told_stuck: usize,
    /// Segments of which nothing is needed any more and which could not be removed, with their batches.
    taken_over: HashMap<PathBuf, Uuid>,
    /// Those that the log has a line of.
    complained: HashSet<PathBuf>,
    /// Files and segments over which it has panicked once: they are looked at once more, behind the others.
    panicked: HashSet<PathBuf>,
    /// Room for a full disk is not set aside before that.
    ballast_at: Instant,
    /// Something was put into the quarantine, which may be too large now.
    quarantine_grew: bool,
    /// The log says that it is too large.
    quarantine_complained: bool,
    /// When to see whether all is where the next process looks for it.
    keep_at: Instant,
    /// The directory was not there, and could not be made again.
    displaced: bool,
    /// The log says that the ledger cannot be made again.
    ledger_complained: bool,
    /// When the file of the ledger was written to, when it was compared with the ledger last: seconds and nanoseconds.
    ledger_compared: Option<(i64, i64)>,
    /// Somebody else has written into it, and it has not been replaced yet.
    ledger_is_spoiled: bool,
    /// When the log said so last.
    ledger_spoiled_told: Option<Instant>,
}

impl Thread {
    pub(super) fn new(
        directory: PathBuf,
        bounds: Bounds,
        fingerprint: u64,
        replies: mpsc::UnboundedSender<Reply>,
        segments: Option<Arc<Segments>>,
    ) -> Self {
        Self {
            directory,
            spool: None,
            bounds,
            fingerprint,
            replies,
            found: VecDeque::new(),
            examined: Vec::new(),
            left: VecDeque::new(),
            segments,
            known: HashSet::new(),
            unreadable: Vec::new(),
            removed_at: None,
            missing: 0,
            settled: None,
            look_at: Instant::now() + LOOK_AROUND,
            reader: None,
            ledger: None,
            ledger_id: 0,
            ledger_is_new: false,
            ledger_doubted: false,
            surveying: None,
            survey_begun: false,
            refused: RefusedOf::new(),
            survey_failed: false,
            survey_is_late: false,
            shortened: Some(Shortened::default()),
            leaving: Vec::new(),
            leave_at: None,
            staying: Vec::new(),
            leave_again: (Instant::now() + AGAIN.0, AGAIN.0),
            stuck: 0,
            again: (Instant::now() + AGAIN.0, AGAIN.0),
            told_stuck: 0,
            taken_over: HashMap::new(),
            complained: HashSet::new(),
            panicked: HashSet::new(),
            quarantine_grew: false,
            ballast_at: Instant::now(),
            quarantine_complained: false,
            keep_at: Instant::now() + place::KEEP,
            displaced: false,
            ledger_complained: false,
            ledger_compared: None,
            ledger_is_spoiled: false,
            ledger_spoiled_told: None,
        }
    }

    /// Works in this spool, which is open already.
    pub(super) fn begin(&mut self, spool: Spool, ledger: Kept) {
        self.has_ledger(ledger);
        let spool = spool.of_ledger(self.ledger_id);
        self.opened(&spool);
        self.spool = Some(spool);
    }

    /// The ledger is open.
    fn has_ledger(&mut self, ledger: Kept) {
        (self.ledger, self.ledger_id, self.ledger_is_new) = (ledger.file, ledger.id, ledger.is_new);
    }

    pub(super) fn run(&mut self, commands: &std_mpsc::Receiver<Command>) {
        // Not before the first event is accepted, as it takes long where there are very many files.
        if self.spool.is_some() {
            let found = self.guarded("look through", |thread| {
                thread.begin_survey();
                thread.spool()?.tidy()?;
                thread.unknown()
            });
            match found {
                Ok(names) => self.found = names,
                Err(error) => {
                    self.spool = None;
                    (self.surveying, self.survey_begun) = (None, false);
                    self.reply(Reply::Opened(Err(error)));
                }
            }
        }
        loop {
            if std::mem::take(&mut self.quarantine_grew) {
                // Only now that the delivery task has been told what is in it.
                let _ = self.guarded("clear the quarantine of", |thread| {
                    thread.clear_quarantine();
                    Ok(())
                });
            }
            let now = Instant::now();
            if now >= self.look_at {
                self.look_at = now + LOOK_AROUND;
                let _ = self.guarded("look around in", |thread| {
                    thread.look_around();
                    Ok(())
                });
            }
            if now >= self.keep_at {
                self.keep_at = now + place::KEEP;
                let _ = self.guarded("look at what lies in", |thread| {
                    thread.keep_place();
                    thread.leave_again();
                    Ok(())
                });
            }
            let sync_at = self.removed_at.map(|at| at + SYNC_REMOVALS);
            if sync_at.is_some_and(|at| now >= at) {
                self.sync_removals();
            }
            if self.leave_at.is_some_and(|at| now >= at) {
                let left = self.guarded("remove files from", |thread| {
                    thread.remove_leaving();
                    Ok(())
                });
                if left.is_err() && !self.leaving.is_empty() {
                    self.leave_at = Some(now + LEAVE);
                }
                continue;
            }
            let is_idle = self.found.is_empty() && self.left.is_empty();
            if is_idle {
                self.tell_stuck();
                self.end_survey();
            }
            let command = match commands.try_recv() {
                Ok(command) => Some(command),
                Err(std_mpsc::TryRecvError::Empty) if is_idle => {
                    let until = [sync_at, self.leave_at, Some(self.keep_at)]
                        .into_iter()
                        .flatten()
                        .fold(self.look_at, Instant::min);
                    match commands.recv_timeout(until.saturating_duration_since(now)) {
                        Ok(command) => Some(command),
                        Err(std_mpsc::RecvTimeoutError::Timeout) => continue,
                        Err(std_mpsc::RecvTimeoutError::Disconnected) => None,
                    }
                }
                Err(std_mpsc::TryRecvError::Empty) => {
                    // Taken out first, so that what makes this panic is not come upon again and again.
                    if let Some(segment) = self.left.pop_front() {
                        let adopted = self.guarded("take over a segment of", |thread| {
                            thread.adopt(&segment);
                            Ok(())
                        });
                        if adopted.is_err() && self.panicked.insert(segment.clone()) {
                            self.left.push_back(segment);
                        } else {
                            self.stuck += usize::from(adopted.is_err());
                        }
                    } else {
                        self.examine_some();
                    }
                    let examined = std::mem::take(&mut self.examined);
                    if !examined.is_empty() {
                        self.reply(Reply::Found(examined));
                    }
                    continue;
                }
                Err(std_mpsc::TryRecvError::Disconnected) => None,
            };
            let reply = match command {
                Some(Command::Open) => Reply::Opened(self.guarded("open", Self::open)),
                Some(Command::List) => {
                    if let Err(error) = self.guarded("list", Self::look_anew) {
                        tracing::debug!(%error, "the spool directory is not listed");
                    }
                    continue;
                }
                Some(Command::Write(write)) => {
                    let mut result = self.guarded("write to", |thread| thread.write(&write));
                    if matches!(&result, Err(error) if error.is_panic())
                        && let Ok(file) = self.guarded("look for a file in", |thread| {
                            thread.spool().and_then(|spool| spool.inspect(&FileName::of(write.id)))
                        })
                    {
                        // It panicked behind the work: the file is there, and a second one would repeat it.
                        result = Ok(file);
                    }
                    Reply::Wrote(write, result)
                }
                Some(Command::Probe) => {
                    Reply::Probed(self.guarded("write to", |thread| thread.spool().and_then(Spool::probe)))
                }
                Some(Command::Read(file, passed)) => {
                    let result = self.guarded("read from", |thread| thread.read(&file, passed));
                    Reply::Read(file, result)
                }
                Some(Command::Remove(file)) => {
                    self.leave(file);
                    continue;
                }
                Some(Command::Thin(file, part)) => self.thin(file, part),
                Some(Command::SetAside { file, place, batch, reason }) => {
                    let result = self.guarded("set a batch aside in", |thread| {
                        fault::point("spool set aside");
                        thread.spool().and_then(|spool| spool.set_aside(&batch, (file, place), &reason))?;
                        fault::point("spool is set aside");
                        thread.quarantine_grew = true;
                        Ok(())
                    });
                    Reply::SetAside { file, place, batch, result }
                }
                Some(Command::MakeSegments(count)) => {
                    let Some(segments) = &self.segments else { continue };
                    let segments = Arc::clone(segments);
                    let mut made = Vec::with_capacity(count);
                    let mut failed = None;
                    let result = self.guarded("make segments in", |_| {
                        for _ in 0..count {
                            fault::point("spool segments");
                            match segments.make(segments.capacity) {
                                Ok(segment) => made.push(segment),
                                Err(error) => {
                                    failed = Some(error);
                                    break;
                                }
                            }
                        }
                        Ok(())
                    });
                    Reply::Segments(made, failed.or_else(|| result.err().map(io::Error::other)))
                }
                Some(Command::RemoveSegments(segments)) => {
                    if let Some(own) = &self.segments {
                        own.remove(segments);
                    }
                    continue;
                }
                Some(Command::DropBallast) => {
                    let _ = self
                        .guarded("make room in", |thread| thread.spool().map(|spool| spool.drop_ballast()));
                    continue;
                }
                Some(Command::LedgerRenewed) => {
                    self.ledger_doubted = false;
                    continue;
                }
                Some(Command::LedgerSpoiled) => {
                    self.ledger_spoiled();
                    continue;
                }
                Some(Command::LedgerMoved(file)) => {
                    self.ledger_moved(file);
                    continue;
                }
                Some(Command::Stop) | None => break,
            };
            self.reply(reply);
        }
        self.reader = None;
        self.take_up_staying();
        while !self.leaving.is_empty() {
            let left = self.leaving.len();
            let _ = self.guarded("remove files from", |thread| {
                thread.remove_leaving();
                Ok(())
            });
            if self.leaving.len() == left {
                // The disk does not take the ledger. What stays is not sent again.
                break;
            }
        }
        self.sync_removals();
        self.sync_ledger();
        self.spool = None;
        self.reply(Reply::Stopped);
    }

    /// Does one step. A panic in it is its error; the command, with all it holds, is still the caller's.
    fn guarded<T>(
        &mut self,
        doing: &str,
        step: impl FnOnce(&mut Self) -> Result<T, SpoolError>,
    ) -> Result<T, SpoolError> {
        // The spool lives on the disk; the reader, which does not, is made anew.
        catch_unwind(AssertUnwindSafe(|| step(self))).unwrap_or_else(|panic| {
            let message = message_of(panic.as_ref());
            self.reader = None;
            self.reply(Reply::Panicked(message.clone()));
            Err(SpoolError::panicked(doing, &self.directory, &message))
        })
    }

    fn reply(&self, reply: Reply) {
        let twice = self.spool.as_ref().map_or(0, Spool::counted_twice);
        let before = (twice > 0).then_some(Reply::CountedTwice(twice));
        for reply in before.into_iter().chain([reply]) {
            // When the delivery task is gone, nobody needs the answer.
            let _ = self.replies.send(reply);
        }
    }

    /// Makes the directory ready for segments, and looks what an earlier process left in its own.
    fn opened(&mut self, spool: &Spool) {
        let own = self.segments.as_ref().map(|segments| segments.prefix);
        match spool.segments_left(own) {
            Ok(segments) => (self.left, self.stuck) = (segments.into(), 0),
            Err(error) => {
                tracing::error!(%error, "what an earlier process left in segments is not found yet; it is tried again within a minute");
                self.stuck = 1;
            }
        }
        if let Some(segments) = &self.segments
            && let Err(error) = segments.open(&self.directory)
        {
            tracing::error!(%error, "the folder of segments cannot be used");
        }
    }

    /// The spool, opened now if that was not possible before.
    fn spool(&mut self) -> Result<&Spool, SpoolError> {
        let spool = match self.spool.take() {
            Some(spool) => spool,
            None => {
                let spool = Spool::open(&self.directory)?.bounded(self.bounds).of_ledger(self.ledger_id);
                self.found = survey::in_turn(spool.list(|name| !self.known.contains(&name.id()))?);
                self.opened(&spool);
                spool
            }
        };
        Ok(self.spool.insert(spool))
    }

    /// Opens the spool, and the ledger in it if that is not open.
    fn open(&mut self) -> Result<Option<Box<Ledger>>, SpoolError> {
        fault::point("spool open");
        self.spool()?;
        if !self.survey_begun {
            self.begin_survey();
        }
        let mut opened = None;
        // Not while one is on its way that was made meanwhile.
        if self.ledger.is_none() && !self.ledger_doubted {
            match Ledger::open_or_begin(&self.directory, crate::emit::now_ms()) {
                Ok(ledger) => {
                    self.has_ledger(ledger.kept());
                    self.spool = self.spool.take().map(|spool| spool.of_ledger(ledger.id()));
                    opened = Some(Box::new(ledger));
                    self.reply(Reply::LedgerKept(Ok(())));
                }
                // As at the start: the events are worth more.
                Err(error) => {
                    tracing::error!(%error, "the accounts cannot be kept on disk; they end with this process unless that is mended");
                    self.reply(Reply::LedgerKept(Err(error.to_string())));
                }
            }
        }
        Ok(opened)
    }

    fn write(&mut self, write: &Write) -> Result<SpoolFile, SpoolError> {
        fault::point("spool write");
        let (fingerprint, ledger) = (self.fingerprint, self.ledger_id);
        let spool = self.spool()?;
        let mut by_severity = [0; SEVERITIES];
        let (runs, whole, offered): (Vec<&[u8]>, bool, bool) = match &write.content {
            Content::Chunks { chunks, whole } => {
                chunks.iter().for_each(|chunk| chunk.add_levels_to(&mut by_severity));
                (chunks.iter().map(Chunk::bytes).collect(), *whole, false)
            }
            Content::Whole { batch, by_severity: counts, chunk } => {
                by_severity = *counts;
                // What it is a copy of is in flight.
                let offered = chunk.as_ref().is_none_or(|chunk| chunk.offered);
                (vec![batch.events()], true, offered)
            }
        };
        let file = spool.write(NewFile {
            id: write.id,
            timestamp_ms: write.timestamp_ms,
            runs: &runs,
            count: write.count() as u32,
            levels: &level_counts(&by_severity),
            whole,
            offered,
            fingerprint,
            ledger,
            part_of: None,
        })?;
        self.known.insert(write.id);
        fault::point("spool written");
        Ok(file)
    }

    fn read(&mut self, file: &SpoolFile, passed: Passed) -> Result<Option<Piece>, SpoolError> {
        fault::point("spool read");
        let mut reader = match self.reader.take() {
            Some((id, reader)) if id == file.id => reader,
            _ => {
                let opened = self.spool()?.read(file);
                if opened.as_ref().is_err_and(|error| error.kind() == SpoolErrorKind::Missing) {
                    self.forget_missing(file.id);
                }
                let mut reader = opened?;
                reader.skip(passed)?;
                reader
            }
        };
        let piece = reader.next_piece()?;
        if piece.is_some() {
            self.reader = Some((file.id, reader));
            return Ok(piece);
        }
        let damage = reader.damage();
        if let Some(what) = reader.bad_seal()
            && damage.as_ref().is_none_or(|damage| damage.events + damage.cut_off == 0)
        {
            self.reply(Reply::SealDamaged(file.clone(), what));
        }
        if let Some(damage) = damage {
            // What cannot be delivered is set aside before the file may go.
            self.spool()?.quarantine(file, Some(&reader.done()))?;
            self.quarantine_grew = true;
            if damage.cut_off > 0 {
                self.reply(Reply::CutOff(file.clone(), damage.cut_off));
            }
        }
        Ok(piece)
    }

    /// A file is counted as lost. Should it come back, it is new.
    fn forget_missing(&mut self, file: Uuid) {
        self.known.remove(&file);
        // Those that are missing are counted anew.
        self.settled = None;
    }

    /// Keeps the quarantine within its bound.
    fn clear_quarantine(&mut self) {
        let Some((gone, cleared)) = self.spool.as_ref().map(Spool::clear_quarantine) else { return };
        if gone > 0 {
            self.reply(Reply::Cleared(gone));
        }
        let complained = std::mem::replace(&mut self.quarantine_complained, cleared.is_err());
        if let Err(error) = cleared
            && !complained
        {
            tracing::warn!(%error, "the quarantine is not kept within its bound");
        }
    }

    /// Brings to stable storage which segments are free. A file out of which events are dropped may have been one of them:
    /// should that come back after a loss of power, so would what was dropped, and the rest under another id.
    fn sync_freed(&self) -> Result<(), SpoolError> {
        let Some(segments) = self.segments.as_ref().filter(|segments| segments.is_power) else {
            return Ok(());
        };
        segments
            .sync_all(ToDisk::SYSTEM)
            // Free segments are removed then, before this is tried again.
            .inspect_err(|_| segments.distrust())
            .map_err(|error| SpoolError::new("sync the segments in", &self.directory, error))
    }
}
