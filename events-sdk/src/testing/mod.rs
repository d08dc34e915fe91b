//! A Toggle to test against.
