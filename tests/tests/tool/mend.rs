//! `repair`, `requeue` and `prune`, and that an agent delivers what they leave.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::{CommandExt, ExitStatusExt},
    },
    path::Path,
};

use events_sdk::{
    DropReason, Events, Level, Stats,
    payload::{StorageDiskOperation, StorageDiskPayload},
    testing::{Mode, Toggle},
};
use events_tests::{NUMBER, Rig, config, emit_number, spill_files, storm, wait_until};
use tempfile::TempDir;

use super::{
    PATIENCE, Said, SmallDisk, add_file, command, damage, dead_spool, mixture, only_file, said, spool,
};

/// Has an agent deliver all that is in the spool, and tell Toggle of so many events that were lost.
fn deliver(dir: &Path, count: usize, pruned: u64) -> Toggle {
    let toggle = Toggle::start().unwrap();
    let events = Events::start(config(&toggle, dir)).unwrap();
    let arrived = toggle.wait_for_events(count, PATIENCE);
    let stats = wait_until(&events, PATIENCE, |stats| stats.on_disk + stats.in_flight == 0);
    assert!(arrived && stats.adopted - stats.quarantined == count as u64, "{stats:#?}");
    assert_eq!(stats.lifetime.dropped_for(DropReason::Pruned), pruned, "{stats:#?}");
    let report = events.shutdown(PATIENCE);
    assert!(report.complete && report.stats.lifetime.balances(), "{report:#?}");
    // Of one event at most nothing is told.
    let told = u64::from(pruned > 1);
    assert_eq!(report.delivered, count as u64 + told, "{report:#?}");
    toggle
}

/// What Toggle got: each batch's id with the ids of its events.
fn batches(toggle: &Toggle) -> BTreeSet<(String, Vec<String>)> {
    let calls = toggle.batches();
    let decoded = calls.iter().filter_map(|call| Some(call.batch()?.unwrap()));
    decoded
        .map(|batch| (batch.batch_id, batch.events.into_iter().map(|event| event.event_id).collect()))
        .collect()
}

#[test]
fn a_repaired_file_is_sound_and_what_is_good_of_the_damaged_one_is_delivered() {
    let dir = dead_spool(|events| {
        (0..1_500).for_each(|number| emit_number(events, number));
        mixture(events);
    });
    damage(&only_file(dir.path()), "/dev/sdx");
    let twin = TempDir::new().unwrap();
    fs::copy(only_file(dir.path()), twin.path().join(only_file(dir.path()).file_name().unwrap())).unwrap();

    let would = spool(dir.path(), &["repair", "--dry-run", "--json"]);
    assert_eq!((would.code, &would.json()[0]["done"]), (0, &false.into()), "{would:?}");
    assert_eq!(spool(dir.path(), &["verify"]).code, 1, "a dry run changes nothing");
    assert!(!dir.path().join("quarantine").exists());

    let names = spill_files(dir.path());
    let said = spool(dir.path(), &["repair", "--json"]);
    let line = &said.json()[0];
    assert_eq!((&line["kept"], &line["set_aside"], &line["done"]), (&1614.into(), &1.into(), &true.into()));
    assert_eq!(spill_files(dir.path()), names);
    let verdict = &spool(dir.path(), &["verify", "--json"]).json()[0];
    assert_eq!(
        (&verdict["sound"], &verdict["sealed"], &verdict["good"]),
        (&true.into(), &true.into(), &1614.into())
    );
    let aside = spool(dir.path(), &["ls", "--quarantine"]).out;
    assert!(aside.contains(".damaged") && aside.contains("Damaged bytes of the spill file"), "{aside}");
    let texts = fs::read_dir(dir.path().join("quarantine")).unwrap().map(|entry| entry.unwrap().path());
    let texts: Vec<_> = texts.filter(|path| path.extension().is_some_and(|ending| ending == "txt")).collect();
    let text = fs::read_to_string(&texts[0]).unwrap();
    assert!(text.contains("1 event as far as can be known; the other 1614 are good"), "{text}");
    assert!(!text.contains("were delivered"), "{text}");
    assert_eq!(spool(dir.path(), &["repair"]).out, "0 of 1 file repaired\n");

    let events = |toggle: &Toggle| -> BTreeSet<String> {
        batches(toggle).into_iter().flat_map(|(_, events)| events).collect()
    };
    assert_eq!(events(&deliver(dir.path(), 1614, 0)), events(&deliver(twin.path(), 1614, 0)));
}

