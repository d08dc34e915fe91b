use std::{fs, path::Path};

use super::{
    file::{self, DAMAGED},
    slots::SLOTS,
    *,
};
use crate::segment::boot;

const FILE_A: Uuid = Uuid::from_u128(0x0192_AAAA_0000_7000_8000_0123_4567_89AB);
const FILE_B: Uuid = Uuid::from_u128(0x0192_BBBB_0000_7000_8000_0123_4567_89AB);

/// As the next process finds it; the last one was killed.
fn next(dir: &Path) -> Ledger {
    Ledger::open(dir, 1_000).unwrap()
}

fn accept(ledger: &mut Ledger, count: u64) {
    (0..count).for_each(|_| ledger.accept());
}

/// Accepted, delivered, quarantined and dropped.
fn numbers(ledger: &Ledger) -> [u64; 4] {
    let Totals { accepted, delivered, quarantined, dropped, .. } = ledger.totals();
    [accepted, delivered, quarantined, dropped]
}

fn step(file: Uuid, foreign: bool, pieces: u32, events: u64, delivered: u64) -> Step {
    Step { foreign, pieces, events, delivered, ..Step::none(file) }
}

#[test]
fn what_was_in_memory_when_a_process_was_killed_is_counted_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = next(dir.path());
    assert_eq!(first.survey(0), [], "there was none before");
    accept(&mut first, 100);
    first.deliver(40, None);
    first.drop_events(DropReason::BufferFull, 2, 3, 5, false);
    let id = first.id();
    drop(first);
    let mut second = next(dir.path());
    assert_eq!(second.id(), id);
    accept(&mut second, 7);
    assert_eq!(second.found(FILE_A, 30, true), Known::From(Step::none(FILE_A)));
    assert_eq!(second.survey(0), [(DropReason::ProcessEnded, 25)]);
    second.drop_events(DropReason::ProcessEnded, 0, 0, 25, false);
    assert_eq!(numbers(&second), [107, 40, 0, 30]);
    drop(second);
    let mut third = next(dir.path());
    third.found(FILE_A, 30, true);
    assert_eq!(third.survey(0), [(DropReason::ProcessEnded, 7)], "the thirty wait on disk");
}

#[test]
fn a_file_that_is_missing_after_an_orderly_end_was_taken_away() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = next(dir.path());
    first.survey(0);
    accept(&mut first, 10);
    first.close();
    drop(first);
    assert_eq!(next(dir.path()).survey(0), [(DropReason::Vanished, 10)]);
}

/// A process that accepted a hundred events is killed with sixty of them in files.
fn killed_with_files(dir: &Path) {
    let mut first = next(dir);
    first.survey(0);
    accept(&mut first, 100);
    first.note_in_files(60);
}

#[test]
fn files_that_are_gone_after_a_kill_were_taken_away_and_the_rest_was_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    killed_with_files(dir.path());
    let mut second = next(dir.path());
    second.found(FILE_A, 20, true);
    assert_eq!(second.survey(0), [(DropReason::Vanished, 40), (DropReason::ProcessEnded, 40)]);
}

#[test]
fn what_was_in_segments_stands_for_no_file_that_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    killed_with_files(dir.path());
    let mut second = next(dir.path());
    second.found(FILE_A, 40, true);
    second.find_in_segment(40);
    assert_eq!(second.survey(0), [(DropReason::Vanished, 60)]);
}

#[test]
fn what_lay_in_segments_when_a_process_was_killed_and_is_gone_was_taken_away() {
    let kept = |dir: &Path, unkept| {
        let mut ledger = next(dir);
        ledger.keep_in_segments(true);
        accept(&mut ledger, 100);
        (0..unkept).for_each(|_| ledger.count_unkept());
        ledger
    };
    let dir = tempfile::tempdir().unwrap();
    kept(dir.path(), 3).survey(0);
    // What lay in no segment may be what is missing.
    let mut second = kept(dir.path(), 5);
    second.found(FILE_A, 90, true);
    second.find_in_segment(90);
    assert_eq!(second.survey(0), [(DropReason::Vanished, 7), (DropReason::ProcessEnded, 3)]);
    second.drop_events(DropReason::Vanished, 0, 0, 10, false);
    drop(second);

    // It was killed before it had surveyed, and the one after it too.
    drop(kept(dir.path(), 0));
    let mut fourth = next(dir.path());
    fourth.keep_in_segments(false);
    assert_eq!(fourth.survey(0), [(DropReason::Vanished, 285), (DropReason::ProcessEnded, 5)]);
    fourth.drop_events(DropReason::Vanished, 0, 0, 290, false);
    drop(fourth);
    assert_eq!(next(dir.path()).survey(0), []);
}

