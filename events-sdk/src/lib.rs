//! Typed events from Rodent to Toggle.
//!
//! A storage node's agent, Rodent, tells its upstream, Toggle, what happens on the node. This crate is what Rodent's
//! developers call to say so: one typed function per kind of event, generated from the protobuf schema, over a runtime
//! that buffers, spills to disk when Toggle is away, delivers, replays, and accounts for every event.
//!
//! # The life of an event
//!
//! 1. A generated function, [`emit_storage_pool`] for one, takes a borrowed [`payload`] and [`Metadata`].
//! 2. `emit` stamps it with an id, the time, its category and source, and encodes it, once.
//! 3. `buffer` keeps it in memory, in chunks that are batches.
//! 4. `delivery` sends batches through the [`Uplink`], or has `spool` write them to disk while Toggle is away, and brings
//!    them back when it is there again.
//! 5. `accounts` knows where every event is: [`Stats`].
//!
//! # Use
//!
//! ```no_run
//! use std::time::Duration;
//! use events_sdk::{self as events, Config, Level, payload::{StorageTransferOperation, StorageTransferPayload}};
//!
//! events::initialize(Config::load("/etc/rodent")?)?;
//!
//! let transfer_id = "t-42";
//! events::emit_storage_transfer(
//!     Level::Info,
//!     StorageTransferPayload {
//!         source: "tank/test@snap1",
//!         destination: "backup/test",
//!         size_bytes: 1024 * 1024,
//!         ..StorageTransferPayload::new(StorageTransferOperation::Started)
//!     },
//!     [("transfer_id", transfer_id)],
//! );
//!
//! events::shutdown(Duration::from_secs(5));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`emit!`] writes the same call in one line, and evaluates nothing for an event that nobody wants.
//!
//! Programs that want no global keep an [`Events`] handle; it has the same functions as methods.

mod accounts;
mod backoff;
mod batch;
mod buffer;
mod chunk;
mod config;
mod delivery;
mod emit;
mod error;
mod generated;
mod global;
mod handle;
mod id;
mod kind;
mod macro_support;
mod metadata;
mod spool;
mod stats;
#[cfg(feature = "testing")]
pub mod testing;
mod ticket;
pub mod toggle;
pub mod uplink;
pub mod well_known;
#[doc(hidden)]
pub mod wire;
mod worker;

pub use accounts::Dropped;
pub use batch::Batch;
pub use config::*;
pub use error::{Error, ErrorKind};
pub use generated::*;
pub use global::{flush, initialize, initialize_with, is_initialized, shutdown, stats};
pub use handle::{Events, FlushOutcome, ShutdownReport};
pub use kind::Kind;
pub use metadata::Metadata;
pub use stats::{BufferStats, SpoolStats, Stats, UplinkState, UplinkStats};
pub use ticket::{DropReason, Outcome, Ticket};
pub use uplink::{SendError, SendErrorKind, Uplink};

/// The messages of the wire, for whoever reads events: tools, tests, servers.
#[allow(missing_docs, deprecated, clippy::all, unreachable_pub)]
pub mod proto {
    include!(concat!(env!("OUT_DIR"), "/rodent.rs"));

    /// Protobuf's own types.
    pub mod google {
        pub use prost_types as protobuf;
    }

    /// The event payloads.
    pub mod events {
        include!(concat!(env!("OUT_DIR"), "/rodent.events.rs"));
    }
}

/// What generated code names. Not for use by hand; it may change with any version of the generator.
#[doc(hidden)]
pub mod __private {
    pub use crate::{
        Events, Kind, Level, Metadata, Ticket,
        global::{__emit as emit, __refuses as refuses},
        macro_support::{fixed_level, refuses_on, require, takes_level},
        wire,
    };
    pub use events_macros::emit_event;
    pub use prost;
}
