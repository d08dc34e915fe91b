//! Spill files from outside: what other programs read in them, what files of the earlier agent and damaged files become.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    collections::{HashMap, HashSet},
    fs,
    ops::Range,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use events_sdk::{
    DropReason, Events, FlushOutcome, Stats,
    proto::{self, EventBatch},
    testing::Toggle,
};
use events_tests::{
    NUMBER, Rig, assert_numbers, config, emit_number, is_uuid_v7, losses_in, schema, storm, wait_until,
};
use prost::{Message, encoding};
use tempfile::TempDir;
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(60);

/// What gRPC servers accept unless told otherwise.
const MESSAGE_LIMIT: usize = 4 << 20;

/// The only mode for files that may hold personal data: their owner alone reads and writes them.
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn number(event: &proto::events::Event) -> usize {
    event.metadata[NUMBER].parse().unwrap()
}

// ---- our files, read by others ----

#[test]
fn a_spill_file_is_a_plain_batch_and_its_events_keep_their_ids() {
    const EVENTS: usize = 3_000;
    let rig = Rig::with(|config| {
        config.spool_dir = config.spool_dir.join("a").join("events");
        config.flush_threshold = 1_000;
    });
    let spool = rig.events.stats().spool.directory;
    rig.toggle.stop();
    storm(&rig.events, 0..EVENTS, 50_000);
    assert_eq!(rig.events.flush(PATIENCE), FlushOutcome::Complete);
    let stats = rig.events.stats();
    // What is on disk may be under way as well, to see whether Toggle is back.
    assert_eq!((stats.in_memory, stats.on_disk + stats.in_flight), (0, EVENTS as u64), "{stats:#?}");

    assert_eq!(mode(&spool), FOLDER_MODE);
    let mut spilled = HashMap::new();
    for name in events_tests::spill_files(&spool) {
        let path = spool.join(&name);
        assert_eq!(mode(&path), FILE_MODE, "{name}");
        let stem = name.strip_suffix(".pb").unwrap();
        assert!(is_uuid_v7(stem), "{name}");
        let bytes = fs::read(&path).unwrap();
        let batch = EventBatch::decode(bytes.as_slice()).unwrap();
        assert_eq!(batch.batch_id, stem);
        assert!(batch.batch_timestamp > 0);
        assert_eq!(batch.seal.as_ref().unwrap().events as usize, batch.events.len());
        assert_eq!(read_without_our_field(&bytes), batch.events, "{name}");
        let ids: Vec<_> = batch.events.iter().map(|event| &event.event_id).collect();
        assert!(ids.is_sorted(), "{name}: events are in the order in which they were emitted");
        for event in &batch.events {
            assert_eq!(spilled.insert(number(event), event.clone()), None);
        }
    }
    assert_eq!(spilled.len(), EVENTS);

    rig.toggle.restart().unwrap();
    rig.assert_all_delivered(EVENTS, PATIENCE);
    for event in rig.toggle.events() {
        assert_eq!(Some(&event), spilled.get(&number(&event)), "an event changed on its way from disk");
    }
    wait_until(&rig.events, PATIENCE, |stats| stats.spool.files == 0);
    assert_eq!(events_tests::spill_files(&spool), Vec::<String>::new());
}

/// Reads a batch with a schema that has none of the SDK's own fields, and nothing but descriptors.
fn read_without_our_field(bytes: &[u8]) -> Vec<proto::events::Event> {
    const OURS: &str = "  BatchSeal seal = 100;\n";
    let copy = TempDir::new().unwrap();
    let original = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto");
    fs::create_dir(copy.path().join("events")).unwrap();
    for file in ["base.proto", "events/annotations.proto", "events/event_messages.proto"] {
        let text = fs::read_to_string(original.join(file)).unwrap();
        fs::write(copy.path().join(file), text.replace(OURS, "")).unwrap();
    }
    let pool = schema::compile(copy.path());
    let batch = schema::decode_batch(&pool, bytes);
    let unknown: HashSet<_> = batch.unknown_fields().map(|field| field.number()).collect();
    assert_eq!(unknown, HashSet::from([100]), "the seal, and nothing else, is skipped");
    schema::events(&batch).iter().map(|event| event.transcode_to().unwrap()).collect()
}

// ---- files of the earlier agent ----

