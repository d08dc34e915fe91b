//! The lock file: what it notices, what it lets pass, and that ours is current.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use events_codegen::{Builder, Change, Contract, ErrorKind};

const SCHEMA: &str = r#"syntax = "proto3";
package acme;
import "events/annotations.proto";
import "events/event_messages.proto";
enum Category { CATEGORY_UNSPECIFIED = 0; CATEGORY_BACKUP = 1; CATEGORY_OTHER = 2; }
message Event {
  option (rodent.events.envelope) = true;
  string event_id = 1;
  rodent.events.EventLevel level = 2;
  Category category = 3;
  string source = 4;
  int64 timestamp = 5;
  map<string, string> metadata = 6;
  oneof event_payload { BackupEvent backup_event = 10; OtherEvent other_event = 11; }
}
message BackupEvent { oneof event_type { BackupPayload backup = 1; BackupDonePayload done = 2; } }
message OtherEvent { oneof event_type { OtherPayload other = 1; } }
message BackupPayload {
  option (rodent.events.event) = { source: "acme" };
  reserved 20, 30 to 39;
  string name = 1;
  int64 bytes = 2;
  Kind kind = 3;
  string owner = 4 [(rodent.events.field).sensitivity = SENSITIVITY_PII];
  repeated int32 parts = 5;
  enum Kind { KIND_UNSPECIFIED = 0; KIND_FULL = 1; KIND_DELTA = 2; }
}
message BackupDonePayload {
  option (rodent.events.event) = { source: "acme", level: "INFO" };
  string name = 1 [(rodent.events.field).required = true];
}
message OtherPayload { option (rodent.events.event) = { source: "other; \\ one" }; }
service Backups { rpc Send(Event) returns (stream Event); }
"#;

fn contract(schema: &str) -> Contract {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("acme.proto"), schema).unwrap();
    Builder::new().contract(&["acme.proto"], &[folder.path()]).unwrap()
}

fn changes(from: &str, to: &str) -> Vec<Change> {
    assert!(SCHEMA.contains(from), "{from}");
    let accepted = Contract::parse("acme.lock", &contract(SCHEMA).to_string()).unwrap();
    accepted.changes(&contract(&SCHEMA.replacen(from, to, 1)))
}

fn proto() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto")
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_events-codegen")).current_dir(folder).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_committed_lock_is_what_our_schema_promises() {
    let now = Builder::new().contract(&["base.proto", "events/event_messages.proto"], &[proto()]).unwrap();
    let committed = fs::read_to_string(proto().join("events.lock")).unwrap();
    let accepted = Contract::parse("proto/events.lock", &committed).unwrap();
    let changes: Vec<String> = accepted.changes(&now).iter().map(ToString::to_string).collect();
    assert!(changes.is_empty(), "{}", changes.join("\n"));
    assert_eq!(committed, now.to_string(), "write it anew with `events-codegen accept`, see CONTRIBUTING.md");
}

#[test]
fn a_lock_file_says_all_that_it_is_told() {
    let text = contract(SCHEMA).to_string();
    let back = Contract::parse("acme.lock", &text).unwrap();
    assert_eq!(back.to_string(), text);
    assert!(back.changes(&contract(SCHEMA)).is_empty());
    for line in [
        "event acme.Event 10.2",
        "  level INFO",
        "  1 name: string; required = true",
        "  4 owner: string; sensitivity = SENSITIVITY_PII",
        "  10 backup_event: acme.BackupEvent; oneof event_payload",
        "  6 metadata: map<string, string>",
        "  reserved 30 to 39",
        "  (acme.Event) returns (stream acme.Event)",
    ] {
        assert!(text.lines().any(|one| one == line), "{line}\n{text}");
    }
}

