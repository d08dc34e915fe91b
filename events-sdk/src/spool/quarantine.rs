//! Sets aside what cannot be delivered, so that nothing is deleted that somebody might still want to look at.
//!
//! It lies in the folder `quarantine` of the spool: `<spill file>.<crc32c>.damaged` holds damaged bytes one place after
//! the other, `<batch id>.pb` an event that Toggle refused, and the same name with `.txt` says where they were and why.

use std::{
    collections::{BTreeMap, HashMap},
    ffi::{OsStr, OsString},
    io::{self, Read, SeekFrom, Write},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::atomic::Ordering,
};

use uuid::Uuid;

use super::{
    FileName, NewFile, Spool, SpoolError, SpoolFile,
    format::{self, Crc},
    reader::{Damage, Done, Opened},
    refused::{self, Refused, RefusedOf},
    scan::{Found, Span},
    seal::HEAD_BYTES,
    storage::{EntryKind, ReadFile, Storage, WriteFile},
    write::write_to,
};
use crate::{Batch, generated::SCHEMA_FINGERPRINT, plural::counted, proto::BatchSeal};

/// The folder in the spool directory.
pub(crate) const FOLDER: &str = "quarantine";

/// How many damaged places are described one by one. More than a screen full helps nobody; the bytes are kept all the
/// same.
const DESCRIBED_SPANS: u64 = 100;

/// What is wrong where the seal was that stands in front of the events.
const DAMAGED_START: &str = "the seal at the start of the file is not what was written";

/// A file takes up whole blocks. This is their size on ext4 and XFS, unless they were made with another one.
const BLOCK: u64 = 4096;

/// The head of a description, which says how many events there are.
const DESCRIPTION_BYTES: u64 = 1 << 10;

impl Spool {
    /// Copies what [`read`](Self::read) could not deliver of a file to the quarantine, durably. `None` if nothing was
    /// damaged.
    ///
    /// The file itself stays: it is removed once its pieces are delivered. After a crash in between, the same bytes go
    /// to the same name again. What is `done` with is left out; that is known once the file
    /// was read to its end.
    pub(crate) fn quarantine(
        &self,
        file: &SpoolFile,
        done: Option<&Done>,
    ) -> Result<Option<Damage>, SpoolError> {
        let path = self.path_of(&file.name);
        let of_file = |error| SpoolError::of_file("read the spill file", &path, error);
        let opened = self.storage.open(&path).and_then(Opened::new).map_err(of_file)?;
        let is_shorter = opened.is_shorter_than(file);
        let Opened { scanner: mut scan, seals, .. } = opened;
        let is_start_damaged = seals.is_damaged && seals.events_start() == 0;
        let mut source = self.storage.open(&path).map_err(of_file)?;
        let (mut damage, mut found, mut report) = (None, 0_u32, String::new());
        let mut copy: Option<Copy> = None;
        while let Some(item) = scan.next().map_err(of_file)? {
            let span = match item {
                Found::Event(_) => None,
                Found::Damage(span) => Some(span),
            };
            match span {
                None => found = found.saturating_add(1),
                Some(span) if done.is_some_and(|done| done.has(span.offset)) => {}
                Some(span) => {
                    Damage::add(&mut damage, span);
                    let is_start = is_start_damaged && span.offset == 0;
                    describe(&mut report, damage.as_ref(), span, is_start);
                    let copy = match &mut copy {
                        Some(copy) => copy,
                        None => copy.insert(Copy::begin(self, &file.name)?),
                    };
                    copy.add(source.as_mut(), span).inspect_err(|_| copy.abandon(self))?;
                }
            }
        }
        let found = done.map_or(found, |done| done.found);
        let Some(damage) = Damage::settle(damage, file.events, found, is_shorter) else {
            return Ok(None);
        };
        if let Some(mut copy) = copy {
            let why = match damage.events {
                0 => "set aside though nothing undelivered was in them",
                _ => "set aside because they could not be delivered",
            };
            let report = format!(
                "Damaged bytes of the spill file {}, {why}.\n\
                 {} in {}, {} as far as can be known; the other {found} are good and were not set aside.\n\n\
                 place in the file, bytes, what is wrong:\n{report}",
                file.name,
                counted(damage.bytes, "byte"),
                counted(damage.spans, "place"),
                counted(damage.events.into(), "event"),
            );
            copy.finish(self, &report, &damage).inspect_err(|_| copy.abandon(self))?;
        }
        Ok(Some(damage))
    }

