//! Real processes: what one leaves behind, by shutdown or by `kill -9`, the next one delivers.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    collections::{HashMap, HashSet},
    fs,
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use events_sdk::{
    Events,
    proto::{
        EventBatch,
        events::{Event, system_events_lost_payload::LossReason},
    },
    testing::{Mode, Toggle},
};
use events_tests::{NUMBER, assert_numbers, config, losses_in, spill_files};
use prost::Message;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);
const DEADLINE_MS: u64 = 10_000;

/// A running `agent` of `src/bin/agent.rs`.
struct Agent {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

/// Its accounts.
type Counts = HashMap<String, u64>;

impl Agent {
    fn start(toggle: &Toggle, spool: &Path, threshold: usize) -> Self {
        let mut agent = Self::spawn(toggle, spool, threshold);
        agent.read();
        agent
    }

    fn spawn(toggle: &Toggle, spool: &Path, threshold: usize) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_agent"))
            .arg(toggle.endpoint())
            .arg(spool)
            .arg(threshold.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let input = process.stdin.take();
        let output = BufReader::new(process.stdout.take().unwrap());
        Self { process, input, output }
    }

    fn read(&mut self) -> Counts {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        let fields = line.trim().strip_prefix('{').and_then(|line| line.strip_suffix('}'));
        let fields = fields.unwrap_or_else(|| panic!("the agent said {line:?}: {}", self.complaint()));
        let field = |field: &str| {
            let (name, count) = field.split_once(':').unwrap();
            (name.trim_matches('"').to_owned(), count.parse().unwrap())
        };
        fields.split(',').map(field).collect()
    }

    /// What it said on standard error, once it has ended.
    fn complaint(&mut self) -> String {
        let mut text = String::new();
        self.process.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        text
    }

    fn tell(&mut self, command: &str) {
        writeln!(self.input.as_mut().unwrap(), "{command}").unwrap();
    }

    fn ask(&mut self, command: &str) -> Counts {
        self.tell(command);
        self.read()
    }

