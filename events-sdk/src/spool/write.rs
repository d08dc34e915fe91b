//! Writes spill files: completely, or not at all.

use std::{
    io::{self, BufWriter, Write},
    path::Path,
};

use uuid::Uuid;

use super::{
    FileName, Spool, SpoolError, SpoolFile,
    checks::Checks,
    format::{self, CHUNK, Crc, Tail},
    no_room,
    places::Cuts,
    seal, severities,
    storage::WriteFile,
};
use crate::proto::BatchSeal;

/// What is to become a spill file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewFile<'a> {
    /// Its identity, and its name. A fresh UUIDv7, or for a batch that was offered to Toggle already, that batch's id.
    pub(crate) id: Uuid,
    /// When the batch was put together, in milliseconds since the Unix epoch.
    pub(crate) timestamp_ms: i64,
    /// Runs of `EventBatch.events` entries, written one after the other.
    pub(crate) runs: &'a [&'a [u8]],
    /// How many events they hold.
    pub(crate) count: u32,
    /// How many of them are of each level, by the level's number on the wire.
    pub(crate) levels: &'a [(i32, u32)],
    /// It is one batch: never cut, always sent under `id`.
    pub(crate) whole: bool,
    /// It may have been offered to Toggle.
    pub(crate) offered: bool,
    /// The schema that this program was built from.
    pub(crate) fingerprint: u64,
    /// Which ledger counts the events as accepted; zero for none.
    pub(crate) ledger: u64,
    /// The spill file that it was a part of, and the place of the piece, where it is set aside.
    pub(crate) part_of: Option<(Uuid, u32)>,
}

impl NewFile<'_> {
    /// What is known of the file once it is written.
    pub(super) fn written(&self, bytes: u64) -> SpoolFile {
        SpoolFile {
            name: FileName::of(self.id),
            id: self.id,
            bytes,
            events: self.count,
            whole: self.whole,
            offered: self.offered,
            sealed: true,
            timestamp_ms: self.timestamp_ms,
            severities: severities(self.levels.iter().copied()),
            ledger: self.ledger,
        }
    }
}

impl Spool {
    /// Writes a spill file. When this returns, the file is on stable storage under its name.
    ///
    /// When it fails there is no such file, and the events are still the caller's. Writing the same file again after a
    /// failure is safe. A directory that was removed meanwhile is made again.
    pub(crate) fn write(&self, file: NewFile<'_>) -> Result<SpoolFile, SpoolError> {
        self.leave_room(&file)?;
        self.write_past_the_floor(file)
    }

    /// Sees whether a file could be written, of a few bytes: writes one, and removes it.
    pub(crate) fn probe(&self) -> Result<(), SpoolError> {
        self.keep_lock()?;
        self.settle_misplaced()?;
        let temp = self.temp_of(Uuid::nil());
        self.leave_room_for(0, &temp)?;
        let failed = |error| SpoolError::new("write to the spool directory", &temp, error);
        let mut file = self.create_temp(&temp).map_err(failed)?;
        let written = file.write_all(&[0; 512]).and_then(|()| file.sync());
        drop(file);
        self.give_up(&temp);
        written.map_err(failed)
    }

    /// Fails when the file would take up what is to stay free.
    fn leave_room(&self, file: &NewFile<'_>) -> Result<(), SpoolError> {
        let bytes: usize = file.runs.iter().map(|run| run.len()).sum();
        self.leave_room_for(bytes as u64, &self.path_of(&FileName::of(file.id)))
    }

