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
//! 3. `buffer` keeps it in memory, in chunks that are batches. Unless the durability is [`DurabilityMode::Memory`] a copy goes
//!    to a `segment`, a mapped file that outlives the process; with [`DurabilityMode::Power`], and for whoever waits for an
//!    event, `sync` brings segments to stable storage.
//! 4. `delivery` sends batches through the [`Uplink`], or has `spool` write them to disk while Toggle is away, and brings
//!    them back when it is there again. What an earlier process left in segments becomes spill files.
//! 5. `accounts` knows where every event is: [`Stats`]. `ledger` keeps the sums over all processes in the spool directory.
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
//!
//! # The calls of the earlier agent
//!
//! What the earlier agent's developers wrote in Go, in Rust. A registration with Toggle starts the event system; from
//! then on events are accepted:
//!
//! ```
//! # use events_sdk::{Config, ToggleConfig, proto::SystemInfo, testing, toggle};
//! use events_sdk::{
//!     self as events, Level,
//!     payload::{
//!         ServiceStatusOperation, ServiceStatusPayload, StorageTransferOperation, StorageTransferPayload,
//!         SystemStartupOperation, SystemStartupPayload,
//!     },
//! };
//! use std::time::{Duration, SystemTime, UNIX_EPOCH};
//! # let directory = tempfile::tempdir()?;
//! # let server = testing::Toggle::start()?;
//! # let config = Config {
//! #     spool_dir: directory.path().join("events"),
//! #     toggle: ToggleConfig { endpoint: Some(server.endpoint()), ..ToggleConfig::default() },
//! #     ..Config::default()
//! # };
//! # let system_info = SystemInfo::default();
//!
//! let client = events::toggle::Client::new(config)?;
//! client.register_blocking(system_info)?;
//!
//! // System event
//! let boot_time = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() as i64;
//! events::emit_system_startup(
//!     SystemStartupPayload {
//!         boot_time_seconds: boot_time,
//!         services_started: &["rodent-controller"],
//!         ..SystemStartupPayload::new(SystemStartupOperation::Registered)
//!     },
//!     [("component", "toggle-registration")],
//! );
//!
//! // Storage event
//! let transfer_id = String::from("t-42");
//! events::emit_storage_transfer(
//!     Level::Info,
//!     StorageTransferPayload {
//!         source: "tank/test@snap1",
//!         destination: "backup/test",
//!         size_bytes: 1024 * 1024,
//!         ..StorageTransferPayload::new(StorageTransferOperation::Started)
//!     },
//!     [("transfer_id", &transfer_id)],
//! );
//!
//! // Service event
//! events::emit_service_status(
//!     Level::Info,
//!     ServiceStatusPayload {
//!         service_name: "rodent-controller",
//!         status: "running",
//!         pid: std::process::id() as i32,
//!         ..ServiceStatusPayload::new(ServiceStatusOperation::Started)
//!     },
//!     (),
//! );
//!
//! assert!(events::is_initialized());
//! let report = events::shutdown(Duration::from_secs(5)).ok_or("there was no event system")?;
//! assert_eq!(report.delivered, 3);
//! # use events_sdk::proto::events::{event::EventPayload, *};
//! # let arrived = server.events();
//! # assert_eq!(arrived.len(), 3);
//! # let Some(EventPayload::SystemEvent(event)) = &arrived[0].event_payload else { panic!("{arrived:?}") };
//! # let Some(system_event::EventType::Startup(startup)) = &event.event_type else { panic!("{arrived:?}") };
//! # assert_eq!((startup.boot_time_seconds, startup.operation), (boot_time, 5));
//! # assert_eq!(startup.services_started, ["rodent-controller"]);
//! # assert_eq!(arrived[0].metadata["component"], "toggle-registration");
//! # let Some(EventPayload::StorageEvent(event)) = &arrived[1].event_payload else { panic!("{arrived:?}") };
//! # let Some(storage_event::EventType::TransferEvent(transfer)) = &event.event_type else { panic!("{arrived:?}") };
//! # assert_eq!((transfer.source.as_str(), transfer.destination.as_str()), ("tank/test@snap1", "backup/test"));
//! # assert_eq!((transfer.size_bytes, transfer.operation), (1024 * 1024, 1));
//! # assert_eq!((arrived[1].level, &arrived[1].metadata["transfer_id"]), (1, &transfer_id));
//! # let Some(EventPayload::ServiceEvent(event)) = &arrived[2].event_payload else { panic!("{arrived:?}") };
//! # let Some(service_event::EventType::StatusEvent(status)) = &event.event_type else { panic!("{arrived:?}") };
//! # assert_eq!((status.service_name.as_str(), status.status.as_str()), ("rodent-controller", "running"));
//! # assert_eq!((status.pid as u32, status.operation), (std::process::id(), 1));
//! # assert!(arrived[2].metadata.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! An emission function that had to be written by hand there is generated here, from the message in the schema:
//!
//! ```
//! # use events_sdk::{Config, ToggleConfig, testing};
//! use events_sdk::{Events, Level, payload::{NetworkConnectionOperation, NetworkConnectionPayload}};
//! # let directory = tempfile::tempdir()?;
//! # let server = testing::Toggle::start()?;
//! # let config = Config {
//! #     spool_dir: directory.path().join("events"),
//! #     toggle: ToggleConfig { endpoint: Some(server.endpoint()), ..ToggleConfig::default() },
//! #     ..Config::default()
//! # };
//!
//! let events = Events::start(config)?;
//! events.emit_network_connection(
//!     Level::Error,
//!     NetworkConnectionPayload {
//!         source_ip: "192.168.1.100",
//!         destination_ip: "192.168.1.1",
//!         source_port: 12345,
//!         ..NetworkConnectionPayload::new(NetworkConnectionOperation::Failed)
//!     },
//!     [("component", "netmage"), ("interface", "eth0")],
//! );
//! # use std::time::Duration;
//! # use events_sdk::proto::events::{event::EventPayload, network_event::EventType};
//! # assert!(server.wait_for_events(1, Duration::from_secs(10)), "{:#?}", events.stats());
//! # let arrived = server.events().remove(0);
//! # assert_eq!((arrived.source.as_str(), arrived.level), ("network-manager", 3));
//! # assert_eq!(arrived.metadata["component"], "netmage");
//! # assert_eq!(arrived.metadata["interface"], "eth0");
//! # let Some(EventPayload::NetworkEvent(event)) = arrived.event_payload else { panic!("{arrived:?}") };
//! # let Some(EventType::ConnectionEvent(connection)) = event.event_type else { panic!("no connection") };
//! # assert_eq!((connection.source_ip.as_str(), connection.destination_ip.as_str()), ("192.168.1.100", "192.168.1.1"));
//! # assert_eq!((connection.source_port, connection.operation), (12345, 3));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod accounts;
mod backoff;
mod batch;
mod buffer;
mod chunk;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
mod config;
mod delivery;
mod emit;
mod error;
mod fault;
mod file_limit;
mod fork;
#[cfg(test)]
mod fuzz;
mod generated;
mod global;
mod handle;
mod id;
mod kind;
mod ledger;
mod losses;
mod macro_support;
mod mapped;
mod metadata;
mod pii;
mod plural;
mod primitives;
#[path = "../../codegen/src/secret.rs"]
mod secret;
mod segment;
mod spool;
mod stats;
mod sync;
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
pub use global::{flush, initialize, initialize_with, is_initialized, shutdown, stats, wait};
pub use handle::{Events, FlushOutcome, ShutdownReport, WaitOutcome};
pub use kind::{Durability, Kind};
pub use metadata::Metadata;
pub use stats::{BufferStats, DurabilityStats, LifetimeStats, SpoolStats, Stats, UplinkState, UplinkStats};
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
        Durability, Events, Kind, Level, Metadata, Ticket,
        global::{__emit as emit, __refuses as refuses, __refuses_by_schema as refuses_by_schema},
        macro_support::{refuses_on, refuses_on_by_schema, require, schema_level, takes_level},
        wire,
    };
    pub use events_macros::emit_event;
    pub use prost;
}
