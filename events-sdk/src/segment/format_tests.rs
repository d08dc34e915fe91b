use proptest::prelude::*;

use super::*;

fn event(number: usize) -> Vec<u8> {
    let body = vec![b'a' + (number % 26) as u8; 10 + number * 7 % 60];
    let mut event = vec![EVENTS_TAG, body.len() as u8];
    event.extend(body);
    event
}

fn severity(number: usize) -> u8 {
    1 + (number % 7) as u8
}

const ID: Uuid = Uuid::from_u128(0x0190_0000_0000_7000_8000_dead_beef_0001);

/// A segment of 4 KiB with `events` entries, and where each of them lies.
fn segment(events: usize) -> (Vec<u8>, Vec<Range<usize>>) {
    let mut bytes = vec![0; 4096];
    let places = fill(&mut bytes, ID, events);
    (bytes, places)
}

fn fill(bytes: &mut [u8], id: Uuid, events: usize) -> Vec<Range<usize>> {
    let generation = begin(bytes, id, 77);
    let mut at = HEADER;
    let mut places = Vec::new();
    for number in 0..events {
        let end = push(bytes, at, number as u32, generation, &event(number), severity(number), 2).unwrap();
        places.push(at..end);
        at = end;
    }
    places
}

fn batch(bytes: &[u8]) -> Batch {
    match read(bytes) {
        Found::Batch(batch) => batch,
        other => panic!("{other:?}"),
    }
}

/// As after another start of the machine.
fn read_after_restart(bytes: &[u8]) -> Found {
    boot::OTHER.set(Some(7));
    let found = read(bytes);
    boot::OTHER.set(None);
    found
}

fn run(numbers: impl IntoIterator<Item = usize>) -> Vec<u8> {
    numbers.into_iter().flat_map(event).collect()
}

#[test]
fn what_was_pushed_is_read_again() {
    let (mut bytes, _) = segment(20);
    let found = batch(&bytes);
    assert_eq!((found.id, found.fingerprint, found.timestamp_ms), (ID, 77, None));
    assert_eq!((found.events, found.damage, found.damaged_events), (run(0..20), vec![], 0));
    assert_eq!(found.by_severity.iter().sum::<u32>(), 20);
    set_timestamp(&mut bytes, 1_800_000_000_000);
    assert_eq!(batch(&bytes).timestamp_ms, Some(1_800_000_000_000));
    set_free(&mut bytes);
    assert!(matches!(read(&bytes), Found::Nothing));
    assert!(matches!(read(&[0; 4096]), Found::Nothing), "made and never used");
}

#[test]
fn what_is_full_says_so_and_stays_as_it_is() {
    let (mut bytes, places) = segment(3);
    let end = places[2].end;
    let before = bytes.clone();
    let generation = Generation::in_header(&bytes);
    assert_eq!(push(&mut bytes, end, 3, generation, &vec![EVENTS_TAG; 4096], 1, 1), None);
    assert_eq!(bytes, before);
}

#[test]
fn dropped_entries_are_left_out_and_are_no_damage() {
    let (mut bytes, places) = segment(20);
    let generation = Generation::in_header(&bytes);
    drop_entries(&mut bytes, places[19].end, generation, |place| place % 3 == 0);
    let left: Vec<usize> = (0..20).filter(|number| number % 3 != 0).collect();
    assert_eq!(batch(&bytes).events, run(left.iter().copied()));
    // The second of those that are left.
    drop_entries(&mut bytes, places[19].end, generation, |place| place == 1);
    let found = batch(&bytes);
    assert_eq!(found.events, run(left.into_iter().filter(|&number| number != 2)));
    assert_eq!((found.damage.len(), found.damaged_events), (0, 0));
}

#[test]
fn entries_of_an_earlier_use_are_never_believed() {
    let mut bytes = vec![0; 4096];
    fill(&mut bytes, ID, 30);
    let next = Uuid::from_u128(ID.as_u128() + 1);
    fill(&mut bytes, next, 2);
    assert_eq!(batch(&bytes).events, run(0..2));
    // Also not when it cannot be told where the entries end.
    bytes[END_AT] ^= 1;
    let found = batch(&bytes);
    assert_eq!((found.events, found.damage.len()), (run(0..2), 0));
}

#[test]
fn an_entry_of_an_earlier_use_under_the_same_id_is_not_believed_either() {
    let mut bytes = vec![0; 4096];
    fill(&mut bytes, ID, 20);
    fill(&mut bytes, ID, 20);
    let old = bytes.clone();
    fill(&mut bytes, ID, 20);
    for sector in 1..3 {
        // The header and all else are new.
        let mut torn = bytes.clone();
        torn[sector * 512..(sector + 1) * 512].copy_from_slice(&old[sector * 512..(sector + 1) * 512]);
        let (Found::Batch(killed), Found::Batch(found)) = (read(&torn), read_after_restart(&torn)) else {
            panic!("there is a batch")
        };
        assert_eq!((found.damage.len(), found.damaged_events), (0, 0), "torn, not damaged");
        assert!(found.torn_events > 0 && found.torn_events + found.count() == 20, "{found:?}");
        assert_eq!(killed.damaged_events, found.torn_events, "in a machine that never stopped it is damage");
        assert_eq!(killed.events, found.events);
    }
}

