//! A schema author adds a message and builds: the emitter is there and works. `build.rs` did both on a copy.

#![deny(warnings)]

use events_sdk::__private::prost::Message as _;
use events_sdk::__private::wire::Message as _;
use events_sdk::Level;

/// What the build made of the grown copy.
pub mod grown {
    include!(concat!(env!("OUT_DIR"), "/events.rs"));
}

use grown::kinds;
use grown::payload::{NetworkRouteOperation, NetworkRoutePayload};

#[test]
fn an_added_message_has_an_emitter() {
    assert_eq!(kinds::ALL.len(), events_sdk::kinds::ALL.len() + 1);
    let kind = &kinds::network_route::KIND;
    assert_eq!((kind.name, kind.category_name, kind.source), ("network_route", "network", "route-manager"));

    let payload = NetworkRoutePayload::new("10.0.0.0/8", NetworkRouteOperation::Withdrawn);
    let _ticket = grown::emit_network_route(Level::Warn, payload, [("table", "main")]);
}

#[test]
fn an_added_message_is_read_back_in_its_place() {
    use grown::proto::rodent::events::{Event, event::EventPayload, network_event::EventType};

    let payload = NetworkRoutePayload::new("10.0.0.0/8", NetworkRouteOperation::Added);
    let kind = &kinds::network_route::KIND;
    let mut leaf = kind.kind_tag.to_vec();
    leaf.push(u8::try_from(payload.encoded_len()).unwrap());
    payload.encode(&mut leaf);
    let mut event = kind.head.to_vec();
    event.extend_from_slice(kind.category_tag);
    event.push(u8::try_from(leaf.len()).unwrap());
    event.extend_from_slice(&leaf);

    let read = Event::decode(event.as_slice()).unwrap();
    assert_eq!(read.source, "route-manager");
    assert_eq!(read.category, i32::from(kind.category));
    let Some(EventPayload::NetworkEvent(network)) = read.event_payload else { panic!("not a network event") };
    let Some(EventType::RouteEvent(route)) = network.event_type else { panic!("not a route event") };
    assert_eq!(route.destination, "10.0.0.0/8");
    assert_eq!(route.operation, NetworkRouteOperation::Added.number());
}

#[test]
fn an_added_message_changes_the_fingerprint_and_none_of_the_old_kinds() {
    assert_ne!(grown::SCHEMA_FINGERPRINT, events_sdk::SCHEMA_FINGERPRINT);
    for old in events_sdk::kinds::ALL {
        let new = kinds::ALL.iter().find(|new| new.name == old.name).unwrap();
        assert_eq!(format!("{new:?}"), format!("{old:?}"));
    }
}