#[test]
fn a_file_without_a_good_event_goes_to_the_quarantine_as_a_whole() {
    let dir = dead_spool(|_| {});
    fs::write(dir.path().join("garbage.pb"), [0xff; 5_000]).unwrap();
    assert_eq!(spool(dir.path(), &["repair"]).code, 0);
    assert_eq!(spill_files(dir.path()), [""; 0]);
    let kept = fs::read_dir(dir.path().join("quarantine")).unwrap().map(|entry| entry.unwrap().path());
    let kept: Vec<_> =
        kept.filter(|path| path.extension().is_some_and(|ending| ending == "damaged")).collect();
    assert_eq!(fs::read(&kept[0]).unwrap(), [0xff; 5_000]);
}

#[test]
fn refused_events_are_listed_with_the_reason_and_offered_again() {
    let rig = Rig::with(|config| config.retry_max = std::time::Duration::from_millis(200));
    rig.toggle.refuse_when(|event| event.metadata.get(NUMBER).is_some_and(|number| number == "77"));
    storm(&rig.events, 0..200, 100_000);
    let stats = wait_until(&rig.events, PATIENCE, |stats| stats.quarantined == 1 && stats.delivered == 199);
    assert_eq!((stats.quarantined, stats.delivered), (1, 199), "{stats:#?}");
    assert!(rig.events.shutdown(PATIENCE).complete);
    let dir = rig.spool.path();

    let listed = spool(dir, &["ls", "--quarantine", "--json"]).json();
    let refused =
        listed.iter().find(|file| file["file"].as_str().unwrap().starts_with("quarantine/")).unwrap();
    assert!(refused["reason"].as_str().unwrap().contains("INVALID_ARGUMENT"), "{refused}");
    let shown = spool(dir, &["cat", "--quarantine", "--json"]).json();
    assert_eq!((shown.len(), &shown[0]["metadata"]["n"]), (1, &"77".into()));
    assert_eq!(spool(dir, &["cat"]).out, "", "the quarantine is shown on demand");

    let name = refused["file"].as_str().unwrap();
    let said = spool(dir, &["requeue", name, "nothing.pb"]);
    assert!(said.code == 2 && said.err.contains("nothing was moved"), "{said:?}");
    assert_eq!(spill_files(dir), [""; 0], "not one of them where one does not exist");
    assert_eq!(spool(dir, &["requeue", "--dry-run"]).code, 0);
    assert_eq!(spill_files(dir), [""; 0]);
    let said = spool(dir, &["requeue"]);
    assert!(said.code == 0 && said.out.contains("1 file is offered again"), "{said:?}");
    assert_eq!(fs::read_dir(dir.join("quarantine")).unwrap().count(), 0);
    let toggle = deliver(dir, 1, 0);
    assert_eq!(toggle.events()[0].metadata[NUMBER], "77");
}

