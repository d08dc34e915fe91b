//! Whether Toggle answers more slowly than it did.
//!
//! Like is compared with like: pieces of the backlog with pieces of about the same size, and with the best of late, which is
//! forgotten by degrees, so that a way to Toggle that has become longer for good is soon the usual one. Live batches do not
//! count: they are small, may have to wait for a piece on a thin line, and what they take says nothing of a piece.

use std::time::{Duration, Instant};

/// A piece took so many times as long as it should have.
const SLOWER: f64 = 3.0;

/// Differences below this are noise.
const SLOWER_AT_LEAST: Duration = Duration::from_millis(50);

/// So many pieces in a row must have taken longer: some answers are always late, and a short stop delays all that is under way,
/// three pieces by default.
const IN_A_ROW: u32 = 4;

/// The best counts for twice of what it took after so long, and so on.
const FORGOTTEN: Duration = Duration::from_secs(30);

/// Pieces are compared with those of the same power of two of bytes.
const SIZES: usize = 32;

/// How large a piece is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) bytes: usize,
    pub(crate) events: usize,
}

/// A piece that was acknowledged.
#[derive(Debug, Clone, Copy)]
struct Piece {
    /// In seconds.
    took: f64,
    size: Size,
    at: Instant,
}

/// What the acknowledgements of pieces of the backlog take.
#[derive(Debug)]
pub(super) struct Latency {
    /// The quickest of each size.
    best: [Option<Piece>; SIZES],
    /// Pieces in a row that took longer.
    slow: u32,
    /// What they took of late, in seconds.
    late: Option<f64>,
}

impl Latency {
    pub(super) fn new() -> Self {
        Self { best: [None; SIZES], slow: 0, late: None }
    }

    /// Whether pieces of late take less than this; not as long as there was none.
    pub(super) fn is_below(&self, limit: Duration) -> bool {
        self.late.is_some_and(|late| late < limit.as_secs_f64())
    }

    /// A piece was acknowledged. Says whether Toggle is falling behind; once for all that shows it.
    pub(super) fn acknowledged(&mut self, took: Duration, size: Size, now: Instant) -> bool {
        let piece = Piece { took: took.as_secs_f64(), size, at: now };
        let late = self.late.unwrap_or(piece.took);
        self.late = Some(late + (piece.took - late) * 0.2);
        let Some(best) = self.best.get_mut(size.bytes.max(1).ilog2() as usize) else { return false };
        // One that nothing can be compared with shows nothing.
        let Some(known) = *best else {
            *best = Some(piece);
            return false;
        };
        if piece.took < known.took_as_of(now) {
            *best = Some(piece);
        }
        let expected = known.may_take(size, now);
        let is_slow = piece.took > expected * SLOWER && piece.took - expected > SLOWER_AT_LEAST.as_secs_f64();
        self.slow = if is_slow { self.slow + 1 } else { 0 };
        let is_behind = self.slow >= IN_A_ROW;
        if is_behind {
            self.slow = 0;
        }
        is_behind
    }
}

impl Piece {
    /// What it took, forgotten by degrees.
    fn took_as_of(&self, now: Instant) -> f64 {
        let age = now.saturating_duration_since(self.at);
        self.took * age.div_duration_f64(FORGOTTEN).exp2()
    }

    /// What one of this size takes at most, where this one took what it took: whatever of that is due to the bytes, to the
    /// events, or to neither.
    fn may_take(&self, size: Size, now: Instant) -> f64 {
        let more = |of: usize, than: usize| of as f64 / than.max(1) as f64;
        let larger = more(size.bytes, self.size.bytes).max(more(size.events, self.size.events)).max(1.0);
        self.took_as_of(now) * larger
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const FULL: Size = Size { bytes: 40_000, events: 125 };

    /// How often Toggle was found to fall behind, with an acknowledgement every tenth of a second.
    fn times_behind(pieces: impl IntoIterator<Item = (Duration, Size)>) -> usize {
        let start = Instant::now();
        let mut latency = Latency::new();
        let said = pieces
            .into_iter()
            .zip(1..)
            .map(|((took, size), nth)| latency.acknowledged(took, size, start + 100 * MS * nth));
        said.filter(|&is_behind| is_behind).count()
    }

    #[test]
    fn small_pieces_and_large_ones_are_not_compared() {
        let sizes = [1, 125, 30, 60, 90, 125, 2, 125, 125, 125, 125, 125, 125];
        let piece = |&events: &usize| (MS * (5 + events as u32), Size { bytes: events * 300, events });
        assert_eq!(times_behind(sizes.iter().cycle().take(1_000).map(piece)), 0);
        // As many bytes, and sometimes in few events, sometimes in many.
        let piece = |nth: usize| {
            let events = if nth.is_multiple_of(10) { 10 } else { 125 };
            (MS * (5 + 4 * events as u32), Size { bytes: 40_000, events })
        };
        assert_eq!(times_behind((0..1_000).map(piece)), 0);
    }

    #[test]
    fn some_late_answers_and_a_stop_that_delays_all_places_say_nothing() {
        for (every, late) in [(7, 1), (50, 3)] {
            let took = |nth: usize| if nth % every < late { 500 * MS } else { 10 * MS };
            assert_eq!(times_behind((1..1_000).map(|nth| (took(nth), FULL))), 0);
        }
    }

    #[test]
    fn when_all_take_longer_toggle_is_falling_behind() {
        let took = |nth| if nth < 100 { 10 * MS } else { 120 * MS };
        assert_eq!(times_behind((0..110).map(|nth| (took(nth), FULL))), 2);
    }

    #[test]
    fn what_lasts_for_two_minutes_is_the_usual() {
        let took = |nth| if nth < 100 { 10 * MS } else { 120 * MS };
        let in_two_minutes = times_behind((0..1_300).map(|nth| (took(nth), FULL)));
        assert!(in_two_minutes > 0);
        assert_eq!(times_behind((0..100_000).map(|nth| (took(nth), FULL))), in_two_minutes);
    }

    #[test]
    fn after_a_long_silence_nothing_is_compared() {
        let start = Instant::now();
        let mut latency = Latency::new();
        latency.acknowledged(MS, FULL, start);
        for nth in 0..10 {
            assert!(!latency.acknowledged(400 * MS, FULL, start + 20 * FORGOTTEN + MS * nth));
        }
    }
}
