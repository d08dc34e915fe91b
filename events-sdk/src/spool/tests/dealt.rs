//! Files that are damaged after some of their pieces were dealt with.

use std::{fs, path::Path};

use proptest::prelude::*;

use super::samples::{entries, id, sized, spill, split, write};
use crate::{
    ledger::Step,
    spool::{Damage, Passed, Spool, SpoolFile, seal::HEAD_BYTES},
};

/// Zeros over these events of a file, as one lost block.
fn lose(path: &Path, good: &[u8], events: std::ops::Range<u32>) {
    let (from, to) = (entries(0..events.start).len() + 5, entries(0..events.end).len());
    let mut bytes = good.to_vec();
    bytes[HEAD_BYTES..][from..to].fill(0);
    fs::write(path, bytes).unwrap();
}

/// How many events come of a file, what is damaged, what is set aside by the books and by the folder.
fn deal(spool: &Spool, file: &SpoolFile, passed: Passed) -> (Vec<(u32, u32)>, Option<Damage>, u64) {
    let mut reader = spool.read(file).unwrap();
    reader.skip(passed).unwrap();
    let mut pieces = Vec::new();
    while let Some(piece) = reader.next_piece().unwrap() {
        if !passed.has(piece.index) {
            pieces.push((piece.index, piece.count));
        }
    }
    let damage = reader.damage();
    spool.quarantine(file, Some(&reader.done())).unwrap();
    (pieces, damage, spool.quarantined_events().unwrap())
}

/// One lost block at the end of the events, over the end of the last piece that was delivered and all of the one behind it.
#[test]
fn a_block_that_is_lost_over_the_last_piece_and_the_end_of_one_that_was_delivered_is_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path()).unwrap();
    let file = spill(&spool, id(1_700_000_000_000), 0..255, false).unwrap();
    let path = dir.path().join(file.name.to_os_string());
    let good = fs::read(&path).unwrap();
    lose(&path, &good, 248..255);
    let file = spool.inspect(&file.name).unwrap();
    let (pieces, damage, aside) = deal(&spool, &file, Passed::first(2, 250));
    assert_eq!(pieces, []);
    let damage = damage.unwrap();
    assert_eq!((damage.events, damage.cut_off), (5, 0));
    assert_eq!(aside, 5, "what the books have in the quarantine is there");
}

/// One lost block over a cut, where what is behind it was delivered out of turn and what is before it was not.
#[test]
fn a_block_that_is_lost_over_a_cut_is_set_aside_where_only_the_later_piece_was_delivered() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path()).unwrap();
    let file = spill(&spool, id(1_700_000_000_000), 0..400, false).unwrap();
    let path = dir.path().join(file.name.to_os_string());
    let good = fs::read(&path).unwrap();
    lose(&path, &good, 122..128);
    let file = spool.inspect(&file.name).unwrap();
    let mut step = Step::none(file.id);
    step.note(1, 125, 125);
    let (pieces, damage, aside) = deal(&spool, &file, Passed::of(step));
    assert_eq!(pieces, [(0, 122), (2, 125), (3, 25)]);
    assert_eq!(damage.unwrap().events, 3);
    assert_eq!(aside, 3, "what the books have in the quarantine is there");
}

/// Pieces that are full by number and nearly full by size: a block is lost over a small event at the end of one and a larger one at the
/// start of the next.
#[test]
fn a_block_that_is_lost_over_a_cut_moves_no_cut_where_pieces_are_nearly_full_by_size() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path()).unwrap();
    // 124 events of 8,430 bytes and a small one: 1,045,… bytes, a little less than 1 MiB.
    let size = |index: u32| match index % 125 {
        124 => 20,
        _ => 8_370,
    };
    let events: Vec<_> = (0..400).map(|index| sized(index, size(index))).collect();
    let first: usize = events[..125].iter().map(Vec::len).sum();
    assert!(first < 1 << 20);
    let run = events.concat();
    let file = write(&spool, &run, 400);
    let cuts = |spool: &Spool| {
        let mut reader = spool.read(&file).unwrap();
        let mut pieces = Vec::new();
        while let Some(piece) = reader.next_piece().unwrap() {
            let first = split(&piece.events)[0].clone();
            pieces.push((piece.index, events.iter().position(|event| *event == first).unwrap()));
        }
        pieces
    };
    assert_eq!(cuts(&spool), [(0, 0), (1, 125), (2, 250), (3, 375)]);
    let path = dir.path().join(file.name.to_os_string());
    let mut bytes = fs::read(&path).unwrap();
    // A few bytes before the small event ends, and some behind: both are damaged.
    let at = HEAD_BYTES + first;
    bytes[at - 20..at + 100].fill(0);
    fs::write(&path, bytes).unwrap();
    assert_eq!(cuts(&spool), [(0, 0), (1, 126), (2, 250), (3, 375)]);
}

