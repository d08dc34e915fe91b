//! Fields that hold one value: numbers, texts, bytes, and those that may be absent.

/// Numbers of as many bytes as they need.
pub mod varints {
    include!("../../golden/varints.rs");

    #[test]
    fn varints_are_encoded_as_prost_does() {
        use payload::DemoVarintsPayload;
        type Wire = proto::golden::varints::DemoVarintsPayload;
        crate::same::<_, Wire>(DemoVarintsPayload::default());
        crate::same::<_, Wire>(DemoVarintsPayload {
            int32: -1,
            int64: i64::MIN,
            uint32: u32::MAX,
            uint64: u64::MAX,
            sint32: i32::MIN,
            sint64: -7,
            bool: true,
        });
    }
}

/// Numbers that always have the same number of bytes.
pub mod fixed {
    include!("../../golden/fixed.rs");

    #[test]
    fn fixed_numbers_are_encoded_as_prost_does() {
        use payload::DemoFixedPayload;
        type Wire = proto::golden::fixed::DemoFixedPayload;
        crate::same::<_, Wire>(DemoFixedPayload::default());
        for (double, float) in [(1.5, -0.25), (f64::INFINITY, -0.0), (-0.0, f32::NEG_INFINITY)] {
            crate::same::<_, Wire>(DemoFixedPayload {
                double,
                float,
                fixed32: 7,
                fixed64: 8,
                sfixed32: -9,
                sfixed64: -10,
            });
        }
    }
}

/// Texts and bytes.
pub mod texts {
    include!("../../golden/texts.rs");

    #[test]
    fn texts_and_bytes_are_encoded_as_prost_does() {
        use payload::DemoTextsPayload;
        type Wire = proto::golden::texts::DemoTextsPayload;
        crate::same::<_, Wire>(DemoTextsPayload::default());
        let read: Wire = crate::same(DemoTextsPayload { string: "é", bytes: &[0, 255] });
        assert_eq!((read.string.as_str(), read.bytes.as_slice()), ("é", &[0, 255][..]));
    }
}

/// Fields whose absence can be told from zero.
pub mod optional {
    include!("../../golden/optional.rs");

    #[test]
    fn what_is_there_and_zero_is_encoded_and_what_is_absent_is_not() {
        use payload::DemoOptionalPayload;
        type Wire = proto::golden::optional::DemoOptionalPayload;
        let none: Wire = crate::same(DemoOptionalPayload::default());
        assert_eq!((none.number, none.plain), (None, 0));
        let zero: Wire =
            crate::same(DemoOptionalPayload { number: Some(0), text: Some(""), blob: Some(&[]), plain: 0 });
        assert_eq!((zero.number, zero.text.as_deref()), (Some(0), Some("")));
        crate::same::<_, Wire>(DemoOptionalPayload {
            number: Some(3),
            text: Some("some"),
            blob: Some(&[1]),
            plain: 4,
        });
    }
}