/// Writes into the accounts that a file is only to be removed, as a kill leaves it between the removal and the next line in them.
fn finish_in_accounts(dir: &Path, file: &str) {
    // A number as it stands in this cell, and where the slots are: events-sdk/src/ledger.
    let sealed = |at: usize, number: u64| {
        let mixed = (number ^ (at as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
            .wrapping_mul(0xD6E8_FEB8_6659_FD93);
        (mixed ^ mixed.rotate_left(24)) >> 48 << 48 | number
    };
    let path = dir.join(".accounts");
    let mut bytes = fs::read(&path).unwrap();
    let at = 64;
    let state = u64::from_le_bytes(bytes[(at + 2) * 8..(at + 3) * 8].try_into().unwrap());
    assert_eq!(state & (1 << 32), 0, "the slot is free");
    let id = uuid::Uuid::parse_str(file.strip_suffix(".pb").unwrap()).unwrap().as_u128();
    let parts = [id >> 80, id >> 32 & 0xFFFF_FFFF_FFFF, id & 0xFFFF_FFFF | 1 << 32 | 1 << 33];
    for (at, part) in (at..).zip(parts) {
        bytes[at * 8..at * 8 + 8].copy_from_slice(&sealed(at, part as u64).to_le_bytes());
    }
    fs::write(&path, bytes).unwrap();
}

/// A spool in whose quarantine one event lies, under this name.
fn refused() -> (Rig, String) {
    let rig = Rig::with(|config| config.retry_max = std::time::Duration::from_millis(200));
    rig.toggle.refuse_when(|event| event.metadata.get(NUMBER).is_some_and(|number| number == "7"));
    storm(&rig.events, 0..20, 100_000);
    let stats = wait_until(&rig.events, PATIENCE, |stats| stats.quarantined == 1 && stats.delivered == 19);
    assert_eq!((stats.quarantined, stats.delivered), (1, 19), "{stats:#?}");
    assert!(rig.events.shutdown(PATIENCE).complete);
    let quarantine = rig.spool.path().join("quarantine");
    let [name] = <[String; 1]>::try_from(spill_files(&quarantine)).unwrap();
    let text = fs::read_to_string(quarantine.join(format!("{name}.txt"))).unwrap();
    assert!(text.starts_with("1 event that Toggle refused: "), "{text}");
    // Moved by hand beside an agent it would be counted anew.
    assert!(text.contains("`events spool requeue` has it offered again") && !text.contains("mov"), "{text}");
    (rig, name)
}

#[test]
fn a_requeued_event_is_offered_again_though_a_kill_left_its_file_as_done_in_the_accounts() {
    let (rig, name) = refused();
    let dir = rig.spool.path();
    finish_in_accounts(dir, &name);
    assert_eq!(spool(dir, &["requeue"]).code, 0);
    let toggle = deliver(dir, 1, 0);
    assert_eq!(toggle.events()[0].metadata[NUMBER], "7");
    let accounts = spool(dir, &["accounts", "--json"]);
    let said = &accounts.json()[0];
    assert_eq!((accounts.code, &said["delivered"], &said["dropped"]), (0, &20.into(), &0.into()), "{said}");
}

#[test]
fn an_event_is_requeued_whatever_the_accounts_are_like_and_nothing_behind_a_link() {
    let (rig, name) = refused();
    let dir = rig.spool.path();
    let mut bytes = fs::read(dir.join(".accounts")).unwrap();
    bytes[160] ^= 1;
    fs::write(dir.join(".accounts"), &bytes).unwrap();
    // What a link stands for is none of the spool's.
    let quarantine = dir.join("quarantine");
    let away = TempDir::new().unwrap();
    fs::rename(quarantine.join(&name), away.path().join("x")).unwrap();
    std::os::unix::fs::symlink(away.path().join("x"), quarantine.join(&name)).unwrap();
    assert_eq!(spool(dir, &["requeue"]).out, "0 files are offered again at the next start\n");
    fs::remove_file(quarantine.join(&name)).unwrap();
    fs::rename(away.path().join("x"), quarantine.join(&name)).unwrap();

    let said = spool(dir, &["requeue"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.err.contains(".accounts are damaged: a number in it is damaged"), "{said:?}");
    assert_eq!(fs::read(dir.join(".accounts")).unwrap(), bytes, "they are left to the agent");
    deliver(dir, 1, 0);
}

#[test]
fn prune_deletes_only_what_is_meant_and_only_when_told_twice() {
    let dir = dead_spool(mixture);
    add_file(dir.path(), |events| emit_number(events, 100));
    let aimless = spool(dir.path(), &["prune", "--yes"]);
    assert!(aimless.code == 2 && aimless.err.contains("--below"), "{aimless:?}");

    let names = spill_files(dir.path());
    let would =
        &spool(dir.path(), &["prune", "--below", "warn", "--category", "storage", "--json"]).json()[0];
    assert_eq!((&would["done"], &would["dropped"], &would["kept"]), (&false.into(), &101.into(), &15.into()));
    assert_eq!(spill_files(dir.path()), names);
    assert_eq!(spool(dir.path(), &["prune", "--older-than", "1h", "--json"]).json()[0]["dropped"], 0);

    let did = &spool(dir.path(), &["prune", "--below", "warn", "--category", "storage", "--yes", "--json"])
        .json()[0];
    assert_eq!((&did["done"], &did["dropped"], &did["kept"]), (&true.into(), &101.into(), &15.into()));
    assert_eq!((&did["files_removed"], &did["files_rewritten"]), (&1.into(), &1.into()));
    assert_eq!(did["by"], serde_json::json!([{"level": "info", "category": "storage", "events": 101}]));
    assert_eq!(spool(dir.path(), &["verify"]).code, 0);
    let [file] = <[String; 1]>::try_from(spill_files(dir.path())).unwrap();
    assert!(!names.contains(&file), "other pieces need another identity");
    assert_eq!(file[..8], names[0][..8], "it keeps its place by age");
    let toggle = deliver(dir.path(), 15, 101);
    assert!(toggle.events().iter().all(|event| event.level != 1), "INFO is gone");
}

/// Three files: the first keeps most of it when disks and users are deleted, the second nothing, the third little.
fn three_files() -> (TempDir, String) {
    let dir = dead_spool(|events| {
        (0..2_000).for_each(|number| emit_number(events, number));
        mixture(events);
    });
    add_file(dir.path(), |events| {
        let disk = StorageDiskPayload::new(StorageDiskOperation::StateChanged);
        for _ in 0..400 {
            events.emit_storage_disk(Level::Warn, disk, ());
        }
    });
    add_file(dir.path(), mixture);
    let large = spill_files(dir.path())[0].clone();
    (dir, large)
}

const DISKS_AND_USERS: [&str; 5] = ["prune", "--json", "--kind", "storage.disk,identity.user", "--yes"];

fn assert_pruned_all_but(large: &str, said: &Said) {
    let did = &said.json()[0];
    assert_eq!(said.code, 3, "{said:?}");
    assert_eq!((&did["files_removed"], &did["files_rewritten"]), (&1.into(), &1.into()), "{said:?}");
    assert_eq!(did["files_failed"], serde_json::json!([large]));
    assert_eq!((&did["dropped"], &did["kept"]), (&415.into(), &2_215.into()), "{did}");
    assert!(said.err.contains(&format!("{large} cannot be pruned and is kept as it is")), "{said:?}");
}

#[test]
fn prune_names_what_it_could_not_rewrite_and_deletes_the_rest() {
    let (dir, large) = three_files();
    // No file of more than 32 KiB can be written.
    let script = "trap '' XFSZ; ulimit -f 64; exec \"$@\"";
    let mut command = std::process::Command::new("sh");
    command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_events-tool"), "spool"]).args(DISKS_AND_USERS);
    let pruned = said(command.arg("--spool").arg(dir.path()));
    assert_pruned_all_but(&large, &pruned);
    assert_eq!(spool(dir.path(), &["verify"]).code, 0);
    assert_eq!(spool(dir.path(), &["accounts"]).code, 0);
    deliver(dir.path(), 2_215, 415);
}

#[test]
fn prune_frees_a_full_disk_and_its_dry_run_says_what_it_will_do() {
    let (dir, large) = three_files();
    let Some(disk) = SmallDisk::mount(700) else { return };
    for entry in fs::read_dir(dir.path()).unwrap().map(Result::unwrap) {
        // Whether what is set aside for a full disk was made depends on how long the agent ran.
        if entry.file_type().unwrap().is_file() && entry.file_name() != ".ballast" {
            fs::copy(entry.path(), disk.path().join(entry.file_name())).unwrap();
        }
    }
    disk.fill(0);
    let would = spool(disk.path(), &DISKS_AND_USERS[..4]);
    // What the first file keeps finds no room, not even where the others were.
    let did = spool(disk.path(), &DISKS_AND_USERS);
    assert_pruned_all_but(&large, &did);
    let (would, did) = (&would.json()[0], &did.json()[0]);
    for key in ["dropped", "kept", "files_removed", "files_rewritten", "files_failed", "by"] {
        assert_eq!(would[key], did[key], "{key}: {would} {did}");
    }
    // All of them are light.
    let said = spool(disk.path(), &["prune", "--below", "error", "--yes", "--json"]);
    assert_eq!((said.code, &said.json()[0]["files_removed"]), (0, &2.into()), "{said:?}");
    assert_eq!(spool(disk.path(), &["accounts"]).code, 0);
}

#[test]
fn prune_beside_damaged_accounts_says_so_and_begins_no_others() {
    let dir = dead_spool(mixture);
    let path = dir.path().join(".accounts");
    let mut bytes = fs::read(&path).unwrap();
    bytes[160] ^= 1;
    fs::write(&path, &bytes).unwrap();
    for args in
        [["prune", "--below", "warn", "--json"].as_slice(), &["prune", "--below", "warn", "--json", "--yes"]]
    {
        let said = spool(dir.path(), args);
        assert_eq!((said.code, &said.json()[0]["dropped"]), (1, &105.into()), "{said:?}");
        assert_eq!(said.json()[0]["accounts_damaged"], true);
        assert!(said.err.contains("are damaged") && said.err.contains("is not counted"), "{said:?}");
    }
    assert_eq!(fs::read(&path).unwrap(), bytes, "they are left to the agent");
    assert!(!dir.path().join(".accounts.damaged").exists());
    let toggle = deliver(dir.path(), 10, 0);
    assert!(toggle.events().iter().all(|event| event.level == 2));
}

#[test]
fn prune_leaves_a_damaged_file_to_be_repaired_first() {
    let dir = dead_spool(mixture);
    damage(&only_file(dir.path()), "/dev/sdx");
    let said = spool(dir.path(), &["prune", "--below", "warn", "--yes", "--json"]);
    assert_eq!((&said.json()[0]["dropped"], &said.json()[0]["kept"]), (&0.into(), &114.into()), "{said:?}");
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("`events spool repair` first"), "{said:?}");
    assert_eq!(spool(dir.path(), &["stats", "--json"]).json()[0]["events"], 114);
}

#[test]
fn the_accounts_add_up_and_say_when_they_do_not() {
    let dir = dead_spool(mixture);
    let accounts = || {
        let said = spool(dir.path(), &["accounts", "--json"]);
        (said.code, said.json()[0].clone())
    };
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

#[test]
fn prune_leaves_alone_what_was_delivered_out_of_order_before_a_kill() {
    const COUNT: usize = 1_000;
    let rig = Rig::with(|config| {
        (config.flush_threshold, config.batch_size) = (COUNT, COUNT);
        config.retry_initial = std::time::Duration::from_secs(60);
        config.retry_max = std::time::Duration::from_secs(60);
    });
    rig.toggle.set_mode(Mode::Unavailable);
    storm(&rig.events, 0..COUNT, 100_000);
    let stats = wait_until(&rig.events, PATIENCE, |stats| stats.on_disk == COUNT as u64);
    assert_eq!(stats.on_disk, COUNT as u64, "{stats:#?}");
    drop(rig.events);

    // The first piece is refused and waits, those behind it are delivered.
    rig.toggle.set_mode(Mode::Ok);
    rig.toggle.refuse_when(|event| event.metadata.get(NUMBER).is_some_and(|number| number == "0"));
    let mut config = config(&rig.toggle, rig.spool.path());
    config.retry_initial = std::time::Duration::from_secs(60);
    config.retry_max = std::time::Duration::from_secs(60);
    let events = Events::start(config).unwrap();
    let behind = |stats: &Stats| stats.delivered >= COUNT as u64 / 2 && stats.in_flight == 0;
    let stats = wait_until(&events, PATIENCE, behind);
    assert!(behind(&stats) && stats.on_disk > 0, "{stats:#?}");
    // As a kill leaves it.
    let dead = TempDir::new().unwrap();
    for entry in fs::read_dir(rig.spool.path()).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), dead.path().join(entry.file_name())).unwrap();
        }
    }
    let before = spool(dead.path(), &["accounts", "--json"]).json()[0]["delivered"].as_u64().unwrap();
    assert!(before >= COUNT as u64 / 2, "what was delivered stays so");
    let left = COUNT as u64 - before;
    let said = &spool(dead.path(), &["prune", "--below", "warn", "--yes", "--json"]).json()[0];
    assert_eq!(said["dropped"], left, "what is not dealt with waits, and no more");
    let said = spool(dead.path(), &["accounts", "--json"]);
    let accounts = &said.json()[0];
    assert_eq!(
        (said.code, &accounts["delivered"], &accounts["in_memory_or_lost"]),
        (0, &before.into(), &0.into())
    );
    assert_eq!((&accounts["accepted"], &accounts["dropped"]), (&COUNT.into(), &left.into()));
}

