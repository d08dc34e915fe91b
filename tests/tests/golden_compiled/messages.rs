//! Messages and oneofs inside payloads.

/// Messages inside payloads.
pub mod messages {
    include!("../../golden/messages.rs");

    #[test]
    fn messages_in_messages_are_encoded_as_prost_does() {
        use payload::{DemoMessagesPayload, Place};
        type Wire = proto::golden::messages::DemoMessagesPayload;
        let empty: Wire = crate::same(DemoMessagesPayload::new(Place::default()));
        assert!(empty.place.is_some() && empty.other.is_none());
        crate::same::<_, Wire>(DemoMessagesPayload {
            other: Some(Place { x: -1, y: 2 }),
            ..DemoMessagesPayload::new(Place { x: 1, y: 0 })
        });
    }
}

/// A message that holds itself.
pub mod recursion {
    include!("../../golden/recursion.rs");

    #[test]
    fn a_message_that_holds_itself_is_encoded_as_prost_does() {
        use payload::DemoTreePayload;
        type Wire = proto::golden::recursion::DemoTreePayload;
        let leaf = DemoTreePayload { name: "leaf", ..DemoTreePayload::default() };
        let read: Wire =
            crate::same(DemoTreePayload { name: "root", left: Some(&leaf), children: &[leaf, leaf] });
        assert_eq!(read.left.unwrap().name, "leaf");
    }
}

/// A oneof.
pub mod oneofs {
    include!("../../golden/oneofs.rs");

    #[test]
    fn a_oneof_is_encoded_as_prost_does_in_the_place_of_its_least_number() {
        use payload::{DemoOneofsPayload, DemoOneofsTarget};
        type Wire = proto::golden::oneofs::DemoOneofsPayload;
        crate::same::<_, Wire>(DemoOneofsPayload::default());
        for target in [
            DemoOneofsTarget::Path(""),
            DemoOneofsTarget::Path("/tank"),
            DemoOneofsTarget::Inode(0),
            DemoOneofsTarget::Inode(-1),
        ] {
            crate::same::<_, Wire>(DemoOneofsPayload { target: Some(target), last: "last" });
        }
    }
}

/// A oneof that holds the payload itself.
pub mod oneof_recursion {
    include!("../../golden/oneof_recursion.rs");

    #[test]
    fn a_payload_in_its_own_oneof_is_encoded_as_prost_does() {
        use payload::{DemoChoiceChoice, DemoChoicePayload};
        type Wire = proto::golden::oneof_recursion::DemoChoicePayload;
        let inner = DemoChoicePayload { choice: Some(DemoChoiceChoice::Name("inner")) };
        let middle = DemoChoicePayload { choice: Some(DemoChoiceChoice::Other(&inner)) };
        for one in [DemoChoicePayload::default(), inner, middle] {
            crate::same::<_, Wire>(DemoChoicePayload { choice: Some(DemoChoiceChoice::Other(&one)) });
        }
    }
}

/// A group of proto2.
pub mod groups {
    include!("../../golden/groups.rs");

    #[test]
    fn groups_are_encoded_as_prost_does() {
        use payload::{DemoGroupPayload, Entry};
        type Wire = proto::golden::groups::DemoGroupPayload;
        crate::same::<_, Wire>(DemoGroupPayload::default());
        let leaf = [Entry { name: Some("leaf"), inner: None }, Entry::default()];
        let branch = [Entry { name: None, inner: Some(DemoGroupPayload { entry: &leaf }) }];
        let read: Wire = crate::same(DemoGroupPayload { entry: &branch });
        assert_eq!(read.entry[0].inner.as_ref().unwrap().entry.len(), 2);
    }
}
