//! Tickets: what became of an event when it was emitted.

use std::fmt;

/// What became of an emitted event. Ignoring it is fine: whatever was dropped is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket(Outcome);

/// The ways an emit can end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The event was accepted and is on its way.
    Queued,
    /// The configuration does not want events of this level or category.
    Filtered,
    /// The event is gone, and counted.
    Dropped(DropReason),
}

/// Why an event was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// Memory was full, and the disk did not take events over: this one was the least grave.
    BufferFull,
    /// The event alone is larger than the largest message that Toggle accepts.
    TooLarge,
    /// The metadata changed while it was being encoded.
    Encoding,
    /// The spool was full, and this was among the least grave and oldest events in it.
    SpoolFull,
    /// It was in the quarantine, which was full, and among the oldest there.
    QuarantineFull,
    /// Its spill file was removed by somebody else before it was delivered.
    Vanished,
    /// It was still in memory when the shutdown deadline passed.
    Shutdown,
    /// There was no event system: `initialize` had not been called, or `shutdown` had.
    NotInitialized,
}

impl DropReason {
    /// Every reason.
    pub const ALL: &'static [Self] = &[
        Self::BufferFull,
        Self::TooLarge,
        Self::Encoding,
        Self::SpoolFull,
        Self::QuarantineFull,
        Self::Vanished,
        Self::Shutdown,
        Self::NotInitialized,
    ];

    /// Its name in lower case with underscores, as in logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BufferFull => "buffer_full",
            Self::TooLarge => "too_large",
            Self::Encoding => "encoding",
            Self::SpoolFull => "spool_full",
            Self::QuarantineFull => "quarantine_full",
            Self::Vanished => "vanished",
            Self::Shutdown => "shutdown",
            Self::NotInitialized => "not_initialized",
        }
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Ticket {
    pub(crate) const QUEUED: Self = Self(Outcome::Queued);
    pub(crate) const FILTERED: Self = Self(Outcome::Filtered);

    pub(crate) const fn dropped(reason: DropReason) -> Self {
        Self(Outcome::Dropped(reason))
    }

    /// What became of the event.
    pub const fn outcome(self) -> Outcome {
        self.0
    }

    /// Whether the event was accepted.
    pub const fn is_queued(self) -> bool {
        matches!(self.0, Outcome::Queued)
    }
}
