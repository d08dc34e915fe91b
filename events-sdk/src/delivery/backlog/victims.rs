//! Which files give up events when room is needed.

use std::time::Instant;

use uuid::Uuid;

use super::{Backlog, Open, least_of};
use crate::spool::SpoolFile;

impl Backlog {
    /// Takes out the oldest of the files of which nothing was sent with events of the lowest level there is, if that is no
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
        let lightest = self.candidates().map(least_of).min()?;
        self.candidates()
            .filter(|file| !whole || (file.severities.is_power_of_two() && least_of(file) == lightest))
            .map(|file| (least_of(file), file.timestamp_ms, file.id))
            .filter(|&(.., id)| !self.is_spared(id, now))
            .min()
    }

    /// The size of all files with events that are no graver than this: no more can be freed of them.
    pub(crate) fn bytes_up_to(&self, severity: u8) -> u64 {
        self.candidates().filter(|file| least_of(file) <= severity).map(|file| file.bytes).sum()
    }

    /// Room cannot be made in this file before that.
    pub(crate) fn spare(&mut self, file: Uuid, until: Instant) {
        self.spared.insert(file, until);
    }

    fn is_spared(&self, file: Uuid, now: Instant) -> bool {
        self.spared.get(&file).is_some_and(|&until| now < until)
    }

    /// The files of which nothing was sent.
    fn candidates(&self) -> impl Iterator<Item = &SpoolFile> {
        let read = self.open.values().filter(|open| self.is_untouched(open)).map(|open| &open.file);
        self.files.iter().chain(&self.grave).chain(read).filter(|file| file.severities != 0)
    }

    /// Whether a file was read ahead, and no more than that.
    fn is_untouched(&self, open: &Open) -> bool {
        let is_being_read = self.reading && self.current == Some(open.file.id);
        !is_being_read && !open.vanished && !open.offered
    }

    /// Takes a file out that waits or is untouched.
    fn take_out(&mut self, id: Uuid) -> Option<SpoolFile> {
        for files in [&mut self.files, &mut self.grave] {
            if let Some(place) = files.iter().position(|file| file.id == id) {
                return files.remove(place);
            }
        }
        let open = self.open.remove(&id)?;
        self.pieces.retain(|piece| piece.file != id);
        self.parked.retain(|&(_, file)| file != id);
        for place in [&mut self.current, &mut self.interrupted] {
            if *place == Some(id) {
                *place = None;
            }
        }
        Some(open.file)
    }
}
