//! What is let through, what waits for company, and what may be given as metadata.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use events_sdk::{
    Category, Config, DropReason, Filter, FlushOutcome, Level, Metadata, Outcome, Profile, Ticket, kinds,
    payload::{
        NetworkConnectionOperation, NetworkConnectionPayload, ServiceStatusOperation, ServiceStatusPayload,
    },
    uplink,
};
use events_tests::{Rig, losses_in, wait_until};

const PATIENCE: Duration = Duration::from_secs(20);
/// Far longer than any test waits.
const NEVER: Duration = Duration::from_secs(600);

fn service(rig: &Rig, level: Level) -> Ticket {
    let payload = ServiceStatusPayload::new(ServiceStatusOperation::Started);
    rig.events.emit_service_status(level, payload, ())
}

fn network(rig: &Rig, level: Level) -> Ticket {
    let payload = NetworkConnectionPayload::new(NetworkConnectionOperation::Established);
    rig.events.emit_network_connection(level, payload, ())
}

/// The levels that pass.
fn passing(rig: &Rig, emit: impl Fn(&Rig, Level) -> Ticket) -> Vec<Level> {
    let levels = Level::ALL.iter().copied();
    levels.filter(|&level| emit(rig, level).outcome() != Outcome::Filtered).collect()
}

#[test]
fn the_filter_can_be_changed_while_the_system_runs() {
    use Level::*;
    let rig = Rig::start();
    let up_from_info = [Info, Warn, Error, Critical, Essential];
    assert_eq!(passing(&rig, service), up_from_info, "by default");
    assert_eq!(passing(&rig, network), up_from_info);

    let filter = Filter::from_min_level(Warn)
        .with_category(Category::Network, Trace)
        .without_category(Category::Service);
    rig.events.set_filter(&filter);
    assert_eq!(rig.events.filter(), filter);
    assert_eq!(passing(&rig, service), []);
    assert_eq!(passing(&rig, network), Level::ALL);

    rig.events.set_filter(&Filter::from_levels([Debug, Critical]));
    assert_eq!(passing(&rig, service), [Debug, Critical]);

    rig.events.set_filter(&Filter::none());
    assert_eq!(passing(&rig, network), []);
    let payload = events_sdk::payload::SystemShutdownPayload::new(
        events_sdk::payload::SystemShutdownOperation::Shutdown,
    );
    let ticket = rig.events.emit_system_shutdown(payload, ());
    assert_eq!(ticket.outcome(), Outcome::Filtered, "a level that the schema fixes is no exception");

    let accepted = (5 + 5 + 7 + 2) as u64;
    assert!(rig.toggle.wait_for_events(accepted as usize, PATIENCE));
    let stats = wait_until(&rig.events, PATIENCE, |stats| stats.delivered == accepted);
    assert_eq!((stats.accepted, stats.delivered), (accepted, accepted));
    assert_eq!(stats.filtered, 2 + 2 + 7 + 5 + 7 + 1);
    assert_eq!((stats.dropped_total(), stats.not_initialized), (0, 0));
    let mut levels: Vec<_> = rig
        .toggle
        .events()
        .iter()
        .filter(|event| event.source == kinds::service_status::KIND.source)
        .filter_map(|event| Level::from_number(event.level))
        .collect();
    levels.sort();
    assert_eq!(levels, [Debug, Info, Warn, Error, Critical, Critical, Essential]);
}

#[test]
fn the_minimal_profile_lets_only_trouble_through() {
    let rig = Rig::with(|config| {
        let Config { spool_dir, batch_timeout, toggle, .. } = config.clone();
        *config = Config { spool_dir, batch_timeout, toggle, ..Config::profile(Profile::Minimal) };
    });
    assert_eq!(passing(&rig, service), [Level::Error, Level::Critical, Level::Essential]);
    assert!(rig.toggle.wait_for_events(3, PATIENCE));
    let stats = rig.events.stats();
    assert_eq!((stats.accepted, stats.filtered), (3, 4));
    assert_eq!((stats.buffer.max_events, stats.buffer.flush_threshold), (2_000, 1_800));
}

