//! Refusals: is it the batch, or is it Toggle?
//!
//! Toggle's answer is one yes or no for a whole batch. One batch that is refused while others are taken is to blame
//! itself: it is halved until the event that Toggle does not want stands alone. That one is set aside once it has been
//! refused often enough with others taken in between. When everything is refused it is Toggle's trouble:
//! everything waits, and nothing is set aside.
//!
//! Halving costs nothing but smaller batches, so little evidence is asked for: a delivery since the first refusal, or, on
//! a node where nothing else is sent, that a probe was refused three times.
//!
//! When there are bad events in every batch, everything is refused too. So the probes narrow it down: every other one is
//! the smallest batch that was refused, and once a probe was halved its halves are probed one after the other, until one is
//! taken, which shows that Toggle is well, or one event is left. Of those that were not refused yet every other one is what waits in
//! memory: the head of the backlog may be bad for hours of probing.

use std::collections::HashMap;

use uuid::Uuid;

use crate::SendErrorKind;

/// So many refusals of batches that are not to blame, without a delivery in between, are Toggle's trouble. Fewer may be a
/// few bad batches among those in flight.
const IN_A_ROW: u32 = 3;

/// A probe that was refused so often is halved though nothing was delivered meanwhile.
const PROBES: u32 = 3;

/// An event that Toggle calls invalid is set aside when others were taken between so many pairs of refusals: of it, or of
/// the batch that it was the rest of. Toggle has named the culprit, so one is enough.
const REFUSALS: u32 = 1;

/// An event that Toggle only declines is set aside after so many. A Toggle that declines seven batches of ten for its own
/// reasons declines a good one twenty times in a row in one case of a thousand, and the pauses between are by then
/// minutes.
const DECLINES: u32 = 20;

/// A batch over which Toggle breaks (`INTERNAL`) is halved after others were taken between so many of its failures. It
/// may have stored the batch and failed then, and the halves go by other ids: so not before it is all but sure.
const FAILURES: u32 = 5;

/// What we know of the refusals so far.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    batches: HashMap<Uuid, Refused>,
    in_a_row: u32,
    delivered: u64,
    /// The next probe is of what was refused before: the last one was halved, or was of what was not.
    suspects_turn: bool,
    /// Of what was not refused before, the next probe is of what waits in memory: the last one was of the backlog.
    lives_turn: bool,
}

#[derive(Debug, Clone, Copy)]
struct Refused {
    times: u32,
    /// How many batches had been delivered when it was refused for the first time.
    delivered_first: u64,
    /// And when it was refused the last time.
    delivered_last: u64,
    /// How often others were taken between two refusals of it.
    evidence: u32,
    /// An answer to it was lost: Toggle may have it, and knows it again by its id alone.
    answer_lost: bool,
    /// The file that it is a part of, if it is of one.
    file: Option<Uuid>,
}

/// What to do with a batch that was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Offer it again later. `toggle`: everything is being refused.
    Wait { toggle: bool },
    /// It is the batch: halve it.
    Halve,
    /// It is this event: set it aside.
    SetAside,
}

impl Refusals {
    /// Toggle took a batch.
    pub(crate) fn delivered(&mut self, batch: Uuid) {
        self.in_a_row = 0;
        (self.suspects_turn, self.lives_turn) = (false, false);
        self.delivered += 1;
        self.batches.remove(&batch);
    }

    /// Toggle refused a batch of so many events, which is a part of this file.
    pub(crate) fn refused(
        &mut self,
        batch: Uuid,
        file: Option<Uuid>,
        events: usize,
        kind: SendErrorKind,
        probe: bool,
    ) -> Verdict {
        let delivered = self.delivered;
        let refused = self.known(batch, file);
        if refused.times == 0 {
            (refused.delivered_first, refused.delivered_last) = (delivered, delivered);
        }
        refused.times += 1;
        // As if it broke over it: the halves go by other ids.
        let kind = if refused.answer_lost { SendErrorKind::Failed } else { kind };
        refused.evidence += u32::from(delivered > refused.delivered_last);
        refused.delivered_last = delivered;
        let Refused { times, delivered_first, evidence, .. } = *refused;
        let enough = match kind {
            SendErrorKind::Declined | SendErrorKind::Failed => DECLINES,
            _ => REFUSALS,
        };
        let to_blame = match kind {
            SendErrorKind::Failed => evidence >= FAILURES,
            _ => times > 1 && delivered > delivered_first,
        };
        let named = probe && times >= PROBES && kind != SendErrorKind::Failed;
        let halve = events > 1 && (to_blame || named);
        if probe {
            self.lives_turn ^= !self.suspects_turn;
            self.suspects_turn = halve || !self.suspects_turn;
        }
        if halve {
            return Verdict::Halve;
        }
        if events == 1 && evidence >= enough {
            return Verdict::SetAside;
        }
        if !to_blame {
            self.in_a_row += 1;
        }
        Verdict::Wait { toggle: self.in_a_row >= IN_A_ROW }
    }

