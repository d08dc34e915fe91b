//! Segments that a crash, a disk or another program left.

use std::{path::Path, sync::LazyLock};

use uuid::Uuid;

use super::spool;
use crate::{
    fuzz::{Choices, MOST_EDITS, edit, target},
    segment::format::{self, Found},
    spool::{
        FileName,
        tests::samples::{entry, id, read_all, split},
    },
};

const EVENTS: u32 = 10;

/// Segments of a batch of at most [`EVENTS`] events.
static BASES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let all: Vec<_> = (0..EVENTS).map(entry).collect();
    let mut used = vec![0; 4096];
    fill(&mut used, id(8), &(100..112).map(entry).collect::<Vec<_>>());
    let mut bases = Vec::new();
    // New, with leftovers of an earlier batch, put together, and with events that were dropped.
    let mut segment = vec![0; 4096];
    fill(&mut segment, id(1), &all);
    bases.push(segment);
    let mut segment = used.clone();
    let end = fill(&mut segment, id(1), &all[..4]);
    bases.push(segment.clone());
    format::set_timestamp(&mut segment, 1_700_000_000_000);
    bases.push(segment.clone());
    let generation = format::Generation::in_header(&segment);
    format::drop_entries(&mut segment, end, generation, |place| place % 2 == 1);
    bases.push(segment);
    let mut segment = used;
    format::begin(&mut segment, id(1), 7);
    bases.push(segment.clone());
    format::set_free(&mut segment);
    bases.push(segment);
    bases
});

fn fill(bytes: &mut [u8], id: Uuid, events: &[Vec<u8>]) -> usize {
    let generation = format::begin(bytes, id, 7);
    let mut at = format::HEADER;
    for (count, event) in (0..).zip(events) {
        at = format::push(bytes, at, count, generation, event, 1 + count as u8 % 7, 2).unwrap();
    }
    at
}

fn a_damaged_segment(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let mut segment = choices.of(&BASES).clone();
    let range = match choices.below(4) {
        0 => 0..format::HEADER,
        1 => format::HEADER..segment.len(),
        _ => 0..usize::MAX,
    };
    for _ in 0..choices.below(MOST_EDITS + 1) {
        edit(&mut segment, range.clone(), &mut choices);
    }
    judge(&segment, true, choices.below(4) == 0);
}

/// Reads a segment, makes a spill file of it, and accounts for its bytes. `is_ours`: it was one of ours
/// once. `is_kept`: there is such a file already.
fn judge(segment: &[u8], is_ours: bool, is_kept: bool) {
    let found = format::read(segment);
    if let Found::Batch(batch) = &found {
        let mut end = format::HEADER;
        for span in &batch.damage {
            assert!(end <= span.start && span.start < span.end && span.end <= segment.len(), "{span:?}");
            end = span.end;
        }
        let read = split(&batch.events);
        assert_eq!(read.len(), batch.count() as usize);
        let is_known = |event: &Vec<u8>| (0..EVENTS).any(|index| entry(index) == *event);
        assert!(!is_ours || read.iter().all(is_known), "an event of another batch, or of none");
    }

    let (disk, spool) = spool();
    let path = Path::new("/spool/segments/0-1.seg");
    disk.put(path, segment);
    let batch = match &found {
        Found::Batch(batch) => Some(batch),
        _ => None,
    };
    let name = FileName::of(batch.map_or(id(1), |batch| batch.id));
    let file = Path::new("/spool").join(name.to_os_string());
    if is_kept {
        disk.put(&file, b"");
    }
    let adopted = spool.adopt_segment(path).unwrap();
    assert!(!disk.names().contains(&path.to_owned()), "it would come again");
    let aside: usize = disk
        .names()
        .iter()
        .filter(|path| {
            path.starts_with("/spool/quarantine") && path.extension().is_some_and(|it| it == "damaged")
        })
        .map(|path| disk.read(path).len())
        .sum();
    match batch {
        Some(_) if is_kept => assert!(adopted.file.is_none() && disk.read(&file).is_empty() && aside == 0),
        Some(batch) => {
            let kept = adopted.file.as_ref().map(|file| read_all(&spool, file).concat()).unwrap_or_default();
            assert_eq!(kept, batch.events);
            assert!(
                adopted
                    .file
                    .is_none_or(|file| file.id == batch.id && file.whole && file.events == batch.count())
            );
            assert_eq!(adopted.damaged, batch.damaged_events);
            assert_eq!(aside, batch.damage.iter().map(|span| span.len()).sum::<usize>());
        }
        None => {
            assert!(adopted.file.is_none());
            assert_eq!(aside, if matches!(found, Found::Nothing) { 0 } else { segment.len() });
        }
    }
}

fn any_segment(bytes: &[u8]) {
    judge(bytes, false, false);
    // As entries behind a header that is in order, and as the header of entries that are.
    let mut segment = vec![0; format::HEADER];
    format::begin(&mut segment, id(1), 7);
    segment.extend(bytes);
    judge(&segment, false, false);
    let mut segment = BASES[0].clone();
    let len = bytes.len().min(format::HEADER);
    segment[..len].copy_from_slice(&bytes[..len]);
    judge(&segment, false, false);
}

#[test]
fn a_damaged_segment_gives_what_was_emitted_and_accounts_for_the_rest() {
    target!("segments", 96, a_damaged_segment);
}

#[test]
fn any_bytes_are_a_segment_that_is_made_a_file_or_set_aside() {
    target!("segment_bytes", 512, any_segment);
}
