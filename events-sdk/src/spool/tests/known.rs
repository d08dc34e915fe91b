//! What the model has found, by name: each of these lost, repeated or brought back events once.

use std::io;

use super::model::{Op, fail_once, interrupt_everywhere, steps};

/// What a loss of power leaves is a matter of chance: so often each case is tried.
const SEEDS: u64 = 40;

fn interrupted(ops: &[Op]) {
    for seed in 0..SEEDS {
        interrupt_everywhere(ops, seed);
    }
}

/// Each operation of the disk fails in turn.
fn failing(ops: &[Op]) {
    for at in 1..=steps(ops) {
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::Other] {
            fail_once(ops, at, kind, at as u64);
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
