//! The table of all keys. Reading the file, reading the environment, suggestions, ranges and the documentation all come
//! from it, so that none of them can know of a key that the others do not.

use std::{fmt::Write as _, ops::RangeInclusive, path::PathBuf, time::Duration};

use super::{Config, value};
use crate::buffer::MAX_EVENT_BYTES;

/// One key under `events`.
pub(super) struct Key {
    /// Its name in the file, with a dot behind the name of a group: `toggle.endpoint`.
    pub(super) path: &'static str,
    pub(super) slot: Slot,
    /// What it does, for the documentation.
    pub(super) meaning: &'static str,
}

/// What kind of value a key takes, where in the configuration it goes, and what is allowed.
pub(super) enum Slot {
    Profile,
    Count(fn(&mut Config) -> &mut usize, RangeInclusive<usize>),
    Bytes(fn(&mut Config) -> &mut usize, RangeInclusive<usize>),
    Time(fn(&mut Config) -> &mut Duration, RangeInclusive<Duration>),
    Folder(fn(&mut Config) -> &mut PathBuf),
    File(fn(&mut Config) -> &mut Option<PathBuf>),
    /// A file that has a place of its own unless another one is given.
    KeyFile(fn(&mut Config) -> &mut PathBuf),
    Text(fn(&mut Config) -> &mut Option<String>),
    Token,
    TokenFile,
    Compression,
    Durability,
    Pii,
    MinLevel,
    Levels,
    Categories,
    /// A key of the earlier agent that has no meaning any more, and why.
    Retired(&'static str),
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const MILLISECOND: Duration = Duration::from_millis(1);
/// Nothing over a network is sure to be faster.
const TENTH: Duration = Duration::from_millis(100);
const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Ten million events are some 2 GB: beyond that the disk is the place for them.
const MAX_EVENTS: usize = 10_000_000;

/// Every key. Groups stay together, in the order of the documentation.
pub(super) static KEYS: &[Key] = &[
    Key {
        path: "profile",
        slot: Slot::Profile,
        meaning: "sizes that belong together; single keys override it",
    },
    Key {
        path: "buffer_size",
        // Two, because the threshold lies below it and is at least one.
        slot: Slot::Count(|config| &mut config.buffer_size, 2..=MAX_EVENTS),
        meaning: "how many events are in memory at most: waiting, being written, or failed; on top comes a twentieth for ERROR and above alone",
    },
    Key {
        path: "buffer_bytes",
        // One event of ordinary size must fit; and past 2 GiB the disk is the place.
        slot: Slot::Bytes(|config| &mut config.buffer_bytes, 4 * KIB..=2048 * MIB),
        meaning: "how many bytes of encoded events these are at most, with the same twentieth on top",
    },
    Key {
        path: "flush_threshold",
        slot: Slot::Count(|config| &mut config.flush_threshold, 1..=MAX_EVENTS),
        meaning: "how many waiting events are written to disk as one spill file; below `buffer_size`",
    },
    Key {
        path: "batch_size",
        // A batch is one message; a hundred thousand events of ordinary size are five times what gRPC accepts.
        slot: Slot::Count(|config| &mut config.batch_size, 1..=100_000),
        meaning: "how many events are sent as one message; at most `flush_threshold`",
    },
    Key {
        path: "batch_bytes",
        // 64 KiB hold many events. What is larger than the largest message would never be delivered.
        slot: Slot::Bytes(|config| &mut config.batch_bytes, 64 * KIB..=MAX_EVENT_BYTES),
        meaning: "how many bytes are sent as one message; gRPC servers refuse more than 4 MiB",
    },
    Key {
        path: "batch_timeout",
        // An hour: who wants to wait longer does not want events.
        slot: Slot::Time(|config| &mut config.batch_timeout, MILLISECOND..=seconds(3600)),
        meaning: "how old a batch grows before it is sent though it is not full; ERROR and above do not wait",
    },
    Key {
        path: "min_level",
        slot: Slot::MinLevel,
        meaning: "this level and everything above it is processed; not together with `enabled_levels`",
    },
    Key {
        path: "enabled_levels",
        slot: Slot::Levels,
        meaning: "exactly these levels are processed; not together with `min_level`",
    },
    Key {
        path: "enabled_categories",
        slot: Slot::Categories,
        meaning: "only these categories are processed, by name or by number",
    },
    Key {
        path: "spool_dir",
        slot: Slot::Folder(|config| &mut config.spool_dir),
        meaning: "where spill files lie; it needs to survive a restart of the node, so not a tmpfs",
    },
    Key {
        path: "spool_max_bytes",
        // A mebibyte holds a few thousand events; a tebibyte no node can deliver in a month.
        slot: Slot::Bytes(|config| &mut config.spool_max_bytes, MIB..=MIB * MIB),
        meaning: "how many bytes spill files and segments may have; beyond that the least grave of the oldest events go. At least 1MiB, \
                  twice `buffer_bytes`, and, unless `durability` is `memory`, four segments: 256KiB to 4MiB, by `batch_size`",
    },
    Key {
        path: "spool_min_free_bytes",
        slot: Slot::Bytes(|config| &mut config.spool_min_free_bytes, 0..=MIB * MIB),
        meaning: "how many bytes of the file system spill files and segments leave free",
    },
    Key {
        path: "quarantine_max_bytes",
        slot: Slot::Bytes(|config| &mut config.quarantine_max_bytes, 64 * KIB..=MIB * MIB),
        meaning: "how many bytes of disk the quarantine may have, in blocks of 4 KiB; beyond that the oldest of it goes",
    },
    Key {
        path: "durability",
        slot: Slot::Durability,
        meaning: "what an accepted event outlives: `memory`, nothing; `process`, the end of the process; `power`, a loss of power too",
    },
    Key {
        path: "sync_interval",
        // Faster than 10 ms a disk does nothing else; after an hour `process` is the better word for it.
        slot: Slot::Time(|config| &mut config.sync_interval, Duration::from_millis(10)..=seconds(3600)),
        meaning: "with `power`, how often what was emitted is brought to stable storage",
    },
    Key {
        path: "pii",
        slot: Slot::Pii,
        meaning: "what becomes of fields that hold personal data, on the wire and on disk: `keep`, `hash` (with this node's key) or `drop`",
    },
    Key {
        path: "pii_key_file",
        slot: Slot::KeyFile(|config| &mut config.pii_key_file),
        meaning: "the key that `pii: hash` hashes with; made at the first start, mode 0600; with another key all hashes change",
    },
    Key {
        path: "max_in_flight",
        // Four keep a connection busy; past 64 the order of arrival is the only thing that changes.
        slot: Slot::Count(|config| &mut config.max_in_flight, 1..=64),
        meaning: "how many batches are under way to Toggle at once",
    },
    Key {
        path: "retry_initial",
        slot: Slot::Time(|config| &mut config.retry_initial, MILLISECOND..=seconds(60)),
        meaning: "pause before the first retry; it doubles from there, with jitter, without end",
    },
    Key {
        path: "retry_max",
        // An hour: an agent that is quiet for longer after an outage looks broken.
        slot: Slot::Time(|config| &mut config.retry_max, MILLISECOND..=seconds(3600)),
        meaning: "longest pause between retries",
    },
    Key {
        path: "toggle.endpoint",
        slot: Slot::Text(|config| &mut config.toggle.endpoint),
        meaning: "Toggle's gRPC address, `https://host:port`; `http://` is for development",
    },
    Key {
        path: "toggle.token",
        slot: Slot::Token,
        meaning: "the JWT that Toggle knows this node by; a file is better, as it can be renewed",
    },
    Key {
        path: "toggle.token_file",
        slot: Slot::TokenFile,
        meaning: "file with the JWT, read again when it changes; not together with `toggle.token`",
    },
    Key {
        path: "toggle.ca_file",
        slot: Slot::File(|config| &mut config.toggle.ca_file),
        meaning: "certificates (PEM) to trust instead of the system's",
    },
    Key {
        path: "toggle.client_cert_file",
        slot: Slot::File(|config| &mut config.toggle.client_cert_file),
        meaning: "certificate (PEM) to show to Toggle; together with `toggle.client_key_file`",
    },
    Key {
        path: "toggle.client_key_file",
        slot: Slot::File(|config| &mut config.toggle.client_key_file),
        meaning: "private key (PEM) of that certificate",
    },
    Key {
        path: "toggle.domain",
        slot: Slot::Text(|config| &mut config.toggle.domain),
        meaning: "name that Toggle's certificate must carry, when it is not the endpoint's host",
    },
    Key {
        path: "toggle.compression",
        slot: Slot::Compression,
        meaning: "compression of what is sent: `none`, or `gzip` or `zstd` where the program was built with the feature of that name",
    },
    Key {
        path: "toggle.timeout",
        // Below 100 ms a healthy Toggle far away looks dead; after ten minutes nobody is answering.
        slot: Slot::Time(|config| &mut config.toggle.timeout, TENTH..=seconds(600)),
        meaning: "how long Toggle may take to answer for one batch before the attempt counts as failed",
    },
    Key {
        path: "toggle.connect_timeout",
        slot: Slot::Time(|config| &mut config.toggle.connect_timeout, TENTH..=seconds(600)),
        meaning: "how long a connection may take to come about",
    },
    Key {
        path: "toggle.keepalive_interval",
        // gRPC servers turn away clients that ping more often than every few seconds.
        slot: Slot::Time(|config| &mut config.toggle.keepalive_interval, seconds(5)..=seconds(3600)),
        meaning: "how long a connection may be silent before it is probed",
    },
    Key {
        path: "toggle.keepalive_timeout",
        slot: Slot::Time(|config| &mut config.toggle.keepalive_timeout, TENTH..=seconds(600)),
        meaning: "how long the answer to a probe may take before the connection counts as dead",
    },
    Key {
        path: "max_retry_attempts",
        slot: Slot::Retired(
            "sending is never given up, however often it fails; `retry_max` bounds the pause between attempts",
        ),
        meaning: "",
    },
    Key {
        path: "retry_backoff_base",
        slot: Slot::Retired("the first pause is `retry_initial` now"),
        meaning: "",
    },
    Key {
        path: "max_file_size",
        slot: Slot::Retired("a spill file holds what was waiting in memory, which `buffer_bytes` bounds"),
        meaning: "",
    },
];

/// Keys that say two things about one matter.
pub(super) const RIVALS: [(&str, &str); 2] =
    [("min_level", "enabled_levels"), ("toggle.token", "toggle.token_file")];

impl Key {
    /// The group it belongs to (empty at the top) and its name there.
    pub(super) fn group_and_name(&self) -> (&'static str, &'static str) {
        self.path.split_once('.').unwrap_or(("", self.path))
    }

    /// Whether it does anything, unlike the keys that are only tolerated.
    pub(super) fn is_in_use(&self) -> bool {
        !matches!(self.slot, Slot::Retired(_))
    }

    /// The environment variable that overrides it.
    pub(super) fn variable(&self) -> String {
        format!("{}{}", super::env::PREFIX, self.path.replace('.', "_").to_uppercase())
    }

    /// What its value is measured in or made of.
    fn unit(&self) -> &'static str {
        match &self.slot {
            Slot::Count(..) if self.path == "max_in_flight" => "batches",
            Slot::Count(..) => "events",
            Slot::Bytes(..) => "bytes",
            Slot::Time(..) => "time",
            Slot::Folder(_) | Slot::File(_) | Slot::KeyFile(_) | Slot::TokenFile => "path",
            Slot::Profile | Slot::Compression | Slot::Durability | Slot::Pii => "name",
            Slot::Text(_) | Slot::Token => "text",
            Slot::MinLevel => "level",
            Slot::Levels => "levels",
            Slot::Categories => "categories",
            Slot::Retired(_) => "",
        }
    }

    /// What kind of value is expected, for an error text.
    pub(super) fn expected(&self) -> String {
        let default = self.shown(&Config::default());
        match &self.slot {
            Slot::Count(..) => format!("a whole number of {}, such as {default}", self.unit()),
            Slot::Bytes(..) => {
                format!("a number of bytes or a size with a unit (KiB, MiB, GiB), such as {default}")
            }
            Slot::Time(..) => "whole seconds or a time with a unit, such as 500ms, 30s or 2m".to_owned(),
            Slot::Profile => "one of default, high-throughput, low-latency, minimal".to_owned(),
            Slot::Compression => "one of none, gzip, zstd".to_owned(),
            Slot::Durability => "one of memory, process, power".to_owned(),
            Slot::Pii => "one of keep, hash, drop".to_owned(),
            Slot::Folder(_) | Slot::File(_) | Slot::KeyFile(_) | Slot::TokenFile => "a path".to_owned(),
            Slot::Text(_) | Slot::Token | Slot::Retired(_) => "text".to_owned(),
            Slot::MinLevel => "a level, such as INFO".to_owned(),
            Slot::Levels => "a list of levels, such as [INFO, WARN]".to_owned(),
            Slot::Categories => "a list of categories, such as [storage, system]".to_owned(),
        }
    }

    /// Its value in `config`, if it has one and it may be shown.
    pub(super) fn shown(&self, config: &Config) -> String {
        let none = || "none".to_owned();
        let mut config = config.clone();
        match &self.slot {
            Slot::Count(at, _) => at(&mut config).to_string(),
            Slot::Bytes(at, _) => value::show_bytes(*at(&mut config)),
            Slot::Time(at, _) => value::show_time(*at(&mut config)),
            Slot::Folder(at) | Slot::KeyFile(at) => at(&mut config).display().to_string(),
            Slot::File(at) => at(&mut config).as_ref().map_or_else(none, |path| path.display().to_string()),
            Slot::Text(at) => at(&mut config).clone().unwrap_or_else(none),
            Slot::Profile => config.profile.name().to_owned(),
            Slot::Compression => config.toggle.compression.name().to_owned(),
            Slot::Durability => config.durability.name().to_owned(),
            Slot::Pii => config.pii.name().to_owned(),
            Slot::Token | Slot::TokenFile => none(),
            Slot::MinLevel | Slot::Levels | Slot::Categories => "by profile".to_owned(),
            Slot::Retired(_) => String::new(),
        }
    }
}

/// The documentation of all keys, as Markdown.
pub(super) fn reference() -> String {
    let defaults = Config {
        spool_dir: PathBuf::from("{config dir}/events"),
        pii_key_file: PathBuf::from("{config dir}/pii.key"),
        ..Config::default()
    };
    let mut text = String::from("| key | default | unit | meaning |\n|---|---|---|---|\n");
    let mut retired = String::new();
    for key in KEYS {
        // Writing to a String does not fail.
        let _ = match &key.slot {
            Slot::Retired(why) => writeln!(retired, "* `{}`: {why}.", key.path),
            _ => {
                let default = key.shown(&defaults);
                writeln!(text, "| `{}` | {default} | {} | {} |", key.path, key.unit(), key.meaning)
            }
        };
    }
    text + "\nKeys of the earlier agent that are accepted, with a warning, and do nothing:\n\n" + &retired
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::config::layer;

    #[test]
    fn no_two_keys_share_a_spelling_or_a_variable() {
        let mut seen = HashSet::new();
        for key in KEYS {
            for spelling in HashSet::from([key.path.to_owned(), layer::camel_case(key.path)]) {
                assert!(seen.insert(spelling.clone()), "{spelling}");
            }
            for variable in super::super::env::spellings(key) {
                assert!(seen.insert(variable.clone()), "{variable}");
            }
        }
    }

    #[test]
    fn every_default_lies_in_its_range() {
        Config::default().validate().unwrap();
    }

    #[test]
    fn every_key_is_documented() {
        let reference = reference();
        for key in KEYS {
            assert!(reference.contains(&format!("`{}`", key.path)), "{}", key.path);
            assert_ne!(key.meaning.is_empty(), !matches!(key.slot, Slot::Retired(_)), "{}", key.path);
        }
    }
}
