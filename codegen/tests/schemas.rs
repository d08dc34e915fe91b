//! Real schemas as input: each answered with code or with findings, and never with a panic.
//!
//! Protobuf's own files always; any tree of .proto files beside them that `EVENTS_SCHEMAS` names. Such files are no schemas of
//! events, so most are answered with the finding that there is no envelope: the second test puts one around their messages.

#![allow(clippy::panic, clippy::print_stdout, clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use events_codegen::{Builder, Error, ErrorKind, Generated};

/// A folder of .proto files, all imports relative to it.
const FOLDER: &str = "EVENTS_SCHEMAS";

const OWN: &[&str] = &[
    "google/protobuf/any.proto",
    "google/protobuf/api.proto",
    "google/protobuf/compiler/plugin.proto",
    "google/protobuf/descriptor.proto",
    "google/protobuf/duration.proto",
    "google/protobuf/empty.proto",
    "google/protobuf/field_mask.proto",
    "google/protobuf/source_context.proto",
    "google/protobuf/struct.proto",
    "google/protobuf/timestamp.proto",
    "google/protobuf/type.proto",
    "google/protobuf/wrappers.proto",
];

/// So many messages of a file become payloads: enough to meet what is in it.
const PAYLOADS: usize = 200;

/// What became of the files.
#[derive(Debug, Default)]
struct Answers {
    code: usize,
    /// By the name of the rule.
    findings: BTreeMap<String, usize>,
}

impl Answers {
    fn take(&mut self, file: &str, answer: Result<Generated, Error>) {
        match answer {
            Ok(generated) => {
                for (name, code) in &generated.files {
                    if let Err(error) = syn::parse_file(code) {
                        panic!("{file}: {name} is not Rust: {error}");
                    }
                }
                self.code += 1;
            }
            Err(error) => {
                assert_ne!(error.kind(), ErrorKind::Internal, "{file}: {error}");
                let rules: Vec<&str> = error.findings().iter().map(|finding| finding.rule).collect();
                if rules.is_empty() {
                    *self.findings.entry("proto".to_owned()).or_default() += 1;
                }
                for rule in rules {
                    *self.findings.entry(rule.to_owned()).or_default() += 1;
                }
            }
        }
    }
}

fn files(folder: &Path) -> Vec<String> {
    let (mut found, mut open) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder_inside) = open.pop() {
        for entry in fs::read_dir(folder_inside).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => open.push(path),
                false if path.extension().is_some_and(|ending| ending == "proto") => {
                    found.push(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
                }
                false => {}
            }
        }
    }
    found.sort();
    found
}

/// A schema whose events carry the messages at the top of `file`; `None` if it has none, or is no valid protobuf.
fn wrapped(file: &str, include: &Path) -> Option<String> {
    let mut compiler = protox::Compiler::new([include]).ok()?;
    compiler.open_file(file).ok()?;
    let pool = compiler.descriptor_pool();
    let messages: Vec<String> = pool
        .get_file_by_name(file)?
        .messages()
        .take(PAYLOADS)
        .map(|one| one.full_name().to_owned())
        .collect();
    let leaves = messages.iter().zip(1..).map(|(name, number)| {
        format!(
            "    .{name} leaf{number} = {number} [(rodent.events.emitter) = {{ name: \"demo_{number}\", source: \"s\" }}];\n"
        )
    });
    let leaves: String = leaves.collect();
    (!messages.is_empty()).then(|| {
        format!(
            "syntax = \"proto3\";\npackage wrapped_events;\nimport \"events/annotations.proto\";\nimport \"events/event_messages.proto\";\n\
             import \"{file}\";\nenum EventCategory {{ EVENT_CATEGORY_UNSPECIFIED = 0; EVENT_CATEGORY_DEMO = 1; }}\n\
             message Event {{\n  option (rodent.events.envelope) = true;\n  string event_id = 1;\n  rodent.events.EventLevel level = 2;\n  \
             EventCategory category = 3;\n  string source = 4;\n  int64 timestamp = 5;\n  map<string, string> metadata = 6;\n  \
             oneof event_payload {{ DemoEvent demo_event = 10; }}\n}}\nmessage DemoEvent {{\n  oneof event_type {{\n{leaves}  }}\n}}\n"
        )
    })
}

fn answer_all(files: &[String], include: &Path) -> (Answers, Answers) {
    let (mut alone, mut around) = (Answers::default(), Answers::default());
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        alone.take(file, Builder::new().generate(&[file], &[include]));
        if let Some(text) = wrapped(file, include) {
            fs::write(folder.path().join("wrapped_events.proto"), text).unwrap();
            let includes = [folder.path(), include];
            around.take(file, Builder::new().generate(&["wrapped_events.proto"], &includes));
        }
    }
    (alone, around)
}

#[test]
fn protobufs_own_files_are_answered_with_code_or_findings() {
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<String> = OWN.iter().map(|file| (*file).to_owned()).collect();
    let (alone, around) = answer_all(&files, folder.path());
    // None of them has an envelope, and what is inside them cannot be a payload's field.
    assert_eq!(alone.findings.get("no-envelope"), Some(&OWN.len()), "{alone:?}");
    assert!(around.code + around.findings.values().sum::<usize>() >= OWN.len(), "{around:?}");
}

#[test]
fn a_tree_of_real_schemas_is_answered_with_code_or_findings() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        println!("skipped: set {FOLDER} to a folder of .proto files");
        return;
    };
    let files = files(&folder);
    assert!(!files.is_empty(), "no .proto file in {}", folder.display());
    let (alone, around) = answer_all(&files, &folder);
    println!("{} files\nalone: {alone:#?}\nwith an envelope: {around:#?}", files.len());
}
