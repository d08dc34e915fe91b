//! The accounts: where every accepted event is.
//!
//! ```text
//! accepted + adopted = delivered + in memory + in flight + on disk + quarantined + dropped
//! ```
//!
//! `adopted` are the events that earlier processes left in the spool. Every movement is one call here, made under the
//! lock of the intake, so that the equation holds whenever somebody looks. What outlives the process is in the [`Ledger`],
//! which hears of every movement that it needs to know of.

use std::fmt;

use uuid::Uuid;

use crate::{
    Category, DropReason, Level,
    chunk::SEVERITIES,
    ledger::{Known, Ledger, Step},
    stats::LifetimeStats,
};

/// Category numbers that are counted one by one; the generator refuses larger ones.
pub(crate) const CATEGORIES: usize = 64;

/// Where the events are, as numbers.
#[derive(Debug)]
pub(crate) struct Accounts {
    pub(crate) adopted: u64,
    pub(crate) delivered: u64,
    pub(crate) in_memory: u64,
    pub(crate) in_flight: u64,
    pub(crate) on_disk: u64,
    pub(crate) quarantined: u64,
    /// Events in flight that are in spill files: pieces of these, and batches of which there is a copy by now.
    of_files: u64,
    /// Events of the spill file out of which some are being dropped: how many are left of it is not known before that is done.
    thinning: u64,
    /// Events on disk that stay in segments at the end of this process, and so in no spill file.
    in_segments: u64,
    /// Events that left the quarantine before they were booked as set aside.
    cleared_early: u64,
    dropped: Drops,
    /// The sum of them.
    lost: u64,
    /// The same over all processes.
    pub(crate) ledger: Ledger,
}

/// How many events were dropped, by reason, category and severity.
pub(crate) type Drops = Box<[[[u64; SEVERITIES]; CATEGORIES]]>;

/// Nothing was dropped.
pub(crate) fn no_drops() -> Drops {
    vec![[[0; SEVERITIES]; CATEGORIES]; DropReason::ALL.len()].into_boxed_slice()
}

/// A place where events can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Memory,
    Flight,
    Disk,
    Delivered,
    Quarantine,
}

impl Accounts {
    /// How many events this process accepted: the ledger counts them, so that an emit counts them once.
    #[inline]
    pub(crate) fn accepted(&self) -> u64 {
        self.ledger.accepted_here()
    }

    /// How many of them were not dropped.
    pub(crate) fn kept(&self) -> u64 {
        self.accepted().saturating_sub(self.lost)
    }

    pub(crate) fn new(ledger: Ledger) -> Self {
        Self {
            adopted: 0,
            delivered: 0,
            in_memory: 0,
            in_flight: 0,
            on_disk: 0,
            quarantined: 0,
            of_files: 0,
            thinning: 0,
            in_segments: 0,
            cleared_early: 0,
            dropped: no_drops(),
            lost: 0,
            ledger,
        }
    }

    /// `count` events go from one place to another, and remain to be delivered.
    pub(crate) fn shift(&mut self, count: u64, from: Place, to: Place) {
        debug_assert!(!matches!(to, Place::Delivered | Place::Quarantine), "the ledger must hear of it");
        self.go(count, from, to);
    }

    /// At the end `count` events stay in segments, for the next start.
    pub(crate) fn stay_in_segments(&mut self, count: u64, from: Place) {
        self.in_segments += count;
        self.shift(count, from, Place::Disk);
    }

    fn go(&mut self, count: u64, from: Place, to: Place) {
        *self.place(from) = self.place(from).saturating_sub(count);
        *self.place(to) += count;
        match (from, to) {
            (Place::Disk, Place::Flight) => self.of_files += count,
            (Place::Flight, Place::Disk) => self.of_files = self.of_files.saturating_sub(count),
            _ => {}
        }
        self.note_in_files();
        self.check();
    }

    /// The ledger hears of how many events of ours are in spill files, those of earlier processes included that are still to be found.
    /// Rather too few than too many: what is missing later is then taken for lost memory, and not for removed by somebody.
    fn note_in_files(&mut self) {
        let elsewhere = self.ledger.foreign() + self.thinning + self.in_segments;
        let here = (self.on_disk + self.of_files).saturating_sub(elsewhere);
        self.ledger.note_in_files(here + self.ledger.not_found());
    }

    /// Events are about to be dropped out of a spill file with so many of ours; zero once that is booked, or did not come about.
    pub(crate) fn set_thinning(&mut self, events: u64) {
        self.thinning = events;
        self.note_in_files();
    }

    /// Of `count` events in flight there is a copy in a spill file by now.
    pub(crate) fn copied(&mut self, count: u64) {
        self.of_files += count;
        self.note_in_files();
    }

