//! Delivery: the one task that takes events out of memory and sees them to Toggle or to disk.
//!
//! ```text
//!             ┌────────── due or full ──────────► in flight ──acknowledged──► delivered
//!   memory ───┤                                    │    ▲
//!             └─ over the threshold, or due        │ failed
//!                while Toggle is away              ▼    │ piece by piece
//!                      └──────────────────────► spill file ──all pieces acknowledged──► removed
//! ```
//!
//! * Live events go before the backlog; the backlog uses at most all places in flight but one.
//! * A batch that failed becomes a spill file of its own under its own id. It is never cut, so every repeat carries the
//!   same id and the same bytes.
//! * While Toggle is away one batch at a time probes it, the oldest first, and nothing waits in memory for longer than
//!   the batch timeout: it goes to disk.
//! * A batch that was refused goes to disk and stands behind the others, so that it blocks nobody. If they are taken and
//!   it is refused again, it is halved until the event that Toggle does not want stands alone; that one is set aside.
//! * When the disk takes nothing, events stay in memory within its bounds, and are sent from there.
//!
//! The task itself never waits for a disk ([`spooler`]) nor for Toggle ([`Uplink`]); it only decides. All counting is in
//! [`crate::accounts`].

mod backlog;
mod link;
mod refusals;
mod shutdown;
mod spooler;

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::mpsc,
    task::{self, JoinSet},
};

pub(crate) use self::spooler::Spooler;
use self::{
    backlog::{Backlog, Finished, Waiting},
    link::{Change, Link},
    refusals::Refusals,
    shutdown::Closing,
    spooler::{Content, Reply, Write},
};
use crate::{
    Batch, SendError, SendErrorKind, Uplink,
    accounts::Place,
    backoff::Backoff,
    buffer::{State, WakeOn},
    chunk::Chunk,
    emit::{Intake, now_ms},
    spool::{SpoolError, SpoolErrorKind, SpoolFile},
};

/// How many pieces of the backlog are read ahead of sending: as many as can be in flight would hide the disk entirely,
/// two keep memory low and the disk busy.
const READ_AHEAD: usize = 2;

/// A spool that failed is tried again after this, doubling up to a minute.
const SPOOL_RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));

/// While batches fill up faster than this, the task looks for them itself instead of being woken for each: a wake costs
/// the emitting thread a system call, more than a dozen emits.
const LINGER: Duration = Duration::from_millis(1);

/// When the task has nothing to wait for but events, it still looks around this often.
const HEARTBEAT: Duration = Duration::from_secs(60);

/// What delivery needs to know of the configuration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) batch_timeout: Duration,
    pub(crate) max_in_flight: usize,
    pub(crate) retry_initial: Duration,
    pub(crate) retry_max: Duration,
}

/// What the program asks of the task.
#[derive(Debug)]
pub(crate) enum Control {
    /// See that everything accepted so far is delivered or on disk, and say so.
    Flush(std::sync::mpsc::Sender<()>),
    /// The intake is closed: put what is left on disk, send until the deadline, and say so.
    Shutdown { deadline: Instant, done: std::sync::mpsc::Sender<()> },
}

/// A batch on its way, with what the accounts know of it.
#[derive(Debug)]
struct Parcel {
    batch: Arc<Batch>,
    origin: Origin,
    /// It was sent to see whether Toggle is there.
    probe: bool,
}

#[derive(Debug)]
enum Origin {
    /// From memory. `chunk` knows the events, without their bytes.
    Memory { chunk: Chunk, file: DiskCopy },
    /// A piece of a spill file.
    Disk { file: uuid::Uuid },
}

/// Whether a batch in flight has been put on disk as well, at shutdown.
#[derive(Debug)]
enum DiskCopy {
    None,
    Writing,
    Written(SpoolFile),
}

/// Somebody waits for what was accepted before.
#[derive(Debug)]
struct Flush {
    /// Chunks below this place in the order are meant.
    before: u64,
    done: std::sync::mpsc::Sender<()>,
}

