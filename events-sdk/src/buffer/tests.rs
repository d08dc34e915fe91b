use std::time::Duration;

use super::*;

fn limits() -> Limits {
    Limits { events: 10, bytes: 10_000, threshold: 9, batch: 4, batch_bytes: 1 << 20 }
}

fn event(mark: u8) -> Vec<u8> {
    vec![mark; ID_TEXT_LEN + 4]
}

fn emit(buffer: &Buffer, mark: u8, level: Level) -> Ticket {
    buffer.accept(&event(mark), 2, 1_800_000_000_000, level, 2)
}

#[test]
fn chunks_close_at_the_batch_size_and_come_out_oldest_first() {
    let buffer = Buffer::new(limits());
    for mark in 0..9 {
        assert!(emit(&buffer, mark, Level::Info).is_queued());
    }
    let mut state = buffer.lock();
    let now = Instant::now();
    let timeout = Duration::from_secs(30);
    let first = state.take_due(timeout, now, false).expect("a full chunk");
    assert_eq!((first.len(), first.bytes()[0]), (4, 0));
    assert_eq!(state.take_due(timeout, now, false).expect("another").len(), 4);
    assert!(state.take_due(timeout, now, false).is_none(), "the open one is not due");
    assert_eq!(state.take_due(timeout, now + timeout, false).expect("due by age").len(), 1);
    assert_eq!((state.waiting_events(), state.waiting_bytes()), (0, 0));
}

#[test]
fn an_urgent_event_does_not_wait_for_company() {
    let buffer = Buffer::new(limits());
    emit(&buffer, 1, Level::Info);
    emit(&buffer, 2, Level::Error);
    let chunk = buffer.lock().take_due(Duration::from_secs(30), Instant::now(), false);
    assert_eq!(chunk.map(|chunk| chunk.len()), Some(2));
}

#[test]
fn when_memory_is_full_lower_levels_go_before_higher_ones() {
    let buffer = Buffer::new(limits());
    for mark in 0..10 {
        let level = if mark % 2 == 0 { Level::Debug } else { Level::Warn };
        assert!(emit(&buffer, mark, level).is_queued());
    }
    assert_eq!(emit(&buffer, 20, Level::Debug).outcome(), crate::Outcome::Dropped(DropReason::BufferFull));
    assert!(emit(&buffer, 21, Level::Error).is_queued());
    let state = buffer.lock();
    assert_eq!(state.accounts.accepted(), 12);
    let dropped: u64 = state.accounts.dropped().iter().map(|drop| drop.count).sum();
    // The newcomer, and the oldest: one goes for one.
    assert_eq!(dropped, 2);
    assert!(state.accounts.dropped().iter().all(|drop| drop.level == Some(Level::Debug)));
    assert_eq!(state.waiting_events() as u64, state.accounts.in_memory);
}

#[test]
fn the_byte_bound_holds_too() {
    let buffer = Buffer::new(Limits { bytes: 100, ..limits() });
    assert!(emit(&buffer, 1, Level::Info).is_queued());
    assert!(emit(&buffer, 2, Level::Info).is_queued());
    assert!(!emit(&buffer, 3, Level::Info).is_queued());
    assert!(emit(&buffer, 4, Level::Critical).is_queued());
    assert!(buffer.lock().waiting_bytes() <= 100);
}

#[test]
fn ids_are_written_in_the_order_of_the_buffer() {
    let buffer = Buffer::new(limits());
    for mark in 0..4 {
        emit(&buffer, mark, Level::Info);
    }
    let chunk = buffer.lock().take_all().remove(0);
    let ids: Vec<&[u8]> =
        chunk.bytes().chunks(ID_TEXT_LEN + 4).map(|event| &event[2..2 + ID_TEXT_LEN]).collect();
    assert!(ids.is_sorted());
    assert!(ids.iter().all(|id| Uuid::try_parse_ascii(id).is_ok()));
}

