//! Writes a sealed spill file event by event, for whoever does not have all its events in memory.
//!
//! The same bytes as [`Spool::write`](super::Spool::write) leaves, and the same promises: the name appears when all
//! bytes are on stable storage. What is not finished is removed.

use std::{
    collections::BTreeMap,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use uuid::Uuid;

use super::{
    FileName, SpoolError,
    checks::Checks,
    disk::Disk,
    format::{self, CHUNK, Crc},
    storage::{Storage, WriteFile},
};
use crate::proto::BatchSeal;

/// How often a batch is written that somebody takes away while it is: an agent starts once, not thrice in a row.
const ATTEMPTS: u32 = 3;

/// What a file says of itself beside its events.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sealing {
    /// The identity of the batch.
    pub(crate) id: Uuid,
    /// When the batch was put together, in milliseconds since the Unix epoch.
    pub(crate) timestamp_ms: i64,
    /// It is one batch that may have been offered to Toggle.
    pub(crate) whole: bool,
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
    crc: Crc,
    bytes: u64,
    checks: Vec<u32>,
    levels: BTreeMap<i32, u32>,
    finished: bool,
}

impl Composer {
    /// Begins a file that will lie in this directory. `id` names the temporary file.
    pub(crate) fn begin(dir: &Path, id: Uuid) -> Result<Self, SpoolError> {
        let storage: Arc<dyn Storage> = Arc::new(Disk);
        let temp = dir.join(format!(".{id}.tmp"));
        let file =
            storage.create(&temp).map_err(|error| SpoolError::new("write the spill file", &temp, error))?;
        Ok(Self {
            storage,
            temp,
            out: BufWriter::with_capacity(CHUNK, file),
            crc: Crc::new(),
            bytes: 0,
            checks: Vec::new(),
            levels: BTreeMap::new(),
            finished: false,
        })
    }

    /// Adds an event: its entry, with tag and length, and the number of its level on the wire.
    pub(crate) fn push(&mut self, entry: &[u8], level: i32) -> Result<(), SpoolError> {
        self.write(entry).map_err(|error| self.failed(error))?;
        self.checks.push(Crc::of(entry));
        *self.levels.entry(level).or_default() += 1;
        Ok(())
    }

    /// How many events were added.
    pub(crate) fn events(&self) -> u32 {
        u32::try_from(self.checks.len()).unwrap_or(u32::MAX)
    }

    /// Seals the file and gives it its name, in place of a file of that name only if `replace` says so. `prepare` may
    /// do something to the file before it gets its name. Returns its length.
    pub(crate) fn finish(
        mut self,
        target: &Path,
        sealing: Sealing,
        replace: bool,
        prepare: impl FnOnce(&Path) -> io::Result<()>,
    ) -> Result<u64, SpoolError> {
        let finished = self
            .seal(sealing)
            .and_then(|()| prepare(&self.temp))
            .and_then(|()| if replace { Ok(()) } else { self.must_be_free(target) })
            .and_then(|()| self.storage.rename(&self.temp, target));
        finished.map_err(|error| SpoolError::new("write the spill file", target, error))?;
        self.finished = true;
        let dir = target.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        self.storage.sync_dir(dir).map_err(|error| SpoolError::new("sync the directory", dir, error))?;
        Ok(self.bytes)
    }

    fn seal(&mut self, sealing: Sealing) -> io::Result<()> {
        let events = self.events();
        let (checks, checks_crc) = Checks::field(std::mem::take(&mut self.checks));
        self.write(&checks)?;
        self.write(&format::encode_trailer(sealing.timestamp_ms, sealing.id))?;
        let levels: Vec<_> = std::mem::take(&mut self.levels).into_iter().collect();
        let seal = BatchSeal {
            crc32c: self.crc.value(),
            events,
            whole: sealing.whole,
            schema_fingerprint: sealing.fingerprint,
            levels: format::level_counts(&levels),
            event_crc32c: Vec::new(),
            event_crc32c_crc32c: checks_crc,
            ledger: sealing.ledger,
        };
        self.write(&format::encode_seal(seal))?;
        self.out.flush()?;
        self.out.get_mut().sync()
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.crc.update(bytes);
        self.bytes += bytes.len() as u64;
        self.out.write_all(bytes)
    }

    fn must_be_free(&self, target: &Path) -> io::Result<()> {
        match self.storage.metadata(target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Err(io::Error::new(io::ErrorKind::AlreadyExists, "another file of this name is there")),
        }
    }

    fn failed(&self, error: io::Error) -> SpoolError {
        SpoolError::new("write the spill file", &self.temp, error)
    }
}

/// Leaves one batch of one event in a spool, for whichever agent works there: needs no lock, because the name is new and
/// appears with the whole file. Makes the directory if need be. Returns where the file lies.
pub(crate) fn leave(
    dir: &Path,
    sealing: Sealing,
    entry: &[u8],
    level: i32,
    prepare: impl Fn(&Path) -> io::Result<()>,
) -> Result<PathBuf, SpoolError> {
    let target = dir.join(FileName::of(sealing.id).to_os_string());
    let mut attempt = 0;
    loop {
        attempt += 1;
        Disk.create_dir(dir).map_err(|error| SpoolError::new("make the spool directory", dir, error))?;
        let written = Composer::begin(dir, sealing.id).and_then(|mut composer| {
            composer.push(entry, level)?;
            composer.finish(&target, sealing, false, &prepare)
        });
        match written {
            Ok(_) => return Ok(target),
            // An agent that starts at this moment takes the temporary file for one that a crash left.
            Err(error) if error.is_not_found() && attempt < ATTEMPTS => {}
            Err(error) => return Err(error),
        }
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