#[test]
fn of_events_that_were_cut_off_only_the_one_with_bytes_left_is_damaged() {
    let (bytes, places) = segment(20);
    let [whole, within] = [places[4].end, places[5].start + 20];
    for (len, damaged) in [(whole, 0), (within, 1)] {
        let found = batch(&bytes[..len]);
        assert_eq!(found.events, run(0..5));
        assert!(found.damage.iter().all(|span| found.reason(span).contains("cut short")), "{found:?}");
        let damage = found.damage.iter().map(|span| span.len()).sum::<usize>();
        assert_eq!((damage, found.damaged_events, found.cut_events), (len - whole, damaged, 15 - damaged));
        let Found::Batch(torn) = read_after_restart(&bytes[..len]) else { panic!("there is a batch") };
        assert_eq!((torn.torn_events, torn.damaged_events, torn.cut_events), (15, 0, 0));
    }
}

#[test]
fn one_damaged_copy_of_the_header_costs_nothing_and_two_cost_the_batch() {
    let (mut bytes, _) = segment(5);
    bytes[ID_AT] ^= 4;
    let found = batch(&bytes);
    assert_eq!((found.id, found.events), (ID, run(0..5)));
    bytes[COPY + 3] ^= 4;
    assert!(matches!(read(&bytes), Found::Unreadable(_)));
}

#[test]
fn every_flipped_bit_costs_at_most_the_event_it_is_in() {
    let (bytes, places) = segment(12);
    for bit in 0..places[11].end * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let found = batch(&flipped);
        let hit = places.iter().position(|place| place.contains(&(bit / 8)));
        let without = run((0..12).filter(|&number| Some(number) != hit));
        if found.events == run(0..12) {
            // The header, or what fills an entry up.
            assert_eq!(found.damage.len(), 0, "bit {bit}");
        } else {
            assert_eq!(
                (found.events, found.damage.len(), found.damaged_events),
                (without, 1, 1),
                "bit {bit}"
            );
        }
    }
}

#[test]
fn a_file_cut_short_keeps_what_is_before_the_cut() {
    let (bytes, places) = segment(12);
    for len in 0..bytes.len() {
        match read(&bytes[..len]) {
            Found::Batch(found) => {
                let whole = places.iter().filter(|place| place.end <= len).count();
                // The last bytes of an entry may be mere filling.
                let most = places.iter().filter(|place| place.end <= len + 3).count();
                let expected = [run(0..whole), run(0..most)];
                assert!(expected.contains(&found.events), "{len}");
            }
            Found::Unreadable(_) => assert!(len < HEADER, "{len}"),
            Found::Nothing => assert!(len == 0, "{len}"),
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_or_invent_an_event(
        noise in proptest::collection::vec(any::<u8>(), 0..3000),
        at in 0_usize..4000,
    ) {
        let _ = read(&noise);
        let (mut bytes, _) = segment(25);
        let end = bytes.len().min(at + noise.len());
        if at < end {
            bytes[at..end].copy_from_slice(&noise[..end - at]);
        }
        if let Found::Batch(found) = read(&bytes) {
            let mut known: Vec<_> = (0..25).map(event).collect();
            let mut rest = found.events.as_slice();
            while !rest.is_empty() {
                let place = known.iter().position(|event| rest.starts_with(event));
                prop_assert!(place.is_some());
                rest = &rest[known.remove(place.unwrap_or_default()).len()..];
            }
        }
    }

    /// Sectors of 512 bytes reach the disk in any order and at any time, but for what was synced, which is all there.
    #[test]
    fn a_loss_of_power_keeps_what_was_synced_and_invents_nothing(
        before in 0_usize..20,
        after in 0_usize..15,
        reused in proptest::option::of(0_usize..20),
        choice in proptest::collection::vec(0_usize..3, 8),
    ) {
        let mut bytes = vec![0; 4096];
        // What an earlier use left behind.
        fill(&mut bytes, Uuid::from_u128(ID.as_u128() - 1), 28);
        set_free(&mut bytes);
        let mut at = fill(&mut bytes, ID, before).last().map_or(HEADER, |place| place.end);
        let synced = bytes.clone();
        let generation = Generation::in_header(&bytes);
        for number in before..before + after {
            at = push(&mut bytes, at, number as u32, generation, &event(number), severity(number), 2).unwrap();
        }
        let later = bytes.clone();
        let next = Uuid::from_u128(ID.as_u128() + 1);
        if let Some(events) = reused {
            set_free(&mut bytes);
            fill(&mut bytes, next, events);
        }
        let mut disk = synced.clone();
        for (sector, choice) in choice.into_iter().enumerate() {
            let place = sector * 512..(sector + 1) * 512;
            disk[place.clone()].copy_from_slice(&[&synced, &later, &bytes][choice][place]);
        }
        let found = read_after_restart(&disk);
        match found {
            Found::Batch(found) => {
                prop_assert!(found.damage.is_empty() && found.damaged_events == 0, "{found:?}");
                // The run of one batch, from its beginning, some of it missing perhaps.
                let mut rest = found.events.as_slice();
                let mut numbers = Vec::new();
                for number in 0..before + after + 20 {
                    if !rest.is_empty() && rest.starts_with(&event(number)) {
                        rest = &rest[event(number).len()..];
                        numbers.push(number);
                    }
                }
                prop_assert!(rest.is_empty(), "invented");
                let most = if found.id == ID { before + after } else { reused.unwrap_or(0) };
                prop_assert!(found.id == ID || found.id == next);
                prop_assert!(numbers.iter().all(|&number| number < most));
                if reused.is_none() {
                    prop_assert!((0..before).all(|number| numbers.contains(&number)), "lost what was synced");
                }
            }
            other => prop_assert!(reused.is_some(), "{other:?}"),
        }
    }
}
