//! Looks into a spool without being its owner: no lock is taken, nothing is made, changed or removed.
//!
//! For tools. The directory may belong to an agent that is running, so whatever was listed may be gone by the time it is
//! opened ([`SpoolErrorKind::Missing`](super::SpoolErrorKind)), or to a node that is long dead. What is found in a file
//! is what [`Spool::read`](super::Spool::read) would find: the same scanner walks over it.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    FileName, LOCK, Passed, RefusedOf, SpoolError, SpoolFile, ballast,
    disk::{Disk, NOTE_BYTES, is_locked},
    file::{inspect_file, is_cut_off},
    format::varint,
    list_files, quarantine,
    reader::Opened,
    scan::{Found, Reason, Scanner, Span, Trust},
    seal::Seals,
    segment_view::SegmentScan,
    storage::{EntryKind, ReadFile, Storage},
};
use crate::ledger;

mod aside;

pub(crate) use aside::Aside;

/// A directory of spill files, as an onlooker sees it.
#[derive(Debug, Clone)]
pub(crate) struct View {
    dir: PathBuf,
    pub(super) storage: Arc<dyn Storage>,
}

/// Who works in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holder {
    /// No process does.
    Nobody,
    /// This process does, as it noted in its lock.
    Process(u32),
    /// Nobody can tell.
    Unknown,
}

/// What an onlooker sees of a file before its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Its length.
    pub(crate) bytes: u64,
    /// How many events its seal counts, or what its start repeats of a seal that is gone; `None` without either.
    pub(crate) sealed_events: Option<u32>,
    /// Its seal, or what its start repeats of it, is not what was written, or not there any more.
    pub(crate) is_seal_damaged: bool,
    /// Its end is damaged or gone, and its start says what was in it.
    pub(crate) is_cut: bool,
    /// The seal's checksum over the file is right.
    pub(crate) intact: bool,
    /// It is one batch, sent under the file's own id.
    pub(crate) whole: bool,
    /// The fingerprint of the schema that the writer was built from; `None` without a seal that is what was written.
    pub(crate) fingerprint: Option<u64>,
}

/// Something in a file.
#[derive(Debug)]
pub(crate) enum Item<'a> {
    /// An event: its entry as it stands in the file, with tag and length, and its body without.
    Event { entry: &'a [u8], body: &'a [u8] },
    /// Bytes that are not an event and are no part of a batch.
    Damage { offset: u64, bytes: u64, events: u32, reason: String },
}

/// Walks through one file with the memory of one event, or through one segment.
pub(crate) struct Scan {
    path: PathBuf,
    seen: Seen,
    /// It ends within a field.
    ends_within: bool,
    walker: Walker,
}

enum Walker {
    File(Scanner<Box<dyn ReadFile>>),
    Segment(SegmentScan),
}

