//! The account at the end: what was emitted against what Toggle really stored.
//!
//! Two books that know nothing of each other are compared: the statistics of the event system, and the ids of the
//! events in Toggle's store.

use std::{collections::HashSet, io};

use events_sdk::{Stats, testing::Toggle};
use indicatif::HumanCount;

use crate::screen::Screen;

pub(crate) struct Account {
    /// Events whose ticket said that they were accepted.
    emitted: u64,
    /// Different event ids in Toggle's store.
    stored: u64,
    /// Events stored twice under one id: repeats that Toggle failed to recognise.
    stored_twice: u64,
    /// Events that came a second time and that Toggle recognised by the id of their batch.
    recognised: u64,
    /// Batches that came again with other bytes.
    altered: usize,
    stats: Stats,
}

impl Account {
    pub(crate) fn new(emitted: u64, toggle: &Toggle, stats: Stats) -> Self {
        let events = toggle.events();
        let ids: HashSet<&str> = events.iter().map(|event| event.event_id.as_str()).collect();
        Self {
            emitted,
            stored: ids.len() as u64,
            stored_twice: (events.len() - ids.len()) as u64,
            recognised: toggle.duplicate_events() as u64,
            altered: toggle.altered_repeats(),
            stats,
        }
    }

    fn lost(&self) -> u64 {
        self.emitted.saturating_sub(self.stored)
    }

    /// Every event arrived, none was invented or stored twice, and both books say so.
    pub(crate) fn balances(&self) -> bool {
        let stats = &self.stats;
        self.stored == self.emitted
            && self.stored_twice == 0
            && self.altered == 0
            && stats.balances()
            && stats.accepted == self.emitted
            && stats.delivered == self.emitted
    }

    pub(crate) fn print(&self, screen: &Screen) -> io::Result<()> {
        let stats = &self.stats;
        let row = |name: &str, count: u64| {
            screen.line(&format!("  {name:<44} {:>8}", HumanCount(count).to_string()))
        };
        screen.title("4  The account")?;
        screen.line("The event system's book:")?;
        row("accepted", stats.accepted)?;
        row("= delivered", stats.delivered)?;
        row("+ in memory", stats.in_memory)?;
        row("+ in flight", stats.in_flight)?;
        row("+ on disk", stats.on_disk)?;
        row("+ quarantined", stats.quarantined)?;
        row("+ dropped", stats.dropped_total())?;
        screen.line("Toggle's book:")?;
        row("stored, by unique event id", self.stored)?;
        row("stored twice", self.stored_twice)?;
        row("events sent again, known by their batch id", self.recognised)?;
        row("batches sent again with other content", self.altered as u64)?;
        screen.line("")?;
        let Self { emitted, stored, recognised, .. } = self;
        if !self.balances() {
            screen.line("The account does not balance.")?;
        }
        screen.line(&format!(
            "emitted {emitted}  delivered {stored}  events recognised as duplicates {recognised}  lost {}",
            self.lost()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn balanced() -> Account {
        let mut stats = Stats::default();
        (stats.accepted, stats.delivered) = (7, 7);
        Account { emitted: 7, stored: 7, stored_twice: 0, recognised: 2, altered: 0, stats }
    }

    #[test]
    fn repeats_that_were_recognised_do_no_harm() {
        assert!(balanced().balances());
        assert_eq!(balanced().lost(), 0);
    }

    #[test]
    fn an_event_that_is_missing_from_either_book_is_found_out() {
        let missing_at_toggle = Account { stored: 6, ..balanced() };
        assert!(!missing_at_toggle.balances());
        assert_eq!(missing_at_toggle.lost(), 1);
        let mut missing_here = balanced();
        missing_here.stats.delivered = 6;
        assert!(!missing_here.balances());
    }

    #[test]
    fn an_event_that_is_stored_twice_or_altered_is_found_out() {
        assert!(!Account { stored: 8, ..balanced() }.balances());
        assert!(!Account { stored_twice: 1, ..balanced() }.balances());
        assert!(!Account { altered: 1, ..balanced() }.balances());
    }
}
