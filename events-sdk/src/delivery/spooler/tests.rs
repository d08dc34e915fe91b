use std::{io, os::fd::OwnedFd, path::Path, time::Duration};

use super::{thread::AGAIN, *};
use crate::spool::tests::samples::{id, spill};

const BOUNDS: Bounds = Bounds { min_free: 0, quarantine: 1 << 20, ballast: 0 };

/// A thread that works in this directory, with that file for a ledger, and more files than are removed together.
fn start(dir: &Path, ledger: File) -> (Spooler, Vec<SpoolFile>) {
    let spool = Spool::open(dir).unwrap();
    let files = (0..100).map(|file| spill(&spool, id(file), 0..2, true).unwrap()).collect();
    let ledger = Kept { file: Some(Arc::new(ledger)), id: 7, is_new: false };
    let spooler = Spooler::start(dir.to_owned(), Some(spool), BOUNDS, 1, None, ledger).unwrap();
    (spooler, files)
}

/// A file in the place of the ledger.
fn ledger_in(dir: &Path) -> File {
    let file = File::create(dir.join(crate::ledger::FILE)).unwrap();
    file.set_len(crate::ledger::BYTES).unwrap();
    file
}

/// All replies until the thread has stopped: how many files were removed.
fn removed(spooler: &mut Spooler) -> usize {
    let mut removed = 0;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        loop {
            let reply = tokio::time::timeout(Duration::from_secs(60), spooler.reply());
            match reply.await.expect("the thread answers").expect("the thread lives") {
                Reply::Removed(_, result) => {
                    result.unwrap();
                    removed += 1;
                }
                Reply::Stopped => return removed,
                _ => {}
            }
        }
    })
}

fn files_in(dir: &Path) -> usize {
    let names = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| !name.to_string_lossy().starts_with('.')).count()
}

#[test]
fn files_stay_as_long_as_the_ledger_is_not_on_stable_storage_and_all_else_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    // A pipe cannot be synced.
    let (_reader, writer) = io::pipe().unwrap();
    let ledger = File::from(OwnedFd::from(writer));
    assert!(ledger.sync_data().is_err());
    let (mut spooler, files) = start(dir.path(), ledger);
    let there = files_in(dir.path());
    files.into_iter().for_each(|file| spooler.remove(file));
    spooler.stop();
    assert_eq!(removed(&mut spooler), 0);
    assert_eq!(files_in(dir.path()), there);
}

#[test]
fn a_file_that_cannot_be_removed_is_tried_again_and_that_is_said_once() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spooler, files) = start(dir.path(), ledger_in(dir.path()));
    let path = dir.path().join(files[0].name.to_os_string());
    std::fs::remove_file(&path).unwrap();
    // A directory cannot be removed like a file.
    std::fs::create_dir(&path).unwrap();
    spooler.remove(files[0].clone());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut next = || {
        runtime.block_on(async {
            loop {
                let reply = tokio::time::timeout(Duration::from_secs(60), spooler.reply());
                if let Reply::Removed(_, result) = reply.await.unwrap().unwrap() {
                    return result;
                }
            }
        })
    };
    assert!(next().is_err());
    // Once it is tried again in vain.
    std::thread::sleep(AGAIN.0 + Duration::from_secs(2));
    std::fs::remove_dir(&path).unwrap();
    assert!(next().is_ok(), "nothing is said of the second time");
}

#[test]
fn files_that_are_dealt_with_go_once_the_ledger_is_on_stable_storage() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spooler, files) = start(dir.path(), ledger_in(dir.path()));
    let (there, count) = (files_in(dir.path()), files.len());
    files.into_iter().for_each(|file| spooler.remove(file));
    spooler.stop();
    assert_eq!(removed(&mut spooler), count);
    assert_eq!(files_in(dir.path()), there - count);
}

/// How many files are missing, as soon as that is told.
fn missing(spooler: &mut Spooler) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        loop {
            let reply = tokio::time::timeout(Duration::from_secs(20), spooler.reply());
            if let Reply::Missing(count) = reply.await.expect("it is told").unwrap() {
                return count;
            }
        }
    })
}

#[test]
fn a_file_that_somebody_removed_is_not_missed_any_more_once_it_is_dealt_with() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spooler, files) = start(dir.path(), ledger_in(dir.path()));
    // Not before it is known.
    std::thread::sleep(Duration::from_secs(1));
    std::fs::remove_file(dir.path().join(files[0].name.to_os_string())).unwrap();
    assert_eq!(missing(&mut spooler), 1);
    // From now on the directory is quiet, and not listed again.
    std::thread::sleep(Duration::from_secs(8));
    spooler.remove(files[0].clone());
    assert_eq!(missing(&mut spooler), 0);
}
