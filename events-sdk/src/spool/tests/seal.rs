//! A file whose seal is damaged, at its start, at its end or at both, is still the file that it was.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use prost::Message;

use super::{
    faulty::Faulty,
    samples::{INFO, entries, entry, id, read_all, split},
};
use crate::{
    proto::{BatchSeal, EventBatch},
    spool::{
        ANY_LEDGER, FileName, NewFile, Passed, Piece, Spool, SpoolFile, Thinning,
        format::{self, Crc, encode_trailer},
        seal::HEAD_BYTES,
    },
};

const COUNT: u32 = 130;
const LEDGER: u64 = 0x0123_4567_89AB_55CD;

fn spool() -> (Faulty, Spool) {
    let disk = Faulty::new();
    let spool = Spool::open_on(Arc::new(disk.clone()), Path::new("/spool")).unwrap();
    (disk, spool)
}

fn path() -> std::path::PathBuf {
    Path::new("/spool").join(FileName::of(id(1)).to_os_string())
}

/// The bytes of a file with [`COUNT`] events, and where those end.
fn written(whole: bool, offered: bool) -> (Vec<u8>, usize) {
    let (disk, spool) = spool();
    let run = entries(0..COUNT);
    spool
        .write(NewFile {
            id: id(1),
            timestamp_ms: 1_700_000_000_123,
            runs: &[&run],
            count: COUNT,
            levels: &[(INFO, COUNT)],
            whole,
            offered,
            fingerprint: 7,
            ledger: LEDGER,
            part_of: None,
        })
        .unwrap();
    (disk.read(&path()), HEAD_BYTES + run.len())
}

/// What is known of a file with these bytes, its pieces, and how many of its events are damaged or cut off.
fn read(bytes: &[u8]) -> (SpoolFile, Vec<Piece>, u32) {
    let (disk, spool) = spool();
    disk.put(&path(), bytes);
    let file = spool.inspect(&FileName::of(id(1))).unwrap();
    let mut reader = spool.read(&file).unwrap();
    let mut pieces = Vec::new();
    while let Some(piece) = reader.next_piece().unwrap() {
        pieces.push(Piece { timestamp_ms: 0, ..piece });
    }
    let lost = reader.damage().map_or(0, |damage| damage.events + damage.cut_off);
    (file, pieces, lost)
}

/// What must not change with the seal.
fn identity(file: &SpoolFile) -> (u32, bool, bool, u64, u8) {
    (file.events, file.whole, file.offered, file.ledger, file.severities)
}

#[test]
fn a_flipped_bit_in_the_seal_changes_neither_what_is_sent_under_which_id_nor_whose_it_is() {
    for (whole, offered) in [(true, true), (false, false), (true, false)] {
        let (bytes, end) = written(whole, offered);
        let checks = 4 * COUNT as usize + 7;
        let (file, pieces, _) = read(&bytes);
        assert_eq!(identity(&file), (COUNT, whole, offered, LEDGER, 1 << 3));
        let places = (0..HEAD_BYTES).chain(end + checks..bytes.len());
        for bit in places.flat_map(|place| place * 8..place * 8 + 8) {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let (other, same, lost) = read(&flipped);
            assert_eq!(identity(&other), identity(&file), "bit {bit} of byte {}", bit / 8);
            assert!(same == pieces && lost == 0, "bit {bit} of byte {}", bit / 8);
            assert!(!other.sealed || bit / 8 < HEAD_BYTES, "bit {bit} of byte {} goes unseen", bit / 8);
        }
    }
}