#[test]
fn every_break_is_told_once_with_its_line_and_what_it_breaks() {
    for (from, to, rule, breaks) in [
        ("string name = 1;", "", "field-removed", "wire, source"),
        ("string name = 1;", "string title = 1;", "field-renamed", "source, meaning"),
        ("string name = 1;", "string name = 6;", "field-renumbered", "wire"),
        ("string name = 1;", "bytes name = 1;", "field-type", "wire, source"),
        ("string name = 1;", "bool done = 1;", "number-reused", "wire, source, meaning"),
        ("string name = 1;", "optional string name = 1;", "field-label", "source, meaning"),
        ("string name = 1;", "repeated string name = 1;", "field-label", "wire, source"),
        ("reserved 20, 30 to 39;", "reserved 30 to 39; string x = 20;", "number-reused", "wire, meaning"),
        (
            "string name = 1;",
            "string name = 1 [(rodent.events.field).required = true];",
            "required-changed",
            "source",
        ),
        (
            "int64 bytes = 2;",
            "int64 bytes = 2; string x = 6 [(rodent.events.field).required = true];",
            "required-changed",
            "source",
        ),
        (" [(rodent.events.field).sensitivity = SENSITIVITY_PII]", "", "sensitivity-changed", "meaning"),
        ("int64 bytes = 2;", "oneof much { int64 bytes = 2; }", "oneof-moved", "wire, source"),
        (
            "source: \"acme\" }",
            "source: \"acme\", durability: DURABILITY_SYNC }",
            "annotation-changed",
            "meaning",
        ),
        ("reserved 20, 30 to 39;", "reserved 20, 30 to 38;", "reserved-dropped", "wire"),
        ("KIND_DELTA = 2;", "KIND_DELTA = 3;", "value-renumbered", "wire, meaning"),
        ("KIND_DELTA = 2;", "", "value-removed", "wire, source"),
        ("KIND_DELTA = 2;", "KIND_DIFF = 2;", "number-reused", "source, meaning"),
        ("string name = 1;", "reserved 1;", "field-removed", "source, meaning"),
        ("string name = 1;", "reserved \"name\";", "field-removed", "wire, source"),
        ("KIND_DELTA = 2;", "reserved 2;", "value-removed", "source, meaning"),
        ("BackupDonePayload done = 2;", "BackupDonePayload done = 3;", "event-moved", "wire, meaning"),
        ("source: \"acme\" }", "name: \"backup_begun\", source: \"acme\" }", "emitter-renamed", "source"),
        ("source: \"acme\" }", "source: \"agent\" }", "source-changed", "meaning"),
        ("source: \"acme\" }", "source: \"acme\", level: \"WARN\" }", "level-changed", "source, meaning"),
        ("level: \"INFO\"", "level: \"WARN\"", "level-changed", "meaning"),
        ("returns (stream Event)", "returns (Event)", "method-changed", "wire, source"),
    ] {
        let changes = changes(from, to);
        let breaking: Vec<_> = changes.iter().filter(|change| change.breaks.any()).collect();
        let [change] = breaking[..] else { panic!("{from} -> {to}: {breaking:#?}") };
        assert_eq!(
            (change.rule, change.breaks.to_string().as_str()),
            (rule, breaks),
            "{from} -> {to}: {change}"
        );
        assert!(change.origin.file.ends_with("acme.proto") && change.origin.line > 0, "{change}");
        let accepted = change.accepted.as_ref().unwrap();
        assert!(accepted.file == "acme.lock" && accepted.line > 0, "{change}");
        assert!(!change.cure.is_empty() && change.changelog().starts_with("* **Breaks "), "{change}");
    }
}

