//! The durability `power`, on a disk that loses power at every moment: real segments, the real buffer, the real spool.
//!
//! A process emits, syncs, sends, spills, makes room. Its segments are real mapped files; after each step what was stored in
//! them is stored in the files of the simulated disk, where it stays in memory until that file is synced, and where any
//! sector may reach the disk before, in any order. The spool lies on the simulated disk alone. From every moment the power
//! goes; then the next process takes over what it finds, and what Toggle has got by then is compared:
//!
//! * Every event that was emitted before the last completed sync is there, unless it was dropped for want of room.
//! * No event is changed or invented, or offered under two batch ids, and what was dropped from disk does not come back.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use proptest::prelude::*;
use prost::Message;
use tempfile::TempDir;
use uuid::Uuid;

use super::{
    model::cases,
    samples::{id, split},
    simulated::{Dice, Moment, Simulated},
};
use crate::{
    Level,
    buffer::{Buffer, Guest, Limits, Unsynced},
    chunk::{Chunk, SEVERITIES, level_counts},
    id::ID_TEXT_LEN,
    proto::events::Event,
    segment::{self, Segments, ToDisk, boot, format},
    spool::{NewFile, Passed, Spool, SpoolFile, Thinning, storage::Storage},
};

const DIR: &str = "/var/spool";

/// Small, so that batches fill, and events are dropped to make room.
const LIMITS: Limits = Limits { events: 12, bytes: 100_000, threshold: 10, batch: 4, batch_bytes: 40_000 };

/// Has a segment of its own, which is removed when it is free.
pub(super) const GIANT: Range<u16> = 65_300..65_500;

/// How many possible outcomes of a loss of power are looked at, of those at each moment.
const OUTCOMES: usize = 2;

#[derive(Debug, Clone, Copy)]
pub(super) enum Op {
    /// Emits events of this level and size, the last of them marked as `SYNC`, if it is.
    Emit { count: u8, level: u8, bytes: u16, sync: bool },
    /// Syncs, while another event comes in if it `races`.
    Sync { races: bool },
    /// Sends what waits. Without an answer it is sent again later.
    Send { answered: bool },
    /// Writes to disk what waits and what was not answered.
    Spill,
    /// Delivers a file.
    Deliver { file: u8 },
    /// Drops events of one level out of a file.
    Thin { file: u8, level: u8 },
    /// Has spare segments made, and those removed that nobody needs.
    Tend,
}

fn op() -> impl Strategy<Value = Op> {
    let bytes = prop_oneof![6 => 0..600_u16, 1 => 20_000..30_000_u16, 1 => GIANT];
    prop_oneof![
        8 => (1..6_u8, 0..3_u8, bytes, prop::bool::weighted(0.2))
            .prop_map(|(count, level, bytes, sync)| Op::Emit { count, level, bytes, sync }),
        3 => any::<bool>().prop_map(|races| Op::Sync { races }),
        3 => any::<bool>().prop_map(|answered| Op::Send { answered }),
        3 => Just(Op::Spill),
        2 => any::<u8>().prop_map(|file| Op::Deliver { file }),
        2 => (any::<u8>(), 0..3_u8).prop_map(|(file, level)| Op::Thin { file, level }),
        2 => Just(Op::Tend),
    ]
}

type Index = usize;

/// What Toggle has got: batches by their id, and in which of them each event is.
#[derive(Debug, Clone, Default)]
struct Toggle {
    batches: BTreeSet<Uuid>,
    events: BTreeMap<Index, Uuid>,
}

#[derive(Debug, Clone, Default)]
struct Expected {
    /// Were on stable storage, and not dropped.
    must: BTreeSet<Index>,
    /// Were emitted, and not dropped: what outlives the process.
    live: BTreeSet<Index>,
    /// Were dropped from disk.
    gone: BTreeSet<Index>,
    toggle: Toggle,
    emitted: usize,
}

struct Process {
    folder: TempDir,
    segments: Arc<Segments>,
    buffer: Buffer,
    disk: Simulated,
    spool: Spool,
    files: Vec<SpoolFile>,
    /// What was sent, and not answered.
    unanswered: Vec<(Chunk, Uuid, i64)>,
    /// Every event, as it was emitted.
    entries: Vec<Vec<u8>>,
    places: BTreeMap<Vec<u8>, Index>,
    expected: Expected,
    states: Vec<Expected>,
}

