//! Every golden file, compiled with warnings denied and put to use: what it encodes is what prost encodes.

#![deny(warnings, missing_docs, unreachable_pub, unused_qualifications)]
#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::fmt::Debug;

use events_sdk::__private::prost;
use events_sdk::__private::wire;
use events_sdk::Level;

/// Checks a payload against its wire type: the same bytes, of the length that was announced, and back again.
fn same<P, W>(payload: P) -> W
where
    P: wire::Message + Copy,
    W: prost::Message + From<P> + Default + PartialEq + Debug,
{
    let mut bytes = Vec::new();
    payload.encode(&mut bytes);
    let expected = W::from(payload);
    assert_eq!(bytes, expected.encode_to_vec());
    assert_eq!(bytes.len(), payload.encoded_len());
    let read = W::decode(bytes.as_slice()).unwrap();
    assert_eq!(read, expected);
    read
}

/// Every scalar type.
pub mod scalars {
    include!("../golden/scalars.rs");

    #[test]
    fn every_scalar_is_encoded_as_prost_does() {
        use payload::DemoScalarsPayload;
        type Wire = proto::golden::scalars::DemoScalarsPayload;
        super::same::<_, Wire>(DemoScalarsPayload::default());
        let full = DemoScalarsPayload {
            double: 1.5,
            float: -0.25,
            int32: -1,
            int64: i64::MIN,
            uint32: u32::MAX,
            uint64: u64::MAX,
            sint32: i32::MIN,
            sint64: -7,
            fixed32: 7,
            fixed64: 8,
            sfixed32: -9,
            sfixed64: -10,
            bool: true,
            string: "é",
            bytes: &[0, 255],
            maybe_int32: Some(3),
            maybe_string: Some("some"),
            maybe_bytes: Some(&[1]),
        };
        super::same::<_, Wire>(full);
        let present = DemoScalarsPayload {
            maybe_int32: Some(0),
            maybe_string: Some(""),
            maybe_bytes: Some(&[]),
            double: f64::INFINITY,
            float: -0.0,
            ..DemoScalarsPayload::default()
        };
        let read: Wire = super::same(present);
        assert_eq!(read.maybe_int32, Some(0));
        assert_eq!(read.maybe_string.as_deref(), Some(""));
    }
}

/// Repeated fields and maps.
pub mod collections {
    include!("../golden/collections.rs");

    #[test]
    fn collections_are_encoded_as_prost_does() {
        use payload::{Colour, DemoCollectionsPayload, Part};
        type Wire = proto::golden::collections::DemoCollectionsPayload;
        super::same::<_, Wire>(DemoCollectionsPayload::default());
        let full = DemoCollectionsPayload {
            names: &["a", "", "c"],
            sizes: &[0, -1, 300],
            loose: &[0, 1],
            blobs: &[&[1, 2], &[]],
            colours: &[Colour::DarkBlue, Colour::Red],
            parts: &[Part { number: 3 }, Part { number: 0 }],
            labels: &[("k", "v")],
            painted: &[(0, Colour::Red)],
            chosen: &[(true, Part { number: 0 })],
        };
        let read: Wire = super::same(full);
        assert_eq!(read.labels["k"], "v");
        assert_eq!(read.painted[&0], Colour::Red.number());
    }
}

/// Messages inside payloads.
pub mod messages {
    include!("../golden/messages.rs");

    #[test]
    fn messages_in_messages_are_encoded_as_prost_does() {
        use payload::{DemoMessagesPayload, Place, Tree};
        type Wire = proto::golden::messages::DemoMessagesPayload;
        let leaf = Tree { name: "leaf", ..Tree::default() };
        let empty: Wire = super::same(DemoMessagesPayload::new(Place::default()));
        assert!(empty.place.is_some() && empty.other.is_none());
        let full = DemoMessagesPayload {
            other: Some(Place { x: -1, y: 2 }),
            tree: Some(Tree { name: "root", left: Some(&leaf), children: &[leaf, leaf] }),
            ..DemoMessagesPayload::new(Place { x: 1, y: 0 })
        };
        let read: Wire = super::same(full);
        assert_eq!(read.tree.unwrap().left.unwrap().name, "leaf");
    }
}

/// Enums.
pub mod enums {
    include!("../golden/enums.rs");

