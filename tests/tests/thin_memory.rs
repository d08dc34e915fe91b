//! Making room in a large file of somebody else takes no more memory than making room in a small one. Alone in its process, as
//! the peak of memory is the process's.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{fs, io::Write, path::Path, time::Duration};

use events_sdk::{Events, proto::EventBatch, testing::Toggle};
use events_tests::{Rig, config, emit_number, spill_files, wait_until};
use prost::Message;

const PATIENCE: Duration = Duration::from_secs(120);
/// The size of the file.
const FILE_BYTES: usize = 48 << 20;

/// The most memory of this process so far, in bytes.
fn peak() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the peak of memory");
    line.trim().trim_end_matches("kB").trim().parse::<usize>().unwrap() << 10
}

/// One event as it stands in a spill file, with tag and length.
fn entry() -> Vec<u8> {
    let rig = Rig::start();
    rig.toggle.stop();
    emit_number(&rig.events, 1);
    rig.events.shutdown(PATIENCE);
    let file = rig.spill_files().remove(0);
    let bytes = fs::read(rig.spool.path().join(file)).unwrap();
    let events = EventBatch::decode(bytes.as_slice()).unwrap().events;
    EventBatch { events, ..EventBatch::default() }.encode_to_vec()
}

/// A file of the earlier agent: events, and nothing else.
fn large_file(path: &Path, entry: &[u8]) {
    let mut file = std::io::BufWriter::new(fs::File::create(path).unwrap());
    for _ in 0..FILE_BYTES / entry.len() {
        file.write_all(entry).unwrap();
    }
    file.into_inner().unwrap().sync_all().unwrap();
}

#[test]
fn room_is_made_in_a_large_file_with_the_memory_of_a_small_one() {
    let entry = entry();
    let toggle = Toggle::start().unwrap();
    toggle.stop();
    let spool = tempfile::tempdir().unwrap();
    // An older one, which is begun first, so that the large one is whole when there is no room any more.
    let first = Events::start(config(&toggle, spool.path())).unwrap();
    (0..100).for_each(|number| emit_number(&first, number));
    assert!(first.shutdown(PATIENCE).complete);
    large_file(&spool.path().join("earlier-agent.pb"), &entry);

    let mut config = config(&toggle, spool.path());
    (config.spool_max_bytes, config.buffer_bytes) = (FILE_BYTES, 4 << 20);
    (config.buffer_size, config.flush_threshold) = (2_000, 1_000);
    let events = Events::start(config).unwrap();
    let many = (FILE_BYTES / entry.len()) as u64;
    let stats = wait_until(&events, PATIENCE, |stats| stats.adopted > many);
    assert!(stats.adopted > many, "{stats:#?}");
    let before = peak();
    for number in 0..1_500 {
        emit_number(&events, number);
    }
    let stats = wait_until(&events, PATIENCE, |stats| stats.spool.thinned > 0 && stats.in_memory == 0);
    assert!(stats.spool.thinned > 0 && stats.spool.bytes <= FILE_BYTES as u64, "{stats:#?}");
    assert!(!spill_files(spool.path()).contains(&"earlier-agent.pb".to_owned()));
    let more = peak() - before;
    assert!(more < FILE_BYTES / 3, "{more} bytes of memory for a file of {FILE_BYTES}");
}
