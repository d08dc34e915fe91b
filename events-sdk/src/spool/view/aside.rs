//! What is damaged in files and segments that still wait, or was refused of them, and lies in the quarantine already.
//!
//! An agent sets aside what is damaged of a file when it has read it to its end, and the file goes when its last piece is dealt with:
//! until then those events are in both. The next start puts them there again under the same name, and counts them once; so must
//! whoever only looks. Of events that were [refused](super::super::refused) the same is true.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    io::{self, Read, SeekFrom},
    os::unix::ffi::OsStrExt,
    path::Path,
};

use uuid::Uuid;

use super::{
    super::{
        FileName, Passed, Reader, Refused, RefusedOf, SpoolError, SpoolFile,
        format::{CHUNK, Crc},
        quarantine::{self, FOLDER},
        refused,
        scan::{Found, Span},
        storage::{EntryKind, ReadFile},
    },
    Opened, View,
};
use crate::ledger::Step;

/// What a quarantine holds.
pub(crate) struct Aside {
    view: View,
    /// The names of the files there, as bytes.
    names: BTreeSet<Vec<u8>>,
    /// The refused events that say from which file they are.
    refused: RefusedOf,
}

impl View {
    /// Looks at the quarantine of this spool.
    pub(crate) fn aside(&self) -> Result<Aside, SpoolError> {
        let names = self.names_aside()?;
        let mut refused = RefusedOf::new();
        quarantine::look_through(self.storage.as_ref(), &self.dir.join(FOLDER), &mut refused)?;
        Ok(Aside { view: self.clone(), names, refused })
    }

    /// The spill file in which a refused event of the quarantine still waits, if it does. `step` says how far a file is dealt with; of
    /// one that is only to be removed it says nothing.
    pub(crate) fn waits_in(
        &self,
        name: &FileName,
        step: impl FnOnce(Uuid) -> Option<Step>,
    ) -> Result<Option<FileName>, SpoolError> {
        let path = self.dir.join(FOLDER).join(name.to_os_string());
        let mut refused = RefusedOf::new();
        quarantine::look_into(self.storage.as_ref(), &path, &mut refused)
            .map_err(|error| SpoolError::of_file("read the quarantined file", &path, error))?;
        // It is from one file.
        let Some((id, refused)) = refused.into_iter().next() else { return Ok(None) };
        let Some(file) = self.list()?.into_iter().find(|file| file.id() == id) else { return Ok(None) };
        let Some(passed) = step(id).map(Passed::of) else { return Ok(None) };
        let file = self.inspect_rest(&file, |_| passed)?;
        let reader = Reader::open(self.storage.as_ref(), self.path_of(&file.name), &file)?;
        let waits = !refused::found_in(reader, passed, &refused)?.is_empty();
        Ok(waits.then_some(file.name))
    }

    fn names_aside(&self) -> Result<BTreeSet<Vec<u8>>, SpoolError> {
        let mut names = BTreeSet::new();
        quarantine::list_folder(self.storage.as_ref(), &self.dir.join(FOLDER), &mut |name, kind| {
            let is_ours = [b".damaged".as_slice(), b".pb"].iter().any(|end| name.as_bytes().ends_with(end));
            if kind == EntryKind::File && is_ours {
                names.insert(name.as_bytes().to_owned());
            }
        })?;
        Ok(names)
    }
}

impl Aside {
    /// Whether something was set aside, or went, since it was looked at.
    pub(crate) fn has_changed(&self) -> Result<bool, SpoolError> {
        Ok(self.view.names_aside()? != self.names)
    }

    /// Which events of a spill file were refused and lie there as well, of those that are not dealt with.
    pub(crate) fn refused_in(&self, file: &SpoolFile, passed: Passed) -> Result<Vec<Refused>, SpoolError> {
        let Some(refused) = self.refused.get(&file.id) else { return Ok(Vec::new()) };
        let reader = Reader::open(self.view.storage.as_ref(), self.view.path_of(&file.name), file)?;
        refused::found_in(reader, passed, refused)
    }

    /// How many events of a spill file lie there as well, as far as can be known: none where what is damaged in it now is not what was
    /// set aside.
    pub(crate) fn of_file(&self, name: &FileName) -> Result<u64, SpoolError> {
        let mut of_it = name.to_os_string();
        of_it.push(".");
        let of_it = of_it.as_bytes().to_owned();
        let next = self.names.range(of_it.clone()..).next();
        if !next.is_some_and(|next| next.starts_with(&of_it)) {
            return Ok(0);
        }
        let path = self.view.path_of(name);
        let crc = self
            .damage_of(&path)
            .map_err(|error| SpoolError::of_file("read the spill file", &path, error))?;
        self.events_of(&quarantine::damaged_name(name, &crc))
    }

    /// The same of a segment.
    pub(crate) fn of_segment(&self, path: &Path) -> Result<u64, SpoolError> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".damaged");
        self.events_of(&name)
    }

    /// How many events a file of the quarantine holds, by what is said of it there.
    fn events_of(&self, name: &OsStr) -> Result<u64, SpoolError> {
        if !self.names.contains(name.as_bytes()) {
            return Ok(0);
        }
        let path = self.view.dir.join(FOLDER).join(name);
        match quarantine::events_in(self.view.storage.as_ref(), &path) {
            // Cleared meanwhile, or its description was not written.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            events => events
                .map_err(|error| SpoolError::of_file("count what is in the quarantined file", &path, error)),
        }
    }

    /// The sum of all that is damaged in a spill file, in order.
    fn damage_of(&self, path: &Path) -> io::Result<Crc> {
        let mut scanner = self.view.storage.open(path).and_then(Opened::new)?.scanner;
        let mut source = self.view.storage.open(path)?;
        let (mut crc, mut chunk) = (Crc::new(), vec![0; CHUNK]);
        while let Some(found) = scanner.next()? {
            if let Found::Damage(span) = found {
                add(&mut crc, source.as_mut(), span, &mut chunk)?;
            }
        }
        Ok(crc)
    }
}

fn add(crc: &mut Crc, source: &mut dyn ReadFile, span: Span, chunk: &mut [u8]) -> io::Result<()> {
    source.seek(SeekFrom::Start(span.offset))?;
    let mut source = source.take(span.len);
    loop {
        match source.read(chunk) {
            Ok(0) => return Ok(()),
            Ok(read) => crc.update(&chunk[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
