//! Room on disk: how much the spool may hold, and what goes when that is not enough.
//!
//! What goes first is the lowest level, and of that the oldest, event by event; but nothing goes while memory can still
//! hold what comes in, and nothing graver than what it makes room for. The last tenth of the quota is for files of
//! [`URGENT`] and graver alone. Segments are a part of what is there.
//!
//! Where the disk itself is full something goes only right after a write has failed. A moment later there may be room
//! again, for all that is known: then the write is simply repeated.

use std::time::{Duration, Instant};

use super::{Delivery, Held};
use crate::{
    Batch, DropReason,
    accounts::Place,
    buffer::{State, URGENT},
    chunk::Chunk,
    spool::{SpoolError, SpoolErrorKind, SpoolFile, Thinned},
};

/// The share of the quota that only grave events may use: one part in so many.
const RESERVE: u64 = 10;

/// At least this part of the quota is freed at once, so that not every batch rewrites a file,
const AT_ONCE: u64 = 64;

/// and this part of the file that is rewritten, so that a large one of somebody else's is not rewritten for ever.
const OF_A_FILE: u64 = 16;

/// When there is no room and nothing that may go, it is looked for again after this.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What is known of the room on disk.
#[derive(Debug)]
pub(super) struct Room {
    max_bytes: u64,
    /// The disk itself had no room for so many bytes, just now.
    wanted: Option<u64>,
    /// A file is being thinned.
    pub(super) thinning: bool,
    /// The last file could not be rewritten for lack of room: only files that go as a whole help now.
    whole_files_only: bool,
    /// There was no room, and nothing that may go.
    pub(super) look_again_at: Option<Instant>,
}

impl Room {
    pub(super) fn new(max_bytes: u64) -> Self {
        Self { max_bytes, wanted: None, thinning: false, whole_files_only: false, look_again_at: None }
    }

    /// How many bytes the spool may hold of such files.
    fn limit(&self, grave: bool) -> u64 {
        if grave { self.max_bytes } else { self.max_bytes - self.max_bytes / RESERVE }
    }

    /// The disk had no room for so many bytes.
    pub(super) fn wants(&mut self, bytes: u64) {
        self.wanted = Some(self.wanted.unwrap_or_default().max(bytes));
    }

    /// The disk had room, or it is time to see whether it has.
    pub(super) fn is_enough(&mut self) {
        (self.wanted, self.whole_files_only, self.look_again_at) = (None, false, None);
    }

    /// Nothing is to be written before that.
    pub(super) fn is_waited_for(&self, now: Instant) -> bool {
        self.thinning || self.look_again_at.is_some_and(|at| now < at)
    }
}

impl Delivery {
    /// How many bytes spill files have, those being written among them.
    pub(super) fn file_bytes(&self, state: &State) -> u64 {
        state.status.spool.bytes + self.writing.iter().map(|writing| writing.bytes).sum::<u64>()
    }

    /// How many bytes must go before so many more may be written; zero when they may.
    pub(super) fn missing(&self, state: &State, bytes: u64, grave: bool) -> u64 {
        let segments = self.intake.buffer.segments().map_or(0, |segments| segments.quota.segments());
        let there = self.file_bytes(state) + segments;
        (there + bytes).saturating_sub(self.room.limit(grave))
    }

    /// The same for a batch that failed. It is not cut: what shares it with a grave event goes along.
    pub(super) fn missing_for(&self, batch: &Batch, chunk: &Chunk) -> u64 {
        let grave = chunk.has_any(URGENT.severity());
        self.missing(&self.intake.buffer.lock(), batch.events().len() as u64, grave)
    }

    /// Whether events may be dropped for the sake of what is in memory, because memory is about to overflow or will not
    /// be there any more.
    pub(super) fn must_spill(&self, state: &State) -> bool {
        state.is_over_threshold() || self.closing.is_some()
    }

