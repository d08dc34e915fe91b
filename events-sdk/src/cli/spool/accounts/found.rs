//! What the books say, and what is there: the numbers.

use std::{thread, time::Duration};

use super::books::{Trouble, read};
use crate::{
    cli::{
        failure::Failure,
        out::note,
        place::{self, End, Source},
    },
    ledger::{Known, Ledger, Totals},
    segment,
    spool::{ANY_LEDGER, FileName, Holder, Passed, SpoolFile, View},
};

/// The books of a live spool are read until they do not change while the files are counted, at most so often.
const ATTEMPTS: u32 = 5;

/// The pause in between, where files seem to be missing: where room is made, or a file is written anew, the agent books that a moment
/// later.
const PAUSE: Duration = Duration::from_millis(50);

/// The books, and what is there.
pub(super) struct Found {
    pub(super) ledger: Ledger,
    /// Its numbers, but for events that it has twice.
    pub(super) totals: Totals,
    /// Events of the books in files, those among them that are set aside already.
    pub(super) in_files: u64,
    /// Events of the books in files and segments, and not in the quarantine. So are the next two.
    pub(super) on_disk: u64,
    /// Events in files that others put there.
    pub(super) others: u64,
    /// Events in files that do not say whose they are, because they are damaged or were repaired.
    pub(super) unclear: u64,
    /// Events in the quarantine that are in files as well which say whose they are, or in segments.
    pub(super) twice: u64,
    /// The same of files that do not say whose they are.
    twice_unclear: u64,
    /// Events in the quarantine.
    pub(super) quarantined: u64,
    /// Files and segments that could not be read.
    pub(super) unreadable: u64,
    /// An agent changed the books meanwhile.
    pub(super) moving: bool,
    /// Files that end too early, or are written over, where something is missing.
    pub(super) torn: Vec<String>,
    /// Who works here.
    pub(super) holder: Holder,
    /// What is in memory lies in segments too.
    pub(super) has_segments: bool,
}

/// How many events the books say are neither delivered, dropped, set aside nor on disk: at least, and at most. They differ by those
/// that are in the books or not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rest {
    pub(super) least: i64,
    pub(super) most: i64,
}

impl Found {
    /// Looks until nothing changes meanwhile, or that is given up. `all` says that whatever is not there matters, not only what the
    /// books know to be missing.
    pub(super) fn settled(view: &View, all: bool) -> Result<Self, Trouble> {
        let mut found = Self::look(view)?;
        for _ in 1..ATTEMPTS {
            let may_change = found.missing().is_some() && found.holder != Holder::Nobody;
            if found.unreadable > 0 || !(found.moving || may_change) {
                break;
            }
            if may_change {
                thread::sleep(PAUSE);
            }
            found = Self::look(view)?;
        }
        if found.missing().is_some() {
            let torn = torn(view).or_else(|failure| if all { Err(failure) } else { Ok(Vec::new()) })?;
            found.torn = torn;
        }
        Ok(found)
    }

    pub(super) fn look(view: &View) -> Result<Self, Trouble> {
        let mut ledger = read(view)?;
        let before = (ledger.totals(), ledger.in_files());
        let aside = view.aside()?;
        let (mut in_files, mut in_segments, mut others, mut unclear) = (0, 0, 0, 0);
        let (mut twice, mut of_ours, mut of_unclear, mut unreadable) = (0, 0, 0, 0);
        for source in place::everything(view)? {
            let passed = |file: &SpoolFile| Passed::of(ledger.step(file.id, true));
            let seen = source.inspect_rest(passed).and_then(|file| {
                let refused = source.refused_of(&aside, &file, passed(&file))?.len() as u64;
                Ok((file, source.damaged_in_segment()?, source.set_aside_of(&aside)?, refused))
            });
            let (file, damaged, is_aside, refused) = match seen {
                Ok(seen) => seen,
                Err(error) if place::is_gone(&error) => continue,
                Err(error) => {
                    note(&error.to_string());
                    unreadable += 1;
                    continue;
                }
            };
            // The next start sets them aside, once.
            let is_aside_of_segment = if is_segment(&source) { is_aside.min(damaged) } else { 0 };
            in_segments += damaged - is_aside_of_segment;
            twice += is_aside_of_segment;
            let is_ours = is_segment(&source) || file.is_of(ledger.id());
            // The next start finds them in the quarantine alone.
            let events = u64::from(file.events).saturating_sub(refused);
            let Known::From(step) = ledger.found(file.id, events, is_ours) else { continue };
            let waits = events.saturating_sub(step.events);
            let is_aside = is_aside.min(waits);
            match file.ledger {
                _ if is_segment(&source) => in_segments += waits,
                ANY_LEDGER => {
                    unclear += waits - is_aside;
                    of_unclear += is_aside;
                }
                _ if is_ours => {
                    in_files += waits;
                    of_ours += is_aside;
                }
                _ => {
                    others += waits - is_aside;
                    twice += is_aside;
                }
            }
        }
        let quarantined = view.quarantined_events()?;
        let mut totals = ledger.totals();
        // An agent that found them in the quarantine, and was not at the file before it ended, took them for others.
        let not_booked = quarantined.saturating_sub(totals.quarantined);
        let booked = (twice + of_ours + of_unclear).saturating_sub(not_booked);
        totals.accepted = totals.accepted.saturating_sub(booked);
        let now = read(view)?;
        let moving = (now.totals(), now.in_files()) != before || aside.has_changed()?;
        let (torn, holder) = (Vec::new(), view.holder());
        let has_segments = view.dir().join(segment::FOLDER).is_dir();
        let on_disk = in_files - of_ours + in_segments;
        Ok(Self {
            ledger,
            totals,
            in_files,
            on_disk,
            others,
            unclear,
            twice: twice + of_ours,
            twice_unclear: of_unclear,
            quarantined,
            unreadable,
            moving,
            torn,
            holder,
            has_segments,
        })
    }

