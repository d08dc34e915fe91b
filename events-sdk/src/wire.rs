//! Writes protobuf: the few functions that generated payloads are encoded with.
//!
//! The bytes equal prost's for the same values: fields in the order of their numbers, default values left out where
//! presence is implicit, numbers packed. Nothing here allocates but the vector that is written to. Lengths are computed
//! by a function beside each that writes, because a message's length stands before it.
//!
//! A codec names how a protobuf type is written ([`Int64`], [`Str`], [`Enum`], [`Sub`] …), a function how a field holds
//! it ([`implicit`], [`optional`], [`packed`], [`map`] …). Field numbers are constants in generated code, so after
//! inlining tags are too.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Level;
pub use crate::pii::{Personal, Place};
pub use crate::well_known::{Any, Duration, FieldMask, List, Null, Struct, Timestamp, Value};

/// A value that can be written as a protobuf message.
pub trait Message {
    /// Where in it personal data stands, if there is any.
    const PERSONAL: Option<&'static Personal> = None;

    /// The length of what [`encode`](Self::encode) writes, in bytes.
    fn encoded_len(&self) -> usize;

    /// Appends the message's fields to `out`.
    fn encode(&self, out: &mut Vec<u8>);
}

impl<M: Message> Message for &M {
    const PERSONAL: Option<&'static Personal> = M::PERSONAL;

    #[inline]
    fn encoded_len(&self) -> usize {
        (**self).encoded_len()
    }

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        (**self).encode(out);
    }
}

/// A value of a protobuf enum.
pub trait Enumeration: Copy {
    /// Its number on the wire.
    fn number(self) -> i32;

    /// The level that the schema gives to an event that says this, if it gives one.
    #[inline]
    fn level(self) -> Option<Level> {
        None
    }
}

/// How one protobuf type is written.
pub trait Codec<T: Copy> {
    /// The wire type in its tags.
    const WIRE_TYPE: u32;

    /// Whether it is what a reader assumes when the field is absent.
    fn is_default(value: T) -> bool;

    /// The length of what [`put`](Self::put) writes.
    fn len(value: T) -> usize;

    /// Appends the value, without a tag.
    fn put(value: T, out: &mut Vec<u8>);

    /// Appends the value behind its tag.
    #[inline]
    fn field(number: u32, value: T, out: &mut Vec<u8>) {
        tag(number, Self::WIRE_TYPE, out);
        Self::put(value, out);
    }

    /// The length of what [`field`](Self::field) writes.
    #[inline]
    fn field_len(number: u32, value: T) -> usize {
        tag_len(number) + Self::len(value)
    }
}

/// Wire type 0.
pub const VARINT: u32 = 0;
/// Wire type 1.
pub const FIXED64: u32 = 1;
/// Wire type 2: strings, bytes, messages and packed numbers.
pub const LENGTH_DELIMITED: u32 = 2;
/// Wire type 3: what follows, up to the field's [`END_GROUP`], is a message.
pub const START_GROUP: u32 = 3;
/// Wire type 4.
pub const END_GROUP: u32 = 4;
/// Wire type 5.
pub const FIXED32: u32 = 5;

/// Seven bits to a byte, the lowest first; the eighth says that more follow.
#[inline]
pub fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The length of [`varint`].
#[inline]
pub const fn varint_len(value: u64) -> usize {
    if value < 0x80 {
        // Nearly every length there is.
        return 1;
    }
    // The bits in use, times 9/64, which rounds as a division by 7 does for all of 1 to 64 bits.
    let bits = u64::BITS - (value | 1).leading_zeros();
    ((bits * 9 + 64) / 64) as usize
}

/// A field's number and wire type.
#[inline]
pub fn tag(number: u32, wire_type: u32, out: &mut Vec<u8>) {
    varint(u64::from(number) << 3 | u64::from(wire_type), out);
}

/// The length of [`tag`].
#[inline]
pub const fn tag_len(number: u32) -> usize {
    varint_len((number as u64) << 3)
}

