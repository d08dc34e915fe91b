//! Faults on purpose, for the tests that show what becomes of them: panics, disks that fail and disks that hang. Without the
//! feature `testing` there is nothing here.

#[cfg(any(test, feature = "testing"))]
pub(crate) use armed::{
    Fault, MOST_FREE, POINTS, SPECIAL_POINTS, SYNCS, arm, at_most_free, fallible, left, point,
};

/// A place where a test may have the code panic or hang.
#[cfg(not(any(test, feature = "testing")))]
#[inline(always)]
pub(crate) fn point(_: &'static str) {}

/// A call of the system that a test may have fail, as a broken disk fails it.
///
/// # Errors
///
/// Only when a test asks for it.
#[cfg(not(any(test, feature = "testing")))]
#[inline(always)]
pub(crate) fn fallible(_: &'static str) -> std::io::Result<()> {
    Ok(())
}

/// How many bytes seem to be free of these: a test may want a disk to be full.
#[cfg(not(any(test, feature = "testing")))]
#[inline(always)]
pub(crate) fn at_most_free(free: u64) -> u64 {
    free
}

#[cfg(any(test, feature = "testing"))]
mod armed {
    use std::{
        io,
        sync::{
            Condvar, Mutex, PoisonError,
            atomic::{AtomicBool, AtomicU64, Ordering},
        },
    };

    /// The places where it may panic: those of the delivery task, in the order in which an event passes them, and those of
    /// the spool's thread.
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

    /// Those of threads that work only where events are to outlive the process, or when something special happens: it is
    /// full, there is damage, and so on. `token file` is not among them: no step of ours panics there, for the thread that
    /// reads the file is one of the runtime's. Tests have it hang.
    pub(crate) const SPECIAL_POINTS: &[&str] = &[
        "sync",
        "spool segments",
        "spool adopt",
        "spool examine",
        "spool open",
        "spool thin",
        "spool thinned",
        "spool set aside",
        "spool is set aside",
        "spool survey",
        "spool look around",
        "spool leave",
    ];

    /// What brings bytes or names to stable storage: of a segment, of the folder of segments, of a spill file, of the
    /// spool directory, of the ledger.
    pub(crate) const SYNCS: &[&str] =
        &["sync segment", "sync segments", "sync file", "sync spool", "sync ledger"];

    /// What happens at a place.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Fault {
        /// The code panics.
        Panic,
        /// The thread stays there until another fault is asked for.
        Hang,
        /// The call fails with EIO.
        Fail,
    }

    /// No file system seems to have more free than that.
    pub(crate) static MOST_FREE: AtomicU64 = AtomicU64::new(u64::MAX);

    pub(crate) fn at_most_free(free: u64) -> u64 {
        free.min(MOST_FREE.load(Ordering::Relaxed))
    }

    /// Saves the lock while nothing is armed.
    static IS_ARMED: AtomicBool = AtomicBool::new(false);
    static ARMED: Mutex<Armed> =
        Mutex::new(Armed { at: "", fault: Fault::Panic, skip: 0, times: 0, order: 0 });
    static CHANGED: Condvar = Condvar::new();

    struct Armed {
        at: &'static str,
        fault: Fault,
        skip: u32,
        times: u32,
        /// Counts what was asked for.
        order: u64,
    }

    /// From now on this happens at this point, after it was passed so often, so many times. Whoever hangs goes on.
    pub(crate) fn arm(at: &'static str, fault: Fault, skip: u32, times: u32) {
        let mut armed = ARMED.lock().unwrap_or_else(PoisonError::into_inner);
        let order = armed.order + 1;
        *armed = Armed { at, fault, skip, times, order };
        IS_ARMED.store(times > 0, Ordering::Relaxed);
        drop(armed);
        CHANGED.notify_all();
    }

    /// How many times it is still to happen.
    pub(crate) fn left() -> u32 {
        ARMED.lock().unwrap_or_else(PoisonError::into_inner).times
    }

    #[allow(clippy::panic, reason = "that is what it is for, and only in tests")]
    pub(crate) fn point(at: &'static str) {
        match happens(at) {
            Some(Fault::Panic) => panic!("told to panic: {at}"),
            Some(Fault::Hang | Fault::Fail) | None => {}
        }
    }

    pub(crate) fn fallible(at: &'static str) -> io::Result<()> {
        match happens(at) {
            // EIO, on every system.
            Some(Fault::Fail) => Err(io::Error::from_raw_os_error(5)),
            Some(Fault::Panic | Fault::Hang) | None => Ok(()),
        }
    }

    /// What has to happen here, once it is time for it. Hangs where it is to hang.
    fn happens(at: &'static str) -> Option<Fault> {
        if !IS_ARMED.load(Ordering::Relaxed) {
            return None;
        }
        let mut armed = ARMED.lock().unwrap_or_else(PoisonError::into_inner);
        if armed.at != at || armed.times == 0 {
            return None;
        }
        if armed.skip > 0 {
            armed.skip -= 1;
            return None;
        }
        armed.times -= 1;
        let (fault, order) = (armed.fault, armed.order);
        if fault == Fault::Hang {
            drop(
                CHANGED
                    .wait_while(armed, |armed| armed.order == order)
                    .unwrap_or_else(PoisonError::into_inner),
            );
        }
        Some(fault)
    }
}