    /// Whether the next probe is to be of what was refused before, or of what was not.
    pub(crate) fn is_suspects_turn(&self) -> bool {
        self.suspects_turn
    }

    /// Whether that is to be of what waits in memory, if there is anything.
    pub(crate) fn is_lives_turn(&self) -> bool {
        self.lives_turn
    }

    /// Toggle does not answer at all. What shows best that it does again is what it has not refused.
    pub(crate) fn unanswered(&mut self) {
        (self.suspects_turn, self.lives_turn) = (false, false);
    }

    fn known(&mut self, batch: Uuid, file: Option<Uuid>) -> &mut Refused {
        let new = Refused {
            times: 0,
            delivered_first: self.delivered,
            delivered_last: self.delivered,
            evidence: 0,
            answer_lost: false,
            file,
        };
        let refused = self.batches.entry(batch).or_insert(new);
        refused.file = file;
        refused
    }

    /// A batch from memory was to be halved, and cannot be yet: the pause before it is offered again grows.
    pub(crate) fn stays_whole(&mut self, batch: Uuid) {
        let refused = self.known(batch, None);
        refused.times = refused.times.saturating_add(1);
    }

    /// The answer to a batch was lost, which is a part of this file.
    pub(crate) fn answer_lost(&mut self, batch: Uuid, file: Option<Uuid>) {
        self.known(batch, file).answer_lost = true;
    }

    /// Whether Toggle may have a batch that was not delivered.
    pub(crate) fn may_be_stored(&self, batch: Uuid) -> bool {
        self.batches.get(&batch).is_some_and(|refused| refused.answer_lost)
    }

    /// A batch was halved: what was known of it is known of its halves.
    pub(crate) fn halved(&mut self, batch: Uuid, halves: [Uuid; 2]) {
        if let Some(refused) = self.batches.remove(&batch) {
            for half in halves {
                self.batches.insert(half, Refused { evidence: 0, answer_lost: false, ..refused });
            }
        }
    }

    /// The batch is no more: it was set aside.
    pub(crate) fn forget(&mut self, batch: Uuid) {
        self.batches.remove(&batch);
    }

