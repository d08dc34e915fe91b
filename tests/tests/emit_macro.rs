//! `emit!`: every form of a call, and that nothing is evaluated for an event that nobody wants.
//!
//! What does not compile is in `ui.rs`.

#![allow(clippy::panic, reason = "a test's helper fails the test by it")]

use std::{cell::Cell, collections::BTreeMap, sync::Arc, time::Duration};

use events_sdk::{
    DropReason, Events, Filter, Level, Outcome, Ticket, emit,
    payload::{StoragePoolOperation, SystemStartupOperation},
    proto::events::{
        Event, StoragePoolPayload, SystemStartupPayload, event::EventPayload, storage_event, system_event,
    },
};
use events_tests::{Rig, config};

const PATIENCE: Duration = Duration::from_secs(10);

/// What the tests' call arguments are counted with.
#[derive(Default)]
struct Counter(Cell<u32>);

impl Counter {
    fn pass<T>(&self, value: T) -> T {
        self.0.set(self.0.get() + 1);
        value
    }
}

/// What arrives of what `emit` emits, in the order of emission.
fn arrivals(count: usize, emit: impl FnOnce(&Events)) -> Vec<Event> {
    let rig = Rig::start();
    emit(&rig.events);
    assert!(rig.toggle.wait_for_events(count, PATIENCE), "{:#?}", rig.events.stats());
    let mut events = rig.toggle.events();
    assert_eq!(events.len(), count);
    events.sort_by(|a, b| a.event_id.cmp(&b.event_id));
    events
}

