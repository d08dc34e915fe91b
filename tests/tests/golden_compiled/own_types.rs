//! Protobuf's own types.

/// Moments and spans of time.
pub mod times {
    include!("../../golden/times.rs");

    #[test]
    fn times_are_encoded_as_prost_does_and_come_from_those_of_the_standard_library() {
        use payload::DemoTimesPayload;
        use std::time::{Duration, SystemTime};
        type Wire = proto::golden::times::DemoTimesPayload;
        let now = SystemTime::now();
        let read: Wire = crate::same(DemoTimesPayload {
            took: Some(Duration::from_millis(1500).into()),
            retries: &[SystemTime::UNIX_EPOCH.into(), now.into()],
            ..DemoTimesPayload::new(now.into())
        });
        assert_eq!(SystemTime::try_from(read.at.unwrap()).unwrap(), now);
        assert_eq!(Duration::try_from(read.took.unwrap()).unwrap(), Duration::from_millis(1500));
        crate::same::<_, Wire>(DemoTimesPayload::new(SystemTime::UNIX_EPOCH.into()));
    }
}

/// Wrappers and the empty message.
pub mod wrappers {
    include!("../../golden/wrappers.rs");

    #[test]
    fn wrappers_are_encoded_as_prost_does() {
        use payload::DemoWrappersPayload;
        type Wire = proto::golden::wrappers::DemoWrappersPayload;
        crate::same::<_, Wire>(DemoWrappersPayload::default());
        for (name, blob) in [("", &[][..]), ("name", &[0])] {
            let read: Wire = crate::same(DemoWrappersPayload {
                name: Some(name),
                blob: Some(blob),
                sizes: &[0, -1],
                nothing: Some(()),
            });
            assert_eq!(read.name.as_deref(), Some(name));
        }
    }
}

/// Values of JSON.
pub mod json {
    include!("../../golden/json.rs");

    #[test]
    fn values_of_json_are_encoded_as_prost_does() {
        use events_sdk::well_known::{List, Null, Struct, Value};
        use payload::DemoJsonPayload;
        type Wire = proto::golden::json::DemoJsonPayload;
        let least: Wire = crate::same(DemoJsonPayload::new(Value::Null));
        assert!(least.value.is_some() && least.maybe.is_none());
        let hosts = List(&[Value::String("a"), Value::Bool(false)]);
        let members = [("attempt", Value::Number(2.0)), ("hosts", Value::List(hosts))];
        let read: Wire = crate::same(DemoJsonPayload {
            details: Some(Struct(&members)),
            lists: &[hosts, List(&[])],
            null: Null,
            maybe: Some(Null),
            ..DemoJsonPayload::new(Value::Struct(Struct(&members)))
        });
        assert_eq!(read.maybe, Some(0));
    }
}

/// A message of any type, and the names of fields.
pub mod any {
    include!("../../golden/any.rs");

    #[test]
    fn messages_of_any_type_and_masks_are_encoded_as_prost_does() {
        use events_sdk::__private::prost::Message as _;
        use events_sdk::well_known::{Any, FieldMask};
        use payload::DemoAnyPayload;
        type Wire = proto::golden::any::DemoAnyPayload;
        crate::same::<_, Wire>(DemoAnyPayload::new(Any::default()));
        let inside = Wire { changed: Some(Default::default()), ..Wire::default() }.encode_to_vec();
        let any = Any { type_url: "type.googleapis.com/golden.any.DemoAnyPayload", value: &inside };
        let read: Wire = crate::same(DemoAnyPayload {
            others: &[any, Any::default()],
            changed: Some(FieldMask(&["a", "b.c"])),
            ..DemoAnyPayload::new(any)
        });
        assert_eq!(Any::from(&read.others[0]), any);
        assert!(Wire::decode(read.cause.unwrap().value.as_slice()).unwrap().changed.is_some());
    }
}
