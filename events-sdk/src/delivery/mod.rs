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
//! * Live events go before the backlog, which uses at most all places in flight but one, and at least one, or one alone
//!   where Toggle answers at once, and goes out at a [`pace`] that grows while Toggle is well and is halved when it is not.
//! * A batch that failed becomes a spill file of its own under its own id. Unless Toggle refuses it, it is never cut, so
//!   every repeat carries the same id and the same bytes.
//! * While Toggle is away one batch at a time probes it, the oldest first, and nothing waits in memory for longer than
//!   the batch timeout: it goes to disk.
//! * A batch that was refused goes to disk and stands behind the others, so that it blocks nobody. If they are taken and
//!   it is refused again, it is halved until the event that Toggle does not want stands alone; that one is set aside.
//!   In memory that is done only where the disk takes nothing or the batch is too large, and never to one in a segment.
//! * When the disk takes nothing, events stay in memory within its bounds, and are sent from there.
//! * What was lost is told to Toggle once there is room again ([`losses`]).
//!
//! [`spill`] takes events to disk, [`send`] to Toggle, [`replay`] brings files back, [`wait`] says until when there is
//! nothing to do, and [`shutdown`] ends it all.
//!
//! A panic in a step costs nothing but a pause: [`salvage`] takes up what the step had in hand.
//!
//! The task itself never waits for a disk ([`spooler`]) nor for Toggle ([`Uplink`]); it only decides. All counting is in
//! [`crate::accounts`].

mod backlog;
mod best_effort;
mod gathered;
mod link;
mod losses;
mod pace;
mod progress;
mod refusals;
mod replay;
mod room;
mod salvage;
mod segments;
mod send;
mod shortened;
mod shutdown;
mod spill;
mod spooler;
mod vanished;
mod wait;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::mpsc,
    task::{self, JoinSet},
};

use self::{
    backlog::Backlog,
    gathered::Gathered,
    link::Link,
    losses::Teller,
    pace::Pace,
    progress::Progress,
    refusals::Refusals,
    room::Room,
    salvage::{Kept, Panics, Salvage},
    segments::Told,
    shutdown::Closing,
    spooler::Reply,
};
pub(crate) use self::{
    salvage::{message_of, restarted},
    spooler::Spooler,
};
use crate::{
    Batch, SendError, Uplink,
    accounts::Place,
    backoff::Backoff,
    buffer::{Held, State},
    chunk::Chunk,
    emit::Intake,
    fault,
    spool::{FileName, SpoolFile},
};

/// How many pieces of the backlog are read ahead of sending: as many as can be in flight would hide the disk entirely,
/// two keep memory low and the disk busy.
const READ_AHEAD: usize = 2;

/// A file that could not be read is tried again after this, doubling up to a minute.
const READ_RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));

/// A spool that takes nothing is tried again after this at the latest: what comes in while the disk is back and nobody
/// has noticed may be lost for want of memory, and a failed attempt costs little.
const SPOOL_RETRY: Duration = Duration::from_secs(1);

/// While Toggle is away an urgent event is on disk after this: soon enough that hardly anything of it is lost with the
/// process, seldom enough that a storm of errors does not become a storm of files.
const URGENT_PATIENCE: Duration = Duration::from_secs(1);

/// While batches fill up faster than this, the task looks for them itself instead of being woken for each: a wake costs
/// the emitting thread a system call, more than a dozen emits.
const LINGER: Duration = Duration::from_millis(1);

/// What comes and goes, or goes on and on, is told to the log so often.
const LOG_AGAIN: Duration = Duration::from_secs(60);

/// When the task has nothing to wait for but events, it still looks around this often.
const HEARTBEAT: Duration = Duration::from_secs(60);

/// What delivery needs to know of the configuration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) batch_timeout: Duration,
    pub(crate) max_in_flight: usize,
    pub(crate) retry_initial: Duration,
    pub(crate) retry_max: Duration,
    pub(crate) spool_max_bytes: u64,
}

/// What the program asks of the task.
#[derive(Debug)]
pub(crate) enum Control {
    /// See that everything accepted so far is delivered or on disk, and say so. Nobody waits for that after `until`.
    Flush { until: Instant, done: std::sync::mpsc::Sender<()> },
    /// The same, for the chunks up to this place in their order.
    Settle { sequence: u64, until: Instant, done: std::sync::mpsc::Sender<()> },
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
    sent_at: Instant,
    /// Where the accounts have its events.
    place: Place,
}

#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there are only as many as batches in flight")]
enum Origin {
    /// From memory. `chunk` knows the events, without their bytes.
    Memory { chunk: Chunk, file: DiskCopy },
    /// A piece of a spill file.
    Disk { file: uuid::Uuid, place: u32 },
}

/// Whether a batch in flight has been put on disk as well, at shutdown.
#[derive(Debug)]
enum DiskCopy {
    None,
    Writing,
    Written(SpoolFile),
}

