//! The pace: how fast the backlog goes out.
//!
//! Live events are sent as they come. The backlog follows at a rate of its own, so that a Toggle that has just come back
//! is not run over by all its nodes at once:
//!
//! * After an outage it begins with half as many batches as came in live meanwhile, and at least one every two seconds, after a
//!   random pause that grows with the outage. A node that knows of no outage has no reason to think that others come with
//!   it, and begins faster.
//! * Acknowledgements speed it up: it grows by a fifth every second at first, and gently after the first trouble.
//! * `RESOURCE_EXHAUSTED`, or acknowledgements that take much longer than they did, halve it.
//!
//! Time and chance come from the caller, so a simulation of two hundred nodes is an ordinary test.

use std::time::{Duration, Instant};

/// Batches a second to begin with. A Toggle that does not bear these from all of its nodes could not bear their live events.
const START: f64 = 0.5;

/// So much of what a node sends live it begins with, if that is more: Toggle bears the live events of all its nodes, and if they
/// all begin at once that makes one and a half times as many batches.
const START_OF_LIVE: f64 = 0.5;

/// Batches a second to begin with when there was no outage: a start of this node alone, or a hiccup.
const FRESH: f64 = 64.0;

/// However much trouble there is, a batch goes out every twenty seconds.
const LEAST: f64 = 0.05;

/// Beyond this the pace is not what holds the backlog up.
const MOST: f64 = 1e6;

/// What an acknowledgement adds to the rate before the first trouble: the rate grows by a fifth every second. With more,
/// nodes that have met no trouble yet outweigh those that have: at 0.5 arrivals came to 1.5 times what Toggle takes.
const FAST_GAIN: f64 = 0.2;

/// And after it: a fiftieth more in a second; of what is less than one batch a second, with each acknowledgement.
const SLOW_GAIN: f64 = 0.02;

/// After so long without trouble a slowed pace may speed up again as at first: Toggle has got over it. One that takes half a
/// batch a second from each node turns each away about as seldom as every quarter of a minute.
const HEALED: Duration = Duration::from_secs(45);

/// So much of a second may be caught up at once, as timers are not exact.
const BURST: f64 = 0.02;

/// The pause before the drain is drawn between nothing and this share of the outage,
const SPREAD_SHARE: f64 = 0.5;

/// and is at most this.
const SPREAD_MOST: Duration = Duration::from_secs(30);

/// A shorter absence than this is a hiccup, after which the pace stays what it was.
const OUTAGE: Duration = Duration::from_secs(5);

/// The last acknowledgements take so many times as long as they did at best: Toggle is falling behind.
const SLOWER: f64 = 3.0;

/// Differences below this are noise.
const SLOWER_AT_LEAST: Duration = Duration::from_millis(50);

/// Toggle is near when acknowledgements take less than this: with one batch after the other hundreds go out in a second.
const NEAR: Duration = Duration::from_millis(2);

/// The pace is halved at most once in this time: answers to what was sent before the halving say nothing about it.
const HALVING: Duration = Duration::from_secs(1);

/// How fast the backlog goes out.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Batches a second.
    rate: f64,
    /// No trouble was seen since the start or the last outage, or not for long.
    unhurt: bool,
    /// Batches that may go now, with the moment up to which they were counted.
    credit: (f64, Instant),
    /// Nothing goes before this.
    hold_until: Instant,
    halved_at: Option<Instant>,
    /// What an acknowledgement takes, in seconds: of late, and at best.
    latency: Option<(f64, f64)>,
    /// Batches that went out since the moment, and how many a second did before.
    sent: (u32, Instant),
    sent_rate: f64,
}

impl Pace {
    /// The pace of a node that has just started.
    pub(crate) fn new(now: Instant) -> Self {
        Self::at(FRESH, now)
    }

    fn at(rate: f64, now: Instant) -> Self {
        Self {
            rate,
            unhurt: true,
            credit: (1.0, now),
            hold_until: now,
            halved_at: None,
            latency: None,
            sent: (0, now),
            sent_rate: 0.0,
        }
    }

    /// Toggle is back after so long, in which `live` batches a second came in. `chance` is between 0 and 1.
    pub(crate) fn back(&mut self, outage: Duration, live: f64, chance: f64, now: Instant) {
        if outage < OUTAGE {
            return;
        }
        *self = Self::at(START.max(live * START_OF_LIVE), now);
        self.hold_until = now + outage.mul_f64(SPREAD_SHARE).min(SPREAD_MOST).mul_f64(chance.clamp(0.0, 1.0));
    }

