//! The command `events` as operators and scripts use it: the real binary, on spools that the real SDK made.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail as tests do"
)]

mod accounts;
mod books;
mod emit;
mod live;
mod ls;
mod manual;
mod prune;
mod read;
mod repair;
mod requeue;
mod segments;
mod verify;
mod words;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use events_sdk::{
    Batch, Config, DropReason, Events, Filter, Level, SendError, SendErrorKind, Uplink,
    payload::{IdentityUserOperation, IdentityUserPayload, StorageDiskOperation, StorageDiskPayload},
    testing::Toggle,
    uplink::SendFuture,
};
use events_tests::{SmallDisk, config, emit_number, spill_files, wait_until};
use serde_json::Value;
use tempfile::TempDir;

/// As long as anything may take that is not stuck.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the command said.
#[derive(Debug)]
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Said {
    /// The lines of its output, each one JSON.
    fn json(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
    }
}

/// The command, without anything from the environment of the tests.
fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_events-tool"));
    command.args(args).env_clear().stdin(Stdio::null());
    command
}

/// Runs the command.
fn events(args: &[&str]) -> Said {
    said(&mut command(args))
}

fn said(command: &mut Command) -> Said {
    let output = command.output().expect("the command");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Said { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

/// Runs `events spool …` on this spool.
fn spool(dir: &Path, args: &[&str]) -> Said {
    let mut all = vec!["spool"];
    all.extend(args);
    all.extend(["--spool", dir.to_str().expect("a path in UTF-8")]);
    events(&all)
}

/// A Toggle that is never there.
struct Away;

impl Uplink for Away {
    fn send(&self, _: Arc<Batch>) -> SendFuture<'_> {
        Box::pin(async { Err(SendError::new(SendErrorKind::Unavailable, "away").with_nothing_sent()) })
    }

    fn target(&self) -> String {
        "nowhere".to_owned()
    }
}

/// A spool as an agent leaves it that never reached Toggle.
fn dead_spool(emit: impl FnOnce(&Events)) -> TempDir {
    let dir = TempDir::new().expect("a temporary directory");
    add_file(dir.path(), emit);
    dir
}

/// One more file in it.
fn add_file(dir: &Path, emit: impl FnOnce(&Events)) {
    // Nothing is sent before the shutdown, so that it all becomes one file.
    let config = Config {
        spool_dir: dir.to_owned(),
        batch_size: 15_000,
        filter: Filter::from_min_level(Level::Trace),
        ..Config::default()
    };
    let events = Events::start_with(config, Arc::new(Away)).expect("an event system");
    emit(&events);
    assert!(events.shutdown(PATIENCE).complete);
}

/// The one spill file.
fn only_file(dir: &Path) -> PathBuf {
    let [name] = <[String; 1]>::try_from(spill_files(dir)).expect("one spill file");
    dir.join(name)
}

/// 100 of INFO from the pools, and behind them 10 of WARN from a disk and 5 of DEBUG with personal data.
fn mixture(events: &Events) {
    (0..100).for_each(|number| emit_number(events, number));
    for number in 0..10 {
        let operation = StorageDiskOperation::StateChanged;
        let disk = StorageDiskPayload { device_path: "/dev/sdx", ..StorageDiskPayload::new(operation) };
        events.emit_storage_disk(Level::Warn, disk, [("n", &number.to_string())]);
    }
    for _ in 0..5 {
        let user = IdentityUserPayload {
            username: "alice",
            display_name: "Alice Example",
            email: "alice@example.net",
            ..IdentityUserPayload::new(IdentityUserOperation::Modified)
        };
        events.emit_identity_user(Level::Debug, user, ());
    }
}

/// Turns one bit within the event that has this text.
fn damage(file: &Path, text: &str) {
    let mut bytes = fs::read(file).expect("a spill file");
    let at = bytes.windows(text.len()).position(|window| window == text.as_bytes()).expect("the text");
    bytes[at] ^= 1;
    fs::write(file, bytes).expect("a spill file");
}

/// Has an agent deliver all that is in the spool, and tell Toggle of so many events that were lost.
fn deliver(dir: &Path, count: usize, pruned: u64) -> Toggle {
    let toggle = Toggle::start().unwrap();
    let events = Events::start(config(&toggle, dir)).unwrap();
    let arrived = toggle.wait_for_events(count, PATIENCE);
    let stats = wait_until(&events, PATIENCE, |stats| stats.on_disk + stats.in_flight == 0);
    assert!(arrived && stats.adopted - stats.quarantined == count as u64, "{stats:#?}");
    assert_eq!(stats.lifetime.dropped_for(DropReason::Pruned), pruned, "{stats:#?}");
    let report = events.shutdown(PATIENCE);
    assert!(report.complete && report.stats.lifetime.balances(), "{report:#?}");
    // Of one event at most nothing is told.
    let told = u64::from(pruned > 1);
    assert_eq!(report.delivered, count as u64 + told, "{report:#?}");
    toggle
}

/// What `accounts` says of a spool, and its exit code.
fn accounts_of(dir: &Path) -> (i32, Value) {
    let said = spool(dir, &["accounts", "--json"]);
    (said.code, said.json().pop().unwrap_or_else(|| panic!("{said:?}")))
}
