//! Two things at once.

use std::panic::resume_unwind;
use std::thread::{self, ScopedJoinHandle};

/// Does both at once, or one after the other where there can be no second thread.
pub(crate) fn beside<A: Send, B>(one: impl Fn() -> A + Sync, other: impl FnOnce() -> B) -> (A, B) {
    thread::scope(|scope| {
        // As much as the first thread of a program has: messages within messages take some.
        let second = thread::Builder::new().stack_size(8 << 20).spawn_scoped(scope, &one);
        let other = other();
        let one = match second.map(ScopedJoinHandle::join) {
            Ok(Ok(one)) => one,
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => one(),
        };
        (one, other)
    })
}
