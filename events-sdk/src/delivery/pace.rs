//! The pace: how fast the backlog goes out.
//!
//! Live events are sent as they come. The backlog follows at a rate of its own, so that a Toggle that has just come back
//! is not run over by all its nodes at once:
//!
//! * After an outage it begins with half as many batches as came in live meanwhile, and at least one every two seconds, after a
//!   random pause that grows with the outage.
//! * What earlier processes left is of an outage, or of a start of all nodes together: it waits for a random pause that
//!   grows with how much it is, and begins slowly. What a node puts on disk itself while Toggle is there concerns it alone, and
//!   begins faster.
//! * Acknowledgements speed it up: it grows by a fifth every second at first, and gently after the first trouble.
//! * `RESOURCE_EXHAUSTED`, or acknowledgements of pieces that take much longer than they did ([`latency`]), halve it.
//!
//! Time and chance come from the caller, so a simulation of two hundred nodes is an ordinary test.

mod latency;

use std::time::{Duration, Instant};

use self::latency::Latency;
pub(crate) use self::latency::Size;

/// Batches a second to begin with. A Toggle that does not bear these from all of its nodes could not bear their live events.
const START: f64 = 0.5;

/// So much of what a node sends live it begins with, if that is more: Toggle bears the live events of all its nodes, and if they
/// all begin at once that makes one and a half times as many batches.
const START_OF_LIVE: f64 = 0.5;

/// Batches a second to begin with where this node alone has a backlog, and there was no outage.
const FRESH: f64 = 64.0;

/// Batches a second to begin with where other nodes may begin at the same time: after a start, or a hiccup.
const TOGETHER: f64 = 2.0;

/// What was found at the start waits for a random part of this for every batch of it,
const SPREAD_BATCH: Duration = Duration::from_millis(500);

/// and of this at most.
const SPREAD_START: Duration = Duration::from_secs(10);

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

/// A shorter absence than this is a hiccup, after which the pace goes on as it was used.
const OUTAGE: Duration = Duration::from_secs(5);

/// Toggle is near when acknowledgements take less than this: with one batch after the other hundreds go out in a second.
const NEAR: Duration = Duration::from_millis(2);

/// Where there is one place in flight, a piece of the backlog takes it after so many live batches.
const LIVE_IN_A_ROW: u32 = 3;

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
    latency: Latency,
    /// When something of earlier processes was first found, and the chance that was drawn for it.
    found: Option<(Instant, f64)>,
    /// Live batches that went out since a piece did.
    live_in_a_row: u32,
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
            latency: Latency::new(),
            found: None,
            live_in_a_row: 0,
            sent: (0, now),
            sent_rate: 0.0,
        }
    }

    /// So many batches of earlier processes were found up to now. `chance` is between 0 and 1; the first one counts.
    pub(crate) fn found(&mut self, batches: u64, chance: f64, now: Instant) {
        if batches == 0 {
            return;
        }
        let (at, chance) = *self.found.get_or_insert_with(|| {
            self.rate = self.rate.min(TOGETHER);
            (now, chance.clamp(0.0, 1.0))
        });
        let batches = u32::try_from(batches).unwrap_or(u32::MAX);
        let hold_until = at + SPREAD_BATCH.saturating_mul(batches).min(SPREAD_START).mul_f64(chance);
        self.hold_until = self.hold_until.max(hold_until);
    }

    /// Whether what is found of earlier processes still matters.
    pub(crate) fn is_starting(&self, now: Instant) -> bool {
        self.found.is_none_or(|(at, _)| now < at + SPREAD_START)
    }

    /// Toggle is back after so long, in which `live` batches a second came in. `chance` is between 0 and 1.
    pub(crate) fn back(&mut self, outage: Duration, live: f64, chance: f64, now: Instant) {
        let hold = outage.mul_f64(SPREAD_SHARE).min(SPREAD_MOST).mul_f64(chance.clamp(0.0, 1.0));
        let hold_until = now + hold;
        if outage < OUTAGE {
            // What it was allowed and did not use may be too much when all come at once.
            let is_recent = now.saturating_duration_since(self.sent.1) < 2 * OUTAGE;
            let used = if is_recent { self.sent_rate } else { 0.0 };
            self.rate = self.rate.min(used.max(live * START_OF_LIVE).max(TOGETHER));
            self.hold_until = self.hold_until.max(hold_until);
            return;
        }
        // What was found before waits for this pause and no other.
        *self =
            Self { hold_until, found: Some((now, 0.0)), ..Self::at(START.max(live * START_OF_LIVE), now) };
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
        self.live_in_a_row = 0;
        let (count, since) = self.sent;
        let window = now.saturating_duration_since(since).as_secs_f64();
        if window >= 0.5 {
            (self.sent_rate, self.sent) = (f64::from(count) / window, (1, now));
        } else {
            self.sent.0 += 1;
        }
    }

    /// A live batch goes out.
    pub(crate) fn sent_live(&mut self) {
        self.live_in_a_row = self.live_in_a_row.saturating_add(1);
    }

    /// Whether a piece goes before live batches where both use the one place there is.
    pub(crate) fn is_pieces_turn(&self) -> bool {
        self.live_in_a_row >= LIVE_IN_A_ROW
    }

    /// Toggle took a batch, `took` after it was sent; a piece of the backlog of this size, or a live one.
    pub(crate) fn acknowledged(&mut self, took: Duration, piece: Option<Size>, now: Instant) {
        if piece.is_some_and(|size| self.latency.acknowledged(took, size, now)) {
            return self.halve(START, now);
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
        self.halve(LEAST, now);
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
        if self.latency.is_below(NEAR) { 1 } else { in_flight.saturating_sub(1).max(1) }
    }

    /// Batches a second, at most.
    #[cfg(test)]
    pub(crate) fn rate(&self) -> f64 {
        self.rate
    }

    /// `least` is what is left at least: a Toggle that is merely slow gets more than one that turns batches away.
    fn halve(&mut self, least: f64, now: Instant) {
        self.unhurt = false;
        if self.halved_at.is_some_and(|at| now.saturating_duration_since(at) < HALVING) {
            return;
        }
        // What was allowed and not used says nothing of what Toggle can take.
        let used = self.rate.min((self.sent_rate * 1.25).max(START));
        self.rate = (used / 2.0).max(least.min(self.rate));
        self.halved_at = Some(now);
        self.credit = (self.credit_at(now).min(1.0), now);
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
