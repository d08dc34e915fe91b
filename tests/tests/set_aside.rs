//! An event that is set aside while the rest of its batch waits is counted and offered once, however the process ends before that rest is
//! dealt with.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    collections::HashMap,
    fs,
    path::Path,
    process::Command,
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use events_sdk::{
    Config, Events, Stats,
    testing::{Toggle, hang_at, let_go},
};
use events_tests::{NUMBER, config, killed, numbers, spill_files, storm, wait_until};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

/// Events of a file of several pieces, and those behind its first one.
const ALL: u64 = 400;
const BEHIND: u64 = 275;
/// Events of the first piece, and where its second half begins.
const FIRST: u64 = 125;
const HALF: usize = 62;

/// Where a thread is to hang, it may be any test's.
static TESTS: RwLock<()> = RwLock::new(());

fn alone() -> RwLockWriteGuard<'static, ()> {
    TESTS.write().unwrap_or_else(PoisonError::into_inner)
}

fn with_others() -> RwLockReadGuard<'static, ()> {
    TESTS.read().unwrap_or_else(PoisonError::into_inner)
}

fn quick(toggle: &Toggle, spool: &Path) -> Config {
    Config {
        batch_timeout: Duration::from_secs(600),
        batch_size: 3_000,
        retry_initial: Duration::from_millis(200),
        retry_max: Duration::from_millis(500),
        ..config(toggle, spool)
    }
}

/// All events in one spill file, Toggle being away.
fn filled() -> (Toggle, TempDir) {
    let (toggle, spool) = (Toggle::start().unwrap(), TempDir::new().unwrap());
    toggle.stop();
    let events = Events::start(quick(&toggle, spool.path())).unwrap();
    storm(&events, 0..ALL as usize, 1_000_000);
    assert_eq!(events.shutdown(PATIENCE).on_disk, ALL);
    (toggle, spool)
}

fn refuse(toggle: &Toggle, bad: &'static [usize]) {
    toggle.refuse_when(move |event| {
        let number = event.metadata.get(NUMBER).and_then(|text| text.parse::<usize>().ok());
        number.is_some_and(|number| bad.contains(&number))
    });
}

/// A spool as a process leaves it, killed or not, that set so many of these events aside, which are not all.
fn left_by_another(toggle: &Toggle, spool: TempDir, aside: u64, is_killed: bool) -> TempDir {
    toggle.restart().unwrap();
    let events = Events::start(quick(toggle, spool.path())).unwrap();
    let stats = wait_until(&events, PATIENCE, |stats| stats.quarantined == aside);
    let dead = killed(spool.path());
    toggle.stop();
    assert_eq!(stats.quarantined, aside, "{stats:#?}");
    let report = events.shutdown(Duration::from_millis(100));
    assert_eq!(report.stats.quarantined, aside, "{report:#?}");
    if is_killed { dead } else { spool }
}

/// Exit code and output of `events spool …`.
fn tool(dir: &Path, args: &[&str]) -> (Option<i32>, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_events-tool"))
        .arg("spool")
        .args(args)
        .arg("--spool")
        .arg(dir)
        .env_clear()
        .output()
        .unwrap();
    (out.status.code(), String::from_utf8([out.stdout, out.stderr].concat()).unwrap())
}

/// What becomes of the events, by all processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Numbers {
    accepted: u64,
    delivered: u64,
    on_disk: u64,
    quarantined: u64,
}

/// The tool has these numbers, and they balance.
fn assert_told(dir: &Path, numbers: Numbers) {
    let (code, said) = tool(dir, &["accounts", "--json"]);
    let Numbers { accepted, delivered, on_disk, quarantined } = numbers;
    let wanted = [
        ("accepted", accepted),
        ("delivered", delivered),
        ("on_disk", on_disk),
        ("quarantined", quarantined),
        ("in_memory_or_lost", 0),
        ("missing", 0),
        ("dropped", 0),
    ];
    for (name, number) in wanted {
        assert!(said.contains(&format!("\"{name}\":{number},")), "{name}: {number}: {said}");
    }
    assert_eq!(code, Some(0), "{said}");
}

