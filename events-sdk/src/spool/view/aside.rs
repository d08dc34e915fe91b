//! What is damaged in files and segments that still wait, and lies in the quarantine already.
//!
//! An agent sets aside what is damaged of a file when it has read it to its end, and the file goes when its last piece is dealt with:
//! until then those events are in both. The next start puts them there again under the same name, and counts them once; so must
//! whoever only looks.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    io::{self, Read, SeekFrom},
    os::unix::ffi::OsStrExt,
    path::Path,
};

use super::{
    super::{
        FileName, SpoolError,
        format::{CHUNK, Crc},
        quarantine::{self, FOLDER},
        scan::{Found, Span},
        storage::{EntryKind, ReadFile},
    },
    Opened, View,
};

/// What a quarantine holds of damaged bytes.
pub(crate) struct Aside {
    view: View,
    /// The names of these files, as bytes.
    names: BTreeSet<Vec<u8>>,
}

impl View {
    /// Looks at the quarantine of this spool.
    pub(crate) fn aside(&self) -> Result<Aside, SpoolError> {
        let mut names = BTreeSet::new();
        let folder = self.dir.join(FOLDER);
        quarantine::list_folder(self.storage.as_ref(), &folder, &mut |name, kind| {
            if kind == EntryKind::File && name.as_bytes().ends_with(b".damaged") {
                names.insert(name.as_bytes().to_owned());
            }
        })?;
        Ok(Aside { view: self.clone(), names })
    }
}

impl Aside {
    /// Whether something was set aside, or went, since it was looked at.
    pub(crate) fn has_changed(&self) -> Result<bool, SpoolError> {
        Ok(self.view.aside()?.names != self.names)
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