#[test]
fn an_event_that_cannot_fit_drops_nothing_in_vain() {
    let buffer = Buffer::new(Limits { bytes: 100, ..limits() });
    emit(&buffer, 1, Level::Info);
    emit(&buffer, 2, Level::Info);
    let ticket = buffer.accept(&[0; 101], 2, 1, Level::Critical, 2);
    assert_eq!(ticket.outcome(), crate::Outcome::Dropped(DropReason::TooLarge));
    assert_eq!(buffer.lock().waiting_events(), 2);
}

#[test]
fn an_emptied_buffer_has_nothing_that_is_due_or_urgent() {
    let buffer = Buffer::new(Limits { bytes: 100, ..limits() });
    emit(&buffer, 1, Level::Error);
    emit(&buffer, 2, Level::Error);
    emit(&buffer, 3, Level::Critical);
    let mut state = buffer.lock();
    assert_eq!(state.take_all().len(), 1);
    assert_eq!(state.oldest(), None);
    assert!(!state.has_full_batch() && !state.has_urgent());
}

#[test]
fn bytes_that_wait_reach_the_threshold_too() {
    let buffer = Buffer::new(Limits { bytes: 100, ..limits() });
    emit(&buffer, 1, Level::Info);
    assert!(!buffer.lock().is_over_threshold());
    buffer.accept(&[0; 55], 2, 1, Level::Info, 2);
    assert!(buffer.lock().is_over_threshold());
}

#[test]
fn grave_events_find_a_place_while_all_others_are_on_their_way_to_disk() {
    let buffer = Buffer::new(Limits { events: 40, threshold: 40, ..limits() });
    for _ in 0..40 {
        assert!(emit(&buffer, 1, Level::Info).is_queued());
    }
    let writing = buffer.lock().take_all();
    assert!(!emit(&buffer, 2, Level::Warn).is_queued());
    assert!(emit(&buffer, 3, Level::Error).is_queued() && emit(&buffer, 3, Level::Critical).is_queued());
    assert!(!emit(&buffer, 4, Level::Error).is_queued(), "the reserve is bounded too");
    buffer.lock().written(writing);
}

#[test]
fn a_closed_buffer_takes_nothing() {
    let buffer = Buffer::new(limits());
    buffer.lock().close();
    assert_eq!(
        emit(&buffer, 1, Level::Critical).outcome(),
        crate::Outcome::Dropped(DropReason::NotInitialized)
    );
    assert_eq!(buffer.lock().accounts.accepted(), 0);
}

#[test]
fn a_giant_event_is_counted_and_dropped() {
    let buffer = Buffer::new(Limits { bytes: usize::MAX, ..limits() });
    let ticket = buffer.accept(&vec![0; MAX_EVENT_BYTES + 1], 2, 1, Level::Critical, 2);
    assert_eq!(ticket.outcome(), crate::Outcome::Dropped(DropReason::TooLarge));
    assert_eq!(buffer.lock().accounts.accepted(), 1);
}

/// Room for 10,000 bytes, of which events that have only an id and some more take 100 each.
fn in_bytes() -> (Buffer, Vec<u8>) {
    (Buffer::new(Limits { events: 1_000, threshold: 900, batch: 10, ..limits() }), vec![0; 100])
}

#[test]
fn what_is_being_written_counts_towards_the_bytes_however_often_that_fails() {
    let (buffer, event) = in_bytes();
    for _ in 0..12 {
        let chunks = buffer.lock().take_all();
        while buffer.accept(&event, 2, 1, Level::Info, 2).is_queued() {}
        buffer.lock().put_back(chunks);
        assert_eq!(buffer.lock().waiting_bytes(), 10_000);
    }
}

