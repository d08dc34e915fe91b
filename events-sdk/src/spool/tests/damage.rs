//! Files that are torn, flipped, cut, or no batch at all.

use std::{
    collections::HashSet,
    fs,
    path::Path,
    sync::{Arc, LazyLock},
};

use proptest::prelude::*;
use prost::Message;

use super::{
    faulty::Faulty,
    samples::{entries, entry, event, id, read_all, sized, spill, split, write},
};
use crate::ledger::Step;
use crate::proto::EventBatch;
use crate::proto::events::Event;
use crate::spool::{
    Damage, FileName, NewFile, Passed, Spool, SpoolFile, Thinning,
    format::{encode_trailer, piece_id},
    seal::HEAD_BYTES,
};

/// Puts these bytes into the spool and inspects them.
fn put(dir: &Path, spool: &Spool, name: &str, bytes: &[u8]) -> SpoolFile {
    fs::write(dir.join(name), bytes).unwrap();
    spool.inspect(&FileName::parse(name.as_ref()).unwrap()).unwrap()
}

/// Everything in the quarantine folder, by name.
fn aside(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(dir.join("quarantine"))
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn a_torn_file_gives_up_only_its_tail() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path()).unwrap();
    let mut bytes = entries(0..1001);
    bytes.truncate(bytes.len() - 9);
    let file = put(dir.path(), &spool, "torn.pb", &bytes);
    assert_eq!((file.events, file.sealed), (1001, false));

    let mut reader = spool.read(&file).unwrap();
    let mut counts = Vec::new();
    while let Some(piece) = reader.next_piece().unwrap() {
        counts.push(piece.count);
    }
    assert_eq!(counts, [125; 8]);
    let damage = reader.damage().unwrap();
    let torn = entry(1000).len() - 9;
    assert_eq!((damage.bytes, damage.events, damage.spans), (torn as u64, 1, 1));

    assert_eq!(spool.quarantine(&file, None).unwrap(), Some(damage));
    let files = aside(dir.path());
    assert_eq!(files.len(), 2);
    assert_eq!(files[0].1, entry(1000)[..torn]);
    assert!(files[0].0.starts_with("torn.pb.") && files[0].0.ends_with(".damaged"));
    assert_eq!(files[1].0, format!("{}.txt", files[0].0));
    let text = String::from_utf8(files[1].1.clone()).unwrap();
    assert!(text.contains("1 event as far as can be known; the other 1000 are good"), "{text}");
    assert!(text.contains("the file ends within a field"), "{text}");

    // Again, as after a crash before the file was removed.
    spool.quarantine(&file, None).unwrap();
    assert_eq!(aside(dir.path()), files);
}

#[test]
fn a_flipped_length_in_a_sealed_file_costs_one_event_and_the_seal_counts_it() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path()).unwrap();
    let file = spill(&spool, id(1), 0..600, false).unwrap();
    let path = dir.path().join(file.name.to_os_string());
    let mut bytes = fs::read(&path).unwrap();
    let at = HEAD_BYTES + entries(0..100).len();
    bytes[at + 1] ^= 0x40;
    fs::write(&path, bytes).unwrap();

    let file = spool.inspect(&file.name).unwrap();
    assert_eq!((file.events, file.sealed), (600, true));
    let expected = [split(&entries(0..100)), split(&entries(101..600))].concat();
    assert_eq!(read_all(&spool, &file), expected);
    let damage = spool.quarantine(&file, None).unwrap().unwrap();
    assert_eq!((damage.bytes, damage.events, damage.spans), (entry(100).len() as u64, 1, 1));
    assert_eq!(aside(dir.path())[0].1[2..], entry(100)[2..]);
}

