//! Reads small files of a spool that anybody may have put there.

use std::{
    io::{self, Read},
    path::Path,
};

use super::owner::is_link;
use crate::spool::open_regular;

/// The first `most` bytes of a regular file.
pub(super) fn peek(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open_regular(path).map_err(|error| match error.kind() {
        _ if is_link(&error) => no_file("it is a link, which is not followed; move it away"),
        io::ErrorKind::InvalidInput => no_file("it is no regular file; move it away"),
        _ => error,
    })?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn no_file(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}
