//! `accounts` on spools whose agent ended: whether it counts what the next start does.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    },
    path::Path,
};

use events_sdk::{
    Events, Stats,
    testing::{Mode, Toggle},
};
use events_tests::{NUMBER, config, emit_number, killed, spill_files, wait_until};

use super::{PATIENCE, accounts_of, add_file, command, damage, dead_spool, mixture, only_file, spool};

#[test]
fn what_is_set_aside_of_a_file_that_still_waits_is_counted_once() {
    const COUNT: u64 = 200;
    for is_some_delivered in [false, true] {
        let dir = dead_spool(|events| (0..COUNT as usize).for_each(|number| emit_number(events, number)));
        // In the first piece, which is delivered without it.
        damage(&only_file(dir.path()), "\u{1}n\u{12}\u{2}77");
        let toggle = Toggle::start().unwrap();
        if is_some_delivered {
            toggle.refuse_when(|event| event.metadata.get(NUMBER).is_some_and(|number| number == "150"));
        } else {
            toggle.set_mode(Mode::Hang);
        }
        let mut config = config(&toggle, dir.path());
        config.retry_initial = PATIENCE;
        config.retry_max = PATIENCE;
        let agent = Events::start(config.clone()).unwrap();
        let aside = dir.path().join("quarantine");
        let is_held = |stats: &Stats| {
            let is_complete = |entry: &fs::DirEntry| !entry.file_name().as_encoded_bytes().starts_with(b".");
            let is_aside =
                fs::read_dir(&aside).is_ok_and(|all| all.flatten().filter(is_complete).count() == 2);
            let delivered = stats.delivered > 0 && stats.in_flight == 0;
            stats.lifetime.is_surveyed && is_aside && delivered == is_some_delivered
        };
        let stats = wait_until(&agent, PATIENCE, is_held);
        assert!(is_held(&stats), "{stats:#?}");
        assert_eq!(stats.lifetime.accepted, COUNT, "{stats:#?}");
        let delivered = stats.delivered;
        assert!(delivered < COUNT - 1, "{stats:#?}");
        let dead = killed(dir.path());
        for place in [dir.path(), dead.path()] {
            let (code, said) = accounts_of(place);
            assert_eq!(
                (code, &said["accepted"], &said["delivered"], &said["verdict"]),
                (0, &COUNT.into(), &delivered.into(), &"the accounts balance".into()),
                "{said}"
            );
            assert_eq!(
                (&said["on_disk"], &said["quarantined"], &said["in_memory_or_lost"]),
                (&(COUNT - delivered - 1).into(), &1.into(), &0.into()),
                "{said}"
            );
        }
        drop(agent);
        drop(toggle);

        // One that ends before it comes to the file has those in the quarantine in its books as well.
        config.spool_dir = dead.path().to_owned();
        let agent = Events::start(config.clone()).unwrap();
        let stats = wait_until(&agent, PATIENCE, |stats| stats.lifetime.is_surveyed);
        assert!(stats.lifetime.is_surveyed, "{stats:#?}");
        let dead = killed(dead.path());
        drop(agent);
        let (code, said) = accounts_of(dead.path());
        assert_eq!(
            (code, &said["accepted"], &said["quarantined"], &said["verdict"]),
            (0, &COUNT.into(), &1.into(), &"the accounts balance".into()),
            "{said}"
        );

        // The agent counts the same, whatever it does next.
        let toggle = Toggle::start().unwrap();
        config.toggle.endpoint = Some(toggle.endpoint());
        config.spool_dir = dead.path().to_owned();
        let agent = Events::start(config).unwrap();
        let is_done = |stats: &Stats| stats.lifetime.is_surveyed && stats.spool.files == 0;
        let life = wait_until(&agent, PATIENCE, is_done).lifetime;
        assert_eq!((life.accepted, life.delivered, life.quarantined), (COUNT, COUNT - 1, 1), "{life:#?}");
        assert_eq!(life.dropped_total(), 0, "{life:#?}");
        drop(agent);
        let (code, said) = accounts_of(dead.path());
        assert_eq!(
            (code, &said["accepted"], &said["delivered"], &said["quarantined"]),
            (0, &COUNT.into(), &(COUNT - 1).into(), &1.into()),
            "{said}"
        );
    }
}