#[test]
fn files_that_are_no_batch_yield_nothing_and_are_kept_aside() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path()).unwrap();
    let cases: [(&str, &[u8]); 5] = [
        ("zeros.pb", &[0; 70_000]),
        ("text.pb", b"this is no protobuf message at all\n"),
        ("tag.pb", &[0x0A]),
        ("length.pb", &[0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01]),
        ("groups.pb", &[0x0B, 0x0C, 0x0B, 0x0C]),
    ];
    for (name, bytes) in cases {
        let file = put(dir.path(), &spool, name, bytes);
        assert_eq!(read_all(&spool, &file).len(), 0, "{name}");
        let damage = spool.quarantine(&file, None).unwrap().unwrap();
        assert_eq!((damage.bytes, damage.events), (bytes.len() as u64, file.events), "{name}");
        assert!(
            aside(dir.path()).iter().any(|(aside, kept)| aside.starts_with(name) && kept == bytes),
            "{name}"
        );
    }
}

#[test]
fn a_file_without_events_is_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path()).unwrap();
    for (name, bytes) in [("empty.pb", vec![]), ("trailer.pb", encode_trailer(5, id(1)))] {
        let file = put(dir.path(), &spool, name, &bytes);
        assert_eq!((file.events, file.bytes), (0, bytes.len() as u64));
        assert_eq!(read_all(&spool, &file).len(), 0);
        assert_eq!(spool.quarantine(&file, None).unwrap(), None);
    }
    let file = spill(&spool, id(2), 0..0, true).unwrap();
    assert_eq!(read_all(&spool, &file).len(), 0);
}

#[test]
fn a_seal_that_counts_more_than_there_is_still_lets_the_account_balance() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path()).unwrap();
    let events = entries(0..2);
    let file = write(&spool, &events, 5);
    assert_eq!(read_all(&spool, &file).len(), 2);
    let damage = spool.quarantine(&file, None).unwrap().unwrap();
    assert_eq!((damage.bytes, damage.events), (0, 3));
}

#[derive(Debug, Clone)]
enum Harm {
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Zero(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, u8),
}

fn harm() -> impl Strategy<Value = Harm> {
    let place = any::<prop::sample::Index>;
    prop_oneof![
        4 => (place(), 0..8_u8).prop_map(|(at, bit)| Harm::Flip(at, bit)),
        1 => place().prop_map(Harm::Cut),
        1 => (place(), any::<u8>()).prop_map(|(at, len)| Harm::Zero(at, len)),
        1 => (place(), prop::collection::vec(any::<u8>(), 1..40)).prop_map(|(at, bytes)| Harm::Insert(at, bytes)),
        1 => (place(), 1..60_u8).prop_map(|(at, len)| Harm::Remove(at, len)),
    ]
}

/// Applies the harm; `whose` says of each byte to which event it belongs, if to any. Returns the events it touched.
fn apply(harm: &Harm, bytes: &mut Vec<u8>, whose: &mut Vec<Option<u32>>) -> HashSet<u32> {
    if bytes.is_empty() {
        return HashSet::new();
    }
    let range = |at: &prop::sample::Index, len: usize| {
        let at = at.index(bytes.len());
        at..(at + len).min(bytes.len())
    };
    match harm {
        Harm::Flip(at, bit) => {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            whose[at].into_iter().collect()
        }
        Harm::Cut(at) => {
            let at = at.index(bytes.len());
            bytes.truncate(at);
            whose.split_off(at).into_iter().flatten().collect()
        }
        Harm::Zero(at, len) => {
            let range = range(at, usize::from(*len));
            bytes[range.clone()].fill(0);
            whose[range].iter().copied().flatten().collect()
        }
        Harm::Insert(at, new) => {
            let at = at.index(bytes.len());
            // Between two events it harms neither.
            let hit = if at > 0 && whose[at] == whose[at - 1] { whose[at] } else { None };
            bytes.splice(at..at, new.iter().copied());
            whose.splice(at..at, new.iter().map(|_| None));
            hit.into_iter().collect()
        }
        Harm::Remove(at, len) => {
            let range = range(at, usize::from(*len));
            bytes.drain(range.clone());
            whose.drain(range).flatten().collect()
        }
    }
}

/// What came of a damaged file.
pub(super) struct Outcome {
    pub(super) delivered: Vec<Vec<u8>>,
    pub(super) damage: Option<Damage>,
}

