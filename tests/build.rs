//! Prepares what the tests compile: wire types for the golden schemas, and the SDK's schema grown by an event, a field and an enum value.

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
