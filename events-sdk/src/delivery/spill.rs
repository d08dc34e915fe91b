//! From memory to disk: what is written to the spool, and when.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::salvage::Kept;
use super::spooler::{Content, Write};
use super::{Delivery, Held, URGENT_PATIENCE, Writing, identity, recycle};
use crate::Batch;
use crate::accounts::Place;
use crate::buffer::State;
use crate::buffer::URGENT;
use crate::chunk::Chunk;
use crate::emit::now_ms;
use crate::fault;
use crate::spool::{SpoolError, SpoolErrorKind, SpoolFile};

impl Delivery {
    /// Writes to disk what should not stay in memory.
    pub(super) fn spill(&mut self) {
        let now = Instant::now();
        if self.room.is_waited_for(now) {
            return;
        }
        self.free_disk();
        if self.spool_retry_at.is_some_and(|at| now < at) || self.room.thinning {
            return;
        }
        if self.spool_is_closed {
            if !self.opening {
                self.opening = true;
                self.spooler.open();
            }
            return;
        }
        if self.spool_retry_at.is_some() && !self.writing.is_empty() {
            // One file shows whether the disk is back.
            return;
        }
        if !self.link.is_open() || self.closing.is_some() {
            self.write_held();
            if self.room.thinning {
                return;
            }
        }
        if !self.writing.is_empty() && self.closing.is_none() {
            return;
        }
        fault::point("before spilling");
        let mut state = self.intake.buffer.lock();
        if !self.should_spill(&state, now) {
            return;
        }
        let missing = self.missing(&state, state.waiting_bytes() as u64, false);
        if missing > 0 {
            let (must, least) = (self.must_spill(&state), state.least_severity());
            drop(state);
            return self.spill_into_little(missing, least, must);
        }
        let mut chunks = state.take_all();
        state.shed(&mut chunks);
        let now_ms = now_ms();
        if state.pool.is_some() {
            let writes = self.one_by_one(&mut state, chunks, now_ms);
            drop(state);
            return self.write_all(writes);
        }
        let ids = [state.next_id(now_ms), state.next_id(now_ms)];
        drop(state);
        // Grave events get a file of their own, which is delivered before the others.
        let mut grave: Vec<Chunk> =
            chunks.extract_if(.., |chunk| chunk.has_only(URGENT.severity())).collect();
        grave.extend(chunks.iter_mut().filter_map(|chunk| chunk.split_grave(URGENT.severity())));
        grave.sort_by_key(|chunk| chunk.sequence);
        let writes = ids.into_iter().zip([grave, chunks]).filter_map(|(id, chunks)| {
            let sequence = chunks.first()?.sequence;
            let content = Content::Chunks { chunks, whole: false };
            Some(self.salvage.keep(Write { id, timestamp_ms: now_ms as i64, content, sequence }))
        });
        let writes: Vec<Kept<Write>> = writes.collect();
        self.write_all(writes);
    }

    /// A file for each chunk, under the id that it has in its segment: a crash before the segment is free repeats it under
    /// that id.
    fn one_by_one(&self, state: &mut State, chunks: Vec<Chunk>, now_ms: u64) -> Vec<Kept<Write>> {
        let write = |mut chunk: Chunk| {
            let (id, timestamp_ms) = identity(state, &mut chunk, now_ms);
            let sequence = chunk.sequence;
            let content = Content::Chunks { chunks: vec![chunk], whole: true };
            self.salvage.keep(Write { id, timestamp_ms, content, sequence })
        };
        chunks.into_iter().map(write).collect()
    }

    /// Hands files over to be written.
    fn write_all(&mut self, writes: Vec<Kept<Write>>) {
        fault::point("spilled");
        writes.into_iter().filter_map(Kept::release).for_each(|write| self.write(write));
    }

    /// The quota has no room for all that waits: less grave events go, or else only grave ones are written. `least` is the
    /// lowest severity that waits; unless it `must` be, nothing is dropped.
    fn spill_into_little(&mut self, missing: u64, least: u8, must: bool) {
        self.make_room(missing, least, must);
        let mut state = self.intake.buffer.lock();
        let is_kept = state.pool.is_some();
        if self.room.thinning || (!must && (is_kept || !state.has_urgent())) {
            return;
        }
        // Nothing lighter may go. What is grave may use what is kept for it; the rest stays in memory.
        let mut chunks = state.take_all();
        let id = state.next_id(now_ms());
        // A batch in a segment is not cut: what shares it with a grave event goes along.
        let goes = |chunk: &mut Chunk| {
            chunk.has_only(URGENT.severity()) || (is_kept && chunk.has_any(URGENT.severity()))
        };
        let mut grave: Vec<Chunk> = chunks.extract_if(.., goes).collect();
        if !is_kept {
            grave.extend(chunks.iter_mut().filter_map(|chunk| chunk.split_grave(URGENT.severity())));
        }
        let bytes: usize = grave.iter().map(|chunk| chunk.bytes().len()).sum();
        state.put_back(chunks);
        if grave.is_empty() || self.missing(&state, bytes as u64, true) > 0 {
            return state.put_back(grave);
        }
        if is_kept {
            let writes = self.one_by_one(&mut state, grave, now_ms());
            drop(state);
            return self.write_all(writes);
        }
        drop(state);
        let sequence = grave.iter().map(|chunk| chunk.sequence).min().unwrap_or_default();
        let content = Content::Chunks { chunks: grave, whole: false };
        self.write(Write { id, timestamp_ms: now_ms() as i64, content, sequence });
    }

