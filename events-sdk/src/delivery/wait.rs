//! Between two rounds: what the task waits for.

use std::time::Instant;

use super::{Delivery, DiskCopy, HEARTBEAT, Origin, READ_AHEAD};
use crate::buffer::WakeOn;

impl Delivery {
    /// Tells those who wait what has left memory, and forgets those who have given up.
    pub(super) fn answer_waiting(&mut self) {
        let syncs = self.intake.syncs.as_ref();
        if self.flushes.is_empty() && syncs.is_none() {
            return;
        }
        let oldest = self.oldest_in_memory();
        if let Some(syncs) = syncs {
            syncs.gone_below(oldest);
        }
        let now = Instant::now();
        for flush in self.flushes.extract_if(.., |flush| flush.before <= oldest || flush.until <= now) {
            if flush.before <= oldest {
                // Whoever asked may have given up just now.
                let _ = flush.done.send(());
            }
        }
    }

    /// Whether somebody waits until what is in memory has left it.
    pub(super) fn is_waited_for(&self, now: Instant) -> bool {
        self.flushes.iter().any(|flush| now < flush.until)
    }

    /// The lowest place in the order of chunks of what is neither delivered nor on disk; of what is not accepted yet, if that is
    /// all.
    pub(super) fn oldest_in_memory(&self) -> u64 {
        let in_flight = self.in_flight.values().filter_map(|parcel| match &parcel.origin {
            Origin::Memory { chunk, file: DiskCopy::None | DiskCopy::Writing } => Some(chunk.sequence),
            Origin::Memory { file: DiskCopy::Written(_), .. } | Origin::Disk { .. } => None,
        });
        let state = self.intake.buffer.lock();
        let waiting = state.oldest_sequence().unwrap_or(state.next_sequence());
        let waiting = state.held().map(|held| held.chunk.sequence).fold(waiting, u64::min);
        drop(state);
        in_flight
            .chain(self.writing.iter().map(|writing| writing.sequence))
            .chain(self.copying.iter().map(|held| held.chunk.sequence))
            .fold(waiting, u64::min)
    }

    /// Says what to be woken for and until when to sleep; `None` when there is something to do already.
    ///
    /// Only what could be acted upon then counts, or the task would turn round without a pause.
    pub(super) fn prepare_to_wait(&self) -> Option<Instant> {
        let now = Instant::now();
        let open = self.link.is_open();
        let hold_at = self.link.held_until(now);
        let can_send = open && hold_at.is_none() && self.in_flight.len() < self.settings.max_in_flight;
        let can_probe = !open && self.in_flight.is_empty();
        let can_spill = self.writing.is_empty()
            && !self.spool_is_closed
            && self.spool_retry_at.is_none_or(|at| now >= at)
            && !self.room.is_waited_for(now);
        let mut state = self.intake.buffer.lock();
        let held = state.held().map(|held| held.not_before.unwrap_or(now)).min();
        let ready = (can_send && state.has_full_batch())
            || (can_spill && self.should_spill(&state, now))
            || (can_spill
                && !open
                && held.is_some()
                && self.room.look_for_held_at.is_none_or(|at| now >= at));
        if ready {
            return None;
        }
        let oldest = state.oldest();
        let lingers = can_send && now < self.linger_until;
        let has_urgent = state.has_urgent();
        let tell_at = self.tell_at(&state).filter(|&at| at > now);
        state.set_wake_on(WakeOn {
            first: oldest.is_none() && !lingers,
            batch: can_send && !lingers,
            urgent: can_send || (!open && can_spill && !has_urgent),
            threshold: can_spill,
        });
        let patience = if open { self.settings.batch_timeout } else { self.patience(&state) };
        drop(state);

        let due = oldest.filter(|_| can_send || (!open && can_spill)).map(|at| at + patience);
        let held_at = held.filter(|_| can_send);
        let piece = self.backlog.next_piece_at(now);
        let piece_at = piece
            .filter(|_| can_send && self.backlog_in_flight < self.backlog_places())
            .map(|at| at.max(self.pace.next_at(now)));
        let probe_at = match (self.link.retry_at().filter(|_| can_probe), piece) {
            (Some(retry), _) if oldest.is_some() => Some(retry),
            (Some(retry), piece) => piece.into_iter().chain(held).min().map(|at| retry.max(at)),
            (None, _) => None,
        };
        let read_at = self.backlog.next_read_at(self.read_ahead_limit(), now);
        let spool_at = self.spool_retry_at.filter(|&at| at > now || (self.spool_is_closed && !self.opening));
        let room_at = self.room.look_again_at.filter(|&at| at > now);
        let room_for_held_at = self.room.look_for_held_at.filter(|&at| at > now);
        let closing_at = self.closing.as_ref().map(|closing| closing.deadline);
        let linger_at = lingers.then_some(self.linger_until);
        let segments_at = self.segments_retry_at.filter(|&at| at > now);
        let segments_told_at = self.segments_told.works_told_at().filter(|&at| at > now);
        let gathered_at = self.gathered_told_at().filter(|&at| at > now);
        let works_at = self.spool_works_told_at().filter(|&at| at > now);
        let sending = [due, hold_at, held_at, piece_at, probe_at];
        let wake_at = sending
            .into_iter()
            .chain([
                tell_at,
                segments_at,
                works_at,
                segments_told_at,
                gathered_at,
                read_at,
                spool_at,
                room_at,
                room_for_held_at,
                closing_at,
                linger_at,
            ])
            .flatten()
            .min();
        Some(wake_at.map_or(now + HEARTBEAT, |at| at.min(now + HEARTBEAT)))
    }

    /// How many places in flight the backlog may use.
    pub(super) fn backlog_places(&self) -> usize {
        self.pace.places(self.settings.max_in_flight)
    }

    pub(super) fn read_ahead_limit(&self) -> usize {
        if self.link.is_open() { READ_AHEAD } else { 1 }
    }
}
