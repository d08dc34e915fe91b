//! A schema with everything in it: compiled with warnings denied, and for random values of every construct our encoding is
//! what prost and prost-reflect read and write.

#![deny(warnings, missing_docs, unreachable_pub, unused_qualifications)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's helpers fail the test")]

mod same;
mod values;

use std::fmt::Debug;
use std::time::{Duration, SystemTime};

use events_sdk::__private::{prost, wire};
use events_sdk::well_known::{self, Any, FieldMask, List, Null, Struct, Timestamp, Value};
use events_sdk::{Durability, Level};
use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};
use prost::Message as _;
use prost_reflect::DynamicMessage;
use same::{descriptor, same};
use values::{Atom, Seed, forests, json, members, slices, texts, trees};

/// What is generated.
pub mod generated {
    include!(concat!(env!("OUT_DIR"), "/torture_events.rs"));
}

use generated::payload::{
    Choice, Colour, DemoManyPayload, DemoMapsPayload, DemoNestedSelf, DemoOlderEither, DemoOlderPayload,
    DemoRequiredPayload, DemoScalarsPayload, DemoTypesOne, DemoTypesPayload, DemoWordsPayload, Entry, Forest,
    Mood, Needed, Operation, Option as Either, OptionString, PartsDemoNestedPayload, Self_, Single,
    String as Text, TortureDemoNestedPayload as Nested, Tree, Vec as NamedVec,
};
#[allow(deprecated)]
use generated::payload::{DemoFormerPayload, Phase};
use generated::proto;

fn mood(good: bool) -> Mood {
    if good { Mood::Good } else { Mood::Bad }
}

