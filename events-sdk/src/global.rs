//! The event system of the process, for programs that want no handle of their own.
//!
//! The free functions use the handle that [`initialize`] set. Before it and after [`shutdown`] they count the event as
//! not initialised and return.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;

use crate::{
    Config, DropReason, Error, Events, FlushOutcome, Kind, Level, Metadata, ShutdownReport, Stats, Ticket,
    Uplink, WaitOutcome, fork, wire::Message,
};

static EVENTS: ArcSwapOption<Events> = ArcSwapOption::const_empty();

/// Events emitted while there was no event system.
static NOT_INITIALIZED: AtomicU64 = AtomicU64::new(0);

/// Starts the event system of the process and gives a handle on it.
///
/// Toggle need not be there, nor the network: events are accepted from now on.
///
/// # Errors
///
/// When it is initialised already, and for the reasons of [`Events::start`].
pub fn initialize(config: Config) -> Result<Events, Error> {
    set(|| Events::start(config))
}

/// Starts the event system of the process over another uplink.
///
/// # Errors
///
/// When it is initialised already, and for the reasons of [`Events::start_with`].
pub fn initialize_with(config: Config, uplink: Arc<dyn Uplink>) -> Result<Events, Error> {
    set(|| Events::start_with(config, uplink))
}

pub(crate) fn set(start: impl FnOnce() -> Result<Events, Error>) -> Result<Events, Error> {
    let _starting = Starting::begin();
    if is_initialized() {
        return Err(Error::already_initialized());
    }
    let events = start()?;
    EVENTS.store(Some(Arc::new(events.clone())));
    Ok(events)
}

/// Whether [`initialize`] has been called and [`shutdown`] has not.
pub fn is_initialized() -> bool {
    EVENTS.load().as_ref().is_some_and(|events| !events.is_foreign())
}

/// One start at a time: the second of two threads must hear that the system is there, not that its spool is in use.
///
/// No mutex, because a thread that held it while another one forked would hold it in the child for ever. Who holds this
/// one in another process does not matter.
struct Starting;

/// In which process somebody is starting: its generation, and one more.
static STARTING: AtomicU64 = AtomicU64::new(0);

impl Starting {
    /// Looks so often whether the other one has come to an end. A start takes milliseconds, and there is hardly ever
    /// a second one.
    const PAUSE: Duration = Duration::from_millis(1);

    fn begin() -> Self {
        let ours = u64::from(fork::generation()) + 1;
        loop {
            let holder = STARTING.load(Ordering::Acquire);
            let is_free = holder != ours;
            if is_free && STARTING.compare_exchange(holder, ours, Ordering::AcqRel, Ordering::Acquire).is_ok()
            {
                return Self;
            }
            std::thread::sleep(Self::PAUSE);
        }
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        STARTING.store(0, Ordering::Release);
    }
}

/// Where every event is. Without an event system only `not_initialized` says something.
pub fn stats() -> Stats {
    let mut stats = EVENTS.load().as_ref().map(|events| events.stats()).unwrap_or_default();
    stats.not_initialized += NOT_INITIALIZED.load(Ordering::Relaxed);
    stats
}

/// Sees that everything accepted so far is delivered or on disk: [`Events::flush`].
pub fn flush(deadline: Duration) -> FlushOutcome {
    EVENTS.load_full().map_or(FlushOutcome::Complete, |events| events.flush(deadline))
}

/// Waits until an event is on stable storage or acknowledged by Toggle: [`Events::wait`].
pub fn wait(ticket: &Ticket, timeout: Duration) -> WaitOutcome {
    EVENTS.load_full().map_or(WaitOutcome::NotQueued, |events| events.wait(ticket, timeout))
}

/// Shuts the event system of the process down: [`Events::shutdown`]. `None` when there is none.
///
/// Afterwards it may be initialised again.
pub fn shutdown(deadline: Duration) -> Option<ShutdownReport> {
    EVENTS.swap(None).map(|events| events.shutdown(deadline))
}

/// What every generated free function calls.
#[doc(hidden)]
#[inline]
pub fn __emit<P: Message>(kind: &'static Kind, level: Level, payload: &P, metadata: impl Metadata) -> Ticket {
    match &*EVENTS.load() {
        Some(events) if !events.is_foreign() => events.__emit(kind, level, payload, metadata),
        _ => not_initialized(),
    }
}

/// Whether the event system of the process wants such an event. What it says no to is counted: the answer is the
/// ticket.
#[doc(hidden)]
#[inline]
pub fn __refuses(kind: &'static Kind, level: Level) -> Option<Ticket> {
    match &*EVENTS.load() {
        Some(events) if !events.is_foreign() => (!events.__wants(kind, level)).then_some(Ticket::FILTERED),
        _ => Some(not_initialized()),
    }
}

/// The same for an event whose level the schema says: its kind's, or that of what it says was done. Where neither is known
/// yet the answer is no only if no level would do.
#[doc(hidden)]
#[inline]
pub fn __refuses_by_schema(kind: &'static Kind, fixed: Option<Level>, said: Option<Level>) -> Option<Ticket> {
    match &*EVENTS.load() {
        Some(events) => (!events.__wants_by_schema(kind, fixed.or(said))).then_some(Ticket::FILTERED),
        None => Some(not_initialized()),
    }
}

fn not_initialized() -> Ticket {
    NOT_INITIALIZED.fetch_add(1, Ordering::Relaxed);
    Ticket::dropped(DropReason::NotInitialized)
}
