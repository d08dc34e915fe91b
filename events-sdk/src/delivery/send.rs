//! To Toggle: what is sent, when, and what becomes of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task;

use super::backlog::Waiting;
use super::link::{BUSY_PAUSE_MOST, Change};
use super::pace::Size;
use super::refusals::Verdict;
use super::salvage::Kept;
use super::{Delivery, DiskCopy, LINGER, Origin, Parcel, identity, recycle};
use crate::accounts::Place;
use crate::buffer::Held;
use crate::chunk::Chunk;
use crate::emit::now_ms;
use crate::fault;
use crate::spool::{SpoolError, format::PIECE_EVENTS};
use crate::{Batch, SendError, SendErrorKind};

impl Delivery {
    /// Sends what may be sent now.
    pub(super) fn send(&mut self) {
        let now = Instant::now();
        if self.link.held_until(now).is_some() {
            return;
        }
        if self.link.is_open() {
            while self.in_flight.len() < self.settings.max_in_flight {
                // The last place is the backlog's while it uses none, or a busy node would never get rid of it.
                let is_last =
                    self.in_flight.len() + 1 == self.settings.max_in_flight && !self.in_flight.is_empty();
                // Where there is only one, they take it by turns.
                let is_its = is_last && self.backlog_in_flight == 0
                    || self.settings.max_in_flight == 1 && self.pace.is_pieces_turn();
                let first = if is_its { self.next_of_backlog(now) } else { None };
                let parcel = first
                    .or_else(|| self.next_live(now, false).inspect(|_| self.pace.sent_live()))
                    .or_else(|| self.next_of_backlog(now));
                let Some(parcel) = parcel else { return };
                self.launch(parcel);
            }
        } else if self.in_flight.is_empty()
            && self.link.retry_at().is_some_and(|at| now >= at)
            && let Some(mut parcel) = self.next_probe(now)
        {
            if let Some(parcel) = parcel.get_mut() {
                parcel.probe = true;
            }
            self.launch(parcel);
        }
    }

    /// What waits in memory: a batch that failed before, or the oldest that is due. `clean` asks for one that was never
    /// refused.
    pub(super) fn next_live(&mut self, now: Instant, clean: bool) -> Option<Kept<Parcel>> {
        fault::point("before taking");
        let may_go =
            |held: &Held| held.not_before.is_none_or(|at| now >= at) && !(clean && held.refusals > 0);
        let all = self.closing.is_some() || self.is_waited_for(now);
        let mut state = self.intake.buffer.lock();
        if let Some(held) = state.take_held(may_go) {
            state.accounts.shift(held.batch.len() as u64, Place::Memory, Place::Flight);
            return Some(self.salvage.keep(Parcel::from_memory(held.batch, held.chunk)));
        }
        let mut chunk = state.take_due(self.settings.batch_timeout, now, all)?;
        state.accounts.shift(chunk.len() as u64, Place::Memory, Place::Flight);
        if chunk.len() >= state.limits().batch {
            self.linger_until = now + LINGER;
        }
        let now_ms = now_ms();
        let (id, timestamp_ms) = identity(&mut state, &mut chunk, now_ms);
        drop(state);
        let count = chunk.len() as u32;
        let batch = Batch::new(id, timestamp_ms, chunk.take_bytes(), count);
        Some(self.salvage.keep(Parcel::from_memory(Arc::new(batch), chunk)))
    }

    pub(super) fn next_of_backlog(&mut self, now: Instant) -> Option<Kept<Parcel>> {
        if self.backlog_in_flight >= self.backlog_places() || self.backlog.next_piece_at(now).is_none() {
            return None;
        }
        if self.pace.is_starting(now) {
            let state = self.intake.buffer.lock();
            let adopted = state.accounts.adopted;
            // A file is a batch at least.
            let files = state.status.spool.files.min(adopted);
            drop(state);
            let batches = adopted.div_ceil(u64::from(PIECE_EVENTS)).max(files);
            self.pace.found(batches, self.spool_backoff.chance(), now);
        }
        if !self.pace.allows(now) {
            return None;
        }
        let piece = self.backlog.take(now, false)?;
        self.pace.sent(now);
        Some(self.parcel_of(piece, now))
    }

