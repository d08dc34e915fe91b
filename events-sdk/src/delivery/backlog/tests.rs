use super::*;
use crate::{
    Level,
    spool::{FileName, Refused},
};

fn file(time: i64, level: Level) -> SpoolFile {
    let id = Uuid::from_u128(time as u128);
    SpoolFile {
        name: FileName::parse(format!("{id}.pb").as_ref()).unwrap(),
        id,
        bytes: 1,
        events: 1,
        whole: true,
        offered: false,
        sealed: true,
        timestamp_ms: time,
        severities: 1 << level.severity(),
        ledger: 0,
    }
}

fn unknown(file: &SpoolFile) -> Step {
    Step::none(file.id)
}

/// So many pieces of one event each.
fn passed(pieces: u32) -> (u32, u64) {
    (pieces, pieces.into())
}

fn plain(passed: Passed) -> (u32, u64) {
    (passed.pieces, passed.events)
}

/// The next file to read from, and the pieces and events that are passed in it.
fn next(
    backlog: &mut Backlog,
    now: Instant,
    known: impl FnOnce(&SpoolFile) -> Step,
) -> Option<(SpoolFile, (u32, u64))> {
    backlog.next_read(9, now, known).map(|(file, passed)| (file, plain(passed)))
}

fn piece(id: Uuid) -> Piece {
    Piece { index: 0, id, timestamp_ms: 0, events: vec![0], count: 1 }
}

