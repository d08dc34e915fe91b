//! A chunk: a run of encoded events that will be one batch, with what the accounts must know of each.

use std::time::Instant;

use uuid::Uuid;

use crate::{Level, segment::Segment};

/// Severities run from 1 to at most 7; 0 is unused.
pub(crate) const SEVERITIES: usize = 8;

/// What the accounts know of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Where its bytes end in the chunk.
    end: u32,
    /// Its place among all that the chunk was given, from one on.
    within: u32,
    pub(crate) severity: u8,
    pub(crate) category: u8,
    best_effort: bool,
    /// It tells of losses.
    own: bool,
}

impl Entry {
    /// Whether it is dropped rather than put on disk.
    pub(crate) fn is_best_effort(&self) -> bool {
        self.best_effort
    }

    /// Its place among all that the chunk was given, as its ticket has it.
    pub(crate) fn within(&self) -> u32 {
        self.within
    }

    /// Whether it tells of losses.
    pub(crate) fn is_own(&self) -> bool {
        self.own
    }
}

/// Encoded events, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    by_severity: [u32; SEVERITIES],
    bytes_by_severity: [usize; SEVERITIES],
    /// When the first event came in.
    pub(crate) opened_at: Option<Instant>,
    /// Its place in the order of chunks.
    pub(crate) sequence: u64,
    /// It holds an event that does not wait for company.
    pub(crate) urgent: bool,
    /// The size of its events that are dropped rather than put on disk.
    best_effort_bytes: usize,
    /// How many events it was given, those that were dropped again among them.
    pub(crate) given: u32,
    /// It was offered as a batch, which Toggle may have stored.
    pub(crate) offered: bool,
    /// Where its events outlive the process.
    pub(crate) segment: Option<Segment>,
}

impl Chunk {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(crate) fn by_severity(&self) -> &[u32; SEVERITIES] {
        &self.by_severity
    }

    pub(crate) fn bytes_of(&self, severity: usize) -> usize {
        self.bytes_by_severity[severity]
    }

    /// The size of its events of `severity` and graver.
    pub(crate) fn bytes_from(&self, severity: u8) -> usize {
        self.bytes_by_severity.iter().skip(severity.into()).sum()
    }

    pub(crate) fn count_of(&self, severity: usize) -> u32 {
        self.by_severity[severity]
    }

    /// Appends one encoded event.
    #[inline]
    pub(crate) fn push(&mut self, event: &[u8], severity: u8, category: u8) {
        self.bytes.extend_from_slice(event);
        // A chunk is sealed long before it reaches 4 GiB: see `MAX_EVENT_BYTES`, which bounds `batch_bytes` too.
        let end = self.bytes.len() as u32;
        self.given += 1;
        self.entries.push(Entry {
            end,
            within: self.given,
            severity,
            category,
            best_effort: false,
            own: false,
        });
        self.by_severity[usize::from(severity) % SEVERITIES] += 1;
        self.bytes_by_severity[usize::from(severity) % SEVERITIES] += event.len();
    }

    /// Copies the last event, which is this one, into the segment. `false` if there is none.
    #[inline]
    pub(crate) fn keep_last(&mut self, event: &[u8]) -> bool {
        match (&mut self.segment, self.entries.last()) {
            (Some(segment), Some(entry)) => segment.push(event, entry.severity, entry.category),
            _ => false,
        }
    }

    /// Whether an event of `len` bytes has room, as far as the segment is concerned.
    #[inline]
    pub(crate) fn has_room(&self, len: usize) -> bool {
        match &self.segment {
            Some(segment) => segment.has_room(len),
            None => true,
        }
    }

    /// The identity that its batch has in the segment, and since when. It is put together now, if it was not before.
    pub(crate) fn identity(&mut self, now_ms: i64) -> Option<(Uuid, i64)> {
        self.segment.as_mut().map(|segment| segment.identity(now_ms))
    }

    /// Whether its events outlive the process.
    pub(crate) fn is_kept(&self) -> bool {
        self.segment.as_ref().is_some_and(|segment| !segment.is_lost())
    }

    /// Takes out the first events of `severity`, as many as have so many bytes and are so many, if there are, and calls `gone`
    /// for each. Gives the number of bytes freed.
    pub(crate) fn evict(
        &mut self,
        severity: usize,
        events: u64,
        bytes: usize,
        gone: impl FnMut(Entry),
    ) -> usize {
        let (mut count, mut freed, mut start, mut last) = (0, 0, 0, 0);
        for entry in &self.entries {
            let length = (entry.end - start) as usize;
            start = entry.end;
            if usize::from(entry.severity) == severity {
                if count >= events && freed >= bytes {
                    break;
                }
                (count, freed, last) = (count + 1, freed + length, entry.end);
            }
        }
        self.evict_where(|entry| usize::from(entry.severity) == severity && entry.end <= last, gone)
    }