    /// What shows best whether Toggle is there: the oldest piece that nobody refused, else what waits in memory, else
    /// anything; and, where everything is refused, by turns what was refused before, which is narrowed down, and what is newest.
    pub(super) fn next_probe(&mut self, now: Instant) -> Option<Kept<Parcel>> {
        let suspect = if self.refusals.is_suspects_turn() { self.backlog.take_suspect(now) } else { None };
        if let Some(piece) = suspect {
            return Some(self.parcel_of(piece, now));
        }
        if self.refusals.is_lives_turn()
            && let Some(parcel) = self.next_clean_live(now)
        {
            return Some(parcel);
        }
        if let Some(piece) = self.backlog.take(now, true) {
            return Some(self.parcel_of(piece, now));
        }
        if let Some(parcel) = self.next_clean_live(now) {
            return Some(parcel);
        }
        match self.backlog.take(now, false) {
            Some(piece) => Some(self.parcel_of(piece, now)),
            None => self.next_live(now, false),
        }
    }

    /// What waits in memory and was never refused, were it not due yet.
    fn next_clean_live(&mut self, now: Instant) -> Option<Kept<Parcel>> {
        self.intake.buffer.lock().seal();
        self.next_live(now, true)
    }

    fn parcel_of(&mut self, piece: Waiting, now: Instant) -> Kept<Parcel> {
        let Waiting { file, place, batch, .. } = piece;
        let mut state = self.intake.buffer.lock();
        // Should this process be killed, the next must know that Toggle may have it.
        state.accounts.ledger.offer(file);
        state.accounts.shift(batch.len() as u64, Place::Disk, Place::Flight);
        drop(state);
        self.backlog_in_flight += 1;
        let origin = Origin::Disk { file, place };
        let parcel = Parcel { batch, origin, probe: false, sent_at: now, place: Place::Flight };
        self.salvage.keep(parcel)
    }

    pub(super) fn launch(&mut self, kept: Kept<Parcel>) {
        fault::point("taken");
        let Some(parcel) = kept.get() else { return };
        let uplink = Arc::clone(&self.uplink);
        let batch = Arc::clone(&parcel.batch);
        let task = self.sends.spawn(async move { uplink.send(batch).await });
        // A panic here sends it twice, under one id.
        fault::point("launched");
        if let Some(parcel) = kept.release() {
            self.in_flight.insert(task.id(), parcel);
        }
    }

    /// An attempt has ended.
    pub(super) fn sent(&mut self, sent: Result<(task::Id, Result<(), SendError>), task::JoinError>) {
        let (id, result) = match sent {
            Ok(sent) => sent,
            // The uplink panicked: the batch is still ours.
            Err(error) => (
                error.id(),
                Err(SendError::new(SendErrorKind::Unavailable, format!("the uplink failed: {error}"))),
            ),
        };
        let Some(parcel) = self.in_flight.remove(&id) else { return };
        if matches!(parcel.origin, Origin::Disk { .. }) {
            self.backlog_in_flight = self.backlog_in_flight.saturating_sub(1);
        }
        let parcel = self.salvage.keep(parcel);
        fault::point("sent");
        match result {
            Ok(()) => self.delivered(parcel),
            Err(error) => self.not_delivered(parcel, &error),
        }
    }