impl View {
    /// Of this directory, which need not exist.
    pub(crate) fn of(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), storage: Arc::new(Disk) }
    }

    /// The directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Of the folder in which this spool's quarantine is, if there is one. Fails where a link, or something else, has its name.
    pub(crate) fn quarantine(&self) -> Result<Option<Self>, SpoolError> {
        let dir = self.dir.join(quarantine::FOLDER);
        match quarantine::is_folder(self.storage.as_ref(), &dir) {
            Ok(there) => Ok(there.then(|| Self { dir, storage: Arc::clone(&self.storage) })),
            Err(error) => Err(SpoolError::new("list the quarantine", &dir, error)),
        }
    }

    /// Whether an agent has worked here, or set something aside.
    pub(crate) fn was_used(&self) -> bool {
        let signs = [LOCK, ledger::FILE, quarantine::FOLDER];
        // The quarantine itself may be looked at.
        self.dir.ends_with(quarantine::FOLDER) || signs.iter().any(|name| self.dir.join(name).exists())
    }

    /// Who holds the lock.
    pub(crate) fn holder(&self) -> Holder {
        let lock = self.dir.join(LOCK);
        match is_locked(&lock) {
            Ok(true) => {}
            Ok(false) => return Holder::Nobody,
            Err(_) => return Holder::Unknown,
        }
        let mut note = String::new();
        let noted = self.storage.open(&lock).and_then(|file| file.take(NOTE_BYTES).read_to_string(&mut note));
        let process = noted.ok().and_then(|_| note.trim().parse().ok());
        process.map_or(Holder::Unknown, Holder::Process)
    }

    /// How many bytes are set aside for the moment when the disk is full.
    pub(crate) fn ballast_bytes(&self) -> u64 {
        ballast::bytes(self.storage.as_ref(), &self.dir).unwrap_or_default()
    }

    /// The spill files, oldest first.
    pub(crate) fn list(&self) -> Result<Vec<FileName>, SpoolError> {
        list_files(self.storage.as_ref(), &self.dir, &|_| true)
    }

    /// Everything else that lies here: its name, and whether it is a regular file.
    pub(crate) fn others(&self) -> Result<Vec<(OsString, bool)>, SpoolError> {
        let mut others = Vec::new();
        let mut each = |name: OsString, kind| {
            let is_file = kind == EntryKind::File;
            if !is_file || FileName::parse(&name).is_none() {
                others.push((name, is_file));
            }
        };
        self.storage
            .list(&self.dir, &mut each)
            .map_err(|error| SpoolError::new("list the spool directory", &self.dir, error))?;
        others.sort_unstable();
        Ok(others)
    }

    /// How many events the quarantine holds, as far as it can be known.
    pub(crate) fn quarantined_events(&self) -> Result<u64, SpoolError> {
        quarantine::look_through(
            self.storage.as_ref(),
            &self.dir.join(quarantine::FOLDER),
            &mut RefusedOf::new(),
        )
    }

    /// What is known of a file, and how many of its events are of each level, by the level's number on the wire. Reads the
    /// end of a sealed file and all of any other.
    pub(crate) fn inspect(&self, name: &FileName) -> Result<(SpoolFile, BTreeMap<i32, u32>), SpoolError> {
        inspect_file(self.storage.as_ref(), name, &self.path_of(name), |_| Passed::default())
            .map(|(file, levels, _)| (file, levels))
    }

    /// What is known of a file of which something is dealt with, as an agent would [inspect](super::Spool::inspect_rest) it.
    pub(crate) fn inspect_rest(
        &self,
        name: &FileName,
        passed: impl FnOnce(&SpoolFile) -> Passed,
    ) -> Result<SpoolFile, SpoolError> {
        inspect_file(self.storage.as_ref(), name, &self.path_of(name), passed).map(|(file, ..)| file)
    }

    /// Whether what a file says of itself, at its start and at its end, is not what was written. Reads nothing else of it.
    pub(crate) fn is_seal_damaged(&self, name: &FileName) -> Result<bool, SpoolError> {
        let path = self.path_of(name);
        let seals = self.storage.open(&path).and_then(|mut file| {
            let bytes = file.size()?;
            Seals::find(file.as_mut(), bytes)
        });
        seals
            .map(|seals| seals.is_damaged)
            .map_err(|error| SpoolError::of_file("read the spill file", &path, error))
    }

    /// Opens a file to walk through it. Reads it through once, to compare the checksum.
    pub(crate) fn scan(&self, name: &FileName) -> Result<Scan, SpoolError> {
        let path = self.path_of(name);
        let opened = self
            .storage
            .open(&path)
            .and_then(Opened::new)
            .map_err(|error| SpoolError::of_file("read the spill file", &path, error))?;
        let seal = opened.seals.seal.as_ref();
        let whole_seal = seal.filter(|_| !opened.seals.is_damaged);
        let seen = Seen {
            bytes: opened.bytes,
            sealed_events: seal.map(|seal| seal.events),
            is_seal_damaged: opened.seals.is_damaged,
            is_cut: opened.seals.is_cut(),
            intact: opened.scanner.trust() == Trust::Intact,
            whole: seal.is_some_and(|seal| seal.whole),
            fingerprint: whole_seal.map(|seal| seal.schema_fingerprint),
        };
        Ok(Scan { path, seen, ends_within: false, walker: Walker::File(opened.scanner) })
    }

    /// The same of a segment.
    pub(crate) fn scan_in_segment(&self, path: &Path) -> Result<Scan, SpoolError> {
        let scan = self.scan_segment(path)?;
        let (bytes, fingerprint) = scan.about();
        let seen = Seen {
            bytes,
            sealed_events: None,
            is_seal_damaged: false,
            is_cut: false,
            intact: false,
            whole: true,
            fingerprint,
        };
        Ok(Scan { path: path.to_owned(), seen, ends_within: false, walker: Walker::Segment(scan) })
    }

    /// Where a file of this name lies.
    pub(crate) fn path_of(&self, name: &FileName) -> PathBuf {
        self.dir.join(name.to_os_string())
    }
}

