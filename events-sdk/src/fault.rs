//! Panics on purpose, for the tests that show what becomes of them. Without the feature `testing` there is nothing here.

#[cfg(any(test, feature = "testing"))]
pub(crate) use armed::{POINTS, arm, left, point};

/// A place where a test may have the code panic.
#[cfg(not(any(test, feature = "testing")))]
#[inline(always)]
pub(crate) fn point(_: &'static str) {}

#[cfg(any(test, feature = "testing"))]
mod armed {
    use std::sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    };

    /// The places, in the order in which an event passes them.
    pub(crate) const POINTS: &[&str] = &[
        "round",
        "before taking",
        "taken",
        "launched",
        "sent",
        "before delivered",
        "delivered",
        "before failed",
        "failed",
        "before spilling",
        "spilled",
        "reply",
        "control",
        "spool write",
        "spool written",
        "spool read",
        "spool remove",
    ];

    /// Saves the lock while nothing is armed.
    static IS_ARMED: AtomicBool = AtomicBool::new(false);
    static ARMED: Mutex<Armed> = Mutex::new(Armed { at: "", skip: 0, times: 0 });

    struct Armed {
        at: &'static str,
        skip: u32,
        times: u32,
    }

    /// From now on panics at this point, after passing it so often, so many times.
    pub(crate) fn arm(at: &'static str, skip: u32, times: u32) {
        *ARMED.lock().unwrap_or_else(PoisonError::into_inner) = Armed { at, skip, times };
        IS_ARMED.store(times > 0, Ordering::Relaxed);
    }

    /// How many panics are still to come.
    pub(crate) fn left() -> u32 {
        ARMED.lock().unwrap_or_else(PoisonError::into_inner).times
    }

    #[allow(clippy::panic, reason = "that is what it is for, and only in tests")]
    pub(crate) fn point(at: &'static str) {
        if !IS_ARMED.load(Ordering::Relaxed) {
            return;
        }
        let mut armed = ARMED.lock().unwrap_or_else(PoisonError::into_inner);
        if armed.at != at || armed.times == 0 {
            return;
        }
        if armed.skip > 0 {
            armed.skip -= 1;
            return;
        }
        armed.times -= 1;
        drop(armed);
        panic!("told to panic: {at}");
    }
}
