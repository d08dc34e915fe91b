//! `events emit`, for shell scripts.

use std::{
    fs,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use events_sdk::{
    Events,
    proto::{
        EventBatch,
        events::{
            Event, IdentityEvent, StoragePoolPayload, event::EventPayload, identity_event, storage_event,
        },
    },
    testing::{Mode, Toggle},
};
use events_tests::{Rig, config, is_uuid_v7, spill_files};
use prost::Message;
use tempfile::TempDir;

use super::{PATIENCE, Said, command, dead_spool, events, mixture, only_file, said, spool};

/// As ZED's scripts would call it.
const POOL: [&str; 9] = [
    "emit",
    "storage.pool",
    "--level",
    "warn",
    "pool_name=tank",
    "devices=/dev/sda",
    "devices=/dev/sdb",
    "operation=CREATED",
    "meta.task=t-42",
];

/// A configuration directory whose Toggle is there.
fn configured(endpoint: &str) -> TempDir {
    let dir = TempDir::new().unwrap();
    let text = format!("events: {{spool_dir: spool, toggle: {{endpoint: '{endpoint}'}}}}\n");
    fs::write(dir.path().join("rodent.yml"), text).unwrap();
    dir
}

/// A configuration directory in which nothing is said.
fn unconfigured() -> TempDir {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("rodent.yml"), "").unwrap();
    dir
}

fn emit(config: &Path, args: &[&str]) -> Said {
    events(&[args, &["--config", config.to_str().unwrap()]].concat())
}

fn assert_is_pool(event: &Event) {
    assert!(is_uuid_v7(&event.event_id), "{event:?}");
    assert_eq!((event.level, event.category, event.source.as_str()), (2, 2, "zfs-pool-manager"));
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
    assert!((now - 600_000..=now).contains(&event.timestamp), "{event:?}");
    assert_eq!(event.metadata["task"], "t-42");
    let Some(EventPayload::StorageEvent(storage)) = &event.event_payload else { panic!("{event:?}") };
    let Some(storage_event::EventType::PoolEvent(pool)) = &storage.event_type else { panic!("{event:?}") };
    let expected = StoragePoolPayload {
        pool_name: "tank".to_owned(),
        devices: vec!["/dev/sda".to_owned(), "/dev/sdb".to_owned()],
        operation: 1,
        ..StoragePoolPayload::default()
    };
    assert_eq!(*pool, expected);
}

#[test]
fn an_event_goes_straight_to_toggle_when_that_is_there() {
    let toggle = Toggle::start().unwrap();
    let dir = configured(&toggle.endpoint());
    let said = emit(dir.path(), &POOL);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    let events = toggle.events();
    assert_eq!(events.len(), 1);
    assert_is_pool(&events[0]);
    assert_eq!(said.out, format!("delivered {}\n", events[0].event_id));
    assert!(!dir.path().join("spool").exists(), "nothing is left behind");
    assert_eq!(emit(dir.path(), &[&POOL[..], &["--quiet"]].concat()).out, "");
}

#[test]
fn an_event_waits_in_the_spool_when_toggle_is_away_or_silent_and_is_the_same_batch_later() {
    let toggle = Toggle::start().unwrap();
    let dir = configured(&toggle.endpoint());
    let spool_dir = dir.path().join("spool");
    toggle.set_mode(Mode::StoreThenFail);
    let said = emit(dir.path(), &[&POOL[..], &["--json"]].concat());
    assert_eq!((said.code, &said.json()[0]["outcome"]), (0, &"spooled".into()), "{said:?}");
    assert!(said.err.contains("Toggle did not take the event"), "{said:?}");
    let batch = EventBatch::decode(fs::read(only_file(&spool_dir)).unwrap().as_slice()).unwrap();
    assert_is_pool(&batch.events[0]);
    assert_eq!(toggle.batches()[0].batch_id, batch.batch_id);
    assert_eq!(only_file(&spool_dir).file_stem().unwrap().to_str(), Some(batch.batch_id.as_str()));

    toggle.set_mode(Mode::Hang);
    assert_eq!(emit(dir.path(), &[&POOL[..], &["--timeout", "300ms"]].concat()).code, 0);
    toggle.stop();
    assert_eq!(emit(dir.path(), &POOL).code, 0);
    assert_eq!(spill_files(&spool_dir).len(), 3);
    assert_eq!(spool(&spool_dir, &["verify"]).code, 0);

    toggle.restart().unwrap();
    toggle.set_mode(Mode::Ok);
    let system = Events::start(config(&toggle, &spool_dir)).unwrap();
    assert!(toggle.wait_for_events(3, PATIENCE), "{:#?}", system.stats());
    assert!(toggle.duplicates() >= 1, "the answer that was lost is recognised");
    assert_eq!((toggle.repeated_event_ids(), toggle.altered_repeats()), (0, 0));
}