    /// The last event is dropped rather than put on disk.
    pub(crate) fn last_is_best_effort(&mut self) {
        let before = self.entries.iter().rev().nth(1).map_or(0, |entry| entry.end);
        if let Some(entry) = self.entries.last_mut() {
            entry.best_effort = true;
            self.best_effort_bytes += (entry.end - before) as usize;
        }
    }

    /// The last event tells of losses.
    pub(crate) fn last_is_own(&mut self) {
        if let Some(entry) = self.entries.last_mut() {
            entry.own = true;
        }
    }

    /// The size of its events that are dropped rather than put on disk.
    pub(crate) fn best_effort_bytes(&self) -> usize {
        self.best_effort_bytes
    }

    /// Whether all its events are dropped rather than put on disk.
    pub(crate) fn is_best_effort(&self) -> bool {
        !self.is_empty() && self.best_effort_bytes == self.bytes_from(0)
    }

    /// The size of the events that are dropped out of it before it goes to disk as a batch that failed.
    ///
    /// What Toggle may have stored is never changed, so of that it is all or nothing. So it is of a batch in a segment, which the next
    /// process may find there under its old id.
    pub(crate) fn not_for_disk(&self) -> usize {
        let some = !self.offered && self.segment.is_none();
        if self.is_best_effort() || some { self.best_effort_bytes } else { 0 }
    }

    /// Takes out some of the events and calls `gone` for each. Gives the number of bytes freed.
    pub(crate) fn evict_where(
        &mut self,
        is_gone: impl Fn(&Entry) -> bool,
        mut gone: impl FnMut(Entry),
    ) -> usize {
        if let Some(segment) = &mut self.segment {
            let entries = &self.entries;
            segment.drop_events(|place| entries.get(place).is_some_and(&is_gone));
        }
        let before = self.bytes.len();
        let (mut read, mut write) = (0, 0);
        let Self { bytes, entries, by_severity, bytes_by_severity, best_effort_bytes, .. } = self;
        entries.retain_mut(|entry| {
            let end = entry.end as usize;
            let length = end - read;
            let keep = !is_gone(entry);
            if keep {
                bytes.copy_within(read..end, write);
                write += length;
            } else {
                let place = usize::from(entry.severity) % SEVERITIES;
                by_severity[place] -= 1;
                bytes_by_severity[place] -= length;
                *best_effort_bytes -= if entry.best_effort { length } else { 0 };
                gone(*entry);
            }
            read = end;
            entry.end = write as u32;
            keep
        });
        bytes.truncate(write);
        if self.entries.is_empty() {
            // Nothing of what was said of its events holds any more.
            self.clear();
        }
        before - write
    }

    /// Whether all its events are of `severity` or graver.
    pub(crate) fn has_only(&self, severity: u8) -> bool {
        self.by_severity.iter().take(severity.into()).all(|&count| count == 0)
    }

    /// Whether one of its events is of `severity` or graver.
    pub(crate) fn has_any(&self, severity: u8) -> bool {
        self.by_severity.iter().skip(severity.into()).any(|&count| count > 0)
    }

    /// The severity of its least grave event; zero when it has none.
    pub(crate) fn least_severity(&self) -> u8 {
        self.by_severity.iter().position(|&count| count > 0).unwrap_or_default() as u8
    }

    /// The severity of its gravest event; zero when it has none.
    pub(crate) fn gravest_severity(&self) -> u8 {
        self.by_severity.iter().rposition(|&count| count > 0).unwrap_or_default() as u8
    }

    /// Takes out the events of `severity` and graver, in their order. `None` when there are none, or no others. Not for
    /// chunks with a segment, whose events stay together.
    pub(crate) fn split_grave(&mut self, severity: u8) -> Option<Self> {
        let is_grave = |entry: &Entry| entry.severity >= severity;
        let grave = self.entries.iter().filter(|entry| is_grave(entry)).count();
        if grave == 0 || grave == self.entries.len() {
            return None;
        }
        let (mut taken, mut left) = (self.like(), self.like());
        let mut start = 0;
        for entry in &self.entries {
            let end = entry.end as usize;
            let to = if is_grave(entry) { &mut taken } else { &mut left };
            to.push_entry(&self.bytes[start..end], *entry);
            start = end;
        }
        taken.urgent = true;
        *self = left;
        Some(taken)
    }