impl Process {
    fn new() -> Self {
        let disk = Simulated::new();
        disk.create_dir(Path::new("/var")).unwrap();
        disk.record();
        let spool = open(&disk);
        let folder = tempfile::tempdir().unwrap();
        let segments = Arc::new(Segments::new(LIMITS.batch, 0xfeed, id(7)).for_power(true));
        segments.open(folder.path()).unwrap();
        disk.make_dir(&Path::new(DIR).join(segment::FOLDER));
        let buffer =
            Buffer::with_segments(LIMITS, Some(Arc::clone(&segments)), crate::ledger::Ledger::in_memory(1));
        Self {
            folder,
            segments,
            buffer,
            disk,
            spool,
            files: Vec::new(),
            unanswered: Vec::new(),
            entries: Vec::new(),
            places: BTreeMap::new(),
            expected: Expected::default(),
            states: vec![Expected::default()],
        }
    }

    /// What happens from now on happens to a state that has changed.
    fn changed(&mut self) {
        self.states.push(self.expected.clone());
        self.disk.mark(self.states.len() - 1);
    }

    /// The simulated disk sees what was stored in the segments, and which were made and removed.
    fn mirror(&self) {
        let real: BTreeMap<PathBuf, PathBuf> = fs::read_dir(self.folder.path().join(segment::FOLDER))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| (simulated(self.folder.path(), &path), path))
            .collect();
        for (path, real) in &real {
            self.disk.store_mapped(path, &fs::read(real).unwrap());
        }
        let is_segment = |path: &Path| path.to_string_lossy().ends_with(segment::ENDING);
        for path in self.disk.files().into_keys().filter(|path| is_segment(path)) {
            if !real.contains_key(&path) {
                self.disk.remove(&path).unwrap();
            }
        }
    }

    /// Syncs on the simulated disk what is synced on the real one.
    fn with_disk<T>(&self, work: impl FnOnce(ToDisk<'_>) -> io::Result<T>) -> T {
        let at = |path: &Path| simulated(self.folder.path(), path);
        let file = |path: &Path| {
            fs::symlink_metadata(path)?;
            self.disk.sync_file(&at(path))
        };
        let names = |path: &Path| self.disk.sync_dir(&at(path));
        work(ToDisk { file: &file, names: &names }).unwrap()
    }

    fn run(&mut self, op: Op) {
        match op {
            Op::Emit { count, level, bytes, sync } => {
                for _ in 0..count {
                    self.emit(level, bytes);
                }
                if sync {
                    self.sync(false);
                }
            }
            Op::Sync { races } => self.sync(races),
            Op::Send { answered } => self.send(answered),
            Op::Spill => self.spill(),
            Op::Deliver { file } => self.deliver(file),
            Op::Thin { file, level } => self.thin(file, level),
            Op::Tend => self.tend(),
        }
        self.mirror();
    }

    fn emit(&mut self, level: u8, bytes: u16) {
        let index = self.entries.len();
        let level = [Level::Info, Level::Warn, Level::Error][usize::from(level)];
        let event = Event {
            event_id: "x".repeat(ID_TEXT_LEN),
            level: level.number(),
            category: 2,
            source: "s".repeat(usize::from(bytes)),
            timestamp: index as i64,
            ..Event::default()
        };
        let body = event.encode_to_vec();
        let mut entry = Vec::new();
        prost::encoding::bytes::encode(1, &body, &mut entry);
        let id_at = entry.len() - body.len() + 2;
        let now_ms = 1_800_000_000_000 + index as u64;
        // Power may go while it is being stored.
        self.expected.emitted += 1;
        self.changed();
        self.buffer.accept_as(&mut entry, id_at, now_ms, level, 2, Guest::Usual);
        self.places.insert(entry.clone(), index);
        self.entries.push(entry);
        self.mirror();
        self.expected.live.insert(index);
        self.forget_dropped();
    }

    /// What was dropped to make room in memory need not be there any more.
    fn forget_dropped(&mut self) {
        let mut there: BTreeSet<Index> = self.expected.toggle.events.keys().copied().collect();
        for entry in fs::read_dir(self.folder.path().join(segment::FOLDER)).unwrap() {
            let bytes = fs::read(entry.unwrap().path()).unwrap();
            if let format::Found::Batch(batch) = format::read(&bytes) {
                there.extend(self.indexes(&batch.events));
            }
        }
        for file in &self.files {
            let mut reader = self.spool.read(file).unwrap();
            while let Some(piece) = reader.next_piece().unwrap() {
                there.extend(self.indexes(&piece.events));
            }
        }
        self.expected.must.retain(|index| there.contains(index));
        self.expected.live.retain(|index| there.contains(index));
        self.changed();
    }

    fn indexes(&self, run: &[u8]) -> Vec<Index> {
        split(run).iter().map(|entry| self.places[entry]).collect()
    }

    fn sync(&mut self, races: bool) {
        let segments = Arc::clone(&self.segments);
        let syncing = segments.begin_sync();
        let Unsynced { paths, .. } = self.buffer.lock().take_unsynced();
        let emitted: BTreeSet<Index> = (0..self.entries.len()).collect();
        if races {
            // What this pushes out is removed while it is to be synced.
            self.emit(2, 10);
            self.send(true);
            self.tend();
        }
        self.with_disk(|to_disk| syncing.sync(&paths, to_disk));
        self.expected.must = emitted;
        self.forget_dropped();
        self.changed();
    }

    /// Toggle gets a batch. What it has got under that id it does not take again.
    fn offer(&mut self, id: Uuid, run: &[u8]) {
        let events = self.indexes(run);
        self.expected.toggle.offer(id, &events, "in the run");
        self.changed();
    }

    fn send(&mut self, answered: bool) {
        let mut chunks = std::mem::take(&mut self.unanswered);
        loop {
            let mut state = self.buffer.lock();
            let Some(mut chunk) = state.take_due(Duration::ZERO, Instant::now(), true) else { break };
            let Some((id, timestamp_ms)) = chunk.identity(1_800_000_000_000) else { panic!("no segment") };
            chunks.push((chunk, id, timestamp_ms));
        }
        self.mirror();
        for (chunk, id, timestamp_ms) in chunks {
            let bytes = chunk.bytes().to_vec();
            self.offer(id, &bytes);
            if answered {
                self.buffer.lock().recycle(chunk);
                self.mirror();
            } else {
                self.unanswered.push((chunk, id, timestamp_ms));
            }
        }
    }

    fn spill(&mut self) {
        let mut state = self.buffer.lock();
        let waiting = state.take_all();
        let mut chunks = Vec::new();
        for mut chunk in waiting {
            let Some((id, timestamp_ms)) = chunk.identity(1_800_000_000_000) else { panic!("no segment") };
            chunks.push((chunk, id, timestamp_ms, true));
        }
        drop(state);
        self.mirror();
        chunks.extend(self.unanswered.drain(..).map(|(chunk, id, at)| (chunk, id, at, false)));
        for (chunk, id, timestamp_ms, waited) in chunks {
            let mut by_severity = [0; SEVERITIES];
            chunk.add_levels_to(&mut by_severity);
            let file = self.spool.write(NewFile {
                id,
                timestamp_ms,
                runs: &[chunk.bytes()],
                count: chunk.len() as u32,
                levels: &level_counts(&by_severity),
                whole: true,
                offered: false,
                fingerprint: 0xfeed,
                ledger: 0,
                part_of: None,
            });
            self.files.push(file.unwrap());
            self.expected.must.extend(self.indexes(chunk.bytes()));
            self.changed();
            let mut state = self.buffer.lock();
            if waited {
                state.written(vec![chunk])
            } else {
                state.recycle(chunk)
            }
            drop(state);
            self.mirror();
        }
    }

    fn deliver(&mut self, file: u8) {
        if self.files.is_empty() {
            return;
        }
        let file = self.files.remove(usize::from(file) % self.files.len());
        let mut reader = self.spool.read(&file).unwrap();
        while let Some(piece) = reader.next_piece().unwrap() {
            self.offer(piece.id, &piece.events);
        }
        self.spool.remove(&file).unwrap();
    }

    fn thin(&mut self, file: u8, level: u8) {
        if self.files.is_empty() {
            return;
        }
        let place = usize::from(file) % self.files.len();
        let file = &self.files[place];
        let mut reader = self.spool.read(file).unwrap();
        let mut before = Vec::new();
        while let Some(piece) = reader.next_piece().unwrap() {
            before.extend(self.indexes(&piece.events));
        }
        if before.iter().any(|index| self.expected.toggle.events.contains_key(index)) {
            // Offered before it was written: what is left of it would come under another id.
            return;
        }
        let severity = [Level::Info, Level::Warn, Level::Error][usize::from(level)].severity();
        // Some of it may be gone from now on.
        let kept = |index: &Index| {
            let entry = &self.entries[*index];
            let event = Event::decode(&entry[1 + prost::length_delimiter_len(entry.len())..]);
            event.is_ok_and(|event| super::super::severity_of(event.level) != severity)
        };
        let dropped: Vec<Index> = before.iter().copied().filter(|index| !kept(index)).collect();
        dropped.iter().for_each(|index| {
            self.expected.must.remove(index);
            self.expected.live.remove(index);
        });
        self.changed();
        let (file, new_id) = (self.files.remove(place), id(5_000_000 + self.states.len() as u64));
        self.with_disk(|to_disk| self.segments.sync_all(to_disk));
        let thinning = Thinning {
            severity,
            bytes: u64::MAX,
            id: new_id,
            fingerprint: 0xfeed,
            passed: Passed::default(),
        };
        let thinned = self.spool.thin(&file, thinning).unwrap();
        let count: u64 = thinned.dropped.iter().map(|(.., count)| count).sum();
        assert_eq!(count, dropped.len() as u64);
        self.files.extend(thinned.file);
        self.expected.gone.extend(dropped);
        self.changed();
    }

    fn tend(&mut self) {
        let mut state = self.buffer.lock();
        let Some(pool) = &mut state.pool else { return };
        let (wanted, unneeded) = pool.order();
        drop(state);
        self.segments.remove(unneeded);
        let made = (0..wanted.min(1)).map(|_| self.segments.make(self.segments.capacity).unwrap()).collect();
        if let Some(pool) = &mut self.buffer.lock().pool {
            pool.provide(made);
        }
        self.mirror();
    }
}

