//! On a real directory.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use prost::Message;
use uuid::Uuid;

use super::samples::{INFO, entries, entry, id, read_all, spill, split};
use crate::{
    Batch,
    ledger::Step,
    proto::{BatchSeal, EventBatch},
    spool::{Bounds, FileName, NewFile, Passed, Spool, SpoolErrorKind, format::*, seal::HEAD_BYTES},
};

fn names(spool: &Spool) -> Vec<String> {
    spool.list(|_| true).unwrap().iter().map(ToString::to_string).collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn a_written_file_is_a_plain_event_batch_with_a_seal_that_says_what_is_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path()).unwrap();
    let file = spill(&spool, id(7), 0..1200, false).unwrap();

    let bytes = fs::read(dir.path().join(format!("{}.pb", id(7)))).unwrap();
    let batch = EventBatch::decode(bytes.as_slice()).unwrap();
    assert!(bytes[HEAD_BYTES..].starts_with(&entries(0..1200)));
    assert_eq!(batch.events.len(), 1200);
    assert_eq!((batch.batch_timestamp, batch.batch_id), (1_700_000_000_123, id(7).to_string()));
    let seal = batch.seal.unwrap();
    assert_eq!((seal.events, seal.whole, seal.schema_fingerprint), (1200, false, 0xfeed));
    assert_eq!((seal.levels.len(), seal.levels[0].level, seal.levels[0].events), (1, INFO, 1200));
    // Independent sums, bit by bit: over everything before the last part of the seal, and over each entry.
    let last_part = BatchSeal { event_crc32c: Vec::new(), ..seal.clone() };
    let last_part = EventBatch { seal: Some(last_part), ..EventBatch::default() };
    let before = bytes.len() - last_part.encoded_len();
    assert_eq!(seal.crc32c, crc32c_by_the_book(&bytes[..before]));
    // And over what stands behind the events and their sums, up to this one; in front of the events, from the start on.
    let behind = before - encode_trailer(batch.batch_timestamp, id(7)).len();
    assert_eq!(seal.seal_crc32c, crc32c_by_the_book(&bytes[behind..bytes.len() - 5]));
    let head = EventBatch::decode(&bytes[..HEAD_BYTES]).unwrap().seal.unwrap();
    let own = crc32c_by_the_book(&bytes[..HEAD_BYTES - 5]);
    assert_eq!(head, BatchSeal { events: 1200, seal_crc32c: own, ..BatchSeal::default() });
    let by_the_book: Vec<_> = (0..1200).map(|index| crc32c_by_the_book(&entry(index))).collect();
    assert_eq!(seal.event_crc32c, by_the_book);

    assert_eq!(file.bytes, bytes.len() as u64);
    assert_eq!(spool.inspect(&file.name).unwrap(), file);
    spool.remove(&file).unwrap();
    spool.remove(&file).unwrap();
    assert_eq!(names(&spool), [""; 0]);
    assert_eq!(spool.inspect(&file.name).unwrap_err().kind(), SpoolErrorKind::Missing);
}

fn crc32c_by_the_book(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0x82F6_3B78 & (crc & 1).wrapping_neg()))
    })
}

#[test]
fn pieces_are_cut_by_count_and_bytes_with_ids_that_anybody_can_compute() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path()).unwrap();
    let file = spill(&spool, id(7), 0..300, false).unwrap();

    let mut reader = spool.read(&file).unwrap();
    let mut pieces = Vec::new();
    while let Some(piece) = reader.next_piece().unwrap() {
        pieces.push(piece);
    }
    assert_eq!(reader.next_piece().unwrap(), None);
    assert_eq!(pieces.iter().map(|piece| piece.count).collect::<Vec<_>>(), [125, 125, 50]);
    assert_eq!(pieces.iter().flat_map(|piece| piece.events.clone()).collect::<Vec<_>>(), entries(0..300));
    for (index, piece) in (0..).zip(&pieces) {
        assert_eq!(piece.index, index);
        assert_eq!(piece.id, Uuid::new_v5(&id(7), index.to_string().as_bytes()));
        assert_eq!(piece.timestamp_ms, 1_700_000_000_123);
    }
    assert_eq!((reader.found(), reader.damage()), (300, None));

    let mut later = spool.read(&file).unwrap();
    later.skip(Passed::first(2, 250)).unwrap();
    assert_eq!(later.next_piece().unwrap().as_ref(), Some(&pieces[2]));
    let mut beyond = spool.read(&file).unwrap();
    beyond.skip(Passed::first(9, 300)).unwrap();
    assert_eq!(beyond.next_piece().unwrap(), None);
    assert_eq!((beyond.found(), beyond.damage()), (300, None));
}

