//! What the schema marks as deprecated.

/// A payload that is deprecated.
pub mod deprecated_payload {
    include!("../../golden/deprecated_payload.rs");

    #[test]
    #[expect(deprecated, reason = "this is what is tested")]
    fn a_payload_that_is_marked_warns_and_so_does_its_emitter() {
        let _ = emit_demo_old(events_sdk::Level::Info, payload::DemoOldPayload {}, ());
    }
}

/// An event of an earlier generation.
pub mod deprecated_event {
    include!("../../golden/deprecated_event.rs");

    #[test]
    fn an_event_of_an_earlier_generation_is_emitted_without_a_warning() {
        let payload = payload::DemoEarlierPayload { name: "n" };
        assert!(!emit_demo_earlier(events_sdk::Level::Info, payload, ()).is_queued());
        crate::same::<_, proto::golden::deprecated_event::DemoEarlierPayload>(payload);
    }
}

/// Fields that are deprecated.
pub mod deprecated_fields {
    include!("../../golden/deprecated_fields.rs");

    #[test]
    fn fields_that_are_not_marked_are_used_without_a_warning() {
        use payload::{DemoFieldsEither, DemoFieldsPayload};
        type Wire = proto::golden::deprecated_fields::DemoFieldsPayload;
        let payload = DemoFieldsPayload { either: Some(DemoFieldsEither::That(true)), ..Default::default() };
        crate::same::<_, Wire>(payload);
    }

    #[test]
    #[expect(deprecated, reason = "this is what is tested")]
    fn fields_that_are_marked_warn() {
        use payload::{DemoFieldsEither, DemoFieldsPayload};
        type Wire = proto::golden::deprecated_fields::DemoFieldsPayload;
        crate::same::<_, Wire>(DemoFieldsPayload { name: "n", either: Some(DemoFieldsEither::This(true)) });
    }
}

/// Enums that are deprecated.
pub mod deprecated_enums {
    include!("../../golden/deprecated_enums.rs");

    #[test]
    #[expect(deprecated, reason = "this is what is tested")]
    fn an_enum_that_is_marked_warns() {
        use payload::{Colour, DemoColourPayload};
        type Wire = proto::golden::deprecated_enums::DemoColourPayload;
        for colour in [Colour::Red, Colour::Blue] {
            crate::same::<_, Wire>(DemoColourPayload { colour: Some(colour) });
        }
    }
}
