//! The spool's code beside a plain model of what must be there, on a disk that loses power at every operation.
//!
//! A case is a sequence of what the runtime does with a spool. It runs once, and the disk remembers how it was before each
//! operation. From each of these moments the power goes, or the process is killed; then a new process opens the spool,
//! delivers all it finds, and is interrupted itself. What Toggle has been offered by then is compared with the model:
//!
//! * An event is there if it was on stable storage and was not dropped, and has not been delivered.
//! * No event is offered that was not written, no event under two batch ids, and no batch id with other bytes.
//! * What was dropped, and what was removed durably, does not come back.
//! * What was damaged or refused is in the quarantine, and nothing unfinished lies about.

mod runtime;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use proptest::{prelude::*, test_runner::FileFailurePersistence};
use prost::Message;
use uuid::Uuid;

use self::runtime::Runtime;
use super::{
    samples::{id, split},
    simulated::{Dice, Moment, Simulated},
};
use crate::{
    Batch, Level,
    proto::EventBatch,
    proto::events::Event,
    segment::{self, format as segment_format},
    spool::{FileName, NewFile, Passed, Spool, SpoolFile, Thinning, severity_of, storage::Storage},
};

const DIR: &str = "/var/spool";

/// How many operations of a recovery are interrupted in turn, of each recovery.
const INTERRUPTED: usize = 3;

/// How many operations of a sequence are made to fail in the short run; else every one is.
const FAILURES: usize = 16;

/// What the runtime does with its spool.
#[derive(Debug, Clone, Copy)]
pub(super) enum Op {
    /// Writes a file.
    Write {
        events: u16,
        whole: bool,
    },
    /// Delivers pieces of a file, and removes it when that was the last.
    Deliver {
        file: u8,
        pieces: u8,
    },
    /// Toggle refuses the next piece of a file.
    Refuse {
        file: u8,
    },
    SyncRemovals,
    /// Drops events of one level out of a file.
    Thin {
        file: u8,
        level: u8,
        bytes: u16,
    },
    /// Drops all that is left of a file.
    Drop {
        file: u8,
    },
    /// Somebody puts a file there that ends within an event.
    Torn {
        events: u8,
    },
    /// An earlier process left a segment.
    Segment {
        events: u8,
    },
    /// Makes files of the segments.
    Adopt,
    /// A bit of an event in a file flips.
    Flip {
        file: u8,
        event: u8,
    },
    /// Somebody removes the lock file.
    LockGone,
    /// Somebody removes the directory.
    AllGone,
    /// Another process begins.
    Restart {
        orderly: bool,
    },
}

pub(super) fn op() -> impl Strategy<Value = Op> {
    let events = prop_oneof![12 => 1..7_u16, 1 => 126..140_u16];
    prop_oneof![
        5 => (events, any::<bool>()).prop_map(|(events, whole)| Op::Write { events, whole }),
        4 => (any::<u8>(), 1..3_u8).prop_map(|(file, pieces)| Op::Deliver { file, pieces }),
        1 => any::<u8>().prop_map(|file| Op::Refuse { file }),
        1 => Just(Op::SyncRemovals),
        4 => (any::<u8>(), 0..3_u8, 1..200_u16).prop_map(|(file, level, bytes)| Op::Thin { file, level, bytes }),
        2 => any::<u8>().prop_map(|file| Op::Drop { file }),
        1 => (1..4_u8).prop_map(|events| Op::Torn { events }),
        2 => (1..5_u8).prop_map(|events| Op::Segment { events }),
        2 => Just(Op::Adopt),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(file, event)| Op::Flip { file, event }),
        1 => prop_oneof![3 => Just(Op::LockGone), 1 => Just(Op::AllGone)],
        1 => any::<bool>().prop_map(|orderly| Op::Restart { orderly }),
    ]
}

/// An event's place in the order in which they were made.
type Index = u32;

fn level(index: Index) -> Level {
    Level::ALL[index as usize % 3]
}

fn entry(index: Index) -> Vec<u8> {
    let event = Event {
        event_id: id(0x0190_0000_0000 + u64::from(index)).to_string(),
        level: level(index).number(),
        category: 2,
        source: "zfs".to_owned(),
        timestamp: 1_700_000_000_000 + i64::from(index),
        ..Event::default()
    };
    let mut entry = Vec::new();
    prost::encoding::bytes::encode(1, &event.encode_to_vec(), &mut entry);
    entry
}

/// The event in an entry, which must be as it was written.
fn index_of(entry_found: &[u8]) -> Index {
    let mut rest = &entry_found[1..];
    prost::decode_length_delimiter(&mut rest).unwrap();
    let event = Event::decode(rest).expect("an event");
    let index = Index::try_from(event.timestamp - 1_700_000_000_000).expect("one of ours");
    assert_eq!(entry_found, entry(index), "event {index} was changed");
    index
}

