//! Room on disk: how much the spool may hold, and what goes when that is not enough.
//!
//! What goes first is the lowest level, and of that the oldest, event by event; but nothing goes while memory can still
//! hold what comes in, and nothing graver than what it makes room for. The last tenth of the quota is for files of
//! [`URGENT`] and graver alone. Segments are a part of what is there.
//!
//! What is left of a file gets another identity, under which Toggle would not know what it was offered before. So a file that was
//! offered, or a piece of it, by this process or an earlier one, goes as a whole, for events graver than any in it, and only when
//! nothing as light is left of other files. The seal says it of what was sent from memory, the ledger of what was sent from the
//! file.
//!
//! Where the disk itself is full something goes only right after a write has failed. A moment later there may be room
//! again, for all that is known: then the write is simply repeated.

use std::time::{Duration, Instant};

use super::{Delivery, DiskCopy, Origin, backlog::Begun};
use crate::{
    DropReason,
    accounts::Place,
    buffer::{State, URGENT},
    chunk::Chunk,
    emit::now_ms,
    spool::{Passed, RESERVE, SpoolError, SpoolErrorKind, SpoolFile, Thinned, quota_for},
};

/// At least this part of the quota is freed at once, so that not every batch rewrites a file,
const AT_ONCE: u64 = 64;

/// and this part of the file that is rewritten, so that a large one of somebody else's is not rewritten for ever.
const OF_A_FILE: u64 = 16;

/// When there is no room and nothing that may go, it is looked for again after this.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// On a full disk so many times of what a write needs are freed at most before one goes well, where it cannot be known how much
/// is free,
const IN_VAIN: u64 = 4;

/// and after that, or once it is known that what is freed does not stay free, nothing for this time.
const RESIGNED: Duration = Duration::from_secs(60);

/// So long after a write failed nobody asks whether the disk is still full.
const FRESH: Duration = Duration::from_millis(100);

/// Once a file could not be rewritten for lack of room, only files that go as a whole are thinned for so long.
const WHOLE_FILES: Duration = Duration::from_secs(10);

/// No smaller write than this, in bytes, is tried to find out how much a full disk still takes.
const LEAST_WRITE: u64 = 4 << 10;

/// Where so many batches went well at once, any number is written again.
const MANY: usize = 64;

/// Where writes of this size go well, their size is not bounded any more.
const LARGE_WRITE: u64 = 64 << 20;

/// When so many files in a row could not be thinned, the next is tried [a moment](LOOK_AGAIN) later.
const FAILURES: u32 = 3;

/// A file that could not be thinned is left alone for so long.
const SPARED: Duration = Duration::from_secs(60);

/// What is known of the room on disk.
#[derive(Debug)]
pub(super) struct Room {
    max_bytes: u64,
    /// The disk itself was full just now.
    full: Option<Full>,
    /// Larger ones than this are not written at present, in bytes: one of twice the size had no room.
    most: Option<u64>,
    /// So many batches in segments are written at once at present, as there was no room for one: twice as many after each that
    /// goes well.
    at_once: Option<usize>,
    /// Something was dropped for the disk since the last write that went well: how many bytes, and what was missing before.
    freed: Option<(u64, Full)>,
    /// Nothing is dropped for the disk before that.
    resigned_until: Option<Instant>,
    /// What was set aside on disk for a moment like this was given up.
    ballast_dropped: bool,
    /// A file is being thinned.
    pub(super) thinning: bool,
    /// That, or the last time, is for want of room on the disk, and not in the quota.
    for_disk: bool,
    /// So many files in a row could not be thinned.
    failures: u32,
    /// A file could not be rewritten for lack of room: until then only files that go as a whole help.
    whole_files_until: Option<Instant>,
    /// There was no room, and nothing that may go.
    pub(super) look_again_at: Option<Instant>,
    /// The same for batches that failed.
    pub(super) look_for_held_at: Option<Instant>,
}

/// How much a write that failed on a full disk was short of.
#[derive(Debug, Clone, Copy)]
struct Full {
    /// What the disk says, or else the size of what was written.
    bytes: u64,
    /// So much more would have to be free for a write of nothing, where that is known.
    deficit: Option<i64>,
    /// When it failed.
    at: Instant,
}

impl Full {
    /// Whether it is known that the disk is full now, rather than a moment ago.
    fn is_fresh(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.at) < FRESH
    }
}