    /// Puts events that Toggle refuses into the quarantine, durably, as a file that `events spool requeue` puts back
    /// into the spool. They were in this piece of a spill file. Doing it twice is harmless.
    pub(crate) fn set_aside(
        &self,
        batch: &Batch,
        part_of: (Uuid, u32),
        reason: &str,
    ) -> Result<(), SpoolError> {
        let folder = self.quarantine_folder()?;
        let target = folder.join(format!("{}.pb", batch.id()));
        let temp = folder.join(format!(".{}.tmp", batch.id()));
        let report = format!(
            "{} that Toggle refused: {reason}\n\
             `events spool requeue` has it offered again; stop the agent first.\n",
            counted(batch.len() as u64, "event")
        );
        let written = self
            .write_file(&temp, &described_by(&target), report.as_bytes())
            .and_then(|()| self.write_batch(&temp, &target, batch, part_of))
            .and_then(|()| self.storage.sync_dir(&folder))
            .and_then(|()| self.storage.sync_dir(&self.dir));
        written.map_err(|error| SpoolError::new("set aside a refused event as", &target, error))?;
        self.twice.put(target.file_name().unwrap_or_default(), batch.len() as u64);
        Ok(())
    }

    /// Removes the oldest of the quarantine until it is within its bound. Gives the number of events that went, as far as
    /// it can be known, and why not all went that should have.
    pub(crate) fn clear_quarantine(&self) -> (u64, Result<(), SpoolError>) {
        if self.quarantined.load(Ordering::Relaxed) <= self.bounds.quarantine {
            // Looking at each of many files for each that comes would take longer and longer.
            return (0, Ok(()));
        }
        let folder = self.dir.join(FOLDER);
        let mut files = Vec::new();
        let mut each = |name: OsString, kind| {
            if kind == EntryKind::File
                && let Ok(metadata) = self.storage.metadata(&folder.join(&name))
            {
                files.push((metadata, name));
            }
        };
        match list_folder(self.storage.as_ref(), &folder, &mut each) {
            Ok(true) => {}
            Ok(false) => return (0, Ok(())),
            Err(error) => return (0, Err(error)),
        }
        let mut bytes: u64 = files.iter().map(|(metadata, _)| on_disk(metadata.len)).sum();
        self.quarantined.store(bytes, Ordering::Relaxed);
        if bytes <= self.bounds.quarantine {
            return (0, Ok(()));
        }
        // A description goes behind what it describes, though it was written before: without it nobody knows how many events
        // went.
        let times: HashMap<_, _> =
            files.iter().map(|(about, name)| (name.clone(), about.modified_ms)).collect();
        files.sort_by_cached_key(|(about, name)| {
            let described = name.as_encoded_bytes().strip_suffix(b".txt").map(OsStr::from_bytes);
            match described.and_then(|described| times.get_key_value(described)) {
                Some((described, modified_ms)) => (*modified_ms, described.clone(), true),
                None => (about.modified_ms, name.clone(), false),
            }
        });
        let (mut gone, mut stays, mut cleared) = (0, 0, Ok(()));
        for (metadata, name) in files {
            if bytes <= self.bounds.quarantine {
                break;
            }
            let path = folder.join(&name);
            let events = events_in(self.storage.as_ref(), &path).unwrap_or_default();
            match self.storage.remove(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    // The next oldest goes for it.
                    cleared = Err(SpoolError::new("clear the quarantine of", &path, error));
                    stays += on_disk(metadata.len);
                    continue;
                }
                _ => {}
            }
            (bytes, gone) = (bytes - on_disk(metadata.len), events.saturating_add(gone));
            self.twice.is_gone(&name);
        }
        // What cannot go is not looked at again before there is more.
        self.quarantined.store(bytes.saturating_sub(stays), Ordering::Relaxed);
        (gone, cleared)
    }

    /// As [`look_through_quarantine`](Self::look_through_quarantine).
    #[cfg(any(test, feature = "cli"))]
    pub(crate) fn quarantined_events(&self) -> Result<u64, SpoolError> {
        self.look_through_quarantine(&mut RefusedOf::new())
    }

    /// How many events the quarantine holds, as far as it can be known. Adds the refused events that say from which spill file they
    /// are. What is put there under a name that it holds is [counted twice](Self::counted_twice) from then on.
    pub(crate) fn look_through_quarantine(&self, refused: &mut RefusedOf) -> Result<u64, SpoolError> {
        let folder = self.dir.join(FOLDER);
        let events = look_through(self.storage.as_ref(), &folder, refused)?;
        list_folder(self.storage.as_ref(), &folder, &mut |name, _| self.twice.was_there(&name))?;
        Ok(events)
    }

    /// How many events were put into the quarantine in place of a copy of theirs, since this was asked last.
    pub(crate) fn counted_twice(&self) -> u64 {
        self.twice.take()
    }

    /// Puts bytes that were found in `source` into the quarantine, durably, with what is to be said of them. Doing it twice
    /// is harmless.
    pub(super) fn quarantine_bytes(
        &self,
        source: &Path,
        bytes: &[u8],
        report: &str,
        events: u32,
    ) -> Result<(), SpoolError> {
        let (folder, target) = self.place_for(source)?;
        let temp = folder.join(".segment.tmp");
        let written = self
            .write_file(&temp, &described_by(&target), report.as_bytes())
            .and_then(|()| self.write_file(&temp, &target, bytes))
            .and_then(|()| self.storage.sync_dir(&folder))
            .and_then(|()| self.storage.sync_dir(&self.dir));
        written.map_err(|error| failed(&target, error))?;
        self.twice.put(target.file_name().unwrap_or_default(), events.into());
        Ok(())
    }

    /// Moves a file into the quarantine, with what is to be said of it.
    pub(super) fn quarantine_file(&self, source: &Path, report: &str) -> Result<(), SpoolError> {
        let (folder, target) = self.place_for(source)?;
        let moved = self
            .write_file(&folder.join(".segment.tmp"), &described_by(&target), report.as_bytes())
            .and_then(|()| self.storage.sync_dir(&self.dir))
            .and_then(|()| self.storage.rename(source, &target))
            // How much that is, the next look tells.
            .inspect(|()| self.count_quarantined(u64::MAX))
            .and_then(|()| self.storage.sync_dir(&folder));
        moved.map_err(|error| failed(&target, error))
    }

    fn place_for(&self, source: &Path) -> Result<(PathBuf, PathBuf), SpoolError> {
        let folder = self.quarantine_folder()?;
        let mut name = source.file_name().unwrap_or_default().to_owned();
        name.push(".damaged");
        let target = folder.join(name);
        Ok((folder, target))
    }

    fn quarantine_folder(&self) -> Result<PathBuf, SpoolError> {
        self.keep_lock()?;
        let folder = self.dir.join(FOLDER);
        let made = match is_folder(self.storage.as_ref(), &folder) {
            Ok(true) => Ok(()),
            Ok(false) => self.storage.create_dir(&folder),
            Err(error) => Err(error),
        };
        made.map_err(|error| SpoolError::new("make the quarantine", &folder, error))?;
        Ok(folder)
    }

    /// So many bytes more are in the quarantine, or take the place of others: it is no less than what is there.
    fn count_quarantined(&self, bytes: u64) {
        let more = |all: u64| Some(all.saturating_add(on_disk(bytes)));
        let _ = self.quarantined.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    /// Writes a batch as a spill file: put back into the spool it is one of ours.
    fn write_batch(&self, temp: &Path, target: &Path, batch: &Batch, part_of: (Uuid, u32)) -> io::Result<()> {
        let mut levels = BTreeMap::<i32, u32>::new();
        for entry in format::entries(batch.events()) {
            *levels.entry(format::brief(entry).0).or_default() += 1;
        }
        let levels: Vec<_> = levels.into_iter().collect();
        let mut file = self.create_temp(temp)?;
        let contents = NewFile {
            id: batch.id(),
            timestamp_ms: batch.timestamp_ms(),
            runs: &[batch.events()],
            count: batch.len() as u32,
            levels: &levels,
            whole: true,
            // Toggle does not have it: it refused it.
            offered: false,
            fingerprint: SCHEMA_FINGERPRINT,
            ledger: self.ledger,
            part_of: Some(part_of),
        };
        let written = write_to(file.as_mut(), &contents).and_then(|_| self.storage.rename(temp, target));
        written.inspect(|()| self.count_quarantined(batch.encoded_len() as u64)).inspect_err(|_| {
            let _ = self.storage.remove(temp);
        })
    }

    fn write_file(&self, temp: &Path, target: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.create_temp(temp)?;
        let written =
            file.write_all(bytes).and_then(|()| file.sync()).and_then(|()| self.storage.rename(temp, target));
        written.inspect(|()| self.count_quarantined(bytes.len() as u64)).inspect_err(|_| {
            let _ = self.storage.remove(temp);
        })
    }
}

