//! The bearer token: from a value, or from a file that is read again when it has changed.
//!
//! Owns the `authorization` header and nothing else. A file is looked at (one `stat`) before every call and read when
//! its identity, length or time of change differ, and also after Toggle has refused the token, because a file that is
//! overwritten in place within one tick of the file system's clock looks unchanged. So a token that is renewed on disk
//! is used without a restart. A file system that hangs keeps a thread of the runtime's pool, a few at most, and nobody else.
//! No message and no `Debug` output ever holds the token.

use std::{
    fmt,
    fs::{self, File, Metadata},
    io::Read,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::{runtime::Handle, sync::Semaphore, time::timeout};
use tonic::metadata::{Ascii, MetadataValue};

use crate::{config::TokenSource, fault};

/// The longest token there can be: servers accept 16 KiB of headers altogether unless told otherwise.
const MAX_TOKEN_BYTES: u64 = 16 * 1024;

/// So many look at a token file at once. With as many batches in flight none has to wait; where the file system hangs, no
/// more threads than that hang with it.
const LOOKS: usize = 4;

/// The `authorization` header of each call.
pub(crate) struct Token {
    source: TokenSource,
    cached: Mutex<Option<Cached>>,
    /// Who may look at the file.
    looks: Arc<Semaphore>,
}

struct Cached {
    /// What the file looked like before it was read; nothing for a value.
    stamp: Option<FileStamp>,
    header: MetadataValue<Ascii>,
}

impl Token {
    pub(crate) fn new(source: TokenSource) -> Self {
        Self { source, cached: Mutex::new(None), looks: Arc::new(Semaphore::new(LOOKS)) }
    }

    /// The header to send now, as [`header`](Self::header) says, without the calling thread waiting for a disk.
    pub(crate) async fn header_within(
        self: &Arc<Self>,
        limit: Duration,
        runtime: &Handle,
    ) -> Result<Option<MetadataValue<Ascii>>, String> {
        let TokenSource::File(path) = &self.source else { return self.header() };
        let token = Arc::clone(self);
        let looked = timeout(limit, async {
            let permit = Arc::clone(&self.looks).acquire_owned().await;
            let look = runtime.spawn_blocking(move || {
                let _permit = permit;
                fault::point("token file");
                token.header()
            });
            // It fails when the runtime ends, or with a panic, over which the hook has spoken.
            look.await.unwrap_or_else(|error| Err(format!("the token file cannot be read: {error}")))
        });
        looked
            .await
            .unwrap_or_else(|_| Err(format!("token file {}: not read within {limit:?}", path.display())))
    }

    /// The header to send now, nothing when no token is configured, or why there is none although one is.
    pub(crate) fn header(&self) -> Result<Option<MetadataValue<Ascii>>, String> {
        match &self.source {
            TokenSource::None => Ok(None),
            TokenSource::Value(value) => self.value_header(value).map(Some),
            TokenSource::File(path) => self.file_header(path).map(Some),
        }
    }

    /// What to look at when Toggle does not accept the token.
    pub(crate) fn advice(&self) -> String {
        match &self.source {
            TokenSource::None => "no token is configured".to_owned(),
            TokenSource::Value(_) => "the configured token is not accepted".to_owned(),
            TokenSource::File(path) => {
                format!(
                    "the token in {} is not accepted; it is read again before each attempt",
                    path.display()
                )
            }
        }
    }

    /// Toggle has refused the token: whatever the file looks like, it is read again before the next call.
    pub(crate) fn forget(&self) {
        *self.cached.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn value_header(&self, value: &str) -> Result<MetadataValue<Ascii>, String> {
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Cached { header, .. }) = &*cached {
            return Ok(header.clone());
        }
        let header = bearer(value.as_bytes()).map_err(|what| format!("the configured token {what}"))?;
        *cached = Some(Cached { stamp: None, header: header.clone() });
        Ok(header)
    }

    fn file_header(&self, path: &Path) -> Result<MetadataValue<Ascii>, String> {
        let problem = |what: &dyn fmt::Display| format!("token file {}: {what}", path.display());

        let metadata = fs::metadata(path).map_err(|error| problem(&error))?;
        let stamp = FileStamp::of(&metadata);
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Cached { stamp: Some(read), header }) = &*cached
            && *read == stamp
        {
            return Ok(header.clone());
        }

        *cached = None;
        if !metadata.is_file() {
            return Err(problem(&"not a regular file"));
        }
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(MAX_TOKEN_BYTES + 1).read_to_end(&mut bytes))
            .map_err(|error| problem(&error))?;
        let header = bearer(&bytes).map_err(|what| problem(&format_args!("the token in it {what}")))?;
        *cached = Some(Cached { stamp: Some(stamp), header: header.clone() });
        Ok(header)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Token").field(&self.source).finish()
    }
}

