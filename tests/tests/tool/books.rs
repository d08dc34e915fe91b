//! `accounts` and `verify` on spools whose agent was killed: what is missing, and what was in memory.

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
    Config, DropReason, DurabilityMode, Events, Filter, FlushOutcome, Level, Stats,
    testing::{Mode, Toggle},
};
use events_tests::{Rig, config, emit_number, killed, spill_files, storm, wait_until};
use tempfile::TempDir;

use super::{
    Away, PATIENCE, Said, accounts_of, add_file, damage, dead_spool, events, mixture, only_file, spool,
};

/// A spool whose agent goes on writing nothing by itself: with two files of forty events and five events in memory.
fn busy(durability: DurabilityMode) -> (TempDir, Events) {
    let dir = TempDir::new().unwrap();
    let config = Config {
        spool_dir: dir.path().to_owned(),
        durability,
        filter: Filter::from_min_level(Level::Trace),
        batch_size: 200,
        batch_timeout: Duration::from_secs(3600),
        ..Config::default()
    };
    let agent = Events::start_with(config, Arc::new(Away)).unwrap();
    for file in 0..2 {
        (0..40).for_each(|number| emit_number(&agent, file * 40 + number));
        assert_eq!(agent.flush(PATIENCE), FlushOutcome::Complete);
    }
    wait_until(&agent, PATIENCE, |stats| stats.on_disk == 80);
    (80..85).for_each(|number| emit_number(&agent, number));
    (dir, agent)
}

/// How many events the next start counts as lost, by why, and how many it sets aside.
fn next_start(dir: &Path) -> (u64, u64, u64) {
    let events =
        Events::start_with(Config { spool_dir: dir.to_owned(), ..Config::default() }, Arc::new(Away))
            .unwrap();
    let life = wait_until(&events, PATIENCE, |stats| stats.lifetime.is_surveyed).lifetime;
    assert!(life.balances(), "{life:#?}");
    let of = |reason| life.dropped_for(reason);
    (of(DropReason::Vanished), of(DropReason::ProcessEnded), life.quarantined)
}

#[test]
fn spill_files_that_are_removed_after_a_kill_are_missing_and_were_not_in_memory() {
    for (durability, in_memory) in [(DurabilityMode::Memory, 5), (DurabilityMode::Process, 0)] {
        let (live, agent) = busy(durability);
        let dead = killed(live.path());
        drop(agent);
        let (code, said) = accounts_of(dead.path());
        assert_eq!((code, &said["missing"]), (0, &0.into()), "{said}");
        assert_eq!(spool(dead.path(), &["verify"]).code, 0);

        fs::remove_file(dead.path().join(&spill_files(dead.path())[0])).unwrap();
        let (code, said) = accounts_of(dead.path());
        assert_eq!(
            (code, &said["missing"], &said["in_memory_or_lost"], &said["balances"]),
            (1, &40.into(), &in_memory.into(), &false.into()),
            "{said}"
        );
        let verdict = said["verdict"].as_str().unwrap();
        assert!(verdict.contains("40 events are missing") && verdict.contains("or was killed"), "{verdict}");
        assert_eq!(verdict.contains("5 events were in memory when the process ended"), in_memory == 5);
        let said = spool(dead.path(), &["verify"]);
        assert!(said.code == 1 && said.err.contains("40 events are missing"), "{said:?}");
        assert_eq!(next_start(dead.path()), (40, in_memory, 0));
    }
}

#[test]
fn what_was_on_its_way_out_of_a_file_is_missing_with_it() {
    let dir = dead_spool(mixture);
    let toggle = Toggle::start().unwrap();
    toggle.set_mode(Mode::Hang);
    let agent = Events::start(config(&toggle, dir.path())).unwrap();
    let stats = wait_until(&agent, PATIENCE, |stats| stats.lifetime.is_surveyed && stats.in_flight > 0);
    assert!(stats.in_flight > 0, "{stats:#?}");
    let dead = killed(dir.path());
    toggle.set_mode(Mode::Ok);
    drop(agent);
    assert_eq!(accounts_of(dead.path()).0, 0);
    fs::remove_file(only_file(dead.path())).unwrap();
    let (code, said) = accounts_of(dead.path());
    assert_eq!((code, &said["missing"], &said["in_memory_or_lost"]), (1, &115.into(), &0.into()), "{said}");
    assert_eq!(next_start(dead.path()), (115, 0, 0));
}

