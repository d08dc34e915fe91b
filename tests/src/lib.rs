//! What the tests share: a rig of one Toggle, one spool and one event system, and a storm of numbered events.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod dice;
pub mod faults;
mod mounted;
pub mod samples;
pub mod schema;
mod shares;

use std::{
    collections::HashSet,
    path::Path,
    time::{Duration, Instant},
};

pub use self::{
    dice::{Dice, seeds},
    mounted::{Mounted, SmallDisk},
    shares::share_of,
};

use events_sdk::{
    Config, Events, Level, Stats, Ticket, ToggleConfig,
    payload::{StoragePoolOperation, StoragePoolPayload},
    proto::events::{Event, SystemEventsLostPayload, event::EventPayload, system_event},
    testing::Toggle,
};
use tempfile::TempDir;
use uuid::Uuid;

/// The metadata key that numbers the events of a storm.
pub const NUMBER: &str = "n";

/// A Toggle, a spool directory and an event system between them.
pub struct Rig {
    /// The Toggle.
    pub toggle: Toggle,
    /// The spool's directory.
    pub spool: TempDir,
    /// The event system.
    pub events: Events,
}

impl Rig {
    /// Starts all three.
    pub fn start() -> Self {
        Self::with(|_| {})
    }

    /// Starts all three, with another configuration.
    pub fn with(change: impl FnOnce(&mut Config)) -> Self {
        let toggle = Toggle::start().expect("a port on loopback");
        let spool = TempDir::new().expect("a temporary directory");
        let mut config = config(&toggle, spool.path());
        change(&mut config);
        let events = Events::start(config).expect("an event system");
        Self { toggle, spool, events }
    }

    /// Waits until Toggle has so many events, then checks that they are the numbers from 0 on, each once, and that the
    /// accounts say the same.
    pub fn assert_all_delivered(&self, count: usize, limit: Duration) {
        let arrived = self.toggle.wait_for_events(count, limit);
        let stats = self.events.stats();
        assert!(arrived, "{} of {count} arrived; {stats:#?}", self.toggle.unique_events());
        assert_numbers(&self.toggle, count);
        // The last answer may still be on its way.
        let stats = wait_until(&self.events, Duration::from_secs(10), |stats| {
            stats.delivered == stats.accepted + stats.adopted
        });
        assert_eq!(stats.accepted, count as u64, "{stats:#?}");
        assert_eq!(stats.delivered, count as u64, "{stats:#?}");
        assert_eq!(stats.dropped_total(), 0, "{stats:#?}");
    }

    /// The names of the spill files.
    pub fn spill_files(&self) -> Vec<String> {
        spill_files(self.spool.path())
    }
}

/// A configuration for tests: everything as by default, but nobody waits for seconds.
pub fn config(toggle: &Toggle, spool: &Path) -> Config {
    config_for(toggle.endpoint(), spool)
}

/// The same, for a Toggle of which only the address is known.
pub fn config_for(endpoint: String, spool: &Path) -> Config {
    Config {
        spool_dir: spool.to_owned(),
        batch_timeout: Duration::from_millis(200),
        retry_initial: Duration::from_millis(50),
        retry_max: Duration::from_secs(1),
        toggle: ToggleConfig {
            endpoint: Some(endpoint),
            timeout: Duration::from_secs(2),
            connect_timeout: Duration::from_secs(2),
            ..ToggleConfig::default()
        },
        ..Config::default()
    }
}

/// What an event tells of losses, if it is one that the SDK emits when events were lost.
pub fn losses_in(event: &Event) -> Option<&SystemEventsLostPayload> {
    let Some(EventPayload::SystemEvent(system)) = &event.event_payload else { return None };
    match &system.event_type {
        Some(system_event::EventType::EventsLost(losses)) => Some(losses),
        _ => None,
    }
}

/// Whether this is a UUIDv7 in its usual spelling.
pub fn is_uuid_v7(text: &str) -> bool {
    Uuid::try_parse(text).is_ok_and(|id| id.get_version_num() == 7 && id.to_string() == text)
}

