//! `explain`: the table of rules.

use std::process::ExitCode;

use events_codegen::{Rule, Severity};

use super::arguments::Arguments;
use super::{Failure, say};

/// Explains the rules that are named, or lists all.
pub(super) fn explain(arguments: &Arguments) -> Result<ExitCode, Failure> {
    if arguments.rest.is_empty() {
        for rule in Rule::all() {
            let mark = if rule.severity() == Severity::Warning { " (a warning)" } else { "" };
            say(format!("{:<20} {}{mark}", rule.name, rule.what))?;
        }
    }
    for name in &arguments.rest {
        let name = name.to_string_lossy();
        let rule = Rule::find(&name).ok_or_else(|| {
            let hint = match Rule::nearest(&name) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "`events-codegen explain` lists all rules".to_owned(),
            };
            Failure::Error(format!("`{name}` is not a rule\n  cure: {hint}"))
        })?;
        say(rule)?;
    }
    Ok(ExitCode::SUCCESS)
}
