//! From memory to disk: what is written to the spool, and when.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::room::LOOK_AGAIN;
use super::salvage::Kept;
use super::spooler::{Content, Write};
use super::{Delivery, Held, URGENT_PATIENCE, Writing, identity, recycle};
use crate::Batch;
use crate::accounts::Place;
use crate::buffer::State;
use crate::buffer::URGENT;
use crate::chunk::{self, Chunk, SEVERITIES};
use crate::emit::now_ms;
use crate::fault;
use crate::spool::{SpoolError, SpoolErrorKind, SpoolFile};

/// A batch for which there is no room: the graver it is, the more may go for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Lacking {
    /// The severity of the least grave event in it.
    pub(super) severity: u8,
    /// So much is missing.
    pub(super) bytes: u64,
}

impl Delivery {
    /// Writes to disk what should not stay in memory.
    pub(super) fn spill(&mut self) {
        let now = Instant::now();
        if self.room.is_waited_for(now) {
            return;
        }
        self.free_disk(now);
        if self.room.thinning || self.spool_retry_at.is_some_and(|at| now < at) {
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
        if self.writing.is_empty() || self.closing.is_some() {
            fault::point("before spilling");
            self.spill_waiting(now);
        }
        if !self.room.thinning && (!self.link.is_open() || self.closing.is_some()) {
            self.spill_failed(now);
        }
        let is_idle = self.writing.is_empty() && !self.room.thinning && !self.probing;
        if self.write_failed && self.spool_retry_at.is_some() && is_idle {
            // Nothing has to go there, but whoever looks wants to know whether the disk is back.
            self.probing = true;
            self.spooler.probe();
        }
    }

    /// Writes what waits in memory, if it should not stay there.
    fn spill_waiting(&mut self, now: Instant) {
        let mut state = self.intake.buffer.lock();
        if !self.should_spill(&state, now) {
            return;
        }
        let bytes = state.bytes_for_disk() as u64;
        if bytes > 0 && self.missing(&state, bytes, false) > 0 {
            drop(state);
            return self.spill_into_little(now);
        }
        let mut chunks = state.take_all();
        state.shed(&mut chunks);
        let now_ms = now_ms();
        // What only memory ever held goes first where room is short, and by severity: nothing repeats it under an id.
        let is_short = self.room.at_once().is_some();
        let kept: Vec<Chunk> = chunks.extract_if(.., |chunk| chunk.segment.is_some()).collect();
        let mut writes = Vec::new();
        if is_short && !chunks.is_empty() {
            state.put_back(kept);
        } else if !kept.is_empty() {
            let going = self.take_in_turn(&mut state, kept);
            if going.is_empty() {
                self.room.look_again_at = Some(now + LOOK_AGAIN);
            }
            writes = self.one_by_one(&mut state, going, now_ms);
        }
        if self.room.most().is_some_and(|most| chunk::total_bytes(&chunks) > most) {
            let part = self.take_a_part(&mut state, chunks);
            drop(state);
            self.write_all(writes);
            return self.write_part(part);
        }
        let ids = [state.next_id(now_ms), state.next_id(now_ms)];
        drop(state);
        // Grave events get a file of their own, which is delivered before the others.
        let mut grave: Vec<Chunk> =
            chunks.extract_if(.., |chunk| chunk.has_only(URGENT.severity())).collect();
        grave.extend(chunks.iter_mut().filter_map(|chunk| chunk.split_grave(URGENT.severity())));
        grave.sort_by_key(|chunk| chunk.sequence);
        writes.extend(ids.into_iter().zip([grave, chunks]).filter_map(|(id, chunks)| {
            let sequence = chunks.first()?.sequence;
            let content = Content::Chunks { chunks, whole: false };
            Some(self.salvage.keep(Write { id, timestamp_ms: now_ms as i64, content, sequence }))
        }));
        self.write_all(writes);
    }

    /// Of what waits in segments, as many batches as are written at once: first those whose segments are gone, the gravest of these,
    /// and the oldest. The rest waits again, or it could not give way while the disk takes nothing. At the end what is in
    /// segments stays there where room is short.
    fn take_in_turn(&self, state: &mut State, mut chunks: Vec<Chunk>) -> Vec<Chunk> {
        let Some(at_once) = self.room.at_once() else { return chunks };
        chunks.sort_by_key(|chunk| (chunk.is_kept(), Reverse(chunk.gravest_severity()), chunk.sequence));
        let count = match self.closing {
            Some(_) => chunks.iter().filter(|chunk| !chunk.is_kept()).count(),
            None => chunks.len(),
        };
        let staying = chunks.split_off(count.min(at_once));
        state.put_back(staying);
        chunks
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

    /// The quota has no room for all that waits: less grave events on disk go for it, or else only grave ones are written,
    /// into what is kept for them. Unless it must be, nothing is dropped.
    fn spill_into_little(&mut self, now: Instant) {
        // If room is made, that is taken back.
        self.room.look_again_at = Some(now + LOOK_AGAIN);
        // Looks at every file that waits, which nobody who emits should wait for.
        let least_with_room = self.least_with_room();
        let mut state = self.intake.buffer.lock();
        let in_segments = state.pool.is_some();
        let must = self.must_make_room(&mut state);
        if !must && (in_segments || !state.has_urgent()) {
            return;
        }
        let mut chunks = state.take_all();
        state.shed(&mut chunks);
        if self.closing.is_some() {
            // What is in segments is as good as on disk: nothing goes for it.
            let kept = chunks.extract_if(.., |chunk| chunk.is_kept()).collect();
            state.put_back(kept);
        }
        let mut severities =
            if self.closing.is_some() { 0..=SEVERITIES as u8 } else { URGENT.severity()..=URGENT.severity() };
        // While the process lives what is lighter waits for its turn in memory, unless memory is full of graver events.
        let is_last_turn = self.closing.is_some() || state.is_nearly_full();
        let mut lacking = None;
        let part =
            least_with_room.filter(|_| must).and_then(|from| part_with_room(&chunks, is_last_turn, from));
        if let Some(part) = part {
            let bytes: usize = chunks.iter().map(|chunk| chunk.bytes_from(part)).sum();
            let missing = self.missing(&state, bytes as u64, part >= URGENT.severity());
            if missing > 0 {
                // What is grave goes where there is room already: nobody knows how long it takes to make some.
                severities = URGENT.severity()..=URGENT.severity();
                let severity = part.saturating_sub(self.closing.is_some().into());
                lacking = Some(Lacking { severity, bytes: missing });
            } else {
                severities = part..=part;
            }
        }
        let mut going = Vec::new();
        for from in severities.rev() {
            chunks = self.take_what_fits(&state, chunks, from, &mut going);
        }
        state.put_back(chunks);
        if in_segments {
            let writes = self.one_by_one(&mut state, going, now_ms());
            drop(state);
            self.write_all(writes);
        } else {
            drop(state);
            self.write_part(going);
        }
        if let Some(Lacking { severity, bytes }) = lacking {
            self.make_room(bytes, severity);
        }
    }

    /// Of what waits on a disk that takes little at once, what is tried next: the gravest, the oldest of that, and nothing else, so
    /// that the file can go as a whole should even this have to make room. The rest waits again.
    fn take_a_part(&self, state: &mut State, mut chunks: Vec<Chunk>) -> Vec<Chunk> {
        let mut going = Vec::new();
        for from in (0..SEVERITIES as u8).rev() {
            chunks = self.take_what_fits(state, chunks, from, &mut going);
            if !going.is_empty() {
                break;
            }
        }
        state.put_back(chunks);
        going
    }

    /// Writes a part of what waited, if it is anything.
    fn write_part(&mut self, chunks: Vec<Chunk>) {
        let Some(sequence) = chunks.iter().map(|chunk| chunk.sequence).min() else { return };
        let now_ms = now_ms();
        let id = self.intake.buffer.lock().next_id(now_ms);
        let content = Content::Chunks { chunks, whole: false };
        let write = self.salvage.keep(Write { id, timestamp_ms: now_ms as i64, content, sequence });
        self.write_all(vec![write]);
    }

    /// Moves the events of this severity and graver out of chunks, as far as there is room for them beside those that are `going`
    /// already: in the quota, and in what the disk takes at once. Gives what is left.
    fn take_what_fits(
        &self,
        state: &State,
        chunks: Vec<Chunk>,
        from: u8,
        going: &mut Vec<Chunk>,
    ) -> Vec<Chunk> {
        let mut bytes = chunk::total_bytes(going);
        let mut staying = Vec::new();
        for mut chunk in chunks {
            // A batch in a segment is not cut: what shares it with a grave event goes along.
            let whole = chunk.has_only(from) || (chunk.is_kept() && chunk.has_any(from));
            let (part, rest) = match whole {
                true => (Some(chunk), None),
                false if chunk.is_kept() => (None, Some(chunk)),
                false => (chunk.split_grave(from), Some(chunk)),
            };
            staying.extend(rest);
            let Some(mut part) = part else { continue };
            let in_quota = self.quota_left(state, part.has_any(URGENT.severity()));
            let on_disk = self.room.most().map_or(u64::MAX, |most| match going.is_empty() {
                // One event is tried whatever its size.
                true => most.max(part.first_bytes() as u64),
                false => most,
            });
            let room = in_quota.min(on_disk).saturating_sub(bytes);
            let may_cut = !part.is_kept() && (self.room.most().is_some() || self.closing.is_some());
            let taken = if part.bytes().len() as u64 <= room {
                Some(part)
            } else {
                let front = may_cut.then(|| part.split_front(room as usize)).flatten();
                staying.push(part);
                front
            };
            bytes += taken.as_ref().map_or(0, |taken| taken.bytes().len() as u64);
            going.extend(taken);
        }
        staying
    }

    /// Whether what waits in memory belongs on disk now.
    pub(super) fn should_spill(&self, state: &State, now: Instant) -> bool {
        let Some(oldest) = state.oldest() else { return false };
        let away = !self.link.is_open();
        state.is_over_threshold()
            || self.closing.is_some()
            || (away && (self.is_waited_for(now) || state.holds_unsafe()))
            || (away && now >= oldest + self.patience(state))
    }

    /// How long events may wait in memory while Toggle is away.
    pub(super) fn patience(&self, state: &State) -> Duration {
        let timeout = self.settings.batch_timeout;
        if state.has_urgent() { timeout.min(URGENT_PATIENCE) } else { timeout }
    }

    /// Writes batches that failed, and at the end copies of those in flight, each for which there is room. For the others room
    /// is made, or looked for again later.
    fn spill_failed(&mut self, now: Instant) {
        if self.room.look_for_held_at.is_some_and(|at| now < at) {
            return;
        }
        self.intake.buffer.lock().shed_held(now_ms());
        let mut lacking = self.write_held();
        if self.closing.is_some() {
            lacking = lacking.max(self.copy_to_disk());
        }
        let must = lacking.is_some() && self.must_make_room(&mut self.intake.buffer.lock());
        let makes_room =
            must && lacking.is_some_and(|Lacking { severity, bytes }| self.make_room(bytes, severity));
        let waits = lacking.is_some() || self.intake.buffer.lock().held().next().is_some();
        self.room.look_for_held_at = (waits && !makes_room).then(|| now + LOOK_AGAIN);
    }

    /// Writes batches that failed, each for which there is room. Gives the gravest for which there is none.
    fn write_held(&mut self) -> Option<Lacking> {
        let (mut lacking, mut staying) = (None, 0);
        loop {
            // What stays is not taken out for a moment: it may have to give way just then.
            let mut state = self.intake.buffer.lock();
            let Some(held) = state.held().nth(staying) else { break };
            let bytes = self.missing_for(&state, held.batch.events().len(), &held.chunk);
            if bytes > 0 {
                lacking = lacking.max(self.lacking(bytes, &held.chunk));
                staying += 1;
                continue;
            }
            let batch = held.batch.id();
            let Some(held) = state.take_held(|held| held.batch.id() == batch) else { break };
            drop(state);
            self.write_whole(held.batch, held.chunk);
        }
        lacking
    }

    /// What a batch lacks that is only in memory. One in a segment is as good as on disk at the end.
    pub(super) fn lacking(&self, bytes: u64, chunk: &Chunk) -> Option<Lacking> {
        let severity = match self.closing {
            None => Some(chunk.least_severity()),
            Some(_) if chunk.is_kept() => None,
            Some(_) => Self::lighter_than(chunk),
        };
        severity.map(|severity| Lacking { severity, bytes })
    }

    /// Says how much of what failed is being written, so that it counts towards the bound, and forgets what gave way to
    /// graver events.
    pub(super) fn tend_failed(&mut self) {
        let copying = self.copying.iter().map(|held| held.batch.events().len());
        let writing = self.writing.iter().filter(|file| file.failed).map(|file| file.bytes as usize);
        let mut state = self.intake.buffer.lock();
        state.set_failed_writing(copying.chain(writing).sum());
        let dropped = state.take_dropped_held();
        drop(state);
        dropped.into_iter().for_each(|batch| self.refusals.forget(batch));
    }

    /// Writes a batch that failed.
    pub(super) fn write_whole(&mut self, batch: Arc<Batch>, chunk: Chunk) {
        let worth = self.intake.buffer.lock().shed_batch(batch, chunk, now_ms());
        let Some((batch, chunk)) = worth else { return };
        let (id, timestamp_ms, sequence) = (batch.id(), batch.timestamp_ms(), chunk.sequence);
        let by_severity = *chunk.by_severity();
        let content = Content::Whole { batch, by_severity, chunk: Some(chunk) };
        self.write(Write { id, timestamp_ms, content, sequence });
    }

    pub(super) fn write(&mut self, write: Write) {
        let bytes = write.bytes();
        let failed = matches!(&write.content, Content::Whole { chunk: Some(_), .. });
        let kept = write.kept();
        self.writing.push(Writing { id: write.id, sequence: write.sequence, bytes, failed, kept });
        if failed {
            self.tend_failed();
        }
        if let Some(segments) = self.intake.buffer.segments() {
            segments.quota.add_file(bytes);
        }
        self.spooler.write(write);
    }

    /// A file was written or not.
    pub(super) fn wrote(&mut self, write: Write, result: Result<SpoolFile, SpoolError>) {
        if let Some(place) = self.writing.iter().position(|writing| writing.id == write.id) {
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
        let (bytes, can_be_cut) = (write.bytes(), write.can_be_cut());
        match write.content {
            Content::Chunks { chunks, .. } => self.intake.buffer.lock().put_back(chunks),
            Content::Whole { batch, chunk: Some(chunk), .. } => self.hold(batch, chunk, 0),
            Content::Whole { batch, chunk: None, .. } => self.copy_not_written(&batch),
        }
        self.room.is_short();
        // What goes for it depends on what is in memory, this among it.
        let is_full = error.kind() == SpoolErrorKind::Full;
        if !is_full || !self.had_no_room(bytes, can_be_cut, error) {
            self.write_failed = true;
            self.spool_fails(error);
        }
    }

    /// Keeps a batch that failed in memory. It waits as one that was refused `least` times or oftener.
    pub(super) fn hold(&mut self, batch: Arc<Batch>, chunk: Chunk, least: u32) {
        let refusals = self.refusals.times(batch.id()).max(least);
        let not_before = (refusals > 0).then(|| Instant::now() + self.link.pause_for(refusals));
        self.intake.buffer.lock().hold(Held { batch, chunk, refusals, not_before });
    }
}

/// From which severity on events of these chunks may go to disk at the cost of others there, where such of `from` on may: all of
/// them, if none is lighter; on the last turn those that are not.
fn part_with_room(chunks: &[Chunk], is_last_turn: bool, from: u8) -> Option<u8> {
    let mut severities =
        (0..SEVERITIES as u8).filter(|&one| chunks.iter().any(|chunk| chunk.count_of(one.into()) > 0));
    let least = severities.find(|&one| !is_last_turn || one >= from)?;
    (least >= from).then_some(least)
}
