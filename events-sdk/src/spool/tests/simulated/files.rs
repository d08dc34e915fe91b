//! The operations on it: what the spool does with files and directories.

use super::*;

impl Storage for Simulated {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let missing: Vec<PathBuf> = {
            let inner = self.step("look for", dir)?;
            let missing = dir.ancestors().take_while(|dir| inner.state.find(dir).is_err());
            missing.map(Path::to_owned).collect()
        };
        for dir in missing.iter().rev() {
            let mut inner = self.change("make", dir)?;
            inner.state.make_dir(dir)?;
        }
        for dir in missing.iter().rev() {
            self.sync_dir(dir.parent().unwrap_or(Path::new("/")))?;
        }
        if missing.is_empty() && !{ self.lock_inner().state.find(dir).is_ok_and(|inode| inode > 0) } {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        let inode = self.change("create", path)?.state.create(path)?;
        Ok(Box::new(Open { disk: self.clone(), inode, path: path.to_owned() }))
    }

    fn reserve(&self, path: &Path, bytes: u64) -> io::Result<()> {
        let mut file = self.create(path)?;
        file.write_all(&vec![0; bytes as usize])?;
        file.sync()
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        let inner = self.step("open", path)?;
        match &inner.state.inodes[inner.state.find(path)?] {
            Inode::File { data, .. } => {
                let bytes = Arc::clone(&data.now);
                Ok(Box::new(Reading { disk: self.clone(), bytes, at: 0, path: path.to_owned() }))
            }
            Inode::Dir { .. } => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut inner = self.change("rename", from)?;
        let state = &mut inner.state;
        let (inode, from, to) = (state.find(from)?, state.name_of(from)?, state.name_of(to)?);
        if from != to {
            state.change(Change { gone: Some(from), added: Some((to, inode)) });
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.change("remove", path)?;
        let state = &mut inner.state;
        if state.is_dir(state.find(path)?) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let name = state.name_of(path)?;
        state.change(Change { gone: Some(name), added: None });
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut inner = self.change("sync", dir)?;
        let state = &mut inner.state;
        let dir = state.find(dir)?;
        let chosen =
            state.changes.iter().map(|change| change.names().any(|(other, _)| *other == dir)).collect();
        state.settle(chosen);
        Ok(())
    }

    fn list(&self, dir: &Path, each: &mut dyn FnMut(OsString, EntryKind)) -> io::Result<()> {
        let inner = self.step("list", dir)?;
        let kind = |inode| if inner.state.is_dir(inode) { EntryKind::Dir } else { EntryKind::File };
        let dir = inner.state.find(dir)?;
        let all: Vec<_> =
            inner.state.names(dir).iter().map(|(name, &inode)| (name.clone(), kind(inode))).collect();
        // Who is called may ask for more.
        drop(inner);
        all.into_iter().for_each(|(name, kind)| each(name, kind));
        Ok(())
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        let inner = self.step("look at", path)?;
        Ok(match &inner.state.inodes[inner.state.find(path)?] {
            Inode::File { data, modified_ms } => {
                Metadata { kind: EntryKind::File, len: data.now.len() as u64, modified_ms: *modified_ms }
            }
            Inode::Dir { modified_ms, .. } => {
                Metadata { kind: EntryKind::Dir, len: 0, modified_ms: *modified_ms }
            }
        })
    }

    fn lock(&self, path: &Path, note: &str) -> io::Result<Lock> {
        let mut inner = self.change("lock", path)?;
        let state = &mut inner.state;
        let inode = match state.find(path) {
            Ok(inode) => inode,
            Err(_) => state.create(path)?,
        };
        if !state.locked.insert(inode) {
            return Ok(Lock::InUse(note.to_owned()));
        }
        drop(inner);
        Ok(Lock::Held(Box::new(Held { disk: self.clone(), inode, path: path.to_owned() })))
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        self.step("measure", dir).map(|_| u64::MAX)
    }

    fn concerns(&self, _: &Path) -> Vec<String> {
        Vec::new()
    }
}

struct Held {
    disk: Simulated,
    inode: usize,
    path: PathBuf,
}

impl LockGuard for Held {
    fn is_current(&self) -> io::Result<bool> {
        let inner = self.disk.step("look at the lock", &self.path)?;
        Ok(inner.state.find(&self.path).is_ok_and(|inode| inode == self.inode))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.disk.lock_inner().state.locked.remove(&self.inode);
    }
}

struct Open {
    disk: Simulated,
    inode: usize,
    path: PathBuf,
}

impl Write for Open {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let add = |inner: &mut Inner, bytes: &[u8]| {
            let Inode::File { data, .. } = &inner.state.inodes[self.inode] else { return };
            let at = data.now.len();
            inner.state.store(self.inode, Store { at, bytes: bytes.into() });
        };
        match self.disk.change("write", &self.path) {
            Ok(mut inner) => {
                add(&mut inner, bytes);
                Ok(bytes.len())
            }
            Err(error) => {
                // A part of it may have been written all the same.
                add(&mut self.disk.lock_inner(), &bytes[..bytes.len() / 2]);
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
        let mut inner = self.disk.change("write", &self.path)?;
        inner.state.store(self.inode, Store { at: 0, bytes: bytes.into() });
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut inner = self.disk.change("sync", &self.path)?;
        if let Inode::File { data, .. } = &mut inner.state.inodes[self.inode] {
            data.synced = Arc::clone(&data.now);
            data.stores.clear();
        }
        Ok(())
    }
}

impl Simulated {
    /// Syncs a file, as somebody does who opens it for that.
    pub(crate) fn sync_file(&self, path: &Path) -> io::Result<()> {
        let inode = self.lock_inner().state.find(path)?;
        Open { disk: self.clone(), inode, path: path.to_owned() }.sync()
    }
}

struct Reading {
    disk: Simulated,
    bytes: Arc<Vec<u8>>,
    at: u64,
    path: PathBuf,
}

impl Read for Reading {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let _inner = self.disk.step("read", &self.path)?;
        let from = usize::try_from(self.at).unwrap_or(usize::MAX).min(self.bytes.len());
        let count = (&self.bytes[from..]).read(out)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Reading {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = match to {
            SeekFrom::Start(at) => at,
            SeekFrom::End(by) => (self.bytes.len() as u64).saturating_add_signed(by),
            SeekFrom::Current(by) => self.at.saturating_add_signed(by),
        };
        Ok(self.at)
    }
}

impl ReadFile for Reading {
    fn size(&self) -> io::Result<u64> {
        self.disk.step("measure", &self.path).map(|_| self.bytes.len() as u64)
    }
}