#[test]
fn large_events_make_small_pieces_and_one_alone_may_be_larger_than_a_piece() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path()).unwrap();
    let large = |bytes: usize| {
        let mut entry = vec![0x0A];
        let mut body = vec![0x0A, 0x01, b'e', 0x22];
        prost::encoding::encode_varint(bytes as u64, &mut body);
        body.extend(vec![b'x'; bytes]);
        prost::encoding::encode_varint(body.len() as u64, &mut entry);
        entry.extend(body);
        entry
    };
    let sizes = [400_000, 400_000, 400_000, 3_000_000, 10];
    let runs: Vec<_> = sizes.map(large).into();
    let runs: Vec<&[u8]> = runs.iter().map(Vec::as_slice).collect();
    let file = NewFile {
        id: id(1),
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
    let file = spool.write(file).unwrap();
    let mut reader = spool.read(&file).unwrap();
    let mut counts = Vec::new();
    while let Some(piece) = reader.next_piece().unwrap() {
        assert!(piece.events.len() <= PIECE_BYTES || piece.count == 1);
        counts.push(piece.count);
    }
    assert_eq!(counts, [2, 1, 1, 1]);
}

#[test]
fn of_a_file_that_is_dropped_what_is_dealt_with_is_no_loss() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path()).unwrap();
    let file = spill(&spool, id(1), 0..490, false).unwrap();
    let mut step = Step::none(file.id);
    [1, 3].into_iter().for_each(|place| step.note(place, if place == 3 { 115 } else { 125 }, 0));
    let thinned = spool.drop_rest(&file, Passed::of(step)).unwrap();
    assert_eq!((thinned.events(), thinned.damaged, thinned.cut_off), (250, 0, 0));
}

#[test]
fn a_batch_that_was_offered_before_keeps_its_id_and_stays_whole() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path()).unwrap();
    let file = spill(&spool, id(7), 0..1200, true).unwrap();
    assert!(spool.inspect(&file.name).unwrap().whole);
    let mut reader = spool.read(&file).unwrap();
    let piece = reader.next_piece().unwrap().unwrap();
    assert_eq!((piece.id, piece.index, piece.count), (id(7), 0, 1200));
    assert_eq!(reader.next_piece().unwrap(), None);
}

#[test]
fn files_of_the_earlier_agent_are_adopted_whatever_the_order_of_their_fields() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path()).unwrap();
    let trailer = encode_trailer(1_650_000_000_000, id(3));
    let usual = [entries(0..18_000), trailer.clone()].concat();
    fs::write(dir.path().join(format!("{}.pb", id(3))), usual).unwrap();
    let turned = [trailer, entries(0..3)].concat();
    fs::write(dir.path().join("events from monday.pb"), turned).unwrap();

    for (name, count) in [(format!("{}.pb", id(3)), 18_000), ("events from monday.pb".to_owned(), 3)] {
        let file = spool.inspect(&FileName::parse(name.as_ref()).unwrap()).unwrap();
        assert_eq!(
            (file.events, file.sealed, file.whole, file.timestamp_ms),
            (count, false, false, 1_650_000_000_000)
        );
        assert_eq!(read_all(&spool, &file), split(&entries(0..count)));
        assert_eq!(spool.quarantine(&file, None).unwrap(), None);
        spool.remove(&file).unwrap();
    }
    assert!(!dir.path().join("quarantine").exists());
}

