//! Spill files, names and quarantines that nobody would write. See [`crate::fuzz`].

mod segments;

use std::{
    ffi::OsStr,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::Path,
    sync::{Arc, LazyLock},
};

use prost::Message;
use uuid::Uuid;

use super::{
    damage::read_damaged,
    faulty::Faulty,
    samples::{entries, id, read_all, spill, split},
};
use crate::{
    fuzz::{Choices, MOST_EDITS, edit, target},
    proto::events::Event,
    spool::{
        FileName, NewFile, Passed, Spool, Thinning,
        format::{CHUNK, encode_trailer, varint},
        name,
        reader::Opened,
        scan::{Found, Trust},
        seal::HEAD_BYTES,
    },
};

/// What mutation starts from.
struct Base {
    bytes: Vec<u8>,
    /// Where the events end, and the rest begins.
    run: usize,
    /// The events, as entries.
    events: Vec<Vec<u8>>,
}

static BASES: LazyLock<Vec<Base>> = LazyLock::new(|| {
    let mut bases = Vec::new();
    for (count, whole) in [(12, false), (5, true), (1, true), (0, false)] {
        let (disk, spool) = spool();
        spill(&spool, id(1), 0..count, whole).unwrap();
        bases.push(base(disk.read(&path(&FileName::of(id(1)))), entries(0..count)));
    }
    // Events of all levels, and too small and too many for one piece.
    let (disk, spool) = spool();
    let run: Vec<u8> = (0..1100).flat_map(small).collect();
    let levels: Vec<_> = (0..7).map(|level| (level, 1100 / 7 + i32::from(level < 1))).collect();
    let levels: Vec<_> = levels.into_iter().map(|(level, count)| (level, count.unsigned_abs())).collect();
    let file = NewFile {
        id: id(1),
        timestamp_ms: 1,
        runs: &[&run],
        count: 1100,
        levels: &levels,
        whole: false,
        offered: false,
        fingerprint: 7,
        ledger: 9,
        part_of: None,
    };
    let file = spool.write(file).unwrap();
    bases.push(base(disk.read(&path(&file.name)), run));
    // What is left of a file after some of it was dropped.
    let thinning = Thinning { severity: 2, bytes: 800, id: id(2), fingerprint: 7, passed: Passed::default() };
    let left = spool.thin(&file, thinning).unwrap().file.unwrap();
    let run = read_all(&spool, &left).concat();
    bases.push(base(disk.read(&path(&left.name)), run));
    // Files of the earlier agent: their fields stand in any order.
    let (run, trailer) = (entries(0..12), encode_trailer(1_700_000_000_000, id(1)));
    let (events, bytes) = (split(&run), [run.clone(), trailer.clone()].concat());
    bases.push(Base { bytes, run: run.len(), events });
    bases.push(Base { bytes: [trailer, run.clone()].concat(), run: run.len(), events: split(&run) });
    bases
});

fn base(bytes: Vec<u8>, run: Vec<u8>) -> Base {
    assert!(bytes[HEAD_BYTES..].starts_with(&run));
    Base { bytes, run: HEAD_BYTES + run.len(), events: split(&run) }
}

/// A short event, of another level than the one before.
fn small(index: u32) -> Vec<u8> {
    let event = Event {
        event_id: format!("{index:04}"),
        level: (index % 7).cast_signed(),
        timestamp: 1,
        ..Event::default()
    };
    let mut entry = vec![0x0A];
    entry.extend(event.encode_length_delimited_to_vec());
    entry
}

fn spool() -> (Faulty, Spool) {
    let disk = Faulty::new();
    let spool = Spool::open_on(Arc::new(disk.clone()), Path::new("/spool")).unwrap();
    (disk, spool)
}

fn path(name: &FileName) -> std::path::PathBuf {
    Path::new("/spool").join(name.to_os_string())
}

/// A file with some harm done to it, and which one it was.
fn damaged(choices: &mut Choices<'_>) -> (Vec<u8>, &'static Base) {
    let base = choices.of(&BASES);
    let mut bytes = base.bytes.clone();
    let range = match choices.below(4) {
        0 => 0..base.run,
        1 => base.run..bytes.len(),
        _ => 0..usize::MAX,
    };
    for _ in 0..choices.below(MOST_EDITS + 1) {
        edit(&mut bytes, range.clone(), choices);
    }
    (bytes, base)
}

fn open(bytes: &[u8]) -> Opened {
    let (disk, spool) = spool();
    let name = FileName::of(id(1));
    disk.put(&path(&name), bytes);
    Opened::new(spool.storage.open(&path(&name)).unwrap()).unwrap()
}