/// Reads a file with these bytes, sets its damage aside, and checks what must hold whatever is in it.
pub(super) fn read_damaged(bytes: &[u8]) -> Outcome {
    let disk = Faulty::new();
    let dir = Path::new("/spool");
    let spool = Spool::open_on(Arc::new(disk.clone()), dir).unwrap();
    let name = FileName::of(id(1));
    disk.put(&dir.join(name.to_os_string()), bytes);

    let file = spool.inspect(&name).unwrap();
    let mut reader = spool.read(&file).unwrap();
    let (mut delivered, mut kept) = (Vec::new(), 0);
    while let Some(piece) = reader.next_piece().unwrap() {
        kept += piece.events.len() as u64;
        delivered.extend(split(&piece.events));
    }
    assert_eq!(read_all(&spool, &file), delivered, "a second reading finds something else");
    let damage = reader.damage();
    assert_eq!(spool.quarantine(&file, None).unwrap(), damage);
    let (damaged_bytes, lost) =
        damage.as_ref().map_or((0, 0), |damage| (damage.bytes, damage.events + damage.cut_off));
    assert!(kept + damaged_bytes <= bytes.len() as u64);
    assert!(reader.found().saturating_add(lost) >= file.events);
    let (folder, mut aside) = (dir.join("quarantine"), 0);
    let mut each = |name, _| aside += spool.storage.metadata(&folder.join(name)).unwrap().len;
    // A folder that is not there has nothing in it.
    let _ = spool.storage.list(&folder, &mut each);
    assert!(aside >= damaged_bytes && (aside > 0) == (damaged_bytes > 0));
    Outcome { delivered, damage }
}

/// How many events the files below hold.
const COUNT: u32 = 60;

/// The bytes of a spill file of [`COUNT`] events, and where those are that are not events: up to here, and from there on.
fn sealed(whole: bool) -> (Vec<u8>, usize, usize) {
    static FILES: LazyLock<[(Vec<u8>, usize, usize); 2]> = LazyLock::new(|| {
        [false, true].map(|whole| {
            let disk = Faulty::new();
            let spool = Spool::open_on(Arc::new(disk.clone()), Path::new("/spool")).unwrap();
            spill(&spool, id(1), 0..COUNT, whole).unwrap();
            (
                disk.read(&Path::new("/spool").join(FileName::of(id(1)).to_os_string())),
                HEAD_BYTES,
                HEAD_BYTES + entries(0..COUNT).len(),
            )
        })
    });
    FILES[usize::from(whole)].clone()
}