#[test]
fn files_are_listed_oldest_first_and_only_plain_files_that_end_in_pb() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path()).unwrap();
    let at = |ms: u64| std::time::UNIX_EPOCH + std::time::Duration::from_millis(ms);
    for ms in [3_000_000, 1_000_000] {
        spill(&spool, id(ms), 0..1, false).unwrap();
    }
    let named = fs::File::create(dir.path().join("named.pb")).unwrap();
    named.set_modified(at(2_000_000)).unwrap();
    fs::create_dir(dir.path().join("folder.pb")).unwrap();
    fs::write(dir.path().join("notes.txt"), "x").unwrap();
    fs::write(dir.path().join(".hidden.pb"), "x").unwrap();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret.pb"), entry(0)).unwrap();
    symlink(outside.path().join("secret.pb"), dir.path().join("link.pb")).unwrap();

    let (old, new) = (format!("{}.pb", id(1_000_000)), format!("{}.pb", id(3_000_000)));
    assert_eq!(names(&spool), [old.as_str(), "named.pb", &new]);
    for name in ["link.pb", "folder.pb"] {
        let name = FileName::parse(name.as_ref()).unwrap();
        assert_eq!(spool.inspect(&name).unwrap_err().kind(), SpoolErrorKind::Unreadable, "{name}");
    }
}

#[test]
fn directories_and_files_are_for_their_owner_only() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("etc/rodent/events");
    let spool = Spool::open(&deep).unwrap();
    let file = spill(&spool, id(1), 0..1, false).unwrap();
    for path in [dir.path().join("etc"), dir.path().join("etc/rodent"), deep.clone()] {
        assert_eq!(mode(&path), 0o700, "{}", path.display());
    }
    assert_eq!(mode(&deep.join(file.name.to_os_string())), 0o600);
    assert_eq!(mode(&deep.join(".lock")), 0o600);
}

#[test]
fn a_second_spool_on_the_directory_is_told_who_has_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let first = Spool::open(dir.path()).unwrap();
    let error = Spool::open(dir.path()).err().unwrap();
    assert_eq!(error.kind(), SpoolErrorKind::InUse);
    assert!(error.to_string().contains(&format!("this process (pid {})", std::process::id())), "{error}");
    assert_eq!(error.path(), dir.path());
    drop(first);
    Spool::open(dir.path()).unwrap();
}

#[cfg(feature = "cli")]
#[test]
fn whoever_looks_at_the_lock_keeps_nobody_from_it() {
    use crate::spool::{Holder, View};
    let dir = tempfile::tempdir().unwrap();
    let (view, done) = (View::of(dir.path()), std::sync::atomic::AtomicBool::new(false));
    assert_eq!(view.holder(), Holder::Nobody, "there is no lock yet");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                view.holder();
            }
        });
        let refused: Vec<_> = (0..200).filter_map(|_| Spool::open(dir.path()).err()).collect();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(refused.is_empty(), "{refused:?}");
    });
    let spool = Spool::open(dir.path()).unwrap();
    assert_eq!(view.holder(), Holder::Process(std::process::id()));
    drop(spool);
    assert_eq!(view.holder(), Holder::Nobody);
}

#[test]
fn what_a_crash_left_unfinished_is_removed_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    drop(Spool::open(dir.path()).unwrap());
    fs::create_dir(dir.path().join("quarantine")).unwrap();
    for name in [format!(".{}.tmp", id(1)), "quarantine/.x.pb.tmp".to_owned()] {
        fs::write(dir.path().join(name), "half").unwrap();
    }
    let outside = dir.path().join("outside");
    fs::write(&outside, "not ours").unwrap();
    symlink(&outside, dir.path().join(format!(".{}.tmp", id(2)))).unwrap();
    fs::write(dir.path().join(".of rsync.pb.tmp"), "somebody is copying it here").unwrap();
    drop(Spool::open(dir.path()).unwrap());
    let mut left: Vec<_> =
        fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, [".lock", ".of rsync.pb.tmp", "outside", "quarantine"]);
    assert_eq!(fs::read_dir(dir.path().join("quarantine")).unwrap().count(), 0);
    assert_eq!(fs::read_to_string(outside).unwrap(), "not ours");
}

