//! The README says what the code says: its tables are compared with what they are rendered from.
//!
//! When a comparison fails, `UPDATE_README=1 cargo test -p events-tests --test readme` writes the tables anew; look at the
//! difference before it is committed.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

use std::{collections::BTreeSet, fmt::Write as _, fs, path::PathBuf};

use events_sdk::Config;
use heck::ToUpperCamelCase as _;

const EMITTERS: &str = include_str!("../wire/emitters.tsv");

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Where the text between `<!-- name… -->` and `<!-- /name -->` begins and ends.
fn section(readme: &str, name: &str) -> (usize, usize) {
    let opening = readme.find(&format!("<!-- {name}")).expect("the README has the section");
    let start = opening + readme[opening..].find('\n').expect("more lines") + 1;
    let end = start + readme[start..].find(&format!("<!-- /{name} -->")).expect("the section ends");
    (start, end)
}

fn assert_section(name: &str, expected: &str) {
    let path = root().join("README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let (start, end) = section(&readme, name);
    let expected = format!("\n{}\n\n", expected.trim_end());
    if std::env::var_os("UPDATE_README").is_some() {
        fs::write(&path, format!("{}{expected}{}", &readme[..start], &readme[end..])).unwrap();
    } else {
        assert_eq!(readme[start..end], expected, "the table `{name}` of the README is not up to date");
    }
}

#[test]
fn the_readme_has_every_key_and_every_emitter() {
    // One test, because both write the same file when asked to.
    assert_section("keys", &Config::reference());
    assert_section("emitters", &emitters());
}

fn emitters() -> String {
    let mut table =
        String::from("| function | payload | category | source | level |\n|---|---|---|---|---|\n");
    for line in EMITTERS.lines().skip(1) {
        let columns: Vec<_> = line.split('\t').collect();
        let [name, category, _, payload, source, level] = columns[..] else { panic!("{line}") };
        let level = level.strip_prefix("fixed ").unwrap_or("`caller`");
        // As it is spelled in Rust: `AccessACLPayload` is `AccessAclPayload`.
        let payload = payload.to_upper_camel_case();
        writeln!(table, "| `{name}` | `{payload}` | {category} | `{source}` | {level} |").unwrap();
    }
    table
}

#[test]
fn the_log_lines_in_the_readme_are_those_of_the_runtime() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let (start, end) = section(&readme, "log");
    let mut source = String::new();
    let mut folders = vec![root().join("events-sdk/src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                // What the test Toggle says is for tests.
                folders.extend((!path.ends_with("testing")).then_some(path));
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                source += &fs::read_to_string(path).unwrap();
            }
        }
    }
    let told: BTreeSet<_> = readme[start..end].lines().filter_map(told_line).collect();
    assert!(told.len() >= 5, "{told:?}");
    let mut printed = BTreeSet::new();
    for (at, _) in source.match_indices("tracing::") {
        let call = &source[at + "tracing::".len()..];
        let levels = [("ERROR", "error!("), ("WARN", "warn!("), ("INFO", "info!(")];
        let Some((level, call)) =
            levels.iter().find_map(|(level, name)| Some((*level, call.strip_prefix(name)?)))
        else {
            continue;
        };
        let text = message(call).unwrap_or_else(|| panic!("a line without a text: {call:.200}"));
        // What comes from elsewhere is told as it is.
        if !text.starts_with('{') {
            printed.insert((level, text));
        }
    }
    let (missing, gone): (Vec<_>, Vec<_>) =
        (printed.difference(&told).collect(), told.difference(&printed).collect());
    assert!(missing.is_empty(), "the README does not tell of these lines of the log: {missing:#?}");
    assert!(gone.is_empty(), "no such lines are in the log: {gone:#?}");
}

/// Level and text of a line of the log, in a row of the table.
fn told_line(row: &str) -> Option<(&str, &str)> {
    let (level, rest) = row.strip_prefix("| ")?.split_once(" | `")?;
    Some((level, rest.split('`').next()?))
}

/// The text of a line of the log, of which the arguments begin here: the last of them.
fn message(call: &str) -> Option<&str> {
    let (mut depth, mut begun, mut last) = (1, None, None);
    let mut bytes = call.bytes().enumerate();
    while let (Some((at, byte)), true) = (bytes.next(), depth > 0) {
        match (byte, begun) {
            (b'"', None) => begun = Some(at + 1),
            (b'"', Some(begin)) => (last, begun) = (call.get(begin..at), None),
            (b'\\', Some(_)) => drop(bytes.next()),
            (b'(', None) => depth += 1,
            (b')', None) => depth -= 1,
            _ => {}
        }
    }
    last
}

#[test]
fn the_table_of_annotations_has_every_option_and_every_key() {
    let guide = fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    let table: String = guide.lines().filter(|line| line.starts_with("| `(")).collect();
    let proto = fs::read_to_string(root().join("proto/events/annotations.proto")).unwrap();
    let (mut owner, mut seen) = (String::new(), 0);
    for line in proto.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("message ").or_else(|| line.strip_prefix("extend ")) {
            owner = rest.trim_end_matches(['{', ' ']).to_owned();
        }
        let Some((declared, _)) = line.strip_suffix(';').and_then(|line| line.split_once(" = ")) else {
            continue;
        };
        let Some((ty, name)) = declared.rsplit_once(' ') else { continue };
        let place = match owner.as_str() {
            "EventOptions" => format!("`(event).{name}`"),
            "FieldRules" => format!("`(field).{name}`"),
            _ if matches!(ty, "EventOptions" | "FieldRules") => format!("`({name})"),
            _ if owner.starts_with("google.protobuf.") => format!("`({name})`"),
            _ => continue,
        };
        // `(event)` and `(field)` stand there with each of their keys.
        let place = place.replace("`(event)`", "`(event)");
        assert!(table.contains(&place), "the table of annotations in CONTRIBUTING.md does not have {place}");
        seen += 1;
    }
    assert!(seen >= 14, "only {seen} options were found in annotations.proto");
}

#[test]
fn every_cell_of_the_table_of_what_survives_names_a_test() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let (start, end) = section(&readme, "survives");
    let mut source = String::new();
    let mut folders = vec![root().join("events-sdk/src"), root().join("tests/tests")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                source += &fs::read_to_string(path).unwrap();
            }
        }
    }
    let rows: Vec<_> = readme[start..end].lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() >= 5, "{rows:?}");
    for row in rows {
        for cell in row.trim_matches('|').split('|').skip(1) {
            // A test's name is a sentence; keys and types are not that long.
            let named: Vec<_> = cell
                .split('`')
                .skip(1)
                .step_by(2)
                .filter(|name| name.len() > 25 && name.contains('_'))
                .collect();
            assert!(!named.is_empty() || cell.trim().starts_with("as "), "no test: {cell}");
            for name in named {
                assert!(source.contains(&format!("fn {name}(")), "no such test: {name}");
            }
        }
    }
}