#[test]
fn what_lay_in_segments_before_the_machine_started_again_or_beside_an_unknown_past_may_be_lost_memory() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = next(dir.path());
    first.survey(0);
    first.keep_in_segments(true);
    accept(&mut first, 10);
    drop(first);
    boot::OTHER.set(Some(7));
    let mut second = next(dir.path());
    // What the first had in memory is not known to lie in segments, and nobody has looked for it yet.
    second.keep_in_segments(true);
    accept(&mut second, 10);
    drop(second);
    let mut third = next(dir.path());
    assert_eq!(third.survey(0), [(DropReason::ProcessEnded, 20)]);
    boot::OTHER.set(None);
}

#[cfg(feature = "cli")]
#[test]
fn a_file_that_was_begun_and_is_gone_is_named_and_one_that_was_finished_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = next(dir.path());
    first.survey(0);
    accept(&mut first, 50);
    first.deliver_piece(10, &step(FILE_A, false, 1, 10, 10));
    first.finish(FILE_B, 0, false);
    drop(first);
    let mut second = next(dir.path());
    assert_eq!(second.begun_and_gone(), [FILE_A]);
    second.found(FILE_A, 50, true);
    assert!(second.begun_and_gone().is_empty());
}

#[test]
fn more_than_the_books_know_of_was_accepted_before_a_loss_of_power() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = next(dir.path());
    first.survey(0);
    accept(&mut first, 3);
    drop(first);
    let mut second = next(dir.path());
    second.found(FILE_A, 10, true);
    assert_eq!(second.survey(0), []);
    assert_eq!(numbers(&second), [10, 0, 0, 0]);
    second.found(FILE_B, 5, true);
    assert_eq!(numbers(&second), [15, 0, 0, 0], "it was unreadable before, or carried away and brought back");
}

#[test]
fn files_of_others_come_into_the_books_as_they_leave_and_only_once() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let mut ledger = next(dir.path());
        ledger.found(FILE_A, 10, false);
        assert_eq!(ledger.survey(0), [], "round {round}");
        assert_eq!(numbers(&ledger), [10, round, 0, 0], "round {round}");
        let pieces = round as u32 + 1;
        ledger.deliver_piece(1, &step(FILE_A, true, pieces, round + 1, round + 1));
        assert_eq!(numbers(&ledger), [10, round + 1, 0, 0], "round {round}");
    }
    let mut ledger = next(dir.path());
    ledger.survey(0);
    assert_eq!(numbers(&ledger), [3, 3, 0, 0], "the rest was taken away, and had never been accepted");
}

#[test]
fn pieces_that_were_dealt_with_are_not_sent_again_and_halves_are() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = next(dir.path());
    first.survey(0);
    accept(&mut first, 50);
    first.deliver_piece(10, &step(FILE_A, false, 1, 10, 10));
    first.set_aside_piece(1, &step(FILE_A, false, 1, 10, 10));
    first.deliver_piece(9, &step(FILE_A, false, 2, 20, 19));
    // The half of a third piece.
    first.deliver_piece(5, &step(FILE_A, false, 2, 20, 19));
    assert_eq!(numbers(&first), [50, 24, 1, 0]);
    drop(first);
    let mut second = next(dir.path());
    let known = second.found(FILE_A, 50, true);
    assert_eq!(known, Known::From(step(FILE_A, false, 2, 20, 19)));
    assert_eq!(second.step(FILE_A, true), step(FILE_A, false, 2, 20, 19));
    assert_eq!(second.survey(1), []);
    assert_eq!(numbers(&second), [50, 19, 1, 0], "the half is to be delivered again");
}

