//! The segments that wait to be used, and what is missing.
//!
//! Lies under the lock of the buffer. Nothing here makes or removes a file: the spool's thread does, when it is asked, and
//! an emitter only where none is left.

use std::{path::Path, sync::Arc};

use uuid::Uuid;

use super::{Segment, Segments, capacity_for};

/// With fewer spare ones than this, more are asked for: a burst of so many batches finds them ready.
const LOW: usize = 16;

/// Spare segments are kept up to this size, in bytes. What goes beyond is removed.
const KEPT_BYTES: usize = 32 << 20;

/// Spare segments, those to be removed, and what is to be synced.
#[derive(Debug)]
pub(crate) struct Pool {
    segments: Arc<Segments>,
    spare: Vec<Segment>,
    retired: Vec<Segment>,
    /// So many spare ones are kept at most.
    most: usize,
    /// Segments that were begun since the last sync.
    unsynced: Vec<Arc<Path>>,
    /// How many times that list was taken, and one more.
    pass: u64,
    /// Why no segment could be made at the last try.
    failed: Option<String>,
    /// Events that were accepted without one.
    unprotected: u64,
}

impl Pool {
    /// For at most so many chunks at once.
    pub(crate) fn new(segments: Arc<Segments>, chunks: usize) -> Self {
        let most = (chunks + LOW).min(KEPT_BYTES / segments.capacity).max(LOW);
        Self {
            segments,
            spare: Vec::new(),
            retired: Vec::new(),
            most,
            unsynced: Vec::new(),
            pass: 1,
            failed: None,
            unprotected: 0,
        }
    }

    /// The size of the segment that must be made before an event of `len` bytes can begin a chunk, if any.
    #[inline]
    pub(crate) fn missing_for(&self, len: usize) -> Option<usize> {
        if self.failed.is_some() {
            return None;
        }
        match capacity_for(len) {
            giant if giant > self.segments.capacity => Some(giant),
            _ => self.spare.is_empty().then_some(self.segments.capacity),
        }
    }

    /// A segment for the batch of this id, which begins with an event of `len` bytes. `None` while there are none.
    pub(crate) fn take(&mut self, made: Option<Segment>, len: usize, id: Uuid) -> Option<Segment> {
        let mut segment = match made {
            Some(made) if made.capacity() >= capacity_for(len) => made,
            other => {
                self.spare.extend(other);
                self.spare.pop_if(|spare| spare.capacity() >= capacity_for(len))?
            }
        };
        segment.begin(id, self.segments.fingerprint);
        if segment.listed < self.pass {
            segment.listed = self.pass;
            self.unsynced.push(Arc::clone(segment.path()));
        }
        Some(segment)
    }

    /// All events of a segment are elsewhere.
    pub(crate) fn give_back(&mut self, mut segment: Segment) {
        segment.set_free();
        if segment.capacity() == self.segments.capacity && self.spare.len() < self.most {
            self.spare.push(segment);
        } else {
            self.unsynced.retain(|path| path != segment.path());
            self.retired.push(segment);
        }
    }

    /// New segments have come.
    pub(crate) fn provide(&mut self, segments: Vec<Segment>) {
        if !segments.is_empty() && self.failed.take().is_some() {
            tracing::info!("segments can be made again: events outlive the process from now on");
        }
        self.spare.extend(segments);
    }

    /// None could be made.
    pub(crate) fn fail(&mut self, error: &std::io::Error) {
        if self.failed.is_none() {
            tracing::error!(%error, "no segment can be made: until that is mended, events are kept in memory only");
        }
        self.failed = Some(format!(
            "cannot make a segment: {error}; free some disk space, and check that the spool directory is writable"
        ));
    }

    /// An event is in memory only.
    pub(crate) fn count_unprotected(&mut self) {
        self.unprotected += 1;
    }

    /// How many are wanted, and which are not any more.
    pub(crate) fn order(&mut self) -> (usize, Vec<Segment>) {
        (LOW.saturating_sub(self.spare.len()), std::mem::take(&mut self.retired))
    }

    /// Whether more should be asked for just now.
    #[inline]
    pub(crate) fn is_getting_low(&self) -> bool {
        self.spare.len() == LOW / 2
    }

    /// Every spare one, to be removed.
    pub(crate) fn take_spare(&mut self) -> Vec<Segment> {
        self.retired.append(&mut self.spare);
        let unneeded = std::mem::take(&mut self.retired);
        // The next sync would miss them.
        self.unsynced.retain(|path| !unneeded.iter().any(|segment| segment.path() == path));
        unneeded
    }

    /// What is to be synced. `open` is being filled and will have to be synced again.
    pub(crate) fn take_unsynced(&mut self, open: Option<&mut Segment>) -> Vec<Arc<Path>> {
        self.pass += 1;
        let paths = std::mem::take(&mut self.unsynced);
        if let Some(open) = open {
            open.listed = self.pass;
            self.unsynced.push(Arc::clone(open.path()));
        }
        paths
    }

    /// Why no segment can be made at present.
    pub(crate) fn failure(&self) -> Option<&str> {
        self.failed.as_deref()
    }

    /// How many events were accepted without one.
    pub(crate) fn unprotected(&self) -> u64 {
        self.unprotected
    }
}
