//! Fields that hold any number of values.

/// Repeated fields.
pub mod repeated {
    include!("../../golden/repeated.rs");

    #[test]
    fn lists_are_encoded_as_prost_does() {
        use payload::DemoRepeatedPayload;
        type Wire = proto::golden::repeated::DemoRepeatedPayload;
        crate::same::<_, Wire>(DemoRepeatedPayload::default());
        crate::same::<_, Wire>(DemoRepeatedPayload {
            sizes: &[0, -1, 300],
            loose: &[0, 1],
            names: &["a", "", "c"],
            blobs: &[&[1, 2], &[]],
        });
    }
}

/// Enums in lists and in maps.
pub mod repeated_enums {
    include!("../../golden/repeated_enums.rs");

    #[test]
    fn lists_and_maps_of_enums_are_encoded_as_prost_does() {
        use payload::{Colour, DemoPaintPayload};
        type Wire = proto::golden::repeated_enums::DemoPaintPayload;
        crate::same::<_, Wire>(DemoPaintPayload::default());
        let read: Wire = crate::same(DemoPaintPayload {
            colours: &[Colour::DarkBlue, Colour::Red],
            painted: &[(0, Colour::Red)],
        });
        assert_eq!(read.painted[&0], Colour::Red.number());
    }
}

/// Messages in lists and in maps.
pub mod repeated_messages {
    include!("../../golden/repeated_messages.rs");

    #[test]
    fn lists_and_maps_of_messages_are_encoded_as_prost_does() {
        use payload::{DemoPartsPayload, Part};
        type Wire = proto::golden::repeated_messages::DemoPartsPayload;
        crate::same::<_, Wire>(DemoPartsPayload::default());
        let read: Wire = crate::same(DemoPartsPayload {
            parts: &[Part { number: 3 }, Part { number: 0 }],
            chosen: &[(true, Part { number: 0 })],
        });
        assert_eq!(read.parts.len(), 2);
    }
}

/// Maps.
pub mod maps {
    include!("../../golden/maps.rs");

    #[test]
    fn maps_are_encoded_as_prost_does_and_the_last_of_a_key_counts() {
        use events_sdk::__private::{prost::Message as _, wire::Message as _};
        use payload::DemoMapsPayload;
        type Wire = proto::golden::maps::DemoMapsPayload;
        crate::same::<_, Wire>(DemoMapsPayload::default());
        let read: Wire = crate::same(DemoMapsPayload { labels: &[("k", "v")], numbers: &[(0, 0.0)] });
        assert_eq!((read.labels["k"].as_str(), read.numbers[&0]), ("v", 0.0));
        let twice = DemoMapsPayload { labels: &[("k", "v"), ("k", "w")], numbers: &[] };
        let mut bytes = Vec::new();
        twice.encode(&mut bytes);
        let read = Wire::decode(bytes.as_slice()).unwrap();
        assert_eq!((read.labels["k"].as_str(), &read), ("w", &twice.into()));
    }
}