#[test]
fn what_an_agent_found_in_the_quarantine_is_counted_once_when_its_file_is_repaired() {
    let dir = dead_spool(|events| (0..100).for_each(|number| emit_number(events, number)));
    damage(&only_file(dir.path()), "\u{1}n\u{12}\u{2}77");
    let toggle = Toggle::start().unwrap();
    toggle.set_mode(Mode::Hang);
    let agent = Events::start(config(&toggle, dir.path())).unwrap();
    let aside = dir.path().join("quarantine");
    let is_aside = |_: &Stats| fs::read_dir(&aside).is_ok_and(|all| all.count() == 2);
    assert!(is_aside(&wait_until(&agent, PATIENCE, is_aside)));
    let dead = killed(dir.path());
    drop(agent);
    toggle.stop();
    let agent = Events::start(config(&toggle, dead.path())).unwrap();
    let stats = wait_until(&agent, PATIENCE, |stats| stats.lifetime.is_surveyed);
    assert!(stats.lifetime.is_surveyed, "{stats:#?}");
    let dead = killed(dead.path());
    drop(agent);
    for is_repaired in [false, true] {
        if is_repaired {
            let said = spool(dead.path(), &["repair"]);
            assert!(said.code == 0 && said.out.contains("1 of 1 file repaired"), "{said:?}");
        }
        let (code, said) = accounts_of(dead.path());
        assert_eq!(
            (code, &said["accepted"], &said["on_disk"], &said["quarantined"], &said["verdict"]),
            (0, &100.into(), &99.into(), &1.into(), &"the accounts balance".into()),
            "{is_repaired}: {said}"
        );
    }
}

#[test]
fn the_accounts_add_up_and_say_when_they_do_not() {
    let dir = dead_spool(mixture);
    let accounts = || accounts_of(dir.path());
    let (code, said) = accounts();
    assert_eq!((code, &said["balances"], &said["closed"]), (0, &true.into(), &true.into()), "{said}");
    assert_eq!(
        (&said["accepted"], &said["on_disk"], &said["delivered"]),
        (&115.into(), &115.into(), &0.into())
    );
    let table = spool(dir.path(), &["accounts"]);
    assert!(table.code == 0 && table.out.contains("the accounts balance"), "{table:?}");

    // Another file counts as accepted when it is found.
    add_file(dir.path(), |events| emit_number(events, 100));
    assert_eq!(accounts().1["accepted"], 116);
    spool(dir.path(), &["prune", "--below", "warn", "--category", "storage", "--yes"]);
    let (code, said) = accounts();
    assert_eq!((code, &said["dropped"], &said["balances"]), (0, &101.into(), &true.into()), "{said}");
    let pruned =
        serde_json::json!([{"reason": "pruned", "category": "storage", "level": "info", "count": 101}]);
    assert_eq!(said["drops"], pruned);

    // Somebody tidies up.
    for file in spill_files(dir.path()) {
        fs::remove_file(dir.path().join(file)).unwrap();
    }
    let (code, said) = accounts();
    assert_eq!(
        (code, &said["balances"], &said["missing"], &said["in_memory_or_lost"]),
        (1, &false.into(), &15.into(), &0.into()),
        "{said}"
    );
    assert!(said["verdict"].as_str().unwrap().contains("`vanished`"), "{said}");

    let path = dir.path().join(".accounts");
    let mut bytes = fs::read(&path).unwrap();
    bytes[160] ^= 1;
    fs::write(&path, bytes).unwrap();
    let damaged = spool(dir.path(), &["accounts"]);
    assert!(damaged.code == 3 && damaged.err.contains("a number in it is damaged"), "{damaged:?}");
    fs::remove_file(&path).unwrap();
    let none = spool(dir.path(), &["accounts"]);
    assert!(none.code == 3 && none.err.contains("first uses the spool"), "{none:?}");
}

#[test]
fn accounts_of_what_cannot_be_read_are_no_verdict() {
    let dir = dead_spool(mixture);
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let look = |args: &[&str]| {
        let mut command = command(args);
        if fs::metadata("/proc/self").unwrap().uid() == 0 {
            // Root reads everything.
            command.uid(65_534).gid(65_534);
        }
        command.output().map(|output| (output.status.code(), String::from_utf8(output.stdout).unwrap()))
    };
    mode(dir.path(), 0o755);
    mode(&dir.path().join(".accounts"), 0o644);
    mode(&only_file(dir.path()), 0o000);
    let dir = dir.path().to_str().unwrap();
    let Ok((code, text)) = look(&["spool", "accounts", dir]) else {
        // Nobody may start the command where it lies.
        return;
    };
    assert!(code == Some(3) && text.contains("1 file or segment cannot be read"), "{code:?} {text}");
    let (_, text) = look(&["spool", "accounts", "--json", dir]).unwrap();
    let said: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&said["balances"], &said["unreadable"]), (&false.into(), &1.into()));
}