/// How much a file of so many bytes takes up.
fn on_disk(bytes: u64) -> u64 {
    bytes.checked_next_multiple_of(BLOCK).unwrap_or(bytes)
}

/// Whether the quarantine is there.
///
/// # Errors
///
/// When something else has its name. A link to a folder is such a thing: what lies behind it is not the spool's.
pub(super) fn is_folder(storage: &dyn Storage, folder: &Path) -> io::Result<bool> {
    match storage.metadata(folder) {
        Ok(there) if there.kind == EntryKind::Dir => Ok(true),
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::NotADirectory,
            "not a directory, and links are not followed; move it away",
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Calls `each` with everything in the quarantine. `false` when there is none.
pub(super) fn list_folder(
    storage: &dyn Storage,
    folder: &Path,
    each: &mut dyn FnMut(OsString, EntryKind),
) -> Result<bool, SpoolError> {
    let listed = match is_folder(storage, folder) {
        Ok(true) => storage.list(folder, each),
        Ok(false) => return Ok(false),
        Err(error) => Err(error),
    };
    match listed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        listed => {
            listed.map(|()| true).map_err(|error| SpoolError::new("list the quarantine", folder, error))
        }
    }
}

/// How many events the files of a quarantine hold, as far as it can be known. Adds the refused events that say from which spill file
/// they are, of all that can be read. Fails when one cannot be.
pub(super) fn look_through(
    storage: &dyn Storage,
    folder: &Path,
    refused: &mut RefusedOf,
) -> Result<u64, SpoolError> {
    let mut files = Vec::new();
    let mut each = |name: OsString, kind| files.extend((kind == EntryKind::File).then(|| folder.join(name)));
    if !list_folder(storage, folder, &mut each)? {
        return Ok(0);
    }
    let (mut events, mut failed) = (0_u64, None);
    for path in files {
        match look_into(storage, &path, refused) {
            Ok(count) => events = events.saturating_add(count),
            // Cleared meanwhile, or damaged bytes whose description was not written.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => failed = failed.or(Some((path, error))),
        }
    }
    failed.map_or(Ok(events), |(path, error)| {
        Err(SpoolError::of_file("count what is in the quarantined file", &path, error))
    })
}

/// How many events a file of the quarantine holds: a refused batch, or damaged bytes by what their description says.
pub(super) fn events_in(storage: &dyn Storage, path: &Path) -> io::Result<u64> {
    look_into(storage, path, &mut RefusedOf::new())
}

/// The same, and adds those that say from which spill file they are.
pub(super) fn look_into(storage: &dyn Storage, path: &Path, refused: &mut RefusedOf) -> io::Result<u64> {
    if path.extension().is_some_and(|ending| ending == "pb") {
        let Opened { mut scanner, seals, .. } = storage.open(path).and_then(Opened::new)?;
        // We set aside one event at a time. Whoever puts more into a file does not make us remember them.
        let few = |seal: &&BatchSeal| seal.events <= format::PIECE_EVENTS;
        let origin = seals.seal.as_ref().filter(few).and_then(refused::origin);
        let mut events = 0;
        while let Some(found) = scanner.next()? {
            let Found::Event(entry) = found else { continue };
            events += 1;
            if let Some((file, piece)) = origin.filter(|_| events <= u64::from(format::PIECE_EVENTS)) {
                refused.entry(file).or_default().push(Refused::new(piece, entry));
            }
        }
        return Ok(events);
    }
    if path.extension().is_some_and(|ending| ending == "damaged") {
        let mut text = Vec::new();
        storage.open(&described_by(path))?.take(DESCRIPTION_BYTES).read_to_end(&mut text)?;
        let text = String::from_utf8_lossy(&text);
        let before = text.split(" as far as can be known").next().unwrap_or_default();
        let before =
            before.strip_suffix(" events").or_else(|| before.strip_suffix(" event")).unwrap_or_default();
        // More than that was never said by us: no file counts more.
        let number = before.rsplit(char::is_whitespace).next().and_then(|number| number.parse::<u32>().ok());
        return Ok(number.unwrap_or_default().into());
    }
    Ok(0)
}

/// Damaged bytes on their way to the quarantine.
struct Copy {
    name: FileName,
    folder: PathBuf,
    temp: PathBuf,
    file: Box<dyn WriteFile>,
    crc: Crc,
}

impl Copy {
    fn begin(spool: &Spool, name: &FileName) -> Result<Self, SpoolError> {
        let folder = spool.quarantine_folder()?;
        let temp = folder.join(format!(".{name}.tmp"));
        let file = spool.create_temp(&temp).map_err(|error| failed(&temp, error))?;
        Ok(Self { name: name.clone(), folder, temp, file, crc: Crc::new() })
    }

    fn add(&mut self, source: &mut dyn ReadFile, span: Span) -> Result<(), SpoolError> {
        let copied = source.seek(SeekFrom::Start(span.offset)).and_then(|_| {
            let mut tee = Tee { file: self.file.as_mut(), crc: &mut self.crc };
            io::copy(&mut source.take(span.len), &mut tee)
        });
        copied.map(drop).map_err(|error| failed(&self.temp, error))
    }

    fn finish(&mut self, spool: &Spool, report: &str, damage: &Damage) -> Result<(), SpoolError> {
        let name = damaged_name(&self.name, &self.crc);
        let target = self.folder.join(&name);
        let text_temp = self.folder.join(format!(".{}.txt.tmp", self.name));
        let finished = self
            .file
            .sync()
            .and_then(|()| spool.write_file(&text_temp, &described_by(&target), report.as_bytes()))
            .and_then(|()| spool.storage.rename(&self.temp, &target))
            .inspect(|()| spool.count_quarantined(damage.bytes))
            .and_then(|()| spool.storage.sync_dir(&self.folder))
            .and_then(|()| spool.storage.sync_dir(&spool.dir));
        finished.map_err(|error| failed(&target, error))?;
        spool.twice.put(&name, damage.events.into());
        Ok(())
    }

    fn abandon(&self, spool: &Spool) {
        // The next start removes it if this does not.
        let _ = spool.storage.remove(&self.temp);
    }
}

/// Writes to the file and adds to its checksum.
struct Tee<'a> {
    file: &'a mut dyn WriteFile,
    crc: &'a mut Crc,
}

