//! `fork`: how a child learns that it is one.
//!
//! A child has the memory of its parent but only one of its threads. A lock that another thread held stays locked for ever,
//! nothing is sent or written any more, and the lock of the spool, which is shared with the parent, would outlive the
//! parent. So the child leaves everything of its parent's alone: an event system remembers in which process it was
//! started ([`generation`]) and refuses events in any other, without touching a lock. A system that the child starts
//! itself works like any other.
//!
//! # Why the unsafe calls here are sound
//!
//! * `pthread_atfork` is given a function that lives as long as the program. The dynamic linker drops the registration when
//!   the library that it came from is unloaded.
//! * That function runs in the child between `fork` and its return, where only what may be called in a signal handler is
//!   allowed: it adds to an atomic number and calls `close`, which POSIX lists. It neither allocates nor locks nor panics.
//! * The descriptors it closes are those of locks ([`LockFile`]). In the child nobody else uses or closes them: their owners
//!   are threads that do not exist there, or values that are never dropped there, because a forked event system drops
//!   nothing ([`crate::handle`]).
#![allow(unsafe_code, reason = "std has no word for this; the head of this module says why it is sound")]

use std::{
    os::fd::{AsRawFd, BorrowedFd},
    sync::{
        Once,
        atomic::{AtomicU32, Ordering},
    },
};

use crate::primitives::AtomicI32;

/// How often this process and its ancestors forked, seen from here.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// Descriptors of locks, which a child closes. A process with more spools than this leaves the locks of the others to a
/// child that outlives it, as every process did before.
static LOCKS: [AtomicI32; 32] = [const { AtomicI32::new(NONE) }; 32];

const NONE: i32 = -1;

/// A number that differs between a process and its children. Counted from the first call on.
pub(crate) fn generation() -> u32 {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        // SAFETY: see the head of this module.
        let refused = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        if refused != 0 {
            tracing::warn!("there is no memory to watch for forks: do not emit in forked children");
        }
    });
    current()
}

/// The same number, for whoever knows that [`generation`] was called.
#[inline]
pub(crate) fn current() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// The descriptor of a lock, which children close as long as this lives.
#[derive(Debug)]
pub(crate) struct LockFile(Option<usize>);

impl LockFile {
    pub(crate) fn new(file: BorrowedFd<'_>) -> Self {
        let fd = file.as_raw_fd();
        let free =
            |slot: &AtomicI32| slot.compare_exchange(NONE, fd, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        Self(LOCKS.iter().position(free))
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        if let Some(slot) = self.0.and_then(|place| LOCKS.get(place)) {
            slot.store(NONE, Ordering::Relaxed);
        }
    }
}

extern "C" fn in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    for slot in &LOCKS {
        let fd = slot.swap(NONE, Ordering::Relaxed);
        if fd != NONE {
            // SAFETY: nobody else closes it in this process, see the head of this module.
            unsafe { libc::close(fd) };
        }
    }
}

#[cfg(test)]
mod interleavings {
    use std::{os::fd::AsFd, sync::Arc};

    use shuttle::thread;

    use super::*;
    use crate::primitives::model::{explore, step};

    #[test]
    fn each_lock_has_a_place_of_its_own_until_it_goes() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let fd = file.as_raw_fd();
        explore(move || {
            let ours = || LOCKS.iter().filter(|slot| slot.load(Ordering::Relaxed) == fd).count();
            let holders = [(); 3].map(|()| {
                let file = Arc::clone(&file);
                thread::spawn(move || {
                    for _ in 0..2 {
                        let lock = LockFile::new(file.as_fd());
                        step();
                        let place = lock.0.expect("there are places left");
                        assert_eq!(LOCKS[place].load(Ordering::Relaxed), fd, "somebody else's");
                    }
                })
            });
            holders.into_iter().for_each(|holder| holder.join().unwrap());
            assert_eq!(ours(), 0, "a child would close what is not open");
        });
    }
}
