//! Looks into segments without being their owner: what a killed process left in them, or a running one keeps there.
//!
//! A running process writes while this reads. What it finishes is seen or not, never by half: the end of the entries is
//! read before the entries are, and it is moved last. An entry just being marked as dropped, or a segment that serves
//! another batch meanwhile, would look damaged; so damage is believed when it is found twice in the same place.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io::{self, Read},
    ops::Range,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use uuid::Uuid;

use super::{
    FileName, SpoolError, SpoolFile, View, format::varint, segments::MOST_BYTES, severities,
    storage::EntryKind, view::Item,
};
use crate::{
    chunk::level_counts,
    segment::{self, format},
};

/// So often a segment is read that looks damaged, and different every time: its process is at work in it.
const TRIES: usize = 10;

/// The pause in between. Marking an entry takes nanoseconds, but the thread that does it may have to wait for its turn.
const PAUSE: Duration = Duration::from_millis(2);

/// A segment that is being made is no longer empty after this.
const MAKING: Duration = Duration::from_millis(100);

/// What is wrong where events have no byte left.
const CUT: &str = "it is shorter than it was";

/// Walks through what a segment holds.
pub(crate) struct SegmentScan {
    bytes: u64,
    fingerprint: Option<u64>,
    events: Vec<u8>,
    at: usize,
    /// Damaged places, their events, and what is wrong, the last first. Without a byte for events that were cut off.
    damage: Vec<(Range<usize>, u32, &'static str)>,
    /// Nobody can tell how many events were in it.
    is_open: bool,
}

impl View {
    /// The segments that hold something, and the name of the file that each becomes at the next start of its process.
    pub(crate) fn list_segments(&self) -> Result<Vec<(PathBuf, FileName)>, SpoolError> {
        let mut segments: Vec<_> = self
            .segment_files()?
            .into_iter()
            .filter_map(|path| {
                // What cannot be read now is told when it is read as a whole.
                let id = self.id_in(&path).unwrap_or(Some(Uuid::nil()))?;
                Some((path, FileName::of(id)))
            })
            .collect();
        segments.sort_unstable_by(|(path, name), (other_path, other)| (name, path).cmp(&(other, other_path)));
        Ok(segments)
    }

    /// The segments that are empty, which none stays that a process has made.
    pub(crate) fn list_emptied_segments(&self) -> Result<Vec<PathBuf>, SpoolError> {
        let mut emptied = self.segment_files()?;
        emptied.retain(|path| self.is_emptied(path));
        if !emptied.is_empty() {
            thread::sleep(MAKING);
            emptied.retain(|path| self.is_emptied(path));
            emptied.sort_unstable();
        }
        Ok(emptied)
    }

    /// Whether a segment has no byte.
    pub(crate) fn is_emptied(&self, path: &Path) -> bool {
        self.storage.metadata(path).is_ok_and(|there| there.len == 0)
    }

