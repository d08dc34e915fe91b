//! `verify` on a dead node's disk: what is damaged, what is missing, and that its numbers are those of `accounts`.

use std::{fs, path::Path};

use events_sdk::{DropReason, proto::EventBatch, testing::Toggle};
use events_tests::{config, emit_number, spill_files, wait_until};
use prost::Message;

use super::{PATIENCE, accounts_of, add_file, damage, dead_spool, mixture, only_file, spool};

#[test]
fn verify_tells_a_flipped_bit_and_a_torn_end_and_cat_shows_what_is_good() {
    let dir = dead_spool(mixture);
    let file = only_file(dir.path());
    assert_eq!(spool(dir.path(), &["verify"]).code, 0);
    damage(&file, "/dev/sdx");
    let said = spool(dir.path(), &["verify"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.out.contains("not those that were written"), "{said:?}");
    let verdict = &spool(dir.path(), &["verify", "--json"]).json()[0];
    assert_eq!(
        (&verdict["sound"], &verdict["good"], &verdict["lost"]),
        (&false.into(), &114.into(), &1.into())
    );
    let cat = spool(dir.path(), &["cat"]);
    assert_eq!((cat.code, cat.out.lines().count()), (0, 114));
    assert!(cat.err.contains("damaged in 1 place, with 1 event at least"), "{cat:?}");

    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    let torn = &spool(dir.path(), &["ls", "--json"]).json()[0];
    assert_eq!(torn["state"], "torn");
    assert_eq!(spool(dir.path(), &["verify"]).code, 1);
    // Every checksum is right here, but the seal says something else.
    let other = dead_spool(mixture);
    let file = only_file(other.path());
    fs::write(&file, b"").unwrap();
    assert_eq!(spool(other.path(), &["verify"]).code, 1, "nobody leaves an empty file");
}

/// Where the event with this text begins in a file, or where the first one behind the events would.
fn cut_before(file: &Path, text: &str) -> u64 {
    let bytes = fs::read(file).unwrap();
    let batch = EventBatch::decode(bytes.as_slice()).unwrap();
    let before = batch.events.iter().take_while(|event| !format!("{event:?}").contains(text));
    // What stands in front of the events has its length in its third byte.
    let start = 3 + u64::from(bytes[2]);
    let events: u64 = before
        .map(|event| EventBatch { events: vec![event.clone()], ..EventBatch::default() }.encoded_len() as u64)
        .sum();
    start + events
}

#[test]
fn a_file_that_was_cut_off_or_emptied_is_told_as_damaged_with_what_is_missing() {
    // Between two events, within one, and all of it.
    for (cut, good, state) in [(0, 100, "torn"), (7, 100, "torn"), (u64::MAX, 0, "empty")] {
        let dir = dead_spool(mixture);
        add_file(dir.path(), |events| (0..3).for_each(|number| emit_number(events, number)));
        let name = spill_files(dir.path())[0].clone();
        let path = dir.path().join(&name);
        let at = cut_before(&path, "/dev/sdx");
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(if cut == u64::MAX { 0 } else { at + cut }).unwrap();

        let said = spool(dir.path(), &["verify", "--json"]);
        let verdict = &said.json()[0];
        assert_eq!(
            (said.code, &verdict["sound"], &verdict["good"]),
            (1, &false.into(), &good.into()),
            "{said:?}"
        );
        // The start of the file says how many events it held; of one that is empty the accounts do. The rest of an event is not missing.
        let is_known = good > 0;
        let damaged = u64::from(cut == 7);
        let missing = 115 - good - damaged;
        let note = format!("{missing} events are missing, as the accounts say: {name} ends too early");
        assert!(said.err.contains(&note), "{said:?}");
        assert_eq!(verdict["lost_is_known"], is_known, "{verdict}");
        let known = if is_known { missing } else { 0 };
        assert_eq!(
            (&verdict["lost"], &verdict["missing"]),
            (&(damaged + known).into(), &known.into()),
            "{verdict}"
        );
        assert_eq!(accounts_of(dir.path()).1["missing"], missing);
        let table = spool(dir.path(), &["verify"]).out;
        let shown = if is_known { missing.to_string() } else { "?".to_owned() };
        let row: Vec<_> = table.lines().nth(1).unwrap().split_whitespace().take(4).collect();
        assert_eq!(row, [name.as_str(), &good.to_string(), &damaged.to_string(), &shown], "{table}");
        let sum = if is_known { missing.to_string() } else { "an unknown number".to_owned() };
        let bad = if damaged == 1 { "1 damaged event" } else { "0 damaged events" };
        let last = format!("2 files, {} good events, 1 file damaged, with {bad} and {sum} missing", good + 3);
        assert_eq!(table.lines().last(), Some(last.as_str()));
        let said = spool(dir.path(), &["ls", "--json"]);
        assert_eq!((&said.json()[0]["state"], &said.json()[1]["state"]), (&state.into(), &"sealed".into()));
        assert!(said.err.contains(&note), "{said:?}");
        let said = spool(dir.path(), &["cat"]);
        assert!(said.err.contains(&name), "{said:?}");

        let said = spool(dir.path(), &["accounts"]);
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.out.contains(&format!("{name} ends too early")), "{said:?}");
        let said = spool(dir.path(), &["prune", "--below", "warn", "--yes"]);
        assert!(good == 0 || said.err.contains("is damaged and is left alone"), "{said:?}");
        // What is missing is counted as lost once, and what is there is delivered and counted once.
        let toggle = Toggle::start().unwrap();
        let system = events_sdk::Events::start(config(&toggle, dir.path())).unwrap();
        let stats = wait_until(&system, PATIENCE, |stats| {
            stats.lifetime.is_surveyed && stats.on_disk + stats.in_flight == 0
        });
        let lifetime = stats.lifetime;
        let vanished = lifetime.dropped_for(DropReason::Vanished);
        assert_eq!(toggle.events().iter().filter(|event| event.category == 2).count() as u64, good);
        assert_eq!(
            (vanished + lifetime.quarantined + good, lifetime.accepted / 118),
            (115, 1),
            "{lifetime:#?}"
        );
        assert!(lifetime.balances(), "{lifetime:#?}");
    }
}

