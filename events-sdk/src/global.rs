//! The event system of the process, for programs that want no handle of their own.
//!
//! The free functions use the handle that [`initialize`] set. Before it and after [`shutdown`] they count the event as
//! not initialised and return.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use crate::{
    Config, DropReason, Error, Events, FlushOutcome, Kind, Level, Metadata, ShutdownReport, Stats, Ticket,
    Uplink, WaitOutcome, fork,
    primitives::{self, ArcSwapOption, AtomicU64},
    wire::Message,
};

static EVENTS: Slot<Events> = Slot::empty();

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
    EVENTS.fill(|events| !events.is_foreign(), start)
}

/// Whether [`initialize`] has been called and [`shutdown`] has not.
pub fn is_initialized() -> bool {
    EVENTS.load().as_ref().is_some_and(|events| !events.is_foreign())
}

/// The place of the event system.
struct Slot<T> {
    current: ArcSwapOption<T>,
    /// In which process somebody is starting one: its generation, and one more.
    starting: AtomicU64,
}

impl<T> Slot<T> {
    const fn empty() -> Self {
        Self { current: ArcSwapOption::const_empty(), starting: AtomicU64::new(0) }
    }

    fn load(&self) -> arc_swap::Guard<Option<Arc<T>>> {
        self.current.load()
    }
}

impl<T: Clone> Slot<T> {
    /// Starts one, unless there is one that `counts`.
    fn fill(
        &self,
        counts: impl FnOnce(&T) -> bool,
        start: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let _starting = Starting::begin(&self.starting);
        if self.load().as_ref().is_some_and(|there| counts(there)) {
            return Err(Error::already_initialized());
        }
        let started = start()?;
        self.current.store(Some(Arc::new(started.clone())));
        Ok(started)
    }
}

/// One start at a time: the second of two threads must hear that the system is there, not that its spool is in use.
///
/// No mutex, because a thread that held it while another one forked would hold it in the child for ever. Who holds this
/// one in another process does not matter.
struct Starting<'a>(&'a AtomicU64);

impl<'a> Starting<'a> {
    /// Looks so often whether the other one has come to an end. A start takes milliseconds, and there is hardly ever
    /// a second one.
    const PAUSE: Duration = Duration::from_millis(1);

    fn begin(holder: &'a AtomicU64) -> Self {
        let ours = u64::from(fork::generation()) + 1;
        loop {
            let held_by = holder.load(Ordering::Acquire);
            let is_free = held_by != ours;
            if is_free && holder.compare_exchange(held_by, ours, Ordering::AcqRel, Ordering::Acquire).is_ok()
            {
                return Self(holder);
            }
            primitives::sleep(Self::PAUSE);
        }
    }
}

impl Drop for Starting<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Release);
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
    EVENTS.current.load_full().map_or(FlushOutcome::Complete, |events| events.flush(deadline))
}

/// Waits until an event is on stable storage or acknowledged by Toggle: [`Events::wait`].
pub fn wait(ticket: &Ticket, timeout: Duration) -> WaitOutcome {
    EVENTS.current.load_full().map_or(WaitOutcome::NotQueued, |events| events.wait(ticket, timeout))
}

/// Shuts the event system of the process down: [`Events::shutdown`]. `None` when there is none.
///
/// Afterwards it may be initialised again.
pub fn shutdown(deadline: Duration) -> Option<ShutdownReport> {
    EVENTS.current.swap(None).map(|events| events.shutdown(deadline))
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
        Some(events) if !events.is_foreign() => events.__refuses(kind, level),
        _ => Some(not_initialized()),
    }
}

/// The same for an event whose level the schema says: its kind's, or that of what it says was done. Where neither is known
/// yet the answer is no only if no level would do.
#[doc(hidden)]
#[inline]
pub fn __refuses_by_schema(kind: &'static Kind, fixed: Option<Level>, said: Option<Level>) -> Option<Ticket> {
    match &*EVENTS.load() {
        Some(events) if !events.is_foreign() => events.__refuses_by_schema(kind, fixed.or(said)),
        _ => Some(not_initialized()),
    }
}

fn not_initialized() -> Ticket {
    NOT_INITIALIZED.fetch_add(1, Ordering::Relaxed);
    Ticket::dropped(DropReason::NotInitialized)
}

#[cfg(test)]
mod interleavings;