#[test]
fn grave_events_do_not_wait_for_company_and_take_along_who_waits() {
    for level in [Level::Error, Level::Critical, Level::Essential] {
        let rig = Rig::with(|config| config.batch_timeout = NEVER);
        service(&rig, Level::Info);
        service(&rig, Level::Warn);
        assert!(!rig.toggle.wait_for_attempts(1, Duration::from_millis(300)), "the others do wait");
        service(&rig, level);
        assert!(rig.toggle.wait_for_events(3, PATIENCE), "{level}: {:#?}", rig.events.stats());
        let levels: Vec<_> = rig.toggle.events().iter().map(|event| event.level).collect();
        assert_eq!(levels, [Level::Info, Level::Warn, level].map(Level::number), "order is kept");
    }
}

#[test]
fn a_full_batch_does_not_wait_and_an_old_one_is_sent_though_it_is_not_full() {
    let rig = Rig::with(|config| {
        config.batch_timeout = NEVER;
        config.batch_size = 10;
    });
    for _ in 0..19 {
        service(&rig, Level::Info);
    }
    assert!(rig.toggle.wait_for_events(10, PATIENCE), "{:#?}", rig.events.stats());
    assert_eq!(rig.toggle.unique_events(), 10, "nine wait");
    assert_eq!(rig.toggle.batches()[0].events, 10);

    let rig = Rig::with(|config| config.batch_timeout = Duration::from_millis(100));
    service(&rig, Level::Info);
    assert!(rig.toggle.wait_for_events(1, PATIENCE), "{:#?}", rig.events.stats());
}

#[test]
#[allow(clippy::needless_borrows_for_generic_args, reason = "references are what is tested")]
fn metadata_comes_in_every_shape() {
    fn arrives(rig: &Rig, metadata: impl Metadata, expected: &[(&str, &str)]) {
        rig.toggle.clear();
        let payload = ServiceStatusPayload::new(ServiceStatusOperation::Started);
        assert!(rig.events.emit_service_status(Level::Error, payload, metadata).is_queued());
        assert!(rig.toggle.wait_for_events(1, PATIENCE));
        let expected: HashMap<_, _> =
            expected.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        assert_eq!(rig.toggle.events()[0].metadata, expected);
    }

    let rig = Rig::start();
    let id = String::from("t-42");
    let pairs = [("transfer_id", "t-42"), ("component", "zfs")];
    arrives(&rig, (), &[]);
    arrives(&rig, pairs, &pairs);
    arrives(&rig, pairs.as_slice(), &pairs);
    arrives(&rig, &pairs[..1], &pairs[..1]);
    arrives(&rig, [("transfer_id", &id)], &pairs[..1]);
    arrives(&rig, vec![(String::from("transfer_id"), id.clone())], &pairs[..1]);
    let hashed = HashMap::from([(String::from("transfer_id"), id.clone())]);
    arrives(&rig, HashMap::from(pairs), &pairs);
    arrives(&rig, &hashed, &pairs[..1]);
    let sorted = BTreeMap::from([("transfer_id", &id)]);
    arrives(&rig, BTreeMap::from(pairs), &pairs);
    arrives(&rig, &sorted, &pairs[..1]);
    assert_eq!((hashed.len(), sorted.len()), (1, 1), "what was lent is still there");
    arrives(&rig, Some(pairs), &pairs);
    arrives(&rig, None::<HashMap<String, String>>, &[]);
    arrives(&rig, Some(&pairs), &pairs);
    let long = "x".repeat(100_000);
    arrives(
        &rig,
        [("", ""), ("größe", "½ TiB"), ("long", &long)],
        &[("", ""), ("größe", "½ TiB"), ("long", &long)],
    );
    arrives(&rig, [("twice", "first"), ("twice", "last")], &[("twice", "last")]);
}