fn assert_known(stats: &Stats, numbers: Numbers) {
    let all = &stats.lifetime;
    let known = Numbers {
        accepted: all.accepted,
        delivered: all.delivered,
        on_disk: all.on_disk + all.in_flight,
        quarantined: all.quarantined,
    };
    assert_eq!((known, all.dropped_total()), (numbers, 0), "{stats:#?}");
}

/// Starts an agent while Toggle is away, which finds what is there, and then has it deliver that. So do the tool, before and beside it,
/// and at the end.
fn goes_on(toggle: &Toggle, spool: &Path, before: Numbers, after: Numbers) {
    assert_told(spool, before);
    let events = Events::start(quick(toggle, spool)).unwrap();
    let stats = wait_until(&events, PATIENCE, |stats| stats.lifetime.is_surveyed);
    assert!(stats.lifetime.is_surveyed, "{stats:#?}");
    assert_known(&stats, before);
    assert_told(spool, before);
    toggle.restart().unwrap();
    let stats = wait_until(&events, PATIENCE, |stats| stats.spool.files == 0 && stats.in_flight == 0);
    assert_known(&stats, after);
    assert!(events.shutdown(PATIENCE).complete);
    drop(events);
    assert_told(spool, after);
    assert_eq!(spill_files(spool), [""; 0]);
    assert_eq!(spill_files(&spool.join("quarantine")).len() as u64, after.quarantined);
}

/// Toggle has all events but these. Others came under another id once more only where they are in a half that was cut then and is not
/// now.
fn assert_arrived(toggle: &Toggle, all: u64, bad: &[usize], cut: std::ops::Range<usize>) {
    let mut times = HashMap::<usize, usize>::new();
    numbers(toggle).into_iter().for_each(|number| *times.entry(number).or_default() += 1);
    let missing: Vec<usize> = (0..all as usize).filter(|number| !times.contains_key(number)).collect();
    assert_eq!(missing, bad);
    let again: Vec<usize> =
        times.iter().filter(|&(_, &times)| times > 1).map(|(&number, _)| number).collect();
    assert!(again.iter().all(|number| cut.contains(number)), "{again:?}");
    assert_eq!(toggle.repeated_event_ids(), again.len());
    assert_eq!(toggle.unique_events(), all as usize - bad.len() + again.len());
    assert_eq!(toggle.altered_repeats(), 0);
}

#[test]
fn one_that_toggle_takes_by_now_stays_set_aside_and_is_in_the_accounts_once() {
    let _others = with_others();
    for is_killed in [true, false] {
        let (toggle, spool) = filled();
        refuse(&toggle, &[3, 90]);
        let spool = left_by_another(&toggle, spool, 1, is_killed);
        toggle.refuse_nothing();
        let on_disk = FIRST - 1;
        let before = Numbers { accepted: ALL, delivered: BEHIND, on_disk, quarantined: 1 };
        goes_on(&toggle, spool.path(), before, Numbers { delivered: ALL - 1, on_disk: 0, ..before });
        let [bad] = <[usize; 1]>::try_from(absent(&toggle)).unwrap();
        assert!([3, 90].contains(&bad));
        // The half of the other one.
        let cut = if bad == 3 { HALF..FIRST as usize } else { 0..HALF };
        assert_arrived(&toggle, ALL, &[bad], cut);
    }
}

/// The numbers that Toggle does not have.
fn absent(toggle: &Toggle) -> Vec<usize> {
    let there = numbers(toggle);
    (0..ALL as usize).filter(|number| !there.contains(number)).collect()
}

