//! What was lost is told to Toggle: by reason, category and level, and once.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use std::{
    cell::Cell,
    collections::HashMap,
    fs::{self, File},
    time::{Duration, SystemTime},
};

use events_sdk::{
    Category, Config, DropReason, DurabilityMode, Filter, Level, Profile, Stats, UplinkState,
    payload::{StoragePoolOperation, StoragePoolPayload},
    proto::events::{Event, SystemEventsLostPayload, system_events_lost_payload::LossReason},
    testing::Toggle,
};
use events_tests::{Rig, emit_number, losses_in, storm, wait_until};

const PATIENCE: Duration = Duration::from_secs(60);

/// What Toggle was told, in the order of the ids.
fn told(toggle: &Toggle) -> Vec<SystemEventsLostPayload> {
    let mut events: Vec<Event> = toggle.events();
    events.sort_unstable_by(|one, other| one.event_id.cmp(&other.event_id));
    events.into_iter().filter_map(checked_losses).collect()
}

fn checked_losses(event: Event) -> Option<SystemEventsLostPayload> {
    let losses = losses_in(&event)?.clone();
    assert_eq!((event.level, event.source.as_str()), (Level::Error.number(), "rodent.events"));
    assert!(losses.since <= losses.until && losses.until <= event.timestamp, "{event:?}");
    assert_eq!(losses.losses.iter().map(|loss| loss.count).sum::<u64>(), losses.lost, "{losses:?}");
    Some(losses)
}

/// What all of them say together, by reason, category and level.
fn sums(told: &[SystemEventsLostPayload]) -> HashMap<(String, i32, i32), u64> {
    let mut sums = HashMap::new();
    for loss in told.iter().flat_map(|told| &told.losses) {
        let reason = LossReason::try_from(loss.reason).expect("a reason of the schema");
        let reason = reason.as_str_name().trim_start_matches("LOSS_REASON_").to_lowercase();
        *sums.entry((reason, loss.category, loss.level)).or_default() += loss.count;
    }
    sums
}

/// What the statistics count.
fn counted(stats: &Stats) -> HashMap<(String, i32, i32), u64> {
    let key = |drop: &events_sdk::Dropped| {
        let level = drop.level.map_or(0, Level::number);
        (drop.reason.name().to_owned(), drop.category.map_or(0, Category::number), level)
    };
    stats.dropped.iter().map(|drop| (key(drop), drop.count)).collect()
}

fn emit(rig: &Rig, level: Level, text: &str) {
    let payload =
        StoragePoolPayload { pool_name: text, ..StoragePoolPayload::new(StoragePoolOperation::Created) };
    rig.events.emit_storage_pool(level, payload, ());
}

/// One that is lost whatever else happens: no message holds it.
fn lose_one(rig: &Rig, level: Level) {
    emit(rig, level, &"x".repeat(5 << 20));
}

fn small(config: &mut Config) {
    config.buffer_size = 1_000;
    config.flush_threshold = 500;
    config.buffer_bytes = 256 << 10;
    config.spool_max_bytes = 1 << 20;
    config.batch_timeout = Duration::from_millis(50);
}

#[test]
fn what_was_lost_while_memory_and_disk_were_full_is_told_when_toggle_is_back() {
    let rig = Rig::with(small);
    rig.toggle.stop();
    emit(&rig, Level::Info, "tank");
    let stats = wait_until(&rig.events, PATIENCE, |stats| stats.uplink.state == UplinkState::Away);
    assert_eq!(stats.uplink.state, UplinkState::Away, "{stats:#?}");
    for number in 1..30_000 {
        emit(&rig, if number % 50 == 0 { Level::Warn } else { Level::Info }, "some bytes of text");
        if number % 200 == 0 {
            // As fast as the disk takes them, until it takes no more.
            wait_until(&rig.events, Duration::from_secs(2), |stats| stats.in_memory < 600);
        }
    }
    let stats = wait_until(&rig.events, PATIENCE, |stats| stats.in_memory < 400);
    assert!(stats.dropped_total() > 1_000, "{stats:#?}");
    assert_eq!(stats.accepted, 30_000, "nothing is told while nobody takes it: {stats:#?}");

    rig.toggle.restart().expect("the same port");
    let stats =
        wait_until(&rig.events, PATIENCE, |stats| stats.delivered + stats.dropped_total() == stats.accepted);
    assert_eq!(stats.accepted, 30_001, "{stats:#?}");
    let first = told(&rig.toggle);
    assert_eq!(first.len(), 1, "{first:#?}");
    // A file that was being thinned when Toggle came back is told at the end.
    let report = rig.events.shutdown(Duration::from_secs(10));
    assert!(report.complete && report.stats.balances(), "{report:#?}");
    let told = told(&rig.toggle);
    assert!(told.len() <= 2, "{told:#?}");
    assert_eq!(sums(&told), counted(&report.stats));
    assert_eq!(told.iter().map(|told| told.lost).sum::<u64>(), report.dropped);
    assert_eq!(told.last().map(|told| told.lost_in_all), Some(report.dropped));
    assert!(told.windows(2).all(|pair| pair[0].until == pair[1].since), "{told:#?}");
    assert_eq!(rig.toggle.unique_events() as u64, report.delivered);
}

