//! Profiles: sets of sizes that belong together, chosen by one word.

use std::{fmt, time::Duration};

use crate::{Filter, Level};

/// A set of sizes that belong together. Single keys override what the profile says.
///
/// | profile | buffer | threshold | batch | timeout | bytes | levels |
/// |---|---:|---:|---:|---:|---:|---|
/// | `default` | 20000 | 18000 | 100 | 30 s | 32 MiB | INFO and above |
/// | `high-throughput` | 50000 | 45000 | 500 | 60 s | 80 MiB | INFO and above |
/// | `low-latency` | 5000 | 4000 | 50 | 5 s | 8 MiB | INFO and above |
/// | `minimal` | 2000 | 1800 | 25 | 30 s | 4 MiB | ERROR and above |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Profile {
    /// For most nodes.
    #[default]
    Default,
    /// For nodes with many events: larger batches, more memory.
    HighThroughput,
    /// For nodes whose events are watched as they happen: small batches, sent soon.
    LowLatency,
    /// For nodes with little memory, and for those who want to hear of trouble only: ERROR and CRITICAL, and ESSENTIAL,
    /// which is above CRITICAL and would be strange to miss.
    Minimal,
}

/// What a profile decides.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) buffer_size: usize,
    pub(super) buffer_bytes: usize,
    pub(super) flush_threshold: usize,
    pub(super) batch_size: usize,
    pub(super) batch_timeout: Duration,
    pub(super) min_level: Level,
}

const MIB: usize = 1024 * 1024;

impl Profile {
    /// Every profile.
    pub const ALL: &'static [Self] = &[Self::Default, Self::HighThroughput, Self::LowLatency, Self::Minimal];

    /// Its name in configuration files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::HighThroughput => "high-throughput",
            Self::LowLatency => "low-latency",
            Self::Minimal => "minimal",
        }
    }

    /// The events that it processes.
    pub fn filter(self) -> Filter {
        Filter::from_min_level(self.sizes().min_level)
    }

    /// Bytes are 1.6 KiB or more per event. Events measure a quarter of a KiB as a rule, so it is the count that fills
    /// first; the bound in bytes is there for the day somebody attaches a stack trace to each of them.
    pub(super) const fn sizes(self) -> Sizes {
        match self {
            Self::Default => Sizes {
                buffer_size: 20_000,
                buffer_bytes: 32 * MIB,
                flush_threshold: 18_000,
                batch_size: 100,
                batch_timeout: Duration::from_secs(30),
                min_level: Level::Info,
            },
            Self::HighThroughput => Sizes {
                buffer_size: 50_000,
                buffer_bytes: 80 * MIB,
                flush_threshold: 45_000,
                batch_size: 500,
                batch_timeout: Duration::from_secs(60),
                min_level: Level::Info,
            },
            Self::LowLatency => Sizes {
                buffer_size: 5_000,
                buffer_bytes: 8 * MIB,
                flush_threshold: 4_000,
                batch_size: 50,
                batch_timeout: Duration::from_secs(5),
                min_level: Level::Info,
            },
            Self::Minimal => Sizes {
                buffer_size: 2_000,
                buffer_bytes: 4 * MIB,
                flush_threshold: 1_800,
                batch_size: 25,
                batch_timeout: Duration::from_secs(30),
                min_level: Level::Error,
            },
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