#[test]
fn no_process_is_named_whose_lock_is_free() {
    let (live, agent) = busy(DurabilityMode::Memory);
    let dead = killed(live.path());
    drop(agent);
    // Each of these notes its own process in the lock.
    for args in [["repair"].as_slice(), &["requeue"]] {
        assert_eq!(spool(dead.path(), args).code, 0);
    }
    let (code, said) = accounts_of(dead.path());
    let verdict = said["verdict"].as_str().unwrap();
    assert!(code == 0 && verdict.contains("5 events were in memory when the process ended"), "{said}");
    assert!(!verdict.contains("of process"), "{verdict}");
}

#[test]
fn files_that_are_missing_beside_a_running_agent_are_told() {
    let rig = Rig::start();
    rig.toggle.stop();
    for hundred in 0..6 {
        storm(&rig.events, hundred * 100..(hundred + 1) * 100, 1_000_000);
        let on_disk = (hundred as u64 + 1) * 100;
        wait_until(&rig.events, PATIENCE, |stats| stats.on_disk == on_disk);
    }
    // Not one of the first, which are read ahead.
    fs::remove_file(rig.spool.path().join(rig.spill_files().last().unwrap())).unwrap();
    wait_until(&rig.events, PATIENCE, |stats| stats.spool.missing == 1);
    let stats = rig.events.stats();
    assert_eq!((stats.spool.missing, stats.dropped_total()), (1, 0), "{stats:#?}");
    let (code, said) = accounts_of(rig.spool.path());
    assert_eq!((code, &said["missing"], &said["in_memory_or_lost"]), (1, &100.into(), &0.into()), "{said}");
    assert!(said["verdict"].as_str().unwrap().contains("the agent counts them as `vanished`"), "{said}");
}

#[test]
fn files_that_are_missing_beside_an_agent_that_never_rests_are_told() {
    let rig = Rig::start();
    rig.toggle.stop();
    for hundred in 0..6 {
        storm(&rig.events, hundred * 100..(hundred + 1) * 100, 1_000_000);
        wait_until(&rig.events, PATIENCE, |stats| stats.on_disk == (hundred as u64 + 1) * 100);
    }
    let file = rig.spool.path().join(rig.spill_files().last().unwrap());
    let bytes = fs::read(&file).unwrap();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..100_000 {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                emit_number(&rig.events, 600);
                thread::sleep(Duration::from_micros(500));
            }
        });
        let (code, said) = accounts_of(rig.spool.path());
        assert_eq!((code, &said["balances"]), (0, &true.into()), "{said}");
        fs::remove_file(&file).unwrap();
        wait_until(&rig.events, PATIENCE, |stats| stats.spool.missing == 1);
        let (code, said) = accounts_of(rig.spool.path());
        assert_eq!((code, &said["balances"]), (1, &false.into()), "{said}");
        let is_told =
            |text: &str| text.contains("1 spill file is gone") || text.contains("events are missing");
        assert!(is_told(said["verdict"].as_str().unwrap()), "{said}");
        let said = spool(rig.spool.path(), &["verify"]);
        assert!(said.code == 1 && is_told(&said.err), "{said:?}");
        fs::write(&file, bytes).unwrap();
        wait_until(&rig.events, PATIENCE, |stats| stats.spool.missing == 0);
        let (code, said) = accounts_of(rig.spool.path());
        assert_eq!((code, &said["balances"]), (0, &true.into()), "{said}");
        is_over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn what_is_damaged_in_a_segment_is_on_disk_until_the_next_start_sets_it_aside() {
    let (live, agent) = busy(DurabilityMode::Process);
    let dead = killed(live.path());
    drop(agent);
    let rows = spool(dead.path(), &["ls", "--json"]).json();
    let segment = rows.iter().find(|row| row["state"] == "segment").unwrap()["file"].as_str().unwrap();
    damage(&dead.path().join(segment), "storm");
    let (code, said) = accounts_of(dead.path());
    assert_eq!(
        (code, &said["accepted"], &said["on_disk"], &said["in_memory_or_lost"], &said["verdict"]),
        (0, &85.into(), &85.into(), &0.into(), &"the accounts balance".into()),
        "{said}"
    );
    let said = spool(dead.path(), &["repair"]);
    assert!(said.err.contains("5 events lie in segments"), "{said:?}");
    assert_eq!(next_start(dead.path()), (0, 0, 1));
}

