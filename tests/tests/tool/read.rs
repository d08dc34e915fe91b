//! `ls`, `cat`, `grep`, `stats`, `verify` and `export` on a dead node's disk.

use std::{
    collections::HashMap,
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::fs::{PermissionsExt, symlink},
    process::Stdio,
};

use events_sdk::{
    Kind, Level, kinds,
    payload::{StoragePoolOperation, StoragePoolPayload},
    proto::EventBatch,
    testing::Toggle,
};
use events_tests::{
    config, emit_number,
    samples::{Material, Sample, Visitor, each_kind},
    spill_files, wait_until,
};
use prost::Message;
use serde_json::Value;
use tempfile::TempDir;

use super::{PATIENCE, add_file, command, dead_spool, events, mixture, only_file, spool};

#[test]
fn ls_says_what_is_in_each_file_oldest_first() {
    let dir = dead_spool(mixture);
    add_file(dir.path(), |events| emit_number(events, 7));
    let files = spool(dir.path(), &["ls", "--json"]).json();
    let names: Vec<_> = files.iter().map(|file| file["file"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names, spill_files(dir.path()));
    assert_eq!((&files[0]["events"], &files[1]["events"]), (&115.into(), &1.into()));
    assert_eq!(files[0]["levels"], serde_json::json!({"warn": 10, "info": 100, "debug": 5}));
    assert_eq!(files[0]["state"], "sealed");
    let len = fs::metadata(dir.path().join(&names[0])).unwrap().len();
    assert_eq!(files[0]["bytes"], len);

    let table = spool(dir.path(), &["ls"]);
    assert_eq!(table.code, 0, "{table:?}");
    assert!(table.out.starts_with("FILE "), "{table:?}");
    assert!(table.out.contains("warn=10 info=100 debug=5"), "{table:?}");
    assert!(table.out.contains("2 files, 116 events"), "{table:?}");
    assert!(!table.out.contains('\u{1b}'), "colours are for terminals: {table:?}");
    assert_eq!(spool(dir.path(), &["ls", "--json", "--level", "warn"]).json().len(), 1);
}

#[test]
fn a_directory_that_never_was_a_spool_is_told_from_an_empty_one() {
    let dir = tempfile::tempdir().unwrap();
    let said = spool(dir.path(), &["ls"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.err.contains("no agent ever used it as its spool"), "{said:?}");

    let dir = dead_spool(|_| ());
    let said = spool(dir.path(), &["ls"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    assert!(said.out.contains("0 files"), "{said:?}");
}

#[test]
fn cat_shows_the_events_that_all_conditions_mean() {
    let dir = dead_spool(mixture);
    let count = |args: &[&str]| {
        let said = spool(dir.path(), &[&["cat", "--json"], args].concat());
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{args:?}");
        said.json().len()
    };
    assert_eq!(count(&[]), 115);
    assert_eq!(count(&["--level", "info"]), 110);
    assert_eq!(count(&["--level", "error"]), 0);
    assert_eq!(count(&["--category", "identity"]), 5);
    assert_eq!(count(&["--category", "identity,storage"]), 115);
    assert_eq!(count(&["--kind", "storage.disk"]), 10);
    assert_eq!(count(&["--source", "zfs-pool-manager"]), 100);
    assert_eq!(count(&["--since", "1h"]), 115);
    assert_eq!(count(&["--until", "1h ago"]), 0);
    assert_eq!(count(&["--until", "2020-01-01T00:00:00Z"]), 0);
    assert_eq!(count(&["--field", "meta.n=3"]), 2);
    assert_eq!(count(&["--field", "devices=/dev/sdb", "--field", "meta.n=3"]), 1);
    assert_eq!(count(&["--level", "warn", "--kind", "storage.pool"]), 0);

    let first = &spool(dir.path(), &["cat", "--json"]).json()[0];
    assert_eq!(first["kind"], "storage.pool");
    assert_eq!(first["payload"]["devices"], serde_json::json!(["/dev/sda", "/dev/sdb"]));
    assert_eq!(first["payload"]["operation"], "EXPANDED");
    assert_eq!(first["payload"]["size_bytes"], 4_i64 << 40);
    assert_eq!(first["metadata"]["n"], "0");
    let line = spool(dir.path(), &["cat", "--kind", "storage.disk"]).out;
    assert!(
        line.lines().all(|line| line.contains(" warn ") && line.contains(" device_path=/dev/sdx ")),
        "{line}"
    );
}

#[test]
fn a_condition_that_makes_no_sense_is_named_with_what_was_probably_meant() {
    let dir = dead_spool(|_| {});
    for (args, meant) in [
        (["--level", "warning"], "did you mean `warn`"),
        (["--category", "storrage"], "did you mean `storage`"),
        (["--kind", "storage.pol"], "did you mean `storage.pool`"),
        (["--since", "yesterday"], "15m, 2h, 3d"),
        (["--field", "pool_name"], "pool_name=tank"),
        (["--field", "pol_name=tank"], "did you mean `pool_name`"),
        (["--field", "nonsense.x=1"], "`events kinds KIND` lists"),
        (["--field", "pool_name.x=1"], "`pool_name.x` is no field"),
    ] {
        let said = spool(dir.path(), &[&["cat"], args.as_slice()].concat());
        assert_eq!(said.code, 2, "{said:?}");
        assert!(said.err.contains(meant), "{said:?}");
    }
}

#[test]
fn a_field_must_be_one_of_the_kinds_that_are_meant_and_a_source_may_be_a_newer_one() {
    let dir = dead_spool(mixture);
    let out = dir.path().join("out.json");
    for args in [
        ["grep", "--field", "pol_name=tank"].as_slice(),
        &["stats", "--field", "pol_name=tank"],
        &["export", "--field", "pol_name=tank", "-o", out.to_str().unwrap()],
        &["cat", "--kind", "identity.user", "--field", "pool_name=tank"],
    ] {
        let said = spool(dir.path(), args);
        assert!(said.code == 2 && said.err.contains("is no field"), "{said:?}");
        assert!(!out.exists(), "nothing was done");
    }
    let said = spool(dir.path(), &["cat", "--source", "zfs-pool-manger"]);
    assert!(said.code == 0 && said.out.is_empty(), "{said:?}");
    assert!(said.err.contains("did you mean `zfs-pool-manager`"), "{said:?}");
}

#[test]
fn personal_data_is_masked_and_not_found_unless_asked_for() {
    let dir = dead_spool(mixture);
    for args in [["cat", "--json"].as_slice(), &["cat"], &["export"], &["grep", "identity"]] {
        let said = spool(dir.path(), args);
        assert!(said.out.contains("<pii>") && said.out.contains("alice"), "{args:?}");
        assert!(!said.out.contains("alice@") && !said.out.contains("Alice"), "{args:?}");
        let shown = spool(dir.path(), &[args, &["--show-pii"]].concat());
        assert!(shown.out.contains("alice@example.net") && !shown.out.contains("<pii>"), "{args:?}");
    }
    assert_eq!(spool(dir.path(), &["grep", "alice@"]).code, 1);
    assert_eq!(spool(dir.path(), &["grep", "-c", "alice@", "--show-pii"]).out, "5\n");
    assert_eq!(spool(dir.path(), &["grep", "--field", "email=alice@example.net"]).code, 1);
    // Counting is telling, too.
    let stats = ["stats", "--json", "--field", "email=alice@example.net"];
    assert_eq!(spool(dir.path(), &stats).json()[0]["events"], 0);
    assert_eq!(spool(dir.path(), &[&stats[..], &["--show-pii"]].concat()).json()[0]["events"], 5);
}

#[test]
fn grep_matches_what_cat_shows_and_its_exit_code_says_whether_there_was_any() {
    let dir = dead_spool(mixture);
    let path = dir.path().to_str().unwrap();
    assert_eq!(spool(dir.path(), &["grep", "-c", r"n=4[0-9] "]).out, "10\n");
    assert_eq!(spool(dir.path(), &["grep", "-c", "-i", "state_changed.*N=[0-9] "]).out, "10\n");
    assert_eq!(events(&["spool", "grep", "-c", "storage.disk", path]).out, "10\n");
    let none = spool(dir.path(), &["grep", "no such thing"]);
    assert_eq!((none.code, none.out.as_str(), none.err.as_str()), (1, "", ""));
    let broken = spool(dir.path(), &["grep", "("]);
    assert_eq!(broken.code, 2, "{broken:?}");
    let path_for_pattern = events(&["spool", "grep", "--field", "meta.n=1", path]);
    assert_eq!(path_for_pattern.code, 2, "{path_for_pattern:?}");
    assert!(path_for_pattern.err.contains("is taken for the pattern"), "{path_for_pattern:?}");
}

#[test]
fn stats_counts_by_everything() {
    let dir = dead_spool(mixture);
    let stats = &spool(dir.path(), &["stats", "--json"]).json()[0];
    assert_eq!((&stats["files"], &stats["events"]), (&1.into(), &115.into()));
    assert_eq!(stats["levels"], serde_json::json!({"info": 100, "warn": 10, "debug": 5}));
    assert_eq!(stats["categories"], serde_json::json!({"storage": 110, "identity": 5}));
    assert_eq!(stats["kinds"]["identity.user"], 5);
    assert_eq!(stats["sources"]["zfs-pool-manager"], 100);
    assert!(stats["oldest"].as_str() <= stats["newest"].as_str(), "{stats}");
    let some = &spool(dir.path(), &["stats", "--json", "--level", "warn"]).json()[0];
    assert_eq!(some["events"], 10);
    let table = spool(dir.path(), &["stats"]);
    assert!(table.out.contains("1 file,") && table.out.contains("identity.user  5"), "{table:?}");
}

/// Emits every kind.
struct EachKind<'e>(&'e events_sdk::Events);

impl<'a> Visitor<'a> for EachKind<'_> {
    fn visit<P: Sample<'a>>(&mut self, _: &'static Kind) {
        P::made_of(&Material::new(&["one", "two"], &[("key", "value")], &[1])).emit(self.0, Level::Warn, ());
    }
}

#[test]
fn every_kind_of_event_is_shown_with_its_payload() {
    let dir = dead_spool(|events| each_kind(&mut EachKind(events)));
    let shown = spool(dir.path(), &["cat", "--json", "--show-pii"]).json();
    assert_eq!(shown.len(), kinds::ALL.len());
    let shown: HashMap<String, &Value> =
        shown.iter().map(|event| (event["kind"].as_str().unwrap().replace('.', "_"), event)).collect();
    for kind in kinds::ALL {
        let event = shown[kind.name];
        assert_eq!(event["category"], kind.category_name);
        assert_eq!(event["source"], kind.source);
        assert!(!event["payload"].as_object().unwrap().is_empty(), "{event}");
    }
}

#[test]
fn files_of_the_earlier_agent_are_read_like_any_others() {
    let dir = dead_spool(mixture);
    let ours = only_file(dir.path());
    let mut batch = EventBatch::decode(fs::read(&ours).unwrap().as_slice()).unwrap();
    batch.seal = None;
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("events_1700000000.pb"), batch.encode_to_vec()).unwrap();

    let files = spool(dir.path(), &["ls", "--json"]).json();
    assert_eq!((&files[0]["state"], &files[0]["events"]), (&"plain".into(), &115.into()));
    assert_eq!(files[0]["levels"]["warn"], 10);
    assert_eq!(spool(dir.path(), &["cat"]).out.lines().count(), 115);
    assert_eq!(spool(dir.path(), &["verify"]).code, 0);
}

