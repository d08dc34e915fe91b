//! The file of the ledger: found, made, set aside, and replaced while its process runs.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{BYTES, CELLS, CLEAN, Ledger, MAGIC, MAGIC_AT, begin, cells::Cells, unkept::LOOKING};
use crate::fault;

/// The name of the file in the spool directory.
pub(crate) const FILE: &str = ".accounts";

/// A new file has this name until it is complete.
const NEW: &str = ".accounts.tmp";

/// So often an old one that cannot be opened is tried, before it is set aside,
const TRIES: u32 = 5;

/// with so long a pause in between.
const MOMENT: Duration = Duration::from_millis(20);

/// One that cannot be read goes by this name, or by one with a number [behind it](damaged).
pub(crate) const DAMAGED: &str = ".accounts.damaged";

/// So many of them are kept. They hold all that is known of the past, so another one destroys none until there are more.
const MOST_DAMAGED: usize = 9;

/// What whoever keeps the file of a ledger needs to know of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kept {
    /// The file, to be synced; `None` while it is in memory.
    pub(crate) file: Option<Arc<File>>,
    /// What a seal says of whose file it is.
    pub(crate) id: u64,
    /// There was none when it was opened.
    pub(crate) is_new: bool,
}

impl Ledger {
    /// The ledger of a spool directory, which is ours; a new one where there is none, or none that can be read.
    ///
    /// # Errors
    ///
    /// When there is no room for it, or the directory cannot be written to.
    pub(crate) fn open(dir: &Path, now_ms: u64) -> io::Result<Self> {
        let path = dir.join(FILE);
        let mut is_new = false;
        match fault::fallible("open accounts").and_then(|()| Cells::open(&path, CELLS)) {
            Ok(cells) if cells.load(MAGIC_AT) == MAGIC => {
                let mut ledger = Self::on(cells, false);
                ledger.cells.store(CLEAN, 0);
                ledger.cells.store(LOOKING, 1);
                // Those of the last process the survey finds.
                ledger.note_files_gone(0);
                return Ok(ledger);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => is_new = true,
            Ok(_) => Self::give_up(dir, "another program, or another version, wrote it"),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Self::give_up(dir, &error.to_string())
            }
            Err(error) => return Err(error),
        }
        let new = Self::create(dir, now_ms)?;
        Self::publish(dir)?;
        Ok(Self { is_new, ..new })
    }

    /// As [`open`](Self::open). One of earlier processes that cannot be opened is tried again for a moment; then it is set aside like one
    /// that is damaged. Without it what is found would be counted as it was before, and with it once more at the next start; and
    /// what is accepted is worth more than numbers of the past, so nobody waits for it.
    ///
    /// # Errors
    ///
    /// As `open`: where there is no room for a new one, or something lies there that is no file.
    pub(crate) fn open_or_begin(dir: &Path, now_ms: u64) -> io::Result<Self> {
        for _ in 0..TRIES {
            match Self::open(dir, now_ms) {
                Err(error) if Self::is_there(dir) && !is_of_room(&error) => std::thread::sleep(MOMENT),
                result => return result,
            }
        }
        match Self::open(dir, now_ms) {
            Err(error) if Self::is_there(dir) && !is_of_room(&error) => {
                Self::give_up(dir, &error.to_string());
                Self::open(dir, now_ms)
            }
            result => result,
        }
    }

    fn is_there(dir: &Path) -> bool {
        fs::symlink_metadata(dir.join(FILE)).is_ok_and(|there| there.is_file())
    }

    /// One that cannot be read gives up its name.
    fn give_up(dir: &Path, reason: &str) {
        let (path, aside) = (dir.join(FILE), next_damaged(dir));
        tracing::error!(
            path = %path.display(), aside = %aside.display(), reason,
            "the accounts of earlier processes cannot be read; they are set aside, and counting begins anew"
        );
        // Should that fail, making the new one does as well.
        let _ = fs::rename(&path, aside);
    }