    /// A file is no more, and what was a part of it.
    pub(crate) fn forget_all_of(&mut self, file: Uuid) {
        if !self.batches.is_empty() {
            self.batches.retain(|&batch, refused| batch != file && refused.file != Some(file));
        }
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
    const REFUSED: SendErrorKind = SendErrorKind::Refused;

    #[test]
    fn a_batch_over_which_toggle_breaks_is_halved_only_when_others_are_taken_again_and_again() {
        let (batch, mut refusals) = (Uuid::from_u128(1), Refusals::default());
        let fail =
            |refusals: &mut Refusals, probe| refusals.refused(batch, None, 500, SendErrorKind::Failed, probe);
        // Toggle is broken: nothing says that it is the batch, however often it is tried.
        for _ in 0..50 {
            assert!(matches!(fail(&mut refusals, true), Verdict::Wait { .. }));
        }
        for other in 2..6 {
            refusals.delivered(Uuid::from_u128(other));
            assert!(matches!(fail(&mut refusals, false), Verdict::Wait { .. }));
        }
        refusals.delivered(Uuid::from_u128(9));
        assert_eq!(fail(&mut refusals, false), Verdict::Halve);
    }

    #[test]
    fn a_batch_is_halved_when_another_was_taken_since_its_first_refusal() {
        let mut refusals = Refusals::default();
        assert_eq!(refusals.refused(BAD, None, 9, REFUSED, false), Verdict::Wait { toggle: false });
        assert_eq!(refusals.refused(BAD, None, 9, REFUSED, false), Verdict::Wait { toggle: false });
        refusals.delivered(GOOD);
        assert_eq!(refusals.refused(BAD, None, 9, REFUSED, false), Verdict::Halve);
    }

    #[test]
    fn when_everything_is_refused_only_a_patient_probe_is_halved_and_nothing_set_aside() {
        let mut refusals = Refusals::default();
        refusals.delivered(GOOD);
        for round in 0..100 {
            for id in 10..20 {
                let verdict = refusals.refused(Uuid::from_u128(id), None, 1, REFUSED, false);
                assert!(matches!(verdict, Verdict::Wait { .. }), "{verdict:?}");
                assert_eq!(verdict == Verdict::Wait { toggle: true }, round > 0 || id >= 12);
                assert_eq!(refusals.times(Uuid::from_u128(id)), round + 1);
            }
        }
        for _ in 1..PROBES {
            assert!(matches!(refusals.refused(BAD, None, 9, REFUSED, true), Verdict::Wait { .. }));
        }
        assert_eq!(refusals.refused(BAD, None, 9, REFUSED, true), Verdict::Halve);
    }

    #[test]
    fn probes_turn_to_what_was_refused_every_other_time_and_stay_with_what_was_halved() {
        let mut refusals = Refusals::default();
        assert!(!refusals.is_suspects_turn());
        refusals.refused(BAD, None, 4, REFUSED, true);
        assert!(refusals.is_suspects_turn());
        refusals.refused(BAD, None, 4, REFUSED, true);
        assert!(!refusals.is_suspects_turn());
        assert_eq!(refusals.refused(BAD, None, 4, REFUSED, true), Verdict::Halve);
        let halves = [Uuid::from_u128(3), Uuid::from_u128(4)];
        refusals.halved(BAD, halves);
        assert!(refusals.is_suspects_turn());
        assert_eq!(refusals.refused(halves[0], None, 2, REFUSED, true), Verdict::Halve);
        assert!(refusals.is_suspects_turn());
        refusals.delivered(GOOD);
        assert!(!refusals.is_suspects_turn());
        refusals.refused(BAD, None, 4, REFUSED, true);
        assert!(refusals.is_suspects_turn());
        refusals.unanswered();
        assert!(!refusals.is_suspects_turn());
    }

    #[test]
    fn a_half_inherits_what_was_known_so_that_its_sister_is_evidence() {
        let mut refusals = Refusals::default();
        let halves = [Uuid::from_u128(3), Uuid::from_u128(4)];
        refusals.refused(BAD, None, 4, REFUSED, false);
        refusals.delivered(GOOD);
        assert_eq!(refusals.refused(BAD, None, 4, REFUSED, false), Verdict::Halve);
        refusals.halved(BAD, halves);
        refusals.delivered(halves[0]);
        assert_eq!(refusals.refused(halves[1], None, 2, REFUSED, false), Verdict::Halve);
    }

    #[test]
    fn a_single_event_is_set_aside_only_when_others_are_taken_again_and_again() {
        for (kind, enough) in [(REFUSED, REFUSALS), (SendErrorKind::Declined, DECLINES)] {
            let mut refusals = Refusals::default();
            refusals.refused(BAD, None, 1, kind, false);
            assert!(
                matches!(refusals.refused(BAD, None, 1, kind, false), Verdict::Wait { .. }),
                "nothing was taken"
            );
            for _ in 1..enough {
                refusals.delivered(GOOD);
                assert!(matches!(
                    refusals.refused(BAD, None, 1, kind, false),
                    Verdict::Wait { toggle: false }
                ));
            }
            refusals.delivered(GOOD);
            assert_eq!(refusals.refused(BAD, None, 1, kind, false), Verdict::SetAside);
        }
    }

    #[test]
    fn a_batch_whose_answer_was_lost_is_halved_as_late_as_one_over_which_toggle_breaks() {
        let mut refusals = Refusals::default();
        refusals.answer_lost(BAD, None);
        assert!(refusals.may_be_stored(BAD) && !refusals.may_be_stored(GOOD));
        for _ in 0..2 * PROBES {
            assert!(matches!(refusals.refused(BAD, None, 9, REFUSED, true), Verdict::Wait { .. }));
        }
        for _ in 1..FAILURES {
            refusals.delivered(GOOD);
            assert!(matches!(refusals.refused(BAD, None, 9, REFUSED, false), Verdict::Wait { .. }));
        }
        refusals.delivered(GOOD);
        assert_eq!(refusals.refused(BAD, None, 9, REFUSED, false), Verdict::Halve);
        let halves = [Uuid::from_u128(3), Uuid::from_u128(4)];
        refusals.halved(BAD, halves);
        assert!(!refusals.may_be_stored(halves[0]));
    }

    #[test]
    fn what_is_known_of_the_parts_of_a_file_goes_with_it() {
        let (mut refusals, file) = (Refusals::default(), Uuid::from_u128(7));
        refusals.refused(BAD, Some(file), 9, REFUSED, false);
        refusals.refused(file, None, 9, REFUSED, false);
        refusals.answer_lost(GOOD, None);
        refusals.forget_all_of(file);
        assert_eq!((refusals.times(BAD), refusals.times(file)), (0, 0));
        assert!(refusals.may_be_stored(GOOD));
    }

    #[test]
    fn a_batch_that_is_taken_after_all_is_forgotten() {
        let mut refusals = Refusals::default();
        refusals.refused(BAD, None, 9, REFUSED, false);
        refusals.delivered(BAD);
        assert_eq!(refusals.times(BAD), 0);
        assert!(refusals.batches.is_empty());
    }
}
