//! What was dropped, and what of it Toggle has been told, by reason, category and severity.

use super::{BEGUN, DROPPED_AT, Ledger, TOLD_AT, TOLD_UNTIL, dropped_at};
use crate::{
    DropReason,
    accounts::{Drops, no_drops},
};

impl Ledger {
    /// What was ever dropped.
    pub(crate) fn drops(&self) -> Drops {
        self.matrix(DROPPED_AT)
    }

    /// What of that Toggle has been told for certain.
    pub(crate) fn told(&self) -> Drops {
        self.matrix(TOLD_AT)
    }

    /// Until when; the beginning of the ledger where nothing was told.
    pub(crate) fn told_until_ms(&self) -> u64 {
        self.cells.load(TOLD_UNTIL).max(self.cells.load(BEGUN))
    }

    /// Toggle has been told of these as well.
    pub(crate) fn tell(&mut self, drops: &Drops, until_ms: u64) {
        for (at, count) in places(drops) {
            let at = at - DROPPED_AT + TOLD_AT;
            self.cells.store(at, self.cells.load(at) + count);
        }
        self.cells.store(TOLD_UNTIL, until_ms);
    }

    fn matrix(&self, begin: usize) -> Drops {
        let mut drops = no_drops();
        for (reason, by_category) in DropReason::ALL.iter().zip(&mut drops) {
            for (category, by_severity) in by_category.iter_mut().enumerate() {
                for (severity, count) in by_severity.iter_mut().enumerate() {
                    if let Some(at) = dropped_at(*reason, category as u8, severity as u8) {
                        *count = self.cells.load(at - DROPPED_AT + begin);
                    }
                }
            }
        }
        drops
    }
}

/// Where each of these is counted that is not zero.
fn places(drops: &Drops) -> impl Iterator<Item = (usize, u64)> {
    let reasons = DropReason::ALL.iter().zip(drops);
    reasons.flat_map(|(reason, by_category)| {
        by_category.iter().enumerate().flat_map(move |(category, by_severity)| {
            by_severity.iter().enumerate().filter(|(_, count)| **count > 0).filter_map(
                move |(severity, count)| Some((dropped_at(*reason, category as u8, severity as u8)?, *count)),
            )
        })
    })
}
