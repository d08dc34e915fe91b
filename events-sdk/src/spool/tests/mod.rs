//! What the spool promises, on real directories and on a file system made to fail.

mod damage;
mod dealt;
mod disk;
mod faults;
mod faulty;
mod fuzz;
mod known;
mod model;
mod power;
mod progress;
pub(crate) mod samples;
mod seal;
mod simulated;
