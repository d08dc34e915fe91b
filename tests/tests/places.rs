//! Where the spool lies: what is wrong with the place is said at start, whatever it is events are delivered, and nothing is
//! written outside of it.
//!
//! File systems are mounted for real, in a mount namespace of a process of its own, which ends with it. Where the tests may not do
//! that, those that need it say so and show nothing.

#![allow(clippy::panic, clippy::print_stdout, clippy::unwrap_used, reason = "tests")]

use std::{
    env, fs,
    os::unix::fs::{PermissionsExt, chown, symlink},
    path::Path,
    process::Command,
    thread,
    time::Duration,
};

use events_sdk::{DurabilityMode, Events, Stats, testing::Toggle};
use events_tests::{SmallDisk, assert_numbers, config, storm, wait_until};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);
const EVENTS: usize = 100;
/// Names the place to the process inside of a namespace, and what it has to say of it.
const PLACE: &str = "EVENTS_TEST_PLACE";
const EXPECTED: &str = "EVENTS_TEST_EXPECTED";
/// The exit code of a shell that could not mount anything.
const CANNOT: i32 = 77;

/// Starts in this place, with Toggle there, and gives what is said of it once everything is delivered.
fn delivered_from(place: &Path, durability: DurabilityMode) -> Stats {
    let toggle = Toggle::start().unwrap();
    let events = Events::start(events_sdk::Config { durability, ..config(&toggle, place) }).unwrap();
    storm(&events, 0..EVENTS, 1_000_000);
    assert!(toggle.wait_for_events(EVENTS, PATIENCE), "{:#?}", events.stats());
    assert_numbers(&toggle, EVENTS);
    let stats = wait_until(&events, PATIENCE, |stats| stats.delivered == EVENTS as u64);
    events.shutdown(PATIENCE);
    stats
}

/// What the process inside of the namespace does; elsewhere nothing.
#[test]
fn inside() {
    let (Some(place), Ok(expected)) = (env::var_os(PLACE), env::var(EXPECTED)) else { return };
    let stats = delivered_from(Path::new(&place), DurabilityMode::Process);
    let said = stats.spool.concerns.join("\n");
    assert!(said.contains(&expected), "{said:?} does not say {expected:?}: {stats:#?}");
}

/// Runs [`inside`] after this has mounted something at `$PLACE`.
fn in_a_namespace(mount: &str, folder: &str, expected: &str) {
    let point = TempDir::new().unwrap();
    let script = format!(
        "{{ {mount}; }} || exit {CANNOT}; EVENTS_TEST_PLACE=\"$PLACE/{folder}\" exec \"$0\" --exact inside"
    );
    let run = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-ec", &script])
        .arg(env::current_exe().unwrap())
        .env("PLACE", point.path())
        .env(EXPECTED, expected)
        .output();
    match run {
        Ok(output) if output.status.success() => {}
        Ok(output) if output.status.code() == Some(CANNOT) || output.stderr.starts_with(b"unshare:") => {
            println!("skipped: nothing can be mounted here: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(output) => {
            panic!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
        }
        Err(error) => println!("skipped: no namespaces here: {error}"),
    }
}

#[test]
fn a_tmpfs_is_reported() {
    in_a_namespace(
        "mount -t tmpfs tmpfs \"$PLACE\"",
        "events",
        "a tmpfs, which forgets everything at reboot",
    );
}

#[test]
fn a_file_system_that_copies_on_write_is_reported() {
    in_a_namespace(
        "truncate -s 256M \"$PLACE/image\" && mkfs.btrfs -q \"$PLACE/image\" && mkdir \"$PLACE/disk\" \
         && mount -o loop \"$PLACE/image\" \"$PLACE/disk\"",
        "disk/events",
        "is on btrfs, which writes what is changed to another place",
    );
}

#[test]
fn a_file_system_that_is_mounted_read_only_is_reported_and_events_are_delivered_from_memory() {
    let read_only = "mounted read-only";
    let mount =
        "mount -t tmpfs tmpfs \"$PLACE\" && mkdir \"$PLACE/events\" && mount -o remount,ro \"$PLACE\"";
    in_a_namespace(mount, "events", read_only);
    // The directory itself cannot be made.
    in_a_namespace(mount, "other/events", read_only);
    // Another file system is seen through a mount that is read-only.
    in_a_namespace(
        "mount --bind \"$PLACE\" \"$PLACE\" && mount -o remount,bind,ro \"$PLACE\"",
        "events",
        read_only,
    );
}

#[test]
fn a_directory_of_somebody_else_or_open_to_others_is_reported() {
    let dir = TempDir::new().unwrap();
    let place = dir.path().join("events");
    fs::create_dir(&place).unwrap();
    fs::set_permissions(&place, fs::Permissions::from_mode(0o777)).unwrap();
    let said = delivered_from(&place, DurabilityMode::Memory).spool.concerns.join("\n");
    assert!(said.contains("can be written by other users (mode 0777); chmod it to 0700"), "{said}");
    if let Err(error) = chown(&place, Some(12_345), None) {
        println!("skipped: nothing can be given to somebody else here: {error}");
        return;
    }
    let said = delivered_from(&place, DurabilityMode::Memory).spool.concerns.join("\n");
    assert!(said.contains("belongs to user 12345"), "{said}");
}

/// Everything in a folder, with what is in it.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let mut contents: Vec<_> = entries
        .map(|entry| {
            (entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).unwrap_or_default())
        })
        .collect();
    contents.sort();
    contents
}

