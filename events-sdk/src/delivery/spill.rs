//! From memory to disk: what is written to the spool, and when.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::spooler::{Content, Write};
use super::{Delivery, Held, URGENT_PATIENCE, recycle};
use crate::Batch;
use crate::accounts::Place;
use crate::buffer::State;
use crate::buffer::URGENT;
use crate::chunk::Chunk;
use crate::emit::now_ms;
use crate::spool::{SpoolError, SpoolFile};

impl Delivery {
    /// Writes to disk what should not stay in memory.
    pub(super) fn spill(&mut self) {
        let now = Instant::now();
        if self.spool_retry_at.is_some_and(|at| now < at) {
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
            while let Some(held) = self.held.pop_front() {
                self.write_whole(held.batch, held.chunk);
            }
        }
        if !self.writing.is_empty() && self.closing.is_none() {
            return;
        }
        let mut state = self.intake.buffer.lock();
        if !self.should_spill(&state, now) {
            return;
        }
        let mut chunks = state.take_all();
        let now_ms = now_ms();
        let ids = [state.next_id(now_ms), state.next_id(now_ms)];
        drop(state);
        // Grave events get a file of their own, which is delivered before the others.
        let mut grave: Vec<Chunk> =
            chunks.extract_if(.., |chunk| chunk.has_only(URGENT.severity())).collect();
        grave.extend(chunks.iter_mut().filter_map(|chunk| chunk.split_grave(URGENT.severity())));
        grave.sort_by_key(|chunk| chunk.sequence);
        for (id, chunks) in ids.into_iter().zip([grave, chunks]) {
            if let Some(first) = chunks.first() {
                let sequence = first.sequence;
                let content = Content::Chunks(chunks);
                self.write(Write { id, timestamp_ms: now_ms as i64, content, sequence });
            }
        }
    }

    /// Whether what waits in memory belongs on disk now.
    pub(super) fn should_spill(&self, state: &State, now: Instant) -> bool {
        let Some(oldest) = state.oldest() else { return false };
        let away = !self.link.is_open();
        state.is_over_threshold()
            || self.closing.is_some()
            || (away && !self.flushes.is_empty())
            || (away && now >= oldest + self.patience(state))
    }

    /// How long events may wait in memory while Toggle is away.
    pub(super) fn patience(&self, state: &State) -> Duration {
        let timeout = self.settings.batch_timeout;
        if state.has_urgent() { timeout.min(URGENT_PATIENCE) } else { timeout }
    }

    pub(super) fn write_whole(&mut self, batch: Arc<Batch>, chunk: Chunk) {
        let (id, timestamp_ms, sequence) = (batch.id(), batch.timestamp_ms(), chunk.sequence);
        let by_severity = *chunk.by_severity();
        let content = Content::Whole { batch, by_severity, chunk: Some(chunk) };
        self.write(Write { id, timestamp_ms, content, sequence });
    }

    pub(super) fn write(&mut self, write: Write) {
        self.writing.push(write.sequence);
        self.spooler.write(write);
    }

    /// A file was written or not.
    pub(super) fn wrote(&mut self, write: Write, result: Result<SpoolFile, SpoolError>) {
        if let Some(place) = self.writing.iter().position(|&sequence| sequence == write.sequence) {
            self.writing.swap_remove(place);
        }
        let file = match result {
            Ok(file) => file,
            Err(error) => return self.not_written(write, &error),
        };
        self.spool_works();
        self.spool_grows(&file);
        match write.content {
            Content::Chunks(chunks) => {
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
        match write.content {
            Content::Chunks(chunks) => self.intake.buffer.lock().put_back(chunks),
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
