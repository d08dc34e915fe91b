//! Emitting allocates nothing in steady state.

use std::time::Duration;

use events_sdk::{
    FlushOutcome, Level,
    payload::{StoragePoolOperation, StoragePoolPayload},
};
use events_tests::Rig;

const BATCHES: usize = 60;
const WARM_UP: usize = 10;

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
    // Whole batches, each sent before the next one begins. The first ones warm up.
    let mut allocations = 0;
    for batch in 0..BATCHES {
        let counted = allocation_counter::measure(|| {
            for _ in 0..100 {
                assert!(emit().is_queued());
            }
        });
        if batch >= WARM_UP {
            allocations += counted.count_total;
        }
        assert_eq!(rig.events.flush(Duration::from_secs(10)), FlushOutcome::Complete);
    }
    assert_eq!(allocations, 0, "in {} events", (BATCHES - WARM_UP) * 100);
}
