//! A number that stands for a schema's meaning.
//!
//! It covers names, numbers, types and options of every file but protobuf's own; comments, positions, file names and
//! the order of files leave it as it is. It says which schema a spill file was written with; it is no protection
//! against malice.

use prost_reflect::prost::Message;
use prost_reflect::prost_types::FileDescriptorProto;
use prost_reflect::{DescriptorPool, DynamicMessage, ReflectMessage};

/// Parts of a file that do not change what it means.
const MEANINGLESS: &[&str] =
    &["name", "dependency", "public_dependency", "weak_dependency", "source_code_info"];

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

fn meaning(file: &[u8]) -> Vec<u8> {
    let descriptor = FileDescriptorProto::default().descriptor();
    // The bytes were encoded from a descriptor, so they decode; if ever not, they still are a fingerprint's food.
    let Ok(mut message) = DynamicMessage::decode(descriptor, file) else {
        return file.to_vec();
    };
    for part in MEANINGLESS {
        message.clear_field_by_name(part);
    }
    message.encode_to_vec()
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