impl Room {
    pub(super) fn new(max_bytes: u64) -> Self {
        Self {
            max_bytes,
            full: None,
            most: None,
            at_once: None,
            freed: None,
            resigned_until: None,
            ballast_dropped: false,
            thinning: false,
            for_disk: false,
            failures: 0,
            whole_files_until: None,
            look_again_at: None,
            look_for_held_at: None,
        }
    }

    /// How many bytes the spool may hold of such files.
    fn limit(&self, grave: bool) -> u64 {
        quota_for(self.max_bytes, grave)
    }

    /// A write of so many bytes failed because the disk is full; perhaps it says how much is missing.
    pub(super) fn is_full(&mut self, bytes: u64, missing: Option<u64>) {
        let deficit = missing.map(|missing| missing.cast_signed().saturating_sub(bytes.cast_signed()));
        let full = Full { bytes: missing.unwrap_or(bytes), deficit, at: Instant::now() };
        let larger = self.full.filter(|other| other.bytes > full.bytes && other.is_fresh(full.at));
        self.full = Some(larger.unwrap_or(full));
    }

    /// The disk had room, or it is time to see whether it has.
    pub(super) fn is_enough(&mut self) {
        let most = self.most.map(|most| most * 2).filter(|&most| most < LARGE_WRITE);
        let at_once = self.at_once.map(|count| count * 2).filter(|&count| count < MANY);
        let Self { thinning, for_disk, failures, ballast_dropped, max_bytes, .. } = *self;
        *self = Self { thinning, for_disk, failures, ballast_dropped, most, at_once, ..Self::new(max_bytes) };
    }

    /// A write of so many bytes, which can be cut, failed because the disk is full. Whether a smaller one should be tried.
    fn is_too_much(&mut self, bytes: u64, missing: Option<u64>) -> bool {
        let half = bytes / 2;
        let most = missing.map_or(half, |missing| bytes.saturating_sub(missing).min(half)).max(LEAST_WRITE);
        self.most = Some(self.most.map_or(most, |other| other.min(most)));
        most < bytes
    }

    /// A write failed.
    pub(super) fn is_short(&mut self) {
        self.at_once = Some(1);
    }

    /// How many batches in segments are written at once; any number, if nothing is said.
    pub(super) fn at_once(&self) -> Option<usize> {
        self.at_once
    }

    /// Larger writes than this are not tried, where they can be cut.
    pub(super) fn most(&self) -> Option<u64> {
        self.most
    }

    /// There was none when it was looked for last.
    pub(super) fn has_none(&self) -> bool {
        self.look_again_at.is_some() || self.look_for_held_at.is_some()
    }

    /// Nothing is to be written before that.
    pub(super) fn is_waited_for(&self, now: Instant) -> bool {
        self.thinning || self.look_again_at.is_some_and(|at| now < at)
    }

    /// Whether there is a point in dropping something for a full disk.
    fn may_free(&mut self, full: Full, now: Instant) -> bool {
        if self.resigned_until.is_some_and(|at| now < at) {
            return false;
        }
        // Somebody else takes what is freed, or it is freed elsewhere.
        let in_vain = |(freed, before): (u64, Full)| match (full.deficit, before.deficit) {
            (Some(now), Some(before)) => now >= before,
            _ => freed >= full.bytes.saturating_mul(IN_VAIN),
        };
        if self.freed.is_some_and(in_vain) {
            (self.freed, self.resigned_until) = (None, Some(now + RESIGNED));
            return false;
        }
        true
    }
}

impl Delivery {
    /// How many bytes spill files have, those being written among them.
    pub(super) fn file_bytes(&self, state: &State) -> u64 {
        state.status.spool.bytes + self.writing.iter().map(|writing| writing.bytes).sum::<u64>()
    }

    /// How many bytes of the quota are free.
    pub(super) fn quota_left(&self, state: &State, grave: bool) -> u64 {
        self.room.limit(grave).saturating_sub(self.bytes_there(state))
    }

    fn bytes_there(&self, state: &State) -> u64 {
        let segments = self.intake.buffer.segments().map_or(0, |segments| segments.quota.segments());
        self.file_bytes(state) + segments
    }

    /// How many bytes must go before so many more may be written; zero when they may.
    pub(super) fn missing(&self, state: &State, bytes: u64, grave: bool) -> u64 {
        (self.bytes_there(state) + bytes).saturating_sub(self.room.limit(grave))
    }

