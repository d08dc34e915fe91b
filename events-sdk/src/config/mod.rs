//! Configuration: what an operator writes in `rodent.yml`, and what a program puts together itself.
//!
//! Owns the meaning, the defaults and the limits of every setting. Guarantees that a configuration which loads makes
//! sense as a whole, that nothing in the file or the environment is ignored silently, and that all mistakes are reported
//! at once, each with its line. Acting on the settings is left to the runtime and the uplink.
//!
//! The way of a setting: [`yaml`] and [`env`] read text, [`layer`] finds the key, [`settle`] gives it its meaning on top
//! of the [`profile`] and checks the whole. All of them follow the one table in [`keys`].

mod check;
mod env;
mod error;
mod filter;
#[cfg(test)]
mod fuzz;
mod keys;
mod layer;
mod profile;
mod settle;
mod value;
mod yaml;

use std::{
    ffi::OsString,
    fmt, fs, io,
    io::Read as _,
    path::{Path, PathBuf},
    time::Duration,
};

pub use error::{ConfigError, ConfigErrorKind, Place, Problem};
pub use filter::{FILTER_CATEGORIES, Filter};
pub use profile::Profile;

#[cfg(feature = "cli")]
pub(crate) use value::nearest;

use crate::uplink;

/// The file inside the configuration directory.
pub(crate) const FILE_NAME: &str = "rodent.yml";

/// The folder of spill files inside the configuration directory.
const SPOOL_FOLDER: &str = "events";

/// Where the agent keeps its configuration unless it says otherwise.
pub(crate) const DEFAULT_CONFIG_DIR: &str = "/etc/rodent";

/// The key for hashes of personal data inside the configuration directory: beside the spool, where nobody who tidies up
/// among spill files meets it.
const PII_KEY_FILE: &str = "pii.key";

/// A configuration is written by hand; a file of more than a mebibyte is some other file.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// How events are buffered, kept and delivered.
///
/// [`Config::load`] reads it from `rodent.yml` and the environment. A program may also put it together:
///
/// ```
/// use events_sdk::{Config, Profile};
///
/// let config = Config {
///     spool_dir: "/var/lib/rodent/events".into(),
///     ..Config::profile(Profile::LowLatency)
/// };
/// config.validate()?;
/// # Ok::<(), events_sdk::ConfigError>(())
/// ```
///
/// Fields will be added: end with `..Config::default()` or `..Config::profile(…)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The profile that the sizes below come from. Changing it here changes nothing else: [`Config::profile`] does.
    pub profile: Profile,
    /// How many events are in memory at most: waiting, being written to disk, or failed and not there yet. On top comes a twentieth for
    /// events of `ERROR` and above, so that they find a place while all others are on their way. Those in flight are not among them.
    /// Default: 20,000.
    pub buffer_size: usize,
    /// How many bytes of encoded events these are at most, with the same twentieth on top for `ERROR` and above. Those in flight come on
    /// top as well. Default: 32 MiB.
    pub buffer_bytes: usize,
    /// How many waiting events are written to disk as one spill file, so that there is always room for more. Below
    /// `buffer_size`. Default: 18,000.
    pub flush_threshold: usize,
    /// How many events are sent as one message. At most `flush_threshold`. Default: 100.
    pub batch_size: usize,
    /// How many bytes are sent as one message. gRPC servers refuse more than 4 MiB. Default: 3 MiB.
    pub batch_bytes: usize,
    /// How old a batch grows before it is sent though it is not full. ERROR and above do not wait. Default: 30 s.
    pub batch_timeout: Duration,
    /// Which events are processed at all. Default: INFO and above, in every category.
    pub filter: Filter,
    /// Where spill files lie. It needs to survive a restart of the node. Default: `/etc/rodent/events`.
    pub spool_dir: PathBuf,
    /// How many bytes spill files and segments may have together. Beyond that the least grave of the oldest events are dropped.
    /// At least 1 MiB, twice `buffer_bytes`, and, unless `durability` is `memory`, four segments: 256 KiB to 4 MiB, by
    /// `batch_size`. Default: 2 GiB.
    pub spool_max_bytes: usize,
    /// How many bytes of the file system spill files and segments leave free. Default: 128 MiB.
    pub spool_min_free_bytes: usize,
    /// How many bytes of disk the quarantine may have, in blocks of 4 KiB. Beyond that the oldest of it is removed. Default: 64 MiB.
    pub quarantine_max_bytes: usize,
    /// What an accepted event outlives. Default: memory.
    pub durability: DurabilityMode,
    /// With the durability `power`, how often what was emitted is brought to stable storage. Default: 1 s.
    pub sync_interval: Duration,
    /// What is done with personal data in payloads before an event is buffered. Default: it is kept.
    pub pii: Pii,
    /// Where the key lies that personal data is hashed with, if it is. It is made when there is none. Default:
    /// `/etc/rodent/pii.key`.
    pub pii_key_file: PathBuf,
    /// How many batches are under way to Toggle at once. Default: 4.
    pub max_in_flight: usize,
    /// Pause before the first retry. It doubles from there, with jitter, without end. Default: 200 ms.
    pub retry_initial: Duration,
    /// Longest pause between retries. Default: 10 s.
    pub retry_max: Duration,
    /// The way to Toggle.
    pub toggle: ToggleConfig,
}

