//! `events spool cat` and `events spool grep`: the events, one a line.

use std::{io::Write, path::Path};

use clap::Args;
use regex::Regex;

use crate::cli::{
    failure::{DONE, FOUND, Failure},
    filter::Filter,
    out::Out,
    place::{Paths, Where},
    schema::Schema,
    shown::ShownEvent,
    walk::Walk,
};

/// How events are shown.
#[derive(Debug, Args)]
struct Show {
    /// One JSON object a line instead of text
    #[arg(long)]
    json: bool,
    /// Show personal data as it is; masked otherwise
    #[arg(long)]
    show_pii: bool,
    #[command(flatten)]
    filter: Filter,
}

/// Shows events.
#[derive(Debug, Args)]
pub(in crate::cli) struct CatArgs {
    #[command(flatten)]
    paths: Paths,
    #[command(flatten)]
    show: Show,
}

/// Shows the events that match.
#[derive(Debug, Args)]
pub(in crate::cli) struct GrepArgs {
    /// A regular expression, matched with the event's line as `cat` shows it; what is masked is not matched. Only where --field is
    /// given it may be left out
    #[arg(required_unless_present = "field")]
    pattern: Option<String>,
    /// Upper and lower case are the same
    #[arg(long, short)]
    ignore_case: bool,
    /// Only say how many events match
    #[arg(long, short)]
    count: bool,
    #[command(flatten)]
    paths: Paths,
    #[command(flatten)]
    show: Show,
}

impl CatArgs {
    pub(in crate::cli) fn run(&self, at: &Where, out: &mut Out) -> Result<u8, Failure> {
        let schema = Schema::load()?;
        let mut walk = Walk::new(&schema, &self.show.filter)?;
        walk.shown(&at.sources(&self.paths)?, self.show.show_pii, |source, event| {
            self.show.write(&source.label(), event, out)
        })?;
        Ok(walk.code())
    }
}

impl GrepArgs {
    pub(in crate::cli) fn run(&self, at: &Where, out: &mut Out) -> Result<u8, Failure> {
        let pattern = self.pattern.as_deref().unwrap_or_default();
        if self.paths.paths.is_empty() && pattern.contains('/') && Path::new(pattern).exists() {
            return Err(Failure::Usage(format!(
                "`{pattern}` is taken for the pattern, and is a path; write `events spool grep PATTERN {pattern}`"
            )));
        }
        let regex = regex::RegexBuilder::new(pattern)
            .case_insensitive(self.ignore_case)
            .build()
            .map_err(|error| Failure::Usage(format!("`{pattern}` is no regular expression: {error}")))?;
        let schema = Schema::load()?;
        let mut walk = Walk::new(&schema, &self.show.filter)?;
        let mut matches = 0_u64;
        walk.shown(&at.sources(&self.paths)?, self.show.show_pii, |source, event| {
            if !finds(&regex, event) {
                return Ok(());
            }
            matches += 1;
            if self.count { Ok(()) } else { self.show.write(&source.label(), event, out) }
        })?;
        if self.count {
            writeln!(out, "{matches}")?;
        }
        Ok(match walk.code() {
            DONE if matches == 0 => FOUND,
            code => code,
        })
    }
}

fn finds(regex: &Regex, event: &ShownEvent<'_>) -> bool {
    regex.as_str().is_empty() || regex.is_match(&event.plain())
}

impl Show {
    fn write(&self, file: &str, event: &ShownEvent<'_>, out: &mut Out) -> Result<(), Failure> {
        if self.json {
            writeln!(out, "{}", event.json(file))?;
        } else {
            let line = event.line(out);
            writeln!(out, "{line}")?;
        }
        Ok(())
    }
}
