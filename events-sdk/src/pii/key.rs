//! The key that hashes of personal data are made with: one for each node, in a file that only Rodent reads.
//!
//! The file holds 64 hexadecimal digits and a line feed, and has mode 0600. It is made with random bytes when there is
//! none, under another name first, so that no process ever finds half a key; of two processes that make one at the same
//! time both use the one that was there first. Whoever removes it gets a new key, and with it other hashes.

use std::{
    error, fmt,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use ring::rand::{SecureRandom as _, SystemRandom};

use crate::file_limit::Limited;

/// The length of the key: as long as the hash function's output, which is all that HMAC makes use of.
const KEY_BYTES: usize = 32;

/// Nobody but the owner may read or write it.
const MODE: u32 = 0o600;

/// The key could not be read or made.
#[derive(Debug)]
pub(crate) struct KeyError {
    file: PathBuf,
    reason: Reason,
}

#[derive(Debug)]
enum Reason {
    Read(io::Error),
    Make(io::Error),
    Random,
    Open(u32),
    Directory,
    Garbled,
}

/// The key in the file, which is made if there is none.
pub(super) fn open(file: &Path) -> Result<[u8; KEY_BYTES], KeyError> {
    let failed = |reason| KeyError { file: file.to_owned(), reason };
    if let Some(key) = read(file).map_err(failed)? {
        return Ok(key);
    }
    make(file).map_err(failed)?;
    tracing::info!(file = %file.display(), "made a key to hash personal data with");
    // What is there now, ours or that of a process that was faster.
    read(file).map_err(failed)?.ok_or_else(|| failed(Reason::Read(io::ErrorKind::NotFound.into())))
}

/// The key, or `None` when there is no file.
fn read(file: &Path) -> Result<Option<[u8; KEY_BYTES]>, Reason> {
    /// Longer than any key: whatever is behind it is not read.
    const ENOUGH: u64 = 4 * KEY_BYTES as u64;
    let open = match File::open(file) {
        Ok(open) => open,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Reason::Read(error)),
    };
    let metadata = open.metadata().map_err(Reason::Read)?;
    if metadata.is_dir() {
        return Err(Reason::Directory);
    }
    let others = metadata.mode() & 0o077;
    if others != 0 {
        return Err(Reason::Open(metadata.mode() & 0o777));
    }
    let mut text = Vec::new();
    open.take(ENOUGH).read_to_end(&mut text).map_err(Reason::Read)?;
    let digits = text.strip_suffix(b"\n").unwrap_or(&text);
    if digits.len() != 2 * KEY_BYTES {
        return Err(Reason::Garbled);
    }
    let mut key = [0; KEY_BYTES];
    for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
        for digit in pair {
            let digit = char::from(*digit).to_digit(16).ok_or(Reason::Garbled)?;
            // Below 16, so it fits.
            *byte = *byte << 4 | digit as u8;
        }
    }
    Ok(Some(key))
}

/// Makes the file, unless another process does so at the same time.
fn make(file: &Path) -> Result<(), Reason> {
    let random = SystemRandom::new();
    let (mut key, mut suffix) = ([0; KEY_BYTES], [0; 8]);
    random.fill(&mut key).and_then(|()| random.fill(&mut suffix)).map_err(|_| Reason::Random)?;
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", hex(&suffix)));
    let temporary = file.with_file_name(name);
    let written = write(&temporary, &key).and_then(|()| match fs::hard_link(&temporary, file) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        // Unlike a rename, a link never takes the place of a key that is there already.
        _ => Ok(()),
    });
    // Whether it was ever there or not.
    let _ = fs::remove_file(&temporary);
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    written.and_then(|()| File::open(folder)?.sync_all()).map_err(Reason::Make)
}

fn write(file: &Path, key: &[u8]) -> io::Result<()> {
    let mut open = Limited::new(OpenOptions::new().write(true).create_new(true).mode(MODE).open(file)?);
    open.write_all(format!("{}\n", hex(key)).as_bytes())?;
    open.file().sync_all()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        write!(f, "personal data is to be hashed, and the key for it in {file} ")?;
        match &self.reason {
            Reason::Read(error) => {
                write!(f, "cannot be read: {error}; make it readable for the user that Rodent runs as")
            }
            Reason::Make(error) => write!(
                f,
                "cannot be made: {error}; set `pii_key_file` to a place that Rodent may write to and that survives a restart"
            ),
            Reason::Random => write!(f, "cannot be made: the system gives no random bytes; mend that"),
            Reason::Open(mode) => {
                write!(f, "may be read by others (mode {mode:04o}): run `chmod 600 {file}`")
            }
            Reason::Directory => write!(
                f,
                "is a directory: remove it to have a key made, or set `pii_key_file` to another place"
            ),
            Reason::Garbled => write!(
                f,
                "is not 64 hexadecimal digits: restore it, or remove it to have a new key, with which all hashes change"
            ),
        }
    }
}

impl error::Error for KeyError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match &self.reason {
            Reason::Read(error) | Reason::Make(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt as _, thread};

    use super::*;

    #[test]
    fn a_key_is_made_once_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pii.key");
        let key = open(&file).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, MODE);
        assert_eq!(open(&file).unwrap(), key);
        assert_eq!(fs::read_to_string(&file).unwrap(), format!("{}\n", hex(&key)));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left there");
        assert_ne!(open(&folder.path().join("other.key")).unwrap(), key);
    }

    #[test]
    fn of_many_that_make_the_key_at_once_all_have_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pii.key");
        let makers: Vec<_> = (0..8)
            .map(|_| {
                thread::spawn({
                    let file = file.clone();
                    move || open(&file).unwrap()
                })
            })
            .collect();
        let keys: Vec<_> = makers.into_iter().map(|maker| maker.join().unwrap()).collect();
        assert!(keys.iter().all(|key| *key == keys[0]));
    }

    #[test]
    fn what_is_wrong_with_a_key_is_said_with_its_cure() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pii.key");
        let error = |file: &Path| open(file).unwrap_err().to_string();
        open(&file).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        let text = error(&file);
        assert!(
            text.contains("(mode 0640)") && text.contains(&format!("`chmod 600 {}`", file.display())),
            "{text}"
        );
        fs::set_permissions(&file, fs::Permissions::from_mode(MODE)).unwrap();
        for bad in ["", "00", &"0".repeat(63), &"g".repeat(64), &"0".repeat(66), &"0".repeat(1 << 16)] {
            fs::write(&file, bad).unwrap();
            assert!(error(&file).contains("is not 64 hexadecimal digits"), "{bad:.70}");
        }
        let text = error(folder.path());
        assert!(text.contains("is a directory") && text.contains("`pii_key_file`"), "{text}");
        assert!(!text.contains("chmod"), "{text}");
        let nowhere = folder.path().join("missing").join("pii.key");
        assert!(error(&nowhere).contains("cannot be made") && error(&nowhere).contains("`pii_key_file`"));
    }
}