/// A length-delimited field. Where it is inlined its number is known, and its tag with it, and a call would
/// cost as much as what it does: left to the compiler, an emit takes a fifteenth longer.
#[inline(always)]
fn delimited(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    /// Field numbers that fit a tag of one byte lie below this.
    const SHORT_NUMBER: u32 = 16;
    if number < SHORT_NUMBER && bytes.len() < 0x80 {
        // Nearly every field: one write instead of two, and no loops.
        out.extend_from_slice(&[(number << 3 | LENGTH_DELIMITED) as u8, bytes.len() as u8]);
    } else {
        tag(number, LENGTH_DELIMITED, out);
        varint(bytes.len() as u64, out);
    }
    out.extend_from_slice(bytes);
}

macro_rules! varints {
    ($($codec:ident: $ty:ty, $value:ident => $number:expr;)*) => {$(
        #[doc = concat!("Protobuf's `", stringify!($codec), "`, as a varint.")]
        #[derive(Debug)]
        pub enum $codec {}

        impl Codec<$ty> for $codec {
            const WIRE_TYPE: u32 = VARINT;

            #[inline]
            fn is_default(value: $ty) -> bool {
                value == <$ty>::default()
            }

            #[inline]
            fn len($value: $ty) -> usize {
                varint_len($number)
            }

            #[inline]
            fn put($value: $ty, out: &mut Vec<u8>) {
                varint($number, out);
            }
        }
    )*};
}

varints! {
    // Negative numbers take ten bytes, as everywhere in protobuf.
    Int32: i32, value => i64::from(value) as u64;
    Int64: i64, value => value as u64;
    Uint32: u32, value => u64::from(value);
    Uint64: u64, value => value;
    Sint32: i32, value => u64::from(((value << 1) ^ (value >> 31)) as u32);
    Sint64: i64, value => ((value << 1) ^ (value >> 63)) as u64;
    Bool: bool, value => u64::from(value);
}

macro_rules! fixed {
    ($($codec:ident: $ty:ty, $wire_type:ident, $zero:literal;)*) => {$(
        #[doc = concat!("Protobuf's `", stringify!($codec), "`, in little-endian bytes.")]
        #[derive(Debug)]
        pub enum $codec {}

        impl Codec<$ty> for $codec {
            const WIRE_TYPE: u32 = $wire_type;

            #[inline]
            fn is_default(value: $ty) -> bool {
                value == $zero
            }

            #[inline]
            fn len(_: $ty) -> usize {
                size_of::<$ty>()
            }

            #[inline]
            fn put(value: $ty, out: &mut Vec<u8>) {
                out.extend_from_slice(&value.to_le_bytes());
            }
        }
    )*};
}

fixed! {
    Fixed32: u32, FIXED32, 0;
    Fixed64: u64, FIXED64, 0;
    Sfixed32: i32, FIXED32, 0;
    Sfixed64: i64, FIXED64, 0;
    Float: f32, FIXED32, 0.0;
    Double: f64, FIXED64, 0.0;
}

/// Protobuf's `string`.
#[derive(Debug)]
pub enum Str {}

impl Codec<&str> for Str {
    const WIRE_TYPE: u32 = LENGTH_DELIMITED;

    #[inline]
    fn is_default(value: &str) -> bool {
        value.is_empty()
    }

    #[inline]
    fn len(value: &str) -> usize {
        varint_len(value.len() as u64) + value.len()
    }

    #[inline]
    fn put(value: &str, out: &mut Vec<u8>) {
        varint(value.len() as u64, out);
        out.extend_from_slice(value.as_bytes());
    }

    #[inline]
    fn field(number: u32, value: &str, out: &mut Vec<u8>) {
        delimited(number, value.as_bytes(), out);
    }
}

/// Protobuf's `bytes`.
#[derive(Debug)]
pub enum Bytes {}

impl Codec<&[u8]> for Bytes {
    const WIRE_TYPE: u32 = LENGTH_DELIMITED;

    #[inline]
    fn is_default(value: &[u8]) -> bool {
        value.is_empty()
    }

    #[inline]
    fn len(value: &[u8]) -> usize {
        varint_len(value.len() as u64) + value.len()
    }

    #[inline]
    fn put(value: &[u8], out: &mut Vec<u8>) {
        varint(value.len() as u64, out);
        out.extend_from_slice(value);
    }

    #[inline]
    fn field(number: u32, value: &[u8], out: &mut Vec<u8>) {
        delimited(number, value, out);
    }
}

/// An enum, as a varint.
#[derive(Debug)]
pub enum Enum {}

impl<E: Enumeration> Codec<E> for Enum {
    const WIRE_TYPE: u32 = VARINT;

