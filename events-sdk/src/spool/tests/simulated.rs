//! A file system in memory that keeps after a crash no more than POSIX promises.
//!
//! What `sync` and `sync_dir` were asked for is on stable storage. Of everything else a crash keeps what its seed says:
//!
//! * Of a file that was not synced: any length that it had, and of each sector any state that it had. Where nothing was
//!   written the sector is zero, or garbage.
//! * Of names that were added, changed or removed: any of these changes, as long as each name has gone through the same
//!   states. A rename is one step. Syncing a file does not sync its name, nor does syncing a directory sync its own.
//!
//! It counts operations, fails where it is told to, and can remember how it was before each operation that changes it,
//! so that a test crashes at every one of them.

mod files;

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    io::{self, Read, Seek, SeekFrom, Write},
    ops::Range,
    path::{Component, Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::spool::storage::{EntryKind, Lock, LockGuard, Metadata, ReadFile, Storage, WriteFile};

/// A disk writes this much or nothing.
const SECTOR: usize = 512;

const ROOT: usize = 0;

/// Numbers that follow from a seed (SplitMix64).
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

#[derive(Debug, Clone)]
struct Store {
    at: usize,
    bytes: Arc<[u8]>,
}

#[derive(Debug, Clone, Default)]
struct Data {
    now: Arc<Vec<u8>>,
    synced: Arc<Vec<u8>>,
    /// What made `now` of `synced`, in order.
    stores: Vec<Store>,
    /// Its blocks were allocated before they were written: they are zero until then.
    is_allocated: bool,
}

#[derive(Debug, Clone)]
enum Inode {
    File { data: Data, modified_ms: i64 },
    Dir { now: BTreeMap<OsString, usize>, synced: BTreeMap<OsString, usize>, modified_ms: i64 },
}

/// A name in a directory.
type Name = (usize, OsString);

/// A change of names that is not on stable storage.
#[derive(Debug, Clone)]
struct Change {
    gone: Option<Name>,
    added: Option<(Name, usize)>,
}

impl Change {
    fn names(&self) -> impl Iterator<Item = &Name> {
        self.gone.iter().chain(self.added.iter().map(|(name, _)| name))
    }
}

#[derive(Debug, Clone)]
struct State {
    inodes: Vec<Inode>,
    changes: Vec<Change>,
    locked: BTreeSet<usize>,
    clock: i64,
}

/// How a disk was before an operation.
#[derive(Debug, Clone)]
pub(crate) struct Moment {
    state: State,
    /// What the test was doing.
    pub(crate) mark: usize,
    /// The operation that was to come.
    pub(crate) before: String,
}

#[derive(Debug)]
struct Inner {
    state: State,
    history: Option<Vec<Moment>>,
    mark: usize,
    steps: usize,
    fail: Option<(Range<usize>, io::ErrorKind)>,
}

/// The file system. Clones are the same one.
#[derive(Debug, Clone)]
pub(crate) struct Simulated(Arc<Mutex<Inner>>);

impl Simulated {
    pub(crate) fn new() -> Self {
        let root = Inode::Dir { now: BTreeMap::new(), synced: BTreeMap::new(), modified_ms: 1 };
        Self::of(State { inodes: vec![root], changes: Vec::new(), locked: BTreeSet::new(), clock: 1 })
    }

    fn of(state: State) -> Self {
        let inner = Inner { state, history: None, mark: 0, steps: 0, fail: None };
        Self(Arc::new(Mutex::new(inner)))
    }

    /// What a loss of power at that moment leaves, one of many possibilities.
    pub(crate) fn after_power_loss(moment: &Moment, seed: u64) -> Self {
        let mut state = moment.state.clone();
        state.lose_power(&mut Dice::new(seed));
        Self::of(state)
    }

    /// What the end of the process at that moment leaves: everything, but none of it on stable storage that was not.
    pub(crate) fn after_kill(moment: &Moment) -> Self {
        let mut state = moment.state.clone();
        state.locked.clear();
        Self::of(state)
    }

    fn lock_inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on every moment before a change is remembered.
    pub(crate) fn record(&self) {
        self.lock_inner().history = Some(Vec::new());
    }

    /// What happens from now on carries this mark.
    pub(crate) fn mark(&self, mark: usize) {
        self.lock_inner().mark = mark;
    }

    /// Every remembered moment, and the present one.
    pub(crate) fn moments(&self) -> Vec<Moment> {
        let mut inner = self.lock_inner();
        let mut moments = inner.history.take().unwrap_or_default();
        moments.push(Moment { state: inner.state.clone(), mark: inner.mark, before: "the end".to_owned() });
        moments
    }

    /// The operation after so many others fails, and those that follow it, so many in all. Of a full disk only those fail
    /// that need room.
    pub(crate) fn fail_after(&self, steps: usize, count: usize, kind: io::ErrorKind) {
        let mut inner = self.lock_inner();
        let first = inner.steps + steps;
        inner.fail = Some((first..first + count, kind));
    }

    /// Nothing fails any more.
    pub(crate) fn heal(&self) {
        self.lock_inner().fail = None;
    }

    /// Removes a directory with all that is in it.
    pub(crate) fn remove_all(&self, dir: &Path) {
        let Some(parent) = dir.parent() else { return };
        // Whoever does that is not made to fail.
        let fail = self.lock_inner().fail.take();
        for path in self.files().into_keys().filter(|path| path.starts_with(dir)) {
            self.remove(&path).unwrap();
        }
        let mut inner = self.change("remove", dir).unwrap();
        let state = &mut inner.state;
        let name = (state.find(parent).unwrap(), dir.file_name().unwrap().to_owned());
        state.change(Change { gone: Some(name), added: None });
        inner.fail = fail;
    }

    /// Whether something is there.
    pub(crate) fn has(&self, path: &Path) -> bool {
        self.lock_inner().state.find(path).is_ok()
    }

    /// A bit of a file that is on stable storage flips.
    pub(crate) fn flip(&self, path: &Path, at: usize) {
        let mut inner = self.lock_inner();
        let inode = inner.state.find(path).unwrap();
        let Inode::File { data, .. } = &mut inner.state.inodes[inode] else { return };
        assert!(data.stores.is_empty(), "{} is on stable storage", path.display());
        Arc::make_mut(&mut data.now)[at] ^= 1;
        data.synced = Arc::clone(&data.now);
    }

    /// How many operations there were.
    pub(crate) fn steps(&self) -> usize {
        self.lock_inner().steps
    }

    /// Makes a directory and does not sync its name.
    pub(crate) fn make_dir(&self, dir: &Path) {
        let mut inner = self.change("make", dir).unwrap();
        inner.state.make_dir(dir).unwrap();
    }

    /// Puts a file there as if it had always been. Its directory must exist.
    pub(crate) fn put(&self, path: &Path, bytes: &[u8]) {
        let mut inner = self.lock_inner();
        let state = &mut inner.state;
        let name = state.name_of(path).unwrap();
        let bytes = Arc::new(bytes.to_vec());
        let data = Data { now: Arc::clone(&bytes), synced: bytes, ..Data::default() };
        let inode = state.add_inode(Inode::File { data, modified_ms: 1 });
        for names in [Names::Now, Names::Synced] {
            state.names_mut(name.0, names).insert(name.1.clone(), inode);
        }
    }

    /// A mapped file has these bytes now. It is made if there is none, all its bytes zero at first.
    pub(crate) fn store_mapped(&self, path: &Path, bytes: &[u8]) {
        let mut inner = self.lock_inner();
        inner.remember("store", path);
        let state = &mut inner.state;
        let inode = match state.find(path) {
            Ok(inode) => inode,
            Err(_) => {
                let inode = state.create(path).unwrap();
                let Inode::File { data, .. } = &mut state.inodes[inode] else { return };
                data.is_allocated = true;
                state.store(inode, Store { at: 0, bytes: vec![0; bytes.len()].into() });
                inode
            }
        };
        let Inode::File { data, .. } = &state.inodes[inode] else { panic!("a directory is mapped") };
        assert_eq!(data.now.len(), bytes.len(), "a mapped file keeps its length");
        let old = Arc::clone(&data.now);
        // In the order of addresses, which is not that of the program: neither is what reaches the disk.
        let words = old.chunks(8).zip(bytes.chunks(8)).enumerate();
        for (place, (_, new)) in words.filter(|(_, (old, new))| old != new) {
            state.store(inode, Store { at: place * 8, bytes: new.into() });
        }
    }

    /// Something is stored in a mapped file.
    pub(crate) fn store(&self, path: &Path, at: usize, bytes: &[u8]) {
        let mut inner = self.change("store", path).unwrap();
        let inode = inner.state.find(path).unwrap();
        inner.state.store(inode, Store { at, bytes: bytes.into() });
    }

    /// Every file by its path, with its contents.
    pub(crate) fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let inner = self.lock_inner();
        let (mut files, mut left) = (BTreeMap::new(), vec![(PathBuf::from("/"), ROOT)]);
        while let Some((path, dir)) = left.pop() {
            for (name, &inode) in inner.state.names(dir) {
                match &inner.state.inodes[inode] {
                    Inode::Dir { .. } => left.push((path.join(name), inode)),
                    Inode::File { data, .. } => {
                        files.insert(path.join(name), data.now.to_vec());
                    }
                }
            }
        }
        files
    }

    fn step(&self, what: &str, path: &Path) -> io::Result<MutexGuard<'_, Inner>> {
        let mut inner = self.lock_inner();
        inner.steps += 1;
        inner.state.clock += 1;
        let needs_room = matches!(what, "create" | "write" | "make" | "rename" | "lock");
        match &inner.fail {
            Some((steps, kind))
                if steps.contains(&inner.steps) && (needs_room || *kind != io::ErrorKind::StorageFull) =>
            {
                Err(io::Error::new(*kind, format!("{what} {} is made to fail", path.display())))
            }
            _ => Ok(inner),
        }
    }

    /// A step that changes something.
    fn change(&self, what: &str, path: &Path) -> io::Result<MutexGuard<'_, Inner>> {
        let mut inner = self.step(what, path)?;
        inner.remember(what, path);
        Ok(inner)
    }
}

