//! How chunks leave memory, for Toggle or the disk, and come back when neither takes them.

use std::time::{Duration, Instant};

use super::{SPARE_BYTES, SPARE_CHUNKS, State};
use crate::chunk::Chunk;

/// What the next process finds, were this one to end now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Left {
    pub(crate) in_segments: u64,
    pub(crate) in_files: u64,
}

impl State {
    /// The oldest chunk to be sent now: a full one, or the open one if it is due.
    pub(crate) fn take_due(&mut self, timeout: Duration, now: Instant, all: bool) -> Option<Chunk> {
        if self.ready.is_empty() {
            let due = all || self.open.urgent || self.open.opened_at.is_some_and(|at| now >= at + timeout);
            if !due {
                return None;
            }
            self.seal();
        }
        let chunk = self.ready.pop_front()?;
        self.uncount(&chunk);
        Some(chunk)
    }

    /// Everything that waits, oldest first.
    pub(crate) fn take_all(&mut self) -> Vec<Chunk> {
        self.seal();
        let chunks: Vec<_> = self.ready.drain(..).collect();
        for chunk in &chunks {
            self.uncount(chunk);
            self.writing_bytes += chunk.bytes().len();
        }
        chunks
    }

    /// Chunks that were taken out to be written are on disk.
    pub(crate) fn written(&mut self, chunks: Vec<Chunk>) {
        for chunk in chunks {
            self.writing_bytes -= chunk.bytes().len();
            self.recycle(chunk);
        }
    }

    /// Chunks that could neither be sent nor written come back, in front of all others.
    pub(crate) fn put_back(&mut self, chunks: Vec<Chunk>) {
        for chunk in chunks.into_iter().rev() {
            self.writing_bytes -= chunk.bytes().len();
            self.waiting_events += chunk.len();
            self.waiting_bytes += chunk.bytes().len();
            for (severity, count) in self.waiting_by_severity.iter_mut().enumerate() {
                *count += chunk.count_of(severity);
                self.waiting_bytes_by_severity[severity] += chunk.bytes_of(severity);
            }
            // Where several files were to be written, they fail one after the other.
            let place = self.ready.partition_point(|other| other.sequence < chunk.sequence);
            self.ready.insert(place, chunk);
        }
    }

    /// The delivery task has so many events in its hands that lie in segments.
    pub(crate) fn set_kept_elsewhere(&mut self, events: u64) {
        self.kept_elsewhere = events;
    }

    /// How many of the events that count as in memory or in flight lie in segments, and how many in spill files: the next process
    /// finds them there.
    pub(crate) fn left_to_next(&self) -> Left {
        let failed = self.held().map(|held| &held.chunk);
        let here = self.ready.iter().chain([&self.open]).chain(failed).filter(|chunk| chunk.is_kept());
        let kept = here.map(|chunk| chunk.len() as u64).sum::<u64>() + self.kept_elsewhere;
        let in_files = self.accounts.of_files();
        let most = (self.accounts.in_memory + self.accounts.in_flight).saturating_sub(in_files);
        Left { in_segments: kept.min(most), in_files }
    }

    fn uncount(&mut self, chunk: &Chunk) {
        self.waiting_events -= chunk.len();
        self.waiting_bytes -= chunk.bytes().len();
        for (severity, count) in self.waiting_by_severity.iter_mut().enumerate() {
            *count -= chunk.count_of(severity);
            self.waiting_bytes_by_severity[severity] -= chunk.bytes_of(severity);
        }
    }

    /// Keeps the memory of a chunk whose events have left.
    pub(crate) fn recycle(&mut self, mut chunk: Chunk) {
        self.leave_segment(&mut chunk);
        if self.spare.len() < SPARE_CHUNKS && chunk.capacity() <= SPARE_BYTES {
            chunk.clear();
            self.spare.push(chunk);
        }
    }

    /// A chunk is in memory only from here on.
    pub(crate) fn leave_segment(&mut self, chunk: &mut Chunk) {
        if let Some(pool) = &mut self.pool
            && let Some(segment) = chunk.segment.take()
        {
            pool.give_back(segment);
        }
    }
}