/// How Toggle is reached.
#[derive(Debug, Clone, PartialEq)]
pub struct ToggleConfig {
    /// Toggle's gRPC address: `https://host:port`, or `http://host:port` for development. Default: none.
    pub endpoint: Option<String>,
    /// What proves to Toggle which node this is. Default: none.
    pub token: TokenSource,
    /// Certificates in PEM form to trust instead of the system's. Default: none.
    pub ca_file: Option<PathBuf>,
    /// Certificate in PEM form to show to Toggle, together with its key. Default: none.
    pub client_cert_file: Option<PathBuf>,
    /// Private key in PEM form of that certificate. Default: none.
    pub client_key_file: Option<PathBuf>,
    /// Name that Toggle's certificate must carry, when it is not the endpoint's host. Default: none.
    pub domain: Option<String>,
    /// Compression of what is sent. Default: none.
    pub compression: Compression,
    /// How long Toggle may take to answer for one batch before the attempt counts as failed. Default: 10 s.
    pub timeout: Duration,
    /// How long a connection may take to come about. Default: 5 s.
    pub connect_timeout: Duration,
    /// How long a connection may be silent before it is probed. Default: 30 s.
    pub keepalive_interval: Duration,
    /// How long the answer to a probe may take before the connection counts as dead. Default: 5 s.
    pub keepalive_timeout: Duration,
}

/// Where the token comes from that Toggle knows this node by.
#[derive(Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum TokenSource {
    /// There is none: calls carry no `authorization`.
    #[default]
    None,
    /// The token itself. It never shows in debug output, logs or errors.
    Value(String),
    /// A file that holds the token. It is read again when it changes, so that a token can be renewed without a restart.
    File(PathBuf),
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Value(_) => f.write_str("Value(***)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

/// What is done with the fields that the schema marks as personal data. It holds for all that leaves the emitter: Toggle,
/// spill files and memory.
///
/// | the field holds | [`Hash`](Self::Hash) makes of it | [`Drop`](Self::Drop) |
/// |---|---|---|
/// | a text | `pii:` and 32 hexadecimal digits; an empty text stays empty | left out |
/// | bytes | 16 bytes; none stay none | left out |
/// | a map from texts | the same map with hashes of the names, and of values that are text or bytes; other values are left out | left out |
/// | a wrapper of text or bytes | the same wrapper with the hash | left out |
/// | anything else: a number, an enum, a message, a map from numbers | left out | left out |
///
/// A field that is left out reads as its default; one that proto2 calls `required` is sent empty instead. A hash is as long
/// as that, whatever `max_len` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Pii {
    /// It is sent as it is.
    #[default]
    Keep,
    /// It is replaced by the first 128 bits of its HMAC-SHA256 under the node's own key: the same value gives the same
    /// hash on one node, and another one on any other.
    Hash,
    /// It is left out.
    Drop,
}

impl Pii {
    /// Every way.
    pub const ALL: &'static [Self] = &[Self::Keep, Self::Hash, Self::Drop];

    /// Its name in configuration files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Hash => "hash",
            Self::Drop => "drop",
        }
    }
}

/// Compression of what is sent to Toggle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Compression {
    /// Bytes go as they are.
    #[default]
    None,
    /// gzip, which every gRPC server reads. Needs the feature `gzip`.
    Gzip,
    /// Zstandard: smaller and faster, where the server reads it. Needs the feature `zstd`.
    Zstd,
}