    #[inline]
    fn is_default(value: E) -> bool {
        value.number() == 0
    }

    #[inline]
    fn len(value: E) -> usize {
        Int32::len(value.number())
    }

    #[inline]
    fn put(value: E, out: &mut Vec<u8>) {
        Int32::put(value.number(), out);
    }
}

/// A message inside a message, behind its length.
#[derive(Debug)]
pub enum Sub {}

impl<M: Message + Copy> Codec<M> for Sub {
    const WIRE_TYPE: u32 = LENGTH_DELIMITED;

    #[inline]
    fn is_default(value: M) -> bool {
        value.encoded_len() == 0
    }

    #[inline]
    fn len(value: M) -> usize {
        let len = value.encoded_len();
        varint_len(len as u64) + len
    }

    #[inline]
    fn put(value: M, out: &mut Vec<u8>) {
        varint(value.encoded_len() as u64, out);
        value.encode(out);
    }
}

/// A group of proto2: a message between two tags, without its length.
#[derive(Debug)]
pub enum Group {}

impl<M: Message + Copy> Codec<M> for Group {
    const WIRE_TYPE: u32 = START_GROUP;

    #[inline]
    fn is_default(value: M) -> bool {
        value.encoded_len() == 0
    }

    #[inline]
    fn len(value: M) -> usize {
        value.encoded_len()
    }

    #[inline]
    fn put(value: M, out: &mut Vec<u8>) {
        value.encode(out);
    }

    #[inline]
    fn field(number: u32, value: M, out: &mut Vec<u8>) {
        tag(number, START_GROUP, out);
        value.encode(out);
        tag(number, END_GROUP, out);
    }

    #[inline]
    fn field_len(number: u32, value: M) -> usize {
        2 * tag_len(number) + value.encoded_len()
    }
}

/// How a oneof shows that holds personal data: by the field's name alone.
pub fn masked(variant: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.debug_tuple(variant).field(&format_args!("<pii>")).finish()
}

/// Texts that [`cut_counted`] has cut since the program began.
static CUTS: AtomicU64 = AtomicU64::new(0);

/// No more than `max` bytes of the text, and whole characters only.
#[inline]
pub fn cut(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    let mut end = max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    // `end` is a boundary: 0 is one.
    text.get(..end).unwrap_or_default()
}

/// [`cut`], and a text that was longer is counted.
#[inline]
pub fn cut_counted(text: &str, max: usize) -> &str {
    if text.len() > max {
        CUTS.fetch_add(1, Ordering::Relaxed);
    }
    cut(text, max)
}

/// How many texts were cut since the program began, because they were longer than the schema allows.
pub fn cuts() -> u64 {
    CUTS.load(Ordering::Relaxed)
}

/// `google.protobuf.Empty`, a message without fields.
#[derive(Debug)]
pub enum Empty {}

impl Codec<()> for Empty {
    const WIRE_TYPE: u32 = LENGTH_DELIMITED;

    #[inline]
    fn is_default((): ()) -> bool {
        true
    }

    #[inline]
    fn len((): ()) -> usize {
        1
    }

    #[inline]
    fn put((): (), out: &mut Vec<u8>) {
        out.push(0);
    }
}

/// One of protobuf's wrappers, such as `google.protobuf.StringValue`: a message with the value as field 1.
#[derive(Debug)]
pub struct Wrapped<C>(C);

impl<C: Codec<T>, T: Copy> Codec<T> for Wrapped<C> {
    const WIRE_TYPE: u32 = LENGTH_DELIMITED;

    #[inline]
    fn is_default(value: T) -> bool {
        C::is_default(value)
    }

    #[inline]
    fn len(value: T) -> usize {
        let len = implicit_len::<C, T>(1, value);
        varint_len(len as u64) + len
    }

    #[inline]
    fn put(value: T, out: &mut Vec<u8>) {
        varint(implicit_len::<C, T>(1, value) as u64, out);
        implicit::<C, T>(1, value, out);
    }
}

/// A proto3 field without a label: its default value is not written.
#[inline]
pub fn implicit<C: Codec<T>, T: Copy>(number: u32, value: T, out: &mut Vec<u8>) {
    if !C::is_default(value) {
        C::field(number, value, out);
    }
}

