//! The command on segments: what a killed process left in them, and what a running one keeps there.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use events_sdk::{
    Config, DurabilityMode, Events, Filter, Level,
    payload::{StorageDiskOperation, StorageDiskPayload},
};
use events_tests::{emit_number, wait_until};
use tempfile::TempDir;

use super::{Away, PATIENCE, damage, events, spool};

/// An agent with segments that never reaches Toggle, on a spool of its own.
fn kept(emit: impl FnOnce(&Events)) -> (TempDir, Events) {
    let dir = TempDir::new().unwrap();
    let config = Config {
        spool_dir: dir.path().to_owned(),
        durability: DurabilityMode::Process,
        filter: Filter::from_min_level(Level::Trace),
        // Nothing leaves memory by itself.
        batch_size: 200,
        batch_timeout: Duration::from_secs(3600),
        ..Config::default()
    };
    let events = Events::start_with(config, Arc::new(Away)).unwrap();
    emit(&events);
    (dir, events)
}

/// The spool as a process leaves it that is killed now.
fn killed(live: &Path) -> TempDir {
    let dead = TempDir::new().unwrap();
    fs::create_dir(dead.path().join("segments")).unwrap();
    for entry in fs::read_dir(live.join("segments")).unwrap() {
        let entry = entry.unwrap();
        if entry.metadata().unwrap().len() == 0 {
            // One that is just being made: a process that was killed now would leave it empty, which is told.
            continue;
        }
        fs::copy(entry.path(), dead.path().join("segments").join(entry.file_name())).unwrap();
    }
    dead
}

#[test]
fn what_a_killed_process_left_in_its_segments_is_shown_like_any_other_event() {
    let (live, agent) = kept(|events| (0..150).for_each(|number| emit_number(events, number)));
    let dead = killed(live.path());
    for dir in [live.path(), dead.path()] {
        let rows = spool(dir, &["ls", "--json"]).json();
        assert_eq!(rows.len(), 1, "{rows:?}");
        assert!(rows.iter().all(|row| row["state"] == "segment"), "{rows:?}");
        assert!(rows.iter().all(|row| row["file"].as_str().unwrap().starts_with("segments/")), "{rows:?}");
        assert_eq!(rows.iter().map(|row| row["events"].as_u64().unwrap()).sum::<u64>(), 150);
        assert_eq!(rows[0]["levels"]["info"], 150);
        let shown = spool(dir, &["cat", "--json"]).json();
        let numbers: Vec<_> =
            shown.iter().map(|event| event["metadata"]["n"].as_str().unwrap().to_owned()).collect();
        assert_eq!(numbers, (0..150).map(|number| number.to_string()).collect::<Vec<_>>(), "in their order");
        assert_eq!(spool(dir, &["grep", "--count", "n=14[0-9]"]).out, "10\n");
        assert_eq!(spool(dir, &["stats", "--json"]).json()[0]["events"], 150);
        let verified = spool(dir, &["verify"]);
        assert_eq!((verified.code, verified.err.as_str()), (0, ""), "{verified:?}");
        assert!(verified.out.contains("150 good events, 0 files damaged"), "{verified:?}");
        let out = TempDir::new().unwrap();
        let file = out.path().join("all.pb");
        let said = spool(dir, &["export", "--show-pii", "-o", file.to_str().unwrap()]);
        assert_eq!(said.code, 0, "{said:?}");
        let again = events(&["spool", "stats", "--json", file.to_str().unwrap()]);
        assert_eq!(again.json()[0]["events"], 150);
        let segment = dir.join(rows[0]["file"].as_str().unwrap());
        let one = events(&["spool", "stats", "--json", segment.to_str().unwrap()]);
        assert_eq!(one.json()[0]["events"], 150, "one by its path");
    }
    // What is in a file by now is shown once.
    assert!(agent.shutdown(PATIENCE).complete);
    for entry in fs::read_dir(dead.path().join("segments")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), live.path().join("segments").join(entry.file_name())).unwrap();
    }
    assert_eq!(spool(live.path(), &["stats", "--json"]).json()[0]["events"], 150);
    for args in [["repair"].as_slice(), &["prune", "--below", "error", "--yes"]] {
        assert_eq!(spool(dead.path(), args).code, 0);
    }
    assert_eq!(spool(dead.path(), &["stats", "--json"]).json()[0]["events"], 150, "segments are left alone");
}

#[test]
fn a_damaged_segment_is_told_with_its_place_and_the_rest_of_it_is_shown() {
    let (live, _events) = kept(|events| (0..20).for_each(|number| emit_number(events, number)));
    let dead = killed(live.path());
    let rows = spool(dead.path(), &["ls", "--json"]).json();
    let segment = dead.path().join(rows[0]["file"].as_str().unwrap());
    damage(&segment, "storm");
    let said = spool(dead.path(), &["verify", "--json"]);
    assert_eq!(said.code, 1, "{said:?}");
    let row = &said.json()[0];
    assert_eq!((&row["good"], &row["lost"], &row["sound"]), (&19.into(), &1.into(), &false.into()), "{row}");
    let said = spool(dead.path(), &["cat"]);
    assert_eq!((said.code, said.out.lines().count()), (0, 19), "{said:?}");
    assert!(said.err.contains("damaged in 1 place,"), "{said:?}");
    // Nor does one make the command fall that is no segment at all.
    fs::write(&segment, "nothing that anybody would write").unwrap();
    let said = spool(dead.path(), &["verify"]);
    assert!(said.code == 1 && said.out.contains("shorter than a header"), "{said:?}");
}

