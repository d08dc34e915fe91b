//! Tickets: what became of an event when it was emitted.

use std::fmt;

/// What became of an emitted event. Ignoring it is fine: whatever was dropped is counted.
///
/// Whoever must know that the event outlives a loss of power gives it to [`Events::wait`](crate::Events::wait).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket {
    outcome: Outcome,
    durable: bool,
    /// Which event system of the process gave it; zero for none.
    system: u32,
    place: Place,
}

/// Where an event stands in the order of events: the place of its chunk, its place there, and whether it is in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Place(u64);

/// The lower bits count within a chunk. A chunk holds at most 100,000 events; what is dropped out of the one that is being
/// filled may be replaced, until it was given [a million](Place::MOST_WITHIN).
const WITHIN_BITS: u32 = 20;

/// The bit that says that it is in a segment.
const KEPT: u64 = 1 << 63;

impl Place {
    /// No chunk is given more events than this, so that each has a place of its own.
    pub(crate) const MOST_WITHIN: u32 = (1 << WITHIN_BITS) - 1;

    #[inline]
    pub(crate) fn new(sequence: u64, within: u32, kept: bool) -> Self {
        let within = u64::from(within.min(Self::MOST_WITHIN));
        Self(sequence << WITHIN_BITS | within | if kept { KEPT } else { 0 })
    }

    /// As a number that increases from event to event.
    pub(crate) fn order(self) -> u64 {
        self.0 & !KEPT
    }

    /// The place of the chunk.
    pub(crate) fn sequence(self) -> u64 {
        self.order() >> WITHIN_BITS
    }

    /// The place within the chunk.
    pub(crate) fn within(self) -> u32 {
        (self.order() & u64::from(Self::MOST_WITHIN)) as u32
    }

    /// Whether the event is in a segment.
    pub(crate) fn is_kept(self) -> bool {
        self.0 & KEPT != 0
    }
}

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
    /// Its spill file was removed, or cut short, by somebody else before it was delivered.
    Vanished,
    /// It was still in memory when the shutdown deadline passed.
    Shutdown,
    /// Its schema says `DURABILITY_BEST_EFFORT`, and it would have had to go to disk.
    BestEffort,
    /// It was in memory only when an earlier process ended without a shutdown, or in a segment that was cut short after that: counted at
    /// the next start.
    ProcessEnded,
    /// Somebody deleted it from the spool with `events spool prune`.
    Pruned,
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
        Self::BestEffort,
        Self::ProcessEnded,
        Self::Pruned,
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
            Self::BestEffort => "best_effort",
            Self::ProcessEnded => "process_ended",
            Self::Pruned => "pruned",
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
    pub(crate) const FILTERED: Self = Self::new(Outcome::Filtered);

    const fn new(outcome: Outcome) -> Self {
        Self { outcome, durable: false, system: 0, place: Place(0) }
    }

    pub(crate) const fn queued(place: Place) -> Self {
        Self { outcome: Outcome::Queued, durable: false, system: 0, place }
    }

    /// The same from the event system of this number.
    pub(crate) const fn of(self, system: u32) -> Self {
        Self { system, ..self }
    }

    /// The number of the event system that gave it.
    pub(crate) const fn system(self) -> u32 {
        self.system
    }

    pub(crate) const fn place(self) -> Place {
        self.place
    }

    pub(crate) const fn with_durable(self) -> Self {
        Self { durable: true, ..self }
    }

    pub(crate) const fn dropped(reason: DropReason) -> Self {
        Self::new(Outcome::Dropped(reason))
    }

    /// What became of the event.
    pub const fn outcome(self) -> Outcome {
        self.outcome
    }

    /// Whether the event was on stable storage, or acknowledged by Toggle, when its emitter returned. Only the emitters of events
    /// whose schema says `DURABILITY_SYNC` wait for that, where the durability is `power`: for a sync of the event's segment or, where
    /// there is none or that fails or takes long, for Toggle or a spill file. When neither disk nor Toggle takes it within five seconds the event is
    /// queued like any other, and this says so; from then on emitters wait for nothing until something becomes safe again. Neither do
    /// they on the SDK's own threads, where an uplink may emit, for what those threads would have to do. One that had to make room for a
    /// graver event meanwhile is [dropped](Outcome::Dropped), and counted.
    pub const fn is_durable(self) -> bool {
        self.durable
    }

    /// Whether the event was accepted.
    pub const fn is_queued(self) -> bool {
        matches!(self.outcome, Outcome::Queued)
    }
}
