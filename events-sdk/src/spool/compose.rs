//! Writes a sealed spill file event by event, for whoever does not have all its events in memory.
//!
//! The same bytes as [`Spool::write`](super::Spool::write) leaves, and the same promises: the name appears when all
//! bytes are on stable storage. What is not finished is removed.

#[cfg(feature = "cli")]
mod leave;
#[cfg(feature = "cli")]
mod quota;

use std::{
    collections::BTreeMap,
    io::{self, BufWriter, Write},
    path::PathBuf,
    sync::Arc,
};

use uuid::Uuid;

#[cfg(feature = "cli")]
pub(crate) use self::{leave::leave, quota::Quota};
use super::{
    SpoolError,
    checks::Checks,
    format::{self, CHUNK, Crc},
    places::Cuts,
    seal::{self, HEAD_BYTES},
    severities,
    storage::{Storage, WriteFile},
};
use crate::proto::BatchSeal;

/// What a file says of itself beside its events.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sealing {
    /// The identity of the batch.
    pub(crate) id: Uuid,
    /// When the batch was put together, in milliseconds since the Unix epoch.
    pub(crate) timestamp_ms: i64,
    /// It is one batch.
    pub(crate) whole: bool,
    /// It may have been offered to Toggle.
    pub(crate) offered: bool,
    /// The schema that the events were made from.
    pub(crate) fingerprint: u64,
    /// Which ledger counts the events as accepted; zero for none.
    pub(crate) ledger: u64,
}

/// A spill file being written.
pub(crate) struct Composer {
    storage: Arc<dyn Storage>,
    temp: PathBuf,
    out: BufWriter<Box<dyn WriteFile>>,
    /// Over all that stands behind the head.
    crc: Crc,
    bytes: u64,
    checks: Vec<u32>,
    cuts: Cuts,
    levels: BTreeMap<i32, u32>,
    finished: bool,
}

impl Composer {
    /// Begins a file, in a temporary file that is there and empty.
    pub(super) fn begin_on(storage: Arc<dyn Storage>, temp: PathBuf, file: Box<dyn WriteFile>) -> Self {
        Self {
            storage,
            temp,
            out: BufWriter::with_capacity(CHUNK, file),
            crc: Crc::new(),
            bytes: 0,
            checks: Vec::new(),
            cuts: Cuts::default(),
            levels: BTreeMap::new(),
            finished: false,
        }
    }

    /// Adds an event: its entry, with tag and length, and the number of its level on the wire.
    pub(crate) fn push(&mut self, entry: &[u8], level: i32) -> Result<(), SpoolError> {
        self.write(entry).map_err(|error| self.failed(error))?;
        self.checks.push(Crc::of(entry));
        self.cuts.add(entry);
        *self.levels.entry(level).or_default() += 1;
        Ok(())
    }

    /// How many events were added.
    pub(crate) fn events(&self) -> u32 {
        u32::try_from(self.checks.len()).unwrap_or(u32::MAX)
    }

    /// The severities of the events that were added, a bit for each.
    pub(super) fn severities(&self) -> u8 {
        severities(self.levels.iter().map(|(&level, &events)| (level, events)))
    }

    /// Leaves the unfinished file to the caller, who is to remove it. Says where it is.
    pub(super) fn abandon(mut self) -> PathBuf {
        self.finished = true;
        self.temp.clone()
    }

    /// Seals the file and leaves it where it is, to whoever gives it a name: says where, and how long it is with which
    /// seal.
    pub(super) fn close(mut self, sealing: Sealing) -> (PathBuf, io::Result<(u64, BatchSeal)>) {
        let sealed = self.seal(sealing);
        self.finished = true;
        (self.temp.clone(), sealed.map(|seal| (self.bytes, seal)))
    }

    fn seal(&mut self, sealing: Sealing) -> io::Result<BatchSeal> {
        let events = self.events();
        let cuts = std::mem::take(&mut self.cuts);
        let (checks, checks_crc) = Checks::field(std::mem::take(&mut self.checks));
        self.write(&checks)?;
        let trailer = format::encode_trailer(sealing.timestamp_ms, sealing.id);
        self.write(&trailer)?;
        let levels: Vec<_> = std::mem::take(&mut self.levels).into_iter().collect();
        let mut seal = BatchSeal {
            crc32c: 0,
            events,
            whole: sealing.whole,
            schema_fingerprint: sealing.fingerprint,
            levels: format::level_counts(&levels),
            event_crc32c: Vec::new(),
            event_crc32c_crc32c: checks_crc,
            ledger: sealing.ledger,
            offered: sealing.offered,
            seal_crc32c: 0,
            piece_events: if sealing.whole { Vec::new() } else { cuts.into_seal() },
            ..BatchSeal::default()
        };
        let head = seal::encode_head(&seal);
        seal.crc32c = Crc::joined(Crc::of(&head), self.crc.value(), self.bytes - HEAD_BYTES as u64);
        self.write(&seal::encode_seal(&trailer, &mut seal))?;
        self.out.flush()?;
        self.out.get_mut().write_over_start(&head)?;
        self.out.get_mut().sync()?;
        Ok(seal)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.bytes == 0 {
            // How many events there will be is known when all are written.
            self.out.write_all(&[0; HEAD_BYTES])?;
            self.bytes = HEAD_BYTES as u64;
        }
        self.crc.update(bytes);
        self.bytes += bytes.len() as u64;
        self.out.write_all(bytes)
    }

    fn failed(&self, error: io::Error) -> SpoolError {
        SpoolError::new("write the spill file", &self.temp, error)
    }
}

impl Drop for Composer {
    fn drop(&mut self) {
        if !self.finished {
            // The next start of an agent removes it if this does not.
            let _ = self.storage.remove(&self.temp);
        }
    }
}
