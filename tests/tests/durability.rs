//! What outlives what: real processes that are killed, segments that are damaged, a disk that is full.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use events_sdk::{
    Config, DropReason, Durability, DurabilityMode, Events, Kind, Level, Ticket, WaitOutcome, kinds,
    payload::{StoragePoolOperation, StoragePoolPayload},
    testing::Toggle,
};
use events_tests::{
    Rig, assert_numbers, config, emit_number, killed, losses_in, queue_number, spill_files, wait_until,
};
use tempfile::TempDir;
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(60);

/// A running `agent` of `src/bin/agent.rs`.
struct Agent {
    process: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Agent {
    fn start(toggle: &Toggle, spool: &Path, durability: DurabilityMode) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_agent"))
            .args([&toggle.endpoint(), spool.to_str().unwrap(), "18000"])
            .env("AGENT_DURABILITY", durability.name())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let mut agent = Self { process, output };
        agent.read();
        agent
    }

    fn read(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert!(line.starts_with('{'), "the agent said {line:?}");
        line
    }

    fn tell(&mut self, command: &str) {
        writeln!(self.process.stdin.as_mut().unwrap(), "{command}").unwrap();
    }

    fn ask(&mut self, command: &str) -> String {
        self.tell(command);
        self.read()
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

fn durable(toggle: &Toggle, spool: &Path, durability: DurabilityMode) -> Config {
    Config { durability, ..config(toggle, spool) }
}

fn segments(spool: &Path) -> Vec<PathBuf> {
    let folder = fs::read_dir(spool.join("segments")).into_iter().flatten();
    let mut paths: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn holds_events(segment: &[u8]) -> bool {
    segment.windows(5).any(|window| window == b"storm")
}

/// What an agent leaves that was killed after it had emitted so many events, with Toggle away.
fn killed_with(count: usize) -> (Toggle, TempDir) {
    killed_with_a_durability(DurabilityMode::Process, count)
}

/// The same of one with this durability.
fn killed_with_a_durability(durability: DurabilityMode, count: usize) -> (Toggle, TempDir) {
    let (toggle, spool) = (Toggle::start().unwrap(), TempDir::new().unwrap());
    toggle.stop();
    let mut agent = Agent::start(&toggle, spool.path(), durability);
    agent.ask(&format!("emit 0 {count}"));
    agent.kill();
    toggle.restart().unwrap();
    (toggle, spool)
}

fn survives_kill(durability: DurabilityMode) {
    let (toggle, spool) = (Toggle::start().unwrap(), TempDir::new().unwrap());
    let mut from = 0;
    for round in 0..6 {
        // Toggle is away every other time, and the killing comes a little later every time.
        if round % 2 == 0 {
            toggle.stop();
        } else {
            toggle.restart().unwrap();
        }
        let count = 137 + 500 * round;
        let mut agent = Agent::start(&toggle, spool.path(), durability);
        agent.ask(&format!("emit {from} {count}"));
        std::thread::sleep(Duration::from_millis(40 * round as u64));
        agent.kill();
        from += count;
    }
    let events = Events::start(durable(&toggle, spool.path(), durability)).unwrap();
    assert!(
        toggle.wait_for_events(from, PATIENCE),
        "{} of {from}: {:#?}",
        toggle.unique_events(),
        events.stats()
    );
    let stats = wait_until(&events, PATIENCE, |stats| stats.on_disk == 0 && stats.in_flight == 0);
    assert_eq!((stats.quarantined, stats.dropped_total()), (0, 0), "{stats:#?}");
    assert_numbers(&toggle, from);
    assert_eq!((toggle.repeated_event_ids(), toggle.altered_repeats()), (0, 0));
    events.shutdown(PATIENCE);
    assert_eq!((segments(spool.path()), spill_files(spool.path())), (vec![], vec![]));
}

#[test]
fn with_process_every_event_whose_emit_returned_outlives_sigkill() {
    survives_kill(DurabilityMode::Process);
}

#[test]
fn with_power_every_event_whose_emit_returned_outlives_sigkill() {
    survives_kill(DurabilityMode::Power);
}

#[test]
fn a_process_killed_while_it_emits_leaves_every_event_before_some_point() {
    let (toggle, spool) = (Toggle::start().unwrap(), TempDir::new().unwrap());
    toggle.stop();
    let mut agent = Agent::start(&toggle, spool.path(), DurabilityMode::Process);
    agent.tell("emit 0 1000000");
    let start = Instant::now();
    while segments(spool.path()).len() < 30 && start.elapsed() < PATIENCE {
        std::thread::yield_now();
    }
    agent.kill();
    toggle.restart().unwrap();
    let events = Events::start(durable(&toggle, spool.path(), DurabilityMode::Process)).unwrap();
    let settled = |stats: &events_sdk::Stats| {
        stats.adopted > 0 && stats.delivered == stats.adopted && segments_left_by_others(spool.path()) == 0
    };
    let stats = wait_until(&events, PATIENCE, settled);
    assert!(settled(&stats), "{stats:#?}");
    assert_eq!(stats.quarantined, 0, "{stats:#?}");
    assert_numbers(&toggle, stats.delivered as usize);
    events.shutdown(PATIENCE);
}

/// Segments in use are made by one process under one prefix; a second prefix is another process's.
fn segments_left_by_others(spool: &Path) -> usize {
    let prefixes: std::collections::HashSet<_> = segments(spool)
        .iter()
        .map(|path| path.file_name().unwrap().to_string_lossy()[..36].to_owned())
        .collect();
    prefixes.len().saturating_sub(1)
}

#[test]
fn with_memory_the_next_process_takes_over_what_one_with_segments_left() {
    let (toggle, spool) = killed_with(1_234);
    let events = Events::start(config(&toggle, spool.path())).unwrap();
    assert!(toggle.wait_for_events(1_234, PATIENCE), "{:#?}", events.stats());
    assert_numbers(&toggle, 1_234);
    let stats = wait_until(&events, PATIENCE, |stats| stats.delivered == 1_234);
    assert_eq!((stats.adopted, stats.delivered), (1_234, 1_234), "{stats:#?}");
    events.shutdown(PATIENCE);
    assert_eq!(segments(spool.path()), Vec::<PathBuf>::new());
}

#[test]
fn a_flipped_bit_in_a_segment_costs_the_event_it_is_in() {
    [DurabilityMode::Process, DurabilityMode::Power].into_iter().for_each(a_flipped_bit_costs_its_event);
}

/// A segment whose batch is nowhere else: not one of those the process was killed just after it had written them to disk.
fn segment_without_a_file(spool: &Path) -> Option<PathBuf> {
    segments(spool).into_iter().find(|path| {
        let bytes = fs::read(path).unwrap();
        // One that was just being made has no byte yet.
        let id = || Uuid::from_slice(&bytes[16..32]).unwrap();
        holds_events(&bytes) && !spool.join(format!("{}.pb", id())).exists()
    })
}

fn a_flipped_bit_costs_its_event(durability: DurabilityMode) {
    // Rarely it is killed only after all of its batches were written to disk.
    let (toggle, spool, path) = (0..20)
        .find_map(|_| {
            let (toggle, spool) = killed_with_a_durability(durability, 250);
            let path = segment_without_a_file(spool.path())?;
            Some((toggle, spool, path))
        })
        .unwrap();
    let bytes = fs::read(&path).unwrap();
    let at = bytes.windows(5).position(|window| window == b"storm").unwrap();
    let mut flipped = bytes;
    flipped[at] ^= 1;
    fs::write(&path, flipped).unwrap();

    let events = Events::start(durable(&toggle, spool.path(), durability)).unwrap();
    assert!(toggle.wait_for_events(249, PATIENCE), "{:#?}", events.stats());
    let stats = wait_until(&events, PATIENCE, |stats| stats.delivered == 249 && stats.quarantined == 1);
    assert_eq!((stats.adopted, stats.delivered, stats.quarantined), (250, 249, 1), "{stats:#?}");
    events.shutdown(PATIENCE);
    let damaged = fs::read_dir(spool.path().join("quarantine")).unwrap().count();
    assert_eq!(damaged, 2, "the bytes, and what is to be said of them");
}

#[test]
fn whatever_lies_in_the_folder_of_segments_the_process_starts() {
    [DurabilityMode::Process, DurabilityMode::Power].into_iter().for_each(starts_whatever_lies_there);
}

fn starts_whatever_lies_there(durability: DurabilityMode) {
    let (toggle, spool) = killed_with_a_durability(durability, 250);
    let folder = spool.path().join("segments");
    let bytes = segments(spool.path())
        .iter()
        .map(|path| fs::read(path).unwrap())
        .find(|segment| holds_events(segment))
        .unwrap();
    fs::write(folder.join("0-empty.seg"), "").unwrap();
    fs::write(folder.join("0-short.seg"), &bytes[..100]).unwrap();
    fs::write(folder.join("0-garbage.seg"), vec![0xA5; 70_000]).unwrap();
    fs::write(folder.join("0-zeros.seg"), vec![0; 70_000]).unwrap();
    fs::write(folder.join("notes.txt"), "mine").unwrap();
    fs::create_dir(folder.join("0-folder.seg")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", folder.join("0-link.seg")).unwrap();
    let huge = fs::File::create(folder.join("0-huge.seg")).unwrap();
    huge.set_len(17 << 20).unwrap();

    let events = Events::start(durable(&toggle, spool.path(), durability)).unwrap();
    assert!(toggle.wait_for_events(250, PATIENCE), "{:#?}", events.stats());
    emit_number(&events, 250);
    assert!(toggle.wait_for_events(251, PATIENCE), "{:#?}", events.stats());
    assert_numbers(&toggle, 251);
    let stats = wait_until(&events, PATIENCE, |stats| stats.quarantined >= 3);
    assert_eq!(stats.quarantined, 3, "short, garbage, huge: {stats:#?}");
    events.shutdown(PATIENCE);
    let mut left: Vec<_> =
        segments(spool.path()).iter().map(|path| path.file_name().unwrap().to_owned()).collect();
    left.sort();
    assert_eq!(left, ["0-folder.seg", "0-link.seg", "notes.txt"], "what is not ours is left alone");
}

#[test]
fn where_no_segment_can_be_made_events_go_on_in_memory_and_the_statistics_say_so() {
    let (toggle, spool) = (Toggle::start().unwrap(), TempDir::new().unwrap());
    // Something else has the name of the folder.
    fs::write(spool.path().join("segments"), "in the way").unwrap();
    let events = Events::start(durable(&toggle, spool.path(), DurabilityMode::Process)).unwrap();
    (0..300).for_each(|number| assert!(queue_number(&events, number).is_queued()));
    let stats = events.stats();
    assert!(stats.durability.degraded.is_some() && stats.durability.unprotected == 300, "{stats:#?}");
    assert_eq!(stats.durability.mode, DurabilityMode::Process);
    assert!(toggle.wait_for_events(300, PATIENCE));
    assert_numbers(&toggle, 300);
    events.shutdown(PATIENCE);
}

/// An event that came while there was no segment does not take others into its batch that could have one.
#[test]
fn once_segments_can_be_made_again_what_is_emitted_outlives_the_process() {
    for durability in [DurabilityMode::Process, DurabilityMode::Power] {
        let (toggle, spool) = (Toggle::start().unwrap(), TempDir::new().unwrap());
        toggle.stop();
        fs::write(spool.path().join("segments"), "in the way").unwrap();
        let config =
            Config { batch_timeout: Duration::from_secs(30), ..durable(&toggle, spool.path(), durability) };
        let events = Events::start(config.clone()).unwrap();
        assert!(queue_number(&events, 0).is_queued());
        assert_eq!(events.stats().durability.unprotected, 1);
        fs::remove_file(spool.path().join("segments")).unwrap();
        let stats = wait_until(&events, PATIENCE, |stats| stats.durability.degraded.is_none());
        assert_eq!(stats.durability.degraded, None, "{stats:#?}");
        (1..51).for_each(|number| assert!(queue_number(&events, number).is_queued()));
        assert_eq!(events.stats().durability.unprotected, 1);
        let dead = killed(spool.path());
        events.shutdown(Duration::from_millis(100));
        toggle.restart().unwrap();
        let next = Events::start(Config { spool_dir: dead.path().to_owned(), ..config }).unwrap();
        assert!(toggle.wait_for_events(50, PATIENCE), "{:#?}", next.stats());
        assert_eq!(toggle.unique_events(), 50);
    }
}

#[test]
fn whoever_waits_for_a_ticket_finds_the_event_settled_in_every_mode() {
    for durability in DurabilityMode::ALL {
        let rig = Rig::with(|config| {
            config.durability = *durability;
            config.batch_timeout = Duration::from_secs(600);
        });
        let (first, second) = (queue_number(&rig.events, 0), queue_number(&rig.events, 1));
        assert_eq!(rig.events.wait(&second, PATIENCE), WaitOutcome::Settled, "{durability:?}");
        assert_eq!(rig.events.wait(&first, PATIENCE), WaitOutcome::Settled, "{durability:?}");
        let stats = rig.events.stats();
        if *durability == DurabilityMode::Memory {
            assert_eq!(stats.in_memory + stats.in_flight, 0, "{stats:#?}");
        }
        rig.toggle.stop();
        let third = queue_number(&rig.events, 2);
        assert_eq!(rig.events.wait(&third, PATIENCE), WaitOutcome::Settled, "{durability:?}");
        rig.events.shutdown(PATIENCE);
        let late = queue_number(&rig.events, 3);
        assert_eq!(rig.events.wait(&late, PATIENCE), WaitOutcome::NotQueued);
    }
}

#[test]
fn a_ticket_of_another_event_system_is_answered_at_once() {
    for durability in DurabilityMode::ALL {
        let [one, other] = [(); 2].map(|()| {
            Rig::with(|config| {
                config.durability = *durability;
                config.batch_timeout = Duration::from_secs(600);
            })
        });
        // Far beyond all that the other one knows of.
        (0..999).for_each(|number| emit_number(&one.events, number));
        let ticket = queue_number(&one.events, 999);
        let start = Instant::now();
        assert_eq!(other.events.wait(&ticket, PATIENCE), WaitOutcome::OtherSystem, "{durability:?}");
        assert!(start.elapsed() < PATIENCE / 2);
        assert_eq!(one.events.wait(&ticket, PATIENCE), WaitOutcome::Settled, "{durability:?}");
        // Nor does the next one in its place know it.
        one.events.shutdown(PATIENCE);
        let next = Events::start(durable(&one.toggle, one.spool.path(), *durability)).unwrap();
        assert_eq!(next.wait(&ticket, PATIENCE), WaitOutcome::OtherSystem, "{durability:?}");
    }
}

#[test]
fn several_who_wait_are_served_together() {
    let rig = Rig::with(|config| {
        config.durability = DurabilityMode::Power;
        config.batch_timeout = Duration::from_secs(600);
    });
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let events = &rig.events;
            scope.spawn(move || {
                for number in 0..25 {
                    let ticket = queue_number(events, thread * 25 + number);
                    assert_eq!(events.wait(&ticket, PATIENCE), WaitOutcome::Settled);
                }
            });
        }
    });
    rig.events.flush(PATIENCE);
    rig.assert_all_delivered(100, PATIENCE);
}

#[test]
fn a_spill_in_a_mode_with_segments_delivers_everything_once() {
    let (toggle, spool) = (Toggle::start().unwrap(), TempDir::new().unwrap());
    toggle.stop();
    let mut config = durable(&toggle, spool.path(), DurabilityMode::Process);
    (config.flush_threshold, config.buffer_size) = (2_000, 5_000);
    let events = Events::start(config).unwrap();
    for number in 0..9_000 {
        if number % 1_000 == 0 {
            wait_until(&events, PATIENCE, |stats| stats.in_memory < 3_000);
        }
        emit_number(&events, number);
    }
    let stats = wait_until(&events, PATIENCE, |stats| stats.on_disk > 5_000);
    assert!(stats.on_disk > 5_000 && stats.dropped_total() == 0, "{stats:#?}");
    toggle.restart().unwrap();
    assert!(toggle.wait_for_events(9_000, PATIENCE), "{:#?}", events.stats());
    assert_numbers(&toggle, 9_000);
    events.shutdown(PATIENCE);
    assert_eq!((segments(spool.path()), spill_files(spool.path())), (vec![], vec![]));
}

#[test]
fn giant_events_have_segments_of_their_own() {
    let (toggle, spool) = (Toggle::start().unwrap(), TempDir::new().unwrap());
    toggle.stop();
    let events = Events::start(durable(&toggle, spool.path(), DurabilityMode::Process)).unwrap();
    for number in 0..6_usize {
        let (name, text) = ("x".repeat(number * 200_000), number.to_string());
        let payload =
            StoragePoolPayload { pool_name: &name, ..StoragePoolPayload::new(StoragePoolOperation::Created) };
        assert!(
            events
                .emit_storage_pool(Level::Info, payload, [(events_tests::NUMBER, text.as_str())])
                .is_queued()
        );
    }
    assert_eq!(events.stats().durability.unprotected, 0);
    toggle.restart().unwrap();
    assert!(toggle.wait_for_events(6, PATIENCE));
    assert_numbers(&toggle, 6);
    events.shutdown(PATIENCE);
    assert_eq!(segments(spool.path()), Vec::<PathBuf>::new());
}

/// A kind as the schema would declare it with another durability.
fn kind_with(durability: Durability) -> &'static Kind {
    // Kinds live as long as the program.
    Box::leak(Box::new(Kind { durability, ..kinds::storage_pool::KIND }))
}

