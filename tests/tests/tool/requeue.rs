//! `requeue`, and that an agent delivers what it moves.

use std::{fs, path::Path};

use events_tests::{NUMBER, Rig, spill_files, storm, wait_until};
use tempfile::TempDir;

use super::{PATIENCE, deliver, events, spool};

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
fn the_spool_is_named_as_with_the_other_commands() {
    let (rig, name) = refused();
    let dir = rig.spool.path().to_str().unwrap();
    let path = format!("{dir}/quarantine/{name}");
    for args in [vec![dir], vec![dir, &name], vec![&name, dir], vec![&path], vec![dir, &path]] {
        let said = events(&[&["spool", "requeue", "--dry-run"], args.as_slice()].concat());
        assert!(said.code == 0 && said.out.contains("1 file would be offered again"), "{args:?}: {said:?}");
    }
    let said = events(&["spool", "requeue", "--dry-run", dir, "nothing.pb"]);
    assert!(
        said.code == 2 && said.err.contains("no refused event `nothing.pb` in the quarantine"),
        "{said:?}"
    );
    let said = events(&["spool", "requeue", "/nowhere/at/all"]);
    assert!(said.code == 3 && said.err.contains("there is no spool at /nowhere/at/all"), "{said:?}");
    let said = events(&["spool", "requeue", &format!("{dir}/quarantine")]);
    assert!(said.code == 2 && said.err.contains(&format!("name the spool, {dir}")), "{said:?}");
    let other = TempDir::new().unwrap();
    let said = events(&["spool", "requeue", dir, other.path().to_str().unwrap()]);
    assert!(said.code == 2 && said.err.contains("are two spools; name one"), "{said:?}");
    assert_eq!(events(&["spool", "requeue", dir]).code, 0);
    assert_eq!(spill_files(rig.spool.path()), [name]);
}