#[test]
fn whatever_is_in_the_files_nothing_breaks_and_nothing_commands_the_terminal() {
    let dir = dead_spool(|events| {
        let evil = StoragePoolPayload {
            pool_name: "\u{1b}]0;owned\u{7}\n\u{9b}31m\u{202e}\u{2028}",
            ..StoragePoolPayload::new(StoragePoolOperation::Created)
        };
        events.emit_storage_pool(Level::Info, evil, [("a b", "c=\"d\"")]);
    });
    for args in [["cat"].as_slice(), &["cat", "--json"], &["grep", "tank|owned"]] {
        let said = spool(dir.path(), args);
        assert_eq!(said.out.lines().count(), 1, "{said:?}");
        assert!(!said.out.contains(['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}', '\u{2028}']), "{said:?}");
    }
    let event = &spool(dir.path(), &["cat", "--json"]).json()[0];
    assert_eq!(event["payload"]["pool_name"], "\u{1b}]0;owned\u{7}\n\u{9b}31m\u{202e}\u{2028}");
    assert_eq!(event["metadata"]["a b"], "c=\"d\"");

    let noise: Vec<u8> = (0..200_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    fs::write(dir.path().join("noise.pb"), noise).unwrap();
    fs::write(dir.path().join("\u{1b}[31m.pb"), b"\x0a\x05hello").unwrap();
    symlink("/etc/passwd", dir.path().join("link.pb")).unwrap();
    for command in ["ls", "cat", "stats"] {
        let said = spool(dir.path(), &[command]);
        assert_eq!(said.code, 0, "{said:?}");
        assert!(!said.out.contains('\u{1b}') && !said.err.contains('\u{1b}'), "{said:?}");
        assert!(!said.out.contains("root:"), "{said:?}");
    }
    let said = spool(dir.path(), &["verify"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("link.pb is no regular file"), "{said:?}");
}

#[test]
fn what_is_missing_is_said_with_exit_code_3() {
    let dir = TempDir::new().unwrap();
    let missing = dir.path().join("missing");
    for args in
        [["ls"].as_slice(), &["verify"], &["repair"], &["requeue"], &["prune", "--older-than", "1d", "--yes"]]
    {
        let said = spool(&missing, args);
        assert_eq!(said.code, 3, "{said:?}");
        assert!(said.err.contains("--spool") && !missing.exists(), "{said:?}");
    }
    assert_eq!(events(&["spool", "cat", missing.join("x.pb").to_str().unwrap()]).code, 3);
    let named = missing.to_str().unwrap();
    for args in [["repair", named].as_slice(), &["prune", named, "--below", "info", "--yes"]] {
        let said = events(&[&["spool"], args].concat());
        assert!(said.code == 3 && said.err.contains("`events spool ls DIR` shows"), "{said:?}");
    }
    // What changes a spool does not make one of any directory.
    for args in [["repair"].as_slice(), &["requeue"], &["prune", "--older-than", "1d", "--yes"]] {
        let said = spool(dir.path(), args);
        assert!(said.code == 2 && said.err.contains("`events spool ls DIR` shows"), "{said:?}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    // The configuration says where the spool is; an empty one, beside itself.
    let config = dir.path().to_str().unwrap();
    fs::write(dir.path().join("rodent.yml"), "").unwrap();
    let said = events(&["spool", "ls", "--config", config]);
    assert!(said.err.contains(&format!("{config}/events")), "{said:?}");
    fs::write(dir.path().join("rodent.yml"), "events: {spool_dir: elsewhere}\n").unwrap();
    let said = events(&["spool", "ls", "--config", config]);
    assert!(said.err.contains(&format!("{config}/elsewhere")), "{said:?}");
    fs::write(dir.path().join("rodent.yml"), "events: {spol_dir: elsewhere}\n").unwrap();
    let said = events(&["spool", "ls", "--config", config]);
    assert!(said.code == 2 && said.err.contains("did you mean `spool_dir`"), "{said:?}");
}

#[test]
fn a_configuration_that_is_no_text_is_told_for_what_it_is() {
    let dir = TempDir::new().unwrap();
    let (config, file) = (dir.path().to_str().unwrap(), dir.path().join("rodent.yml"));
    let said = || events(&["spool", "ls", "--config", config]);
    fs::write(&file, b"events: {spool_dir: caf\xe9}\n").unwrap();
    let text = said();
    assert!(text.code == 2 && text.err.contains("is not UTF-8 text: save it as UTF-8"), "{text:?}");
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    let folder = said();
    assert!(
        folder.code == 2 && folder.err.contains("is a directory: put the file in its place"),
        "{folder:?}"
    );
}

#[test]
fn a_reader_that_goes_away_is_no_trouble() {
    let dir = dead_spool(|events| (0..3_000).for_each(|number| emit_number(events, number)));
    let mut child = command(&["spool", "cat", dir.path().to_str().unwrap()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("meta.n=0"), "{line}");
    let status = child.wait().unwrap();
    let mut complaints = String::new();
    child.stderr.take().unwrap().read_to_string(&mut complaints).unwrap();
    assert_eq!((status.code(), complaints.as_str()), (Some(0), ""));
}

#[test]
fn an_exported_batch_is_a_spill_file_and_json_is_for_its_owner_alone() {
    let dir = dead_spool(mixture);
    let away = TempDir::new().unwrap();
    let (batch, lines) = (away.path().join("events.pb"), away.path().join("events.json"));
    let asked = spool(dir.path(), &["export", "-o", batch.to_str().unwrap()]);
    assert!(asked.code == 2 && asked.err.contains("--show-pii") && !batch.exists(), "{asked:?}");
    let args = ["export", "--show-pii", "--level", "warn", "-o", batch.to_str().unwrap()];
    assert_eq!(spool(dir.path(), &args).code, 0);
    let again = spool(dir.path(), &args);
    assert!(again.code == 2 && again.err.contains("is there already"), "{again:?}");
    let nowhere = away.path().join("no such folder/events.pb");
    let failed = spool(dir.path(), &["export", "--show-pii", "-o", nowhere.to_str().unwrap()]);
    let text = format!("cannot write {}", nowhere.display());
    assert!(failed.code == 3 && failed.err.contains(&text), "{failed:?}");
    assert_eq!(spool(away.path(), &["verify"]).code, 0);
    let toggle = Toggle::start().unwrap();
    let system = events_sdk::Events::start(config(&toggle, away.path())).unwrap();
    assert!(toggle.wait_for_events(10, PATIENCE));
    let stats = wait_until(&system, PATIENCE, |stats| stats.delivered == 10);
    assert_eq!((stats.delivered, toggle.events().len()), (10, 10));
    drop(system);

    assert_eq!(spool(dir.path(), &["export", "-o", lines.to_str().unwrap()]).code, 0);
    assert_eq!(fs::read_to_string(&lines).unwrap(), spool(dir.path(), &["export"]).out);
    assert_eq!(fs::read_to_string(&lines).unwrap().lines().count(), 115);
    assert_eq!(fs::metadata(&lines).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn no_name_and_no_reason_commands_the_terminal() {
    let dir = dead_spool(|events| emit_number(events, 1));
    let quarantine = dir.path().join("quarantine");
    fs::create_dir(&quarantine).unwrap();
    let refused = quarantine.join("\u{1b}[31m.pb");
    fs::rename(only_file(dir.path()), &refused).unwrap();
    fs::write(quarantine.join("\u{1b}[31m.pb.txt"), "no\u{1b}]0;owned\u{7}\nmore\n").unwrap();
    for args in [
        ["requeue", "--dry-run"].as_slice(),
        &["requeue", "--dry-run", "\u{1b}[2J.pb"],
        &["ls", "--quarantine"],
        &["cat", "/nonexistent/\u{1b}[2J.pb"],
        &["grep", "(\u{1b}[2J"],
    ] {
        let said = spool(dir.path(), args);
        let all = format!("{}{}", said.out, said.err);
        assert!(!all.is_empty() && !all.contains(['\u{1b}', '\u{7}']), "{args:?}: {said:?}");
    }
}

/// Something is put in the place of a file of the spool, and nothing of it is shown, and nobody waits for it.
#[test]
fn nothing_behind_a_link_and_no_pipe_is_read_in_place_of_a_file_of_the_spool() {
    const SECRET: &str = "somebody-s-secret";
    let dir = dead_spool(mixture);
    let away = TempDir::new().unwrap();
    let (accounts, secret) = (dir.path().join(".accounts"), away.path().join("secret"));
    fs::rename(&accounts, away.path().join("accounts")).unwrap();
    fs::write(&secret, SECRET).unwrap();

    std::os::unix::fs::symlink(away.path().join("accounts"), &accounts).unwrap();
    for args in
        [["accounts"].as_slice(), &["prune", "--below", "warn"], &["prune", "--below", "warn", "--yes"]]
    {
        let said = spool(dir.path(), args);
        assert!(said.code == 3 && said.err.contains(".accounts"), "{args:?}: {said:?}");
    }
    assert!(spool(dir.path(), &["accounts"]).err.contains("a link, which is not followed"));
    fs::remove_file(&accounts).unwrap();

    assert!(std::process::Command::new("mkfifo").arg(&accounts).status().unwrap().success());
    for args in [["accounts"].as_slice(), &["prune", "--below", "warn"]] {
        let said = spool(dir.path(), args);
        assert!(said.code == 3 && said.err.contains("no regular file"), "{args:?}: {said:?}");
    }
    fs::remove_file(&accounts).unwrap();

    // Longer than it may be: no more of it is read than it takes to see that.
    fs::File::create(&accounts).unwrap().set_len(1 << 40).unwrap();
    let said = spool(dir.path(), &["accounts"]);
    assert!(said.code == 3 && said.err.contains("another length"), "{said:?}");

    let quarantine = dir.path().join("quarantine");
    fs::create_dir(&quarantine).unwrap();
    fs::rename(only_file(dir.path()), quarantine.join("refused.pb")).unwrap();
    std::os::unix::fs::symlink(&secret, quarantine.join("refused.pb.txt")).unwrap();
    for args in
        [["ls", "--quarantine"].as_slice(), &["ls", "--quarantine", "--json"], &["requeue", "--dry-run"]]
    {
        let said = spool(dir.path(), args);
        assert!(said.code == 0 && said.out.contains("refused.pb"), "{args:?}: {said:?}");
        assert!(!format!("{said:?}").contains(SECRET), "{args:?}: {said:?}");
    }

    fs::rename(&quarantine, away.path().join("quarantine")).unwrap();
    std::os::unix::fs::symlink(away.path().join("quarantine"), &quarantine).unwrap();
    for args in [["ls", "--quarantine"].as_slice(), &["cat", "--quarantine"], &["requeue", "--dry-run"]] {
        let said = spool(dir.path(), args);
        assert!(said.code == 3 && !said.out.contains("refused"), "{args:?}: {said:?}");
        assert!(
            said.err.contains("quarantine") && said.err.contains("links are not followed"),
            "{args:?}: {said:?}"
        );
    }
    assert_eq!(spool(dir.path(), &["ls"]).code, 0);
}
