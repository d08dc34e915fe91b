//! What is written, compared with what prost writes.

use prost::encoding as prost;

use super::*;

#[test]
fn lengths_of_varints_are_those_of_their_bytes() {
    for bit in 0..64 {
        for value in [1_u64 << bit, (1_u64 << bit) - 1, u64::MAX >> bit] {
            let mut out = Vec::new();
            varint(value, &mut out);
            assert_eq!(varint_len(value), out.len(), "{value}");
            assert_eq!(varint_len(value), prost::encoded_len_varint(value), "{value}");
        }
    }
}

macro_rules! as_prost {
    ($($name:ident, $codec:ident, $module:ident: $($value:expr),*;)*) => {$(
        #[test]
        fn $name() {
            let values = [$($value),*];
            for number in [1, 15, 16, 2047, 2048, 536_870_911] {
                for value in values {
                    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
                    always::<$codec, _>(number, value, &mut ours);
                    prost::$module::encode(number, &value, &mut theirs);
                    assert_eq!(ours, theirs, "{value:?}");
                    assert_eq!(always_len::<$codec, _>(number, value), ours.len());
                }
                for values in [&values[..], &values[..1], &[]] {
                    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
                    packed::<$codec, _>(number, values, &mut ours);
                    prost::$module::encode_packed(number, values, &mut theirs);
                    assert_eq!(ours, theirs);
                    assert_eq!(packed_len::<$codec, _>(number, values), ours.len());
                    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
                    repeated::<$codec, _>(number, values, &mut ours);
                    prost::$module::encode_repeated(number, values, &mut theirs);
                    assert_eq!(ours, theirs);
                    assert_eq!(repeated_len::<$codec, _>(number, values), ours.len());
                }
            }
        }
    )*};
}

as_prost! {
    int32_is_written_as_prost_does, Int32, int32: 0, 1, -1, 127, 128, i32::MAX, i32::MIN;
    int64_is_written_as_prost_does, Int64, int64: 0, 1, -1, 300, i64::MAX, i64::MIN;
    uint32_is_written_as_prost_does, Uint32, uint32: 0, 1, 300, u32::MAX;
    uint64_is_written_as_prost_does, Uint64, uint64: 0, 1, 300, u64::MAX;
    sint32_is_written_as_prost_does, Sint32, sint32: 0, 1, -1, 64, -65, i32::MAX, i32::MIN;
    sint64_is_written_as_prost_does, Sint64, sint64: 0, 1, -1, 64, -65, i64::MAX, i64::MIN;
    bool_is_written_as_prost_does, Bool, bool: false, true;
    fixed32_is_written_as_prost_does, Fixed32, fixed32: 0, 1, u32::MAX;
    fixed64_is_written_as_prost_does, Fixed64, fixed64: 0, 1, u64::MAX;
    sfixed32_is_written_as_prost_does, Sfixed32, sfixed32: 0, -1, i32::MIN;
    sfixed64_is_written_as_prost_does, Sfixed64, sfixed64: 0, -1, i64::MIN;
    float_is_written_as_prost_does, Float, float: 0.0, -0.0, 1.5, f32::MAX;
    double_is_written_as_prost_does, Double, double: 0.0, -0.0, 1.5, f64::MIN;
}

#[test]
fn strings_and_bytes_of_any_length_are_written_as_prost_does() {
    for number in [1, 15, 16, 1000] {
        for len in [0, 1, 127, 128, 20_000] {
            let text = "x".repeat(len);
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            always::<Str, _>(number, text.as_str(), &mut ours);
            prost::string::encode(number, &text, &mut theirs);
            assert_eq!(ours, theirs);
            assert_eq!(always_len::<Str, _>(number, text.as_str()), ours.len());
            let mut bytes = Vec::new();
            always::<Bytes, _>(number, text.as_bytes(), &mut bytes);
            assert_eq!(bytes, theirs);
            assert_eq!(always_len::<Bytes, _>(number, text.as_bytes()), theirs.len());
        }
    }
}

#[test]
fn a_map_leaves_out_default_keys_and_values_as_prost_does() {
    for (key, value) in [("", ""), ("k", ""), ("", "v"), ("k", "v")] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        map::<Str, Str, _, _>(6, &[(key, value)], &mut ours);
        let pairs = std::collections::HashMap::from([(key.to_owned(), value.to_owned())]);
        prost::hash_map::encode(
            prost::string::encode,
            prost::string::encoded_len,
            prost::string::encode,
            prost::string::encoded_len,
            6,
            &pairs,
            &mut theirs,
        );
        assert_eq!(ours, theirs);
        assert_eq!(map_len::<Str, Str, _, _>(6, &[(key, value)]), ours.len());
    }
}

#[test]
fn a_long_text_is_cut_between_characters() {
    for (text, max, expected) in
        [("abc", 3, "abc"), ("abcd", 3, "abc"), ("aéé", 4, "aé"), ("€", 2, ""), ("", 0, "")]
    {
        assert_eq!(cut(text, max), expected, "{text} {max}");
    }
    let before = cuts();
    assert_eq!((cut_counted("abc", 3), cut_counted("abc", 2)), ("abc", "ab"));
    assert!(cuts() > before);
}

#[test]
fn an_implicit_default_takes_no_bytes() {
    let mut out = Vec::new();
    string(1, "", &mut out);
    implicit::<Double, _>(2, -0.0, &mut out);
    implicit::<Bool, _>(3, false, &mut out);
    optional::<Int32, _>(4, None, &mut out);
    assert!(out.is_empty());
    assert_eq!(string_len(1, "") + implicit_len::<Int64, _>(2, 0) + optional_len::<Int32, _>(4, None), 0);
    optional::<Int32, _>(4, Some(0), &mut out);
    assert_eq!(out, [0x20, 0]);
}
