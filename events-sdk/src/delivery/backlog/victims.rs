//! Which files give up events when room is needed.

use std::{collections::VecDeque, time::Instant};

use uuid::Uuid;

use super::{Backlog, Open, Waiting, files::Waits};
use crate::{
    Batch,
    spool::{Passed, SpoolFile},
};

/// A file of which pieces were read and sent, while it is dropped as a whole.
#[derive(Debug)]
pub(crate) struct Begun {
    open: Open,
    /// What was read of it and is not dealt with.
    pieces: VecDeque<Waiting>,
}

impl Begun {
    /// How many of its events are not dealt with.
    pub(crate) fn left(&self) -> u64 {
        let read: u64 = self.pieces.iter().map(|piece| piece.batch.len() as u64).sum();
        read + self.open.unread()
    }

    /// What was read of it and is not dealt with.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = &Batch> {
        self.pieces.iter().map(|piece| piece.batch.as_ref())
    }
}

impl Backlog {
    /// Takes out the file that may have been offered to Toggle whose gravest event is the lightest, the oldest of those, if that is
    /// lighter than `below` and nothing as light can be had of [others](Self::least). Under another identity Toggle would not know
    /// it for a repeat, so nothing is dropped out of it, and it goes as a whole: all that is behind what was read of it, which
    /// this gives; none was where that is `None`.
    pub(crate) fn least_offered(
        &mut self,
        below: u8,
        whole: bool,
        now: Instant,
    ) -> Option<(SpoolFile, Option<Passed>)> {
        let (gravest, _, id) = self.lightest_offered(now).filter(|&(gravest, ..)| gravest < below)?;
        if self.least_severity(whole, now).is_some_and(|least| least <= gravest) {
            return None;
        }
        let file = match self.take_waiting(id) {
            Some(file) => (file, None),
            None => {
                let all = std::mem::take(&mut self.pieces);
                let (pieces, others) = all.into_iter().partition(|piece| piece.file == id);
                self.pieces = others;
                let open = self.close(id)?;
                let file = (open.file.clone(), Some(open.passed()));
                self.going = Some(Begun { open, pieces });
                file
            }
        };
        self.leaving.insert(id);
        Some(file)
    }

    /// The severity of the gravest event of what [`least_offered`](Self::least_offered) would give, if there were nothing else.
    pub(crate) fn gravest_offered(&self, now: Instant) -> Option<u8> {
        self.lightest_offered(now).map(|(gravest, ..)| gravest)
    }

    fn lightest_offered(&self, now: Instant) -> Option<(u8, i64, Uuid)> {
        let offered = self.offered_files().map(|file| (file.gravest(), file.timestamp_ms, file.id));
        offered.filter(|&(.., id)| !self.is_spared(id, now)).min()
    }

    /// The file that is dropped as a whole, if it is this one.
    pub(crate) fn take_going(&mut self, file: Uuid) -> Option<Begun> {
        self.going.take_if(|begun| begun.open.file.id == file)
    }

    /// A file stays, because no room could be made in it.
    pub(crate) fn stays(&mut self, file: SpoolFile, begun: Option<Begun>, now: Instant) {
        let Some(Begun { open, pieces }) = begun else { return self.add(file) };
        if !open.exhausted {
            // It goes on where it was, as soon as it may.
            let place = [&mut self.current, &mut self.interrupted].into_iter().find(|place| place.is_none());
            match place {
                Some(place) => *place = Some(file.id),
                None => self.parked.push((now, file.id)),
            }
        }
        self.open.insert(file.id, open);
        pieces.into_iter().rev().for_each(|piece| self.put_back(piece));
    }

    /// Takes out the oldest of the files of which nothing was offered with events of the lowest level there is, if that is no
    /// graver than `severity`; with `whole`, only a file of nothing else. Gives that level's severity too.
    ///
    /// What was read ahead of it is forgotten.
    pub(crate) fn least(&mut self, severity: u8, whole: bool, now: Instant) -> Option<(SpoolFile, u8)> {
        self.spared.retain(|_, until| now < *until);
        let (least, _, id) = self.lightest(whole, now).filter(|&(least, ..)| least <= severity)?;
        let file = self.take_out(id)?;
        self.leaving.insert(id);
        Some((file, least))
    }

    /// The severity of what [`least`](Self::least) would give.
    pub(crate) fn least_severity(&self, whole: bool, now: Instant) -> Option<u8> {
        self.lightest(whole, now).map(|(least, ..)| least)
    }

