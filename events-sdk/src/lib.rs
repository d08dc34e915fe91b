//! Typed events from Rodent to Toggle.

mod batch;
mod config;
mod level;
mod spool;
#[cfg(feature = "testing")]
pub mod testing;
pub mod toggle;
pub mod uplink;

pub use batch::Batch;
pub use level::{Category, Level};
pub use uplink::{SendError, SendErrorKind, Uplink};

/// The messages of the wire, for whoever reads events: tools, tests, servers.
#[allow(missing_docs, clippy::all, unused_qualifications, unreachable_pub)]
pub mod proto {
    include!(concat!(env!("OUT_DIR"), "/rodent.rs"));

    /// The event payloads.
    pub mod events {
        include!(concat!(env!("OUT_DIR"), "/rodent.events.rs"));
    }
}
