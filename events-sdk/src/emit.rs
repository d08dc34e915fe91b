//! One event's way in: filter, stamp, encode once, append.
//!
//! The calling thread writes the event's final bytes (one `events` entry of an `EventBatch`) into a scratch buffer of
//! its own and copies them into the memory buffer, and into a segment where there are any, under its lock. Nothing is allocated once the scratch buffer has grown
//! to the size of the events, and nothing of the program's own code runs under the lock.

use std::{
    cell::Cell,
    sync::{Arc, atomic::Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{
    DropReason, Durability, Kind, Level, Metadata, Outcome, Ticket,
    buffer::{Buffer, Guest},
    config::{FILTER_CATEGORIES, Filter},
    id::ID_TEXT_LEN,
    metadata::{self, Measured},
    pii::Treatment,
    primitives::{AtomicU8, AtomicU64},
    sync::Syncs,
    wire::{self, Message},
};

/// Tag of `EventBatch.events`.
const EVENTS_TAG: u8 = 0x0A;
/// Tag of `Event.event_id`.
const EVENT_ID_TAG: u8 = 0x0A;
/// Tag of `Event.level`.
const LEVEL_TAG: u8 = 0x10;
/// Tag of `Event.timestamp`.
const TIMESTAMP_TAG: u8 = 0x28;

/// The scratch buffer of a thread is given back when one event made it grow beyond this.
const SCRATCH_BYTES: usize = 256 << 10;

thread_local! {
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The filter in force, where every emitting thread looks and anybody may change it.
#[derive(Debug)]
pub(crate) struct FilterCell([AtomicU8; FILTER_CATEGORIES]);

impl FilterCell {
    pub(crate) fn new(filter: &Filter) -> Self {
        Self(filter.bits().map(AtomicU8::new))
    }

    /// Emits that run at the same time may see the old sets of some categories and the new ones of others.
    pub(crate) fn set(&self, filter: &Filter) {
        for (cell, bits) in self.0.iter().zip(filter.bits()) {
            cell.store(bits, Ordering::Relaxed);
        }
    }

    pub(crate) fn get(&self) -> Filter {
        Filter::from_bits(std::array::from_fn(|category| self.0[category].load(Ordering::Relaxed)))
    }

    #[inline]
    fn allows(&self, category: u8, level: Level) -> bool {
        self.levels(category) & (1 << level.severity()) != 0
    }

    /// The levels of a category that are let through, as bits.
    #[inline]
    fn levels(&self, category: u8) -> u8 {
        // As `Filter::bits` says: number 0 speaks for those beyond the table.
        self.0.get(usize::from(category)).unwrap_or(&self.0[0]).load(Ordering::Relaxed)
    }
}

/// What the emitters of all threads share.
#[derive(Debug)]
pub(crate) struct Intake {
    pub(crate) filter: FilterCell,
    pub(crate) buffer: Buffer,
    /// What is done with personal data, unless it is kept.
    treatment: Option<Treatment>,
    masked: AtomicU64,
    filtered: AtomicU64,
    refused: AtomicU64,
    /// Who brings events to stable storage, where they have segments.
    pub(crate) syncs: Option<Arc<Syncs>>,
    /// Emitters of kinds that ask for it wait for that.
    pub(crate) waits: bool,
    /// What tells its tickets from those of other event systems of this process.
    pub(crate) number: u32,
}

/// The number of the last event system that was started.
static SYSTEMS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

impl Intake {
    pub(crate) fn new(
        filter: FilterCell,
        buffer: Buffer,
        treatment: Option<Treatment>,
        syncs: Option<Arc<Syncs>>,
        waits: bool,
    ) -> Self {
        let [masked, filtered, refused] = [0; 3].map(AtomicU64::new);
        let number = SYSTEMS.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        Self { filter, buffer, treatment, masked, filtered, refused, syncs, waits, number }
    }

    /// Whether the filters want such an event; one that they do not want is counted.
    #[inline]
    pub(crate) fn wants(&self, kind: &Kind, level: Level) -> bool {
        self.counted(self.filter.allows(kind.category, level))
    }

    /// Whether the filters want an event of the kind at any level; where they want none, it is counted.
    #[inline]
    pub(crate) fn may_want(&self, kind: &Kind) -> bool {
        self.counted(self.filter.levels(kind.category) != 0)
    }

    #[inline]
    fn counted(&self, wanted: bool) -> bool {
        if !wanted {
            self.filtered.fetch_add(1, Ordering::Relaxed);
        }
        wanted
    }

    /// Emits one event that the filters have let through, and waits for nothing.
    #[inline]
    pub(crate) fn emit<P: Message>(
        &self,
        kind: &Kind,
        level: Level,
        payload: &P,
        metadata: &impl Metadata,
    ) -> Ticket {
        let best_effort = kind.durability == Durability::BestEffort;
        let guest = if best_effort { Guest::BestEffort } else { Guest::Usual };
        let ticket = self.emit_as(kind, level, payload, metadata, guest);
        if ticket.outcome() == Outcome::Dropped(DropReason::NotInitialized) {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        ticket
    }

    /// Emits one event, whatever the filters want.
    #[inline]
    pub(crate) fn emit_as<P: Message>(
        &self,
        kind: &Kind,
        level: Level,
        payload: &P,
        metadata: &impl Metadata,
        guest: Guest,
    ) -> Ticket {
        let now_ms = now_ms();
        // While a thread is being torn down its scratch buffer may be gone; the event goes all the same.
        let mut scratch = SCRATCH.try_with(Cell::take).unwrap_or_default();
        scratch.clear();
        let measured = metadata::measure(metadata);
        if measured.masked > 0 {
            self.masked.fetch_add(measured.masked, Ordering::Relaxed);
        }
        // Whether a payload holds personal data is known when this is compiled, so that others do not even ask.
        let encoded = match (P::PERSONAL, &self.treatment) {
            (Some(personal), Some(treatment)) => treatment.treat(payload, personal, |payload| {
                encode(&mut scratch, kind, level, now_ms, payload, metadata, &measured)
            }),
            _ => encode(&mut scratch, kind, level, now_ms, payload, metadata, &measured),
        };
        let ticket = match encoded {
            Some(id_at) => self.buffer.accept_as(&mut scratch, id_at, now_ms, level, kind.category, guest),
            None => self.buffer.reject(DropReason::Encoding, kind.category, level),
        };
        if scratch.capacity() <= SCRATCH_BYTES {
            let _ = SCRATCH.try_with(|cell| cell.set(scratch));
        }
        ticket.of(self.number)
    }

    pub(crate) fn filtered(&self) -> u64 {
        self.filtered.load(Ordering::Relaxed)
    }

    /// Values of metadata that were masked.
    pub(crate) fn masked(&self) -> u64 {
        self.masked.load(Ordering::Relaxed)
    }

    /// Events that came after the shutdown.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

/// Milliseconds since the Unix epoch. A clock set before 1970 counts as its first millisecond.
#[inline]
pub(crate) fn now_ms() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(1, |since| (since.as_secs() * 1000 + u64::from(since.subsec_millis())).max(1));
    #[cfg(feature = "testing")]
    let now = now.saturating_add_signed(CLOCK_SHIFT_MS.load(Ordering::Relaxed)).max(1);
    now
}

/// By how much tests have moved the clock.
#[cfg(feature = "testing")]
pub(crate) static CLOCK_SHIFT_MS: std::sync::atomic::AtomicI64 = std::sync::atomic::AtomicI64::new(0);

/// Appends the event as one `events` entry. Gives the place of its id, which is still blank; `None` when metadata did
/// not say the same twice, in which case `out` holds nonsense.
#[inline]
fn encode<P: Message>(
    out: &mut Vec<u8>,
    kind: &Kind,
    level: Level,
    now_ms: u64,
    payload: &P,
    metadata: &impl Metadata,
    measured: &Measured,
) -> Option<usize> {
    let payload_len = payload.encoded_len();
    let kind_len = kind.kind_tag.len() + wire::varint_len(payload_len as u64) + payload_len;
    let category_len = kind.category_tag.len() + wire::varint_len(kind_len as u64) + kind_len;
    let event_len =
        (2 + ID_TEXT_LEN) + 2 + kind.head.len() + 1 + wire::varint_len(now_ms) + measured.len + category_len;
    let entry_len = 1 + wire::varint_len(event_len as u64) + event_len;
    out.reserve(entry_len);

    out.push(EVENTS_TAG);
    wire::varint(event_len as u64, out);
    out.extend_from_slice(&[EVENT_ID_TAG, ID_TEXT_LEN as u8]);
    let id_at = out.len();
    out.extend_from_slice(&[0; ID_TEXT_LEN]);
    out.extend_from_slice(&[LEVEL_TAG, level.number() as u8]);
    out.extend_from_slice(kind.head);
    out.push(TIMESTAMP_TAG);
    wire::varint(now_ms, out);
    metadata::encode(metadata, measured, out);
    out.extend_from_slice(kind.category_tag);
    wire::varint(kind_len as u64, out);
    out.extend_from_slice(kind.kind_tag);
    wire::varint(payload_len as u64, out);
    payload.encode(out);
    (out.len() == entry_len).then_some(id_at)
}

#[cfg(test)]
mod interleavings {
    use std::sync::Arc;

    use shuttle::thread;

    use super::*;
    use crate::{Category, primitives::model::explore};

    #[test]
    fn a_category_has_its_old_levels_until_it_has_its_new_ones() {
        explore(|| {
            let cell = Arc::new(FilterCell::new(&Filter::from_min_level(Level::Trace)));
            let new = Filter::from_min_level(Level::Error);
            let setter = {
                let cell = Arc::clone(&cell);
                thread::spawn(move || cell.set(&new))
            };
            let emitters = [Category::System, Category::Storage].map(|category| {
                let cell = Arc::clone(&cell);
                thread::spawn(move || {
                    let category = category as u8;
                    assert!(cell.allows(category, Level::Error), "both filters want it");
                    let seen = [(); 3].map(|()| cell.allows(category, Level::Info));
                    assert!(seen.is_sorted_by_key(|allowed| !allowed), "{seen:?}: it went back");
                })
            });
            setter.join().unwrap();
            emitters.into_iter().for_each(|emitter| emitter.join().unwrap());
            assert_eq!(cell.get(), new);
        });
    }
}
