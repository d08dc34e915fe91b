//! Finds the events in the bytes of a spill file, whatever state they are in.
//!
//! The scanner walks the fields of an `EventBatch` from the start, holding one event at a time. Where the bytes make no
//! sense it searches for the next place at which they do, and reports what lies between as a damaged span: everything
//! between start and end is either a believed event, a field that is not an event, or part of a reported span.
//!
//! How much is believed depends on what vouches for the bytes, see [`Trust`]. The walk depends on the bytes and the
//! trust alone, so that it finds the same events every time.

use std::{fmt, io, io::Read};

use prost::Message;

use super::{
    checks::Checks,
    format::{CHUNK, ENTRY_TAG, EVENT_BYTES, varint},
};
use crate::proto::events::Event;

/// The longest head of a field: a tag and a length, ten bytes each at most.
const HEAD_BYTES: usize = 20;

/// The longest `batch_id` in a file without a seal. A UUID takes 36 bytes, 45 as a URN, and its field two more. No event
/// with an id and a time of its own is that short, so that one whose tag was changed is not taken for a `batch_id`.
const ID_BYTES: u64 = 48;

/// How many bytes the search for the next event may try to decode, for each byte of the file. A damaged file of real
/// events needs less than one. The bound keeps a file made to be tried at every byte from holding up the others.
const SEARCH_WORK: u64 = 16;

/// What vouches for the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// The checksum of the seal is right: framing is followed, nothing is decoded. What is longer than any event can be is no
    /// event all the same. An entry that has another checksum than was written was changed since: from there on it is [`Checked`].
    ///
    /// [`Checked`]: Self::Checked
    Intact,
    /// There is a seal and its checksum is wrong: an entry must have the checksum that the seal has for it, and nothing
    /// else may stand among them.
    Checked,
    /// The same, but the checksums of the entries are lost as well: an entry must decode as an event with an id and a
    /// time.
    Suspect,
    /// There is no seal, as in files of the earlier agent: an entry must decode as an event; other fields are skipped.
    Unsealed,
}

/// Why a span is not delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// The file ends within a field.
    CutOff,
    /// The length of an event is more than any event has.
    TooLong,
    /// The bytes of an event have another checksum, or do not decode as one.
    NoEvent,
    /// The length of an event reaches into the next one.
    Swallows,
    /// Not the beginning of a field that may stand here.
    NoField,
    /// A whole field that this version does not know. Kept because it might have been an event once.
    UnknownField,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CutOff => "the file ends within a field",
            Self::TooLong => "an event is larger than any event can be",
            Self::NoEvent => "the bytes of an event are not those that were written, or are no event",
            Self::Swallows => "the length of an event reaches into the next one",
            Self::NoField => "no field of a batch begins here",
            Self::UnknownField => "a field that this version does not know",
        })
    }
}

/// Bytes of the file that are not delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) offset: u64,
    pub(super) len: u64,
    pub(super) reason: Reason,
    /// Events that are known to have been in it: one if it begins as one. There may have been more.
    pub(super) events: u32,
}

/// What the scanner comes upon.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// An event: the entry as it stands in the file, with tag and length.
    Event(&'a [u8]),
    /// Something that is not delivered.
    Damage(Span),
}

/// Reads through the first `end` bytes of a file.
pub(super) struct Scanner<R> {
    input: R,
    trust: Trust,
    /// Bytes that were read; those before `start` are done with.
    window: Vec<u8>,
    start: usize,
    /// The place in the file of `window[start]`.
    offset: u64,
    end: u64,
    /// The file ended before that.
    shrank: bool,
    /// How much the search may still try to decode.
    work: u64,
    timestamp_ms: Option<i64>,
    passed_seal: bool,
    /// What the entries are compared with, where there is that.
    checks: Checks,
}

/// What begins at a place.
enum Field {
    Event { head: usize, len: u64 },
    Timestamp { len: u64, value: i64 },
    Seal { len: u64 },
    Other { len: u64, known: bool },
    Nothing(Reason),
}

impl<R: Read> Scanner<R> {
    /// `input` stands at the start of the file.
    pub(super) fn new(input: R, end: u64, trust: Trust) -> Self {
        let work = end.saturating_mul(SEARCH_WORK).saturating_add(EVENT_BYTES);
        let checks = Checks::default();
        Self {
            input,
            trust,
            window: Vec::new(),
            start: 0,
            offset: 0,
            end,
            shrank: false,
            work,
            timestamp_ms: None,
            passed_seal: false,
            checks,
        }
    }