    /// The copy of `count` events in flight is of no use any more: they are being delivered.
    pub(crate) fn copy_goes(&mut self, count: u64) {
        self.of_files = self.of_files.saturating_sub(count);
    }

    /// How many events in flight are in spill files.
    pub(crate) fn of_files(&self) -> u64 {
        self.of_files.min(self.in_flight)
    }

    /// `count` events of memory are delivered. `kept` is their batch, where it is in a segment that a later process may find.
    pub(crate) fn deliver(&mut self, count: u64, kept: Option<Uuid>) {
        self.ledger.deliver(count, kept);
        self.go(count, Place::Flight, Place::Delivered);
    }

    /// `count` events of a spill file are delivered, which brings the file to this step.
    pub(crate) fn deliver_piece(&mut self, count: u64, step: &Step) {
        self.ledger.deliver_piece(count, step);
        self.of_files = self.of_files.saturating_sub(count);
        self.go(count, Place::Flight, Place::Delivered);
    }

    /// `count` events of a spill file are set aside, which brings the file to this step.
    pub(crate) fn set_aside_piece(&mut self, count: u64, step: &Step) {
        self.ledger.set_aside_piece(count, step);
        self.go(count, Place::Disk, Place::Quarantine);
    }

    /// A spill file is only to be removed; `missing` events of it were damaged, and are set aside.
    pub(crate) fn finish(&mut self, file: Uuid, missing: u64, foreign: bool) {
        self.ledger.finish(file, missing, foreign);
        self.go(missing, Place::Disk, Place::Quarantine);
        let cleared = missing.min(self.cleared_early);
        if cleared > 0 {
            self.cleared_early -= cleared;
            self.clear_booked(cleared);
        }
    }

    /// A spill file of an earlier process, or of somebody else, was found. Gives how far it had been dealt with.
    pub(crate) fn adopt(&mut self, file: Uuid, events: u64, is_ours: bool) -> Known {
        let known = self.ledger.found(file, events, is_ours);
        if let Known::From(step) = &known {
            self.take_in(events.saturating_sub(step.events));
        }
        known
    }

    /// So many events that were adopted just now were in the quarantine before, and are in the books already.
    pub(crate) fn come_back(&mut self, count: u64) {
        self.ledger.counted_twice(count);
        // What earlier processes set aside is not among our own.
        let ours = count.min(self.quarantined).min(self.adopted);
        (self.quarantined, self.adopted) = (self.quarantined - ours, self.adopted - ours);
        self.check();
    }

    /// A spill file holds `count` events more than was known of it.
    pub(crate) fn adopt_more(&mut self, count: u64, foreign: bool) {
        self.ledger.find_more(count, foreign);
        self.take_in(count);
    }

    /// `count` events that an earlier process had in memory are damaged, and are set aside.
    pub(crate) fn adopt_damaged(&mut self, count: u64) {
        self.ledger.find(count);
        self.ledger.find_in_segment(count);
        self.ledger.set_aside(count);
        self.take_in(count);
        self.go(count, Place::Disk, Place::Quarantine);
    }

    fn take_in(&mut self, count: u64) {
        self.adopted += count;
        self.on_disk += count;
        self.note_in_files();
        self.check();
    }

    /// All files of earlier processes are found, and at the start so many events were in the quarantine. Gives why events are
    /// missing, and how many; they count as lost by this process.
    pub(crate) fn survey(&mut self, quarantined: u64) -> Vec<(DropReason, u64)> {
        let losses = self.ledger.survey(quarantined);
        self.take_in(losses.iter().map(|(_, missing)| missing).sum());
        for &(reason, missing) in &losses {
            self.lose_many(Place::Disk, reason, 0, 0, missing);
        }
        losses
    }

    /// The ledger of the spool directory could be opened only now.
    pub(crate) fn move_to(&mut self, ledger: Ledger) {
        self.ledger.move_to(ledger);
    }

    /// An event was accepted into memory.
    #[inline]
    pub(crate) fn accept(&mut self) {
        self.ledger.accept();
        self.in_memory += 1;
    }

    /// An event was accepted and dropped at once.
    pub(crate) fn reject(&mut self, reason: DropReason, category: u8, severity: u8) {
        self.ledger.accept();
        self.ledger.drop_events(reason, category, severity, 1, false);
        self.count_drop(reason, category, severity, 1);
        self.check();
    }

    /// An event that was in `from` is lost.
    pub(crate) fn lose(&mut self, from: Place, reason: DropReason, category: u8, severity: u8) {
        self.lose_many(from, reason, category, severity, 1);
    }

    /// `count` events that were in `from` are lost.
    pub(crate) fn lose_many(
        &mut self,
        from: Place,
        reason: DropReason,
        category: u8,
        severity: u8,
        count: u64,
    ) {
        self.lose_of(from, reason, category, severity, count, false);
    }