fn emit_as(events: &Events, kind: &'static Kind, number: usize) -> Ticket {
    let text = number.to_string();
    let payload = StoragePoolPayload::new(StoragePoolOperation::Created);
    events.__emit(kind, Level::Info, &payload, [(events_tests::NUMBER, text.as_str())])
}

#[test]
fn with_power_the_emitter_of_a_synced_kind_returns_with_the_event_on_stable_storage() {
    for durability in DurabilityMode::ALL {
        let rig = Rig::with(|config| {
            config.durability = *durability;
            config.batch_timeout = Duration::from_secs(600);
            config.sync_interval = Duration::from_secs(3600);
        });
        let is_power = *durability == DurabilityMode::Power;
        assert!(!queue_number(&rig.events, 0).is_durable(), "{durability:?}");
        assert_eq!(
            emit_as(&rig.events, kind_with(Durability::Sync), 1).is_durable(),
            is_power,
            "{durability:?}"
        );
    }
}

#[test]
fn events_that_are_not_worth_a_place_on_disk_are_dropped_and_counted_when_the_others_go_there() {
    for durability in DurabilityMode::ALL {
        let rig = Rig::with(|config| {
            config.durability = *durability;
            config.batch_timeout = Duration::from_secs(600);
        });
        rig.toggle.stop();
        let best_effort = kind_with(Durability::BestEffort);
        for number in 0..10 {
            emit_number(&rig.events, number);
            assert!(emit_as(&rig.events, best_effort, 1_000 + number).is_queued());
        }
        let report = rig.events.shutdown(PATIENCE);
        assert_eq!(
            (report.on_disk, report.stats.dropped_for(DropReason::BestEffort)),
            (10, 10),
            "{durability:?}"
        );
        rig.toggle.restart().unwrap();
        let events = Events::start(durable(&rig.toggle, rig.spool.path(), *durability)).unwrap();
        assert!(rig.toggle.wait_for_events(10, PATIENCE));
        assert_numbers(&rig.toggle, 10);
        events.shutdown(PATIENCE);
    }
}