impl Scan {
    /// What is known of the file.
    pub(crate) fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Whether it ends too early though nothing in it is damaged. Known once [`next`](Self::next) has given `None`.
    pub(crate) fn is_cut_off(&self) -> bool {
        let Walker::File(scanner) = &self.walker else { return false };
        let name = self.path.file_name().and_then(FileName::parse);
        self.seen.sealed_events.is_none()
            && name.is_some_and(|name| is_cut_off(&name, self.seen.bytes, scanner.timestamp_ms()))
    }

    /// Whether it is a segment that does not tell how many events were in it.
    pub(crate) fn is_open(&self) -> bool {
        matches!(&self.walker, Walker::Segment(segment) if segment.is_open())
    }

    /// Whether it ends within a field. Known once [`next`](Self::next) has given `None`.
    pub(crate) fn ends_within_a_field(&self) -> bool {
        self.ends_within
    }

    /// Whether all fields are there up to a seal that nobody can read. Known once [`next`](Self::next) has given `None`.
    pub(crate) fn reaches_its_seal(&self) -> bool {
        let Walker::File(scanner) = &self.walker else { return false };
        // The seal is the last field, behind the time of the batch.
        !self.ends_within && scanner.passed_seal() && scanner.timestamp_ms().is_some()
    }

    /// Whether its seal is not what was written: then nothing vouches for what it says of itself, even where every event is good.
    /// Known once [`next`](Self::next) has given `None`.
    pub(crate) fn is_seal_damaged(&self) -> bool {
        let Walker::File(scanner) = &self.walker else { return false };
        self.seen.is_seal_damaged || (self.seen.sealed_events.is_none() && scanner.passed_seal())
    }

    /// What comes next in it; `None` at its end.
    pub(crate) fn next(&mut self) -> Result<Option<Item<'_>>, SpoolError> {
        let scanner = match &mut self.walker {
            Walker::File(scanner) => scanner,
            Walker::Segment(segment) => return Ok(segment.next()),
        };
        let found = match scanner.next() {
            Ok(found) => found,
            Err(error) => return Err(SpoolError::of_file("read the spill file", &self.path, error)),
        };
        self.ends_within |= matches!(&found, Some(Found::Damage(span)) if span.reason == Reason::CutOff);
        Ok(found.map(|found| match found {
            Found::Event(entry) => Item::Event { entry, body: body_of(entry) },
            Found::Damage(Span { offset, len, reason, events }) => {
                Item::Damage { offset, bytes: len, events, reason: reason.to_string() }
            }
        }))
    }
}

/// The event in an entry that the scanner has framed.
fn body_of(entry: &[u8]) -> &[u8] {
    let tag = varint(entry).map_or(0, |(_, len)| len);
    let length = varint(&entry[tag..]).map_or(0, |(_, len)| len);
    &entry[tag + length..]
}
