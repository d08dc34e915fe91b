//! Identities: UUIDv7 for events, batches and files (RFC 9562, section 5.7).
//!
//! Ids of one generator strictly increase, also when the clock stands still or steps back. Layout of what follows the
//! 48-bit time: a 32-bit counter that starts at a random value each millisecond (RFC 9562, section 6.2, method 1),
//! then 42 random bits. Randomness comes from a small generator seeded by the operating system: the ids have to be
//! unique, not unguessable.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
};

use uuid::Uuid;

/// Length of a UUID's text form.
pub(crate) const ID_TEXT_LEN: usize = 36;

/// The counter starts below this value, so that a millisecond always has room for two thousand million ids.
const COUNTER_START_MASK: u32 = 0x7FFF_FFFF;

/// Makes increasing UUIDv7s.
#[derive(Debug)]
pub(crate) struct IdGenerator {
    last_ms: u64,
    counter: u32,
    random: Random,
}

impl IdGenerator {
    pub(crate) fn new() -> Self {
        Self { last_ms: 0, counter: 0, random: Random::from_system() }
    }

    /// The next id, for an event of the given time in milliseconds since the Unix epoch.
    #[inline]
    pub(crate) fn next(&mut self, now_ms: u64) -> Uuid {
        let tail = self.random.next();
        if now_ms > self.last_ms {
            self.last_ms = now_ms;
            self.counter = (self.random.next() as u32) & COUNTER_START_MASK;
        } else if self.counter == u32::MAX {
            // Two thousand million ids within one millisecond of a clock that stands still: borrow the next one.
            self.last_ms += 1;
            self.counter = 0;
        } else {
            self.counter += 1;
        }
        let counter = u64::from(self.counter);
        let high = (self.last_ms << 16) | 0x7000 | (counter >> 20);
        let low = (0b10 << 62) | ((counter & 0xF_FFFF) << 42) | (tail >> 22);
        Uuid::from_u64_pair(high, low)
    }
}

/// Writes the 36 characters of `id` (lower case, with hyphens).
#[inline]
pub(crate) fn write_text(id: Uuid, out: &mut [u8; ID_TEXT_LEN]) {
    let (high, low) = id.as_u64_pair();
    let [a, b, c, d] = [high >> 32, high, low >> 32, low].map(|part| hex(part as u32));
    out[..8].copy_from_slice(&a);
    out[8] = b'-';
    out[9..13].copy_from_slice(&b[..4]);
    out[13] = b'-';
    out[14..18].copy_from_slice(&b[4..]);
    out[18] = b'-';
    out[19..23].copy_from_slice(&c[..4]);
    out[23] = b'-';
    out[24..28].copy_from_slice(&c[4..]);
    out[28..].copy_from_slice(&d);
}

/// The eight hexadecimal digits of a number, worked out side by side in one word.
#[inline]
fn hex(number: u32) -> [u8; 8] {
    const ONES: u64 = 0x0101_0101_0101_0101;
    // A digit to a byte: halves are moved apart, then their halves, then theirs.
    let mut digits = u64::from(number);
    digits = (digits | digits << 16) & 0x0000_FFFF_0000_FFFF;
    digits = (digits | digits << 8) & 0x00FF_00FF_00FF_00FF;
    digits = (digits | digits << 4) & (0x0F * ONES);
    // One in each byte of a digit beyond nine, whose letter stands so much further on.
    let letters = (digits + 6 * ONES) >> 4 & ONES;
    let further = u64::from(b'a' - b'0' - 10);
    (digits + u64::from(b'0') * ONES + letters * further).to_be_bytes()
}

/// SplitMix64 (Steele, Lea, Flood 2014): eight bytes of state, passes BigCrush, one multiplication chain per number.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// Seeded by the operating system, through the keys that the standard library draws for its hash maps.
    pub(crate) fn from_system() -> Self {
        let mut hasher = RandomState::new().build_hasher();
        // A forked child has the keys of its parent, which it must not share ids with.
        hasher.write_u32(std::process::id());
        Self(hasher.finish())
    }

    /// Always the same for a seed.
    #[cfg(test)]
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    #[inline]
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_increase_also_when_the_clock_steps_back() {
        let mut ids = IdGenerator::new();
        let mut last = ids.next(1_800_000_000_000);
        for now in [1_800_000_000_000, 1_800_000_000_001, 1_799_999_999_000, 0, 1_800_000_000_001] {
            for _ in 0..1000 {
                let id = ids.next(now);
                assert!(id > last, "{id} after {last}");
                last = id;
            }
        }
    }

    #[test]
    fn an_id_is_a_uuid_of_version_7_and_tells_its_time() {
        let id = IdGenerator::new().next(1_800_000_000_123);
        assert_eq!(id.get_version_num(), 7);
        assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
        assert_eq!(id.as_u64_pair().0 >> 16, 1_800_000_000_123);
    }

    #[test]
    fn the_counter_borrows_a_millisecond_rather_than_repeat() {
        let mut ids = IdGenerator::new();
        let _ = ids.next(5);
        ids.counter = u32::MAX - 1;
        let last = ids.next(5);
        let next = ids.next(5);
        assert!(next > last);
        assert_eq!(next.as_u64_pair().0 >> 16, 6);
    }

    #[test]
    fn text_is_what_the_uuid_crate_writes() {
        let mut ids = IdGenerator::new();
        for now in 0..1000 {
            let id = ids.next(now * 1_234_567_891);
            let mut text = [0; ID_TEXT_LEN];
            write_text(id, &mut text);
            assert_eq!(text.as_slice(), id.to_string().as_bytes());
        }
    }
}
