//! A schema author adds a message and builds: the emitter is there and works. `build.rs` did both on a copy.

#![deny(warnings)]

use std::time::Duration;

use events_sdk::__private::prost::{Message as _, encoding::decode_varint};
use events_sdk::Level;
use events_tests::Rig;

/// What the build made of the grown copy.
pub mod grown {
    include!(concat!(env!("OUT_DIR"), "/events.rs"));
}

/// Callers, compiled against the schema as it was.
pub mod before {
    /// The SDK's own.
    pub mod sdk {
        pub use events_sdk::{emit_storage_pool, payload};
    }
    /// The callers.
    pub mod callers {
        include!("grown_schema/callers.rs");
    }
}

/// The same callers, compiled against the schema as it is now.
pub mod after {
    pub use super::grown as sdk;
    /// The callers.
    pub mod callers {
        include!("grown_schema/callers.rs");
    }
}

use grown::EmitExt as _;
use grown::kinds;
use grown::payload::{NetworkRouteOperation, NetworkRoutePayload};

#[test]
fn an_added_message_has_an_emitter() {
    assert_eq!(kinds::ALL.len(), events_sdk::kinds::ALL.len() + 1);
    let kind = &kinds::network_route::KIND;
    assert_eq!((kind.name, kind.category_name, kind.source), ("network_route", "network", "route-manager"));
    assert_eq!(kinds::network_route::REQUIRED.len(), 2);
    // The free function goes to the event system of the process, and there is none.
    let payload = NetworkRoutePayload::new("10.0.0.0/8", NetworkRouteOperation::Withdrawn);
    assert!(!grown::emit_network_route(Level::Warn, payload, ()).is_queued());
}

#[test]
fn an_added_message_arrives_at_toggle_in_its_place() {
    use grown::proto::rodent::events::{Event, event::EventPayload, network_event::EventType};

    let rig = Rig::start();
    let payload = NetworkRoutePayload::new("10.0.0.0/8", NetworkRouteOperation::Added);
    assert!(rig.events.emit_network_route(Level::Warn, payload, [("table", "main")]).is_queued());
    assert!(rig.toggle.wait_for_events(1, Duration::from_secs(10)));

    // A Toggle of the old schema keeps the bytes; one of the new schema reads them.
    let batches = rig.toggle.batches();
    let body = batches[0].body().unwrap();
    let (tag, mut rest) = body.split_first().unwrap();
    assert_eq!(*tag, 0x0a, "the batch begins with an event");
    let len = usize::try_from(decode_varint(&mut rest).unwrap()).unwrap();
    let event = Event::decode(&rest[..len]).unwrap();

    assert_eq!(event.source, "route-manager");
    assert_eq!(event.level, Level::Warn.number());
    assert_eq!(event.category, i32::from(kinds::network_route::KIND.category));
    assert_eq!(event.metadata["table"], "main");
    let Some(EventPayload::NetworkEvent(network)) = event.event_payload else {
        panic!("not a network event")
    };
    let Some(EventType::RouteEvent(route)) = network.event_type else { panic!("not a route event") };
    assert_eq!(route.destination, "10.0.0.0/8");
    assert_eq!(route.operation, NetworkRouteOperation::Added.number());
}

#[test]
fn callers_compile_and_encode_as_before_when_a_field_an_enum_value_and_an_event_are_added() {
    fn bytes(payload: impl events_sdk::__private::wire::Message) -> Vec<u8> {
        let mut bytes = Vec::new();
        payload.encode(&mut bytes);
        assert_eq!(bytes.len(), payload.encoded_len());
        bytes
    }
    // What is new is there.
    assert_eq!(grown::payload::StoragePoolOperation::Cleared.number(), 1000);
    let full = grown::payload::StoragePoolPayload { scrub_errors: Some(1), ..after::callers::literal() };
    assert!(bytes(full).len() > bytes(after::callers::literal()).len());
    // And the callers of old do not notice.
    assert_eq!(bytes(before::callers::literal()), bytes(after::callers::literal()));
    assert_eq!(bytes(before::callers::filled()), bytes(after::callers::filled()));
    assert_eq!(before::callers::verb(before::callers::literal()), "came");
    assert_eq!(after::callers::verb(after::callers::filled()), "changed");

    // There is no event system in this process; both calls say so.
    assert_eq!(before::callers::emit(), after::callers::emit());

    let rig = Rig::start();
    let literal = after::callers::literal();
    assert!(grown::EmitExt::emit_storage_pool(&rig.events, Level::Warn, literal, ()).is_queued());
    assert!(rig.toggle.wait_for_events(1, Duration::from_secs(10)));
}

#[test]
fn an_added_message_changes_the_fingerprint_and_none_of_the_old_kinds() {
    assert_ne!(grown::SCHEMA_FINGERPRINT, events_sdk::SCHEMA_FINGERPRINT);
    for old in events_sdk::kinds::ALL {
        let new = kinds::ALL.iter().find(|new| new.name == old.name).unwrap();
        assert_eq!(format!("{new:?}"), format!("{old:?}"));
    }
}
