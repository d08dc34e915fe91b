//! A child of `fork`: it leaves the parent's event system alone, and may have one of its own.

#![allow(unsafe_code, reason = "`fork` is what is tested, and std has none")]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::time::{Duration, Instant};

use events_sdk::{
    self as sdk, Category, DropReason, Events, Filter, FlushOutcome, Outcome, WaitOutcome, emit,
    payload::SystemStartupOperation, testing::Toggle,
};
use events_tests::{assert_numbers, config, emit_number, queue_number};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `child` in a forked process and gives its exit code: which of its steps failed, or 0.
fn in_child(child: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the child calls nothing but what is tested here, and ends by `_exit`, so that nothing of the test harness
    // runs twice. glibc keeps its allocator usable in the child of a process with several threads.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork");
    if pid == 0 {
        let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child)).unwrap_or(99);
        // SAFETY: ends the process, touches nothing.
        unsafe { libc::_exit(code) };
    }
    let start = Instant::now();
    loop {
        let mut status = 0;
        // SAFETY: the pid is our own child's, which nobody else waits for; `status` outlives the call.
        let ended = unsafe { libc::waitpid(pid, &mut status, libc::WNOHANG) };
        if ended == pid {
            return if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 98 };
        }
        if start.elapsed() > PATIENCE {
            // SAFETY: the pid is our own child's, which has not been waited for.
            unsafe { libc::kill(pid, libc::SIGKILL) };
            return 97;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn was_refused(ticket: sdk::Ticket) -> bool {
    ticket.outcome() == Outcome::Dropped(DropReason::NotInitialized)
}

/// Whether `emit!` says so too, and counts it where no handle is named: whoever says the level, and whether or not the
/// parent's filter lets it through.
fn emit_is_refused(events: &Events) -> bool {
    let registered = SystemStartupOperation::Registered;
    let before = sdk::stats().not_initialized;
    let tickets = [
        emit!(storage_pool, info, { operation: Created }),
        emit!(storage_pool, trace, { operation: Created }),
        emit!(system_startup, { operation: registered }),
        emit!(on events, storage_pool, info, { operation: Created }),
        emit!(on events, storage_pool, trace, { operation: Created }),
        emit!(on events, system_startup, { operation: registered }),
    ];
    tickets.into_iter().all(was_refused) && sdk::stats().not_initialized == before + 3
}

// One test: a process has one global event system, and what forks should not run beside others.
#[test]
fn a_forked_child_leaves_its_parents_events_alone_and_may_start_a_system_of_its_own() {
    for &durability in sdk::DurabilityMode::ALL {
        let (toggle, spool, other) =
            (Toggle::start().unwrap(), TempDir::new().unwrap(), TempDir::new().unwrap());
        let mut parents = config(&toggle, spool.path());
        parents.durability = durability;
        parents.filter = Filter::default().without_category(Category::System);
        parents.batch_timeout = Duration::from_secs(600);
        let events = sdk::initialize(parents).unwrap();
        let before = queue_number(&events, 0);
        assert!(before.is_queued());

        // A thread that emits without a pause holds the lock of the buffer at some of the forks.
        let stop = std::sync::atomic::AtomicBool::new(false);
        let (emitted, code) = std::thread::scope(|scope| {
            let storm = scope.spawn(|| {
                let mut number = 1;
                while !stop.load(std::sync::atomic::Ordering::Relaxed) && number < 15_000 {
                    emit_number(&events, number);
                    number += 1;
                }
                number
            });
            // And others that wait hold that of the syncs.
            for _ in 0..2 {
                scope.spawn(|| {
                    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                        let _ = events.wait(&before, Duration::from_micros(50));
                    }
                });
            }
            let mut code = 0;
            for _ in 0..40 {
                code = in_child(|| {
                    if !was_refused(queue_number(&events, 1_000_000)) {
                        return 1;
                    }
                    if sdk::is_initialized() || !events.stats().is_shutdown || events.stats().accepted != 0 {
                        return 2;
                    }
                    if events.flush(PATIENCE) != FlushOutcome::TimedOut {
                        return 3;
                    }
                    if events.wait(&before, PATIENCE) != WaitOutcome::TimedOut {
                        return 4;
                    }
                    if !emit_is_refused(&events) {
                        return 5;
                    }
                    events.shutdown(PATIENCE);
                    0
                });
                if code != 0 {
                    break;
                }
            }
            // Whatever it is: the threads would run for ever if it were asserted here.
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            (storm.join().unwrap(), code)
        });
        assert_eq!(code, 0, "{durability:?}");

        // The child's own, under the same global name and with a spool of its own.
        let (endpoint, own) = (toggle.endpoint(), other.path().to_owned());
        let code = in_child(|| {
            let started = sdk::initialize(events_tests::config_for(endpoint.clone(), &own));
            let Ok(own) = started else { return 1 };
            if !sdk::is_initialized() || !queue_number(&own, emitted).is_queued() {
                return 2;
            }
            match sdk::shutdown(PATIENCE) {
                Some(report) if report.delivered == 1 && report.complete => {}
                _ => return 3,
            }
            // The parent's goes with the last handle, which does nothing here.
            drop(events.clone());
            i32::from(was_refused(queue_number(&events, 1_000_000))) - 1
        });
        assert_eq!(code, 0, "{durability:?}");

        // A child that outlives its parent's system does not hold its spool.
        let mut ends = [0; 2];
        // SAFETY: the array has room for both ends.
        assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
        // SAFETY: as in `in_child`; the child only reads from the pipe until its other end is closed.
        let lingering = unsafe { libc::fork() };
        if lingering == 0 {
            let mut byte = 0_u8;
            // SAFETY: descriptors of our own, and a byte to read into.
            unsafe {
                libc::close(ends[1]);
                libc::read(ends[0], (&raw mut byte).cast(), 1);
                libc::_exit(0);
            }
        }
        let report = sdk::shutdown(PATIENCE).unwrap();
        assert_eq!(
            (report.dropped, report.stats.accepted),
            (0, emitted as u64),
            "{durability:?}: {report:#?}"
        );
        drop(events);
        let again = Events::start(config(&toggle, spool.path())).unwrap();
        assert!(toggle.wait_for_events(emitted + 1, PATIENCE), "{durability:?}: {:#?}", again.stats());
        assert_numbers(&toggle, emitted + 1);
        assert_eq!(toggle.repeated_event_ids(), 0);
        // SAFETY: our own descriptor and our own child.
        unsafe {
            libc::close(ends[1]);
            let mut status = 0;
            assert_eq!(libc::waitpid(lingering, &mut status, 0), lingering);
        }
        again.shutdown(PATIENCE);
    }
}
