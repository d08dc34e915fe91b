//! The tokens of a Rust source, with their places.
//!
//! Only what the search for calls needs: names, and single characters for all else; texts and comments are left out.
//! Total: any text has tokens. (The parser's own tokens know no places without a cost to every other user of it.)

use std::iter::Peekable;
use std::str::CharIndices;

/// A name or a single character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) text: &'a str,
    /// From 1 on.
    pub(super) line: u32,
    /// In characters, from 1 on.
    pub(super) column: u32,
}

struct Reader<'a> {
    text: &'a str,
    chars: Peekable<CharIndices<'a>>,
    line: u32,
    column: u32,
}

/// The tokens of `text`.
pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut reader = Reader { text, chars: text.char_indices().peekable(), line: 1, column: 1 };
    let mut tokens = Vec::new();
    while let Some(&(start, c)) = reader.chars.peek() {
        let (line, column) = (reader.line, reader.column);
        let rest = text.get(start..).unwrap_or_default();
        if rest.starts_with("//") {
            reader.until(|c| c == '\n');
        } else if rest.starts_with("/*") {
            reader.comment();
        } else if let Some(hashes) = raw(rest) {
            reader.raw(hashes);
        } else if c == '"' {
            reader.quoted('"');
        } else if c == '\'' {
            // A lifetime has no closing quote behind its first letter.
            let mut ahead = rest.chars().skip(1);
            let (first, second) = (ahead.next(), ahead.next());
            match first == Some('\\') || second == Some('\'') {
                true => reader.quoted('\''),
                false => reader.skip(1),
            }
        } else if rest.starts_with("r#") {
            reader.skip(2);
        } else if is_name_start(c) {
            reader.until(|c| !is_name_start(c) && !c.is_numeric());
            let end = reader.chars.peek().map_or(text.len(), |(at, _)| *at);
            tokens.push(Token { text: text.get(start..end).unwrap_or_default(), line, column });
        } else {
            reader.skip(1);
            if !c.is_whitespace() {
                tokens.push(Token {
                    text: text.get(start..start + c.len_utf8()).unwrap_or_default(),
                    line,
                    column,
                });
            }
        }
    }
    tokens
}

pub(super) fn is_name_start(c: char) -> bool {
    c == '_' || c.is_alphabetic()
}

/// How many `#` a raw text begins with, if `rest` begins with one.
fn raw(rest: &str) -> Option<usize> {
    let rest = ["r", "br", "cr"].iter().find_map(|prefix| {
        let rest = rest.strip_prefix(prefix)?;
        rest.starts_with(['#', '"']).then_some(rest)
    })?;
    let hashes = rest.chars().take_while(|c| *c == '#').count();
    rest.get(hashes..)?.starts_with('"').then_some(hashes)
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let (_, c) = self.chars.next()?;
        match c {
            '\n' => (self.line, self.column) = (self.line.saturating_add(1), 1),
            _ => self.column = self.column.saturating_add(1),
        }
        Some(c)
    }

    fn skip(&mut self, count: usize) {
        for _ in 0..count {
            self.next();
        }
    }

    fn until(&mut self, end: impl Fn(char) -> bool) {
        while self.chars.peek().is_some_and(|(_, c)| !end(*c)) {
            self.next();
        }
    }

    /// A text or a character, from its opening quote to behind its closing one.
    fn quoted(&mut self, quote: char) {
        self.next();
        while let Some(c) = self.next() {
            match c {
                '\\' => self.skip(1),
                c if c == quote => return,
                _ => {}
            }
        }
    }

    fn raw(&mut self, hashes: usize) {
        self.until(|c| c == '"');
        self.next();
        while let Some(c) = self.next() {
            let Some(&(at, _)) = self.chars.peek() else { return };
            let rest = self.text.get(at..).unwrap_or_default();
            if c == '"' && rest.chars().take(hashes).filter(|c| *c == '#').count() == hashes {
                return self.skip(hashes);
            }
        }
    }

    /// A comment with those inside of it.
    fn comment(&mut self) {
        let mut depth = 0_usize;
        while let Some(&(at, _)) = self.chars.peek() {
            let rest = self.text.get(at..).unwrap_or_default();
            if rest.starts_with("/*") {
                depth += 1;
                self.skip(2);
            } else if rest.starts_with("*/") {
                self.skip(2);
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return;
                }
            } else {
                self.next();
            }
        }
    }
}
