//! The spool's thread: everything that waits for a disk, in the order it was asked for.
//!
//! The delivery task sends commands and gets one reply for each; it never waits for a disk itself. Files that earlier
//! processes left are examined one at a time, whenever there is no command, so that a large backlog holds nothing up.

use std::{
    collections::VecDeque,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{Arc, mpsc as std_mpsc},
    thread,
};

use tokio::sync::mpsc;
use uuid::Uuid;

use super::salvage::message_of;
use crate::{
    Batch,
    chunk::{Chunk, SEVERITIES, level_counts},
    fault,
    spool::{
        Bounds, FileName, NewFile, Piece, Reader, Spool, SpoolError, SpoolErrorKind, SpoolFile, Thinned,
        Thinning,
    },
};

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
    /// The size of its events.
    pub(crate) fn bytes(&self) -> u64 {
        let bytes: usize = match &self.content {
            Content::Chunks(chunks) => chunks.iter().map(|chunk| chunk.bytes().len()).sum(),
            Content::Whole { batch, .. } => batch.events().len(),
        };
        bytes as u64
    }

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
    Thin(SpoolFile, Thinning),
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
    /// Events of a file were dropped to make room, or not: then it is as it was.
    Thinned(SpoolFile, Result<Thinned, SpoolError>),
    /// A refused batch, a piece of that file, was put into the quarantine.
    SetAside { file: Uuid, batch: Arc<Batch>, result: Result<(), SpoolError> },
    /// So many events had to leave the quarantine, which was full.
    Cleared(u64),
    /// The spool's thread panicked over a command, and goes on; the command is answered with an error.
    Panicked(String),
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
    pub(crate) fn start(
        directory: PathBuf,
        spool: Option<Spool>,
        bounds: Bounds,
        fingerprint: u64,
    ) -> io::Result<Self> {
        let (commands, command_queue) = std_mpsc::channel();
        let (reply_queue, replies) = mpsc::unbounded_channel();
        let found = VecDeque::new();
        let spool = spool.map(|spool| spool.bounded(bounds));
        let mut thread =
            Thread { directory, spool, bounds, fingerprint, replies: reply_queue, found, reader: None };
        thread::Builder::new().name("events-spool".into()).spawn(move || thread.run(&command_queue))?;
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

    /// Reads the piece of a file at this place. Files are read one after the other, pieces in order.
    pub(crate) fn read(&self, file: SpoolFile, place: u32) {
        self.command(Command::Read(file, place));
    }

    /// Removes a file that Toggle has.
    pub(crate) fn remove(&self, file: SpoolFile) {
        self.command(Command::Remove(file));
    }

    /// Drops events of that level, by its number on the wire, out of a file until so many bytes are gone. What is left
    /// becomes a file of that id.
    pub(crate) fn thin(&self, file: SpoolFile, level: i32, bytes: u64, id: Uuid) {
        let thinning = Thinning { level, bytes, id, fingerprint: self.fingerprint };
        self.command(Command::Thin(file, thinning));
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
    bounds: Bounds,
    fingerprint: u64,
    replies: mpsc::UnboundedSender<Reply>,
    /// Files of earlier processes that are still to be examined.
    found: VecDeque<FileName>,
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
            let command = match self.found.pop_front() {
                None => commands.recv().ok(),
                Some(name) => match commands.try_recv() {
                    Ok(command) => {
                        self.found.push_front(name);
                        Some(command)
                    }
                    Err(std_mpsc::TryRecvError::Empty) => {
                        let _ = self.guarded("examine a file of", |thread| {
                            thread.examine(&name);
                            Ok(())
                        });
                        continue;
                    }
                    Err(std_mpsc::TryRecvError::Disconnected) => None,
                },
            };
            let reply = match command {
                Some(Command::Open) => Reply::Opened(self.guarded("open", |thread| thread.spool().map(drop))),
                Some(Command::List) => {
                    let names = self.guarded("list", |thread| thread.spool().and_then(Spool::list));
                    match names {
                        Ok(names) => self.found = names.into(),
                        Err(error) => tracing::debug!(%error, "the spool directory is not listed"),
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
                Some(Command::Read(file, place)) => {
                    let result = self.guarded("read from", |thread| thread.read(&file, place));
                    Reply::Read(file, result)
                }
                Some(Command::Remove(file)) => {
                    let result = self.guarded("remove a file from", |thread| thread.remove(&file));
                    Reply::Removed(file, result)
                }
                Some(Command::Thin(file, thinning)) => {
                    self.reader = None;
                    let result = self.guarded("make room in", |thread| {
                        thread.spool().and_then(|spool| spool.thin(&file, thinning))
                    });
                    Reply::Thinned(file, result)
                }
                Some(Command::SetAside { file, batch, reason }) => {
                    let result = self.guarded("set a batch aside in", |thread| {
                        let set_aside = thread.spool().and_then(|spool| spool.set_aside(&batch, &reason));
                        thread.clear_quarantine();
                        set_aside
                    });
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
        // When the delivery task is gone, nobody needs the answer.
        let _ = self.replies.send(reply);
    }

    fn examine(&mut self, name: &FileName) {
        let Some(spool) = &self.spool else { return };
        match spool.inspect(name) {
            Ok(file) => self.reply(Reply::Found(file)),
            // Delivered and removed since the directory was listed.
            Err(error) if error.kind() == SpoolErrorKind::Missing => {}
            Err(error) => {
                tracing::warn!(%error, %name, "a spill file cannot be read; it is looked at again after the next outage or start");
            }
        }
    }

    /// The spool, opened now if that was not possible before.
    fn spool(&mut self) -> Result<&Spool, SpoolError> {
        let spool = match self.spool.take() {
            Some(spool) => spool,
            None => {
                let spool = Spool::open(&self.directory)?.bounded(self.bounds);
                self.found = spool.list()?.into();
                spool
            }
        };
        Ok(self.spool.insert(spool))
    }

    fn write(&mut self, write: &Write) -> Result<SpoolFile, SpoolError> {
        fault::point("spool write");
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
        let file = spool.write(NewFile {
            id: write.id,
            timestamp_ms: write.timestamp_ms,
            runs: &runs,
            count: write.count() as u32,
            levels: &level_counts(&by_severity),
            whole,
            fingerprint,
        })?;
        fault::point("spool written");
        Ok(file)
    }

    fn read(&mut self, file: &SpoolFile, place: u32) -> Result<Option<Piece>, SpoolError> {
        fault::point("spool read");
        let mut reader = match self.reader.take() {
            Some((id, reader)) if id == file.id => reader,
            _ => {
                let mut reader = self.spool()?.read(file)?;
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
            self.clear_quarantine();
        }
        Ok(piece)
    }

    /// Keeps the quarantine within its bound.
    fn clear_quarantine(&self) {
        match self.spool.as_ref().map(Spool::clear_quarantine) {
            Some(Ok(gone)) if gone > 0 => self.reply(Reply::Cleared(gone)),
            Some(Err(error)) => tracing::warn!(%error, "the quarantine is not kept within its bound"),
            Some(Ok(_)) | None => {}
        }
    }

    fn remove(&mut self, file: &SpoolFile) -> Result<(), SpoolError> {
        fault::point("spool remove");
        self.spool()?.remove(file)
    }
}
