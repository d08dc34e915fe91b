//! What the generated payloads write is what prost writes for the same values, byte for byte.
//!
//! Only the entries of a map have no order: there the bytes are the same in number, and read back as the same message.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use events_sdk::{Kind, kinds};
use events_tests::{
    samples::{Material, Sample, Visitor, each_kind},
    schema::{compiled, message},
};
use proptest::prelude::*;
use prost::Message;
use prost_reflect::DescriptorPool;

/// Compares every kind of payload with its prost twin.
struct Comparison<'a> {
    material: Material<'a>,
    pool: &'a DescriptorPool,
    seen: Vec<&'static str>,
}

impl<'a> Visitor<'a> for Comparison<'a> {
    fn visit<P: Sample<'a>>(&mut self, kind: &'static Kind) {
        self.seen.push(kind.name);
        let payload = P::made_of(&self.material);
        let mut ours = Vec::new();
        payload.encode(&mut ours);
        assert_eq!(payload.encoded_len(), ours.len(), "{payload:?}");

        let twin = P::Proto::from(payload);
        let theirs = twin.encode_to_vec();
        let has_map = message(self.pool, kind.payload).fields().any(|field| field.is_map());
        if has_map {
            assert_eq!(ours.len(), theirs.len(), "{payload:?}");
            assert!(P::Proto::decode(ours.as_slice()).unwrap() == twin, "{payload:?}");
        } else {
            assert_eq!(ours, theirs, "{payload:?}");
            let read = P::Proto::decode(ours.as_slice()).unwrap();
            // Bytes again, because NaN is not equal to itself.
            assert_eq!(read.encode_to_vec(), theirs, "{payload:?}");
        }
    }
}

fn compare(pool: &DescriptorPool, material: Material<'_>) -> Vec<&'static str> {
    let mut comparison = Comparison { material, pool, seen: Vec::new() };
    each_kind(&mut comparison);
    comparison.seen
}

#[test]
fn empty_payloads_are_written_as_prost_writes_them() {
    let seen = compare(&compiled(), Material::default());
    let all: Vec<_> = kinds::ALL.iter().map(|kind| kind.name).collect();
    assert_eq!(seen, all, "the list in tests/src/samples.rs and the schema differ");
}

#[test]
fn full_payloads_are_written_as_prost_writes_them() {
    let pool = compiled();
    let words = ["tank", "", "größe", "日本", "\u{0}", "🦀", "/dev/sda"];
    let pairs = [("os", "linux"), ("", "empty key"), ("empty value", ""), ("größe", "½")];
    for number in [1, 2, 3, 127, 128, u64::from(u32::MAX), i64::MAX as u64, i64::MIN as u64, u64::MAX] {
        compare(&pool, Material::new(&words, &pairs, &[number, 1, 4, 2]));
    }
}

#[test]
fn odd_floats_are_written_as_prost_writes_them() {
    let pool = compiled();
    for float in
        [-0.0, f32::NAN, -f32::NAN, f32::INFINITY, f32::MIN_POSITIVE, f32::MAX, 5e-324_f64 as f32, 1e-45]
    {
        compare(&pool, Material::new(&["tank"], &[], &[u64::from(float.to_bits())]));
    }
    // A NaN is more than one value.
    compare(&pool, Material::new(&[], &[], &[0x7f80_0001]));
}

#[test]
fn lengths_around_the_next_byte_of_a_varint_are_right() {
    let pool = compiled();
    for length in [126, 127, 128, 129, 16_383, 16_384, 2_097_151, 2_097_152] {
        let word = "x".repeat(length);
        compare(&pool, Material::new(&[&word], &[(&word, "")], &[1, 0]));
    }
}

#[test]
fn of_a_key_that_stands_twice_a_reader_keeps_the_last() {
    let payload = events_sdk::payload::SystemStartupPayload {
        system_info: &[("os", "linux"), ("kernel", "6.8.0"), ("os", "plan9")],
        ..events_sdk::payload::SystemStartupPayload::new(events_sdk::payload::SystemStartupOperation::Started)
    };
    let mut bytes = Vec::new();
    events_sdk::__private::wire::Message::encode(&payload, &mut bytes);
    let twin = events_sdk::proto::events::SystemStartupPayload::from(payload);
    assert_eq!(twin.system_info["os"], "plan9");
    assert_eq!(events_sdk::proto::events::SystemStartupPayload::decode(bytes.as_slice()), Ok(twin));
}

/// Any text, and those that are long enough for a length of two bytes.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![4 => "\\PC{0,12}", 1 => Just(String::new()), 1 => any::<String>(), 1 => "[a-zß]{100,300}"]
}

/// Any bits, and those at the edges of the types that they are taken for.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => any::<u64>(),
        2 => 0..20_u64,
        1 => any::<i32>().prop_map(|number| i64::from(number) as u64),
        1 => any::<f32>().prop_map(|number| u64::from(number.to_bits())),
        1 => prop::sample::select(vec![
            0, 1, 0x7f, 0x80, i32::MAX as u64, i32::MIN as u32 as u64, i64::MAX as u64, i64::MIN as u64, u64::MAX,
            f32::NAN.to_bits().into(), (-0.0_f32).to_bits().into(), f32::NEG_INFINITY.to_bits().into(),
        ]),
    ]
}

#[test]
fn random_payloads_are_written_as_prost_writes_them() {
    let pool = compiled();
    let material = (
        prop::collection::vec(word(), 0..10),
        prop::collection::btree_map(word(), word(), 0..5),
        prop::collection::vec(number(), 1..60),
    );
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        failure_persistence: Some(Box::new(proptest::test_runner::FileFailurePersistence::WithSource(
            "regressions",
        ))),
        source_file: Some(file!()),
        ..ProptestConfig::default()
    });
    let checked = runner.run(&material, |(words, pairs, numbers)| {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let pairs: Vec<(&str, &str)> =
            pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        compare(&pool, Material::new(&words, &pairs, &numbers));
        Ok(())
    });
    if let Err(error) = checked {
        panic!("{error}");
    }
}