#[test]
fn a_file_that_cannot_be_mended_keeps_no_other_from_it() {
    let dir = dead_spool(mixture);
    add_file(dir.path(), mixture);
    let [first, second] = <[String; 2]>::try_from(spill_files(dir.path())).unwrap();
    for name in [&first, &second] {
        damage(&dir.path().join(name), "/dev/sdx");
    }
    // Something stands where the first would be written anew.
    let in_the_way = dir.path().join(format!(".{}.tmp", first.strip_suffix(".pb").unwrap()));
    fs::create_dir_all(in_the_way.join("inside")).unwrap();
    let said = spool(dir.path(), &["repair", "--json"]);
    assert_eq!(said.code, 3, "{said:?}");
    assert_eq!((said.json().len(), &said.json()[0]["file"]), (1, &second.as_str().into()), "{said:?}");
    assert!(said.err.contains(in_the_way.to_str().unwrap()), "{said:?}");
    let sound: Vec<_> =
        spool(dir.path(), &["verify", "--json"]).json().iter().map(|file| file["sound"].clone()).collect();
    assert_eq!(sound, [false, true]);
    // Nor is anything of it set aside, or it would be there twice.
    let accounts = &spool(dir.path(), &["accounts", "--json"]).json()[0];
    assert_eq!((&accounts["accepted"], &accounts["quarantined"]), (&230.into(), &1.into()), "{accounts}");
    // What could not be done goes on when nothing is in the way any more.
    fs::remove_dir_all(in_the_way).unwrap();
    assert_eq!(spool(dir.path(), &["repair"]).code, 0);
    assert_eq!(spool(dir.path(), &["verify"]).code, 0);
}