/// A file that is being written.
#[derive(Debug, Clone, Copy)]
struct Writing {
    id: uuid::Uuid,
    /// The oldest place in the order of chunks of what is in it.
    sequence: u64,
    /// The size of its events.
    bytes: u64,
    /// It is a batch that failed, and not what waited.
    failed: bool,
    /// How many of its events lie in segments.
    kept: u64,
}

/// Somebody waits for what was accepted before.
#[derive(Debug)]
struct Flush {
    /// Chunks below this place in the order are meant.
    before: u64,
    /// Then they have given up.
    until: Instant,
    done: std::sync::mpsc::Sender<()>,
}

/// The task.
pub(crate) struct Delivery {
    intake: Arc<Intake>,
    uplink: Arc<dyn Uplink>,
    uplink_target: String,
    settings: Settings,
    control: mpsc::UnboundedReceiver<Control>,
    spooler: Spooler,
    sends: JoinSet<Result<(), SendError>>,
    in_flight: HashMap<task::Id, Parcel>,
    backlog_in_flight: usize,
    link: Link,
    pace: Pace,
    /// How many events had been accepted and not dropped when Toggle was lost.
    kept_before: Option<u64>,
    progress: Progress,
    room: Room,
    refusals: Refusals,
    teller: Teller,
    backlog: Backlog,
    /// Batches that failed while a copy of them was being written.
    copying: Vec<Held>,
    /// The files being written.
    writing: Vec<Writing>,
    /// The spool's directory could not be opened: nothing of earlier processes is adopted until it can.
    spool_is_closed: bool,
    /// It was asked to be opened.
    opening: bool,
    spool_failures: u32,
    spool_backoff: Backoff,
    /// How often in a row an event could not be set aside.
    quarantine_failures: u32,
    spool_retry_at: Option<Instant>,
    /// The log says that the spool takes nothing.
    spool_is_told: bool,
    /// When it said so last.
    spool_told_at: Instant,
    /// A spill file could not be written, and nothing went well since.
    write_failed: bool,
    /// It was asked whether the disk takes something again.
    probing: bool,
    /// Segments were asked for.
    making: bool,
    /// No segment could be made; it is tried again then.
    segments_retry_at: Option<Instant>,
    /// What the log was told of segments.
    segments_told: Told,
    /// Files that somebody removed, and their events.
    vanished: Gathered<2>,
    /// Events that Toggle refused and that were set aside.
    refused: Gathered<1>,
    /// Events that had to leave the quarantine, which was full.
    cleared: Gathered<1>,
    /// Files with a damaged seal,
    seals: Gathered<1>,
    /// and the last of them, with what of it is damaged.
    seal_told: Option<(FileName, &'static str)>,
    flushes: Vec<Flush>,
    closing: Option<Closing>,
    /// Until then full batches are expected any moment.
    linger_until: Instant,
    /// What a panic let fall.
    salvage: Salvage,
    panics: Panics,
}

/// What a round leaves to do.
enum Next {
    /// There is more to do at once.
    Again,
    /// Nothing to do until then, or until something happens.
    Wait(Instant),
    /// The shutdown has done what it can.
    Close,
}

/// What ended the waiting.
#[allow(clippy::large_enum_variant, reason = "there is one at a time")]
enum Happened {
    Control(Option<Control>),
    Sent(Result<(task::Id, Result<(), SendError>), task::JoinError>),
    Spooled(Reply),
    Woken,
}

impl Delivery {
    pub(crate) fn new(
        intake: Arc<Intake>,
        uplink: Arc<dyn Uplink>,
        settings: Settings,
        control: mpsc::UnboundedReceiver<Control>,
        spooler: Spooler,
        spool_is_open: bool,
    ) -> Self {
        let teller = Teller::new(&intake.buffer.lock().accounts.ledger);
        Self {
            intake,
            uplink_target: uplink.target(),
            uplink,
            settings,
            control,
            spooler,
            sends: JoinSet::new(),
            in_flight: HashMap::new(),
            backlog_in_flight: 0,
            link: Link::new(Backoff::new(settings.retry_initial, settings.retry_max)),
            pace: Pace::new(Instant::now()),
            kept_before: None,
            progress: Progress::new(Instant::now()),
            room: Room::new(settings.spool_max_bytes),
            refusals: Refusals::default(),
            teller,
            backlog: Backlog::default(),
            copying: Vec::new(),
            writing: Vec::new(),
            spool_is_closed: !spool_is_open,
            opening: false,
            spool_failures: 0,
            quarantine_failures: 0,
            spool_backoff: Backoff::new(READ_RETRY.0, READ_RETRY.1),
            spool_retry_at: (!spool_is_open).then(|| Instant::now() + SPOOL_RETRY),
            // At the start whoever opened it in vain has said so.
            spool_is_told: !spool_is_open,
            spool_told_at: Instant::now(),
            write_failed: false,
            probing: false,
            making: false,
            segments_retry_at: None,
            segments_told: Told::default(),
            vanished: Gathered::default(),
            refused: Gathered::default(),
            cleared: Gathered::default(),
            seals: Gathered::default(),
            seal_told: None,
            flushes: Vec::new(),
            closing: None,
            linger_until: Instant::now(),
            salvage: Salvage::default(),
            panics: Panics::new(),
        }
    }

