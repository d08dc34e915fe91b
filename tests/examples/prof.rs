use events_sdk::{
    Batch, Config, DurabilityMode, Events, Level, SendError, Uplink,
    payload::{StoragePoolOperation, StoragePoolPayload},
    uplink::SendFuture,
};
use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};
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
#[inline(never)]
fn emit_one(events: &Events, number: i64) {
    let _ = black_box(events.emit_storage_pool(
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
    ));
}
fn main() {
    let mode = std::env::args().nth(1).unwrap();
    let rounds: usize = std::env::args().nth(2).unwrap().parse().unwrap();
    let dir = std::env::args().nth(3).unwrap();
    let mut systems = Vec::new();
    for name in mode.split(',') {
        let durability = *DurabilityMode::ALL.iter().find(|m| m.name() == name).unwrap();
        let spool = tempfile::tempdir_in(&dir).unwrap();
        let config = Config { spool_dir: spool.path().to_owned(), durability, ..Config::default() };
        systems.push((
            name.to_owned(),
            Events::start_with(config, Arc::new(Nowhere)).unwrap(),
            Vec::new(),
            spool,
        ));
    }
    for _ in 0..rounds {
        for (_, events, times, _) in &mut systems {
            let t = Instant::now();
            for n in 0..10_000 {
                emit_one(events, n);
            }
            times.push(t.elapsed().as_nanos() as u64 / 10_000);
            events.flush(Duration::from_secs(10));
        }
    }
    for (name, events, times, _) in &mut systems {
        times.sort();
        println!(
            "{name:<10} median {} best {} {:?}",
            times[times.len() / 2],
            times[0],
            events.stats().durability.unprotected
        );
        events.shutdown(Duration::from_secs(5));
    }
}