/// The names of the spill files in a directory, oldest first.
pub fn spill_files(spool: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(spool)
        .expect("the spool directory")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".pb") && !name.starts_with('.'))
        .collect();
    names.sort();
    names
}

/// The spool as a process leaves it that is killed now. A file in the place of the quarantine stays behind.
pub fn killed(live: &Path) -> TempDir {
    let dead = TempDir::new().unwrap();
    for folder in ["", "segments", "quarantine"] {
        let (from, to) = (live.join(folder), dead.path().join(folder));
        let Ok(entries) = std::fs::read_dir(from) else { continue };
        std::fs::create_dir_all(&to).unwrap();
        for entry in entries.map(Result::unwrap) {
            // It gets its name meanwhile.
            if folder == "quarantine" && entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let about = entry.metadata().unwrap();
            // A segment without a byte is just being made.
            let is_whole = folder.is_empty() || about.len() > 0;
            if about.is_file() && entry.file_name() != "quarantine" && is_whole {
                std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
            }
        }
    }
    dead
}

/// Emits the event of one number.
pub fn emit_number(events: &Events, number: usize) {
    let _ = queue_number(events, number);
}

/// The same, and gives its ticket.
pub fn queue_number(events: &Events, number: usize) -> Ticket {
    queue_number_as(events, number, Level::Info)
}

fn queue_number_as(events: &Events, number: usize, level: Level) -> Ticket {
    let text = number.to_string();
    events.emit_storage_pool(
        level,
        StoragePoolPayload {
            pool_name: "tank",
            devices: &["/dev/sda", "/dev/sdb"],
            raid_type: "mirror",
            size_bytes: 4 << 40,
            used_bytes: number as i64,
            ..StoragePoolPayload::new(StoragePoolOperation::Expanded)
        },
        [(NUMBER, text.as_str()), ("component", "storm")],
    )
}

/// Emits the events of these numbers, so many a second.
pub fn storm(events: &Events, numbers: std::ops::Range<usize>, per_second: usize) {
    storm_of(events, numbers, per_second, |_| Level::Info);
}

/// The same, each number with a level of its own.
pub fn storm_of(
    events: &Events,
    numbers: std::ops::Range<usize>,
    per_second: usize,
    level: impl Fn(usize) -> Level,
) {
    let start = Instant::now();
    for (done, number) in numbers.enumerate() {
        let due = Duration::from_secs_f64(done as f64 / per_second as f64);
        // Sleeping for every event would be all that the storm does.
        if done % 50 == 0
            && let Some(early) = due.checked_sub(start.elapsed())
        {
            std::thread::sleep(early);
        }
        let _ = queue_number_as(events, number, level(number));
    }
}

/// Checks that Toggle has the numbers from 0 to `count`, each once, and that every repeat was recognisable.
pub fn assert_numbers(toggle: &Toggle, count: usize) {
    let events = toggle.events();
    let numbers: HashSet<usize> = events
        .iter()
        .map(|event| event.metadata.get(NUMBER).and_then(|text| text.parse().ok()).expect("a number"))
        .collect();
    let missing: Vec<_> = (0..count).filter(|number| !numbers.contains(number)).take(10).collect();
    assert!(missing.is_empty(), "lost: {missing:?} and perhaps more");
    assert_eq!(events.len(), count, "events were stored twice or invented");
    assert_eq!(toggle.altered_repeats(), 0, "a batch id was used for other bytes");
}

/// The numbers that Toggle has, in order; events without one are left out.
pub fn numbers(toggle: &Toggle) -> Vec<usize> {
    let events = toggle.events();
    let mut numbers: Vec<usize> =
        events.iter().filter_map(|event| event.metadata.get(NUMBER)?.parse().ok()).collect();
    numbers.sort_unstable();
    numbers
}

/// Waits until the statistics are as wanted, and gives them. Checks that they balance whenever it looks.
pub fn wait_until(events: &Events, limit: Duration, wanted: impl Fn(&Stats) -> bool) -> Stats {
    let start = Instant::now();
    loop {
        let stats = events.stats();
        assert!(stats.balances(), "{stats:#?}");
        if wanted(&stats) || start.elapsed() > limit {
            return stats;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The README's examples, compiled and run as documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