#[test]
fn a_file_that_is_cut_short_keeps_its_id_and_whose_it_is() {
    for whole in [true, false] {
        let (bytes, end) = written(whole, whole);
        let (file, pieces, _) = read(&bytes);
        for at in (HEAD_BYTES..bytes.len()).filter(|at| at % 7 == 0 || *at > end - 40) {
            let (cut, left, lost) = read(&bytes[..at]);
            let found: u32 = left.iter().map(|piece| piece.count).sum();
            assert_eq!(
                (cut.events, cut.whole, cut.offered, cut.ledger),
                (found + lost, whole, whole, LEDGER),
                "cut at {at}"
            );
            assert!(lost <= 1 && (at < end || found == COUNT), "cut at {at}");
            for (piece, before) in left.iter().zip(&pieces) {
                assert!(piece.id == before.id && before.events.starts_with(&piece.events), "cut at {at}");
            }
        }
        assert_eq!(read(&bytes).0, file);
    }
}

#[test]
fn what_is_left_of_a_file_says_at_its_start_what_it_says_at_its_end() {
    let (disk, spool) = spool();
    disk.put(&path(), &written(true, false).0);
    let file = spool.inspect(&FileName::of(id(1))).unwrap();
    let thinning =
        Thinning { severity: 3, bytes: 1_000, id: id(2), fingerprint: 7, passed: Passed::default() };
    let left = spool.thin(&file, thinning).unwrap().file.unwrap();
    let bytes = disk.read(&Path::new("/spool").join(left.name.to_os_string()));
    assert!(left.sealed && left.bytes == bytes.len() as u64 && left.events < COUNT);
    let run = read_all(&spool, &left).concat();

    // The same bytes as of a file that is written in one go.
    let (other, spool) = self::spool();
    let whole = NewFile {
        id: id(2),
        timestamp_ms: file.timestamp_ms,
        runs: &[&run],
        count: left.events,
        levels: &[(INFO, left.events)],
        whole: true,
        offered: false,
        fingerprint: 7,
        ledger: LEDGER,
        part_of: None,
    };
    let name = spool.write(whole).unwrap().name;
    assert_eq!(other.read(&Path::new("/spool").join(name.to_os_string())), bytes);
}

#[test]
fn a_file_whose_seal_is_damaged_at_both_ends_may_be_anybodys_and_gives_all_its_events() {
    let (bytes, end) = written(false, false);
    for (first, last) in
        [(5, bytes.len() - 1), (HEAD_BYTES - 1, bytes.len() - 20), (0, end + 4 * COUNT as usize + 60)]
    {
        let mut flipped = bytes.clone();
        flipped[first] ^= 4;
        flipped[last] ^= 4;
        let (file, pieces, _) = read(&flipped);
        assert_eq!((file.ledger, file.sealed), (ANY_LEDGER, false), "bytes {first} and {last}");
        let events: Vec<_> = pieces.iter().flat_map(|piece| split(&piece.events)).collect();
        assert_eq!(events, (0..COUNT).map(entry).collect::<Vec<_>>(), "bytes {first} and {last}");
    }
}

/// A file as an earlier version wrote it: nothing in front of the events, and no checksum of the seal.
#[test]
fn a_seal_without_a_checksum_of_its_own_is_believed() {
    for whole in [true, false] {
        let mut bytes = [entries(0..COUNT), encode_trailer(1_700_000_000_123, id(1))].concat();
        let seal = BatchSeal {
            crc32c: Crc::of(&bytes),
            events: COUNT,
            whole,
            levels: format::level_counts(&[(INFO, COUNT)]),
            ledger: LEDGER,
            offered: true,
            ..BatchSeal::default()
        };
        let start = bytes.len() + 3;
        bytes.extend(EventBatch { seal: Some(seal), ..EventBatch::default() }.encode_to_vec());
        let (file, pieces, lost) = read(&bytes);
        assert_eq!(identity(&file), (COUNT, whole, true, LEDGER, 1 << 3));
        assert!(file.sealed && lost == 0);
        let ids: BTreeSet<_> = pieces.iter().map(|piece| piece.id).collect();
        assert_eq!(ids.contains(&id(1)), whole);
        // One that cannot be read is still a sign that the file may be anybody's: the tag of its first field is none.
        bytes[start] ^= 0x02;
        assert_eq!(read(&bytes).0.ledger, ANY_LEDGER);
    }
}
