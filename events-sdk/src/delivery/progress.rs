//! The progress of the drain: how fast the backlog becomes smaller, and how long that will take.

use std::time::{Duration, Instant};

use crate::buffer::State;

/// The rate is measured over spells of this length.
const SPELL: Duration = Duration::from_secs(1);

/// How much the last spell counts against those before it.
const WEIGHT: f64 = 0.3;

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
        self.rate = Some(self.rate.map_or(last, |rate| rate + (last - rate) * WEIGHT));
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
}
