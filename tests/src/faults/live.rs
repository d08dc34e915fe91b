//! A process that emits a steady trickle while it has a backlog to get rid of, and what can be seen of it from outside: how
//! long its events take, and how much memory it has.

use std::{
    collections::HashSet,
    error::Error,
    fs,
    io::{self, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use events_sdk::{
    Events, Level,
    payload::{StoragePoolOperation, StoragePoolPayload},
    proto::{EventBatch, events::EventLevel},
    testing::Toggle,
};
use prost::Message;
use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{SignalKind, signal};

use crate::{NUMBER, config_for};

/// The metadata key of the moment at which an event was emitted, in nanoseconds since the Unix epoch.
const AT: &str = "at";
/// How long a shutdown may take.
const DEADLINE: Duration = Duration::from_secs(20);
/// Numbers of live events begin here, far beyond those of any backlog.
pub(super) const FIRST: usize = 1_000_000_000;

fn now_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

/// What the program does when it is called with `live`: `ENDPOINT SPOOL FROM RATE`. Emits so many events a second until
/// SIGTERM, numbered from `FROM`, with the sizes of the profile `low-latency`. They are of level ERROR, which does not
/// wait for company: what they take to Toggle is not the batch timeout but the way itself.
///
/// # Errors
///
/// When an argument makes no sense, or the event system does not start.
pub fn main(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let [endpoint, spool, from, rate] = arguments else {
        return Err("usage: faults live ENDPOINT SPOOL FROM RATE".into());
    };
    let (mut number, rate): (usize, f64) = (from.parse()?, rate.parse()?);
    let mut config = config_for(endpoint.clone(), Path::new(spool));
    (config.buffer_size, config.flush_threshold, config.batch_size) = (5_000, 4_000, 50);
    config.batch_timeout = Duration::from_secs(5);
    // A slow drain of what is on disk is not to be taken for an outage.
    config.toggle.timeout = Duration::from_secs(10);
    config.spool_max_bytes = 8 << 30;
    let events = Events::start(config)?;
    emit(&events, number);

    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut terminate = {
        let _inside = runtime.enter();
        signal(SignalKind::terminate())?
    };
    thread::spawn(move || {
        runtime.block_on(terminate.recv());
        told.store(true, Ordering::Release);
    });
    while !stop.load(Ordering::Acquire) {
        number += 1;
        thread::sleep(Duration::from_secs_f64(1.0 / rate));
        emit(&events, number);
    }
    let report = events.shutdown(DEADLINE);
    writeln!(io::stdout(), "{}", number + 1)?;
    if report.complete { Ok(()) } else { Err(format!("{report:?}").into()) }
}

fn emit(events: &Events, number: usize) {
    let (text, at) = (number.to_string(), now_ns().to_string());
    events.emit_storage_pool(
        Level::Error,
        StoragePoolPayload { pool_name: "tank", ..StoragePoolPayload::new(StoragePoolOperation::Expanded) },
        [(NUMBER, text.as_str()), (AT, at.as_str())],
    );
}

/// What Toggle saw of the live events.
#[derive(Debug, Default)]
pub(super) struct Seen {
    numbers: HashSet<usize>,
    /// From emit to stored, in seconds, since this was asked for last.
    took: Vec<f64>,
    /// When the first of those came.
    first_ns: Option<u64>,
}

impl Seen {
    /// Looks at everything that this Toggle stores from now on.
    pub(super) fn at(toggle: &Toggle) -> Arc<Mutex<Self>> {
        let seen = Arc::new(Mutex::new(Self::default()));
        let to = Arc::clone(&seen);
        toggle.watch(move |batch| {
            let now_ns = now_ns();
            if is_live(batch) {
                lock(&to).add(batch, now_ns);
            }
        });
        seen
    }

    fn add(&mut self, batch: &[u8], now_ns: u64) {
        for event in EventBatch::decode(batch).unwrap_or_default().events {
            let number = |key: &str| event.metadata.get(key).and_then(|text| text.parse::<u64>().ok());
            let (Some(number), Some(at)) = (number(NUMBER), number(AT)) else { continue };
            if self.numbers.insert(number as usize) {
                self.took.push(now_ns.saturating_sub(at) as f64 / 1e9);
                self.first_ns.get_or_insert(now_ns);
            }
        }
    }

    /// How many there were.
    pub(super) fn count(&self) -> usize {
        self.numbers.len()
    }

    /// How long they took since this was asked for last.
    pub(super) fn took(&mut self) -> Took {
        let mut took = std::mem::take(&mut self.took);
        took.sort_by(f64::total_cmp);
        let at = |share: f64| took.get((took.len() as f64 * share) as usize).map_or(0.0, |s| s * 1e3);
        let first_ns = self.first_ns.take().unwrap_or(u64::MAX);
        Took { median: at(0.5), p99: at(0.99), events: took.len(), first_ns }
    }
}

/// How long events took, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Took {
    pub(super) median: f64,
    pub(super) p99: f64,
    pub(super) events: usize,
    /// When the first of them was stored, in nanoseconds since the Unix epoch.
    pub(super) first_ns: u64,
}

pub(super) fn lock(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the first event of a batch is of level ERROR, as all live ones are and none of the backlog.
fn is_live(batch: &[u8]) -> bool {
    let mut rest = &batch[batch.len().min(1)..];
    let Ok(len) = prost::decode_length_delimiter(&mut rest) else { return false };
    let event = events_sdk::proto::events::Event::decode(&rest[..len.min(rest.len())]).unwrap_or_default();
    event.level() == EventLevel::Error
}

/// Such a process, seen from outside.
pub(super) struct Live {
    process: Child,
    pub(super) started_ns: u64,
}

impl Live {
    pub(super) fn start(program: &Path, endpoint: &str, spool: &Path, from: usize, rate: usize) -> Self {
        let started_ns = now_ns();
        let process = Command::new(program)
            .args(["live", endpoint])
            .arg(spool)
            .args([from.to_string(), rate.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program");
        Self { process, started_ns }
    }

    /// Its memory now.
    pub(super) fn memory(&self) -> Memory {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap_or_default();
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let text = line.and_then(|rest| rest.trim_start_matches(':').trim().strip_suffix(" kB"));
            text.and_then(|text| text.parse::<u64>().ok()).map_or(0, |kib| kib << 10)
        };
        Memory { peak: bytes("VmHWM"), anonymous: bytes("RssAnon"), mapped: bytes("RssFile") }
    }

    /// Ends it in order. Gives the number behind its last event; `None` when something was left.
    pub(super) fn end(mut self) -> Option<usize> {
        // It has not been waited for, so the id is still its own.
        kill_process(Pid::from_child(&self.process), Signal::TERM).expect("a child of ours");
        let output = self.process.stdout.take().expect("a pipe");
        let text = std::io::read_to_string(output).expect("text");
        let status = self.process.wait().expect("a child of ours");
        text.trim().parse().ok().filter(|_| status.success())
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // It has ended already unless the row failed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The memory of a process in bytes, as the kernel counts it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Memory {
    /// The most that was resident so far, of whatever kind.
    pub(super) peak: u64,
    /// What is its own.
    pub(super) anonymous: u64,
    /// Pages of files, the program itself among them.
    pub(super) mapped: u64,
}

impl Memory {
    /// The most of each.
    pub(super) fn max(self, other: Self) -> Self {
        Self {
            peak: self.peak.max(other.peak),
            anonymous: self.anonymous.max(other.anonymous),
            mapped: self.mapped.max(other.mapped),
        }
    }
}
