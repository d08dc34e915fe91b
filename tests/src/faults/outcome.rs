//! What a row came to, and how it reads as a line of the table.

use std::{collections::HashSet, ops::Range};

use events_sdk::{DropReason, Stats, testing::Toggle};

use crate::NUMBER;

/// What the columns of [`Outcome::cells`] are called.
pub const HEADINGS: [&str; 8] =
    ["emitted", "delivered", "on disk", "quarantined", "dropped", "lost", "repeats known", "repeats unknown"];

/// Whether a row shows what it is to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It does.
    Ok,
    /// It does not; [`Outcome::problems`] says why.
    Failed,
    /// This machine does not let us break what is to be broken.
    Skipped,
}

/// What became of the events of a row.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Events emitted and known to be accepted.
    pub emitted: usize,
    /// Those of them that Toggle has.
    pub delivered: usize,
    /// Events left in spill files.
    pub on_disk: u64,
    /// Events set aside with a reason.
    pub quarantined: u64,
    /// Events that the SDK counts as lost, by reason.
    pub dropped: Vec<(&'static str, u64)>,
    /// Events that are nowhere, and in no count.
    pub lost: usize,
    /// Repeated events that Toggle recognised by their batch id.
    pub recognised: usize,
    /// Events that Toggle has twice.
    pub unrecognised: usize,
    /// Where the randomness came from.
    pub seed: Option<u64>,
    /// What else was measured.
    pub note: String,
    /// Why the row failed.
    pub problems: Vec<String>,
    /// Why it could not be run.
    pub skipped: Option<String>,
    /// Being lost is what is expected of some events here.
    pub may_lose: bool,
}

impl Outcome {
    /// A row that did not come to its end.
    pub(super) fn failed(why: &str) -> Self {
        Self { problems: vec![why.to_owned()], ..Self::default() }
    }

    /// A row that needs what this machine does not give.
    pub(super) fn skipped(why: &str) -> Self {
        Self { skipped: Some(why.to_owned()), ..Self::default() }
    }

    /// Compares what Toggle has with the numbers that were emitted. Up to `slack` numbers behind each range may have
    /// been emitted as well: a process that is killed cannot say.
    pub(super) fn tally(toggle: &Toggle, emitted: &[Range<usize>], slack: usize) -> Self {
        let mut outcome = Self { recognised: toggle.duplicate_events(), ..Self::default() };
        let (mut arrived, mut ids) = (HashSet::new(), HashSet::new());
        for event in toggle.events() {
            if !ids.insert(event.event_id.clone()) {
                outcome.unrecognised += 1;
                continue;
            }
            // What the SDK tells of itself, a summary of losses say, has no number.
            let Some(text) = event.metadata.get(NUMBER) else { continue };
            match text.parse::<usize>() {
                Ok(number)
                    if emitted.iter().any(|range| range.start <= number && number < range.end + slack) =>
                {
                    if !arrived.insert(number) {
                        outcome.problems.push(format!("event {number} came under two ids"));
                    }
                }
                _ => outcome.problems.push(format!("an event that nobody emitted: {text:?}")),
            }
        }
        let mut missing = emitted.iter().cloned().flatten().filter(|number| !arrived.contains(number));
        let example = missing.next();
        outcome.lost = usize::from(example.is_some()) + missing.count();
        if let Some(number) = example {
            outcome.note = format!("first not delivered: {number}");
        }
        outcome.emitted = emitted.iter().map(Range::len).sum();
        outcome.delivered = outcome.emitted - outcome.lost;
        let altered = toggle.altered_repeats();
        if altered > 0 {
            outcome.problems.push(format!("{altered} batch ids were used for other bytes"));
        }
        outcome
    }

    /// What was not delivered but is in the accounts is not lost.
    pub(super) fn with_accounts(mut self, stats: &Stats) -> Self {
        if !stats.balances() {
            self.problems.push(format!("the accounts do not balance: {stats:?}"));
        }
        self.on_disk = stats.on_disk;
        self.quarantined = stats.quarantined;
        self.dropped = DropReason::ALL
            .iter()
            .map(|&reason| (reason.name(), stats.dropped_for(reason)))
            .filter(|&(_, count)| count > 0)
            .collect();
        let told =
            stats.on_disk + stats.quarantined + stats.in_memory + stats.in_flight + stats.dropped_total();
        self.lost = self.lost.saturating_sub(usize::try_from(told).unwrap_or(usize::MAX));
        self
    }

    /// Fails when something was dropped for a reason that the row does not allow.
    pub(super) fn only_dropped_for(mut self, allowed: &[DropReason]) -> Self {
        for (name, count) in &self.dropped {
            if !allowed.iter().any(|reason| reason.name() == *name) {
                self.problems.push(format!("{count} events dropped as {name}"));
            }
        }
        self
    }

    /// Whether the row shows what it is to show.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self { skipped: Some(_), .. } => Verdict::Skipped,
            Self { problems, .. } if !problems.is_empty() => Verdict::Failed,
            Self { unrecognised: 1.., .. } => Verdict::Failed,
            Self { lost: 1.., may_lose: false, .. } => Verdict::Failed,
            _ => Verdict::Ok,
        }
    }

    /// The columns of [`HEADINGS`].
    pub fn cells(&self) -> [String; 8] {
        let dropped: Vec<_> = self.dropped.iter().map(|(name, count)| format!("{name} {count}")).collect();
        [
            self.emitted.to_string(),
            self.delivered.to_string(),
            self.on_disk.to_string(),
            self.quarantined.to_string(),
            if dropped.is_empty() { "0".to_owned() } else { dropped.join(", ") },
            self.lost.to_string(),
            self.recognised.to_string(),
            self.unrecognised.to_string(),
        ]
    }

    /// Seed, measurements and problems in words.
    pub fn remarks(&self) -> String {
        let seed = self.seed.map(|seed| format!("seed {seed}"));
        let note = Some(self.note.clone()).filter(|note| !note.is_empty());
        let parts = seed.into_iter().chain(note).chain(self.problems.iter().take(5).cloned());
        parts.chain(self.skipped.clone()).collect::<Vec<_>>().join("; ")
    }
}
