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

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use proptest::{prelude::*, test_runner::FileFailurePersistence};
use prost::Message;
use uuid::Uuid;

use super::{
    samples::{id, split},
    simulated::{Dice, Moment, Simulated},
};
use crate::{
    Batch, Level,
    proto::EventBatch,
    proto::events::Event,
    segment::{self, format as segment_format},
    spool::{FileName, NewFile, Spool, SpoolFile, Thinning, severity_of, storage::Storage},
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

/// A file that the runtime knows.
struct Known {
    file: SpoolFile,
    events: Vec<Index>,
    offered: u32,
    /// A segment of that batch may come back, and with it the events, under the same id.
    from_segment: bool,
    /// There is damage in it.
    damaged: bool,
}

/// The runtime, as far as the spool is concerned.
struct Runtime {
    disk: Simulated,
    spool: Option<Spool>,
    files: Vec<Known>,
    /// What could not be written: it is tried again. What is one batch keeps its id.
    unwritten: Vec<(Vec<Index>, Option<Uuid>)>,
    in_segments: BTreeMap<Uuid, Vec<Index>>,
    /// Segments that were taken over and could not be removed.
    taken_over: BTreeMap<PathBuf, Uuid>,
    removed: Vec<Index>,
    expected: Expected,
    toggle: Toggle,
    events: Index,
    ids: u64,
    /// Operations are made to fail.
    faulty: bool,
}

impl Runtime {
    fn new() -> Self {
        let disk = Simulated::new();
        disk.create_dir(Path::new(DIR)).unwrap();
        let segments = Path::new(DIR).join(segment::FOLDER);
        disk.create_dir(&segments).unwrap();
        let mut runtime = Self {
            disk,
            spool: None,
            files: Vec::new(),
            unwritten: Vec::new(),
            in_segments: BTreeMap::new(),
            taken_over: BTreeMap::new(),
            removed: Vec::new(),
            expected: Expected::default(),
            toggle: Toggle::default(),
            events: 0,
            ids: 1_000,
            faulty: false,
        };
        runtime.open();
        runtime
    }

    fn open(&mut self) -> Option<()> {
        if self.spool.is_none() {
            let spool = self.tried(open(&self.disk))?;
            self.spool = Some(spool);
        }
        Some(())
    }

    /// Only where operations are made to fail may one fail.
    fn tried<T, E: std::fmt::Debug>(&self, result: Result<T, E>) -> Option<T> {
        match result {
            Ok(done) => Some(done),
            Err(error) if self.faulty => {
                let _ = error;
                None
            }
            Err(error) => panic!("{error:?}"),
        }
    }

    fn new_id(&mut self) -> Uuid {
        self.ids += 1;
        id(self.ids)
    }

    fn new_events(&mut self, count: u32) -> Vec<Index> {
        self.events += count;
        (self.events - count..self.events).collect()
    }

    fn pick(&self, file: u8) -> Option<usize> {
        (!self.files.is_empty()).then(|| usize::from(file) % self.files.len())
    }

    fn run(&mut self, op: Op) -> Option<()> {
        self.open()?;
        match op {
            Op::Write { events, whole } => {
                let events = self.new_events(u32::from(events));
                let id = whole.then(|| self.new_id());
                self.unwritten.push((events, id));
                for (events, id) in std::mem::take(&mut self.unwritten) {
                    self.write(events, id);
                }
            }
            Op::Deliver { file, pieces } => {
                let place = self.pick(file)?;
                self.deliver(place, pieces)?;
            }
            Op::Refuse { file } => {
                let place = self.pick(file)?;
                self.refuse(place)?;
            }
            Op::SyncRemovals => self.sync_removals(),
            Op::Thin { file, level, bytes } => {
                let place = self.pick(file)?;
                self.thin(place, level, u64::from(bytes));
            }
            Op::Torn { events } => self.put_torn(u32::from(events)),
            Op::Segment { events } => self.put_segment(u32::from(events)),
            Op::Adopt => self.adopt(),
            Op::Flip { file, event } => {
                let place = self.pick(file)?;
                self.flip(place, usize::from(event));
            }
            Op::LockGone => {
                let _ = self.disk.remove(&Path::new(DIR).join(".lock"));
            }
            Op::AllGone => self.all_gone(),
            Op::Restart { orderly } => self.restart(orderly)?,
        }
        Some(())
    }

    fn spool(&self) -> &Spool {
        self.spool.as_ref().unwrap()
    }

    fn write(&mut self, events: Vec<Index>, whole: Option<Uuid>) {
        let id = whole.unwrap_or_else(|| self.new_id());
        self.expected.may.extend(&events);
        let bytes: Vec<u8> = events.iter().flat_map(|&index| entry(index)).collect();
        let mut levels: BTreeMap<i32, u32> = BTreeMap::new();
        events.iter().for_each(|&index| *levels.entry(level(index).number()).or_default() += 1);
        let levels: Vec<_> = levels.into_iter().collect();
        let written = self.spool().write(NewFile {
            id,
            timestamp_ms: 1_700_000_000_123,
            runs: &[&bytes],
            count: events.len() as u32,
            levels: &levels,
            whole: whole.is_some(),
            fingerprint: 0xfeed,
            ledger: 0,
        });
        match self.tried(written) {
            Some(file) => {
                self.expected.must.extend(&events);
                self.files.push(Known { file, events, offered: 0, from_segment: false, damaged: false });
            }
            None => self.unwritten.push((events, whole)),
        }
    }

    /// Toggle is back, and gets from memory what could not be written.
    fn send_unwritten(&mut self) {
        for (events, id) in std::mem::take(&mut self.unwritten) {
            let id = id.unwrap_or_else(|| self.new_id());
            let bytes: Vec<u8> = events.iter().flat_map(|&index| entry(index)).collect();
            self.toggle.offer(id, &bytes, &|| "in the run".to_owned());
        }
    }

    fn deliver(&mut self, place: usize, pieces: u8) -> Option<()> {
        let known = &self.files[place];
        let mut reader = self.tried(self.spool().read(&known.file))?;
        self.tried(reader.skip_to(known.offered))?;
        let mut ended = false;
        let mut offered = Vec::new();
        for _ in 0..pieces {
            match self.tried(reader.next_piece())? {
                Some(piece) => offered.push(piece),
                None => {
                    ended = true;
                    break;
                }
            }
        }
        if ended && reader.damage().is_some() {
            self.tried(self.spool().quarantine(&known.file))?;
        }
        self.files[place].offered += offered.len() as u32;
        for piece in offered {
            self.toggle.offer(piece.id, &piece.events, &|| "in the run".to_owned());
        }
        if ended {
            self.tried(self.spool().remove(&self.files[place].file))?;
            let known = self.files.remove(place);
            if !known.from_segment {
                self.removed.extend(known.events);
            }
        }
        Some(())
    }

    fn refuse(&mut self, place: usize) -> Option<()> {
        let known = &self.files[place];
        let mut reader = self.tried(self.spool().read(&known.file))?;
        self.tried(reader.skip_to(known.offered))?;
        let piece = self.tried(reader.next_piece())??;
        let batch = Batch::new(piece.id, piece.timestamp_ms, piece.events, piece.count);
        self.tried(self.spool().set_aside(&batch, "no such pool"))?;
        let mut bytes = Vec::new();
        batch.encode(&mut bytes);
        let path = Path::new(DIR).join(format!("quarantine/{}.pb", batch.id()));
        self.expected.aside.insert(path, bytes);
        self.toggle.offer(batch.id(), batch.events(), &|| "in the run".to_owned());
        self.files[place].offered += 1;
        Some(())
    }

    fn sync_removals(&mut self) {
        self.spool().sync_removals();
        if !self.faulty {
            self.expected.gone.extend(self.removed.drain(..));
        }
    }

    /// The runtime drops events out of files of which it has offered nothing.
    fn thin(&mut self, place: usize, level_place: u8, bytes: u64) {
        let new_id = self.new_id();
        let known = &self.files[place];
        if known.offered > 0 || self.taken_over.values().any(|&batch| batch == known.file.id) {
            return;
        }
        let severity = severity_of(Level::ALL[usize::from(level_place) % 3].number());
        let thinning = Thinning { severity, bytes, id: new_id, fingerprint: 0xfeed, pieces: 0 };
        let Some(thinned) = self.tried(self.spool().thin(&known.file, thinning)) else { return };
        let mut left = thinned.dropped.iter().map(|(.., count)| *count).sum::<u64>();
        let Known { events, from_segment, .. } = self.files.remove(place);
        let (dropped, kept): (Vec<Index>, Vec<Index>) = events.into_iter().partition(|&index| {
            let goes = severity_of(level(index).number()) == severity && left > 0;
            left -= u64::from(goes);
            goes
        });
        for index in &dropped {
            self.expected.must.remove(index);
        }
        if !self.faulty {
            self.expected.gone.extend(&dropped);
        }
        assert_eq!(thinned.file.is_some(), !kept.is_empty());
        if let Some(file) = thinned.file {
            self.files.push(Known { file, events: kept, offered: 0, from_segment, damaged: false });
        }
    }

    fn put_torn(&mut self, count: u32) {
        if !self.disk.has(Path::new(DIR)) {
            return;
        }
        let events = self.new_events(count);
        let torn = &entry(Index::MAX)[..20];
        let mut bytes: Vec<u8> = events.iter().flat_map(|&index| entry(index)).collect();
        bytes.extend(torn);
        let name = FileName::of(self.new_id());
        self.disk.put(&Path::new(DIR).join(name.to_os_string()), &bytes);
        self.expected.damaged.push(torn.to_vec());
        self.expected.may.extend(&events);
        self.expected.must.extend(&events);
        if let Some(file) = self.tried(self.spool().inspect(&name)) {
            self.files.push(Known { file, events, offered: 0, from_segment: false, damaged: true });
        }
    }

    fn flip(&mut self, place: usize, event: usize) {
        let known = &mut self.files[place];
        // Under the id of a segment's batch the event may come back undamaged, and with other bytes than were offered.
        if known.offered > 0 || known.from_segment || known.damaged {
            return;
        }
        let path = Path::new(DIR).join(known.file.name.to_os_string());
        if !self.disk.has(&path) {
            // Its name is still to come: the disk did not do it.
            return;
        }
        let index = known.events.remove(event % known.events.len());
        let (files, entry) = (self.disk.files(), entry(index));
        let bytes = &files[&path];
        let at = bytes.windows(entry.len()).position(|part| part == entry).unwrap();
        // In the name of its source, where nothing but the checksum tells.
        let in_entry = entry.windows(3).position(|part| part == b"zfs").unwrap();
        self.disk.flip(&path, at + in_entry);
        known.damaged = true;
        let mut damaged = entry;
        damaged[in_entry] ^= 1;
        self.expected.damaged.push(damaged);
        self.expected.must.remove(&index);
    }

    /// What was in it is lost to whoever removed it.
    fn all_gone(&mut self) {
        self.disk.remove_all(Path::new(DIR));
        self.files.clear();
        self.removed.clear();
        let Expected { must, aside, damaged, .. } = &mut self.expected;
        must.retain(|index| self.toggle.events.contains_key(index));
        aside.clear();
        damaged.clear();
    }

    fn put_segment(&mut self, count: u32) {
        if !self.disk.has(&Path::new(DIR).join(segment::FOLDER)) {
            return;
        }
        let (events, id) = (self.new_events(count), self.new_id());
        let mut bytes = vec![0; 4096];
        let (mut at, seed) = (segment_format::HEADER, segment_format::begin(&mut bytes, id, 0xfeed));
        for (place, &index) in (0..).zip(&events) {
            let severity = level(index).severity();
            at = segment_format::push(&mut bytes, at, place, seed, &entry(index), severity, 2).unwrap();
        }
        let name = format!("{}/{}-0{}", segment::FOLDER, self.new_id(), segment::ENDING);
        self.disk.put(&Path::new(DIR).join(name), &bytes);
        self.expected.may.extend(&events);
        self.expected.must.extend(&events);
        self.in_segments.insert(id, events);
    }

    fn adopt(&mut self) {
        let Some(segments) = self.tried(self.spool().segments_left(None)) else { return };
        for path in segments {
            if self.taken_over.contains_key(&path) {
                if self.tried(self.spool().remove_segment(&path)).is_some() {
                    self.taken_over.remove(&path);
                }
                continue;
            }
            let Some(adopted) = self.tried(self.spool().adopt_segment(&path)) else { continue };
            assert_eq!(adopted.damaged, 0);
            if let Some(file) = adopted.file {
                let events = self.in_segments[&file.id].clone();
                self.files.push(Known { file, events, offered: 0, from_segment: true, damaged: false });
            }
            if let Some((batch, error)) = adopted.left {
                self.tried::<(), _>(Err(error));
                self.taken_over.insert(path, batch);
            }
        }
    }

    /// What was offered of a file is not known afterwards, so it is offered again before anything is dropped out of it.
    fn restart(&mut self, orderly: bool) -> Option<()> {
        if orderly {
            self.sync_removals();
        }
        // The other process does not have what only this one held in memory; what it finds of it is its own to deliver.
        self.unwritten.clear();
        self.taken_over.clear();
        self.spool = None;
        self.open()?;
        let names = self.tried(self.spool().list(|_| true))?;
        let offered: BTreeMap<Uuid, (u32, bool)> =
            self.files.iter().map(|known| (known.file.id, (known.offered, known.from_segment))).collect();
        let mut files = Vec::new();
        for name in names {
            let file = self.tried(self.spool().inspect(&name))?;
            let mut reader = self.tried(self.spool().read(&file))?;
            let mut events = Vec::new();
            while let Some(piece) = self.tried(reader.next_piece())? {
                events.extend(split(&piece.events).iter().map(|entry| index_of(entry)));
            }
            let damaged = reader.damage().is_some();
            let from_segment = self.in_segments.contains_key(&file.id)
                || offered.get(&file.id).is_some_and(|(_, from_segment)| *from_segment);
            let offered = offered.get(&file.id).map_or(0, |(offered, _)| *offered);
            files.push(Known { file, events, offered, from_segment, damaged });
        }
        self.files = files;
        Some(())
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
            spool.quarantine(&file).unwrap();
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