/// Metadata that says something else each time it is asked.
struct Fickle(std::cell::Cell<usize>);

impl Metadata for Fickle {
    fn for_each(&self, mut each: impl FnMut(&str, &str)) {
        self.0.set(self.0.get() + 1);
        each("said", &"again ".repeat(self.0.get()));
    }
}

#[test]
fn metadata_that_changes_while_it_is_read_costs_that_event_and_is_counted() {
    let rig = Rig::start();
    let payload = ServiceStatusPayload::new(ServiceStatusOperation::Started);
    let ticket = rig.events.emit_service_status(Level::Error, payload, Fickle(std::cell::Cell::new(0)));
    assert_eq!(ticket.outcome(), Outcome::Dropped(DropReason::Encoding));
    service(&rig, Level::Error);
    // That one, and the one that tells of the loss.
    let stats = wait_until(&rig.events, PATIENCE, |stats| stats.delivered == 2);
    assert_eq!((stats.accepted, stats.dropped_for(DropReason::Encoding)), (3, 1), "{stats:#?}");
    let told = rig.toggle.events().iter().filter(|event| losses_in(event).is_some()).count();
    assert_eq!(told, 1);

    rig.events.shutdown(PATIENCE);
    let ticket = rig.events.emit_service_status(Level::Error, payload, Fickle(std::cell::Cell::new(0)));
    assert_eq!(
        ticket.outcome(),
        Outcome::Dropped(DropReason::NotInitialized),
        "after the end nothing else matters"
    );
    let stats = rig.events.stats();
    assert_eq!((stats.accepted, stats.not_initialized), (3, 1));
}

#[test]
fn an_event_as_large_as_a_message_is_delivered_from_memory_and_from_disk_and_a_larger_one_is_counted() {
    // What an event takes beside its largest text, and a message beside its event.
    const REST: usize = 8 << 10;
    const MESSAGE: usize = uplink::DEFAULT_MAX_MESSAGE_BYTES;
    let rig = Rig::start();
    let emit = |length: usize| {
        let status = "x".repeat(length);
        let payload = ServiceStatusPayload {
            status: &status,
            ..ServiceStatusPayload::new(ServiceStatusOperation::Started)
        };
        service(&rig, Level::Info);
        let ticket = rig.events.emit_service_status(Level::Info, payload, ());
        service(&rig, Level::Info);
        ticket.outcome()
    };
    assert_eq!(emit(MESSAGE - REST), Outcome::Queued);
    assert_eq!(emit(MESSAGE), Outcome::Dropped(DropReason::TooLarge));
    assert_eq!(rig.events.flush(PATIENCE), FlushOutcome::Complete);
    // Two and three, and the one that tells of the loss.
    assert!(rig.toggle.wait_for_events(6, PATIENCE), "{:#?}", rig.events.stats());
    let told = rig.toggle.events().iter().filter(|event| losses_in(event).is_some()).count();
    assert_eq!(told, 1);

    rig.toggle.stop();
    assert_eq!(emit(MESSAGE - REST), Outcome::Queued);
    assert_eq!(rig.events.flush(PATIENCE), FlushOutcome::Complete);
    let stats = rig.events.stats();
    // What is on disk may be under way as well, to see whether Toggle is back.
    assert_eq!((stats.in_memory, stats.on_disk + stats.in_flight), (0, 3), "{stats:#?}");
    rig.toggle.restart().unwrap();
    assert!(rig.toggle.wait_for_events(9, PATIENCE), "{:#?}", rig.events.stats());
    let stats = wait_until(&rig.events, PATIENCE, |stats| stats.delivered == 9);
    assert_eq!((stats.accepted, stats.delivered), (10, 9), "{stats:#?}");
    assert_eq!((stats.dropped_total(), stats.dropped_for(DropReason::TooLarge)), (1, 1));
    assert!(rig.toggle.batches().iter().all(|received| received.bytes <= MESSAGE));
}
