//! To stable storage: one thread that syncs segments, at an interval and when somebody waits for it.
//!
//! Several who wait share one sync: whoever asks while one is under way is served by the next.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crate::{
    buffer::Unsynced,
    delivery::{message_of, restarted},
    emit::Intake,
    fault,
    primitives::{Condvar, Mutex, MutexGuard},
    segment::{Segments, ToDisk},
    ticket::Place,
    worker,
};

/// A sync that takes longer hangs, perhaps: then the delivery task is asked as well.
const SLOW: Duration = Duration::from_secs(1);

/// What is known to be on stable storage, and who wants more.
#[derive(Debug, Default)]
pub(crate) struct Syncs {
    state: Mutex<State>,
    work: Condvar,
    done: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Everything up to this place is on stable storage, but for what [`failed`](Self::failed) says.
    durable: u64,
    /// A sync failed: nothing up to this place counts as durable by it.
    failed: u64,
    /// Chunks below this one in their order have left memory: they are acknowledged, or in files on stable storage.
    gone: u64,
    /// Somebody waits for this place.
    wanted: u64,
    /// How many wait.
    waiting: usize,
    stop: bool,
    /// The thread has ended.
    ended: bool,
    /// At the end something was left in segments that is not on stable storage.
    lacking: bool,
    /// An emitter waited in vain, and nothing became safe since.
    in_vain: bool,
}

impl State {
    fn attempted(&self) -> u64 {
        self.durable.max(self.failed)
    }

    /// Whether the event at this place is on stable storage or with Toggle.
    fn is_settled(&self, place: Place) -> bool {
        let order = place.order();
        place.sequence() < self.gone || (place.is_kept() && order > self.failed && order <= self.durable)
    }

    /// Whether that cannot be had by waiting for a sync.
    fn is_hopeless(&self, place: Place) -> bool {
        place.order() <= self.failed || self.stop
    }
}

impl Syncs {
    /// Waits until the event at this place is on stable storage or with Toggle: `Some(true)`. `Some(false)` if that cannot be
    /// had by waiting here, `None` at the end of the time.
    pub(crate) fn wait(&self, place: Place, until: Instant) -> Option<bool> {
        let mut state = self.lock();
        let is_pending = |state: &State| !state.is_settled(place) && !state.is_hopeless(place);
        if is_pending(&state) {
            state.wanted = state.wanted.max(place.order());
            self.work.notify_one();
            state = self.wait_while(state, until, is_pending);
        }
        if state.is_settled(place) {
            Some(true)
        } else if state.is_hopeless(place) {
            Some(false)
        } else {
            None
        }
    }

    /// Waits until the event at this place is on stable storage or with Toggle. Where that cannot be had by a sync, because no segment
    /// holds it or the sync fails, and where that takes long, `ask` has the delivery task see to it, if that can be.
    pub(crate) fn wait_or_ask(&self, place: Place, until: Instant, ask: impl FnOnce() -> bool) -> bool {
        let synced =
            if place.is_kept() { self.wait(place, until.min(Instant::now() + SLOW)) } else { Some(false) };
        let waits = match synced {
            Some(true) => return true,
            Some(false) => ask(),
            None if Instant::now() >= until => false,
            // Whether or not it can be asked, the sync may still end well.
            None => {
                ask();
                true
            }
        };
        let mut state = self.lock();
        if waits {
            // At a shutdown until the last sync.
            state = self.wait_while(state, until, |state| !state.is_settled(place) && !state.ended);
        }
        state.is_settled(place)
    }

    /// The same for an emitter. After a wait in vain there is no other one until something becomes safe: while neither disk nor
    /// Toggle takes anything, a program that emits is not to be held up again and again.
    pub(crate) fn wait_to_emit(&self, place: Place, until: Instant, ask: impl FnOnce() -> bool) -> bool {
        if self.lock().in_vain {
            // The sync is asked for all the same: it is what may become safe.
            return place.is_kept() && self.wait(place, Instant::now()) == Some(true);
        }
        let is_settled = self.wait_or_ask(place, until, ask);
        if !is_settled && Instant::now() >= until {
            self.lock().in_vain = true;
        }
        is_settled
    }