    /// The same for a batch that failed. It is not cut: what shares it with a grave event goes along.
    pub(super) fn missing_for(&self, state: &State, bytes: usize, chunk: &Chunk) -> u64 {
        let grave = chunk.has_any(URGENT.severity());
        if bytes == 0 { 0 } else { self.missing(state, bytes as u64, grave) }
    }

    /// Whether events may be dropped for the sake of what is in memory, because so much is there that it belongs on disk, or
    /// because memory will not be there any more.
    pub(super) fn must_spill(&self, state: &State) -> bool {
        state.is_over_threshold() || self.closing.is_some()
    }

    /// Whether something is in memory that goes with the process, and may not be on its way to Toggle.
    pub(super) fn holds_unkept(&self, state: &State) -> bool {
        state.holds_unkept() || self.copying.iter().any(|held| !held.chunk.is_kept())
    }

    /// The batches in flight that go with the process, and of which there is no copy on disk.
    fn in_flight_unkept(&self) -> impl Iterator<Item = &Chunk> {
        self.in_flight.values().filter_map(|parcel| match &parcel.origin {
            Origin::Memory { chunk, file: DiskCopy::None } if !chunk.is_kept() && !chunk.is_best_effort() => {
                Some(chunk)
            }
            Origin::Memory { .. } | Origin::Disk { .. } => None,
        })
    }

    /// The severity up to which events on a full disk may go for what is in memory. While the process lives, that of the least grave
    /// event that waits, which is the next to be dropped otherwise; where none does, of those that failed. At the end what is
    /// [lighter](Self::lighter_than) than any of it.
    fn up_to(&self, state: &State) -> u8 {
        let failed = || state.held().map(|held| &held.chunk);
        if self.closing.is_none() && state.waiting_events() > 0 {
            return state.least_severity();
        }
        if self.closing.is_none() {
            return failed().map(Chunk::least_severity).min().unwrap_or_default();
        }
        // What waits is written by severity. What is in flight may well be acknowledged.
        let waiting = state.gravest_severity().checked_sub(1);
        let failed = failed().filter(|chunk| !chunk.is_kept()).filter_map(Self::lighter_than);
        let in_flight = self.in_flight_unkept().filter_map(|chunk| chunk.least_severity().checked_sub(1));
        waiting.into_iter().chain(failed).chain(in_flight).max().unwrap_or_default()
    }

    /// The severity up to which events go for this batch at the end: one event for another as grave would gain nothing.
    pub(super) fn lighter_than(chunk: &Chunk) -> Option<u8> {
        let least = chunk.least_severity();
        // There are graver ones in it.
        if chunk.has_any(least + 1) { Some(least) } else { least.checked_sub(1) }
    }

    /// A write of so many bytes, which are in memory again, had no room. `true` when another one is to be tried at once, a smaller
    /// one where it can be cut.
    pub(super) fn had_no_room(&mut self, bytes: u64, can_be_cut: bool, error: &SpoolError) -> bool {
        let missing = error.missing();
        if self.closing.is_some() && !self.room.ballast_dropped && !self.needs_ballast(Instant::now()) {
            self.room.ballast_dropped = true;
            self.spooler.drop_ballast();
            return true;
        }
        if can_be_cut && self.room.is_too_much(bytes, missing) {
            return true;
        }
        if error.is_of_file_size() {
            // Whatever goes from the disk, the file may not become that large.
            return false;
        }
        self.room.is_full(bytes, missing);
        false
    }

    /// Whether the ballast is still of use in a shutdown: lighter events on disk may go for what is in memory, which takes room for a
    /// moment. In the second half of the time that is left it is memory's anyway.
    fn needs_ballast(&self, now: Instant) -> bool {
        let is_early = self.closing.as_ref().is_some_and(|closing| now < closing.half);
        let is_resigned = self.room.resigned_until.is_some_and(|at| now < at);
        let up_to = self.up_to(&self.intake.buffer.lock());
        let least = self.backlog.least_severity(self.takes_whole_files_only(now), now);
        is_early && !is_resigned && least.is_some_and(|least| least <= up_to)
    }

