//! The spool: spill files on disk.