const EARLIER_NAME: &str = "0197d6f0-8c00-7abc-9def-0123456789ab";
const EARLIER_EVENTS: usize = 18_000;

/// A file as the earlier agent left it: a batch without a seal, among whose events some have fields that only a later
/// schema knows.
fn earlier_file() -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in 0..EARLIER_EVENTS {
        let pool = proto::events::StoragePoolPayload {
            pool_name: format!("pool-{number}"),
            devices: vec!["/dev/disk/by-id/wwn-0x5000c500a1b2c3d4".to_owned(); 4],
            operation: 1,
            ..Default::default()
        };
        let event = proto::events::Event {
            event_id: Uuid::new_v5(&Uuid::NAMESPACE_OID, &number.to_le_bytes()).to_string(),
            level: 1,
            category: 2,
            source: "zfs-pool-manager".to_owned(),
            timestamp: 1_751_600_000_000 + number as i64,
            metadata: HashMap::from([(NUMBER.to_owned(), number.to_string())]),
            event_payload: Some(proto::events::event::EventPayload::StorageEvent(
                proto::events::StorageEvent {
                    event_type: Some(proto::events::storage_event::EventType::PoolEvent(pool)),
                },
            )),
        };
        let mut event = event.encode_to_vec();
        if number % 7 == 0 {
            encoding::uint64::encode(50, &(number as u64), &mut event);
            encoding::string::encode(2_000, &"from a later schema".to_owned(), &mut event);
        }
        encoding::bytes::encode(1, &event, &mut bytes);
    }
    let rest = EventBatch {
        batch_timestamp: 1_751_600_100_000,
        batch_id: "the earlier agent wrote what it liked".to_owned(),
        ..Default::default()
    };
    rest.encode(&mut bytes).unwrap();
    bytes
}

/// What a Toggle got of a directory: every message with its id, in the order of the pieces.
fn deliver_earlier(bytes: &[u8], change: impl FnOnce(&mut events_sdk::Config)) -> Vec<(String, Vec<u8>)> {
    let toggle = Toggle::start().unwrap();
    let spool = TempDir::new().unwrap();
    fs::write(spool.path().join(format!("{EARLIER_NAME}.pb")), bytes).unwrap();
    let mut config = config(&toggle, spool.path());
    change(&mut config);
    let events = Events::start(config).unwrap();
    assert!(toggle.wait_for_events(EARLIER_EVENTS, PATIENCE), "{:#?}", events.stats());
    assert_numbers(&toggle, EARLIER_EVENTS);
    let stats = wait_until(&events, PATIENCE, |stats| stats.spool.files == 0);
    assert_eq!((stats.adopted, stats.delivered), (EARLIER_EVENTS as u64, EARLIER_EVENTS as u64));
    assert_eq!((stats.quarantined, stats.dropped_total()), (0, 0));
    assert_eq!(events_tests::spill_files(spool.path()), Vec::<String>::new());

    let mut messages: HashMap<String, Vec<u8>> = HashMap::new();
    for received in toggle.batches() {
        assert!(received.bytes < MESSAGE_LIMIT, "a message of {} bytes", received.bytes);
        messages.insert(received.batch_id.clone(), received.body().unwrap().to_vec());
    }
    let file = Uuid::try_parse(EARLIER_NAME).unwrap();
    let ids = (0..).map(|place: u32| Uuid::new_v5(&file, place.to_string().as_bytes()).to_string());
    let pieces: Vec<_> = ids.map_while(|id| messages.remove_entry(&id)).collect();
    assert_eq!(messages.keys().collect::<Vec<_>>(), Vec::<&String>::new(), "ids that follow from nothing");
    pieces
}

#[test]
fn a_file_of_the_earlier_agent_is_delivered_in_pieces_whose_ids_repeat() {
    let bytes = earlier_file();
    assert!(bytes.len() > MESSAGE_LIMIT, "{} bytes would fit into one message", bytes.len());
    let first = deliver_earlier(&bytes, |_| {});
    let second = deliver_earlier(&bytes, |config| {
        config.batch_size = 17;
        config.batch_bytes = 64 << 10;
        config.max_in_flight = 2;
    });
    assert!(first.len() > 1);
    assert_eq!(first, second, "a copy of the directory gives the same messages, whatever the configuration");
    let delivered: Vec<_> = first.iter().flat_map(|(_, message)| schema::entries(message)).collect();
    assert!(delivered == schema::entries(&bytes), "the bytes of the events are those of the file");
}

