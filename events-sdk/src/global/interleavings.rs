//! Starts, stops and emits at the same time, in many orders. See [`crate::primitives::model`].

use shuttle::thread;

use super::*;
use crate::primitives::model::{explore, step};

/// Stands for an event system: how many of them there are is known.
#[derive(Clone)]
struct System(Arc<AtomicU64>);

fn start(running: &Arc<AtomicU64>) -> Result<System, Error> {
    // As the lock of the spool: a second one at the same time would fail.
    assert_eq!(running.fetch_add(1, Ordering::Relaxed), 0, "two at once");
    step();
    Ok(System(Arc::clone(running)))
}

fn stop(slot: &Slot<System>) -> bool {
    slot.current.swap(None).inspect(|system| system.0.store(0, Ordering::Relaxed)).is_some()
}

#[test]
fn of_two_that_start_one_hears_that_there_is_one() {
    explore(|| {
        let slot = Arc::new(Slot::empty());
        let running = Arc::new(AtomicU64::new(0));
        let starters = [(); 2].map(|()| {
            let (slot, running) = (Arc::clone(&slot), Arc::clone(&running));
            thread::spawn(move || slot.fill(|_| true, || start(&running)).is_ok())
        });
        let looker = {
            let slot = Arc::clone(&slot);
            thread::spawn(move || [slot.load().is_some(), slot.load().is_some()])
        };
        let started: Vec<_> = starters.into_iter().map(|starter| starter.join().unwrap()).collect();
        assert_eq!(started.iter().filter(|started| **started).count(), 1);
        assert_ne!(looker.join().unwrap(), [true, false], "it went again");
        assert!(slot.load().is_some() && slot.starting.load(Ordering::Relaxed) == 0);
    });
}

#[test]
fn what_is_started_is_stopped_once_and_can_be_started_again() {
    explore(|| {
        let slot = Arc::new(Slot::empty());
        let running = Arc::new(AtomicU64::new(0));
        slot.fill(|_| true, || start(&running)).unwrap();
        let stoppers = [(); 2].map(|()| {
            let slot = Arc::clone(&slot);
            thread::spawn(move || stop(&slot))
        });
        let emitter = {
            let slot = Arc::clone(&slot);
            // Whoever has it keeps it until it is done.
            thread::spawn(move || slot.load().as_ref().map(|system| Arc::strong_count(&system.0)))
        };
        let stopped: Vec<_> = stoppers.into_iter().map(|stopper| stopper.join().unwrap()).collect();
        assert_eq!(stopped.iter().filter(|stopped| **stopped).count(), 1);
        assert!(emitter.join().unwrap().is_none_or(|count| count >= 1));
        assert!(slot.fill(|_| true, || start(&running)).is_ok());
    });
}

#[test]
fn a_start_that_fails_lets_the_next_one_try() {
    explore(|| {
        let slot = Arc::new(Slot::<System>::empty());
        let running = Arc::new(AtomicU64::new(0));
        let failing = {
            let slot = Arc::clone(&slot);
            thread::spawn(move || slot.fill(|_| true, || Err(Error::already_initialized())).is_err())
        };
        let good = {
            let slot = Arc::clone(&slot);
            thread::spawn(move || slot.fill(|_| true, || start(&running)).is_ok())
        };
        assert!(failing.join().unwrap() && good.join().unwrap());
        assert!(slot.load().is_some());
    });
}

#[test]
fn a_copy_of_another_process_is_replaced() {
    explore(|| {
        let slot = Arc::new(Slot::empty());
        let foreign = Arc::new(AtomicU64::new(0));
        slot.fill(|_| true, || start(&foreign)).unwrap();
        // Somebody held it when the process forked; the child has another generation.
        slot.starting.store(u64::MAX, Ordering::Relaxed);
        let ours = Arc::new(AtomicU64::new(0));
        let starters = [(); 2].map(|()| {
            let (slot, foreign, ours) = (Arc::clone(&slot), Arc::clone(&foreign), Arc::clone(&ours));
            thread::spawn(move || {
                slot.fill(|system| !Arc::ptr_eq(&system.0, &foreign), || start(&ours)).is_ok()
            })
        });
        let started: Vec<_> = starters.into_iter().map(|starter| starter.join().unwrap()).collect();
        assert_eq!(started.iter().filter(|started| **started).count(), 1);
    });
}
