//! The folder of segments: whether it still lies where it was made, and is no link.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::FOLDER;

/// The directory of segments: its path, and what tells it from another one of that name.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    device: u64,
    inode: u64,
    /// The spool directory around it. As long as it is open its number is not given to another one.
    spool: Arc<File>,
}

impl Folder {
    /// That of this spool directory.
    pub(super) fn of(spool: &Path) -> io::Result<Self> {
        let path = spool.join(FOLDER);
        let about = look_at(&path)?;
        Ok(Self { path, device: about.dev(), inode: about.ino(), spool: Arc::new(File::open(spool)?) })
    }

    /// What is known of it, if it still lies there.
    ///
    /// # Errors
    ///
    /// When it cannot be looked at.
    pub(super) fn metadata(&self) -> io::Result<Option<fs::Metadata>> {
        match look_at(&self.path) {
            Ok(about) => Ok(((about.dev(), about.ino()) == (self.device, self.inode)).then_some(about)),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The spool directory, if it still lies where it was found: another one of its name is another process's.
    pub(super) fn spool(&self) -> io::Result<&Path> {
        let path = self.path.parent().unwrap_or(&self.path);
        let (ours, there) = (self.spool.metadata()?, fs::metadata(path)?);
        if (ours.dev(), ours.ino()) == (there.dev(), there.ino()) {
            Ok(path)
        } else {
            Err(io::Error::new(io::ErrorKind::NotFound, format!("{} was replaced", path.display())))
        }
    }
}

/// What lies there, if it is a directory.
fn look_at(path: &Path) -> io::Result<fs::Metadata> {
    let about = fs::symlink_metadata(path)?;
    if about.is_dir() {
        Ok(about)
    } else {
        Err(io::Error::new(
            io::ErrorKind::NotADirectory,
            format!("{} is not a directory; links are not followed", path.display()),
        ))
    }
}