    /// What the books say is neither delivered, dropped, set aside nor on disk.
    pub(super) fn rest(&self) -> Rest {
        let accepted = self.totals.accepted - self.others;
        let elsewhere = self.totals.delivered + self.quarantined + self.totals.dropped + self.on_disk;
        let rest = accepted.cast_signed() - elsewhere.cast_signed();
        // What was set aside since the last agent ended may have been another's.
        let most = if rest < 0 { (rest + self.aside().cast_signed()).min(0) } else { rest };
        Rest { least: rest - self.unclear.cast_signed(), most }
    }

    /// How many events are missing at least, if that is known: where nothing was left in memory, all that are nowhere, and otherwise
    /// those that the books have in files which are not there, and what a process that was killed had in segments.
    pub(super) fn missing(&self) -> Option<u64> {
        if self.unreadable > 0 || self.moving {
            return None;
        }
        let nowhere = self.rest().least.max(0).unsigned_abs();
        let of_files = self.ledger.in_files().saturating_sub(self.in_files + self.unclear + self.aside());
        let missing = match (self.ledger.was_closed(), self.ledger.most_unkept()) {
            (true, _) => nowhere,
            (false, Some(unkept)) if matches!(self.holder, Holder::Nobody) => {
                nowhere.min(of_files.max(nowhere.saturating_sub(unkept)))
            }
            (false, _) => nowhere.min(of_files),
        };
        (missing > 0).then_some(missing)
    }

    /// How many events were set aside since the last agent ended, of which no file says that it holds them as well.
    pub(super) fn aside(&self) -> u64 {
        self.quarantined.saturating_sub(self.totals.quarantined + self.twice).max(self.twice_unclear)
    }

    /// The names of the files that are missing, as far as they are known: those that were being delivered.
    pub(super) fn gone(&self) -> Vec<String> {
        match self.missing() {
            Some(_) => {
                self.ledger.begun_and_gone().into_iter().map(|id| FileName::of(id).to_string()).collect()
            }
            None => Vec::new(),
        }
    }

    /// Where nothing is in memory the rest must be zero. Nobody can tell while a file cannot be read.
    pub(super) fn balances(&self) -> bool {
        let Rest { most, .. } = self.rest();
        self.unreadable == 0
            && match self.moving {
                true => self.tell_gone().is_none(),
                false => most >= 0 && self.missing().is_none(),
            }
    }

    /// Events that were accepted, by the books or by the next start.
    pub(super) fn accepted(&self) -> u64 {
        let Rest { least, most } = self.rest();
        let unknown = if most < 0 { 0 } else { least.min(0).unsigned_abs() };
        self.totals.accepted + unknown
    }

    /// Events that are in memory, or lost with it.
    pub(super) fn elsewhere(&self) -> u64 {
        self.rest().least.max(0).unsigned_abs() - self.missing().unwrap_or_default()
    }

    pub(super) fn waiting(&self) -> u64 {
        self.on_disk + self.others + self.unclear
    }
}

/// The files that end too early, or in which no event is left.
fn torn(view: &View) -> Result<Vec<String>, Failure> {
    let sources = place::everything(view)?;
    let ends = sources.iter().filter_map(|source| Some((source.label(), source.end().ok()?)));
    Ok(ends
        .filter(|(_, end)| matches!(end, End::Cut | End::Torn | End::Blank))
        .map(|(label, _)| label)
        .collect())
}

fn is_segment(source: &Source) -> bool {
    source.segment.is_some()
}
