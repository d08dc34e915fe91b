//! The rules that one schema must keep.

use super::{Example, Rule};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "no-envelope",
        what: "One message of the files that are compiled is marked as the envelope.",
        why: "Everything is generated from its oneof; without it there is nothing to generate.",
        example: Example::Schema {
            bad: r"message Event {
  string event_id = 1;
}",
            good: r"message Event {
  option (rodent.events.envelope) = true;

  string event_id = 1;
  rodent.events.EventLevel level = 2;
  Category category = 3;
  string source = 4;
  int64 timestamp = 5;
  map<string, string> metadata = 6;
  oneof event_payload {
    DemoEvent demo_event = 10;
  }
}",
        },
    },
    Rule {
        name: "unusable-name",
        what: "A name leaves letters or digits to call a Rust item by.",
        why: "Rust has no item called `_`.",
        example: Example::Schema {
            bad: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  int32 _ = 1;
}"#,
            good: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  int32 blank = 1;
}"#,
        },
    },
    Rule {
        name: "unknown-rule",
        what: "What is allowed is the name of a warning.",
        why: "A name that is mistyped allows nothing, and an error cannot be allowed: no code would come of it.",
        example: Example::Schema {
            bad: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  string name = 1 [(rodent.events.allow_field) = "no-coment"];
}"#,
            good: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  string name = 1 [(rodent.events.allow_field) = "no-comment"];
}"#,
        },
    },
    Rule {
        name: "same-module",
        what: "A message with types inside and a package do not give the same Rust module.",
        why: "Both are modules in what prost writes, and two of one name do not compile.",
        example: Example::Schema {
            bad: r#"import "other.proto";
message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  demo.colour.Tone tone = 1;
  Colour colour = 2;
}
message Colour {
  oneof what {
    string name = 1;
  }
}
// other.proto:
syntax = "proto3";
package demo.colour;
message Tone {}"#,
            good: r#"import "other.proto";
message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  demo.colour.Tone tone = 1;
  Paint colour = 2;
}
message Paint {
  oneof what {
    string name = 1;
  }
}
// other.proto:
syntax = "proto3";
package demo.colour;
message Tone {}"#,
        },
    },
    Rule {
        name: "stray-payload",
        what: "Every message with the option `event`, or whose name ends in `Payload`, is listed by a category.",
        why: "No emitter is made of a payload that no oneof lists, and its author would look for it in vain.",
        example: Example::Schema {
            bad: r#"message DemoLostPayload {
  option (rodent.events.event) = { source: "demo" };
}"#,
            good: r"message DemoLost {
  string text = 1;
}",
        },
    },
    Rule {
        name: "misplaced-annotation",
        what: "Our options stand where they mean something: `field` on fields of payloads, `emitter` on fields of a category's \
               message, `event_level` on values of an operation, `severity` on levels.",
        why: "Elsewhere nobody looks at them: a field that is called a secret would be sent all the same.",
        example: Example::Schema {
            bad: r"message DemoEvent {
  oneof event_type {
    DemoPayload demo = 1 [(rodent.events.field).sensitivity = SENSITIVITY_SECRET];
  }
}",
            good: r"message DemoEvent {
  oneof event_type {
    DemoPayload demo = 1;
  }
}",
        },
    },
    Rule {
        name: "no-source",
        what: "A payload says which component reports it.",
        why: "Readers tell components apart by the event's source, and callers must not have to know it.",
        example: Example::Schema {
            bad: "message DemoPayload {}",
            good: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
}"#,
        },
    },
    Rule {
        name: "unknown-level",
        what: "A fixed level is one of the level enum, without the enum's name.",
        why: "The event would have no level that any filter knows.",
        example: Example::Schema {
            bad: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo", level: "INFOO" };
}"#,
            good: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo", level: "INFO" };
}"#,
        },
    },
    Rule {
        name: "emitter-name",
        what: "An emitter's name begins with its category, and is in snake case.",
        why: "Who types `emit_storage_` is shown every event of storage.",
        example: Example::Schema {
            bad: r#"message DemoPayload {
  option (rodent.events.event) = { name: "other", source: "demo" };
}"#,
            good: r#"message DemoPayload {
  option (rodent.events.event) = { name: "demo_other", source: "demo" };
}"#,
        },
    },
    Rule {
        name: "operation-required",
        what: "A field called `operation` is required.",
        why: "An event that does not say what was done says nothing.",
        example: Example::Schema {
            bad: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  string operation = 1;
}"#,
            good: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  string operation = 1 [(rodent.events.field).required = true];
}"#,
        },
    },
    Rule {
        name: "envelope-field",
        what: "The envelope has the fields that the runtime writes, with their numbers, names and types.",
        why: "Every event is stamped with id, level, category, source, time and metadata; a reader expects them there.",
        example: Example::Schema {
            bad: r"message Event {
  option (rodent.events.envelope) = true;

  string id = 1;
  rodent.events.EventLevel level = 2;
  Category category = 3;
  string source = 4;
  int64 timestamp = 5;
  map<string, string> metadata = 6;
  oneof event_payload {
    DemoEvent demo_event = 10;
  }
}",
            good: r"message Event {
  option (rodent.events.envelope) = true;

  string event_id = 1;
  rodent.events.EventLevel level = 2;
  Category category = 3;
  string source = 4;
  int64 timestamp = 5;
  map<string, string> metadata = 6;
  oneof event_payload {
    DemoEvent demo_event = 10;
  }
}",
        },
    },
    Rule {
        name: "envelope-oneof",
        what: "The envelope has exactly one oneof, whose fields are the categories.",
        why: "An event is of one category.",
        example: Example::Schema {
            bad: r"message Event {
  option (rodent.events.envelope) = true;

  string event_id = 1;
  rodent.events.EventLevel level = 2;
  Category category = 3;
  string source = 4;
  int64 timestamp = 5;
  map<string, string> metadata = 6;
  oneof event_payload {
    DemoEvent demo_event = 10;
  }
  oneof other {
    string text = 11;
  }
}",
            good: r"message Event {
  option (rodent.events.envelope) = true;

  string event_id = 1;
  rodent.events.EventLevel level = 2;
  Category category = 3;
  string source = 4;
  int64 timestamp = 5;
  map<string, string> metadata = 6;
  oneof event_payload {
    DemoEvent demo_event = 10;
  }
}",
        },
    },
    Rule {
        name: "category-shape",
        what: "A category is a message, and all of its fields are messages inside one oneof.",
        why: "A field beside the oneof could be set for any event, and a scalar has no name to emit it by.",
        example: Example::Schema {
            bad: r"message DemoEvent {
  oneof event_type {
    DemoPayload demo = 1;
  }
  string beside = 2;
}",
            good: r"message DemoEvent {
  oneof event_type {
    DemoPayload demo = 1;
  }
}",
        },
    },
    Rule {
        name: "unknown-category",
        what: "For every category field of the envelope, `storage_event`, the category enum has the value, `…_STORAGE`.",
        why: "The event's category is that value.",
        example: Example::Schema {
            bad: r"enum Category {
  CATEGORY_UNSPECIFIED = 0;
  CATEGORY_DEMMO = 1;
}",
            good: r"enum Category {
  CATEGORY_UNSPECIFIED = 0;
  CATEGORY_DEMO = 1;
}",
        },
    },
    Rule {
        name: "category-number",
        what: "A category has a number from 1 to 63.",
        why: "Filters are one bit per category in a word of 64, and 0 is no category.",
        example: Example::Schema {
            bad: r"enum Category {
  CATEGORY_UNSPECIFIED = 0;
  CATEGORY_DEMO = 64;
}",
            good: r"enum Category {
  CATEGORY_UNSPECIFIED = 0;
  CATEGORY_DEMO = 63;
}",
        },
    },
    Rule {
        name: "enum-zero",
        what: "The value 0 of an enum is named `…_UNSPECIFIED`.",
        why: "On the wire 0 is the same as nothing said, and no Rust value stands for it.",
        example: Example::Schema {
            bad: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  Kind kind = 1;

  enum Kind {
    KIND_FULL = 0;
    KIND_DELTA = 1;
  }
}"#,
            good: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  Kind kind = 1;

  enum Kind {
    KIND_UNSPECIFIED = 0;
    KIND_FULL = 1;
    KIND_DELTA = 2;
  }
}"#,
        },
    },
    Rule {
        name: "empty-enum",
        what: "An enum has a value besides the unspecified one.",
        why: "A Rust enum without variants can never be given.",
        example: Example::Schema {
            bad: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  Kind kind = 1;

  enum Kind {
    KIND_UNSPECIFIED = 0;
  }
}"#,
            good: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  Kind kind = 1;

  enum Kind {
    KIND_UNSPECIFIED = 0;
    KIND_FULL = 1;
  }
}"#,
        },
    },
    Rule {
        name: "same-name",
        what: "Fields of a message, and values of an enum, have different names in Rust.",
        why: "Names are written in Rust's case there, and the enum's name before its values is left out.",
        example: Example::Schema {
            bad: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  Kind kind = 1;

  enum Kind {
    KIND_UNSPECIFIED = 0;
    KIND_FULL = 1;
    FULL = 2;
  }
}"#,
            good: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  Kind kind = 1;

  enum Kind {
    KIND_UNSPECIFIED = 0;
    KIND_FULL = 1;
    KIND_WHOLE = 2;
  }
}"#,
        },
    },
    Rule {
        name: "same-type",
        what: "Messages and enums of payloads have different names in Rust.",
        why: "They stand side by side in the module `payload`.",
        example: Example::Schema {
            bad: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  Kind kind = 1;
  KIND other = 2;

  enum Kind {
    KIND_UNSPECIFIED = 0;
    KIND_FULL = 1;
  }
  enum KIND {
    OTHER_UNSPECIFIED = 0;
    OTHER_FULL = 1;
  }
}"#,
            good: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  Kind kind = 1;
  Sort other = 2;

  enum Kind {
    KIND_UNSPECIFIED = 0;
    KIND_FULL = 1;
  }
  enum Sort {
    SORT_UNSPECIFIED = 0;
    SORT_FULL = 1;
  }
}"#,
        },
    },
    Rule {
        name: "same-emitter",
        what: "Every event has an emitter of its own.",
        why: "Two functions cannot have one name.",
        example: Example::Schema {
            bad: r"message DemoEvent {
  oneof event_type {
    DemoPayload demo = 1;
    DemoPayload again = 2;
  }
}",
            good: r#"message DemoEvent {
  oneof event_type {
    DemoPayload demo = 1;
    DemoPayload again = 2 [(rodent.events.emitter) = { name: "demo_again" }];
  }
}"#,
        },
    },
    Rule {
        name: "no-severity",
        what: "Every level says how severe it is.",
        why: "The numbers of levels are not in the order of severity, and filters compare.",
        example: Example::Schema {
            bad: r"enum EventLevel {
  EVENT_LEVEL_UNSPECIFIED = 0;
  EVENT_LEVEL_INFO = 1 [(severity) = 1];
  EVENT_LEVEL_WARN = 2;
}",
            good: r"enum EventLevel {
  EVENT_LEVEL_UNSPECIFIED = 0;
  EVENT_LEVEL_INFO = 1 [(severity) = 1];
  EVENT_LEVEL_WARN = 2 [(severity) = 2];
}",
        },
    },
    Rule {
        name: "severity-range",
        what: "A severity is a number from 1 to 7.",
        why: "The runtime keeps the levels of a category in the bits of one byte.",
        example: Example::Schema {
            bad: r"enum EventLevel {
  EVENT_LEVEL_UNSPECIFIED = 0;
  EVENT_LEVEL_INFO = 1 [(severity) = 1];
  EVENT_LEVEL_WARN = 2 [(severity) = 8];
}",
            good: r"enum EventLevel {
  EVENT_LEVEL_UNSPECIFIED = 0;
  EVENT_LEVEL_INFO = 1 [(severity) = 1];
  EVENT_LEVEL_WARN = 2 [(severity) = 7];
}",
        },
    },
    Rule {
        name: "same-severity",
        what: "No two levels are equally severe.",
        why: "A filter by level must know which of two is higher.",
        example: Example::Schema {
            bad: r"enum EventLevel {
  EVENT_LEVEL_UNSPECIFIED = 0;
  EVENT_LEVEL_INFO = 1 [(severity) = 1];
  EVENT_LEVEL_WARN = 2 [(severity) = 1];
}",
            good: r"enum EventLevel {
  EVENT_LEVEL_UNSPECIFIED = 0;
  EVENT_LEVEL_INFO = 1 [(severity) = 1];
  EVENT_LEVEL_WARN = 2 [(severity) = 2];
}",
        },
    },
    Rule {
        name: "unsupported-field",
        what: "A payload's field has a type that the generator has Rust for.",
        why: "Of protobuf's own types an event carries values; those that describe schemas belong to compilers.",
        example: Example::Schema {
            bad: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  google.protobuf.Api interface = 1;
}"#,
            good: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  string text = 1;
}"#,
        },
    },
    Rule {
        name: "secret-field",
        what: "No field of a payload is marked `SENSITIVITY_SECRET`.",
        why: "Events are stored, sent and shown; an identifier of the secret is enough to speak of it.",
        example: Example::Schema {
            bad: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  string token = 1 [(rodent.events.field).sensitivity = SENSITIVITY_SECRET];
}"#,
            good: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  string key_id = 1;
}"#,
        },
    },
    Rule {
        name: "required-field",
        what: "Lists, maps, messages that hold themselves and empty ones are not required.",
        why: "An empty list cannot be told from none, and a message that must hold itself would never end.",
        example: Example::Schema {
            bad: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  repeated string names = 1 [(rodent.events.field).required = true];
}"#,
            good: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  repeated string names = 1;
}"#,
        },
    },
    Rule {
        name: "value-level",
        what: "Of an enum either every value says its event's level, or none does.",
        why: "A value without one would leave its event without a level.",
        example: Example::Schema {
            bad: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  Operation operation = 1 [(rodent.events.field).required = true];

  enum Operation {
    OPERATION_UNSPECIFIED = 0;
    OPERATION_DONE = 1 [(rodent.events.event_level) = "INFO"];
    OPERATION_FAILED = 2;
  }
}"#,
            good: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  Operation operation = 1 [(rodent.events.field).required = true];

  enum Operation {
    OPERATION_UNSPECIFIED = 0;
    OPERATION_DONE = 1 [(rodent.events.event_level) = "INFO"];
    OPERATION_FAILED = 2 [(rodent.events.event_level) = "ERROR"];
  }
}"#,
        },
    },
    Rule {
        name: "level-by-operation",
        what: "A level `BY_OPERATION` needs a required field `operation`, whose values say levels.",
        why: "The level is that of the operation's value.",
        example: Example::Schema {
            bad: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo", level: "BY_OPERATION" };
}"#,
            good: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo", level: "BY_OPERATION" };
  Operation operation = 1 [(rodent.events.field).required = true];

  enum Operation {
    OPERATION_UNSPECIFIED = 0;
    OPERATION_DONE = 1 [(rodent.events.event_level) = "INFO"];
    OPERATION_FAILED = 2 [(rodent.events.event_level) = "ERROR"];
  }
}"#,
        },
    },
    Rule {
        name: "secret-name",
        what: "A text whose name smells of a secret says how sensitive it is.",
        why: "A password that nobody thought of is the one that leaks.",
        example: Example::Schema {
            bad: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  string password = 1;
}"#,
            good: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  string password = 1 [(rodent.events.field).sensitivity = SENSITIVITY_PUBLIC];
}"#,
        },
    },
    Rule {
        name: "max-len",
        what: "Only a single `string` outside of oneofs has a `max_len`.",
        why: "Nothing else can be cut and still be what it was.",
        example: Example::Schema {
            bad: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  bytes blob = 1 [(rodent.events.field).max_len = 8];
}"#,
            good: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  string text = 1 [(rodent.events.field).max_len = 8];
}"#,
        },
    },
];
