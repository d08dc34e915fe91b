//! What an emit costs the caller, beside the naive design in the same process.
//!
//! The naive design builds an owned prost `Event` with a `HashMap` of metadata and a fresh UUIDv7, sends it through a
//! tokio channel to a task, and that task pushes it into a vector under a mutex, which is emptied by batches. It is what
//! one writes on a first afternoon, and about what the earlier agent did.
//!
//! The same with the durabilities `process` and `power`: the target is that `process` costs at most a quarter more than
//! `memory`.
//!
//! All are measured in bursts that fit into the buffer; between the bursts, outside of the measurement, the buffers run
//! empty. The sink does nothing. All take turns in one process, in changing order, so that each sees the same machine.
//! What a durability costs is the ratio to `memory` in the same round, a few milliseconds apart, and of all rounds the
//! median: what else the machine does slows both, or spoils a round.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::{
    collections::HashMap,
    hint::black_box,
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use events_sdk::{
    Batch, Config, DurabilityMode, Events, Level, SendError, Uplink,
    payload::{StoragePoolOperation, StoragePoolPayload},
    proto::events as wire,
    uplink::SendFuture,
};
use tokio::sync::mpsc;

/// Events of a burst: fewer than the flush threshold, and several times the batches for which chunks are kept at hand.
const BURST: u32 = 5_000;
const ROUNDS: usize = 320;

/// Acknowledges everything.
struct Nowhere;

impl Uplink for Nowhere {
    fn send(&self, batch: Arc<Batch>) -> SendFuture<'_> {
        Box::pin(async move {
            black_box(batch.len());
            Ok::<(), SendError>(())
        })
    }

    fn target(&self) -> String {
        "nowhere".into()
    }
}

/// A design that the SDK is compared with.
trait Design {
    fn emit(&self, number: i64);
    fn drain(&self);
}

struct Sdk(Events);

impl Design for Sdk {
    fn emit(&self, number: i64) {
        let ticket = self.0.emit_storage_pool(
            Level::Info,
            StoragePoolPayload {
                pool_name: black_box("tank"),
                devices: black_box(&["/dev/disk/by-id/ata-1", "/dev/disk/by-id/ata-2"]),
                raid_type: black_box("mirror"),
                size_bytes: black_box(4 << 40),
                used_bytes: number,
                ..StoragePoolPayload::new(StoragePoolOperation::Created)
            },
            [("component", black_box("zfs")), ("transfer_id", black_box("t-42"))],
        );
        assert!(ticket.is_queued(), "a dropped event would be a cheap one");
    }

    fn drain(&self) {
        self.0.flush(Duration::from_secs(10));
    }
}

struct Naive {
    queue: mpsc::Sender<Box<wire::Event>>,
    buffer: Arc<Mutex<Vec<wire::Event>>>,
    drained: Arc<std::sync::atomic::AtomicU64>,
    sent: std::sync::atomic::AtomicU64,
    _runtime: tokio::runtime::Runtime,
}

impl Naive {
    fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (queue, mut events) = mpsc::channel::<Box<wire::Event>>(20_000);
        let buffer = Arc::new(Mutex::new(Vec::with_capacity(20_000)));
        let drained = Arc::new(std::sync::atomic::AtomicU64::new(0));
        let (to, count) = (Arc::clone(&buffer), Arc::clone(&drained));
        runtime.spawn(async move {
            while let Some(event) = events.recv().await {
                let mut buffer = to.lock().unwrap();
                buffer.push(*event);
                if buffer.len() >= 100 {
                    let batch: Vec<_> = buffer.drain(..).collect();
                    drop(buffer);
                    black_box(&batch);
                }
                count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        });
        Self { queue, buffer, drained, sent: 0.into(), _runtime: runtime }
    }
}

