//! A Toggle to test against: an in-process gRPC server on a free loopback port.
//!
//! [`Toggle`] serves `/rodent.RodentService` from a thread of its own, so it works in plain tests as well as in async
//! ones. It remembers what came, recognises repeats by their batch id, and can be told while it runs to misbehave in the
//! ways that real servers do: see [`Mode`]. It can be stopped, which breaks off whatever is under way, and comes back on
//! the same port.
//!
//! ```
//! use std::time::Duration;
//! use events_sdk::testing::{Mode, Toggle};
//! use events_sdk::uplink::{GrpcConfig, GrpcUplink};
//!
//! let toggle = Toggle::start()?;
//! let uplink = GrpcUplink::new(GrpcConfig::new(toggle.endpoint()))?;
//!
//! // … hand the uplink, or the endpoint, to what is to be tested; then let Toggle fail for a while:
//! toggle.set_mode(Mode::Unavailable);
//! toggle.stop();
//! toggle.restart()?;
//! toggle.set_mode(Mode::Ok);
//!
//! // … and look at what arrived.
//! assert!(toggle.wait_for_events(0, Duration::from_secs(5)));
//! assert_eq!(toggle.unique_events(), 0);
//! assert_eq!(toggle.duplicates(), 0);
//! # let _ = uplink;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Needs the cargo feature `testing`. It is a test double, not a Toggle: it keeps everything in memory and checks nothing about an event but what
//! [`Toggle::refuse_when`] asks for.

#[cfg(test)]
mod fuzz;
mod ledger;
mod raw;
mod server;
mod service;
mod socket;
mod wire;

use std::{
    collections::HashSet,
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering, mpsc},
    time::Duration,
};

use tokio::net::TcpSocket;
use tonic::transport::{Certificate, Identity, server::ServerTlsConfig};

pub use self::{ledger::Received, service::Mode};
use self::{
    server::{Running, hold, listen},
    service::State,
};
use crate::{
    fault::{self, Fault},
    proto,
};

/// Moves the clock of all event systems of this process, from what the system says, by so many milliseconds; 0 takes it
/// back. What Toggle sees as times and ids follows.
pub fn shift_clock(by_ms: i64) {
    crate::emit::CLOCK_SHIFT_MS.store(by_ms, Ordering::Relaxed);
}

/// What gRPC servers accept unless told otherwise.
const DEFAULT_MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;

/// The points at which [`panic_at`] can have the event system panic.
pub fn panic_points() -> &'static [&'static str] {
    fault::POINTS
}

/// Further ones, which are passed only where events are to outlive the process, where there is something of an earlier one, or
/// where a disk is full or broken.
pub fn special_panic_points() -> &'static [&'static str] {
    fault::SPECIAL_POINTS
}

/// Has the event systems of this process panic at one of the [`panic_points`], after passing it `skip` times, `times`
/// times in all. Replaces what was asked for before; zero times takes it back.
pub fn panic_at(point: &'static str, skip: u32, times: u32) {
    fault::arm(point, Fault::Panic, skip, times);
}

/// Has a thread of the event systems of this process stay where it is when it comes to one of the [`panic_points`], or is
/// about to do one of the [`syncs`], as it would on a disk that hangs, until [`let_go`] is called or another fault is asked
/// for. There is one point more, `token file`: where the token file is about to be read.
pub fn hang_at(point: &'static str) {
    fault::arm(point, Fault::Hang, 0, 1);
}

/// Takes back what was asked for by [`panic_at`], [`hang_at`] or [`fail_at`]; who hangs goes on.
pub fn let_go() {
    fault::arm("", Fault::Panic, 0, 0);
}

/// What [`fail_at`] can have fail: whatever brings something to stable storage.
pub fn syncs() -> &'static [&'static str] {
    fault::SYNCS
}

/// Has one of the [`syncs`] fail, as on a broken disk, after it went well `skip` times, `times` times in all. Replaces what
/// was asked for before.
pub fn fail_at(sync: &'static str, skip: u32, times: u32) {
    fault::arm(sync, Fault::Fail, skip, times);
}

