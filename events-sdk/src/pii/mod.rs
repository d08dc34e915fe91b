//! Personal data on the wire: what of a payload is personal, and what is done with it before it leaves.
//!
//! The generator writes down where in a payload's bytes personal data stands ([`Personal`]). Where the configuration asks
//! for it, [`Treatment`] goes over the encoded payload and writes it anew with those places hashed or left out. What is
//! kept, and every payload without personal data, is encoded as if none of this existed. The bytes that come out are all
//! that there is of the event: buffer, spill files and Toggle see nothing else.
//!
//! [`key`] owns the key that hashes are made with.

#[cfg(test)]
mod fuzz;
mod key;
mod treat;

pub(crate) use self::{key::KeyError, treat::Treatment};

/// Where in a message personal data stands: field numbers, each with what is there.
#[derive(Debug)]
pub struct Personal(pub &'static [(u32, Place)]);

/// What stands in a field of a message.
#[derive(Debug)]
pub enum Place {
    /// A personal text. Its hash is a text.
    Text,
    /// Personal bytes. Their hash is bytes.
    Bytes,
    /// A personal value without a hash that would fit: a number, an enum, a message.
    Other,
    /// A message, personal as a whole, of which the parts that are named have hashes: an entry of a map, a wrapper.
    Parts(&'static Personal),
    /// A message that is not personal itself and holds what is.
    Within(&'static Personal),
    /// A personal field that readers insist on, as proto2 has it: where it would be left out, it is there and empty.
    Needed(&'static Place),
}