    /// The same for a file of which every entry has its checksum.
    pub(super) fn with_checks(input: R, end: u64, checks: Checks, is_intact: bool) -> Self {
        let trust = if is_intact { Trust::Intact } else { Trust::Checked };
        Self { checks, ..Self::new(input, end, trust) }
    }

    /// The same where `input` stands at this place of the file, behind what is known of its start.
    pub(super) fn starting_at(self, offset: u64) -> Self {
        Self { offset, end: self.end.max(offset), ..self }
    }

    /// Whether a seal was come upon that is not known as one: nobody else leaves such a field.
    pub(super) fn passed_seal(&self) -> bool {
        self.passed_seal
    }

    /// Whether the file became shorter while it was read.
    pub(super) fn shrank(&self) -> bool {
        self.shrank
    }

    /// How many entries were written before this place, where their checksums tell.
    pub(super) fn place(&self) -> Option<u32> {
        (!self.checks.is_empty()).then(|| self.checks.place())
    }

    /// The `batch_timestamp`, if one was come upon.
    pub(super) fn timestamp_ms(&self) -> Option<i64> {
        self.timestamp_ms
    }

    /// What vouches for the bytes.
    #[cfg(any(test, feature = "cli"))]
    pub(super) fn trust(&self) -> Trust {
        self.trust
    }

