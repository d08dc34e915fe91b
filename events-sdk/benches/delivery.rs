//! Delivered events a second over loopback gRPC, beside prost structs through tonic in the same process.
//!
//! The server only counts. Both sides have four batches of 500 events in flight. Ours is the whole way: emit, buffer,
//! batch, send, acknowledgement. The other one builds prost events, puts them into an `EventBatch`, and sends it with
//! the generated client; it keeps no accounts, no ids and no order. Rounds of the two alternate.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::{
    collections::HashMap,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use events_sdk::{
    Config, Events, Level, ToggleConfig,
    payload::{StoragePoolOperation, StoragePoolPayload},
    proto::{self, events as wire, rodent_service_client::RodentServiceClient},
    testing::Toggle,
};
use tokio::task::JoinSet;

const EVENTS: usize = 400_000;
const BATCH: usize = 500;
const IN_FLIGHT: usize = 4;
const ROUNDS: usize = 5;

fn sdk(toggle: &Toggle) -> Duration {
    let spool = tempfile::tempdir().unwrap();
    let config = Config {
        spool_dir: spool.path().to_owned(),
        // Room for all: this is about delivery, not about what happens when more comes than can be sent.
        buffer_size: EVENTS + 1,
        buffer_bytes: 1 << 30,
        flush_threshold: EVENTS,
        batch_size: BATCH,
        max_in_flight: IN_FLIGHT,
        toggle: ToggleConfig { endpoint: Some(toggle.endpoint()), ..ToggleConfig::default() },
        ..Config::default()
    };
    let events = Events::start(config).unwrap();
    // The connection is made with the first event.
    emit(&events, 0);
    events.flush(Duration::from_secs(10));
    let start = Instant::now();
    for number in 1..EVENTS {
        emit(&events, number);
    }
    events.flush(Duration::from_secs(60));
    let taken = start.elapsed();
    let stats = events.stats();
    assert_eq!(stats.delivered, EVENTS as u64, "{stats:#?}");
    taken
}

fn emit(events: &Events, number: usize) {
    events.emit_storage_pool(
        Level::Info,
        StoragePoolPayload {
            pool_name: "tank",
            devices: &["/dev/disk/by-id/ata-1", "/dev/disk/by-id/ata-2"],
            raid_type: "mirror",
            size_bytes: 4 << 40,
            used_bytes: number as i64,
            ..StoragePoolPayload::new(StoragePoolOperation::Created)
        },
        [("component", "zfs"), ("transfer_id", "t-42")],
    );
}

fn structs(toggle: &Toggle) -> Duration {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let endpoint = tonic::transport::Endpoint::from_shared(toggle.endpoint()).unwrap();
        let client = RodentServiceClient::new(endpoint.connect().await.unwrap());
        let start = Instant::now();
        let mut sends = JoinSet::new();
        for batch in 0..EVENTS / BATCH {
            if sends.len() >= IN_FLIGHT {
                let _: proto::EventBatchResponse = sends.join_next().await.unwrap().unwrap();
            }
            let message = proto::EventBatch {
                events: (0..BATCH).map(|number| event(batch * BATCH + number)).collect(),
                batch_timestamp: now_ms(),
                batch_id: uuid::Uuid::now_v7().to_string(),
                ..proto::EventBatch::default()
            };
            let mut client = client.clone();
            sends.spawn(async move { client.send_events(message).await.unwrap().into_inner() });
        }
        while let Some(sent) = sends.join_next().await {
            sent.unwrap();
        }
        start.elapsed()
    })
}

fn event(number: usize) -> wire::Event {
    wire::Event {
        event_id: uuid::Uuid::now_v7().to_string(),
        level: wire::EventLevel::Info.into(),
        category: wire::EventCategory::Storage.into(),
        source: "zfs-pool-manager".to_owned(),
        timestamp: now_ms(),
        metadata: HashMap::from([("component", "zfs"), ("transfer_id", "t-42")])
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
        event_payload: Some(wire::event::EventPayload::StorageEvent(wire::StorageEvent {
            event_type: Some(wire::storage_event::EventType::PoolEvent(wire::StoragePoolPayload {
                pool_name: "tank".to_owned(),
                devices: vec!["/dev/disk/by-id/ata-1".to_owned(), "/dev/disk/by-id/ata-2".to_owned()],
                raid_type: "mirror".to_owned(),
                size_bytes: 4 << 40,
                used_bytes: number as i64,
                operation: wire::storage_pool_payload::StoragePoolOperation::Created.into(),
            })),
        })),
    }
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

fn main() {
    let toggle = Toggle::start().unwrap();
    toggle.only_count(true);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(sdk(&toggle));
        theirs.push(structs(&toggle));
    }
    ours.sort();
    theirs.sort();
    let rate = |time: &Duration| EVENTS as f64 / time.as_secs_f64() / 1e3;
    println!(
        "delivery, thousand events a second ({ROUNDS} rounds of {EVENTS}, batch {BATCH}, {IN_FLIGHT} in flight, server counts)"
    );
    println!("                              median    best");
    for (name, times) in [("events-sdk", &ours), ("prost structs through tonic", &theirs)] {
        println!("  {name:<28} {:>6.0} {:>7.0}", rate(&times[ROUNDS / 2]), rate(&times[0]));
    }
    println!(
        "  ratio                        {:>6.1} {:>7.1}",
        theirs[ROUNDS / 2].as_secs_f64() / ours[ROUNDS / 2].as_secs_f64(),
        theirs[0].as_secs_f64() / ours[0].as_secs_f64()
    );
}
