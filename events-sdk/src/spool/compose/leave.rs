//! Spill files that the `events` tool leaves in a directory, beside whichever agent works there.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use uuid::Uuid;

use super::{Composer, Quota, Sealing};
use crate::spool::{FileName, SpoolError, disk::Disk, storage::Storage};

/// How often a batch is written that somebody takes away while it is: an agent starts once, not thrice in a row.
const ATTEMPTS: u32 = 3;

impl Composer {
    /// Begins a file that will lie in this directory. `id` names the temporary file.
    pub(crate) fn begin(dir: &Path, id: Uuid) -> Result<Self, SpoolError> {
        let temp = dir.join(format!(".{id}.tmp"));
        let file =
            Disk.create(&temp).map_err(|error| SpoolError::new("write the spill file", &temp, error))?;
        Ok(Self::begin_on(Arc::new(Disk), temp, file))
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
            .and_then(|_| prepare(&self.temp))
            .and_then(|()| if replace { Ok(()) } else { self.must_be_free(target) })
            .and_then(|()| self.storage.rename(&self.temp, target));
        finished.map_err(|error| SpoolError::new("write the spill file", target, error))?;
        self.finished = true;
        let dir = target.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        self.storage.sync_dir(dir).map_err(|error| SpoolError::new("sync the directory", dir, error))?;
        Ok(self.bytes)
    }

    fn must_be_free(&self, target: &Path) -> io::Result<()> {
        match self.storage.metadata(target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Err(io::Error::new(io::ErrorKind::AlreadyExists, "another file of this name is there")),
        }
    }
}

/// What a file of one event has beside it, and some.
const FRAME: u64 = 256;

/// Leaves one batch of one event in a spool, for whichever agent works there: needs no lock, because the name is new and
/// appears with the whole file. Makes the directory if need be. Returns where the file lies.
///
/// # Errors
///
/// When it cannot be written, or would take up more than the spool may.
pub(crate) fn leave(
    dir: &Path,
    quota: Quota,
    sealing: Sealing,
    entry: &[u8],
    level: i32,
    prepare: impl Fn(&Path) -> io::Result<()>,
) -> Result<PathBuf, SpoolError> {
    let target = dir.join(FileName::of(sealing.id).to_os_string());
    quota.check(&Disk, dir, entry.len() as u64 + FRAME, level)?;
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
