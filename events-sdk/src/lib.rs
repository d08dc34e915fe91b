//! Typed events from Rodent to Toggle.

mod batch;
mod config;
mod kind;
mod metadata;
mod spool;
mod stand_in;
#[cfg(feature = "testing")]
pub mod testing;
mod ticket;
pub mod toggle;
pub mod uplink;
#[doc(hidden)]
pub mod wire;

pub use batch::Batch;
pub use generated::*;
pub use kind::Kind;
pub use metadata::Metadata;
pub use stand_in::Events;
pub use ticket::{DropReason, Outcome, Ticket};
pub use uplink::{SendError, SendErrorKind, Uplink};

/// What the generator writes from the schema.
mod generated {
    include!(concat!(env!("OUT_DIR"), "/events.rs"));
}

/// What generated code calls. Not for people: it changes without notice.
#[doc(hidden)]
pub mod __private {
    pub use ::prost;

    pub use crate::{Category, Events, Kind, Level, Metadata, Ticket, stand_in::emit, wire};
}

/// The messages of the wire, for whoever reads events: tools, tests, servers.
#[allow(missing_docs, deprecated, clippy::all, unused_qualifications, unreachable_pub)]
pub mod proto {
    include!(concat!(env!("OUT_DIR"), "/rodent.rs"));

    /// The event payloads.
    pub mod events {
        include!(concat!(env!("OUT_DIR"), "/rodent.events.rs"));
    }
}
