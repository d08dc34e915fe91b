//! What the log hears of as a sum: what happens to one event or file mostly happens to more of them.

use std::time::{Duration, Instant};

use super::{Delivery, LOG_AGAIN};

/// From the first one on they are added up for so long before the log hears of them.
pub(super) const GATHER: Duration = Duration::from_secs(1);

/// What happened, as some sums, and the log has not heard of.
#[derive(Debug)]
pub(super) struct Gathered<const SUMS: usize> {
    sums: [u64; SUMS],
    /// When the first of it happened.
    since: Option<Instant>,
    told_at: Option<Instant>,
}

impl<const SUMS: usize> Default for Gathered<SUMS> {
    fn default() -> Self {
        Self { sums: [0; SUMS], since: None, told_at: None }
    }
}

impl<const SUMS: usize> Gathered<SUMS> {
    pub(super) fn add(&mut self, more: [u64; SUMS], now: Instant) {
        self.sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        self.since.get_or_insert(now);
    }

    /// When the log is to hear of it, if there is anything: with all that happens in the same moment, and once in a while.
    pub(super) fn told_at(&self) -> Option<Instant> {
        let gathered = self.since? + GATHER;
        Some(self.told_at.map_or(gathered, |at| gathered.max(at + LOG_AGAIN)))
    }

    /// What the log hears of now, if it is time; `at_once` where there is no later.
    pub(super) fn take(&mut self, now: Instant, at_once: bool) -> Option<[u64; SUMS]> {
        self.told_at().filter(|&at| at_once || now >= at)?;
        let sums = self.sums;
        *self = Self { told_at: Some(now), ..Self::default() };
        Some(sums)
    }
}

impl Delivery {
    /// When the log is to hear of something that was gathered.
    pub(super) fn gathered_told_at(&self) -> Option<Instant> {
        let at =
            [self.vanished.told_at(), self.refused.told_at(), self.cleared.told_at(), self.seals.told_at()];
        at.into_iter().flatten().min()
    }

    /// Has the log say what was gathered, when it is time; `at_once` where there is no later.
    pub(super) fn tell_gathered(&mut self, now: Instant, at_once: bool) {
        if let Some([files, lost]) = self.vanished.take(now, at_once) {
            tracing::error!(files, lost, "spill files were removed; their events are lost");
        }
        if let Some([events]) = self.refused.take(now, at_once) {
            tracing::error!(
                events,
                "Toggle refuses events; they are in the quarantine folder, with the reasons"
            );
        }
        if let Some([gone]) = self.cleared.take(now, at_once) {
            tracing::warn!(gone, "the quarantine is full: the oldest of what is in it was removed");
        }
        if let Some([files]) = self.seals.take(now, at_once)
            && let Some((file, what)) = self.seal_told.take()
        {
            tracing::warn!(%file, what, files, "a seal of a spill file is damaged; its events are delivered all the same");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_in_the_same_moment_is_told_together_and_the_rest_once_in_a_while() {
        let (mut gathered, now) = (Gathered::default(), Instant::now());
        assert_eq!((gathered.told_at(), gathered.take(now, true)), (None, None));
        (0..1_000).for_each(|_| gathered.add([1, 10], now));
        assert_eq!(gathered.told_at(), Some(now + GATHER));
        assert_eq!(gathered.take(now, false), None);
        assert_eq!(gathered.take(now + GATHER, false), Some([1_000, 10_000]));
        assert_eq!(gathered.told_at(), None);
        gathered.add([1, 1], now + GATHER);
        assert_eq!(gathered.told_at(), Some(now + GATHER + LOG_AGAIN));
        gathered.add([1, 1], now + LOG_AGAIN * 3);
        assert_eq!(gathered.take(now + LOG_AGAIN * 4, false), Some([2, 2]));
        gathered.add([1, 1], now + LOG_AGAIN * 4);
        assert_eq!(gathered.take(now + LOG_AGAIN * 4, true), Some([1, 1]));
    }
}
