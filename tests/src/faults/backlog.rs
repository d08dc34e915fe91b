//! A large backlog waits on disk when a process starts: how much memory it takes to get rid of it, and how long live
//! events take meanwhile.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use events_sdk::{
    DurabilityMode, Events,
    proto::{EventBatch, events::Event},
    testing::Toggle,
};
use prost::Message;
use tempfile::TempDir;
use uuid::Uuid;

use super::{
    Outcome, Scale,
    live::{FIRST, Live, Memory, Seen, Took, lock},
};
use crate::{config_for, queue_number, spill_files};

/// So much may be resident while the backlog is drained, beyond what is without one.
const MOST_MEMORY: u64 = 32 << 20;
/// The 99th percentile of live events may be so many times what it is without a backlog.
const MOST_SLOWER: f64 = 2.0;
/// The first live event is at Toggle so long after the process was started.
const FIRST_WITHIN: Duration = Duration::from_millis(100);
/// The drain counts as having come to a stop when nothing has arrived for so long. How long it takes altogether is the
/// machine's affair.
const STANDSTILL: Duration = Duration::from_secs(300);
/// An event of the backlog takes about so many bytes on disk.
const EVENT_BYTES: usize = 150;
/// How many events the files of a full buffer have.
const FULL: usize = 18_000;
/// And those of one batch.
const BATCH: usize = 50;

/// What the files of the backlog are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Full buffers.
    Full,
    /// One batch each, as with `durability: process`.
    Batches,
    /// Full buffers without a seal, as the earlier agent left them.
    Plain,
}

pub(super) fn full(scale: &Scale) -> Outcome {
    drained(scale, Shape::Full)
}

pub(super) fn batches(scale: &Scale) -> Outcome {
    drained(scale, Shape::Batches)
}

pub(super) fn plain(scale: &Scale) -> Outcome {
    drained(scale, Shape::Plain)
}