#[test]
fn a_running_agent_takes_up_what_is_left_in_its_spool() {
    let rig = Rig::start();
    let dir = rig.spool.path().to_str().unwrap();
    let config = unconfigured();
    for count in 1..=2 {
        let said = emit(config.path(), &[&POOL[..], &["--spool", dir, "--timeout", "0s"]].concat());
        assert!(said.code == 0 && said.out.starts_with("spooled "), "{said:?}");
        assert_eq!(said.err, "events: no Toggle is configured; the event waits in the spool\n");
        assert!(rig.toggle.wait_for_events(count, PATIENCE), "{:#?}", rig.events.stats());
    }
    assert_is_pool(&rig.toggle.events()[0]);
    let stats = events_tests::wait_until(&rig.events, PATIENCE, |stats| {
        stats.delivered == 2 && stats.spool.files == 0
    });
    assert_eq!((stats.adopted, stats.delivered, stats.spool.files), (2, 2, 0), "{stats:#?}");
    assert_eq!(rig.spill_files(), [""; 0]);
    // What the agent spills itself is not taken for somebody else's.
    rig.toggle.stop();
    events_tests::storm(&rig.events, 0..300, 100_000);
    rig.events.flush(PATIENCE);
    let stats = rig.events.stats();
    assert_eq!((stats.on_disk, stats.in_memory), (300, 0), "{stats:#?}");
    // When this one is found, the others have been seen as well.
    assert_eq!(emit(config.path(), &[&POOL[..], &["--spool", dir, "--timeout", "0s"]].concat()).code, 0);
    let stats = events_tests::wait_until(&rig.events, PATIENCE, |stats| stats.adopted > 2);
    assert_eq!((stats.adopted, stats.on_disk), (3, 301), "{stats:#?}");
    rig.toggle.restart().unwrap();
    assert!(rig.toggle.wait_for_events(303, PATIENCE), "{:#?}", rig.events.stats());
    assert_eq!(rig.toggle.repeated_event_ids(), 0);
}

#[test]
fn what_the_schema_does_not_know_is_named_with_what_was_probably_meant() {
    let wrong = |args: &[&str], texts: &[&str]| {
        let said = events(&[&["emit"], args, &["--spool", "/nonexistent/spool"]].concat());
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{said:?}");
        texts.iter().for_each(|text| assert!(said.err.contains(text), "{text}: {said:?}"));
    };
    let pool = ["storage.pool", "--level", "warn", "operation=CREATED"];
    wrong(&["storage.pol"], &["did you mean `storage.pool`?", "usage.quota"]);
    wrong(&["storage.pool", "--level", "warning"], &["did you mean `warn`?", "essential"]);
    wrong(&[&pool[..], &["pool_nam=x"]].concat(), &["did you mean `pool_name`?", "raid_type"]);
    wrong(
        &["storage.pool", "--level", "warn", "operation=CREATD"],
        &["did you mean `CREATED`?", "SCRUB_STARTED"],
    );
    wrong(&["storage.pool", "--level", "warn"], &["it lacks `operation` (one of: CREATED"]);
    wrong(&["storage.pool", "operation=CREATED"], &["need --level", "trace, debug"]);
    wrong(&[&pool[..], &["size_bytes=12k"]].concat(), &["`size_bytes`: it takes a whole number"]);
    wrong(&[&pool[..], &["pool_name=a", "pool_name=b"]].concat(), &["`pool_name` is given twice"]);
    wrong(&[&pool[..], &["meta.a=1", "meta.a=2"]].concat(), &["`meta.a` is given twice"]);
    wrong(&[&pool[..], &["tank"]].concat(), &["write NAME=VALUE"]);
    wrong(&[&pool[..], &["pool_name.x=1"]].concat(), &["has no fields of its own"]);
    let startup = ["system.startup", "operation=COLD_BOOT", "--level", "error"];
    wrong(&startup, &["have the level info", "leave --level out"]);
    assert!(!Path::new("/nonexistent/spool").exists());
}

