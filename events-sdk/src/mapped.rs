//! A file in memory: what is stored in it is in the kernel's hands at once, without a system call, and outlives the
//! process however that ends.
//!
//! Owns how such a file is made: new, for its owner only, and with every block allocated before it is mapped, because a
//! store into a hole of a full disk would raise SIGBUS. Guarantees that nothing outside of the mapping is touched, which
//! the types of this module see to, and nothing else in it is unsafe. What is stored, and when it has to reach the disk
//! itself ([`Mapped::file`], to be synced), is left to whoever holds it.
//!
//! # Why the one unsafe call here is sound
//!
//! Mapping a file is unsafe because somebody else may change its bytes behind the back of a Rust reference, or cut it
//! short, after which an access raises SIGBUS. Nobody does:
//!
//! * The caller keeps the file in a directory of mode 0700 that one process has locked, see [`crate::spool`]; the file has
//!   mode 0600, is opened without following links, and a new one must not have existed before (`O_EXCL`).
//! * Nothing in this crate changes the length of a mapped file, writes to it by a system call, or maps it a second time.
//!   Unlinking it leaves the mapping as it is.
//! * A child of `fork` shares the mapping, but does not touch it: because a forked event system refuses everything.
//! * The mapping is never executable, and bytes have no invalid values, so that whatever the file holds may be read.
//!
//! What is left is a user who edits the file as the same user or as root while the process runs, and a disk that fails
//! while a page comes back from it. Both may end the process as they would with a mapped library or an executable. Bytes that
//! such a user writes do no harm as long as the length stays: no number that is counted on is read back out of a mapping.
#![allow(unsafe_code, reason = "mapping a file is unsafe; the head of this module says why it is sound here")]

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::Arc,
};

use memmap2::{MmapMut, MmapOptions};
use rustix::fs::{FallocateFlags, OFlags};

use crate::file_limit;

/// Only the owner looks into the file: events name users and addresses.
const FILE_MODE: u32 = 0o600;

/// The smallest page of any processor in use. Where pages are larger some are touched more often than needed.
const PAGE: usize = 4096;

/// A file whose bytes lie in memory.
#[derive(Debug)]
pub(crate) struct Mapped {
    map: MmapMut,
    file: Arc<File>,
}

impl Mapped {
    /// Makes a new file of `len` bytes, all of them zero, with its pages in memory and its blocks allocated.
    ///
    /// # Errors
    ///
    /// When there is something at that path already, when there is no room for it, and for whatever else keeps a file
    /// from being made. Then there is no such file.
    pub(crate) fn create(path: &Path, len: usize) -> io::Result<Self> {
        let file = options().create_new(true).mode(FILE_MODE).open(path)?;
        Self::new(file, len).inspect_err(|_| {
            // It is ours, and useless; whoever clears the directory finds it if this fails.
            let _ = std::fs::remove_file(path);
        })
    }

    /// Maps a file that is there, at most `max` bytes of it.
    ///
    /// # Errors
    ///
    /// When it is not a regular file, empty or larger, and when blocks that it lacks cannot be allocated.
    pub(crate) fn open(path: &Path, max: usize) -> io::Result<Self> {
        // Without NONBLOCK, opening a named pipe would wait for its other end for ever.
        let file = options().open(path)?;
        let metadata = file.metadata()?;
        let len = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
        if !metadata.is_file() || len == 0 || len > max {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "not a file of the expected kind and size",
            ));
        }
        Self::new(file, len)
    }

    fn new(mut file: File, len: usize) -> io::Result<Self> {
        if len == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "an empty file cannot be mapped"));
        }
        allocate(&mut file, len)?;
        // SAFETY: the file is regular, `len` bytes long with all blocks allocated, and nobody else changes or shortens
        // it while it is mapped: see the head of this module.
        let map = unsafe { MmapOptions::new().len(len).map_mut(&file)? };
        let mut mapped = Self { map, file: Arc::new(file) };
        mapped.warm();
        Ok(mapped)
    }

    /// The bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// The bytes, to be changed. What is stored is safe from the end of the process; from that of the machine once
    /// [`file`](Self::file) has been synced after it.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.map
    }

    /// The file. Syncing it, from any thread, brings to disk what was stored before.
    pub(crate) fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Keeps the pages in memory, as far as the limits of the process allow it: then no failing disk can end the process over them.
    pub(crate) fn pin(&self) {
        if let Err(error) = self.map.lock() {
            tracing::debug!(%error, "a mapped file is not locked in memory");
        }
    }

    /// The mapping alone, without the file descriptor.
    pub(crate) fn into_map(self) -> MmapMut {
        self.map
    }

    /// Has every page ready to be written to, so that the next stores do not wait for the kernel: pages of a new file,
    /// and those that were written back, are entered at their first change, which takes as long as some ten stores.
    pub(crate) fn warm(&mut self) {
        for at in (0..self.map.len()).step_by(PAGE) {
            let byte = std::hint::black_box(self.map[at]);
            // The same byte again: it is the store that counts. A black box, or the compiler would see that nothing
            // changes.
            *std::hint::black_box(&mut self.map[at]) = byte;
        }
    }
}