    /// Whether what waits in memory belongs on disk now.
    pub(super) fn should_spill(&self, state: &State, now: Instant) -> bool {
        let Some(oldest) = state.oldest() else { return false };
        let away = !self.link.is_open();
        state.is_over_threshold()
            || self.closing.is_some()
            || (away && (!self.flushes.is_empty() || state.holds_unsafe()))
            || (away && now >= oldest + self.patience(state))
    }

    /// How long events may wait in memory while Toggle is away.
    pub(super) fn patience(&self, state: &State) -> Duration {
        let timeout = self.settings.batch_timeout;
        if state.has_urgent() { timeout.min(URGENT_PATIENCE) } else { timeout }
    }

    /// Writes batches that failed, each for which there is room. For the others room is made, or looked for again later.
    fn write_held(&mut self) {
        let (mut most, mut least) = (0, u8::MAX);
        for _ in 0..self.held.len() {
            let Some(held) = self.held.pop_front() else { break };
            let missing = self.missing_for(&held.batch, &held.chunk);
            if missing == 0 {
                self.write_whole(held.batch, held.chunk);
            } else {
                most = missing.max(most);
                least = held.chunk.least_severity().min(least);
                self.held.push_back(held);
            }
        }
        if most > 0 {
            let must = self.must_spill(&self.intake.buffer.lock());
            self.make_room(most, least, must);
        }
    }

    /// Says how much is in memory of what failed, so that it counts towards the bound.
    pub(super) fn count_held(&self) {
        let held = self.held.iter().chain(&self.copying).map(|held| held.batch.events().len());
        let writing = self.writing.iter().filter(|file| file.failed).map(|file| file.bytes as usize);
        let bytes = held.chain(writing).sum();
        self.intake.buffer.lock().hold(bytes);
    }

    pub(super) fn write_whole(&mut self, batch: Arc<Batch>, chunk: Chunk) {
        let (id, timestamp_ms, sequence) = (batch.id(), batch.timestamp_ms(), chunk.sequence);
        let by_severity = *chunk.by_severity();
        let content = Content::Whole { batch, by_severity, chunk: Some(chunk) };
        self.write(Write { id, timestamp_ms, content, sequence });
    }

    pub(super) fn write(&mut self, write: Write) {
        let bytes = write.bytes();
        let failed = matches!(&write.content, Content::Whole { chunk: Some(_), .. });
        self.writing.push(Writing { sequence: write.sequence, bytes, failed });
        if let Some(segments) = self.intake.buffer.segments() {
            segments.quota.add_file(bytes);
        }
        self.spooler.write(write);
    }

    /// A file was written or not.
    pub(super) fn wrote(&mut self, write: Write, result: Result<SpoolFile, SpoolError>) {
        if let Some(place) = self.writing.iter().position(|writing| writing.sequence == write.sequence) {
            self.writing.swap_remove(place);
        }
        let file = match result {
            Ok(file) => file,
            Err(error) => return self.not_written(write, &error),
        };
        self.spool_works();
        self.room.is_enough();
        self.spool_grows(&file);
        match write.content {
            Content::Chunks { chunks, .. } => {
                let mut state = self.intake.buffer.lock();
                state.accounts.shift(u64::from(file.events), Place::Memory, Place::Disk);
                state.written(chunks);
                drop(state);
                self.backlog.add(file);
            }
            Content::Whole { batch, chunk: Some(chunk), .. } => {
                let mut state = self.intake.buffer.lock();
                state.accounts.shift(u64::from(file.events), Place::Memory, Place::Disk);
                recycle(&mut state, batch, chunk);
                drop(state);
                self.backlog.add(file);
            }
            Content::Whole { batch, chunk: None, .. } => self.copy_written(&batch, file),
        }
    }

    pub(super) fn not_written(&mut self, write: Write, error: &SpoolError) {
        self.spool_fails(error);
        if error.kind() == SpoolErrorKind::Full {
            self.room.wants(write.bytes());
        }
        match write.content {
            Content::Chunks { chunks, .. } => self.intake.buffer.lock().put_back(chunks),
            Content::Whole { batch, chunk: Some(chunk), .. } => self.hold(batch, chunk),
            Content::Whole { batch, chunk: None, .. } => self.copy_not_written(&batch),
        }
    }

    /// Keeps a batch that failed in memory.
    pub(super) fn hold(&mut self, batch: Arc<Batch>, chunk: Chunk) {
        let refusals = self.refusals.times(batch.id());
        let not_before = (refusals > 0).then(|| Instant::now() + self.link.pause_for(refusals));
        self.held.push_back(Held { batch, chunk, refusals, not_before });
    }
}
