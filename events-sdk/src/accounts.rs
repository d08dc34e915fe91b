//! The accounts: where every accepted event is.
//!
//! ```text
//! accepted + adopted = delivered + in memory + in flight + on disk + quarantined + dropped
//! ```
//!
//! `adopted` are the events that earlier processes left in the spool. Every movement is one call here, made under the
//! lock of the intake, so that the equation holds whenever somebody looks.

use std::fmt;

use crate::{Category, DropReason, Level, chunk::SEVERITIES};

/// Category numbers that are counted one by one; the generator refuses larger ones.
pub(crate) const CATEGORIES: usize = 64;

/// Where the events are, as numbers.
#[derive(Debug)]
pub(crate) struct Accounts {
    pub(crate) accepted: u64,
    pub(crate) adopted: u64,
    pub(crate) delivered: u64,
    pub(crate) in_memory: u64,
    pub(crate) in_flight: u64,
    pub(crate) on_disk: u64,
    pub(crate) quarantined: u64,
    dropped: Drops,
    /// The sum of them.
    lost: u64,
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
    pub(crate) fn new() -> Self {
        Self {
            accepted: 0,
            adopted: 0,
            delivered: 0,
            in_memory: 0,
            in_flight: 0,
            on_disk: 0,
            quarantined: 0,
            dropped: no_drops(),
            lost: 0,
        }
    }

    /// `count` events go from one place to another.
    pub(crate) fn shift(&mut self, count: u64, from: Place, to: Place) {
        *self.place(from) = self.place(from).saturating_sub(count);
        *self.place(to) += count;
        self.check();
    }

    /// Earlier processes left `count` events on disk.
    pub(crate) fn adopt(&mut self, count: u64) {
        self.adopted += count;
        self.on_disk += count;
    }

    /// An event was accepted into memory.
    #[inline]
    pub(crate) fn accept(&mut self) {
        self.accepted += 1;
        self.in_memory += 1;
    }

    /// An event was accepted and dropped at once.
    pub(crate) fn reject(&mut self, reason: DropReason, category: u8, severity: u8) {
        self.accepted += 1;
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
        *self.place(from) = self.place(from).saturating_sub(count);
        self.count_drop(reason, category, severity, count);
        self.check();
    }

    fn count_drop(&mut self, reason: DropReason, category: u8, severity: u8, count: u64) {
        let row = &mut self.dropped[reason as usize];
        row[usize::from(category) % CATEGORIES][usize::from(severity) % SEVERITIES] += count;
        self.lost += count;
    }

    /// The counts of what was dropped.
    pub(crate) fn drops(&self) -> &Drops {
        &self.dropped
    }

    /// What was dropped, by reason, category and level.
    pub(crate) fn dropped(&self) -> Vec<Dropped> {
        let mut list = Vec::new();
        for (reason, by_category) in DropReason::ALL.iter().zip(&self.dropped) {
            for (category, by_severity) in by_category.iter().enumerate() {
                for (severity, &count) in by_severity.iter().enumerate() {
                    if count > 0 {
                        list.push(Dropped {
                            reason: *reason,
                            category: Category::from_number(category as i32),
                            level: level_of(severity),
                            count,
                        });
                    }
                }
            }
        }
        list
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
        debug_assert_eq!(
            self.accepted + self.adopted,
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

/// The level of a severity, where there is one.
pub(crate) fn level_of(severity: usize) -> Option<Level> {
    Level::ALL.iter().copied().find(|level| usize::from(level.severity()) == severity)
}

impl fmt::Display for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "accepted {} + adopted {} = delivered {} + in memory {} + in flight {} + on disk {} + quarantined {} + dropped {}",
            self.accepted,
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
    fn what_is_dropped_is_told_by_reason_category_and_level() {
        let mut accounts = Accounts::new();
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
