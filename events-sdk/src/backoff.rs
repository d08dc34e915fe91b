//! Exponential backoff with jitter: how long to wait before Toggle is tried again.

use std::time::Duration;

use crate::id::Random;

/// Doubles from the initial pause up to the longest one; each pause is drawn between half of that and all of it, so
/// that nodes which failed together do not come back together.
#[derive(Debug)]
pub(crate) struct Backoff {
    initial: Duration,
    longest: Duration,
    random: Random,
}

impl Backoff {
    pub(crate) fn new(initial: Duration, longest: Duration) -> Self {
        Self { initial, longest: longest.max(initial), random: Random::from_system() }
    }

    /// The same every time it is made with this seed.
    #[cfg(test)]
    pub(crate) fn seeded(initial: Duration, longest: Duration, seed: u64) -> Self {
        Self { initial, longest, random: Random::seeded(seed) }
    }

    /// The pause after so many failures in a row, one being the first.
    pub(crate) fn pause(&mut self, failures: u32) -> Duration {
        self.pause_within(failures, self.longest)
    }

    /// The same, with another bound, below which it is drawn as well: cut off afterwards, all pauses would be the same.
    pub(crate) fn pause_within(&mut self, failures: u32, most: Duration) -> Duration {
        let doubled =
            self.initial.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
        let full = doubled.min(self.longest).min(most);
        let half = full / 2;
        half + (full - half).mul_f64(self.chance())
    }

    /// A random number from 0 up to 1.
    pub(crate) fn chance(&mut self) -> f64 {
        // 2^53 equal steps.
        (self.random.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_with_jitter_and_never_exceed_the_longest() {
        let (initial, longest) = (Duration::from_millis(200), Duration::from_secs(10));
        let mut backoff = Backoff::new(initial, longest);
        for failures in 1..200 {
            let full = initial.saturating_mul(1 << (failures - 1).min(20)).min(longest);
            for _ in 0..20 {
                let pause = backoff.pause(failures);
                assert!(pause >= full / 2 && pause <= full, "{failures}: {pause:?}");
            }
        }
    }
}
