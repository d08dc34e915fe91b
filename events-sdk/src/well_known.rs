//! Protobuf's own types, as payload fields hold them: small, copied, and encoded as prost-types encodes them.
//!
//! ```
//! use std::time::SystemTime;
//! use events_sdk::well_known::{Duration, FieldMask, List, Struct, Timestamp, Value};
//!
//! let at: Timestamp = SystemTime::now().into();
//! let took: Duration = std::time::Duration::from_millis(1500).into();
//! let details = Struct(&[("attempt", Value::Number(2.0)), ("hosts", Value::List(List(&[Value::String("a")])))]);
//! let changed = FieldMask(&["pool_name", "raid_type"]);
//! ```

use std::time::{Duration as StdDuration, SystemTime, UNIX_EPOCH};

use crate::wire::{self, Enumeration, Message};

/// Nanoseconds of a second.
const SECOND: u32 = 1_000_000_000;

/// A moment, `google.protobuf.Timestamp`: seconds since the Unix epoch, and nanoseconds that count forward from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp {
    /// Seconds since the Unix epoch; negative before it.
    pub seconds: i64,
    /// Nanoseconds behind them, below 1,000,000,000.
    pub nanos: i32,
}

impl Timestamp {
    /// 1970-01-01, 00:00 UTC.
    pub const UNIX_EPOCH: Self = Self { seconds: 0, nanos: 0 };

    /// So many milliseconds after the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self { seconds: millis.div_euclid(1000), nanos: millis.rem_euclid(1000) as i32 * 1_000_000 }
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(since) => Duration::from(since).into_timestamp(),
            Err(error) => {
                let before = error.duration();
                let (seconds, nanos) = (seconds(before), before.subsec_nanos());
                // The nanoseconds count forward, so the seconds are those of the second before.
                match nanos {
                    0 => Self { seconds: -seconds, nanos: 0 },
                    nanos => Self { seconds: -seconds - 1, nanos: (SECOND - nanos) as i32 },
                }
            }
        }
    }
}

/// A span of time, `google.protobuf.Duration`. Seconds and nanoseconds have the same sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Duration {
    /// Whole seconds.
    pub seconds: i64,
    /// Nanoseconds beyond them, above -1,000,000,000 and below 1,000,000,000.
    pub nanos: i32,
}

impl Duration {
    /// No time at all.
    pub const ZERO: Self = Self { seconds: 0, nanos: 0 };

    fn into_timestamp(self) -> Timestamp {
        Timestamp { seconds: self.seconds, nanos: self.nanos }
    }
}

impl From<StdDuration> for Duration {
    fn from(duration: StdDuration) -> Self {
        Self { seconds: seconds(duration), nanos: duration.subsec_nanos() as i32 }
    }
}