/// Starts with a link of this name in the spool: to a file, to a folder, and to nothing that could be made.
fn assert_not_followed(name: &str) {
    let (dir, outside) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    fs::write(outside.path().join("file"), "mine").unwrap();
    fs::create_dir(outside.path().join("folder")).unwrap();
    for target in ["file", "folder", "nothing"] {
        let place = dir.path().join(target);
        fs::create_dir(&place).unwrap();
        symlink(outside.path().join(target), place.join(name)).unwrap();
        let before = contents(outside.path());
        for durability in [DurabilityMode::Memory, DurabilityMode::Power] {
            let toggle = Toggle::start().unwrap();
            toggle.refuse_when(|event| event.metadata.get("n").is_some_and(|number| number == "50"));
            let config = events_sdk::Config { durability, ..config(&toggle, &place) };
            let events = Events::start(config).unwrap();
            storm(&events, 0..EVENTS, 1_000_000);
            assert!(toggle.wait_for_events(EVENTS - 1, PATIENCE), "{name}: {:#?}", events.stats());
            // Time to set the refused one aside, if it can be.
            wait_until(&events, Duration::from_millis(300), |stats| stats.quarantined > 0);
            events.shutdown(Duration::from_secs(1));
            assert_eq!(contents(outside.path()), before, "{name} to a {target}");
            assert_eq!(contents(&outside.path().join("folder")), [], "{name} to a {target}");
        }
    }
}

#[test]
fn links_in_the_place_of_anything_in_the_spool_are_not_followed() {
    let names = [".lock", ".accounts", "segments", "quarantine", "00000000-0000-7000-8000-000000000001.pb"];
    // Each takes a while, as a refused event is offered again and again, and they have nothing in common.
    thread::scope(|scope| {
        for name in names {
            scope.spawn(move || assert_not_followed(name));
        }
    });
}

#[test]
fn what_lies_behind_a_link_in_the_place_of_the_quarantine_is_neither_counted_nor_removed() {
    let (dir, outside) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    // More than the quarantine may hold, and it says that it holds events.
    let damaged = "00000000-0000-7000-8000-000000000001.pb.00000000.damaged";
    fs::write(outside.path().join(damaged), vec![0; 200 << 10]).unwrap();
    fs::write(outside.path().join(format!("{damaged}.txt")), "1 bytes, 7 events as far as can be known")
        .unwrap();
    symlink(outside.path(), dir.path().join("quarantine")).unwrap();
    let before = contents(outside.path());

    let toggle = Toggle::start().unwrap();
    toggle.refuse_when(|event| event.metadata.get("n").is_some_and(|number| number == "50"));
    let config = events_sdk::Config { quarantine_max_bytes: 64 << 10, ..config(&toggle, dir.path()) };
    let events = Events::start(config.clone()).unwrap();
    storm(&events, 0..EVENTS, 1_000_000);
    assert!(toggle.wait_for_events(EVENTS - 1, PATIENCE), "{:#?}", events.stats());
    let says_so = |stats: &Stats| {
        stats.last_error.as_ref().is_some_and(|error| error.contains("links are not followed"))
    };
    let stats = wait_until(&events, PATIENCE, says_so);
    assert!(says_so(&stats), "{stats:#?}");
    events.shutdown(Duration::from_secs(1));
    assert_eq!(contents(outside.path()), before);

    // With a folder in its place the event is set aside there.
    fs::remove_file(dir.path().join("quarantine")).unwrap();
    let events = Events::start(config).unwrap();
    let stats = wait_until(&events, PATIENCE, |stats| stats.lifetime.is_surveyed && stats.quarantined > 0);
    assert_eq!((stats.quarantined, stats.lifetime.quarantined), (1, 1), "{stats:#?}");
    assert_eq!(stats.lifetime.dropped_total(), 0, "{stats:#?}");
    events.shutdown(PATIENCE);
    assert_eq!(contents(outside.path()), before);
}

#[test]
fn a_disk_that_is_smaller_than_what_is_to_stay_free_is_reported() {
    let Some(disk) = SmallDisk::mount(8 << 10) else { return };
    let toggle = Toggle::start().unwrap();
    for (min_free, is_reported) in [(4 << 20, false), (8 << 20, true), (1 << 30, true)] {
        let config = events_sdk::Config { spool_min_free_bytes: min_free, ..config(&toggle, disk.path()) };
        let events = Events::start(config).unwrap();
        let said = events.stats().spool.concerns.join("\n");
        assert_eq!(said.contains("nothing is ever written there"), is_reported, "{said}");
        assert!(!is_reported || said.contains("lower `spool_min_free_bytes`"), "{said}");
        events.shutdown(PATIENCE);
    }
}