impl Compression {
    /// Every compression, whether it is built in or not.
    pub const ALL: &'static [Self] = &[Self::None, Self::Gzip, Self::Zstd];

    /// Its name in configuration files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// Whether this build of the library can do it.
    pub const fn is_built_in(self) -> bool {
        match self {
            Self::None => true,
            Self::Gzip => cfg!(feature = "gzip"),
            Self::Zstd => cfg!(feature = "zstd"),
        }
    }
}

/// What an accepted event outlives before it is delivered or in a spill file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum DurabilityMode {
    /// Nothing: a process that is killed takes with it what is only in memory. The disk is used when Toggle is away.
    #[default]
    Memory,
    /// The process, however it ends: from the moment its emitter returns, an event is in a memory-mapped file that the next
    /// start reads. No system call is made for it.
    Process,
    /// The process, and a loss of power too, from the next sync on: at [`Config::sync_interval`], and before the emitter
    /// returns for events whose schema says `DURABILITY_SYNC`, unless their ticket says otherwise.
    Power,
}

impl DurabilityMode {
    /// Every one.
    pub const ALL: &'static [Self] = &[Self::Memory, Self::Process, Self::Power];

    /// Its name in configuration files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Process => "process",
            Self::Power => "power",
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::profile(Profile::Default)
    }
}

impl Default for ToggleConfig {
    fn default() -> Self {
        Self {
            endpoint: None,
            token: TokenSource::None,
            ca_file: None,
            client_cert_file: None,
            client_key_file: None,
            domain: None,
            compression: Compression::None,
            timeout: uplink::DEFAULT_TIMEOUT,
            connect_timeout: uplink::DEFAULT_CONNECT_TIMEOUT,
            keepalive_interval: uplink::DEFAULT_KEEPALIVE_INTERVAL,
            keepalive_timeout: uplink::DEFAULT_KEEPALIVE_TIMEOUT,
        }
    }
}

impl Config {
    /// The configuration that a profile stands for.
    pub fn profile(profile: Profile) -> Self {
        let sizes = profile.sizes();
        Self {
            profile,
            buffer_size: sizes.buffer_size,
            buffer_bytes: sizes.buffer_bytes,
            flush_threshold: sizes.flush_threshold,
            batch_size: sizes.batch_size,
            // A quarter below the 4 MiB that servers accept: room for the trailer, and for servers that count frames.
            batch_bytes: 3 << 20,
            batch_timeout: sizes.batch_timeout,
            filter: profile.filter(),
            spool_dir: Path::new(DEFAULT_CONFIG_DIR).join(SPOOL_FOLDER),
            // Some ten million events: a node that reports a hundred a second is covered for more than a day.
            spool_max_bytes: 2 << 30,
            // Enough for the logs and the temporary files of whoever comes to clean up.
            spool_min_free_bytes: 128 << 20,
            quarantine_max_bytes: 64 << 20,
            durability: DurabilityMode::Memory,
            sync_interval: Duration::from_secs(1),
            pii: Pii::Keep,
            pii_key_file: Path::new(DEFAULT_CONFIG_DIR).join(PII_KEY_FILE),
            max_in_flight: 4,
            retry_initial: Duration::from_millis(200),
            retry_max: Duration::from_secs(10),
            toggle: ToggleConfig::default(),
        }
    }

    /// Reads the key `events` of `{config_dir}/rodent.yml`, if the file exists, and the environment on top of it.
    ///
    /// Spill files go to `{config_dir}/events` unless the configuration says otherwise. Relative paths are relative to
    /// `config_dir`. Warnings go to the log.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, and when anything in it or in the environment makes no sense. The error lists
    /// everything that is wrong.
    pub fn load(config_dir: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let config_dir = config_dir.as_ref();
        let file = config_dir.join(FILE_NAME);
        let text = read_file(&file).map_err(|source| ConfigError::unreadable(file, source))?;
        let (config, warnings) = Self::from_yaml(config_dir, &text, std::env::vars_os())?;
        for warning in &warnings {
            tracing::warn!("{warning}");
        }
        Ok(config)
    }