/// What Toggle was offered, by batch id.
#[derive(Debug, Clone, Default)]
struct Toggle {
    batches: BTreeMap<Uuid, Vec<u8>>,
    events: BTreeMap<Index, Uuid>,
}

impl Toggle {
    /// Gives the events that it did not know.
    fn offer(&mut self, id: Uuid, events: &[u8], context: &dyn Fn() -> String) -> Vec<Index> {
        if let Some(known) = self.batches.get(&id) {
            assert!(known == events, "batch {id} comes with other bytes {}", context());
            return Vec::new();
        }
        self.batches.insert(id, events.to_vec());
        let new: Vec<Index> = split(events).iter().map(|entry| index_of(entry)).collect();
        for &index in &new {
            if let Some(other) = self.events.insert(index, id) {
                panic!("event {index} comes in the batches {other} and {id} {}", context());
            }
        }
        new
    }
}

/// What must hold of the disk.
#[derive(Debug, Clone, Default)]
struct Expected {
    /// Must be there, or with Toggle.
    must: BTreeSet<Index>,
    /// Were written, or were about to be.
    may: BTreeSet<Index>,
    /// Must not come back.
    gone: BTreeSet<Index>,
    /// Must be in the quarantine, under this name.
    aside: BTreeMap<PathBuf, Vec<u8>>,
    /// Damaged bytes, which must be in the quarantine when all is done.
    damaged: Vec<Vec<u8>>,
}

impl Expected {
    /// What holds while one becomes the other.
    fn while_becoming(&self, after: &Self) -> Self {
        Self {
            must: self.must.intersection(&after.must).copied().collect(),
            may: self.may.union(&after.may).copied().collect(),
            gone: self.gone.intersection(&after.gone).copied().collect(),
            aside: if after.aside.is_empty() { BTreeMap::new() } else { self.aside.clone() },
            damaged: if after.damaged.is_empty() { Vec::new() } else { self.damaged.clone() },
        }
    }
}

fn open(disk: &Simulated) -> Result<Spool, crate::spool::SpoolError> {
    Spool::open_on(Arc::new(disk.clone()), Path::new(DIR))
}

/// A new process delivers everything that it finds. Gives the pieces.
fn recover(disk: &Simulated) -> Vec<(Uuid, Vec<u8>)> {
    let spool = open(disk).unwrap();
    let mut pieces = Vec::new();
    for path in spool.segments_left(None).unwrap() {
        assert_eq!(spool.adopt_segment(&path).unwrap().damaged, 0);
    }
    for name in spool.list(|_| true).unwrap() {
        let file = spool.inspect(&name).unwrap();
        let mut reader = spool.read(&file).unwrap();
        while let Some(piece) = reader.next_piece().unwrap() {
            pieces.push((piece.id, piece.events));
            // What is changed from now on is changed after Toggle was offered so many.
            disk.mark(pieces.len());
        }
        if reader.damage().is_some() {
            spool.quarantine(&file, None).unwrap();
        }
        spool.remove(&file).unwrap();
    }
    spool.sync_removals();
    pieces
}

/// Has a new process recover, and checks what it finds; then all the same after that process was interrupted.
fn check(disk: &Simulated, expected: &Expected, toggle: &Toggle, dice: &mut Dice, context: &str, deep: bool) {
    disk.mark(0);
    if deep {
        disk.record();
    }
    let pieces = recover(disk);
    let moments = if deep { disk.moments() } else { Vec::new() };
    let mut after = toggle.clone();
    for (id, events) in &pieces {
        for index in after.offer(*id, events, &|| context.to_owned()) {
            assert!(expected.may.contains(&index), "event {index} was never written {context}");
            assert!(!expected.gone.contains(&index), "event {index} has come back {context}");
        }
    }
    for index in &expected.must {
        assert!(after.events.contains_key(index), "event {index} is lost {context}");
    }
    let files = disk.files();
    for (path, bytes) in &expected.aside {
        let unsealed = |bytes: &Vec<u8>| {
            EventBatch { seal: None, ..EventBatch::decode(&bytes[..]).unwrap() }.encode_to_vec()
        };
        assert_eq!(files.get(path).map(unsealed).as_ref(), Some(bytes), "{} {context}", path.display());
    }
    let aside = |path: &Path| path.extension().is_some_and(|ending| ending == "damaged");
    for damaged in &expected.damaged {
        assert!(
            files.iter().any(|(path, bytes)| aside(path) && bytes == damaged),
            "damaged bytes are lost {context}"
        );
    }
    for path in files.keys() {
        let name = path.file_name().unwrap().to_string_lossy();
        assert!(!name.starts_with('.') || name == ".lock", "{name} lies about {context}");
    }
    assert_eq!(recover(disk), [], "something is left {context}");
    for _ in 0..INTERRUPTED.min(moments.len()) {
        let moment = &moments[dice.below(moments.len())];
        let seed = dice.next();
        let context = format!("{context}; then power lost before: {} (seed {seed:#x})", moment.before);
        let mut by_then = toggle.clone();
        for (id, events) in &pieces[..moment.mark] {
            by_then.offer(*id, events, &|| context.clone());
        }
        check(&Simulated::after_power_loss(moment, seed), expected, &by_then, dice, &context, false);
    }
}