    /// The size of its first event.
    pub(crate) fn first_bytes(&self) -> usize {
        self.entries.first().map_or(0, |first| first.end as usize)
    }

    /// Takes out the first events, as many as have no more than `most` bytes together. `None` when these are none, or all. Not
    /// for chunks with a segment, whose events stay together.
    pub(crate) fn split_front(&mut self, most: usize) -> Option<Self> {
        let fit = self.entries.partition_point(|entry| entry.end as usize <= most);
        if fit == 0 || fit == self.entries.len() {
            return None;
        }
        let (mut taken, mut left) = (self.like(), self.like());
        let mut start = 0;
        for (place, entry) in self.entries.iter().enumerate() {
            let end = entry.end as usize;
            let to = if place < fit { &mut taken } else { &mut left };
            to.push_entry(&self.bytes[start..end], *entry);
            start = end;
        }
        (taken.urgent, left.urgent) = (self.urgent, self.urgent);
        *self = left;
        Some(taken)
    }

    /// An empty one of the same age and place in the order.
    fn like(&self) -> Self {
        Self { opened_at: self.opened_at, sequence: self.sequence, offered: self.offered, ..Self::default() }
    }

    /// Appends an event of another chunk.
    fn push_entry(&mut self, event: &[u8], entry: Entry) {
        self.push(event, entry.severity, entry.category);
        if let Some(last) = self.entries.last_mut() {
            last.within = entry.within;
        }
        if entry.best_effort {
            self.last_is_best_effort();
        }
        if entry.own {
            self.last_is_own();
        }
    }

    /// How many events it holds of each level, as wire numbers, for the seal of a spill file.
    pub(crate) fn add_levels_to(&self, levels: &mut [u32; SEVERITIES]) {
        for (total, count) in levels.iter_mut().zip(self.by_severity) {
            *total += count;
        }
    }

    /// Cuts off what is known of the events from the one at `first` on. The bytes are with a batch at that time. Not for chunks
    /// with a segment, whose events stay together.
    pub(crate) fn split_off(&mut self, first: usize) -> Self {
        let mut rest = self.like();
        let cut = first.min(self.entries.len());
        let start = cut.checked_sub(1).map_or(0, |last| self.entries[last].end);
        let mut from = start;
        for entry in self.entries.split_off(cut) {
            let (place, length) = (usize::from(entry.severity) % SEVERITIES, (entry.end - from) as usize);
            self.by_severity[place] -= 1;
            self.bytes_by_severity[place] -= length;
            rest.by_severity[place] += 1;
            rest.bytes_by_severity[place] += length;
            if entry.best_effort {
                self.best_effort_bytes -= length;
                rest.best_effort_bytes += length;
            }
            from = entry.end;
            rest.entries.push(Entry { end: entry.end - start, ..entry });
        }
        rest
    }

    /// The bytes leave for a batch; what the accounts know stays.
    pub(crate) fn take_bytes(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// The bytes come back.
    pub(crate) fn put_bytes(&mut self, bytes: Vec<u8>) {
        self.bytes = bytes;
    }

    /// Empties it and keeps its memory, and its segment.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
        self.by_severity = [0; SEVERITIES];
        self.bytes_by_severity = [0; SEVERITIES];
        self.opened_at = None;
        self.urgent = false;
        self.given = 0;
        self.best_effort_bytes = 0;
        self.offered = false;
    }

    /// The memory it holds, in bytes.
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity() + self.entries.capacity() * size_of::<Entry>()
    }
}

/// The size of the events of chunks.
pub(crate) fn total_bytes(chunks: &[Chunk]) -> u64 {
    chunks.iter().map(|chunk| chunk.bytes().len() as u64).sum()
}

