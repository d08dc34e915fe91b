//! Somebody removes what a running process counts on: it is made again, and what is still in memory outlives the process again.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    fs,
    os::unix::fs::{FileExt, MetadataExt, symlink},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use events_sdk::{Config, DropReason, DurabilityMode, Events, Stats, WaitOutcome, testing::Toggle};
use events_tests::{Rig, assert_numbers, config, emit_number, queue_number, storm, wait_until};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

/// Events wait in memory and in their segment, for nothing else that would take them to disk.
fn rig(durability: DurabilityMode) -> (Rig, PathBuf) {
    let mut spool = PathBuf::new();
    let rig = Rig::with(|config| {
        config.spool_dir.push("events");
        spool.clone_from(&config.spool_dir);
        (config.durability, config.batch_timeout) = (durability, Duration::from_secs(600));
        config.sync_interval = Duration::from_secs(3600);
        (config.batch_size, config.flush_threshold) = (1_000, 10_000);
    });
    rig.toggle.stop();
    (rig, spool)
}

fn segments(spool: &Path) -> Vec<PathBuf> {
    let folder = fs::read_dir(spool.join("segments")).into_iter().flatten();
    folder.map(|entry| entry.unwrap().path()).collect()
}

/// Removes a directory, in which something new may be made meanwhile.
fn remove_all(dir: &Path) {
    let gone = (0..100).any(|_| fs::remove_dir_all(dir).is_ok());
    assert!(gone, "{} stays", dir.display());
}

/// What a process that is killed now leaves, delivered by the next one.
fn assert_next_delivers(spool: &Path, count: usize) {
    let (copy, toggle) = (TempDir::new().unwrap(), Toggle::start().unwrap());
    // In the order in which events go: one that does meanwhile is found in both.
    for folder in ["segments", ""] {
        let (from, to) = (spool.join(folder), copy.path().join(folder));
        fs::create_dir_all(&to).unwrap();
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
            // A segment that is not needed any more may go meanwhile.
            let copied = fs::copy(entry.path(), to.join(entry.file_name()));
            assert!(copied.is_ok() || !entry.path().is_file(), "{copied:?}: {}", entry.path().display());
        }
    }
    let next = Events::start(config(&toggle, copy.path())).unwrap();
    assert!(toggle.wait_for_events(count, PATIENCE), "{:#?}", next.stats());
    let stats = wait_until(&next, PATIENCE, |stats| stats.lifetime.is_surveyed);
    assert_numbers(&toggle, count);
    assert_eq!(stats.lifetime.dropped_total(), 0, "{stats:#?}");
}

#[test]
fn what_was_in_segments_that_somebody_removed_outlives_the_process_again() {
    let removals: [fn(&Path); 4] = [
        |spool| remove_all(&spool.join("segments")),
        |spool| segments(spool).iter().for_each(|path| fs::remove_file(path).unwrap()),
        remove_all,
        |spool| {
            fs::rename(spool, spool.with_extension("old")).unwrap();
            fs::create_dir(spool).unwrap();
        },
    ];
    for durability in [DurabilityMode::Process, DurabilityMode::Power] {
        for (number, remove) in removals.iter().enumerate() {
            let (rig, spool) = rig(durability);
            (0..250).for_each(|number| assert!(queue_number(&rig.events, number).is_queued()));
            assert_eq!(rig.events.stats().in_memory, 250);
            remove(&spool);
            // Toggle is away, so they go to disk, if only because it was noticed.
            let stats = wait_until(&rig.events, PATIENCE, |stats| stats.on_disk == 250);
            assert_eq!(stats.on_disk, 250, "{durability:?}, {number}: {stats:#?}");
            let why = stats.last_error.clone().unwrap_or_default();
            assert!(!why.is_empty(), "{durability:?}, {number}: nobody is told");
            // What comes in now is in new segments.
            (250..299).for_each(|number| emit_number(&rig.events, number));
            let last = queue_number(&rig.events, 299);
            let stats = rig.events.stats();
            assert_eq!((stats.durability.degraded, stats.durability.unprotected), (None, 0), "{number}");
            assert!(!segments(&spool).is_empty(), "{durability:?}, {number}");
            assert_eq!(rig.events.wait(&last, PATIENCE), WaitOutcome::Settled);
            assert_next_delivers(&spool, 300);
            rig.toggle.restart().unwrap();
            let _ = rig.events.flush(PATIENCE);
            rig.assert_all_delivered(300, PATIENCE);
        }
    }
}

#[test]
fn nothing_is_made_behind_a_link_that_takes_the_place_of_the_segments() {
    let (rig, spool) = rig(DurabilityMode::Process);
    let outside = TempDir::new().unwrap();
    assert!(queue_number(&rig.events, 0).is_queued());
    // Others may be made meanwhile, and so may the folder.
    let is_in_its_place = (0..100).any(|_| {
        remove_all(&spool.join("segments"));
        symlink(outside.path(), spool.join("segments")).is_ok()
    });
    assert!(is_in_its_place);
    let stats =
        wait_until(&rig.events, PATIENCE, |stats| stats.on_disk == 1 && stats.durability.degraded.is_some());
    let why = stats.durability.degraded.clone().unwrap_or_default();
    assert!(why.contains("links are not followed"), "{stats:#?}");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    // Once it is gone the folder is made.
    fs::remove_file(spool.join("segments")).unwrap();
    let stats = wait_until(&rig.events, PATIENCE, |stats| stats.durability.degraded.is_none());
    assert_eq!(stats.durability.degraded, None);
    assert!(queue_number(&rig.events, 1).is_queued());
    assert_eq!(rig.events.stats().durability.unprotected, 0);
    assert_next_delivers(&spool, 2);
}

