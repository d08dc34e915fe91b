//! Statistics: what an operator may ask the event system.

use std::{
    fmt,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use crate::{DropReason, DurabilityMode, accounts::Dropped, buffer::State};

/// A picture of the event system at one instant. The counters in it balance:
/// `accepted + adopted = delivered + in_memory + in_flight + on_disk + quarantined + dropped_total()`.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// Events taken over from the program since start: all that passed the filters.
    pub accepted: u64,
    /// Events that earlier processes left in the spool, counted as they are found, and those that they should have left and did not:
    /// these count as dropped at once.
    pub adopted: u64,
    /// Events that Toggle has acknowledged.
    pub delivered: u64,
    /// Events waiting in memory, those being written to disk included.
    pub in_memory: u64,
    /// Events in batches that are on their way to Toggle.
    pub in_flight: u64,
    /// Events in spill files, but for those of them that are in flight at the moment.
    pub on_disk: u64,
    /// Events set aside because they were damaged or refused.
    pub quarantined: u64,
    /// Events lost, by reason, category and level.
    pub dropped: Vec<Dropped>,
    /// Events that the filters did not want. They are not accepted.
    pub filtered: u64,
    /// Events emitted while there was no event system: before `initialize` or after `shutdown`. They are not accepted.
    pub not_initialized: u64,
    /// Values of metadata that were masked, because their keys smell of secrets. Their events are sent all the same.
    pub masked_metadata: u64,
    /// Texts that were cut, because they were longer than the schema's `max_len`: all that this process has encoded, whoever
    /// emitted them. Their events are sent all the same.
    pub texts_cut: u64,
    /// The same over all processes that ever used this spool.
    pub lifetime: LifetimeStats,
    /// The memory buffer.
    pub buffer: BufferStats,
    /// The spill files.
    pub spool: SpoolStats,
    /// What outlives the process.
    pub durability: DurabilityStats,
    /// The connection to Toggle.
    pub uplink: UplinkStats,
    /// The last thing that went wrong, in words. It stays when that is mended: `uplink`, `spool.broken` and `durability` tell
    /// how things are now.
    pub last_error: Option<String>,
    /// When that was, by the clock of the node.
    pub last_error_at: Option<SystemTime>,
    /// How often a part of the event system panicked and was restarted. No event is lost by that, but it is a bug: the log
    /// has its message.
    pub restarts: u64,
    /// Whether `shutdown` has been called.
    pub is_shutdown: bool,
}

impl Stats {
    /// All events lost, whatever the reason.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().map(|dropped| dropped.count).sum()
    }

    /// The events lost for one reason.
    pub fn dropped_for(&self, reason: DropReason) -> u64 {
        self.dropped.iter().filter(|dropped| dropped.reason == reason).map(|dropped| dropped.count).sum()
    }

    /// Whether every event is accounted for.
    pub fn balances(&self) -> bool {
        self.accepted + self.adopted
            == self.delivered
                + self.in_memory
                + self.in_flight
                + self.on_disk
                + self.quarantined
                + self.dropped_total()
    }
}

/// What became of all events that were ever accepted under a spool directory, by whichever process: the ledger that is kept there,
/// in `.accounts`.
///
/// `accepted = delivered + in_memory + in_flight + on_disk + quarantined + dropped_total()`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LifetimeStats {
    /// When the ledger was begun: milliseconds since the Unix epoch.
    pub since_ms: u64,
    /// Events accepted. Those in files that others put into the spool are counted as they are found.
    pub accepted: u64,
    /// Events that Toggle has acknowledged.
    pub delivered: u64,
    /// Events waiting in the memory of this process, those being written to disk included.
    pub in_memory: u64,
    /// Events in batches that are on their way to Toggle.
    pub in_flight: u64,
    /// Events in spill files and in segments of earlier processes. Until [`is_surveyed`](Self::is_surveyed), those that are
    /// still to be found are among them.
    pub on_disk: u64,
    /// Events set aside.
    pub quarantined: u64,
    /// Events lost, by reason, category and level.
    pub dropped: Vec<Dropped>,
    /// Whether all that earlier processes left has been found, and what is missing counted as lost. Takes as long as it takes to
    /// look at each file.
    pub is_surveyed: bool,
}

impl LifetimeStats {
    /// All events lost, whatever the reason.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().map(|dropped| dropped.count).sum()
    }

    /// The events lost for one reason.
    pub fn dropped_for(&self, reason: DropReason) -> u64 {
        self.dropped.iter().filter(|dropped| dropped.reason == reason).map(|dropped| dropped.count).sum()
    }

    /// Whether every event is accounted for.
    pub fn balances(&self) -> bool {
        self.accepted
            == self.delivered
                + self.in_memory
                + self.in_flight
                + self.on_disk
                + self.quarantined
                + self.dropped_total()
    }
}

/// The memory buffer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BufferStats {
    /// Events that wait to be sent or written.
    pub events: usize,
    /// Their size in bytes.
    pub bytes: usize,
    /// The most events it holds; on top comes a twentieth for `ERROR` and above.
    pub max_events: usize,
    /// The most bytes it holds, with the same on top.
    pub max_bytes: usize,
    /// At so many events the buffer is written to disk.
    pub flush_threshold: usize,
}