    /// Runs until a shutdown is done. A panic in a step ends that step and no more: see [`salvage`].
    pub(crate) async fn run(mut self) {
        loop {
            let wake_at = match self.guarded(Self::round) {
                Ok(Next::Close) => break,
                Ok(Next::Again) => {
                    // Others on this thread, the batches in flight above all, must come to their turn.
                    tokio::task::yield_now().await;
                    continue;
                }
                Ok(Next::Wait(wake_at)) => wake_at,
                Err(pause) => {
                    tokio::time::sleep(pause).await;
                    continue;
                }
            };
            let happened = tokio::select! {
                control = self.control.recv(), if self.closing.is_none() => Happened::Control(control),
                Some(sent) = self.sends.join_next_with_id() => Happened::Sent(sent),
                Some(reply) = self.spooler.reply() => Happened::Spooled(reply),
                () = self.intake.buffer.woken() => Happened::Woken,
                () = tokio::time::sleep_until(wake_at.into()) => Happened::Woken,
            };
            if let Err(pause) = self.guarded(|delivery| delivery.handle(happened)) {
                tokio::time::sleep(pause).await;
            }
        }
        self.close_down().await;
    }

    fn round(&mut self) -> Next {
        self.take_up();
        fault::point("round");
        self.tend_segments();
        self.tend_failed();
        self.tell_losses(Instant::now());
        self.log_losses(Instant::now());
        self.tell_spool_works(Instant::now());
        self.tell_gathered(Instant::now(), false);
        self.spill();
        self.send();
        self.read_ahead();
        self.answer_waiting();
        self.tell_kept();
        if self.is_closed_down() {
            return Next::Close;
        }
        self.prepare_to_wait().map_or(Next::Again, Next::Wait)
    }

    fn handle(&mut self, happened: Happened) {
        match happened {
            Happened::Control(control) => self.obey(control),
            Happened::Sent(sent) => self.sent(sent),
            Happened::Spooled(reply) => self.spooled(reply),
            Happened::Woken => {}
        }
    }

    fn obey(&mut self, control: Option<Control>) {
        let kept = control.map(|control| self.salvage.keep(control));
        fault::point("control");
        match kept.and_then(Kept::release) {
            Some(Control::Flush { until, done }) => {
                let mut state = self.intake.buffer.lock();
                state.seal();
                self.flushes.push(Flush { before: state.next_sequence(), until, done });
            }
            Some(Control::Settle { sequence, until, done }) => {
                let mut state = self.intake.buffer.lock();
                if state.next_sequence() == sequence + 1 {
                    state.seal();
                }
                self.flushes.push(Flush { before: sequence + 1, until, done });
            }
            Some(Control::Shutdown { deadline, done }) => self.begin_shutdown(deadline, Some(done)),
            // Nobody holds a handle any more and nobody said goodbye: what is left goes to disk.
            None => self.begin_shutdown(Instant::now(), None),
        }
    }
}

impl Parcel {
    fn from_memory(batch: Arc<Batch>, chunk: Chunk) -> Self {
        Self {
            batch,
            origin: Origin::Memory { chunk, file: DiskCopy::None },
            probe: false,
            sent_at: Instant::now(),
            place: Place::Flight,
        }
    }

    /// Where its events are when they are not in flight.
    fn home(&self) -> Place {
        match &self.origin {
            Origin::Memory { file: DiskCopy::None | DiskCopy::Writing, .. } => Place::Memory,
            Origin::Memory { file: DiskCopy::Written(_), .. } | Origin::Disk { .. } => Place::Disk,
        }
    }
}

/// The identity under which a chunk is sent or written: that of its segment, where it has one.
fn identity(state: &mut State, chunk: &mut Chunk, now_ms: u64) -> (uuid::Uuid, i64) {
    chunk.identity(now_ms as i64).unwrap_or_else(|| (state.next_id(now_ms), now_ms as i64))
}

/// Keeps the memory of a batch that has left.
fn recycle(state: &mut State, batch: Arc<Batch>, mut chunk: Chunk) {
    // An uplink may still hold on to the batch; then its memory goes when the uplink lets go.
    if let Ok(batch) = Arc::try_unwrap(batch) {
        chunk.put_bytes(batch.into_events());
    }
    state.recycle(chunk);
}