/// The length of [`implicit`].
#[inline]
pub fn implicit_len<C: Codec<T>, T: Copy>(number: u32, value: T) -> usize {
    if C::is_default(value) { 0 } else { C::field_len(number, value) }
}

/// A field that is always there.
#[inline]
pub fn always<C: Codec<T>, T: Copy>(number: u32, value: T, out: &mut Vec<u8>) {
    C::field(number, value, out);
}

/// The length of [`always`].
#[inline]
pub fn always_len<C: Codec<T>, T: Copy>(number: u32, value: T) -> usize {
    C::field_len(number, value)
}

/// A field that may be absent; a value that is there is written even if it is the default.
#[inline]
pub fn optional<C: Codec<T>, T: Copy>(number: u32, value: Option<T>, out: &mut Vec<u8>) {
    if let Some(value) = value {
        C::field(number, value, out);
    }
}

/// The length of [`optional`].
#[inline]
pub fn optional_len<C: Codec<T>, T: Copy>(number: u32, value: Option<T>) -> usize {
    value.map_or(0, |value| always_len::<C, T>(number, value))
}

/// A oneof: the field that it is, if it is one.
#[inline]
pub fn oneof<M: Message>(value: Option<M>, out: &mut Vec<u8>) {
    if let Some(value) = value {
        value.encode(out);
    }
}

/// The length of [`oneof`].
#[inline]
pub fn oneof_len<M: Message>(value: Option<M>) -> usize {
    value.map_or(0, |value| value.encoded_len())
}

/// A repeated field with a tag before each value.
#[inline]
pub fn repeated<C: Codec<T>, T: Copy>(number: u32, values: &[T], out: &mut Vec<u8>) {
    for value in values {
        C::field(number, *value, out);
    }
}

/// The length of [`repeated`].
#[inline]
pub fn repeated_len<C: Codec<T>, T: Copy>(number: u32, values: &[T]) -> usize {
    values.iter().map(|value| C::field_len(number, *value)).sum()
}

/// A repeated field of numbers behind one tag and one length.
#[inline]
pub fn packed<C: Codec<T>, T: Copy>(number: u32, values: &[T], out: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    tag(number, LENGTH_DELIMITED, out);
    varint(values.iter().map(|value| C::len(*value) as u64).sum(), out);
    for value in values {
        C::put(*value, out);
    }
}

/// The length of [`packed`].
#[inline]
pub fn packed_len<C: Codec<T>, T: Copy>(number: u32, values: &[T]) -> usize {
    if values.is_empty() {
        return 0;
    }
    let len: usize = values.iter().map(|value| C::len(*value)).sum();
    tag_len(number) + varint_len(len as u64) + len
}

/// A map: for each pair a small message with the key as field 1 and the value as field 2. Of pairs with the same key,
/// readers take the last.
#[inline]
pub fn map<KC: Codec<K>, VC: Codec<V>, K: Copy, V: Copy>(number: u32, pairs: &[(K, V)], out: &mut Vec<u8>) {
    for (key, value) in pairs {
        tag(number, LENGTH_DELIMITED, out);
        varint(pair_len::<KC, VC, K, V>(*key, *value) as u64, out);
        implicit::<KC, K>(1, *key, out);
        implicit::<VC, V>(2, *value, out);
    }
}

/// The length of [`map`].
#[inline]
pub fn map_len<KC: Codec<K>, VC: Codec<V>, K: Copy, V: Copy>(number: u32, pairs: &[(K, V)]) -> usize {
    let each = |(key, value): &(K, V)| {
        let len = pair_len::<KC, VC, K, V>(*key, *value);
        tag_len(number) + varint_len(len as u64) + len
    };
    pairs.iter().map(each).sum()
}

#[inline]
fn pair_len<KC: Codec<K>, VC: Codec<V>, K: Copy, V: Copy>(key: K, value: V) -> usize {
    implicit_len::<KC, K>(1, key) + implicit_len::<VC, V>(2, value)
}

/// A `string` field as it stands in most messages: left out when empty.
#[inline]
pub fn string(number: u32, value: &str, out: &mut Vec<u8>) {
    implicit::<Str, _>(number, value, out);
}

/// The length of [`string`].
#[inline]
pub fn string_len(number: u32, value: &str) -> usize {
    implicit_len::<Str, _>(number, value)
}

#[cfg(test)]
mod tests;
