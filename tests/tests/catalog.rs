//! The examples of the catalogue: they compile, and emit the event that stands beside them as JSON.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use std::time::Duration;

use events_sdk::{Filter, Level, Ticket};
use events_tests::{config, schema};
use prost_reflect::{DynamicMessage, Kind, ReflectMessage as _, Value};
use serde_json::Value as Json;

/// Our own events, emitted by the functions that are told in the catalogue.
mod own {
    use events_sdk::{payload::*, *};

    include!(concat!(env!("OUT_DIR"), "/examples.rs"));
}

/// Events with everything in them that a payload can hold.
#[allow(missing_docs, dead_code, unreachable_pub, unused_imports, deprecated)]
mod torture {
    use super::{Level, Ticket};

    mod generated {
        include!(concat!(env!("OUT_DIR"), "/torture_events.rs"));
    }

    mod examples {
        use super::generated::{payload::*, *};
        use super::{Level, Ticket};

        include!(concat!(env!("OUT_DIR"), "/torture_examples.rs"));
    }

    pub(crate) use examples::EXAMPLES;
}

const PATIENCE: Duration = Duration::from_secs(20);

/// What the runtime stamps: no example can know it.
const STAMPED: &[&str] = &["eventId", "timestamp"];

/// Every key of the JSON is set in the message and says the same, and nothing else is set.
fn agree(emitter: &str, json: &Json, message: &DynamicMessage) {
    let keys = json.as_object().unwrap();
    for (field, value) in message.fields() {
        let name = field.json_name();
        let Some(said) = keys.get(name) else { panic!("{emitter}: `{name}` is not in the JSON: {value:?}") };
        if !STAMPED.contains(&name) {
            agree_value(emitter, said, value, &field.kind());
        }
    }
    for name in keys.keys() {
        let field = message.descriptor().get_field_by_json_name(name);
        assert!(field.is_some_and(|field| message.has_field(&field)), "{emitter}: `{name}` was not sent");
    }
}

fn agree_value(emitter: &str, json: &Json, value: &Value, kind: &Kind) {
    let said = match (json, value, kind) {
        (_, Value::Message(message), _) => return agree(emitter, json, message),
        (Json::Array(said), Value::List(values), _) => {
            assert_eq!(said.len(), values.len(), "{emitter}");
            return said.iter().zip(values).for_each(|(said, value)| agree_value(emitter, said, value, kind));
        }
        (Json::String(name), Value::EnumNumber(number), Kind::Enum(one)) => {
            one.get_value_by_name(name).is_some_and(|value| value.number() == *number)
        }
        (Json::String(said), Value::String(text), _) => said == text,
        // Base64, of which there is one.
        (Json::String(said), Value::Bytes(bytes), _) => said == "Ynl0ZXM=" && bytes.as_ref() == b"bytes",
        // As texts, because not every reader has 64 bits.
        (Json::String(said), Value::I64(number), _) => *said == number.to_string(),
        (Json::String(said), Value::U64(number), _) => *said == number.to_string(),
        (Json::Number(said), Value::I32(number), _) => said.as_i64() == Some((*number).into()),
        (Json::Number(said), Value::U32(number), _) => said.as_u64() == Some((*number).into()),
        (Json::Number(said), Value::F32(number), _) => said.as_f64() == Some((*number).into()),
        (Json::Number(said), Value::F64(number), _) => said.as_f64() == Some(*number),
        (Json::Bool(said), Value::Bool(yes), _) => said == yes,
        _ => false,
    };
    assert!(said, "{emitter}: {json} and {value:?}");
}

#[test]
fn every_example_of_our_events_emits_what_its_json_says() {
    let toggle = events_sdk::testing::Toggle::start().unwrap();
    let spool = tempfile::tempdir().unwrap();
    let mut config = config(&toggle, spool.path());
    config.filter = Filter::from_min_level(Level::Trace);
    events_sdk::initialize(config).unwrap();
    assert_eq!(own::EXAMPLES.len(), events_sdk::kinds::ALL.len());
    for (emitter, example, _) in own::EXAMPLES {
        assert!(example().is_queued(), "{emitter}");
    }
    assert!(toggle.wait_for_events(own::EXAMPLES.len(), PATIENCE));
    let pool = schema::compiled();
    let batches = toggle.batches();
    let bodies = batches.iter().filter_map(|batch| batch.body());
    let mut sent: Vec<DynamicMessage> =
        bodies.flat_map(|body| schema::events(&schema::decode_batch(&pool, body))).collect();
    assert_eq!(sent.len(), own::EXAMPLES.len());
    // In the order in which they were emitted.
    sent.sort_by_key(|event| schema::text(event, "event_id"));
    for (event, (emitter, _, json)) in sent.iter().zip(own::EXAMPLES) {
        agree(emitter, &serde_json::from_str(json).unwrap(), event);
    }
    events_sdk::shutdown(PATIENCE);
    // After the end an example is refused, and still compiles and runs.
    assert!(own::EXAMPLES.iter().all(|(_, example, _)| !example().is_queued()));
}

#[test]
fn examples_of_everything_that_a_payload_can_hold_compile_and_are_json() {
    assert_eq!(torture::EXAMPLES.len(), 11);
    for (emitter, _, json) in torture::EXAMPLES {
        let json: Json = serde_json::from_str(json).unwrap();
        assert!(json["source"].is_string(), "{emitter}");
    }
}