/// How many events `verify` says are damaged and missing in a segment, and whether it knows; its table must say the same.
fn damaged_and_missing(dir: &Path, segment: &str) -> (u64, u64, bool) {
    let said = spool(dir, &["verify", "--json"]);
    let rows = said.json();
    let row = rows.iter().find(|row| row["file"] == segment).unwrap_or_else(|| panic!("{said:?}"));
    assert_eq!((said.code, &row["sound"]), (1, &false.into()), "{row}");
    let number = |name: &str| row[name].as_u64().unwrap();
    let (damaged, missing) = (number("lost") - number("missing"), number("missing"));
    let is_known = row["lost_is_known"] == true;
    let table = spool(dir, &["verify"]).out;
    let line = table.lines().find(|line| line.starts_with(segment)).unwrap_or_else(|| panic!("{table}"));
    let cells: Vec<_> = line.split_whitespace().skip(1).take(3).collect();
    let shown = if is_known { missing.to_string() } else { "?".to_owned() };
    assert_eq!(cells, [number("good").to_string(), damaged.to_string(), shown], "{table}");
    let sum = if is_known { missing.to_string() } else { "an unknown number".to_owned() };
    assert!(table.contains(&format!("and {sum} missing")), "{table}");
    assert_eq!(number("good") + number("lost"), if is_known { 8 } else { damaged }, "{row}");
    (damaged, missing, is_known)
}

#[test]
fn of_a_segment_that_was_cut_short_verify_tells_what_is_damaged_from_what_is_missing() {
    // Within its third event, within its first one, within its header, and before that says anything.
    for (bytes, damaged, missing, is_known) in
        [(700, 1, 5, true), (300, 1, 7, true), (100, 1, 7, true), (60, 1, 0, false), (0, 0, 0, false)]
    {
        let (live, agent) = busy(DurabilityMode::Process);
        (85..88).for_each(|number| emit_number(&agent, number));
        let dead = killed(live.path());
        drop(agent);
        let rows = spool(dead.path(), &["ls", "--json"]).json();
        let row = rows.iter().find(|row| row["state"] == "segment").unwrap();
        assert_eq!(row["events"], 8);
        let segment = row["file"].as_str().unwrap();
        let file = fs::OpenOptions::new().write(true).open(dead.path().join(segment)).unwrap();
        file.set_len(bytes).unwrap();
        let said = damaged_and_missing(dead.path(), segment);
        assert_eq!(said, (damaged, missing, is_known), "{bytes} bytes");
        let gone = if is_known { missing } else { 8 - damaged };
        let (code, accounts) = accounts_of(dead.path());
        assert_eq!((code, &accounts["missing"]), (1, &gone.into()), "{accounts}");
        if bytes > 0 {
            // With what is damaged in it, as the accounts count it. Nobody knows when one was begun that does not say so.
            let ls = spool(dead.path(), &["ls"]).out;
            let line = ls.lines().find(|line| line.starts_with(segment)).unwrap();
            let there = if bytes == 700 { 3 } else { 1 };
            let cells: Vec<_> = line.split_whitespace().collect();
            assert_eq!(cells[1], there.to_string(), "{ls}");
            assert!(bytes >= 256 || (cells[4] == "segment" && cells.len() == 5), "{ls}");
            let cat = spool(dead.path(), &["cat"]).err;
            assert_eq!(
                cat.contains(&format!("and {missing} events were cut off it")),
                missing > 0,
                "{bytes}: {cat}"
            );
        }
        assert_eq!(next_start(dead.path()), (gone, 0, damaged), "{bytes} bytes");
    }
}

#[test]
fn what_is_set_aside_of_a_segment_that_is_not_removed_yet_is_counted_once() {
    let (live, agent) = busy(DurabilityMode::Process);
    let dead = killed(live.path());
    drop(agent);
    let rows = spool(dead.path(), &["ls", "--json"]).json();
    let segment = rows.iter().find(|row| row["state"] == "segment").unwrap()["file"].as_str().unwrap();
    damage(&dead.path().join(segment), "storm");
    let twin = killed(dead.path());
    assert_eq!(next_start(twin.path()), (0, 0, 1));
    // As if that start had been killed when it had set it aside, and done no more.
    fs::create_dir(dead.path().join("quarantine")).unwrap();
    for entry in fs::read_dir(twin.path().join("quarantine")).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), dead.path().join("quarantine").join(entry.file_name())).unwrap();
    }
    let (code, said) = accounts_of(dead.path());
    assert_eq!(
        (code, &said["accepted"], &said["on_disk"], &said["quarantined"], &said["verdict"]),
        (0, &85.into(), &84.into(), &1.into(), &"the accounts balance".into()),
        "{said}"
    );
    assert_eq!(next_start(dead.path()), (0, 0, 1));
}