#[test]
fn what_was_set_aside_out_of_a_segment_is_found_there_by_the_next_process() {
    let (toggle, spool) = killed_with(250);
    let mut paths = segments(spool.path());
    paths.retain(|path| holds_events(&fs::read(path).unwrap()));
    let mut bytes = fs::read(&paths[0]).unwrap();
    let at = bytes.windows(5).position(|window| window == b"storm").unwrap();
    bytes[at] ^= 1;
    fs::write(&paths[0], bytes).unwrap();
    fs::write(spool.path().join("segments/0-short.seg"), [1; 100]).unwrap();

    let config = durable(&toggle, spool.path(), DurabilityMode::Process);
    let is_done =
        |stats: &events_sdk::Stats| stats.lifetime.is_surveyed && stats.on_disk + stats.in_flight == 0;
    let events = Events::start(config.clone()).unwrap();
    let stats = wait_until(&events, PATIENCE, |stats| is_done(stats) && stats.quarantined > 0);
    let aside = stats.lifetime.quarantined;
    assert!((1..=2).contains(&aside), "{stats:#?}");
    events.shutdown(PATIENCE);

    let events = Events::start(config).unwrap();
    let stats = wait_until(&events, PATIENCE, is_done);
    assert_eq!((stats.lifetime.quarantined, stats.lifetime.dropped_total()), (aside, 0), "{stats:#?}");
    events.shutdown(PATIENCE);
}

