//! `repair`, and that an agent delivers what it leaves.

use std::{collections::BTreeSet, fs};

use events_sdk::{Events, Stats, testing::Toggle};
use events_tests::{config, emit_number, spill_files, wait_until};
use tempfile::TempDir;

use super::{PATIENCE, add_file, command, damage, dead_spool, deliver, mixture, only_file, said, spool};

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
fn of_a_damaged_seal_at_the_start_the_quarantine_says_that_it_is_one() {
    for place in [0, 1, 2, 3, 5, 12, 20, 25] {
        let dir = dead_spool(mixture);
        let file = only_file(dir.path());
        let mut bytes = fs::read(&file).unwrap();
        bytes[place] ^= 1;
        fs::write(&file, bytes).unwrap();
        assert_eq!(spool(dir.path(), &["repair"]).code, 0);
        let mut all = fs::read_dir(dir.path().join("quarantine")).unwrap().map(|entry| entry.unwrap().path());
        let text = all.find(|path| path.extension().is_some_and(|ending| ending == "txt")).unwrap();
        let text = fs::read_to_string(text).unwrap();
        assert!(
            text.contains("\tthe seal at the start of the file is not what was written\n"),
            "{place}: {text}"
        );
        assert!(
            text.contains("set aside though nothing undelivered was in them")
                && text.contains(", 0 events as far as can be known")
                && !text.contains("no field"),
            "{place}: {text}"
        );
    }
}
