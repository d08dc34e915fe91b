//! What an earlier process left in its segments becomes spill files.
//!
//! Each segment with events in it becomes one file, sealed as whole, under the id of its batch, which may have been offered
//! under it before: if it was put together, for all that can be known. What is damaged is set aside first; the segment is
//! removed last. A crash in between repeats the same steps with the same names.

use std::{
    ffi::OsString,
    io::{self, Read},
    path::{Path, PathBuf},
};

use uuid::Uuid;

use super::{FileName, NewFile, Spool, SpoolError, SpoolFile, storage::EntryKind};
use crate::{
    chunk::level_counts,
    plural::counted,
    segment::{self, format},
};

/// Nothing that is longer was ever made by us: the largest event, and some.
pub(super) const MOST_BYTES: u64 = 16 << 20;

/// What was found in a segment.
#[derive(Debug, Default)]
pub(crate) struct Adopted {
    /// The file its events are in now.
    pub(crate) file: Option<SpoolFile>,
    /// How many events were damaged, as far as can be known.
    pub(crate) damaged: u32,
    /// How many did not reach the disk before the machine stopped.
    pub(crate) torn: u32,
    /// How many were cut off with the end of the segment. Nothing is left of them to be set aside.
    pub(crate) cut: u32,
    /// The segment, of which nothing is needed any more, could not be removed: of which batch it is, and why. Until it is gone
    /// nothing may be dropped out of the file of that batch, because the next start finds all of it again.
    pub(crate) left: Option<(Uuid, SpoolError)>,
}

impl Spool {
    /// The segments of earlier processes: all but those whose names begin with `own`.
    ///
    /// # Errors
    ///
    /// When they cannot be listed.
    pub(crate) fn segments_left(&self, own: Option<Uuid>) -> Result<Vec<PathBuf>, SpoolError> {
        let folder = self.dir.join(segment::FOLDER);
        let is_folder = self.storage.metadata(&folder).is_ok_and(|there| there.kind == EntryKind::Dir);
        let own = own.map(|own| own.to_string());
        let mut paths = Vec::new();
        let mut each = |name: OsString, kind| {
            let bytes = name.as_encoded_bytes();
            if kind == EntryKind::File
                && bytes.ends_with(segment::ENDING.as_bytes())
                && own.as_ref().is_none_or(|own| !bytes.starts_with(own.as_bytes()))
            {
                paths.push(folder.join(name));
            }
        };
        let listed = if is_folder { self.storage.list(&folder, &mut each) } else { Ok(()) };
        listed.map_err(|error| SpoolError::new("list the folder of segments", &folder, error))?;
        paths.sort_unstable();
        Ok(paths)
    }

    /// Makes a spill file of a segment and removes it. Where it cannot be removed the file is there all the same: then it must
    /// not be taken over again in this process, which may have delivered the file by then.
    pub(crate) fn adopt_segment(&self, path: &Path) -> Result<Adopted, SpoolError> {
        let bytes = match self.read_segment(path) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => {
                self.move_aside(path, "it is longer than any segment")?;
                return Ok(Adopted { damaged: 1, ..Adopted::default() });
            }
            Err(error) => return Err(SpoolError::of_file("read the segment", path, error)),
        };
        let (mut adopted, id) = match format::read(&bytes) {
            format::Found::Nothing => (Adopted::default(), Uuid::nil()),
            format::Found::Unreadable(reason) => {
                self.move_aside(path, reason)?;
                return Ok(Adopted { damaged: 1, ..Adopted::default() });
            }
            // Damage costs nothing: all its events are in the file.
            format::Found::Batch(batch) if self.is_kept(&batch)? => (Adopted::default(), batch.id),
            format::Found::Batch(batch) => {
                if !batch.damage.is_empty() {
                    self.set_damage_aside(path, &bytes, &batch)?;
                }
                let file = self.keep_batch(&batch)?;
                let (damaged, torn, cut) = (batch.damaged_events, batch.torn_events, batch.cut_events);
                (Adopted { file, damaged, torn, cut, left: None }, batch.id)
            }
        };
        adopted.left = self.remove_segment(path).err().map(|error| (id, error));
        Ok(adopted)
    }

    /// Removes a segment that was taken over.
    pub(crate) fn remove_segment(&self, path: &Path) -> Result<(), SpoolError> {
        match self.storage.remove(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result.map_err(|error| SpoolError::new("remove the segment", path, error)),
        }
    }

    /// Brings to stable storage that segments were removed.
    pub(super) fn sync_segment_removals(&self) -> Result<(), SpoolError> {
        let folder = self.dir.join(segment::FOLDER);
        match self.storage.sync_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result.map_err(|error| SpoolError::new("sync the folder of segments", &folder, error)),
        }
    }

    fn read_segment(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        let file = self.storage.open(path)?;
        if file.size()? > MOST_BYTES {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        file.take(MOST_BYTES).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// Whether the batch is on stable storage in a file of its own: that was written, and is found there, before the segment
    /// was marked free.
    fn is_kept(&self, batch: &format::Batch) -> Result<bool, SpoolError> {
        if self.storage.metadata(&self.path_of(&FileName::of(batch.id))).is_err() {
            return Ok(false);
        }
        // The process may have been killed before the name of the file was on stable storage.
        self.storage
            .sync_dir(&self.dir)
            .map_err(|error| SpoolError::new("sync the spool directory", &self.dir, error))?;
        Ok(true)
    }

    fn keep_batch(&self, batch: &format::Batch) -> Result<Option<SpoolFile>, SpoolError> {
        if batch.count() == 0 {
            return Ok(None);
        }
        let name = FileName::of(batch.id);
        let timestamp_ms = batch.timestamp_ms.or_else(|| name.time_ms()).unwrap_or(1);
        self.write(NewFile {
            id: batch.id,
            timestamp_ms,
            runs: &[&batch.events],
            count: batch.count(),
            levels: &level_counts(&batch.by_severity),
            whole: true,
            // It was put together to be sent.
            offered: batch.timestamp_ms.is_some(),
            fingerprint: batch.fingerprint,
            ledger: self.ledger,
            part_of: None,
        })
        .map(Some)
    }

    fn set_damage_aside(&self, path: &Path, bytes: &[u8], batch: &format::Batch) -> Result<(), SpoolError> {
        use std::fmt::Write as _;
        let mut damaged = Vec::new();
        let mut report = format!(
            "Damaged bytes of the segment of batch {}, set aside because they could not be delivered.\n\
             {} in {}, {} as far as can be known; {} good and kept.\n\n\
             place in the segment, bytes, what is wrong:\n",
            batch.id,
            counted(batch.damage.iter().map(|span| span.len() as u64).sum(), "byte"),
            counted(batch.damage.len() as u64, "place"),
            counted(batch.damaged_events.into(), "event"),
            match batch.count() {
                1 => "the other is".to_owned(),
                others => format!("the other {others} are"),
            }
        );
        for span in &batch.damage {
            damaged.extend_from_slice(&bytes[span.clone()]);
            // Writing to a String cannot fail.
            let _ = writeln!(report, "{}\t{}\t{}", span.start, span.len(), batch.reason(span));
        }
        self.quarantine_bytes(path, &damaged, &report, batch.damaged_events)
    }

    /// Puts a whole segment that cannot be read into the quarantine.
    fn move_aside(&self, path: &Path, reason: &str) -> Result<(), SpoolError> {
        let report = format!(
            "A segment that cannot be read: {reason}. It counts as {} as far as can be known.\n",
            counted(1, "event")
        );
        self.quarantine_file(path, &report)
    }
}
