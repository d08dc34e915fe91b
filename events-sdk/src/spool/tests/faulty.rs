//! A file system in memory that fails where it is told to, and forgets what was not synced when it crashes.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    io::{self, Cursor, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

use crate::spool::storage::{EntryKind, Lock, LockGuard, Metadata, ReadFile, Storage, WriteFile};

/// What is to go wrong. Operations are counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plan {
    Nothing,
    /// This one operation fails; a write leaves half of its bytes.
    Fail(u32, io::ErrorKind),
    /// The machine stops in this operation: it and all that follow fail.
    Stop(u32),
}

/// What a crash leaves of that which was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crash {
    /// Neither names nor contents.
    Nothing,
    /// Names, but not contents: a rename that overtook the data.
    Names,
    /// Contents, but not names.
    Contents,
    /// All of it: the process died, the machine did not.
    Everything,
}

#[derive(Debug, Default)]
struct Inode {
    now: Vec<u8>,
    synced: Vec<u8>,
}

#[derive(Debug)]
struct State {
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, usize>,
    synced_names: BTreeMap<PathBuf, usize>,
    dirs: BTreeSet<PathBuf>,
    locked: bool,
    steps: u32,
    plan: Plan,
}

/// The file system. Clones are the same one.
#[derive(Debug, Clone)]
pub(crate) struct Faulty(Arc<Mutex<State>>);

impl Faulty {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            inodes: Vec::new(),
            names: BTreeMap::new(),
            synced_names: BTreeMap::new(),
            dirs: BTreeSet::new(),
            locked: false,
            steps: 0,
            plan: Plan::Nothing,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// From now on this goes wrong; operations are counted afresh.
    pub(crate) fn plan(&self, plan: Plan) {
        let mut state = self.state();
        (state.plan, state.steps) = (plan, 0);
    }

    /// Operations since the last plan was made.
    pub(crate) fn steps(&self) -> u32 {
        self.state().steps
    }

    /// The machine starts again.
    pub(crate) fn crash(&self, crash: Crash) {
        let mut state = self.state();
        state.plan = Plan::Nothing;
        if matches!(crash, Crash::Nothing | Crash::Contents) {
            state.names = state.synced_names.clone();
        }
        for inode in &mut state.inodes {
            if matches!(crash, Crash::Nothing | Crash::Names) {
                inode.now = inode.synced.clone();
            }
            inode.synced = inode.now.clone();
        }
        state.synced_names = state.names.clone();
    }

    /// The names in all directories.
    pub(crate) fn names(&self) -> Vec<PathBuf> {
        self.state().names.keys().cloned().collect()
    }

    /// Puts a file there as if it had always been.
    pub(crate) fn put(&self, path: &Path, bytes: &[u8]) {
        let mut state = self.state();
        state.inodes.push(Inode { now: bytes.to_vec(), synced: bytes.to_vec() });
        let inode = state.inodes.len() - 1;
        state.names.insert(path.to_owned(), inode);
        state.synced_names.insert(path.to_owned(), inode);
    }

    /// The contents of a file.
    pub(crate) fn read(&self, path: &Path) -> Vec<u8> {
        let state = self.state();
        state.inodes[state.names[path]].now.clone()
    }

    fn step(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        state.steps += 1;
        match state.plan {
            Plan::Fail(at, kind) if at == state.steps => Err(kind.into()),
            Plan::Stop(at) if at <= state.steps => Err(io::Error::other("the machine has stopped")),
            _ => Ok(state),
        }
    }
}

fn find(state: &State, path: &Path) -> io::Result<usize> {
    state.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
}

impl Storage for Faulty {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.step()?.dirs.insert(dir.to_owned());
        Ok(())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        let mut state = self.step()?;
        if state.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.inodes.push(Inode::default());
        let inode = state.inodes.len() - 1;
        state.names.insert(path.to_owned(), inode);
        Ok(Box::new(Open { disk: self.clone(), inode }))
    }

    fn reserve(&self, path: &Path, bytes: u64) -> io::Result<()> {
        let mut file = self.create(path)?;
        file.write_all(&vec![0; bytes as usize])?;
        file.sync()
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        let state = self.step()?;
        let bytes = state.inodes[find(&state, path)?].now.clone();
        Ok(Box::new(Reading { disk: self.clone(), bytes: Cursor::new(bytes) }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.step()?;
        let inode = find(&state, from)?;
        state.names.remove(from);
        state.names.insert(to.to_owned(), inode);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.step()?;
        find(&state, path)?;
        state.names.remove(path);
        Ok(())
    }

    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        Ok(u64::MAX)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.step()?;
        let is_in = |path: &Path| path.parent() == Some(dir);
        let State { names, synced_names, .. } = &mut *state;
        synced_names.retain(|path, _| !is_in(path));
        synced_names
            .extend(names.iter().filter(|(path, _)| is_in(path)).map(|(path, inode)| (path.clone(), *inode)));
        Ok(())
    }

    fn list(&self, dir: &Path, each: &mut dyn FnMut(OsString, EntryKind)) -> io::Result<()> {
        let state = self.step()?;
        let files = state.names.keys().map(|path| (path, EntryKind::File));
        let dirs = state.dirs.iter().map(|path| (path, EntryKind::Dir));
        let all = files.chain(dirs).filter(|(path, _)| path.parent() == Some(dir));
        let all: Vec<_> = all.map(|(path, kind)| (path.file_name().unwrap().to_owned(), kind)).collect();
        // Who is called may ask for more.
        drop(state);
        all.into_iter().for_each(|(name, kind)| each(name, kind));
        Ok(())
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        let state = self.step()?;
        if state.dirs.contains(path) {
            return Ok(Metadata { kind: EntryKind::Dir, len: 0, modified_ms: 1 });
        }
        let len = state.inodes[find(&state, path)?].now.len() as u64;
        Ok(Metadata { kind: EntryKind::File, len, modified_ms: 1 })
    }

    fn lock(&self, _: &Path, note: &str) -> io::Result<Lock> {
        let mut state = self.step()?;
        if std::mem::replace(&mut state.locked, true) {
            return Ok(Lock::InUse(note.to_owned()));
        }
        Ok(Lock::Held(Box::new(Held(self.clone()))))
    }

    fn concerns(&self, _: &Path) -> Vec<String> {
        Vec::new()
    }
}

struct Held(Faulty);

impl LockGuard for Held {
    fn is_current(&self) -> io::Result<bool> {
        Ok(true)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.state().locked = false;
    }
}

struct Open {
    disk: Faulty,
    inode: usize,
}

impl Write for Open {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.disk.step() {
            Ok(mut state) => {
                state.inodes[self.inode].now.extend_from_slice(bytes);
                Ok(bytes.len())
            }
            Err(error) => {
                self.disk.state().inodes[self.inode].now.extend_from_slice(&bytes[..bytes.len() / 2]);
                Err(error)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl WriteFile for Open {
    fn write_over_start(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.disk.step()?.inodes[self.inode].now[..bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.disk.step()?;
        let inode = &mut state.inodes[self.inode];
        inode.synced = inode.now.clone();
        Ok(())
    }
}

struct Reading {
    disk: Faulty,
    bytes: Cursor<Vec<u8>>,
}

impl Read for Reading {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let _state = self.disk.step()?;
        self.bytes.read(out)
    }
}

impl Seek for Reading {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.bytes.seek(to)
    }
}

impl ReadFile for Reading {
    fn size(&self) -> io::Result<u64> {
        Ok(self.bytes.get_ref().len() as u64)
    }
}