/// The first few, so that maps with one entry come up, of which every byte is known.
fn few<T>(values: &[T], most: usize) -> &[T] {
    values.get(..most.min(values.len())).unwrap_or_default()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn scalars(
        (double, float, int32, int64, uint32, uint64) in any::<(f64, f32, i32, i64, u32, u64)>(),
        (sint32, sint64, fixed32, fixed64, sfixed32, sfixed64) in any::<(i32, i64, u32, u64, i32, i64)>(),
        (bool, string, bytes) in any::<(bool, String, Vec<u8>)>(),
        (maybe_double, maybe_float, maybe_int32, maybe_int64, maybe_uint32, maybe_uint64) in
            any::<(Option<f64>, Option<f32>, Option<i32>, Option<i64>, Option<u32>, Option<u64>)>(),
        (maybe_sint32, maybe_sint64, maybe_fixed32, maybe_fixed64, maybe_sfixed32, maybe_sfixed64) in
            any::<(Option<i32>, Option<i64>, Option<u32>, Option<u64>, Option<i32>, Option<i64>)>(),
        (maybe_bool, maybe_string, maybe_bytes) in any::<(Option<bool>, Option<String>, Option<Vec<u8>>)>(),
        zero in any::<bool>(),
    ) {
        let full = DemoScalarsPayload {
            double, float, int32, int64, uint32, uint64, sint32, sint64, fixed32, fixed64, sfixed32, sfixed64, bool,
            string: &string,
            bytes: &bytes,
            maybe_double, maybe_float, maybe_int32, maybe_int64, maybe_uint32, maybe_uint64, maybe_sint32, maybe_sint64,
            maybe_fixed32, maybe_fixed64, maybe_sfixed32, maybe_sfixed64, maybe_bool,
            maybe_string: maybe_string.as_deref(),
            maybe_bytes: maybe_bytes.as_deref(),
        };
        same::<_, proto::torture::DemoScalarsPayload>("torture.DemoScalarsPayload", full);
        // Zeros without presence are not written, and with presence they are.
        let zeros = DemoScalarsPayload {
            maybe_double: zero.then_some(0.0), maybe_int32: Some(0), maybe_string: zero.then_some(""),
            maybe_bytes: Some(&[]), maybe_bool: Some(false),
            ..DemoScalarsPayload::default()
        };
        same::<_, proto::torture::DemoScalarsPayload>("torture.DemoScalarsPayload", zeros);
    }

    #[test]
    #[allow(deprecated)]
    fn repeated_fields(
        (doubles, floats, int32s, int64s, uint32s, uint64s) in
            any::<(Vec<f64>, Vec<f32>, Vec<i32>, Vec<i64>, Vec<u32>, Vec<u64>)>(),
        (bools, strings, blobs) in any::<(Vec<bool>, Vec<String>, Vec<Vec<u8>>)>(),
        (leaves, nodes) in any::<(Vec<Seed>, Vec<Seed>)>(),
        loose in any::<bool>(),
    ) {
        let moods: Vec<Mood> = bools.iter().copied().map(mood).collect();
        let leaves = trees(few(&leaves, 4), &[], &[]);
        let forests = forests(&leaves);
        let trees = trees(few(&nodes, 4), &leaves, &forests);
        let (strings, blobs) = (texts(&strings), slices(&blobs));
        let packed = DemoManyPayload {
            many_double: &doubles, many_float: &floats, many_int32: &int32s, many_int64: &int64s, many_uint32: &uint32s,
            many_uint64: &uint64s, many_sint32: &int32s, many_sint64: &int64s, many_fixed32: &uint32s,
            many_fixed64: &uint64s, many_sfixed32: &int32s, many_sfixed64: &int64s, many_bool: &bools,
            many_string: &strings, many_bytes: &blobs, moods: &moods, trees: &trees,
            ..DemoManyPayload::default()
        };
        same::<_, proto::torture::DemoManyPayload>("torture.DemoManyPayload", packed);
        let unpacked = DemoManyPayload {
            loose_double: &doubles, loose_float: &floats, loose_int32: &int32s, loose_int64: &int64s,
            loose_uint32: &uint32s, loose_uint64: &uint64s, loose_sint32: &int32s, loose_sint64: &int64s,
            loose_fixed32: &uint32s, loose_fixed64: &uint64s, loose_sfixed32: &int32s, loose_sfixed64: &int64s,
            loose_bool: &bools, loose_moods: &moods,
            ..if loose { DemoManyPayload::default() } else { packed }
        };
        same::<_, proto::torture::DemoManyPayload>("torture.DemoManyPayload", unpacked);
    }

    #[test]
    fn maps_of_every_key(
        most in 0_usize..4,
        (a, b, c, d) in any::<(Vec<(i32, f64)>, Vec<(i64, f32)>, Vec<(u32, bool)>, Vec<(u64, String)>)>(),
        (e, f, g) in any::<(Vec<(i32, Vec<u8>)>, Vec<(i64, Seed)>, Vec<(u32, bool)>)>(),
        (h, i, j) in any::<(Vec<(u64, i32)>, Vec<(i32, i64)>, Vec<(i64, i32)>)>(),
        (k, l) in any::<(Vec<(bool, SystemTime)>, Vec<(String, String)>)>(),
    ) {
        let d: Vec<(u64, &str)> = d.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let e: Vec<(i32, &[u8])> = e.iter().map(|(key, value)| (*key, value.as_slice())).collect();
        let (keys, seeds): (Vec<i64>, Vec<Seed>) = f.into_iter().unzip();
        let f: Vec<(i64, Tree<'_>)> = keys.into_iter().zip(trees(&seeds, &[], &[])).collect();
        let g: Vec<(u32, Mood)> = g.iter().map(|(key, value)| (*key, mood(*value))).collect();
        let k: Vec<(bool, Timestamp)> = k.iter().map(|(key, at)| (*key, (*at).into())).collect();
        let l: Vec<(&str, &str)> = l.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let payload = DemoMapsPayload {
            int32: few(&a, most), int64: few(&b, most), uint32: few(&c, most), uint64: few(&d, most),
            sint32: few(&e, most), sint64: few(&f, most), fixed32: few(&g, most), fixed64: few(&h, most),
            sfixed32: few(&i, most), sfixed64: few(&j, most), bool: few(&k, most), string: few(&l, most),
            ..DemoMapsPayload::default()
        };
        same::<_, proto::torture::DemoMapsPayload>("torture.DemoMapsPayload", payload);
    }

    #[test]
    fn maps_to_every_value(
        most in 0_usize..4,
        keys in any::<[String; 3]>(),
        (unsigned, long, signed) in any::<([u32; 3], [u64; 3], [i64; 3])>(),
        (blobs, atoms) in any::<([Vec<u8>; 3], [Atom; 3])>(),
    ) {
        fn pairs<T: Copy>(keys: &[String], values: &[T], most: usize) -> Vec<(&'static str, T)>
        {
            // Keys of their own, so that the borrow of `keys` does not matter here.
            const KEYS: [&str; 3] = ["", "a", "b"];
            let at = |key: &String| KEYS[key.len() % KEYS.len()];
            keys.iter().map(at).zip(values.iter().copied()).take(most).collect()
        }
        let small: [i32; 3] = signed.map(|one| one as i32);
        let any = [0, 1, 2].map(|at| Any { type_url: &keys[at], value: &blobs[at] });
        let wrapped = [0, 1, 2].map(|at| keys[at].as_str());
        let masks = [0, 1, 2].map(|at| FieldMask(few(&wrapped, at)));
        let values = json(&atoms, &[], &[]);
        let payload = DemoMapsPayload {
            to_uint32: &pairs(&keys, &unsigned, most), to_uint64: &pairs(&keys, &long, most),
            to_sint64: &pairs(&keys, &signed, most), to_fixed32: &pairs(&keys, &unsigned, most),
            to_fixed64: &pairs(&keys, &long, most), to_sfixed32: &pairs(&keys, &small, most),
            to_sfixed64: &pairs(&keys, &signed, most),
            to_any: &pairs(&keys, &any, most), to_value: &pairs(&keys, &values, most),
            to_wrapped: &pairs(&keys, &wrapped, most), to_empty: &pairs(&keys, &[(); 3], most),
            to_null: &pairs(&keys, &[Null; 3], most), to_mask: &pairs(&keys, &masks, most),
            ..DemoMapsPayload::default()
        };
        same::<_, proto::torture::DemoMapsPayload>("torture.DemoMapsPayload", payload);
    }

    #[test]
    fn types_of_protobuf(
        (at, moments, took) in any::<(SystemTime, Vec<SystemTime>, Option<Duration>)>(),
        (outer, inner) in any::<(Vec<Atom>, Vec<Atom>)>(),
        (names, blob) in any::<(Vec<String>, Vec<u8>)>(),
        (double, float, int32, int64, uint32, uint64, bool) in
            any::<(Option<f64>, Option<f32>, Option<i32>, Option<i64>, Option<u32>, Option<u64>, Option<bool>)>(),
        (empties, which, null) in (0_usize..4, 0_usize..9, any::<bool>()),
    ) {
        let (outer, inner, names) = (few(&outer, 5), few(&inner, 4), texts(&names));
        let leaves = json(inner, &[], &[]);
        let branches = members(inner, &leaves);
        let all = json(outer, &leaves, &branches);
        let object = Struct(&branches);
        let any = Any { type_url: names.first().copied().unwrap_or_default(), value: &blob };
        let mask = FieldMask(&names);
        let stamps: Vec<Timestamp> = moments.iter().map(|one| (*one).into()).collect();
        let span = took.map(well_known::Duration::from);
        let one = [
            DemoTypesOne::OneAt(at.into()), DemoTypesOne::OneTook(span.unwrap_or_default()),
            DemoTypesOne::OneStruct(object), DemoTypesOne::OneAny(any), DemoTypesOne::OneMask(mask),
            DemoTypesOne::OneEmpty(()), DemoTypesOne::OneNull(Null), DemoTypesOne::OneBytes(&blob),
        ];
        let (two_any, two_masks) = ([any, Any::default()], [mask, FieldMask::default()]);
        let payload = DemoTypesPayload {
            took: span, r#struct: Some(object), value: all.first().copied(), list: null.then_some(List(&all)),
            any: null.then_some(any), mask: (!null).then_some(mask), empty: null.then_some(()),
            maybe_null: null.then_some(Null), double, float, int32, int64, uint32, uint64, bool,
            string: names.last().copied(), bytes: null.then_some(&blob),
            all_at: &stamps, all_values: &all, all_any: few(&two_any, empties),
            all_masks: few(&two_masks, empties), all_empty: few(&[(); 3], empties),
            all_null: few(&[Null; 3], empties), all_strings: &names, one: one.get(which).copied(),
            ..DemoTypesPayload::new(at.into())
        };
        let read = same::<_, proto::torture::DemoTypesPayload>("torture.DemoTypesPayload", payload);
        // What went in as the standard library's comes out as the standard library's.
        prop_assert_eq!(SystemTime::try_from(read.at.unwrap()).unwrap(), at);
        for (stamp, moment) in read.all_at.into_iter().zip(moments) {
            prop_assert_eq!(SystemTime::try_from(stamp).unwrap(), moment);
        }
        if let Some(took) = took.filter(|took| i64::try_from(took.as_secs()).is_ok()) {
            prop_assert_eq!(Duration::try_from(read.took.unwrap()).unwrap(), took);
        }
        prop_assert_eq!(read.any.as_ref().map(Any::from), payload.any);
    }

    #[test]
    fn what_an_event_cannot_do_without(
        (took, number, maybe, yes) in any::<(Duration, u64, i32, bool)>(),
        (text, blob, atoms) in any::<(String, Vec<u8>, Vec<Atom>)>(),
    ) {
        let values = json(few(&atoms, 3), &[], &[]);
        let names = [text.as_str()];
        let payload = DemoRequiredPayload::new(
            took.into(), Struct(&[]), values.first().copied().unwrap_or_default(), List(&values), Null,
            Any { type_url: &text, value: &blob }, FieldMask(&names), (), &text, &blob, number, maybe, Null, mood(yes),
            PartsDemoNestedPayload::new(Text { text: &text }), &blob,
        );
        let zeros = DemoRequiredPayload { text: "", blob: &[], number: 0, maybe: 0, raw: &[], ..payload };
        for one in [payload, zeros, DemoRequiredPayload::__unset()] {
            let read = same::<_, proto::torture::DemoRequiredPayload>("torture.DemoRequiredPayload", one);
            prop_assert!(read.text.is_some() && read.maybe.is_some() && read.empty.is_some() && read.parts.is_some());
        }
    }

    #[test]
    #[allow(deprecated)]
    fn messages_oneofs_and_recursion(
        (which, depth) in (0_usize..8, 0_usize..4),
        (number, text, yes) in any::<(i32, String, bool)>(),
        (leaves, nodes, root) in any::<(Vec<Seed>, Vec<Seed>, Seed)>(),
        (at, took, ratio, blob) in any::<(SystemTime, Duration, Option<f64>, Option<Vec<u8>>)>(),
        (nothing, sizes) in any::<(Option<()>, Vec<i64>)>(),
    ) {
        let leaves = trees(few(&leaves, 4), &[], &[]);
        let small = forests(&leaves);
        let nodes = trees(few(&nodes, 4), &leaves, &small);
        let large = forests(&nodes);
        let root = trees(std::slice::from_ref(&root), &nodes, &large)[0];
        let members = [("a", Value::Bool(yes)), ("b", Value::Number(number.into()))];
        let choice = Either { string: yes.then_some(OptionString::None), _1st: number, r#async: Some(number) };
        let operation = if yes { Operation::Started } else { Operation::Failed };
        // As deep as the test's numbers say, each inside the next.
        let innermost = Nested::new(operation);
        let mut inner = [innermost; 4];
        for at in 1..inner.len() {
            let (below, above) = inner.split_at_mut(at);
            above[0] = Nested { self_: below.last().map(|_| DemoNestedSelf::Type(at as i32)), ..innermost };
        }
        let self_ = [
            DemoNestedSelf::Type(number), DemoNestedSelf::Self_(&text), DemoNestedSelf::Match(choice),
            DemoNestedSelf::Tree(root), DemoNestedSelf::Inner(&inner[depth]), DemoNestedSelf::Wrapped(&text),
            DemoNestedSelf::Mood(mood(yes)),
        ];
        let payload = Nested {
            self_: self_.get(which).copied(),
            option: yes.then_some(choice),
            at: Some(at.into()), took: Some(took.into()),
            value: Some(Value::Struct(Struct(&members))),
            ratio, nothing, sizes: &sizes,
            blob: blob.as_deref(),
            ..Nested::new(operation)
        };
        let outside = Nested { self_: Some(DemoNestedSelf::Inner(&payload)), ..Nested::new(operation) };
        for one in [payload, outside] {
            same::<_, proto::torture::DemoNestedPayload>("torture.DemoNestedPayload", one);
        }
        same::<_, proto::torture::Tree>("torture.Tree", root);
        same::<_, proto::torture::Forest>("torture.Forest", Forest { tree: Some(&root) });
        let parts = PartsDemoNestedPayload { mood: Some(mood(yes)), ..PartsDemoNestedPayload::new(Text { text: &text }) };
        same::<_, proto::torture::parts::DemoNestedPayload>("torture.parts.DemoNestedPayload", parts);
        // Personal data does not show.
        let shown = format!("{:?}", DemoNestedSelf::Self_("ann@example.org"));
        prop_assert!(!shown.contains("ann"), "{shown}");
    }

    #[test]
    fn groups_and_labels_of_proto2(
        (name, text) in any::<(String, Option<String>)>(),
        (count, id, number) in any::<(Option<i32>, Option<u32>, i32)>(),
        (loose, yes, which) in any::<(Vec<i32>, Option<bool>, u8)>(),
    ) {
        let colour = if which & 1 == 0 { Colour::Red } else { Colour::Blue };
        let entries: Vec<Entry> = loose.iter().map(|number| Entry { number: *number }).collect();
        let inside = DemoOlderPayload::new(&name, Colour::Blue, Needed { id });
        let single = Single { text: text.as_deref(), whole: (which & 2 == 0).then_some(&inside) };
        let payload = DemoOlderPayload {
            count, loose: &loose, packed: &loose, entry: &entries,
            other: yes.map(|_| colour),
            single: (which & 4 == 0).then_some(&single),
            either: [None, Some(DemoOlderEither::Choice(Choice { yes })), Some(DemoOlderEither::Number(number))]
                [usize::from(which) % 3],
            ..DemoOlderPayload::new(&name, colour, Needed { id })
        };
        let read = same::<_, proto::torture::older::DemoOlderPayload>("torture.older.DemoOlderPayload", payload);
        prop_assert_eq!(read.count(), count.unwrap_or(7));
    }

    #[test]
    #[allow(deprecated)]
    fn names_that_rust_has_a_use_for(numbers in any::<[u32; 6]>(), there in any::<bool>()) {
        let [r#async, crate_, r#gen, self_, super_, _2nd] = numbers;
        let payload = DemoWordsPayload {
            r#async, crate_, r#gen, self_, super_, _2nd,
            a_vec: there.then_some(NamedVec { one: crate_ }),
            a_self: there.then_some(Self_ { one: self_ }),
            ..DemoWordsPayload::default()
        };
        same::<_, proto::torture::DemoWordsPayload>("torture.DemoWordsPayload", payload);
        let phase = if there { Phase::FIRST } else { Phase::Last };
        let former = DemoFormerPayload { phase: Some(phase) };
        same::<_, proto::torture::DemoFormerPayload>("torture.DemoFormerPayload", former);
    }

    /// A reader may be older than the schema: what it does not know stays the number that it is.
    #[test]
    #[allow(deprecated)]
    fn values_that_the_schema_does_not_have(number in any::<i32>(), key in any::<u32>()) {
        let nested = proto::torture::DemoNestedPayload {
            operation: number,
            option: Some(proto::torture::Option { string: number, ..Default::default() }),
            ..Default::default()
        };
        let many = proto::torture::DemoManyPayload { moods: vec![number, 1], loose_moods: vec![number], ..Default::default() };
        let maps = proto::torture::DemoMapsPayload { fixed32: [(key, number)].into(), ..Default::default() };
        open("torture.DemoNestedPayload", &nested);
        open("torture.DemoManyPayload", &many);
        open("torture.DemoMapsPayload", &maps);
        use proto::torture::demo_nested_payload::Operation as Wire;
        match Wire::try_from(number) {
            Ok(known) => prop_assert_eq!(nested.operation(), known),
            Err(_) => prop_assert_eq!(nested.operation(), Wire::Unspecified),
        }
    }
}

/// prost and prost-reflect read and write the message without a loss.
fn open<W: prost::Message + Default + PartialEq + Debug>(name: &str, message: &W) {
    let bytes = message.encode_to_vec();
    assert_eq!(&W::decode(bytes.as_slice()).unwrap(), message);
    let dynamic = DynamicMessage::decode(descriptor(name), bytes.as_slice()).unwrap();
    assert_eq!(&dynamic.transcode_to::<W>().unwrap(), message);
    assert_eq!(&W::decode(dynamic.encode_to_vec().as_slice()).unwrap(), message);
}

#[test]
#[allow(deprecated)]
fn second_names_of_values_are_constants() {
    assert_eq!((Operation::BEGUN, Operation::BEGUN.name()), (Operation::Started, "started"));
    assert_eq!((Phase::FIRST, Phase::PHASE_2ND), (Phase::Phase1st, Phase::Last));
    assert_eq!(Operation::ALL, [Operation::Started, Operation::Failed]);
    assert_eq!(Phase::PHASE_2ND.number(), i32::MIN);
    let begun = Nested::new(Operation::BEGUN);
    assert!(matches!(begun.operation, Operation::BEGUN));
    assert_eq!(wire::Enumeration::level(begun.operation), Some(Level::Info));
}

#[test]
#[allow(deprecated)]
fn every_kind_has_its_constants() {
    use generated::kinds::{ALL, demo_again, demo_nested, demo_parts, demo_scalars, demo_types};
    assert_eq!(ALL.len(), 11);
    assert_eq!(demo_scalars::KIND.level, Some(Level::Info));
    assert_eq!(demo_scalars::KIND.durability, Durability::BestEffort);
    assert_eq!(demo_types::KIND.durability, Durability::Sync);
    assert!(demo_nested::KIND.level_by_operation && demo_again::KIND.level_by_operation);
    assert_eq!(demo_parts::KIND.payload, "torture.parts.DemoNestedPayload");
    assert!(!generated::emit_demo_again(Nested::new(Operation::Started), ()).is_queued());
}