fn drained(scale: &Scale, shape: Shape) -> Outcome {
    let bytes = scale.of(32 << 20, 1 << 30);
    let rate = scale.of(100, 500);
    let calm = scale.time(Duration::from_secs(15));
    let (backlog, spool) = (bytes / EVENT_BYTES, TempDir::new().expect("a directory"));
    make(shape, backlog, spool.path());
    let (files, bytes) = size(spool.path());

    let toggle = Toggle::start().expect("a port");
    toggle.only_count(!scale.quick);
    let seen = Seen::at(&toggle);
    let mut problems = Vec::new();

    // The same process without a backlog.
    let empty = TempDir::new().expect("a directory");
    let live = Live::start(&scale.program, &toggle.endpoint(), empty.path(), FIRST, rate);
    let idle = watched(&live, calm, || Some(0));
    let before = lock(&seen).took();
    let Some(next) = live.end() else {
        return Outcome::failed("the process without a backlog did not shut down in order");
    };

    // What it emitted meanwhile.
    lock(&seen).took();

    let start = Instant::now();
    let live = Live::start(&scale.program, &toggle.endpoint(), spool.path(), next, rate);
    let busy = watched(&live, STANDSTILL, || {
        let stored = toggle.unique_events().saturating_sub(lock(&seen).count());
        if stored < backlog {
            return Some(stored);
        }
        // Not before: a list of so many files takes a core, and the lock of the folder from whoever removes files.
        let left = spill_files(spool.path()).len();
        (left > 0).then_some(stored + files - left.min(files))
    });
    let lasted = start.elapsed();
    let during = lock(&seen).took();
    let first = Duration::from_nanos(during.first_ns.saturating_sub(live.started_ns));
    thread::sleep(calm);
    let after = lock(&seen).took();
    let end = live.end();
    if end.is_none() {
        problems.push("the process did not shut down in order".to_owned());
    }
    let emitted = end.unwrap_or(next);

    let mut outcome = if scale.quick {
        Outcome::tally(&toggle, &[0..backlog, FIRST..emitted], 0)
    } else {
        counted(&toggle, backlog + emitted - FIRST)
    };
    let grown = busy.peak.saturating_sub(idle.peak);
    let calm = before.p99.max(after.p99);
    outcome.note = format!(
        "{} MiB in {files} files, drained in {:.1} s; memory {:.1} MiB without it, {:.1} MiB more at most (of its own {:.1} \
         and {:.1}, of files {:.1} and {:.1}); live events {} without it, {} with it, {} after it; the first after {:.0} ms",
        bytes >> 20,
        lasted.as_secs_f64(),
        mib(idle.peak),
        mib(grown),
        mib(idle.anonymous),
        mib(busy.anonymous),
        mib(idle.mapped),
        mib(busy.mapped),
        ms(before),
        ms(during),
        ms(after),
        first.as_secs_f64() * 1e3,
    );
    if grown >= MOST_MEMORY {
        problems.push("that is more memory than 32 MiB".to_owned());
    }
    // Times are judged at full length only: the test suite asserts none.
    if !scale.quick {
        if during.p99 >= calm * MOST_SLOWER {
            problems.push(format!("the p99 of live events was {:.1} times as long", during.p99 / calm));
        }
        if first > FIRST_WITHIN {
            problems.push("the first live event took more than 100 ms".to_owned());
        }
    }
    outcome.problems.extend(problems);
    outcome
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn ms(took: Took) -> String {
    format!("{:.2} ms (p99 {:.2}, {} events)", took.median, took.p99, took.events)
}

/// Watches the memory of a process until what it has done is complete (`None`), or has not become more for so long.
fn watched(live: &Live, limit: Duration, mut done: impl FnMut() -> Option<usize>) -> Memory {
    let (mut since, mut so_far, mut most) = (Instant::now(), 0, Memory::default());
    while let Some(now) = done() {
        if now > so_far {
            (since, so_far) = (Instant::now(), now);
        } else if since.elapsed() >= limit {
            break;
        }
        thread::sleep(Duration::from_millis(20));
        most = most.max(live.memory());
    }
    most
}

/// Of a Toggle that only counts, it is known how many events it has.
fn counted(toggle: &Toggle, emitted: usize) -> Outcome {
    let stored = toggle.unique_events();
    Outcome {
        emitted,
        delivered: stored.min(emitted),
        lost: emitted.saturating_sub(stored),
        recognised: toggle.duplicate_events(),
        unrecognised: stored.saturating_sub(emitted),
        ..Outcome::default()
    }
}

/// How many spill files there are, and how many bytes they have.
fn size(spool: &Path) -> (usize, u64) {
    let names = spill_files(spool);
    let bytes = names.iter().map(|name| fs::metadata(spool.join(name)).map_or(0, |about| about.len())).sum();
    (names.len(), bytes)
}

/// Puts so many events into a spool.
fn make(shape: Shape, events: usize, spool: &Path) {
    match shape {
        Shape::Full => spilled(events, spool, DurabilityMode::Memory),
        Shape::Plain => earlier(events, spool),
        Shape::Batches => {
            // Each file is synced; in memory that takes no time.
            let memory = Path::new("/dev/shm");
            let folder = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
            let folder = folder.expect("a directory");
            spilled(events, folder.path(), DurabilityMode::Process);
            for name in spill_files(folder.path()) {
                let (from, to): (PathBuf, PathBuf) = (folder.path().join(&name), spool.join(&name));
                fs::copy(&from, to).and_then(|_| fs::remove_file(from)).expect("a copy");
            }
        }
    }
}

/// Emits them while Toggle is away.
fn spilled(events: usize, spool: &Path, durability: DurabilityMode) {
    let toggle = Toggle::start().expect("a port");
    toggle.stop();
    let mut config = config_for(toggle.endpoint(), spool);
    (config.buffer_size, config.flush_threshold) = (2 * FULL, FULL);
    config.batch_size = BATCH;
    config.batch_timeout = Duration::from_secs(60);
    config.spool_max_bytes = 8 << 30;
    config.durability = durability;
    let system = Events::start(config).expect("an event system");
    for number in 0..events {
        // An event that found no room would be lost, and that told by one more.
        while number % BATCH == 0 && system.stats().in_memory as usize + BATCH > 2 * FULL {
            thread::sleep(Duration::from_millis(1));
        }
        assert!(queue_number(&system, number).is_queued(), "event {number}");
    }
    let report = system.shutdown(Duration::from_secs(60));
    assert_eq!(report.on_disk, events as u64, "{report:?}");
}

/// Writes them as the earlier agent did: one `EventBatch`, no seal.
fn earlier(events: usize, spool: &Path) {
    let samples = TempDir::new().expect("a directory");
    spilled(1, samples.path(), DurabilityMode::Memory);
    let name = spill_files(samples.path()).pop().expect("a file");
    let bytes = fs::read(samples.path().join(name)).expect("a spill file");
    let sample = EventBatch::decode(bytes.as_slice()).expect("a batch").events.pop().expect("an event");
    let id = |number: usize| Uuid::from_u128((0x0190_0000_0000_7000_8000 << 48) | number as u128).to_string();
    for first in (0..events).step_by(FULL) {
        let numbers = first..events.min(first + FULL);
        let batch_id = id(FIRST + first);
        let file = spool.join(format!("{batch_id}.pb"));
        let numbered = numbers.map(|number| {
            let mut event = Event { event_id: id(number), ..sample.clone() };
            event.metadata.insert(crate::NUMBER.to_owned(), number.to_string());
            event
        });
        let batch = EventBatch { events: numbered.collect(), batch_timestamp: 1, batch_id, seal: None };
        fs::write(file, batch.encode_to_vec()).expect("a spill file");
    }
}