#[test]
fn events_that_were_cut_off_a_segment_are_lost_and_told_and_only_what_has_bytes_is_in_the_quarantine() {
    let (toggle, spool) = killed_with(250);
    let path = segment_without_a_file(spool.path()).unwrap();
    let bytes = fs::read(&path).unwrap();
    let is_second = |at: &usize| bytes[*at..].starts_with(b"storm");
    let at = (0..bytes.len()).filter(is_second).nth(1).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_len(at as u64).unwrap();

    let events = Events::start(durable(&toggle, spool.path(), DurabilityMode::Process)).unwrap();
    let told = || toggle.events().iter().find_map(|event| losses_in(event).map(|losses| losses.lost));
    let stats = wait_until(&events, PATIENCE, |stats| {
        stats.lifetime.is_surveyed && stats.on_disk + stats.in_flight == 0 && told().is_some()
    });
    let lost = stats.dropped_for(DropReason::Vanished);
    assert!(lost > 10, "{stats:#?}");
    assert_eq!((stats.quarantined, stats.lifetime.quarantined), (1, 1), "{stats:#?}");
    assert_eq!(told(), Some(lost), "{stats:#?}");
    let delivered = toggle.events().iter().filter(|event| losses_in(event).is_none()).count() as u64;
    assert_eq!(delivered + lost + 1, 250, "{stats:#?}");
    events.shutdown(PATIENCE);
    let aside = fs::read_dir(spool.path().join("quarantine")).unwrap().count();
    assert_eq!(aside, 2, "the bytes, and what is to be said of them");
}