    /// Asks for its accounts until they are as wanted.
    fn wait_until(&mut self, wanted: impl Fn(&Counts) -> bool) -> Counts {
        let start = Instant::now();
        loop {
            let counts = self.ask("stats");
            if wanted(&counts) {
                return counts;
            }
            assert!(start.elapsed() < PATIENCE, "{counts:#?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Shuts it down and waits for its end.
    fn shut_down(mut self) -> Counts {
        let counts = self.ask(&format!("shutdown {DEADLINE_MS}"));
        self.input = None;
        assert!(self.process.wait().unwrap().success(), "{}", self.complaint());
        counts
    }

    /// `kill -9`.
    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It has ended already unless the test failed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The numbers of the events that lie in a spool directory.
fn numbers_on_disk(spool: &Path) -> Vec<usize> {
    let batch = |name: String| {
        let bytes = fs::read(spool.join(&name)).unwrap();
        EventBatch::decode(bytes.as_slice()).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    let events = spill_files(spool).into_iter().flat_map(|name| batch(name).events);
    // What the SDK tells of losses has none.
    events.filter_map(|event| Some(event.metadata.get(NUMBER)?.parse().unwrap())).collect()
}

/// How many events a summary of losses tells of, all of which were lost because a process ended.
fn lost_as_told(event: &Event) -> u64 {
    let told = losses_in(event).unwrap_or_else(|| panic!("{event:?}"));
    let ended = LossReason::ProcessEnded as i32;
    assert!(told.losses.iter().all(|loss| loss.reason == ended), "{told:?}");
    told.lost
}

#[test]
fn what_one_process_shut_down_with_the_next_delivers_exactly_once() {
    const EVENTS: usize = 20_000;
    let (toggle, spool) = (Toggle::start().unwrap(), TempDir::new().unwrap());
    toggle.stop();
    let mut agent = Agent::start(&toggle, spool.path(), 3_000);
    agent.ask(&format!("emit 0 {EVENTS}"));
    let counts = agent.shut_down();
    let all = EVENTS as u64;
    assert_eq!((counts["accepted"], counts["on_disk"], counts["dropped"]), (all, all, 0), "{counts:#?}");

    toggle.restart().unwrap();
    let mut agent = Agent::start(&toggle, spool.path(), 3_000);
    assert!(toggle.wait_for_events(EVENTS, PATIENCE), "{:#?}", agent.ask("stats"));
    let counts = agent.wait_until(|counts| counts["on_disk"] == 0 && counts["in_flight"] == 0);
    assert_eq!((counts["adopted"], counts["delivered"]), (all, all), "{counts:#?}");
    assert_numbers(&toggle, EVENTS);
    agent.shut_down();
    assert_eq!(spill_files(spool.path()), Vec::<String>::new());
}

#[test]
fn what_was_on_disk_when_a_process_was_killed_the_next_delivers() {
    let (toggle, spool) = (Toggle::start().unwrap(), TempDir::new().unwrap());
    toggle.stop();
    let mut agent = Agent::start(&toggle, spool.path(), 500);
    agent.ask("emit 0 5000");
    agent.wait_until(|counts| counts["on_disk"] >= 4_000);
    agent.kill();
    let on_disk = numbers_on_disk(spool.path());
    assert!(on_disk.len() >= 4_000);
    let lost = 5_000 - on_disk.len() as u64;

    toggle.restart().unwrap();
    let mut agent = Agent::start(&toggle, spool.path(), 500);
    assert!(toggle.wait_for_events(on_disk.len(), PATIENCE), "{:#?}", agent.ask("stats"));
    let counts = agent.shut_down();
    // What was in memory only is lost, and known to the event.
    assert_eq!((counts["adopted"], counts["dropped"]), (5_000, lost), "{counts:#?}");
    let told = u64::from(lost > 0);
    assert_eq!((counts["accepted"], counts["delivered"]), (told, on_disk.len() as u64 + told), "{counts:#?}");
    let (numbered, others): (Vec<_>, Vec<_>) =
        toggle.events().into_iter().partition(|event| event.metadata.contains_key(NUMBER));
    let told: Vec<u64> = others.iter().map(lost_as_told).collect();
    assert_eq!(told.iter().sum::<u64>(), lost, "Toggle was told");
    let arrived: Vec<usize> = numbered.iter().map(|event| event.metadata[NUMBER].parse().unwrap()).collect();
    assert_eq!(arrived.len(), on_disk.len(), "each exactly once");
    assert_eq!(HashSet::<usize>::from_iter(arrived), HashSet::from_iter(on_disk));
}

#[test]
fn a_process_killed_while_it_writes_leaves_only_whole_files() {
    let (toggle, spool) = (Toggle::start().unwrap(), TempDir::new().unwrap());
    toggle.stop();
    for round in 0..5 {
        let mut agent = Agent::start(&toggle, spool.path(), 200);
        let before = spill_files(spool.path()).len();
        agent.tell(&format!("emit {} 19000", round * 100_000));
        let start = Instant::now();
        // How many files they become depends on how fast they come in.
        let enough = |files: usize| files >= before + 2 + round || start.elapsed() > Duration::from_secs(5);
        while !enough(spill_files(spool.path()).len()) {
            std::thread::yield_now();
        }
        agent.kill();
        assert!(spill_files(spool.path()).len() > before, "nothing was written in round {round}");
    }
    // Decoding fails on a file that is not whole.
    let on_disk = numbers_on_disk(spool.path());

    toggle.restart().unwrap();
    let mut agent = Agent::start(&toggle, spool.path(), 200);
    assert!(toggle.wait_for_events(on_disk.len(), PATIENCE), "{:#?}", agent.ask("stats"));
    agent.wait_until(|counts| counts["on_disk"] == 0 && counts["in_flight"] == 0);
    let counts = agent.shut_down();
    assert_eq!(counts["delivered"], toggle.unique_events() as u64, "{counts:#?}");
    let arrived = toggle.events();
    let arrived = arrived.iter().filter_map(|event| Some(event.metadata.get(NUMBER)?.parse().unwrap()));
    assert_eq!(arrived.collect::<HashSet<usize>>(), HashSet::from_iter(on_disk));
    assert_eq!(counts["quarantined"], 0, "{counts:#?}");
    assert_eq!((toggle.repeated_event_ids(), toggle.altered_repeats()), (0, 0));
    let mut left: Vec<_> =
        fs::read_dir(spool.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    // It is there once a process has worked for a few seconds.
    left.retain(|name| name != ".ballast");
    assert_eq!(left, [".accounts", ".lock"], "what was half written is cleared away");
}

#[test]
fn a_process_killed_while_it_drains_costs_repeats_that_toggle_recognises() {
    const EVENTS: usize = 10_000;
    let (toggle, spool) = (Toggle::start().unwrap(), TempDir::new().unwrap());
    toggle.stop();
    let mut agent = Agent::start(&toggle, spool.path(), 2_500);
    agent.ask(&format!("emit 0 {EVENTS}"));
    agent.shut_down();

    toggle.restart().unwrap();
    toggle.set_mode(Mode::Slow(Duration::from_millis(50)));
    for part in 1..=4 {
        let agent = Agent::start(&toggle, spool.path(), 2_500);
        assert!(toggle.wait_for_events(EVENTS * part / 5, PATIENCE));
        agent.kill();
    }
    toggle.set_mode(Mode::Ok);
    let agent = Agent::start(&toggle, spool.path(), 2_500);
    assert!(toggle.wait_for_events(EVENTS, PATIENCE));
    agent.shut_down();
    assert!(toggle.duplicates() > 0, "pieces of a file that was not finished are sent again");
    assert_numbers(&toggle, EVENTS);
    assert_eq!(toggle.repeated_event_ids(), 0);
    assert_eq!(numbers_on_disk(spool.path()), Vec::<usize>::new());
}

#[test]
fn a_second_process_on_the_same_spool_is_told_who_is_there() {
    let (toggle, spool) = (Toggle::start().unwrap(), TempDir::new().unwrap());
    let first = Agent::start(&toggle, spool.path(), 1_000);
    let holder = format!("process {}", first.process.id());

    let mut second = Agent::spawn(&toggle, spool.path(), 1_000);
    assert_eq!(second.process.wait().unwrap().code(), Some(1));
    let complaint = second.complaint();
    assert!(complaint.contains("SpoolInUse") && complaint.contains(&holder), "{complaint}");

    let error = Events::start(config(&toggle, spool.path())).unwrap_err();
    assert_eq!(error.kind(), events_sdk::ErrorKind::SpoolInUse);
    let text = error.to_string();
    assert!(text.contains(&holder) && text.contains(spool.path().to_str().unwrap()), "{text}");

    // A lock goes with its holder, however that ends.
    first.kill();
    Agent::start(&toggle, spool.path(), 1_000).shut_down();
}
