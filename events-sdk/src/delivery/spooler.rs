//! The spool's thread: everything that waits for a disk, in the order it was asked for.
//!
//! The delivery task sends commands and gets one reply for each; it never waits for a disk itself. Files that earlier
//! processes left are examined one at a time, whenever there is no command, so that a large backlog holds nothing up. So
//! are files that others put there while this process works: the directory is looked at every few seconds.

use std::{
    collections::{HashSet, VecDeque},
    io,
    path::PathBuf,
    sync::{Arc, mpsc as std_mpsc},
    thread,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;
use uuid::Uuid;

use crate::{
    Batch,
    chunk::{Chunk, SEVERITIES, level_counts},
    spool::{FileName, NewFile, Piece, Reader, Spool, SpoolError, SpoolErrorKind, SpoolFile},
};

/// How often the directory is looked at for files that others put there, `events emit` for one. Soon enough for whoever
/// waits for such an event; a look costs one system call unless something has changed.
const LOOK_AROUND: Duration = Duration::from_secs(3);

/// A directory that was changed this short a time before it was listed may have been changed again just after, without
/// showing a later time. The coarsest local file systems count in two seconds.
const SETTLED_MS: i64 = 2_000;

/// What is to become a spill file.
#[derive(Debug)]
pub(crate) enum Content {
    /// What waited in memory.
    Chunks(Vec<Chunk>),
    /// A batch that may have been offered to Toggle: it keeps its identity and is never cut.
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
    pub(crate) fn count(&self) -> usize {
        match &self.content {
            Content::Chunks(chunks) => chunks.iter().map(Chunk::len).sum(),
            Content::Whole { batch, .. } => batch.len(),
        }
    }
}

#[derive(Debug)]
enum Command {
    Open,
    List,
    Write(Write),
    Read(SpoolFile, u32),
    Remove(SpoolFile),
    SetAside { file: Uuid, batch: Arc<Batch>, reason: String },
    Stop,
}

/// What became of a command.
#[derive(Debug)]
pub(crate) enum Reply {
    /// A spill file was found: one of an earlier process, or one that is known.
    Found(SpoolFile),
    /// The directory could be opened now, or not.
    Opened(Result<(), SpoolError>),
    /// A spill file was written, or not: then its content comes back.
    Wrote(Write, Result<SpoolFile, SpoolError>),
    /// The next piece of a file; `None` at its end.
    Read(SpoolFile, Result<Option<Piece>, SpoolError>),
    /// A file was removed.
    Removed(SpoolFile, Result<(), SpoolError>),
    /// A refused batch, a piece of that file, was put into the quarantine.
    SetAside { file: Uuid, batch: Arc<Batch>, result: Result<(), SpoolError> },
    /// The spool is closed and its lock released.
    Stopped,
}

/// The delivery task's end.
#[derive(Debug)]
pub(crate) struct Spooler {
    commands: std_mpsc::Sender<Command>,
    replies: mpsc::UnboundedReceiver<Reply>,
}

impl Spooler {
    /// Starts the thread. `spool` is what could be opened already.
    pub(crate) fn start(directory: PathBuf, spool: Option<Spool>, fingerprint: u64) -> io::Result<Self> {
        let (commands, command_queue) = std_mpsc::channel();
        let (reply_queue, replies) = mpsc::unbounded_channel();
        let mut thread = Thread {
            directory,
            spool,
            fingerprint,
            replies: reply_queue,
            found: VecDeque::new(),
            known: HashSet::new(),
            settled: None,
            look_at: Instant::now() + LOOK_AROUND,
            reader: None,
        };
        thread::Builder::new().name("events-spool".into()).spawn(move || thread.run(&command_queue))?;
        Ok(Self { commands, replies })
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

    /// Reads the piece of a file at this place. Files are read one after the other, pieces in order.
    pub(crate) fn read(&self, file: SpoolFile, place: u32) {
        self.command(Command::Read(file, place));
    }

    /// Removes a file that Toggle has.
    pub(crate) fn remove(&self, file: SpoolFile) {
        self.command(Command::Remove(file));
    }

    /// Puts a refused batch, a piece of that file, into the quarantine.
    pub(crate) fn set_aside(&self, file: Uuid, batch: Arc<Batch>, reason: String) {
        self.command(Command::SetAside { file, batch, reason });
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

struct Thread {
    directory: PathBuf,
    spool: Option<Spool>,
    fingerprint: u64,
    replies: mpsc::UnboundedSender<Reply>,
    /// Files of earlier processes that are still to be examined.
    found: VecDeque<FileName>,
    /// Files that were found or written and not removed: what else lies there is new.
    known: HashSet<Uuid>,
    /// When the directory was changed that was listed last, if it has been quiet since.
    settled: Option<i64>,
    /// When to look at it again.
    look_at: Instant,
    reader: Option<(Uuid, Reader)>,
}

impl Thread {
    fn run(&mut self, commands: &std_mpsc::Receiver<Command>) {
        match self.spool.as_ref().map(Spool::list) {
            Some(Ok(names)) => self.found = names.into(),
            Some(Err(error)) => {
                self.spool = None;
                self.reply(Reply::Opened(Err(error)));
            }
            None => {}
        }
        loop {
            if Instant::now() >= self.look_at {
                self.look_around();
            }
            let command = match self.found.pop_front() {
                None => match commands.recv_timeout(self.look_at.saturating_duration_since(Instant::now())) {
                    Ok(command) => Some(command),
                    Err(std_mpsc::RecvTimeoutError::Timeout) => continue,
                    Err(std_mpsc::RecvTimeoutError::Disconnected) => None,
                },
                Some(name) => match commands.try_recv() {
                    Ok(command) => {
                        self.found.push_front(name);
                        Some(command)
                    }
                    Err(std_mpsc::TryRecvError::Empty) => {
                        self.examine(&name);
                        continue;
                    }
                    Err(std_mpsc::TryRecvError::Disconnected) => None,
                },
            };
            let reply = match command {
                Some(Command::Open) => Reply::Opened(self.spool().map(drop)),
                Some(Command::List) => {
                    let names = self.spool().and_then(Spool::list);
                    match names {
                        Ok(names) => self.found = names.into(),
                        Err(error) => tracing::debug!(%error, "the spool directory is not listed"),
                    }
                    continue;
                }
                Some(Command::Write(write)) => {
                    let result = self.write(&write);
                    Reply::Wrote(write, result)
                }
                Some(Command::Read(file, place)) => {
                    let result = self.read(&file, place);
                    Reply::Read(file, result)
                }
                Some(Command::Remove(file)) => {
                    let result = self.remove(&file);
                    Reply::Removed(file, result)
                }
                Some(Command::SetAside { file, batch, reason }) => {
                    let result = self.spool().and_then(|spool| spool.set_aside(&batch, &reason));
                    Reply::SetAside { file, batch, result }
                }
                Some(Command::Stop) | None => break,
            };
            self.reply(reply);
        }
        self.reader = None;
        self.spool = None;
        self.reply(Reply::Stopped);
    }

    fn reply(&self, reply: Reply) {
        // When the delivery task is gone, nobody needs the answer.
        let _ = self.replies.send(reply);
    }

    /// Takes up files that were put into the directory since it was looked at last.
    fn look_around(&mut self) {
        self.look_at = Instant::now() + LOOK_AROUND;
        let Some(spool) = self.spool.as_ref().filter(|_| self.found.is_empty()) else { return };
        // Asked for before the list, so that what changes meanwhile is seen the next time.
        let Ok(changed_ms) = spool.changed_ms() else { return };
        if self.settled == Some(changed_ms) {
            return;
        }
        match spool.list() {
            Ok(names) => {
                self.found = names.into_iter().filter(|name| !self.known.contains(&name.id())).collect();
                let now_ms = i64::try_from(crate::emit::now_ms()).unwrap_or(i64::MAX);
                self.settled = (now_ms.saturating_sub(changed_ms) > SETTLED_MS).then_some(changed_ms);
            }
            Err(error) => tracing::debug!(%error, "the spool directory is not listed"),
        }
    }

    fn examine(&mut self, name: &FileName) {
        let Some(spool) = &self.spool else { return };
        match spool.inspect(name) {
            Ok(file) => {
                self.known.insert(file.id);
                self.reply(Reply::Found(file));
            }
            // Delivered and removed since the directory was listed.
            Err(error) if error.kind() == SpoolErrorKind::Missing => {}
            Err(error) => {
                // Said once, not at every look around.
                self.known.insert(name.id());
                tracing::warn!(%error, %name, "a spill file cannot be read; it is looked at again after the next outage or start");
            }
        }
    }

    /// The spool, opened now if that was not possible before.
    fn spool(&mut self) -> Result<&Spool, SpoolError> {
        let spool = match self.spool.take() {
            Some(spool) => spool,
            None => {
                let spool = Spool::open(&self.directory)?;
                self.found = spool.list()?.into();
                spool
            }
        };
        Ok(self.spool.insert(spool))
    }

    fn write(&mut self, write: &Write) -> Result<SpoolFile, SpoolError> {
        let fingerprint = self.fingerprint;
        let spool = self.spool()?;
        let mut by_severity = [0; SEVERITIES];
        let (runs, whole): (Vec<&[u8]>, bool) = match &write.content {
            Content::Chunks(chunks) => {
                chunks.iter().for_each(|chunk| chunk.add_levels_to(&mut by_severity));
                (chunks.iter().map(Chunk::bytes).collect(), false)
            }
            Content::Whole { batch, by_severity: counts, .. } => {
                by_severity = *counts;
                (vec![batch.events()], true)
            }
        };
        let written = spool.write(NewFile {
            id: write.id,
            timestamp_ms: write.timestamp_ms,
            runs: &runs,
            count: write.count() as u32,
            levels: &level_counts(&by_severity),
            whole,
            fingerprint,
        });
        if written.is_ok() {
            self.known.insert(write.id);
        }
        written
    }

    fn read(&mut self, file: &SpoolFile, place: u32) -> Result<Option<Piece>, SpoolError> {
        let mut reader = match self.reader.take() {
            Some((id, reader)) if id == file.id => reader,
            _ => {
                let opened = self.spool()?.read(file);
                if opened.as_ref().is_err_and(|error| error.kind() == SpoolErrorKind::Missing) {
                    // Should it come back, it is new.
                    self.known.remove(&file.id);
                }
                let mut reader = opened?;
                reader.skip_to(place)?;
                reader
            }
        };
        let piece = reader.next_piece()?;
        if piece.is_some() {
            self.reader = Some((file.id, reader));
        } else if reader.damage().is_some() {
            // What cannot be delivered is set aside before the file may go.
            self.spool()?.quarantine(file)?;
        }
        Ok(piece)
    }

    fn remove(&mut self, file: &SpoolFile) -> Result<(), SpoolError> {
        self.spool()?.remove(file)?;
        self.known.remove(&file.id);
        Ok(())
    }
}