#[test]
fn accounts_that_somebody_removed_go_on_with_the_same_numbers() {
    let (toggle, spool) = (Toggle::start().unwrap(), TempDir::new().unwrap());
    let events = Events::start(config(&toggle, spool.path())).unwrap();
    storm(&events, 0..300, 1_000_000);
    wait_until(&events, PATIENCE, |stats| stats.delivered == 300);
    toggle.stop();
    storm(&events, 300..400, 1_000_000);
    wait_until(&events, PATIENCE, |stats| stats.on_disk == 100);
    let accounts = spool.path().join(".accounts");
    fs::remove_file(&accounts).unwrap();
    let start = Instant::now();
    while !accounts.exists() && start.elapsed() < PATIENCE {
        std::thread::yield_now();
    }
    // What happens to them from now on is in the new file.
    toggle.restart().unwrap();
    let stats = wait_until(&events, PATIENCE, |stats| stats.delivered == 400 && stats.spool.files == 0);
    assert_eq!((stats.delivered, stats.spool.files), (400, 0), "{stats:#?}");
    assert!(events.shutdown(PATIENCE).complete);
    let next = Events::start(Config { ..config(&toggle, spool.path()) }).unwrap();
    let stats = wait_until(&next, PATIENCE, |stats| stats.lifetime.is_surveyed);
    assert_eq!((stats.lifetime.accepted, stats.lifetime.delivered), (400, 400), "{stats:#?}");
    assert_eq!(stats.lifetime.dropped_total(), 0, "{stats:#?}");
}

/// Whether somebody who looks at the statistics is told that the accounts end with the process.
fn has_concern(stats: &Stats) -> bool {
    stats.spool.concerns.iter().any(|concern| concern.contains("the accounts are kept in memory only"))
}

#[test]
fn accounts_that_are_removed_and_cannot_be_made_again_are_told_as_long_as_that_holds() {
    let rig = Rig::start();
    emit_number(&rig.events, 0);
    let obstacle = rig.spool.path().join(".accounts.tmp");
    fs::create_dir(&obstacle).unwrap();
    fs::remove_file(rig.spool.path().join(".accounts")).unwrap();
    let stats = wait_until(&rig.events, PATIENCE, has_concern);
    assert!(has_concern(&stats), "{stats:#?}");
    fs::remove_dir(&obstacle).unwrap();
    let stats = wait_until(&rig.events, PATIENCE, |stats| !has_concern(stats));
    assert!(!has_concern(&stats) && rig.spool.path().join(".accounts").is_file(), "{stats:#?}");
}

#[test]
fn accounts_that_could_not_be_made_at_the_start_are_made_once_what_is_in_the_way_is_gone() {
    for obstacle in [".accounts", ".accounts.tmp"] {
        let (toggle, spool) = (Toggle::start().unwrap(), TempDir::new().unwrap());
        let (obstacle, accounts) = (spool.path().join(obstacle), spool.path().join(".accounts"));
        fs::create_dir(&obstacle).unwrap();
        let events = Events::start(config(&toggle, spool.path())).unwrap();
        storm(&events, 0..100, 1_000_000);
        wait_until(&events, PATIENCE, |stats| stats.delivered == 100);
        toggle.stop();
        storm(&events, 100..300, 1_000_000);
        let stats = wait_until(&events, PATIENCE, |stats| stats.on_disk == 200);
        assert!(has_concern(&stats), "{}: {stats:#?}", obstacle.display());
        fs::remove_dir(&obstacle).unwrap();
        let start = Instant::now();
        while !accounts.is_file() && start.elapsed() < PATIENCE {
            std::thread::yield_now();
        }
        assert!(accounts.is_file(), "{}", obstacle.display());
        let stats = wait_until(&events, PATIENCE, |stats| !has_concern(stats));
        assert!(!has_concern(&stats), "{}: {stats:#?}", obstacle.display());
        assert!(events.shutdown(PATIENCE).complete);
        drop(events);
        toggle.restart().unwrap();
        let next = Events::start(config(&toggle, spool.path())).unwrap();
        let stats = wait_until(&next, PATIENCE, |stats| {
            stats.lifetime.is_surveyed && stats.lifetime.delivered == 300
        });
        assert_eq!((stats.lifetime.accepted, stats.lifetime.delivered), (300, 300), "{stats:#?}");
        assert_eq!(stats.lifetime.dropped_total(), 0, "{stats:#?}");
    }
}

