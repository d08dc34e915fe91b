//! The rules of protobuf itself. A file that breaks one is not read further; the others are.

use super::{Example, Rule};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "proto-syntax",
        what: "A file is written in the language of protobuf, proto3 or proto2.",
        why: "Nothing can be said of a schema that cannot be read.",
        example: Example::Schema {
            bad: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  string name = 1
  string note = 2;
}"#,
            good: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  string name = 1;
  string note = 2;
}"#,
        },
    },
    Rule {
        name: "proto-name",
        what: "Types and options that are named are defined in the file, or in one that it imports.",
        why: "A field of an unknown type has no encoding.",
        example: Example::Schema {
            bad: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  strin name = 1;
}"#,
            good: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  string name = 1;
}"#,
        },
    },
    Rule {
        name: "proto-number",
        what: "Numbers of fields and values are in protobuf's range, not reserved, and used once.",
        why: "The number is all of a field that travels.",
        example: Example::Schema {
            bad: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  string name = 1;
  string note = 1;
}"#,
            good: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  string name = 1;
  string note = 2;
}"#,
        },
    },
    Rule {
        name: "proto-duplicate",
        what: "A name is defined once.",
        why: "Nobody could tell which of two is meant.",
        example: Example::Schema {
            bad: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  string name = 1;
  string name = 2;
}"#,
            good: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  string name = 1;
  string note = 2;
}"#,
        },
    },
    Rule {
        name: "proto-option",
        what: "An option is there, belongs where it stands, and has the keys and values that it is declared with.",
        why: "An option that is mistyped would quietly say nothing.",
        example: Example::Schema {
            bad: r#"message DemoPayload {
  option (rodent.events.event) = { sorce: "demo" };
}"#,
            good: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
}"#,
        },
    },
    Rule {
        name: "proto-import",
        what: "What is imported is found, once, and does not import the file itself.",
        why: "A type of a file that is not there has no encoding.",
        example: Example::Schema {
            bad: r#"import "google/protobuf/timestamps.proto";
message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  google.protobuf.Timestamp seen = 1;
}"#,
            good: r#"import "google/protobuf/timestamp.proto";
message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  google.protobuf.Timestamp seen = 1;
}"#,
        },
    },
    Rule {
        name: "proto-file",
        what: "The files that are asked for can be read, and lie below an include directory.",
        why: "The name of a file, as others import it, is its path below that directory.",
        example: Example::Words {
            bad: "`Builder::compile(&[\"acme.proto\"], &[\"proto\"])`, and the file is in `schemas`.",
            good: "`Builder::compile(&[\"acme.proto\"], &[\"schemas\"])`",
        },
    },
    Rule {
        name: "proto",
        what: "The file is valid protobuf in every other respect.",
        why: "Nothing can be said of a schema that cannot be read.",
        example: Example::Schema {
            bad: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  enum Kind {}
}"#,
            good: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  enum Kind {
    KIND_UNSPECIFIED = 0;
  }
}"#,
        },
    },
];
