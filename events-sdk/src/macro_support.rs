//! What `emit!` needs: the macro itself, and checks that run when the calling program is compiled.

use crate::{Events, Kind, Level, Ticket};

/// draft
#[macro_export]
macro_rules! emit {
    ($($call:tt)*) => { $crate::__private::emit_event!($crate; $($call)*) };
}

/// Whether the handle wants such an event. What it says no to is counted: the answer is the ticket.
#[inline]
pub fn refuses_on(events: &Events, kind: &'static Kind, level: Level) -> Option<Ticket> {
    (!events.__wants(kind, level)).then_some(Ticket::FILTERED)
}

/// Stops compilation unless every one of the `required` fields, each with what to say otherwise, is `given`.
#[track_caller]
#[allow(clippy::panic, reason = "it runs when the caller is compiled, and is how a constant reports an error")]
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
#[allow(clippy::panic, reason = "it runs when the caller is compiled, and is how a constant reports an error")]
pub const fn takes_level(kind: &Kind) -> usize {
    match kind.level {
        None => 0,
        Some(_) => panic!("every event of this kind has the level that the schema says: leave the level out"),
    }
}

/// The level that every event of the kind has. Stops compilation when it is for the caller to say.
#[track_caller]
#[allow(clippy::panic, reason = "it runs when the caller is compiled, and is how a constant reports an error")]
pub const fn fixed_level(kind: &Kind) -> Level {
    match kind.level {
        Some(level) => level,
        None => panic!("for this kind the caller says the level: write it after the kind"),
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