/// Which event each byte of a run belongs to.
fn owners() -> Vec<Option<u32>> {
    (0..COUNT).flat_map(|index| entry(index).into_iter().map(move |_| Some(index))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn harm_among_sealed_events_costs_exactly_the_events_it_touches(
        harms in prop::collection::vec(harm(), 1..8),
        whole in any::<bool>(),
    ) {
        let (mut head, start, end) = sealed(whole);
        let seal = head.split_off(end);
        let mut bytes = head.split_off(start);
        let (before, mut whose, mut touched) = (bytes.clone(), owners(), HashSet::new());
        for harm in &harms {
            touched.extend(apply(harm, &mut bytes, &mut whose));
        }
        // Zeros over zeros, and one flip undone by the next, are no harm.
        if bytes == before {
            touched.clear();
        }
        let bytes = [head, bytes, seal].concat();
        let outcome = read_damaged(&bytes);
        let mut intact: Vec<_> = (0..COUNT).filter(|index| !touched.contains(index)).map(entry).collect();
        // An event that is whole again is delivered, of course.
        let written: HashSet<_> = split(&before).into_iter().collect();
        intact.extend(outcome.delivered.iter().filter(|event| written.contains(*event)).cloned());
        let order = |mut events: Vec<_>| { events.sort(); events.dedup(); events };
        prop_assert_eq!(order(intact), order(outcome.delivered.clone()));
        let lost = outcome.damage.map_or(0, |damage| damage.events);
        prop_assert_eq!(outcome.delivered.len() + lost as usize, COUNT as usize);
    }

    #[test]
    fn harm_to_the_seal_costs_no_event(at in any::<prop::sample::Index>(), bit in 0..8_u8, whole in any::<bool>()) {
        let (mut bytes, start, end) = sealed(whole);
        let at = at.index(bytes.len() - (end - start));
        bytes[if at < start { at } else { at + end - start }] ^= 1 << bit;
        prop_assert_eq!(read_damaged(&bytes).delivered, split(&entries(0..COUNT)));
    }

    #[test]
    fn a_cut_costs_what_is_cut_off_with_and_without_a_seal(at in any::<prop::sample::Index>(), is_sealed in any::<bool>()) {
        let (mut bytes, mut start, mut end) = sealed(false);
        if !is_sealed {
            bytes = entries(0..COUNT);
            (start, end) = (0, bytes.len());
        }
        let at = at.index(bytes.len());
        bytes.truncate(at);
        let complete = owners().into_iter().take((at + 1).saturating_sub(start)).flatten().max().unwrap_or(0);
        let complete = if at >= end { COUNT } else { complete };
        prop_assert_eq!(read_damaged(&bytes).delivered, split(&entries(0..complete)));
    }

    #[test]
    fn whatever_the_bytes_are_reading_ends_and_all_of_them_are_accounted_for(
        harms in prop::collection::vec(harm(), 1..8),
        is_sealed in any::<bool>(),
        noise in prop::option::of(prop::collection::vec(any::<u8>(), 0..2000)),
    ) {
        let (mut bytes, start, end) = sealed(true);
        if !is_sealed {
            bytes = bytes[start..end].to_vec();
        }
        if let Some(noise) = noise {
            bytes = noise;
        }
        let mut whose = vec![None; bytes.len()];
        for harm in &harms {
            apply(harm, &mut bytes, &mut whose);
        }
        read_damaged(&bytes);
    }
}

#[test]
fn a_flipped_bit_in_a_file_without_a_seal_costs_its_event_and_no_other() {
    let bytes = entries(0..COUNT);
    let owners = owners();
    // Every byte of some events in the middle, and a bit that changes from byte to byte.
    let (begin, end) = (entries(0..20).len(), entries(0..24).len());
    for at in begin..end {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        let delivered: HashSet<_> = read_damaged(&flipped).delivered.into_iter().collect();
        for index in (0..COUNT).filter(|index| owners[at] != Some(*index)) {
            assert!(delivered.contains(&entry(index)), "event {index} is gone after a flip at byte {at}");
        }
    }
}

#[test]
fn a_giant_event_in_a_file_whose_seal_is_right_is_set_aside_and_the_others_are_delivered() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path()).unwrap();
    let mut giant = vec![0x0A];
    prost::encoding::encode_varint(5 << 20, &mut giant);
    giant.resize(giant.len() + (5 << 20), b'x');
    let runs = [&entries(0..2), giant.as_slice(), &entries(2..4)];
    let new = NewFile {
        id: id(7),
        timestamp_ms: 1,
        runs: &runs,
        count: 5,
        levels: &[],
        whole: false,
        offered: false,
        fingerprint: 0,
        ledger: 0,
        part_of: None,
    };
    let file = spool.write(new).unwrap();
    let mut reader = spool.read(&file).unwrap();
    // It has its place among them: a piece of its own, of which nothing is left.
    for (index, events) in [(0, 0..2), (2, 2..4)] {
        let piece = reader.next_piece().unwrap().unwrap();
        assert_eq!((piece.index, piece.count, piece.events), (index, 2, entries(events)));
    }
    assert_eq!(reader.next_piece().unwrap(), None);
    let damage = reader.damage().unwrap();
    assert_eq!((damage.bytes, damage.events), (giant.len() as u64, 1));
    assert!(damage.reason.ends_with("an event is larger than any event can be"), "{}", damage.reason);
    assert_eq!(spool.quarantine(&file, None).unwrap(), Some(damage));
    let files = aside(dir.path());
    assert_eq!((files.len(), &files[0].1), (2, &giant));
}

