//! Which emitters Rust sources call, and which events nobody emits.
//!
//! Sources are read as tokens, not compiled: a call counts wherever it stands, in code for another platform and inside
//! of macros too, where a syntax tree ends. It is told by its name: `emit_storage_pool(…)` as a function or a method, and
//! `emit!(storage_pool, …)` in each of the macro's forms. Comments, texts, definitions and imports are no calls. What
//! does not parse as a Rust file is named, and searched all the same.

mod tokens;

use std::collections::{BTreeMap, BTreeSet};

use crate::origin::Origin;
use tokens::{Token, tokens};

/// What emitters begin with.
const PREFIX: &str = "emit_";

/// The macros that name a kind of event as an argument.
const MACROS: &[&str] = &["emit", "emit_event"];

/// The calls in source files, and what they leave uncalled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Coverage {
    /// Where each declared event is emitted, by the emitter's name without `emit_`; empty where nowhere.
    pub calls: BTreeMap<String, BTreeSet<Origin>>,
    /// Where each declared event is listed in the schema.
    pub declared: BTreeMap<String, Origin>,
    /// The files that are not Rust as far as the parser knows, with what it says.
    pub not_parsed: Vec<(String, String)>,
}

impl Coverage {
    pub(crate) fn new(declared: BTreeMap<String, Origin>) -> Self {
        let calls = declared.keys().map(|name| (name.clone(), BTreeSet::new())).collect();
        Self { calls, declared, not_parsed: Vec::new() }
    }

    /// Takes in a source file; `name` is how calls in it are told.
    pub fn add(&mut self, name: &str, text: &str) {
        if let Err(error) = syn::parse_file(text) {
            self.not_parsed.push((name.to_owned(), error.to_string()));
        }
        for (emitter, line, column) in calls(&tokens(text)) {
            if let Some(places) = self.calls.get_mut(emitter) {
                places.insert(Origin::at(name, line, column));
            }
        }
    }

    /// The declared events that no file emits.
    pub fn unused(&self) -> impl Iterator<Item = &str> {
        self.calls.iter().filter(|(_, places)| places.is_empty()).map(|(name, _)| name.as_str())
    }
}

/// The emitters that are called, by name, each with line and column.
fn calls<'a>(tokens: &[Token<'a>]) -> Vec<(&'a str, u32, u32)> {
    let text = |index: usize| tokens.get(index).map_or("", |token| token.text);
    let mut calls = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let after = index + 1;
        let found = match token.text.strip_prefix(PREFIX) {
            _ if MACROS.contains(&token.text) && text(after) == "!" => kind(tokens, after + 2),
            Some(name) => {
                let defined = index.checked_sub(1).is_some_and(|before| text(before) == "fn");
                (text(after) == "(" && !defined).then_some(name)
            }
            None => None,
        };
        calls.extend(found.map(|name| (name, token.line, token.column)));
    }
    calls
}

/// The kind that an invocation of `emit!` names; `at` is the first token inside of it.
fn kind<'a>(tokens: &[Token<'a>], mut at: usize) -> Option<&'a str> {
    let text = |index: usize| tokens.get(index).map_or("", |token| token.text);
    // `emit!(on handle, kind, …)`, but a kind may be called `on` as well.
    if text(at) == "on" && text(at + 1) != "," && !(text(at + 1) == ":" && text(at + 2) == ":") {
        let mut depth = 0_usize;
        loop {
            match text(at) {
                "" => return None,
                "," if depth == 0 => break,
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth = depth.checked_sub(1)?,
                _ => {}
            }
            at += 1;
        }
        at += 1;
    }
    // The last name of a path.
    while text(at) == ":" || (text(at + 1) == ":" && text(at + 2) == ":") {
        at += 1;
    }
    tokens.get(at).map(|token| token.text).filter(|name| name.starts_with(tokens::is_name_start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(&str, u32, u32)> {
        calls(&tokens(text))
    }

    #[test]
    fn every_way_to_emit_is_a_call() {
        for text in [
            "emit_pool(a)",
            "x::emit_pool (a)",
            "events.emit_pool(a)",
            "emit!(pool, warn)",
            "events_sdk::emit! { pool, warn }",
            "emit![crate::kinds::pool, warn]",
            "emit!(on self.events(1, 2), pool, warn)",
            "emit!(::acme::pool)",
            "r#emit_pool(1)",
            "vec![emit_pool(1)]",
        ] {
            assert_eq!(found(text).iter().map(|call| call.0).collect::<Vec<_>>(), ["pool"], "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_a_call_is_none() {
        for text in [
            "// emit_pool(a)",
            "/* /* emit_pool(a) */ emit_pool(b) */",
            "\"emit_pool(a)\"",
            "r#\"\" emit_pool(a) \"#",
            "b\"\\\"emit_pool(a)\"",
            "fn emit_pool(a: u8) {}",
            "use events::emit_pool;",
            "reemit_pool(a)",
            "emit(pool)",
            "emit!()",
            "emit!(on x",
        ] {
            assert!(found(text).is_empty(), "{text}: {:?}", found(text));
        }
    }

    #[test]
    fn a_place_is_line_and_column() {
        assert_eq!(found("let 'a' = \"\n\";\n  é.emit_pool(1)"), [("pool", 3, 5)]);
        assert_eq!(found("fn f<'a>(x: &'a str) { '\\''; emit_pool(x) }").len(), 1);
    }
}
