//! What rustc says to calls of `emit!` that are wrong: the files in `ui`.
//!
//! A line that is wrong ends in `//~ token: text`. The first error that rustc reports for it must start at the token
//! and contain the text; the rest of it rustc may word as it likes. Lines without a mark have no error.
//!
//! Each file is one run of rustc against the library that this test was linked with, a fraction of a second: nothing is
//! built for it.

#![allow(clippy::expect_used, reason = "a test's helper fails the test by it")]

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

const MARK: &str = "//~ ";

/// Where on a line and what: an error, or what a mark asks for.
#[derive(Debug, Clone, PartialEq)]
struct Finding {
    column: usize,
    text: String,
}

/// By line number, from 1 on.
type Findings = BTreeMap<usize, Finding>;

/// What the marks of a file ask for.
fn marks(source: &str) -> Findings {
    let mut marks = Findings::new();
    for (index, line) in source.lines().enumerate() {
        let Some((code, mark)) = line.split_once(MARK) else { continue };
        let (token, text) = mark.split_once(": ").expect("a mark is `//~ token: text`");
        let at = code.rfind(token).expect("a mark names a token of its line");
        marks.insert(index + 1, Finding { column: code[..at].chars().count() + 1, text: text.to_owned() });
    }
    marks
}

/// The first error of each line.
fn errors(rustc_says: &str, file: &Path) -> Findings {
    let mut errors = Findings::new();
    for line in rustc_says.lines() {
        let Some(rest) = line.strip_prefix(&format!("{}:", file.display())) else { continue };
        let mut parts = rest.splitn(3, ':');
        let (Some(line), Some(column), Some(text)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        if let (Ok(line), Ok(column)) = (line.parse(), column.parse())
            && text.trim_start().starts_with("error")
        {
            errors.entry(line).or_insert(Finding { column, text: text.to_owned() });
        }
    }
    errors
}

/// The folder with the libraries that this test was linked with.
fn libraries() -> PathBuf {
    let test = env::current_exe().expect("the path of this test");
    test.parent().expect("its folder").to_owned()
}

/// The SDK. Where several were built, with other features or from other sources, the newest that can be compiled against
/// is this test's.
fn sdk(libraries: &Path) -> &'static Path {
    static SDK: OnceLock<PathBuf> = OnceLock::new();
    SDK.get_or_init(|| {
        let candidates = fs::read_dir(libraries).expect("the folder of this test").filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name().into_string().ok()?;
            let is_sdk = name.starts_with("libevents_sdk-") && name.ends_with(".rlib");
            is_sdk.then_some((entry.metadata().ok()?.modified().ok()?, entry.path()))
        });
        let mut candidates: Vec<_> = candidates.collect();
        candidates.sort();
        let folder = tempfile::tempdir().expect("a temporary directory");
        let probe = folder.path().join("probe.rs");
        fs::write(&probe, "pub use events_sdk::emit_storage_pool;").expect("a file");
        let fits = |sdk: &PathBuf| compile(&probe, sdk, libraries).status.success();
        candidates
            .into_iter()
            .rev()
            .map(|(_, path)| path)
            .find(fits)
            .expect("the SDK's library beside this test")
    })
}

fn compile(file: &Path, sdk: &Path, libraries: &Path) -> Output {
    let out = tempfile::tempdir().expect("a temporary directory");
    let mut command = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    command.args(["--edition=2024", "--crate-type=lib", "--emit=metadata", "--error-format=short"]);
    command.arg("--extern").arg(format!("events_sdk={}", sdk.display()));
    // Macros are built for this machine: elsewhere when the libraries are built for another target.
    for folder in [libraries.to_owned(), libraries.join("../../../debug/deps")] {
        command.arg("-L").arg(format!("dependency={}", folder.display()));
    }
    command.arg("--out-dir").arg(out.path()).arg(file).output().expect("rustc to run")
}

fn rustc(file: &Path) -> String {
    let libraries = libraries();
    let output = compile(file, sdk(&libraries), &libraries);
    let says = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{} compiles\n{says}", file.display());
    says
}

fn check(name: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("ui").join(name).with_extension("rs");
    let source = fs::read_to_string(&file).expect("the file");
    let says = rustc(&file);
    let (marks, errors) = (marks(&source), errors(&says, &file));
    assert!(!marks.is_empty(), "{name} marks nothing");
    let lines = |findings: &Findings| findings.keys().copied().collect::<Vec<_>>();
    assert_eq!(lines(&errors), lines(&marks), "lines with errors are not the marked ones\n{says}");
    for (line, mark) in &marks {
        let error = &errors[line];
        assert_eq!(error.column, mark.column, "{name}:{line}: the error is at another token\n{says}");
        assert!(error.text.contains(&mark.text), "{name}:{line}: {:?} is not said\n{says}", mark.text);
    }
}

#[test]
fn a_kind_that_does_not_exist_is_told_at_the_kind() {
    check("kind");
}

#[test]
fn a_field_that_does_not_fit_is_told_at_the_field_or_its_value() {
    check("field");
}

#[test]
fn a_required_field_that_is_missing_is_named_at_the_kind() {
    check("required");
}

#[test]
fn a_level_that_is_no_level_or_missing_or_not_the_callers_is_told() {
    check("level");
}

#[test]
fn a_level_that_the_operation_says_is_not_the_callers() {
    check("operation");
}

#[test]
fn metadata_that_is_not_text_is_told_at_the_value() {
    check("metadata");
}

#[test]
fn what_is_not_a_call_is_told_with_the_cure() {
    check("syntax");
}
