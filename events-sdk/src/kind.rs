//! A kind of event: what the generator knows of it, as constants.

use crate::Level;

/// How much is done so that an event outlives a crash, as the schema asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Durability {
    /// Kept in memory, and dropped rather than put on disk: it makes room for the others, and nothing on disk goes for it. A batch
    /// that was sent and holds other events too may still have to go to disk as it is: what Toggle may have stored is never changed.
    BestEffort,
    /// Kept in memory, and put on disk when Toggle is away or memory runs short.
    #[default]
    Spill,
    /// Where the configured durability is `power`, the emitter returns when the event is on stable storage or acknowledged by Toggle. It
    /// waits for that five seconds at most, and not at all after a wait in vain until something becomes safe:
    /// [`Ticket::is_durable`](crate::Ticket::is_durable) says which it was. Elsewhere as [`Spill`](Self::Spill).
    Sync,
}

/// One kind of event, as the schema declares it.
#[derive(Debug)]
pub struct Kind {
    /// The name of its emitter without `emit_`: `storage_pool`.
    pub name: &'static str,
    /// The full name of its payload message: `rodent.events.StoragePoolPayload`.
    pub payload: &'static str,
    /// The number of its category.
    pub category: u8,
    /// The name of its category, in lower case: `storage`.
    pub category_name: &'static str,
    /// Who reports: `Event.source`.
    pub source: &'static str,
    /// The level all its events have; `None` where the caller or the operation says it.
    pub level: Option<Level>,
    /// The payload's operation says the level.
    pub level_by_operation: bool,
    /// How much is done so that its events are not lost.
    pub durability: Durability,
    /// Who looks after it.
    pub owner: Option<&'static str>,
    /// The version of the program that emitted it first.
    pub since: Option<&'static str>,
    /// The encoded fields `category` and `source` of `Event`.
    #[doc(hidden)]
    pub head: &'static [u8],
    /// The tag of the category's field in `Event`.
    #[doc(hidden)]
    pub category_tag: &'static [u8],
    /// The tag of the payload's field in the category's message.
    #[doc(hidden)]
    pub kind_tag: &'static [u8],
}
