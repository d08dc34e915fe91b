//! The link: what we believe of Toggle, and when it is tried again.

use std::time::{Duration, Instant};

use super::LOG_AGAIN;
use crate::{SendError, SendErrorKind, backoff::Backoff, stats::UplinkState};

/// So many times in a row Toggle may ask for less before it counts as away and events go to disk instead of waiting.
const BUSY_TIMES: u32 = 4;

/// The longest pause after such an answer, unless Toggle names one: it is there, and what it has to spare changes fast. And where it
/// refuses everything: it is one of many batches that shows that it is well, and each of them costs it little.
const BUSY_PAUSE: Duration = Duration::from_secs(2);

/// Toggle may name a longer pause than that, up to this: it is bounded against a mistake in its configuration.
pub(super) const BUSY_PAUSE_MOST: Duration = Duration::from_secs(300);

/// Where Toggle fails in two ways by turns, each is told once, and again after this.
const TELL_AGAIN: Duration = Duration::from_secs(600);

/// While Toggle is away, one batch at a time probes it.
#[derive(Debug)]
pub(crate) struct Link {
    state: UplinkState,
    since: Instant,
    failures: u32,
    retry_at: Instant,
    /// How often in a row Toggle has asked for less.
    busy: u32,
    /// Nothing is sent before this, because Toggle has asked for less.
    hold_until: Instant,
    backoff: Backoff,
    /// The ways of this outage that an operator was told of, and when last.
    told: Vec<(UplinkState, Instant)>,
    /// An operator was told of this outage.
    is_told: bool,
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
        Self {
            state: UplinkState::Idle,
            since: now,
            failures: 0,
            retry_at: now,
            busy: 0,
            hold_until: now,
            backoff,
            told: Vec::new(),
            is_told: false,
        }
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

    /// Until when nothing is sent, because Toggle has asked for less.
    pub(crate) fn held_until(&self, now: Instant) -> Option<Instant> {
        (self.is_open() && now < self.hold_until).then_some(self.hold_until)
    }

    /// The next probe goes out at once.
    pub(crate) fn hurry(&mut self) {
        self.retry_at = Instant::now();
        self.hold_until = self.retry_at;
    }

    /// The next probe goes out after the shortest of pauses.
    pub(crate) fn soon(&mut self, now: Instant) {
        self.retry_at = self.retry_at.min(now + self.backoff.pause(1));
    }

    /// Whether an operator was told of the last outage.
    pub(crate) fn is_told(&self) -> bool {
        self.is_told
    }