#[test]
fn categories_severities_and_oneofs_are_watched() {
    let renumbered =
        changes("CATEGORY_BACKUP = 1; CATEGORY_OTHER = 2;", "CATEGORY_BACKUP = 3; CATEGORY_OTHER = 2;");
    let rules: Vec<&str> = renumbered.iter().map(|change| change.rule).collect();
    assert!(rules.contains(&"category-changed") && rules.contains(&"value-renumbered"), "{rules:?}");

    let own = fs::read_to_string(proto().join("events/event_messages.proto")).unwrap();
    let contract = |text: &str| {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("events")).unwrap();
        fs::write(folder.path().join("events/event_messages.proto"), text).unwrap();
        Builder::new().contract(&["events/event_messages.proto"], &[folder.path()]).unwrap()
    };
    // TRACE and DEBUG change places.
    let swapped = [
        ("severity) = 1]", "severity) = 0]"),
        ("severity) = 2]", "severity) = 1]"),
        ("severity) = 0]", "severity) = 2]"),
    ]
    .iter()
    .fold(own.clone(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    });
    let changes = contract(&own).changes(&contract(&swapped));
    assert_eq!(changes.iter().map(|change| change.rule).collect::<Vec<_>>(), ["annotation-changed"; 2]);
}

/// The schema, which imports this one of proto2.
fn with_old(old: &str) -> Contract {
    let folder = tempfile::tempdir().unwrap();
    let import = "import \"old.proto\";\nimport \"events/annotations.proto\";";
    fs::write(
        folder.path().join("acme.proto"),
        SCHEMA.replacen("import \"events/annotations.proto\";", import, 1),
    )
    .unwrap();
    fs::write(folder.path().join("old.proto"), format!("syntax = \"proto2\";\npackage old;\n{old}")).unwrap();
    Builder::new().contract(&["acme.proto"], &[folder.path()]).unwrap()
}

#[test]
fn what_proto2_says_beside_the_type_is_watched() {
    const OLD: &str = "message Old { optional group Part = 5 { optional int32 q = 1; } optional string a = 1; \
                       required string b = 2; optional int32 c = 3 [default = 5]; }";
    let accepted = Contract::parse("acme.lock", &with_old(OLD).to_string()).unwrap();
    assert!(accepted.changes(&with_old(OLD)).is_empty());
    for (from, to, rule, breaks) in [
        ("optional string a", "required string a", "required-changed", "wire, source"),
        ("required string b", "optional string b", "required-changed", "wire, source"),
        ("[default = 5]", "[default = 6]", "annotation-changed", "meaning"),
        ("[default = 5]", "", "annotation-changed", "meaning"),
        ("required string b", "required int64 d = 9; required string b", "required-changed", "wire, source"),
        (
            "optional group Part = 5 { optional int32 q = 1; }",
            "message Part { optional int32 q = 1; } optional Part part = 5;",
            "field-type",
            "wire, source",
        ),
    ] {
        assert!(OLD.contains(from), "{from}");
        let changes = accepted.changes(&with_old(&OLD.replacen(from, to, 1)));
        let told: Vec<_> = changes.iter().map(|change| (change.rule, change.breaks.to_string())).collect();
        assert_eq!(told, [(rule, breaks.to_owned())], "{from} -> {to}: {changes:#?}");
    }
}

/// What is told when a text of a schema of proto2 becomes another one.
fn told_of_old(old: &str, from: &str, to: &str) -> Vec<(&'static str, String)> {
    assert!(old.contains(from), "{from}");
    let accepted = Contract::parse("acme.lock", &with_old(old).to_string()).unwrap();
    let changes = accepted.changes(&with_old(&old.replacen(from, to, 1)));
    changes.iter().map(|change| (change.rule, change.breaks.to_string())).collect()
}