#[test]
fn while_nothing_is_lost_nothing_is_told() {
    let rig = Rig::start();
    storm(&rig.events, 0..500, 50_000);
    rig.assert_all_delivered(500, PATIENCE);
    let report = rig.events.shutdown(Duration::from_secs(10));
    assert_eq!((report.stats.accepted, report.dropped), (500, 0), "{report:#?}");
    assert_eq!(told(&rig.toggle), []);
}

/// Loses one and later another, and finds that told in an event at once and another one at the end.
fn tells_twice(change: impl FnOnce(&mut Config)) {
    let rig = Rig::with(change);
    lose_one(&rig, Level::Critical);
    emit(&rig, Level::Critical, "tank");
    let stats = wait_until(&rig.events, PATIENCE, |stats| stats.delivered == 2);
    assert_eq!((stats.accepted, stats.delivered, stats.dropped_total()), (3, 2, 1), "{stats:#?}");
    lose_one(&rig, Level::Critical);
    let report = rig.events.shutdown(Duration::from_secs(10));
    assert!(report.complete, "{report:#?}");
    let told = told(&rig.toggle);
    assert_eq!(told.iter().map(|told| (told.lost, told.lost_in_all)).collect::<Vec<_>>(), [(1, 1), (1, 2)]);
    assert_eq!(sums(&told), counted(&report.stats));
    assert_eq!(report.stats.dropped_for(DropReason::TooLarge), 2);
}

#[test]
fn losses_are_told_whatever_is_filtered() {
    tells_twice(|config| {
        config.filter = Filter::from_min_level(Level::Critical).with_only_categories([2]);
    });
}

#[test]
fn losses_are_told_where_events_outlive_the_process() {
    tells_twice(|config| config.durability = DurabilityMode::Process);
}

#[test]
fn the_profile_that_processes_errors_alone_tells_of_losses() {
    tells_twice(|config| config.filter = Profile::Minimal.filter());
}

#[test]
fn an_event_that_tells_of_losses_and_is_lost_itself_is_told_by_the_next_and_causes_none() {
    let rig = Rig::with(|config| {
        config.retry_max = Duration::from_millis(200);
        // Full, of something newer than all that comes.
        config.quarantine_max_bytes = 64 << 10;
        let folder = config.spool_dir.join("quarantine");
        fs::create_dir(&folder).expect("a folder");
        let file = File::create(folder.join("newer.damaged")).expect("a file");
        file.set_len(64 << 10).expect("room");
        file.set_modified(SystemTime::now() + Duration::from_secs(3600)).expect("ours");
    });
    rig.toggle.refuse_when(|event| event.source == "rodent.events");
    lose_one(&rig, Level::Info);
    // Others are taken meanwhile, so it is the event's own fault.
    let numbers = Cell::new(0);
    let stats = wait_until(&rig.events, PATIENCE, |stats| {
        emit_number(&rig.events, numbers.replace(numbers.get() + 1));
        stats.dropped_for(DropReason::QuarantineFull) == 1
    });
    assert_eq!(stats.dropped_total(), 2, "{stats:#?}");
    // Whatever comes then: its own loss is no reason to tell again.
    let numbers = numbers.get();
    for number in numbers..numbers + 50 {
        emit_number(&rig.events, number);
        let _ = rig.events.flush(Duration::from_secs(5));
    }
    let stats = rig.events.stats();
    assert_eq!((stats.accepted, stats.dropped_total()), (numbers as u64 + 52, 2), "{stats:#?}");

    rig.toggle.refuse_nothing();
    let report = rig.events.shutdown(Duration::from_secs(10));
    let told = told(&rig.toggle);
    assert_eq!(told.iter().map(|told| (told.lost, told.lost_in_all)).collect::<Vec<_>>(), [(1, 2)]);
    assert_eq!(told[0].losses[0].reason, LossReason::QuarantineFull as i32);
    assert_eq!((report.dropped, report.stats.accepted), (2, numbers as u64 + 53), "{report:#?}");
}