#[test]
fn one_that_toggle_refuses_still_is_not_offered_again() {
    let _others = with_others();
    for is_killed in [true, false] {
        let (toggle, spool) = filled();
        refuse(&toggle, &[3, 90]);
        let spool = left_by_another(&toggle, spool, 1, is_killed);
        let on_disk = FIRST - 1;
        let before = Numbers { accepted: ALL, delivered: BEHIND, on_disk, quarantined: 1 };
        let after = Numbers { delivered: ALL - 2, on_disk: 0, quarantined: 2, ..before };
        goes_on(&toggle, spool.path(), before, after);
        assert_arrived(&toggle, ALL, &[3, 90], 0..FIRST as usize);
    }
}

#[test]
fn two_of_one_piece_are_in_the_accounts_twice_and_the_rest_of_it_is_delivered() {
    let _others = with_others();
    let (toggle, spool) = filled();
    refuse(&toggle, &[3, 40, 90]);
    let spool = left_by_another(&toggle, spool, 2, false);
    toggle.refuse_nothing();
    let on_disk = FIRST - 2;
    let before = Numbers { accepted: ALL, delivered: BEHIND, on_disk, quarantined: 2 };
    goes_on(&toggle, spool.path(), before, Numbers { delivered: ALL - 2, on_disk: 0, ..before });
    let bad = absent(&toggle);
    assert!(bad.len() == 2 && bad.iter().all(|number| [3, 40, 90].contains(number)), "{bad:?}");
    assert_arrived(&toggle, ALL, &bad, 0..FIRST as usize);
}

/// A file whose events are in no books before they are dealt with.
#[test]
fn one_of_a_file_that_others_put_there_is_booked_once() {
    let _others = with_others();
    for is_killed in [true, false] {
        let (toggle, others) = filled();
        let spool = TempDir::new().unwrap();
        let [file] = <[String; 1]>::try_from(spill_files(others.path())).unwrap();
        fs::rename(others.path().join(&file), spool.path().join(&file)).unwrap();
        refuse(&toggle, &[3, 90]);
        let spool = left_by_another(&toggle, spool, 1, is_killed);
        toggle.refuse_nothing();
        let on_disk = FIRST - 1;
        let before = Numbers { accepted: ALL, delivered: BEHIND, on_disk, quarantined: 1 };
        goes_on(&toggle, spool.path(), before, Numbers { delivered: ALL - 1, on_disk: 0, ..before });
        assert_arrived(&toggle, ALL, &absent(&toggle), 0..FIRST as usize);
    }
}

#[test]
fn one_of_a_batch_that_is_sent_whole_is_cut_out_of_it() {
    const BATCH: u64 = 100;
    let _others = with_others();
    for is_killed in [true, false] {
        let (toggle, spool) = (Toggle::start().unwrap(), TempDir::new().unwrap());
        refuse(&toggle, &[3, 90]);
        let batches = Config { batch_size: BATCH as usize, ..quick(&toggle, spool.path()) };
        let events = Events::start(batches).unwrap();
        storm(&events, 0..BATCH as usize, 1_000_000);
        let stats = wait_until(&events, PATIENCE, |stats| stats.quarantined == 1);
        let dead = killed(spool.path());
        toggle.stop();
        assert_eq!(stats.quarantined, 1, "{stats:#?}");
        assert_eq!(events.shutdown(Duration::from_millis(100)).stats.quarantined, 1);
        drop(events);
        let spool = if is_killed { dead } else { spool };
        assert_eq!(spill_files(spool.path()).len(), 1);
        toggle.refuse_nothing();
        let before = Numbers { accepted: BATCH, delivered: 0, on_disk: BATCH - 1, quarantined: 1 };
        goes_on(&toggle, spool.path(), before, Numbers { delivered: BATCH - 1, on_disk: 0, ..before });
        let there = numbers(&toggle);
        let bad = if there.contains(&3) { 90 } else { 3 };
        let cut = if bad == 3 { 50..100 } else { 0..50 };
        assert_arrived(&toggle, BATCH, &[bad], cut);
    }
}

