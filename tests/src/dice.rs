//! Random days that can be had again.

use std::{env, ops::Range};

/// Xorshift (Marsaglia, 2003): a day can be had again by its seed.
pub struct Dice(u64);

impl Dice {
    /// Dice that fall the same way for the same seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below this.
    pub fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % most
    }

    /// One of these.
    pub fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// The seeds of so many days from the first on, unless the environment says otherwise: how many under one name, and from which on
/// under the other.
pub fn seeds((days, many): (&str, u64), (seed, first): (&str, u64)) -> Range<u64> {
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse().ok());
    let first = number(seed).unwrap_or(first);
    first..first + number(days).unwrap_or(many)
}