    pub(super) fn delivered(&mut self, mut kept: Kept<Parcel>) {
        fault::point("before delivered");
        let Some(parcel) = kept.get_mut() else { return };
        let now = Instant::now();
        self.refusals.delivered(parcel.batch.id());
        let piece = matches!(parcel.origin, Origin::Disk { .. })
            .then(|| Size { bytes: parcel.batch.events().len(), events: parcel.batch.len() });
        self.pace.acknowledged(now.saturating_duration_since(parcel.sent_at), piece, now);
        if let Change::Back(after) = self.link.delivered(now) {
            self.is_back(after, now);
        }
        if let Some(closing) = &mut self.closing {
            closing.gave_up = false;
        }
        let count = parcel.batch.len() as u64;
        let mut state = self.intake.buffer.lock();
        match &parcel.origin {
            Origin::Memory { chunk, file } => {
                // A copy of it in a segment, or on disk by now, that a later start finds must not count as new.
                let is_twice = chunk.is_kept() || !matches!(file, DiskCopy::None);
                if matches!(file, DiskCopy::Written(_)) {
                    state.accounts.copy_goes(count);
                }
                state.accounts.deliver(count, is_twice.then(|| parcel.batch.id()));
            }
            Origin::Disk { file, place } => {
                let step = self.backlog.dealt_with(*file, *place, count, 0);
                let step = step.unwrap_or_else(|| state.accounts.ledger.step(*file, true));
                state.accounts.deliver_piece(count, &step);
            }
        }
        parcel.place = Place::Delivered;
        state.status.uplink.batches_delivered += 1;
        state.status.uplink.state = self.link.state();
        state.status.uplink_since = Some(self.link.since());
        drop(state);
        fault::point("delivered");
        if let Some(parcel) = kept.release() {
            self.close_parcel(parcel);
        }
    }

    /// Toggle answers again, after so long.
    fn is_back(&mut self, after: Duration, now: Instant) {
        let live = self.live_batches(after);
        self.pace.back(after, live, self.spool_backoff.chance(), now);
        if self.link.is_told() {
            tracing::info!(target = %self.uplink_target, ?after, "Toggle takes events again");
            // Whatever could not be read before, or was put there meanwhile.
            self.spooler.list();
        }
    }

    /// How many batches a second came in and were kept since Toggle was lost, so long ago.
    fn live_batches(&mut self, outage: Duration) -> f64 {
        let state = self.intake.buffer.lock();
        let kept = state.accounts.kept();
        let before = self.kept_before.take().unwrap_or(kept);
        let batches = kept.saturating_sub(before) / state.limits().batch.max(1) as u64;
        batches as f64 / outage.as_secs_f64().max(1.0)
    }

    /// What is left to do when a batch counts as delivered.
    pub(super) fn close_parcel(&mut self, parcel: Parcel) {
        let mut state = self.intake.buffer.lock();
        match parcel.origin {
            Origin::Memory { chunk, file } => {
                let (batch, is_kept) = (parcel.batch.id(), chunk.is_kept());
                recycle(&mut state, parcel.batch, chunk);
                match file {
                    // The ledger has known since it was delivered that the copy is only to be removed.
                    DiskCopy::Written(file) => {
                        drop(state);
                        self.spooler.remove(file);
                    }
                    // Its segment is free.
                    DiskCopy::None if is_kept => state.accounts.ledger.forget(batch),
                    DiskCopy::None | DiskCopy::Writing => {}
                }
            }
            Origin::Disk { file, .. } => {
                let report = self.progress.delivered(parcel.batch.len() as u64, Instant::now(), &mut state);
                drop(state);
                if let Some(report) = report {
                    report.log();
                }
                let finished = self.backlog.done(file);
                self.withdraw(file);
                self.finish(finished);
            }
        }
    }

    /// Lets nothing be told of a file that was offered, if all that was is dealt with, or never left.
    fn withdraw(&self, file: uuid::Uuid) {
        if self.backlog.is_unknown_to_toggle(file) {
            self.intake.buffer.lock().accounts.ledger.withdraw(file);
        }
    }

