//! Panics in the delivery task and in the spool's thread, at every point: nothing is lost and the accounts balance.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use events_sdk::{
    UplinkState,
    testing::{Mode, panic_at, panic_points, panics_left},
};
use events_tests::{Rig, assert_numbers, storm, wait_until};

/// All of them over the points: a few thousand per point would be minutes in a debug build.
const EVENTS: usize = 20_000;
const LIMIT: Duration = Duration::from_secs(60);

/// So many times events go to disk during the outage, each time from memory and in a file of their own: more often than
/// any point is passed before it panics for the last time.
const BURSTS: usize = 6;

/// One test, as the points are the process's.
#[test]
fn a_panic_at_any_point_loses_nothing() {
    let points = panic_points();
    let each = EVENTS.div_ceil(points.len());
    for (place, point) in points.iter().copied().enumerate() {
        let rig = Rig::with(|config| {
            config.batch_size = 20;
            config.batch_timeout = Duration::from_millis(20);
            config.retry_max = Duration::from_millis(200);
        });
        panic_at(point, place as u32 % 3, 3);
        storm(&rig.events, 0..each / 3, 20_000);
        // Away, so that events go to disk and come back.
        rig.toggle.set_mode(Mode::Unavailable);
        let (from, length) = (each / 3, each * 2 / 3 - each / 3);
        for burst in 0..BURSTS {
            let numbers = from + length * burst / BURSTS..from + length * (burst + 1) / BURSTS;
            storm(&rig.events, numbers, 20_000);
            let stats = wait_until(&rig.events, LIMIT, |stats| {
                stats.on_disk > 0 && stats.in_memory == 0 && stats.uplink.state != UplinkState::Up
            });
            assert!(stats.on_disk > 0 && stats.in_memory == 0, "{point}: {stats:#?}");
        }
        rig.toggle.set_mode(Mode::Ok);
        storm(&rig.events, each * 2 / 3..each, 20_000);
        let _ = rig.events.flush(LIMIT);
        rig.assert_all_delivered(each, LIMIT);
        let stats = wait_until(&rig.events, Duration::from_secs(10), |stats| {
            // Files are removed a moment later.
            stats.restarts == u64::from(3 - panics_left()) && stats.spool.files == 0
        });
        assert!(stats.balances(), "{point}: {stats:#?}");
        assert_eq!(stats.restarts, u64::from(3 - panics_left()), "{point}: {stats:#?}");
        assert!(stats.restarts > 0, "{point} was never passed");
        let report = rig.events.shutdown(Duration::from_secs(10));
        assert!(report.complete && report.dropped == 0, "{point}: {report:#?}");
        assert_numbers(&rig.toggle, each);
    }
    panic_at("", 0, 0);
}