#[test]
fn a_grave_event_takes_the_place_of_lighter_ones_while_others_are_being_written() {
    let (buffer, event) = in_bytes();
    for _ in 0..90 {
        assert!(buffer.accept(&event, 2, 1, Level::Info, 2).is_queued());
    }
    let chunks = buffer.lock().take_all();
    for _ in 0..10 {
        assert!(buffer.accept(&event, 2, 1, Level::Info, 2).is_queued());
    }
    assert!(!buffer.accept(&event, 2, 1, Level::Info, 2).is_queued());
    assert!(buffer.accept(&[0; 1_000], 2, 1, Level::Error, 2).is_queued(), "while lighter ones wait");
    let state = buffer.lock();
    // The one above, and as many as it takes beside the reserve.
    assert_eq!(state.accounts.dropped().iter().map(|drop| drop.count).sum::<u64>(), 6);
    drop(state);
    assert!(buffer.accept(&[0; 500], 2, 1, Level::Error, 2).is_queued(), "the reserve is of bytes too");
    assert!(!buffer.accept(&event, 2, 1, Level::Error, 2).is_queued(), "and bounded");
    buffer.lock().written(chunks);
}

#[test]
fn what_failed_and_is_held_counts_towards_the_bytes_and_the_threshold() {
    let (buffer, event) = in_bytes();
    buffer.lock().set_failed_writing(9_900);
    assert!(buffer.accept(&event, 2, 1, Level::Info, 2).is_queued());
    assert!(buffer.lock().is_over_threshold());
    assert!(!buffer.accept(&event, 2, 1, Level::Info, 2).is_queued());
    buffer.lock().set_failed_writing(0);
    assert!(buffer.accept(&event, 2, 1, Level::Info, 2).is_queued());
}

/// What waits is sent and comes back as a batch that failed.
fn fail_all(buffer: &Buffer) {
    let mut state = buffer.lock();
    state.seal();
    while let Some(mut chunk) = state.take_due(Duration::ZERO, Instant::now(), true) {
        let (id, count) = (state.next_id(1), chunk.len() as u32);
        let batch = Arc::new(crate::Batch::new(id, 1, chunk.take_bytes(), count));
        state.hold(Held { batch, chunk, refusals: 0, not_before: None });
    }
}

/// How many events of each of these levels were dropped.
fn dropped(buffer: &Buffer, levels: [Level; 2]) -> [u64; 2] {
    let state = buffer.lock();
    let drops = state.accounts.dropped();
    levels.map(|level| drops.iter().filter(|drop| drop.level == Some(level)).map(|drop| drop.count).sum())
}

#[test]
fn batches_that_failed_give_way_to_graver_events_as_a_whole_and_the_lightest_first() {
    let buffer = Buffer::new(Limits { batch: 3, ..limits() });
    (0..3).for_each(|mark| assert!(emit(&buffer, mark, Level::Info).is_queued()));
    (3..6).for_each(|mark| assert!(emit(&buffer, mark, Level::Debug).is_queued()));
    fail_all(&buffer);
    (6..10).for_each(|mark| assert!(emit(&buffer, mark, Level::Warn).is_queued()));
    assert!(!emit(&buffer, 10, Level::Debug).is_queued(), "nothing is lighter");
    assert_eq!(dropped(&buffer, [Level::Debug, Level::Info]), [1, 0]);
    assert!(emit(&buffer, 11, Level::Info).is_queued());
    assert_eq!(dropped(&buffer, [Level::Debug, Level::Info]), [4, 0], "the batch goes, and only that one");
    assert_eq!(buffer.lock().take_dropped_held().len(), 1);
    (12..15).for_each(|mark| assert!(emit(&buffer, mark, Level::Error).is_queued()));
    assert_eq!(
        dropped(&buffer, [Level::Info, Level::Warn]),
        [1, 0],
        "what waits goes one for one, before as light a batch"
    );
    assert!(emit(&buffer, 15, Level::Error).is_queued());
    assert_eq!(dropped(&buffer, [Level::Info, Level::Warn]), [4, 0], "before what is graver");
    let state = buffer.lock();
    assert_eq!(state.held().count(), 0);
    assert_eq!(state.waiting_events() as u64, state.accounts.in_memory);
    assert_eq!(state.bytes_in_memory(), state.waiting_bytes());
}

