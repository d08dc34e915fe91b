//! How much a spool may take up, for whoever leaves something there beside an agent, which counts for itself.
//!
//! Nothing is dropped to make room: only the agent may do that. Two who leave something at once may both find the same room.

use std::{ffi::OsString, io, path::Path};

use crate::{
    buffer::URGENT,
    segment,
    spool::{
        FileName, SpoolError, no_room, quota_for, severity_of,
        storage::{EntryKind, Storage},
    },
};

/// The bounds of the configuration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quota {
    /// `spool_max_bytes`.
    pub(crate) max_bytes: u64,
    /// `spool_min_free_bytes`.
    pub(crate) min_free: u64,
}

impl Quota {
    /// Fails where so many bytes more, of an event of this level, would be beyond the bounds. The directory need not exist.
    pub(super) fn check(
        &self,
        storage: &dyn Storage,
        dir: &Path,
        bytes: u64,
        level: i32,
    ) -> Result<(), SpoolError> {
        let full = |text| {
            let error = io::Error::new(io::ErrorKind::StorageFull, text);
            SpoolError::new("leave an event in the spool directory", dir, error)
        };
        let above = dir.ancestors().find(|dir| dir.exists()).unwrap_or(Path::new("."));
        // Where nobody can say how much is free, the write will tell.
        let free = storage.free_bytes(above).unwrap_or(u64::MAX);
        if free < self.min_free.saturating_add(bytes) {
            let error = full(no_room(bytes, free, self.min_free));
            let short = self.min_free.saturating_add(bytes) - free;
            return Err(if self.min_free > 0 { error.short_of(short) } else { error });
        }
        let is_grave = severity_of(level) >= URGENT.severity();
        let max = self.max_bytes;
        let limit = quota_for(max, is_grave);
        let there = taken(storage, dir)?;
        if there.saturating_add(bytes) > limit {
            let reserve = if is_grave { "" } else { ", a tenth of it for ERROR and above" };
            let error = full(format!("{there} bytes are there, and `spool_max_bytes` is {max}{reserve}"));
            return Err(error.advising("raise `spool_max_bytes`, or see why Toggle is away"));
        }
        Ok(())
    }
}

/// How many bytes spill files and segments take up.
fn taken(storage: &dyn Storage, dir: &Path) -> Result<u64, SpoolError> {
    let is_file = |name: &OsString| FileName::parse(name).is_some();
    let is_segment = |name: &OsString| name.as_encoded_bytes().ends_with(segment::ENDING.as_bytes());
    let segments = dir.join(segment::FOLDER);
    Ok(taken_by(storage, dir, &is_file)? + taken_by(storage, &segments, &is_segment)?)
}

fn taken_by(
    storage: &dyn Storage,
    dir: &Path,
    counts: &dyn Fn(&OsString) -> bool,
) -> Result<u64, SpoolError> {
    let mut bytes = 0_u64;
    let mut each = |name: OsString, kind| {
        if kind == EntryKind::File && counts(&name) {
            // What vanishes meanwhile takes up nothing.
            let len = storage.metadata(&dir.join(name)).map_or(0, |there| there.len);
            bytes = bytes.saturating_add(len);
        }
    };
    match storage.list(dir, &mut each) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(SpoolError::new("list the spool directory", dir, error))
        }
        _ => Ok(bytes),
    }
}