#[test]
fn of_a_file_that_is_cut_to_less_than_was_dealt_with_no_more_is_lost_than_was_left() {
    // Four pieces are delivered, so 500 events wait.
    let passed = Passed::first(4, 500);
    for rest in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path()).unwrap();
        let file = spill(&spool, id(1_700_000_000_000), 0..1_000, false).unwrap();
        let path = dir.path().join(file.name.to_os_string());
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(5_000).unwrap();
        let thinning = Thinning { severity: 3, bytes: u64::MAX, id: id(2), fingerprint: 7, passed };
        let thinned =
            if rest { spool.drop_rest(&file, passed).unwrap() } else { spool.thin(&file, thinning).unwrap() };
        assert_eq!((thinned.events(), thinned.cut_off), (500, 500), "rest: {rest}");
    }
}

/// Pieces by their places, with the entries in them.
type Pieces = Vec<(u32, Vec<Vec<u8>>)>;

/// What of a file is behind what is passed, and what is damaged there.
fn pieces_behind(spool: &Spool, file: &SpoolFile, passed: Passed) -> (Pieces, Option<Damage>) {
    let mut reader = spool.read(file).unwrap();
    reader.skip(passed).unwrap();
    let mut pieces = Vec::new();
    while let Some(piece) = reader.next_piece().unwrap() {
        assert_eq!(piece.id, piece_id(file.id, piece.index));
        pieces.push((piece.index, split(&piece.events)));
    }
    let damage = spool.quarantine(file, Some(&reader.done())).unwrap();
    assert_eq!(damage, reader.damage());
    (pieces, damage)
}

#[test]
fn damaged_events_keep_their_place_among_the_pieces() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path()).unwrap();
    let file = spill(&spool, id(1_700_000_000_000), 0..400, false).unwrap();
    let path = dir.path().join(file.name.to_os_string());
    let good = fs::read(&path).unwrap();
    let starts: Vec<usize> =
        (0..=400).map(|index| (0..index).map(|index| entry(index).len()).sum()).collect();
    let expected = |range: std::ops::Range<u32>, bad: &[u32]| -> Vec<Vec<u8>> {
        range.filter(|index| !bad.contains(index)).map(entry).collect()
    };
    let damaged = |bad: &[u32]| {
        let mut bytes = good.clone();
        bad.iter().for_each(|&index| bytes[HEAD_BYTES + starts[index as usize] + 20] ^= 0x10);
        fs::write(&path, bytes).unwrap();
    };
    // One event, the last of a piece, the first of one, a run over a cut.
    for bad in [&[2_u32][..], &[124], &[125], &[123, 124, 125, 126]] {
        damaged(bad);
        let (pieces, damage) = pieces_behind(&spool, &file, Passed::default());
        let cuts = [0..125, 125..250, 250..375, 375..400];
        let all: Vec<_> = (0..).zip(cuts.map(|cut| expected(cut, bad))).collect();
        assert_eq!(pieces, all, "{bad:?}");
        assert_eq!(damage.map(|damage| damage.events), Some(bad.len() as u32), "{bad:?}");
        // All of the first two was good when it was delivered: nothing of it is set aside.
        let (pieces, damage) = pieces_behind(&spool, &file, Passed::first(2, 250));
        assert_eq!((pieces.as_slice(), damage), (&all[2..], None), "{bad:?}");
        // It was not: what is damaged is set aside at the end.
        let read = Passed::first(2, 250 - bad.len() as u64);
        let (pieces, damage) = pieces_behind(&spool, &file, read);
        assert_eq!(pieces, all[2..], "{bad:?}");
        assert_eq!(damage.map(|damage| damage.events), Some(bad.len() as u32), "{bad:?}");
    }
    // Of what was dealt with out of turn: in the third piece after it was delivered, in the second before.
    damaged(&[130, 251]);
    let mut step = Step::none(file.id);
    step.note(2, 125, 125);
    let (pieces, damage) = pieces_behind(&spool, &file, Passed::of(step));
    assert_eq!(pieces[1], (1, expected(125..250, &[130])));
    assert_eq!(damage.map(|damage| (damage.events, damage.spans)), Some((1, 1)));
    // A whole piece.
    let bad: Vec<u32> = (125..250).collect();
    damaged(&bad);
    let (pieces, damage) = pieces_behind(&spool, &file, Passed::default());
    assert_eq!(pieces.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0, 2, 3]);
    assert_eq!((pieces[1].1.len(), damage.map(|damage| damage.events)), (125, Some(125)));
}

