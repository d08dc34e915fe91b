//! A schema with everything in it: compiled with warnings denied, and for random values our bytes are prost's, and what
//! prost-reflect reads from them is what was meant.

#![deny(warnings, missing_docs, unreachable_pub, unused_qualifications)]
#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::fmt::Debug;
use std::sync::LazyLock;

use events_sdk::__private::{prost, wire};
use events_sdk::well_known::{Duration, List, Struct, Timestamp, Value};
use events_sdk::{Durability, Level};
use proptest::prelude::{ProptestConfig, any, prop_assert, proptest};
use prost_reflect::{DescriptorPool, DynamicMessage};

/// What is generated.
pub mod generated {
    include!(concat!(env!("OUT_DIR"), "/torture_events.rs"));
}

use generated::payload::{
    DemoManyPayload, DemoMapsPayload, DemoNestedSelf, DemoScalarsPayload, Forest, Mood, Operation,
    Option as Choice, OptionString, PartsDemoNestedPayload, String as Text,
    TortureDemoNestedPayload as Nested, Tree, TreeNext,
};
use generated::proto;

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::from_file_descriptor_set(
        protox::compile(["torture.proto"], ["torture", "../proto"]).unwrap(),
    )
    .unwrap()
});

/// The same meaning as prost's for the same value, by prost and by prost-reflect; and the same bytes, unless a map has
/// several entries, which prost writes in any order.
fn same<P, W>(name: &str, payload: P, bytes_too: bool)
where
    P: wire::Message + Copy,
    W: prost::Message + From<P> + Default + PartialEq + Debug,
{
    let mut bytes = Vec::new();
    payload.encode(&mut bytes);
    assert_eq!(bytes.len(), payload.encoded_len());
    let expected = W::from(payload);
    if bytes_too {
        assert_eq!(bytes, expected.encode_to_vec());
    }
    assert_eq!(W::decode(bytes.as_slice()).unwrap(), expected);
    let descriptor = POOL.get_message_by_name(name).unwrap();
    let dynamic = DynamicMessage::decode(descriptor, bytes.as_slice()).unwrap();
    assert_eq!(dynamic.unknown_fields().count(), 0);
    assert_eq!(W::decode(prost::Message::encode_to_vec(&dynamic).as_slice()).unwrap(), expected);
}

fn mood(good: bool) -> Mood {
    if good { Mood::Good } else { Mood::Bad }
}

fn tree<'a>(name: &'a str, left: Option<&'a Tree<'a>>, children: &'a [Tree<'a>]) -> Tree<'a> {
    Tree { name, left, children, next: children.first().map(|_| TreeNext::None(0)) }
}

