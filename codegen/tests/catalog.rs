//! The catalogue: all three formats say everything, and nothing in a schema breaks out of them.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::fs;
use std::path::Path;
use std::process::Command;

use events_codegen::{Builder, Catalog};

const SCHEMA: &str = r#"syntax = "proto3";
package acme;
import "events/annotations.proto";
import "events/event_messages.proto";
enum Category { CATEGORY_UNSPECIFIED = 0; CATEGORY_BACKUP = 1; }
message Event {
  option (rodent.events.envelope) = true;
  string event_id = 1;
  rodent.events.EventLevel level = 2;
  Category category = 3;
  string source = 4;
  int64 timestamp = 5;
  map<string, string> metadata = 6;
  oneof event_payload { BackupEvent backup_event = 10; }
}
message BackupEvent {
  oneof event_type { BackupPayload backup_made = 1; BackupLostPayload lost = 2; BackupRunPayload run = 3; }
}
message BackupRunPayload {
  option (rodent.events.event) = {
    source: "acme", level: "BY_OPERATION", owner: "backup team", since: "2.1", durability: DURABILITY_SYNC
  };
  RunOperation operation = 1 [(rodent.events.field).required = true];
  // How much was written.
  uint64 written = 2 [(rodent.events.field).unit = "bytes"];
  string note = 3 [(rodent.events.field).max_len = 80];
}
enum RunOperation {
  option allow_alias = true;
  RUN_OPERATION_UNSPECIFIED = 0;
  RUN_OPERATION_DONE = 1 [(rodent.events.event_level) = "INFO"];
  RUN_OPERATION_FAILED = 2 [(rodent.events.event_level) = "ERROR"];
  RUN_OPERATION_FINISHED = 1;
}
// A backup | of <script>alert("x")</script> `Vec<T>` was made.
message BackupPayload {
  option (rodent.events.event) = { source: "a<b" };
  // What it is called, for example "ni\"ghtly".
  string name = 1 [(rodent.events.field).required = true];
  // Who has it.
  string owner = 2 [(rodent.events.field).sensitivity = SENSITIVITY_PII];
  int64 size = 3 [deprecated = true];
  repeated Node nodes = 4;
  Kind kind = 5;
  enum Kind { KIND_UNSPECIFIED = 0; KIND_FULL = 1; KIND_DELTA = 2; }
  message Node { bytes id = 1; repeated Node more = 2; }
}
message BackupLostPayload { option (rodent.events.event) = { source: "acme", level: "error" }; }
"#;

fn catalog(schema: &str) -> Catalog {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("acme.proto"), schema).unwrap();
    Builder::new().catalog(&["acme.proto"], &[folder.path()]).unwrap()
}

#[test]
fn markdown_has_a_section_for_each_event_with_all_that_is_known() {
    let text = catalog(SCHEMA).markdown();
    for part in [
        "## emit_backup\n",
        "## emit_backup_lost\n",
        "emit_backup(level: Level, payload: BackupPayload<'_>, metadata: impl Metadata) -> Ticket",
        "emit_backup_lost(payload: BackupLostPayload, metadata: impl Metadata) -> Ticket",
        "Category `backup`, source `acme`, level ERROR.",
        "| `name` | `string` | yes | public | What it is called,",
        "| `owner` | `string` |  | pii | Who has it. |",
        "| `size` | `int64` |  | public | Deprecated. |",
        "| `kind` | `Kind` |  | public | One of Full, Delta. |",
        "| `nodes.id` | `bytes` |",
        // Without second names.
        "| `operation` | `RunOperation` | yes | public | One of Done, Failed. |",
        "A backup | of &lt;script>",
        "level by operation: Done → INFO, Failed → ERROR. Durability sync. Owner backup team. Since 2.1.",
        "How much was written. In bytes. |",
        "Cut after 80 bytes. |",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    // Not without end, though a node holds nodes.
    assert!(text.contains("`nodes.more`") && !text.contains("`nodes.more.id`"), "{text}");
}

#[test]
fn examples_show_the_required_fields_and_some_others() {
    let text = catalog(SCHEMA).markdown();
    for part in [
        "emit_backup(\n    Level::Info,\n    BackupPayload {\n        owner: \"owner\",\n        kind: Some(",
        "..BackupPayload::new(",
        "emit_backup_lost(\n    BackupLostPayload::default(),\n    (),\n);",
        "\"backupEvent\": {\n    \"backupMade\": {\n      \"name\": ",
        "\"level\": \"EVENT_LEVEL_ERROR\"",
        "\"kind\": \"KIND_FULL\"",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn json_and_the_page_tell_owner_age_durability_units_and_lengths() {
    let catalog = catalog(SCHEMA);
    let json = catalog.json();
    for part in [
        "\"owner\": \"backup team\"",
        "\"since\": \"2.1\"",
        "\"since\": null",
        "\"durability\": \"sync\"",
        "\"durability\": \"spill\"",
        "\"unit\": \"bytes\"",
        "\"max_len\": 80",
        "\"Failed\": \"ERROR\"",
    ] {
        assert!(json.contains(part), "{part}\n{json}");
    }
    let page = catalog.html();
    for part in [
        "<dt>Owner</dt><dd>backup team</dd>",
        "<dt>Since</dt><dd>2.1</dd>",
        "<dt>Durability</dt><dd>sync</dd>",
        "by operation: Done → INFO, Failed → ERROR",
        "<span class=\"measure\">In bytes.</span>",
        "<span class=\"measure\">Cut after 80 bytes.</span>",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
}

#[test]
fn a_page_needs_nothing_else_and_no_comment_breaks_out_of_it() {
    let text = catalog(SCHEMA).html();
    assert!(text.starts_with("<!doctype html>") && text.trim_end().ends_with("</html>"));
    assert!(!text.contains("<script>alert") && text.contains("&lt;script&gt;alert"), "{text}");
    assert!(text.contains("<code>Vec&lt;T&gt;</code>") && text.contains("a&lt;b"));
    for outside in ["http:", "https:", "src=", "@import", "url("] {
        assert!(!text.contains(outside), "{outside}");
    }
    assert!(text.contains("prefers-color-scheme: dark") && text.contains("@media print"));
    for (open, close) in
        [("<article", "</article>"), ("<table", "</table>"), ("<tr", "</tr>"), ("<div", "</div>")]
    {
        assert_eq!(text.matches(open).count(), text.matches(close).count(), "{open}");
    }
}

#[test]
fn the_command_writes_our_own_events_in_every_format_and_twice_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto");
    let run = |format: &str, out: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_events-codegen"));
        command
            .current_dir(folder.path())
            .args(["catalog", "--format", format, "--out", out, "--include"])
            .arg(&proto);
        command.args(["base.proto", "events/event_messages.proto"]).output().unwrap().status.code()
    };
    let schema = fs::read_to_string(proto.join("events/event_messages.proto")).unwrap();
    let kinds = schema.matches("\n  option (event) =").count();
    for (format, mark) in [("md", "\n## emit_"), ("html", "<article "), ("json", "\"emitter\": \"emit_")] {
        assert_eq!((run(format, "one"), run(format, "two")), (Some(0), Some(0)));
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(read("one").matches(mark).count(), kinds, "{format}");
        assert_eq!(read("one"), read("two"));
    }
    assert_eq!(run("pdf", "one"), Some(2));
    assert_eq!(run("md", "no/where"), Some(1));
}
