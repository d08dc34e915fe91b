//! Sees that there are segments when the next chunks need them.

use std::{
    io,
    time::{Duration, Instant},
};

use super::{Delivery, DiskCopy, Origin};
use crate::{
    chunk::Chunk,
    segment::{Segment, pool::News},
    sync,
};

/// A segment that could not be made is tried again after this: what is emitted meanwhile is not protected.
const RETRY: Duration = Duration::from_secs(1);

/// The last sync may take so long when the deadline has passed: a part of what is kept back to close the books.
const LAST_SYNC: Duration = Duration::from_millis(50);

/// Logs what happened to segments.
fn tell(news: News) {
    match news {
        News::Removed(count) => tracing::error!(
            count,
            "segments were removed: what they held is sent or written to spill files at once, and new ones are made"
        ),
        News::NotMade(error) => {
            tracing::error!(%error, "no segment can be made: until that is mended, events are kept in memory only");
        }
        News::MadeAgain => {
            tracing::info!("segments can be made again: events outlive the process from now on")
        }
        News::NotSynced(error) => {
            tracing::error!(%error, "segments cannot be synced: their events survive the process, not a loss of power");
        }
        News::SyncedAgain => {
            tracing::info!("segments can be synced again: events survive a loss of power from now on");
        }
    }
}

impl Delivery {
    /// Has new ones made and those removed that nobody needs.
    pub(super) fn tend_segments(&mut self) {
        let mut state = self.intake.buffer.lock();
        let files = self.file_bytes(&state);
        let Some(pool) = &mut state.pool else { return };
        if let Some(segments) = self.intake.buffer.segments() {
            segments.quota.set_files(files);
        }
        let (wanted, unneeded) = pool.order();
        let news = pool.take_news();
        drop(state);
        news.into_iter().for_each(tell);
        if !unneeded.is_empty() {
            self.spooler.remove_segments(unneeded);
        }
        let now = Instant::now();
        let may_try = self.segments_retry_at.is_none_or(|at| now >= at) && !self.spool_is_closed;
        if wanted > 0 && !self.making && may_try && self.closing.is_none() {
            self.making = true;
            self.spooler.make_segments(wanted);
        }
    }

    pub(super) fn segments_made(&mut self, segments: Vec<Segment>, error: Option<io::Error>) {
        self.making = false;
        self.segments_retry_at = error.is_some().then(|| Instant::now() + RETRY);
        let mut state = self.intake.buffer.lock();
        if let Some(pool) = &mut state.pool {
            pool.provide(segments);
            if let Some(error) = &error {
                pool.fail(error);
            }
        }
        if let Some(error) = error {
            state.status.fail(format!("cannot make a segment: {error}"));
        }
    }

    /// Files of segments were removed while events were in them.
    pub(super) fn segments_lost(&mut self, count: usize) {
        sync::lost(&self.intake, count);
        // They are made again at once.
        self.segments_retry_at = None;
    }

    /// Events of an earlier process were damaged.
    pub(super) fn damaged(&self, events: u32) {
        let mut state = self.intake.buffer.lock();
        state.accounts.adopt_damaged(u64::from(events));
    }

    /// At the end: what stays in segments is brought to stable storage, where it is to outlive a loss of power.
    pub(super) fn sync_rest(&self) {
        let Some(syncs) = &self.intake.syncs else { return };
        syncs.gone_below(self.oldest_in_memory());
        let is_power = self.intake.buffer.segments().is_some_and(|segments| segments.is_power);
        let state = self.intake.buffer.lock();
        let mut flying = self.in_flight.values().filter_map(|parcel| match &parcel.origin {
            Origin::Memory { chunk, file: DiskCopy::None | DiskCopy::Writing } => Some(chunk),
            _ => None,
        });
        let is_kept = state.waiting_events() > 0
            || flying.any(Chunk::is_kept)
            || state.held().chain(&self.copying).any(|held| held.chunk.is_kept());
        let last = state.last_place();
        drop(state);
        if !is_power || !is_kept {
            return syncs.stop();
        }
        let deadline = self.closing.as_ref().map_or_else(Instant::now, |closing| closing.deadline);
        if !syncs.finish(last, deadline.max(Instant::now() + LAST_SYNC)) {
            tracing::error!(
                "what is left in segments could not be synced by the shutdown deadline: it survives the process, not a loss of power"
            );
        }
    }

    /// Nobody will need the spare ones any more.
    pub(super) fn give_up_segments(&mut self) {
        let spare = self.intake.buffer.lock().pool.as_mut().map(|pool| pool.take_spare());
        if let Some(spare) = spare.filter(|spare| !spare.is_empty()) {
            self.spooler.remove_segments(spare);
        }
    }
}
