//! The event system of the process: the free functions, before, during and after it, and registration.
//!
//! There is one per process, so the tests here take turns.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    io,
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use events_sdk::{
    self as sdk, Config, DropReason, ErrorKind, FlushOutcome, Kind, Level, Outcome, kinds,
    payload::{ServiceStatusOperation, ServiceStatusPayload},
    proto::{self, SystemInfo},
    testing::{Mode, Toggle},
    toggle::Client,
};
use events_tests::{
    config, config_for,
    samples::{Material, Sample, Visitor, each_kind},
};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(20);

/// A test's turn. Whatever event system the test leaves is shut down at its end.
struct Turn {
    toggle: Toggle,
    spool: TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Turn {
    fn take() -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(!sdk::is_initialized());
        Self { toggle: Toggle::start().unwrap(), spool: TempDir::new().unwrap(), _turn: turn }
    }

    fn config(&self) -> Config {
        config(&self.toggle, self.spool.path())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        sdk::shutdown(PATIENCE);
    }
}

fn emit() -> sdk::Ticket {
    sdk::emit_service_status(Level::Error, ServiceStatusPayload::new(ServiceStatusOperation::Started), ())
}

#[test]
fn events_before_and_after_the_system_are_counted_as_not_initialized() {
    const GONE: Outcome = Outcome::Dropped(DropReason::NotInitialized);
    let turn = Turn::take();
    let before = sdk::stats().not_initialized;
    assert_eq!(emit().outcome(), GONE);
    assert_eq!(sdk::stats().not_initialized, before + 1);
    assert_eq!(sdk::flush(PATIENCE), FlushOutcome::Complete);
    assert_eq!(sdk::shutdown(PATIENCE), None);

    let handle = sdk::initialize(turn.config()).unwrap();
    assert!(sdk::is_initialized());
    assert!(emit().is_queued());
    assert_eq!(sdk::stats().not_initialized, before + 1, "earlier ones are still shown");
    assert_eq!(sdk::flush(PATIENCE), FlushOutcome::Complete);
    let report = sdk::shutdown(PATIENCE).unwrap();
    assert_eq!((report.delivered, report.complete), (1, true), "{report:#?}");

    assert!(!sdk::is_initialized());
    assert_eq!(emit().outcome(), GONE);
    assert_eq!(sdk::stats().not_initialized, before + 2);
    assert_eq!(sdk::stats().accepted, 0, "and they are in no other account");

    // The handle outlives the global, and says the same.
    let payload = ServiceStatusPayload::new(ServiceStatusOperation::Stopped);
    assert_eq!(handle.emit_service_status(Level::Error, payload, ()).outcome(), GONE);
    let stats = handle.stats();
    assert_eq!((stats.accepted, stats.delivered, stats.not_initialized, stats.is_shutdown), (1, 1, 1, true));
    assert_eq!(handle.flush(PATIENCE), FlushOutcome::Complete);
    assert_eq!(turn.toggle.unique_events(), 1);
}

#[test]
fn a_second_initialize_is_an_error_and_leaves_the_first_alone() {
    let turn = Turn::take();
    sdk::initialize(turn.config()).unwrap();
    let other = TempDir::new().unwrap();
    for config in [turn.config(), config(&turn.toggle, other.path())] {
        let error = sdk::initialize(config).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyInitialized);
        assert!(error.to_string().contains("shutdown"), "{error}");
    }
    assert!(emit().is_queued());
    assert!(turn.toggle.wait_for_events(1, PATIENCE));
}

#[test]
fn of_many_threads_that_initialize_one_succeeds() {
    let turn = Turn::take();
    let spools: Vec<_> = (0..8).map(|_| TempDir::new().unwrap()).collect();
    let started = AtomicUsize::new(0);
    thread::scope(|scope| {
        for spool in &spools {
            scope.spawn(|| match sdk::initialize(config(&turn.toggle, spool.path())) {
                Ok(_) => drop(started.fetch_add(1, Ordering::Relaxed)),
                Err(error) => assert_eq!(error.kind(), ErrorKind::AlreadyInitialized),
            });
        }
    });
    assert_eq!(started.into_inner(), 1);
    assert!(emit().is_queued());
    assert!(turn.toggle.wait_for_events(1, PATIENCE));
}

