//! What was lost, and how much of that Toggle has been told.
//!
//! The ledger counts every drop of every process by reason, category and level; [`Told`] remembers how much of that went into
//! an event of its own, [`SystemEventsLostPayload`]. The difference is what is still to be told. When it is told is up to
//! delivery. It counts as told for later processes once that event is delivered or on disk.

use crate::{
    Category, DropReason, Kind, Level,
    accounts::{Dropped, Drops, list},
    kinds,
    ledger::Ledger,
    payload::{EventCategory, EventLevel, Loss, LossReason, SystemEventsLostPayload},
};

/// The kind of event that tells of losses.
pub(crate) static KIND: &Kind = &kinds::system_events_lost::KIND;

/// The level of such an event, as the schema says.
pub(crate) const LEVEL: Level = Level::Error;

/// How much Toggle has been told, or is being told.
#[derive(Debug)]
pub(crate) struct Told {
    drops: Drops,
    total: u64,
    /// When that was, or when the ledger was begun: milliseconds since the Unix epoch.
    since_ms: u64,
}

/// What was lost since Toggle was last told.
#[derive(Debug)]
pub(crate) struct Losses {
    drops: Drops,
    lost: u64,
    all: u64,
    since_ms: u64,
    until_ms: u64,
}

impl Told {
    /// What earlier processes have told.
    pub(crate) fn by(ledger: &Ledger) -> Self {
        let drops = ledger.told();
        Self { total: sum(&drops), drops, since_ms: ledger.told_until_ms() }
    }

    /// Whether that is everything there is to tell.
    #[inline]
    pub(crate) fn is_all_of(&self, ledger: &Ledger) -> bool {
        self.total == ledger.dropped()
    }

    /// What else there is to tell.
    pub(crate) fn missing(&self, ledger: &Ledger, now_ms: u64) -> Losses {
        let mut drops = ledger.drops();
        let told = self.drops.iter().flatten().flatten();
        for (count, told) in drops.iter_mut().flatten().flatten().zip(told) {
            *count = count.saturating_sub(*told);
        }
        let (lost, all, since_ms) = (sum(&drops), ledger.dropped(), self.since_ms);
        Losses { drops, lost, all, since_ms, until_ms: now_ms.max(since_ms) }
    }

    /// Now Toggle is told of these as well.
    pub(crate) fn and(&mut self, losses: &Losses) {
        let counts = losses.drops.iter().flatten().flatten();
        for (told, count) in self.drops.iter_mut().flatten().flatten().zip(counts) {
            *told += count;
        }
        self.total += losses.lost;
        self.since_ms = losses.until_ms;
    }

    /// It was not told of these after all: the event that tells was lost.
    pub(crate) fn without(&mut self, losses: &Losses) {
        let counts = losses.drops.iter().flatten().flatten();
        for (told, count) in self.drops.iter_mut().flatten().flatten().zip(counts) {
            *told -= count;
        }
        self.total -= losses.lost;
        self.since_ms = self.since_ms.min(losses.since_ms);
    }
}

fn sum(drops: &Drops) -> u64 {
    drops.iter().flatten().flatten().sum()
}

impl Losses {
    /// That they have been told is safe from now on.
    pub(crate) fn settle(&self, ledger: &mut Ledger) {
        ledger.tell(&self.drops, self.until_ms);
    }

    /// Whether there is a reason to tell of them.
    ///
    /// Events whose schema says `DURABILITY_BEST_EFFORT` are dropped as they are meant to be. And one event that may be of the
    /// category and level of those that tell of losses may be the last of these: if every one that is lost were a reason
    /// for the next, there would be no end of them. Both are told with the others. `at_last` there will be no others.
    pub(crate) fn are_worth_telling(&self, at_last: bool) -> bool {
        let meant = self.drops[DropReason::BestEffort as usize].iter().flatten().sum::<u64>();
        let own = if at_last { 0 } else { self.perhaps_own().min(1) };
        self.lost > meant + own
    }

    /// How many of them may be events that told of losses. Zero stands for a category or a level that is not known.
    fn perhaps_own(&self) -> u64 {
        let categories = [0, usize::from(KIND.category)];
        let severities = [0, usize::from(LEVEL.severity())];
        let places = categories.iter().flat_map(|category| severities.map(|severity| (*category, severity)));
        places
            .map(|(category, severity)| self.drops.iter().map(|drops| drops[category][severity]).sum::<u64>())
            .sum()
    }

    /// Each combination of reason, category and level once.
    pub(crate) fn rows(&self) -> Vec<Loss> {
        let row = |dropped: Dropped| Loss {
            reason: reason_of(dropped.reason),
            category: dropped.category.and_then(category_of),
            level: dropped.level.and_then(level_on_the_wire),
            count: dropped.count,
        };
        list(&self.drops).into_iter().map(row).collect()
    }

    /// The event that tells of them. `rows` are theirs.
    pub(crate) fn payload<'a>(&self, rows: &'a [Loss]) -> SystemEventsLostPayload<'a> {
        SystemEventsLostPayload {
            lost: self.lost,
            lost_in_all: self.all,
            since: self.since_ms as i64,
            until: self.until_ms as i64,
            losses: rows,
        }
    }
}

