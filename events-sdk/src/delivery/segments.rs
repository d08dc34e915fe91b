//! Sees that there are segments when the next chunks need them.

use std::{
    io,
    time::{Duration, Instant},
};

use super::Delivery;
use crate::{segment::Segment, sync};

/// A segment that could not be made is tried again after this: what is emitted meanwhile is not protected.
const RETRY: Duration = Duration::from_secs(1);

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
        drop(state);
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
            state.status.last_error = Some(format!("cannot make a segment: {error}"));
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

    /// Nobody will need the spare ones any more.
    pub(super) fn give_up_segments(&mut self) {
        let spare = self.intake.buffer.lock().pool.as_mut().map(|pool| pool.take_spare());
        if let Some(spare) = spare.filter(|spare| !spare.is_empty()) {
            self.spooler.remove_segments(spare);
        }
    }
}