/// The task.
pub(crate) struct Delivery {
    intake: Arc<Intake>,
    uplink: Arc<dyn Uplink>,
    settings: Settings,
    control: mpsc::UnboundedReceiver<Control>,
    spooler: Spooler,
    sends: JoinSet<Result<(), SendError>>,
    in_flight: HashMap<task::Id, Parcel>,
    backlog_in_flight: usize,
    link: Link,
    refusals: Refusals,
    backlog: Backlog,
    read_failures: u32,
    /// Batches that failed while the disk took nothing.
    held: VecDeque<(Arc<Batch>, Chunk)>,
    /// Batches that failed while a copy of them was being written.
    copying: Vec<(Arc<Batch>, Chunk)>,
    /// The oldest place in the order of chunks of each file being written.
    writing: Vec<u64>,
    spool_failures: u32,
    spool_backoff: Backoff,
    spool_retry_at: Option<Instant>,
    flushes: Vec<Flush>,
    closing: Option<Closing>,
    /// Until then full batches are expected any moment.
    linger_until: Instant,
}

impl Delivery {
    pub(crate) fn new(
        intake: Arc<Intake>,
        uplink: Arc<dyn Uplink>,
        settings: Settings,
        control: mpsc::UnboundedReceiver<Control>,
        spooler: Spooler,
    ) -> Self {
        Self {
            intake,
            uplink,
            settings,
            control,
            spooler,
            sends: JoinSet::new(),
            in_flight: HashMap::new(),
            backlog_in_flight: 0,
            link: Link::new(Backoff::new(settings.retry_initial, settings.retry_max)),
            refusals: Refusals::default(),
            backlog: Backlog::default(),
            read_failures: 0,
            held: VecDeque::new(),
            copying: Vec::new(),
            writing: Vec::new(),
            spool_failures: 0,
            spool_backoff: Backoff::new(SPOOL_RETRY.0, SPOOL_RETRY.1),
            spool_retry_at: None,
            flushes: Vec::new(),
            closing: None,
            linger_until: Instant::now(),
        }
    }

    /// Runs until a shutdown is done.
    pub(crate) async fn run(mut self) {
        loop {
            self.spill();
            self.send();
            self.read_ahead();
            self.answer_flushes();
            if self.is_closed_down() {
                break;
            }
            let Some(wake_at) = self.prepare_to_wait() else { continue };
            tokio::select! {
                control = self.control.recv(), if self.closing.is_none() => self.obey(control),
                Some(sent) = self.sends.join_next_with_id() => self.sent(sent),
                Some(reply) = self.spooler.reply() => self.spooled(reply),
                () = self.intake.buffer.woken() => {}
                () = tokio::time::sleep_until(wake_at.into()) => {}
            }
        }
        self.close_down().await;
    }

    fn obey(&mut self, control: Option<Control>) {
        match control {
            Some(Control::Flush(done)) => {
                let mut state = self.intake.buffer.lock();
                state.seal();
                self.flushes.push(Flush { before: state.next_sequence(), done });
            }
            Some(Control::Shutdown { deadline, done }) => self.begin_shutdown(deadline, Some(done)),
            // Nobody holds a handle any more and nobody said goodbye: what is left goes to disk.
            None => self.begin_shutdown(Instant::now(), None),
        }
    }

    // ---- from memory to disk ----

    /// Writes to disk what should not stay in memory.
    fn spill(&mut self) {
        let now = Instant::now();
        if self.spool_retry_at.is_some_and(|at| now < at) {
            return;
        }
        if self.spool_retry_at.is_some() && !self.writing.is_empty() {
            // One file shows whether the disk is back.
            return;
        }
        if !self.link.is_open() || self.closing.is_some() {
            while let Some((batch, chunk)) = self.held.pop_front() {
                self.write_whole(batch, chunk);
            }
        }
        if !self.writing.is_empty() && self.closing.is_none() {
            return;
        }
        let mut state = self.intake.buffer.lock();
        if !self.should_spill(&state, now) {
            return;
        }
        let chunks = state.take_all();
        let Some(first) = chunks.first() else { return };
        let sequence = first.sequence;
        let now_ms = now_ms();
        let id = state.next_id(now_ms);
        drop(state);
        self.write(Write { id, timestamp_ms: now_ms as i64, content: Content::Chunks(chunks), sequence });
    }

    /// Whether what waits in memory belongs on disk now.
    fn should_spill(&self, state: &State, now: Instant) -> bool {
        let Some(oldest) = state.oldest() else { return false };
        let away = !self.link.is_open();
        state.is_over_threshold()
            || self.closing.is_some()
            || (away && !self.flushes.is_empty())
            || (away && now >= oldest + self.settings.batch_timeout)
    }

    fn write_whole(&mut self, batch: Arc<Batch>, chunk: Chunk) {
        let (id, timestamp_ms, sequence) = (batch.id(), batch.timestamp_ms(), chunk.sequence);
        let by_severity = *chunk.by_severity();
        let content = Content::Whole { batch, by_severity, chunk: Some(chunk) };
        self.write(Write { id, timestamp_ms, content, sequence });
    }

