//! A schema of as many kinds of events as one wants, as people write them: comments, a nested enum, a message inside.

use std::fmt::Write as _;

/// Kinds of one category.
const PER_CATEGORY: usize = 100;

/// The text of a schema with `kinds` kinds of events.
pub(crate) fn schema(kinds: usize) -> String {
    let categories = kinds.div_ceil(PER_CATEGORY);
    let mut text = String::from(
        "syntax = \"proto3\";\n\npackage large;\n\nimport \"events/annotations.proto\";\nimport \"events/event_messages.proto\";\n\n",
    );
    text.push_str("enum EventCategory {\n  EVENT_CATEGORY_UNSPECIFIED = 0;\n");
    for one in 1..=categories {
        writeln!(text, "  EVENT_CATEGORY_AREA{one} = {one};").expect("a string takes all");
    }
    text.push_str(
        "}\n\nmessage Event {\n  option (rodent.events.envelope) = true;\n\n  string event_id = 1;\n  rodent.events.EventLevel level = 2;\n  \
         EventCategory category = 3;\n  string source = 4;\n  int64 timestamp = 5;\n  map<string, string> metadata = 6;\n  oneof event_payload {\n",
    );
    for one in 1..=categories {
        writeln!(text, "    Area{one}Event area{one}_event = {};", one + 9).expect("a string takes all");
    }
    text.push_str("  }\n}\n\n");
    for one in 1..=categories {
        writeln!(text, "message Area{one}Event {{\n  oneof event_type {{").expect("a string takes all");
        for kind in (one - 1) * PER_CATEGORY..(one * PER_CATEGORY).min(kinds) {
            writeln!(text, "    Area{one}Thing{kind}Payload thing{kind} = {};", kind % PER_CATEGORY + 1)
                .expect("a string takes all");
        }
        text.push_str("  }\n}\n\n");
    }
    for kind in 0..kinds {
        text.push_str(&payload(kind / PER_CATEGORY + 1, kind));
    }
    text
}

fn payload(area: usize, kind: usize) -> String {
    format!(
        "// Thing {kind} was changed.\n//\n// `INFO` when it worked, `ERROR` when not.\nmessage Area{area}Thing{kind}Payload {{\n  \
         option (rodent.events.event) = {{ source: \"thing-manager\", owner: \"things\", since: \"1.0\" }};\n\n  \
         // Its name, for example \"tank\".\n  string name = 1 [(rodent.events.field).required = true];\n  \
         // How large it is, bytes.\n  int64 size_bytes = 2 [(rodent.events.field).unit = \"bytes\"];\n  \
         // Where it lies.\n  repeated string devices = 3;\n  \
         // Who did it.\n  string user = 4 [(rodent.events.field).sensitivity = SENSITIVITY_PII];\n  \
         // What went wrong.\n  optional string error = 5 [(rodent.events.field).max_len = 1000];\n  \
         // How full it is, from 0 to 1.\n  double fill = 6;\n  \
         // What it is part of.\n  Thing{kind}Place place = 7;\n  \
         // What was done.\n  Thing{kind}Operation operation = 8 [(rodent.events.field).required = true];\n\n  \
         // What can be done.\n  enum Thing{kind}Operation {{\n    THING{kind}_OPERATION_UNSPECIFIED = 0;\n    \
         THING{kind}_OPERATION_CREATED = 1;\n    THING{kind}_OPERATION_REMOVED = 2;\n    THING{kind}_OPERATION_FAILED = 3;\n  }}\n\n  \
         // A place.\n  message Thing{kind}Place {{\n    // The rack.\n    string rack = 1;\n    // The slot in it.\n    uint32 slot = 2;\n  }}\n}}\n\n"
    )
}