#[test]
fn a_batch_that_failed_stays_while_what_is_in_it_is_not_lighter() {
    let buffer = Buffer::new(limits());
    (0..10).for_each(|mark| {
        assert!(emit(&buffer, mark, if mark == 4 { Level::Error } else { Level::Info }).is_queued())
    });
    fail_all(&buffer);
    assert_eq!(buffer.lock().held().map(|held| held.chunk.len()).collect::<Vec<_>>(), [4, 4, 2]);
    (10..16).for_each(|mark| assert!(emit(&buffer, mark, Level::Error).is_queued()));
    assert_eq!(dropped(&buffer, [Level::Info, Level::Error]), [6, 0]);
    assert!(!emit(&buffer, 16, Level::Error).is_queued(), "the batch with an error stays whole");
    assert_eq!(buffer.lock().held().map(|held| held.chunk.len()).collect::<Vec<_>>(), [4]);
}

#[test]
fn what_is_known_of_batches_that_may_give_way_is_that_of_the_batches_there() {
    let buffer = Buffer::new(Limits { batch: 3, ..limits() });
    let levels =
        [Level::Info, Level::Debug, Level::Warn, Level::Debug, Level::Debug, Level::Debug, Level::Error];
    levels.iter().for_each(|&level| assert!(emit(&buffer, 1, level).is_queued()));
    fail_all(&buffer);
    let mut state = buffer.lock();
    let known = |state: &State, level: Level| {
        let severity = level.severity() + 1;
        (state.held.lighter_than(severity).0, state.held.lightest(severity))
    };
    let [debug, warn, error] = [Level::Debug, Level::Warn, Level::Error].map(Level::severity);
    assert_eq!(known(&state, Level::Info), (3, Some(debug)));
    assert_eq!(known(&state, Level::Warn), (6, Some(debug)));
    assert_eq!(known(&state, Level::Error), (7, Some(debug)));
    assert!(state.drop_held(debug) && !state.drop_held(debug));
    assert_eq!(known(&state, Level::Error), (4, Some(warn)));
    assert!(state.take_held(|_| true).is_some());
    assert_eq!(known(&state, Level::Error), (1, Some(error)));
    assert!(state.take_held(|_| true).is_some());
    assert_eq!((known(&state, Level::Error), state.held.total_bytes()), ((0, None), 0));
}

#[test]
fn an_event_that_tells_of_losses_makes_no_other_give_way() {
    let own = |buffer: &Buffer| buffer.accept_as(&mut event(9), 2, 1, Level::Error, 1, Guest::Own);
    let buffer = Buffer::new(limits());
    (0..10).for_each(|mark| assert!(emit(&buffer, mark, Level::Info).is_queued()));
    assert_eq!(own(&buffer).outcome(), crate::Outcome::Dropped(DropReason::BufferFull));
    fail_all(&buffer);
    assert_eq!(own(&buffer).outcome(), crate::Outcome::Dropped(DropReason::BufferFull));
    let state = buffer.lock();
    assert_eq!(
        (state.held().map(|held| held.chunk.len()).sum::<usize>(), state.accounts.in_memory),
        (10, 10)
    );
}

#[test]
fn every_event_of_a_chunk_has_a_place_of_its_own_however_many_make_room_in_it() {
    let buffer = Buffer::new(Limits { events: 2, threshold: 2, ..limits() });
    let mut places = std::collections::BTreeSet::new();
    // One stays in the chunk, and one after the other makes room beside it.
    assert!(emit(&buffer, 1, Level::Critical).is_queued());
    buffer.lock().open.given = TicketPlace::MOST_WITHIN - 2;
    for level in [Level::Debug, Level::Info, Level::Warn, Level::Error] {
        let ticket = emit(&buffer, 2, level);
        assert!(ticket.is_queued() && places.insert(ticket.place().order()), "{level:?}: {places:?}");
    }
}
