//! The end: what is left goes to disk first, then the time that remains is used for sending.

use std::{
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use tokio::task;

use super::{
    Delivery, DiskCopy, Origin, Parcel, recycle,
    spill::Lacking,
    spooler::{Content, Reply, Write},
};
use crate::{Batch, DropReason, accounts::Place, buffer::Held, chunk::Chunk, spool::SpoolFile};

/// So long before the deadline the task stops sending, to have the books closed by then: a tenth of the time, at most
/// this.
const CLOSING_TIME: Duration = Duration::from_millis(100);

/// A disk that does not answer for so long after the deadline is not waited for.
const DISK_TIME: Duration = Duration::from_secs(5);

/// A shutdown under way.
#[derive(Debug)]
pub(crate) struct Closing {
    /// Nothing is sent after this.
    pub(crate) deadline: Instant,
    /// Half of the time has passed.
    pub(crate) half: Instant,
    /// Toggle did not take the last batch: there is no point in waiting for it once everything is on disk.
    pub(crate) gave_up: bool,
    done: Option<mpsc::Sender<()>>,
}

impl Delivery {
    pub(super) fn begin_shutdown(&mut self, deadline: Instant, done: Option<mpsc::Sender<()>>) {
        self.intake.buffer.lock().close();
        self.tell_last_losses();
        let now = Instant::now();
        let left = deadline.saturating_duration_since(now);
        let half = now + left / 2;
        let deadline = deadline.checked_sub(CLOSING_TIME.min(left / 10)).unwrap_or(deadline);
        self.closing = Some(Closing { deadline, half, gave_up: false, done });
        // Whatever failed before gets one more try.
        self.spool_retry_at = None;
        self.room.is_enough();
        self.link.hurry();
        // For what there is no room, some may be made later.
        let _ = self.copy_to_disk();
    }

    /// Has what is in flight from memory written too, as far as there is room: Toggle may not answer in time. Gives the gravest
    /// for which there is none.
    pub(super) fn copy_to_disk(&mut self) -> Option<Lacking> {
        let mut lacking = None;
        let attempts: Vec<task::Id> = self.in_flight.keys().copied().collect();
        for attempt in attempts {
            let Some(Parcel { batch, origin, .. }) = self.in_flight.get(&attempt) else { continue };
            let Origin::Memory { chunk, file: DiskCopy::None } = origin else { continue };
            if chunk.is_best_effort() {
                continue;
            }
            let missing = self.missing_for(&self.intake.buffer.lock(), batch.events().len(), chunk);
            if missing > 0 {
                // It may well be acknowledged: only what is less grave than all of it goes for it.
                let lighter = chunk.least_severity().checked_sub(1).filter(|_| !chunk.is_kept());
                lacking = lacking.max(lighter.map(|severity| Lacking { severity, bytes: missing }));
                continue;
            }
            let copy = Write {
                id: batch.id(),
                timestamp_ms: batch.timestamp_ms(),
                sequence: chunk.sequence,
                content: Content::Whole {
                    batch: Arc::clone(batch),
                    by_severity: *chunk.by_severity(),
                    chunk: None,
                },
            };
            if let Some(Parcel { origin: Origin::Memory { file, .. }, .. }) = self.in_flight.get_mut(&attempt)
            {
                *file = DiskCopy::Writing;
                self.write(copy);
            }
        }
        lacking
    }

    /// A batch that was in flight when the shutdown began is on disk as well.
    pub(super) fn copy_written(&mut self, batch: &Batch, copy: SpoolFile) {
        if let Some(file) = self.copy_of(batch) {
            *file = DiskCopy::Written(copy);
            self.intake.buffer.lock().accounts.copied(batch.len() as u64);
        } else if let Some(place) = self.copying.iter().position(|held| held.batch.id() == batch.id()) {
            let Held { batch, chunk, .. } = self.copying.swap_remove(place);
            let mut state = self.intake.buffer.lock();
            state.accounts.shift(batch.len() as u64, Place::Memory, Place::Disk);
            recycle(&mut state, batch, chunk);
            drop(state);
            self.backlog.add(copy);
        } else {
            // Toggle has it already.
            self.spooler.remove(copy);
        }
    }

    pub(super) fn copy_not_written(&mut self, batch: &Batch) {
        if let Some(file) = self.copy_of(batch) {
            *file = DiskCopy::None;
        } else if let Some(place) = self.copying.iter().position(|held| held.batch.id() == batch.id()) {
            let failed = self.copying.swap_remove(place);
            self.intake.buffer.lock().hold(failed);
        } else {
            // Toggle has it already, and there is no copy that a later start might find.
            self.intake.buffer.lock().accounts.ledger.forget(batch.id());
        }
    }

    fn copy_of(&mut self, batch: &Batch) -> Option<&mut DiskCopy> {
        self.in_flight.values_mut().find(|parcel| parcel.batch.id() == batch.id()).and_then(|parcel| {
            match &mut parcel.origin {
                Origin::Memory { file, .. } => Some(file),
                Origin::Disk { .. } => None,
            }
        })
    }

    /// Whether a file is the copy of a batch in flight.
    pub(super) fn is_copy(&self, file: uuid::Uuid) -> bool {
        self.closing.is_some() && self.in_flight.values().any(|parcel| parcel.batch.id() == file)
    }

    /// Whether the shutdown has done what it can.
    pub(super) fn is_closed_down(&self) -> bool {
        let Some(closing) = &self.closing else { return false };
        if Instant::now() >= closing.deadline {
            return true;
        }
        let state = self.intake.buffer.lock();
        let nothing_moves = self.writing.is_empty() && self.in_flight.is_empty() && self.copying.is_empty();
        // What is left in segments because nothing else finds room is there for the next start.
        let rest_is_kept = closing.gave_up && self.room.has_none() && !self.holds_unkept(&state);
        let is_empty = state.held().next().is_none() && state.oldest().is_none();
        let memory_is_empty = nothing_moves && (is_empty || rest_is_kept);
        drop(state);
        // What the pace keeps back until after the deadline is not waited for.
        let held_back = self.pace.next_at(Instant::now()) >= closing.deadline;
        memory_is_empty && (closing.gave_up || held_back || self.backlog.is_empty())
    }

    /// Closes the spool and the books.
    ///
    /// What the spool's thread is still writing counts where it ends, so its answers are waited for, also when whoever
    /// asked for the shutdown no longer waits.
    pub(super) async fn close_down(mut self) {
        // What the last panic let fall.
        let _ = self.guarded(Self::take_up);
        self.sends.abort_all();
        self.give_up_segments();
        self.spooler.stop();
        let limit = Instant::now() + DISK_TIME;
        loop {
            match tokio::time::timeout_at(limit.into(), self.spooler.reply()).await {
                Ok(Some(Reply::Stopped) | None) => break,
                Ok(Some(reply)) => {
                    // After a panic the reply is salvaged, and taken up at once: there is no next round.
                    let mut done = self.guarded(|delivery| delivery.spooled(reply)).is_ok();
                    while !done && Instant::now() < limit {
                        done = self.guarded(Self::take_up).is_ok();
                    }
                    self.tell_kept();
                }
                Err(_) => {
                    tracing::warn!("the disk does not answer; what was being written counts as in memory");
                    break;
                }
            }
        }
        self.shed_rest();
        self.tell_kept();
        // Before the books say that what is in segments is on disk.
        self.sync_rest();
        self.close_books();
        self.tell_gathered(Instant::now(), true);
        if let Some(done) = self.closing.and_then(|closing| closing.done)
            && done.send(()).is_err()
        {
            // Whoever asked has given up, and the log says that this is still to be decided.
            let stats = self.intake.buffer.lock().stats();
            let (delivered, on_disk, dropped) = (stats.delivered, stats.on_disk, stats.dropped_total());
            tracing::info!(delivered, on_disk, dropped, "the shutdown is done, after its deadline");
        }
    }

    /// Says of every event that is still under way where it ended.
    fn close_books(&mut self) {
        let mut state = self.intake.buffer.lock();
        for (_, parcel) in self.in_flight.drain() {
            let count = parcel.batch.len() as u64;
            match parcel.origin {
                Origin::Disk { .. } => state.accounts.shift(count, Place::Flight, Place::Disk),
                // Nothing of it may come back out of its segment.
                Origin::Memory { file: DiskCopy::Written(_), chunk } => {
                    state.accounts.shift(count, Place::Flight, Place::Disk);
                    state.recycle(chunk);
                }
                // It is in its segment, for the next start.
                Origin::Memory { chunk, .. } if chunk.is_kept() => {
                    state.accounts.stay_in_segments(count, Place::Flight);
                }
                // Whether Toggle has it will never be known; it is not on disk, so it counts as lost.
                Origin::Memory { chunk, .. } => {
                    for entry in chunk.entries() {
                        state.lose(Place::Flight, DropReason::Shutdown, *entry, chunk.sequence);
                    }
                }
            }
        }
        let waiting = state.take_all();
        let failed = std::iter::from_fn(|| state.take_held(|_| true)).chain(self.copying.drain(..));
        let left = waiting.into_iter().chain(failed.map(|held| held.chunk));
        let (kept, left): (Vec<Chunk>, Vec<Chunk>) = left.partition(Chunk::is_kept);
        let kept = kept.iter().map(|chunk| chunk.len() as u64).sum();
        state.accounts.stay_in_segments(kept, Place::Memory);
        for chunk in &left {
            for entry in chunk.entries() {
                state.lose(Place::Memory, DropReason::Shutdown, *entry, chunk.sequence);
            }
        }
        let lost = state.accounts.dropped_for(DropReason::Shutdown);
        if self.writing.is_empty() {
            // Else nobody knows whether that is on disk.
            state.accounts.ledger.close();
        }
        let has_none = self.room.has_none().then(|| "has no room for them, see `spool_max_bytes`".to_owned());
        let spool = state.status.spool.broken.clone().or(has_none);
        drop(state);
        self.settle_told();
        if lost > 0 {
            tracing::error!(
                lost,
                spool = spool.as_deref().unwrap_or("takes events"),
                "events were neither delivered nor written to disk by the shutdown deadline"
            );
        }
    }
}
