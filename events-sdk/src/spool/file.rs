//! What is known of a spill file before its events are read.

use std::{collections::BTreeMap, io, path::Path};

use uuid::Uuid;

use super::{
    FileName, Passed, Reader, SpoolError, format, reader::Opened, scan::Found, seal::Seals, storage::Storage,
};
use crate::Level;

/// What is known of a spill file without reading its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SpoolFile {
    /// Its name in the directory.
    pub(crate) name: FileName,
    /// Its identity, from which those of its pieces follow.
    pub(crate) id: Uuid,
    /// Its length.
    pub(crate) bytes: u64,
    /// How many events it holds, those that turn out to be damaged among them.
    pub(crate) events: u32,
    /// It is one batch, sent under the file's own id.
    pub(crate) whole: bool,
    /// Toggle may have been offered some of it: known again only under the file's identity, nothing is taken out of it.
    pub(crate) offered: bool,
    /// It has a seal, which is what was written.
    pub(crate) sealed: bool,
    /// When the batch was put together, in milliseconds since the Unix epoch.
    pub(crate) timestamp_ms: i64,
    /// The severities of its events, a bit for each: see [`severities`].
    pub(crate) severities: u8,
    /// Which ledger counts its events as accepted, as its seal says; zero for none, and [`ANY_LEDGER`] for a file that is too
    /// damaged to say.
    pub(crate) ledger: u64,
}

/// No ledger counts the events of the file as accepted.
pub(crate) const NO_LEDGER: u64 = 0;

/// The file does not say whose it is, because it is damaged: whoever finds it takes it for one of its own.
pub(crate) const ANY_LEDGER: u64 = u64::MAX;

impl SpoolFile {
    /// Whether this ledger counts its events as accepted.
    pub(crate) fn is_of(&self, ledger: u64) -> bool {
        self.ledger == ledger || self.ledger == ANY_LEDGER
    }

    /// Whether it says which ledger counts them.
    pub(crate) fn names_ledger(&self) -> bool {
        !matches!(self.ledger, NO_LEDGER | ANY_LEDGER)
    }
}

/// What was cut off a file, or written over at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Nothing, for all that is known.
    Nothing,
    /// So many events that were not dealt with.
    Events(u32),
    /// Nothing is left that could tell how many.
    NobodyKnows,
}

/// What is known of a spill file, as [`Spool::inspect_rest`](super::Spool::inspect_rest) gives it, and how many of its events are of each level, by the
/// level's number on the wire: of those that could be read, where it has no seal. And what was cut off it.
pub(super) fn inspect_file(
    storage: &dyn Storage,
    name: &FileName,
    path: &Path,
    passed: impl FnOnce(&SpoolFile) -> Passed,
) -> Result<(SpoolFile, BTreeMap<i32, u32>, Cut), SpoolError> {
    let failed = |error| SpoolError::of_file("read the spill file", path, error);
    let (mut file, levels, mut cut) = look_into(storage, name, path).map_err(failed)?;
    if let Cut::Events(cut_off) = &mut cut {
        let passed = passed(&file);
        // What is gone of that does not count. In which pieces the rest was only a reader knows.
        if passed.events > 0 {
            *cut_off = Reader::open(storage, path.to_owned(), &file)?.cut_off(passed)?.min(file.events);
        }
        file.events -= *cut_off;
    }
    Ok((file, levels, cut))
}

/// The same with what a file is said to have held, and what of that is gone with its end.
fn look_into(
    storage: &dyn Storage,
    name: &FileName,
    path: &Path,
) -> io::Result<(SpoolFile, BTreeMap<i32, u32>, Cut)> {
    let modified_ms = storage.metadata(path)?.modified_ms;
    let mut file = storage.open(path)?;
    let bytes = file.size()?;
    let mut about = SpoolFile {
        name: name.clone(),
        id: name.id(),
        bytes,
        events: 0,
        whole: false,
        offered: false,
        sealed: false,
        timestamp_ms: 0,
        severities: 0,
        ledger: 0,
    };
    let (mut levels, mut cut) = (BTreeMap::<i32, u32>::new(), Cut::Nothing);
    if let Some(tail) = Seals::intact_tail(file.as_mut(), bytes)? {
        about.events = tail.seal.events;
        about.whole = tail.seal.whole && bytes <= format::WHOLE_BYTES;
        about.offered = tail.seal.offered;
        about.sealed = true;
        about.timestamp_ms = tail.timestamp_ms;
        about.ledger = tail.seal.ledger;
        levels.extend(tail.seal.levels.iter().map(|count| (count.level, count.events)));
    } else {
        let Opened { mut scanner, seals, .. } = Opened::new(file)?;
        let (mut is_damaged, is_cut) = (seals.is_damaged, seals.is_cut());
        while let Some(found) = scanner.next()? {
            about.events = about.events.saturating_add(match found {
                Found::Event(entry) => {
                    *levels.entry(format::brief(entry).0).or_default() += 1;
                    1
                }
                Found::Damage(span) => {
                    is_damaged = true;
                    span.events
                }
            });
        }
        let timestamp_ms = seals.tail.map(|tail| tail.timestamp_ms).or(scanner.timestamp_ms());
        about.timestamp_ms = timestamp_ms.unwrap_or(0);
        if let Some(seal) = seals.seal {
            // What is left of the end may look like an event.
            let cut_off = if is_cut { seal.events.saturating_sub(about.events) } else { 0 };
            cut = if cut_off > 0 { Cut::Events(cut_off) } else { Cut::Nothing };
            about.events = seal.events;
            about.whole = seal.whole && bytes <= format::WHOLE_BYTES;
            about.offered = seal.offered;
            about.ledger = seal.ledger;
        } else {
            let is_cut_off = is_cut_off(name, bytes, timestamp_ms);
            if is_cut_off || is_damaged || scanner.passed_seal() {
                about.ledger = ANY_LEDGER;
            }
            cut = if is_cut_off { Cut::NobodyKnows } else { Cut::Nothing };
        }
    }
    if about.timestamp_ms <= 0 {
        about.timestamp_ms = name.time_ms().unwrap_or(modified_ms);
    }
    about.severities = severities(levels.iter().map(|(&level, &events)| (level, events)));
    Ok((about, levels, cut))
}

/// Whether a file without a seal, of this length and with this `batch_timestamp`, lost its end, where it is cut between two events and
/// nothing else tells: it has a name as we give it, and we never leave one without a seal.
pub(super) fn is_cut_off(name: &FileName, bytes: u64, timestamp_ms: Option<i64>) -> bool {
    bytes == 0 || (timestamp_ms.is_none() && name.time_ms().is_some())
}

/// The severity of a level, by its number on the wire; zero for one that is not known.
pub(crate) fn severity_of(level: i32) -> u8 {
    Level::from_number(level).map_or(0, Level::severity)
}

/// The severities of the levels of which there are events, a bit for each.
pub(super) fn severities(levels: impl Iterator<Item = (i32, u32)>) -> u8 {
    levels.filter(|&(_, events)| events > 0).fold(0, |all, (level, _)| all | 1 << severity_of(level))
}
