//! Key files that nobody would make. See [`crate::fuzz`].

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, sync::LazyLock};

use tempfile::TempDir;

use super::key;
use crate::fuzz::{Choices, edit, target};

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

fn a_key(bytes: &[u8]) {
    let file: PathBuf = FOLDER.path().join("pii.key");
    let mut choices = Choices::new(bytes);
    let mut text = format!("{}\n", "0123456789abcDEF".repeat(4)).into_bytes();
    edit(&mut text, 0..usize::MAX, &mut choices);
    for content in [text.as_slice(), bytes] {
        fs::write(&file, content).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        match key::open(&file) {
            Ok(key) => {
                let digits: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
                let text = content.strip_suffix(b"\n").unwrap_or(content);
                assert_eq!(text.to_ascii_lowercase(), digits.as_bytes());
            }
            Err(error) => assert!(error.to_string().contains("is not 64 hexadecimal digits"), "{error}"),
        }
        // Whatever it was, it is left alone.
        assert_eq!(fs::read(&file).unwrap(), content);
    }
}

#[test]
fn any_bytes_are_a_key_or_refused() {
    target!("pii_key", 80, a_key);
}