impl Toggle {
    /// Gives the events that were new.
    fn offer(&mut self, id: Uuid, events: &[Index], context: &str) -> Vec<Index> {
        for index in events {
            if let Some(other) = self.events.get(index) {
                assert_eq!(*other, id, "event {index} comes in two batches {context}");
            }
        }
        if !self.batches.insert(id) {
            return Vec::new();
        }
        self.events.extend(events.iter().map(|&index| (index, id)));
        events.to_vec()
    }
}

fn simulated(real: &Path, path: &Path) -> PathBuf {
    let below = path.strip_prefix(real).unwrap();
    if below.as_os_str().is_empty() { DIR.into() } else { Path::new(DIR).join(below) }
}

fn open(disk: &Simulated) -> Spool {
    Spool::open_on(Arc::new(disk.clone()), Path::new(DIR)).unwrap()
}

/// The next process takes over what it finds. Gives what it offers to Toggle, and how many events were damaged, but for what was
/// never synced at all and is garbage from the first byte on: it cannot be told from what somebody else put there.
fn take_over(disk: &Simulated) -> (Vec<(Uuid, Vec<u8>)>, u32) {
    let spool = open(disk);
    let (mut pieces, mut damaged) = (Vec::new(), 0);
    for path in spool.segments_left(None).unwrap() {
        let is_ours = !matches!(format::read(&disk.files()[&path]), format::Found::Unreadable(_));
        damaged += spool.adopt_segment(&path).unwrap().damaged * u32::from(is_ours);
    }
    for name in spool.list(|_| true).unwrap() {
        let file = spool.inspect(&name).unwrap();
        let mut reader = spool.read(&file).unwrap();
        while let Some(piece) = reader.next_piece().unwrap() {
            pieces.push((piece.id, piece.events));
        }
        assert_eq!(reader.damage(), None);
    }
    (pieces, damaged)
}