    /// What [`Config::load`] would make of a `rodent.yml` with this text and of these environment variables, with its
    /// warnings. Reads nothing else.
    ///
    /// ```
    /// use events_sdk::Config;
    ///
    /// let yaml = "events:\n  profile: low-latency\n  batch_size: 200\n";
    /// let (config, warnings) = Config::from_yaml("/etc/rodent", yaml, [("RODENT_EVENTS_BATCH_TIMEOUT", "2s")])?;
    /// assert_eq!((config.buffer_size, config.batch_size, config.batch_timeout.as_secs()), (5000, 200, 2));
    /// assert!(warnings.is_empty());
    ///
    /// let error = Config::from_yaml("/etc/rodent", "events: {bach_size: 1}", [("", "")]).unwrap_err();
    /// assert!(error.to_string().contains("did you mean `batch_size`?"));
    /// # Ok::<(), events_sdk::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When anything makes no sense. The error lists everything that is wrong.
    pub fn from_yaml(
        config_dir: impl AsRef<Path>,
        text: &str,
        variables: impl IntoIterator<Item = (impl Into<OsString>, impl Into<OsString>)>,
    ) -> Result<(Self, Vec<Problem>), ConfigError> {
        let config_dir = config_dir.as_ref();
        let file = layer::from_yaml(&config_dir.join(FILE_NAME), text);
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        settle::settle(config_dir, file, env::from_env(variables))
    }

    /// Checks that the settings make sense, one by one and together. What [`Config::load`] returns does.
    ///
    /// # Errors
    ///
    /// When they do not. The error lists everything that is wrong.
    pub fn validate(&self) -> Result<(), ConfigError> {
        match check::check(self, &check::Origins::default()) {
            problems if problems.is_empty() => Ok(()),
            problems => Err(ConfigError::invalid(problems)),
        }
    }

    /// The documentation of every key in `rodent.yml`, as a Markdown table.
    pub fn reference() -> String {
        keys::reference()
    }
}

/// The text of the file. A file that is not there is empty.
fn read_file(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    match fs::File::open(file) {
        Ok(open) => open.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(text),
        Err(error) => return Err(error),
    };
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the file is larger than 1 MiB"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn profiles_have_the_sizes_of_the_design() {
        let sizes = |profile| {
            let config = Config::profile(profile);
            config.validate().unwrap();
            (config.buffer_size, config.flush_threshold, config.batch_size, config.batch_timeout.as_secs())
        };
        assert_eq!(sizes(Profile::Default), (20_000, 18_000, 100, 30));
        assert_eq!(sizes(Profile::HighThroughput), (50_000, 45_000, 500, 60));
        assert_eq!(sizes(Profile::LowLatency), (5_000, 4_000, 50, 5));
        assert_eq!(sizes(Profile::Minimal), (2_000, 1_800, 25, 30));
        assert_eq!(Config::default(), Config::profile(Profile::Default));
    }

    #[test]
    fn a_directory_without_a_file_gives_the_defaults() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config::load(dir.path()).unwrap();
        let (spool_dir, pii_key_file) = (dir.path().join("events"), dir.path().join("pii.key"));
        assert_eq!(config, Config { spool_dir, pii_key_file, ..Config::default() });
    }

    #[test]
    fn a_file_is_read_and_its_mistakes_carry_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("rodent.yml");
        fs::write(&file, "events: {batchSize: 7}\n").unwrap();
        assert_eq!(Config::load(dir.path()).unwrap().batch_size, 7);
        fs::write(&file, "events: {batchSize: x}\n").unwrap();
        let text = Config::load(dir.path()).unwrap_err().to_string();
        assert!(text.contains(&format!("{}:1: `batch_size` must be", file.display())), "{text}");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_an_error_with_its_cause() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("rodent.yml");
        for (content, what) in
            [(vec![0xff], "is not UTF-8 text"), (vec![b'#'; 2 << 20], "is larger than 1 MiB")]
        {
            fs::write(&file, content).unwrap();
            let error = Config::load(dir.path()).unwrap_err();
            assert_eq!(error.kind(), ConfigErrorKind::Unreadable);
            assert!(error.source().is_some() && error.problems().is_empty());
            assert!(error.to_string().contains(&format!("rodent.yml {what}")), "{error}");
        }
    }

    #[test]
    fn a_token_never_shows() {
        let token = TokenSource::Value("eyJhbGciOi".to_owned());
        let config = Config { toggle: ToggleConfig { token, ..Default::default() }, ..Default::default() };
        assert!(!format!("{config:?}").contains("eyJ"));
    }
}
