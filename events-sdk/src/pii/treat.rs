//! Writes an encoded payload anew, with its personal data hashed or left out.

use std::{cell::Cell, path::Path};

use ring::hmac;

use super::{KeyError, Personal, Place, key};
use crate::{Pii, wire};

/// What the hash of a text begins with, so that nobody takes it for the text.
const PREFIX: &[u8; 4] = b"pii:";

/// How much of an HMAC-SHA256 is kept: 128 bits. Two values of one node do not meet in them by chance, and a hash stays
/// about as long as what it stands for.
const HASH_BYTES: usize = 16;

/// The length of the hash of a text: the prefix and two hexadecimal digits for each byte.
const TEXT_BYTES: usize = PREFIX.len() + 2 * HASH_BYTES;

/// The buffers of a thread are given back when one payload made them grow beyond this.
const SCRATCH_BYTES: usize = 64 << 10;

thread_local! {
    static SCRATCH: Cell<Scratch> = const { Cell::new(Scratch { raw: Vec::new(), treated: Vec::new() }) };
}

/// A payload as it was encoded, and as it leaves.
#[derive(Default)]
struct Scratch {
    raw: Vec<u8>,
    treated: Vec<u8>,
}

/// What is done with personal data, unless it is kept.
#[derive(Debug)]
pub(crate) enum Treatment {
    Hash(hmac::Key),
    Drop,
}

/// A payload that is encoded already.
pub(crate) struct Encoded<'a>(&'a [u8]);

impl wire::Message for Encoded<'_> {
    fn encoded_len(&self) -> usize {
        self.0.len()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0);
    }
}

impl Treatment {
    /// What the configuration asks for; `None` keeps personal data. Reads the key, or makes it if there is none.
    pub(crate) fn start(pii: Pii, key_file: &Path) -> Result<Option<Self>, KeyError> {
        Ok(match pii {
            Pii::Keep => None,
            Pii::Drop => Some(Self::Drop),
            Pii::Hash => {
                let key = key::open(key_file)?;
                Some(Self::Hash(hmac::Key::new(hmac::HMAC_SHA256, &key)))
            }
        })
    }

    /// Calls `then` with the payload as it may leave; `None` when it did not encode to what a message looks like, and so
    /// nothing of it may.
    pub(crate) fn treat<T>(
        &self,
        payload: &impl wire::Message,
        personal: &Personal,
        then: impl FnOnce(&Encoded<'_>) -> Option<T>,
    ) -> Option<T> {
        // While a thread is being torn down its buffers may be gone; the event goes all the same.
        let mut scratch = SCRATCH.try_with(Cell::take).unwrap_or_default();
        scratch.raw.clear();
        scratch.treated.clear();
        payload.encode(&mut scratch.raw);
        let done = self.message(personal, &scratch.raw, &mut scratch.treated);
        let result = done.and_then(|()| then(&Encoded(&scratch.treated)));
        if scratch.raw.capacity().max(scratch.treated.capacity()) <= SCRATCH_BYTES {
            let _ = SCRATCH.try_with(|cell| cell.set(scratch));
        }
        result
    }

    /// Writes a message anew, field by field.
    fn message(&self, personal: &Personal, from: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let mut rest = from;
        while !rest.is_empty() {
            let field = Field::read(&mut rest)?;
            match personal.0.iter().find(|(number, _)| *number == field.number) {
                None => out.extend_from_slice(field.whole),
                Some((_, place)) => self.field(place, &field, false, out)?,
            }
        }
        Some(())
    }

    fn field(&self, place: &Place, field: &Field<'_>, needed: bool, out: &mut Vec<u8>) -> Option<()> {
        match (place, self, field.text) {
            (Place::Needed(place), ..) => self.field(place, field, true, out)?,
            (Place::Within(inner), _, Some(message)) => self.inside(inner, field, message, out)?,
            // Nothing is no secret, and its hash would tell as much.
            (Place::Text | Place::Bytes, Self::Hash(_), Some([])) => out.extend_from_slice(field.whole),
            (Place::Text, Self::Hash(key), Some(text)) => {
                field.head(out);
                out.push(TEXT_BYTES as u8);
                out.extend_from_slice(PREFIX);
                for byte in hash(key, text) {
                    out.extend([byte >> 4, byte & 15].map(|digit| b"0123456789abcdef"[usize::from(digit)]));
                }
            }
            (Place::Bytes, Self::Hash(key), Some(bytes)) => {
                field.head(out);
                out.push(HASH_BYTES as u8);
                out.extend_from_slice(&hash(key, bytes));
            }
            (Place::Parts(parts), Self::Hash(_), Some(message)) => self.inside(parts, field, message, out)?,
            _ if needed => field.empty(out),
            _ => {}
        }
        Some(())
    }

    /// Writes the field with its message written anew.
    fn inside(
        &self,
        personal: &Personal,
        field: &Field<'_>,
        message: &[u8],
        out: &mut Vec<u8>,
    ) -> Option<()> {
        field.head(out);
        let start = out.len();
        self.message(personal, message, out)?;
        if field.wire_type == wire::START_GROUP {
            wire::tag(field.number, wire::END_GROUP, out);
            return Some(());
        }
        // The length is known now, and stands before the message.
        let end = out.len();
        wire::varint((end - start) as u64, out);
        let length_bytes = out.len() - end;
        out.get_mut(start..)?.rotate_right(length_bytes);
        Some(())
    }
}

fn hash(key: &hmac::Key, value: &[u8]) -> [u8; HASH_BYTES] {
    let tag = hmac::sign(key, value);
    let mut hash = [0; HASH_BYTES];
    for (to, from) in hash.iter_mut().zip(tag.as_ref()) {
        *to = *from;
    }
    hash
}

/// A field of an encoded message.
struct Field<'a> {
    number: u32,
    wire_type: u32,
    /// Tag, length and value.
    whole: &'a [u8],
    /// The value, if a length stands before it or it is a group.
    text: Option<&'a [u8]>,
}

