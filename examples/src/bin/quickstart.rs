//! The main job on an embedded Toggle.
fn main() {}
