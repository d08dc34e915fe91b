//! The rules whose breach is a warning. Each can be allowed where it is not wanted: for a file, a message, a field, a oneof
//! or an enum, and all that is inside.

use super::{Example, Rule};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "no-comment",
        what: "Messages of payloads and their fields have a comment.",
        why: "It becomes the documentation of the emitter, and all that the reader of an event has to go by.",
        example: Example::Schema {
            bad: r#"// Something was shown.
message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  string name = 1;
}"#,
            good: r#"// Something was shown.
message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  // What was shown.
  string name = 1;
}"#,
        },
    },
    Rule {
        name: "no-unit",
        what: "A number whose name says that it measures something says in which unit.",
        why: "A size of 5 is 5 bytes to one reader and 5 MiB to another.",
        example: Example::Schema {
            bad: r#"// Something was shown.
message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  // How much of it there was.
  int64 size = 1;
}"#,
            good: r#"// Something was shown.
message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  // How much of it there was.
  int64 size = 1 [(rodent.events.field).unit = "bytes"];
}"#,
        },
    },
    Rule {
        name: "no-owner",
        what: "Where one event of a schema has an owner, every event has one.",
        why: "Who is woken by an event asks who looks after it.",
        example: Example::Schema {
            bad: r#"message DemoEvent {
  oneof event_type {
    DemoPayload demo = 1;
    DemoOtherPayload other = 2;
  }
}
// Something was shown.
message DemoPayload {
  option (rodent.events.event) = { source: "demo", owner: "stage" };
}
// Something else was shown.
message DemoOtherPayload {
  option (rodent.events.event) = { source: "demo" };
}"#,
            good: r#"message DemoEvent {
  oneof event_type {
    DemoPayload demo = 1;
    DemoOtherPayload other = 2;
  }
}
// Something was shown.
message DemoPayload {
  option (rodent.events.event) = { source: "demo", owner: "stage" };
}
// Something else was shown.
message DemoOtherPayload {
  option (rodent.events.event) = { source: "demo", owner: "stage" };
}"#,
        },
    },
    Rule {
        name: "deprecated-hint",
        what: "The comment of what is deprecated says what to use instead.",
        why: "The compiler shows the comment to those who still use it, and to nobody else.",
        example: Example::Schema {
            bad: r#"// Something was shown.
message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  // What was shown.
  string name = 1 [deprecated = true];
}"#,
            good: r#"// Something was shown.
message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  // What was shown. Deprecated: use `names` instead.
  string name = 1 [deprecated = true];
}"#,
        },
    },
    Rule {
        name: "name-style",
        what: "Messages and enums are in Pascal case, fields in snake case, values of enums in capitals.",
        why: "Names in Rust and in JSON are made from these, and those of another style come out odd.",
        example: Example::Schema {
            bad: r#"// Something was shown.
message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  // What was shown.
  string shownName = 1;
}"#,
            good: r#"// Something was shown.
message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  // What was shown.
  string shown_name = 1;
}"#,
        },
    },
    Rule {
        name: "value-prefix",
        what: "The values of an enum begin with its name.",
        why: "In protobuf they stand beside the enum, not inside it, so two enums cannot both have a value `FULL`.",
        example: Example::Schema {
            bad: r#"// Something was shown.
message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  // How it was shown.
  Kind kind = 1;

  enum Kind {
    KIND_UNSPECIFIED = 0;
    FULL = 1;
  }
}"#,
            good: r#"// Something was shown.
message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  // How it was shown.
  Kind kind = 1;

  enum Kind {
    KIND_UNSPECIFIED = 0;
    KIND_FULL = 1;
  }
}"#,
        },
    },
    Rule {
        name: "unused-import",
        what: "A file uses something of every file that it imports.",
        why: "Who reads it looks for what is not there, and it is built again with every change of that file.",
        example: Example::Schema {
            bad: r#"import "google/protobuf/duration.proto";
// Something was shown.
message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
}"#,
            good: r#"// Something was shown.
message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
}"#,
        },
    },
    Rule {
        name: "unused-allow",
        what: "What allows a warning stands where there is one.",
        why: "It would hide the next one, which nobody has looked at.",
        example: Example::Schema {
            bad: r#"// Something was shown.
message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  // What was shown.
  string name = 1 [(rodent.events.allow_field) = "no-comment"];
}"#,
            good: r#"// Something was shown.
message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  // What was shown.
  string name = 1;
}"#,
        },
    },
];
