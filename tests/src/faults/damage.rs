//! Spill files with random damage.
//!
//! Files that the SDK wrote, and the same without a seal, as the earlier agent left them, are copied, damaged, and put into
//! a spool. Every byte of a copy knows where it came from, so it is known which events are undamaged. What Toggle gets is
//! traced to its file by the batch id, and compared byte by byte.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::Path,
    time::Duration,
};

use events_sdk::{Config, Events, proto::EventBatch, testing::Toggle};
use prost::{Message, encoding};
use tempfile::TempDir;
use uuid::Uuid;

use super::{Outcome, Scale, random::Random};
use crate::{Rig, config, schema, spill_files, storm, wait_until};

const SEED: u64 = 10_000;
/// How many events the files have.
const SIZES: [usize; 5] = [1, 2, 7, 20, 60];
/// More pieces than the longest of them is cut into.
const PIECES: u32 = 4;

/// A file, and where each byte came from: nowhere, where it was changed or put in.
#[derive(Debug, Clone)]
struct Copy {
    bytes: Vec<u8>,
    from: Vec<Option<usize>>,
    /// The events as they were, with where each begins with its tag and where it ends.
    entries: Vec<(usize, usize, Vec<u8>)>,
    /// It has a seal, and where that begins.
    seal: Option<usize>,
    /// How long it was.
    len: usize,
}

impl Copy {
    fn of(bytes: &[u8]) -> Self {
        let start = bytes.as_ptr() as usize;
        let entries: Vec<_> = schema::entries(bytes)
            .into_iter()
            .map(|entry| {
                let at = entry.as_ptr() as usize - start;
                let head = 1 + encoding::encoded_len_varint(entry.len() as u64);
                (at - head, at + entry.len(), entry.to_vec())
            })
            .collect();
        let sealed = EventBatch::decode(bytes).is_ok_and(|batch| batch.seal.is_some());
        let end = entries.last().map_or(0, |(_, end, _)| *end);
        let seal = sealed.then_some(end);
        Self {
            bytes: bytes.to_vec(),
            from: (0..bytes.len()).map(Some).collect(),
            entries,
            seal,
            len: bytes.len(),
        }
    }

    fn change(&mut self, at: usize, byte: u8) {
        if self.bytes[at] != byte {
            (self.bytes[at], self.from[at]) = (byte, None);
        }
    }

    fn damage(&mut self, kind: usize, random: &mut Random) {
        let len = self.bytes.len();
        match kind {
            0 => {}
            1 => {
                for _ in 0..=random.below(8) {
                    let (at, bit) = (random.below(len), random.below(8));
                    self.change(at, self.bytes[at] ^ (1 << bit));
                }
            }
            2 => {
                let end = random.below(len);
                self.bytes.truncate(end);
                self.from.truncate(end);
            }
            3 => {
                let at = random.below(len + 1);
                let garbage: Vec<u8> = (0..=random.below(300)).map(|_| random.next() as u8).collect();
                self.from.splice(at..at, garbage.iter().map(|_| None));
                self.bytes.splice(at..at, garbage);
            }
            4 => {
                let at = random.below(len) / 512 * 512;
                (at..len.min(at + 512)).for_each(|at| self.change(at, 0));
            }
            _ => {
                let garbage: Vec<u8> = (0..=random.below(100)).map(|_| random.next() as u8).collect();
                self.from.extend(garbage.iter().map(|_| None));
                self.bytes.extend(garbage);
            }
        }
    }

    /// The events of which every byte is still there, one behind the other.
    fn undamaged(&self) -> impl Iterator<Item = &[u8]> {
        let places: HashMap<usize, usize> =
            self.from.iter().enumerate().filter_map(|(at, from)| Some(((*from)?, at))).collect();
        self.entries.iter().filter_map(move |(start, end, entry)| {
            let at = *places.get(start)?;
            let here = self.from.get(at..at + (end - start))?;
            let whole = here.iter().zip(*start..*end).all(|(from, expected)| *from == Some(expected));
            whole.then_some(entry.as_slice())
        })
    }

    /// The damage is among the events alone, so the seal tells exactly which they are.
    fn is_strict(&self) -> bool {
        self.seal.is_some_and(|seal| {
            let rest = self.len - seal;
            self.from
                .len()
                .checked_sub(rest)
                .is_some_and(|at| self.from[at..].iter().copied().eq((seal..self.len).map(Some)))
        })
    }
}

/// Files of all sizes as the SDK writes them, each followed by its like without a seal.
fn originals() -> Vec<Copy> {
    let rig = Rig::start();
    rig.toggle.stop();
    let mut start = 0;
    for size in SIZES {
        storm(&rig.events, start..start + size, 1_000_000);
        rig.events.flush(Duration::from_secs(10));
        start += size;
    }
    rig.events.shutdown(Duration::from_secs(10));
    let mut copies = Vec::new();
    for name in spill_files(rig.spool.path()) {
        let bytes = fs::read(rig.spool.path().join(name)).expect("a spill file");
        let sealed = Copy::of(&bytes);
        let mut plain = Vec::new();
        for (_, _, entry) in &sealed.entries {
            encoding::bytes::encode(1, entry, &mut plain);
        }
        let rest = EventBatch { batch_timestamp: 1, batch_id: "earlier".to_owned(), ..Default::default() };
        rest.encode(&mut plain).expect("room");
        copies.extend([sealed, Copy::of(&plain)]);
    }
    copies
}