#[test]
fn extensions_are_fields_of_what_they_extend() {
    const OLD: &str = "message Old { extensions 100 to 200; extend Old { optional int32 inner = 101; } } \
                       extend Old { optional int32 outer = 102; optional int32 with = 104 [default = 5]; \
                       repeated Old more = 103; optional group Part = 106 {} }";
    let lock = with_old(OLD).to_string();
    for line in [
        "  101 [old.Old.inner]: optional int32",
        "  102 [old.outer]: optional int32",
        "  104 [old.with]: optional int32; default = 5",
        "  103 [old.more]: repeated old.Old",
        "  106 [old.part]: old.Part; encoding = group",
    ] {
        assert!(lock.lines().any(|one| one == line), "{line}\n{lock}");
    }
    let accepted = Contract::parse("acme.lock", &lock).unwrap();
    assert!(accepted.to_string() == lock && accepted.changes(&with_old(OLD)).is_empty());
    for (from, to, rule, breaks) in [
        ("int32 outer", "string outer", "field-type", "wire, source"),
        ("optional int32 inner", "repeated int32 inner", "field-label", "wire, source"),
        ("inner = 101", "inner = 105", "field-renumbered", "wire"),
        (
            "optional group Part = 106 {}",
            "optional Part part = 106; } message Part {",
            "field-type",
            "wire, source",
        ),
        ("int32 outer", "int32 other", "field-renamed", "source, meaning"),
        ("[default = 5]", "", "annotation-changed", "meaning"),
        ("repeated Old more = 103;", "", "field-removed", "wire, source"),
        ("repeated Old more = 103;", "repeated Old more = 103; optional int32 x = 105;", "added", "nothing"),
    ] {
        assert_eq!(told_of_old(OLD, from, to), [(rule, breaks.to_owned())], "{from} -> {to}");
    }
    // What is reserved is no extension's number any longer; the name was never the message's.
    let retired = OLD.replace("repeated Old more = 103;", "").replace("extensions 100 to 200;", "");
    let reserved = "extensions 100 to 102; extensions 104 to 200; reserved 103;";
    let retired = retired.replace("message Old {", &format!("message Old {{ {reserved}"));
    let changes = accepted.changes(&with_old(&retired));
    assert!(changes.iter().all(|change| !change.breaks.any()), "{changes:#?}");
    assert!(changes.iter().any(|change| change.rule == "retired"), "{changes:#?}");
    // Options are a vocabulary, which does not travel.
    let option = "import \"google/protobuf/descriptor.proto\"; \
                  extend google.protobuf.FieldOptions { optional string note = 50000; }";
    assert!(!with_old(option).to_string().contains("note"));
}

#[test]
fn what_proto2_leaves_unsaid_is_watched_too() {
    const OLD: &str = "enum E { X = 3; Y = 4; } message Old { optional E e = 1; required string b = 2; \
                       optional int32 c = 3 [default = 16]; optional bool d = 4; repeated E many = 5; }";
    for (from, to, told) in [
        ("X = 3; Y = 4;", "Y = 4; X = 3;", &[("annotation-changed", "meaning")][..]),
        ("E e = 1;", "E e = 1 [default = X];", &[]),
        ("default = 16", "default = 0x10", &[]),
        ("bool d = 4;", "bool d = 4 [default = false];", &[]),
        ("required string b = 2;", "", &[("field-removed", "wire, source")]),
        ("required string b = 2;", "reserved \"b\"; reserved 3000;", &[("field-removed", "wire, source")]),
        (
            "required string b = 2;",
            "repeated string b = 2;",
            &[("field-label", "wire, source"), ("required-changed", "wire, source")],
        ),
    ] {
        let mut all = told_of_old(OLD, from, to);
        all.retain(|(rule, _)| *rule != "added");
        let told: Vec<_> = told.iter().map(|(rule, breaks)| (*rule, (*breaks).to_owned())).collect();
        assert_eq!(all, told, "{from} -> {to}");
    }
    // Whoever knows it as required refuses what lacks it, whatever is reserved.
    for (reserved, breaks) in
        [("reserved 2; reserved \"b\";", "wire, source"), ("reserved 2;", "wire, source, meaning")]
    {
        let told = told_of_old(OLD, "required string b = 2;", reserved);
        assert!(told.contains(&("field-removed", breaks.to_owned())), "{reserved}: {told:?}");
    }
}

