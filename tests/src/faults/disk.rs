//! What a disk can do.

use std::{fs, os::unix::fs::PermissionsExt, sync::Mutex, time::Duration};

use events_sdk::{DropReason, Level};

use super::{
    Outcome, Scale,
    moods::{RATE, broken, settle},
};
use crate::{Mounted, Rig, storm_of, wait_until};

/// A rig whose spool lies one level down, and a small memory, so that the disk matters.
fn rig() -> Rig {
    Rig::with(|config| {
        config.spool_dir.push("events");
        config.flush_threshold = 1_000;
    })
}

fn finish(scale: &Scale, rig: &Rig) -> Outcome {
    settle(&rig.events, &rig.toggle, &rig.spool.path().join("events"), scale.events())
}

pub(super) fn full(scale: &Scale) -> Outcome {
    let mut disk = None;
    let rig = Rig::with(|config| {
        config.spool_dir.push("events");
        fs::create_dir(&config.spool_dir).expect("a directory");
        disk = Mounted::new(&["-t", "tmpfs", "-o", "size=512k", "none"], &config.spool_dir);
        // Together with the disk less than what comes, but more than the grave part of it.
        (config.buffer_size, config.flush_threshold) = (1_000, 500);
        config.spool_min_free_bytes = 0;
    });
    if disk.is_none() {
        return Outcome::skipped("mount is not permitted");
    }
    rig.toggle.stop();
    storm_of(&rig.events, 0..scale.events(), RATE, |number| match number {
        number if number % 100 == 0 => Level::Error,
        _ => Level::Info,
    });
    let filled = rig.events.stats();
    rig.toggle.restart().expect("the same port");
    let mut outcome = finish(scale, &rig).only_dropped_for(&[DropReason::BufferFull, DropReason::SpoolFull]);
    if outcome.dropped.is_empty() || filled.on_disk == 0 {
        outcome.problems.push(format!("{} events on disk, and it was never full", filled.on_disk));
    }
    let dropped = rig.events.stats().dropped;
    if let Some(grave) = dropped.iter().find(|dropped| dropped.level != Some(Level::Info)) {
        outcome.problems.push(format!("dropped although less grave events were there: {grave:?}"));
    }
    outcome.note = format!("{} events on the full disk; {}", filled.on_disk, outcome.note);
    rig.events.shutdown(Duration::from_secs(5));
    drop(rig);
    drop(disk);
    outcome
}

pub(super) fn unwritable(scale: &Scale) -> Outcome {
    let rig = rig();
    let dir = rig.spool.path().join("events");
    let is_root = rustix::process::geteuid().is_root();
    rig.toggle.stop();
    let mounted = Mutex::new(None);
    let may_write = |yes: bool| match (is_root, yes) {
        (true, true) => drop(mounted.lock().expect("no panic").take()),
        (true, false) => *mounted.lock().expect("no panic") = Mounted::read_only(&dir),
        (false, _) => {
            let mode = if yes { 0o700 } else { 0o500 };
            fs::set_permissions(&dir, fs::Permissions::from_mode(mode)).expect("ours");
        }
    };
    let (mut skipped, mut noticed) = (false, false);
    let forbid = |rig: &Rig| {
        may_write(false);
        skipped = is_root && mounted.lock().expect("no panic").is_none();
        if !skipped {
            let stats = wait_until(&rig.events, Duration::from_secs(5), |stats| stats.spool.broken.is_some());
            noticed = stats.spool.broken.is_some();
        }
    };
    broken(scale, &rig, Duration::from_secs(5), forbid, |_| may_write(true));
    if skipped {
        return Outcome::skipped("mount is not permitted");
    }
    rig.toggle.restart().expect("the same port");
    let mut outcome = finish(scale, &rig).only_dropped_for(&[DropReason::BufferFull]);
    if !noticed {
        outcome.problems.push("nobody noticed that the spool takes nothing".to_owned());
    }
    outcome
}

pub(super) fn removed(scale: &Scale) -> Outcome {
    let rig = rig();
    let dir = rig.spool.path().join("events");
    rig.toggle.stop();
    let remove = |rig: &Rig| {
        wait_until(&rig.events, Duration::from_secs(5), |stats| stats.on_disk > 0);
        // A file that is being written meanwhile makes the first attempt fail.
        (0..10).any(|_| fs::remove_dir_all(&dir).is_ok());
    };
    broken(scale, &rig, Duration::from_secs(5), remove, |_| ());
    rig.toggle.restart().expect("the same port");
    finish(scale, &rig).only_dropped_for(&[DropReason::Vanished])
}

pub(super) fn replaced(scale: &Scale) -> Outcome {
    let rig = rig();
    let (dir, aside) = (rig.spool.path().join("events"), rig.spool.path().join("aside"));
    rig.toggle.stop();
    let replace = |rig: &Rig| {
        wait_until(&rig.events, Duration::from_secs(5), |stats| stats.on_disk > 0);
        fs::rename(&dir, &aside).expect("the directory");
        // The SDK may have made it again already.
        let _ = fs::remove_dir_all(&dir);
        let _ = fs::write(&dir, "in the way");
    };
    let give_back = |_: &Rig| {
        if dir.is_file() {
            fs::remove_file(&dir).expect("the file");
        }
        let _ = fs::rename(&aside, &dir);
    };
    broken(scale, &rig, Duration::from_secs(5), replace, give_back);
    rig.toggle.restart().expect("the same port");
    finish(scale, &rig).only_dropped_for(&[DropReason::Vanished, DropReason::BufferFull])
}