    fn segment_files(&self) -> Result<Vec<PathBuf>, SpoolError> {
        let folder = self.dir().join(segment::FOLDER);
        match self.storage.metadata(&folder) {
            Ok(there) if there.kind == EntryKind::Dir => {}
            Ok(_) => return Ok(Vec::new()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(SpoolError::new("look at", &folder, error)),
        }
        let mut paths = Vec::new();
        let mut each = |name: OsString, kind| {
            if kind == EntryKind::File && name.as_encoded_bytes().ends_with(segment::ENDING.as_bytes()) {
                paths.push(folder.join(name));
            }
        };
        self.storage
            .list(&folder, &mut each)
            .map_err(|error| SpoolError::new("list the segments in", &folder, error))?;
        Ok(paths)
    }

    /// The id of the batch in a segment; `None` while it holds nothing.
    fn id_in(&self, path: &Path) -> io::Result<Option<Uuid>> {
        let mut header = Vec::new();
        self.storage.open(path)?.take(format::HEADER as u64).read_to_end(&mut header)?;
        Ok(match format::read(&header) {
            format::Found::Nothing => None,
            format::Found::Batch(batch) => Some(batch.id),
            format::Found::Unreadable(_) => Some(Uuid::nil()),
        })
    }

    /// What is known of a segment: as of the file that it becomes.
    pub(crate) fn inspect_segment(&self, path: &Path) -> Result<(SpoolFile, BTreeMap<i32, u32>), SpoolError> {
        let (found, bytes, _) = self.settled(path)?;
        let (id, levels, timestamp_ms) = match &found {
            format::Found::Batch(batch) => (batch.id, level_counts(&batch.by_severity), batch.timestamp_ms),
            _ => (Uuid::nil(), Vec::new(), None),
        };
        let name = FileName::of(id);
        let file = SpoolFile {
            id,
            bytes,
            events: levels.iter().map(|(_, count)| count).sum(),
            whole: true,
            offered: timestamp_ms.is_some(),
            sealed: false,
            timestamp_ms: timestamp_ms.or_else(|| name.time_ms()).unwrap_or(0),
            severities: severities(levels.iter().copied()),
            ledger: super::ANY_LEDGER,
            name,
        };
        Ok((file, levels.into_iter().collect()))
    }

    /// Opens a segment to walk through it.
    pub(crate) fn scan_segment(&self, path: &Path) -> Result<SegmentScan, SpoolError> {
        let (found, bytes, count) = self.settled(path)?;
        let (events, damage) = (Vec::new(), Vec::new());
        let mut scan = SegmentScan { bytes, fingerprint: None, events, at: 0, damage, is_open: false };
        match found {
            format::Found::Nothing => {}
            format::Found::Unreadable(reason) => {
                let end = bytes as usize;
                // What is left of it is set aside, and counts as one.
                match count {
                    Some(count) if count > 1 => scan.damage.push((end..end, count - 1, CUT)),
                    Some(_) => {}
                    None => scan.is_open = true,
                }
                scan.damage.push((0..end, 1, reason));
            }
            format::Found::Batch(batch) => {
                let mut events = batch.damaged_events;
                scan.fingerprint = Some(batch.fingerprint);
                scan.damage = batch
                    .damage
                    .iter()
                    .map(|span| (span.clone(), std::mem::take(&mut events), batch.reason(span)))
                    .collect();
                events += batch.cut_events;
                if events > 0 {
                    let end = bytes as usize;
                    scan.damage.push((end..end, events, CUT));
                }
                scan.damage.reverse();
                scan.events = batch.events;
            }
        }
        Ok(scan)
    }

    /// What is in a segment, its length, and how many events it had where it is too short to be read and tells. A segment that holds
    /// nothing any more is missing.
    fn settled(&self, path: &Path) -> Result<(format::Found, u64, Option<u32>), SpoolError> {
        let failed = |error| SpoolError::of_file("read the segment", path, error);
        let mut before = None;
        for _ in 0..TRIES {
            let file = self.storage.open(path).map_err(failed)?;
            let length = file.size().map_err(failed)?;
            if length > MOST_BYTES {
                return Ok((format::Found::Unreadable("it is longer than any segment"), length, None));
            }
            let mut bytes = Vec::new();
            file.take(MOST_BYTES).read_to_end(&mut bytes).map_err(failed)?;
            let found = format::read(&bytes);
            let wrong = match &found {
                format::Found::Nothing => {
                    return Err(failed(io::Error::new(io::ErrorKind::NotFound, "it holds nothing any more")));
                }
                format::Found::Unreadable(_) => Some((Uuid::nil(), Vec::new(), 1)),
                format::Found::Batch(batch) => {
                    let events = batch.damaged_events + batch.cut_events;
                    let is_whole = batch.damage.is_empty() && events == 0;
                    (!is_whole).then(|| (batch.id, batch.damage.clone(), events))
                }
            };
            if wrong.is_none() || wrong == before {
                return Ok((found, length, format::count_in_rest(&bytes)));
            }
            before = wrong;
            thread::sleep(PAUSE);
        }
        Err(failed(io::Error::new(io::ErrorKind::NotFound, "its process is at work in it")))
    }
}

impl SegmentScan {
    /// Its length, and the fingerprint of the schema that the writer was built from.
    pub(super) fn about(&self) -> (u64, Option<u64>) {
        (self.bytes, self.fingerprint)
    }

    /// Whether nobody can tell how many events were in it.
    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    /// What comes next in it: its events, then what is damaged.
    pub(super) fn next(&mut self) -> Option<Item<'_>> {
        // The reader of segments has framed them: a tag of one byte, the length, the body.
        if let Some((length, size)) = self.events.get(self.at + 1..).and_then(varint) {
            let start = self.at;
            let body = start + 1 + size;
            self.at = body + usize::try_from(length).unwrap_or(usize::MAX).min(self.events.len() - body);
            return Some(Item::Event {
                entry: &self.events[start..self.at],
                body: &self.events[body..self.at],
            });
        }
        let (span, events, reason) = self.damage.pop()?;
        Some(Item::Damage {
            offset: span.start as u64,
            bytes: span.len() as u64,
            events,
            reason: reason.to_owned(),
        })
    }
}