/// The header for a token, or what is wrong with it in words that follow "the token".
pub(crate) fn bearer(token: &[u8]) -> Result<MetadataValue<Ascii>, String> {
    let token = token.trim_ascii();
    if token.is_empty() {
        return Err("is empty; put the JWT that Toggle issued there".to_owned());
    }
    if token.len() as u64 > MAX_TOKEN_BYTES {
        return Err(format!("is longer than {MAX_TOKEN_BYTES} bytes; it cannot be a JWT"));
    }
    if let Some(place) = token.iter().position(|byte| !byte.is_ascii_graphic()) {
        return Err(format!(
            "has a character at byte {} that no token has (white space, control or not ASCII); \
             it must be the bare JWT, without \"Bearer\" and without quotes",
            place + 1
        ));
    }
    let mut value = MetadataValue::try_from([b"Bearer ", token].concat())
        .map_err(|_| "cannot be sent in a header".to_owned())?;
    // Keeps it out of HPACK's tables and of tonic's own Debug output.
    value.set_sensitive(true);
    Ok(value)
}

/// What tells one state of a file from another without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileStamp {
    len: u64,
    modified: Option<SystemTime>,
    #[cfg(unix)]
    inode: (u64, u64),
    #[cfg(unix)]
    changed: (i64, i64),
}

impl FileStamp {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt;
        Self {
            len: metadata.len(),
            modified: metadata.modified().ok(),
            #[cfg(unix)]
            inode: (metadata.dev(), metadata.ino()),
            #[cfg(unix)]
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(token: &Token) -> String {
        token.header().unwrap().unwrap().to_str().unwrap().to_owned()
    }

    fn complaint(token: &Token) -> String {
        token.header().unwrap_err()
    }

    #[test]
    fn a_token_file_is_read_again_when_it_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, "first\n").unwrap();
        let token = Token::new(TokenSource::File(path.clone()));
        assert_eq!(text(&token), "Bearer first");

        fs::write(&path, "second, longer".replace(", ", "-")).unwrap();
        assert_eq!(text(&token), "Bearer second-longer");

        // The way secrets are rotated: a new file takes the place of the old one.
        let other = folder.path().join("other");
        fs::write(&other, "third\r\n").unwrap();
        fs::rename(&other, &path).unwrap();
        assert_eq!(text(&token), "Bearer third");
    }

    #[test]
    fn a_refused_token_is_read_again_even_if_the_file_looks_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, "good").unwrap();
        let token = Token::new(TokenSource::File(path.clone()));
        assert_eq!(text(&token), "Bearer good");

        // A file whose stamp says nothing: what is cached under it is wrong.
        let stamp = FileStamp::of(&fs::metadata(&path).unwrap());
        *token.cached.lock().unwrap() =
            Some(Cached { stamp: Some(stamp), header: bearer(b"stale").unwrap() });
        assert_eq!(text(&token), "Bearer stale");
        token.forget();
        assert_eq!(text(&token), "Bearer good");
    }

    #[test]
    fn a_token_file_that_cannot_be_used_says_why_and_recovers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let token = Token::new(TokenSource::File(path.clone()));
        assert!(complaint(&token).contains("No such file"), "{}", complaint(&token));

        fs::write(&path, "\n \n").unwrap();
        assert!(complaint(&token).contains("is empty"), "{}", complaint(&token));

        fs::write(&path, "sécret").unwrap();
        let said = complaint(&token);
        assert!(said.contains("at byte 2") && !said.contains("cret"), "{said}");

        fs::write(&path, vec![b'a'; 20_000]).unwrap();
        assert!(complaint(&token).contains("longer than"), "{}", complaint(&token));

        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(complaint(&token).contains("not a regular file"), "{}", complaint(&token));

        fs::remove_dir(&path).unwrap();
        fs::write(&path, "fine").unwrap();
        assert_eq!(text(&token), "Bearer fine");
    }

    #[test]
    fn no_debug_output_holds_the_token() {
        let source = TokenSource::Value("hush-hush".to_owned());
        let token = Token::new(source.clone());
        assert_eq!(text(&token), "Bearer hush-hush");
        let shown = format!("{source:?} {token:?} {:?}", token.header().unwrap().unwrap());
        assert!(!shown.contains("hush"), "{shown}");
    }

    #[test]
    fn a_value_with_a_space_in_it_is_no_token() {
        let said = complaint(&Token::new(TokenSource::Value("Bearer abc".to_owned())));
        assert!(said.contains("without \"Bearer\""), "{said}");
        assert!(!said.contains("abc"), "{said}");
    }
}