// ---- damaged files ----

/// A sealed spill file of this many events.
fn sealed_file(events: usize) -> (String, Vec<u8>) {
    let rig = Rig::with(|config| config.batch_timeout = Duration::from_secs(60));
    rig.toggle.stop();
    storm(&rig.events, 0..events, 1_000_000);
    let report = rig.events.shutdown(PATIENCE);
    assert_eq!(report.on_disk, events as u64, "{report:#?}");
    let files: Vec<_> = rig
        .spill_files()
        .into_iter()
        .map(|name| (fs::read(rig.spool.path().join(&name)).unwrap(), name))
        .collect();
    let (bytes, name) = files.into_iter().max_by_key(|(bytes, _)| bytes.len()).unwrap();
    assert!(EventBatch::decode(bytes.as_slice()).unwrap().seal.is_some());
    (name, bytes)
}

/// Starts on a directory with this file and a healthy one, and checks that all events outside of the damaged bytes
/// arrive and that the rest is in the quarantine and in the accounts. Gives the accounts.
fn recover(name: &str, original: &[u8], damaged: &[u8], damage: Range<usize>) -> Stats {
    let start = original.as_ptr() as usize;
    let expected: HashSet<usize> = schema::entries(original)
        .into_iter()
        .filter(|entry| {
            // The tag and the length in front of an event belong to it.
            let begin = entry.as_ptr() as usize - start - 3;
            begin + 3 + entry.len() <= damage.start || begin >= damage.end
        })
        .map(|entry| number(&proto::events::Event::decode(entry).unwrap()))
        .collect();
    let spool = TempDir::new().unwrap();
    fs::write(spool.path().join(name), damaged).unwrap();
    let (healthy_name, healthy) = healthy_file();
    fs::write(spool.path().join(healthy_name), healthy).unwrap();

    let toggle = Toggle::start().unwrap();
    let events = Events::start(config(&toggle, spool.path())).unwrap();
    let stats = drained(&events, spool.path());
    let arrived: HashSet<usize> = toggle.events().iter().map(number).collect();
    assert_eq!(toggle.repeated_event_ids(), 0);
    assert!(arrived.contains(&HEALTHY), "the healthy file is delivered");
    let lost: Vec<_> = expected.difference(&arrived).collect();
    assert!(lost.is_empty(), "undamaged and not delivered: {lost:?}");
    assert_eq!(arrived.len() as u64, stats.delivered);
    assert_eq!(stats.delivered + stats.quarantined, stats.adopted, "{stats:#?}");
    assert_eq!(stats.dropped_total(), 0);

    let quarantine = spool.path().join("quarantine");
    assert_eq!(mode(&quarantine), FOLDER_MODE);
    let aside = |ending: &str| -> Vec<PathBuf> {
        let entries = fs::read_dir(&quarantine).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.to_str().unwrap().ends_with(ending)).collect()
    };
    let (bytes, texts) = (aside(".damaged"), aside(".damaged.txt"));
    assert_eq!((bytes.len(), texts.len()), (1, 1));
    assert_eq!((mode(&bytes[0]), mode(&texts[0])), (FILE_MODE, FILE_MODE));
    assert!(fs::read_to_string(&texts[0]).unwrap().contains(name), "the text names the file");
    stats
}

/// The number of the event in the healthy file.
const HEALTHY: usize = 1_000_000;

fn healthy_file() -> (String, Vec<u8>) {
    let rig = Rig::start();
    rig.toggle.stop();
    emit_number(&rig.events, HEALTHY);
    rig.events.shutdown(PATIENCE);
    let name = rig.spill_files().remove(0);
    let bytes = fs::read(rig.spool.path().join(&name)).unwrap();
    (name, bytes)
}

/// Waits until no spill file is left, and gives the accounts.
fn drained(events: &Events, spool: &Path) -> Stats {
    let stats = wait_until(events, PATIENCE, |stats| {
        stats.spool.files == 0 && stats.on_disk == 0 && events_tests::spill_files(spool).is_empty()
    });
    assert_eq!(events_tests::spill_files(spool), Vec::<String>::new(), "{stats:#?}");
    stats
}