/// Whether each of `some` is one of `all`, in their order and no more often.
fn is_part_of(some: &[Vec<u8>], all: &[Vec<u8>]) -> bool {
    let mut all = all.iter();
    some.iter().all(|one| all.any(|other| other == one))
}

/// Reads a file with these bytes, and accounts for each of them: an event, a field of the batch, or damage.
fn walk(bytes: &[u8]) {
    let Opened { mut scanner, .. } = open(bytes);
    let trust = scanner.trust();
    let end = scanner.end() as usize;
    let mut at = 0;
    loop {
        let (from, found) = match scanner.next().unwrap() {
            None => break,
            Some(Found::Damage(span)) => {
                assert!(span.len > 0, "{span:?}");
                (span.offset as usize, span.len as usize)
            }
            Some(Found::Event(entry)) => {
                let body = &entry[1 + varint(&entry[1..]).unwrap().1..];
                if trust != Trust::Intact {
                    assert!(Event::decode(body).is_ok(), "delivered what is no event");
                }
                let from = passed(bytes, at, trust, |at| bytes[at..].starts_with(entry));
                (from, entry.len())
            }
        };
        assert_eq!(passed(bytes, at, trust, |at| at == from), from, "bytes from {at} on are unaccounted for");
        at = from + found;
        assert!(scanner.held() <= 2 * (bytes.len() + CHUNK), "{} bytes held", scanner.held());
    }
    assert_eq!(passed(bytes, at, trust, |at| at >= end), end, "bytes from {at} on are unaccounted for");
}

/// Passes over the fields of a batch that are no events until `is_there`.
fn passed(bytes: &[u8], mut at: usize, trust: Trust, is_there: impl Fn(usize) -> bool) -> usize {
    while !is_there(at) {
        let (tag, tag_len) = varint(&bytes[at..]).unwrap();
        let (value, len) = match varint(&bytes[at + tag_len..]) {
            Some((value, len)) => (value as usize, len),
            None => (0, 0),
        };
        let is_ours = matches!(tag, 0x10 | 0x1A | 0x322);
        assert!(is_ours || trust == Trust::Intact, "tag {tag} at {at} is passed over");
        at += tag_len
            + match tag & 7 {
                0 => len,
                1 => 8,
                2 => len + value,
                5 => 4,
                other => panic!("wire type {other} at {at}"),
            };
    }
    at
}

/// Delivers a file with these bytes, sets its damage aside, and drops a part of another one like it.
fn deliver(bytes: &[u8], base: &Base, choices: &mut Choices<'_>) {
    let checks_hold = {
        let opened = open(bytes);
        matches!(opened.scanner.trust(), Trust::Checked)
            || matches!(opened.scanner.trust(), Trust::Intact) && bytes.starts_with(&base.bytes[..base.run])
    };
    let outcome = read_damaged(bytes);
    if checks_hold {
        assert!(is_part_of(&outcome.delivered, &base.events), "an event that was never written");
    }
    let (disk, spool) = spool();
    let name = FileName::of(id(1));
    disk.put(&path(&name), bytes);
    let file = spool.inspect(&name).unwrap();
    let mut passed = Passed::default();
    if choices.below(8) == 0
        && let Some(piece) = spool.read(&file).unwrap().next_piece().unwrap()
    {
        passed.add(&piece);
    }
    let thinning = Thinning {
        severity: choices.byte() % 8,
        bytes: u64::from(choices.byte()) * 20,
        id: id(3),
        fingerprint: 7,
        passed,
    };
    let thinned = spool.thin(&file, thinning).unwrap();
    let left = thinned.file.as_ref().map(|left| read_all(&spool, left)).unwrap_or_default();
    assert!(is_part_of(&left, &outcome.delivered), "an event that was not there before");
    let dropped: u64 = thinned.dropped.iter().map(|(_, _, count)| count).sum();
    if thinning.passed.pieces == 0 {
        assert_eq!(left.len() as u64 + dropped, outcome.delivered.len() as u64);
    }
    let damaged = u64::from(outcome.damage.map_or(0, |damage| damage.events));
    assert!(thinned.damaged == damaged || passed.pieces > 0 && thinned.damaged == 0, "{thinned:?}");
}

fn a_damaged_file(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let (file, base) = damaged(&mut choices);
    walk(&file);
    deliver(&file, base, &mut choices);
}

fn any_file(bytes: &[u8]) {
    walk(bytes);
    read_damaged(bytes);
    // As the end of a file whose beginning is in order.
    let file = [entries(0..2).as_slice(), bytes].concat();
    walk(&file);
    read_damaged(&file);
}