    /// Where it ends.
    #[cfg(test)]
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// How many bytes it has room for in memory.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.window.capacity()
    }

    /// The next event or damaged span; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Found<'_>>> {
        while self.fill(HEAD_BYTES)? > 0 {
            match self.field(0) {
                Field::Event { head, len } if len > EVENT_BYTES => {
                    // The seal vouches for the framing, so that nothing within it is taken for an event.
                    let (offset, len) = (self.offset, head as u64 + len);
                    self.skip(len)?;
                    return Ok(Some(Found::Damage(Span { offset, len, reason: Reason::TooLong, events: 1 })));
                }
                Field::Event { head, len } => {
                    let Some(size) = self.load(head as u64 + len)? else {
                        return self.damage(Reason::CutOff);
                    };
                    if !self.believes(head, size) {
                        return self.damage(Reason::NoEvent);
                    }
                    if matches!(self.trust, Trust::Suspect | Trust::Unsealed)
                        && self.swallows_another(size)?
                    {
                        return self.damage(Reason::Swallows);
                    }
                    let begin = self.start;
                    self.consume(size);
                    return Ok(Some(Found::Event(&self.window[begin..begin + size])));
                }
                Field::Timestamp { len, value } => {
                    self.timestamp_ms = Some(value);
                    self.skip(len)?;
                }
                Field::Seal { len } => {
                    self.passed_seal = true;
                    self.skip(len)?;
                }
                Field::Other { len, known } => {
                    let offset = self.offset;
                    if !known && self.trust == Trust::Unsealed && len <= EVENT_BYTES {
                        // In a file without a seal it may be noise in front of an event.
                        let swallows = match self.load(len)? {
                            Some(size) => self.swallows_another(size)?,
                            None => false,
                        };
                        if swallows {
                            return self.damage(Reason::NoField);
                        }
                    }
                    self.skip(len)?;
                    if !known && self.trust == Trust::Unsealed {
                        let reason = Reason::UnknownField;
                        return Ok(Some(Found::Damage(Span { offset, len, reason, events: 0 })));
                    }
                }
                Field::Nothing(reason) => return self.damage(reason),
            }
        }
        Ok(None)
    }

    /// Reads the head of the field that begins this far ahead.
    fn field(&self, at: usize) -> Field {
        let bytes = &self.ahead()[at..];
        let left = self.end - self.offset - at as u64;
        let Some((tag, tag_len)) = varint(bytes) else {
            return Field::Nothing(if (bytes.len() as u64) == left {
                Reason::CutOff
            } else {
                Reason::NoField
            });
        };
        let Ok(tag) = u32::try_from(tag) else { return Field::Nothing(Reason::NoField) };
        let (number, wire_type) = (tag >> 3, tag & 7);
        let value = varint(&bytes[tag_len..]);
        let len = match (wire_type, value) {
            (0, Some((_, value_len))) => tag_len as u64 + value_len as u64,
            (1, _) => tag_len as u64 + 8,
            (2, Some((len, len_len))) => len.saturating_add(tag_len as u64 + len_len as u64),
            (5, _) => tag_len as u64 + 4,
            (0 | 2, None) if left < HEAD_BYTES as u64 => return Field::Nothing(Reason::CutOff),
            _ => return Field::Nothing(Reason::NoField),
        };
        if len > left {
            return Field::Nothing(Reason::CutOff);
        }
        match (number, wire_type, value) {
            (1, 2, Some((body, len_len))) => {
                if body > EVENT_BYTES && self.trust != Trust::Intact {
                    return Field::Nothing(Reason::TooLong);
                }
                Field::Event { head: tag_len + len_len, len: body }
            }
            _ if matches!(self.trust, Trust::Checked | Trust::Suspect) => Field::Nothing(Reason::NoField),
            (2, 0, Some((value, _))) => Field::Timestamp { len, value: value.cast_signed() },
            (3, 2, _) if len <= ID_BYTES || self.trust == Trust::Intact => Field::Other { len, known: true },
            (100, 2, _) => Field::Seal { len },
            (0..=3 | 100, ..) => Field::Nothing(Reason::NoField),
            _ => Field::Other { len, known: false },
        }
    }

    /// Whether the entry at the start of the window, whose body begins at `head`, is an event.
    fn believes(&mut self, head: usize, size: usize) -> bool {
        let entry = &self.window[self.start..self.start + size];
        let body = &entry[head..];
        match self.trust {
            Trust::Intact if self.checks.is_empty() || self.checks.pass_next(entry) => true,
            Trust::Intact => {
                self.trust = Trust::Checked;
                self.checks.pass(entry, body)
            }
            Trust::Checked => self.checks.pass(entry, body),
            Trust::Suspect => looks_real(body).0,
            Trust::Unsealed => Event::decode(body).is_ok(),
        }
    }

    /// Gives up what lies between here and the next place where an event stands for sure.
    fn damage(&mut self, reason: Reason) -> io::Result<Option<Found<'_>>> {
        let offset = self.offset;
        let events = u32::from(self.ahead().first() == Some(&ENTRY_TAG));
        self.consume(1);
        while self.fill(1)? > 0 {
            match self.ahead().iter().position(|byte| *byte == ENTRY_TAG) {
                Some(distance) => self.consume(distance),
                None => {
                    self.consume(self.ahead().len());
                    continue;
                }
            }
            if self.is_event_for_sure(0)? {
                break;
            }
            self.consume(1);
        }
        Ok(Some(Found::Damage(Span { offset, len: self.offset - offset, reason, events })))
    }

    /// Whether the event at the start of the window, which decodes, has a length that reaches into its neighbour: then
    /// something else than a field of ours follows it, and another event begins within it.
    fn swallows_another(&mut self, size: usize) -> io::Result<bool> {
        let is_end = self.fill(size + HEAD_BYTES)? == size;
        if is_end || !matches!(self.field(size), Field::Nothing(_) | Field::Other { known: false, .. }) {
            return Ok(false);
        }
        for at in 1..size {
            if self.ahead()[at] == ENTRY_TAG && self.is_event_for_sure(at)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether an event stands this far ahead, where nothing but its own bytes speaks for it.
    fn is_event_for_sure(&mut self, at: usize) -> io::Result<bool> {
        self.fill(at + HEAD_BYTES)?;
        let Field::Event { head, len } = self.field(at) else { return Ok(false) };
        // Encoders write the plain fields first; this saves reading far ahead for most chance finds.
        let first = self.ahead().get(at + head).copied();
        if !first.is_some_and(|first| matches!(first, 0x0A | 0x10 | 0x18 | 0x22 | 0x28 | 0x32)) {
            return Ok(false);
        }
        if len > EVENT_BYTES || len > self.work {
            return Ok(false);
        }
        let begin = at + head;
        let Some(end) = self.load(begin as u64 + len)? else { return Ok(false) };
        let (is_real, work) = match self.trust {
            Trust::Checked => {
                (self.checks.would_pass(&self.ahead()[at..end], &self.ahead()[begin..end]), len)
            }
            _ => looks_real(&self.ahead()[begin..end]),
        };
        self.work = self.work.saturating_sub(work);
        Ok(is_real)
    }

    /// What was read and is not done with.
    fn ahead(&self) -> &[u8] {
        &self.window[self.start..]
    }

    /// Is done with the first bytes of the window.
    fn consume(&mut self, count: usize) {
        let count = count.min(self.window.len() - self.start);
        self.start += count;
        self.offset += count as u64;
    }

    /// Passes over bytes without holding them.
    fn skip(&mut self, mut count: u64) -> io::Result<()> {
        while count > 0 {
            let there = self.fill(1)?;
            if there == 0 {
                break;
            }
            let step = usize::try_from(count).unwrap_or(usize::MAX).min(there);
            self.consume(step);
            count -= step as u64;
        }
        Ok(())
    }

    /// Holds this many bytes in the window; `None` if the file has no more.
    fn load(&mut self, size: u64) -> io::Result<Option<usize>> {
        let Ok(size) = usize::try_from(size) else { return Ok(None) };
        Ok((self.fill(size)? >= size).then_some(size))
    }

    /// Reads until the window holds this many bytes or the file has no more. Returns how many it holds.
    ///
    /// The window grows with the bytes that arrive, never with a length that merely claims them.
    fn fill(&mut self, want: usize) -> io::Result<usize> {
        while self.ahead().len() < want {
            let there = self.ahead().len();
            if self.start >= there {
                self.window.drain(..self.start);
                self.start = 0;
            }
            let left = self.end - self.offset - there as u64;
            let room = usize::try_from(left).unwrap_or(usize::MAX).min(CHUNK);
            let old = self.window.len();
            self.window.resize(old + room, 0);
            let read = match self.input.read(&mut self.window[old..]) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    self.window.truncate(old);
                    continue;
                }
                Err(error) => {
                    self.window.truncate(old);
                    return Err(error);
                }
            };
            self.window.truncate(old + read);
            if read == 0 {
                // Shorter than it was: what is there is all there is.
                self.end = self.offset + there as u64;
                self.shrank |= left > 0;
                break;
            }
        }
        Ok(self.ahead().len())
    }
}