/// From now on file systems seem to this process to have so many bytes free at most, as when something else fills them;
/// `None` takes it back. What is to stay free, `spool_min_free_bytes`, is compared with that.
pub fn limit_free_bytes(most: Option<u64>) {
    fault::MOST_FREE.store(most.unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// How many times what was asked for by [`panic_at`], [`hang_at`] or [`fail_at`] is still to happen.
pub fn faults_left() -> u32 {
    fault::left()
}

/// What the books of a spool say of its files, and what is in them.
#[cfg(feature = "cli")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InFiles {
    /// So many events of ours wait in spill files, as the books note.
    pub noted: u64,
    /// So many wait in those whose seal says that they are ours.
    pub ours: u64,
    /// So many wait in files that do not say whose they are.
    pub unclear: u64,
}

/// How many events wait in the spill files of a directory, by its books and by what is there, while no agent works in it.
///
/// # Errors
///
/// When the books or the directory cannot be read.
#[cfg(feature = "cli")]
pub fn in_files(spool: &std::path::Path) -> io::Result<InFiles> {
    let [noted, ours, unclear] = crate::cli::in_files(spool)?;
    Ok(InFiles { noted, ours, unclear })
}

/// A Toggle to test against. Dropping it stops it.
///
/// All methods take `&self` and may be called from any thread; see the [module](self) for an example.
pub struct Toggle {
    state: Arc<State>,
    port: u16,
    tls: Option<ServerTlsConfig>,
    phase: Mutex<Phase>,
}

enum Phase {
    Runs(Running),
    /// The port is kept for the next start, as far as the system let us.
    Stopped(Option<TcpSocket>),
}

impl Toggle {
    /// Starts one that answers [`Mode::Ok`], without TLS.
    ///
    /// # Errors
    ///
    /// When no port can be bound or no thread started.
    pub fn start() -> io::Result<Self> {
        Self::builder().start()
    }

    /// For one with TLS or another limit.
    pub fn builder() -> ToggleBuilder {
        ToggleBuilder { identity: None, client_ca: None, max_message_bytes: DEFAULT_MAX_MESSAGE_BYTES }
    }

    /// Where it listens: `http://127.0.0.1:port`, or `https://` with TLS. The same after a restart.
    pub fn endpoint(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// How it answers from now on. Calls that already wait or hang are not affected.
    pub fn set_mode(&self, mode: Mode) {
        self.state.set_mode(mode);
    }

    /// From now on answers `UNAUTHENTICATED` to calls without this bearer token; `None` takes any and none.
    pub fn require_token(&self, token: Option<&str>) {
        self.state.require_token(token.map(str::to_owned));
    }

    /// From now on answers `INVALID_ARGUMENT` to every batch with an event for which this holds, and stores nothing of
    /// it. It runs on Toggle's thread.
    ///
    /// ```
    /// # let toggle = events_sdk::testing::Toggle::start().unwrap();
    /// toggle.refuse_when(|event| event.source.is_empty());
    /// ```
    pub fn refuse_when(&self, unwelcome: impl Fn(&proto::events::Event) -> bool + Send + Sync + 'static) {
        self.state.refuse_when(Some(Arc::new(unwelcome)));
    }

    /// Takes [`refuse_when`](Self::refuse_when) back.
    pub fn refuse_nothing(&self) {
        self.state.refuse_when(None);
    }

    /// From now on shows every batch that is stored, as it came, repeats among them. It runs on Toggle's thread, before the
    /// sender hears of it.
    pub fn watch(&self, watcher: impl Fn(&[u8]) + Send + Sync + 'static) {
        self.state.watch(Arc::new(watcher));
    }

    /// From now on takes so many batches a second at most and answers `RESOURCE_EXHAUSTED` to the others, naming a pause
    /// (`grpc-retry-pushback-ms`) if one is given; `None` takes as many as come.
    pub fn limit(&self, batches_per_second: Option<f64>, pushback: Option<Duration>) {
        self.state.limit(batches_per_second, pushback);
    }

    /// With `true`, keeps numbers only from now on: events are counted but neither kept nor decoded nor compared. For
    /// benchmarks, where a server that decodes would be what is measured.
    pub fn only_count(&self, yes: bool) {
        self.state.only_count.store(yes, Ordering::Relaxed);
    }

    /// What it answers to `Register`. Unless told otherwise, a success with made-up values.
    pub fn answer_registration(&self, answer: proto::RegisterResponse) {
        self.state.answer_registration(answer);
    }

    /// Closes the listener and all connections, in the middle of whatever is under way. What was stored stays. To
    /// connect is refused until [`restart`](Self::restart).
    pub fn stop(&self) {
        let mut phase = self.phase();
        let before = std::mem::replace(&mut *phase, Phase::Stopped(None));
        *phase = match before {
            Phase::Runs(running) => {
                running.stop();
                Phase::Stopped(hold(self.port).ok())
            }
            stopped @ Phase::Stopped(_) => stopped,
        };
    }

    /// Listens again, on the same port. Does nothing when it runs.
    ///
    /// # Errors
    ///
    /// When the port has been taken by somebody else, or no thread can be started.
    pub fn restart(&self) -> io::Result<()> {
        let mut phase = self.phase();
        if let Phase::Stopped(port) = &mut *phase {
            drop(port.take());
            let listener = listen(self.port)?;
            *phase = Phase::Runs(Running::start(listener, Arc::clone(&self.state), self.tls.clone())?);
        }
        Ok(())
    }

    /// The events that were stored, each batch once, in order of arrival. Decodes them all at every call.
    pub fn events(&self) -> Vec<proto::events::Event> {
        self.state.ledger.events()
    }

    /// How many events were stored, each batch once.
    pub fn unique_events(&self) -> usize {
        self.state.ledger.book().unique_events
    }

    /// Every `SendEvents` call that carried a batch, in order of arrival: stored, repeated and turned away.
    pub fn batches(&self) -> Vec<Received> {
        self.state.ledger.book().calls.clone()
    }

    /// How many `SendEvents` calls carried a batch.
    pub fn attempts(&self) -> usize {
        self.state.ledger.book().calls.len()
    }

    /// How many calls brought a batch that had been stored before, and so were recognised by its id.
    pub fn duplicates(&self) -> usize {
        self.state.ledger.book().duplicates
    }

    /// How many events those calls brought.
    pub fn duplicate_events(&self) -> usize {
        self.state.ledger.book().duplicate_events
    }

    /// How many calls brought a batch id seen before with other bytes than the first time. A correct sender makes none.
    pub fn altered_repeats(&self) -> usize {
        self.state.ledger.book().altered
    }

    /// How many stored events have the id of another stored event: repeats that no batch id gave away. A correct sender
    /// makes none. Decodes all events.
    pub fn repeated_event_ids(&self) -> usize {
        let mut seen = HashSet::new();
        self.events().into_iter().filter(|event| !seen.insert(event.event_id.clone())).count()
    }

    /// The nodes that have registered, in order.
    pub fn registrations(&self) -> Vec<proto::SystemInfo> {
        self.state.ledger.book().registrations.clone()
    }

    /// Waits until so many events are stored; `false` if they are not within `limit`.
    pub fn wait_for_events(&self, count: usize, limit: Duration) -> bool {
        self.state.ledger.wait(limit, |book| book.unique_events >= count)
    }

    /// Waits until so many calls have carried a batch; `false` if they have not within `limit`.
    pub fn wait_for_attempts(&self, count: usize, limit: Duration) -> bool {
        self.state.ledger.wait(limit, |book| book.calls.len() >= count)
    }

    /// The events stored from now on, as they arrive, each batch once.
    pub fn subscribe(&self) -> mpsc::Receiver<proto::events::Event> {
        self.state.ledger.subscribe()
    }

    /// Forgets everything that came; mode and orders stay.
    pub fn clear(&self) {
        self.state.ledger.clear();
    }

    fn phase(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Toggle {
    fn drop(&mut self) {
        if let Phase::Runs(running) = std::mem::replace(&mut *self.phase(), Phase::Stopped(None)) {
            running.stop();
        }
    }
}

impl fmt::Debug for Toggle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let book = self.state.ledger.book();
        f.debug_struct("Toggle")
            .field("endpoint", &self.endpoint())
            .field("attempts", &book.calls.len())
            .field("unique_events", &book.unique_events)
            .field("duplicates", &book.duplicates)
            .finish_non_exhaustive()
    }
}

/// Makes a [`Toggle`].
#[derive(Debug)]
#[must_use]
pub struct ToggleBuilder {
    identity: Option<Identity>,
    client_ca: Option<Certificate>,
    max_message_bytes: usize,
}

impl ToggleBuilder {
    /// Serves TLS with this certificate chain and key, both PEM. The certificate should be for `127.0.0.1`, or the
    /// client be told another name to expect.
    pub fn tls(mut self, certificate: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
        self.identity = Some(Identity::from_pem(certificate, key));
        self
    }

    /// With TLS, lets nobody in without a certificate of this authority (PEM).
    pub fn client_ca(mut self, certificate: impl AsRef<[u8]>) -> Self {
        self.client_ca = Some(Certificate::from_pem(certificate));
        self
    }

    /// The longest message it accepts: 4 MiB unless told otherwise, as servers do.
    pub fn max_message_bytes(mut self, limit: usize) -> Self {
        self.max_message_bytes = limit;
        self
    }

    /// Starts it.
    ///
    /// # Errors
    ///
    /// When no port can be bound, no thread started, or the certificates cannot be used.
    pub fn start(self) -> io::Result<Toggle> {
        let tls = match (self.identity, self.client_ca) {
            (None, None) => None,
            (Some(identity), None) => Some(ServerTlsConfig::new().identity(identity)),
            (Some(identity), Some(ca)) => Some(ServerTlsConfig::new().identity(identity).client_ca_root(ca)),
            (None, Some(_)) => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "client_ca needs tls: without TLS nobody shows a certificate",
                ));
            }
        };
        let listener = listen(0)?;
        let port = listener.local_addr()?.port();
        let state = Arc::new(State::new(self.max_message_bytes));
        let running = Running::start(listener, Arc::clone(&state), tls.clone())?;
        Ok(Toggle { state, port, tls, phase: Mutex::new(Phase::Runs(running)) })
    }
}
