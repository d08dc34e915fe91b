//! Everything at once, in orders that nobody thought of: Toggle, the disk, its syncs, panics and restarts, in each way of keeping
//! events. Whatever happened, every event is delivered or counted as dropped, and none is invented.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests fail and speak as tests do"
)]

use std::{
    collections::HashSet,
    path::Path,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use events_sdk::{
    Config, DropReason, DurabilityMode, ErrorKind, Events, Level, Outcome,
    payload::{StoragePoolOperation, StoragePoolPayload},
    testing::{self, Mode, Toggle},
};
use events_tests::{Dice, NUMBER, config, losses_in, seeds, wait_until};
use tempfile::TempDir;

/// As long as anything may take that is not stuck: a Toggle that was busy to the end gets a batch every twenty seconds, and more
/// only when it has taken them for three quarters of a minute.
const PATIENCE: Duration = Duration::from_secs(240);

/// So many things happen in a day.
const STEPS: usize = 40;

/// What is broken is broken for the whole process: one test at a time.
static WORLD: Mutex<()> = Mutex::new(());

/// On every other day so much lies on disk that room must be made again and again, whatever Toggle has been offered.
fn is_full(seed: u64) -> bool {
    seed.is_multiple_of(2)
}

fn start(toggle: &Toggle, spool: &Path, durability: DurabilityMode, seed: u64) -> Events {
    let config = Config {
        durability,
        buffer_size: 2_000,
        flush_threshold: 1_000,
        buffer_bytes: if is_full(seed) { 256 << 10 } else { 1 << 20 },
        batch_size: 200,
        spool_max_bytes: if is_full(seed) { 1 << 20 } else { 2 << 20 },
        spool_min_free_bytes: 64 << 10,
        batch_timeout: Duration::from_millis(30),
        sync_interval: Duration::from_millis(50),
        retry_max: Duration::from_millis(200),
        ..config(toggle, spool)
    };
    // One whose deadline had passed may still be closing its spool.
    for _ in 0..1_000 {
        match Events::start(config.clone()) {
            Err(error) if error.kind() == ErrorKind::SpoolInUse => {
                std::thread::sleep(Duration::from_millis(10))
            }
            started => return started.expect("an event system"),
        }
    }
    panic!("the spool stays in use");
}

/// Whether it is accepted, and be it to be dropped.
fn emit(events: &Events, number: usize, level: Level, pool: &str) -> bool {
    let text = number.to_string();
    let payload =
        StoragePoolPayload { pool_name: pool, ..StoragePoolPayload::new(StoragePoolOperation::Expanded) };
    let ticket = events.emit_storage_pool(level, payload, [(NUMBER, text.as_str())]);
    assert_ne!(ticket.outcome(), Outcome::Dropped(DropReason::NotInitialized));
    ticket.outcome() != Outcome::Filtered
}

fn mend(toggle: &Toggle) {
    testing::let_go();
    testing::limit_free_bytes(None);
    toggle.set_mode(Mode::Ok);
}

fn day(seed: u64, durability: DurabilityMode) {
    println!("seed {seed} {durability:?}");
    let mut dice = Dice::new(seed);
    let (toggle, spool) = (Toggle::start().expect("loopback"), TempDir::new().expect("a folder"));
    let mut events = start(&toggle, spool.path(), durability, seed);
    let points = [testing::panic_points(), testing::special_panic_points()].concat();
    let pool = if is_full(seed) { "tank".repeat(200) } else { "tank".to_owned() };
    let mut emitted = 0;
    for _ in 0..STEPS {
        match dice.below(8) {
            0..=2 => {
                let level = dice.of(&[Level::Debug, Level::Info, Level::Info, Level::Warn, Level::Error]);
                for _ in 0..dice.of(&[10, 100, 800]) {
                    emitted += usize::from(emit(&events, emitted, level, &pool));
                }
            }
            3 => toggle.set_mode(dice.of(&[
                Mode::Ok,
                Mode::Ok,
                Mode::Unavailable,
                Mode::StoreThenFail,
                Mode::ResourceExhausted,
                Mode::Hang,
                Mode::DropConnections,
            ])),
            4 => testing::limit_free_bytes(dice.of(&[None, Some(0), Some(70 << 10), Some(150 << 10)])),
            5 => testing::fail_at(dice.of(testing::syncs()), 0, 1 + dice.below(3) as u32),
            6 => testing::panic_at(dice.of(&points), dice.below(3) as u32, 1),
            _ => {
                let report = events.shutdown(Duration::from_millis(dice.of(&[0, 50, 500, 2_000])));
                assert!(report.stats.balances(), "seed {seed}: {report:#?}");
                drop(events);
                events = start(&toggle, spool.path(), durability, seed);
            }
        }
        std::thread::sleep(Duration::from_millis(dice.of(&[1, 20, 100])));
        let stats = events.stats();
        assert!(stats.balances(), "seed {seed}: {stats:#?}");
    }
    mend(&toggle);
    let is_done = |life: &events_sdk::LifetimeStats| {
        life.is_surveyed && life.delivered + life.quarantined + life.dropped_total() == life.accepted
    };
    let stats = wait_until(&events, PATIENCE, |stats| is_done(&stats.lifetime) && stats.spool.files == 0);
    let life = &stats.lifetime;
    println!(
        "seed {seed} {durability:?}: {} of {} gave way on disk",
        life.dropped_for(DropReason::SpoolFull),
        life.accepted
    );
    assert!(is_done(life), "seed {seed}: {stats:#?}");
    let stored = toggle.events();
    let numbers: HashSet<usize> =
        stored.iter().filter_map(|event| event.metadata.get(NUMBER)?.parse().ok()).collect();
    let told = stored.iter().filter(|event| losses_in(event).is_some()).count();
    let all = |what: &str| {
        format!("seed {seed}: {what}; {} of {emitted} stored, {told} told: {stats:#?}", numbers.len())
    };
    assert_eq!(stored.len(), numbers.len() + told, "{}", all("stored twice"));
    assert_eq!((toggle.altered_repeats(), toggle.repeated_event_ids()), (0, 0), "{}", all("repeated"));
    let missing = emitted - numbers.len();
    assert!(missing as u64 <= life.dropped_total(), "{}", all("missing and not counted"));
    assert!(stored.len() as u64 >= life.delivered, "{}", all("counted as delivered and not there"));
    let own = life.accepted.checked_sub(emitted as u64).unwrap_or_else(|| panic!("{}", all("not accepted")));
    assert!(own >= told as u64 && own <= told as u64 + life.dropped_total(), "{}", all("invented"));
}

fn days(durability: DurabilityMode) {
    let _mine = WORLD.lock().unwrap_or_else(PoisonError::into_inner);
    seeds(("BAD_DAYS", 3), ("BAD_DAYS_SEED", 1)).for_each(|seed| day(seed, durability));
}

#[test]
fn on_bad_days_every_event_is_delivered_or_counted() {
    days(DurabilityMode::Memory);
}

#[test]
fn on_bad_days_every_event_is_delivered_or_counted_with_process() {
    days(DurabilityMode::Process);
}

#[test]
fn on_bad_days_every_event_is_delivered_or_counted_with_power() {
    days(DurabilityMode::Power);
}