/// A spool that an agent used and left, with an event of `events emit` whose file is cut off, at its end or within the event.
fn cut_off_by_another(within: bool) -> TempDir {
    let dir = dead_spool(mixture);
    let before = spill_files(dir.path());
    let config = TempDir::new().unwrap();
    fs::write(config.path().join("rodent.yml"), "").unwrap();
    let mut emit =
        command(&["emit", "storage.pool", "--level", "warn", "operation=CREATED", "--timeout", "0s"]);
    emit.arg("--spool").arg(dir.path()).arg("--config").arg(config.path());
    assert_eq!(said(&mut emit).code, 0);
    let left = spill_files(dir.path()).into_iter().find(|name| !before.contains(name)).unwrap();
    let file = fs::OpenOptions::new().write(true).open(dir.path().join(left)).unwrap();
    let len = file.metadata().unwrap().len();
    file.set_len(if within { 60 } else { len - 3 }).unwrap();
    dir
}

#[test]
fn a_file_of_another_that_is_cut_off_is_no_loss_of_power_and_is_counted_once_when_it_is_mended() {
    for within in [false, true] {
        for mended in [false, true] {
            let dir = cut_off_by_another(within);
            let accounts = |wanted: u64| {
                let said = spool(dir.path(), &["accounts", "--json"]);
                let row = &said.json()[0];
                assert_eq!(
                    (said.code, &row["balances"], &row["accepted"]),
                    (0, &true.into(), &wanted.into()),
                    "{said:?}"
                );
                let verdict = row["verdict"].as_str().unwrap();
                assert!(!verdict.contains("loss of power"), "{verdict}");
            };
            accounts(116);
            if mended {
                let said = spool(dir.path(), &["repair", "--json"]);
                assert_eq!((said.code, said.json().len()), (0, 1), "{said:?}");
                accounts(116);
                let verdict = spool(dir.path(), &["accounts", "--json"]).json()[0]["verdict"].clone();
                assert_eq!(verdict, "the accounts balance", "nothing is open any more");
                assert_eq!(spool(dir.path(), &["verify"]).code, 0);
            }
            let good = 116 - usize::from(within);
            let toggle = Toggle::start().unwrap();
            let events = Events::start(config(&toggle, dir.path())).unwrap();
            assert!(toggle.wait_for_events(good, PATIENCE));
            let is_done = |stats: &Stats| stats.lifetime.is_surveyed && stats.on_disk + stats.in_flight == 0;
            wait_until(&events, PATIENCE, is_done);
            let report = events.shutdown(PATIENCE);
            let lifetime = &report.stats.lifetime;
            assert_eq!((lifetime.accepted, lifetime.delivered), (116, good as u64), "{lifetime:#?}");
            assert_eq!((lifetime.quarantined, lifetime.dropped_total()), (u64::from(within), 0));
            accounts(116);
        }
    }
}

