//! Makes room: drops the least grave events of a spill file, oldest first, and keeps the others.

use uuid::Uuid;

use super::{NewFile, Spool, SpoolError, SpoolFile, format, severity_of};
use crate::Category;

/// What became of a file that was thinned.
#[derive(Debug)]
pub(crate) struct Thinned {
    /// The file with what was kept; `None` when nothing was.
    pub(crate) file: Option<SpoolFile>,
    /// What was dropped, by category and severity.
    pub(crate) dropped: Vec<(u8, u8, u64)>,
    /// Events that turned out to be damaged. They are in the quarantine.
    pub(crate) damaged: u64,
}

/// What is to be dropped.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Thinning {
    /// Events of this severity; zero stands for all levels that are not known.
    pub(crate) severity: u8,
    /// Until so many bytes of them are gone.
    pub(crate) bytes: u64,
    /// The identity of what is left. The file may have been offered to Toggle in part by an earlier process; under its
    /// own identity other bytes would go by the same ids.
    pub(crate) id: Uuid,
    /// The schema that this program was built from.
    pub(crate) fingerprint: u64,
    /// So many pieces, from the first on, have been dealt with: nothing of them is left.
    pub(crate) pieces: u32,
}

impl Spool {
    /// Drops events of one level out of a file.
    ///
    /// What is kept is on stable storage under its new name before the old file goes. When this fails, the file is as
    /// it was.
    pub(crate) fn thin(&self, file: &SpoolFile, thinning: Thinning) -> Result<Thinned, SpoolError> {
        let mut reader = self.read(file)?;
        let (mut kept, mut dropped) = (Kept::default(), Vec::new());
        let mut freed = 0;
        reader.skip_to(thinning.pieces)?;
        while let Some(piece) = reader.next_piece()? {
            for entry in format::entries(&piece.events) {
                let (level, category) = format::brief(entry);
                if severity_of(level) == thinning.severity && freed < thinning.bytes {
                    freed += entry.len() as u64;
                    count(&mut dropped, level, category);
                } else {
                    kept.add(entry, level);
                }
            }
        }
        let damaged = match reader.damage() {
            Some(damage) => {
                self.quarantine(file)?;
                u64::from(damage.events)
            }
            None => 0,
        };
        let file_left = match kept.count {
            0 => None,
            count => Some(self.write_past_the_floor(NewFile {
                id: thinning.id,
                timestamp_ms: file.timestamp_ms,
                runs: &[&kept.bytes],
                count,
                levels: &kept.levels,
                whole: file.whole,
                fingerprint: thinning.fingerprint,
                ledger: file.ledger,
            })?),
        };
        self.remove(file)?;
        // What is kept has other ids now: should the old file come back, nobody would know it for a repeat.
        self.sync_removals();
        Ok(Thinned { file: file_left, dropped, damaged })
    }
}

/// The events that stay.
#[derive(Debug, Default)]
struct Kept {
    bytes: Vec<u8>,
    count: u32,
    levels: Vec<(i32, u32)>,
}

impl Kept {
    fn add(&mut self, entry: &[u8], level: i32) {
        self.bytes.extend_from_slice(entry);
        self.count = self.count.saturating_add(1);
        match self.levels.iter_mut().find(|(known, _)| *known == level) {
            Some((_, count)) => *count += 1,
            None => self.levels.push((level, 1)),
        }
    }
}

fn count(dropped: &mut Vec<(u8, u8, u64)>, level: i32, category: i32) {
    let severity = severity_of(level);
    let category = Category::from_number(category).map_or(0, |category| category as u8);
    match dropped.iter_mut().find(|(one, other, _)| (*one, *other) == (category, severity)) {
        Some((_, _, count)) => *count += 1,
        None => dropped.push((category, severity, 1)),
    }
}
