//! Whoever takes the log may use the event system itself: nothing is logged under a lock that this needs.

#![allow(clippy::expect_used, reason = "helpers of tests fail as tests do")]

use std::{
    cell::Cell,
    fs,
    sync::{
        Arc, Mutex, MutexGuard, Once, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use events_sdk::{
    Batch, Config, DropReason, DurabilityMode, Events, SendError, SendErrorKind, Stats, Uplink,
    testing::{self, Mode, Toggle},
    uplink::SendFuture,
};
use events_tests::{NUMBER, Rig, SmallDisk, emit_number, killed, storm, wait_until};
use tempfile::TempDir;
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

/// What is said, and what stands beside it.
struct Text(String, String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        match field.name() {
            "message" => self.0 = format!("{value:?}"),
            name => self.1 += &format!(" {name}={value:?}"),
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
        let mut text = Text(String::new(), String::new());
        event.record(&mut text);
        if let Some(events) = EVENTS.get() {
            emit_number(events, EMITTED.fetch_add(1, Ordering::Relaxed));
            let _ = events.stats();
        }
        LINES.lock().unwrap_or_else(PoisonError::into_inner).push(format!(
            "{} {}{}",
            event.metadata().level(),
            text.0,
            text.1
        ));
        IS_INSIDE.set(false);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn times(part: &str) -> usize {
    LINES.lock().unwrap_or_else(PoisonError::into_inner).iter().filter(|line| line.contains(part)).count()
}

fn said(part: &str) -> bool {
    times(part) > 0
}

/// One test at a time hears what is said.
fn listen() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    static LISTENS: Once = Once::new();
    let mine = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    LISTENS.call_once(|| tracing::subscriber::set_global_default(Listener).expect("the only one"));
    LINES.lock().unwrap_or_else(PoisonError::into_inner).clear();
    mine
}

#[test]
fn whoever_takes_the_log_may_emit_and_look_at_the_statistics() {
    let _mine = listen();
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
        wait_until(&events, PATIENCE, |_| testing::faults_left() == 0);
    }
    wait_until(&events, PATIENCE, |stats| stats.uplink.attempts_failed > 1);
    rig.toggle.set_mode(Mode::Ok);
    // A sync fails.
    for sync in testing::syncs() {
        testing::fail_at(sync, 0, 1);
        storm(&events, 600..700, 1_000_000);
        wait_until(&events, Duration::from_secs(2), |_| testing::faults_left() == 0);
    }
    // Somebody removes the segments; then none can be made, nor a file be written.
    let segments = rig.spool.path().join("segments");
    wait_until(&events, PATIENCE, |_| {
        // Something must be in them, and something new may be made meanwhile.
        storm(&events, 600..700, 1_000_000);
        let _ = fs::remove_dir_all(&segments);
        said("segments were removed")
    });
    // Made again at once, most likely.
    let blocked = (0..1_000).any(|_| {
        let _ = fs::remove_dir_all(&segments);
        fs::write(&segments, "in the way").is_ok()
    });
    assert!(blocked);
    testing::limit_free_bytes(Some(0));
    wait_until(&events, PATIENCE, |_| {
        storm(&events, 600..1_600, 1_000_000);
        said("no segment can be made")
    });
    fs::remove_file(&segments).expect("ours");
    testing::limit_free_bytes(None);
    wait_until(&events, PATIENCE, |stats| {
        storm(&events, 600..700, 1_000_000);
        stats.durability.degraded.is_none()
    });
    let report = events.shutdown(PATIENCE);
    assert!(report.stats.lifetime.balances(), "{report:#?}");
    let all = [
        "segments were removed",
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

/// Takes each second batch.
struct OneOfTwo(AtomicUsize);

impl Uplink for OneOfTwo {
    fn send(&self, _: Arc<Batch>) -> SendFuture<'_> {
        let is_taken = self.0.fetch_add(1, Ordering::Relaxed) % 2 == 1;
        let answer = is_taken.then_some(());
        Box::pin(
            async move { answer.ok_or(SendError::new(SendErrorKind::Unavailable, "one of two backends")) },
        )
    }

    fn target(&self) -> String {
        "one of two".to_owned()
    }
}

#[test]
fn a_toggle_that_comes_and_goes_is_told_once() {
    let _mine = listen();
    let spool = TempDir::new().expect("a folder");
    let config = Config {
        spool_dir: spool.path().to_owned(),
        batch_timeout: Duration::from_millis(20),
        retry_max: Duration::from_millis(20),
        retry_initial: Duration::from_millis(20),
        ..Config::default()
    };
    let uplink = Arc::new(OneOfTwo(AtomicUsize::new(0)));
    let events = Events::start_with(config, Arc::clone(&uplink) as Arc<dyn Uplink>).expect("an event system");
    wait_until(&events, PATIENCE, |_| {
        emit_number(&events, 0);
        uplink.0.load(Ordering::Relaxed) > 100
    });
    assert!(uplink.0.load(Ordering::Relaxed) > 100);
    let lines = ["Toggle does not take events", "Toggle takes events again"].map(times);
    assert_eq!(lines, [1, 1], "in {PATIENCE:?} at most");
}

#[test]
fn the_last_word_on_a_spool_that_fails_again_is_that_it_fails() {
    let _mine = listen();
    let folder = TempDir::new().expect("a folder");
    let spool = folder.path().join("events");
    let config = Config {
        spool_dir: spool.clone(),
        batch_timeout: Duration::from_millis(20),
        buffer_size: 1_000,
        flush_threshold: 500,
        ..Config::default()
    };
    let toggle = Toggle::start().expect("loopback");
    toggle.stop();
    let events = Events::start(Config { toggle: events_tests::config(&toggle, &spool).toggle, ..config })
        .expect("an event system");
    for is_broken in [true, false, true] {
        match is_broken {
            true => {
                // Something may be made in it meanwhile, and so may the folder.
                let is_in_the_way = (0..100).any(|_| {
                    let _ = fs::remove_dir_all(&spool);
                    fs::write(&spool, "in the way").is_ok()
                });
                assert!(is_in_the_way);
            }
            false => fs::remove_file(&spool).expect("the file in the way"),
        }
        wait_until(&events, PATIENCE, |stats| {
            emit_number(&events, 0);
            stats.spool.broken.is_some() == is_broken
        });
        assert_eq!(events.stats().spool.broken.is_some(), is_broken, "{:#?}", events.stats());
    }
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let last = lines.iter().rfind(|line| line.contains("the spool takes"));
    assert!(last.is_some_and(|line| line.contains("the spool takes no events")), "{lines:#?}");
}

#[test]
fn a_disk_on_which_room_is_made_again_and_again_is_told_once() {
    let _mine = listen();
    let Some(disk) = SmallDisk::mount(8 << 10) else { return };
    let toggle = Toggle::start().expect("loopback");
    toggle.stop();
    let config = Config {
        spool_max_bytes: 64 << 20,
        spool_min_free_bytes: 0,
        buffer_size: 2_000,
        flush_threshold: 1_000,
        ..events_tests::config(&toggle, disk.path())
    };
    let events = Events::start(config).expect("an event system");
    for _ in 0..5 {
        storm(&events, 0..1_000, 1_000_000);
        wait_until(&events, PATIENCE, |stats| stats.in_memory == 0);
    }
    disk.fill(0);
    let thinned = Cell::new((0, 0));
    wait_until(&events, PATIENCE, |stats| {
        storm(&events, 0..100, 1_000_000);
        let (times, events) = thinned.get();
        if stats.spool.thinned > events {
            thinned.set((times + 1, stats.spool.thinned));
        }
        times > 3
    });
    assert!(thinned.get().0 > 3, "{:#?}", events.stats());
    assert!(said("the disk is full: the least grave") && !said("the spool is full"), "{LINES:#?}");
    wait_until(&events, PATIENCE, |_| {
        storm(&events, 0..5_000, 1_000_000);
        said("memory is full: events are dropped")
    });
    assert_eq!(times("memory is full: events are dropped"), 1);
    assert!(
        times("the spool takes no events") <= 1 && times("the spool takes events again") <= 1,
        "{LINES:#?}"
    );
}

#[test]
fn segments_that_can_be_made_and_cannot_by_turns_are_told_once() {
    let _mine = listen();
    let rig = Rig::with(|config| config.durability = DurabilityMode::Power);
    let segments = rig.spool.path().join("segments");
    for _ in 0..3 {
        let blocked = (0..1_000).any(|_| {
            let _ = fs::remove_dir_all(&segments);
            fs::write(&segments, "in the way").is_ok()
        });
        assert!(blocked);
        for is_broken in [true, false] {
            wait_until(&rig.events, PATIENCE, |stats| {
                storm(&rig.events, 0..100, 1_000_000);
                stats.durability.degraded.is_some() == is_broken
            });
            let stats = rig.events.stats();
            assert_eq!(stats.durability.degraded.is_some(), is_broken, "{stats:#?}");
            if is_broken {
                fs::remove_file(&segments).expect("ours");
            }
        }
    }
    assert_eq!(times("no segment can be made"), 1, "{LINES:#?}");
    assert!(times("segments can be made again") <= 1, "{LINES:#?}");
}

#[test]
fn spill_files_that_were_removed_are_told_with_their_sum() {
    let _mine = listen();
    let rig = Rig::start();
    rig.toggle.stop();
    for hundred in 0..20 {
        storm(&rig.events, hundred * 100..(hundred + 1) * 100, 1_000_000);
        wait_until(&rig.events, PATIENCE, |stats| stats.on_disk == 100 * (hundred as u64 + 1));
    }
    // Not those that may be read ahead.
    let files = rig.spill_files();
    for file in &files[2..] {
        fs::remove_file(rig.spool.path().join(file)).expect("ours");
    }
    rig.toggle.restart().expect("loopback");
    let sum = "ERROR spill files were removed; their events are lost";
    let stats = wait_until(&rig.events, PATIENCE, |stats| stats.spool.files == 0 && said(sum));
    assert_eq!(stats.dropped_for(DropReason::Vanished), 100 * (files.len() as u64 - 2), "{stats:#?}");
    assert_eq!(times("DEBUG a spill file was removed"), files.len() - 2, "{LINES:#?}");
    let errors = (times("ERROR a spill file was removed"), times(sum));
    assert!(errors.0 == 0 && (1..=2).contains(&errors.1), "{errors:?}: {LINES:#?}");
}

#[test]
fn events_that_are_refused_and_what_leaves_a_full_quarantine_are_told_with_their_sums() {
    let _mine = listen();
    let rig = Rig::with(|config| {
        config.batch_size = 10;
        config.retry_max = Duration::from_millis(200);
        config.quarantine_max_bytes = 64 << 10;
    });
    rig.toggle.refuse_when(|event| event.metadata.get(NUMBER).is_some_and(|number| number.ends_with('7')));
    storm(&rig.events, 0..200, 1_000_000);
    let gone = |stats: &Stats| stats.dropped_for(DropReason::QuarantineFull);
    let stats = wait_until(&rig.events, PATIENCE, |stats| stats.quarantined + gone(stats) == 20);
    assert_eq!((stats.quarantined + gone(&stats), stats.dropped_total()), (20, gone(&stats)), "{stats:#?}");
    assert!(gone(&stats) > 10, "{stats:#?}");
    let sums = ["ERROR Toggle refuses events", "WARN the quarantine is full"];
    wait_until(&rig.events, PATIENCE, |_| sums.into_iter().all(said));
    assert_eq!(sums.map(times), [1; 2], "{LINES:#?}");
    assert_eq!(times("DEBUG a refused event is in the quarantine folder"), 20, "{LINES:#?}");
    // What came since is told at the end.
    rig.events.shutdown(PATIENCE);
    assert!(sums.map(times).iter().all(|times| (1..=2).contains(times)), "{LINES:#?}");
}

#[test]
fn accounts_into_which_somebody_writes_are_told_once() {
    let _mine = listen();
    let rig = Rig::start();
    storm(&rig.events, 0..100, 1_000_000);
    let accounts = rig.spool.path().join(".accounts");
    let garbage = vec![0xA5; fs::read(&accounts).expect("ours").len()];
    for round in 0..2 {
        fs::OpenOptions::new()
            .write(true)
            .open(&accounts)
            .and_then(|mut file| std::io::Write::write_all(&mut file, &garbage))
            .expect("ours");
        // Replaced by what is right.
        wait_until(&rig.events, PATIENCE, |_| {
            fs::read(&accounts).is_ok_and(|bytes| bytes[..64] != garbage[..64])
        });
        storm(&rig.events, 0..100, 1_000_000);
        wait_until(&rig.events, PATIENCE, |stats| stats.delivered == 100 * (round + 2));
    }
    let report = rig.events.shutdown(PATIENCE);
    assert_eq!((report.stats.restarts, report.stats.lifetime.accepted), (0, 300), "{report:#?}");
    assert_eq!(times("ERROR somebody else wrote into the accounts"), 1, "{LINES:#?}");
}

#[test]
fn accounts_that_are_gone_though_files_name_them_are_told_once_at_the_start() {
    let _mine = listen();
    let gone = "WARN the accounts that files in the spool belong to are gone";
    for durability in [DurabilityMode::Memory, DurabilityMode::Process] {
        let rig = Rig::with(|config| {
            (config.durability, config.batch_timeout) = (durability, Duration::from_secs(600));
        });
        rig.toggle.stop();
        for hundred in 0..3 {
            storm(&rig.events, hundred * 100..(hundred + 1) * 100, 1_000_000);
            rig.events.flush(PATIENCE);
        }
        emit_number(&rig.events, 300);
        assert_eq!(times(gone), 0, "where there was nothing nothing is gone");
        let dead = killed(rig.spool.path());
        let start = |toggle: &Toggle| {
            let events = Events::start(events_tests::config(toggle, dead.path())).expect("an event system");
            let stats = wait_until(&events, PATIENCE, |stats| stats.lifetime.is_surveyed);
            assert!(stats.lifetime.is_surveyed, "{stats:#?}");
        };
        start(&rig.toggle);
        assert_eq!(times(gone), 0, "{durability:?}");
        fs::remove_file(dead.path().join(".accounts")).expect("ours");
        start(&rig.toggle);
        assert_eq!(times(gone), 1, "{durability:?}: {LINES:#?}");
        start(&rig.toggle);
        assert_eq!(times(gone), 1, "{durability:?}");
        LINES.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[test]
fn a_shutdown_whose_time_is_too_short_is_told_and_so_is_how_it_ended() {
    let _mine = listen();
    let rig = Rig::start();
    rig.toggle.set_mode(Mode::Unavailable);
    testing::hang_at("round");
    storm(&rig.events, 0..300, 1_000_000);
    wait_until(&rig.events, PATIENCE, |_| testing::faults_left() == 0);
    let report = rig.events.shutdown(Duration::ZERO);
    assert_eq!((report.undecided, report.on_disk), (300, 0), "{report:#?}");
    assert!(said("the shutdown deadline passed before all events were delivered or on disk"), "{LINES:#?}");
    testing::let_go();
    let stats = wait_until(&rig.events, PATIENCE, |_| said("the shutdown is done, after its deadline"));
    assert!(said("the shutdown is done, after its deadline"), "{LINES:#?}");
    assert_eq!((stats.on_disk, stats.dropped_total()), (300, 0), "{stats:#?}");
}

#[test]
fn a_shutdown_that_leaves_everything_on_disk_says_of_nothing_that_it_is_lost() {
    let _mine = listen();
    for durability in DurabilityMode::ALL {
        let rig = Rig::with(|config| config.durability = *durability);
        rig.toggle.set_mode(Mode::Unavailable);
        storm(&rig.events, 0..300, 1_000_000);
        wait_until(&rig.events, PATIENCE, |stats| stats.on_disk == 300);
        rig.toggle.set_mode(Mode::Hang);
        let stats = wait_until(&rig.events, PATIENCE, |stats| stats.in_flight > 0);
        assert!(stats.in_flight > 0, "{durability:?}: {stats:#?}");
        let report = rig.events.shutdown(Duration::ZERO);
        assert_eq!((report.undecided, report.on_disk), (0, 300), "{durability:?}: {report:#?}");
        // Nobody else is to hear that.
        let is_done = "the shutdown is done, after its deadline";
        wait_until(&rig.events, PATIENCE, |_| said(is_done));
        assert!(said(is_done) && !said("the shutdown deadline passed"), "{durability:?}: {LINES:#?}");
        LINES.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// A spool with so many files of a hundred events each, and a Toggle that is away.
fn with_files(count: usize) -> (Rig, Vec<String>) {
    let rig = Rig::with(|config| config.batch_size = 200);
    rig.toggle.stop();
    for hundred in 0..count {
        storm(&rig.events, hundred * 100..(hundred + 1) * 100, 1_000_000);
        rig.events.flush(PATIENCE);
    }
    let files = rig.spill_files();
    assert_eq!(files.len(), count, "{files:?}");
    (rig, files)
}

#[test]
fn files_that_were_cut_short_while_no_process_ran_are_told_by_name_and_once() {
    let _mine = listen();
    let (rig, files) = with_files(3);
    let dead = killed(rig.spool.path());
    let path = |file: &String| dead.path().join(file);
    let bytes = fs::read(path(&files[0])).expect("ours");
    fs::write(path(&files[0]), &bytes[..bytes.len() / 2]).expect("ours");
    let bytes = fs::read(path(&files[1])).expect("ours");
    fs::write(path(&files[1]), vec![0; bytes.len()]).expect("ours");
    for start in 0..2 {
        LINES.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let events = Events::start(events_tests::config(&rig.toggle, dead.path())).expect("an event system");
        let life = wait_until(&events, PATIENCE, |stats| stats.lifetime.is_surveyed).lifetime;
        let vanished = life.dropped_for(DropReason::Vanished);
        assert!(life.is_surveyed && life.balances() && vanished > 100, "{life:#?}");
        if start == 0 {
            // What is counted is told a moment later.
            wait_until(&events, PATIENCE, |_| times("events of earlier processes are lost") > 0);
            // All of what was zeros, and what is gone of the other; half an event of that is there.
            let [lost, all] = [vanished - 100, vanished];
            let cut = format!(
                "ERROR a spill file was cut short; what is gone of it is lost file={} lost={lost}",
                files[0]
            );
            let zeros = format!(
                "ERROR a spill file was cut short or written over, and nothing in it tells how many events are gone file={}",
                files[1]
            );
            let sum = format!("ERROR events of earlier processes are lost lost={all} reason=vanished");
            assert_eq!([cut, zeros, sum].map(|line| times(&line)), [1; 3], "{vanished} {LINES:#?}");
        }
        let told = times("a spill file was cut short");
        assert_eq!(told, if start == 0 { 2 } else { 0 }, "{LINES:#?}");
        events.shutdown(Duration::from_secs(1));
    }
}

#[test]
fn damaged_seals_are_told_in_a_line_and_cost_nothing() {
    let _mine = listen();
    for (place, what) in [(12, "the seal at its start"), (usize::MAX, "the seal at its end")] {
        let (rig, files) = with_files(3);
        let dead = killed(rig.spool.path());
        for file in &files {
            let mut bytes = fs::read(dead.path().join(file)).expect("ours");
            let place = place.min(bytes.len() - 1);
            bytes[place] ^= 1;
            fs::write(dead.path().join(file), bytes).expect("ours");
        }
        LINES.lock().unwrap_or_else(PoisonError::into_inner).clear();
        rig.toggle.restart().expect("loopback");
        let events = Events::start(events_tests::config(&rig.toggle, dead.path())).expect("an event system");
        let line = "WARN a seal of a spill file is damaged; its events are delivered all the same";
        let stats = wait_until(&events, PATIENCE, |stats| stats.delivered == 300 && said(line));
        assert_eq!((stats.delivered, stats.quarantined, stats.dropped_total()), (300, 0, 0), "{stats:#?}");
        // What came since is told at the end.
        events.shutdown(PATIENCE);
        let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let files: u32 = lines
            .iter()
            .filter_map(|said| {
                let rest = said.strip_prefix(&format!("{line} file="))?;
                let files = rest.rsplit_once(&format!(" what=\"{what}\" files="))?.1;
                files.parse::<u32>().ok()
            })
            .sum();
        assert!(files == 3 && (1..=2).contains(&times(line)), "{files}: {lines:#?}");
        assert_eq!(times("ERROR"), 0, "{LINES:#?}");
    }
}
