//! A damaged seal, and a file that was cut short: the batch goes by its id all the same, and its events stay in the books.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use events_sdk::{
    Config, DropReason, Events, Stats,
    testing::{Mode, Toggle},
};
use events_tests::{config, spill_files, storm, wait_until};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);
const EVENTS: u64 = 100;

/// A spool with one batch that Toggle stored and whose answer was lost.
struct Stored {
    toggle: Toggle,
    spool: TempDir,
    file: PathBuf,
}

fn settings(toggle: &Toggle, spool: &Path) -> Config {
    Config { batch_size: 100, ..config(toggle, spool) }
}

fn stored() -> Stored {
    let (toggle, spool) = (Toggle::start().unwrap(), TempDir::new().unwrap());
    toggle.set_mode(Mode::StoreThenFail);
    let events = Events::start(settings(&toggle, spool.path())).unwrap();
    storm(&events, 0..EVENTS as usize, 1_000_000);
    assert!(toggle.wait_for_events(EVENTS as usize, PATIENCE));
    let stats = wait_until(&events, PATIENCE, |stats| stats.on_disk == EVENTS);
    assert_eq!(stats.on_disk, EVENTS, "{stats:#?}");
    toggle.stop();
    events.shutdown(Duration::from_millis(300));
    drop(events);
    let file = spool.path().join(spill_files(spool.path()).pop().unwrap());
    toggle.set_mode(Mode::Ok);
    toggle.restart().unwrap();
    Stored { toggle, spool, file }
}

/// Starts on this directory, and gives the numbers when all is delivered.
fn delivered(toggle: &Toggle, spool: &Path) -> Stats {
    let events = Events::start(settings(toggle, spool)).unwrap();
    let stats = wait_until(&events, PATIENCE, |stats| {
        stats.lifetime.is_surveyed && stats.spool.files == 0 && stats.on_disk + stats.in_flight == 0
    });
    events.shutdown(PATIENCE);
    stats
}

/// What the tool says, and its exit code.
fn tool(args: &[&str], spool: &Path) -> (Option<i32>, String) {
    let tool = env!("CARGO_BIN_EXE_events-tool");
    let said = Command::new(tool).args(args).arg("--spool").arg(spool).output().unwrap();
    (said.status.code(), String::from_utf8(said.stdout).unwrap())
}

/// Where the last part of the seal begins, which is the last field of the file.
fn seal_of(bytes: &[u8]) -> usize {
    bytes.windows(2).rposition(|two| two == [0xA2, 0x06]).unwrap()
}

#[test]
fn a_flipped_bit_in_the_seal_has_no_batch_sent_under_another_id_and_loses_nothing() {
    let Stored { toggle, spool, file } = stored();
    let name = file.file_name().unwrap();
    let (bytes, accounts) = (fs::read(&file).unwrap(), fs::read(spool.path().join(".accounts")).unwrap());
    let seal = seal_of(&bytes);
    // Of its length, and of each field: all bits are flipped where the spool is tested by itself.
    let sample =
        (0..bytes.len() - seal).map(|at| (seal + at, at % 8)).chain([(0, 0), (2, 1), (10, 3), (12, 0)]);
    for (at, bit) in sample {
        let spool = TempDir::new().unwrap();
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << bit;
        fs::write(spool.path().join(name), flipped).unwrap();
        fs::write(spool.path().join(".accounts"), &accounts).unwrap();
        let stats = delivered(&toggle, spool.path());
        let life = &stats.lifetime;
        assert_eq!(
            (
                toggle.repeated_event_ids(),
                life.dropped_total(),
                life.quarantined,
                life.accepted,
                stats.restarts
            ),
            (0, 0, 0, EVENTS, 0),
            "bit {bit} of byte {at}: {stats:#?}"
        );
    }
}

#[test]
fn a_batch_that_was_cut_short_on_disk_is_repeated_under_its_id_and_what_is_gone_is_counted() {
    let Stored { toggle, spool, file } = stored();
    let len = fs::metadata(&file).unwrap().len();
    fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(len / 2).unwrap();
    let stats = delivered(&toggle, spool.path());
    assert_eq!((toggle.repeated_event_ids(), stats.lifetime.quarantined), (0, 1), "{stats:#?}");
    let vanished = stats.lifetime.dropped_for(DropReason::Vanished);
    assert!(vanished > 0 && stats.lifetime.balances(), "{stats:#?}");
}

#[test]
fn what_was_cut_off_a_file_is_counted_by_verify_and_not_called_set_aside_by_repair() {
    let Stored { toggle, spool, file } = stored();
    let len = fs::metadata(&file).unwrap().len();
    fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(len / 2).unwrap();
    let lines =
        |args: &[&str]| serde_json::from_str::<serde_json::Value>(&tool(args, spool.path()).1).unwrap();
    let verdict = lines(&["spool", "verify", "--json"]);
    let good = verdict["good"].as_u64().unwrap();
    assert_eq!((&verdict["lost"], &verdict["lost_is_known"]), (&(EVENTS - good).into(), &true.into()));
    let line = lines(&["spool", "repair", "--json"]);
    assert_eq!((&line["kept"], &line["set_aside"]), (&good.into(), &1.into()));
    assert_eq!(lines(&["spool", "accounts", "--json"])["missing"], EVENTS - good - 1);
    let stats = delivered(&toggle, spool.path());
    let vanished = stats.lifetime.dropped_for(DropReason::Vanished);
    assert_eq!((toggle.repeated_event_ids(), vanished), (0, EVENTS - good - 1), "{stats:#?}");
}

#[test]
fn a_damaged_seal_is_told_and_mended_and_the_batch_goes_by_its_id() {
    for is_cut in [false, true] {
        let Stored { toggle, spool, file } = stored();
        let mut bytes = fs::read(&file).unwrap();
        let seal = seal_of(&bytes);
        match is_cut {
            // The number of events.
            false => bytes[seal + 9] ^= 1,
            true => bytes.truncate(bytes.len() - 3),
        }
        fs::write(&file, bytes).unwrap();
        let (code, said) = tool(&["spool", "verify"], spool.path());
        assert!(code == Some(1) && said.contains("its seal is damaged"), "{said}");
        assert_eq!(tool(&["spool", "accounts"], spool.path()).0, Some(0));
        let (code, said) = tool(&["spool", "repair"], spool.path());
        assert!(code == Some(0) && said.contains("1 of 1 file repaired"), "{said}");
        assert_eq!(tool(&["spool", "verify"], spool.path()).0, Some(0));
        let (_, said) = tool(&["spool", "ls", "--json"], spool.path());
        assert!(said.contains("\"state\":\"sealed\",\"whole\":true"), "{said}");
        let stats = delivered(&toggle, spool.path());
        assert_eq!((toggle.repeated_event_ids(), stats.dropped_total()), (0, 0), "{stats:#?}");
        assert_eq!(stats.lifetime.accepted, EVENTS, "{stats:#?}");
    }
}
