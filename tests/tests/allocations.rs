//! Emitting allocates nothing in steady state.

use std::time::Duration;

use events_sdk::{
    Level,
    payload::{StoragePoolOperation, StoragePoolPayload},
};
use events_tests::{Rig, wait_until};

const EVENTS: u64 = 5_000;

#[test]
fn an_emit_in_steady_state_allocates_nothing() {
    let rig = Rig::start();
    rig.toggle.only_count(true);
    let emit = || {
        let devices = ["/dev/sda", "/dev/sdb"];
        rig.events.emit_storage_pool(
            Level::Info,
            StoragePoolPayload {
                pool_name: "tank",
                devices: &devices,
                raid_type: "mirror",
                size_bytes: 4 << 40,
                used_bytes: 1 << 40,
                ..StoragePoolPayload::new(StoragePoolOperation::Created)
            },
            [("component", "zfs"), ("transfer_id", "t-42")],
        )
    };
    let mut emitted = 0;
    let mut allocations = 0;
    // Ten events, then a pause in which they are sent: a node that is not in a storm. The first round warms up.
    for round in 0..2 {
        for _ in 0..EVENTS / 10 {
            let counted = allocation_counter::measure(|| {
                for _ in 0..10 {
                    assert!(emit().is_queued());
                }
            });
            emitted += 10;
            if round > 0 {
                allocations += counted.count_total;
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        wait_until(&rig.events, Duration::from_secs(10), |stats| stats.delivered == emitted);
    }
    assert_eq!(allocations, 0, "in {EVENTS} events");
}