    /// Whether a batch of the backlog may go out now.
    pub(crate) fn allows(&mut self, now: Instant) -> bool {
        self.count(now);
        now >= self.hold_until && self.credit.0 >= 1.0
    }

    /// When the next one may.
    pub(crate) fn next_at(&self, now: Instant) -> Instant {
        let missing = 1.0 - self.credit_at(now);
        // Rounded up: a timer that fires a moment too early would fire again at once.
        let wait = Duration::from_secs_f64((missing / self.rate).max(0.0)) + Duration::from_micros(1);
        let at = if missing > 0.0 { now + wait } else { now };
        at.max(self.hold_until)
    }

    /// A batch of the backlog goes out.
    pub(crate) fn sent(&mut self, now: Instant) {
        self.count(now);
        self.credit.0 -= 1.0;
        let (count, since) = self.sent;
        let window = now.saturating_duration_since(since).as_secs_f64();
        if window >= 0.5 {
            (self.sent_rate, self.sent) = (f64::from(count) / window, (1, now));
        } else {
            self.sent.0 += 1;
        }
    }

    /// Toggle took a batch, `took` after it was sent.
    pub(crate) fn acknowledged(&mut self, took: Duration, now: Instant) {
        let took = took.as_secs_f64();
        let (late, best) = self.latency.unwrap_or((took, took));
        // The best is forgotten slowly: a network may have become slower for good.
        let (late, best) = (late + (took - late) * 0.2, took.min(best * 1.001));
        self.latency = Some((late, best));
        if late > best * SLOWER && late - best > SLOWER_AT_LEAST.as_secs_f64() {
            return self.halve(now);
        }
        if self.halved_at.is_some_and(|at| now.saturating_duration_since(at) >= HEALED) {
            (self.unhurt, self.halved_at) = (true, None);
        }
        // Only where it is the pace that holds the backlog up.
        if self.credit_at(now) < 1.0 {
            let gain = if self.unhurt { FAST_GAIN } else { SLOW_GAIN * self.rate.min(1.0) };
            self.rate = (self.rate + gain).min(self.rate * 2.0).min(MOST);
        }
    }

    /// Toggle asks for less. `chance` is between 0 and 1.
    pub(crate) fn throttled(&mut self, chance: f64, now: Instant) {
        self.halve(now);
        // Whoever was told together does not come again together.
        let wait = Duration::from_secs_f64((0.5 + chance.clamp(0.0, 1.0)) / self.rate);
        self.hold_until = self.hold_until.max(now + wait);
    }

    /// Toggle has said when it wants to hear of the backlog again.
    pub(crate) fn hold(&mut self, pause: Duration, now: Instant) {
        self.hold_until = self.hold_until.max(now + pause);
    }

    /// How many of the places in flight the backlog may use: all but one, and at least one. Where answers come at once, one
    /// alone keeps Toggle busy, and a live event finds at most one piece before it.
    pub(crate) fn places(&self, in_flight: usize) -> usize {
        let is_near = self.latency.is_some_and(|(late, _)| late < NEAR.as_secs_f64());
        if is_near { 1 } else { in_flight.saturating_sub(1).max(1) }
    }

    /// Batches a second, at most.
    #[cfg(test)]
    pub(crate) fn rate(&self) -> f64 {
        self.rate
    }

    fn halve(&mut self, now: Instant) {
        self.unhurt = false;
        if self.halved_at.is_some_and(|at| now.saturating_duration_since(at) < HALVING) {
            return;
        }
        // What was allowed and not used says nothing of what Toggle can take.
        let used = self.rate.min((self.sent_rate * 1.25).max(START));
        self.rate = (used / 2.0).max(LEAST);
        self.halved_at = Some(now);
        self.credit = (self.credit_at(now).min(1.0), now);
        if let Some((_, best)) = self.latency {
            self.latency = Some((best, best));
        }
    }

    fn count(&mut self, now: Instant) {
        self.credit = (self.credit_at(now), now.max(self.credit.1));
    }

    fn credit_at(&self, now: Instant) -> f64 {
        let (credit, at) = self.credit;
        let earned = now.saturating_duration_since(at).as_secs_f64() * self.rate;
        (credit + earned).min((self.rate * BURST).max(1.0))
    }
}

#[cfg(test)]
mod tests;