/// Counts by severity as pairs of wire number and count, zeros left out.
pub(crate) fn level_counts(by_severity: &[u32; SEVERITIES]) -> Vec<(i32, u32)> {
    Level::ALL
        .iter()
        .map(|level| (level.number(), by_severity[usize::from(level.severity()) % SEVERITIES]))
        .filter(|&(_, count)| count > 0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eviction_keeps_the_other_events_in_order() {
        let mut chunk = Chunk::default();
        for (text, severity) in [("a", 3), ("bb", 2), ("ccc", 3), ("dddd", 5), ("e", 3)] {
            chunk.push(text.as_bytes(), severity, 1);
        }
        let mut gone = 0;
        let freed = chunk.evict(3, u64::MAX, 0, |entry| {
            assert_eq!(entry.severity, 3);
            gone += 1;
        });
        assert_eq!((gone, freed), (3, 5));
        assert_eq!(chunk.bytes(), b"bbdddd");
        assert_eq!(chunk.entries().iter().map(|entry| entry.end).collect::<Vec<_>>(), [2, 6]);
        assert_eq!((chunk.count_of(3), chunk.bytes_of(3)), (0, 0));
        assert_eq!((chunk.count_of(5), chunk.bytes_of(5)), (1, 4));
    }

    #[test]
    fn what_is_said_of_severities_is_that_of_the_events_that_are_left() {
        let mut chunk = Chunk::default();
        let said = |chunk: &Chunk| (chunk.least_severity(), chunk.gravest_severity());
        assert_eq!((said(&chunk), chunk.has_only(7), chunk.has_any(1)), ((0, 0), true, false));
        for severity in [3, 2, 5] {
            chunk.push(b"a", severity, 1);
        }
        assert_eq!((said(&chunk), chunk.has_only(2), chunk.has_only(3)), ((2, 5), true, false));
        assert!(chunk.has_any(5) && !chunk.has_any(6) && !chunk.has_any(8));
        chunk.evict(2, u64::MAX, 0, |_| {});
        let rest = chunk.split_off(1);
        assert_eq!((said(&chunk), said(&rest)), ((3, 3), (5, 5)));
        assert!(chunk.has_only(3) && !chunk.has_any(5) && rest.has_only(5));
    }

    #[test]
    fn grave_events_are_taken_out_in_their_order() {
        let mut chunk = Chunk { urgent: true, sequence: 7, ..Chunk::default() };
        for (text, severity) in [("a", 3), ("bb", 5), ("ccc", 3), ("dddd", 6)] {
            chunk.push(text.as_bytes(), severity, 1);
        }
        chunk.last_is_best_effort();
        let grave = chunk.split_grave(5).unwrap();
        assert!(grave.entries[1].is_best_effort());
        assert_eq!((grave.best_effort_bytes(), chunk.best_effort_bytes()), (4, 0));
        assert_eq!((grave.bytes(), chunk.bytes()), (b"bbdddd".as_slice(), b"accc".as_slice()));
        assert_eq!((grave.len(), grave.count_of(6), grave.bytes_of(6)), (2, 1, 4));
        assert_eq!((chunk.len(), chunk.count_of(3), chunk.bytes_of(3)), (2, 2, 4));
        assert!(grave.urgent && !chunk.urgent && grave.sequence == 7 && chunk.sequence == 7);
        assert!(chunk.split_grave(5).is_none() && chunk.split_grave(1).is_none());
    }

    #[test]
    fn what_has_room_is_taken_from_the_front() {
        let of = |texts: &[&str]| {
            let mut chunk = Chunk { sequence: 7, ..Chunk::default() };
            texts.iter().for_each(|text| chunk.push(text.as_bytes(), 3, 1));
            chunk
        };
        let mut chunk = of(&["a", "bb", "ccc"]);
        assert!(chunk.split_front(6).is_none() && chunk.len() == 3);
        let front = chunk.split_front(5).unwrap();
        assert_eq!((front.bytes(), chunk.bytes()), (b"abb".as_slice(), b"ccc".as_slice()));
        assert_eq!((front.sequence, front.count_of(3), chunk.bytes_of(3)), (7, 2, 3));
        let mut chunk = of(&["aaaa", "b"]);
        assert!(chunk.split_front(3).is_none());
        assert_eq!((chunk.first_bytes(), chunk.len()), (4, 2));
    }

    #[test]
    fn splitting_keeps_the_accounts_of_both_parts() {
        let mut chunk = Chunk::default();
        for (text, severity) in [("a", 3), ("bb", 2), ("ccc", 3)] {
            chunk.push(text.as_bytes(), severity, 1);
        }
        chunk.last_is_best_effort();
        let rest = chunk.split_off(1);
        assert_eq!((chunk.best_effort_bytes(), rest.best_effort_bytes()), (0, 3));
        assert_eq!((chunk.len(), chunk.count_of(3), chunk.bytes_of(3)), (1, 1, 1));
        assert_eq!((rest.len(), rest.count_of(3), rest.bytes_of(3), rest.bytes_of(2)), (2, 1, 3, 2));
        assert_eq!(rest.entries().iter().map(|entry| entry.end).collect::<Vec<_>>(), [2, 5]);
    }

    #[test]
    fn an_emptied_chunk_says_nothing_of_the_events_it_had() {
        let mut chunk = Chunk { opened_at: Some(Instant::now()), urgent: true, ..Chunk::default() };
        chunk.push(b"a", 3, 1);
        chunk.evict(3, u64::MAX, 0, |_| {});
        assert_eq!((chunk.opened_at, chunk.urgent), (None, false));
    }
}