#[test]
fn prune_takes_the_room_that_was_set_aside_for_a_full_disk() {
    let (dir, _) = three_files();
    let Some(disk) = SmallDisk::mount(1_500) else { return };
    for entry in fs::read_dir(dir.path()).unwrap().map(Result::unwrap) {
        // Whether what is set aside for a full disk was made depends on how long the agent ran.
        if entry.file_type().unwrap().is_file() && entry.file_name() != ".ballast" {
            fs::copy(entry.path(), disk.path().join(entry.file_name())).unwrap();
        }
    }
    fs::write(disk.path().join(".ballast"), vec![1; 700 << 10]).unwrap();
    disk.fill(0);
    let would = spool(disk.path(), &DISKS_AND_USERS[..4]);
    let did = spool(disk.path(), &DISKS_AND_USERS);
    assert_eq!((would.code, did.code), (0, 0), "{did:?}");
    assert!(!disk.path().join(".ballast").exists());
    assert_eq!(spool(disk.path(), &["accounts"]).code, 0);
}

#[test]
fn a_prune_that_is_killed_leaves_no_event_twice() {
    let dir = TempDir::new().unwrap();
    let toggle = events_sdk::testing::Toggle::start().unwrap();
    toggle.stop();
    let config = || events_sdk::Config {
        batch_size: 10,
        flush_threshold: 20,
        spool_min_free_bytes: 0,
        ..events_tests::config(&toggle, dir.path())
    };
    let events = Events::start(config()).unwrap();
    for _ in 0..100 {
        events_tests::storm_of(&events, 0..20, 1_000_000, |number| match number % 2 {
            0 => Level::Info,
            _ => Level::Warn,
        });
        events_tests::wait_until(&events, PATIENCE, |stats| stats.in_memory == 0);
    }
    let report = events.shutdown(PATIENCE);
    assert_eq!((report.on_disk, report.dropped), (2_000, 0), "{report:#?}");
    drop(events);
    let mut killed_at_work = 0;
    for _ in 0..5 {
        let before = spill_files(dir.path());
        let mut prune =
            command(&["spool", "--spool", dir.path().to_str().unwrap(), "prune", "--below", "warn", "--yes"]);
        let mut prune =
            prune.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
        // It is at work when the first file has given way to another.
        while spill_files(dir.path()) == before && prune.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        let _ = prune.kill();
        let was_killed = prune.wait().unwrap().signal().is_some();
        killed_at_work += usize::from(was_killed && spill_files(dir.path()) != before);
    }
    assert!(killed_at_work > 0, "it was never killed at work");
    toggle.restart().unwrap();
    let events = Events::start(config()).unwrap();
    let is_done = |stats: &events_sdk::Stats| stats.lifetime.is_surveyed && stats.spool.files == 0;
    let life = events_tests::wait_until(&events, PATIENCE, is_done).lifetime;
    // One more where it tells of what was deleted and not booked.
    assert!(life.balances() && (2_000..=2_001).contains(&life.accepted), "{life:#?}");
    assert_eq!((toggle.repeated_event_ids(), toggle.altered_repeats()), (0, 0));
    let of = |level: Level| toggle.events().iter().filter(|event| event.level == level.number()).count();
    assert_eq!(of(Level::Warn), 1_000);
}
