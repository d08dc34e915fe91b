//! Refusals: is it the batch, or is it Toggle?
//!
//! Toggle's answer is one yes or no for a whole batch. One batch that is refused while others are taken is to blame
//! itself: it is halved until the event that Toggle does not want stands alone, and that one is set aside. When
//! everything is refused it is Toggle's trouble: nothing is blamed, and everything waits.

use std::collections::HashMap;

use uuid::Uuid;

/// So many refusals without a delivery in between are Toggle's trouble. Fewer may be a few bad batches among those in
/// flight.
const IN_A_ROW: u32 = 3;

/// What we know of the refusals so far.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    batches: HashMap<Uuid, Refused>,
    in_a_row: u32,
    delivered: u64,
}

#[derive(Debug)]
struct Refused {
    times: u32,
    /// How many batches had been delivered when it was refused for the first time.
    delivered_then: u64,
}

/// What to do with a batch that was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// How often it has been refused.
    pub(crate) times: u32,
    /// Others were taken in between: it is the batch.
    pub(crate) blamed: bool,
    /// Everything is being refused: it is Toggle.
    pub(crate) toggle: bool,
}

impl Refusals {
    /// Toggle took a batch.
    pub(crate) fn delivered(&mut self, batch: Uuid) {
        self.in_a_row = 0;
        self.delivered += 1;
        self.batches.remove(&batch);
    }

    /// Toggle refused a batch.
    pub(crate) fn refused(&mut self, batch: Uuid) -> Verdict {
        self.in_a_row += 1;
        let delivered = self.delivered;
        let refused = self.batches.entry(batch).or_insert(Refused { times: 0, delivered_then: delivered });
        refused.times += 1;
        Verdict {
            times: refused.times,
            blamed: refused.times > 1 && delivered > refused.delivered_then,
            toggle: self.in_a_row >= IN_A_ROW,
        }
    }

    /// The batch is no more: it was halved or set aside.
    pub(crate) fn forget(&mut self, batch: Uuid) {
        self.batches.remove(&batch);
    }

    /// How often a batch has been refused.
    pub(crate) fn times(&self, batch: Uuid) -> u32 {
        self.batches.get(&batch).map_or(0, |refused| refused.times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BAD: Uuid = Uuid::from_u128(1);
    const GOOD: Uuid = Uuid::from_u128(2);

    #[test]
    fn a_batch_is_blamed_only_when_another_was_taken_between_its_refusals() {
        let mut refusals = Refusals::default();
        assert_eq!(refusals.refused(BAD), Verdict { times: 1, blamed: false, toggle: false });
        assert_eq!(refusals.refused(BAD), Verdict { times: 2, blamed: false, toggle: false });
        refusals.delivered(GOOD);
        assert_eq!(refusals.refused(BAD), Verdict { times: 3, blamed: true, toggle: false });
    }

    #[test]
    fn when_everything_is_refused_nothing_is_blamed() {
        let mut refusals = Refusals::default();
        refusals.delivered(GOOD);
        let verdicts: Vec<_> = (10..20).map(|id| refusals.refused(Uuid::from_u128(id))).collect();
        assert!(verdicts.iter().all(|verdict| !verdict.blamed));
        assert!(verdicts[2..].iter().all(|verdict| verdict.toggle));
    }

    #[test]
    fn a_batch_that_is_taken_after_all_is_forgotten() {
        let mut refusals = Refusals::default();
        refusals.refused(BAD);
        refusals.delivered(BAD);
        assert_eq!(refusals.times(BAD), 0);
        assert!(refusals.batches.is_empty());
    }
}