#[derive(Clone, Copy)]
enum Names {
    Now,
    Synced,
}

impl Inner {
    fn remember(&mut self, what: &str, path: &Path) {
        if let Some(history) = &mut self.history {
            let before = format!("{what} {}", path.display());
            history.push(Moment { state: self.state.clone(), mark: self.mark, before });
        }
    }
}

impl State {
    fn add_inode(&mut self, inode: Inode) -> usize {
        self.inodes.push(inode);
        self.inodes.len() - 1
    }

    fn names(&self, dir: usize) -> &BTreeMap<OsString, usize> {
        match &self.inodes[dir] {
            Inode::Dir { now, .. } => now,
            Inode::File { .. } => panic!("not a directory"),
        }
    }

    fn names_mut(&mut self, dir: usize, which: Names) -> &mut BTreeMap<OsString, usize> {
        match (&mut self.inodes[dir], which) {
            (Inode::Dir { now, .. }, Names::Now) => now,
            (Inode::Dir { synced, .. }, Names::Synced) => synced,
            (Inode::File { .. }, _) => panic!("not a directory"),
        }
    }

    fn is_dir(&self, inode: usize) -> bool {
        matches!(self.inodes[inode], Inode::Dir { .. })
    }

    fn find(&self, path: &Path) -> io::Result<usize> {
        let mut inode = ROOT;
        for part in path.components() {
            let Component::Normal(name) = part else { continue };
            if !self.is_dir(inode) {
                return Err(io::ErrorKind::NotADirectory.into());
            }
            inode = *self.names(inode).get(name).ok_or(io::ErrorKind::NotFound)?;
        }
        Ok(inode)
    }