#[test]
fn a_dry_run_shows_the_event_and_needs_nothing() {
    let said = events(&[&POOL[..], &["--dry-run"]].concat());
    let event = &said.json()[0];
    assert_eq!((said.code, &event["kind"], &event["level"]), (0, &"storage.pool".into(), &"warn".into()));
    assert_eq!(event["payload"]["devices"], serde_json::json!(["/dev/sda", "/dev/sdb"]));
}

#[test]
fn the_configuration_counts_as_it_does_for_the_agent() {
    let toggle = Toggle::start().unwrap();
    let dir = unconfigured();
    let args = [&POOL[..], &["--config", dir.path().to_str().unwrap()]].concat();
    // The environment goes before the file.
    let sent = said(command(&args).env("RODENT_EVENTS_TOGGLE_ENDPOINT", toggle.endpoint()));
    assert!(sent.code == 0 && sent.out.starts_with("delivered "), "{sent:?}");
    let filtered = said(
        command(&args)
            .env("RODENT_EVENTS_TOGGLE_ENDPOINT", toggle.endpoint())
            .env("RODENT_EVENTS_MIN_LEVEL", "ERROR"),
    );
    assert!(filtered.code == 0 && filtered.out.starts_with("filtered "), "{filtered:?}");
    assert_eq!(toggle.unique_events(), 1);
    let wrong = said(command(&args).env("RODENT_EVENTS_BATCH_SIZE", "many"));
    assert!(wrong.code == 2 && wrong.err.contains("RODENT_EVENTS_BATCH_SIZE"), "{wrong:?}");
    // Neither Toggle nor a place to leave it.
    fs::write(dir.path().join("events"), "in the way").unwrap();
    let lost = events(&args);
    assert!(lost.code == 3 && lost.err.contains("the event is lost"), "{lost:?}");
}