#[test]
fn a_truncated_file_gives_up_only_the_event_at_its_end() {
    let (name, bytes) = sealed_file(2_000);
    let entries = schema::entries(&bytes);
    // In the middle of an event, however many there are in the file.
    let torn = entries[entries.len() * 3 / 5];
    let end = torn.as_ptr() as usize - bytes.as_ptr() as usize + torn.len() / 2;
    let stats = recover(&name, &bytes, &bytes[..end], end..bytes.len());
    assert_eq!(stats.quarantined, 1, "{stats:#?}");
}

#[test]
fn what_somebody_cuts_off_a_file_of_a_running_process_is_lost_and_told_and_not_called_quarantined() {
    // Unread when that happens, read in part, and emptied.
    for (older, quarters) in [(300, 3), (0, 3), (300, 0)] {
        let rig = Rig::with(|config| config.flush_threshold = 18_000);
        rig.toggle.stop();
        let all = older + 4_000;
        for range in [0..older, older..all] {
            storm(&rig.events, range.clone(), 1_000_000);
            let stats = wait_until(&rig.events, PATIENCE, |stats| stats.on_disk == range.end as u64);
            assert_eq!(stats.on_disk, range.end as u64, "{stats:#?}");
        }
        let paths = rig.spill_files().into_iter().map(|name| rig.spool.path().join(name));
        let path = paths.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
        let bytes = fs::read(&path).unwrap();
        let entries = schema::entries(&bytes);
        let kept = entries.len() * quarters / 4;
        // In the middle of an event.
        let end = match kept {
            0 => 0,
            _ => entries[kept].as_ptr() as usize - bytes.as_ptr() as usize + entries[kept].len() / 2,
        };
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(end as u64).unwrap();

        rig.toggle.restart().unwrap();
        let (stump, gone) = (u64::from(kept > 0), (entries.len() - kept) as u64);
        // One of them tells of the loss.
        let delivered = all as u64 - gone + 1;
        let stats =
            wait_until(&rig.events, PATIENCE, |stats| stats.delivered == delivered && stats.on_disk == 0);
        assert_eq!((stats.delivered, stats.on_disk), (delivered, 0), "{stats:#?}");
        let vanished = stats.dropped_for(DropReason::Vanished);
        assert_eq!((vanished, stats.quarantined), (gone - stump, stump), "{stats:#?}");
        let told: u64 = rig.toggle.events().iter().filter_map(losses_in).map(|losses| losses.lost).sum();
        assert_eq!(told, vanished, "{stats:#?}");
        rig.events.shutdown(PATIENCE);
    }
}

#[test]
fn a_file_with_changed_bytes_gives_up_only_the_events_they_are_in() {
    let (name, bytes) = sealed_file(2_000);
    let events = EventBatch::decode(bytes.as_slice()).unwrap().events.len() as u64;
    // In the middle of a text of an event, where the byte cannot be taken for another value.
    let half = bytes.len() / 2;
    let begin = half + bytes[half..].windows(5).position(|text| text == b"storm").unwrap() + 2;
    for length in [1, 700, 4_096] {
        let damage = begin..begin + length;
        let mut damaged = bytes.clone();
        damaged[damage.clone()].fill(0xff);
        let stats = recover(&name, &bytes, &damaged, damage);
        assert_eq!(stats.adopted, events + 1, "the seal says how many there were: {stats:#?}");
        assert!(stats.quarantined > 0, "{stats:#?}");
    }
}

#[test]
fn an_event_that_claims_to_be_longer_takes_none_of_its_neighbours_along() {
    let (name, bytes) = sealed_file(1_000);
    let entry = schema::entries(&bytes)[300];
    let at = entry.as_ptr() as usize - bytes.as_ptr() as usize;
    let mut damaged = bytes.clone();
    // The last byte of the length in front of it.
    damaged[at - 1] ^= 0x02;
    let stats = recover(&name, &bytes, &damaged, at - 1..at);
    assert_eq!(stats.quarantined, 1, "{stats:#?}");
}

