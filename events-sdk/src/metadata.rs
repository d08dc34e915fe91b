//! Metadata: the pairs of strings that may accompany an event.

use std::collections::{BTreeMap, HashMap};

use crate::wire;

/// The field `Event.metadata`.
const METADATA_FIELD: u32 = 6;

/// What may be given as an event's metadata.
///
/// `()` is none. Arrays, slices and vectors of pairs, the standard maps, references to them and `Option` of them are
/// the rest. Where a key stands twice, a reader keeps the last.
///
/// ```
/// use std::collections::BTreeMap;
/// use events_sdk::Metadata;
///
/// fn takes(_: impl Metadata) {}
/// let id = String::from("t-42");
/// takes(());
/// takes([("transfer_id", id.as_str()), ("component", "zfs")]);
/// takes(&BTreeMap::from([("transfer_id", &id)]));
/// ```
pub trait Metadata {
    /// Calls `each` with every pair, in the same order each time it is asked.
    fn for_each(&self, each: impl FnMut(&str, &str));
}

impl Metadata for () {
    fn for_each(&self, _: impl FnMut(&str, &str)) {}
}

impl<M: Metadata + ?Sized> Metadata for &M {
    fn for_each(&self, each: impl FnMut(&str, &str)) {
        (**self).for_each(each);
    }
}

impl<M: Metadata> Metadata for Option<M> {
    fn for_each(&self, each: impl FnMut(&str, &str)) {
        if let Some(metadata) = self {
            metadata.for_each(each);
        }
    }
}

impl<K: AsRef<str>, V: AsRef<str>> Metadata for [(K, V)] {
    fn for_each(&self, mut each: impl FnMut(&str, &str)) {
        for (key, value) in self {
            each(key.as_ref(), value.as_ref());
        }
    }
}

impl<K: AsRef<str>, V: AsRef<str>, const N: usize> Metadata for [(K, V); N] {
    fn for_each(&self, each: impl FnMut(&str, &str)) {
        self.as_slice().for_each(each);
    }
}

impl<K: AsRef<str>, V: AsRef<str>> Metadata for Vec<(K, V)> {
    fn for_each(&self, each: impl FnMut(&str, &str)) {
        self.as_slice().for_each(each);
    }
}

impl<K: AsRef<str>, V: AsRef<str>, S> Metadata for HashMap<K, V, S> {
    fn for_each(&self, mut each: impl FnMut(&str, &str)) {
        for (key, value) in self {
            each(key.as_ref(), value.as_ref());
        }
    }
}

impl<K: AsRef<str>, V: AsRef<str>> Metadata for BTreeMap<K, V> {
    fn for_each(&self, mut each: impl FnMut(&str, &str)) {
        for (key, value) in self {
            each(key.as_ref(), value.as_ref());
        }
    }
}

/// The length of the encoded `metadata` entries.
#[inline]
pub(crate) fn encoded_len(metadata: &impl Metadata) -> usize {
    let mut total = 0;
    metadata.for_each(|key, value| {
        let entry = wire::string_len(1, key) + wire::string_len(2, value);
        total += wire::tag_len(METADATA_FIELD) + wire::varint_len(entry as u64) + entry;
    });
    total
}

/// Writes the `metadata` entries.
#[inline]
pub(crate) fn encode(metadata: &impl Metadata, out: &mut Vec<u8>) {
    metadata.for_each(|key, value| {
        let entry = wire::string_len(1, key) + wire::string_len(2, value);
        wire::tag(METADATA_FIELD, wire::LENGTH_DELIMITED, out);
        wire::varint(entry as u64, out);
        wire::string(1, key, out);
        wire::string(2, value, out);
    });
}
