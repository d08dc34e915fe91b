//! The same primitives for tests, with a model in which the order of threads is chosen.
//!
//! Inside of [`explore`] a lock or a condition is shuttle's, which decides who runs next and notices when nobody can. An
//! atomic number, or a value that is swapped, is the real one with a chance for others to run before each operation: all
//! orders of whole operations come up, but not those that only a processor with weakly ordered memory makes. Outside of
//! it, in all other tests, everything is as in production.

use std::{
    cell::Cell,
    ops::{Deref, DerefMut},
    sync::{
        self, Arc, LockResult, PoisonError,
        atomic::{self, Ordering},
    },
    time::Duration,
};

use shuttle::{
    Config, FailurePersistence, Runner,
    scheduler::{PctScheduler, RandomScheduler},
};

/// Orders that each test tries, unless the environment says otherwise: some tenths of a second without optimisation.
const ORDERS: usize = 200;

/// How many changes of the running thread the second half of the orders has where they hurt most. Bugs need few.
const CHANGES: usize = 3;

/// The stack of a thread of the model. Without optimisation frames are large.
const STACK_BYTES: usize = 1 << 19;

/// Says how many orders each test tries.
const VARIABLE: &str = "SHUTTLE_ITERATIONS";

thread_local! {
    /// All threads of the model are one thread of the system.
    static IS_MODEL: Cell<bool> = const { Cell::new(false) };
}

/// Runs the test in many orders of its threads. What fails comes with the order, which [`shuttle::replay`] repeats.
pub(crate) fn explore(test: impl Fn() + Send + Sync + 'static) {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            IS_MODEL.set(false);
        }
    }
    let orders = std::env::var(VARIABLE).ok().and_then(|orders| orders.parse().ok()).unwrap_or(ORDERS);
    let mut config = Config::new();
    config.stack_size = STACK_BYTES;
    config.failure_persistence = FailurePersistence::Print;
    IS_MODEL.set(true);
    let _leave = Leave;
    let test = Arc::new(test);
    let again = Arc::clone(&test);
    Runner::new(RandomScheduler::new(orders.div_ceil(2)), config.clone()).run(move || again());
    Runner::new(PctScheduler::new(CHANGES, orders.div_ceil(2)), config).run(move || test());
}

/// Others may run here.
pub(crate) fn step() {
    if IS_MODEL.get() {
        shuttle::thread::yield_now();
    }
}

/// As [`std::thread::sleep`]; time means nothing in the model.
pub(crate) fn sleep(time: Duration) {
    if IS_MODEL.get() { shuttle::thread::yield_now() } else { std::thread::sleep(time) }
}

#[derive(Debug)]
pub(crate) enum Mutex<T> {
    Real(sync::Mutex<T>),
    Model(shuttle::sync::Mutex<T>),
}

pub(crate) enum MutexGuard<'a, T> {
    Real(sync::MutexGuard<'a, T>),
    Model(shuttle::sync::MutexGuard<'a, T>),
}

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        if IS_MODEL.get() {
            Self::Model(shuttle::sync::Mutex::new(value))
        } else {
            Self::Real(sync::Mutex::new(value))
        }
    }

    pub(crate) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        match self {
            Self::Real(lock) => map(lock.lock(), MutexGuard::Real),
            Self::Model(lock) => map(lock.lock(), MutexGuard::Model),
        }
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Self::Real(guard) => guard,
            Self::Model(guard) => guard,
        }
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        match self {
            Self::Real(guard) => guard,
            Self::Model(guard) => guard,
        }
    }
}

fn map<T, U>(result: LockResult<T>, f: impl FnOnce(T) -> U) -> LockResult<U> {
    match result {
        Ok(guard) => Ok(f(guard)),
        Err(poisoned) => Err(PoisonError::new(f(poisoned.into_inner()))),
    }
}

#[derive(Debug)]
pub(crate) enum Condvar {
    Real(sync::Condvar),
    Model(shuttle::sync::Condvar),
}

impl Default for Condvar {
    fn default() -> Self {
        if IS_MODEL.get() {
            Self::Model(shuttle::sync::Condvar::new())
        } else {
            Self::Real(sync::Condvar::new())
        }
    }
}