#[test]
fn a_change_that_still_reads_as_an_event_is_not_delivered() {
    let (name, bytes) = sealed_file(1_000);
    let half = bytes.len() / 2;
    let at = half + bytes[half..].windows(4).position(|text| text == b"tank").unwrap();
    let mut damaged = bytes.clone();
    damaged[at] = b'b';
    assert!(EventBatch::decode(damaged.as_slice()).is_ok());
    let stats = recover(&name, &bytes, &damaged, at..at + 1);
    assert_eq!(stats.quarantined, 1, "{stats:#?}");
}

#[test]
fn an_event_too_large_for_any_message_holds_up_none_of_its_neighbours() {
    const EVENTS: usize = 1_000;
    const LARGE: usize = 400;
    let mut bytes = Vec::new();
    for number in 0..EVENTS {
        let event = proto::events::Event {
            event_id: Uuid::new_v5(&Uuid::NAMESPACE_OID, &number.to_le_bytes()).to_string(),
            source: "x".repeat(if number == LARGE { MESSAGE_LIMIT - 1_000 } else { 10 }),
            timestamp: 1_751_600_000_000,
            metadata: HashMap::from([(NUMBER.to_owned(), number.to_string())]),
            ..Default::default()
        };
        encoding::message::encode(1, &event, &mut bytes);
    }
    let spool = TempDir::new().unwrap();
    fs::write(spool.path().join(format!("{EARLIER_NAME}.pb")), bytes).unwrap();
    let toggle = Toggle::start().unwrap();
    let events = Events::start(config(&toggle, spool.path())).unwrap();
    assert!(toggle.wait_for_events(EVENTS - 1, PATIENCE), "{:#?}", events.stats());
    let stats = drained(&events, spool.path());
    assert_eq!((stats.adopted, stats.delivered, stats.quarantined), (1_000, 999, 1), "{stats:#?}");
    assert!(toggle.events().iter().all(|event| number(event) != LARGE));
}

#[test]
fn a_damaged_file_of_the_earlier_agent_gives_up_only_what_is_damaged() {
    let bytes = earlier_file();
    let middle = bytes.len() / 2;
    let mut damaged = bytes.clone();
    damaged[middle..middle + 1_000].fill(0xff);
    let name = format!("{EARLIER_NAME}.pb");
    let stats = recover(&name, &bytes, &damaged, middle..middle + 1_000);
    assert!(stats.quarantined > 0, "{stats:#?}");
    let stats = recover(&name, &bytes, &bytes[..middle], middle..bytes.len());
    assert_eq!(stats.quarantined, 1, "{stats:#?}");
}

#[test]
fn whatever_lies_in_the_directory_the_process_starts_and_delivers() {
    let spool = TempDir::new().unwrap();
    let (name, bytes) = healthy_file();
    // With the upper bit in every byte no field ever begins.
    let noise: Vec<u8> =
        (0..100_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8 | 0x80).collect();
    fs::write(spool.path().join(&name), bytes).unwrap();
    fs::write(spool.path().join("noise.pb"), &noise).unwrap();
    fs::write(spool.path().join("empty.pb"), []).unwrap();
    fs::write(spool.path().join("zeros.pb"), [0; 10_000]).unwrap();
    fs::write(spool.path().join("notes.txt"), "not ours").unwrap();
    fs::write(spool.path().join(".half-written.tmp"), &noise).unwrap();
    fs::create_dir(spool.path().join("folder.pb")).unwrap();

    let toggle = Toggle::start().unwrap();
    let events = Events::start(config(&toggle, spool.path())).unwrap();
    assert!(toggle.wait_for_events(1, PATIENCE), "{:#?}", events.stats());
    emit_number(&events, 0);
    assert!(toggle.wait_for_events(2, PATIENCE), "{:#?}", events.stats());
    let mut spill_files = events_tests::spill_files(spool.path());
    let start = Instant::now();
    while spill_files != ["folder.pb"] && start.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(5));
        spill_files = events_tests::spill_files(spool.path());
    }
    let mut left: Vec<_> = fs::read_dir(spool.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, [".accounts", ".half-written.tmp", ".lock", "folder.pb", "notes.txt", "quarantine"]);
    let aside = fs::read_dir(spool.path().join("quarantine")).unwrap();
    let aside: u64 = aside
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "damaged"))
        .map(|entry| entry.metadata().unwrap().len())
        .sum();
    assert_eq!(aside, noise.len() as u64 + 10_000, "not a byte of it was thrown away");
}