    /// The disk is full: has the least grave events on it dropped, if otherwise some would be lost in memory and
    /// if that can help. If not, the write is simply repeated after a pause.
    pub(super) fn free_disk(&mut self, now: Instant) {
        let Some(full) = self.room.full else { return };
        let mut state = self.intake.buffer.lock();
        let must = |state: &State| match self.closing {
            Some(_) => self.holds_unkept(state) || self.in_flight_unkept().next().is_some(),
            None => state.is_nearly_full(),
        };
        if must(&state) {
            // Nothing on disk goes for what is not worth a place there.
            state.shed_waiting();
            state.shed_held(now_ms());
        }
        let must = must(&state);
        let up_to = self.up_to(&state);
        drop(state);
        if !must {
            return;
        }
        self.room.full = None;
        if !full.is_fresh(now) {
            // The next write shows it, at once.
            self.spool_retry_at = None;
            return;
        }
        if self.room.may_free(full, now)
            && (full.deficit.is_none()
                || self.backlog.bytes_up_to(up_to, self.lighter_goes_below(up_to)) >= full.bytes)
            && self.make_room(full.bytes, up_to)
        {
            let freed = self.room.freed.map_or(0, |(freed, _)| freed);
            self.room.freed = Some((freed, full));
            self.room.for_disk = true;
        }
    }

    /// Whether the disk takes more than what just waits, without anything having to go: a part of the quota is free.
    pub(super) fn disk_takes_more(&self, state: &State, now: Instant) -> bool {
        !self.spool_is_closed
            && self.spool_retry_at.is_none()
            && !self.room.is_waited_for(now)
            && self.missing(state, self.room.max_bytes / RESERVE, false) == 0
    }

    /// A file that was offered goes as a whole, for one event perhaps: so only for graver ones than any in it. At the end
    /// what may go up to a severity is lighter than what it goes for already.
    fn lighter_goes_below(&self, severity: u8) -> u8 {
        severity + u8::from(self.closing.is_some())
    }

    /// Has the least grave events on disk dropped, if they are no graver than this severity. `false` when there are none.
    pub(super) fn make_room(&mut self, missing: u64, severity: u8) -> bool {
        let now = Instant::now();
        let whole_files_only = self.takes_whole_files_only(now);
        let below = self.lighter_goes_below(severity);
        self.room.for_disk = false;
        if let Some((file, passed)) = self.backlog.least_offered(below, whole_files_only, now) {
            (self.room.thinning, self.room.look_again_at) = (true, None);
            let passed = passed.unwrap_or_else(|| self.dealt_with(&file));
            self.begin_thinning(&file);
            self.spooler.drop_rest(file, passed);
            return true;
        }
        let victim = self.backlog.least(severity, whole_files_only, now);
        let Some((file, severity)) = victim else { return false };
        let bytes = if whole_files_only {
            u64::MAX
        } else {
            missing.max(self.room.max_bytes / AT_ONCE).max(file.bytes / OF_A_FILE)
        };
        (self.room.thinning, self.room.look_again_at) = (true, None);
        let mut state = self.intake.buffer.lock();
        let id = state.next_id(now_ms());
        drop(state);
        // Nothing was offered of it, so all that is dealt with is at its beginning.
        let passed = self.dealt_with(&file);
        self.begin_thinning(&file);
        self.spooler.thin(file, severity, bytes, id, passed);
        true
    }

    /// What of a file is delivered or set aside.
    fn dealt_with(&self, file: &SpoolFile) -> Passed {
        Passed::of(self.intake.buffer.lock().accounts.ledger.step(file.id, true))
    }

    /// Should this process be killed while events of a file are being dropped, nobody has removed them.
    fn begin_thinning(&self, file: &SpoolFile) {
        let mut state = self.intake.buffer.lock();
        let ledger = &state.accounts.ledger;
        let left = u64::from(file.events).saturating_sub(ledger.step(file.id, true).events);
        let ours = if file.is_of(ledger.id()) { left } else { 0 };
        state.accounts.set_thinning(ours);
    }

    /// Whether a file cannot be rewritten for lack of room.
    fn takes_whole_files_only(&self, now: Instant) -> bool {
        self.room.whole_files_until.is_some_and(|at| now < at)
    }

    /// From which severity on events may go to disk at the cost of others there; `None` when nothing there may go. At the end they
    /// must be graver than what goes for them.
    pub(super) fn least_with_room(&self) -> Option<u8> {
        let now = Instant::now();
        let untouched = self.backlog.least_severity(self.takes_whole_files_only(now), now);
        let untouched = untouched.map(|least| least + u8::from(self.closing.is_some()));
        let offered = self.backlog.gravest_offered(now).map(|gravest| gravest + 1);
        untouched.into_iter().chain(offered).min()
    }