/// Reads file after file, as long as each is one piece.
fn order(backlog: &mut Backlog) -> Vec<i64> {
    let mut order = Vec::new();
    while let Some((file, _)) = backlog.next_read(usize::MAX, Instant::now(), unknown) {
        order.push(file.timestamp_ms);
        backlog.piece(file.id, piece(file.id), |_| 0);
        assert!(backlog.done(file.id).is_none());
        let (same, place) = backlog.next_read(usize::MAX, Instant::now(), unknown).unwrap();
        assert_eq!((same.id, plain(place)), (file.id, passed(1)));
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
    backlog.piece(file.id, piece(file.id), |_| 0);
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
    backlog.piece(first.id, Piece { count: 3, ..piece(first.id) }, |_| 0);
    let (least, _) = backlog.least(u8::MAX, false, now).unwrap();
    assert_eq!((least.timestamp_ms, least.events), (1, 3), "it holds more than was known");
    assert!(backlog.take(now, false).is_none() && backlog.is_empty());
    backlog.removed(first.id);
    // It could not be thinned, and is read from the beginning.
    backlog.add(first.clone());
    assert_eq!(next(&mut backlog, now, unknown), Some((first.clone(), passed(0))));
    backlog.piece(first.id, piece(first.id), |_| 0);
    let sent = backlog.take(now, false).unwrap();
    assert!(!backlog.is_unknown_to_toggle(first.id) && backlog.least_severity(false, now).is_none());
    backlog.put_back(sent);
    assert!(backlog.is_unknown_to_toggle(first.id), "there was no connection");
    assert_eq!(backlog.least_severity(false, now), Some(Level::Info.severity()));
    backlog.offered(first.id);
    assert!(!backlog.is_unknown_to_toggle(first.id));
    assert!(backlog.least(u8::MAX, false, now).is_none(), "Toggle may have stored it");
}

/// A backlog in which one of two pieces of the file was sent, and neither is dealt with.
fn begun(file: &SpoolFile) -> Backlog {
    let (now, mut backlog) = (Instant::now(), Backlog::default());
    backlog.add(file.clone());
    for index in 0..2 {
        assert_eq!(next(&mut backlog, now, unknown), Some((file.clone(), passed(index))));
        backlog.piece(file.id, Piece { index, ..piece(Uuid::from_u128(100 + u128::from(index))) }, |_| 0);
    }
    let sent = backlog.take(now, false).unwrap();
    backlog.offered(sent.file);
    backlog.put_back(sent);
    backlog
}

/// The same file once Toggle may know some of it.
fn offered(file: &SpoolFile) -> SpoolFile {
    SpoolFile { offered: true, ..file.clone() }
}

#[test]
fn a_file_that_was_offered_before_it_came_goes_as_a_whole_too() {
    let now = Instant::now();
    let of_both = 1 << Level::Info.severity() | 1 << Level::Warn.severity();
    let first = offered(&SpoolFile { severities: of_both, ..file(1, Level::Info) });
    let mut backlog = Backlog::default();
    backlog.add(first.clone());
    assert!(backlog.least(u8::MAX, false, now).is_none() && backlog.least_severity(false, now).is_none());
    assert_eq!(backlog.gravest_offered(now), Some(Level::Warn.severity()));
    assert_eq!(backlog.bytes_up_to(u8::MAX, Level::Warn.severity()), 0);
    assert_eq!(backlog.bytes_up_to(0, u8::MAX), first.bytes);
    assert!(backlog.least_offered(Level::Warn.severity(), false, now).is_none(), "one as grave is in it");
    assert_eq!(
        backlog.least_offered(u8::MAX, false, now).map(|(file, read)| (file, read.map(plain))),
        Some((first.clone(), None)),
        "nothing of it was read"
    );
    assert!(backlog.take_going(first.id).is_none() && backlog.knows(&first));
    // It could not be dropped, is read ahead, and is as it was.
    backlog.removed(first.id);
    backlog.stays(first.clone(), None, now);
    assert_eq!(next(&mut backlog, now, unknown), Some((first.clone(), passed(0))));
    assert!(backlog.least_offered(u8::MAX, false, now).is_none(), "it is being read");
    backlog.piece(first.id, piece(first.id), |_| 0);
    assert!(backlog.least(u8::MAX, false, now).is_none());
    let whole = backlog.least_offered(u8::MAX, false, now).map(|(file, read)| (file, read.map(plain)));
    assert_eq!(whole, Some((first.clone(), Some(passed(1)))));
    assert_eq!(backlog.take_going(first.id).unwrap().pieces().count(), 1);
}

#[test]
fn a_file_of_which_a_piece_was_sent_goes_as_a_whole_for_what_is_graver_than_all_of_it() {
    let now = Instant::now();
    let of_both = 1 << Level::Info.severity() | 1 << Level::Warn.severity();
    let first = SpoolFile { events: 5, severities: of_both, ..file(1, Level::Info) };
    let mut backlog = begun(&first);
    assert_eq!(backlog.gravest_offered(now), Some(Level::Warn.severity()));
    assert_eq!(backlog.bytes_up_to(u8::MAX, Level::Warn.severity()), 0);
    assert!(backlog.least_offered(Level::Warn.severity(), false, now).is_none(), "one as grave is in it");
    let sent = backlog.take(now, false).unwrap();
    assert!(backlog.least_offered(u8::MAX, false, now).is_none(), "a piece is in flight");
    backlog.put_back(sent);
    backlog.spare(first.id, now + Duration::from_secs(1));
    assert!(backlog.least_offered(u8::MAX, false, now).is_none(), "a segment holds it as well");
    let now = now + Duration::from_secs(1);
    backlog.add(file(2, Level::Info));
    assert!(backlog.least_offered(u8::MAX, false, now).is_none(), "another is as light");
    let (other, _) = backlog.least(u8::MAX, false, now).unwrap();
    backlog.removed(other.id);
    // A graver one stays.
    backlog.add(file(3, Level::Error));
    assert_eq!(
        backlog
            .least_offered(Level::Error.severity(), false, now)
            .map(|(file, read)| (file, read.map(plain))),
        Some((offered(&first), Some(passed(2))))
    );
    assert!(backlog.knows(&first) && backlog.take(now, false).is_none());
    let going = backlog.take_going(first.id).unwrap();
    assert_eq!((going.left(), going.pieces().count()), (5, 2));
    backlog.removed(first.id);
    assert!(!backlog.knows(&first) && backlog.take_going(first.id).is_none());
}

#[test]
fn a_file_that_could_not_be_dropped_as_a_whole_goes_on_where_it_was() {
    let (now, first) = (Instant::now(), SpoolFile { events: 5, ..file(1, Level::Info) });
    let mut backlog = begun(&first);
    let delivered = backlog.take(now, false).unwrap();
    assert_eq!(backlog.dealt_with(first.id, 0, 1, 0).unwrap().pieces, 1);
    assert!(backlog.done(first.id).is_none());
    assert_eq!((delivered.place, delivered.batch.id()), (0, Uuid::from_u128(100)));
    assert_eq!(
        backlog.least_offered(u8::MAX, false, now).map(|(file, read)| (file, read.map(plain))),
        Some((offered(&first), Some(passed(2))))
    );
    let going = backlog.take_going(first.id);
    assert_eq!(going.as_ref().map(Begun::left), Some(4));
    backlog.removed(first.id);
    backlog.stays(first.clone(), going, now);
    assert_eq!(next(&mut backlog, now, unknown), Some((offered(&first), passed(2))));
    assert!(backlog.exhausted(first.id).is_none());
    let left = backlog.take(now, false).unwrap();
    assert_eq!((left.place, left.batch.id()), (1, Uuid::from_u128(101)));
    assert_eq!(backlog.dealt_with(first.id, 1, 1, 0).unwrap().pieces, 2);
    assert_eq!(backlog.done(first.id).unwrap().missing, 3);
}

#[test]
fn pieces_that_an_earlier_process_dealt_with_out_of_turn_are_read_and_not_sent() {
    let (now, first) = (Instant::now(), SpoolFile { events: 6, ..file(1, Level::Info) });
    let known = |file: &SpoolFile| {
        let mut step = unknown(file);
        step.note(1, 1, 1);
        step.note(3, 2, 1);
        step
    };
    let mut backlog = Backlog::default();
    backlog.add(first.clone());
    for (index, before, read) in [(0, 3, 4), (1, 4, 4), (2, 4, 5), (3, 5, 5), (4, 5, 6)] {
        assert_eq!(next(&mut backlog, now, known), Some((first.clone(), (index, before))));
        let piece = Piece { index, ..piece(Uuid::from_u128(100 + u128::from(index))) };
        assert_eq!(backlog.read_with(first.id, &piece), read);
        backlog.piece(first.id, piece, |_| 0);
    }
    assert!(!backlog.is_unknown_to_toggle(first.id) && backlog.exhausted(first.id).is_none());
    assert_eq!(backlog.cut_off(first.id, 1), 0, "all of it was read");
    let mut steps = Vec::new();
    for place in [2, 0, 4] {
        let waiting = backlog.take(now, false).unwrap();
        assert!([0, 2, 4].contains(&waiting.place));
        let step = backlog.dealt_with(first.id, place, 1, 0).unwrap();
        steps.push((step.pieces, step.events, step.delivered));
        if place < 4 {
            assert!(backlog.done(first.id).is_none());
        }
    }
    assert_eq!(steps, [(0, 4, 3), (4, 5, 4), (5, 6, 5)]);
    let finished = backlog.done(first.id).unwrap();
    assert_eq!(finished.missing, 0);
}

#[test]
fn what_was_delivered_too_far_on_to_be_noted_is_once_it_is_near_enough() {
    let far = Beyond::PIECES as u32 + 1;
    let (now, first) = (Instant::now(), SpoolFile { events: far + 1, ..file(1, Level::Info) });
    let mut backlog = Backlog::default();
    backlog.add(first.clone());
    for index in 0..=far {
        assert!(backlog.next_read(usize::MAX, now, unknown).is_some());
        backlog.piece(first.id, Piece { index, ..piece(Uuid::from_u128(100 + u128::from(index))) }, |_| 0);
    }
    let mut after = |place| {
        let step = backlog.dealt_with(first.id, place, 1, 0).unwrap();
        (step.pieces, step.events)
    };
    assert_eq!(after(far), (0, 0));
    assert_eq!(after(1), (0, 1));
    assert_eq!(after(0), (2, 3));
    for place in 2..far - 1 {
        assert_eq!(after(place), (place + 1, u64::from(place) + 2));
    }
    assert_eq!(after(far - 1), (far + 1, u64::from(far) + 1));
}

#[test]
fn a_grave_file_interrupts_another_which_goes_on_where_it_was() {
    let (now, mut backlog) = (Instant::now(), Backlog::default());
    backlog.add(file(1, Level::Info));
    backlog.add(file(2, Level::Info));
    let (first, _) = backlog.next_read(9, now, unknown).unwrap();
    backlog.piece(first.id, piece(first.id), |_| 0);
    backlog.add(file(7, Level::Error));
    let (grave, place) = backlog.next_read(9, now, unknown).unwrap();
    assert_eq!((grave.timestamp_ms, plain(place)), (7, passed(0)));
    assert!(backlog.knows(&first) && backlog.knows(&grave));
    assert!(backlog.exhausted(grave.id).is_some());
    let (again, place) = backlog.next_read(9, now, unknown).unwrap();
    assert_eq!((again.id, plain(place)), (first.id, passed(1)));
}

#[test]
fn pieces_of_which_nothing_is_left_have_their_place_and_are_done_with() {
    let (now, mut backlog) = (Instant::now(), Backlog::default());
    let first = SpoolFile { events: 3, ..file(1, Level::Info) };
    backlog.add(first.clone());
    for index in [1, 4] {
        assert!(backlog.next_read(9, now, unknown).is_some());
        backlog.piece(first.id, Piece { index, ..piece(Uuid::from_u128(100)) }, |_| 0);
    }
    let read = Some((first.clone(), (5, 2)));
    assert_eq!(next(&mut backlog, now, unknown), read);
    assert!(backlog.exhausted(first.id).is_none());
    for (place, pieces) in [(1, 4), (4, 5)] {
        assert_eq!(backlog.take(now, false).unwrap().place, place);
        assert_eq!(backlog.dealt_with(first.id, place, 1, 0).unwrap().pieces, pieces);
    }
    assert!(backlog.done(first.id).is_none());
    assert_eq!(backlog.done(first.id).unwrap().missing, 1);
}

/// A piece of so many events.
fn piece_of(id: Uuid, index: u32, count: u8) -> Piece {
    let events = (0..count).flat_map(|number| [0x0A, 1, number]).collect();
    Piece { index, id, events, count: count.into(), timestamp_ms: 0 }
}

fn refused(piece: u32, number: u8) -> Refused {
    Refused::new(piece, &[0x0A, 1, number])
}

/// A file of which these are set aside, and which was asked to be read.
fn set_aside(backlog: &mut Backlog, events: u32, refused: Vec<Refused>) -> SpoolFile {
    let file = SpoolFile { events, ..file(1, Level::Info) };
    backlog.are_set_aside(file.id, refused);
    backlog.add(file.clone());
    assert!(backlog.least(u8::MAX, false, Instant::now()).is_none(), "nothing is dropped out of it");
    assert!(backlog.least_offered(u8::MAX, false, Instant::now()).is_none());
    assert!(backlog.next_read(9, Instant::now(), unknown).is_some());
    file
}

/// Deals with everything that waits.
fn deliver_all(backlog: &mut Backlog) -> Option<Finished> {
    let mut finished = None;
    while let Some(Waiting { file, place, batch, .. }) = backlog.take(Instant::now(), false) {
        backlog.dealt_with(file, place, batch.len() as u64, 0);
        finished = backlog.done(file);
    }
    finished
}

#[test]
fn what_is_set_aside_is_cut_out_and_the_rest_goes_in_the_halves_in_which_it_went_before() {
    let mut backlog = Backlog::default();
    let file = set_aside(&mut backlog, 125, vec![refused(0, 3), refused(0, 90)]);
    let piece = piece_of(Uuid::from_u128(7), 0, 125);
    let whole = Batch::new(piece.id, 0, piece.events.clone(), 125);
    let cut = backlog.piece(file.id, piece, |_| 0);
    assert_eq!((cut.step, cut.missed), (None, 0));

    // What halving comes to, until both stand alone.
    let (mut open, mut expected) = (vec![whole], Vec::new());
    while let Some(batch) = open.pop() {
        let bad = |entry: &[u8]| [3, 90].contains(&entry[2]);
        match batch.events().chunks(3).any(bad) {
            false => expected.push(batch.id()),
            true => open.extend(batch.halves().into_iter().flatten()),
        }
    }
    let mut waiting: Vec<Uuid> = backlog.pieces.iter().map(|waiting| waiting.batch.id()).collect();
    expected.sort_unstable();
    waiting.sort_unstable();
    assert_eq!(waiting, expected);
    let all: usize = backlog.pieces.iter().map(|waiting| waiting.batch.len()).sum();
    assert_eq!(all, 123);

    assert!(backlog.next_read(99, Instant::now(), unknown).is_some());
    assert!(backlog.exhausted(file.id).is_none());
    let finished = deliver_all(&mut backlog).unwrap();
    assert_eq!((finished.missing, finished.vanished), (0, false));
}

#[test]
fn a_piece_of_which_all_is_set_aside_is_dealt_with_as_soon_as_it_is_read() {
    let mut backlog = Backlog::default();
    let file = set_aside(&mut backlog, 2, vec![refused(0, 0), refused(0, 1)]);
    let cut = backlog.piece(file.id, piece_of(Uuid::from_u128(7), 0, 2), |_| 0);
    let step = cut.step.unwrap();
    assert_eq!((step.pieces, step.events, step.delivered, cut.missed), (1, 2, 0, 0));
    assert!(backlog.next_read(9, Instant::now(), unknown).is_some());
    assert_eq!(backlog.exhausted(file.id).unwrap().missing, 0);
}

#[test]
fn what_is_set_aside_and_not_in_its_piece_any_more_costs_no_other_event() {
    let mut backlog = Backlog::default();
    let file = set_aside(&mut backlog, 6, vec![refused(0, 3), refused(0, 99), refused(4, 0)]);
    let cut = backlog.piece(file.id, piece_of(Uuid::from_u128(7), 0, 5), |_| 0);
    assert_eq!((cut.step, cut.missed), (None, 1));
    let left: usize = backlog.pieces.iter().map(|waiting| waiting.batch.len()).sum();
    assert_eq!(left, 4);
    assert!(backlog.least_offered(u8::MAX, false, Instant::now()).is_none(), "one was not come upon");
    deliver_all(&mut backlog);
    // The last event is damaged, and it is the one that is set aside.
    assert!(backlog.next_read(9, Instant::now(), unknown).is_some());
    assert_eq!(backlog.exhausted(file.id).unwrap().missing, 0);
}

/// Two files, of the first of which a piece was read and refused that takes up all the memory for pieces.
fn full_of_refused(now: Instant) -> (Backlog, SpoolFile) {
    let mut backlog = Backlog::default();
    let first = SpoolFile { events: 2, ..file(1, Level::Info) };
    backlog.add(first.clone());
    backlog.add(file(2, Level::Info));
    assert_eq!(next(&mut backlog, now, unknown), Some((first.clone(), (0, 0))));
    let large = Piece { events: vec![0; PIECES_BYTES], ..piece(Uuid::from_u128(100)) };
    backlog.piece(first.id, large, |_| 1);
    assert_eq!(next(&mut backlog, now, unknown), None, "there is no room");
    (backlog, first)
}

#[test]
fn a_file_of_which_all_was_refused_goes_behind_the_others() {
    let now = Instant::now();
    let (mut backlog, first) = full_of_refused(now);
    // Toggle may have it, or the next reader would not know how far it is.
    for (may_be_stored, is_noted) in [(true, true), (false, false)] {
        backlog.make_room(|_| may_be_stored, |_| is_noted);
        assert_eq!(next(&mut backlog, now, unknown), None);
    }
    backlog.make_room(|_| false, |_| true);
    let (second, _) = next(&mut backlog, now, unknown).unwrap();
    assert_eq!(second, file(2, Level::Info));
    backlog.piece(second.id, piece(second.id), |_| 0);
    let sent = backlog.take(now, true).unwrap();
    assert_eq!(sent.file, second.id);
    assert!(backlog.dealt_with(second.id, 0, 1, 0).is_some() && backlog.done(second.id).is_none());
    assert!(next(&mut backlog, now, unknown).is_some());
    assert!(backlog.exhausted(second.id).is_some());
    // All others were read.
    assert_eq!(next(&mut backlog, now, unknown), Some((first, (0, 0))));
}

#[test]
fn a_file_of_which_something_was_delivered_that_cannot_be_noted_does_not_go_behind() {
    let now = Instant::now();
    let far = Beyond::PIECES as u32 + 16;
    for (index, goes) in [(1, true), (far, false)] {
        let mut backlog = Backlog::default();
        let first = SpoolFile { events: 3, ..file(1, Level::Info) };
        backlog.add(first.clone());
        backlog.add(file(2, Level::Info));
        assert!(next(&mut backlog, now, unknown).is_some());
        backlog.piece(
            first.id,
            Piece { events: vec![0; PIECES_BYTES - 1], ..piece(Uuid::from_u128(7)) },
            |_| 1,
        );
        assert!(next(&mut backlog, now, unknown).is_some());
        backlog.piece(first.id, Piece { index, ..piece(Uuid::from_u128(8)) }, |_| 0);
        assert_eq!(backlog.take(now, true).unwrap().place, index);
        let step = backlog.dealt_with(first.id, index, 1, 0).unwrap();
        assert!(step.has(index) == goes && backlog.done(first.id).is_none());
        assert!(next(&mut backlog, now, unknown).is_some());
        let more = Piece { index: index + 1, ..piece(Uuid::from_u128(9)) };
        backlog.piece(first.id, more, |_| 1);
        backlog.make_room(|_| false, |_| true);
        let (file, passed) = next(&mut backlog, now, unknown).unwrap_or((first.clone(), (0, 0)));
        assert_eq!((file.id != first.id, passed), (goes, (0, 0)), "place {index}");
    }
}