#[test]
fn after_a_shutdown_it_can_be_initialized_again() {
    let turn = Turn::take();
    for round in 1..=3 {
        sdk::initialize(turn.config()).unwrap();
        assert!(emit().is_queued());
        assert!(turn.toggle.wait_for_events(round, PATIENCE), "round {round}: {:#?}", sdk::stats());
        let report = sdk::shutdown(PATIENCE).unwrap();
        assert_eq!(report.delivered, 1, "each system has accounts of its own");
    }
    assert_eq!(turn.toggle.repeated_event_ids(), 0);
}

#[test]
fn an_initialize_that_fails_leaves_nothing_behind() {
    let turn = Turn::take();
    let wrong = Config { batch_size: 0, ..turn.config() };
    assert_eq!(sdk::initialize(wrong).unwrap_err().kind(), ErrorKind::Config);
    assert!(!sdk::is_initialized());
    sdk::initialize(turn.config()).unwrap();
}

/// Emits one event of every kind through the free functions.
struct Everything<'a>(Material<'a>);

impl<'a> Visitor<'a> for Everything<'a> {
    fn visit<P: Sample<'a>>(&mut self, kind: &'static Kind) {
        let ticket = P::made_of(&self.0).emit_freely(Level::Warn, [("kind", kind.name)]);
        assert!(ticket.is_queued(), "{}: {:?}", kind.name, ticket.outcome());
    }
}

#[test]
fn every_free_function_emits_what_its_method_does() {
    let turn = Turn::take();
    sdk::initialize(turn.config()).unwrap();
    each_kind(&mut Everything(Material::new(&["tank"], &[("os", "linux")], &[1])));
    assert!(turn.toggle.wait_for_events(kinds::ALL.len(), PATIENCE), "{:#?}", sdk::stats());
    let mut events = turn.toggle.events();
    events.sort_by(|one, other| one.event_id.cmp(&other.event_id));
    assert_eq!(events.len(), kinds::ALL.len());
    for (event, kind) in events.iter().zip(kinds::ALL) {
        assert_eq!(event.metadata["kind"], kind.name);
        assert_eq!(event.source, kind.source);
        assert_eq!(event.category, i32::from(kind.category));
        assert_eq!(event.level, kind.level.unwrap_or(Level::Warn).number());
        assert!(event.event_payload.is_some());
    }
}

// ---- registration ----

/// Passes connections on to Toggle, and counts them.
struct Relay {
    endpoint: String,
    connections: Arc<AtomicUsize>,
}

impl Relay {
    /// Its threads end with the connections, but for the one that listens, which ends with the process.
    fn to(toggle: &Toggle) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let target = toggle.endpoint().trim_start_matches("http://").to_owned();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                count.fetch_add(1, Ordering::SeqCst);
                let Ok(far) = TcpStream::connect(&target) else { continue };
                let (near_too, far_too) = (near.try_clone().unwrap(), far.try_clone().unwrap());
                thread::spawn(move || pass(near, far));
                thread::spawn(move || pass(far_too, near_too));
            }
        });
        Self { endpoint, connections }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Both);
}

fn healthy() -> SystemInfo {
    SystemInfo { cpu_usage: 12.5, warnings: vec!["a fan is slow".to_owned()], ..SystemInfo::default() }
}

/// Checks what a registration must have done, and that events go the same way.
fn check_registered(turn: &Turn, relay: &Relay, registered: &sdk::toggle::Registered) {
    assert_eq!(registered.registration.domain, "node7.example.net");
    assert_eq!(registered.registration.private_key, "a key");
    assert!(sdk::is_initialized());
    assert_eq!(turn.toggle.registrations(), [healthy()]);

    assert!(emit().is_queued());
    let payload = ServiceStatusPayload::new(ServiceStatusOperation::Stopped);
    let events = registered.events.as_ref().unwrap();
    assert!(events.emit_service_status(Level::Error, payload, ()).is_queued());
    assert!(turn.toggle.wait_for_events(2, PATIENCE), "{:#?}", sdk::stats());
    assert_eq!(
        relay.connections.load(Ordering::SeqCst),
        1,
        "events go over the connection of the registration"
    );
}