    #[test]
    fn enums_have_no_unspecified_variant_and_encode_as_prost_does() {
        use payload::{DemoEnumsPayload, DemoOperation, Side};
        type Wire = proto::golden::enums::DemoEnumsPayload;
        let least: Wire = super::same(DemoEnumsPayload::new(DemoOperation::Self_, Side::Right));
        assert_eq!((least.side, least.other_side, least.r#type), (0, None, -2));
        let full = DemoEnumsPayload {
            side: Some(Side::Left),
            other_side: Some(Side::Right),
            ..DemoEnumsPayload::new(DemoOperation::Started, Side::Left)
        };
        super::same::<_, Wire>(full);
        assert_eq!(Side::ALL, [Side::Left, Side::Right]);
        assert_eq!(Side::Right.number(), -2);
        assert_eq!(DemoOperation::Self_.name(), "self");
        let _: kinds::demo_enums::fields::operation = DemoOperation::Started;
        let (field, text) = kinds::demo_enums::REQUIRED[1];
        assert_eq!(field, "type");
        assert!(text.contains("one of Left, Right"), "{text}");
    }
}

/// Oneofs.
pub mod oneofs {
    include!("../golden/oneofs.rs");

    #[test]
    fn a_oneof_is_encoded_as_prost_does_in_the_place_of_its_least_number() {
        use payload::{DemoOneofsPayload, DemoOneofsTarget};
        type Wire = proto::golden::oneofs::DemoOneofsPayload;
        super::same::<_, Wire>(DemoOneofsPayload::default());
        let inner = DemoOneofsPayload { last: "inner", ..DemoOneofsPayload::default() };
        let targets = [
            DemoOneofsTarget::Path(""),
            DemoOneofsTarget::Path("/tank"),
            DemoOneofsTarget::Other(&inner),
            DemoOneofsTarget::Owner("ann"),
        ];
        for target in targets {
            let payload = DemoOneofsPayload { target: Some(target), last: "last" };
            let read: Wire = super::same(payload);
            let shown = format!("{payload:?} {read:?}");
            assert!(!shown.contains("ann"), "{shown}");
            let hidden = shown.matches("Owner(<pii>)").count();
            assert_eq!(hidden == 2, matches!(target, DemoOneofsTarget::Owner(_)), "{shown}");
        }
    }
}

/// Protobuf's own types.
pub mod well_known {
    include!("../golden/well_known.rs");

    #[test]
    fn the_types_of_protobuf_are_encoded_as_prost_does() {
        use events_sdk::well_known::{Struct, Value};
        use payload::DemoTimesPayload;
        use std::time::{Duration, SystemTime};
        type Wire = proto::golden::well_known::DemoTimesPayload;
        let now = SystemTime::now();
        let read: Wire = super::same(DemoTimesPayload::new(now.into()));
        assert_eq!(SystemTime::try_from(read.at.unwrap()).unwrap(), now);
        for name in ["", "name"] {
            super::same::<_, Wire>(DemoTimesPayload {
                took: Some(Duration::from_millis(1500).into()),
                details: Some(Struct(&[("attempt", Value::Number(2.0))])),
                name: Some(name),
                retries: &[SystemTime::UNIX_EPOCH.into(), now.into()],
                nothing: Some(()),
                ..DemoTimesPayload::new(SystemTime::UNIX_EPOCH.into())
            });
        }
    }
}

/// Deprecated items.
pub mod deprecated {
    include!("../golden/deprecated.rs");

    #[test]
    fn what_is_not_marked_itself_is_used_without_a_warning() {
        use payload::{Colour, DemoEarlierEither, DemoEarlierPayload};
        let payload = DemoEarlierPayload {
            colour: Some(Colour::Blue),
            either: Some(DemoEarlierEither::That(true)),
            ..DemoEarlierPayload::default()
        };
        super::same::<_, proto::golden::deprecated::DemoEarlierPayload>(payload);
        assert!(!emit_demo_earlier(super::Level::Info, payload, ()).is_queued());
    }

    #[test]
    #[expect(deprecated, reason = "this is what is tested")]
    fn what_is_marked_warns() {
        let _ = emit_demo_old(super::Level::Info, payload::DemoOldPayload {}, ());
    }
}

/// Annotations.
pub mod annotations {
    include!("../golden/annotations.rs");

    #[test]
    fn the_operation_says_the_level() {
        use super::Level;
        use events_sdk::Durability;
        use payload::{DemoAnnotatedOperation, DemoAnnotatedPayload};
        assert_eq!(DemoAnnotatedOperation::Started.level(), Level::Info);
        assert_eq!(DemoAnnotatedOperation::Failed.level(), Level::Error);
        let payload = DemoAnnotatedPayload::new(DemoAnnotatedOperation::Failed);
        assert!(!emit_demo_annotated(payload, ()).is_queued());
        let kind = &kinds::demo_annotated::KIND;
        assert!(kind.level.is_none() && kind.level_by_operation);
        assert_eq!(
            (kind.durability, kind.owner, kind.since),
            (Durability::Sync, Some("storage"), Some("1.2"))
        );
    }

    #[test]
    fn a_longer_text_is_cut_between_characters_and_counted() {
        use events_sdk::__private::wire;
        use payload::{DemoAnnotatedOperation, DemoAnnotatedPayload};
        let before = wire::cuts();
        let read = super::same::<_, proto::golden::annotations::DemoAnnotatedPayload>(DemoAnnotatedPayload {
            title: "ééééé",
            note: Some("12345"),
            ..DemoAnnotatedPayload::new(DemoAnnotatedOperation::Started)
        });
        assert_eq!((read.title.as_str(), read.note.as_deref()), ("éééé", Some("1234")));
        assert_eq!(wire::cuts(), before + 2);
    }
}

/// proto2.
pub mod proto2 {
    include!("../golden/proto2.rs");

    #[test]
    fn a_payload_of_proto2_is_encoded_as_prost_does() {
        use payload::{Colour, DemoOlderPayload};
        type Wire = proto::golden::proto2::DemoOlderPayload;
        let least: Wire = super::same(DemoOlderPayload::new("", Colour::Red));
        assert_eq!((least.name.as_str(), least.count, least.count()), ("", None, 7));
        super::same::<_, Wire>(DemoOlderPayload {
            count: Some(0),
            loose: &[0, 1],
            packed: &[0, 300],
            ..DemoOlderPayload::new("name", Colour::Blue)
        });
    }
}

/// Names.
pub mod names {
    include!("../golden/names.rs");

    #[test]
    fn names_that_rust_has_a_use_for_are_names_of_types_and_fields() {
        use payload::{DemoNamesPayload, DemoNamesSome, Option, String};
        let full = DemoNamesPayload {
            string: Some(String::String1st),
            self_: Some(Option {}),
            _1st: 1,
            some: Some(DemoNamesSome::None(false)),
        };
        super::same::<_, proto::golden::names::DemoNamesPayload>(full);
    }
}

/// Emitters: levels, names, options.
pub mod rules {
    include!("../golden/rules.rs");

    #[test]
    fn options_beside_the_field_go_before_those_of_the_payload_key_by_key() {
        use super::Level;
        let names: Vec<_> = kinds::ALL.iter().map(|kind| (kind.name, kind.source, kind.level)).collect();
        assert_eq!(
            names,
            [
                ("demo_empty", "demo", Some(Level::Essential)),
                ("demo_named", "demo.named", None),
                ("demo_second", "demo.named", Some(Level::Warn)),
            ]
        );
        assert_eq!(kinds::demo_second::KIND.kind_tag, [0xc2, 0x3e]);
        assert_eq!(kinds::demo_named::KIND.head, b"\x18\x01\x22\x0ademo.named");
        super::same::<_, proto::golden::rules::DemoEmptyPayload>(payload::DemoEmptyPayload::default());
    }

    #[test]
    fn every_kind_has_a_function_that_takes_a_level_only_where_the_caller_says_it() {
        use super::Level;
        use payload::{DemoEmptyPayload, Oddly};
        let tickets = [
            emit_demo_empty(DemoEmptyPayload {}, ()),
            emit_demo_named(Level::Info, Oddly { r#type: "x" }, [("k", "v")]),
            emit_demo_second(Oddly::default(), ()),
        ];
        assert!(tickets.iter().all(|ticket| ticket.outcome() != events_sdk::Outcome::Queued));
    }
}

/// Personal data.
pub mod sensitivity {
    include!("../golden/sensitivity.rs");

    #[test]
    fn personal_data_does_not_show() {
        use payload::DemoPersonPayload;
        let person = DemoPersonPayload {
            others: &["bob@example.org"],
            ..DemoPersonPayload::new(7, "ann@example.org")
        };
        let shown = format!("{person:?}");
        assert_eq!(shown, "DemoPersonPayload { id: 7, email: <pii>, others: <pii> }");
        let read = super::same::<_, proto::golden::sensitivity::DemoPersonPayload>(person);
        assert_eq!(read.email, "ann@example.org");
        assert_eq!(format!("{read:?}"), shown);
    }
}

/// Comments.
pub mod comments {
    include!("../golden/comments.rs");

    #[test]
    fn a_payload_with_odd_comments_is_a_payload() {
        let payload = payload::DemoCommentsPayload { silent: 1, ..Default::default() };
        super::same::<_, proto::golden::comments::DemoCommentsPayload>(payload);
    }
}

/// A schema outside the SDK.
pub mod extension {
    include!("../golden/extension.rs");

    #[test]
    fn a_schema_outside_the_sdk_may_use_its_payloads() {
        let foreign = payload::SystemRegistrationPayload { rodent_id: "r", ..Default::default() };
        super::same::<_, events_sdk::proto::events::SystemRegistrationPayload>(foreign);
        super::same::<_, proto::golden::extension::StorageScrubPayload>(payload::StorageScrubPayload {
            errors: 1,
        });
        assert_eq!(kinds::backup_job::KIND.category, 63);
        assert_eq!(kinds::backup_job::KIND.category_name, "backup_job");
        assert_eq!(kinds::storage_scrub::KIND.category_tag, [0x5a]);
    }
}

/// What the SDK generates for itself: compiled in the place of the SDK.
pub mod levels {
    include!("../golden/levels.rs");
}

/// The wire types of `levels`, where the SDK has its own.
pub mod proto {
    /// As in the SDK.
    #[allow(missing_docs)]
    pub mod events {
        include!(concat!(env!("OUT_DIR"), "/as_sdk/rodent.events.rs"));
    }
}

/// The runtime that `levels` is compiled against.
pub mod __private {
    pub use events_sdk::__private::{Durability, Metadata, Ticket, wire};

    pub use super::levels::Level;

    /// A kind, with the levels of the golden schema.
    #[allow(missing_docs, dead_code)]
    #[derive(Debug)]
    pub struct Kind {
        pub name: &'static str,
        pub payload: &'static str,
        pub category: u8,
        pub category_name: &'static str,
        pub source: &'static str,
        pub level: Option<Level>,
        pub level_by_operation: bool,
        pub durability: Durability,
        pub owner: Option<&'static str>,
        pub since: Option<&'static str>,
        pub head: &'static [u8],
        pub category_tag: &'static [u8],
        pub kind_tag: &'static [u8],
    }

    /// A handle that keeps nothing.
    #[derive(Debug)]
    pub struct Events;

    impl Events {
        /// Stands for the runtime's.
        pub fn __emit(
            &self,
            kind: &'static Kind,
            level: Level,
            payload: &impl wire::Message,
            metadata: impl Metadata,
        ) -> Ticket {
            emit(kind, level, payload, metadata)
        }
    }

    /// Stands for the runtime's: an event that nobody initialised a system for.
    pub fn emit(
        kind: &'static Kind,
        level: Level,
        payload: &impl wire::Message,
        metadata: impl Metadata,
    ) -> Ticket {
        assert_eq!(kind.level, Some(level));
        assert!(payload.encoded_len() > 0);
        events_sdk::emit_system_shutdown(
            events_sdk::payload::SystemShutdownPayload::new(
                events_sdk::payload::SystemShutdownOperation::Restart,
            ),
            metadata,
        )
    }
}

#[test]
fn levels_are_ordered_by_severity_and_not_by_number() {
    use levels::{Category, Level};
    assert!(Level::Info < Level::Warn);
    assert_eq!(Level::ALL.map_numbers(), [2, 1]);
    assert_eq!(Level::from_number(1), Some(Level::Warn));
    assert_eq!(Level::from_number(0), None);
    assert_eq!(Level::from_name("WARN"), Some(Level::Warn));
    assert_eq!(Level::from_name("warning"), None);
    assert_eq!(format!("{:>6}", Level::Info), "  info");
    assert_eq!(Category::ALL, [Category::Disk, Category::DataMove]);
    assert_eq!(Category::DataMove.name(), "data_move");
    assert_eq!(Category::from_name("Data_Move"), Some(Category::DataMove));
    let payload = levels::payload::DiskPayload { slot: 3 };
    same::<_, proto::events::DiskPayload>(payload);
    assert_eq!(levels::emit_disk(payload, ()), __private::Events.emit_disk(payload, ()));
    assert_eq!(levels::kinds::disk::KIND.category_tag, [0x82, 0x01]);
}

/// The numbers of levels, to compare them at one glance.
trait Numbers {
    /// In the order of the list.
    fn map_numbers(&self) -> Vec<i32>;
}

impl Numbers for [levels::Level] {
    fn map_numbers(&self) -> Vec<i32> {
        self.iter().map(|level| level.number()).collect()
    }
}