/// Whether these bytes are an event that an agent made, and how many of them it took to tell.
fn looks_real(body: &[u8]) -> (bool, u64) {
    let mut rest = body;
    let mut event = Event::default();
    let is_real = event.merge(&mut rest).is_ok() && !event.event_id.is_empty() && event.timestamp > 0;
    (is_real, (body.len() - rest.len()) as u64 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::tests::samples::{entries, entry};

    /// What the scanner finds: offsets of damaged spans and the bytes of events, in order.
    fn scan(bytes: &[u8], trust: Trust) -> (Vec<Vec<u8>>, Vec<Span>) {
        let mut scanner = Scanner::new(bytes, bytes.len() as u64, trust);
        let (mut events, mut spans) = (Vec::new(), Vec::new());
        while let Some(found) = scanner.next().unwrap() {
            match found {
                Found::Event(bytes) => events.push(bytes.to_vec()),
                Found::Damage(span) => spans.push(span),
            }
        }
        (events, spans)
    }

    #[test]
    fn fields_come_in_any_order_and_unknown_ones_are_skipped_and_reported() {
        let mut bytes = vec![0x10, 0x05, 0x1A, 0x02, b'i', b'd'];
        bytes.extend(entry(0));
        let unknown_at = bytes.len() as u64;
        // Fields 9 (varint), 10 (64 bit), 11 (bytes), 12 (32 bit).
        bytes.extend([0x48, 0x80, 0x01]);
        bytes.extend([0x51, 1, 2, 3, 4, 5, 6, 7, 8]);
        bytes.extend([0x5A, 0x02, 0x0A, 0x00]);
        bytes.extend([0x65, 1, 2, 3, 4]);
        bytes.extend(entry(1));

        let (events, spans) = scan(&bytes, Trust::Unsealed);
        assert_eq!(events, [entry(0), entry(1)]);
        assert!(spans.iter().all(|span| span.reason == Reason::UnknownField && span.events == 0));
        assert_eq!(spans.iter().map(|span| span.len).collect::<Vec<_>>(), [3, 9, 4, 5]);
        assert_eq!(spans[0].offset, unknown_at);
        let (events, spans) = scan(&bytes, Trust::Intact);
        assert_eq!((events.len(), spans.len()), (2, 0));
    }

    #[test]
    fn an_absurd_length_costs_its_event_and_nothing_else() {
        for length in
            [&[0xFF, 0xFF, 0xFF, 0xFF, 0x0F][..], &[0xFF; 10], &[0x80, 0x80, 0x80, 0x08], &[0xFE, 0x7F]]
        {
            let mut bytes = entry(0);
            let offset = bytes.len() as u64;
            bytes.push(ENTRY_TAG);
            bytes.extend(length);
            let len = bytes.len() as u64 - offset;
            bytes.extend(entry(1));
            let (events, spans) = scan(&bytes, Trust::Unsealed);
            assert_eq!(events, [entry(0), entry(1)], "{length:x?}");
            assert_eq!((spans.len(), spans[0].offset, spans[0].len, spans[0].events), (1, offset, len, 1));
        }
    }

    #[test]
    fn an_event_that_is_larger_than_any_can_be_is_passed_over_and_never_held_though_a_seal_is_right() {
        for (len, fits) in [(EVENT_BYTES, true), (EVENT_BYTES + 1, false)] {
            let mut giant = vec![ENTRY_TAG];
            prost::encoding::encode_varint(len, &mut giant);
            // Nothing within it is an event of the file.
            giant.extend(entries(0..3));
            giant.resize(giant.len() + usize::try_from(len).unwrap() - entries(0..3).len(), b'x');
            let bytes = [entry(0), giant.clone(), entry(1)].concat();
            let mut scanner = Scanner::new(bytes.as_slice(), bytes.len() as u64, Trust::Intact);
            assert_eq!(scanner.next().unwrap(), Some(Found::Event(&entry(0))));
            let offset = entry(0).len() as u64;
            let span = Span { offset, len: giant.len() as u64, reason: Reason::TooLong, events: 1 };
            let found = if fits { Found::Event(&giant) } else { Found::Damage(span) };
            assert_eq!(scanner.next().unwrap(), Some(found));
            assert_eq!(scanner.next().unwrap(), Some(Found::Event(&entry(1))));
            assert_eq!(scanner.next().unwrap(), None);
            assert!(fits || scanner.held() <= 4 * CHUNK, "{} bytes are held", scanner.held());
        }
    }

    #[test]
    fn a_length_that_swallows_its_neighbours_does_not_take_them_along() {
        let mut bytes = entries(0..40);
        let at = entry(0).len() + entry(1).len();
        // The length takes two bytes; its upper one now claims several thousand more.
        assert!(bytes[at + 1] & 0x80 != 0);
        bytes[at + 2] |= 0x20;
        let (events, spans) = scan(&bytes, Trust::Unsealed);
        let expected: Vec<_> = (0..40).filter(|index| *index != 2).map(entry).collect();
        assert_eq!(events, expected);
        assert_eq!(spans.len(), 1);
        assert_eq!(spans[0].len, entry(2).len() as u64);
    }

    #[test]
    fn zeros_noise_and_crafted_bytes_end_without_events() {
        let noise: Vec<u8> = (0..300_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        // A nest of lengths in which every byte might begin an event.
        let nest: Vec<u8> =
            std::iter::repeat_n([0x0A, 0xFF, 0x7F, 0x38, 0x00, 0x0A], 50_000).flatten().collect();
        for bytes in [vec![0; 200_000], vec![0x0A; 200_000], noise, nest] {
            let (events, spans) = scan(&bytes, Trust::Suspect);
            assert_eq!(events.len(), 0);
            assert_eq!(spans.iter().map(|span| span.len).sum::<u64>(), bytes.len() as u64);
        }
    }

    #[test]
    fn a_changed_tag_does_not_hide_an_event_in_a_field_to_skip() {
        for tag in [0x1A, 0x2A, 0x4A, 0x02, 0x0B, 0x08] {
            let mut bytes = entries(0..3);
            let at = entry(0).len();
            bytes[at] = tag;
            for trust in [Trust::Suspect, Trust::Unsealed] {
                let (events, spans) = scan(&bytes, trust);
                assert_eq!(events, [entry(0), entry(2)], "{tag:x} {trust:?}");
                assert_eq!(
                    (spans[0].offset, spans[0].len),
                    (at as u64, entry(1).len() as u64),
                    "{tag:x} {trust:?}"
                );
            }
        }
    }
}