#[test]
fn a_segment_that_was_cut_short_is_told_and_so_is_why_something_of_it_is_set_aside() {
    let (live, _events) = kept(|events| (0..20).for_each(|number| emit_number(events, number)));
    let dead = killed(live.path());
    let rows = spool(dead.path(), &["ls", "--json"]).json();
    let path = dead.path().join(rows[0]["file"].as_str().unwrap());
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(2_001).unwrap();
    let said = spool(dead.path(), &["verify"]);
    assert!(said.code == 1 && said.out.contains("the segment was cut short here"), "{said:?}");
    damage(&path, "storm");
    let config = Config { spool_dir: dead.path().to_owned(), ..Config::default() };
    let next = Events::start_with(config, Arc::new(Away)).unwrap();
    let stats = wait_until(&next, PATIENCE, |stats| stats.quarantined == 2);
    assert_eq!(stats.quarantined, 2, "{stats:#?}");
    let quarantine = dead.path().join("quarantine");
    let notes = fs::read_dir(&quarantine).unwrap().map(|entry| entry.unwrap().path());
    let notes: Vec<_> = notes.filter(|path| path.extension().is_some_and(|ending| ending == "txt")).collect();
    let note = fs::read_to_string(&notes[0]).unwrap();
    assert!(
        note.contains("no event of the segment's batch stands here") && note.contains("was cut short"),
        "{note}"
    );
    assert!(note.contains("2 events as far as can be known"), "{note}");
}

#[test]
fn a_segment_that_was_emptied_is_told() {
    let (live, _events) = kept(|events| (0..20).for_each(|number| emit_number(events, number)));
    let dead = killed(live.path());
    let rows = spool(dead.path(), &["ls", "--json"]).json();
    let name = rows[0]["file"].as_str().unwrap();
    let path = dead.path().join(name);
    fs::write(&path, "").unwrap();
    let path = path.to_str().unwrap();
    for said in [spool(dead.path(), &["verify"]), events(&["spool", "verify", path])] {
        assert!(said.code == 1 && said.out.contains(name), "{said:?}");
        assert!(said.out.contains("it is empty: it was emptied, or"), "{said:?}");
        assert!(said.out.contains("1 file, 0 good events, 1 file damaged"), "{said:?}");
    }
    let said = spool(dead.path(), &["verify", "--json"]);
    assert_eq!((said.code, &said.json()[0]["sound"]), (1, &false.into()), "{said:?}");
}

#[test]
fn whoever_points_at_the_folder_of_segments_is_told_where_the_spool_is() {
    let (live, _events) = kept(|events| emit_number(events, 1));
    let dead = killed(live.path());
    let segments = dead.path().join("segments");
    let meant = format!("name the spool, {}", dead.path().canonicalize().unwrap().display());
    let named = segments.to_str().unwrap();
    for args in [["ls", named], ["cat", named], ["stats", named], ["verify", named], ["accounts", named]] {
        let said = events(&[&["spool"], args.as_slice()].concat());
        assert!(said.code == 2 && said.err.contains(&meant), "{said:?}");
    }
    for args in [["ls"].as_slice(), &["repair"], &["prune", "--below", "info", "--yes"]] {
        let said = spool(&segments, args);
        assert!(said.code == 2 && said.err.contains(&meant), "{said:?}");
    }
    let inside: Vec<_> = fs::read_dir(&segments).unwrap().map(|entry| entry.unwrap().path()).collect();
    let said = spool(&inside[0], &["ls"]);
    assert!(said.code == 3 && said.err.contains("write `events spool ls FILE`"), "{said:?}");
    // A folder of that name that is none of a spool's is like any other.
    let other = TempDir::new().unwrap();
    fs::create_dir(other.path().join("segments")).unwrap();
    assert_eq!(spool(&other.path().join("segments"), &["ls"]).code, 0);
}

#[test]
fn segments_that_are_written_to_meanwhile_never_look_damaged() {
    let dir = TempDir::new().unwrap();
    let config = Config {
        spool_dir: dir.path().to_owned(),
        durability: DurabilityMode::Process,
        // Full all the time, so that entries are dropped, and segments begun and freed, as fast as can be.
        buffer_size: 2_000,
        flush_threshold: 1_900,
        batch_size: 20,
        filter: Filter::from_min_level(Level::Trace),
        ..Config::default()
    };
    let agent = Events::start_with(config, Arc::new(Away)).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let payload = StorageDiskPayload::new(StorageDiskOperation::StateChanged);
            for level in Level::ALL.iter().cycle() {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                agent.emit_storage_disk(*level, payload, ());
            }
        });
        let mut wrong = Vec::new();
        for command in ["verify", "cat", "stats", "ls"].iter().cycle().take(16) {
            let said = spool(dir.path(), &[command]);
            if said.code != 0 || said.err.contains("damaged") {
                wrong.push((said.code, said.err));
            }
        }
        done.store(true, Ordering::Relaxed);
        assert!(wrong.is_empty(), "{wrong:?}");
    });
}