    /// Which file would go first: its lowest severity, its time and its identity. A file of grave events alone does not go
    /// before others that hold lighter ones, though those cannot go as a whole.
    fn lightest(&self, whole: bool, now: Instant) -> Option<(u8, i64, Uuid)> {
        let lightest = self.candidates().map(Candidate::least).min()?;
        self.candidates()
            .filter(|file| !whole || (file.severities.is_power_of_two() && file.least() == lightest))
            .map(|file| (file.least(), file.timestamp_ms, file.id))
            .filter(|&(.., id)| !self.is_spared(id, now))
            .min()
    }

    /// The most that can be freed: the size of all files of which nothing was offered and that have events no graver than
    /// `severity`, and of all others whose events are all lighter than `below`.
    pub(crate) fn bytes_up_to(&self, severity: u8, below: u8) -> u64 {
        let untouched = self.candidates().filter(|file| file.least() <= severity).map(|file| file.bytes);
        let offered = self.offered_files().filter(|file| file.gravest() < below).map(|file| file.bytes);
        untouched.chain(offered).sum()
    }

    /// Room cannot be made in this file before that.
    pub(crate) fn spare(&mut self, file: Uuid, until: Instant) {
        self.spared.insert(file, until);
    }

    fn is_spared(&self, file: Uuid, now: Instant) -> bool {
        self.spared.get(&file).is_some_and(|&until| now < until)
    }

    /// The files of which nothing was offered.
    fn candidates(&self) -> impl Iterator<Item = Candidate> {
        let read = self
            .open
            .values()
            .filter(|open| !open.is_offered() && self.may_go(open))
            .map(|open| Candidate::from(&open.file));
        let waiting = self.waiting().filter(|waits| !waits.is_offered()).map(Candidate::from);
        waiting.chain(read).filter(|file| file.severities != 0)
    }

    /// The others, while nothing of them is under way.
    fn offered_files(&self) -> impl Iterator<Item = Candidate> {
        let read = self
            .open
            .values()
            .filter(|open| open.is_offered() && self.may_go(open))
            .map(|open| Candidate::from(&open.file));
        let waiting = self.waiting().filter(|waits| waits.is_offered()).map(Candidate::from);
        waiting.chain(read).filter(|file| file.severities != 0)
    }

    /// Not those of which events are set aside: they would be dropped as well.
    fn waiting(&self) -> impl Iterator<Item = &Waits> {
        let all = self.files.iter().chain(self.grave.iter());
        all.filter(|waits| !self.refused.contains_key(&waits.id))
    }

    /// Whether a file of which pieces were read may go, or a part of it.
    fn may_go(&self, open: &Open) -> bool {
        let is_being_read = self.reading && self.current == Some(open.file.id);
        !is_being_read && !open.vanished && open.to_cut_out == 0 && self.is_at_rest(open)
    }

    /// Takes a file out that waits or is untouched.
    pub(super) fn take_out(&mut self, id: Uuid) -> Option<SpoolFile> {
        if let Some(file) = self.take_waiting(id) {
            return Some(file);
        }
        self.pieces.retain(|piece| piece.file != id);
        let Open { file, read, .. } = self.close(id)?;
        // It may hold more than was known of it, which counts by now.
        let events = file.events.max(u32::try_from(read).unwrap_or(u32::MAX));
        Some(SpoolFile { events, ..file })
    }

    fn take_waiting(&mut self, id: Uuid) -> Option<SpoolFile> {
        [&mut self.files, &mut self.grave].into_iter().find_map(|files| files.remove(id))
    }

    /// Takes a file out of which pieces are read.
    fn close(&mut self, id: Uuid) -> Option<Open> {
        let open = self.open.remove(&id)?;
        self.parked.retain(|&(_, file)| file != id);
        for place in [&mut self.current, &mut self.interrupted] {
            if *place == Some(id) {
                *place = None;
            }
        }
        Some(open)
    }
}

/// What tells which file goes first.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    id: Uuid,
    timestamp_ms: i64,
    bytes: u64,
    severities: u8,
}

impl From<&SpoolFile> for Candidate {
    fn from(&SpoolFile { id, timestamp_ms, bytes, severities, .. }: &SpoolFile) -> Self {
        Self { id, timestamp_ms, bytes, severities }
    }
}

impl From<&Waits> for Candidate {
    fn from(&Waits { id, timestamp_ms, bytes, severities, .. }: &Waits) -> Self {
        Self { id, timestamp_ms, bytes, severities }
    }
}

impl Candidate {
    /// The severity of the least grave of its events.
    fn least(self) -> u8 {
        self.severities.trailing_zeros() as u8
    }

    /// The severity of the gravest of its events.
    fn gravest(self) -> u8 {
        self.severities.checked_ilog2().unwrap_or_default() as u8
    }
}
