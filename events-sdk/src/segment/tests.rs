//! Where segments are made.
#![allow(clippy::unwrap_used)]

use std::fs;

use super::{FOLDER, Segments};
use uuid::Uuid;

#[test]
fn no_segment_is_made_in_a_directory_that_took_the_place_of_ours() {
    let around = tempfile::tempdir().unwrap();
    let spool = around.path().join("spool");
    fs::create_dir(&spool).unwrap();
    let segments = Segments::new(10, 0, Uuid::from_u128(1));
    segments.open(&spool).unwrap();
    segments.make(segments.capacity).unwrap();

    fs::remove_dir_all(spool.join(FOLDER)).unwrap();
    segments.make(segments.capacity).unwrap();
    assert_eq!(fs::read_dir(spool.join(FOLDER)).unwrap().count(), 1, "in a folder that was made again");

    fs::remove_dir_all(&spool).unwrap();
    assert!(segments.make(segments.capacity).is_err());
    fs::create_dir(&spool).unwrap();
    let refused = segments.make(segments.capacity).unwrap_err();
    assert!(refused.to_string().contains("was replaced"), "{refused}");
    assert_eq!(fs::read_dir(&spool).unwrap().count(), 0, "it is another process's");

    // Whoever has taken its lock says so.
    segments.open(&spool).unwrap();
    segments.make(segments.capacity).unwrap();
    assert_eq!(fs::read_dir(spool.join(FOLDER)).unwrap().count(), 1);
}