    fn wait_while<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        until: Instant,
        is_pending: impl Fn(&State) -> bool,
    ) -> MutexGuard<'a, State> {
        state.waiting += 1;
        let left = until.saturating_duration_since(Instant::now());
        let waited = self.done.wait_timeout_while(state, left, |state| is_pending(state));
        state = waited.unwrap_or_else(PoisonError::into_inner).0;
        state.waiting -= 1;
        state
    }

    /// All chunks below this one in their order have left memory, for Toggle or for files on stable storage.
    pub(crate) fn gone_below(&self, chunk: u64) {
        let mut state = self.lock();
        if state.gone < chunk {
            state.gone = chunk;
            state.in_vain = false;
            if state.waiting > 0 {
                self.done.notify_all();
            }
        }
    }

    /// Nothing up to this place is on stable storage by a sync.
    fn fail(&self, upto: u64) {
        let mut state = self.lock();
        state.failed = state.failed.max(upto);
        drop(state);
        self.done.notify_all();
    }

    /// Ends the thread, after a last sync.
    pub(crate) fn stop(&self) {
        self.lock().stop = true;
        self.work.notify_all();
        self.done.notify_all();
    }

    /// Ends the thread, and waits until its last sync has brought everything up to this place to stable storage. `false` when
    /// it has not by then.
    pub(crate) fn finish(&self, place: u64, until: Instant) -> bool {
        self.stop();
        let left = until.saturating_duration_since(Instant::now());
        let mut state = self
            .done
            .wait_timeout_while(self.lock(), left, |state| !state.ended)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
        state.lacking = !state.ended || place <= state.failed || place > state.durable;
        !state.lacking
    }

    /// Whether a shutdown left something in segments that is not on stable storage.
    pub(crate) fn is_lacking(&self) -> bool {
        self.lock().lacking
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the thread. Without an interval it syncs only when somebody waits.
pub(crate) fn start(
    intake: Arc<Intake>,
    segments: Arc<Segments>,
    syncs: Arc<Syncs>,
    interval: Option<Duration>,
) -> io::Result<()> {
    thread::Builder::new().name("events-sync".into()).spawn(move || {
        worker::own();
        run(&intake, &segments, &syncs, interval, ToDisk::SYSTEM);
    })?;
    Ok(())
}

fn run(intake: &Intake, segments: &Segments, syncs: &Syncs, interval: Option<Duration>, to_disk: ToDisk<'_>) {
    let mut next = interval.map(|interval| Instant::now() + interval);
    loop {
        let mut state = syncs.lock();
        while !state.stop && state.wanted <= state.attempted() {
            state = match next.map(|at| at.saturating_duration_since(Instant::now())) {
                Some(Duration::ZERO) => break,
                Some(left) => syncs.work.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
                None => syncs.work.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
        let (stop, attempted) = (state.stop, state.attempted());
        drop(state);
        let pass = || pass(intake, segments, syncs, attempted, to_disk);
        if let Err(panic) = catch_unwind(AssertUnwindSafe(pass)) {
            // What it had in hand are paths; nobody knows which of them were synced.
            let message = message_of(panic.as_ref());
            restarted(&intake.buffer, "sync", &message);
            give_up(intake, syncs, &format!("a panic: {message}"));
        }
        if stop {
            syncs.lock().ended = true;
            syncs.done.notify_all();
            return;
        }
        next = interval.map(|interval| Instant::now() + interval);
    }
}

fn pass(intake: &Intake, segments: &Segments, syncs: &Syncs, attempted: u64, to_disk: ToDisk<'_>) {
    let syncing = segments.begin_sync();
    let Unsynced { paths, upto } = intake.buffer.lock().take_unsynced();
    if upto == attempted {
        // Nothing has come in since.
        return;
    }
    fault::point("sync");
    match syncing.sync(&paths, to_disk) {
        Ok(()) => {
            if let Some(pool) = &mut intake.buffer.lock().pool {
                pool.synced();
            }
            let mut state = syncs.lock();
            state.durable = upto;
            state.in_vain &= paths.is_empty();
            drop(state);
            syncs.done.notify_all();
        }
        Err(error) => give_up(intake, syncs, &error.to_string()),
    }
}

/// So many files of segments are gone. Whoever waits for what was in them hears of it.
pub(crate) fn lost(intake: &Intake, count: usize) {
    let last = intake.buffer.lose_segments(count);
    if let Some(syncs) = &intake.syncs {
        syncs.fail(last);
    }
}

/// What failed once must not be believed later. Whoever waits hears of it; what comes in goes into other segments.
fn give_up(intake: &Intake, syncs: &Syncs, error: &str) {
    syncs.fail(intake.buffer.fail_sync(error));
}

#[cfg(test)]
mod interleavings;