    pub(super) fn not_delivered(&mut self, mut kept: Kept<Parcel>, error: &SendError) {
        fault::point("before failed");
        let Some(parcel) = kept.get_mut() else { return };
        let now = Instant::now();
        let id = parcel.batch.id();
        let verdict = self.judge(parcel, error);
        if error.may_be_stored() {
            match &mut parcel.origin {
                Origin::Memory { chunk, .. } => chunk.offered = true,
                Origin::Disk { file, .. } => self.backlog.offered(*file),
            }
        }
        if error.kind() == SendErrorKind::Busy {
            self.pace.throttled(self.spool_backoff.chance(), now);
            if let Some(pause) = error.retry_after() {
                self.pace.hold(pause.min(BUSY_PAUSE_MOST), now);
            }
        }
        let change = match verdict {
            // A piece of the backlog is not missed: it goes again when the pace allows.
            None if error.kind() == SendErrorKind::Busy
                && matches!(parcel.origin, Origin::Disk { .. })
                && !parcel.probe =>
            {
                Change::None
            }
            None if error.kind() == SendErrorKind::Busy => self.link.busy(error, parcel.probe, now),
            // Toggle is there, and says what it wants.
            Some(Verdict::Halve | Verdict::SetAside) if error.kind() == SendErrorKind::TooLarge => {
                self.link.delivered(now)
            }
            Some(Verdict::Halve | Verdict::SetAside | Verdict::Wait { toggle: false }) if !parcel.probe => {
                Change::None
            }
            _ => self.link.failed(error, parcel.probe, now),
        };
        if parcel.probe && verdict == Some(Verdict::Halve) && !self.backlog.has_cornered() {
            // Its halves can tell us more at once, and the smaller they are the less they cost. An event that was refused
            // alone has told all that there is to learn in this way.
            self.link.soon(now);
        }
        if let Change::Back(after) = change {
            self.is_back(after, now);
        }
        match change {
            Change::Lost => tracing::warn!(
                target = %self.uplink_target,
                state = %self.link.state(),
                batch = %id,
                %error,
                "Toggle does not take events; they are kept and it is tried again"
            ),
            _ => tracing::debug!(batch = %id, %error, "a batch was not delivered"),
        }
        let is_answer = matches!(
            error.kind(),
            SendErrorKind::Refused | SendErrorKind::Declined | SendErrorKind::TooLarge
        );
        if self.link.is_open() && is_answer {
            // Toggle is as well as with an acknowledgement: what it refuses must not slow down what it takes.
            self.pace.acknowledged(now.saturating_duration_since(parcel.sent_at), None, now);
        }
        if let Some(closing) = &mut self.closing {
            closing.gave_up = !self.link.is_open();
        }
        let to = parcel.home();
        let mut state = self.intake.buffer.lock();
        state.status.uplink.attempts_failed += 1;
        state.status.uplink.state = self.link.state();
        state.status.uplink_since = Some(self.link.since());
        state.status.fail(error);
        state.accounts.shift(parcel.batch.len() as u64, Place::Flight, to);
        parcel.place = to;
        if !self.link.is_open() {
            self.kept_before.get_or_insert_with(|| state.accounts.kept());
        }
        drop(state);
        fault::point("failed");
        let refusals = self.refusals.times(id);
        let not_before = verdict.is_some().then(|| now + self.link.pause_for(refusals));
        let Some(parcel) = kept.release() else { return };
        match parcel.origin {
            Origin::Memory { chunk, file: DiskCopy::None } => self.keep(parcel.batch, chunk, verdict, error),
            // Its copy on disk takes its place when it is there.
            Origin::Memory { chunk, file: DiskCopy::Writing } => {
                self.copying.push(Held { batch: parcel.batch, chunk, refusals, not_before });
            }
            Origin::Memory { file: DiskCopy::Written(file), chunk } => {
                recycle(&mut self.intake.buffer.lock(), parcel.batch, chunk);
                self.backlog.add(file);
            }
            Origin::Disk { file, place } => match verdict {
                Some(Verdict::Halve) => self.halve(file, place, &parcel.batch),
                Some(Verdict::SetAside) => {
                    self.spooler.set_aside(file, place, parcel.batch, error.to_string());
                }
                Some(Verdict::Wait { .. }) | None => {
                    self.backlog.put_back(Waiting { file, place, batch: parcel.batch, refusals, not_before });
                    self.withdraw(file);
                }
            },
        }
    }

    /// Whether a batch that was not delivered is to blame for that itself; `None` when it was not refused at all.
    pub(super) fn judge(&mut self, parcel: &Parcel, error: &SendError) -> Option<Verdict> {
        let (batch, events) = (parcel.batch.id(), parcel.batch.len());
        let file = match parcel.origin {
            Origin::Disk { file, .. } => Some(file),
            Origin::Memory { .. } => None,
        };
        match error.kind() {
            SendErrorKind::TooLarge if events > 1 => Some(Verdict::Halve),
            SendErrorKind::Refused
            | SendErrorKind::Declined
            | SendErrorKind::Failed
            | SendErrorKind::TooLarge => {
                if error.kind() == SendErrorKind::Failed && error.may_be_stored() {
                    self.refusals.answer_lost(batch, file);
                }
                Some(self.refusals.refused(batch, file, events, error.kind(), parcel.probe))
            }
            _ => {
                self.refusals.unanswered();
                if error.may_be_stored() {
                    self.refusals.answer_lost(batch, file);
                }
                None
            }
        }
    }

