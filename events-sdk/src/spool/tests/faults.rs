//! Each operation of the file system fails in turn, or is the last one before a crash.

use std::{io, path::Path, sync::Arc};

use super::{
    faulty::{Crash, Faulty, Plan},
    samples::{entries, entry, id, read_all, spill, split},
};
use crate::spool::{FileName, Spool, SpoolErrorKind};

const DIR: &str = "/spool";
const CRASHES: [Crash; 4] = [Crash::Nothing, Crash::Names, Crash::Contents, Crash::Everything];

fn open(disk: &Faulty) -> Spool {
    Spool::open_on(Arc::new(disk.clone()), Path::new(DIR)).unwrap()
}

/// How many operations the work takes when nothing goes wrong.
fn steps(work: impl Fn(&Faulty, &Spool)) -> u32 {
    let disk = Faulty::new();
    let spool = open(&disk);
    disk.plan(Plan::Nothing);
    work(&disk, &spool);
    disk.steps()
}

/// Opens the spool anew and checks that it holds exactly these files, complete, and nothing unfinished. Returns which.
fn files_after(disk: &Faulty, context: &str) -> Vec<FileName> {
    disk.plan(Plan::Nothing);
    let spool = open(disk);
    let names = spool.list(|_| true).unwrap();
    for name in &names {
        let file = spool.inspect(name).unwrap();
        assert!(file.sealed, "{context}");
        assert_eq!(read_all(&spool, &file), split(&entries(0..700)), "{context}");
        assert_eq!(spool.quarantine(&file, None).unwrap(), None, "{context}");
    }
    assert!(!disk.names().iter().any(|path| path.to_string_lossy().ends_with(".tmp")), "{context}");
    names
}

#[test]
fn a_write_that_fails_anywhere_leaves_no_file_and_one_that_succeeds_leaves_all_of_it() {
    let all = steps(|_, spool| drop(spill(spool, id(1), 0..700, false).unwrap()));
    assert!(all > 5, "{all} operations");
    for kind in [io::ErrorKind::StorageFull, io::ErrorKind::PermissionDenied] {
        for step in 1..=all {
            let context = format!("{kind:?} at step {step}");
            let disk = Faulty::new();
            let spool = open(&disk);
            disk.plan(Plan::Fail(step, kind));
            let error = spill(&spool, id(1), 0..700, false).unwrap_err();
            let expected = match kind {
                io::ErrorKind::StorageFull => SpoolErrorKind::Full,
                _ => SpoolErrorKind::Broken,
            };
            assert_eq!(error.kind(), expected, "{context}");
            assert!(disk.names().is_empty(), "{context}: {:?}", disk.names());
            // The next attempt works, as if nothing had been.
            spill(&spool, id(1), 0..700, false).unwrap();
            drop(spool);
            disk.crash(Crash::Nothing);
            assert_eq!(files_after(&disk, &context).len(), 1, "{context}");
        }
    }
}

#[test]
fn a_directory_that_vanishes_during_a_write_is_made_again_and_the_write_repeated() {
    let all = steps(|_, spool| drop(spill(spool, id(1), 0..700, false).unwrap()));
    for step in 1..=all {
        let disk = Faulty::new();
        let spool = open(&disk);
        disk.plan(Plan::Fail(step, io::ErrorKind::NotFound));
        spill(&spool, id(1), 0..700, false).unwrap();
        drop(spool);
        assert_eq!(files_after(&disk, &format!("step {step}")).len(), 1);
    }
}

#[test]
fn a_crash_at_any_step_of_a_write_leaves_a_complete_file_or_none() {
    let all = steps(|_, spool| drop(spill(spool, id(1), 0..700, false).unwrap()));
    for crash in CRASHES {
        for step in 1..=all + 1 {
            let context = format!("{crash:?} at step {step}");
            let disk = Faulty::new();
            let spool = open(&disk);
            disk.plan(Plan::Stop(step));
            let written = spill(&spool, id(1), 0..700, false).is_ok();
            assert_eq!(written, step > all, "{context}");
            drop(spool);
            disk.crash(crash);
            let files = files_after(&disk, &context).len();
            assert!(files == 1 || (files == 0 && !written), "{context}: {files} files");
        }
    }
}

#[test]
fn a_crash_while_damage_is_set_aside_and_the_file_removed_loses_neither() {
    let mut torn = entries(0..3);
    torn.truncate(torn.len() - 5);
    let damaged = entry(2)[..entry(2).len() - 5].to_vec();
    let path = Path::new(DIR).join("torn.pb");
    let work = |spool: &Spool| {
        let file = spool.inspect(&FileName::parse("torn.pb".as_ref()).unwrap())?;
        spool.quarantine(&file, None)?;
        spool.remove(&file)
    };
    let all = steps(|disk, spool| {
        disk.put(&path, &torn);
        work(spool).unwrap();
    });
    for crash in CRASHES {
        for step in 1..=all + 1 {
            let context = format!("{crash:?} at step {step} of {all}");
            let disk = Faulty::new();
            let spool = open(&disk);
            disk.put(&path, &torn);
            disk.plan(Plan::Stop(step));
            let _ = work(&spool);
            drop(spool);
            disk.crash(crash);

            let spool = open(&disk);
            let names = disk.names();
            assert!(
                !names.iter().any(|path| path.to_string_lossy().ends_with(".tmp")),
                "{context}: {names:?}"
            );
            if names.contains(&path) {
                assert_eq!(disk.read(&path), torn, "{context}");
                work(&spool).unwrap();
            }
            let kept: Vec<_> = disk
                .names()
                .into_iter()
                .filter(|path| path.extension().is_some_and(|end| end == "damaged"))
                .collect();
            assert_eq!(kept.len(), 1, "{context}: {:?}", disk.names());
            assert_eq!(disk.read(&kept[0]), damaged, "{context}");
        }
    }
}

#[test]
fn a_read_that_fails_is_an_error_and_the_next_one_starts_over() {
    let read = |spool: &Spool| -> Result<usize, crate::spool::SpoolError> {
        let file = spool.inspect(&FileName::of(id(1)))?;
        let mut reader = spool.read(&file)?;
        let mut count = 0;
        while let Some(piece) = reader.next_piece()? {
            count += piece.count as usize;
        }
        Ok(count)
    };
    let write = |spool: &Spool| drop(spill(spool, id(1), 0..700, false).unwrap());
    let all = steps(|_, spool| {
        write(spool);
        read(spool).unwrap();
    }) - steps(|_, spool| write(spool));
    for step in 1..=all {
        let disk = Faulty::new();
        let spool = open(&disk);
        write(&spool);
        disk.plan(Plan::Fail(step, io::ErrorKind::Other));
        assert_eq!(read(&spool).unwrap_err().kind(), SpoolErrorKind::Unreadable, "step {step}");
        assert_eq!(read(&spool).unwrap(), 700, "step {step}");
    }
}

#[test]
fn opening_fails_cleanly_at_any_step_and_works_the_next_time() {
    let fresh = || {
        let disk = Faulty::new();
        drop(open(&disk));
        disk.put(&Path::new(DIR).join(format!(".{}.tmp", id(9))), b"half");
        disk.plan(Plan::Nothing);
        disk
    };
    let disk = fresh();
    drop(open(&disk));
    for step in 1..=disk.steps() {
        let disk = fresh();
        disk.plan(Plan::Fail(step, io::ErrorKind::Other));
        drop(Spool::open_on(Arc::new(disk.clone()), Path::new(DIR)));
        assert_eq!(files_after(&disk, &format!("step {step}")), []);
    }
}