/// The longest span that protobuf can say is longer than the universe is old: more counts as that.
fn seconds(duration: StdDuration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

/// An object of JSON, `google.protobuf.Struct`: names and values. Sorted by name the bytes equal prost's; readers do not
/// mind the order.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Struct<'a>(pub &'a [(&'a str, Value<'a>)]);

/// An array of JSON, `google.protobuf.ListValue`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct List<'a>(pub &'a [Value<'a>]);

/// A value of JSON, `google.protobuf.Value`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Value<'a> {
    /// Nothing.
    #[default]
    Null,
    /// A number.
    Number(f64),
    /// A text.
    String(&'a str),
    /// Yes or no.
    Bool(bool),
    /// An object.
    Struct(Struct<'a>),
    /// An array.
    List(List<'a>),
}

/// The one value that is nothing, `google.protobuf.NullValue`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Null;

impl Null {
    /// Its number on the wire.
    pub const fn number(self) -> i32 {
        0
    }
}

/// An encoded message and the name of its type, `google.protobuf.Any`. What is in it goes as it is: nothing looks whether
/// it is such a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Any<'a> {
    /// The full name of the message behind the last slash, for example "type.googleapis.com/rodent.events.StoragePoolPayload".
    pub type_url: &'a str,
    /// The message as protobuf encodes it.
    pub value: &'a [u8],
}

/// The fields of a message that something is about, `google.protobuf.FieldMask`: their names, inner fields behind a dot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct FieldMask<'a>(pub &'a [&'a str]);

macro_rules! seconds_and_nanos {
    ($($ty:ident),*) => {$(
        impl Message for $ty {
            #[inline]
            fn encoded_len(&self) -> usize {
                wire::implicit_len::<wire::Int64, _>(1, self.seconds)
                    + wire::implicit_len::<wire::Int32, _>(2, self.nanos)
            }

            #[inline]
            fn encode(&self, out: &mut Vec<u8>) {
                wire::implicit::<wire::Int64, _>(1, self.seconds, out);
                wire::implicit::<wire::Int32, _>(2, self.nanos, out);
            }
        }

        impl From<$ty> for prost_types::$ty {
            fn from(value: $ty) -> Self {
                Self { seconds: value.seconds, nanos: value.nanos }
            }
        }
    )*};
}

seconds_and_nanos!(Timestamp, Duration);

impl Message for Struct<'_> {
    fn encoded_len(&self) -> usize {
        wire::map_len::<wire::Str, wire::Sub, _, _>(1, self.0)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        wire::map::<wire::Str, wire::Sub, _, _>(1, self.0, out);
    }
}

impl Message for List<'_> {
    fn encoded_len(&self) -> usize {
        wire::repeated_len::<wire::Sub, _>(1, self.0)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        wire::repeated::<wire::Sub, _>(1, self.0, out);
    }
}

impl Message for Value<'_> {
    fn encoded_len(&self) -> usize {
        match *self {
            Self::Null => wire::always_len::<wire::Int32, _>(1, 0),
            Self::Number(one) => wire::always_len::<wire::Double, _>(2, one),
            Self::String(one) => wire::always_len::<wire::Str, _>(3, one),
            Self::Bool(one) => wire::always_len::<wire::Bool, _>(4, one),
            Self::Struct(one) => wire::always_len::<wire::Sub, _>(5, one),
            Self::List(one) => wire::always_len::<wire::Sub, _>(6, one),
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Null => wire::always::<wire::Int32, _>(1, 0, out),
            Self::Number(one) => wire::always::<wire::Double, _>(2, one, out),
            Self::String(one) => wire::always::<wire::Str, _>(3, one, out),
            Self::Bool(one) => wire::always::<wire::Bool, _>(4, one, out),
            Self::Struct(one) => wire::always::<wire::Sub, _>(5, one, out),
            Self::List(one) => wire::always::<wire::Sub, _>(6, one, out),
        }
    }
}

impl Enumeration for Null {
    #[inline]
    fn number(self) -> i32 {
        Self::number(self)
    }
}

impl Message for Any<'_> {
    #[inline]
    fn encoded_len(&self) -> usize {
        wire::implicit_len::<wire::Str, _>(1, self.type_url)
            + wire::implicit_len::<wire::Bytes, _>(2, self.value)
    }

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        wire::implicit::<wire::Str, _>(1, self.type_url, out);
        wire::implicit::<wire::Bytes, _>(2, self.value, out);
    }
}

impl Message for FieldMask<'_> {
    #[inline]
    fn encoded_len(&self) -> usize {
        wire::repeated_len::<wire::Str, _>(1, self.0)
    }

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        wire::repeated::<wire::Str, _>(1, self.0, out);
    }
}

impl From<Null> for prost_types::NullValue {
    fn from(_: Null) -> Self {
        Self::NullValue
    }
}

impl From<()> for Null {
    fn from((): ()) -> Self {
        Self
    }
}

impl From<Any<'_>> for prost_types::Any {
    fn from(value: Any<'_>) -> Self {
        Self { type_url: value.type_url.to_owned(), value: value.value.to_vec() }
    }
}

impl<'a> From<&'a prost_types::Any> for Any<'a> {
    fn from(value: &'a prost_types::Any) -> Self {
        Self { type_url: &value.type_url, value: &value.value }
    }
}

impl<'a> From<&'a [&'a str]> for FieldMask<'a> {
    fn from(paths: &'a [&'a str]) -> Self {
        Self(paths)
    }
}