    /// The severity of the least grave event that waits in memory or failed; zero when there is none.
    fn least_in_memory(&self, state: &State) -> u8 {
        let waiting = (state.waiting_events() > 0).then(|| state.least_severity());
        let failed = self.held.iter().map(|Held { chunk, .. }| chunk.least_severity());
        waiting.into_iter().chain(failed).min().unwrap_or_default()
    }

    /// The disk was full just now: has the least grave events on it dropped if that must be. Otherwise, and if none may
    /// go, the write is repeated after a pause.
    pub(super) fn free_disk(&mut self) {
        let Some(wanted) = self.room.wanted.take() else { return };
        let state = self.intake.buffer.lock();
        let (must, least) = (self.must_spill(&state), self.least_in_memory(&state));
        drop(state);
        if must {
            self.make_room(wanted, least, must);
        }
    }

    /// Whether the disk takes more than what just waits, without anything having to go: a part of the quota is free.
    pub(super) fn disk_takes_more(&self, state: &State, now: Instant) -> bool {
        !self.spool_is_closed
            && self.spool_retry_at.is_none()
            && !self.room.is_waited_for(now)
            && self.missing(state, self.room.max_bytes / RESERVE, false) == 0
    }

    /// Has the least grave events on disk dropped, if they are no graver than what waits in memory and memory is about to
    /// overflow; otherwise looks again later.
    pub(super) fn make_room(&mut self, missing: u64, least_waiting: u8, must: bool) {
        let victim = must.then(|| self.backlog.least(least_waiting, self.room.whole_files_only)).flatten();
        let Some((file, severity)) = victim else {
            self.room.look_again_at = Some(Instant::now() + LOOK_AGAIN);
            return;
        };
        let bytes = if self.room.whole_files_only {
            u64::MAX
        } else {
            missing.max(self.room.max_bytes / AT_ONCE).max(file.bytes / OF_A_FILE)
        };
        self.room.thinning = true;
        let mut state = self.intake.buffer.lock();
        let id = state.next_id(crate::emit::now_ms());
        let pieces = state.accounts.ledger.step(file.id, true).pieces;
        drop(state);
        self.spooler.thin(file, severity, bytes, id, pieces);
    }

    /// A file was thinned or not.
    pub(super) fn thinned(&mut self, old: SpoolFile, result: Result<Thinned, SpoolError>) {
        self.room.thinning = false;
        self.backlog.removed(old.id);
        let thinned = match result {
            Ok(thinned) => thinned,
            Err(error) if error.kind() == SpoolErrorKind::Missing => {
                let dealt_with = self.intake.buffer.lock().accounts.ledger.step(old.id, true).events;
                return self.vanished(&old, u64::from(old.events).saturating_sub(dealt_with));
            }
            Err(error) => {
                self.room.whole_files_only |= error.kind() == SpoolErrorKind::Full;
                self.backlog.add(old);
                return self.spool_fails(&error);
            }
        };
        let mut state = self.intake.buffer.lock();
        let foreign = !old.is_of(state.accounts.ledger.id());
        let mut total = 0;
        for (category, severity, count) in thinned.dropped {
            total += count;
            let reason = DropReason::SpoolFull;
            state.accounts.lose_of(Place::Disk, reason, category, severity, count, foreign);
        }
        state.accounts.finish(old.id, thinned.damaged, foreign);
        state.accounts.ledger.forget(old.id);
        let spool = &mut state.status.spool;
        spool.files = spool.files.saturating_sub(1);
        spool.bytes = spool.bytes.saturating_sub(old.bytes);
        spool.thinned += total;
        let first = spool.thinned == total;
        drop(state);
        if first {
            tracing::error!(
                dropped = total,
                "the spool is full: the least grave of the oldest events are dropped to make room"
            );
        }
        // There is room now, whatever there was before.
        self.room.wanted = None;
        if !self.spool_is_closed {
            self.spool_retry_at = None;
        }
        if let Some(file) = thinned.file {
            self.spool_grows(&file);
            self.backlog.add(file);
        }
    }
}