#[test]
fn verify_says_what_the_accounts_miss_though_no_file_ends_too_early() {
    let dir = dead_spool(mixture);
    fs::remove_file(only_file(dir.path())).unwrap();
    let said = spool(dir.path(), &["verify"]);
    // It is named if a piece of it was on its way to Toggle at the end.
    let missing = "115 events are missing, as the accounts say: files or segments ";
    assert!(
        said.err.contains(missing) && said.err.contains("were removed, cut short, emptied or replaced"),
        "{said:?}"
    );
    assert_eq!(said.code, 1, "{said:?}");
    // Somebody else's file that was emptied is not to blame for it.
    fs::write(dir.path().join("events_1700000000.pb"), "").unwrap();
    let said = spool(dir.path(), &["verify"]);
    let or_removed = |text: &str| {
        text.contains("or files and segments ")
            && text.contains("were removed, cut short, emptied or replaced")
    };
    assert!(or_removed(&said.err), "{said:?}");
    let said = spool(dir.path(), &["accounts"]);
    assert!(or_removed(&said.out), "{said:?}");
}

#[test]
fn of_many_files_that_end_too_early_a_few_are_named_and_the_table_has_all() {
    let dir = dead_spool(mixture);
    (0..7).for_each(|_| add_file(dir.path(), |events| (0..3).for_each(|number| emit_number(events, number))));
    let names = spill_files(dir.path());
    for name in &names {
        let file = fs::OpenOptions::new().write(true).open(dir.path().join(name)).unwrap();
        file.set_len(30).unwrap();
    }
    let said = spool(dir.path(), &["verify"]);
    let named = names.iter().filter(|name| said.err.contains(*name)).count();
    assert_eq!((said.code, named), (1, 5), "{said:?}");
    assert!(said.err.contains(" and 3 more (`events spool verify` lists all) end too early"), "{said:?}");
    assert!(names.iter().all(|name| said.out.contains(name)), "{said:?}");
    let said = spool(dir.path(), &["accounts"]);
    assert!(said.out.contains("and 3 more (`events spool verify` lists all)"), "{said:?}");
}
