//! Salvage: what the task had in hand when it panicked, and how it goes on.
//!
//! Everything that waits lies in [`Delivery`], which outlives a panic of one of its steps. What is on the move is
//! wrapped in [`Kept`]: dropped by a panic it lands here, and the task takes it up again when it goes on. Each thing
//! says itself how far it had come, so nothing is counted twice:
//!
//! * A [`Parcel`] knows the [`Place`] that the accounts believe it in.
//! * A reply of the spool and a word from the program are worked through from the beginning; what they change is
//!   changed after they have been let go of, in steps that only move things.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use super::{
    Control, Delivery, DiskCopy, Held, Origin, Parcel, backlog::Waiting, recycle, spooler::Reply,
    spooler::Write,
};
use crate::{accounts::Place, backoff::Backoff, buffer::Buffer};

/// The pause after a panic, doubling from the first to the second, so that a task that panics whatever it does neither
/// spins nor fills a log.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(10));

/// After so long without a panic the next one is again the first.
const CALM: Duration = Duration::from_secs(30);

/// What a panic let fall.
#[derive(Debug)]
pub(super) enum Saved {
    Parcel(Parcel),
    Write(Write),
    Reply(Reply),
    Control(Control),
}

impl From<Parcel> for Saved {
    fn from(parcel: Parcel) -> Self {
        Self::Parcel(parcel)
    }
}

impl From<Write> for Saved {
    fn from(write: Write) -> Self {
        Self::Write(write)
    }
}

impl From<Reply> for Saved {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

impl From<Control> for Saved {
    fn from(control: Control) -> Self {
        Self::Control(control)
    }
}

/// Where what a panic let fall is found again.
#[derive(Debug, Clone, Default)]
pub(super) struct Salvage(Arc<Mutex<Vec<Saved>>>);

impl Salvage {
    /// From here on a panic does not lose this.
    pub(super) fn keep<T: Into<Saved>>(&self, value: T) -> Kept<T> {
        Kept { value: Some(value), salvage: self.clone() }
    }

    fn add(&self, saved: Saved) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(saved);
    }

    fn next(&self) -> Option<Saved> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

/// Something on the move.
#[derive(Debug)]
pub(super) struct Kept<T: Into<Saved>> {
    /// There until it is let go of or dropped, either of which ends this.
    value: Option<T>,
    salvage: Salvage,
}

impl<T: Into<Saved>> Kept<T> {
    pub(super) fn get(&self) -> Option<&T> {
        self.value.as_ref()
    }

    pub(super) fn get_mut(&mut self) -> Option<&mut T> {
        self.value.as_mut()
    }

    /// It has arrived.
    pub(super) fn release(mut self) -> Option<T> {
        self.value.take()
    }
}

impl<T: Into<Saved>> Drop for Kept<T> {
    fn drop(&mut self) {
        if thread::panicking()
            && let Some(value) = self.value.take()
        {
            self.salvage.add(value.into());
        }
    }
}

/// The panics so far.
#[derive(Debug)]
pub(super) struct Panics {
    in_a_row: u32,
    last: Option<Instant>,
    backoff: Backoff,
}

impl Panics {
    pub(super) fn new() -> Self {
        Self { in_a_row: 0, last: None, backoff: Backoff::new(PAUSE.0, PAUSE.1) }
    }

