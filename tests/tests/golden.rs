//! Small schemas beside what is generated from them, and mistaken schemas beside what is said of them.
//!
//! A difference fails the test. After a change of the generator that is meant:
//! `EVENTS_GOLDEN=write cargo test -p events-tests --test golden`, then read the difference before committing it.
//! `golden_compiled` compiles every golden file with warnings denied.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::fs;
use std::path::{Path, PathBuf};

use events_codegen::{Builder, EVENTS_FILE, ErrorKind};

const WRITE: &str = "EVENTS_GOLDEN";

const HEADER: &str =
    "// Golden file: `EVENTS_GOLDEN=write cargo test -p events-tests --test golden` writes it anew.\n";

/// The schema that is generated as the SDK generates its own.
const AS_SDK: &str = "levels";

/// A golden file of more lines is not read by whoever reviews a change of the generator.
const MOST_LINES: usize = 199;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

/// The files of a folder with an ending, by name without it.
fn names(folder: &Path, ending: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.strip_suffix(ending).map(str::to_owned))
        .collect();
    names.sort();
    assert!(!names.is_empty(), "no {ending} in {}", folder.display());
    names
}

fn schemas(folder: &Path) -> Vec<String> {
    names(folder, ".proto")
}

fn builder(name: &str) -> Builder {
    if name == AS_SDK { Builder::sdk() } else { Builder::new() }
}

fn generate(name: &str, folder: &Path) -> String {
    let mut files = builder(name).generate(&[format!("{name}.proto")], &[folder]).unwrap().files;
    files.remove(EVENTS_FILE).unwrap()
}

/// Says where `text` differs from the file, or writes it if that was asked for.
fn compare(path: &Path, text: &str, differences: &mut Vec<String>) {
    let old = fs::read_to_string(path).unwrap_or_default();
    if old == text {
        return;
    }
    if std::env::var(WRITE).is_ok_and(|value| value == "write") {
        fs::write(path, text).unwrap();
        return;
    }
    let line = old.lines().zip(text.lines()).position(|(old, new)| old != new);
    let line = line.unwrap_or(old.lines().count().min(text.lines().count()));
    let show = |text: &str| text.lines().nth(line).unwrap_or("(nothing)").to_owned();
    differences.push(format!(
        "{}:{}\n  golden:    {}\n  generated: {}",
        path.display(),
        line + 1,
        show(&old),
        show(text)
    ));
}

fn agree(differences: &[String]) {
    assert!(differences.is_empty(), "run with {WRITE}=write if this was meant:\n{}", differences.join("\n"));
}

#[test]
fn every_golden_file_is_what_the_generator_writes() {
    let mut differences = Vec::new();
    for name in schemas(&golden()) {
        let text = format!("{HEADER}{}", generate(&name, &golden()));
        let lines = text.lines().count();
        assert!(lines <= MOST_LINES, "{name} makes {lines} lines: divide its schema");
        compare(&golden().join(format!("{name}.rs")), &text, &mut differences);
    }
    agree(&differences);
}

#[test]
fn every_golden_file_is_compiled() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden_compiled");
    let files =
        fs::read_dir(&folder).unwrap().map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    let compiled: String = files.collect();
    for name in schemas(&golden()) {
        assert!(
            compiled.contains(&format!("include!(\"../../golden/{name}.rs\")")),
            "{name} is not in {}",
            folder.display()
        );
    }
    assert_eq!(names(&golden(), ".rs"), schemas(&golden()), "a golden file of a schema that is gone");
}

#[test]
fn every_mistake_is_told_as_its_golden_text_says() {
    let folder = golden().join("mistakes");
    let mut differences = Vec::new();
    for name in schemas(&folder) {
        let error = Builder::new().check(&[format!("{name}.proto")], &[&folder]).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Schema | ErrorKind::Proto), "{name}: {error}");
        assert!(
            error.kind() == ErrorKind::Proto || error.findings().iter().any(|finding| finding.rule == name),
            "{name}.proto does not break the rule it is named for:\n{error}"
        );
        // Where the checkout lies is not part of the text.
        let text = format!("{error}\n").replace(&format!("{}/", folder.display()), "");
        compare(&folder.join(format!("{name}.txt")), &text, &mut differences);
    }
    agree(&differences);
}

#[test]
fn the_same_schema_gives_the_same_bytes_wherever_it_lies() {
    let elsewhere = tempfile::tempdir().unwrap();
    for name in schemas(&golden()) {
        let file = format!("{name}.proto");
        fs::copy(golden().join(&file), elsewhere.path().join(&file)).unwrap();
        let here = builder(&name).generate(&[&file], &[golden()]).unwrap().files;
        let there = builder(&name).generate(&[&file], &[elsewhere.path()]).unwrap().files;
        assert_eq!(here, there, "{name}");
    }
}