/// Runs the sequence and interrupts it everywhere. Gives how many moments there were.
pub(super) fn interrupt_everywhere(ops: &[Op], seed: u64) -> usize {
    let mut runtime = Runtime::new();
    runtime.disk.record();
    let mut states = vec![runtime.expected.clone()];
    let mut toggles = Vec::new();
    for (mark, &op) in ops.iter().enumerate() {
        runtime.disk.mark(mark);
        runtime.run(op);
        states.push(runtime.expected.clone());
        toggles.push(runtime.toggle.clone());
    }
    toggles.push(runtime.toggle.clone());
    states.push(runtime.expected.clone());
    runtime.disk.mark(ops.len());
    drop(runtime.spool.take());
    let moments = runtime.disk.moments();
    let mut dice = Dice::new(seed);
    for moment in &moments {
        interrupt(moment, &states, &toggles, &mut dice, ops);
    }
    moments.len()
}

fn interrupt(moment: &Moment, states: &[Expected], toggles: &[Toggle], dice: &mut Dice, ops: &[Op]) {
    let (mark, before) = (moment.mark, &moment.before);
    let expected = states[mark].while_becoming(&states[mark + 1]);
    let toggle = &toggles[mark];
    let seed = dice.next();
    let op = ops.get(mark);
    let context = format!("after power was lost in {mark} {op:?} before: {before} (seed {seed:#x})");
    check(&Simulated::after_power_loss(moment, seed), &expected, toggle, dice, &context, true);
    let context = format!("after a kill in {mark} {op:?} before: {before}");
    check(&Simulated::after_kill(moment), &expected, toggle, dice, &context, true);
}

/// Runs the sequence with so many operations of the disk failing from that one on, and the end interrupted.
pub(super) fn fail_at(ops: &[Op], at: usize, count: usize, kind: io::ErrorKind, seed: u64) {
    let mut runtime = Runtime::new();
    runtime.faulty = true;
    runtime.disk.fail_after(at, count, kind);
    for &op in ops {
        runtime.run(op);
    }
    // The disk is well again.
    runtime.disk.heal();
    if count > 1 || seed.is_multiple_of(2) {
        runtime.run(Op::Write { events: 1, whole: false });
    } else {
        runtime.send_unwritten();
    }
    runtime.disk.record();
    runtime.disk.mark(0);
    drop(runtime.spool.take());
    let states = [runtime.expected.clone(), runtime.expected.clone()];
    let mut dice = Dice::new(seed);
    let moments = runtime.disk.moments();
    let moment = &moments[moments.len() - 1];
    interrupt(moment, &states, &[runtime.toggle.clone()], &mut dice, ops);
}

/// How many operations of the disk the sequence takes.
pub(super) fn steps(ops: &[Op]) -> usize {
    let mut runtime = Runtime::new();
    let begin = runtime.disk.steps();
    for &op in ops {
        runtime.run(op);
    }
    runtime.disk.steps() - begin
}

/// Whether more than the short run was asked for.
fn is_long() -> bool {
    std::env::var_os("PROPTEST_CASES").is_some()
}

/// So many cases, or as many as `PROPTEST_CASES` says.
pub(super) fn cases(short: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: asked.unwrap_or(short),
        max_shrink_iters: 2000,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases(16))]

    #[test]
    fn no_loss_of_power_and_no_kill_loses_repeats_or_changes_an_event(
        ops in prop::collection::vec(op(), 1..12),
        seed in any::<u64>(),
    ) {
        interrupt_everywhere(&ops, seed);
    }

    #[test]
    fn no_failure_of_the_disk_loses_repeats_or_changes_an_event(
        ops in prop::collection::vec(op(), 1..12),
        count in prop_oneof![Just(1_usize), 2..30_usize],
        is_full in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let kind = if is_full { io::ErrorKind::StorageFull } else { io::ErrorKind::Other };
        let steps = steps(&ops);
        let mut dice = Dice::new(seed);
        for at in (1..=steps).filter(|_| is_long() || dice.below(steps) < FAILURES).collect::<Vec<_>>() {
            fail_at(&ops, at, count, kind, dice.next());
        }
    }
}
