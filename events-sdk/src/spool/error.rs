//! What can go wrong with the spool, as far as it decides what happens next.

use std::{error::Error, fmt, io, path::Path, path::PathBuf};

/// What a failure of the spool means for whoever called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum SpoolErrorKind {
    /// Another process, or another handle of this one, works on the directory.
    InUse,
    /// There is no room: disk, quota or file size limit. It may work again once there is.
    Full,
    /// The spill file is no longer there.
    Missing,
    /// This one spill file cannot be read; the others may well be.
    Unreadable,
    /// The directory does not do what a directory must: permission, removed, read-only, a failing disk.
    Broken,
}

/// The spool could not do what was asked of it.
#[derive(Debug)]
pub(crate) struct SpoolError {
    kind: SpoolErrorKind,
    what: String,
    path: PathBuf,
    source: Option<io::Error>,
    is_panic: bool,
    /// So many bytes more would have to be free, where that is known.
    short_of: Option<u64>,
    /// What to do, where its kind alone does not say it.
    advice: Option<&'static str>,
}

impl SpoolError {
    /// `doing` completes the sentence "cannot …", for example "write the spill file".
    pub(crate) fn new(doing: &str, path: &Path, source: io::Error) -> Self {
        let kind = if is_no_room(&source) { SpoolErrorKind::Full } else { SpoolErrorKind::Broken };
        Self::of_kind(kind, doing, path, Some(source))
    }

    fn of_kind(kind: SpoolErrorKind, what: &str, path: &Path, source: Option<io::Error>) -> Self {
        Self {
            kind,
            what: what.to_owned(),
            path: path.to_owned(),
            source,
            is_panic: false,
            short_of: None,
            advice: None,
        }
    }

    /// The same, with how many bytes more would have to be free.
    pub(super) fn short_of(self, bytes: u64) -> Self {
        Self { short_of: Some(bytes), ..self }
    }

    /// The same, with what to do about it.
    #[cfg(feature = "cli")]
    pub(super) fn advising(self, advice: &'static str) -> Self {
        Self { advice: Some(advice), ..self }
    }

    /// Who uses the directory, where somebody else does.
    pub(crate) fn in_use_by(&self) -> String {
        format!("the spool directory {} is in use by {}", self.path.display(), self.what)
    }

    /// What to do.
    fn advice(&self) -> &'static str {
        let source = self.source.as_ref().map(io::Error::kind);
        if let Some(advice) = self.advice {
            return advice;
        }
        match (self.kind, source) {
            (SpoolErrorKind::InUse, _) => "",
            (SpoolErrorKind::Full, _) if self.short_of.is_some() => {
                "free some disk space, or lower `spool_min_free_bytes`"
            }
            (SpoolErrorKind::Full, Some(io::ErrorKind::QuotaExceeded)) => {
                "free some disk space, or raise the quota of the user on the file system"
            }
            (SpoolErrorKind::Full, Some(io::ErrorKind::FileTooLarge)) => {
                "raise the limit on the size of files (`ulimit -f`)"
            }
            (SpoolErrorKind::Full, _) => "free some disk space",
            (SpoolErrorKind::Missing, _) => "somebody removed it, its events can no longer be delivered",
            (SpoolErrorKind::Unreadable | SpoolErrorKind::Broken, Some(io::ErrorKind::PermissionDenied)) => {
                "mend its permissions, or run this as the user whose spool it is"
            }
            (SpoolErrorKind::Unreadable, _) => {
                "check its permissions and the disk, other spill files are not concerned"
            }
            (SpoolErrorKind::Broken, _) => {
                "check that the directory exists, belongs to this user, is writable, and that the disk is healthy"
            }
        }
    }

    /// How many bytes more would have to be free, where that is known.
    pub(crate) fn missing(&self) -> Option<u64> {
        self.short_of
    }

    /// A failure that concerns one spill file, not the directory.
    pub(super) fn of_file(doing: &str, path: &Path, source: io::Error) -> Self {
        let kind = match source.kind() {
            io::ErrorKind::NotFound => SpoolErrorKind::Missing,
            _ => SpoolErrorKind::Unreadable,
        };
        Self::of_kind(kind, doing, path, Some(source))
    }

    /// Our own code panicked over it.
    pub(crate) fn panicked(doing: &str, path: &Path, message: &str) -> Self {
        let source = io::Error::other(format!("the code panicked: {message}"));
        Self { is_panic: true, ..Self::of_kind(SpoolErrorKind::Broken, doing, path, Some(source)) }
    }

    /// `holder` is what the holder of the lock wrote into it: its process id.
    pub(super) fn in_use(dir: &Path, holder: &str) -> Self {
        let what = match holder.parse::<u32>() {
            Ok(pid) if pid == std::process::id() => format!("this process (pid {pid}) under another handle"),
            Ok(pid) => format!("process {pid}"),
            Err(_) => "another process".to_owned(),
        };
        Self::of_kind(SpoolErrorKind::InUse, &what, dir, None)
    }

    /// What kind of failure it was.
    pub(crate) fn kind(&self) -> SpoolErrorKind {
        self.kind
    }

    /// Whether our own code panicked.
    pub(crate) fn is_panic(&self) -> bool {
        self.is_panic
    }

    /// The file or directory it happened to.
    #[cfg(test)]
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether nothing can be changed on this file system, whichever file it is.
    pub(crate) fn is_of_file_system(&self) -> bool {
        self.source.as_ref().is_some_and(|source| source.kind() == io::ErrorKind::ReadOnlyFilesystem)
    }

    /// Whether it is the size of the one file that is not allowed, whatever room there is.
    pub(crate) fn is_of_file_size(&self) -> bool {
        self.source.as_ref().is_some_and(|source| source.kind() == io::ErrorKind::FileTooLarge)
    }

    /// Whether the cause is that something is not there.
    pub(super) fn is_not_found(&self) -> bool {
        self.source.as_ref().is_some_and(|source| source.kind() == io::ErrorKind::NotFound)
    }
}

