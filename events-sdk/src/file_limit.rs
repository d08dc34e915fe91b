//! The limit on the size of files (`RLIMIT_FSIZE`, `ulimit -f`).
//!
//! Whoever writes beyond it, or makes a file longer than that, is sent SIGXFSZ, which ends the process. So it is asked before,
//! and what would not fit is an error like a full disk.

use std::{
    fs::File,
    io::{self, Write},
};

use rustix::process::Resource;

/// The longest that a file of this process may become.
fn most() -> u64 {
    rustix::process::getrlimit(Resource::Fsize).current.unwrap_or(u64::MAX)
}

/// Whether a file may become so long.
///
/// # Errors
///
/// `FileTooLarge` when it may not.
pub(crate) fn allow(bytes: u64) -> io::Result<()> {
    within(bytes, most())
}

fn within(bytes: u64, most: u64) -> io::Result<()> {
    if bytes <= most {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::FileTooLarge,
        format!("the limit on the size of files is {most} bytes (`ulimit -f`), and this needs {bytes}"),
    ))
}

/// A new file that is written from its start to its end, and no further than the limit when it was made.
#[derive(Debug)]
pub(crate) struct Limited {
    file: File,
    at: u64,
    most: u64,
}

impl Limited {
    /// `file` is empty.
    pub(crate) fn new(file: File) -> Self {
        Self { file, at: 0, most: most() }
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }
}

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        within(self.at.saturating_add(bytes.len() as u64), self.most)?;
        let written = self.file.write(bytes)?;
        self.at += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_go_beyond_the_limit_is_not_written_and_is_an_error_that_says_so() {
        let file = tempfile::tempfile().unwrap();
        let mut limited = Limited { most: 10, ..Limited::new(file) };
        limited.write_all(b"123456").unwrap();
        let error = limited.write_all(b"78901").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        assert!(error.to_string().contains("is 10 bytes (`ulimit -f`), and this needs 11"), "{error}");
        limited.write_all(b"7890").unwrap();
        assert_eq!(limited.file().metadata().unwrap().len(), 10);
    }
}
