//! What is set aside is counted once, and a quarantine that takes nothing stops nobody.

#![allow(clippy::expect_used, reason = "helpers of tests fail as tests do")]

use std::{fs, time::Duration};

use events_sdk::{
    DropReason, Events,
    testing::{Mode, Toggle},
};
use events_tests::{NUMBER, Rig, config, losses_in, spill_files, storm, wait_until};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);
const EVENTS: usize = 10;

/// Breaks one event of the only spill file.
fn damage(spool: &TempDir) {
    let files = spill_files(spool.path());
    assert_eq!(files.len(), 1);
    let path = spool.path().join(&files[0]);
    let mut bytes = fs::read(&path).expect("the file");
    // There are more events in it than anything else.
    let place = bytes.len() / 3;
    bytes[place] ^= 0x55;
    fs::write(&path, bytes).expect("ours");
}

#[test]
fn damaged_events_are_counted_once_however_often_the_process_ends_before_their_file_is_done_with() {
    let (toggle, spool) = (Toggle::start().expect("loopback"), TempDir::new().expect("a folder"));
    toggle.set_mode(Mode::Unavailable);
    let events = Events::start(config(&toggle, spool.path())).expect("an event system");
    storm(&events, 0..EVENTS, 1_000_000);
    let report = events.shutdown(PATIENCE);
    assert_eq!((report.on_disk as usize, report.dropped), (EVENTS, 0), "{report:#?}");
    drop(events);
    damage(&spool);

    for round in 0..3 {
        let events = Events::start(config(&toggle, spool.path())).expect("an event system");
        // The file is read to its end, and what is damaged set aside, while the rest of it is offered in vain.
        wait_until(&events, PATIENCE, |_| spool.path().join("quarantine").exists());
        wait_until(&events, PATIENCE, |stats| stats.uplink.attempts_failed > 2);
        let report = events.shutdown(Duration::from_secs(2));
        let life = &report.stats.lifetime;
        assert!(life.balances() && life.dropped_total() == 0, "round {round}: {report:#?}");
        assert_eq!(report.on_disk as usize, EVENTS, "round {round}: {report:#?}");
    }

    toggle.set_mode(Mode::Ok);
    let events = Events::start(config(&toggle, spool.path())).expect("an event system");
    wait_until(&events, PATIENCE, |stats| stats.delivered as usize == EVENTS - 1 && stats.spool.files == 0);
    let report = events.shutdown(PATIENCE);
    let life = &report.stats.lifetime;
    let counts = (life.accepted as usize, life.delivered as usize, life.quarantined, life.dropped_total());
    assert_eq!(counts, (EVENTS, EVENTS - 1, 1, 0), "{report:#?}");

    // Nor does a later start miss anything.
    drop(events);
    let events = Events::start(config(&toggle, spool.path())).expect("an event system");
    let stats = wait_until(&events, PATIENCE, |stats| stats.lifetime.is_surveyed);
    assert!(stats.lifetime.is_surveyed, "it has looked for all there is: {stats:#?}");
    let report = events.shutdown(PATIENCE);
    assert_eq!(report.stats.lifetime.dropped_total(), 0, "{report:#?}");
    assert!(toggle.events().iter().all(|event| losses_in(event).is_none()));
}

#[test]
fn while_nothing_can_be_set_aside_the_spool_and_all_others_go_on() {
    let rig = Rig::with(|config| {
        config.retry_max = Duration::from_millis(200);
        fs::write(config.spool_dir.join("quarantine"), "in the way").expect("ours");
    });
    rig.toggle.refuse_when(|event| event.metadata.get(NUMBER).is_some_and(|number| number == "3"));
    storm(&rig.events, 0..EVENTS, 1_000_000);
    let stats = wait_until(&rig.events, PATIENCE, |stats| {
        stats.delivered as usize == EVENTS - 1
            && stats.last_error.as_deref().is_some_and(|e| e.contains("quarantine"))
    });
    assert_eq!((stats.quarantined, stats.on_disk), (0, 1), "{stats:#?}");
    assert_eq!(stats.spool.broken, None, "files can be written: {stats:#?}");
    let number = EVENTS + 5_000;
    storm(&rig.events, EVENTS..number, 1_000_000);
    let stats = wait_until(&rig.events, PATIENCE, |stats| stats.delivered as usize == number - 1);
    assert_eq!((stats.delivered as usize, stats.dropped_total()), (number - 1, 0), "{stats:#?}");

    fs::remove_file(rig.spool.path().join("quarantine")).expect("ours");
    let stats = wait_until(&rig.events, PATIENCE, |stats| stats.quarantined == 1);
    assert_eq!((stats.quarantined, stats.on_disk), (1, 0), "{stats:#?}");
}