    /// No room can be made in a file: it is left alone for a while. Where one after the other fails it is hardly the files' fault.
    fn not_thinned(&mut self, file: SpoolFile, begun: Option<Begun>, error: &SpoolError) {
        let now = Instant::now();
        self.room.failures = self.room.failures.saturating_add(1);
        if self.room.failures == 1 {
            tracing::warn!(%error, file = %file.id, "no room can be made in a spill file; it is left as it is for a minute");
        }
        self.intake.buffer.lock().status.fail(error);
        if self.room.failures >= FAILURES {
            self.room.look_again_at = Some(now + LOOK_AGAIN);
        }
        if error.is_of_file_system() {
            // No file can be written either, which whoever looks wants to know.
            self.write_failed = true;
            self.spool_fails(error);
        } else {
            self.backlog.spare(file.id, now + SPARED);
        }
        self.backlog.stays(file, begun, now);
    }

    /// A file was thinned or not.
    pub(super) fn thinned(&mut self, old: SpoolFile, result: Result<Thinned, SpoolError>) {
        self.room_was_made(old, result);
        self.intake.buffer.lock().accounts.set_thinning(0);
    }

    fn room_was_made(&mut self, old: SpoolFile, result: Result<Thinned, SpoolError>) {
        self.room.thinning = false;
        self.backlog.removed(old.id);
        let begun = self.backlog.take_going(old.id);
        let mut thinned = match result {
            Ok(thinned) => thinned,
            Err(error) if error.kind() == SpoolErrorKind::Missing => {
                let left = u64::from(old.events).saturating_sub(self.dealt_with(&old).events);
                return self.vanished(&old, begun.map_or(left, |begun| begun.left()));
            }
            Err(error)
                if error.kind() == SpoolErrorKind::Full
                    && self.room.whole_files_until.is_none_or(|at| Instant::now() >= at) =>
            {
                self.room.whole_files_until = Some(Instant::now() + WHOLE_FILES);
                self.backlog.stays(old, begun, Instant::now());
                return;
            }
            Err(error) => return self.not_thinned(old, begun, &error),
        };
        for batch in begun.iter().flat_map(Begun::pieces) {
            thinned.drop_all(batch.events());
        }
        self.refusals.forget_all_of(old.id);
        self.room.failures = 0;
        let mut state = self.intake.buffer.lock();
        let foreign = !old.is_of(state.accounts.ledger.id());
        let known = begun.map_or_else(
            || u64::from(old.events).saturating_sub(state.accounts.ledger.step(old.id, true).events),
            |begun| begun.left(),
        );
        let mut total = 0;
        // What is gone of pieces that were dealt with is no loss.
        thinned.cut_off = thinned.cut_off.min(known.saturating_sub(thinned.events() - thinned.cut_off));
        // It may have held more than was known of it.
        let more = thinned.events().saturating_sub(known);
        if more > 0 {
            state.accounts.adopt_more(more, foreign);
        }
        for (category, severity, count) in thinned.dropped {
            total += count;
            let reason = DropReason::SpoolFull;
            state.accounts.lose_of(Place::Disk, reason, category, severity, count, foreign);
        }
        state.accounts.lose_of(Place::Disk, DropReason::Vanished, 0, 0, thinned.cut_off, foreign);
        state.accounts.finish(old.id, thinned.damaged, foreign);
        state.accounts.ledger.forget(old.id);
        let spool = &mut state.status.spool;
        spool.files = spool.files.saturating_sub(1);
        spool.bytes = spool.bytes.saturating_sub(old.bytes);
        spool.thinned += total;
        let first = spool.thinned == total;
        drop(state);
        if first && self.room.for_disk {
            tracing::error!(
                dropped = total,
                "the disk is full: the least grave of the oldest events in the spool are dropped to make room"
            );
        } else if first {
            tracing::error!(
                dropped = total,
                "the spool is full: the least grave of the oldest events are dropped to make room"
            );
        }
        let freed = old.bytes.saturating_sub(thinned.file.as_ref().map_or(0, |file| file.bytes));
        if let Some((all, _)) = &mut self.room.freed {
            *all += freed;
        }
        // So much has room at once.
        self.room.most = self.room.most.map(|most| most.max(freed));
        // There is room now, whatever there was before.
        self.room.full = None;
        if !self.spool_is_closed {
            self.spool_retry_at = None;
        }
        if let Some(file) = thinned.file {
            self.spool_grows(&file);
            self.backlog.add(file);
        }
    }
}
