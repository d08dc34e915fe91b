//! The texts that were read, kept so that a finding can show its lines.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::origin::Origin;

/// Texts by the names that [`Origin`]s have for their files. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Texts(Arc<BTreeMap<String, Text>>);

impl Texts {
    pub(crate) fn new(texts: impl IntoIterator<Item = (String, Text)>) -> Self {
        Self(Arc::new(texts.into_iter().collect()))
    }

    /// The text of the file `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&Text> {
        self.0.get(name)
    }
}

/// A text whose lines are found without searching.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text {
    text: Arc<str>,
    /// Where each line begins, in bytes.
    lines: Arc<[usize]>,
}

impl Text {
    pub(crate) fn new(text: &str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { text: text.into(), lines: std::iter::once(0).chain(ends).collect() }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The line, from 0 on, that holds the byte `offset`.
    pub(crate) fn line_of(&self, offset: usize) -> usize {
        self.lines.partition_point(|begin| *begin <= offset).saturating_sub(1)
    }

    /// Where a line, from 0 on, begins; behind the last one, the end of the text.
    pub(crate) fn line_begin(&self, line: usize) -> usize {
        self.lines.get(line).copied().unwrap_or(self.text.len())
    }

    /// The bytes of a place, begin and end, on boundaries of characters and within the text. `None` if the place says no
    /// line.
    pub(crate) fn range(&self, origin: &Origin) -> Option<(usize, usize)> {
        let begin = self.offset(origin.line, origin.column)?;
        let end = self.offset(origin.end_line, origin.end_column).unwrap_or(begin);
        Some((begin, end.max(begin)))
    }

    /// The place of `begin..end` in the file `name`.
    pub(crate) fn origin(&self, name: &str, begin: usize, end: usize) -> Origin {
        let place = |offset: usize| {
            let line = self.line_of(offset);
            (people(line), people(offset.saturating_sub(self.line_begin(line))))
        };
        let ((line, column), (end_line, end_column)) = (place(begin), place(end));
        Origin { file: name.to_owned(), line, column, end_line, end_column }
    }

    fn offset(&self, line: u32, column: u32) -> Option<usize> {
        let line = usize::try_from(line).ok()?.checked_sub(1)?;
        let column = usize::try_from(column).ok()?.saturating_sub(1);
        let mut offset = self.line_begin(line).saturating_add(column).min(self.line_begin(line + 1));
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        Some(offset)
    }
}

/// Texts count from 0, people from 1.
fn people(number: usize) -> u32 {
    u32::try_from(number.saturating_add(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_bytes_are_two_names_of_the_same() {
        let text = Text::new("one\ntwo é\n");
        let origin = text.origin("f", 4, 7);
        assert_eq!((origin.line, origin.column, origin.end_line, origin.end_column), (2, 1, 2, 4));
        assert_eq!(text.range(&origin), Some((4, 7)));
    }

    #[test]
    fn no_place_is_outside_or_within_a_character() {
        let text = Text::new("é\n");
        for (line, column) in [(1, 2), (1, 99), (2, 5), (99, 1), (u32::MAX, u32::MAX)] {
            let (begin, end) = text.range(&Origin::at("f", line, column)).unwrap_or_default();
            assert!(text.as_str().get(begin..end).is_some(), "{line}:{column}");
        }
        assert_eq!(text.range(&Origin::file("f")), None);
    }
}
