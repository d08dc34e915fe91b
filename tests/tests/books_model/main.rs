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

use std::time::Duration;

use events_tests::seeds;

use self::day::Day;

/// As long as anything may take that is not stuck.
const PATIENCE: Duration = Duration::from_secs(120);

/// Days from this seed on, or from the one that the environment names, as many as it says.
fn days(first: u64, kind: day::Kind) {
    for seed in seeds(("BOOKS_DAYS", 1), ("BOOKS_SEED", first)) {
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
