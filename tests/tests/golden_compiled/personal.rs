//! Personal data.

/// Personal data in fields.
pub mod sensitivity {
    include!("../../golden/sensitivity.rs");

    #[test]
    fn personal_data_does_not_show() {
        use payload::DemoPersonPayload;
        let person = DemoPersonPayload {
            id: 7,
            others: &["bob@example.org"],
            ..DemoPersonPayload::new("ann@example.org")
        };
        let shown = format!("{person:?}");
        assert_eq!(shown, "DemoPersonPayload { id: 7, email: <pii>, others: <pii> }");
        let read = crate::same::<_, proto::golden::sensitivity::DemoPersonPayload>(person);
        assert_eq!(read.email, "ann@example.org");
        assert_eq!(format!("{read:?}"), shown);
    }
}

/// Personal data in a oneof.
pub mod masked {
    include!("../../golden/masked.rs");

    #[test]
    fn personal_data_in_a_oneof_does_not_show() {
        use payload::{Who, WhoBy};
        let payload = Who { by: Some(WhoBy::Name("ann")) };
        assert_eq!(format!("{payload:?}"), "Who { by: Some(Name(<pii>)) }");
        let read = crate::same::<_, proto::golden::masked::Who>(payload);
        assert_eq!(format!("{read:?}"), "Who { by: Some(Name(<pii>)) }");
    }
}