/// The spill files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpoolStats {
    /// Where they are.
    pub directory: PathBuf,
    /// How many there are.
    pub files: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// The most bytes they may have, together with segments: `spool_max_bytes`.
    pub max_bytes: u64,
    /// Events that were dropped from them to make room.
    pub thinned: u64,
    /// What an operator should know of the place: it is on a tmpfs, others may write to it, and so on; also, for as long as that
    /// holds, that the accounts cannot be kept there.
    pub concerns: Vec<String>,
    /// Files and segments of earlier processes that cannot be read or taken over at present, because the disk is full for instance. Their
    /// events count as on disk; they are tried again every minute.
    pub stuck: u64,
    /// How many spill files somebody else removed from the directory. Put back they are delivered; the events of one that is
    /// not there when its turn comes are lost, and counted as `VANISHED` then.
    pub missing: u64,
    /// Why the spool cannot be written to at present; `None` when it can.
    pub broken: Option<String>,
    /// How many events of the backlog are delivered in a second, of late; zero when there is no backlog, or nothing is
    /// known yet.
    pub drain_rate: u64,
    /// How long it will take at that rate until the backlog is delivered; `None` while that cannot be told.
    pub drain_eta: Option<Duration>,
}

/// What outlives the process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DurabilityStats {
    /// What is configured.
    pub mode: DurabilityMode,
    /// Why new events are kept in memory only, although more is configured; `None` while all is well.
    pub degraded: Option<String>,
    /// Events that were accepted in memory only since start, although more is configured.
    pub unprotected: u64,
    /// Bytes of the segments in which events wait, or which are ready for more. They count towards
    /// [`SpoolStats::max_bytes`] too.
    pub segment_bytes: u64,
}

/// The connection to Toggle.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct UplinkStats {
    /// Where Toggle is.
    pub target: String,
    /// How it goes.
    pub state: UplinkState,
    /// How long it has gone that way.
    pub since: Duration,
    /// Batches that Toggle has acknowledged.
    pub batches_delivered: u64,
    /// Attempts that failed.
    pub attempts_failed: u64,
}

/// How the connection to Toggle goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum UplinkState {
    /// Nothing has been sent yet.
    #[default]
    Idle,
    /// Toggle takes what it is sent.
    Up,
    /// Toggle cannot be reached or does not take batches; one batch at a time probes it.
    Away,
    /// Toggle asks for less (`RESOURCE_EXHAUSTED`); one batch at a time probes it, after growing pauses.
    Busy,
    /// Toggle does not accept the token, or there is none; probed with the token as it then is.
    Unauthenticated,
}

impl fmt::Display for UplinkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "idle",
            Self::Up => "up",
            Self::Away => "away",
            Self::Busy => "busy",
            Self::Unauthenticated => "unauthenticated",
        })
    }
}

/// What the delivery task says of itself, kept under the lock of the accounts.
#[derive(Debug, Default)]
pub(crate) struct Status {
    pub(crate) spool: SpoolStats,
    pub(crate) uplink: UplinkStats,
    pub(crate) uplink_since: Option<std::time::Instant>,
    last_error: Option<(String, SystemTime)>,
    pub(crate) restarts: u64,
    pub(crate) durability: DurabilityMode,
    /// Why the ledger cannot be kept on disk, as long as that holds.
    pub(crate) ledger_broken: Option<String>,
}

impl Status {
    /// Something went wrong just now.
    pub(crate) fn fail(&mut self, error: impl fmt::Display) {
        self.last_error = Some((error.to_string(), SystemTime::now()));
    }
}

impl State {
    /// The picture, without what is counted outside of the lock.
    pub(crate) fn stats(&self) -> Stats {
        let limits = self.limits();
        let mut spool = self.status.spool.clone();
        let drains = self.status.uplink.state == UplinkState::Up && spool.drain_rate > 0;
        spool.drain_eta =
            drains.then(|| Duration::from_secs(self.accounts.on_disk.div_ceil(spool.drain_rate)));
        spool.concerns.extend(self.status.ledger_broken.iter().map(|error| {
            format!("the accounts are kept in memory only, and end with this process: {error}; make room, or mend permissions")
        }));
        let mut uplink = self.status.uplink.clone();
        uplink.since = self.status.uplink_since.map(|since| since.elapsed()).unwrap_or_default();
        let (last_error, last_error_at) = self.status.last_error.clone().unzip();
        Stats {
            accepted: self.accounts.accepted(),
            adopted: self.accounts.adopted,
            delivered: self.accounts.delivered,
            in_memory: self.accounts.in_memory,
            in_flight: self.accounts.in_flight,
            on_disk: self.accounts.on_disk,
            quarantined: self.accounts.quarantined,
            dropped: self.accounts.dropped(),
            filtered: 0,
            not_initialized: 0,
            masked_metadata: 0,
            texts_cut: 0,
            lifetime: self.accounts.lifetime(),
            buffer: BufferStats {
                events: self.waiting_events(),
                bytes: self.waiting_bytes(),
                max_events: limits.events,
                max_bytes: limits.bytes,
                flush_threshold: limits.threshold,
            },
            spool,
            durability: DurabilityStats {
                mode: self.status.durability,
                degraded: self.pool.as_ref().and_then(|pool| pool.failure().map(str::to_owned)),
                unprotected: self.pool.as_ref().map_or(0, |pool| pool.unprotected()),
                segment_bytes: self.pool.as_ref().map_or(0, |pool| pool.segment_bytes()),
            },
            uplink,
            last_error,
            last_error_at,
            restarts: self.status.restarts,
            is_shutdown: self.is_closed(),
        }
    }
}