    /// Another one: how long to pause after it.
    fn another(&mut self, now: Instant) -> Duration {
        if self.last.is_none_or(|last| now.saturating_duration_since(last) >= CALM) {
            self.in_a_row = 0;
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.last = Some(now);
        self.backoff.pause(self.in_a_row)
    }
}

/// Says that a part of the event system panicked and goes on.
pub(crate) fn restarted(buffer: &Buffer, part: &str, panic: &str) {
    let mut state = buffer.lock();
    state.status.restarts += 1;
    state.status.fail(format!("{part} panicked: {panic}"));
    drop(state);
    tracing::error!(
        part,
        panic,
        "the event system panicked and was restarted; no event is lost. Please report this"
    );
}

/// What a panic said.
pub(crate) fn message_of(panic: &(dyn Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "without a message".to_owned(),
    }
}

impl Delivery {
    /// Does one step. After a panic in it, the error is how long to pause.
    pub(super) fn guarded<T>(&mut self, step: impl FnOnce(&mut Self) -> T) -> Result<T, Duration> {
        // What the step had in hand is salvaged, and all else is moved by whole steps: see the top.
        catch_unwind(AssertUnwindSafe(|| step(self))).map_err(|panic| {
            self.restarted("delivery", &message_of(panic.as_ref()));
            // A step counts what it takes before it hands it over.
            self.backlog_in_flight =
                self.in_flight.values().filter(|parcel| matches!(parcel.origin, Origin::Disk { .. })).count();
            self.panics.another(Instant::now())
        })
    }

    /// A part of the event system panicked and goes on.
    pub(super) fn restarted(&self, part: &str, panic: &str) {
        restarted(&self.intake.buffer, part, panic);
    }

    /// Goes on with what the last panic let fall.
    pub(super) fn take_up(&mut self) {
        while let Some(saved) = self.salvage.next() {
            match saved {
                Saved::Parcel(parcel) => self.readopt(parcel),
                Saved::Write(write) => self.write(write),
                Saved::Reply(reply) => self.spooled(reply),
                Saved::Control(control) => self.obey(Some(control)),
            }
        }
    }

    /// A parcel goes where the accounts have it. One that counts as in flight is offered to Toggle again, under the
    /// same id: whether it was sent is not known.
    fn readopt(&mut self, mut parcel: Parcel) {
        if parcel.place == Place::Delivered {
            return self.close_parcel(parcel);
        }
        let to = parcel.home();
        if parcel.place != to {
            self.intake.buffer.lock().accounts.shift(parcel.batch.len() as u64, parcel.place, to);
            parcel.place = to;
        }
        match &mut parcel.origin {
            Origin::Memory { chunk, .. } => chunk.offered = true,
            Origin::Disk { file, .. } => self.backlog.offered(*file),
        }
        match parcel.origin {
            Origin::Memory { chunk, file: DiskCopy::None } => self.hold(parcel.batch, chunk, 0),
            Origin::Memory { chunk, file: DiskCopy::Writing } => {
                self.copying.push(Held { batch: parcel.batch, chunk, refusals: 0, not_before: None });
            }
            Origin::Memory { file: DiskCopy::Written(file), chunk } => {
                recycle(&mut self.intake.buffer.lock(), parcel.batch, chunk);
                self.backlog.add(file);
            }
            Origin::Disk { file, place } => {
                let refusals = self.refusals.times(parcel.batch.id());
                let batch = parcel.batch;
                self.backlog.put_back(Waiting { file, place, batch, refusals, not_before: None });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_panic_lets_fall_is_found_again_and_what_is_let_go_of_is_not() {
        let salvage = Salvage::default();
        drop(salvage.keep(Reply::Stopped));
        assert!(salvage.keep(Reply::Stopped).release().is_some());
        assert!(salvage.next().is_none());
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _kept = salvage.keep(Reply::Stopped);
            panic!("on purpose");
        }));
        assert_eq!(message_of(panicked.unwrap_err().as_ref()), "on purpose");
        assert!(matches!(salvage.next(), Some(Saved::Reply(Reply::Stopped))));
        assert!(salvage.next().is_none());
    }

    #[test]
    fn panics_in_a_row_are_followed_by_ever_longer_pauses() {
        let (mut panics, now) = (Panics::new(), Instant::now());
        assert!(panics.another(now) <= PAUSE.0);
        for _ in 0..20 {
            panics.another(now);
        }
        assert!(panics.another(now) >= PAUSE.1 / 2);
        assert!(panics.another(now + CALM) <= PAUSE.0);
    }
}