#[test]
fn personal_data_leaves_as_the_configuration_asks() {
    let toggle = Toggle::start().unwrap();
    let dir = configured(&toggle.endpoint());
    let args = [
        "emit",
        "identity.user",
        "--level",
        "info",
        "username=alice",
        "operation=MODIFIED",
        "email=alice@example.net",
        "--config",
        dir.path().to_str().unwrap(),
    ];
    for pii in ["keep", "hash", "drop"] {
        let sent = said(command(&args).env("RODENT_EVENTS_PII", pii));
        assert!(sent.code == 0 && sent.out.starts_with("delivered "), "{sent:?}");
    }
    let emails: Vec<String> = toggle
        .events()
        .into_iter()
        .map(|event| match event.event_payload {
            Some(EventPayload::IdentityEvent(IdentityEvent {
                event_type: Some(identity_event::EventType::UserEvent(user)),
            })) => {
                assert_eq!(user.username, "alice");
                user.email
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!((emails[0].as_str(), emails[2].as_str()), ("alice@example.net", ""));
    assert!(emails[1].starts_with("pii:") && emails[1].len() == 36, "{emails:?}");
    // Without a key nothing leaves.
    let key = dir.path().join("no such folder/pii.key");
    let refused =
        said(command(&args).env("RODENT_EVENTS_PII", "hash").env("RODENT_EVENTS_PII_KEY_FILE", key));
    assert!(refused.code == 3 && refused.err.contains("not emitted"), "{refused:?}");
    assert_eq!(toggle.unique_events(), 3);
}

#[test]
fn secrets_in_metadata_are_masked_as_the_emitters_mask_them() {
    let toggle = Toggle::start().unwrap();
    let dir = configured(&toggle.endpoint());
    let args = [&POOL[..], &["meta.password=hunter2", "meta.x-auth-token=abc", "meta.user=bob"]].concat();
    let sent = emit(dir.path(), &args);
    assert_eq!(sent.code, 0, "{sent:?}");
    assert!(sent.err.contains("`meta.password` is sent as ***"), "{sent:?}");
    assert!(!sent.err.contains("meta.user") && !sent.err.contains("hunter2"), "{sent:?}");
    let metadata = &toggle.events()[0].metadata;
    assert_eq!((metadata["password"].as_str(), metadata["x-auth-token"].as_str()), ("***", "***"));
    assert_eq!((metadata["user"].as_str(), metadata["task"].as_str()), ("bob", "t-42"));
    let away = emit(dir.path(), &[&args[..], &["--timeout", "0s", "--quiet"]].concat());
    assert_eq!((away.code, away.out.as_str(), away.err.as_str()), (0, "", ""));
    let bytes = fs::read(only_file(&dir.path().join("spool"))).unwrap();
    assert!(!bytes.windows(7).any(|window| window == b"hunter2"));
    let shown = emit(dir.path(), &[&args[..], &["--dry-run"]].concat()).json();
    assert_eq!(shown[0]["metadata"]["password"], "***");
}

#[test]
fn a_key_of_a_map_is_given_once_like_any_field() {
    let args = ["emit", "system.startup", "operation=COLD_BOOT", "system_info.os=a", "system_info.os=b"];
    let said = events(&[&args[..], &["--dry-run"]].concat());
    assert!(said.code == 2 && said.err.contains("`system_info.os` is given twice"), "{said:?}");
    let said = events(&[&args[..3], &["system_info.os=a", "system_info.cpus=2", "--dry-run"]].concat());
    assert_eq!(said.json()[0]["payload"]["system_info"], serde_json::json!({"os": "a", "cpus": "2"}));
}

/// What only root can try: an event left by root belongs to whom the spool belongs, or would.
#[test]
fn what_root_leaves_in_a_spool_is_its_owners() {
    use std::os::unix::fs::{MetadataExt, chown};

    const AGENT: u32 = 12_345;
    let home = TempDir::new().unwrap();
    if chown(home.path(), Some(AGENT), Some(AGENT)).is_err() {
        return;
    }
    let dir = home.path().join("events");
    let owner = |path: &Path| fs::metadata(path).unwrap().uid();
    let config = unconfigured();
    let args = [&POOL[..], &["--spool", dir.to_str().unwrap(), "--timeout", "0s"]].concat();
    assert_eq!(emit(config.path(), &args).code, 0);
    assert_eq!((owner(&dir), owner(&only_file(&dir))), (AGENT, AGENT), "a spool that was not there yet");
    assert_eq!(emit(config.path(), &args).code, 0);
    assert_eq!(spool(&dir, &["prune", "--below", "info", "--yes"]).code, 0);
    assert_eq!(spool(&dir, &["repair"]).code, 0);
    for entry in fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(owner(&path), AGENT, "{}", path.display());
    }
    // What lies there under a second name, or as a link, may be anybody's.
    let quarantine = dir.join("quarantine");
    fs::create_dir(&quarantine).unwrap();
    let (others, file) = (home.path().join("others"), dir.join(&spill_files(&dir)[0]));
    fs::write(&others, fs::read(&file).unwrap()).unwrap();
    fs::remove_file(&file).unwrap();
    let name = file.file_name().unwrap();
    fs::hard_link(&others, quarantine.join(name)).unwrap();
    std::os::unix::fs::symlink(&others, quarantine.join("link.pb.txt")).unwrap();
    let said = spool(&dir, &["requeue"]);
    assert!(said.code == 3 && said.err.contains("no regular file of one name"), "{said:?}");
    assert_eq!(owner(&others), 0);
    fs::remove_file(&others).unwrap();
    assert_eq!(spool(&dir, &["requeue"]).code, 0);
    assert_eq!((owner(&dir.join(name)), owner(&quarantine)), (AGENT, AGENT));
}

#[test]
fn a_configuration_that_was_asked_for_and_is_not_there_is_an_error_and_nothing_is_made() {
    let dir = TempDir::new().unwrap();
    let missing = dir.path().join("missing.yaml");
    for config in [missing.as_path(), dir.path()] {
        let asked = ["--config", config.to_str().unwrap()];
        let file = config.join("rodent.yml").display().to_string();
        for args in [&POOL[..], &[&POOL[..], &["--dry-run"]].concat(), &["spool", "ls"]] {
            let said = events(&[args, &asked].concat());
            assert_eq!((said.code, said.out.as_str()), (2, ""), "{said:?}");
            assert!(said.err.contains(&file), "{said:?}");
        }
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    fs::write(&missing, "events: {}\n").unwrap();
    let said = emit(&missing, &POOL);
    assert!(said.code == 2 && said.err.contains("missing.yaml is a file"), "{said:?}");
}

#[test]
fn what_is_left_in_the_spool_is_within_its_bounds() {
    let dir = configured("http://127.0.0.1:1");
    let spool_dir = dir.path().join("spool");
    let args =
        [&POOL[..2], &["operation=CREATED", "--timeout", "0s", "--config", dir.path().to_str().unwrap()]];
    let emit = |level: &str, key: &str, value: &str| {
        said(command(&[&args.concat()[..], &["--level", level]].concat()).env(key, value))
    };
    let (max, free) = ("RODENT_EVENTS_SPOOL_MAX_BYTES", "RODENT_EVENTS_SPOOL_MIN_FREE_BYTES");
    let lost = emit("error", free, "1024GiB");
    assert_eq!((lost.code, lost.out.as_str()), (3, ""), "{lost:?}");
    assert!(
        lost.err.contains("the event is lost")
            && lost.err.contains("`spool_min_free_bytes` keeps 1099511627776")
            && lost.err.ends_with("; free some disk space, or lower `spool_min_free_bytes`\n"),
        "{lost:?}"
    );
    assert!(!spool_dir.exists(), "nothing is made in vain");

    // So much that a lighter event finds no room, and a graver one does, in segments and files alike.
    let bound: u64 = 64 << 20;
    fs::create_dir_all(spool_dir.join("segments")).unwrap();
    let there = fs::File::create(spool_dir.join("segments/x.seg")).unwrap();
    there.set_len(bound - bound / 10 - 4_096).unwrap();
    fs::File::create(spool_dir.join("x.pb")).unwrap().set_len(4_000).unwrap();
    let bound = bound.to_string();
    let lost = emit("warn", max, &bound);
    assert_eq!((lost.code, lost.out.as_str()), (3, ""), "{lost:?}");
    let why = format!("60397882 bytes are there, and `spool_max_bytes` is {bound}, a tenth of it for ERROR");
    assert!(lost.err.contains(&why), "{lost:?}");
    assert!(lost.err.ends_with("; raise `spool_max_bytes`, or see why Toggle is away\n"), "{lost:?}");
    let kept = emit("error", max, &bound);
    assert!(kept.code == 0 && kept.out.starts_with("spooled "), "{kept:?}");
    there.set_len(64 << 20).unwrap();
    let lost = emit("essential", max, &bound);
    assert!(lost.code == 3 && lost.err.contains(&format!("`spool_max_bytes` is {bound};")), "{lost:?}");
}

#[test]
fn a_limit_on_the_size_of_files_is_an_error_like_a_full_disk() {
    let dir = dead_spool(mixture);
    let away = TempDir::new().unwrap();
    let (pb, lines) = (away.path().join("out.pb"), away.path().join("out.json"));
    let limited = |args: &[&str]| {
        let mut command = std::process::Command::new("bash");
        let script = "ulimit -f 0; exec \"$@\"";
        command.args(["-c", script, "bash", env!("CARGO_BIN_EXE_events-tool")]).args(args);
        said(command.args(["--spool", dir.path().to_str().unwrap()]).env_clear())
    };
    for args in [
        ["emit", "--timeout", "0s", "storage.pool", "--level", "warn", "pool_name=x", "operation=CREATED"]
            .as_slice(),
        &["spool", "export", "--show-pii", "-o", pb.to_str().unwrap()],
        &["spool", "export", "-o", lines.to_str().unwrap()],
        &["spool", "prune", "--below", "warn", "--yes"],
    ] {
        let said = limited(args);
        // Nobody was ended by a signal.
        assert_eq!(said.code, 3, "{args:?}: {said:?}");
    }
    assert!(limited(&["spool", "export", "-o", lines.to_str().unwrap()]).err.contains("ulimit -f"));
    assert_eq!(fs::read_dir(away.path()).unwrap().count(), 0, "no half a file is left");
    assert_eq!(spool(dir.path(), &["ls", "--json"]).json()[0]["events"], 115);
}
