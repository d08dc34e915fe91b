//! What the model has found, by name: each of these lost, repeated or brought back events once.

use std::{fs, io};

use super::{
    model::{Op, fail_at, interrupt_everywhere, steps},
    power,
    samples::{entry, id, spill},
};
use crate::{
    segment::{self, format},
    spool::Spool,
};

/// What a loss of power leaves is a matter of chance: so often each case is tried.
const SEEDS: u64 = 12;

fn interrupted(ops: &[Op]) {
    for seed in 0..SEEDS {
        interrupt_everywhere(ops, seed);
    }
}

/// Each operation of the disk fails in turn.
fn failing(ops: &[Op]) {
    for at in 1..=steps(ops) {
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::Other] {
            (0..4).for_each(|seed| fail_at(ops, at, 1, kind, seed));
        }
    }
}

const WRITE: Op = Op::Write { events: 3, whole: false };
const WHOLE: Op = Op::Write { events: 3, whole: true };
const THIN: Op = Op::Thin { file: 0, level: 0, bytes: 1 };
const SEGMENT: Op = Op::Segment { events: 3 };

#[test]
fn of_a_file_and_what_is_left_of_it_only_one_is_ever_found() {
    // Its events came again under another id.
    interrupted(&[WRITE, THIN]);
    interrupted(&[WHOLE, THIN, Op::Deliver { file: 0, pieces: 2 }]);
}

#[test]
fn a_segment_does_not_bring_back_what_was_dropped_out_of_its_file() {
    // The segment was removed, and that was not on stable storage.
    interrupted(&[SEGMENT, Op::Adopt, THIN]);
    interrupted(&[Op::Segment { events: 1 }, Op::Adopt, THIN]);
}

#[test]
fn a_segment_goes_when_the_name_of_its_file_is_on_stable_storage() {
    // A process was killed before it was, and the next one removed the segment because there was a file.
    interrupted(&[SEGMENT, Op::Adopt]);
    interrupted(&[SEGMENT, Op::Restart { orderly: false }, Op::Adopt]);
}

#[test]
fn thinning_that_fails_anywhere_drops_all_that_it_says_or_nothing() {
    // The old file was gone, the new one had no name yet, and an error said that nothing was dropped.
    failing(&[WRITE, THIN]);
    failing(&[SEGMENT, Op::Adopt, THIN]);
}

#[test]
fn a_file_whose_name_could_not_be_synced_does_not_come_back_beside_its_successor() {
    failing(&[WRITE, WRITE]);
    failing(&[WHOLE, Op::Deliver { file: 0, pieces: 2 }]);
}

fn without_power(ops: &[power::Op]) {
    for seed in 0..SEEDS {
        power::interrupt_everywhere(ops, seed);
    }
}

const EMIT: power::Op = power::Op::Emit { count: 3, level: 0, bytes: 10, sync: true };

#[test]
fn a_segment_that_was_marked_free_does_not_bring_back_what_was_dropped_from_disk() {
    // The mark was in memory only, and the file that the segment had become was thinned.
    let grave = power::Op::Emit { count: 1, level: 2, bytes: 10, sync: true };
    without_power(&[EMIT, grave, power::Op::Spill, power::Op::Thin { file: 0, level: 0 }]);
}

#[test]
fn a_synced_event_is_found_though_an_earlier_process_made_the_folder_and_did_not_sync_its_name() {
    without_power(&[EMIT]);
}

#[test]
fn a_segment_that_is_removed_while_it_is_to_be_synced_is_no_failure() {
    // Its event was delivered meanwhile; the sync said that segments survive no loss of power.
    let giant = power::Op::Emit { count: 1, level: 0, bytes: power::GIANT.start, sync: false };
    without_power(&[giant, power::Op::Sync { races: true }]);
}

#[test]
fn damage_in_a_segment_costs_nothing_when_its_batch_is_in_a_file() {
    // The process was killed after the file was written and before the segment was marked free: an event was counted as
    // damaged that was delivered from the file.
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path()).unwrap();
    spill(&spool, id(1), 0..2, true).unwrap();
    let mut bytes = vec![0; 4096];
    let seed = format::begin(&mut bytes, id(1), 0xfeed);
    let first = format::push(&mut bytes, format::HEADER, 0, seed, &entry(0), 1, 2).unwrap();
    format::push(&mut bytes, first, 1, seed, &entry(1), 1, 2).unwrap();
    bytes[first + 40] ^= 1;
    let folder = dir.path().join(segment::FOLDER);
    fs::create_dir(&folder).unwrap();
    let path = folder.join(format!("x{}", segment::ENDING));
    fs::write(&path, bytes).unwrap();

    let adopted = spool.adopt_segment(&path).unwrap();
    assert_eq!((adopted.file, adopted.damaged), (None, 0));
    assert!(!path.exists() && !dir.path().join("quarantine").exists());
}

#[test]
fn only_a_segment_whose_batch_was_put_together_becomes_a_file_that_was_offered() {
    // Room was made in the file of a batch that a killed process had sent, and what was left came again under another id.
    for timestamp_ms in [None, Some(1_700_000_000_123)] {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path()).unwrap();
        let mut bytes = vec![0; 4096];
        let seed = format::begin(&mut bytes, id(1), 0xfeed);
        format::push(&mut bytes, format::HEADER, 0, seed, &entry(0), 1, 2).unwrap();
        if let Some(timestamp_ms) = timestamp_ms {
            format::set_timestamp(&mut bytes, timestamp_ms);
        }
        let folder = dir.path().join(segment::FOLDER);
        fs::create_dir(&folder).unwrap();
        let path = folder.join(format!("x{}", segment::ENDING));
        fs::write(&path, bytes).unwrap();

        let file = spool.adopt_segment(&path).unwrap().file.unwrap();
        assert_eq!(file.offered, timestamp_ms.is_some());
        assert_eq!(spool.inspect(&file.name).unwrap(), file, "its seal says so");
    }
}