impl Write for Tee<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.crc.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn failed(path: &Path, error: io::Error) -> SpoolError {
    SpoolError::new("set aside the damaged bytes of a spill file as", path, error)
}

/// What damaged bytes of a file are called: by their own checksum, so that the same damage gives the same name, and other damage never
/// takes its place.
pub(super) fn damaged_name(name: &FileName, crc: &Crc) -> OsString {
    let mut full = name.to_os_string();
    full.push(format!(".{:08x}.damaged", crc.value()));
    full
}

fn described_by(target: &Path) -> PathBuf {
    let mut text = target.as_os_str().to_owned();
    text.push(".txt");
    text.into()
}

/// `is_start` says that it is where the seal at the start of the file was.
fn describe(report: &mut String, so_far: Option<&Damage>, span: Span, is_start: bool) {
    use std::fmt::Write as _;
    let spans = so_far.map_or(0, |damage| damage.spans);
    let Span { offset, len, reason, .. } = span;
    // Writing to a String cannot fail.
    let _ = match spans {
        ..=DESCRIBED_SPANS if is_start && len <= HEAD_BYTES as u64 => {
            writeln!(report, "{offset}\t{len}\t{DAMAGED_START}")
        }
        ..=DESCRIBED_SPANS if is_start => {
            writeln!(report, "{offset}\t{len}\t{DAMAGED_START}, nor is what follows it: {reason}")
        }
        ..=DESCRIBED_SPANS => writeln!(report, "{offset}\t{len}\t{reason}"),
        _ if spans == DESCRIBED_SPANS + 1 => writeln!(report, "… and more"),
        _ => Ok(()),
    };
}
