//! An event kind of its own, in a crate outside of the SDK. Three steps:
//!
//! 1. `proto/acme/backup.proto` says what there is to tell: a payload message, and an envelope whose oneof lists it. It
//!    imports the SDK's annotations, which the generator carries.
//! 2. `build.rs` runs the generator over it: one line.
//! 3. This file includes what was generated, and calls `emit_storage_backup`.
//!
//! The events go the way of all others: the same buffer, filters, spill files and accounts, the same Toggle.
//!
//! ```text
//! cargo run --release -p custom-schema
//! ```

// A program that shows something prints it.
#![allow(clippy::print_stderr, clippy::print_stdout)]

use std::{error::Error, time::Duration};

use events_sdk::{Config, Level, ToggleConfig, testing::Toggle};
use prost::Message;

use crate::backup::{
    emit_storage_backup,
    payload::{StorageBackupOperation, StorageBackupPayload},
    proto::acme::{BackupAgentBatch, backup_agent_event::EventPayload, backup_event::EventType},
};

/// What the generator made of `backup.proto`.
pub mod backup {
    include!(concat!(env!("OUT_DIR"), "/events.rs"));
}

fn main() {
    if let Err(error) = run() {
        eprintln!("{error}");
        std::process::exit(1);
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    // A Toggle in this process and a spool in a temporary directory: nothing to install.
    let toggle = Toggle::start()?;
    let spool = tempfile::tempdir()?;
    events_sdk::initialize(Config {
        spool_dir: spool.path().to_owned(),
        toggle: ToggleConfig { endpoint: Some(toggle.endpoint()), ..ToggleConfig::default() },
        ..Config::default()
    })?;

    // `new` takes what the schema calls required; the other fields are there to be set.
    let payload = StorageBackupPayload {
        target: "s3://acme-backup/node7",
        copied_bytes: 3 << 30,
        contact_email: "alice@example.net",
        ..StorageBackupPayload::new("tank/projects", StorageBackupOperation::Completed)
    };
    println!("emitting {payload:?}");
    emit_storage_backup(Level::Info, payload, [("job", "nightly")]);

    let report =
        events_sdk::shutdown(Duration::from_secs(5)).ok_or("the event system was shut down already")?;
    println!("delivered {}", report.delivered);

    // Toggle keeps batches as they came. This is how a reader that knows the schema finds its events in them.
    for call in toggle.batches() {
        let batch = BackupAgentBatch::decode(call.body().unwrap_or_default())?;
        for event in batch.events {
            let Some(EventPayload::StorageEvent(storage)) = event.event_payload else { continue };
            let Some(EventType::BackupEvent(backup)) = storage.event_type else { continue };
            println!(
                "Toggle received a backup of {} to {}: {:?}, {} bytes (from {}, metadata {:?})",
                backup.dataset_name,
                backup.target,
                backup.operation(),
                backup.copied_bytes,
                event.source,
                event.metadata
            );
        }
    }
    Ok(())
}
