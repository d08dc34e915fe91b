//! Every golden file, compiled with warnings denied and put to use: what it encodes is what prost encodes.

#![deny(warnings, missing_docs, unreachable_pub, unused_qualifications)]
#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

pub mod deprecated;
pub mod enums;
pub mod events;
pub mod lists;
pub mod messages;
pub mod names;
pub mod numbers;
pub mod own_types;
pub mod personal;

use std::fmt::Debug;

use events_sdk::__private::prost;
use events_sdk::__private::wire;

/// Checks a payload against its wire type: the same bytes, of the length that was announced, and back again.
pub(crate) fn same<P, W>(payload: P) -> W
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

/// What the SDK generates for itself: compiled in the place of the SDK.
pub mod levels {
    include!("../../golden/levels.rs");
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
        assert_eq!(payload.encoded_len(), 0);
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
    assert_eq!(Level::ALL.iter().map(|level| level.number()).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(Level::from_number(1), Some(Level::Warn));
    assert_eq!(Level::from_number(0), None);
    assert_eq!(Level::from_name("WARN"), Some(Level::Warn));
    assert_eq!(Level::from_name("warning"), None);
    assert_eq!(format!("{:>6}", Level::Info), "  info");
    assert_eq!((Category::ALL, Category::Disk.number()), (&[Category::Disk][..], 7));
    assert_eq!(Category::from_name("Disk"), Some(Category::Disk));
    assert_eq!((Category::from_number(7), Category::from_number(1)), (Some(Category::Disk), None));
    let payload = levels::payload::DiskPayload {};
    same::<_, proto::events::DiskPayload>(payload);
    assert_eq!(levels::emit_disk(payload, ()), __private::Events.emit_disk(payload, ()));
    assert_eq!(levels::kinds::disk::KIND.category_tag, [0x82, 0x01]);
}