fn pool(event: &Event) -> &StoragePoolPayload {
    match &event.event_payload {
        Some(EventPayload::StorageEvent(storage)) => match &storage.event_type {
            Some(storage_event::EventType::PoolEvent(pool)) => pool,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn startup(event: &Event) -> &SystemStartupPayload {
    match &event.event_payload {
        Some(EventPayload::SystemEvent(system)) => match &system.event_type {
            Some(system_event::EventType::Startup(startup)) => startup,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn metadata(event: &Event) -> BTreeMap<&str, &str> {
    event.metadata.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

#[test]
fn fields_are_values_shorthands_and_variants_and_the_rest_is_empty() {
    let events = arrivals(2, |events| {
        let pool_name = "tank";
        emit!(on events, storage_pool, warn, { pool_name, operation: ScrubStarted, size_bytes: 4 << 40 });
        let operation = StoragePoolOperation::Deleted;
        emit!(on events, storage_pool, warn, {
            operation,
            pool_name: &format!("{pool_name}-2"),
            devices: &["sda", "sdb"],
        });
    });
    let expected = StoragePoolPayload {
        pool_name: "tank".to_owned(),
        size_bytes: 4 << 40,
        operation: StoragePoolOperation::ScrubStarted.number(),
        ..StoragePoolPayload::default()
    };
    assert_eq!(pool(&events[0]), &expected);
    assert_eq!(events[0].level, Level::Warn.number());
    let expected = StoragePoolPayload {
        pool_name: "tank-2".to_owned(),
        devices: vec!["sda".to_owned(), "sdb".to_owned()],
        operation: StoragePoolOperation::Deleted.number(),
        ..StoragePoolPayload::default()
    };
    assert_eq!(pool(&events[1]), &expected);
}

#[test]
fn a_level_is_a_name_an_expression_or_the_kinds_own() {
    let events = arrivals(5, |events| {
        let level = Level::Critical;
        emit!(on events, storage_pool, essential, { operation: Created });
        emit!(on events, storage_pool, (level), { operation: Created });
        emit!(on events, storage_pool, Level::Error, { operation: Created });
        emit!(on events, storage_pool, Level::max(level, Level::Info), { operation: Created });
        emit!(on events, system_startup, { operation: Registered, boot_time_seconds: 7 });
    });
    let levels: Vec<_> = events.iter().filter_map(|event| Level::from_number(event.level)).collect();
    assert_eq!(levels, [Level::Essential, Level::Critical, Level::Error, Level::Critical, Level::Info]);
    assert_eq!(startup(&events[4]).boot_time_seconds, 7);
}

#[test]
fn metadata_is_text_of_any_type_or_anything_that_is_metadata() {
    let events = arrivals(4, |events| {
        let owned = String::from("tank/test@snap1");
        let shared: Arc<str> = "t-42".into();
        let key = format!("transfer_{}", "id");
        emit!(on events, storage_pool, info, { operation: Created }, {
            "component" => "zfs",
            "snapshot" => owned,
            key => shared,
            "copy" => owned.to_uppercase(),
        });
        let map = BTreeMap::from([("a", "b")]);
        emit!(on events, storage_pool, info, { operation: Created }, &map);
        emit!(on events, storage_pool, info, { operation: Created }, {});
        emit!(on events, system_startup, { operation: Started }, { "cause" => String::from("power") });
        // Neither is moved.
        assert_eq!((owned.len(), map.len()), (15, 1));
    });
    assert_eq!(
        metadata(&events[0]),
        BTreeMap::from([
            ("component", "zfs"),
            ("snapshot", "tank/test@snap1"),
            ("transfer_id", "t-42"),
            ("copy", "TANK/TEST@SNAP1"),
        ])
    );
    assert_eq!(metadata(&events[1]), BTreeMap::from([("a", "b")]));
    assert_eq!(metadata(&events[2]), BTreeMap::new());
    assert_eq!(metadata(&events[3]), BTreeMap::from([("cause", "power")]));
}

#[test]
fn nothing_is_evaluated_for_an_event_that_is_filtered_out() {
    let rig = Rig::with(|config| config.filter = Filter::from_min_level(Level::Warn));
    let (handles, levels, arguments) = (Counter::default(), Counter::default(), Counter::default());
    let emit = |level: Level| -> Ticket {
        emit!(on handles.pass(&rig.events), storage_pool, (levels.pass(level)), {
            pool_name: arguments.pass("tank"),
            operation: arguments.pass(StoragePoolOperation::Created),
        }, {
            arguments.pass("component") => arguments.pass("zfs"),
        })
    };
    assert_eq!(emit(Level::Info).outcome(), Outcome::Filtered);
    assert_eq!((handles.0.get(), levels.0.get(), arguments.0.get()), (1, 1, 0));
    assert_eq!(rig.events.stats().filtered, 1);

    assert_eq!(emit(Level::Warn).outcome(), Outcome::Queued);
    assert_eq!((handles.0.get(), levels.0.get(), arguments.0.get()), (2, 2, 4));
    assert_eq!(rig.events.stats().filtered, 1);

    let own_level = emit!(on rig.events, system_startup, { operation: arguments.pass(SystemStartupOperation::Registered) });
    assert_eq!(own_level.outcome(), Outcome::Filtered);
    assert_eq!(arguments.0.get(), 4);
    assert_eq!(rig.events.stats().accepted, 1);
}

/// The only test with the event system of the process: there is one of them.
#[test]
fn without_a_handle_the_event_system_of_the_process_is_asked() {
    let arguments = Counter::default();
    let emit = || emit!(storage_pool, warn, { pool_name: arguments.pass("tank"), operation: Created });
    assert_eq!(emit().outcome(), Outcome::Dropped(DropReason::NotInitialized));
    assert_eq!(arguments.0.get(), 0);
    assert_eq!(events_sdk::stats().not_initialized, 1);

    let toggle = events_sdk::testing::Toggle::start().unwrap();
    let spool = tempfile::tempdir().unwrap();
    let events = events_sdk::initialize(config(&toggle, spool.path())).unwrap();
    assert!(emit().is_queued());
    assert!(emit!(system_startup, { operation: Registered }, { "cause" => "test" }).is_queued());
    assert!(emit!(acme::storage_backup, error, { operation: Created }).is_queued());
    assert_eq!(arguments.0.get(), 1);
    events.set_filter(&Filter::none());
    assert_eq!(emit().outcome(), Outcome::Filtered);
    assert_eq!(arguments.0.get(), 1);
    assert!(toggle.wait_for_events(3, PATIENCE));
    let report = events_sdk::shutdown(PATIENCE).unwrap();
    assert_eq!((report.delivered, report.stats.filtered), (3, 1));
}

/// What the generator writes for a schema of a user's own, as far as the macro names it.
mod acme {
    use events_sdk::{Events, Metadata, Ticket, payload::StoragePoolPayload};

    pub(crate) mod kinds {
        pub(crate) use events_sdk::kinds::storage_pool as storage_backup;
    }

    pub(crate) fn emit_storage_backup(
        level: events_sdk::Level,
        payload: StoragePoolPayload<'_>,
        metadata: impl Metadata,
    ) -> Ticket {
        events_sdk::emit_storage_pool(level, payload, metadata)
    }

    pub(crate) trait EmitExt {
        fn emit_storage_backup(
            &self,
            level: events_sdk::Level,
            payload: StoragePoolPayload<'_>,
            metadata: impl Metadata,
        ) -> Ticket;
    }

    impl EmitExt for Events {
        fn emit_storage_backup(
            &self,
            level: events_sdk::Level,
            payload: StoragePoolPayload<'_>,
            metadata: impl Metadata,
        ) -> Ticket {
            self.emit_storage_pool(level, payload, metadata)
        }
    }
}

#[test]
fn a_kind_of_another_schema_is_named_by_the_path_of_its_module() {
    let events = arrivals(3, |events| {
        emit!(on events, acme::storage_backup, warn, { pool_name: "a", operation: Created });
        emit!(on events, crate::acme::storage_backup, warn, { pool_name: "b", operation: Created });
        emit!(on events, self::acme::storage_backup, warn, { pool_name: "c", operation: Created });
    });
    let names: Vec<_> = events.iter().map(|event| pool(event).pool_name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
}

#[test]
fn anything_that_leads_to_a_handle_will_do() {
    struct Agent {
        events: Arc<Events>,
    }
    impl Agent {
        fn events(&self) -> Events {
            Events::clone(&self.events)
        }
        fn report(&self) {
            emit!(on self.events, storage_pool, info, { operation: Created });
            emit!(on &self.events, storage_pool, info, { operation: Created });
            emit!(on self.events(), storage_pool, info, { operation: Created });
        }
    }
    let events = arrivals(3, |events| Agent { events: Arc::new(events.clone()) }.report());
    assert_eq!(events.len(), 3);
}

#[test]
fn arguments_may_leave_the_function() {
    fn report(events: &Events, name: Option<&str>) -> Option<Ticket> {
        Some(emit!(on events, storage_pool, info, { pool_name: name?, operation: Created }))
    }
    let events = arrivals(1, |events| {
        assert!(report(events, None).is_none());
        assert!(report(events, Some("tank")).is_some_and(Ticket::is_queued));
    });
    assert_eq!(pool(&events[0]).pool_name, "tank");
}

#[test]
fn arguments_may_wait() {
    async fn name() -> String {
        tokio::task::yield_now().await;
        "tank".to_owned()
    }
    let events = arrivals(1, |events| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let ticket = runtime.block_on(async {
            emit!(on events, storage_pool, info, { pool_name: &name().await, operation: Created })
        });
        assert!(ticket.is_queued());
    });
    assert_eq!(pool(&events[0]).pool_name, "tank");
}
