use super::*;
use crate::{Level, spool::FileName};

fn file(time: i64, level: Level) -> SpoolFile {
    let id = Uuid::from_u128(time as u128);
    SpoolFile {
        name: FileName::parse(format!("{id}.pb").as_ref()).unwrap(),
        id,
        bytes: 1,
        events: 1,
        whole: true,
        sealed: true,
        timestamp_ms: time,
        severities: 1 << level.severity(),
        ledger: 0,
    }
}

fn unknown(file: &SpoolFile) -> Step {
    Step { file: file.id, foreign: false, pieces: 0, events: 0, delivered: 0 }
}

fn piece(id: Uuid) -> Piece {
    Piece { index: 0, id, timestamp_ms: 0, events: vec![0], count: 1 }
}

/// Reads file after file, as long as each is one piece.
fn order(backlog: &mut Backlog) -> Vec<i64> {
    let mut order = Vec::new();
    while let Some((file, _)) = backlog.next_read(usize::MAX, Instant::now(), unknown) {
        order.push(file.timestamp_ms);
        backlog.piece(file.id, piece(file.id), 0);
        assert!(backlog.done(file.id).is_none());
        let (same, place) = backlog.next_read(usize::MAX, Instant::now(), unknown).unwrap();
        assert_eq!((same.id, place), (file.id, 1));
        assert!(backlog.exhausted(file.id).is_some());
        backlog.removed(file.id);
    }
    assert!(backlog.is_empty());
    order
}

#[test]
fn grave_files_go_first_and_leave_a_place_for_the_others() {
    let mut backlog = Backlog::default();
    for time in 1..=3 {
        backlog.add(file(time, Level::Info));
    }
    for time in 11..=18 {
        backlog.add(file(time, if time == 18 { Level::Critical } else { Level::Error }));
    }
    assert_eq!(order(&mut backlog), [11, 12, 13, 1, 14, 15, 16, 2, 17, 18, 3]);
}

#[test]
fn the_smallest_that_was_refused_is_suspected_first_and_an_event_alone_once() {
    let (now, id, mut backlog) = (Instant::now(), Uuid::from_u128(1), Backlog::default());
    let waiting = |count: u32, refusals, not_before| {
        let batch = Batch::new(Uuid::from_u128(count.into()), 0, vec![0], count);
        Waiting { file: id, place: 0, batch: Arc::new(batch), refusals, not_before }
    };
    let later = now + Duration::from_secs(1);
    let all = [(9, 0, None), (8, 1, None), (4, 2, Some(now)), (2, 2, Some(later)), (1, 1, None)];
    backlog.pieces.extend(all.map(|(count, refusals, not_before)| waiting(count, refusals, not_before)));
    assert!(!backlog.has_cornered());
    let mut order = Vec::new();
    while let Some(suspect) = backlog.take_suspect(now) {
        order.push(suspect.batch.len());
        if suspect.batch.len() == 1 {
            backlog.put_back(waiting(1, 2, Some(now)));
        }
    }
    assert_eq!(order, [1, 4, 8]);
    assert!(backlog.has_cornered());
}

#[test]
fn a_file_that_vanishes_while_pieces_of_it_are_under_way_is_not_taken_for_a_damaged_one() {
    let (now, mut backlog) = (Instant::now(), Backlog::default());
    backlog.add(SpoolFile { events: 3, ..file(1, Level::Info) });
    let (file, _) = backlog.next_read(9, now, unknown).unwrap();
    backlog.piece(file.id, piece(file.id), 0);
    assert!(backlog.next_read(9, now, unknown).is_some());
    assert!(backlog.vanished(file.id).is_none(), "a piece of it is under way");
    let finished = backlog.done(file.id).unwrap();
    assert!(finished.vanished && finished.missing == 2);
}

#[test]
fn a_file_that_was_read_ahead_and_not_sent_makes_room_like_any_other() {
    let (now, mut backlog) = (Instant::now(), Backlog::default());
    backlog.add(file(1, Level::Info));
    backlog.add(file(2, Level::Info));
    let (first, _) = backlog.next_read(9, now, unknown).unwrap();
    assert_eq!(backlog.least(u8::MAX, false, now).unwrap().0.timestamp_ms, 2, "the other is being read");
    backlog.piece(first.id, piece(first.id), 0);
    assert_eq!(backlog.least(u8::MAX, false, now).unwrap().0.timestamp_ms, 1);
    assert!(backlog.take(now, false).is_none() && backlog.is_empty());
    backlog.removed(first.id);
    // It could not be thinned, and is read from the beginning.
    backlog.add(first.clone());
    assert_eq!(backlog.next_read(9, now, unknown), Some((first.clone(), 0)));
    backlog.piece(first.id, piece(first.id), 0);
    let sent = backlog.take(now, false).unwrap();
    backlog.put_back(sent);
    assert!(backlog.least(u8::MAX, false, now).is_none(), "Toggle may have stored it");
}

#[test]
fn a_grave_file_interrupts_another_which_goes_on_where_it_was() {
    let (now, mut backlog) = (Instant::now(), Backlog::default());
    backlog.add(file(1, Level::Info));
    backlog.add(file(2, Level::Info));
    let (first, _) = backlog.next_read(9, now, unknown).unwrap();
    backlog.piece(first.id, piece(first.id), 0);
    backlog.add(file(7, Level::Error));
    let (grave, place) = backlog.next_read(9, now, unknown).unwrap();
    assert_eq!((grave.timestamp_ms, place), (7, 0));
    assert!(backlog.knows(&first) && backlog.knows(&grave));
    assert!(backlog.exhausted(grave.id).is_some());
    let (again, place) = backlog.next_read(9, now, unknown).unwrap();
    assert_eq!((again.id, place), (first.id, 1));
}
