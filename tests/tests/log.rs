//! Whoever takes the log may use the event system itself: nothing is logged under a lock that this needs.

#![allow(clippy::expect_used, reason = "helpers of tests fail as tests do")]

use std::{
    cell::Cell,
    fs,
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use events_sdk::{
    DurabilityMode, Events,
    testing::{self, Mode},
};
use events_tests::{Rig, emit_number, storm, wait_until};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

const PATIENCE: Duration = Duration::from_secs(60);

/// Emits an event, and reads the statistics, for each line.
struct Listener;

static EVENTS: OnceLock<Events> = OnceLock::new();
static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());
static EMITTED: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static IS_INSIDE: Cell<bool> = const { Cell::new(false) };
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("events_sdk")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        if IS_INSIDE.replace(true) {
            return;
        }
        let mut text = Text(String::new());
        event.record(&mut text);
        if let Some(events) = EVENTS.get() {
            emit_number(events, EMITTED.fetch_add(1, Ordering::Relaxed));
            let _ = events.stats();
        }
        LINES.lock().unwrap_or_else(PoisonError::into_inner).push(text.0);
        IS_INSIDE.set(false);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn said(part: &str) -> bool {
    LINES.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|line| line.contains(part))
}

#[test]
fn whoever_takes_the_log_may_emit_and_look_at_the_statistics() {
    tracing::subscriber::set_global_default(Listener).expect("the only one");
    let rig = Rig::with(|config| {
        config.durability = DurabilityMode::Power;
        config.sync_interval = Duration::from_millis(50);
        config.retry_max = Duration::from_millis(200);
    });
    let events = rig.events.clone();
    assert!(EVENTS.set(rig.events.clone()).is_ok());

    // Toggle goes away and comes back, and steps panic meanwhile.
    rig.toggle.set_mode(Mode::Unavailable);
    for point in ["round", "spool write", "sync"] {
        testing::panic_at(point, 0, 1);
        storm(&events, 600..700, 1_000_000);
        wait_until(&events, PATIENCE, |_| testing::panics_left() == 0);
    }
    wait_until(&events, PATIENCE, |stats| stats.uplink.attempts_failed > 1);
    rig.toggle.set_mode(Mode::Ok);
    // A sync fails.
    for sync in testing::syncs() {
        testing::fail_at(sync, 0, 1);
        storm(&events, 600..700, 1_000_000);
        wait_until(&events, Duration::from_secs(2), |_| testing::faults_left() == 0);
    }
    // No segment can be made, nor a file be written.
    let segments = rig.spool.path().join("segments");
    fs::remove_dir_all(&segments).expect("ours");
    fs::write(&segments, "in the way").expect("ours");
    testing::limit_free_bytes(Some(0));
    wait_until(&events, PATIENCE, |_| {
        storm(&events, 600..1_600, 1_000_000);
        said("no segment can be made")
    });
    fs::remove_file(&segments).expect("ours");
    testing::limit_free_bytes(None);
    wait_until(&events, PATIENCE, |_| {
        storm(&events, 600..700, 1_000_000);
        said("segments can be made again")
    });
    let report = events.shutdown(PATIENCE);
    assert!(report.stats.lifetime.balances(), "{report:#?}");
    let all = [
        "Toggle does not take events",
        "panicked and was restarted",
        "cannot be synced",
        "no segment can be made",
    ];
    for part in all {
        assert!(said(part), "{part:?} is not among {LINES:#?}");
    }
    assert!(EMITTED.load(Ordering::Relaxed) >= all.len());
}