#[test]
fn a_directory_that_was_removed_is_made_again_and_locked_again() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("events");
    let spool = Spool::open(&place).unwrap();
    spill(&spool, id(1), 0..1, false).unwrap();
    fs::remove_dir_all(&place).unwrap();
    assert_eq!(names(&spool), [""; 0]);
    fs::remove_dir_all(&place).unwrap();
    let file = spill(&spool, id(2), 0..3, false).unwrap();
    assert_eq!(read_all(&spool, &file).len(), 3);
    assert_eq!(Spool::open(&place).err().unwrap().kind(), SpoolErrorKind::InUse);
}

#[test]
fn a_directory_that_somebody_else_took_over_is_not_written_to() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("events");
    let spool = Spool::open(&place).unwrap();
    fs::remove_dir_all(&place).unwrap();
    let other = Spool::open(&place).unwrap();
    assert_eq!(spill(&spool, id(1), 0..1, false).unwrap_err().kind(), SpoolErrorKind::InUse);
    assert_eq!(names(&other), [""; 0]);
    drop(other);
    spill(&spool, id(1), 0..1, false).unwrap();
}

#[test]
fn a_file_in_the_place_of_the_directory_is_an_error_that_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("events");
    let spool = Spool::open(&place).unwrap();
    fs::remove_dir_all(&place).unwrap();
    fs::write(&place, "a file").unwrap();
    for error in [spill(&spool, id(1), 0..1, false).unwrap_err(), Spool::open(&place).err().unwrap()] {
        assert_eq!(error.kind(), SpoolErrorKind::Broken);
        assert!(error.to_string().contains(place.to_str().unwrap()), "{error}");
    }
    fs::remove_file(&place).unwrap();
    spill(&spool, id(1), 0..1, false).unwrap();
}

#[test]
fn links_in_the_directory_lead_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path()).unwrap();
    symlink(outside.path(), dir.path().join("quarantine")).unwrap();
    fs::write(dir.path().join("torn.pb"), [0x0A, 0x05]).unwrap();
    let file = spool.inspect(&FileName::parse("torn.pb".as_ref()).unwrap()).unwrap();
    assert_eq!(spool.quarantine(&file, None).unwrap_err().kind(), SpoolErrorKind::Broken);
    let refused = Batch::new(id(1), 1, entry(0), 1);
    assert_eq!(spool.set_aside(&refused, (Uuid::nil(), 0), "x").unwrap_err().kind(), SpoolErrorKind::Broken);
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    drop(spool);

    fs::remove_file(dir.path().join(".lock")).unwrap();
    symlink(outside.path().join("lock"), dir.path().join(".lock")).unwrap();
    assert_eq!(Spool::open(dir.path()).err().unwrap().kind(), SpoolErrorKind::Broken);
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn the_same_file_may_be_written_again_and_another_of_its_name_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path()).unwrap();
    let first = spill(&spool, id(1), 0..3, true).unwrap();
    assert_eq!(spill(&spool, id(1), 0..3, true).unwrap(), first);
    let error = spill(&spool, id(1), 1..4, true).unwrap_err();
    assert_eq!(error.kind(), SpoolErrorKind::Broken);
    assert_eq!(read_all(&spool, &first), split(&entries(0..3)));
    assert_eq!(names(&spool).len(), 1);
}

#[test]
fn a_directory_open_to_others_or_on_a_tmpfs_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("events");
    fs::create_dir(&place).unwrap();
    fs::set_permissions(&place, fs::Permissions::from_mode(0o777)).unwrap();
    let spool = Spool::open(&place).unwrap();
    let said = spool.concerns().join("\n");
    assert!(said.contains("can be written by other users (mode 0777); chmod it to 0700"), "{said}");

    let shm = Path::new("/dev/shm");
    if let Ok(dir) = tempfile::tempdir_in(shm)
        && fs::read_to_string("/proc/mounts").unwrap_or_default().contains("/dev/shm tmpfs")
    {
        let said = Spool::open(dir.path()).unwrap().concerns().join("\n");
        assert!(said.contains("tmpfs"), "{said}");
    }
}