impl From<FieldMask<'_>> for prost_types::FieldMask {
    fn from(value: FieldMask<'_>) -> Self {
        Self { paths: value.0.iter().map(|&path| path.to_owned()).collect() }
    }
}

impl From<Struct<'_>> for prost_types::Struct {
    fn from(value: Struct<'_>) -> Self {
        Self { fields: value.0.iter().map(|&(name, value)| (name.to_owned(), value.into())).collect() }
    }
}

impl From<List<'_>> for prost_types::ListValue {
    fn from(value: List<'_>) -> Self {
        Self { values: value.0.iter().map(|&value| value.into()).collect() }
    }
}

impl From<Value<'_>> for prost_types::Value {
    fn from(value: Value<'_>) -> Self {
        use prost_types::value::Kind;
        let kind = match value {
            Value::Null => Kind::NullValue(0),
            Value::Number(one) => Kind::NumberValue(one),
            Value::String(one) => Kind::StringValue(one.to_owned()),
            Value::Bool(one) => Kind::BoolValue(one),
            Value::Struct(one) => Kind::StructValue(one.into()),
            Value::List(one) => Kind::ListValue(one.into()),
        };
        Self { kind: Some(kind) }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    #[test]
    fn moments_before_and_after_1970_are_those_of_prost() {
        for nanos in [0, 1, 500_000_000, 999_999_999, 1_000_000_000, 86_400_000_000_001] {
            let span = StdDuration::from_nanos(nanos);
            for time in [UNIX_EPOCH + span, UNIX_EPOCH - span] {
                let (ours, theirs) = (Timestamp::from(time), prost_types::Timestamp::from(time));
                assert_eq!((ours.seconds, ours.nanos), (theirs.seconds, theirs.nanos), "{time:?}");
                let mut bytes = Vec::new();
                ours.encode(&mut bytes);
                assert_eq!(bytes, theirs.encode_to_vec());
                assert_eq!(bytes.len(), ours.encoded_len());
            }
        }
        assert_eq!(Timestamp::from_millis(-1), (UNIX_EPOCH - StdDuration::from_millis(1)).into());
        assert_eq!(Duration::from(StdDuration::MAX).seconds, i64::MAX);
    }

    #[test]
    fn json_is_encoded_as_prost_does() {
        let list = List(&[Value::Null, Value::Bool(false), Value::Number(0.0), Value::String("")]);
        let inner = [("", Value::Null), ("list", Value::List(list))];
        let outer = [("a", Value::Struct(Struct(&inner))), ("b", Value::Number(-1.5))];
        for value in [Struct(&[]), Struct(&inner), Struct(&outer)] {
            let mut bytes = Vec::new();
            value.encode(&mut bytes);
            assert_eq!(bytes, prost_types::Struct::from(value).encode_to_vec());
            assert_eq!(bytes.len(), value.encoded_len());
        }
    }

    #[test]
    fn messages_of_any_type_and_masks_are_encoded_as_prost_does() {
        fn same<M: Message + Copy, W: prost::Message + From<M>>(ours: M) {
            let mut bytes = Vec::new();
            ours.encode(&mut bytes);
            assert_eq!(bytes, W::from(ours).encode_to_vec());
            assert_eq!(bytes.len(), ours.encoded_len());
        }
        let inside = prost_types::Duration { seconds: 3, nanos: 0 }.encode_to_vec();
        let any = Any { type_url: "type.googleapis.com/google.protobuf.Duration", value: &inside };
        for any in [Any::default(), any, Any { type_url: "", ..any }, Any { value: &[], ..any }] {
            same::<_, prost_types::Any>(any);
            assert_eq!(Any::from(&prost_types::Any::from(any)), any);
        }
        let read: prost_types::Duration = prost_types::Any::from(any).to_msg().unwrap();
        assert_eq!(read.seconds, 3);
        for mask in [FieldMask::default(), FieldMask(&[""]), FieldMask(&["a", "b.c"])] {
            same::<_, prost_types::FieldMask>(mask);
        }
        assert_eq!(prost_types::NullValue::from(Null) as i32, Null.number());
    }
}