impl Condvar {
    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        match (self, guard) {
            (Self::Real(condition), MutexGuard::Real(guard)) => map(condition.wait(guard), MutexGuard::Real),
            (Self::Model(condition), MutexGuard::Model(guard)) => {
                map(condition.wait(guard), MutexGuard::Model)
            }
            _ => panic!("a condition of the model with a lock that is real, or the other way round"),
        }
    }

    /// In the model the time never passes: whoever is not told waits for ever, which is noticed.
    pub(crate) fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        time: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, ())> {
        match (self, guard) {
            (Self::Real(condition), MutexGuard::Real(guard)) => {
                map(condition.wait_timeout(guard, time), |(guard, _)| (MutexGuard::Real(guard), ()))
            }
            (_, guard) => map(self.wait(guard), |guard| (guard, ())),
        }
    }

    /// As [`wait_timeout`](Self::wait_timeout).
    pub(crate) fn wait_timeout_while<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        time: Duration,
        condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<(MutexGuard<'a, T>, ())> {
        match (self, guard) {
            (Self::Real(told), MutexGuard::Real(guard)) => {
                map(told.wait_timeout_while(guard, time, condition), |(guard, _)| {
                    (MutexGuard::Real(guard), ())
                })
            }
            (Self::Model(told), MutexGuard::Model(guard)) => {
                map(told.wait_while(guard, condition), |guard| (MutexGuard::Model(guard), ()))
            }
            _ => panic!("a condition of the model with a lock that is real, or the other way round"),
        }
    }

    pub(crate) fn notify_one(&self) {
        match self {
            Self::Real(condition) => condition.notify_one(),
            Self::Model(condition) => condition.notify_one(),
        }
    }

    pub(crate) fn notify_all(&self) {
        match self {
            Self::Real(condition) => condition.notify_all(),
            Self::Model(condition) => condition.notify_all(),
        }
    }
}

/// A number whose operations are each a step.
macro_rules! atomic {
    ($name:ident, $number:ty) => {
        #[derive(Debug)]
        pub(crate) struct $name(atomic::$name);

        #[allow(dead_code, reason = "not every number needs every operation")]
        impl $name {
            pub(crate) const fn new(value: $number) -> Self {
                Self(atomic::$name::new(value))
            }

            pub(crate) fn load(&self, order: Ordering) -> $number {
                step();
                self.0.load(order)
            }

            pub(crate) fn store(&self, value: $number, order: Ordering) {
                step();
                self.0.store(value, order);
            }

            pub(crate) fn swap(&self, value: $number, order: Ordering) -> $number {
                step();
                self.0.swap(value, order)
            }

            pub(crate) fn compare_exchange(
                &self,
                current: $number,
                new: $number,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$number, $number> {
                step();
                self.0.compare_exchange(current, new, success, failure)
            }
        }
    };
}

atomic!(AtomicBool, bool);
atomic!(AtomicI32, i32);
atomic!(AtomicU8, u8);
atomic!(AtomicU64, u64);

impl AtomicU64 {
    pub(crate) fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
        step();
        self.0.fetch_add(value, order)
    }
}

/// A shared value that is swapped as a whole; each operation is a step.
#[derive(Debug)]
pub(crate) struct ArcSwapOption<T>(arc_swap::ArcSwapOption<T>);

impl<T> ArcSwapOption<T> {
    pub(crate) const fn const_empty() -> Self {
        Self(arc_swap::ArcSwapOption::const_empty())
    }

    pub(crate) fn load(&self) -> arc_swap::Guard<Option<Arc<T>>> {
        step();
        self.0.load()
    }

    pub(crate) fn load_full(&self) -> Option<Arc<T>> {
        step();
        self.0.load_full()
    }

    pub(crate) fn store(&self, value: Option<Arc<T>>) {
        step();
        self.0.store(value);
    }

    pub(crate) fn swap(&self, value: Option<Arc<T>>) -> Option<Arc<T>> {
        step();
        self.0.swap(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "deadlock")]
    fn a_wakeup_that_is_lost_is_found() {
        explore(|| {
            let shared = Arc::new((Mutex::new(false), Condvar::default()));
            let other = Arc::clone(&shared);
            let thread = shuttle::thread::spawn(move || {
                *other.0.lock().unwrap() = true;
                other.1.notify_one();
            });
            let is_set = *shared.0.lock().unwrap();
            if !is_set {
                // Too late to look: it may have been set in between.
                drop(shared.1.wait(shared.0.lock().unwrap()));
            }
            thread.join().unwrap();
        });
    }

    #[test]
    #[should_panic(expected = "left == right")]
    fn a_number_that_is_read_and_written_in_two_steps_is_found() {
        explore(|| {
            let number = Arc::new(AtomicU64::new(0));
            let threads = [(); 2].map(|()| {
                let number = Arc::clone(&number);
                shuttle::thread::spawn(move || {
                    number.store(number.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                })
            });
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            assert_eq!(number.load(Ordering::Relaxed), 2);
        });
    }
}
