//! `emit!`, and what its expansion names: checks that run while the calling program is compiled.
//!
//! The grammar and the expansion are the business of `events-macros`. Here the path to this crate is added, so that a
//! program may know it by any name.

use crate::{Events, Kind, Level, Ticket};

/// Emits an event: `emit!(kind, level, { fields }, { metadata })`.
///
/// ```
/// use events_sdk::emit;
///
/// # fn created(name: &str, size: i64, node: String) {
/// emit!(storage_pool, warn, { pool_name: name, operation: Created, size_bytes: size }, {
///     "component" => "zfs",
///     "node" => node,
/// });
/// # }
/// ```
///
/// This is [`emit_storage_pool`](crate::emit_storage_pool) with a
/// [`StoragePoolPayload`](crate::payload::StoragePoolPayload), checked by the compiler as that call is, with two
/// differences: nothing but level and handle is evaluated when nobody wants the event, and a required field that is left
/// out is an error that names it. The value is the [`Ticket`](crate::Ticket).
///
/// ```compile_fail
/// # let name = "tank";
/// events_sdk::emit!(storage_pool, warn, { pool_name: name });
/// // error: storage_pool needs `operation`: one of Created, Deleted, Expanded, …
/// ```
///
/// # Kind
///
/// The emitter's name without `emit_`. Kinds of a schema of your own are named by the path of the module that holds the
/// generated code: `emit!(crate::acme::storage_backup, info, { … })`.
///
/// # Level
///
/// The name of a [`Level`](crate::Level) in lower case, or any other expression; a variable stands in parentheses. A kind
/// with a level of its own has no place for one, and neither has a kind whose operation says the level. Of the latter
/// nothing is evaluated for an unwanted event where `operation` is the name of a variant; any other expression has to be
/// evaluated to know its level, and the other fields are with it, unless its category is off altogether.
///
/// ```
/// use events_sdk::{Level, emit};
///
/// # fn report(level: Level, degraded: bool) {
/// emit!(storage_pool, critical, { operation: Exported });
/// emit!(storage_pool, (level), { operation: Exported });
/// emit!(storage_pool, if degraded { Level::Warn } else { Level::Info }, { operation: Exported });
/// emit!(system_startup, { operation: Registered });
/// # }
/// ```
///
/// # Fields
///
/// `name: value`, or `name` alone for a variable that is called so. For a field that holds an enum a name in camel case
/// is one of its variants. Everything else is an ordinary expression: `pool.operation()`, `POOL`, `None`,
/// `StoragePoolOperation::Created`. Fields that are left out are empty.
///
/// ```
/// use events_sdk::{emit, payload::StoragePoolOperation};
///
/// # fn scrubbed(pool_name: &str, done: bool) {
/// let operation = if done { StoragePoolOperation::ScrubCompleted } else { StoragePoolOperation::ScrubStarted };
/// emit!(storage_pool, info, { pool_name, operation, devices: &["sda", "sdb"] });
/// # }
/// ```
///
/// # Metadata
///
/// Pairs `key => value` of anything that is text ([`AsRef<str>`]), each of its own type; or one expression that is
/// [`Metadata`](crate::Metadata) as a whole. It may be left out.
///
/// ```
/// use std::{collections::HashMap, sync::Arc};
/// use events_sdk::emit;
///
/// # fn transferred(id: String, host: Arc<str>, labels: HashMap<String, String>) {
/// emit!(storage_transfer, info, { operation: Completed }, { "transfer_id" => id, "host" => host });
/// emit!(storage_transfer, info, { operation: Completed }, &labels);
/// # }
/// ```
///
/// # Handle
///
/// `on` and an expression before the kind: the event goes to that [`Events`](crate::Events) instead of the event system
/// of the process. Whatever derefs to it will do.
///
/// ```
/// use std::sync::Arc;
/// use events_sdk::{Events, emit};
///
/// struct Agent {
///     events: Arc<Events>,
/// }
///
/// impl Agent {
///     fn imported(&self, pool_name: &str) -> bool {
///         emit!(on self.events, storage_pool, info, { pool_name, operation: Imported }).is_queued()
///     }
/// }
/// ```
#[macro_export]
macro_rules! emit {
    ($($call:tt)*) => { $crate::__private::emit_event!($crate; $($call)*) };
}

/// Whether the handle wants such an event. What it says no to is counted: the answer is the ticket.
#[inline]
pub fn refuses_on(events: &Events, kind: &'static Kind, level: Level) -> Option<Ticket> {
    events.__refuses(kind, level)
}

/// The same for an event whose level the schema says: its kind's, or that of what it says was done. Where neither is known
/// yet the answer is no only if no level would do.
#[inline]
pub fn refuses_on_by_schema(
    events: &Events,
    kind: &'static Kind,
    fixed: Option<Level>,
    said: Option<Level>,
) -> Option<Ticket> {
    events.__refuses_by_schema(kind, fixed.or(said))
}

/// Stops compilation unless every one of the `required` fields, each with what to say otherwise, is `given`.
#[track_caller]
#[allow(
    clippy::panic,
    reason = "it runs when the caller is compiled, and is how a constant reports an error"
)]
pub const fn require(required: &[(&str, &str)], given: &[&str]) {
    let mut rest = required;
    while let [(name, missing), others @ ..] = rest {
        if !contains(given, name) {
            panic!("{}", *missing);
        }
        rest = others;
    }
}

/// Stops compilation unless it is for the caller to say the level. The number means nothing.
#[track_caller]
#[allow(
    clippy::panic,
    reason = "it runs when the caller is compiled, and is how a constant reports an error"
)]
pub const fn takes_level(kind: &Kind) -> usize {
    match kind.level {
        None if kind.level_by_operation => {
            panic!("the operation of this kind says the level: leave the level out")
        }
        None => 0,
        Some(_) => panic!("every event of this kind has the level that the schema says: leave the level out"),
    }
}

/// The level that every event of the kind has; `None` where its operation says it. Stops compilation when it is for the
/// caller to say.
#[track_caller]
#[allow(
    clippy::panic,
    reason = "it runs when the caller is compiled, and is how a constant reports an error"
)]
pub const fn schema_level(kind: &Kind) -> Option<Level> {
    match kind.level {
        None if !kind.level_by_operation => {
            panic!("for this kind the caller says the level: write it after the kind")
        }
        level => level,
    }
}

const fn contains(words: &[&str], word: &str) -> bool {
    let mut rest = words;
    while let [first, others @ ..] = rest {
        if equal(first.as_bytes(), word.as_bytes()) {
            return true;
        }
        rest = others;
    }
    false
}

/// `==`, which constants cannot use yet.
const fn equal(a: &[u8], b: &[u8]) -> bool {
    let (mut a, mut b) = (a, b);
    while let ([x, a_rest @ ..], [y, b_rest @ ..]) = (a, b) {
        if *x != *y {
            return false;
        }
        (a, b) = (a_rest, b_rest);
    }
    a.is_empty() && b.is_empty()
}
