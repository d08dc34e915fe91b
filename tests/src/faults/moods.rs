//! What Toggle and the network can do.

use std::{fs, path::Path, thread, time::Duration};

use events_sdk::{
    Events, TokenSource,
    testing::{Mode, Toggle},
};

use super::{Outcome, Scale};
use crate::{NUMBER, Rig, config, spill_files, storm, wait_until};

/// Events a second.
pub(super) const RATE: usize = 5_000;
/// How long the rest may take to arrive when the fault is over: the drain begins after a pause of up to half the outage.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until everything has found its end, and counts.
pub(super) fn settle(events: &Events, toggle: &Toggle, spool: &Path, emitted: usize) -> Outcome {
    let stats = wait_until(events, PATIENCE, |stats| {
        stats.in_memory + stats.in_flight + stats.on_disk == 0 && stats.spool.files == 0
    });
    let mut outcome = Outcome::tally(toggle, std::slice::from_ref(&(0..emitted)), 0).with_accounts(&stats);
    let left = if spool.is_dir() { spill_files(spool) } else { Vec::new() };
    if !left.is_empty() || stats.on_disk > 0 {
        outcome.problems.push(format!("{} events in {} files were not delivered", stats.on_disk, left.len()));
    }
    outcome
}

/// Runs the storm; a fifth into it the fault begins, and ends after `length` or its tenth.
pub(super) fn broken(
    scale: &Scale,
    rig: &Rig,
    length: Duration,
    begin: impl FnOnce(&Rig) + Send,
    end: impl FnOnce(&Rig) + Send,
) {
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(scale.time(Duration::from_secs(2)));
            begin(rig);
            thread::sleep(scale.time(length));
            end(rig);
        });
        storm(&rig.events, 0..scale.events(), RATE);
    });
}

pub(super) fn finish(scale: &Scale, rig: &Rig) -> Outcome {
    settle(&rig.events, &rig.toggle, rig.spool.path(), scale.events())
}

fn mood(scale: &Scale, mode: Mode) -> Outcome {
    let rig = Rig::start();
    let back = |rig: &Rig| rig.toggle.set_mode(Mode::Ok);
    broken(scale, &rig, Duration::from_secs(5), |rig| rig.toggle.set_mode(mode), back);
    finish(scale, &rig).only_dropped_for(&[])
}

pub(super) fn down_from_the_start(scale: &Scale) -> Outcome {
    let rig = Rig::start();
    rig.toggle.stop();
    storm(&rig.events, 0..scale.events(), RATE);
    let stats = wait_until(&rig.events, Duration::from_secs(10), |stats| stats.spool.files > 0);
    rig.toggle.restart().expect("the same port");
    let mut outcome = finish(scale, &rig).only_dropped_for(&[]);
    if stats.spool.files == 0 {
        outcome.problems.push("nothing was written to disk while Toggle was away".to_owned());
    }
    outcome
}

pub(super) fn killed(scale: &Scale) -> Outcome {
    let rig = Rig::start();
    let back = |rig: &Rig| rig.toggle.restart().expect("the same port");
    broken(scale, &rig, Duration::from_secs(20), |rig| rig.toggle.stop(), back);
    finish(scale, &rig).only_dropped_for(&[])
}

pub(super) fn unavailable(scale: &Scale) -> Outcome {
    mood(scale, Mode::Unavailable)
}

pub(super) fn success_false(scale: &Scale) -> Outcome {
    mood(scale, Mode::SuccessFalse)
}

pub(super) fn store_then_fail(scale: &Scale) -> Outcome {
    let mut outcome = mood(scale, Mode::StoreThenFail);
    if outcome.recognised == 0 {
        outcome.problems.push("batches that were stored were not sent again".to_owned());
    }
    outcome
}

pub(super) fn hang(scale: &Scale) -> Outcome {
    mood(scale, Mode::Hang)
}

pub(super) fn drop_connections(scale: &Scale) -> Outcome {
    mood(scale, Mode::DropConnections)
}

pub(super) fn unauthenticated(scale: &Scale) -> Outcome {
    mood(scale, Mode::Unauthenticated)
}

pub(super) fn token_expires(scale: &Scale) -> Outcome {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let file = folder.path().join("token");
    fs::write(&file, "first").expect("the token");
    let rig = Rig::with(|config| config.toggle.token = TokenSource::File(file.clone()));
    rig.toggle.require_token(Some("first"));
    let renew = |_: &Rig| fs::write(&file, "second").expect("the token");
    let expire = |rig: &Rig| rig.toggle.require_token(Some("second"));
    broken(scale, &rig, Duration::from_secs(10), expire, renew);
    finish(scale, &rig).only_dropped_for(&[])
}

pub(super) fn poison(scale: &Scale) -> Outcome {
    const EACH: usize = 1_000;
    let rig = Rig::start();
    rig.toggle.refuse_when(|event| {
        let number = event.metadata.get(NUMBER).and_then(|text| text.parse::<usize>().ok());
        number.is_some_and(|number| number % EACH == 0)
    });
    storm(&rig.events, 0..scale.events(), RATE);
    let mut outcome = finish(scale, &rig).only_dropped_for(&[]);
    let bad = scale.events() / EACH;
    if (outcome.quarantined as usize, outcome.delivered) != (bad, scale.events() - bad) {
        outcome.problems.push(format!("{bad} events alone were to be set aside"));
    }
    outcome
}

pub(super) fn long_outage(scale: &Scale) -> Outcome {
    let rig = Rig::start();
    let (events, rate) = (scale.of(150, 1_500), 10);
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(scale.time(Duration::from_secs(45)));
            rig.toggle.stop();
            thread::sleep(scale.time(Duration::from_secs(60)));
            rig.toggle.restart().expect("the same port");
        });
        // One by one: `storm` emits fifty at a time.
        for number in 0..events {
            storm(&rig.events, number..number + 1, rate);
            thread::sleep(Duration::from_secs(1) / rate as u32);
        }
    });
    settle(&rig.events, &rig.toggle, rig.spool.path(), events).only_dropped_for(&[])
}

pub(super) fn restart(scale: &Scale) -> Outcome {
    let Rig { toggle, spool, events } = Rig::start();
    toggle.stop();
    storm(&events, 0..scale.events(), 2 * RATE);
    let report = events.shutdown(Duration::from_secs(10));
    drop(events);
    toggle.restart().expect("the same port");
    let events = Events::start(config(&toggle, spool.path())).expect("an event system");
    // Adopted as they are found, so the accounts are empty at first.
    wait_until(&events, PATIENCE, |stats| stats.delivered == report.on_disk);
    let mut outcome = settle(&events, &toggle, spool.path(), scale.events()).only_dropped_for(&[]);
    if !report.complete || report.on_disk != scale.events() as u64 {
        outcome.problems.push(format!("the shutdown left {} events on disk", report.on_disk));
    }
    outcome
}
