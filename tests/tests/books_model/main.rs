//! The books beside a model of them: random days of agents that end and are killed, of a Toggle that is there or not, of files that
//! come and go, and of the commands that work on a spool without an agent. The model knows what was emitted, what somebody took
//! away and what Toggle has; the books must say the same, before and after each start.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests fail and speak as tests do"
)]

mod agent;
mod day;
mod tool;

use std::{env, time::Duration};

use self::day::Day;

/// As long as anything may take that is not stuck.
const PATIENCE: Duration = Duration::from_secs(120);

/// Xorshift (Marsaglia, 2003): a day can be had again by its seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % most
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// Days from this seed on, or from the one that the environment names, as many as it says.
fn days(first: u64, kind: day::Kind) {
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse().ok());
    let days: u64 = number("BOOKS_DAYS").unwrap_or(1);
    let first = number("BOOKS_SEED").unwrap_or(first);
    for seed in first..first + days {
        println!("seed {seed} {kind:?}");
        Day::new(seed, kind).run();
    }
}

#[test]
fn on_calm_days_the_books_say_what_the_model_knows_to_the_event() {
    days(1, day::Kind::Calm);
}

#[test]
fn on_days_of_a_full_spool_the_books_say_what_the_model_knows() {
    days(1_001, day::Kind::Full);
}

#[test]
fn on_wild_days_no_event_is_lost_that_is_not_counted() {
    days(2_001, day::Kind::Wild);
}