#[test]
fn pieces_behind_one_that_is_not_dealt_with_are_not_sent_again_either() {
    for is_ours in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let mut first = next(dir.path());
        first.survey(0);
        accept(&mut first, if is_ours { 90 } else { 0 });
        first.found(FILE_A, if is_ours { 0 } else { 90 }, is_ours);
        let mut step = first.step(FILE_A, is_ours);
        step.note(2, 10, 10);
        first.deliver_piece(10, &step);
        first.set_aside_piece(1, &step);
        step.note(1, 10, 9);
        first.deliver_piece(9, &step);
        assert_eq!((step.pieces, step.events, step.delivered), (0, 20, 19));
        // The half of the piece before them, and one that is too far on to be noted.
        step.note(Beyond::PIECES as u32, 10, 10);
        first.deliver_piece(5, &step);
        first.deliver_piece(10, &step);
        assert_eq!(numbers(&first), [90, 34, 1, 0]);
        drop(first);
        let mut second = next(dir.path());
        assert!(second.was_offered(FILE_A), "Toggle knows what is not at its beginning");
        assert_eq!(second.found(FILE_A, 90, is_ours), Known::From(step));
        assert_eq!(second.survey(1), []);
        assert_eq!(numbers(&second), [90, 19, 1, 0]);
        step.note(0, 10, 10);
        assert_eq!((step.pieces, step.events, step.beyond.is_empty()), (3, 30, true));
        second.deliver_piece(10, &step);
        assert_eq!(numbers(&second), [90, 29, 1, 0]);
        assert_eq!(second.step(FILE_A, is_ours), step);
    }
}

#[test]
fn a_file_that_is_finished_is_only_to_be_removed() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = next(dir.path());
    first.survey(0);
    accept(&mut first, 30);
    first.deliver(10, Some(FILE_B));
    first.deliver_piece(18, &step(FILE_A, false, 1, 18, 18));
    first.finish(FILE_A, 2, false);
    drop(first);
    let mut second = next(dir.path());
    assert_eq!(second.found(FILE_A, 20, true), Known::Finished);
    assert_eq!(second.found(FILE_B, 10, true), Known::Finished, "a batch whose segment was not yet free");
    assert_eq!(second.survey(2), []);
    assert_eq!(numbers(&second), [30, 28, 2, 0]);
    second.forget(FILE_A);
    assert_eq!(second.found(FILE_A, 20, true), Known::From(Step::none(FILE_A)), "another one of its name");
}

#[test]
fn what_is_dealt_with_before_all_is_found_stays_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = next(dir.path());
    first.survey(0);
    accept(&mut first, 30);
    drop(first);
    let mut second = next(dir.path());
    second.found(FILE_A, 10, true);
    second.found(FILE_B, 20, true);
    second.deliver_piece(10, &step(FILE_A, false, 1, 10, 10));
    second.finish(FILE_A, 0, false);
    second.deliver_piece(5, &step(FILE_B, false, 1, 5, 5));
    assert_eq!(second.survey(0), []);
    drop(second);
    let mut third = next(dir.path());
    assert_eq!(third.found(FILE_A, 10, true), Known::Finished);
    assert_eq!(third.found(FILE_B, 20, true), Known::From(step(FILE_B, false, 1, 5, 5)));
    assert_eq!(third.survey(0), []);
    assert_eq!(numbers(&third), [30, 15, 0, 0]);
}

#[test]
fn slots_of_files_that_are_gone_are_free_again_and_of_too_many_files_the_rest_is_not_noted() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = next(dir.path());
    first.survey(0);
    for number in 0..SLOTS as u128 + 9 {
        first.finish(Uuid::from_u128(number << 64 | 1), 0, false);
    }
    assert_eq!(first.slots.files().count(), SLOTS);
    drop(first);
    let mut second = next(dir.path());
    assert_eq!(second.slots.files().count(), SLOTS);
    second.survey(0);
    assert_eq!(second.slots.files().count(), 0);
}

#[test]
fn the_quarantine_counts_across_processes() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = next(dir.path());
    first.survey(0);
    accept(&mut first, 9);
    first.set_aside(9);
    first.clear(DropReason::QuarantineFull, 2);
    assert_eq!(numbers(&first), [9, 0, 7, 2]);
    drop(first);
    let mut second = next(dir.path());
    // One was moved back into the spool, one was deleted.
    second.found(FILE_A, 1, true);
    assert_eq!(second.survey(5), [(DropReason::ProcessEnded, 1)]);
    assert_eq!(numbers(&second), [9, 0, 5, 2]);
}

