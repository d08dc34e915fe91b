//! How findings look: their source lines, underlined, through miette; then why, and the cure.

use std::fmt::{self, Write as _};

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents,
    SourceCode, SourceSpan, SpanContents,
};

use crate::finding::{Finding, Severity};
use crate::texts::{Text, Texts};

/// How wide a text is that no terminal gave a width to: wide enough for a line of a schema with what stands before it.
const WIDTH: usize = 100;

/// Below this nothing readable is left beside the margins.
const LEAST_WIDTH: usize = 40;

/// miette shows a line from the place on when it is asked for no context, so it is asked for one line, which stands for
/// the line of the place itself.
const CONTEXT: usize = 1;

/// How findings are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    colours: bool,
    width: usize,
}

impl Look {
    /// Without colours, 100 columns wide: the same everywhere.
    pub fn plain() -> Self {
        Self { colours: false, width: WIDTH }
    }

    /// With colours, as terminals take them.
    #[must_use]
    pub fn colours(mut self, yes: bool) -> Self {
        self.colours = yes;
        self
    }

    /// How many columns a line may have, 40 at least. Lines of a schema are not cut.
    #[must_use]
    pub fn width(mut self, columns: usize) -> Self {
        self.width = columns.max(LEAST_WIDTH);
        self
    }
}

/// One finding as a block of text, without a line end behind it.
pub(crate) fn finding(finding: &Finding, texts: &Texts, look: Look) -> String {
    let theme = if look.colours { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let shown = Shown::new(finding, texts);
    let mut text = String::new();
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(look.width)
        .with_context_lines(CONTEXT)
        .with_break_words(false)
        .without_syntax_highlighting();
    // Writing to a string does not fail; a source that cannot be shown is told by miette itself.
    let _ = handler.render_report(&mut text, &shown);
    // A block has no empty line in it, so that one between blocks tells them apart.
    let mut text = text.trim_end().replacen("\n\n", "\n", 1);
    if shown.source.is_none() && !finding.origin.is_unknown() {
        let _ = write!(text, "\n    at {}", finding.origin);
    }
    for (origin, what) in finding.related.iter().filter(|(origin, _)| origin.file != finding.origin.file) {
        let _ = write!(text, "\n    at {origin}: {what}");
    }
    for (head, said) in [("why", finding.why()), ("cure", finding.cure.as_str())] {
        if !said.is_empty() {
            let _ = write!(text, "\n{}", paragraph(head, said, look));
        }
    }
    text
}

/// A paragraph behind its head, wrapped. What stands in backticks stays on one line, so that it can be copied.
fn paragraph(head: &str, said: &str, look: Look) -> String {
    let indent = head.len() + 4;
    let mut text = match look.colours {
        true => format!("  \u{1b}[36m{head}:\u{1b}[0m"),
        false => format!("  {head}:"),
    };
    let mut column = indent - 1;
    for word in words(said) {
        let width = word.chars().count();
        if column > indent && column + 1 + width > look.width {
            let _ = write!(text, "\n{:indent$}{word}", "");
            column = indent + width;
        } else {
            let _ = write!(text, " {word}");
            column += 1 + width;
        }
    }
    text
}

/// The words of a text, where what stands in backticks is one.
fn words(text: &str) -> Vec<&str> {
    let (mut words, mut begin, mut quoted) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        quoted ^= c == '`';
        if c.is_whitespace() && !quoted {
            words.extend(text.get(begin..at).filter(|word| !word.is_empty()));
            begin = at + c.len_utf8();
        }
    }
    words.extend(text.get(begin..).filter(|word| !word.is_empty()));
    words
}

/// A finding as miette takes it.
#[derive(Debug)]
struct Shown<'a> {
    finding: &'a Finding,
    source: Option<Lines<'a>>,
    labels: Vec<LabeledSpan>,
}

impl<'a> Shown<'a> {
    fn new(finding: &'a Finding, texts: &'a Texts) -> Self {
        let none = Self { finding, source: None, labels: Vec::new() };
        let name = &finding.origin.file;
        let Some(text) = texts.get(name) else { return none };
        let Some((begin, end)) = text.range(&finding.origin) else { return none };
        let label = |words: &str| Some(words.to_owned()).filter(|words| !words.is_empty());
        let mut labels = vec![LabeledSpan::new_primary_with_span(
            label(&finding.label),
            (begin, one_line(text, begin, end)),
        )];
        labels.extend(finding.related.iter().filter(|(origin, _)| origin.file == *name).filter_map(
            |(origin, words)| {
                let (begin, end) = text.range(origin)?;
                Some(LabeledSpan::new_with_span(label(words), (begin, one_line(text, begin, end))))
            },
        ));
        Self { finding, source: Some(Lines { name, text }), labels }
    }
}

/// How many bytes of `begin..end` stand on its first line: a block of a hundred lines is not shown for its name.
fn one_line(text: &Text, begin: usize, end: usize) -> usize {
    let line = text.as_str().get(begin..end).and_then(|part| part.lines().next()).unwrap_or_default();
    line.trim_end().len()
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.finding.message)
    }
}

impl std::error::Error for Shown<'_> {}

impl Diagnostic for Shown<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(format!("{}[{}]", self.finding.severity, self.finding.rule)))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.finding.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|lines| lines as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }
}

/// A text with its name. miette's own searches the text from its beginning for every span.
#[derive(Debug)]
struct Lines<'a> {
    name: &'a str,
    text: &'a Text,
}

impl SourceCode for Lines<'_> {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let (begin, end) = (span.offset(), span.offset().saturating_add(span.len()));
        // Asked for no context, it is asked for the place; asked for some, for the lines to show.
        let around = |lines: usize| lines.saturating_sub(CONTEXT);
        let first = self.text.line_of(begin).saturating_sub(around(before));
        let last = self.text.line_of(end).saturating_add(around(after));
        let (from, to) = (self.text.line_begin(first), self.text.line_begin(last.saturating_add(1)));
        let from_place = if before == 0 { begin } else { from };
        let column =
            self.text.as_str().get(from..from_place).ok_or(MietteError::OutOfBounds)?.chars().count();
        let part = self.text.as_str().get(from_place..to).ok_or(MietteError::OutOfBounds)?;
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.to_owned(),
            part.as_bytes(),
            SourceSpan::from((from_place, part.len())),
            first,
            column,
            last.saturating_sub(first) + 1,
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_copied_stays_on_one_line() {
        assert_eq!(words("write `a = b` now"), ["write", "`a = b`", "now"]);
        let text = paragraph(
            "cure",
            "write `option (event) = { source: \"demo\" };` behind it",
            Look::plain().width(40),
        );
        assert_eq!(
            text,
            "  cure: write\n        `option (event) = { source: \"demo\" };`\n        behind it"
        );
    }
}
