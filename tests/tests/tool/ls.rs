//! `ls` and `stats`: in which state files are, and that some are missing.

use std::fs;

use events_sdk::proto::EventBatch;
use events_tests::spill_files;
use prost::Message;

use super::{add_file, dead_spool, events, mixture, only_file, spool};

/// What `ls` calls the one file after this was done to its bytes.
fn state_after(change: impl FnOnce(&mut Vec<u8>)) -> String {
    let dir = dead_spool(mixture);
    let path = only_file(dir.path());
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::write(&path, bytes).unwrap();
    let row = &spool(dir.path(), &["ls", "--json"]).json()[0];
    let table = spool(dir.path(), &["ls"]).out;
    let state = row["state"].as_str().unwrap().to_owned();
    assert!(table.lines().nth(1).unwrap().split_whitespace().any(|cell| cell == state), "{table}");
    state
}

/// The file as another writer leaves it, without a seal.
fn plain(bytes: &mut Vec<u8>) {
    let batch = EventBatch::decode(bytes.as_slice()).unwrap();
    *bytes = EventBatch { seal: None, ..batch }.encode_to_vec();
}

#[test]
fn the_state_of_a_file_tells_damage_from_an_end_that_is_missing() {
    assert_eq!(state_after(|_| {}), "sealed");
    for place in [0, 5, 25] {
        assert_eq!(state_after(|bytes| bytes[place] ^= 1), "damaged", "byte {place} of the start");
    }
    for place in 1..=12 {
        let flip = |bytes: &mut Vec<u8>| {
            let at = bytes.len() - place;
            bytes[at] ^= 1;
        };
        assert_eq!(state_after(flip), "damaged", "byte {place} before the end");
    }
    for less in [1, 3, 40, 500, 2_000] {
        assert_eq!(state_after(|bytes| bytes.truncate(bytes.len() - less)), "torn", "{less} bytes less");
    }
    assert_eq!(state_after(Vec::clear), "empty");
    assert_eq!(state_after(|bytes| bytes.fill(0)), "damaged", "as long as it was");
    assert_eq!(state_after(plain), "plain");
    let damaged = |bytes: &mut Vec<u8>| {
        plain(bytes);
        let at = bytes.windows(8).position(|window| window == b"/dev/sdx").unwrap();
        bytes[at - 1] ^= 0x40;
    };
    assert_eq!(state_after(damaged), "damaged");
    let help = events(&["spool", "ls", "--help"]).out;
    let short = events(&["spool", "ls", "-h"]).out;
    for state in ["sealed", "plain", "damaged", "torn", "empty", "segment"] {
        assert!(help.contains(&format!("`{state}`")), "{state}: {help}");
    }
    assert!(!short.contains("`torn`"), "the short help stays short: {short}");
}

#[test]
fn ls_and_stats_say_in_a_line_that_files_are_missing() {
    let dir = dead_spool(mixture);
    add_file(dir.path(), mixture);
    let stats = || spool(dir.path(), &["stats", "--json"]);
    let said = stats();
    assert_eq!((said.code, said.err.as_str(), &said.json()[0]["missing"]), (0, "", &0.into()), "{said:?}");
    assert_eq!(spool(dir.path(), &["ls"]).err, "");

    fs::remove_file(dir.path().join(&spill_files(dir.path())[0])).unwrap();
    let said = stats();
    assert_eq!((said.code, &said.json()[0]["missing"]), (0, &115.into()), "{said:?}");
    for said in [said, spool(dir.path(), &["ls"]), spool(dir.path(), &["stats"])] {
        let told = "115 events are missing, as the accounts say";
        assert!(said.code == 0 && said.err.contains(told) && said.err.lines().count() == 1, "{said:?}");
    }
    // Of one file alone nobody knows.
    let said = spool(dir.path(), &["stats", "--json", only_file(dir.path()).to_str().unwrap()]);
    assert!(said.err.is_empty() && said.json()[0].get("missing").is_none(), "{said:?}");
}