#[test]
fn a_quarantine_that_can_be_counted_only_later_keeps_no_loss_from_being_found() {
    let rig = Rig::with(|config| config.retry_max = Duration::from_millis(200));
    rig.toggle.refuse_when(|event| event.metadata.get(NUMBER).is_some_and(|number| number == "3"));
    storm(&rig.events, 0..EVENTS, 1_000_000);
    wait_until(&rig.events, PATIENCE, |stats| stats.quarantined == 1 && stats.spool.files == 0);
    rig.toggle.set_mode(Mode::Unavailable);
    storm(&rig.events, EVENTS..2 * EVENTS, 1_000_000);
    let report = rig.events.shutdown(PATIENCE);
    assert_eq!((report.on_disk as usize, report.dropped), (EVENTS, 0), "{report:#?}");
    // Somebody removes a file, and something is in the way of the quarantine.
    let files = rig.spill_files();
    fs::remove_file(rig.spool.path().join(&files[0])).expect("ours");
    let (place, aside) = (rig.spool.path().join("quarantine"), rig.spool.path().join("aside"));
    fs::rename(&place, &aside).expect("ours");
    fs::write(&place, "in the way").expect("ours");
    let events = Events::start(config(&rig.toggle, rig.spool.path())).expect("an event system");
    let stats = wait_until(&events, Duration::from_secs(1), |stats| stats.lifetime.is_surveyed);
    assert!(!stats.lifetime.is_surveyed, "{stats:#?}");
    fs::remove_file(&place).expect("ours");
    fs::rename(&aside, &place).expect("ours");
    let life = wait_until(&events, PATIENCE, |stats| stats.lifetime.is_surveyed).lifetime;
    assert!(life.is_surveyed && life.balances(), "{life:#?}");
    assert_eq!((life.quarantined, life.dropped_for(DropReason::Vanished) > 0), (1, true), "{life:#?}");
}

/// Moves all events that were refused back into the spool. Gives how many files that were.
fn move_back(spool: &TempDir) -> usize {
    let entries = fs::read_dir(spool.path().join("quarantine")).expect("the quarantine");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let refused: Vec<_> = names.filter(|name| name.to_string_lossy().ends_with(".pb")).collect();
    for name in &refused {
        let from = spool.path().join("quarantine").join(name);
        fs::rename(from, spool.path().join(name)).expect("ours");
    }
    refused.len()
}

#[test]
fn refused_events_that_somebody_moves_back_while_an_agent_works_are_counted_once() {
    let (toggle, spool) = (Toggle::start().expect("loopback"), TempDir::new().expect("a folder"));
    let is_bad = |number: &String| number == "3" || number == "7";
    toggle.refuse_when(move |event| event.metadata.get(NUMBER).is_some_and(is_bad));
    let start = || {
        let mut config = config(&toggle, spool.path());
        config.retry_max = Duration::from_millis(200);
        Events::start(config).expect("an event system")
    };
    let events = start();
    storm(&events, 0..EVENTS, 1_000_000);
    let is_set_aside = |events: &Events| {
        let stats = wait_until(events, PATIENCE, |stats| {
            // Others must be taken meanwhile.
            storm(events, 0..1, 1_000_000);
            stats.lifetime.quarantined == 2 && stats.spool.files == 0
        });
        assert_eq!(stats.lifetime.quarantined, 2, "{stats:#?}");
    };
    is_set_aside(&events);

    // By whoever set them aside, and still refused.
    assert_eq!(move_back(&spool), 2);
    let stats = wait_until(&events, PATIENCE, |stats| stats.lifetime.quarantined == 0);
    assert_eq!((stats.quarantined, stats.lifetime.quarantined), (0, 0), "{stats:#?}");
    is_set_aside(&events);
    let stats = events.shutdown(PATIENCE).stats;
    let accepted = stats.accepted;
    assert_eq!((stats.lifetime.accepted, stats.lifetime.dropped_total()), (accepted, 0), "{stats:#?}");
    assert!(stats.balances() && stats.lifetime.balances(), "{stats:#?}");
    drop(events);

    // By the next process.
    let events = start();
    wait_until(&events, PATIENCE, |stats| stats.lifetime.is_surveyed);
    toggle.refuse_nothing();
    assert_eq!(move_back(&spool), 2);
    let stats = wait_until(&events, PATIENCE, |stats| stats.delivered == 2 && stats.spool.files == 0);
    assert_eq!((stats.adopted, stats.delivered), (2, 2), "{stats:#?}");
    assert_eq!((stats.lifetime.accepted, stats.lifetime.delivered), (accepted, accepted), "{stats:#?}");
    assert!(events.shutdown(PATIENCE).stats.lifetime.balances());
    drop(events);

    let events = start();
    let stats = wait_until(&events, PATIENCE, |stats| stats.lifetime.is_surveyed);
    assert_eq!((stats.lifetime.accepted, stats.lifetime.dropped_total()), (accepted, 0), "{stats:#?}");
}
