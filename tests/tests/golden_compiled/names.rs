//! Names that Rust has a use for, and what comments become.

/// Names that Rust keeps for itself.
pub mod keywords {
    include!("../../golden/keywords.rs");

    #[test]
    fn keywords_are_names_of_fields_and_variants() {
        use payload::{DemoKeywordsMatch, DemoKeywordsPayload};
        type Wire = proto::golden::keywords::DemoKeywordsPayload;
        for one in [DemoKeywordsMatch::Async(true), DemoKeywordsMatch::Self_(false)] {
            crate::same::<_, Wire>(DemoKeywordsPayload { r#type: 1, super_: 2, r#match: Some(one) });
        }
    }
}

/// Types whose names Rust knows without being told.
pub mod prelude_types {
    include!("../../golden/prelude_types.rs");

    #[test]
    fn names_of_the_prelude_are_names_of_types() {
        use payload::{DemoPreludePayload, Option, String};
        type Wire = proto::golden::prelude_types::DemoPreludePayload;
        let read: Wire = crate::same(DemoPreludePayload { string: Some(String {}), option: Some(Option {}) });
        assert!(read.string.is_some() && read.option.is_some());
    }
}

/// Variants and fields whose names Rust knows without being told.
pub mod prelude_variants {
    include!("../../golden/prelude_variants.rs");

    #[test]
    fn names_of_the_prelude_are_names_of_variants() {
        use payload::{DemoVariantsPayload, DemoVariantsSome};
        type Wire = proto::golden::prelude_variants::DemoVariantsPayload;
        for one in [DemoVariantsSome::None(false), DemoVariantsSome::Clone(true)] {
            crate::same::<_, Wire>(DemoVariantsPayload { ok: true, some: Some(one) });
        }
    }
}

/// Names that begin with a digit.
pub mod digits {
    include!("../../golden/digits.rs");

    #[test]
    fn names_that_begin_with_a_digit_are_names() {
        use payload::{DemoDigitsPayload, Place};
        type Wire = proto::golden::digits::DemoDigitsPayload;
        crate::same::<_, Wire>(DemoDigitsPayload { _1st: 1, place: Some(Place::Place1st) });
        assert_eq!(Place::ALL, [Place::Place1st, Place::Place2nd]);
    }
}

/// Types of one name.
pub mod same_names {
    include!("../../golden/same_names.rs");

    #[test]
    fn types_of_one_name_are_told_apart_by_the_messages_around_them() {
        use payload::{DemoPayload, DemoPayloadDisk, Disk};
        type Wire = proto::golden::same_names::DemoPayload;
        crate::same::<_, Wire>(DemoPayload { inner: Some(DemoPayloadDisk {}), outer: Some(Disk {}) });
    }
}

/// Comments.
pub mod comments {
    include!("../../golden/comments.rs");

    #[test]
    fn a_payload_with_odd_comments_is_a_payload() {
        let payload = payload::DemoCommentsPayload { silent: 1, ..Default::default() };
        crate::same::<_, proto::golden::comments::DemoCommentsPayload>(payload);
    }
}

/// Names that are too long for one line.
pub mod long_names {
    include!("../../golden/long_names.rs");

    #[test]
    fn a_payload_of_long_names_encodes_as_prost_does() {
        use payload::ReplicatedStoragePoolMaintenanceWindowRescheduledPayload as Payload;
        type Wire = proto::golden::long_names::ReplicatedStoragePoolMaintenanceWindowRescheduledPayload;
        let operator = "é".repeat(200);
        let wire: Wire = crate::same(Payload {
            name_of_the_operator_who_rescheduled_the_maintenance_window_of_the_pool: &operator,
            names_of_all_storage_pools_that_are_concerned_by_the_maintenance_window: &["tank", "dozer"],
        });
        let written = wire.name_of_the_operator_who_rescheduled_the_maintenance_window_of_the_pool;
        assert_eq!(written, "é".repeat(128));
    }
}

/// Names of enums that are too long for one line.
pub mod long_enums {
    include!("../../golden/long_enums.rs");

    #[test]
    fn an_enum_of_long_names_encodes_as_prost_does() {
        use payload::{DemoPayload, ReasonOfTheMaintenanceWindowRescheduling as Reason};
        let wire: proto::golden::long_enums::DemoPayload = crate::same(DemoPayload {
            reason_why_the_maintenance_window_had_to_be_rescheduled: Some(
                Reason::OperatorWasNotAvailableAtAll,
            ),
        });
        assert_eq!(wire.reason_why_the_maintenance_window_had_to_be_rescheduled, 1);
    }
}