impl<'a> Field<'a> {
    /// Takes a field off the front of `rest`.
    fn read(rest: &mut &'a [u8]) -> Option<Self> {
        let from = *rest;
        let tag = read_varint(rest)?;
        let (number, wire_type) = (u32::try_from(tag >> 3).ok()?, (tag & 7) as u32);
        let text = match wire_type {
            wire::VARINT => {
                read_varint(rest)?;
                None
            }
            wire::FIXED64 => {
                take(rest, size_of::<u64>())?;
                None
            }
            wire::FIXED32 => {
                take(rest, size_of::<u32>())?;
                None
            }
            wire::LENGTH_DELIMITED => {
                let length = read_varint(rest)?.try_into().ok()?;
                Some(take(rest, length)?)
            }
            wire::START_GROUP => Some(group(number, rest)?),
            // The end of a group that did not begin, or what protobuf does not have.
            _ => return None,
        };
        let whole = from.get(..from.len() - rest.len())?;
        Some(Self { number, wire_type, whole, text })
    }

    fn head(&self, out: &mut Vec<u8>) {
        wire::tag(self.number, self.wire_type, out);
    }

    /// The field with a value that says nothing.
    fn empty(&self, out: &mut Vec<u8>) {
        self.head(out);
        if self.wire_type == wire::START_GROUP {
            return wire::tag(self.number, wire::END_GROUP, out);
        }
        let zeros: &[u8] = match self.wire_type {
            wire::FIXED64 => &[0; 8],
            wire::FIXED32 => &[0; 4],
            // A number of nought, or a length of it.
            _ => &[0],
        };
        out.extend_from_slice(zeros);
    }
}

/// What is in a group that began at `rest`, up to its end, which is taken too.
fn group<'a>(number: u32, rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let from = *rest;
    loop {
        let before = *rest;
        let tag = read_varint(rest)?;
        if (tag & 7) as u32 == wire::END_GROUP {
            return (tag >> 3 == u64::from(number)).then(|| from.get(..from.len() - before.len()))?;
        }
        *rest = before;
        Field::read(rest)?;
    }
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, others) = rest.split_at_checked(length)?;
    *rest = others;
    Some(taken)
}

