//! Files that wait for their turn, oldest first. There may be several hundred thousand: each takes forty bytes.

use std::collections::{HashMap, HashSet, VecDeque};

use uuid::Uuid;

use crate::spool::{FileName, SpoolFile};

/// So many ledgers are known by number. Hardly ever there are more than two.
const LEDGERS: usize = u8::MAX as usize;

/// The number of a ledger that has none, or of a file whose name does not follow from its identity.
const ODD: u8 = u8::MAX;

/// One part in so many of what the queue holds is what it grows by: doubled it would be half empty.
const GROWTH: usize = 8;

/// By so many files it grows at least: a short one would grow too often.
const STEP: usize = 1 << 10;

/// What of a file is needed while it waits, and what it takes to know all of it again.
#[derive(Debug)]
pub(super) struct Waits {
    pub(super) id: Uuid,
    pub(super) timestamp_ms: i64,
    pub(super) bytes: u64,
    events: u32,
    /// The severities of its events, a bit for each.
    pub(super) severities: u8,
    ledger: u8,
    /// [`WHOLE`] and the like.
    marks: u8,
}

// What a file is or is not, a bit for each: every byte counts.
const WHOLE: u8 = 1;
const SEALED: u8 = 1 << 1;
const OFFERED: u8 = 1 << 2;

impl Waits {
    /// Toggle may have been offered some of it.
    pub(super) fn is_offered(&self) -> bool {
        self.marks & OFFERED != 0
    }
}

/// Files that wait.
#[derive(Debug, Default)]
pub(super) struct Files {
    queue: VecDeque<Waits>,
    ledgers: Vec<u64>,
    /// Those of which that is not all there is to know.
    odd: HashMap<Uuid, SpoolFile>,
}

impl Files {
    /// A file joins, in its place by age.
    pub(super) fn add(&mut self, file: SpoolFile) {
        let place = self.queue.partition_point(|other| age(other) <= (file.timestamp_ms, file.id));
        let ledger = if file.name == FileName::of(file.id) { self.number_of(file.ledger) } else { ODD };
        let waits = Waits {
            id: file.id,
            timestamp_ms: file.timestamp_ms,
            bytes: file.bytes,
            events: file.events,
            severities: file.severities,
            ledger,
            marks: marks_of(&file),
        };
        if self.queue.len() == self.queue.capacity() {
            self.queue.reserve_exact((self.queue.len() / GROWTH).max(STEP));
        }
        self.queue.insert(place, waits);
        if ledger == ODD {
            self.odd.insert(file.id, file);
        }
    }

    fn number_of(&mut self, ledger: u64) -> u8 {
        let known = self.ledgers.iter().position(|&other| other == ledger);
        let number = known.unwrap_or_else(|| {
            if self.ledgers.len() < LEDGERS {
                self.ledgers.push(ledger);
                self.ledgers.len() - 1
            } else {
                LEDGERS
            }
        });
        u8::try_from(number).unwrap_or(ODD)
    }

    /// The oldest of those that are not to stay behind. Memory that a long row of files took is given back as it becomes shorter.
    pub(super) fn pop(&mut self, behind: &HashSet<Uuid>) -> Option<SpoolFile> {
        let place = self.queue.iter().position(|waits| !behind.contains(&waits.id))?;
        let waits = self.queue.remove(place)?;
        if self.queue.len() < self.queue.capacity() / 4 {
            self.queue.shrink_to(self.queue.len() * 2);
        }
        Some(self.file(&waits))
    }

    /// Takes out this one.
    pub(super) fn remove(&mut self, id: Uuid) -> Option<SpoolFile> {
        let place = self.queue.iter().position(|waits| waits.id == id)?;
        let waits = self.queue.remove(place)?;
        Some(self.file(&waits))
    }

    /// All that is known of a file that was taken out.
    fn file(&mut self, waits: &Waits) -> SpoolFile {
        self.odd.remove(&waits.id).unwrap_or_else(|| SpoolFile {
            name: FileName::of(waits.id),
            id: waits.id,
            bytes: waits.bytes,
            events: waits.events,
            whole: waits.marks & WHOLE != 0,
            offered: waits.is_offered(),
            sealed: waits.marks & SEALED != 0,
            timestamp_ms: waits.timestamp_ms,
            severities: waits.severities,
            ledger: self.ledgers.get(usize::from(waits.ledger)).copied().unwrap_or_default(),
        })
    }

    pub(super) fn has(&self, file: &SpoolFile) -> bool {
        self.queue.binary_search_by_key(&(file.timestamp_ms, file.id), age).is_ok()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Waits> {
        self.queue.iter()
    }

    /// Whether all that are here are to stay behind.
    pub(super) fn are_all(&self, behind: &HashSet<Uuid>) -> bool {
        self.queue.iter().all(|waits| behind.contains(&waits.id))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

fn marks_of(file: &SpoolFile) -> u8 {
    let marks = [(file.whole, WHOLE), (file.sealed, SEALED), (file.offered, OFFERED)];
    marks.into_iter().filter(|&(is_set, _)| is_set).fold(0, |all, (_, mark)| all | mark)
}

/// What files are ordered by.
fn age(waits: &Waits) -> (i64, Uuid) {
    (waits.timestamp_ms, waits.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::ANY_LEDGER;

    #[test]
    fn what_comes_out_is_what_went_in_in_the_order_of_age_and_takes_little_meanwhile() {
        let mut files = Files::default();
        let odd = FileName::parse("backup of monday.pb".as_ref()).unwrap();
        let all: Vec<SpoolFile> = (0..5_000_u32)
            .map(|number| {
                let id = Uuid::from_u128(u128::from(number) << 8);
                let name = if number == 7 { odd.clone() } else { FileName::of(id) };
                SpoolFile {
                    id: name.id(),
                    name,
                    bytes: u64::from(number) << 30,
                    events: number,
                    whole: number % 2 == 0,
                    offered: number % 5 == 0,
                    sealed: number % 3 == 0,
                    timestamp_ms: i64::from(number) * 7,
                    severities: number as u8,
                    // More than have a number.
                    ledger: if number == 9 { ANY_LEDGER } else { u64::from(number % 400) },
                }
            })
            .collect();
        all.iter().rev().for_each(|file| files.add(file.clone()));
        assert_eq!(size_of::<Waits>(), 40);
        assert!(files.queue.capacity() < all.len() * 9 / 8 + STEP);
        assert!(all.iter().all(|file| files.has(file)));
        assert_eq!(files.remove(all[7].id).as_ref(), Some(&all[7]));
        assert!(!files.has(&all[7]));
        files.add(all[7].clone());
        let out: Vec<SpoolFile> = std::iter::from_fn(|| files.pop(&HashSet::new())).collect();
        assert_eq!(out, all);
        assert!(files.is_empty() && files.odd.is_empty());
        assert!(files.queue.capacity() < STEP);
    }
}
