//! What is said of events: names, levels, and what else annotations say.

/// The operation says the level.
pub mod by_operation {
    include!("../../golden/by_operation.rs");

    #[test]
    fn the_operation_says_the_level() {
        use events_sdk::Level;
        use payload::{DemoPayload, Operation};
        assert_eq!(Operation::Started.level(), Level::Info);
        assert_eq!(Operation::Failed.level(), Level::Error);
        assert!(!emit_demo(DemoPayload::new(Operation::Failed), ()).is_queued());
        let kind = &kinds::demo::KIND;
        assert!(kind.level.is_none() && kind.level_by_operation);
        crate::same::<_, proto::golden::by_operation::DemoPayload>(DemoPayload::new(Operation::Started));
    }
}

/// An event that always has the same level.
pub mod fixed_level {
    include!("../../golden/fixed_level.rs");

    #[test]
    fn an_event_of_a_fixed_level_takes_none() {
        use events_sdk::{Level, Outcome};
        use payload::DemoAlarmPayload;
        let ticket = emit_demo_alarm(DemoAlarmPayload {}, ());
        assert_ne!(ticket.outcome(), Outcome::Queued);
        assert_eq!(kinds::demo_alarm::KIND.level, Some(Level::Essential));
        crate::same::<_, proto::golden::fixed_level::DemoAlarmPayload>(DemoAlarmPayload::default());
    }
}

/// An emitter of another name than its payload.
pub mod emitter_name {
    include!("../../golden/emitter_name.rs");

    #[test]
    fn an_emitter_has_the_name_that_it_is_given() {
        use events_sdk::{Level, Outcome};
        use payload::Oddly;
        let ticket = emit_demo_named(Level::Info, Oddly { r#type: "x" }, [("k", "v")]);
        assert_ne!(ticket.outcome(), Outcome::Queued);
        let kind = &kinds::demo_named::KIND;
        assert_eq!((kind.name, kind.source, kind.level), ("demo_named", "demo.named", None));
        assert_eq!(kind.head, b"\x18\x01\x22\x0ademo.named");
        assert_eq!(kind.kind_tag, [0xc2, 0x3e]);
        crate::same::<_, proto::golden::emitter_name::Oddly>(Oddly { r#type: "x" });
    }
}

/// One payload in two events.
pub mod two_events {
    include!("../../golden/two_events.rs");

    #[test]
    fn options_beside_the_field_go_before_those_of_the_payload_key_by_key() {
        use events_sdk::{Level, Outcome};
        use payload::DemoPayload;
        let kinds: Vec<_> = kinds::ALL.iter().map(|kind| (kind.name, kind.source, kind.level)).collect();
        assert_eq!(kinds, [("demo_first", "demo", None), ("demo_second", "demo", Some(Level::Warn))]);
        let tickets =
            [emit_demo_first(Level::Info, DemoPayload {}, ()), emit_demo_second(DemoPayload {}, ())];
        assert!(tickets.iter().all(|ticket| ticket.outcome() != Outcome::Queued));
        crate::same::<_, proto::golden::two_events::DemoPayload>(DemoPayload {});
    }
}

/// What annotations say to people and to programs.
pub mod documented {
    include!("../../golden/documented.rs");

    #[test]
    fn owner_age_and_durability_are_constants_of_the_kind() {
        use events_sdk::Durability;
        use payload::DemoDocumentedPayload;
        let kind = &kinds::demo_documented::KIND;
        assert_eq!(
            (kind.durability, kind.owner, kind.since),
            (Durability::Sync, Some("storage"), Some("1.2"))
        );
        let payload = DemoDocumentedPayload { size: 1, token_kind: "jwt" };
        assert!(format!("{payload:?}").contains("jwt"));
        crate::same::<_, proto::golden::documented::DemoDocumentedPayload>(payload);
    }
}

/// Texts that are cut where they are too long.
pub mod max_len {
    include!("../../golden/max_len.rs");

    #[test]
    fn a_longer_text_is_cut_between_characters_and_counted() {
        use events_sdk::__private::wire;
        use payload::DemoNotePayload;
        let before = wire::cuts();
        let read = crate::same::<_, proto::golden::max_len::DemoNotePayload>(DemoNotePayload {
            title: "ééééé",
            note: Some("12345"),
            free: "as long as it likes",
        });
        assert_eq!((read.title.as_str(), read.note.as_deref()), ("éééé", Some("1234")));
        assert_eq!(read.free, "as long as it likes");
        assert_eq!(wire::cuts(), before + 2);
    }
}

/// A schema outside the SDK with a category of its own.
pub mod other_category {
    include!("../../golden/other_category.rs");

    #[test]
    fn a_schema_outside_the_sdk_may_have_its_own_category() {
        use payload::BackupJobPayload;
        let kind = &kinds::backup_job::KIND;
        assert_eq!((kind.category, kind.category_name), (63, "backup_job"));
        crate::same::<_, proto::golden::other_category::BackupJobPayload>(BackupJobPayload { name: "b" });
    }
}

/// A schema outside the SDK with one more event in a category of the SDK.
pub mod other_event {
    include!("../../golden/other_event.rs");

    #[test]
    fn a_schema_outside_the_sdk_may_add_to_a_category_of_the_sdk() {
        use payload::StorageScrubPayload;
        assert_eq!(kinds::storage_scrub::KIND.category_tag, [0x5a]);
        crate::same::<_, proto::golden::other_event::StorageScrubPayload>(StorageScrubPayload { errors: 1 });
    }
}

/// A schema outside the SDK with one more emitter for a payload of the SDK.
pub mod other_emitter {
    include!("../../golden/other_emitter.rs");

    #[test]
    fn a_schema_outside_the_sdk_may_use_its_payloads() {
        let foreign = payload::SystemRegistrationPayload { rodent_id: "r", ..Default::default() };
        crate::same::<_, events_sdk::proto::events::SystemRegistrationPayload>(foreign);
        assert_eq!(kinds::storage_registration::KIND.name, "storage_registration");
    }
}