    /// A batch from memory was not delivered: it goes to disk if it was refused, so that it stands in nobody's way; else
    /// it is held until it is known whether it may be sent again.
    pub(super) fn keep(
        &mut self,
        batch: Arc<Batch>,
        mut chunk: Chunk,
        verdict: Option<Verdict>,
        error: &SendError,
    ) {
        if verdict == Some(Verdict::Halve) && chunk.is_best_effort() {
            // On disk it would be dropped, and nobody was promised that it outlives the process.
            self.intake.buffer.lock().leave_segment(&mut chunk);
        }
        // An event that Toggle does not want is there for a moment only, on its way into the quarantine.
        let is_taken = verdict == Some(Verdict::SetAside)
            || self.missing_for(
                &self.intake.buffer.lock(),
                batch.events().len() - chunk.not_for_disk(),
                &chunk,
            ) == 0;
        let disk_works = self.spool_retry_at.is_none_or(|at| Instant::now() >= at) && is_taken;
        // One in a segment is cut in its file, or the next process would find all of it there beside its halves.
        let cut = verdict == Some(Verdict::Halve)
            && chunk.segment.is_none()
            && (!disk_works || error.kind() == SendErrorKind::TooLarge);
        match batch.halves().filter(|_| cut) {
            Some([left, right]) => {
                self.refusals.halved(batch.id(), [left.id(), right.id()]);
                let rest = chunk.split_off(left.len());
                let mut state = self.intake.buffer.lock();
                for (batch, chunk) in [(left, chunk), (right, rest)] {
                    state.hold(Held { batch: Arc::new(batch), chunk, refusals: 0, not_before: None });
                }
            }
            None if verdict.is_some() && disk_works => self.write_whole(batch, chunk),
            // What is too large was not counted as refused, and must not be offered again at once either.
            None if verdict == Some(Verdict::Halve) => {
                self.refusals.stays_whole(batch.id());
                self.hold(batch, chunk, 1);
            }
            None => self.hold(batch, chunk, 0),
        }
    }

    /// A batch on disk is refused while others are taken.
    pub(super) fn halve(&mut self, file: uuid::Uuid, place: u32, batch: &Batch) {
        if let Some(halves) = batch.halves() {
            tracing::debug!(batch = %batch.id(), events = batch.len(), "a refused batch is halved");
            self.refusals.halved(batch.id(), [halves[0].id(), halves[1].id()]);
            self.backlog.halved(file, place, halves);
        }
    }

    pub(super) fn set_aside(
        &mut self,
        file: uuid::Uuid,
        place: u32,
        batch: Arc<Batch>,
        result: Result<(), SpoolError>,
    ) {
        match result {
            Ok(()) => {
                self.refusals.forget(batch.id());
                self.quarantine_failures = 0;
                let count = batch.len() as u64;
                tracing::debug!(batch = %batch.id(), count, "a refused event is in the quarantine folder");
                self.refused.add([count], Instant::now());
                let step = self.backlog.dealt_with(file, place, 0, count);
                let mut state = self.intake.buffer.lock();
                let step = step.unwrap_or_else(|| state.accounts.ledger.step(file, true));
                state.accounts.set_aside_piece(count, &step);
                drop(state);
                let finished = self.backlog.done(file);
                self.finish(finished);
            }
            Err(error) => {
                // Whether files can be written too, the next of these shows.
                self.quarantine_failures = self.quarantine_failures.saturating_add(1);
                if self.quarantine_failures == 1 {
                    tracing::error!(%error, "a refused event cannot be put into the quarantine; it stays in its spill file, and it is tried again within a minute");
                }
                self.intake.buffer.lock().status.fail(error);
                let pause = self.spool_backoff.pause(self.quarantine_failures);
                let not_before = Some(Instant::now() + pause);
                self.backlog.put_back(Waiting { file, place, batch, refusals: 1, not_before });
            }
        }
    }
}
