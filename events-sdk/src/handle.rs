//! The handle on an event system: start, emit, look, flush, stop.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError, mpsc as std_mpsc},
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use crate::{
    Config, DropReason, Durability, DurabilityMode, Error, Filter, Kind, Level, Metadata, Stats, Ticket,
    Uplink,
    buffer::{Buffer, Fate, Left, Limits},
    delivery::{Control, Delivery, Settings, Spooler},
    emit::{FilterCell, Intake, now_ms},
    fork,
    generated::SCHEMA_FINGERPRINT,
    id::IdGenerator,
    ledger::Ledger,
    pii::Treatment,
    segment::Segments,
    spool::{Bounds, Spool, SpoolErrorKind, concern_about_room},
    sync::{self, Syncs},
    ticket::Place,
    uplink::{GrpcConfig, GrpcUplink},
    wire::{self, Message},
    worker::{self, Worker},
};

/// When the last handle is dropped without a shutdown, what is left is given this long to reach the disk.
const DROP_DEADLINE: Duration = Duration::from_secs(2);

/// An event that must be on stable storage is waited for so long at most: a disk that takes longer is broken, and the
/// program has other things to do.
const SYNC_PATIENCE: Duration = Duration::from_secs(5);

/// A century: no longer time can be waited for, `Duration::MAX` for one, which no clock could show the end of.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// A running event system.
///
/// Handles are cheap to clone and may be used from any thread, inside or outside of an async runtime. When the last one
/// is dropped the system shuts down and puts on disk what is left; call [`shutdown`](Self::shutdown) to decide how long
/// it may take and to learn how it went.
#[derive(Debug, Clone)]
pub struct Events {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    intake: Arc<Intake>,
    /// Always there, but for the end of a forked child's copy.
    runs: Option<Runs>,
    /// In which process it was started.
    generation: u32,
    stage: Mutex<Stage>,
    /// Told when the stage is [`Stage::Down`].
    down: Condvar,
}

/// The ways to the delivery task and to its thread.
#[derive(Debug)]
struct Runs {
    control: mpsc::UnboundedSender<Control>,
    worker: Worker,
}

/// How far a shutdown has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Running,
    Stopping,
    Down,
}

/// How a shutdown went.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Events that Toggle has acknowledged since start.
    pub delivered: u64,
    /// Events in spill files, for the next start to deliver, those included that were in flight from there when the deadline passed,
    /// and with the durabilities `process` and `power` those in segments. Those of files that somebody else removed are among them,
    /// see [`SpoolStats::missing`](crate::SpoolStats).
    pub on_disk: u64,
    /// Events lost since start, for whatever reason.
    pub dropped: u64,
    /// Events that were only in memory or under way from there when the deadline passed, so that nobody knows yet where they end:
    /// neither delivered, nor on disk, nor dropped. The event system goes on putting them on disk for as long as the process lives,
    /// for some seconds at most, and the log says how that went. What is not there by the end of the process is lost, and counted by
    /// the next one as [`DropReason::ProcessEnded`]. A longer deadline leaves none.
    pub undecided: u64,
    /// Whether everything that was in memory at the call was delivered or on disk by the deadline, with the durability `power` on
    /// stable storage. If not, the disk or Toggle was still being waited for, events were dropped for
    /// [`DropReason::Shutdown`], or somebody else has removed spill files.
    pub complete: bool,
    /// The accounts at the end.
    pub stats: Stats,
}

/// How a flush went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FlushOutcome {
    /// Every event accepted before the call is delivered, or on disk, or was dropped and counted.
    Complete,
    /// Some were still only in memory or on their way when the deadline passed. They are not lost.
    TimedOut,
}

/// How waiting for an event went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitOutcome {
    /// The event was brought to stable storage, or is acknowledged by Toggle. What of it is on disk only may still have to make room
    /// there for graver events, which is counted as [`DropReason::SpoolFull`].
    Settled,
    /// It was dropped out of memory before or since, for this reason, and counted: it had to make room for a graver one, say.
    Dropped(DropReason),
    /// It is where it is safe, or was dropped, but nobody knows any more which: too many others were dropped out of memory since,
    /// some thousand at least. It is counted either way.
    Unknown,
    /// It was still only in memory, or not synced, when the time had passed. It is not lost.
    TimedOut,
    /// The ticket says that the event was never queued; or, from [`wait`](crate::wait), there is no event system that could
    /// be asked.
    NotQueued,
    /// The ticket is of another event system, which alone knows what became of the event.
    OtherSystem,
}

