//! An event kind of its own.
fn main() {}