    fn name_of(&self, path: &Path) -> io::Result<Name> {
        let dir = self.find(path.parent().unwrap_or(Path::new("/")))?;
        Ok((dir, path.file_name().unwrap_or(OsStr::new("")).to_owned()))
    }

    /// Changes names now, and on stable storage when that is synced.
    fn change(&mut self, change: Change) {
        self.apply(&change, Names::Now);
        let clock = self.clock;
        for (dir, _) in change.names() {
            if let Inode::Dir { modified_ms, .. } = &mut self.inodes[*dir] {
                *modified_ms = clock;
            }
        }
        self.changes.push(change);
    }

    fn apply(&mut self, change: &Change, which: Names) {
        if let Some((dir, name)) = &change.gone {
            self.names_mut(*dir, which).remove(name);
        }
        if let Some(((dir, name), inode)) = &change.added {
            self.names_mut(*dir, which).insert(name.clone(), *inode);
        }
    }

    /// These changes are on stable storage, with those before them that concern the same names.
    fn settle(&mut self, mut chosen: Vec<bool>) {
        for last in (0..self.changes.len()).rev() {
            if chosen[last] {
                let names: Vec<_> = self.changes[last].names().collect();
                for (before, chosen) in chosen.iter_mut().enumerate().take(last) {
                    *chosen |= self.changes[before].names().any(|name| names.contains(&name));
                }
            }
        }
        let mut chosen = chosen.into_iter();
        let (settled, left) =
            std::mem::take(&mut self.changes).into_iter().partition(|_| chosen.next().unwrap_or(false));
        self.changes = left;
        let settled: Vec<Change> = settled;
        settled.iter().for_each(|change| self.apply(change, Names::Synced));
    }

