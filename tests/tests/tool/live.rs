//! The command beside a running agent.

use std::{
    fs,
    os::unix::fs::FileExt,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use events_tests::{Rig, emit_number, spill_files};

use super::{PATIENCE, dead_spool, mixture, only_file, spool};

#[test]
fn a_running_agent_is_looked_at_without_its_lock_and_never_worked_on() {
    let rig = Rig::start();
    rig.toggle.stop();
    mixture(&rig.events);
    assert_eq!(rig.events.flush(PATIENCE), events_sdk::FlushOutcome::Complete);
    let before = spill_files(rig.spool.path());
    for args in [["ls"].as_slice(), &["stats"], &["verify"], &["cat"]] {
        let said = spool(rig.spool.path(), args);
        assert_eq!(said.code, 0, "{said:?}");
    }
    assert_eq!(spool(rig.spool.path(), &["stats", "--json"]).json()[0]["events"], 110);
    let pid = std::process::id().to_string();
    for args in [["repair"].as_slice(), &["requeue"], &["prune", "--below", "error", "--yes"]] {
        let said = spool(rig.spool.path(), args);
        assert_eq!(said.code, 4, "{said:?}");
        assert!(said.err.contains(&format!("in use by process {pid}; stop the agent, or wait")), "{said:?}");
    }
    // What only says what it would do asks for no lock.
    for args in
        [["repair", "--dry-run"].as_slice(), &["requeue", "--dry-run"], &["prune", "--below", "error"]]
    {
        let said = spool(rig.spool.path(), args);
        let told = format!("process {pid} uses the spool, so that");
        assert!(said.code == 0 && said.err.contains(&told) && said.err.contains("would refuse"), "{said:?}");
    }
    assert_eq!(spill_files(rig.spool.path()), before);
    assert!(rig.events.stats().spool.broken.is_none());
}

#[test]
fn the_accounts_name_the_process_that_has_events_in_memory() {
    let rig = Rig::with(|config| config.batch_timeout = PATIENCE);
    emit_number(&rig.events, 1);
    let said = spool(rig.spool.path(), &["accounts", "--json"]);
    let accounts = &said.json()[0];
    assert_eq!((said.code, &accounts["in_memory_or_lost"]), (0, &1.into()), "{accounts}");
    let verdict = accounts["verdict"].as_str().unwrap();
    assert!(verdict.contains(&format!("in the memory of process {}", std::process::id())), "{verdict}");
}

#[test]
fn files_that_vanish_while_they_are_read_are_no_error() {
    let dir = dead_spool(|events| (0..200).for_each(|number| emit_number(events, number)));
    let bytes = fs::read(only_file(dir.path())).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let names: Vec<_> = (0..50).map(|n| dir.path().join(format!("{n}.pb"))).collect();
            while !done.load(Ordering::Relaxed) {
                for name in &names {
                    let temp = name.with_extension("part");
                    fs::write(&temp, &bytes).unwrap();
                    fs::rename(&temp, name).unwrap();
                }
                names.iter().for_each(|name| fs::remove_file(name).unwrap());
            }
        });
        for command in ["ls", "verify", "stats", "cat"].iter().cycle().take(24) {
            let said = spool(dir.path(), &[command]);
            // Whatever happens, the other thread must come to its end.
            if said.code != 0 || !said.err.is_empty() {
                done.store(true, Ordering::Relaxed);
                panic!("{command}: {} {}", said.code, said.err);
            }
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn accounts_that_are_damaged_or_removed_beside_a_running_agent_are_made_anew_and_that_is_told() {
    let rig = Rig::start();
    rig.toggle.stop();
    mixture(&rig.events);
    assert_eq!(rig.events.flush(PATIENCE), events_sdk::FlushOutcome::Complete);
    let path = rig.spool.path().join(".accounts");
    let told = format!("process {}, which works here, makes them anew", std::process::id());
    for is_removed in [false, true] {
        for (command, code) in [("accounts", 3), ("verify", 1), ("prune", 1)] {
            if command == "prune" && is_removed {
                // It does not look whether there should be some.
                continue;
            }
            let args = if command == "prune" { vec!["prune", "--below", "info"] } else { vec![command] };
            // It may be faster than the command.
            let said = (0..50).find_map(|_| {
                if is_removed {
                    fs::remove_file(&path).unwrap();
                } else {
                    // Not shorter: the agent has it in its memory.
                    let file = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
                    let mut byte = [0];
                    file.read_exact_at(&mut byte, 160).unwrap();
                    file.write_all_at(&[byte[0] ^ 1], 160).unwrap();
                }
                let said = spool(rig.spool.path(), &args);
                let deadline = Instant::now() + PATIENCE;
                while spool(rig.spool.path(), &["accounts"]).code != 0 {
                    assert!(Instant::now() < deadline, "they were not made anew");
                    thread::sleep(Duration::from_millis(50));
                }
                (said.code != 0).then_some(said)
            });
            let said = said.unwrap();
            assert!(said.code == code && said.err.contains(&told), "{command}: {said:?}");
            assert!(!said.err.contains("next start"), "{command}: {said:?}");
        }
    }
}