    fn leave_room_for(&self, bytes: u64, target: &Path) -> Result<(), SpoolError> {
        let floor = self.bounds.min_free;
        if floor == 0 {
            return Ok(());
        }
        let wanted = floor.saturating_add(bytes);
        match self.storage.free_bytes(&self.dir) {
            Ok(free) if free < wanted => {
                let error = io::Error::new(io::ErrorKind::StorageFull, no_room(bytes, free, floor));
                Err(SpoolError::new("write the spill file", target, error).short_of(wanted - free))
            }
            // The write will tell.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    fn write_past_the_floor(&self, file: NewFile<'_>) -> Result<SpoolFile, SpoolError> {
        self.keep_lock()?;
        self.settle_misplaced()?;
        match self.write_once(&file) {
            // Removed between the look at the lock and the write.
            Err(error) if error.is_not_found() => {
                self.keep_lock()?;
                self.write_once(&file)
            }
            result => result,
        }
    }

    fn write_once(&self, file: &NewFile<'_>) -> Result<SpoolFile, SpoolError> {
        let target = self.path_of(&FileName::of(file.id));
        let bytes = self.write_as(file, &target)?;
        Ok(file.written(bytes))
    }

    /// Writes the file under another name than its own. Returns its length.
    pub(super) fn write_as(&self, file: &NewFile<'_>, target: &Path) -> Result<u64, SpoolError> {
        let temp = self.temp_of(file.id);
        let mut out = self
            .create_temp(&temp)
            .map_err(|error| SpoolError::new("write the spill file", target, error))?;
        let written = write_to(out.as_mut(), file);
        drop(out);
        self.place(&temp, target, written)
    }

    /// Gives a file that was written, of this length and with this seal, its name; removes it if it was not. Returns its
    /// length.
    pub(super) fn place(
        &self,
        temp: &Path,
        target: &Path,
        written: io::Result<(u64, BatchSeal)>,
    ) -> Result<u64, SpoolError> {
        let failed = |error| SpoolError::new("write the spill file", target, error);
        let placed = written.and_then(|(bytes, seal)| {
            self.must_be_free(target, bytes, &seal)?;
            self.storage.rename(temp, target)?;
            Ok(bytes)
        });
        let bytes = placed.map_err(|error| {
            self.give_up(temp);
            failed(error)
        })?;
        self.storage.sync_dir(&self.dir).map_err(|error| {
            // The caller keeps the events, so they must not lie here as well, nor come back after a loss of power: by then
            // they may have been delivered under another identity.
            self.give_up(target);
            self.sync_removals();
            failed(error)
        })?;
        Ok(bytes)
    }

    /// Makes a temporary file, in place of one that could not be removed earlier.
    pub(super) fn create_temp(&self, temp: &Path) -> io::Result<Box<dyn WriteFile>> {
        match self.storage.create(temp) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.storage.remove(temp)?;
                self.storage.create(temp)
            }
            result => result,
        }
    }

    /// Renaming would replace a file of the same name. It may do so only if that is this very file, left by a write
    /// that failed at its last step and could not be undone.
    fn must_be_free(&self, target: &Path, bytes: u64, seal: &BatchSeal) -> io::Result<()> {
        match self.storage.metadata(target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
            Ok(there) if there.len == bytes => {
                let mut file = self.storage.open(target)?;
                if Tail::find(file.as_mut(), bytes)?.is_some_and(|tail| tail.seal == *seal) {
                    return Ok(());
                }
            }
            Ok(_) => {}
        }
        Err(io::Error::new(io::ErrorKind::AlreadyExists, "another file of this name is there"))
    }
}

/// Writes and syncs the contents. Returns their length and seal.
pub(super) fn write_to(out: &mut dyn WriteFile, file: &NewFile<'_>) -> io::Result<(u64, BatchSeal)> {
    let trailer = format::encode_trailer(file.timestamp_ms, file.id);
    let (checks, checks_crc) = Checks::encode(file.runs, file.count).unwrap_or_else(|| {
        tracing::error!(id = %file.id, "the events of a spill file are not framed as they should be");
        (Vec::new(), 0)
    });
    let mut seal = BatchSeal {
        crc32c: 0,
        events: file.count,
        whole: file.whole,
        schema_fingerprint: file.fingerprint,
        levels: format::level_counts(file.levels),
        event_crc32c: Vec::new(),
        event_crc32c_crc32c: checks_crc,
        ledger: file.ledger,
        offered: file.offered,
        seal_crc32c: 0,
        piece_events: cuts(file),
        part_of: file.part_of.map(|(file, _)| file.to_string()).unwrap_or_default(),
        piece: file.part_of.map_or(0, |(_, piece)| piece),
    };
    let head = seal::encode_head(&seal);
    let mut crc = Crc::new();
    let mut bytes = 0;
    // Long runs pass through the buffer without a copy; many short ones become few system calls.
    let mut buffer = BufWriter::with_capacity(CHUNK, &mut *out);
    let around = [head.as_slice()].into_iter().chain(file.runs.iter().copied());
    for part in around.chain([checks.as_slice(), trailer.as_slice()]) {
        crc.update(part);
        bytes += part.len() as u64;
        buffer.write_all(part)?;
    }
    seal.crc32c = crc.value();
    let encoded = seal::encode_seal(&trailer, &mut seal);
    buffer.write_all(&encoded)?;
    buffer.flush()?;
    drop(buffer);
    out.sync()?;
    Ok((bytes + encoded.len() as u64, seal))
}

/// Where the file is cut, as its seal says it.
fn cuts(file: &NewFile<'_>) -> Vec<u32> {
    let mut cuts = Cuts::default();
    if !file.whole {
        file.runs.iter().flat_map(|run| format::entries(run)).for_each(|entry| cuts.add(entry));
    }
    cuts.into_seal()
}
