//! What threads meet at: locks, conditions, atomic numbers.
//!
//! Modules in which several threads work on the same thing take these from here. They are those of the standard library;
//! under test they can also be those of a model that tries many orders in which the threads may run, see [`model`].

#[cfg(test)]
pub(crate) mod model;

#[cfg(not(test))]
pub(crate) use std::{
    sync::{
        Condvar, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU64},
    },
    thread::sleep,
};

#[cfg(not(test))]
pub(crate) use arc_swap::ArcSwapOption;

#[cfg(test)]
pub(crate) use model::{
    ArcSwapOption, AtomicBool, AtomicI32, AtomicU8, AtomicU64, Condvar, Mutex, MutexGuard, sleep,
};
