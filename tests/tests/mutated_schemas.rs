//! The generator against schemas that nobody would write: it answers with code or with an error, never with a panic.
//!
//! The golden schemas are mutated by a fixed sequence of random edits, so a failure repeats.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::fs;
use std::path::Path;

use events_codegen::{Builder, ErrorKind};

/// Mutations of each schema: enough to reach every rule often, few enough for a second or two.
const ROUNDS: usize = 60;

/// Words that mean something somewhere in a schema.
const WORDS: &[&str] = &[
    "",
    "_",
    "__",
    "1",
    "0",
    "-1",
    "64",
    "536870911",
    "string",
    "bytes",
    "bool",
    "int32",
    "double",
    "optional",
    "repeated",
    "message",
    "enum",
    "oneof",
    "map<string, string>",
    "Event",
    "DemoEvent",
    "self",
    "Self",
    "crate",
    "type",
    "async",
    "rodent.events.Event",
    "google.protobuf.Timestamp",
    "{",
    "}",
    ";",
    "=",
    "option",
    "true",
    "\"\"",
    "\"é\"",
    "Payload",
    "// [x](y) ```\n",
    "/* ` */",
    "reserved 1 to max;",
    "proto2",
    "2023",
];

/// SplitMix64: the same numbers everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % below.max(1) as u64).unwrap()
    }
}

/// Words and what is between them.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut last_was_word = false;
    for c in text.chars() {
        let is_word = c.is_alphanumeric() || c == '_';
        match tokens.last_mut() {
            Some(token) if is_word && last_was_word => token.push(c),
            _ => tokens.push(c.to_string()),
        }
        last_was_word = is_word;
    }
    tokens
}

fn mutate(tokens: &mut Vec<String>, random: &mut Random) {
    let (at, other) = (random.next(tokens.len()), random.next(tokens.len()));
    match random.next(6) {
        0 => tokens[at] = WORDS[random.next(WORDS.len())].to_owned(),
        1 => tokens[at] = tokens[other].clone(),
        2 => tokens.swap(at, other),
        3 => {
            let end = (at + random.next(12)).min(tokens.len());
            tokens.drain(at..end);
        }
        4 => {
            let end = (at + random.next(30)).min(tokens.len());
            let copy: Vec<String> = tokens[at..end].to_vec();
            tokens.splice(other..other, copy);
        }
        _ => tokens.insert(at, format!(" {} ", WORDS[random.next(WORDS.len())])),
    }
}

#[test]
fn no_schema_makes_the_generator_panic() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let folder = tempfile::tempdir().unwrap();
    let (mut random, mut accepted, mut refused) = (Random(1), 0, 0);
    for entry in fs::read_dir(&golden).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "proto") {
            continue;
        }
        let original = tokens(&fs::read_to_string(&path).unwrap());
        for round in 0..ROUNDS {
            let mut tokens = original.clone();
            for _ in 0..=random.next(3) {
                mutate(&mut tokens, &mut random);
            }
            let text = tokens.concat();
            fs::write(folder.path().join("mutated.proto"), &text).unwrap();
            match Builder::new().generate(&["mutated.proto"], &[folder.path()]) {
                Ok(_) => accepted += 1,
                Err(error) => {
                    refused += 1;
                    let place = format!("{} round {round}", path.display());
                    assert_ne!(error.kind(), ErrorKind::Internal, "{place}: {error}\n{text}");
                    assert!(error.to_string().contains("cure: "), "{place}: {error}");
                }
            }
        }
    }
    // Edits that break everything, or nothing, would prove nothing.
    assert!(accepted > refused / 20 && refused > accepted / 20, "{accepted} accepted, {refused} refused");
}