/// So much is set aside on disk at most for the moment when it is full: more than most spill files have, so that one can be
/// written anew without some of its events.
const MOST_BALLAST: u64 = 8 << 20;

/// One part in so many of `spool_max_bytes` is set aside so, where that is less: a small spool is there for events.
const BALLAST_PART: u64 = 64;

/// What the delivery task says to who asks whether something has left memory.
enum Answer {
    /// It has.
    Done,
    /// The system is shut down, and nothing is in memory any more, but for what segments hold.
    Ended,
    /// Nothing in time.
    None,
}

impl Events {
    /// Starts an event system that sends to the Toggle of the configuration.
    ///
    /// Toggle need not be there, nor the network: events are accepted from now on.
    ///
    /// # Errors
    ///
    /// When the configuration names no usable endpoint, or another process uses the same spool directory, or the system
    /// has no thread left, or personal data is to be hashed and its key can neither be read nor made. A spool that cannot be written to is not an error: it is logged, shown in [`Stats`], and
    /// tried again.
    pub fn start(config: Config) -> Result<Self, Error> {
        let uplink = GrpcUplink::new(GrpcConfig::from_toggle(&config.toggle)?)?;
        Self::start_with(config, Arc::new(uplink))
    }

    /// Starts an event system over another uplink.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start), except for the endpoint.
    pub fn start_with(config: Config, uplink: Arc<dyn Uplink>) -> Result<Self, Error> {
        Self::start_on(|| Worker::start().map_err(Error::thread), config, uplink)
    }