impl Design for Naive {
    fn emit(&self, number: i64) {
        let metadata = HashMap::from([
            ("component".to_owned(), black_box("zfs").to_owned()),
            ("transfer_id".to_owned(), black_box("t-42").to_owned()),
        ]);
        let payload = wire::StoragePoolPayload {
            pool_name: black_box("tank").to_owned(),
            devices: ["/dev/disk/by-id/ata-1", "/dev/disk/by-id/ata-2"]
                .map(|path| black_box(path).to_owned())
                .into(),
            raid_type: black_box("mirror").to_owned(),
            size_bytes: black_box(4 << 40),
            used_bytes: number,
            operation: wire::storage_pool_payload::StoragePoolOperation::Created.into(),
        };
        let event = wire::Event {
            event_id: uuid::Uuid::now_v7().to_string(),
            level: wire::EventLevel::Info.into(),
            category: wire::EventCategory::Storage.into(),
            source: "zfs-pool-manager".to_owned(),
            timestamp: SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64,
            metadata: metadata.into_iter().collect(),
            event_payload: Some(wire::event::EventPayload::StorageEvent(wire::StorageEvent {
                event_type: Some(wire::storage_event::EventType::PoolEvent(payload)),
            })),
        };
        assert!(self.queue.try_send(Box::new(event)).is_ok(), "a dropped event would be a cheap one");
        self.sent.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }

    fn drain(&self) {
        while self.drained.load(std::sync::atomic::Ordering::Relaxed)
            < self.sent.load(std::sync::atomic::Ordering::Relaxed)
        {
            std::thread::sleep(Duration::from_micros(200));
        }
        self.buffer.lock().unwrap().clear();
    }
}

/// The time of one emit of a burst.
fn burst(design: &dyn Design) -> Duration {
    let start = Instant::now();
    for number in 0..BURST {
        design.emit(i64::from(number));
    }
    let taken = start.elapsed();
    design.drain();
    taken / BURST
}

fn main() {
    // Not in a tmpfs, where everything is in memory.
    let spool = tempfile::tempdir_in(option_env!("CARGO_TARGET_TMPDIR").unwrap_or(".")).unwrap();
    let start = |durability: DurabilityMode| {
        let spool_dir = spool.path().join(durability.name());
        let config = Config { spool_dir, durability, ..Config::default() };
        Sdk(Events::start_with(config, Arc::new(Nowhere)).unwrap())
    };
    let (sdk, process, power) =
        (start(DurabilityMode::Memory), start(DurabilityMode::Process), start(DurabilityMode::Power));
    let naive = Naive::start();
    let designs: [&dyn Design; 4] = [&sdk, &process, &power, &naive];
    let mut times = [const { Vec::new() }; 4];
    for round in 0..ROUNDS {
        // In changing order: each comes after another one, and finds the caches as that leaves them.
        for place in 0..designs.len() {
            let which = (place * (1 + 2 * (round / 4 % 2)) + round) % designs.len();
            times[which].push(burst(designs[which]));
        }
    }
    let [memory, in_process, in_power, naive_times] = &times;
    for sdk in [&sdk, &process, &power] {
        let stats = sdk.0.stats();
        assert_eq!((stats.dropped_total(), stats.durability.unprotected), (0, 0), "{stats:#?}");
    }
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("emit, ns per call at the caller ({ROUNDS} bursts of {BURST}, sink that does nothing)");
    println!("load of the machine: {}", load.split(' ').next().unwrap_or("unknown"));
    println!("                     median   best   ratio to memory: median   best");
    let rows = [
        ("events-sdk", memory),
        ("  with process", in_process),
        ("  with power", in_power),
        ("naive design", naive_times),
    ];
    for (name, times) in rows {
        let ratios = times.iter().zip(memory).map(|(time, memory)| time.as_secs_f64() / memory.as_secs_f64());
        println!(
            "  {name:<16} {:>8} {:>6} {:>25.2} {:>6.2}",
            sorted(times)[ROUNDS / 2].as_nanos(),
            sorted(times)[0].as_nanos(),
            sorted(&ratios.collect::<Vec<_>>())[ROUNDS / 2],
            sorted(times)[0].as_secs_f64() / sorted(memory)[0].as_secs_f64(),
        );
    }
}

fn sorted<T: Copy + PartialOrd>(values: &[T]) -> Vec<T> {
    let mut values = values.to_vec();
    values.sort_by(|a, b| a.partial_cmp(b).unwrap());
    values
}
