//! JSON, one object a line: written by hand, because it is only ever written, in the order in which people read.

use std::fmt::Write as _;

use super::out::is_unsafe;

/// An object being put together.
#[derive(Debug, Default)]
pub(super) struct Object(String);

impl Object {
    /// An empty one.
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Adds a member whose value is JSON already.
    pub(super) fn raw(mut self, key: &str, value: &str) -> Self {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        text_to(key, &mut self.0);
        self.0.push(':');
        self.0.push_str(value);
        self
    }

    /// Adds a text.
    pub(super) fn text(self, key: &str, value: &str) -> Self {
        let mut quoted = String::with_capacity(value.len() + 2);
        text_to(value, &mut quoted);
        self.raw(key, &quoted)
    }

    /// Adds a number.
    pub(super) fn number(self, key: &str, value: impl Into<i128>) -> Self {
        self.raw(key, &value.into().to_string())
    }

    /// Adds true or false.
    pub(super) fn flag(self, key: &str, value: bool) -> Self {
        self.raw(key, if value { "true" } else { "false" })
    }

    /// Adds a list of texts.
    pub(super) fn texts<'a>(self, key: &str, texts: impl IntoIterator<Item = &'a String>) -> Self {
        let mut list = String::from("[");
        for text in texts {
            if list.len() > 1 {
                list.push(',');
            }
            text_to(text, &mut list);
        }
        list.push(']');
        self.raw(key, &list)
    }

    /// Adds numbers by name.
    pub(super) fn counts<'a>(self, key: &str, counts: impl IntoIterator<Item = (&'a str, u64)>) -> Self {
        let counts = counts.into_iter().fold(Self::new(), |object, (name, count)| object.number(name, count));
        self.raw(key, &counts.end())
    }

    /// The finished object.
    pub(super) fn end(mut self) -> String {
        if self.0.is_empty() {
            self.0.push('{');
        }
        self.0.push('}');
        self.0
    }
}

/// Appends a text in quotes.
pub(super) fn text_to(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Those above ASCII are legal in JSON, but not harmless on a terminal. None is beyond four digits.
            c if is_unsafe(c) => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