/// What the schema calls a reason.
pub(crate) fn reason_of(reason: DropReason) -> Option<LossReason> {
    Some(match reason {
        DropReason::BufferFull => LossReason::BufferFull,
        DropReason::TooLarge => LossReason::TooLarge,
        DropReason::Encoding => LossReason::Encoding,
        DropReason::SpoolFull => LossReason::SpoolFull,
        DropReason::QuarantineFull => LossReason::QuarantineFull,
        DropReason::Vanished => LossReason::Vanished,
        DropReason::Shutdown => LossReason::Shutdown,
        DropReason::BestEffort => LossReason::BestEffort,
        DropReason::ProcessEnded => LossReason::ProcessEnded,
        DropReason::Pruned => LossReason::Pruned,
        // It was never accepted, so it is in no account.
        DropReason::NotInitialized => return None,
    })
}

fn category_of(category: Category) -> Option<EventCategory> {
    EventCategory::ALL.iter().copied().find(|one| one.number() == category.number())
}

fn level_on_the_wire(level: Level) -> Option<EventLevel> {
    EventLevel::ALL.iter().copied().find(|one| one.number() == level.number())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::{Accounts, Place};

    const STORAGE: u8 = 2;
    const INFO: u8 = 3;

    fn lose(accounts: &mut Accounts, reason: DropReason, category: u8, severity: u8) {
        accounts.accept();
        accounts.lose(Place::Memory, reason, category, severity);
    }

    fn lose_own(accounts: &mut Accounts) {
        lose(accounts, DropReason::QuarantineFull, KIND.category, LEVEL.severity());
    }

    #[test]
    fn what_is_told_is_what_was_lost_since_it_was_told_last() {
        let mut accounts = Accounts::new(Ledger::in_memory(1_000));
        let mut told = Told::by(&accounts.ledger);
        assert!(told.is_all_of(&accounts.ledger));
        lose(&mut accounts, DropReason::BufferFull, STORAGE, INFO);
        lose(&mut accounts, DropReason::BufferFull, STORAGE, INFO);
        lose(&mut accounts, DropReason::SpoolFull, 40, 0);
        let losses = told.missing(&accounts.ledger, 2_000);
        assert!(losses.are_worth_telling(false));
        let rows = losses.rows();
        let storage = Loss {
            reason: Some(LossReason::BufferFull),
            category: Some(EventCategory::Storage),
            level: Some(EventLevel::Info),
            count: 2,
        };
        let unknown = Loss { reason: Some(LossReason::SpoolFull), category: None, level: None, count: 1 };
        assert_eq!(rows, [storage, unknown]);
        let payload = losses.payload(&rows);
        assert_eq!((payload.lost, payload.lost_in_all, payload.since, payload.until), (3, 3, 1_000, 2_000));

        told.and(&losses);
        assert!(told.is_all_of(&accounts.ledger));
        told.without(&losses);
        let again = told.missing(&accounts.ledger, 2_000);
        assert_eq!((again.rows(), again.since_ms), (rows, 1_000), "the event that tells was lost");
        told.and(&losses);
        lose(&mut accounts, DropReason::SpoolFull, STORAGE, INFO);
        let losses = told.missing(&accounts.ledger, 3_000);
        let rows = losses.rows();
        assert_eq!(rows, [Loss { reason: Some(LossReason::SpoolFull), count: 1, ..storage }]);
        let payload = losses.payload(&rows);
        assert_eq!((payload.lost, payload.lost_in_all, payload.since, payload.until), (1, 4, 2_000, 3_000));
    }

    #[test]
    fn what_was_meant_to_be_dropped_is_no_reason_to_tell_but_is_told_with_the_rest() {
        let mut accounts = Accounts::new(Ledger::in_memory(1_000));
        let told = Told::by(&accounts.ledger);
        lose(&mut accounts, DropReason::BestEffort, STORAGE, INFO);
        assert!(!told.missing(&accounts.ledger, 1).are_worth_telling(true));
        lose(&mut accounts, DropReason::BufferFull, STORAGE, INFO);
        let losses = told.missing(&accounts.ledger, 1);
        assert!(losses.are_worth_telling(false));
        assert_eq!(losses.rows().iter().map(|row| row.count).sum::<u64>(), 2);
    }

    #[test]
    fn events_that_tell_of_losses_and_are_all_lost_themselves_come_to_an_end() {
        let mut accounts = Accounts::new(Ledger::in_memory(1_000));
        let mut told = Told::by(&accounts.ledger);
        (0..100).for_each(|_| lose(&mut accounts, DropReason::BufferFull, STORAGE, INFO));
        let mut times = 0;
        while told.missing(&accounts.ledger, 1).are_worth_telling(false) {
            told.and(&told.missing(&accounts.ledger, 1));
            lose_own(&mut accounts);
            times += 1;
            assert!(times < 10, "there is no end of them");
        }
        assert_eq!(times, 1);
        assert!(told.missing(&accounts.ledger, 1).are_worth_telling(true), "the last is told at the end");
        lose(&mut accounts, DropReason::BufferFull, STORAGE, INFO);
        let losses = told.missing(&accounts.ledger, 1);
        assert!(losses.are_worth_telling(false));
        assert_eq!(losses.rows().iter().map(|row| row.count).sum::<u64>(), 2, "with the next one");
    }

    #[test]
    fn every_reason_for_which_an_accepted_event_is_dropped_has_its_value_in_the_schema() {
        let reasons = DropReason::ALL.iter().filter(|reason| **reason != DropReason::NotInitialized);
        for reason in reasons {
            assert_eq!(reason_of(*reason).map(LossReason::name), Some(reason.name()));
        }
        assert!(Category::ALL.iter().all(|category| category_of(*category).is_some()));
        assert!(Level::ALL.iter().all(|level| level_on_the_wire(*level).is_some()));
        assert_eq!(KIND.level, Some(LEVEL));
    }
}