#[test]
fn damaged_events_keep_their_place_where_the_size_cuts() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path()).unwrap();
    // Three fit into a piece.
    let large = |index| {
        let event = Event { source: "x".repeat(300 << 10), ..event(index) };
        EventBatch { events: vec![event], ..EventBatch::default() }.encode_to_vec()
    };
    let run: Vec<u8> = (0..10).flat_map(large).collect();
    let file = write(&spool, &run, 10);
    let path = dir.path().join(file.name.to_os_string());
    let cuts = |spool: &Spool| {
        let (pieces, _) = pieces_behind(spool, &file, Passed::default());
        pieces.into_iter().map(|(index, events)| (index, events.len())).collect::<Vec<_>>()
    };
    assert_eq!(cuts(&spool), [(0, 3), (1, 3), (2, 3), (3, 1)]);
    let good = fs::read(&path).unwrap();
    for (bad, left) in [(1, [(0, 2), (1, 3), (2, 3), (3, 1)]), (3, [(0, 3), (1, 2), (2, 3), (3, 1)])] {
        let mut bytes = good.clone();
        bytes[HEAD_BYTES + bad * large(0).len() + 1_000] ^= 1;
        fs::write(&path, bytes).unwrap();
        assert_eq!(cuts(&spool), left);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    /// A block that the disk lost reaches over several events of unlike sizes, and over the ends of pieces: those that are whole stay in
    /// the piece that they were written in, or Toggle would have them twice or never.
    #[test]
    fn events_beside_a_lost_block_keep_their_place_whatever_sizes_those_in_it_had(
        sizes in prop::collection::vec(prop_oneof![100..20_000_usize, 200_000..700_000_usize], 4..16),
        at in any::<prop::sample::Index>(),
        lost in prop_oneof![1..5_000_usize, 100_000..2_000_000_usize],
    ) {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path()).unwrap();
        let events: Vec<_> = (0..).zip(&sizes).map(|(index, &size)| sized(index, size)).collect();
        let run = events.concat();
        let file = write(&spool, &run, events.len() as u32);
        let (before, _) = pieces_behind(&spool, &file, Passed::default());
        let path = dir.path().join(file.name.to_os_string());
        let mut bytes = fs::read(&path).unwrap();
        let at = at.index(run.len());
        let lost = at..run.len().min(at + lost);
        bytes[HEAD_BYTES..][lost.clone()].fill(0);
        fs::write(&path, bytes).unwrap();
        let mut from = 0;
        let mut is_whole = |event: &[u8]| {
            let there = from..from + event.len();
            from = there.end;
            there.end <= lost.start || there.start >= lost.end
        };
        let whole: HashSet<_> = events.iter().filter(|event| is_whole(event)).cloned().collect();
        let expected: Pieces = before
            .into_iter()
            .map(|(index, events)| (index, events.into_iter().filter(|event| whole.contains(event)).collect()))
            .filter(|(_, events): &(u32, Vec<_>)| !events.is_empty())
            .collect();
        let (after, damage) = pieces_behind(&spool, &file, Passed::default());
        prop_assert_eq!(after.len(), expected.len());
        prop_assert!(after == expected);
        prop_assert_eq!(damage.map_or(0, |damage| damage.events) as usize, events.len() - whole.len());
    }
}
