//! The ledger's progress, on a disk that loses power at every store: no file is believed to be further than it is.
//!
//! What is believed to be delivered and is not is never sent. The stores are those that the ledger makes, one by one; of each
//! sector any of the states since the last sync is on the disk.

use std::{fs, path::Path};

use proptest::prelude::*;
use uuid::Uuid;

use super::{
    model::cases,
    simulated::{Dice, Simulated},
};
use crate::ledger::{self, Known, Ledger, Step};

const FILE: &str = "/accounts";

/// The identity of a file: in its lower half as random as real ones are.
fn id(number: u64) -> Uuid {
    Uuid::from_u128(u128::from(number) << 80 | 7 << 76 | u128::from(Dice::new(number).next() >> 2 | 1 << 63))
}

/// How many possible outcomes of a loss of power are looked at, of those at each moment.
const OUTCOMES: usize = 2;

#[derive(Debug, Clone, Copy)]
pub(super) enum Op {
    /// A piece of a file is dealt with, in any order: delivered, or set aside.
    Piece {
        file: u8,
        place: u32,
        delivered: bool,
    },
    /// A file that has been dealt with is removed, and another one comes.
    Next {
        file: u8,
    },
    Sync,
    /// Events are accepted, and delivered from memory.
    Other,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        7 => (0..3_u8, 0..PIECES, any::<bool>())
            .prop_map(|(file, place, delivered)| Op::Piece { file, place, delivered }),
        3 => (0..3_u8).prop_map(|file| Op::Next { file }),
        1 => Just(Op::Sync),
        1 => Just(Op::Other),
    ]
}

/// The pieces of every file, and the events of every piece.
const PIECES: u32 = 3;
const EVENTS: u64 = 10;

/// Slots that are taken before: those of the first sector that has any.
const TAKEN: u64 = 4;

/// Runs the sequence and lets power fail at every store. Gives how many moments there were.
pub(super) fn interrupt_everywhere(ops: &[Op], seed: u64) -> usize {
    let dir = tempfile::tempdir().unwrap();
    drop(ledger::take_stores());
    let mut ledger = Ledger::open(dir.path(), 1).unwrap();
    // Those that are looked at here share no sector with other numbers, but with one another.
    (0..TAKEN).for_each(|number| ledger.finish(id(2_000_000 + number), 0, false));
    drop(ledger::take_stores());
    let disk = Simulated::new();
    let path = Path::new(FILE);
    disk.put(path, &fs::read(dir.path().join(ledger::FILE)).unwrap());
    disk.record();
    let mut steps = [1, 2, 3].map(|number| Step::none(id(number)));
    // Of every file there ever was, how far it is at that time.
    let mut all: Vec<Step> = steps.to_vec();
    let mut states = vec![all.clone()];
    let mut next = 4;
    for &op in ops {
        match op {
            Op::Piece { file, place, delivered } => {
                let step = &mut steps[usize::from(file)];
                if step.has(place) {
                    continue;
                }
                step.note(place, EVENTS, if delivered { EVENTS } else { 0 });
                if delivered {
                    ledger.deliver_piece(EVENTS, step);
                } else {
                    ledger.set_aside_piece(EVENTS, step);
                }
            }
            Op::Next { file } => {
                let step = &mut steps[usize::from(file)];
                if step.pieces < PIECES {
                    continue;
                }
                ledger.finish(step.file, 0, false);
                ledger.forget(step.file);
                *step = Step::none(id(next));
                next += 1;
            }
            Op::Sync => {}
            Op::Other => {
                ledger.accept();
                ledger.deliver(1, Some(id(1_000_000 + next)));
                ledger.forget(id(1_000_000 + next));
                next += 1;
            }
        }
        for step in &steps {
            match all.iter_mut().find(|known| known.file == step.file) {
                Some(known) => *known = *step,
                None => all.push(*step),
            }
        }
        states.push(all.clone());
        disk.mark(states.len() - 1);
        for (at, bytes) in ledger::take_stores() {
            disk.store(path, at, &bytes);
        }
        if matches!(op, Op::Sync) {
            disk.sync_file(path).unwrap();
        }
    }
    let moments = disk.moments();
    let mut dice = Dice::new(seed);
    for moment in &moments {
        for _ in 0..OUTCOMES {
            let seed = dice.next();
            let left = Simulated::after_power_loss(moment, seed);
            let context = format!("after power was lost in state {} (seed {seed:#x})", moment.mark);
            check(&left.files()[path], &states[moment.mark], &context);
        }
    }
    moments.len()
}

fn check(bytes: &[u8], files: &[Step], context: &str) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(ledger::FILE), bytes).unwrap();
    let mut ledger = Ledger::open(dir.path(), 1).unwrap();
    for file in files {
        match ledger.found(file.file, EVENTS * u64::from(PIECES), true) {
            Known::Finished => {
                assert_eq!(file.pieces, PIECES, "{} is believed to be finished {context}", file.file)
            }
            Known::From(step) => assert!(
                (0..PIECES).all(|place| file.has(place) || !step.has(place))
                    && step.events == EVENTS * (0..PIECES).filter(|&place| step.has(place)).count() as u64
                    && step.delivered <= file.delivered.min(step.events),
                "{step:?} is believed of {file:?} {context}"
            ),
        }
    }
}

proptest! {
    #![proptest_config(cases(2))]

    #[test]
    fn no_loss_of_power_makes_a_file_seem_further_than_it_is(
        ops in prop::collection::vec(op(), 1..24),
        seed in any::<u64>(),
    ) {
        interrupt_everywhere(&ops, seed);
    }
}
