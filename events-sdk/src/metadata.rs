//! Metadata: the pairs of strings that may accompany an event.

use std::collections::{BTreeMap, HashMap};

use crate::{
    secret::{SECRETS, secret},
    wire,
};

/// The field `Event.metadata`.
const METADATA_FIELD: u32 = 6;

/// What stands in the place of a value whose key smells of a secret.
pub(crate) const MASK: &str = "***";

/// The letters of everything that secrets are called, as bits. A name that lacks one of each is no secret's.
const SECRET_LETTERS: [u32; SECRETS.len()] = {
    let mut all = [0; SECRETS.len()];
    let mut at = 0;
    while at < all.len() {
        all[at] = letters(SECRETS[at]);
        at += 1;
    }
    all
};

/// What may be given as an event's metadata.
///
/// `()` is none. Arrays, slices and vectors of pairs, the standard maps, references to them and `Option` of them are
/// the rest. Where a key stands twice, a reader keeps the last.
///
/// Metadata is no place for secrets: where a key smells of one (`password`, `apiKey`, `x-auth-token`), `***` is sent instead of
/// its value, and counted in [`Stats::masked_metadata`](crate::Stats::masked_metadata).
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

/// What the first look at metadata found.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Measured {
    /// The length of the encoded entries.
    pub(crate) len: usize,
    /// How many values are masked.
    pub(crate) masked: u64,
    /// Which of the first 64 are, so that keys are not looked at twice.
    first: u64,
}

impl Measured {
    /// Whether the value at this place is masked.
    #[inline]
    fn masks(&self, at: u32, key: &str) -> bool {
        match self.first.checked_shr(at) {
            Some(bits) => bits & 1 == 1,
            None => is_secret(key),
        }
    }
}

/// Looks at the keys and adds up the lengths.
#[inline]
pub(crate) fn measure(metadata: &impl Metadata) -> Measured {
    let mut found = Measured::default();
    let mut at: u32 = 0;
    metadata.for_each(|key, value| {
        let mut value = value;
        if is_secret(key) {
            value = MASK;
            found.masked += 1;
            found.first |= 1_u64.checked_shl(at).unwrap_or_default();
        }
        at = at.saturating_add(1);
        let entry = wire::string_len(1, key) + wire::string_len(2, value);
        found.len += wire::tag_len(METADATA_FIELD) + wire::varint_len(entry as u64) + entry;
    });
    found
}

/// Writes the `metadata` entries.
#[inline]
pub(crate) fn encode(metadata: &impl Metadata, measured: &Measured, out: &mut Vec<u8>) {
    let mut at: u32 = 0;
    metadata.for_each(|key, value| {
        let value = if measured.masks(at, key) { MASK } else { value };
        at = at.saturating_add(1);
        let entry = wire::string_len(1, key) + wire::string_len(2, value);
        wire::tag(METADATA_FIELD, wire::LENGTH_DELIMITED, out);
        wire::varint(entry as u64, out);
        wire::string(1, key, out);
        wire::string(2, value, out);
    });
}

/// Whether a key smells of a secret, by the rule that the generator has for fields.
#[inline]
pub(crate) fn is_secret(key: &str) -> bool {
    // Hardly a key has the letters, so hardly one is taken apart into words.
    let letters = letters(key);
    SECRET_LETTERS.iter().any(|secret| letters & secret == *secret) && secret(key).is_some()
}

/// The letters of a name as bits, whatever their case. Other characters set bits as well, which does no harm to a sieve.
#[inline]
const fn letters(name: &str) -> u32 {
    let (bytes, mut bits, mut at) = (name.as_bytes(), 0, 0);
    while at < bytes.len() {
        bits |= LETTERS[bytes[at] as usize];
        at += 1;
    }
    bits
}

/// The bit of each byte. An underscore has none: it only parts the words of what secrets are called.
static LETTERS: [u32; 256] = {
    let (mut bits, mut byte) = ([0; 256], 0);
    while byte < 256 {
        bits[byte] = if byte == b'_' as usize { 0 } else { 1 << (byte & 31) };
        byte += 1;
    }
    bits
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_slips_through_the_sieve() {
        for one in SECRETS {
            for name in [one.to_owned(), one.to_uppercase(), one.replace('_', "-"), format!("x_{one}s")] {
                assert!(is_secret(&name), "{name}");
            }
        }
        for key in ["component", "transfer_id", "node", "passenger", "key", "tokenizer", "größe", ""] {
            assert!(!is_secret(key), "{key}");
        }
    }

    #[test]
    fn every_place_is_masked_beyond_the_64th_as_well() {
        let keys: Vec<String> = (0..140)
            .map(|at| if at % 3 == 0 { format!("token_{at}") } else { format!("plain_{at}") })
            .collect();
        let pairs: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "hunter2")).collect();
        let measured = measure(&pairs);
        let mut out = Vec::new();
        encode(&pairs, &measured, &mut out);
        assert_eq!((out.len(), measured.masked), (measured.len, 47));
        let text = String::from_utf8_lossy(&out);
        assert_eq!((text.matches(MASK).count(), text.matches("hunter2").count()), (47, 93));
    }
}
