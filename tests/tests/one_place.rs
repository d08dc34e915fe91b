//! One place in flight: live events and the backlog take it by turns.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use events_sdk::{Batch, Config, ErrorKind, Events, Uplink, testing::Toggle, uplink::SendFuture};
use events_tests::{NUMBER, config, emit_number, wait_until};
use tempfile::TempDir;

const BATCH: usize = 10;
const LEFT: usize = 500;
const LIMIT: Duration = Duration::from_secs(60);

/// Takes everything, and sees that a full batch of live events waits whenever its place is free.
#[derive(Debug, Default)]
struct Saturated {
    events: OnceLock<Events>,
    /// The numbers of live events.
    next: AtomicUsize,
    /// For each batch whether it was of the backlog.
    batches: Mutex<Vec<bool>>,
}

impl Saturated {
    fn emit(&self, count: usize) {
        let Some(events) = self.events.get() else { return };
        for _ in 0..count {
            emit_number(events, LEFT + self.next.fetch_add(1, Ordering::Relaxed));
        }
    }
}

impl Uplink for Saturated {
    fn send(&self, batch: Arc<Batch>) -> SendFuture<'_> {
        let first = batch.decode().unwrap().events.swap_remove(0);
        let is_left = first.metadata.get(NUMBER).is_some_and(|text| text.parse::<usize>().unwrap() < LEFT);
        self.batches.lock().unwrap().push(is_left);
        if !is_left {
            self.emit(BATCH);
        }
        Box::pin(async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            Ok(())
        })
    }

    fn target(&self) -> String {
        "saturated".to_owned()
    }
}

fn start(config: &Config, uplink: &Arc<Saturated>) -> Events {
    for _ in 0..1_000 {
        match Events::start_with(config.clone(), uplink.clone()) {
            Err(error) if error.kind() == ErrorKind::SpoolInUse => {
                std::thread::sleep(Duration::from_millis(20));
            }
            started => return started.unwrap(),
        }
    }
    unreachable!("the spool is never left");
}

#[test]
fn the_backlog_goes_out_beside_live_events_that_would_fill_the_one_place() {
    let (toggle, spool) = (Toggle::start().unwrap(), TempDir::new().unwrap());
    toggle.stop();
    let mut config = config(&toggle, spool.path());
    let earlier = Events::start(config.clone()).unwrap();
    (0..LEFT).for_each(|number| emit_number(&earlier, number));
    assert_eq!(earlier.shutdown(LIMIT).on_disk, LEFT as u64);
    drop(earlier);

    config.max_in_flight = 1;
    config.batch_size = BATCH;
    let uplink = Arc::new(Saturated::default());
    let events = start(&config, &uplink);
    uplink.events.set(events.clone()).unwrap();
    uplink.emit(3 * BATCH);
    let stats = wait_until(&events, LIMIT, |stats| stats.adopted == LEFT as u64 && stats.on_disk == 0);
    assert_eq!((stats.adopted, stats.on_disk), (LEFT as u64, 0), "{stats:#?}");
    let batches = uplink.batches.lock().unwrap().clone();
    assert!(batches.iter().filter(|&&is_left| !is_left).count() > 10, "it was never saturated: {batches:?}");
    // Nor does the backlog keep live events back: three of their batches go before each of its pieces.
    let mut runs = batches.split(|&is_left| is_left).map(<[bool]>::len).skip(1).collect::<Vec<_>>();
    runs.pop();
    assert!(runs.iter().all(|&run| run >= 3), "{batches:?}");
    events.shutdown(Duration::ZERO);
}