#[test]
fn what_toggle_was_told_is_told_once_over_all_processes() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = next(dir.path());
    assert_eq!(first.told_until_ms(), 1_000);
    first.drop_events(DropReason::SpoolFull, 2, 3, 5, false);
    first.tell(&first.drops(), 2_000);
    first.drop_events(DropReason::SpoolFull, 2, 3, 1, false);
    drop(first);
    let second = next(dir.path());
    let reason = DropReason::SpoolFull as usize;
    assert_eq!((second.told()[reason][2][3], second.drops()[reason][2][3]), (5, 6));
    assert_eq!((second.dropped(), second.told_until_ms()), (6, 2_000));
}

#[test]
fn a_ledger_that_cannot_be_read_is_set_aside_and_counting_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = next(dir.path());
    accept(&mut first, 5);
    let id = first.id();
    drop(first);
    let path = dir.path().join(FILE);
    let good = fs::read(&path).unwrap();
    let mut flipped = good.clone();
    flipped[ACCEPTED * 8] ^= 4;
    for bad in [&flipped[..], &good[..99], b"", b"garbage"] {
        fs::write(&path, bad).unwrap();
        let anew = next(dir.path());
        assert_eq!(numbers(&anew), [0; 4]);
        assert_ne!(anew.id(), id);
        let aside = file::damaged(dir.path()).filter(|path| path.exists()).last().unwrap();
        assert_eq!(fs::read(aside).unwrap(), bad);
    }
    // A link is not followed, and what it points to is left alone.
    fs::remove_file(&path).unwrap();
    let elsewhere = dir.path().join("elsewhere");
    fs::write(&elsewhere, &good).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
    let _ = Ledger::open(dir.path(), 1);
    assert_eq!(fs::read(&elsewhere).unwrap(), good);
}

#[test]
fn a_ledger_that_is_set_aside_destroys_no_other_until_there_are_nine_and_then_the_oldest() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    let there = || file::damaged(dir.path()).map(|path| fs::read_to_string(path).ok()).collect::<Vec<_>>();
    let set_aside = |number: u64| {
        fs::write(&path, number.to_string()).unwrap();
        // As if a day had passed since the last.
        let modified = std::time::UNIX_EPOCH + std::time::Duration::from_secs(number * 86_400);
        fs::File::options().append(true).open(&path).unwrap().set_modified(modified).unwrap();
        drop(next(dir.path()));
    };
    for number in 1..=9 {
        set_aside(number);
        let expected = (1..=9).map(|one| (one <= number).then(|| one.to_string()));
        assert_eq!(there(), expected.collect::<Vec<_>>());
    }
    assert_eq!(fs::read_to_string(dir.path().join(DAMAGED)).unwrap(), "1");
    assert_eq!(fs::read_to_string(dir.path().join(".accounts.damaged.9")).unwrap(), "9");
    set_aside(10);
    set_aside(11);
    assert_eq!(there(), [10, 11, 3, 4, 5, 6, 7, 8, 9].map(|one| Some(one.to_string())));
    // What somebody else wrote into live ones is set aside in the same way.
    let _live = next(dir.path());
    let live = fs::read(&path).unwrap();
    Ledger::set_aside_what_is_there(dir.path());
    assert_eq!(fs::read(dir.path().join(".accounts.damaged.3")).unwrap(), live);
    assert_eq!(there()[3..], (4..=9).map(|one| Some(one.to_string())).collect::<Vec<_>>());
}

#[test]
fn what_was_counted_in_memory_goes_on_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = next(dir.path());
    first.survey(0);
    accept(&mut first, 5);
    drop(first);
    let mut ledger = Ledger::in_memory(1);
    accept(&mut ledger, 3);
    ledger.deliver(1, None);
    ledger.drop_events(DropReason::BufferFull, 1, 1, 1, false);
    ledger.move_to(next(dir.path()));
    accept(&mut ledger, 1);
    assert_eq!(ledger.survey(0), [(DropReason::ProcessEnded, 5)]);
    drop(ledger);
    assert_eq!(numbers(&next(dir.path())), [9, 1, 0, 1]);
}