/// Takes its last bytes off a file, and its seal with them, and changes a byte of what repeats the seal at its start.
fn tear(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    bytes.truncate(bytes.len() - 3);
    bytes[5] ^= 1;
    fs::write(file, bytes).unwrap();
}

#[test]
fn a_repaired_file_says_whose_it_is_and_nothing_of_it_stays_open() {
    let dir = dead_spool(mixture);
    tear(&only_file(dir.path()));
    assert_eq!(accounts_of(dir.path()).1["unclear"], 115);
    assert_eq!(spool(dir.path(), &["repair"]).code, 0);
    let (code, said) = accounts_of(dir.path());
    assert_eq!(
        (code, &said["unclear"], &said["on_disk"], &said["quarantined"], &said["verdict"]),
        (0, &0.into(), &115.into(), &0.into(), &"the accounts balance".into()),
        "{said}"
    );
    // What is set aside of a file that says whose it is.
    damage(&only_file(dir.path()), "/dev/sdx");
    assert_eq!(spool(dir.path(), &["repair"]).code, 0);
    let (code, said) = accounts_of(dir.path());
    assert_eq!(
        (code, &said["on_disk"], &said["quarantined"], &said["verdict"]),
        (0, &114.into(), &1.into(), &"the accounts balance".into()),
        "{said}"
    );
    // Other damage in it is not what was set aside then.
    damage(&only_file(dir.path()), "alice");
    let (code, said) = accounts_of(dir.path());
    assert_eq!(
        (code, &said["accepted"], &said["on_disk"], &said["quarantined"]),
        (0, &115.into(), &114.into(), &1.into()),
        "{said}"
    );
    assert_eq!(next_start(dir.path()), (0, 0, 1));
}

#[test]
fn what_was_cut_off_a_file_that_is_repaired_is_not_to_be_put_back() {
    let dir = dead_spool(mixture);
    let path = only_file(dir.path());
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    assert_eq!(spool(dir.path(), &["repair"]).code, 0);
    let said = spool(dir.path(), &["verify"]);
    assert!(said.code == 1 && said.err.contains("missing, as the accounts say"), "{said:?}");
    let lost = "what was cut off a file that was repaired since is lost";
    assert!(said.err.contains(lost) && !said.err.contains("put them back"), "{said:?}");
    let (code, said) = accounts_of(dir.path());
    assert!(code == 1 && said["verdict"].as_str().unwrap().contains(lost), "{said}");
    let missing = said["missing"].as_u64().unwrap();
    assert_eq!(next_start(dir.path()), (missing, 0, said["quarantined"].as_u64().unwrap()));
}

#[test]
fn a_cut_file_of_ours_is_repaired_as_ours_though_an_agent_has_set_the_rest_of_an_event_aside() {
    let dir = dead_spool(mixture);
    let file = fs::OpenOptions::new().write(true).open(only_file(dir.path())).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    // While Toggle answers nothing all is read ahead, and nothing is dealt with.
    let toggle = Toggle::start().unwrap();
    toggle.set_mode(Mode::Hang);
    let agent = Events::start(config(&toggle, dir.path())).unwrap();
    let aside = dir.path().join("quarantine");
    let is_read =
        |stats: &Stats| stats.lifetime.is_surveyed && fs::read_dir(&aside).is_ok_and(|all| all.count() > 1);
    let stats = wait_until(&agent, PATIENCE, is_read);
    assert!(is_read(&stats), "{stats:#?}");
    agent.shutdown(Duration::from_millis(200));
    // Toggle was to be told of the loss: perhaps that is still on its way to disk.
    let stats = wait_until(&agent, PATIENCE, |stats| stats.in_memory + stats.in_flight == 0);
    assert_eq!(stats.in_memory + stats.in_flight, 0, "{stats:#?}");
    let (left, vanished) = (stats.on_disk, stats.lifetime.dropped_for(DropReason::Vanished));
    drop(agent);
    assert_eq!(spool(dir.path(), &["repair"]).code, 0);
    let (code, said) = accounts_of(dir.path());
    let accepted = left + vanished;
    assert_eq!((code, &said["missing"], &said["accepted"]), (0, &0.into(), &accepted.into()), "{said}");
    assert_eq!((&said["on_disk"], &said["quarantined"]), (&(left - 1).into(), &1.into()), "{said}");
    assert_eq!(next_start(dir.path()), (vanished, 0, 1));
}

