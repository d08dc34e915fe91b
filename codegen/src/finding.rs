//! What is found: the model of a diagnostic. [`render`](crate::render) shows it.

use std::fmt;

use crate::explain::Rule;
use crate::origin::Origin;

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Severity {
    /// Nothing is generated.
    Error,
    /// Code is generated; the schema could serve its readers better.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// A breach of a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Finding {
    /// How grave it is.
    pub severity: Severity,
    /// Where it is: the name, type or option that is wrong.
    pub origin: Origin,
    /// The name of the rule that was broken, such as `no-source`.
    pub rule: &'static str,
    /// What is wrong, and with what.
    pub message: String,
    /// A few words to stand below the place; may be empty.
    pub label: String,
    /// What to do about it: a proposed edit, with the text to write in backticks. Of "did you mean `this`?" the edit is
    /// to write `this` in the place of [`origin`](Self::origin).
    pub cure: String,
    /// Other places that matter, with a few words each.
    pub related: Vec<(Origin, String)>,
}

impl Finding {
    pub(crate) fn new(
        rule: &'static str,
        origin: &Origin,
        message: impl Into<String>,
        cure: impl Into<String>,
    ) -> Self {
        Self {
            rule,
            severity: Rule::find(rule).map_or(Severity::Error, Rule::severity),
            origin: origin.clone(),
            message: message.into(),
            label: String::new(),
            cure: cure.into(),
            related: Vec::new(),
        }
    }

    /// Says a few words below the place.
    #[must_use]
    pub(crate) fn label(mut self, text: impl Into<String>) -> Self {
        self.label = text.into();
        self
    }

    /// Points at another place too.
    #[must_use]
    pub(crate) fn also(mut self, origin: &Origin, text: impl Into<String>) -> Self {
        self.related.push((origin.clone(), text.into()));
        self
    }

    /// Why there is such a rule; empty for a rule that [`Rule`] does not know.
    pub fn why(&self) -> &'static str {
        Rule::find(self.rule).map_or("", |rule| rule.why)
    }

    /// All on one line: where, what, how to cure it, and the rule. For places that take a line each, such as cargo's
    /// warnings.
    pub fn line(&self) -> String {
        let Self { origin, rule, message, cure, .. } = self;
        let whole = format!("{origin}: {message}; {cure} [{rule}]");
        // A name in the message may hold anything, even the end of a line.
        whole.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, rule, severity, message, cure, .. } = self;
        write!(f, "{severity}[{rule}]: {origin}: {message}\n  cure: {cure}")
    }
}