fn check(
    disk: &Simulated,
    process: &Process,
    (before, after): (&Expected, &Expected),
    is_kill: bool,
    context: &str,
) {
    // When it was the power, the machine has started anew.
    boot::OTHER.set((!is_kill).then_some(7));
    let (pieces, damaged) = take_over(disk);
    boot::OTHER.set(None);
    assert_eq!(damaged, 0, "events are damaged {context}");
    let mut toggle = before.toggle.clone();
    for (id, run) in &pieces {
        let mut events = Vec::new();
        for entry in split(run) {
            // The bytes of an event that is just being emitted are known too.
            let index = process.places.get(&entry);
            let index = *index.unwrap_or_else(|| panic!("an event that was never emitted {context}"));
            assert!(index < after.emitted, "event {index} of the future {context}");
            assert!(
                !before.gone.contains(&index) || before.toggle.batches.contains(id),
                "event {index} has come back {context}"
            );
            events.push(index);
        }
        toggle.offer(*id, &events, context);
    }
    let must = |expected: &Expected| if is_kill { expected.live.clone() } else { expected.must.clone() };
    for index in must(before).intersection(&must(after)) {
        assert!(toggle.events.contains_key(index), "event {index} is lost {context}");
    }
}

/// Runs the sequence and lets power fail everywhere. Gives how many moments there were.
pub(super) fn interrupt_everywhere(ops: &[Op], seed: u64) -> usize {
    let mut process = Process::new();
    for &op in ops {
        process.run(op);
    }
    process.changed();
    let moments = process.disk.moments();
    let mut dice = Dice::new(seed);
    for moment in &moments {
        let Moment { mark, before, .. } = moment;
        let states = (&process.states[*mark], &process.states[(mark + 1).min(process.states.len() - 1)]);
        for _ in 0..OUTCOMES {
            let seed = dice.next();
            let disk = Simulated::after_power_loss(moment, seed);
            let context = format!("after power was lost in state {mark} before: {before} (seed {seed:#x})");
            check(&disk, &process, states, false, &context);
        }
        let context = format!("after a kill in state {mark} before: {before}");
        check(&Simulated::after_kill(moment), &process, states, true, &context);
    }
    moments.len()
}

proptest! {
    #![proptest_config(cases(8))]

    #[test]
    fn no_loss_of_power_loses_a_synced_event_or_repeats_or_changes_one(
        ops in prop::collection::vec(op(), 1..16),
        seed in any::<u64>(),
    ) {
        interrupt_everywhere(&ops, seed);
    }
}