#[test]
fn a_field_that_may_be_unset_is_so_in_both_syntaxes() {
    let file = |text: &str| {
        let folder = tempfile::tempdir().unwrap();
        let import = "import \"old.proto\";\nimport \"events/annotations.proto\";";
        let schema = SCHEMA.replacen("import \"events/annotations.proto\";", import, 1);
        fs::write(folder.path().join("acme.proto"), schema).unwrap();
        fs::write(folder.path().join("old.proto"), text).unwrap();
        Builder::new().contract(&["acme.proto"], &[folder.path()]).unwrap()
    };
    let old = file("syntax = \"proto2\"; message Old { optional string a = 1; oneof o { string b = 2; } }");
    let new = "syntax = \"proto3\"; message Old { optional string a = 1; oneof o { string b = 2; } }";
    assert!(old.changes(&file(new)).is_empty());
    let told = old.changes(&file(&new.replace("optional ", "")));
    let told: Vec<_> = told.iter().map(|change| (change.rule, change.breaks.to_string())).collect();
    assert_eq!(told, [("field-label", "source, meaning".to_owned())]);
}

#[test]
fn what_is_not_reserved_is_named() {
    for (from, to, missing, cure) in [
        ("string name = 1;", "reserved 1;", "reserving its name `name`", "write `reserved \"name\";` into"),
        ("string name = 1;", "reserved \"name\";", "reserving its number 1", "write `reserved 1;` into"),
        (
            "string name = 1;",
            "",
            "reserving its number and its name",
            "write `reserved 1;` and `reserved \"name\";` into",
        ),
        (
            "KIND_DELTA = 2;",
            "reserved 2;",
            "reserving its name `KIND_DELTA`",
            "write `reserved \"KIND_DELTA\";` into",
        ),
        ("KIND_DELTA = 2;", "reserved \"KIND_DELTA\";", "reserving its number 2", "write `reserved 2;` into"),
    ] {
        let changes = changes(from, to);
        let change = changes.iter().find(|change| change.breaks.any()).unwrap();
        assert!(change.message.ends_with(missing) && change.cure.contains(cure), "{from} -> {to}: {change}");
    }
}

#[test]
fn a_second_name_of_a_value_keeps_the_number() {
    const TWO: &str = "option allow_alias = true; KIND_DELTA = 2; KIND_DIFF = 2;";
    let kind = |text: &str| contract(&SCHEMA.replacen("KIND_DELTA = 2;", text, 1));
    let told = |text: &str| -> Vec<_> {
        let changes = kind(TWO).changes(&kind(text));
        changes.iter().map(|change| (change.rule, change.breaks.to_string())).collect()
    };
    assert_eq!(told("KIND_DELTA = 2;"), [("value-removed", "source, meaning".to_owned())]);
    let reserved = told("KIND_DELTA = 2; reserved \"KIND_DIFF\";");
    assert!(reserved.iter().all(|(_, breaks)| breaks == "nothing"), "{reserved:?}");
    assert!(reserved.iter().any(|(rule, _)| *rule == "retired"), "{reserved:?}");
}