/// Gives the file `len` bytes with all their blocks.
fn allocate(file: &mut File, len: usize) -> io::Result<()> {
    if file.metadata()?.len() < len as u64 {
        file_limit::allow(len as u64)?;
    }
    match rustix::fs::fallocate(&*file, FallocateFlags::empty(), 0, len as u64) {
        Ok(()) => Ok(()),
        // The file system has no word for it. A new file is written in full instead, which takes up its blocks as well.
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) if file.metadata()?.len() == 0 => {
            let zeros = [0; PAGE];
            let mut left = len;
            while left > 0 {
                let part = left.min(PAGE);
                file.write_all(&zeros[..part])?;
                left -= part;
            }
            Ok(())
        }
        // One that is there was written in full when it was made.
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    // The bits of the flags are the same set in both types.
    options.read(true).write(true).custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed());
    options
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::MetadataExt};

    use super::*;

    const LEN: usize = 3 * PAGE + 100;

    #[test]
    fn what_is_stored_is_in_the_file_at_once_and_after_the_mapping_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let mut mapped = Mapped::create(&path, LEN).unwrap();
        assert!(mapped.bytes().iter().all(|&byte| byte == 0));
        mapped.bytes_mut()[LEN - 3..].copy_from_slice(b"end");
        mapped.bytes_mut()[PAGE - 1..PAGE + 1].copy_from_slice(b"ab");
        mapped.warm();
        let file = fs::read(&path).unwrap();
        assert_eq!((&file[LEN - 3..], &file[PAGE - 1..PAGE + 1]), (b"end".as_slice(), b"ab".as_slice()));
        mapped.file().sync_data().unwrap();
        drop(mapped);
        let again = Mapped::open(&path, LEN).unwrap();
        assert_eq!(again.bytes(), file);
    }

    #[test]
    fn a_new_file_is_its_owners_alone_and_has_all_its_blocks() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let mapped = Mapped::create(&path, LEN).unwrap();
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!((metadata.mode() & 0o777, metadata.len()), (0o600, LEN as u64));
        assert!(metadata.blocks() * 512 >= LEN as u64, "{} blocks", metadata.blocks());
        drop(mapped);
    }

    #[test]
    fn what_is_there_is_neither_replaced_nor_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("x"), dir.path().join("link"));
        fs::write(&path, "mine").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        for taken in [&path, &link] {
            assert_eq!(Mapped::create(taken, LEN).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        }
        assert!(Mapped::open(&link, LEN).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"mine");
    }

    #[test]
    fn what_cannot_be_mapped_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        assert!(Mapped::create(&path, 0).is_err());
        assert!(!path.exists(), "nothing is left of what could not be made");
        assert!(Mapped::open(&path, LEN).is_err(), "missing");
        fs::write(&path, "").unwrap();
        assert!(Mapped::open(&path, LEN).is_err(), "empty");
        fs::write(&path, [0; 10]).unwrap();
        assert!(Mapped::open(&path, 9).is_err(), "too large");
        assert!(Mapped::open(dir.path(), LEN).is_err(), "a directory");
        let huge = dir.path().join("huge");
        assert!(Mapped::create(&huge, 1 << 50).is_err(), "a pebibyte");
        assert!(!huge.exists());
    }

    #[test]
    fn a_file_that_was_unlinked_can_still_be_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let mut mapped = Mapped::create(&path, LEN).unwrap();
        fs::remove_file(&path).unwrap();
        mapped.bytes_mut().fill(7);
        assert!(mapped.bytes().iter().all(|&byte| byte == 7));
    }
}
