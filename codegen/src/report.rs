//! Everything that was found in a schema, with the texts to show it in.

use std::fmt;

use crate::finding::{Finding, Severity};
use crate::render::{self, Look};
use crate::texts::Texts;

/// What was found: errors, warnings, or nothing. `Display` is the plain text of all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    findings: Vec<Finding>,
    texts: Texts,
}

impl Report {
    pub(crate) fn new(mut findings: Vec<Finding>, texts: Texts) -> Self {
        findings.sort();
        findings.dedup();
        Self { findings, texts }
    }

    /// Every finding: errors before warnings, each in the order of files and lines.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.findings.is_empty()
    }

    /// The findings with their source lines, one block each, and how many there are. Empty if there are none.
    pub fn render(&self, look: Look) -> String {
        if self.is_empty() {
            return String::new();
        }
        let mut blocks: Vec<String> =
            self.findings.iter().map(|finding| render::finding(finding, &self.texts, look)).collect();
        blocks.push(self.summary());
        blocks.join("\n\n")
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }

    fn summary(&self) -> String {
        let warnings = self.findings.iter().filter(|finding| finding.severity == Severity::Warning).count();
        let count = |number: usize, what: &str| match number {
            0 => None,
            1 => Some(format!("1 {what}")),
            many => Some(format!("{many} {what}s")),
        };
        let counted = [count(self.findings.len() - warnings, "mistake"), count(warnings, "warning")];
        let counted: Vec<String> = counted.into_iter().flatten().collect();
        format!("{}; `events-codegen explain RULE` says more of a rule", counted.join(" and "))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Look::plain()))
    }
}
