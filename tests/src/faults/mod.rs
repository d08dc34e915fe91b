//! The fault table: what becomes of every event while Toggle, the disk, the clock or the process fails.
//!
//! Each [`Row`] breaks one thing, lets it heal, and counts. The test suite runs the rows small, the program `faults` runs
//! them at full length and prints the table; both call the same functions.

pub mod agent;
mod backlog;
mod commands;
mod damage;
mod disk;
pub mod live;
mod moods;
mod outcome;
mod processes;
mod random;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    time::Duration,
};

pub use self::{
    commands::{ELSEWHERE, Shown},
    outcome::{HEADINGS, Outcome, Verdict},
};

/// How much of everything there is to be.
#[derive(Debug, Clone)]
pub struct Scale {
    /// A tenth of the events and of the time, for every change; otherwise the full length.
    pub quick: bool,
    /// The program `faults` itself: called with `agent` or `live` it is the process that rows start.
    pub program: PathBuf,
}

impl Scale {
    /// One of two numbers.
    fn of(&self, quick: usize, full: usize) -> usize {
        if self.quick { quick } else { full }
    }

    /// A time, or a tenth of it.
    fn time(&self, full: Duration) -> Duration {
        if self.quick { full / 10 } else { full }
    }

    /// Events of an ordinary row, which come at 5,000 a second.
    fn events(&self) -> usize {
        self.of(5_000, 50_000)
    }
}

/// One line of the table.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// What to call it by.
    pub name: &'static str,
    /// What is broken.
    pub about: &'static str,
    run: fn(&Scale) -> Outcome,
}

impl Row {
    const fn new(name: &'static str, about: &'static str, run: fn(&Scale) -> Outcome) -> Self {
        Self { name, about, run }
    }

    /// Runs it. A panic on the way is a failure of the row.
    pub fn run(&self, scale: &Scale) -> Outcome {
        catch_unwind(AssertUnwindSafe(|| (self.run)(scale))).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
            Outcome::failed(text)
        })
    }
}

/// The row of this name.
pub fn row(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.name == name)
}

/// Every row, in the order of the table.
pub const ROWS: &[Row] = &[
    Row::new("toggle-down", "Toggle is down from the start", moods::down_from_the_start),
    Row::new("toggle-killed", "Toggle is killed for 20 s", moods::killed),
    Row::new("unavailable", "Toggle answers UNAVAILABLE for 5 s", moods::unavailable),
    Row::new("success-false", "Toggle answers success = false for 5 s", moods::success_false),
    Row::new("store-then-fail", "Toggle stores, then fails, for 5 s", moods::store_then_fail),
    Row::new("hang", "Toggle does not answer for 5 s", moods::hang),
    Row::new("drop-connections", "connections are reset for 5 s", moods::drop_connections),
    Row::new("token-refused", "Toggle answers UNAUTHENTICATED for 5 s", moods::unauthenticated),
    Row::new("token-expires", "the token expires; a new file comes after 10 s", moods::token_expires),
    Row::new("poison", "Toggle refuses one event in each 1,000", moods::poison),
    Row::new("long-outage", "10/s for 150 s, Toggle away for 60 s", moods::long_outage),
    Row::new("restart", "shut down while Toggle is away, started again", moods::restart),
    Row::new("disk-full", "a full disk (tmpfs of 512 KiB) while Toggle is away", disk::full),
    Row::new("spool-unwritable", "the spool cannot be written for 5 s, Toggle away", disk::unwritable),
    Row::new("spool-removed", "the spool directory is removed while Toggle is away", disk::removed),
    Row::new("spool-replaced", "a file lies in the spool's place for 5 s, Toggle away", disk::replaced),
    Row::new("clock-back", "the clock steps back an hour, and returns at the restart", processes::clock_back),
    Row::new("sigterm", "SIGTERM at random moments, Toggle up and down", processes::terminated),
    Row::new("sigkill-process", "SIGKILL at random moments, durability process", processes::killed_process),
    Row::new("sigkill-power", "SIGKILL at random moments, durability power", processes::killed_power),
    Row::new("sigkill-memory", "SIGKILL at random moments, durability memory", processes::killed_memory),
    Row::new("damage", "spill files with random damage", damage::damaged_files),
    Row::new("backlog", "1 GiB in full files waits at the start", backlog::full),
    Row::new("backlog-batches", "1 GiB in files of one batch waits at the start", backlog::batches),
    Row::new("backlog-plain", "1 GiB in files without a seal waits at the start", backlog::plain),
];