#[test]
fn what_an_emptied_file_held_is_missing_and_repair_says_that_the_file_goes() {
    let dir = dead_spool(mixture);
    add_file(dir.path(), |events| emit_number(events, 1));
    fs::write(dir.path().join(&spill_files(dir.path())[0]), "").unwrap();
    let said = spool(dir.path(), &["repair", "--dry-run"]);
    assert!(said.out.contains("it is empty; the file would go"), "{said:?}");
    let said = spool(dir.path(), &["repair"]);
    assert!(said.code == 0 && said.out.contains("it is empty; the file is gone"), "{said:?}");
    let (code, said) = accounts_of(dir.path());
    assert_eq!((code, &said["missing"]), (1, &115.into()), "{said}");
}

#[test]
fn a_file_that_was_written_over_is_named_with_what_is_missing() {
    let dir = dead_spool(mixture);
    add_file(dir.path(), |events| emit_number(events, 1));
    let name = spill_files(dir.path()).swap_remove(0);
    let bytes = fs::read(dir.path().join(&name)).unwrap().len();
    fs::write(dir.path().join(&name), vec![0; bytes]).unwrap();
    let (code, said) = accounts_of(dir.path());
    assert_eq!((code, &said["missing"]), (1, &115.into()), "{said}");
    let verdict = said["verdict"].as_str().unwrap();
    assert!(verdict.contains(&format!("{name} ends too early or is written over")), "{verdict}");
}

#[test]
fn verify_tells_of_accounts_that_cannot_be_read() {
    let dir = dead_spool(mixture);
    let path = dir.path().join(".accounts");
    let told = |what: &str| {
        let said: Said = spool(dir.path(), &["verify"]);
        assert!(said.code == 1 && said.err.contains(".accounts: ") && said.err.contains(what), "{said:?}");
    };
    fs::write(&path, "garbage").unwrap();
    told("the accounts are damaged: it has another length");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    told("it is no regular file; move it away");
    for args in
        [["accounts"].as_slice(), &["prune", "--below", "error", "--yes"], &["prune", "--below", "error"]]
    {
        let said = spool(dir.path(), args);
        assert!(said.code == 3 && said.err.contains("it is no regular file; move it away"), "{said:?}");
    }
    fs::remove_dir(&path).unwrap();
    let said = spool(dir.path(), &["verify"]);
    let told = "1 file belongs to accounts that are gone: put .accounts back, or the next start begins anew";
    assert!(said.code == 1 && said.err.contains(told), "{said:?}");
    let said = spool(dir.path(), &["verify", only_file(dir.path()).to_str().unwrap()]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "one file is no spool");
    fs::remove_file(only_file(dir.path())).unwrap();
    fs::write(dir.path().join("events_1700000000.pb"), "").unwrap();
    let said = spool(dir.path(), &["verify"]);
    assert!(!said.err.contains("accounts"), "no file says that there were any: {said:?}");
}

#[test]
fn accounts_that_are_gone_though_files_name_them_are_told() {
    let dir = dead_spool(mixture);
    fs::remove_file(dir.path().join(".accounts")).unwrap();
    let said = spool(dir.path(), &["accounts"]);
    assert!(said.code == 3 && said.err.contains("1 file belongs to accounts that are gone"), "{said:?}");

    let (live, agent) = busy(DurabilityMode::Process);
    let dead = killed(live.path());
    drop(agent);
    fs::remove_file(dead.path().join(".accounts")).unwrap();
    for file in spill_files(dead.path()) {
        fs::remove_file(dead.path().join(file)).unwrap();
    }
    let said = spool(dead.path(), &["accounts"]);
    assert!(said.code == 3 && said.err.contains("1 file belongs to accounts that are gone"), "{said:?}");
}

#[test]
fn accounts_of_a_spool_that_is_not_there_say_so() {
    let said = events(&["spool", "accounts", "/nowhere/at/all"]);
    assert!(said.code == 3 && said.err.contains("there is no spool at /nowhere/at/all"), "{said:?}");
}
