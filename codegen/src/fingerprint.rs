//! A number that stands for a schema's meaning.
//!
//! It covers names, numbers, types and options of every file but protobuf's own; comments, positions, file names and
//! the order of files leave it as it is. It says which schema a spill file was written with; it is no protection
//! against malice.

use prost_reflect::DescriptorPool;
use prost_reflect::prost::encoding::{DecodeContext, decode_key, skip_field};

/// Parts of a file that do not change what it means, by their numbers in `FileDescriptorProto`: `name`, `dependency`,
/// `public_dependency`, `weak_dependency` and `source_code_info`.
const MEANINGLESS: &[u32] = &[1, 3, 10, 11, 9];

/// The fingerprint of all files in `pool`.
pub(crate) fn fingerprint(pool: &DescriptorPool) -> u64 {
    let mut files: Vec<Vec<u8>> = pool
        .files()
        .filter(|file| file.package_name() != "google.protobuf")
        .map(|file| meaning(&file.encode_to_vec()))
        .collect();
    files.sort();
    let mut hash = Fnv::default();
    for file in files {
        // The length keeps two files from reading as one.
        hash.write(&file.len().to_le_bytes());
        hash.write(&file);
    }
    hash.0
}

/// An encoded file without what has no meaning. It was encoded field by field in the order of numbers just now, so only
/// the outermost fields are looked at.
fn meaning(file: &[u8]) -> Vec<u8> {
    let (mut meaning, mut rest) = (Vec::with_capacity(file.len()), file);
    while !rest.is_empty() {
        let begin = rest;
        let number = decode_key(&mut rest).and_then(|(number, wire_type)| {
            skip_field(wire_type, number, &mut rest, DecodeContext::default()).map(|()| number)
        });
        let field = begin.len() - rest.len();
        match number {
            Ok(number) if MEANINGLESS.contains(&number) => {}
            Ok(_) => meaning.extend_from_slice(begin.get(..field).unwrap_or_default()),
            // It was encoded from a descriptor, so it decodes; if ever not, it still is a fingerprint's food.
            Err(_) => {
                meaning.extend_from_slice(begin);
                break;
            }
        }
    }
    meaning
}

/// FNV-1a, 64 bits: short, and the same everywhere and for ever.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Fnv;

    #[test]
    fn the_hash_is_fnv_1a() {
        let mut hash = Fnv::default();
        hash.write(b"foobar");
        assert_eq!(hash.0, 0x8594_4171_f739_67e8);
    }
}