/// A byte changes on disk while the file is being read, as the drain of a large file takes minutes.
#[test]
fn what_is_damaged_behind_the_piece_that_is_being_read_is_not_delivered() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path()).unwrap();
    let file = spill(&spool, id(1_700_000_000_000), 0..3_000, false).unwrap();
    let path = dir.path().join(file.name.to_os_string());
    let mut reader = spool.read(&file).unwrap();
    assert_eq!(reader.next_piece().unwrap().unwrap().count, 125);
    let mut bytes = fs::read(&path).unwrap();
    // In the text of an event.
    let at = HEAD_BYTES + entries(0..2_501).len() - 20;
    bytes[at] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let written: std::collections::HashSet<_> = split(&entries(0..3_000)).into_iter().collect();
    let mut altered = 0;
    while let Some(piece) = reader.next_piece().unwrap() {
        altered += split(&piece.events).iter().filter(|event| !written.contains(*event)).count();
    }
    assert_eq!(altered, 0, "events are delivered that nobody wrote");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    /// One block is lost, or the file is cut, after any of its pieces were dealt with: what was not is delivered or set aside, exactly.
    #[test]
    fn any_one_fault_after_any_pieces_were_dealt_with(
        sizes in prop::collection::vec(
            prop_oneof![8 => 100..300_usize, 1 => 1_000..9_000_usize, 1 => 200_000..500_000_usize],
            1..12,
        ),
        count in 1..520_u32,
        dealt in any::<u8>(),
        at in any::<prop::sample::Index>(),
        lost in prop_oneof![1..64_usize, 64..4_097_usize],
        is_cut in prop::bool::weighted(0.3),
        is_behind in prop::bool::weighted(0.2),
        again in any::<prop::sample::Index>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path()).unwrap();
        // Many large ones would take too long.
        let most = if count > 60 { 9_000 } else { 500_000 };
        let size_of = |index: usize| sizes[(index * 7 + index / 13) % sizes.len()].min(most);
        let events: Vec<_> = (0..count).map(|index| sized(index, size_of(index as usize))).collect();
        let run = events.concat();
        let file = write(&spool, &run, count);
        let path = dir.path().join(file.name.to_os_string());
        // Where they are.
        let mut reader = spool.read(&file).unwrap();
        let mut place_of = Vec::new();
        let mut step = Step::none(file.id);
        while let Some(piece) = reader.next_piece().unwrap() {
            place_of.extend((0..piece.count).map(|_| piece.index));
            if dealt >> (piece.index % 8) & 1 != 0 {
                step.note(piece.index, piece.count.into(), piece.count.into());
            }
        }
        let passed = Passed::of(step);
        let mut bytes = fs::read(&path).unwrap();
        let body = HEAD_BYTES + run.len();
        let gone = if is_cut {
            let at = at.index(bytes.len());
            bytes.truncate(at);
            at..usize::MAX
        } else {
            // Among the events and before them, or only behind them.
            let (from, to) = if is_behind { (body, bytes.len()) } else { (0, body) };
            let at = from + at.index(to - from);
            let gone = at..to.min(at + lost);
            for byte in &mut bytes[gone.clone()] { *byte = !*byte; }
            gone
        };
        fs::write(&path, &bytes).unwrap();
        let (mut from, mut good, mut bad) = (HEAD_BYTES, Vec::new(), 0_u32);
        for (event, &place) in events.iter().zip(&place_of) {
            let there = from..from + event.len();
            from = there.end;
            let is_whole = there.end <= gone.start || there.start >= gone.end;
            if !passed.has(place) {
                if is_whole { good.push((place, event.clone())) } else { bad += 1 }
            }
        }
        let (file, _) = spool.inspect_rest(&file.name, |_| passed).unwrap();
        let gone_before = count - file.events;
        let mut reader = spool.read(&file).unwrap();
        reader.skip(passed).unwrap();
        let mut found = Vec::new();
        while let Some(piece) = reader.next_piece().unwrap() {
            if !passed.has(piece.index) {
                found.extend(split(&piece.events).into_iter().map(|event| (piece.index, event)));
            }
        }
        let damage = reader.damage();
        let set_aside = spool.quarantine(&file, Some(&reader.done())).unwrap();
        prop_assert_eq!(&set_aside, &damage);
        prop_assert_eq!(found.len(), good.len());
        prop_assert!(found == good);
        let (aside, cut) = damage.map_or((0, 0), |damage| (damage.events, damage.cut_off));
        prop_assert_eq!(aside + cut + gone_before, bad, "{} aside, {} cut off, {} before", aside, cut, gone_before);
        prop_assert!(is_cut || cut + gone_before == 0);
        let there = spool.quarantined_events().unwrap();
        prop_assert_eq!(there, u64::from(aside), "set aside by the books, and in the folder");
        // The same where the file was put aside after some of it was read, and is taken up again.
        let mut reader = spool.read(&file).unwrap();
        reader.skip(passed).unwrap();
        let mut read = passed;
        for _ in 0..again.index(found.len() + 1).min(6) {
            let Some(piece) = reader.next_piece().unwrap() else { break };
            read.pieces = piece.index + 1;
            if !passed.has(piece.index) {
                read.events += u64::from(piece.count);
            }
        }
        let read = read;
        let _ = fs::remove_dir_all(dir.path().join("quarantine"));
        let mut reader = spool.read(&file).unwrap();
        reader.skip(read).unwrap();
        let mut rest = Vec::new();
        while let Some(piece) = reader.next_piece().unwrap() {
            if !read.has(piece.index) {
                rest.extend(split(&piece.events).into_iter().map(|event| (piece.index, event)));
            }
        }
        let expected: Vec<_> = good.iter().filter(|(place, _)| !read.has(*place)).cloned().collect();
        prop_assert!(rest == expected);
        let damage = reader.damage();
        let set_aside = spool.quarantine(&file, Some(&reader.done())).unwrap();
        prop_assert_eq!(&set_aside, &damage);
        let (aside, cut) = damage.map_or((0, 0), |damage| (damage.events, damage.cut_off));
        prop_assert_eq!(aside + cut + gone_before, bad, "again: {} aside, {} cut off, {} before", aside, cut, gone_before);
        prop_assert_eq!(spool.quarantined_events().unwrap(), u64::from(aside), "again: in the books, and in the folder");
        prop_assert!(is_cut || cut == 0);
    }
}
