//! Enums, and what only proto2 has besides.

/// Enums.
pub mod enums {
    include!("../../golden/enums.rs");

    #[test]
    fn enums_have_no_unspecified_variant_and_encode_as_prost_does() {
        use payload::{DemoPayload, Operation};
        type Wire = proto::golden::enums::DemoPayload;
        let least: Wire = crate::same(DemoPayload::new(Operation::Undone));
        assert_eq!((least.operation, least.before), (-2, None));
        let full = DemoPayload { before: Some(Operation::Started), ..DemoPayload::new(Operation::Started) };
        crate::same::<_, Wire>(full);
        assert_eq!(Operation::ALL, [Operation::Started, Operation::Undone]);
        assert_eq!((Operation::Undone.number(), Operation::Undone.name()), (-2, "undone"));
        let _: kinds::demo::fields::operation = Operation::Started;
        let (field, text) = kinds::demo::REQUIRED[0];
        assert_eq!(field, "operation");
        assert!(text.contains("one of Started, Undone"), "{text}");
    }

    #[test]
    fn a_value_of_a_later_schema_stays_the_number_that_it_is_for_a_reader() {
        use events_sdk::__private::prost::Message as _;
        use proto::golden::enums::{DemoPayload, demo_payload::Operation};
        let later = DemoPayload { operation: 77, before: Some(-77) };
        let read = DemoPayload::decode(later.encode_to_vec().as_slice()).unwrap();
        assert_eq!((read.operation, read.before), (77, Some(-77)));
        assert_eq!(read.operation(), Operation::Unspecified);
        assert!(Operation::try_from(77).is_err());
    }
}

/// Second names of values.
pub mod enum_aliases {
    include!("../../golden/enum_aliases.rs");

    #[test]
    #[expect(deprecated, reason = "one of the names is")]
    fn second_names_are_constants_that_do_as_the_value() {
        use payload::{DemoAliasesPayload, Side};
        assert_eq!((Side::PORT, Side::LARBOARD), (Side::Left, Side::Left));
        assert_eq!(Side::ALL, [Side::Left]);
        assert_eq!(Side::PORT.name(), "left");
        let payload = DemoAliasesPayload { side: Some(Side::PORT) };
        assert!(matches!(payload.side, Some(Side::PORT)));
        let read = crate::same::<_, proto::golden::enum_aliases::DemoAliasesPayload>(payload);
        assert_eq!(read.side, 1);
    }
}

/// proto2.
pub mod proto2 {
    include!("../../golden/proto2.rs");

    #[test]
    fn a_payload_of_proto2_is_encoded_as_prost_does() {
        use payload::DemoOlderPayload;
        type Wire = proto::golden::proto2::DemoOlderPayload;
        let least: Wire = crate::same(DemoOlderPayload::new(""));
        assert_eq!((least.name.as_str(), least.count, least.count()), ("", None, 7));
        crate::same::<_, Wire>(DemoOlderPayload {
            count: Some(0),
            loose: &[0, 1],
            packed: &[0, 300],
            ..DemoOlderPayload::new("name")
        });
    }
}

/// Enums of proto2.
pub mod proto2_enums {
    include!("../../golden/proto2_enums.rs");

    #[test]
    fn an_enum_without_a_zero_is_encoded_as_prost_does() {
        use payload::{Colour, DemoPayload};
        type Wire = proto::golden::proto2_enums::DemoPayload;
        let least: Wire = crate::same(DemoPayload::new(Colour::Red));
        assert_eq!((least.colour, least.other, least.other() as i32), (1, None, 2));
        crate::same::<_, Wire>(DemoPayload { other: Some(Colour::Red), ..DemoPayload::new(Colour::Blue) });
    }
}
