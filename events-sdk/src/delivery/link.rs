//! The link: what we believe of Toggle, and when it is tried again.

use std::time::{Duration, Instant};

use crate::{SendError, SendErrorKind, backoff::Backoff, stats::UplinkState};

/// While Toggle is away, one batch at a time probes it.
#[derive(Debug)]
pub(crate) struct Link {
    state: UplinkState,
    since: Instant,
    failures: u32,
    retry_at: Instant,
    backoff: Backoff,
}

/// What an answer changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing an operator must hear of.
    None,
    /// Toggle answers again, after so long.
    Back(Duration),
    /// Toggle is away, or in another way than before.
    Lost,
}

impl Link {
    pub(crate) fn new(backoff: Backoff) -> Self {
        let now = Instant::now();
        Self { state: UplinkState::Idle, since: now, failures: 0, retry_at: now, backoff }
    }

    pub(crate) fn state(&self) -> UplinkState {
        self.state
    }

    pub(crate) fn since(&self) -> Instant {
        self.since
    }

    /// Whether batches go out freely.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state, UplinkState::Idle | UplinkState::Up)
    }

    /// When the next probe goes out; `None` while batches go out freely.
    pub(crate) fn retry_at(&self) -> Option<Instant> {
        (!self.is_open()).then_some(self.retry_at)
    }

    /// The next probe goes out at once.
    pub(crate) fn hurry(&mut self) {
        self.retry_at = Instant::now();
    }

    /// Toggle took a batch.
    pub(crate) fn delivered(&mut self, now: Instant) -> Change {
        let change = match self.state {
            UplinkState::Up => return Change::None,
            UplinkState::Idle => Change::None,
            UplinkState::Away | UplinkState::Busy | UplinkState::Unauthenticated => {
                Change::Back(now - self.since)
            }
        };
        (self.state, self.since, self.failures) = (UplinkState::Up, now, 0);
        change
    }

    /// Toggle did not take a batch. Of several batches that fail together only the first counts; after that the probes.
    pub(crate) fn failed(&mut self, error: &SendError, probe: bool, now: Instant) -> Change {
        let state = match error.kind() {
            SendErrorKind::Unauthenticated => UplinkState::Unauthenticated,
            SendErrorKind::Busy => UplinkState::Busy,
            _ => UplinkState::Away,
        };
        if self.is_open() || probe {
            self.failures = self.failures.saturating_add(1);
            self.retry_at = now + self.backoff.pause(self.failures);
        }
        if self.state == state {
            return Change::None;
        }
        if self.is_open() {
            self.since = now;
        }
        self.state = state;
        Change::Lost
    }

    /// A pause for one batch that was refused so many times, so that it stands in nobody's way.
    pub(crate) fn pause_for(&mut self, refusals: u32) -> Duration {
        self.backoff.pause(refusals)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> Link {
        Link::new(Backoff::new(Duration::from_secs(1), Duration::from_secs(60)))
    }

    #[test]
    fn several_batches_that_fail_together_count_once() {
        let mut link = link();
        let now = Instant::now();
        let error = SendError::new(SendErrorKind::Unavailable, "down");
        assert_eq!(link.failed(&error, false, now), Change::Lost);
        assert_eq!(link.failed(&error, false, now), Change::None);
        assert_eq!(link.failures, 1);
        assert_eq!(link.failed(&error, true, now), Change::None);
        assert_eq!(link.failures, 2);
        assert!(!link.is_open());
    }

    #[test]
    fn an_expired_token_is_a_state_of_its_own_and_ends_with_a_delivery() {
        let mut link = link();
        let now = Instant::now();
        link.failed(&SendError::new(SendErrorKind::Unauthenticated, "expired"), false, now);
        assert_eq!(link.state(), UplinkState::Unauthenticated);
        let later = now + Duration::from_secs(7);
        assert_eq!(link.delivered(later), Change::Back(Duration::from_secs(7)));
        assert!(link.is_open());
        assert_eq!(link.retry_at(), None);
    }
}