    /// The same for events on disk that may be in a file of others.
    pub(crate) fn lose_of(
        &mut self,
        from: Place,
        reason: DropReason,
        category: u8,
        severity: u8,
        count: u64,
        foreign: bool,
    ) {
        self.ledger.drop_events(reason, category, severity, count, foreign);
        *self.place(from) = self.place(from).saturating_sub(count);
        if from == Place::Disk {
            self.note_in_files();
        }
        self.count_drop(reason, category, severity, count);
        self.check();
    }

    /// `count` events of the quarantine are lost; some of them may have been set aside by earlier processes. Of those that are damaged
    /// and are to be booked when their file is done, `pending` are there at most: what is cleared of these is booked then.
    pub(crate) fn clear(&mut self, count: u64, pending: u64) {
        let unbooked = count.saturating_sub(self.ledger.quarantined());
        self.cleared_early = self.cleared_early.saturating_add(unbooked).min(pending);
        self.clear_booked(count);
    }

    fn clear_booked(&mut self, count: u64) {
        self.ledger.clear(DropReason::QuarantineFull, count);
        let ours = count.min(self.quarantined);
        self.quarantined -= ours;
        self.count_drop(DropReason::QuarantineFull, 0, 0, ours);
        self.check();
    }

    fn count_drop(&mut self, reason: DropReason, category: u8, severity: u8, count: u64) {
        let row = &mut self.dropped[reason as usize];
        row[usize::from(category) % CATEGORIES][usize::from(severity) % SEVERITIES] += count;
        self.lost += count;
    }

    /// What was dropped, by reason, category and level.
    pub(crate) fn dropped(&self) -> Vec<Dropped> {
        list(&self.dropped)
    }

    /// How many events were dropped for this reason.
    pub(crate) fn dropped_for(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize].iter().flatten().sum()
    }

    /// What [`Stats`](crate::Stats) tell, over all processes.
    pub(crate) fn lifetime(&self) -> LifetimeStats {
        let totals = self.ledger.totals();
        let elsewhere =
            totals.delivered + totals.quarantined + totals.dropped + self.in_memory + self.in_flight;
        let is_surveyed = self.ledger.is_surveyed();
        // Numbers that a loss of power took back know less than what lies there: the survey books the difference.
        let accepted =
            if is_surveyed { totals.accepted } else { totals.accepted.max(elsewhere + self.on_disk) };
        LifetimeStats {
            since_ms: totals.begun_ms,
            accepted,
            delivered: totals.delivered,
            in_memory: self.in_memory,
            in_flight: self.in_flight,
            on_disk: if is_surveyed { self.on_disk } else { accepted - elsewhere },
            quarantined: totals.quarantined,
            dropped: list(&self.ledger.drops()),
            is_surveyed,
        }
    }

    fn place(&mut self, place: Place) -> &mut u64 {
        match place {
            Place::Memory => &mut self.in_memory,
            Place::Flight => &mut self.in_flight,
            Place::Disk => &mut self.on_disk,
            Place::Delivered => &mut self.delivered,
            Place::Quarantine => &mut self.quarantined,
        }
    }

    /// How many events were dropped in all.
    #[inline]
    pub(crate) fn total_dropped(&self) -> u64 {
        self.lost
    }

    fn check(&self) {
        let ledger = self.ledger.totals();
        debug_assert!(
            !self.ledger.is_surveyed()
                || ledger.accepted
                    == ledger.delivered
                        + ledger.quarantined
                        + ledger.dropped
                        + self.in_memory
                        + self.in_flight
                        + self.on_disk,
            "the ledger does not balance: {ledger:?}, {self}"
        );
        debug_assert_eq!(
            self.accepted() + self.adopted,
            self.delivered
                + self.in_memory
                + self.in_flight
                + self.on_disk
                + self.quarantined
                + self.total_dropped(),
            "the accounts do not balance: {self}"
        );
    }
}

/// What was dropped, by reason, category and level.
pub(crate) fn list(drops: &Drops) -> Vec<Dropped> {
    let mut list = Vec::new();
    for (reason, by_category) in DropReason::ALL.iter().zip(drops) {
        for (category, by_severity) in by_category.iter().enumerate() {
            for (severity, &count) in by_severity.iter().enumerate().filter(|(_, count)| **count > 0) {
                let category = Category::from_number(category as i32);
                list.push(Dropped { reason: *reason, category, level: level_of(severity), count });
            }
        }
    }
    list
}

/// The level of a severity, where there is one.
fn level_of(severity: usize) -> Option<Level> {
    Level::ALL.iter().copied().find(|level| usize::from(level.severity()) == severity)
}

impl fmt::Display for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "accepted {} + adopted {} = delivered {} + in memory {} + in flight {} + on disk {} + quarantined {} + dropped {}",
            self.accepted(),
            self.adopted,
            self.delivered,
            self.in_memory,
            self.in_flight,
            self.on_disk,
            self.quarantined,
            self.total_dropped()
        )
    }
}