#[test]
fn what_is_retired_says_what_no_longer_compiles() {
    let notes = |edits: &[(&str, &str)]| {
        let schema = edits.iter().fold(SCHEMA.to_owned(), |schema, (from, to)| {
            assert!(schema.contains(from), "{from}");
            schema.replacen(from, to, 1)
        });
        let changes = contract(SCHEMA).changes(&contract(&schema));
        assert!(changes.iter().all(|change| !change.breaks.any()), "{edits:?}: {changes:#?}");
        let retired = changes.into_iter().filter(|change| change.rule == "retired");
        retired.map(|change| change.message).collect::<Vec<_>>()
    };
    assert_eq!(
        notes(&[("string name = 1;", "reserved 1; reserved \"name\";")]),
        ["`name = 1` of acme.BackupPayload was removed and is reserved; what sets it no longer compiles"]
    );
    assert_eq!(
        notes(&[("KIND_DELTA = 2;", "reserved 2; reserved \"KIND_DELTA\";")]),
        [
            "`KIND_DELTA = 2` of acme.BackupPayload.Kind was removed and is reserved; what says it no longer compiles"
        ]
    );
    let done = "message BackupDonePayload {
  option (rodent.events.event) = { source: \"acme\", level: \"INFO\" };
  string name = 1 [(rodent.events.field).required = true];
}
";
    let event = notes(&[
        (" BackupDonePayload done = 2;", ""),
        ("message BackupEvent {", "message BackupEvent { reserved 2; reserved \"done\";"),
        (done, ""),
    ]);
    let type_gone =
        "message `acme.BackupDonePayload` was removed or renamed; what names it no longer compiles";
    let mut told = [
        "`done = 2` of acme.BackupEvent was removed and is reserved; what calls `emit_backup_done` no longer compiles",
        type_gone,
    ];
    told.sort_unstable();
    let mut event: Vec<&str> = event.iter().map(String::as_str).collect();
    event.sort_unstable();
    assert_eq!(event, told);
    let category = notes(&[
        (" OtherEvent other_event = 11;", ""),
        ("message Event {", "message Event { reserved 11; reserved \"other_event\";"),
        ("CATEGORY_OTHER = 2;", "reserved 2; reserved \"CATEGORY_OTHER\";"),
        ("message OtherEvent { oneof event_type { OtherPayload other = 1; } }\n", ""),
        ("message OtherPayload { option (rodent.events.event) = { source: \"other; \\\\ one\" }; }\n", ""),
    ]);
    let told = "`other_event = 11` of acme.Event was removed and is reserved; what emits its events no longer compiles";
    assert!(category.iter().any(|one| one == told), "{category:#?}");
}

#[test]
fn a_oneof_of_another_name_breaks_no_byte() {
    let oneof = |text: &str| contract(&SCHEMA.replacen("int64 bytes = 2;", text, 1));
    let accepted = oneof("oneof much { int64 bytes = 2; int64 blocks = 6; }");
    let renamed = accepted.changes(&oneof("oneof size { int64 bytes = 2; int64 blocks = 6; }"));
    assert!(renamed.len() == 2, "{renamed:#?}");
    assert!(
        renamed.iter().all(|one| (one.rule, one.breaks.to_string().as_str()) == ("oneof-moved", "source"))
    );
    // What is new in it, or gone from it, moved nowhere.
    for other in [
        "oneof size { int64 bytes = 2; int64 blocks = 6; int64 files = 7; }",
        "oneof size { int64 bytes = 2; } reserved 6; reserved \"blocks\";",
    ] {
        let mut grown = accepted.changes(&oneof(other));
        grown.retain(|one| one.rule == "oneof-moved");
        assert!(!grown.is_empty(), "{other}");
        assert!(grown.iter().all(|one| one.breaks.to_string() == "source"), "{other}: {grown:#?}");
    }
    let split = accepted.changes(&oneof("oneof size { int64 bytes = 2; } oneof much { int64 blocks = 6; }"));
    assert!(split.iter().any(|one| one.breaks.to_string() == "wire, source"), "{split:#?}");
}

#[test]
fn what_is_said_in_other_words_is_no_change() {
    let spill = "source: \"acme\", durability: DURABILITY_SPILL }";
    assert!(changes("source: \"acme\" }", spill).is_empty());
    let level = |text: &str| {
        contract(
            &SCHEMA
                .replacen(
                    "KIND_DELTA = 2;",
                    &format!("KIND_DELTA = 2 [(rodent.events.event_level) = \"{text}\"];"),
                    1,
                )
                .replacen("KIND_FULL = 1;", "KIND_FULL = 1 [(rodent.events.event_level) = \"INFO\"];", 1),
        )
    };
    assert!(level("WARN").changes(&level("warn")).is_empty());
    assert!(!level("WARN").changes(&level("ERROR")).is_empty());
}

