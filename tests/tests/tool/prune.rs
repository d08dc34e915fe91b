//! `prune`, and that an agent delivers what it leaves.

use std::{fs, os::unix::process::ExitStatusExt};

use events_sdk::{
    Events, Level, Stats,
    payload::{StorageDiskOperation, StorageDiskPayload},
    testing::Mode,
};
use events_tests::{NUMBER, Rig, config, emit_number, spill_files, storm, wait_until};
use tempfile::TempDir;

use super::{
    PATIENCE, Said, SmallDisk, add_file, command, damage, dead_spool, deliver, mixture, only_file, said,
    spool,
};

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
fn prune_without_the_accounts_that_files_belong_to_says_so() {
    let dir = dead_spool(mixture);
    fs::remove_file(dir.path().join(".accounts")).unwrap();
    for args in
        [["prune", "--below", "warn", "--json"].as_slice(), &["prune", "--below", "warn", "--json", "--yes"]]
    {
        let said = spool(dir.path(), args);
        assert_eq!((said.code, &said.json()[0]["dropped"]), (1, &105.into()), "{said:?}");
        assert_eq!(
            (&said.json()[0]["accounts_gone"], &said.json()[0]["accounts_damaged"]),
            (&true.into(), &false.into())
        );
        let told =
            "what is deleted is not counted; 1 file belongs to accounts that are gone: put .accounts back";
        assert!(said.err.contains(told), "{said:?}");
    }
    assert!(!dir.path().join(".accounts").exists(), "none are begun");
    // A file that others put there belongs to none.
    let other = TempDir::new().unwrap();
    let file = other.path().join("export.pb");
    let said = spool(dir.path(), &["export", "--show-pii", "-o", file.to_str().unwrap()]);
    assert_eq!(said.code, 0, "{said:?}");
    let name = only_file(dir.path());
    fs::copy(&file, other.path().join(name.file_name().unwrap())).unwrap();
    fs::remove_file(&file).unwrap();
    let said = spool(other.path(), &["prune", "--below", "critical", "--yes"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
}

#[test]
fn prune_leaves_a_damaged_file_to_be_repaired_first() {
    let dir = dead_spool(mixture);
    damage(&only_file(dir.path()), "/dev/sdx");
    let said = spool(dir.path(), &["prune", "--below", "warn", "--yes", "--json"]);
    let row = &said.json()[0];
    assert_eq!(
        (&row["dropped"], &row["kept"], &row["kept_damaged"]),
        (&0.into(), &115.into(), &1.into()),
        "{said:?}"
    );
    let text = spool(dir.path(), &["prune", "--older-than", "1h"]).out;
    assert_eq!(text, "0 events would be deleted, 115 kept, 1 of them damaged\n");
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("`events spool repair` first"), "{said:?}");
    assert_eq!(spool(dir.path(), &["stats", "--json"]).json()[0]["events"], 114);
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