fn any_name(bytes: &[u8]) {
    let name = OsStr::from_bytes(bytes);
    let _ = (name::is_unfinished(name), name::is_unfinished_copy(name));
    if let Some((id, old)) = name::replaced_by(name) {
        assert_eq!(name::replacement(id, &old).as_deref(), Some(name), "another name for the same");
    }
    let Some(parsed) = FileName::parse(name) else { return };
    assert_eq!(parsed.to_os_string().into_vec(), bytes);
    let path = path(&parsed);
    assert_eq!(path.parent(), Some(Path::new("/spool")), "it leads out of the directory");
    assert!(!name::is_unfinished(name) && name::replaced_by(name).is_none());
    let _ = (parsed.time_ms(), parsed.id());
    // Two names never share an identity.
    assert_eq!(
        FileName::of(parsed.id()) == parsed,
        Uuid::try_parse(&parsed.to_string().replace(".pb", "")).is_ok_and(|id| parsed == FileName::of(id))
    );
    let replacement = name::replacement(id(1), &parsed);
    assert_eq!(replacement.is_none(), bytes.len() > 255 - 46);
    if let Some(replacement) = replacement {
        assert_eq!(name::replaced_by(&replacement), Some((id(1), parsed.clone())));
    }
}

fn names(bytes: &[u8]) {
    any_name(bytes);
    let mut choices = Choices::new(bytes);
    let uuid = format!("{}.pb", id(7));
    let waiting = name::replacement(id(2), &FileName::of(id(7))).unwrap();
    let seeds = [
        uuid.as_bytes(),
        b"events from monday.pb",
        waiting.as_bytes(),
        b".0190-x.tmp",
        b"..pb",
        b"a/../b.pb",
        b".segment.tmp",
        b".x.pb.txt.tmp",
    ];
    let mut name = choices.of(&seeds).to_vec();
    for _ in 0..=choices.below(3) {
        edit(&mut name, 0..usize::MAX, &mut choices);
    }
    any_name(&name);
}

fn a_quarantine(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let (disk, spool) = spool();
    spool.storage.create_dir(&spool.dir.join("quarantine")).unwrap();
    let descriptions: [&[u8]; 6] = [
        b"Damaged bytes of the spill file x.pb.\n9 bytes in 1 places, 3 events as far as can be known; 7 events were delivered.\n",
        b"9 bytes in 1 place, 1 event as far as can be known; the other 7 are good",
        b"99999999999999999999 events as far as can be known",
        b"18446744073709551615 events as far as can be known",
        b"\xff\xfe events as far as can be known",
        b"",
    ];
    for index in 0..=choices.below(4) {
        let name = ["x.pb.0badf00d.damaged", "7-1.seg.damaged", "x.pb", "y.pb.damaged.txt"][index % 4];
        let mut content =
            if choices.yes() { damaged(&mut choices).0 } else { choices.of(&descriptions).to_vec() };
        disk.put(&spool.dir.join("quarantine").join(name), &content);
        content = choices.of(&descriptions).to_vec();
        if choices.yes() {
            edit(&mut content, 0..usize::MAX, &mut choices);
        }
        disk.put(&spool.dir.join("quarantine").join(format!("{name}.txt")), &content);
    }
    let all = spool.quarantined_events().unwrap();
    let spool = spool.bounded(crate::spool::Bounds { quarantine: 0, ..crate::spool::Bounds::NONE });
    let gone = spool.clear_quarantine().0;
    assert_eq!(gone, all, "some went uncounted");
    let left = disk.names().into_iter().filter(|name| name.starts_with("/spool/quarantine"));
    assert_eq!(left.map(|name| disk.read(&name).len()).sum::<usize>(), 0);
}

#[test]
fn a_damaged_file_gives_what_was_written_and_accounts_for_the_rest() {
    target!("spool", 96, a_damaged_file);
}

#[test]
fn any_bytes_are_a_file_whose_every_byte_is_accounted_for() {
    target!("bytes", 512, any_file);
}

#[test]
fn a_name_is_one_part_of_a_path_and_one_identity() {
    target!("names", 64, names);
}

#[test]
fn a_quarantine_is_counted_whatever_is_said_in_it() {
    target!("quarantine", 64, a_quarantine);
}

#[test]
fn edits_leave_files_of_every_trust() {
    let mut seen = [0_u32; 4];
    for seed in 0..2000_u64 {
        let mut random = crate::id::Random::seeded(seed);
        let bytes: Vec<u8> = (0..8).flat_map(|_| random.next().to_le_bytes()).collect();
        let trust = open(&damaged(&mut Choices::new(&bytes)).0).scanner.trust();
        seen[trust as usize] += 1;
    }
    // A base that is hardly ever believed, or always, would prove nothing.
    assert!(seen.iter().all(|times| *times > 20), "{seen:?}");
}