fn is_no_room(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

impl fmt::Display for SpoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind == SpoolErrorKind::InUse {
            let in_use = self.in_use_by();
            return write!(f, "{in_use}: stop it, or give each process a directory of its own");
        }
        write!(f, "cannot {} {}", self.what, self.path.display())?;
        if let Some(source) = &self.source {
            write!(f, ": {source}")?;
        }
        write!(f, "; {}", self.advice())
    }
}

impl Error for SpoolError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| source as &(dyn Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_says_what_happened_to_what_and_what_to_do() {
        let path = Path::new("/spool/x.pb");
        let full = SpoolError::new("write the spill file", path, io::ErrorKind::StorageFull.into());
        assert_eq!(full.kind(), SpoolErrorKind::Full);
        // EFBIG, which has the same number everywhere.
        let limit = SpoolError::new("write the spill file", path, io::Error::from_raw_os_error(27));
        assert!(limit.kind() == SpoolErrorKind::Full && limit.is_of_file_size() && !full.is_of_file_size());
        assert!(full.to_string().starts_with("cannot write the spill file /spool/x.pb: "));
        assert!(full.to_string().ends_with("; free some disk space"), "{full}");
        assert!(
            limit.to_string().ends_with("; raise the limit on the size of files (`ulimit -f`)"),
            "{limit}"
        );
        let quota = SpoolError::new("write the spill file", path, io::ErrorKind::QuotaExceeded.into());
        assert!(quota.to_string().ends_with("or raise the quota of the user on the file system"), "{quota}");
        let denied = SpoolError::new("list", path, io::ErrorKind::PermissionDenied.into());
        assert!(denied.to_string().ends_with("or run this as the user whose spool it is"), "{denied}");

        let floor = SpoolError::new("write to", path, io::ErrorKind::StorageFull.into()).short_of(7);
        assert!(floor.to_string().ends_with("; free some disk space, or lower `spool_min_free_bytes`"));

        let gone = SpoolError::of_file("read the spill file", path, io::ErrorKind::NotFound.into());
        assert_eq!(gone.kind(), SpoolErrorKind::Missing);
        assert!(gone.source().is_some());

        let held = SpoolError::in_use(Path::new("/spool"), "77");
        assert_eq!(
            held.to_string(),
            "the spool directory /spool is in use by process 77: stop it, or give each process a directory of its own"
        );
        let ours = SpoolError::in_use(Path::new("/spool"), &std::process::id().to_string());
        assert!(ours.to_string().contains("this process"));
    }
}
