//! The rules that a changed schema must keep toward what was accepted before.

use super::{Example, Rule};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "field-removed",
        what: "A field that is removed leaves its number and its name reserved.",
        why: "The next field would get the number, and what is on disk would be read as it.",
        example: Example::Change {
            before: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  string name = 1;
  string note = 2;
}"#,
            bad: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  string name = 1;
}"#,
            good: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  reserved 2;
  reserved "note";
  string name = 1;
}"#,
        },
    },
    Rule {
        name: "field-renamed",
        what: "A field keeps its name.",
        why: "Callers write it, and so does whoever reads events as JSON; and a new name is how a number is used twice.",
        example: Example::Change {
            before: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  string name = 1;
  string note = 2;
}"#,
            bad: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  string name = 1;
  string remark = 2;
}"#,
            good: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  string name = 1;
  string note = 2;
}"#,
        },
    },
    Rule {
        name: "field-renumbered",
        what: "A field keeps its number.",
        why: "The number is all of it that travels.",
        example: Example::Change {
            before: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  string name = 1;
  string note = 2;
}"#,
            bad: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  string name = 1;
  string note = 3;
}"#,
            good: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  string name = 1;
  string note = 2;
}"#,
        },
    },
    Rule {
        name: "field-type",
        what: "A field keeps its type.",
        why: "Bytes of one type are read as another, or not at all.",
        example: Example::Change {
            before: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  string name = 1;
  string note = 2;
}"#,
            bad: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  string name = 1;
  bytes note = 2;
}"#,
            good: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  string name = 1;
  string note = 2;
  bytes more = 3;
}"#,
        },
    },
    Rule {
        name: "field-label",
        what: "A field stays single, optional or repeated.",
        why: "One value and many are read differently, and Rust has other types for them.",
        example: Example::Change {
            before: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  string name = 1;
  string note = 2;
}"#,
            bad: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  string name = 1;
  repeated string note = 2;
}"#,
            good: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  string name = 1;
  string note = 2;
  repeated string notes = 3;
}"#,
        },
    },
    Rule {
        name: "number-reused",
        what: "A number or a name that was used is never used for something else.",
        why: "What is on disk and what older versions send is read as what it is not.",
        example: Example::Change {
            before: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  string name = 1;
  string note = 2;
}"#,
            bad: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  string name = 1;
  int64 count = 2;
}"#,
            good: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  reserved 2;
  reserved "note";
  string name = 1;
  int64 count = 3;
}"#,
        },
    },
    Rule {
        name: "oneof-moved",
        what: "A field of a oneof stays in it, one outside stays outside, and a oneof keeps its name.",
        why: "A oneof holds one field at a time: a reader drops what was set beside it. Its name travels nowhere, but code \
              writes it.",
        example: Example::Change {
            before: r"message Plain {
  string a = 1;
  string b = 2;
}",
            bad: r"message Plain {
  oneof one {
    string a = 1;
    string b = 2;
  }
}",
            good: r"message Plain {
  string a = 1;
  string b = 2;
  oneof one {
    string c = 3;
    string d = 4;
  }
}",
        },
    },
    Rule {
        name: "reserved-dropped",
        what: "What is reserved stays reserved.",
        why: "What once used it is still on disk somewhere.",
        example: Example::Change {
            before: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  reserved 5;
  string name = 1;
}"#,
            bad: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  string name = 1;
}"#,
            good: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  reserved 5, 6;
  string name = 1;
}"#,
        },
    },
    Rule {
        name: "required-changed",
        what: "A field stays required or not, and a new field of an old message is not.",
        why: "Required fields are the arguments of the payload's `new`: every call would have to change. What proto2 calls \
              `required`, readers of another version refuse to be without.",
        example: Example::Change {
            before: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  string name = 1;
  string note = 2;
}"#,
            bad: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  string name = 1;
  string note = 2;
  string more = 3 [(rodent.events.field).required = true];
}"#,
            good: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  string name = 1;
  string note = 2;
  string more = 3;
}"#,
        },
    },
    Rule {
        name: "sensitivity-changed",
        what: "A field stays as sensitive as it was.",
        why: "It would be shown where it was masked, or masked where somebody reads it.",
        example: Example::Change {
            before: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  string name = 1 [(rodent.events.field).sensitivity = SENSITIVITY_PII];
}"#,
            bad: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  string name = 1;
}"#,
            good: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  string name = 1 [(rodent.events.field).sensitivity = SENSITIVITY_PII];
  string pool = 2;
}"#,
        },
    },
    Rule {
        name: "annotation-changed",
        what: "An annotation stays as it was, and so does what proto2 takes for the default of a field.",
        why: "It travels nowhere, but events are treated and read by it.",
        example: Example::Change {
            before: r"enum EventLevel {
  EVENT_LEVEL_UNSPECIFIED = 0;
  EVENT_LEVEL_INFO = 1 [(severity) = 1];
  EVENT_LEVEL_WARN = 2 [(severity) = 2];
}",
            bad: r"enum EventLevel {
  EVENT_LEVEL_UNSPECIFIED = 0;
  EVENT_LEVEL_INFO = 1 [(severity) = 1];
  EVENT_LEVEL_WARN = 2 [(severity) = 3];
}",
            good: r"enum EventLevel {
  EVENT_LEVEL_UNSPECIFIED = 0;
  EVENT_LEVEL_INFO = 1 [(severity) = 1];
  EVENT_LEVEL_WARN = 2 [(severity) = 2];
}",
        },
    },
    Rule {
        name: "value-removed",
        what: "A value that is removed from an enum leaves its number and its name reserved.",
        why: "The next value would get the number.",
        example: Example::Change {
            before: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  Kind kind = 1;

  enum Kind {
    KIND_UNSPECIFIED = 0;
    KIND_FULL = 1;
    KIND_DELTA = 2;
  }
}"#,
            bad: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  Kind kind = 1;

  enum Kind {
    KIND_UNSPECIFIED = 0;
    KIND_FULL = 1;
  }
}"#,
            good: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  Kind kind = 1;

  enum Kind {
    KIND_UNSPECIFIED = 0;
    reserved 2;
    reserved "KIND_DELTA";
    KIND_FULL = 1;
  }
}"#,
        },
    },
    Rule {
        name: "value-renumbered",
        what: "A value of an enum keeps its number.",
        why: "The number is all of it that travels.",
        example: Example::Change {
            before: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  Kind kind = 1;

  enum Kind {
    KIND_UNSPECIFIED = 0;
    KIND_FULL = 1;
  }
}"#,
            bad: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  Kind kind = 1;

  enum Kind {
    KIND_UNSPECIFIED = 0;
    KIND_FULL = 2;
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
        name: "type-removed",
        what: "A message or an enum that nothing else holds keeps its name.",
        why: "Whoever reads it wrote its name down.",
        example: Example::Change {
            before: r"message Note {
  string text = 1;
}",
            bad: "",
            good: r"message Note {
  option deprecated = true;
  string text = 1;
}",
        },
    },
    Rule {
        name: "event-moved",
        what: "An event stays under its number in its category.",
        why: "The numbers on the way to it are how a reader knows what it is.",
        example: Example::Change {
            before: r"message DemoEvent {
  oneof event_type {
    DemoPayload demo = 1;
  }
}",
            bad: r"message DemoEvent {
  oneof event_type {
    DemoPayload demo = 2;
  }
}",
            good: r"message DemoEvent {
  oneof event_type {
    DemoPayload demo = 1 [deprecated = true];
  }
}",
        },
    },
    Rule {
        name: "emitter-renamed",
        what: "An emitter keeps its name.",
        why: "Callers call it.",
        example: Example::Change {
            before: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
}"#,
            bad: r#"message DemoPayload {
  option (rodent.events.event) = { name: "demo_done", source: "demo" };
}"#,
            good: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
}"#,
        },
    },
    Rule {
        name: "category-changed",
        what: "An event keeps its category and the category its number.",
        why: "Filters and readers tell events apart by it.",
        example: Example::Change {
            before: r"enum Category {
  CATEGORY_UNSPECIFIED = 0;
  CATEGORY_DEMO = 1;
}",
            bad: r"enum Category {
  CATEGORY_UNSPECIFIED = 0;
  CATEGORY_DEMO = 2;
}",
            good: r"enum Category {
  CATEGORY_UNSPECIFIED = 0;
  CATEGORY_DEMO = 1;
  CATEGORY_MORE = 2;
}",
        },
    },
    Rule {
        name: "source-changed",
        what: "An event keeps its source.",
        why: "Readers tell components apart by it.",
        example: Example::Change {
            before: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
}"#,
            bad: r#"message DemoPayload {
  option (rodent.events.event) = { source: "agent" };
}"#,
            good: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
}"#,
        },
    },
    Rule {
        name: "level-changed",
        what: "A fixed level stays fixed at what it is, and the caller's stays the caller's.",
        why: "Filters go by level, and a fixed one is no parameter.",
        example: Example::Change {
            before: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo", level: "INFO" };
}"#,
            bad: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo", level: "WARN" };
}"#,
            good: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo", level: "INFO" };
}"#,
        },
    },
    Rule {
        name: "method-changed",
        what: "A method of a service stays, with what it takes and gives.",
        why: "Client and server are not updated in one instant.",
        example: Example::Change {
            before: r"service Notes {
  rpc Send(DemoPayload) returns (DemoPayload);
}",
            bad: r"service Notes {
  rpc Send(DemoPayload) returns (stream DemoPayload);
}",
            good: r"service Notes {
  rpc Send(DemoPayload) returns (DemoPayload);
  rpc SendAll(DemoPayload) returns (stream DemoPayload);
}",
        },
    },
    Rule {
        name: "added",
        what: "Something is new and breaks nothing: a note.",
        why: "It is a promise from now on, so it is accepted knowingly.",
        example: Example::Change {
            before: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  string name = 1;
  string note = 2;
}"#,
            bad: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  string name = 1;
  string note = 2;
  string more = 3;
}"#,
            good: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  string name = 1;
  string note = 2;
}"#,
        },
    },
    Rule {
        name: "retired",
        what: "Something is gone and its number and its name are reserved: a note.",
        why: "What was sent is still read, and nothing else will be taken for it. What sets it no longer compiles, which is \
              told, but is not held against a removal that was prepared.",
        example: Example::Change {
            before: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  string name = 1;
  string note = 2;
}"#,
            bad: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  reserved 2;
  reserved "note";
  string name = 1;
}"#,
            good: r#"message DemoPayload {
  option (rodent.events.event) = { source: "demo" };
  string name = 1;
  string note = 2;
}"#,
        },
    },
];