/// What lies in the quarantine, by the file it came from.
fn aside(spool: &Path) -> HashMap<String, Vec<u8>> {
    let mut aside: HashMap<String, Vec<u8>> = HashMap::new();
    for entry in fs::read_dir(spool.join("quarantine")).into_iter().flatten().flatten() {
        let name = entry.file_name().into_string().unwrap_or_default();
        if let (Some((file, _)), true) = (name.split_once(".pb."), name.ends_with(".damaged")) {
            aside.entry(file.to_owned()).or_default().extend(fs::read(entry.path()).expect("a file"));
        }
    }
    aside
}

/// An id of its own for every file.
fn id(file: usize) -> Uuid {
    let file = file as u128;
    Uuid::from_u128(((1_700_000_000_000 + file) << 80) | (7 << 76) | (2 << 62) | file)
}

pub(super) fn damaged_files(scale: &Scale) -> Outcome {
    let count = scale.of(300, 10_000);
    let mut random = Random::new(SEED);
    let originals = originals();
    let (toggle, spool) = (Toggle::start().expect("a port"), TempDir::new().expect("a directory"));
    let mut copies: Vec<Copy> = Vec::new();
    for file in 0..count {
        let mut copy = originals[random.below(originals.len())].clone();
        copy.damage(random.below(6), &mut random);
        // Some twice, unless there is nothing left to damage.
        if random.below(10) == 0 && !copy.bytes.is_empty() {
            copy.damage(random.below(6), &mut random);
        }
        copies.push(copy);
        if random.below(10) == 0 {
            // Under each other's name.
            let other = random.below(file + 1);
            copies.swap(file, other);
        }
    }
    let mut batches: HashMap<String, usize> = HashMap::new();
    for (file, copy) in copies.iter().enumerate() {
        let id = id(file);
        fs::write(spool.path().join(format!("{id}.pb")), &copy.bytes).expect("room");
        batches.insert(id.to_string(), file);
        for piece in 0..PIECES {
            batches.insert(Uuid::new_v5(&id, piece.to_string().as_bytes()).to_string(), file);
        }
    }

    // Room for all that is set aside, in a file of its own with a description.
    let config = Config { quarantine_max_bytes: 1 << 30, ..config(&toggle, spool.path()) };
    let events = Events::start(config).expect("an event system");
    let stats = wait_until(&events, Duration::from_secs(300), |stats| {
        stats.spool.files == 0 && stats.on_disk + stats.in_flight == 0 && spill_files(spool.path()).is_empty()
    });
    let mut outcome = Outcome { seed: Some(SEED), ..Outcome::default() };
    let left = spill_files(spool.path()).len();
    if left > 0 {
        outcome.problems.push(format!("{left} files were neither delivered nor set aside"));
    }
    let mut arrived: Vec<HashSet<Vec<u8>>> = vec![HashSet::new(); count];
    for call in toggle.batches() {
        let Some(body) = call.body() else { continue };
        let Some(&file) = batches.get(&call.batch_id) else {
            outcome.problems.push(format!("a batch of no file: {}", call.batch_id));
            continue;
        };
        arrived[file].extend(schema::entries(body).into_iter().map(<[u8]>::to_vec));
    }
    let aside = aside(spool.path());
    let (mut set_aside, mut changed, mut strict) = (0, 0, 0);
    for (file, copy) in copies.iter().enumerate() {
        let is_strict = copy.is_strict();
        strict += usize::from(is_strict);
        let kept = aside.get(&id(file).to_string());
        for entry in copy.undamaged() {
            outcome.emitted += 1;
            if arrived[file].contains(entry) {
                outcome.delivered += 1;
            } else if kept.is_some_and(|bytes| bytes.windows(entry.len()).any(|part| part == entry)) {
                set_aside += 1;
                if is_strict {
                    outcome.problems.push(format!("file {file}: an undamaged event was set aside"));
                }
            } else {
                outcome.lost += 1;
                outcome.problems.push(format!("file {file}: an undamaged event is lost"));
            }
        }
        let known: HashSet<_> = copy.entries.iter().map(|(_, _, entry)| entry).collect();
        let foreign = arrived[file].iter().filter(|entry| !known.contains(entry)).count();
        changed += foreign;
        if is_strict && foreign > 0 {
            outcome.problems.push(format!("file {file}: {foreign} events that it never held were delivered"));
        }
    }
    let lost = outcome.lost;
    let mut outcome = outcome.with_accounts(&stats).only_dropped_for(&[]);
    outcome.lost = lost;
    outcome.recognised = toggle.duplicate_events();
    outcome.note = format!(
        "{count} files, {strict} with a seal that was spared; undamaged and set aside beside damage: {set_aside}; \
         changed and not to be told without a seal: {changed}"
    );
    outcome
}