fn read_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, others) = rest.split_first()?;
        *rest = others;
        value |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    static INNER: Personal = Personal(&[(1, Place::Text), (4, Place::Within(&INNER))]);
    static OUTER: Personal = Personal(&[
        (1, Place::Text),
        (2, Place::Bytes),
        (3, Place::Other),
        (4, Place::Within(&INNER)),
        (5, Place::Parts(&Personal(&[(1, Place::Text), (2, Place::Other)]))),
        (6, Place::Needed(&Place::Text)),
        (7, Place::Needed(&Place::Other)),
    ]);

    fn keyed(byte: u8) -> Treatment {
        Treatment::Hash(hmac::Key::new(hmac::HMAC_SHA256, &[byte; 32]))
    }

    fn treated(treatment: &Treatment, from: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        treatment.message(&OUTER, from, &mut out).map(|()| out)
    }

    fn text(number: u32, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        wire::always::<wire::Bytes, _>(number, text, &mut out);
        out
    }

    #[test]
    fn what_is_not_personal_is_left_alone() {
        let mut public = text(8, b"public");
        wire::always::<wire::Int64, _>(9, -1, &mut public);
        wire::always::<wire::Double, _>(10, 1.5, &mut public);
        wire::always::<wire::Float, _>(536_870_911, 1.5, &mut public);
        for treatment in [keyed(1), Treatment::Drop] {
            assert_eq!(treated(&treatment, &public), Some(public.clone()));
        }
    }

    #[test]
    fn a_hash_depends_on_value_and_key_alone() {
        let one = treated(&keyed(1), &text(1, b"ann")).unwrap();
        assert_eq!(one.len(), 2 + TEXT_BYTES);
        assert!(one[2..].starts_with(PREFIX) && one.is_ascii());
        assert_eq!(treated(&keyed(1), &text(1, b"ann")).unwrap(), one);
        assert_ne!(treated(&keyed(1), &text(1, b"bob")).unwrap(), one);
        assert_ne!(treated(&keyed(2), &text(1, b"ann")).unwrap(), one);
        // As `openssl dgst -sha256 -mac hmac` says.
        assert_eq!(&one[2..], b"pii:d6b4fe4fb5a556eadede70c66740f387");
        let bytes = treated(&keyed(1), &text(2, b"ann")).unwrap();
        assert_eq!(bytes.len(), 2 + HASH_BYTES);
        assert_eq!(treated(&keyed(1), &text(1, b"")).unwrap(), text(1, b""));
    }

    #[test]
    fn lengths_of_messages_grow_and_shrink_with_what_is_in_them() {
        // Four levels, each with a text of three bytes: the hashes push lengths over one byte.
        let mut message = text(1, b"ann");
        for _ in 0..4 {
            let inner = text(4, &message);
            message = [text(1, b"ann"), inner].concat();
        }
        let hashed = treated(&keyed(1), &message).unwrap();
        let (mut rest, mut depth) = (hashed.as_slice(), 0);
        while !rest.is_empty() {
            let field = Field::read(&mut rest).unwrap();
            match field.number {
                1 => assert_eq!(field.text.unwrap().len(), TEXT_BYTES),
                _ => {
                    assert!(rest.is_empty());
                    rest = field.text.unwrap();
                    depth += 1;
                }
            }
        }
        assert_eq!(depth, 4);
        assert_eq!(
            treated(&Treatment::Drop, &message).unwrap(),
            [0x22, 6, 0x22, 4, 0x22, 2, 0x22, 0],
            "four messages with nothing in them"
        );
    }

    #[test]
    fn groups_are_treated_as_messages_are() {
        let group = |number: u32, inside: &[u8]| {
            let mut out = Vec::new();
            wire::always::<wire::Group, _>(number, &Encoded(inside), &mut out);
            out
        };
        let public = group(8, &[group(1, b""), text(1, b"public")].concat());
        let message =
            [group(4, &[text(1, b"ann"), group(4, &text(8, b"x"))].concat()), public.clone()].concat();
        let hash = treated(&keyed(1), &text(1, b"ann")).unwrap();
        assert_eq!(
            treated(&keyed(1), &message).unwrap(),
            [group(4, &[hash, group(4, &text(8, b"x"))].concat()), public.clone()].concat()
        );
        assert_eq!(
            treated(&Treatment::Drop, &message).unwrap(),
            [group(4, &group(4, &text(8, b"x"))), public].concat()
        );
        // As a whole, where readers insist on it, and where they do not.
        let whole = [group(7, &text(1, b"ann")), group(3, &text(1, b"ann"))].concat();
        assert_eq!(treated(&keyed(1), &whole).unwrap(), group(7, b""));
    }

    #[test]
    fn entries_of_maps_are_hashed_in_their_parts_and_dropped_as_a_whole() {
        let mut number = Vec::new();
        wire::always::<wire::Int32, _>(2, 7, &mut number);
        let entry = text(5, &[text(1, b"ann"), number].concat());
        let hashed = treated(&keyed(1), &entry).unwrap();
        assert_eq!(hashed.len(), 2 + 2 + TEXT_BYTES);
        assert!(treated(&Treatment::Drop, &entry).unwrap().is_empty());
    }

    #[test]
    fn what_readers_insist_on_is_there_and_empty() {
        let mut message = text(6, b"ann");
        wire::always::<wire::Double, _>(7, 1.5, &mut message);
        wire::always::<wire::Int32, _>(3, 7, &mut message);
        let dropped = treated(&Treatment::Drop, &message).unwrap();
        assert_eq!(dropped, [&[0x32, 0, 0x39][..], &[0; 8]].concat());
    }

    #[test]
    fn bytes_that_are_no_message_are_refused_and_never_panic() {
        let good = [text(1, b"ann"), text(4, &text(1, b"bob")), text(8, b"x")].concat();
        for treatment in [keyed(1), Treatment::Drop] {
            for end in 0..good.len() {
                let cut = treated(&treatment, &good[..end]);
                let whole = [0, 5, 12, good.len()].contains(&end);
                assert_eq!(cut.is_some(), whole, "cut at {end}");
            }
            // A group without its end, one with the end of another, an end alone.
            for bad in [
                &[0x0B][..],
                &[0x0B, 0x14],
                &[0x0C],
                &[0xFF; 20],
                &[0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1],
            ] {
                assert_eq!(treated(&treatment, bad), None, "{bad:?}");
            }
        }
    }
}