#[test]
fn additions_and_reserved_removals_are_notes() {
    for (from, to) in [
        ("string name = 1;", "string name = 1; string more = 7;"),
        ("string name = 1;", "reserved 1; reserved \"name\";"),
        ("KIND_DELTA = 2;", "KIND_DELTA = 2; KIND_LOG = 3;"),
        ("KIND_DELTA = 2;", "reserved 2; reserved \"KIND_DELTA\";"),
        ("repeated int32 parts = 5;", "repeated int32 parts = 5 [packed = false];"),
        ("service Backups {", "service Backups { rpc Ask(Event) returns (Event);"),
        ("reserved 20, 30 to 39;", "reserved 20, 30 to 40;"),
        ("reserved 20, 30 to 39;", "reserved 20 to 39;"),
    ] {
        let changes = changes(from, to);
        assert!(!changes.is_empty(), "{from} -> {to}");
        assert!(changes.iter().all(|change| !change.breaks.any()), "{from} -> {to}: {changes:#?}");
    }
    assert!(changes("message BackupPayload", "// Words.\nmessage BackupPayload").is_empty());
}

#[test]
fn what_is_left_of_a_merge_is_no_lock_file() {
    let lock = contract(SCHEMA).to_string();
    for text in [
        String::new(),
        "format 2\n".to_owned(),
        format!("<<<<<<< ours\n{lock}"),
        lock.replace("  1 name: string\n", "  1 name: string\n=======\n"),
        lock.replace("  1 name: string\n", "  1 name: string\n  1 name: string\n"),
        format!("{lock}\nmessage acme.Event\n"),
        lock.replace("  1 name: string", "  one name: string"),
    ] {
        let error = Contract::parse("acme.lock", &text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Lock);
        assert!(
            error.to_string().contains("error[lock-file]\n") && error.to_string().contains("acme.lock:"),
            "{error}"
        );
    }
}

#[test]
fn the_command_accepts_additions_knowingly_and_breaks_only_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let write = |schema: &str| fs::write(folder.join("acme.proto"), schema).unwrap();
    let check = ["check", "--lock", "acme.lock", "acme.proto"];
    let locked = ["check", "--locked", "--lock", "acme.lock", "acme.proto"];
    let accept = ["accept", "--lock", "acme.lock", "acme.proto"];
    write(SCHEMA);
    assert_eq!(run(folder, &check).status.code(), Some(1), "there is no lock file yet");
    assert!(run(folder, &accept).status.success());
    assert!(run(folder, &locked).status.success());

    write(&SCHEMA.replace("string name = 1;", "string name = 1; string more = 7;"));
    let output = run(folder, &check);
    assert!(output.status.success());
    assert!(
        text(&output.stdout).contains("note[added]") && text(&output.stdout).contains("note[lock-stale]")
    );
    let output = run(folder, &locked);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("error[lock-stale]: acme.lock:1:1"));
    let output = run(folder, &accept);
    assert_eq!(text(&output.stdout), "* Schema: `string more = 7` was added to acme.BackupPayload.\n");
    assert!(run(folder, &locked).status.success());

    write(SCHEMA);
    let output = run(folder, &check);
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    assert!(
        told.contains("error[field-removed]: ./acme.proto:") && told.contains("accepted: acme.lock:"),
        "{told}"
    );
    assert!(told.contains("breaks: wire, source"), "{told}");
    assert_eq!(run(folder, &accept).status.code(), Some(1));
    let output = run(folder, &["accept", "--breaking", "--lock", "acme.lock", "acme.proto"]);
    assert!(
        text(&output.stdout).starts_with("* **Breaks wire, source**: `more = 7`"),
        "{}",
        text(&output.stdout)
    );
    assert!(run(folder, &locked).status.success());
}
