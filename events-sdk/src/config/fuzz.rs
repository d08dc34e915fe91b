//! Configurations that nobody would write. See [`crate::fuzz`].

use std::{ffi::OsString, os::unix::ffi::OsStringExt};

use super::{Config, TokenSource, keys::KEYS, yaml};
use crate::fuzz::{Choices, MOST_EDITS, edit_text, target};

/// What mutation starts from.
const SEEDS: [&str; 4] = [
    "events:\n  profile: low-latency\n  batch_size: 200\n  toggle:\n    endpoint: https://toggle:50051\n    token: hush-hush\n",
    "server: &a {port: 1}\nevents:\n  bufferSize: 5_000\n  batch_bytes: 1MiB\n  batch_timeout: 500ms\n  enabled_levels: [INFO, WARN]\n  enabled_categories:\n    - storage\n    - \"network\"\nother: *a\n",
    "events: {min_level: warn, durability: power, sync_interval: 1s, pii: hash, pii_key_file: k}\n---\nx: |\n  text\n",
    "# all commented out\nevents:\n  # batch_size: 5\n",
];

const WORDS: &[&str] = &[
    "",
    "\n",
    "  ",
    "\n  ",
    "\n    ",
    ": ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "\"",
    "'",
    "&a ",
    "*a",
    "<<: *a",
    "!!str ",
    "!!binary ",
    "|\n",
    ">-\n",
    "\t",
    "\r",
    "\u{0}",
    "\u{1b}[31m",
    "\u{85}",
    "\u{2028}",
    "\u{feff}",
    "? ",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "# ",
    "\\x1b",
    "\"\\e[2J\"",
    "null",
    "~",
    "events",
    "toggle",
    "profile",
    "minimal",
    "buffer_size",
    "flushThreshold",
    "batch_size",
    "spool_dir",
    "token",
    "token_file",
    "ca_file",
    "endpoint",
    "min_level",
    "enabled_levels",
    "INFO",
    "storage",
    "-1",
    "0",
    "1_000",
    "18446744073709551616",
    "99999999999999999999999",
    "1e9",
    "0x10",
    "32MiB",
    "18014398509481984 KiB",
    "999999999999999999h",
    "http://[::1",
    "https://a:b@c",
    "..",
    "/dev/null",
    "ß",
    "\u{202e}",
];

/// What each configuration has to be, whatever it is made of.
fn judge(text: &str, variables: Vec<(OsString, OsString)>) {
    match Config::from_yaml("/etc/rodent", text, variables) {
        Ok((config, warnings)) => {
            config.validate().unwrap_or_else(|error| panic!("{error}\n{text}"));
            if let TokenSource::Value(_) = &config.toggle.token {
                assert!(format!("{config:?}").contains("token: Value(***)"), "the token shows");
            }
            warnings.iter().for_each(|warning| on_one_line(&warning.to_string()));
        }
        Err(error) => {
            assert!(!error.problems().is_empty(), "{error}");
            error.problems().iter().for_each(|problem| on_one_line(&problem.to_string()));
        }
    }
}

/// Logs and terminals see these texts.
fn on_one_line(text: &str) {
    let unsafe_one =
        text.chars().find(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202e}'));
    assert_eq!(unsafe_one, None, "{text:?}");
}

fn a_text(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let mut text = choices.word(&SEEDS).to_owned();
    while !choices.is_empty() && text.len() < 4096 {
        edit_text(&mut text, WORDS, &mut choices);
    }
    judge(&text, Vec::new());
    judge(&String::from_utf8_lossy(bytes), Vec::new());
}

fn variables(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let mut all = Vec::new();
    for _ in 0..=choices.below(4) {
        let key = &KEYS[choices.below(KEYS.len())];
        let mut name = key.variable();
        if choices.below(4) == 0 {
            edit_text(&mut name, &["_", "TOGGLE_", "RODENT_EVENTS_", "X"], &mut choices);
        }
        let mut value = choices.word(WORDS).to_owned();
        for _ in 0..choices.below(MOST_EDITS) {
            edit_text(&mut value, WORDS, &mut choices);
        }
        let value = if choices.below(16) == 0 {
            OsString::from_vec([value.as_bytes(), &[0xff]].concat())
        } else {
            value.into()
        };
        all.push((name.into(), value));
    }
    judge(SEEDS[0], all);
}

#[test]
fn any_text_is_a_configuration_that_makes_sense_or_its_mistakes_are_named() {
    target!("config", 96, a_text);
}

#[test]
fn any_variables_are_a_configuration_that_makes_sense_or_their_mistakes_are_named() {
    target!("variables", 96, variables);
}

#[test]
fn texts_made_to_grow_without_end_stay_small() {
    let bombs = [
        // Each line would stand for ten of the line before.
        (0..12).fold("a0: &a0 x\n".to_owned(), |all, depth| {
            format!("{all}a{}: &a{} [{}]\n", depth + 1, depth + 1, format!("*a{depth},").repeat(10))
        }) + "events: *a12\n",
        format!("events: {}", "[".repeat(1 << 20)),
        format!("events: {}", "{a: ".repeat(1 << 18)),
        "- ".repeat(1 << 19),
        "? ".repeat(1 << 19),
        "&a ".repeat(1 << 18),
        "!!str ".repeat(1 << 17),
        format!("{}: 1\n", "events".repeat(1 << 17)),
        format!("events:\n  {}: 1\n", "x".repeat(1 << 20)),
        format!("events:\n  profile: {}\n", "x".repeat(1 << 20)),
        "a: 1\n".repeat(1 << 15),
        format!("events:\n{}", "  x: 1\n".repeat(1 << 11)),
        "#".repeat(1 << 20),
        format!("events: \"{}\"", "\\x1b".repeat(1 << 18)),
    ];
    for bomb in bombs {
        if let Ok(documents) = yaml::read(&bomb) {
            assert!(documents.len() <= 2);
        }
        let error = match Config::from_yaml("/etc/rodent", &bomb, [("", "")]) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        };
        assert!(error.len() <= 64 * bomb.len() + 1024, "{} bytes of error", error.len());
    }
}
