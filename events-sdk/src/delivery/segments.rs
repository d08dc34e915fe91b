//! Sees that there are segments when the next chunks need them.

use std::{
    io,
    time::{Duration, Instant},
};

use super::{Delivery, DiskCopy, LOG_AGAIN, Origin};
use crate::{
    chunk::Chunk,
    segment::{Segment, pool::News},
    sync,
};

/// A segment that could not be made is tried again after this: what is emitted meanwhile is not protected.
const RETRY: Duration = Duration::from_secs(1);

/// The last sync may take so long when the deadline has passed: a part of what is kept back to close the books.
const LAST_SYNC: Duration = Duration::from_millis(50);

/// What the log was told of segments. Near the quota they can be made and cannot by turns, and so with syncs on a disk that comes
/// and goes: each is told once in a while, and what was told last is true.
#[derive(Debug, Default)]
pub(super) struct Told {
    making: Trouble,
    syncs: Trouble,
}

/// Something that does not work, as far as the log knows.
#[derive(Debug, Default)]
struct Trouble {
    /// When the log was told, if that is what it knows.
    told_at: Option<Instant>,
    /// It is over all the same.
    is_over: bool,
}

impl Trouble {
    /// It does not work. Gives whether that is to be told.
    fn begin(&mut self, now: Instant) -> bool {
        self.is_over = false;
        let is_news = self.told_at.is_none();
        self.told_at.get_or_insert(now);
        is_news
    }

    fn end(&mut self) {
        self.is_over = self.told_at.is_some();
    }

    /// When it is to be told that it is over, if it is.
    fn over_told_at(&self) -> Option<Instant> {
        self.told_at.filter(|_| self.is_over).map(|at| at + LOG_AGAIN)
    }

    /// Whether that is to be told now.
    fn take_over(&mut self, now: Instant) -> bool {
        let is_time = self.over_told_at().is_some_and(|at| now >= at);
        if is_time {
            *self = Self::default();
        }
        is_time
    }
}

impl Told {
    /// Logs what happened.
    fn tell(&mut self, news: News, now: Instant) {
        match news {
            News::Removed(count) => tracing::error!(
                count,
                "segments were removed: what they held is sent or written to spill files at once, and new ones are made"
            ),
            News::NotMade(error) => {
                if self.making.begin(now) {
                    tracing::error!(%error, "no segment can be made: until that is mended, events are kept in memory only");
                }
            }
            News::MadeAgain => self.making.end(),
            News::NotSynced(error) => {
                if self.syncs.begin(now) {
                    tracing::error!(%error, "segments cannot be synced: their events survive the process, not a loss of power");
                }
            }
            News::SyncedAgain => self.syncs.end(),
        }
    }

    /// Logs what works again, when it is time.
    fn tell_works(&mut self, now: Instant) {
        if self.making.take_over(now) {
            tracing::info!("segments can be made again: events outlive the process from now on");
        }
        if self.syncs.take_over(now) {
            tracing::info!("segments can be synced again: events survive a loss of power from now on");
        }
    }

    /// When something is to be told that works again.
    pub(super) fn works_told_at(&self) -> Option<Instant> {
        [&self.making, &self.syncs].into_iter().filter_map(Trouble::over_told_at).min()
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
        let now = Instant::now();
        news.into_iter().for_each(|news| self.segments_told.tell(news, now));
        self.segments_told.tell_works(now);
        if !unneeded.is_empty() {
            self.spooler.remove_segments(unneeded);
        }
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

    /// Says how many events are in this task's hands that lie in segments: whoever does not wait for it counts them as on disk.
    pub(super) fn tell_kept(&self) {
        if self.intake.buffer.segments().is_none() {
            return;
        }
        let flying = self.in_flight.values().filter_map(|parcel| match &parcel.origin {
            Origin::Memory { chunk, file: DiskCopy::None | DiskCopy::Writing } => Some(chunk),
            // Those are in files.
            Origin::Memory { file: DiskCopy::Written(_), .. } | Origin::Disk { .. } => None,
        });
        let chunks = flying.chain(self.copying.iter().map(|held| &held.chunk));
        let kept = chunks.filter(|chunk| chunk.is_kept()).map(|chunk| chunk.len() as u64).sum::<u64>();
        let writing = self.writing.iter().map(|writing| writing.kept).sum::<u64>();
        self.intake.buffer.lock().set_kept_elsewhere(kept + writing);
    }

    /// Nobody will need the spare ones any more.
    pub(super) fn give_up_segments(&mut self) {
        let spare = self.intake.buffer.lock().pool.as_mut().map(|pool| pool.take_spare());
        if let Some(spare) = spare.filter(|spare| !spare.is_empty()) {
            self.spooler.remove_segments(spare);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_works_and_does_not_by_turns_is_told_once_in_a_while_and_what_was_told_last_is_true() {
        let (mut trouble, now) = (Trouble::default(), Instant::now());
        assert_eq!(trouble.over_told_at(), None);
        let told = (0..100).filter(|_| {
            let is_told = trouble.begin(now);
            trouble.end();
            is_told | trouble.take_over(now)
        });
        assert_eq!(told.count(), 1);
        assert_eq!(trouble.over_told_at(), Some(now + LOG_AGAIN));
        assert!(trouble.take_over(now + LOG_AGAIN));
        // While it lasts nobody hears that it is over, however long.
        assert!(trouble.begin(now + LOG_AGAIN));
        assert!(!trouble.take_over(now + LOG_AGAIN * 10) && trouble.over_told_at().is_none());
    }
}
