//! Tells Toggle what was lost, once there is room again.

use std::time::{Duration, Instant};

use super::{Delivery, LOG_AGAIN};
use crate::{
    DropReason,
    buffer::{Guest, State},
    emit::now_ms,
    ledger::Ledger,
    losses::{KIND, LEVEL, Losses, Told},
};

/// Losses are told at most so often. A minute is soon enough for whoever reads it, and while losses go on, day and night,
/// it makes no more than some hundred kilobytes a day of the room that is short.
const INTERVAL: Duration = Duration::from_secs(60);

/// Losses that are not worth telling yet are looked at again after this.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What was told, and when there may be more.
#[derive(Debug)]
pub(super) struct Teller {
    told: Told,
    /// What is being told, and the place of the events that tell it in the order of chunks.
    telling: Vec<(u64, Losses)>,
    not_before: Option<Instant>,
    /// How many events had been dropped when it was looked for the log last, how many of them for want of memory, and when the log
    /// heard of it.
    logged: (u64, u64, Option<Instant>),
}

impl Teller {
    pub(super) fn new(ledger: &Ledger) -> Self {
        let logged = (ledger.dropped(), 0, None);
        Self { told: Told::by(ledger), telling: Vec::new(), not_before: None, logged }
    }

    /// The ledger goes on in another, of which earlier processes have told.
    pub(super) fn move_to(&mut self, ledger: &Ledger) {
        self.told = Told::by(ledger);
        self.telling.iter().for_each(|(_, losses)| self.told.and(losses));
    }
}

impl Delivery {
    /// Tells what was lost, when there is something to tell and room for it.
    pub(super) fn tell_losses(&mut self, now: Instant) {
        self.settle_told();
        let state = self.intake.buffer.lock();
        if self.teller.told.is_all_of(&state.accounts.ledger)
            || self.teller.not_before.is_some_and(|at| now < at)
            || !self.has_room_again(&state, now)
        {
            return;
        }
        let losses = self.teller.told.missing(&state.accounts.ledger, now_ms());
        drop(state);
        let is_told = losses.are_worth_telling(false) && self.tell(losses);
        let pause = if is_told { INTERVAL } else { LOOK_AGAIN };
        self.teller.not_before = Some(now + pause);
    }

    /// Has the log say that events are dropped for want of memory.
    pub(super) fn log_losses(&mut self, now: Instant) {
        let (seen, logged, at) = self.teller.logged;
        if at.is_some_and(|at| now < at + LOG_AGAIN) {
            return;
        }
        let state = self.intake.buffer.lock();
        let all = state.accounts.ledger.dropped();
        if all == seen {
            return;
        }
        let lost = state.accounts.dropped_for(DropReason::BufferFull);
        drop(state);
        let is_news = lost > logged;
        self.teller.logged = (all, lost, if is_news { Some(now) } else { at });
        if is_news {
            tracing::error!(lost, "memory is full: events are dropped, the lightest first");
        }
    }

    /// Tells what was lost before the event system ends, if anybody takes it.
    pub(super) fn tell_last_losses(&mut self) {
        let state = self.intake.buffer.lock();
        let is_full = state.accounts.in_memory >= state.limits().events as u64;
        let is_taken = self.link.is_open() || self.spool_retry_at.is_none();
        let losses = self.teller.told.missing(&state.accounts.ledger, now_ms());
        drop(state);
        if losses.are_worth_telling(true) && !is_full && is_taken {
            self.tell(losses);
        }
    }

    /// What was told counts as told for later processes too, once the event that tells it is delivered or on disk.
    pub(super) fn settle_told(&mut self) {
        if self.teller.telling.is_empty() {
            return;
        }
        let oldest = self.oldest_in_memory();
        let mut state = self.intake.buffer.lock();
        for lost in state.take_untold() {
            // Nobody was told after all.
            for (_, losses) in self.teller.telling.extract_if(.., |(place, _)| *place == lost) {
                self.teller.told.without(&losses);
            }
        }
        for (_, losses) in self.teller.telling.extract_if(.., |(place, _)| *place < oldest) {
            losses.settle(&mut state.accounts.ledger);
        }
    }

    /// When there may be something to tell, and nothing else may wake the task before.
    pub(super) fn tell_at(&self, state: &State) -> Option<Instant> {
        self.teller.not_before.filter(|_| !self.teller.told.is_all_of(&state.accounts.ledger))
    }

    /// Whether the event was accepted.
    fn tell(&mut self, losses: Losses) -> bool {
        let rows = losses.rows();
        let ticket = self.intake.emit_as(KIND, LEVEL, &losses.payload(&rows), &(), Guest::Own);
        if ticket.is_queued() {
            self.teller.told.and(&losses);
            self.teller.telling.push((ticket.place().sequence(), losses));
        }
        ticket.is_queued()
    }

    /// Whether the trouble is over for which events are lost: memory has filled less than to the threshold, and Toggle or the
    /// disk takes what comes.
    fn has_room_again(&self, state: &State, now: Instant) -> bool {
        let is_low = state.accounts.in_memory < state.limits().threshold as u64 && !state.is_over_threshold();
        is_low && (self.link.is_open() || self.disk_takes_more(state, now))
    }
}