/// How many events were dropped for one reason, of one category and one level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dropped {
    /// Why.
    pub reason: DropReason,
    /// Of which category; `None` where it is not known or not one of this schema's.
    pub category: Option<Category>,
    /// Of which level; `None` where it is not known.
    pub level: Option<Level>,
    /// How many.
    pub count: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_a_loss_of_power_took_back_balance_before_the_survey_as_well() {
        let (dir, file) = (tempfile::tempdir().unwrap(), Uuid::from_u128(7));
        let mut accounts = Accounts::new(Ledger::open(dir.path(), 1).unwrap());
        accounts.survey(0);
        (0..10).for_each(|_| accounts.accept());
        accounts.shift(10, Place::Memory, Place::Flight);
        accounts.deliver(10, None);
        drop(accounts);

        let mut accounts = Accounts::new(Ledger::open(dir.path(), 1).unwrap());
        assert!(accounts.lifetime().balances());
        accounts.adopt(file, 500, true);
        let found = accounts.lifetime();
        assert!(found.balances() && !found.is_surveyed, "{found:?}");
        assert_eq!((found.accepted, found.on_disk), (510, 500));
        accounts.shift(500, Place::Disk, Place::Flight);
        accounts.deliver_piece(200, &Step { pieces: 1, events: 200, delivered: 200, ..Step::none(file) });
        assert!(accounts.lifetime().balances(), "{:?}", accounts.lifetime());
        accounts.deliver_piece(300, &Step { pieces: 2, events: 500, delivered: 500, ..Step::none(file) });
        let delivered = accounts.lifetime();
        assert!(delivered.balances() && !delivered.is_surveyed, "{delivered:?}");
        assert_eq!((delivered.accepted, delivered.delivered), (510, 510));
        accounts.survey(0);
        assert_eq!(accounts.lifetime(), LifetimeStats { is_surveyed: true, ..delivered });
    }

    #[test]
    fn a_file_that_holds_more_than_was_known_of_it_balances_whoever_put_it_there() {
        for is_ours in [false, true] {
            let mut accounts = Accounts::new(Ledger::in_memory(1));
            let file = Uuid::from_u128(7);
            accounts.adopt(file, 1, is_ours);
            accounts.adopt_more(9, !is_ours);
            accounts.shift(10, Place::Disk, Place::Flight);
            let step = Step { foreign: !is_ours, pieces: 1, events: 10, delivered: 10, ..Step::none(file) };
            accounts.deliver_piece(10, &step);
            let lifetime = accounts.lifetime();
            assert!(lifetime.balances() && lifetime.accepted == 10, "{lifetime:?}");
        }
    }

    #[test]
    fn what_stays_in_segments_is_not_looked_for_in_files_whatever_the_next_process_comes_to() {
        let dir = tempfile::tempdir().unwrap();
        let mut accounts = Accounts::new(Ledger::open(dir.path(), 1).unwrap());
        accounts.survey(0);
        (0..15).for_each(|_| accounts.accept());
        accounts.shift(5, Place::Memory, Place::Flight);
        accounts.stay_in_segments(5, Place::Flight);
        accounts.stay_in_segments(10, Place::Memory);
        accounts.ledger.close();
        drop(accounts);

        // Killed after it has taken the segments over, before it has found that this was all.
        let mut accounts = Accounts::new(Ledger::open(dir.path(), 1).unwrap());
        accounts.adopt(Uuid::from_u128(7), 15, true);
        accounts.ledger.find_in_segment(15);
        (0..4).for_each(|_| accounts.accept());
        accounts.shift(4, Place::Memory, Place::Flight);
        drop(accounts);

        let mut accounts = Accounts::new(Ledger::open(dir.path(), 1).unwrap());
        accounts.adopt(Uuid::from_u128(7), 15, true);
        assert_eq!(accounts.survey(0), [(DropReason::ProcessEnded, 4)]);
    }

    #[test]
    fn what_is_dropped_is_told_by_reason_category_and_level() {
        let mut accounts = Accounts::new(Ledger::in_memory(1));
        accounts.accept();
        accounts.lose(Place::Memory, DropReason::BufferFull, 2, Level::Debug.severity());
        accounts.reject(DropReason::TooLarge, 2, Level::Error.severity());
        let dropped: Vec<_> = accounts
            .dropped()
            .iter()
            .map(|drop| (drop.reason, drop.category, drop.level, drop.count))
            .collect();
        assert_eq!(
            dropped,
            [
                (DropReason::BufferFull, Some(Category::Storage), Some(Level::Debug), 1),
                (DropReason::TooLarge, Some(Category::Storage), Some(Level::Error), 1),
            ]
        );
    }
}