    fn create(&mut self, path: &Path) -> io::Result<usize> {
        let name = self.name_of(path)?;
        if self.names(name.0).contains_key(&name.1) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = self.add_inode(Inode::File { data: Data::default(), modified_ms: self.clock });
        self.change(Change { gone: None, added: Some((name, inode)) });
        Ok(inode)
    }

    fn make_dir(&mut self, dir: &Path) -> io::Result<()> {
        let name = self.name_of(dir)?;
        let modified_ms = self.clock;
        let made = Inode::Dir { now: BTreeMap::new(), synced: BTreeMap::new(), modified_ms };
        let inode = self.add_inode(made);
        self.change(Change { gone: None, added: Some((name, inode)) });
        Ok(())
    }

    fn store(&mut self, inode: usize, store: Store) {
        let clock = self.clock;
        if let Inode::File { data, modified_ms } = &mut self.inodes[inode] {
            put_over(Arc::make_mut(&mut data.now), &store, 0, usize::MAX);
            data.stores.push(store);
            *modified_ms = clock;
        }
    }

    fn lose_power(&mut self, dice: &mut Dice) {
        let count = self.changes.len();
        let chosen: Vec<bool> = match dice.below(6) {
            0 => vec![false; count],
            1 => vec![true; count],
            2 => {
                let first = dice.below(count + 1);
                (0..count).map(|place| place < first).collect()
            }
            3 => {
                // One change overtakes all others.
                let one = dice.below(count);
                (0..count).map(|place| place == one).collect()
            }
            4 => {
                let one = dice.below(count);
                (0..count).map(|place| place != one).collect()
            }
            _ => (0..count).map(|_| dice.below(2) == 0).collect(),
        };
        self.settle(chosen);
        self.changes.clear();
        self.locked.clear();
        for inode in &mut self.inodes {
            match inode {
                Inode::Dir { now, synced, .. } => *now = synced.clone(),
                Inode::File { data, .. } => data.lose_power(dice),
            }
        }
    }
}

/// Writes the part of a store that lies between two places.
fn put_over(bytes: &mut Vec<u8>, store: &Store, from: usize, to: usize) {
    let end = store.at + store.bytes.len();
    let (start, end) = (store.at.max(from), end.min(to));
    if start < end {
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[start..end].copy_from_slice(&store.bytes[start - store.at..end - store.at]);
    }
}

impl Data {
    fn lose_power(&mut self, dice: &mut Dice) {
        if !self.stores.is_empty() {
            match dice.below(4) {
                0 => self.now = Arc::clone(&self.synced),
                1 => {}
                _ => self.now = Arc::new(self.torn(dice)),
            }
        }
        self.stores.clear();
        self.synced = Arc::clone(&self.now);
    }

    fn torn(&self, dice: &mut Dice) -> Vec<u8> {
        let is_new = self.synced.is_empty();
        let mut len = self.synced.len();
        let kept = dice.below(self.stores.len() + 1);
        for store in &self.stores[..kept] {
            len = len.max(store.at + store.bytes.len());
        }
        let mut bytes = self.synced.to_vec();
        // A new file whose length is known before its bytes are may show what lay there before.
        let filling = if is_new && !self.is_allocated && dice.below(4) == 0 { 0xA5 } else { 0 };
        bytes.resize(len, filling);
        for sector in (0..len).step_by(SECTOR) {
            let (from, to) = (sector, (sector + SECTOR).min(len));
            let touching: Vec<_> = self
                .stores
                .iter()
                .filter(|store| store.at < to && store.at + store.bytes.len() > from)
                .collect();
            let states = dice.below(touching.len() + 1);
            touching[..states].iter().for_each(|store| put_over(&mut bytes, store, from, to));
        }
        bytes
    }
}