/// All others of the piece were delivered by then: they come under the ids that they had.
#[test]
fn one_that_is_in_the_quarantine_and_not_in_the_accounts_when_a_process_is_killed_is_booked_once() {
    let _alone = alone();
    for takes_now in [true, false] {
        let (toggle, spool) = filled();
        refuse(&toggle, &[3]);
        toggle.restart().unwrap();
        hang_at("spool is set aside");
        let events = Events::start(quick(&toggle, spool.path())).unwrap();
        let quarantine = spool.path().join("quarantine");
        let is_there = || fs::read_dir(&quarantine).is_ok_and(|folder| folder.count() == 2);
        let stats = wait_until(&events, PATIENCE, |stats| stats.delivered == ALL - 1 && is_there());
        assert_eq!((stats.delivered, stats.quarantined, stats.on_disk), (ALL - 1, 0, 1), "{stats:#?}");
        let dead = killed(spool.path());
        let_go();
        toggle.stop();
        events.shutdown(Duration::from_millis(100));
        drop(events);
        assert_eq!(spill_files(dead.path()).len(), 1);
        if takes_now {
            toggle.refuse_nothing();
        }
        let on_disk = FIRST - 1;
        let before = Numbers { accepted: ALL, delivered: BEHIND, on_disk, quarantined: 1 };
        goes_on(&toggle, dead.path(), before, Numbers { delivered: ALL - 1, on_disk: 0, ..before });
        assert_arrived(&toggle, ALL, &[3], 0..0);
    }
}

#[test]
fn one_is_requeued_not_before_the_rest_of_its_piece_is_delivered_and_comes_once() {
    let _others = with_others();
    let (toggle, spool) = filled();
    refuse(&toggle, &[3, 90]);
    let spool = left_by_another(&toggle, spool, 1, false);
    toggle.refuse_nothing();
    let quarantine = spool.path().join("quarantine");
    let [file, aside] = [spool.path(), &quarantine].map(|dir| spill_files(dir).remove(0));
    for args in [&["requeue", "--dry-run"] as &[&str], &["requeue"], &["requeue", &aside]] {
        let (code, said) = tool(spool.path(), args);
        assert!(code == Some(3) && said.contains(&format!("still waits in {file}")), "{said}");
        assert!(said.contains("0 files"), "{said}");
        assert_eq!((spill_files(spool.path()).len(), spill_files(&quarantine).len()), (1, 1));
    }
    let on_disk = FIRST - 1;
    let before = Numbers { accepted: ALL, delivered: BEHIND, on_disk, quarantined: 1 };
    let after = Numbers { delivered: ALL - 1, on_disk: 0, ..before };
    goes_on(&toggle, spool.path(), before, after);
    let bad = absent(&toggle);
    assert_eq!(bad.len(), 1);
    let (code, said) = tool(spool.path(), &["requeue"]);
    assert!(code == Some(0) && said.contains("1 file is offered again"), "{said}");
    toggle.stop();
    let before = Numbers { on_disk: 1, quarantined: 0, ..after };
    goes_on(&toggle, spool.path(), before, Numbers { delivered: ALL, on_disk: 0, ..before });
    assert_eq!(numbers(&toggle).into_iter().filter(|number| bad.contains(number)).count(), 1);
    assert_eq!(toggle.unique_events() - toggle.repeated_event_ids(), ALL as usize);
}

#[test]
fn prune_deletes_none_that_is_set_aside() {
    let _others = with_others();
    let (toggle, spool) = filled();
    refuse(&toggle, &[3, 90]);
    let spool = left_by_another(&toggle, spool, 1, false);
    let dropped = format!("\"dropped\":{},\"kept\":0,", FIRST - 1);
    for really in ["--dry-run", "--yes"] {
        let (code, said) = tool(spool.path(), &["prune", "--below", "error", "--json", really]);
        assert!(code == Some(0) && said.contains(&dropped), "{said}");
    }
    let (code, said) = tool(spool.path(), &["accounts", "--json"]);
    for number in ["\"accepted\":400,", "\"delivered\":275,", "\"quarantined\":1,", "\"dropped\":124,"] {
        assert!(code == Some(0) && said.contains(number), "{number}: {said}");
    }
}