#[test]
fn a_refused_event_is_set_aside_with_the_reason_as_a_file_that_can_be_offered_again() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path()).unwrap();
    let refused = Batch::new(id(1), 1_800_000_000_000, entry(7), 1);
    for _ in 0..2 {
        spool.set_aside(&refused, (Uuid::nil(), 0), "no such pool").unwrap();
    }
    let aside = dir.path().join("quarantine");
    assert_eq!(mode(&aside), 0o700);
    let file = aside.join(format!("{}.pb", id(1)));
    assert_eq!(mode(&file), 0o600);
    let text = fs::read_to_string(aside.join(format!("{}.pb.txt", id(1)))).unwrap();
    assert!(text.contains("no such pool"), "{text}");
    assert_eq!(fs::read_dir(&aside).unwrap().count(), 2);

    fs::rename(&file, dir.path().join(file.file_name().unwrap())).unwrap();
    let [name] = &spool.list(|_| true).unwrap()[..] else { panic!("one file") };
    let back = spool.inspect(name).unwrap();
    assert_eq!(read_all(&spool, &back), split(&entry(7)));
}

#[test]
fn what_goes_out_of_a_full_quarantine_is_counted_though_its_description_is_older() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path()).unwrap();
    fs::write(dir.path().join("torn.pb"), &entries(0..3)[..400]).unwrap();
    let file = spool.inspect(&FileName::parse("torn.pb".as_ref()).unwrap()).unwrap();
    spool.quarantine(&file, None).unwrap();
    let mut text = fs::read_dir(dir.path().join("quarantine")).unwrap().map(|entry| entry.unwrap().path());
    let text = text.find(|path| path.extension().is_some_and(|ending| ending == "txt")).unwrap();
    fs::File::options().append(true).open(text).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(spool.quarantined_events().unwrap(), 1);
    let spool = spool.bounded(Bounds { quarantine: 0, ..Bounds::NONE });
    assert_eq!(spool.clear_quarantine().0, 1);
    assert_eq!(fs::read_dir(dir.path().join("quarantine")).unwrap().count(), 0);
}

#[test]
fn the_quarantine_is_bounded_by_what_it_takes_up_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path()).unwrap().bounded(Bounds { quarantine: 64 << 10, ..Bounds::NONE });
    assert_eq!(spool.clear_quarantine().0, 0);
    // Of a few hundred bytes each, with a description: two blocks.
    for id in 1..=10 {
        spool.set_aside(&Batch::new(Uuid::from_u128(id), 1, entry(0), 1), (Uuid::nil(), 0), "no").unwrap();
    }
    assert_eq!(spool.clear_quarantine().0, 2);
    assert_eq!(fs::read_dir(dir.path().join("quarantine")).unwrap().count(), 16);
}

#[test]
fn what_cannot_leave_a_full_quarantine_keeps_nothing_else_there_and_no_count_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path()).unwrap();
    let events: [Vec<u8>; 3] = [0, 1, 2].map(entry);
    let batches = [1, 2, 3].map(|id| Batch::new(Uuid::from_u128(id), 1, events[id as usize - 1].clone(), 1));
    batches.iter().for_each(|batch| spool.set_aside(batch, (Uuid::nil(), 0), "no").unwrap());
    let aside = dir.path().join("quarantine");
    let stays = aside.join(format!("{}.pb", batches[0].id()));
    let chattr = |how: &str| {
        std::process::Command::new("chattr")
            .arg(how)
            .arg(&stays)
            .status()
            .is_ok_and(|status| status.success())
    };
    if !chattr("+i") {
        // Not every file system, and not everybody, can have a file that nobody removes.
        return;
    }
    let spool = spool.bounded(Bounds { quarantine: 0, ..Bounds::NONE });
    let (gone, cleared) = spool.clear_quarantine();
    let left = spool.quarantined_events().unwrap();
    assert!(chattr("-i"));
    assert_eq!((gone, left, cleared.is_err()), (2, 1, true));
}

#[test]
fn a_spool_that_is_left_is_free_at_once_while_processes_are_being_started() {
    let (dir, done) = (tempfile::tempdir().unwrap(), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                // Until its program runs, a new process has all that is open here.
                Command::new("true").status().unwrap();
            }
        });
        let is_free = (0..300).all(|_| Spool::open(dir.path()).is_ok());
        done.store(true, Ordering::Relaxed);
        assert!(is_free);
    });
}
