//! Prepares what the tests compile: wire types for the golden schemas, the SDK's schema grown by an event, a field and an enum
//! value, and the examples of the catalogue.

#![allow(clippy::print_stdout, reason = "standard output is how a build script speaks to cargo")]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use events_codegen::{Builder, EVENTS_FILE};

/// The golden schema that is generated as the SDK generates its own.
const AS_SDK: &str = "levels.proto";

/// What a schema author adds to the SDK's schema, behind the last of the words that lead to its place.
const GROWTH: &[(&[&str], &str)] = &[
    (
        &["message StoragePoolPayload {", "StoragePoolOperation operation = 6 [(field).required = true];"],
        "\n  // Errors that the last scrub found.\n  optional uint64 scrub_errors = 1000;",
    ),
    (
        &["enum StoragePoolOperation {", "STORAGE_POOL_OPERATION_IMPORTED = 7;"],
        "\n    // Errors were cleared.\n    STORAGE_POOL_OPERATION_CLEARED = 1000;",
    ),
    (
        &["message NetworkEvent {", "oneof event_type {"],
        "\n    // A route.\n    NetworkRoutePayload route_event = 1000;",
    ),
    (
        &["import \"events/annotations.proto\";\n"],
        "
// A route was added or withdrawn.
message NetworkRoutePayload {
  option (event) = { source: \"route-manager\" };

  // Where it leads.
  string destination = 1 [(field).required = true];
  // What was done.
  NetworkRouteOperation operation = 2 [(field).required = true];

  enum NetworkRouteOperation {
    NETWORK_ROUTE_OPERATION_UNSPECIFIED = 0;
    NETWORK_ROUTE_OPERATION_ADDED = 1;
    NETWORK_ROUTE_OPERATION_WITHDRAWN = 2;
  }
}
",
    ),
];

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("run by cargo")?);
    golden(&out)?;
    compiled("torture", &out)?;
    compiled("personal", &out)?;
    examples("torture.proto", &["torture", "../proto"], &out.join("torture_examples.rs"))?;
    examples("events/event_messages.proto", &["../proto"], &out.join("examples.rs"))?;
    grown(&out)
}

/// The golden files refer to wire types in `OUT_DIR`, as generated code does anywhere.
fn golden(out: &Path) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=golden");
    for entry in fs::read_dir("golden")? {
        let name =
            entry?.file_name().into_string().map_err(|name| format!("{} is not UTF-8", name.display()))?;
        if !name.ends_with(".proto") {
            continue;
        }
        let (builder, folder) = match name == AS_SDK {
            true => (Builder::sdk(), out.join("as_sdk")),
            false => (Builder::new(), out.to_owned()),
        };
        fs::create_dir_all(&folder)?;
        for (file, text) in builder.generate(&[name], &["golden"])?.files {
            // The emitters are compiled from the golden file itself.
            if file != EVENTS_FILE {
                fs::write(folder.join(file), text)?;
            }
        }
    }
    Ok(())
}

/// A schema in a folder of the same name, whose emitters are not kept but compiled.
fn compiled(name: &str, out: &Path) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={name}");
    for (file, text) in Builder::new().generate(&[format!("{name}.proto")], &[name])?.files {
        let file = if file == EVENTS_FILE { format!("{name}_events.rs") } else { file };
        fs::write(out.join(file), text)?;
    }
    Ok(())
}

/// The examples of the catalogue as a list: for each event the emitter, the example in Rust as a function, and the event as JSON.
fn examples(proto: &str, includes: &[&str], to: &Path) -> Result<(), Box<dyn Error>> {
    let text = Builder::new().catalog(&[proto], includes)?.markdown();
    let mut list = String::new();
    for section in text.split("\n## ").skip(1) {
        let emitter = section.lines().next().unwrap_or_default();
        let block = |language: &str| {
            let (_, rest) = section.split_once(&format!("\n```{language}\n"))?;
            Some(rest.split_once("\n```")?.0)
        };
        let example = block("rust,ignore").ok_or_else(|| format!("{emitter} has no example in Rust"))?;
        let json = block("json").ok_or_else(|| format!("{emitter} has no example in JSON"))?;
        // The example is a statement; its last line is what it gives.
        let call = example.trim_end_matches(';');
        list += &format!("({emitter:?}, || {call}, {json:?}),\n");
    }
    let code = format!("pub(crate) const EXAMPLES: &[(&str, fn() -> Ticket, &str)] = &[\n{list}];\n");
    Ok(fs::write(to, code)?)
}

/// A copy of the SDK's schema that has grown, generated as any crate would generate its own.
fn grown(out: &Path) -> Result<(), Box<dyn Error>> {
    let (from, to) = (Path::new("../proto"), out.join("proto"));
    fs::create_dir_all(to.join("events"))?;
    for file in ["base.proto", "events/annotations.proto", "events/event_messages.proto"] {
        println!("cargo::rerun-if-changed={}", from.join(file).display());
        let mut text = fs::read_to_string(from.join(file))?;
        if file.ends_with("event_messages.proto") {
            for (way, what) in GROWTH {
                let mut place = 0;
                for word in *way {
                    let rest = text.get(place..).unwrap_or_default();
                    place += rest.find(word).ok_or_else(|| format!("{file} has no `{word}`"))? + word.len();
                }
                text.insert_str(place, what);
            }
        }
        fs::write(to.join(file), text)?;
    }
    Builder::new().emit_rerun_if_changed(false).compile(&["events/event_messages.proto"], &[to])?;
    Ok(())
}