    /// Toggle took a batch.
    pub(crate) fn delivered(&mut self, now: Instant) -> Change {
        self.busy = 0;
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
            let is_answer = matches!(
                error.kind(),
                SendErrorKind::Refused | SendErrorKind::Declined | SendErrorKind::TooLarge
            );
            let most = if is_answer { BUSY_PAUSE } else { Duration::MAX };
            self.retry_at = now + self.backoff.pause_within(self.failures, most);
        }
        if self.state == state {
            // An outage that was too fresh to be told lasts.
            return if self.is_told { Change::None } else { self.tell(state, now) };
        }
        if self.is_open() {
            self.since = now;
            self.is_told = false;
        }
        self.state = state;
        self.tell(state, now)
    }

    /// Whether an operator must hear that Toggle is away in this way.
    fn tell(&mut self, state: UplinkState, now: Instant) -> Change {
        let since = self.since;
        // One that comes and goes fills no log: an outage is told once it lasts.
        let pause = |at: Instant| if at >= since { TELL_AGAIN } else { LOG_AGAIN };
        match self.told.iter_mut().find(|(told, _)| *told == state) {
            Some((_, at)) if now.saturating_duration_since(*at) < pause(*at) => return Change::None,
            Some((_, at)) => *at = now,
            None => self.told.push((state, now)),
        }
        self.is_told = true;
        Change::Lost
    }

    /// Toggle asked for less, and perhaps for how long. A few times in a row that is a short pause for everything and
    /// Toggle is not away; after that, or when it wants a long pause, events are better off on disk.
    pub(crate) fn busy(&mut self, error: &SendError, probe: bool, now: Instant) -> Change {
        let asked = error.retry_after().map(|pause| pause.min(BUSY_PAUSE_MOST));
        if self.is_open() {
            if now < self.hold_until {
                // Sent together with the one that counted.
                return Change::None;
            }
            self.busy += 1;
            let pause = asked.unwrap_or_else(|| self.backoff.pause_within(self.busy, BUSY_PAUSE));
            if self.busy < BUSY_TIMES && pause <= BUSY_PAUSE {
                self.hold_until = now + pause;
                return Change::None;
            }
        }
        let counts = self.is_open() || probe;
        let change = self.failed(error, probe, now);
        if counts {
            let pause = asked.unwrap_or_else(|| self.backoff.pause_within(self.failures, BUSY_PAUSE));
            self.retry_at = now + pause;
        }
        change
    }

    /// A pause for one batch that was refused so many times, so that it stands in nobody's way; where everything is refused it may be all
    /// that there is to probe with.
    pub(crate) fn pause_for(&mut self, refusals: u32) -> Duration {
        let most = if self.is_open() { Duration::MAX } else { BUSY_PAUSE };
        self.backoff.pause_within(refusals, most)
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
    fn of_two_ways_to_fail_by_turns_each_is_told_once_and_again_after_a_while() {
        let mut link = link();
        let errors = [SendErrorKind::Unavailable, SendErrorKind::Unauthenticated]
            .map(|kind| SendError::new(kind, "no"));
        let mut now = Instant::now();
        let lost = |link: &mut Link, now| {
            let changes = errors.each_ref().map(|error| link.failed(error, true, now));
            changes.iter().filter(|&&change| change == Change::Lost).count()
        };
        assert_eq!(lost(&mut link, now), 2);
        for _ in 0..10 {
            now += Duration::from_secs(10);
            assert_eq!(lost(&mut link, now), 0);
            assert_eq!(link.state(), UplinkState::Unauthenticated, "it is shown all the same");
        }
        now += TELL_AGAIN;
        assert_eq!(lost(&mut link, now), 2);
        // The next outage is told anew, unless it comes at once and does not last.
        assert!(matches!(link.delivered(now), Change::Back(_)) && link.is_told());
        for _ in 0..5 {
            now += Duration::from_millis(100);
            assert_eq!(lost(&mut link, now), 0);
            assert!(matches!(link.delivered(now), Change::Back(_)) && !link.is_told());
        }
        assert_eq!(lost(&mut link, now), 0);
        now += LOG_AGAIN;
        assert_eq!(lost(&mut link, now), 2);
        assert!(matches!(link.delivered(now), Change::Back(_)) && link.is_told());
        assert_eq!(lost(&mut link, now + LOG_AGAIN), 2);
    }

    #[test]
    fn a_busy_toggle_is_not_away_until_it_has_said_so_again_and_again() {
        let mut link = link();
        let busy = SendError::new(SendErrorKind::Busy, "slower");
        let mut now = Instant::now();
        for _ in 1..BUSY_TIMES {
            assert_eq!(link.busy(&busy, false, now), Change::None);
            assert_eq!(link.busy(&busy, false, now), Change::None, "sent together");
            assert!(link.is_open());
            now = link.held_until(now).unwrap();
            assert_eq!(link.held_until(now), None);
        }
        assert_eq!(link.busy(&busy, false, now), Change::Lost);
        for _ in 0..20 {
            now = link.retry_at().unwrap();
            assert_eq!(link.busy(&busy, true, now), Change::None);
            assert!(link.retry_at().unwrap() <= now + BUSY_PAUSE, "it is there, and soon asked again");
        }
        assert!(matches!(link.delivered(now), Change::Back(_)));
        assert_eq!(link.busy(&busy, false, now), Change::None);
        assert!(link.is_open());
    }

    #[test]
    fn probes_that_were_told_together_to_come_later_do_not_come_together() {
        let busy = SendError::new(SendErrorKind::Busy, "slower");
        let now = Instant::now();
        let mut pauses = [1, 2, 3, 4].map(|seed| {
            let mut link =
                Link::new(Backoff::seeded(Duration::from_millis(200), Duration::from_secs(10), seed));
            link.failed(&SendError::new(SendErrorKind::Unavailable, "down"), false, now);
            for _ in 0..20 {
                link.busy(&busy, true, now);
            }
            link.retry_at().unwrap() - now
        });
        pauses.sort();
        assert!(pauses.windows(2).all(|two| two[0] < two[1]) && pauses[3] <= BUSY_PAUSE, "{pauses:?}");
    }

    #[test]
    fn what_was_refused_is_no_longer_kept_back_than_probes_are_while_everything_is_refused() {
        let (mut link, now) = (link(), Instant::now());
        assert!(link.pause_for(20) > BUSY_PAUSE);
        link.failed(&SendError::new(SendErrorKind::Refused, "no"), true, now);
        assert!(link.pause_for(20) <= BUSY_PAUSE && link.retry_at().unwrap() <= now + BUSY_PAUSE);
    }

    #[test]
    fn the_pause_that_toggle_names_is_kept_and_bounded() {
        let asks = |pause| SendError::new(SendErrorKind::Busy, "slower").with_retry_after(pause);
        let mut link = link();
        let now = Instant::now();
        assert_eq!(link.busy(&asks(Duration::from_millis(700)), false, now), Change::None);
        let later = now + Duration::from_millis(700);
        assert_eq!(link.held_until(now), Some(later));
        assert_eq!(link.busy(&asks(Duration::from_secs(20)), false, later), Change::Lost);
        assert_eq!(link.retry_at(), Some(later + Duration::from_secs(20)));
        link.busy(&asks(Duration::from_secs(86_400)), true, later);
        assert_eq!(link.retry_at(), Some(later + BUSY_PAUSE_MOST));
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