    fn write(&mut self, write: Write) {
        self.writing.push(write.sequence);
        self.spooler.write(write);
    }

    /// A file was written or not.
    fn wrote(&mut self, write: Write, result: Result<SpoolFile, SpoolError>) {
        if let Some(place) = self.writing.iter().position(|&sequence| sequence == write.sequence) {
            self.writing.swap_remove(place);
        }
        let file = match result {
            Ok(file) => file,
            Err(error) => return self.not_written(write, &error),
        };
        self.spool_works();
        self.spool_grows(&file);
        match write.content {
            Content::Chunks(chunks) => {
                let mut state = self.intake.buffer.lock();
                state.accounts.shift(u64::from(file.events), Place::Memory, Place::Disk);
                chunks.into_iter().for_each(|chunk| state.recycle(chunk));
                drop(state);
                self.backlog.add(file);
            }
            Content::Whole { batch, chunk: Some(chunk), .. } => {
                let mut state = self.intake.buffer.lock();
                state.accounts.shift(u64::from(file.events), Place::Memory, Place::Disk);
                recycle(&mut state, batch, chunk);
                drop(state);
                self.backlog.add(file);
            }
            Content::Whole { batch, chunk: None, .. } => self.copy_written(&batch, file),
        }
    }

    fn not_written(&mut self, write: Write, error: &SpoolError) {
        self.spool_fails(error);
        match write.content {
            Content::Chunks(chunks) => self.intake.buffer.lock().put_back(chunks),
            Content::Whole { batch, chunk: Some(chunk), .. } => self.held.push_back((batch, chunk)),
            Content::Whole { batch, chunk: None, .. } => self.copy_not_written(&batch),
        }
    }

    // ---- to Toggle ----

    /// Sends what may be sent now.
    fn send(&mut self) {
        let now = Instant::now();
        if self.link.is_open() {
            while self.in_flight.len() < self.settings.max_in_flight {
                let Some(parcel) = self.next_live(now).or_else(|| self.next_of_backlog(now)) else { return };
                self.launch(parcel);
            }
        } else if self.in_flight.is_empty()
            && self.link.retry_at().is_some_and(|at| now >= at)
            && let Some(mut parcel) = self.next_probe(now)
        {
            parcel.probe = true;
            self.launch(parcel);
        }
    }

    fn next_live(&mut self, now: Instant) -> Option<Parcel> {
        let all = self.closing.is_some() || !self.flushes.is_empty();
        if let Some((batch, chunk)) = self.held.pop_front() {
            self.intake.buffer.lock().accounts.shift(batch.len() as u64, Place::Memory, Place::Flight);
            return Some(Parcel::from_memory(batch, chunk));
        }
        let mut state = self.intake.buffer.lock();
        let mut chunk = state.take_due(self.settings.batch_timeout, now, all)?;
        state.accounts.shift(chunk.len() as u64, Place::Memory, Place::Flight);
        if chunk.len() >= state.limits().batch {
            self.linger_until = now + LINGER;
        }
        let now_ms = now_ms();
        let id = state.next_id(now_ms);
        drop(state);
        let count = chunk.len() as u32;
        let batch = Batch::new(id, now_ms as i64, chunk.take_bytes(), count);
        Some(Parcel::from_memory(Arc::new(batch), chunk))
    }

    fn next_of_backlog(&mut self, now: Instant) -> Option<Parcel> {
        if self.backlog_in_flight >= self.backlog_places() {
            return None;
        }
        self.take_piece(now, false)
    }

    /// What shows best whether Toggle is there: the oldest piece that nobody refused, else what waits in memory, else
    /// anything.
    fn next_probe(&mut self, now: Instant) -> Option<Parcel> {
        if let Some(parcel) = self.take_piece(now, true) {
            return Some(parcel);
        }
        if let Some(parcel) = self.next_live(now) {
            return Some(parcel);
        }
        let waits_in_memory = self.intake.buffer.lock().oldest().is_some();
        if waits_in_memory {
            self.intake.buffer.lock().seal();
            return self.next_live(now);
        }
        self.take_piece(now, false)
    }

    fn take_piece(&mut self, now: Instant, clean: bool) -> Option<Parcel> {
        let Waiting { file, batch, .. } = self.backlog.take(now, clean)?;
        self.intake.buffer.lock().accounts.shift(batch.len() as u64, Place::Disk, Place::Flight);
        self.backlog_in_flight += 1;
        Some(Parcel { batch, origin: Origin::Disk { file }, probe: false })
    }