fn prepare(turn: &Turn) -> (Relay, Client) {
    turn.toggle.answer_registration(proto::RegisterResponse {
        success: true,
        domain: "node7.example.net".to_owned(),
        private_key: "a key".to_owned(),
        ..proto::RegisterResponse::default()
    });
    let relay = Relay::to(&turn.toggle);
    let client = Client::new(config_for(relay.endpoint.clone(), turn.spool.path())).unwrap();
    assert!(!sdk::is_initialized(), "not before Toggle has agreed");
    (relay, client)
}

#[test]
fn a_registration_initializes_the_system_over_its_connection() {
    let turn = Turn::take();
    let (relay, client) = prepare(&turn);
    let registered = client.register_blocking(healthy()).unwrap();
    check_registered(&turn, &relay, &registered);
}

#[test]
fn a_registration_can_be_awaited_in_any_runtime() {
    for workers in [0, 1] {
        let turn = Turn::take();
        let (relay, client) = prepare(&turn);
        // Neither timers nor sockets: the client brings its own.
        let runtime = match workers {
            0 => tokio::runtime::Builder::new_current_thread().build(),
            _ => tokio::runtime::Builder::new_multi_thread().worker_threads(workers).build(),
        };
        let registered = runtime.unwrap().block_on(client.register(healthy())).unwrap();
        check_registered(&turn, &relay, &registered);
    }
}

#[test]
fn a_registration_beside_a_running_system_leaves_it_alone() {
    let turn = Turn::take();
    sdk::initialize(turn.config()).unwrap();
    let other = TempDir::new().unwrap();
    let client = Client::new(config(&turn.toggle, other.path())).unwrap();
    let registered = client.register_blocking(healthy()).unwrap();
    assert_eq!(registered.events.unwrap_err().kind(), ErrorKind::AlreadyInitialized);
    assert!(emit().is_queued());
    assert!(turn.toggle.wait_for_events(1, PATIENCE));
    assert_eq!(sdk::stats().spool.directory, turn.spool.path());
}

#[test]
fn a_registration_that_fails_initializes_nothing_and_can_be_tried_again() {
    let turn = Turn::take();
    let client = Client::new(turn.config()).unwrap();
    for mode in [Mode::SuccessFalse, Mode::Unavailable, Mode::Unauthenticated] {
        turn.toggle.set_mode(mode);
        let error = client.register_blocking(healthy()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Registration, "{error}");
        assert!(!sdk::is_initialized());
        assert_eq!(emit().outcome(), Outcome::Dropped(DropReason::NotInitialized));
    }
    turn.toggle.stop();
    assert_eq!(client.register_blocking(healthy()).unwrap_err().kind(), ErrorKind::Registration);

    turn.toggle.restart().unwrap();
    turn.toggle.set_mode(Mode::Ok);
    client.register_blocking(healthy()).unwrap().events.unwrap();
    assert!(emit().is_queued());
    assert!(turn.toggle.wait_for_events(1, PATIENCE));
}

#[test]
fn a_client_whose_event_system_could_not_be_started_registers_again_and_starts_it() {
    let turn = Turn::take();
    let first = sdk::Events::start(turn.config()).unwrap();
    let client = Client::new(turn.config()).unwrap();
    for _ in 0..2 {
        let registered = client.register_blocking(healthy()).unwrap();
        assert_eq!(registered.events.unwrap_err().kind(), ErrorKind::SpoolInUse);
    }
    first.shutdown(PATIENCE);
    drop(first);
    client.register_blocking(healthy()).unwrap().events.unwrap();
    assert!(emit().is_queued());
    assert!(turn.toggle.wait_for_events(1, PATIENCE), "{:#?}", sdk::stats());
}

#[test]
fn a_client_registers_again_after_a_shutdown_while_somebody_holds_its_handle() {
    let turn = Turn::take();
    let client = Client::new(turn.config()).unwrap();
    let first = client.register_blocking(healthy()).unwrap().events.unwrap();
    sdk::shutdown(PATIENCE).unwrap();

    client.register_blocking(healthy()).unwrap().events.unwrap();
    assert!(emit().is_queued());
    assert!(turn.toggle.wait_for_events(1, PATIENCE), "{:#?}", sdk::stats());
    // The new system does not live on the thread of the old one.
    drop(first);
    assert!(emit().is_queued());
    assert!(turn.toggle.wait_for_events(2, PATIENCE), "{:#?}", sdk::stats());
    assert_eq!(turn.toggle.registrations().len(), 2);
}