#[test]
fn accounts_into_which_somebody_writes_go_on_with_their_own_numbers() {
    let (toggle, spool) = (Toggle::start().unwrap(), TempDir::new().unwrap());
    let events = Events::start(config(&toggle, spool.path())).unwrap();
    let accounts = spool.path().join(".accounts");
    storm(&events, 0..100, 1_000_000);
    wait_until(&events, PATIENCE, |stats| stats.delivered == 100);
    let before = fs::read(&accounts).unwrap();
    let garbage = [vec![0xA5; before.len()], vec![0xFF; before.len()], vec![0; before.len()], before.clone()];
    for (round, garbage) in garbage.iter().enumerate() {
        let written = fs::OpenOptions::new().write(true).open(&accounts).unwrap();
        let number = written.metadata().unwrap().ino();
        written.write_all_at(garbage, 0).unwrap();
        // It matters neither to what happens before that is noticed nor to what happens after.
        let count = 100 * (round + 1);
        // What stood there before is right in itself, and would be again with what happens now.
        let at_once = if *garbage == before { 0 } else { 50 };
        storm(&events, count..count + at_once, 1_000_000);
        let start = Instant::now();
        while fs::metadata(&accounts).unwrap().ino() == number && start.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_ne!(fs::metadata(&accounts).unwrap().ino(), number, "round {round}: {:#?}", events.stats());
        storm(&events, count + at_once..count + 100, 1_000_000);
        let all = count as u64 + 100;
        let stats = wait_until(&events, PATIENCE, |stats| stats.delivered == all);
        assert_eq!(
            (stats.accepted, stats.delivered, stats.restarts),
            (all, all, 0),
            "round {round}: {stats:#?}"
        );
        assert!(stats.balances() && stats.lifetime.balances(), "round {round}: {stats:#?}");
        assert_eq!((stats.lifetime.accepted, stats.lifetime.dropped_total()), (all, 0), "round {round}");
        assert!(spool.path().join(".accounts.damaged").is_file(), "round {round}");
    }
    assert!(events.shutdown(PATIENCE).complete);
    drop(events);
    assert_numbers(&toggle, 500);
    let next = Events::start(config(&toggle, spool.path())).unwrap();
    let stats = wait_until(&next, PATIENCE, |stats| stats.lifetime.is_surveyed);
    assert_eq!((stats.lifetime.accepted, stats.lifetime.delivered), (500, 500), "{stats:#?}");
    assert_eq!(stats.lifetime.dropped_total(), 0, "{stats:#?}");
}

/// Toggle is away, and events are in as many spill files, the oldest first.
fn spilled(count: usize) -> (Rig, Vec<PathBuf>) {
    let rig = Rig::start();
    rig.toggle.stop();
    for hundred in 0..count {
        storm(&rig.events, hundred * 100..(hundred + 1) * 100, 1_000_000);
        let on_disk = (hundred as u64 + 1) * 100;
        wait_until(&rig.events, PATIENCE, |stats| stats.on_disk == on_disk);
    }
    let files = rig.spill_files();
    let files = files.iter().map(|name| rig.spool.path().join(name)).collect();
    (rig, files)
}

#[test]
fn a_shutdown_without_spill_files_that_somebody_removed_is_not_complete() {
    // Not one of the first, which are read ahead.
    let (rig, files) = spilled(6);
    fs::remove_file(&files[5]).unwrap();
    wait_until(&rig.events, PATIENCE, |stats| stats.spool.missing == 1);
    let report = rig.events.shutdown(PATIENCE);
    assert!(!report.complete && report.stats.spool.missing == 1, "{report:#?}");
}

#[test]
fn spill_files_that_somebody_removes_while_toggle_is_away_are_told_at_once_and_delivered_when_put_back() {
    let (rig, mut files) = spilled(6);
    let elsewhere = TempDir::new().unwrap();
    let put_back = files.pop().unwrap();
    let away = elsewhere.path().join(put_back.file_name().unwrap());
    fs::copy(&put_back, &away).unwrap();
    let gone = files.pop().unwrap();
    fs::remove_file(&put_back).unwrap();
    fs::remove_file(&gone).unwrap();
    let stats = wait_until(&rig.events, PATIENCE, |stats| stats.spool.missing == 2);
    assert_eq!((stats.spool.missing, stats.on_disk, stats.dropped_total()), (2, 600, 0), "{stats:#?}");
    fs::copy(&away, &put_back).unwrap();
    let stats = wait_until(&rig.events, PATIENCE, |stats| stats.spool.missing == 1);
    assert_eq!((stats.spool.missing, stats.on_disk, stats.adopted), (1, 600, 0), "{stats:#?}");
    // What is not there when its turn comes is lost, and nothing else. The oldest were read before.
    rig.toggle.restart().unwrap();
    let stats = wait_until(&rig.events, PATIENCE, |stats| stats.spool.missing == 0 && stats.delivered == 501);
    assert_eq!((stats.spool.missing, stats.dropped_total()), (0, 100), "{stats:#?}");
    assert!(stats.dropped.iter().all(|drop| drop.reason == DropReason::Vanished), "{stats:#?}");
    // With the one that tells of it.
    assert_eq!((stats.delivered, rig.toggle.unique_events()), (501, 501), "{stats:#?}");
}
