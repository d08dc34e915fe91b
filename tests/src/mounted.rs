//! File systems of the tests' own, which only root may mount.

#![allow(clippy::expect_used, clippy::print_stdout, reason = "helpers of tests fail and speak as tests do")]

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

/// What is mounted on a directory, until this goes.
#[derive(Debug)]
pub struct Mounted(PathBuf);

impl Mounted {
    /// `mount` with these arguments before the directory; `None` where that is not permitted.
    pub fn new(arguments: &[&str], dir: &Path) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount.args(arguments).arg(dir);
        let output = mount.output().ok()?;
        output.status.success().then(|| Self(dir.to_owned()))
    }

    /// The directory over itself, read-only. Root is not held up by permissions.
    pub fn read_only(dir: &Path) -> Option<Self> {
        let source = dir.to_str()?;
        let mounted = Self::new(&["--bind", source], dir)?;
        // Not while somebody writes to a file there.
        (0..100).find_map(|_| {
            let again = Command::new("mount").args(["-o", "remount,bind,ro"]).arg(dir).output().ok()?;
            again.status.success().then_some(())
        })?;
        Some(mounted)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily: files in it may still be open.
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

/// A disk of its own, of a few KiB.
#[derive(Debug)]
pub struct SmallDisk {
    // Unmounted before the directory is removed.
    _mounted: Mounted,
    dir: TempDir,
}

impl SmallDisk {
    /// Of so many KiB. `None`, and a word on the output, where this may not be.
    pub fn mount(kib: usize) -> Option<Self> {
        let dir = TempDir::new().expect("a temporary directory");
        let mounted = Mounted::new(&["-t", "tmpfs", "-o", &format!("size={kib}k"), "none"], dir.path());
        if mounted.is_none() {
            println!("skipped: nothing can be mounted here");
        }
        Some(Self { _mounted: mounted?, dir })
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Takes up all that is free but for so many KiB, in a file that belongs to nobody.
    pub fn fill(&self, but_kib: u64) {
        let path = self.path().join("filler");
        let mut file = File::create(&path).expect("a file");
        while file.write_all(&[0; 4096]).is_ok() {}
        let len = fs::metadata(&path).expect("it").len();
        file.set_len(len.saturating_sub(but_kib << 10)).expect("a shorter file");
    }
}