    /// An empty ledger whose file does not have its [name](Self::publish) yet.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub(crate) fn create(dir: &Path, now_ms: u64) -> io::Result<Self> {
        let new = dir.join(NEW);
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut cells = Cells::create(&new, CELLS)?;
        begin(&mut cells, now_ms);
        Ok(Self::on(cells, false))
    }

    /// The ledger of a spool directory that is ours for a moment, to correct it. Begins none and sets none aside, and what the last
    /// agent said of its end stays as it is. `None` where there is none.
    ///
    /// # Errors
    ///
    /// `InvalidData` when it is damaged.
    #[cfg(feature = "cli")]
    pub(crate) fn visit(dir: &Path) -> io::Result<Option<Self>> {
        match Cells::open(&dir.join(FILE), CELLS) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            cells => Self::of_others(cells?).map(Some),
        }
    }

    /// Keeps what somebody else has written into the file, before another [takes its place](Self::publish).
    pub(crate) fn set_aside_what_is_there(dir: &Path) {
        let (path, aside) = (dir.join(FILE), next_damaged(dir));
        let _ = fs::remove_file(&aside);
        // A second name, so that there is always one by the first. Where that cannot be, nothing of it is kept.
        if let Err(error) = fs::hard_link(&path, &aside) {
            tracing::debug!(%error, "what was written into the accounts is not set aside");
        }
    }

    /// Gives a file that was [created](Self::create) its name.
    pub(crate) fn publish(dir: &Path) -> io::Result<()> {
        fs::rename(dir.join(NEW), dir.join(FILE))
    }

    /// The same ledger goes on in an empty file, because its own is gone. Gives the file.
    pub(crate) fn go_on_in(&mut self, mut empty: Self) -> Option<Arc<File>> {
        for at in 0..CELLS {
            empty.cells.store(at, self.cells.load(at));
        }
        self.cells = empty.cells;
        self.file()
    }

    /// The ledger of a spool that may be another process's, as these bytes of its file say.
    ///
    /// # Errors
    ///
    /// When they are damaged.
    pub(crate) fn read(bytes: &[u8]) -> io::Result<Self> {
        Self::of_others(Cells::read(bytes, CELLS)?)
    }

    /// The same of this file.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is damaged.
    pub(crate) fn read_from(file: &File) -> io::Result<Self> {
        let mut bytes = vec![0; usize::try_from(BYTES).map_err(io::Error::other)?];
        file.read_exact_at(&mut bytes, 0)?;
        Self::read(&bytes)
    }

    fn of_others(cells: Cells) -> io::Result<Self> {
        if cells.load(MAGIC_AT) != MAGIC {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "another program, or another version, wrote it",
            ));
        }
        Ok(Self::on(cells, false))
    }

    /// Has all of it written anew by the next sync: one that fails leaves pages behind that the kernel takes for written.
    pub(crate) fn renew(&mut self) {
        self.cells.renew();
    }

    /// What whoever keeps its file needs to know.
    pub(crate) fn kept(&self) -> Kept {
        Kept { file: self.file(), id: self.id(), is_new: self.is_new }
    }

    /// The file, to be synced.
    pub(crate) fn file(&self) -> Option<Arc<File>> {
        self.cells.file().cloned()
    }

    /// Whether the file holds these numbers. If not, somebody else has written there.
    pub(crate) fn is_in_place(&self) -> bool {
        self.cells.are_in_place()
    }
}

/// Where those lie that cannot be read, if they do.
pub(crate) fn damaged(dir: &Path) -> impl Iterator<Item = PathBuf> {
    let numbered = (2..=MOST_DAMAGED).map(|number| format!("{DAMAGED}.{number}"));
    std::iter::once(DAMAGED.to_owned()).chain(numbered).map(|name| dir.join(name))
}

/// Where the next one goes: to a name that is free, or else in the place of the oldest.
fn next_damaged(dir: &Path) -> PathBuf {
    let there = |path: &PathBuf| fs::symlink_metadata(path);
    let is_free = |path: &PathBuf| there(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
    let oldest = || damaged(dir).min_by_key(|path| there(path).and_then(|about| about.modified()).ok());
    damaged(dir).find(is_free).or_else(oldest).unwrap_or_else(|| dir.join(DAMAGED))
}

/// Whether there was no room. Nothing is set aside for that: what makes room is to deliver what lies there.
fn is_of_room(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