/// At most one, so that the order is known.
fn one<T>(values: &[T], alone: bool) -> &[T] {
    if alone { values.get(..1).unwrap_or_default() } else { values }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn scalars(
        (double, float, int32, int64, uint32, uint64) in any::<(f64, f32, i32, i64, u32, u64)>(),
        (sint32, sint64, fixed32, fixed64, sfixed32, sfixed64) in any::<(i32, i64, u32, u64, i32, i64)>(),
        (bool, string, bytes) in any::<(bool, String, Vec<u8>)>(),
        (maybe_double, maybe_sint64, maybe_bool) in any::<(Option<f64>, Option<i64>, Option<bool>)>(),
        (maybe_string, maybe_bytes) in any::<(Option<String>, Option<Vec<u8>>)>(),
    ) {
        let payload = DemoScalarsPayload {
            double, float, int32, int64, uint32, uint64, sint32, sint64, fixed32, fixed64, sfixed32, sfixed64, bool,
            string: &string,
            bytes: &bytes,
            maybe_double, maybe_sint64, maybe_bool,
            maybe_string: maybe_string.as_deref(),
            maybe_bytes: maybe_bytes.as_deref(),
        };
        same::<_, proto::torture::DemoScalarsPayload>("torture.DemoScalarsPayload", payload, true);
    }

    #[test]
    #[allow(deprecated)]
    fn repeated_fields(
        (packed, loose, doubles, fixed) in any::<(Vec<i32>, Vec<i64>, Vec<f64>, Vec<u64>)>(),
        (bools, strings, blobs) in any::<(Vec<bool>, Vec<String>, Vec<Vec<u8>>)>(),
    ) {
        let strings: Vec<&str> = strings.iter().map(String::as_str).collect();
        let blobs: Vec<&[u8]> = blobs.iter().map(Vec::as_slice).collect();
        let moods: Vec<Mood> = bools.iter().copied().map(mood).collect();
        let trees: Vec<Tree<'_>> = strings.iter().map(|name| tree(name, None, &[])).collect();
        let payload = DemoManyPayload {
            packed: &packed, loose: &loose, doubles: &doubles, fixed: &fixed, bools: &bools, strings: &strings,
            blobs: &blobs, moods: &moods, trees: &trees,
        };
        same::<_, proto::torture::DemoManyPayload>("torture.DemoManyPayload", payload, true);
    }

    #[test]
    fn maps(
        alone in any::<bool>(),
        (a, b, c, d) in any::<(Vec<(i32, f64)>, Vec<(i64, f32)>, Vec<(u32, bool)>, Vec<(u64, String)>)>(),
        (e, f, g) in any::<(Vec<(i32, Vec<u8>)>, Vec<(i64, String)>, Vec<(u32, bool)>)>(),
        (h, i, j) in any::<(Vec<(u64, i32)>, Vec<(i32, i64)>, Vec<(i64, i32)>)>(),
        (k, l) in any::<(Vec<(bool, i64)>, Vec<(String, String)>)>(),
    ) {
        let d: Vec<(u64, &str)> = d.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let e: Vec<(i32, &[u8])> = e.iter().map(|(key, value)| (*key, value.as_slice())).collect();
        let f: Vec<(i64, Tree<'_>)> = f.iter().map(|(key, value)| (*key, tree(value, None, &[]))).collect();
        let g: Vec<(u32, Mood)> = g.iter().map(|(key, value)| (*key, mood(*value))).collect();
        let k: Vec<(bool, Timestamp)> = k.iter().map(|(key, at)| (*key, Timestamp::from_millis(*at))).collect();
        let l: Vec<(&str, &str)> = l.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let payload = DemoMapsPayload {
            int32: one(&a, alone), int64: one(&b, alone), uint32: one(&c, alone), uint64: one(&d, alone),
            sint32: one(&e, alone), sint64: one(&f, alone), fixed32: one(&g, alone), fixed64: one(&h, alone),
            sfixed32: one(&i, alone), sfixed64: one(&j, alone), bool: one(&k, alone), string: one(&l, alone),
        };
        same::<_, proto::torture::DemoMapsPayload>("torture.DemoMapsPayload", payload, alone);
    }

    #[test]
    #[allow(deprecated)]
    fn messages_oneofs_and_protobufs_own_types(
        which in 0_usize..8,
        (number, text, yes, at) in any::<(i32, String, bool, Option<i64>)>(),
        (took, ratio, blob) in any::<(Option<std::time::Duration>, Option<f64>, Option<Vec<u8>>)>(),
        (nothing, sizes) in any::<(Option<()>, Vec<i64>)>(),
    ) {
        let (leaf, list) = (tree(&text, None, &[]), [Value::Null, Value::Bool(yes), Value::String(&text)]);
        let members = [("a", Value::List(List(&list))), ("b", Value::Number(number.into()))];
        let children = [leaf, leaf];
        let root = tree("root", Some(&leaf), &children);
        let forest = Tree { next: Some(TreeNext::Forest(&Forest { tree: Some(&root) })), ..root };
        let choice = Choice { string: yes.then_some(OptionString::None), _1st: number, r#async: Some(number) };
        let inner = Nested::new(Operation::Started);
        let self_ = [
            DemoNestedSelf::Type(number),
            DemoNestedSelf::Self_(&text),
            DemoNestedSelf::Match(choice),
            DemoNestedSelf::Tree(forest),
            DemoNestedSelf::Inner(&inner),
            DemoNestedSelf::Wrapped(&text),
            DemoNestedSelf::Mood(mood(yes)),
        ];
        let payload = Nested {
            self_: self_.get(which).copied(),
            option: yes.then_some(choice),
            at: at.map(Timestamp::from_millis),
            took: took.map(Duration::from),
            value: Some(Value::Struct(Struct(&members))),
            ratio,
            blob: blob.as_deref(),
            nothing,
            sizes: &sizes,
            ..Nested::new(if yes { Operation::Started } else { Operation::Failed })
        };
        same::<_, proto::torture::DemoNestedPayload>("torture.DemoNestedPayload", payload, true);
        let parts = PartsDemoNestedPayload { mood: Some(mood(yes)), ..PartsDemoNestedPayload::new(Text { text: &text }) };
        same::<_, proto::torture::parts::DemoNestedPayload>("torture.parts.DemoNestedPayload", parts, true);
        // Personal data does not show.
        let shown = format!("{:?}", DemoNestedSelf::Self_("ann@example.org"));
        prop_assert!(!shown.contains("ann"), "{shown}");
    }
}

#[test]
fn every_kind_has_its_constants() {
    use generated::kinds::{ALL, demo_again, demo_nested, demo_parts, demo_scalars};
    assert_eq!(ALL.len(), 6);
    assert_eq!(demo_scalars::KIND.level, Some(Level::Info));
    assert_eq!(demo_scalars::KIND.durability, Durability::BestEffort);
    assert!(demo_nested::KIND.level_by_operation && demo_again::KIND.level_by_operation);
    assert_eq!(demo_parts::KIND.payload, "torture.parts.DemoNestedPayload");
    assert!(!generated::emit_demo_again(Nested::new(Operation::Started), ()).is_queued());
}