    fn launch(&mut self, parcel: Parcel) {
        let uplink = Arc::clone(&self.uplink);
        let batch = Arc::clone(&parcel.batch);
        let task = self.sends.spawn(async move { uplink.send(batch).await });
        self.in_flight.insert(task.id(), parcel);
    }

    /// An attempt has ended.
    fn sent(&mut self, sent: Result<(task::Id, Result<(), SendError>), task::JoinError>) {
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
            self.backlog_in_flight -= 1;
        }
        match result {
            Ok(()) => self.delivered(parcel),
            Err(error) => self.not_delivered(parcel, &error),
        }
    }

    fn delivered(&mut self, parcel: Parcel) {
        let now = Instant::now();
        self.refusals.delivered(parcel.batch.id());
        if let Change::Back(after) = self.link.delivered(now) {
            tracing::info!(target = %self.uplink.target(), ?after, "Toggle takes events again");
        }
        let mut state = self.intake.buffer.lock();
        state.accounts.shift(parcel.batch.len() as u64, Place::Flight, Place::Delivered);
        state.status.uplink.batches_delivered += 1;
        state.status.uplink.state = self.link.state();
        state.status.uplink_since = Some(self.link.since());
        match parcel.origin {
            Origin::Memory { chunk, file } => {
                recycle(&mut state, parcel.batch, chunk);
                drop(state);
                if let DiskCopy::Written(file) = file {
                    self.spooler.remove(file);
                }
            }
            Origin::Disk { file } => {
                drop(state);
                let finished = self.backlog.done(file);
                self.finish(finished);
            }
        }
    }

    fn not_delivered(&mut self, parcel: Parcel, error: &SendError) {
        let now = Instant::now();
        let refused = matches!(error.kind(), SendErrorKind::Refused | SendErrorKind::TooLarge);
        let verdict = refused.then(|| self.refusals.refused(parcel.batch.id()));
        // A refused batch says nothing about Toggle unless the others are refused too.
        let change = if parcel.probe || verdict.is_none_or(|verdict| verdict.toggle) {
            self.link.failed(error, parcel.probe, now)
        } else {
            Change::None
        };
        if change == Change::Lost {
            tracing::warn!(
                target = %self.uplink.target(),
                state = %self.link.state(),
                batch = %parcel.batch.id(),
                %error,
                "Toggle does not take events; they are kept and it is tried again"
            );
        } else {
            tracing::debug!(batch = %parcel.batch.id(), %error, "a batch was not delivered");
        }
        if let Some(closing) = &mut self.closing {
            closing.gave_up = !self.link.is_open();
        }
        let count = parcel.batch.len() as u64;
        let mut state = self.intake.buffer.lock();
        state.status.uplink.attempts_failed += 1;
        state.status.uplink.state = self.link.state();
        state.status.uplink_since = Some(self.link.since());
        state.status.last_error = Some(error.to_string());
        let to = if matches!(parcel.origin, Origin::Memory { file: DiskCopy::None | DiskCopy::Writing, .. }) {
            Place::Memory
        } else {
            Place::Disk
        };
        state.accounts.shift(count, Place::Flight, to);
        drop(state);
        match parcel.origin {
            Origin::Memory { chunk, file: DiskCopy::None } if refused && self.spool_retry_at.is_none() => {
                self.write_whole(parcel.batch, chunk);
            }
            Origin::Memory { chunk, file: DiskCopy::None } => self.held.push_back((parcel.batch, chunk)),
            // Its copy on disk takes its place when it is there.
            Origin::Memory { chunk, file: DiskCopy::Writing } => self.copying.push((parcel.batch, chunk)),
            Origin::Memory { file: DiskCopy::Written(file), .. } => self.backlog.add(file),
            Origin::Disk { file } => {
                let too_large = error.kind() == SendErrorKind::TooLarge;
                if verdict.is_some_and(|verdict| verdict.blamed || too_large) {
                    self.narrow_down(file, parcel.batch, error);
                } else {
                    let refusals = verdict
                        .map_or_else(|| self.refusals.times(parcel.batch.id()), |verdict| verdict.times);
                    let not_before = refused.then(|| now + self.link.pause_for(refusals));
                    self.backlog.put_back(Waiting { file, batch: parcel.batch, refusals, not_before });
                }
            }
        }
    }

    /// A batch is refused while others are taken: it is halved, and a single event is set aside.
    fn narrow_down(&mut self, file: uuid::Uuid, batch: Arc<Batch>, error: &SendError) {
        self.refusals.forget(batch.id());
        if let Some(halves) = batch.halves() {
            tracing::debug!(batch = %batch.id(), events = batch.len(), "a refused batch is halved");
            self.backlog.halved(file, halves);
        } else {
            self.spooler.set_aside(file, batch, error.to_string());
        }
    }

    fn set_aside(&mut self, file: uuid::Uuid, batch: Arc<Batch>, result: Result<(), SpoolError>) {
        match result {
            Ok(()) => {
                tracing::error!(batch = %batch.id(), "Toggle refuses an event; it is in the quarantine folder, with the reason");
                let mut state = self.intake.buffer.lock();
                state.accounts.shift(batch.len() as u64, Place::Disk, Place::Quarantine);
                drop(state);
                let finished = self.backlog.done(file);
                self.finish(finished);
            }
            Err(error) => {
                self.spool_fails(&error);
                let not_before = self.spool_retry_at;
                self.backlog.put_back(Waiting { file, batch, refusals: 1, not_before });
            }
        }
    }

    // ---- the backlog ----

    fn read_ahead(&mut self) {
        if let Some((file, place)) = self.backlog.next_read(self.read_ahead_limit(), Instant::now()) {
            self.spooler.read(file, place);
        }
    }

    fn spooled(&mut self, reply: Reply) {
        match reply {
            Reply::Found(file) => {
                self.spool_grows(&file);
                self.intake.buffer.lock().accounts.adopt(u64::from(file.events));
                self.backlog.add(file);
            }
            Reply::Wrote(write, result) => self.wrote(write, result),
            Reply::Read(file, Ok(Some(piece))) => {
                let read = self.backlog.events_read(file.id) + u64::from(piece.count);
                let beyond = read.saturating_sub(u64::from(file.events)).min(u64::from(piece.count));
                if beyond > 0 {
                    // It holds more than was known of it.
                    self.intake.buffer.lock().accounts.adopt(beyond);
                }
                self.read_failures = 0;
                let refusals = self.refusals.times(piece.id);
                self.backlog.piece(file.id, piece, refusals);
            }
            Reply::Read(file, Ok(None)) => {
                let finished = self.backlog.exhausted(file.id);
                self.finish(finished);
            }
            Reply::Read(file, Err(error)) => {
                if self.read_failures == 0 {
                    tracing::warn!(%error, file = %file.id, "a spill file cannot be read; it is tried again");
                }
                self.read_failures = self.read_failures.saturating_add(1);
                self.intake.buffer.lock().status.last_error = Some(error.to_string());
                let until = Instant::now() + self.spool_backoff.pause(self.read_failures);
                let finished =
                    self.backlog.unreadable(file.id, error.kind() == SpoolErrorKind::Missing, until);
                self.finish(finished);
            }
            Reply::Removed(file, Ok(())) => {
                let mut state = self.intake.buffer.lock();
                state.status.spool.files = state.status.spool.files.saturating_sub(1);
                state.status.spool.bytes = state.status.spool.bytes.saturating_sub(file.bytes);
            }
            Reply::Removed(file, Err(error)) => {
                tracing::warn!(%error, file = %file.id, "a delivered spill file cannot be removed; it will be sent again after a restart");
                self.intake.buffer.lock().status.last_error = Some(error.to_string());
            }
            Reply::SetAside { file, batch, result } => self.set_aside(file, batch, result),
            Reply::Broken(error) => self.spool_fails(&error),
            Reply::Stopped => {}
        }
    }

    /// Every piece of a file has been acknowledged: it may go.
    fn finish(&mut self, finished: Option<Finished>) {
        let Some(Finished { file, missing }) = finished else { return };
        if missing > 0 {
            tracing::error!(file = %file.id, missing, "events of a spill file were damaged; what is left of them is in the quarantine folder");
            self.intake.buffer.lock().accounts.shift(missing, Place::Disk, Place::Quarantine);
        }
        self.spooler.remove(file);
    }

    // ---- the state of the spool ----

    fn spool_grows(&self, file: &SpoolFile) {
        let mut state = self.intake.buffer.lock();
        state.status.spool.files += 1;
        state.status.spool.bytes += file.bytes;
    }

    fn spool_works(&mut self) {
        if self.spool_retry_at.take().is_some() {
            self.spool_failures = 0;
            self.intake.buffer.lock().status.spool.broken = None;
            tracing::info!("the spool takes events again");
        }
    }

    fn spool_fails(&mut self, error: &SpoolError) {
        if self.spool_retry_at.is_none() {
            tracing::error!(%error, "the spool takes no events; they stay in memory");
        }
        self.spool_failures = self.spool_failures.saturating_add(1);
        self.spool_retry_at = Some(Instant::now() + self.spool_backoff.pause(self.spool_failures));
        let mut state = self.intake.buffer.lock();
        state.status.spool.broken = Some(error.to_string());
        state.status.last_error = Some(error.to_string());
    }

    // ---- waiting ----

    fn answer_flushes(&mut self) {
        if self.flushes.is_empty() {
            return;
        }
        let in_flight = self.in_flight.values().filter_map(|parcel| match &parcel.origin {
            Origin::Memory { chunk, .. } => Some(chunk.sequence),
            Origin::Disk { .. } => None,
        });
        let oldest = in_flight
            .chain(self.writing.iter().copied())
            .chain(self.held.iter().chain(&self.copying).map(|(_, chunk)| chunk.sequence))
            .chain(self.intake.buffer.lock().oldest_sequence())
            .min()
            .unwrap_or(u64::MAX);
        for flush in self.flushes.extract_if(.., |flush| flush.before <= oldest) {
            // Whoever asked may have given up.
            let _ = flush.done.send(());
        }
    }

    /// Says what to be woken for and until when to sleep; `None` when there is something to do already.
    ///
    /// Only what could be acted upon then counts, or the task would turn round without a pause.
    fn prepare_to_wait(&self) -> Option<Instant> {
        let now = Instant::now();
        let open = self.link.is_open();
        let can_send = open && self.in_flight.len() < self.settings.max_in_flight;
        let can_probe = !open && self.in_flight.is_empty();
        let can_spill = self.writing.is_empty() && self.spool_retry_at.is_none_or(|at| now >= at);
        let mut state = self.intake.buffer.lock();
        let ready = (can_send && state.has_full_batch())
            || (can_spill && self.should_spill(&state, now))
            || (can_spill && !open && !self.held.is_empty());
        if ready {
            return None;
        }
        let oldest = state.oldest();
        let lingers = can_send && now < self.linger_until;
        state.set_wake_on(WakeOn {
            first: oldest.is_none() && !lingers,
            batch: can_send && !lingers,
            urgent: can_send,
            threshold: can_spill,
        });
        drop(state);

        let due =
            oldest.filter(|_| can_send || (!open && can_spill)).map(|at| at + self.settings.batch_timeout);
        let waits_in_memory = oldest.is_some() || !self.held.is_empty();
        let piece = self.backlog.next_piece_at(now);
        let piece_at = piece.filter(|_| can_send && self.backlog_in_flight < self.backlog_places());
        let probe_at = match (self.link.retry_at().filter(|_| can_probe), piece) {
            (Some(retry), _) if waits_in_memory => Some(retry),
            (Some(retry), Some(piece)) => Some(retry.max(piece)),
            _ => None,
        };
        let read_at = self.backlog.next_read_at(self.read_ahead_limit(), now);
        let spool_at = self.spool_retry_at.filter(|&at| at > now);
        let closing_at = self.closing.as_ref().map(|closing| closing.deadline);
        let linger_at = lingers.then_some(self.linger_until);
        let wake_at =
            [due, piece_at, probe_at, read_at, spool_at, closing_at, linger_at].into_iter().flatten().min();
        Some(wake_at.map_or(now + HEARTBEAT, |at| at.min(now + HEARTBEAT)))
    }

    /// How many places in flight the backlog may use.
    fn backlog_places(&self) -> usize {
        self.settings.max_in_flight.saturating_sub(1).max(1)
    }

    fn read_ahead_limit(&self) -> usize {
        if self.link.is_open() { READ_AHEAD } else { 1 }
    }
}

impl Parcel {
    fn from_memory(batch: Arc<Batch>, chunk: Chunk) -> Self {
        Self { batch, origin: Origin::Memory { chunk, file: DiskCopy::None }, probe: false }
    }
}

/// Keeps the memory of a batch that has left.
fn recycle(state: &mut State, batch: Arc<Batch>, mut chunk: Chunk) {
    // An uplink may still hold on to the batch; then its memory goes when the uplink lets go.
    if let Ok(batch) = Arc::try_unwrap(batch) {
        chunk.put_bytes(batch.into_events());
    }
    state.recycle(chunk);
}