#[test]
fn what_a_process_left_undecided_at_its_end_the_next_one_finds_or_counts() {
    for &durability in DurabilityMode::ALL {
        let (toggle, spool) = (Toggle::start().unwrap(), TempDir::new().unwrap());
        toggle.stop();
        let mut agent = Agent::start(&toggle, spool.path(), durability);
        agent.ask("emit 0 1000");
        agent.ask("shutdown 0");
        agent.kill();
        toggle.restart().unwrap();
        let events = Events::start(durable(&toggle, spool.path(), durability)).unwrap();
        let is_done = |stats: &events_sdk::Stats| {
            stats.lifetime.is_surveyed && stats.on_disk + stats.in_flight + stats.in_memory == 0
        };
        let stats = wait_until(&events, PATIENCE, is_done);
        assert!(is_done(&stats), "{durability:?}: {stats:#?}");
        let lost = stats.dropped_for(DropReason::ProcessEnded);
        assert_eq!(lost, stats.dropped_total(), "{durability:?}: {stats:#?}");
        assert!(durability == DurabilityMode::Memory || lost == 0, "{durability:?}: {stats:#?}");
        let of_storm = toggle.events().iter().filter(|event| losses_in(event).is_none()).count() as u64;
        assert_eq!(of_storm + lost, 1_000, "{durability:?}: {stats:#?}");
        assert!(stats.lifetime.balances(), "{durability:?}: {stats:#?}");
        events.shutdown(PATIENCE);
    }
}

