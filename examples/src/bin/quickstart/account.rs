//! The account at the end: what was emitted against what Toggle really stored.
//!
//! Two books that know nothing of each other are compared: the statistics of the event system, and the ids of the
//! events in Toggle's store.

use std::{collections::HashSet, io};

use events_sdk::{ShutdownReport, testing::Toggle};
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
    report: ShutdownReport,
}

impl Account {
    pub(crate) fn new(emitted: u64, toggle: &Toggle, report: ShutdownReport) -> Self {
        let events = toggle.events();
        let ids: HashSet<&str> = events.iter().map(|event| event.event_id.as_str()).collect();
        Self {
            emitted,
            stored: ids.len() as u64,
            stored_twice: (events.len() - ids.len()) as u64,
            recognised: toggle.duplicate_events() as u64,
            altered: toggle.altered_repeats(),
            report,
        }
    }

    fn lost(&self) -> u64 {
        self.emitted.saturating_sub(self.stored)
    }

    /// Every event arrived, none was invented or stored twice, and both books say so.
    pub(crate) fn balances(&self) -> bool {
        let stats = &self.report.stats;
        self.stored == self.emitted
            && self.stored_twice == 0
            && self.altered == 0
            && stats.balances()
            && stats.accepted == self.emitted
            && stats.delivered == self.emitted
    }

    pub(crate) fn print(&self, screen: &Screen) -> io::Result<()> {
        let stats = &self.report.stats;
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
        row("sent again, recognised by batch id", self.recognised)?;
        row("batches sent again with other content", self.altered as u64)?;
        screen.line("")?;
        let Self { emitted, stored, recognised, .. } = self;
        if !self.balances() {
            screen.line("The account does not balance.")?;
        }
        screen.line(&format!(
            "emitted {emitted}  delivered {stored}  duplicates recognised {recognised}  lost {}",
            self.lost()
        ))
    }
}
