//! Reads small files of a spool that anybody may have put there.

use std::{
    fs::OpenOptions,
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use rustix::fs::OFlags;

use super::owner::is_link;

/// The first `most` bytes of a regular file. What lies behind a link is none of the spool's, and a named pipe or a device may
/// never end.
pub(super) fn peek(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    // Without NONBLOCK, opening a named pipe would wait for its writer for ever.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = opened.map_err(|error| match is_link(&error) {
        true => no_file("it is a link, which is not followed; move it away"),
        false => error,
    })?;
    if !file.metadata()?.is_file() {
        return Err(no_file("it is no regular file; move it away"));
    }
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn no_file(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}
