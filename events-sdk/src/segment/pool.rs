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
    /// With fewer than this, more are asked for.
    low: usize,
    /// Segments that were begun since the last sync.
    unsynced: Vec<Arc<Path>>,
    /// How many times that list was taken, and one more.
    pass: u64,
    /// Why no segment could be made at the last try.
    failed: Option<String>,
    /// How often segments had been given up when the spare ones were looked at last.
    failures: u64,
    /// Why the last sync failed, if it did.
    not_synced: Option<String>,
    /// Events that were accepted without one.
    unprotected: u64,
    /// What is still to be logged.
    news: Vec<News>,
}

/// What the log is told, by whoever does not hold the lock of the buffer: what takes the log may emit events itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum News {
    Removed(usize),
    NotMade(String),
    MadeAgain,
    NotSynced(String),
    SyncedAgain,
}

impl Pool {
    /// For at most so many chunks at once.
    pub(crate) fn new(segments: Arc<Segments>, chunks: usize) -> Self {
        let kept = KEPT_BYTES.min(usize::try_from(segments.quota.most_spare()).unwrap_or(usize::MAX));
        let most = (chunks + LOW).min(kept / segments.capacity).max(1);
        Self {
            segments,
            spare: Vec::new(),
            retired: Vec::new(),
            most,
            low: LOW.min(most),
            unsynced: Vec::new(),
            pass: 1,
            failed: None,
            failures: 0,
            not_synced: None,
            unprotected: 0,
            news: Vec::new(),
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

    /// Whether segments can be made, for all that is known.
    #[inline]
    pub(crate) fn may_give(&self) -> bool {
        self.failed.is_none()
    }

    /// A segment for the batch of this id, which begins with an event of `len` bytes. `None` while there are none.
    pub(crate) fn take(&mut self, made: Option<Segment>, len: usize, id: Uuid) -> Option<Segment> {
        let made = made.and_then(|made| {
            if self.segments.trusts(&made) {
                return Some(made);
            }
            self.retired.push(made);
            None
        });
        self.forsake();
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
        if self.segments.trusts(&segment)
            && segment.capacity() == self.segments.capacity
            && self.spare.len() < self.most
        {
            self.spare.push(segment);
            if self.spare.len() >= self.low {
                self.recover();
            }
        } else {
            self.unsynced.retain(|path| path != segment.path());
            self.retired.push(segment);
        }
    }

    /// New segments have come.
    pub(crate) fn provide(&mut self, segments: Vec<Segment>) {
        if !segments.is_empty() {
            self.recover();
        }
        let (trusted, others): (Vec<_>, Vec<_>) =
            segments.into_iter().partition(|segment| self.segments.trusts(segment));
        self.spare.extend(trusted);
        self.retired.extend(others);
    }

    /// Gives up the spare ones that were made before segments could not be trusted any more.
    fn forsake(&mut self) {
        let failures = self.segments.failures();
        if self.failures != failures {
            self.failures = failures;
            let segments = &self.segments;
            self.retired.extend(self.spare.extract_if(.., |spare| !segments.trusts(spare)));
        }
    }

    /// A sync failed: nothing that is in a segment now counts as durable.
    pub(crate) fn fail_sync(&mut self, error: &str) {
        if self.not_synced.is_none() {
            self.news.push(News::NotSynced(error.to_owned()));
        }
        self.not_synced = Some(format!("cannot sync a segment: {error}; look at the disk"));
        self.segments.distrust();
        self.unsynced.clear();
        self.forsake();
    }

    /// So many files of segments are gone: what is in segments now does not outlive the process.
    pub(crate) fn lose(&mut self, count: usize) {
        self.news.push(News::Removed(count));
        self.segments.distrust();
        self.unsynced.clear();
        self.forsake();
    }

    /// A sync went well.
    pub(crate) fn synced(&mut self) {
        if self.not_synced.take().is_some() {
            self.news.push(News::SyncedAgain);
        }
    }

    /// There are segments again.
    fn recover(&mut self) {
        if self.failed.take().is_some() {
            self.news.push(News::MadeAgain);
        }
    }

    /// None could be made, or none so large, or not as many as are wanted. While others are ready nothing is amiss.
    pub(crate) fn fail(&mut self, error: &std::io::Error) {
        if !self.spare.is_empty() {
            return;
        }
        if self.failed.is_none() {
            self.news.push(News::NotMade(error.to_string()));
        }
        self.failed = Some(format!(
            "cannot make a segment: {error}; free some disk space, and check that the spool directory is writable"
        ));
    }

    /// What happened since this was asked last.
    pub(crate) fn take_news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    /// An event is in memory only.
    pub(crate) fn count_unprotected(&mut self) {
        self.unprotected += 1;
    }

    /// How many are wanted, and which are not any more.
    pub(crate) fn order(&mut self) -> (usize, Vec<Segment>) {
        self.forsake();
        (self.low.saturating_sub(self.spare.len()), std::mem::take(&mut self.retired))
    }

    /// Whether more should be asked for just now.
    #[inline]
    pub(crate) fn is_getting_low(&self) -> bool {
        self.spare.len() == self.low / 2
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

    /// Why no segment can be made at present, or synced.
    pub(crate) fn failure(&self) -> Option<&str> {
        self.failed.as_deref().or(self.not_synced.as_deref())
    }

    /// Bytes of all segments, used and spare.
    pub(crate) fn segment_bytes(&self) -> u64 {
        self.segments.quota.segments()
    }

    /// How many events were accepted without one.
    pub(crate) fn unprotected(&self) -> u64 {
        self.unprotected
    }
}