    /// The same on a worker of the caller's, which is asked for last: nothing fails once it was given.
    pub(crate) fn start_on(
        worker: impl FnOnce() -> Result<Worker, Error>,
        config: Config,
        uplink: Arc<dyn Uplink>,
    ) -> Result<Self, Error> {
        config.validate()?;
        // Before anything else is touched: without a key nothing personal may leave.
        let treatment = Treatment::start(config.pii, &config.pii_key_file).map_err(Error::pii_key)?;
        let (spool, broken) = match Spool::begin(&config.spool_dir) {
            Ok(spool) => (Some(spool), None),
            Err(error) if error.kind() == SpoolErrorKind::InUse => return Err(Error::spool(error)),
            Err(error) => {
                tracing::error!(%error, "the spool takes no events; they stay in memory");
                (None, Some(error.to_string()))
            }
        };
        let mut concerns = match &spool {
            Some(spool) => spool.concerns().to_vec(),
            None => Spool::concerns_about(&config.spool_dir),
        };
        concerns.extend(concern_about_room(&config.spool_dir, config.spool_min_free_bytes as u64));
        // Here alone: a directory that cannot be used is opened anew every second.
        concerns.iter().for_each(|concern| tracing::warn!("{concern}"));
        let ledger = spool.is_some().then(|| Ledger::open_or_begin(&config.spool_dir, now_ms()));
        let (mut ledger, ledger_broken) = match ledger {
            Some(Ok(ledger)) => (ledger, None),
            Some(Err(error)) => {
                tracing::error!(%error, "the accounts cannot be kept on disk; they end with this process unless that is mended");
                (Ledger::in_memory(now_ms()), Some(error.to_string()))
            }
            None => (Ledger::in_memory(now_ms()), None),
        };
        let kept = ledger.kept();
        let limits = Limits {
            events: config.buffer_size,
            bytes: config.buffer_bytes,
            threshold: config.flush_threshold,
            batch: config.batch_size,
            batch_bytes: config.batch_bytes,
        };
        let generation = fork::generation();
        let is_power = config.durability == DurabilityMode::Power;
        let segments = (config.durability != DurabilityMode::Memory).then(|| {
            let prefix = IdGenerator::new().next(now_ms());
            let segments = Segments::new(config.batch_size, SCHEMA_FINGERPRINT, prefix).for_power(is_power);
            Arc::new(segments.within(config.spool_max_bytes as u64, config.spool_min_free_bytes as u64))
        });
        let syncs = segments.is_some().then(Arc::<Syncs>::default);
        ledger.keep_in_segments(segments.is_some());
        let buffer = Buffer::with_segments(limits, segments.clone(), ledger);
        let intake = Arc::new(Intake::new(
            FilterCell::new(&config.filter),
            buffer,
            treatment,
            syncs.clone(),
            is_power,
        ));
        {
            let mut state = intake.buffer.lock();
            state.status.spool.directory.clone_from(&config.spool_dir);
            state.status.spool.max_bytes = config.spool_max_bytes as u64;
            state.status.spool.concerns = concerns;
            broken.iter().for_each(|error| state.status.fail(error));
            state.status.spool.broken = broken;
            state.status.durability = config.durability;
            state.status.ledger_broken = ledger_broken;
            state.status.uplink.target = uplink.target();
            state.status.uplink_since = Some(Instant::now());
        }
        let settings = Settings {
            batch_timeout: config.batch_timeout,
            max_in_flight: config.max_in_flight,
            retry_initial: config.retry_initial,
            retry_max: config.retry_max,
            spool_max_bytes: config.spool_max_bytes as u64,
        };
        let bounds = Bounds {
            min_free: config.spool_min_free_bytes as u64,
            quarantine: config.quarantine_max_bytes as u64,
            ballast: MOST_BALLAST.min(config.spool_max_bytes as u64 / BALLAST_PART),
        };
        let spool_is_open = spool.is_some();
        let spooler =
            Spooler::start(config.spool_dir, spool, bounds, SCHEMA_FINGERPRINT, segments.clone(), kept)
                .map_err(Error::thread)?;
        if let (Some(segments), Some(syncs)) = (segments, syncs) {
            let interval = is_power.then_some(config.sync_interval);
            sync::start(Arc::clone(&intake), segments, syncs, interval).map_err(Error::thread)?;
        }
        let worker = worker()?;
        let (control, commands) = mpsc::unbounded_channel();
        let delivery = Delivery::new(Arc::clone(&intake), uplink, settings, commands, spooler, spool_is_open);
        // What a shutdown leaves to do when its time has passed is done, whether or not somebody still holds a handle.
        let lease = worker.lease();
        worker.handle().spawn(async move {
            delivery.run().await;
            drop(lease);
        });
        let shared = Shared {
            intake,
            runs: Some(Runs { control, worker }),
            generation,
            stage: Mutex::new(Stage::Running),
            down: Condvar::new(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The ticket of an event of this kind and level if it would not be accepted. What the filter says no to is counted.
    #[doc(hidden)]
    #[inline]
    pub fn __refuses(&self, kind: &'static Kind, level: Level) -> Option<Ticket> {
        if self.is_foreign() {
            return Some(Ticket::dropped(DropReason::NotInitialized));
        }
        (!self.shared.intake.wants(kind, level)).then_some(Ticket::FILTERED)
    }

    /// The same where the level may not be known yet: then that of an event whose kind is not wanted at any level.
    #[doc(hidden)]
    #[inline]
    pub fn __refuses_by_schema(&self, kind: &'static Kind, level: Option<Level>) -> Option<Ticket> {
        if let Some(level) = level {
            return self.__refuses(kind, level);
        }
        if self.is_foreign() {
            return Some(Ticket::dropped(DropReason::NotInitialized));
        }
        (!self.shared.intake.may_want(kind)).then_some(Ticket::FILTERED)
    }

    /// What every generated emitter calls.
    #[doc(hidden)]
    #[inline]
    pub fn __emit<P: Message>(
        &self,
        kind: &'static Kind,
        level: Level,
        payload: &P,
        metadata: impl Metadata,
    ) -> Ticket {
        if let Some(ticket) = self.__refuses(kind, level) {
            return ticket;
        }
        let intake = &self.shared.intake;
        let ticket = intake.emit(kind, level, payload, &metadata);
        if intake.waits && kind.durability == Durability::Sync {
            return self.settled(ticket);
        }
        ticket
    }

    /// Waits until the event is on stable storage or with Toggle.
    #[cold]
    fn settled(&self, ticket: Ticket) -> Ticket {
        let intake = &self.shared.intake;
        let Some(syncs) = intake.syncs.as_ref().filter(|_| ticket.is_queued()) else { return ticket };
        let (place, until) = (ticket.place(), Instant::now() + SYNC_PATIENCE);
        let is_settled = syncs.wait_to_emit(place, until, || self.asks_to_settle(place, until));
        // Asked for afterwards: an event that was dropped before all around it was safe is known to have been by now.
        match (intake.buffer.lock().fate_of(place), is_settled) {
            (Fate::Dropped(reason), _) => Ticket::dropped(reason),
            (Fate::NotDropped, true) => ticket.with_durable(),
            (Fate::NotDropped | Fate::Forgotten, _) => ticket,
        }
    }

    /// Has the delivery task send or write the event at this place without waiting for company. `false` where nobody would do it
    /// while the caller waits.
    fn asks_to_settle(&self, place: Place, until: Instant) -> bool {
        let Some(Runs { control, .. }) = self.shared.runs.as_ref().filter(|_| !worker::is_own()) else {
            return false;
        };
        // The answer is heard with all others, by the syncs. A task that is shutting down does not hear the question, and does
        // what it asks for anyway.
        let (done, _) = std_mpsc::channel();
        control.send(Control::Settle { sequence: place.sequence(), until, done }).is_ok()
    }

    /// Whether this is a forked child's copy of its parent's system. It accepts nothing, and nothing of it is touched: a
    /// thread that is not here may have held its locks.
    #[inline]
    pub(crate) fn is_foreign(&self) -> bool {
        self.shared.is_foreign()
    }

    /// Where every event is, and how the parts are doing. Empty in a forked child, which starts a system of its own.
    pub fn stats(&self) -> Stats {
        self.stats_and_left().0
    }

    /// With what the next process would find of what is in memory and in flight.
    fn stats_and_left(&self) -> (Stats, Left) {
        if self.is_foreign() {
            let none = Left { in_segments: 0, in_files: 0 };
            return (Stats { is_shutdown: true, ..Stats::default() }, none);
        }
        let state = self.shared.intake.buffer.lock();
        let (mut stats, left) = (state.stats(), state.left_to_next());
        drop(state);
        stats.filtered = self.shared.intake.filtered();
        stats.not_initialized = self.shared.intake.refused();
        stats.masked_metadata = self.shared.intake.masked();
        stats.texts_cut = wire::cuts();
        (stats, left)
    }

    /// What is let through at present.
    pub fn filter(&self) -> Filter {
        self.shared.intake.filter.get()
    }

    /// Lets other levels and categories through from now on.
    pub fn set_filter(&self, filter: &Filter) {
        self.shared.intake.filter.set(filter);
    }

    /// Sees that everything accepted so far is delivered or, while Toggle is away, on disk. Blocks the calling thread
    /// for at most `deadline`.
    pub fn flush(&self, deadline: Duration) -> FlushOutcome {
        let until = in_time(deadline);
        match self.ask(until, |done| Control::Flush { until, done }) {
            Answer::Done | Answer::Ended => FlushOutcome::Complete,
            Answer::None => FlushOutcome::TimedOut,
        }
    }

    /// Waits until the event of this ticket is on stable storage or acknowledged by Toggle. Blocks the calling thread for
    /// at most `timeout`.
    ///
    /// The ticket must come from this event system: one of another says [`WaitOutcome::OtherSystem`] at once. With the durability `process` or `power` the event's segment is
    /// synced, together with those of all others who wait; where that fails or takes long, and with `memory`, the event is sent or, while Toggle is away, written
    /// to a spill file, without waiting for company.
    pub fn wait(&self, ticket: &Ticket, timeout: Duration) -> WaitOutcome {
        if !ticket.is_queued() {
            return WaitOutcome::NotQueued;
        }
        if ticket.system() != self.shared.intake.number {
            return WaitOutcome::OtherSystem;
        }
        let is_settled = ticket.is_durable() || self.wait_for(ticket.place(), in_time(timeout));
        if self.is_foreign() {
            // Whoever held the lock of the buffer may not be here to let go of it.
            return if is_settled { WaitOutcome::Settled } else { WaitOutcome::TimedOut };
        }
        // Asked for afterwards: what was dropped before its chunk left memory is known to have been by now.
        match (self.shared.intake.buffer.lock().fate_of(ticket.place()), is_settled) {
            (Fate::Dropped(reason), _) => WaitOutcome::Dropped(reason),
            (_, false) => WaitOutcome::TimedOut,
            (Fate::NotDropped, true) => WaitOutcome::Settled,
            (Fate::Forgotten, true) => WaitOutcome::Unknown,
        }
    }

    /// Waits until the event at this place, and all that left memory together with it, is where it is safe. `false` when it is not
    /// by then.
    fn wait_for(&self, place: Place, until: Instant) -> bool {
        if let Some(syncs) =
            self.shared.intake.syncs.as_ref().filter(|_| place.is_kept() && !self.is_foreign())
        {
            return syncs.wait_or_ask(place, until, || self.asks_to_settle(place, until));
        }
        let asked = |done| Control::Settle { sequence: place.sequence(), until, done };
        match self.ask(until, asked) {
            Answer::Done | Answer::Ended => true,
            Answer::None => false,
        }
    }

    /// Asks the delivery task.
    fn ask(&self, until: Instant, what: impl FnOnce(std_mpsc::Sender<()>) -> Control) -> Answer {
        if self.is_foreign() {
            return Answer::None;
        }
        if let Some(Runs { control, worker }) = &self.shared.runs {
            let (done, answer) = std_mpsc::channel();
            let asked = control.send(what(done)).is_ok();
            let left = until.saturating_duration_since(Instant::now());
            if asked && !worker.is_current() && answer.recv_timeout(left).is_ok() {
                return Answer::Done;
            }
        }
        let stats = self.stats();
        let has_ended = stats.is_shutdown && stats.in_memory == 0 && stats.in_flight == 0;
        if has_ended { Answer::Ended } else { Answer::None }
    }

    /// Stops accepting events, puts on disk what is left, sends while time is left, and reports.
    ///
    /// Blocks the calling thread and returns by the deadline in every state of disk and Toggle. Where the time is too short to know
    /// of every event where it ended, those are [`undecided`](ShutdownReport::undecided) in the report, and the log says so. In async code call it
    /// through `spawn_blocking` where blocking would hold up other tasks. When it is called again, the report tells how
    /// things stand then.
    pub fn shutdown(&self, deadline: Duration) -> ShutdownReport {
        self.shared.shutdown(deadline);
        let (stats, Left { in_segments, in_files }) = self.stats_and_left();
        let undecided = (stats.in_memory + stats.in_flight).saturating_sub(in_segments + in_files);
        // Until the task has synced it, nobody knows whether what is in segments outlives a loss of power.
        let is_synced = in_segments == 0 || stats.durability.mode != DurabilityMode::Power;
        // A thread that is not in a forked child may have held the lock of the syncs.
        let syncs = self.shared.intake.syncs.as_ref().filter(|_| !self.is_foreign());
        ShutdownReport {
            delivered: stats.delivered,
            on_disk: stats.on_disk + in_segments + in_files,
            dropped: stats.dropped_total(),
            undecided,
            complete: undecided == 0
                && is_synced
                && stats.dropped_for(DropReason::Shutdown) == 0
                && stats.spool.missing == 0
                && !syncs.is_some_and(|syncs| syncs.is_lacking()),
            stats,
        }
    }
}

/// The end of a time that begins now.
fn in_time(time: Duration) -> Instant {
    Instant::now() + time.min(FOR_EVER)
}

impl Shared {
    #[inline]
    fn is_foreign(&self) -> bool {
        self.generation != fork::current()
    }

    fn shutdown(&self, deadline: Duration) {
        let Some(Runs { control, worker }) = self.runs.as_ref().filter(|_| !self.is_foreign()) else {
            return;
        };
        let until = in_time(deadline);
        self.intake.buffer.lock().close();
        let mut stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        if *stage == Stage::Running {
            let (done, answer) = std_mpsc::channel();
            let asked = control.send(Control::Shutdown { deadline: until, done });
            if asked.is_err() || worker.is_current() {
                // The task has ended, or is who asks and cannot wait for itself.
                *stage = Stage::Down;
                drop(stage);
                return self.tell_undecided();
            }
            *stage = Stage::Stopping;
            drop(stage);
            // The deadline, or the end of the task: either way it is over.
            let _ = answer.recv_timeout(until.saturating_duration_since(Instant::now()));
            *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = Stage::Down;
            self.down.notify_all();
            return self.tell_undecided();
        }
        // Another thread was first; its deadline may be later than ours.
        let left = until.saturating_duration_since(Instant::now());
        drop(
            self.down
                .wait_timeout_while(stage, left, |stage| *stage == Stage::Stopping)
                .unwrap_or_else(PoisonError::into_inner),
        );
    }

    /// Has the log say what the shutdown left in the air.
    fn tell_undecided(&self) {
        let state = self.intake.buffer.lock();
        let Left { in_segments, in_files } = state.left_to_next();
        let all = state.accounts.in_memory + state.accounts.in_flight;
        let undecided = all.saturating_sub(in_segments + in_files);
        drop(state);
        if undecided > 0 {
            tracing::error!(
                undecided,
                "the shutdown deadline passed before all events were delivered or on disk; what the process still puts there counts; the rest is lost"
            );
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if self.is_foreign() {
            // Dropping them would wake, and wait for, threads of the parent's.
            std::mem::forget(self.runs.take());
            return;
        }
        self.shutdown(DROP_DEADLINE);
        if let Some(syncs) = &self.intake.syncs {
            syncs.stop();
        }
    }
}
