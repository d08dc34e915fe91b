//! The progress of the drain: how fast the backlog becomes smaller, and how long that will take.

use std::time::{Duration, Instant};

use crate::buffer::State;

/// The rate is measured over spells of this length at least: where the pace is slow they last from one batch to the next.
const SPELL: Duration = Duration::from_secs(1);

/// How much of what was known before counts after a second.
const KEPT: f64 = 0.7;

/// A drain that takes long is mentioned in the log so often.
const REPORT: Duration = Duration::from_secs(30);

/// How fast the backlog becomes smaller.
#[derive(Debug)]
pub(crate) struct Progress {
    /// Events that were delivered from disk since then.
    spell: (u64, Instant),
    /// Events a second.
    rate: Option<f64>,
    reported_at: Instant,
}

/// How a drain goes that takes long.
#[derive(Debug, PartialEq)]
pub(crate) struct Report {
    left: u64,
    rate: f64,
}

impl Report {
    pub(crate) fn log(&self) {
        let Self { left, rate } = *self;
        let eta_s = (left as f64 / rate).ceil();
        tracing::info!(left, rate, eta_s, "the backlog is being delivered");
    }
}

impl Progress {
    pub(crate) fn new(now: Instant) -> Self {
        Self { spell: (0, now), rate: None, reported_at: now }
    }

    /// So many events of the backlog were delivered. Gives what is to be logged, without the lock.
    pub(crate) fn delivered(&mut self, events: u64, now: Instant, state: &mut State) -> Option<Report> {
        let left = state.accounts.on_disk;
        self.add(events, now);
        state.status.spool.drain_rate = match left {
            0 => 0,
            _ => self.rate.map_or(0, |rate| rate.round() as u64),
        };
        if left == 0 {
            // The next backlog is another one.
            *self = Self { reported_at: self.reported_at, ..Self::new(now) };
            return None;
        }
        let is_due = now.saturating_duration_since(self.reported_at) >= REPORT;
        let rate = self.rate.filter(|&rate| is_due && rate >= 1.0)?;
        self.reported_at = now;
        Some(Report { left, rate })
    }

    fn add(&mut self, events: u64, now: Instant) {
        let (count, since) = (self.spell.0 + events, self.spell.1);
        let lasted = now.saturating_duration_since(since);
        if lasted < SPELL {
            self.spell.0 = count;
            return;
        }
        let last = count as f64 / lasted.as_secs_f64();
        let kept = KEPT.powf(lasted.as_secs_f64());
        self.rate = Some(self.rate.map_or(last, |rate| last + (rate - last) * kept));
        self.spell = (0, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_follows_what_is_delivered() {
        let start = Instant::now();
        let mut progress = Progress::new(start);
        for step in 1..=40 {
            progress.add(100, start + Duration::from_millis(100) * step);
        }
        let rate = progress.rate.unwrap();
        assert!((900.0..=1100.0).contains(&rate), "{rate}");
        for step in 1..=200 {
            progress.add(10, start + Duration::from_secs(4) + Duration::from_millis(100) * step);
        }
        let rate = progress.rate.unwrap();
        assert!((90.0..=130.0).contains(&rate), "{rate}");
    }

    #[test]
    fn a_drain_that_was_slowed_down_is_not_long_taken_for_a_fast_one() {
        let start = Instant::now();
        let mut progress = Progress::new(start);
        progress.add(5_000, start + Duration::from_secs(1));
        // A batch every four seconds.
        for step in 1..=6 {
            progress.add(100, start + Duration::from_secs(1) + Duration::from_secs(4) * step);
        }
        let rate = progress.rate.unwrap();
        assert!((25.0..=30.0).contains(&rate), "{rate}");
    }
}