#[test]
fn segments_that_somebody_removed_after_a_kill_are_counted_as_vanished_and_the_tool_misses_them() {
    for &durability in DurabilityMode::ALL {
        let (toggle, spool) = killed_with_a_durability(durability, 250);
        let _ = fs::remove_dir_all(spool.path().join("segments"));
        let is_kept = durability != DurabilityMode::Memory;
        let out = Command::new(env!("CARGO_BIN_EXE_events-tool"))
            .args(["spool", "accounts", "--json", "--spool", spool.path().to_str().unwrap()])
            .env_clear()
            .output()
            .unwrap();
        let events = Events::start(durable(&toggle, spool.path(), durability)).unwrap();
        let stats = wait_until(&events, PATIENCE, |stats| stats.lifetime.is_surveyed && stats.on_disk == 0);
        let lost = [DropReason::Vanished, DropReason::ProcessEnded].map(|why| stats.dropped_for(why));
        let (gone, other) = if is_kept { (lost[0], lost[1]) } else { (lost[1], lost[0]) };
        assert!(gone > 0 && other == 0, "{durability:?}: {stats:#?}");
        let told = String::from_utf8(out.stdout).unwrap();
        let (code, missing) = if is_kept { (1, gone) } else { (0, 0) };
        assert_eq!(out.status.code(), Some(code), "{durability:?}: {told}");
        assert!(told.contains(&format!("\"missing\":{missing},")), "{durability:?}: {told}");
        events.shutdown(PATIENCE);
    }
}
