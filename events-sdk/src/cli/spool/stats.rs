//! `events spool stats`: how many events of which level, category, source and kind.

use std::{collections::BTreeMap, io::Write};

use clap::Args;
use indicatif::HumanBytes;

use super::accounts;
use crate::cli::{
    event::Facts,
    failure::{DONE, Failure},
    filter::Filter,
    json::Object,
    names,
    out::{Out, Table},
    place::{self, Paths, Where},
    schema::Schema,
    shown::{self, ShownEvent},
    time,
    walk::Walk,
};
use crate::plural::counted;

/// So many different names are counted one by one. Our own schema has some ten sources; a spool full of invented ones
/// must not fill memory.
const MOST_NAMES: usize = 1_000;

/// What the rest is called.
const OTHERS: &str = "(others)";

/// Counts events.
#[derive(Debug, Args)]
pub(in crate::cli) struct StatsArgs {
    #[command(flatten)]
    paths: Paths,
    /// One JSON object instead of tables
    #[arg(long)]
    json: bool,
    /// Let --field match personal data; masked otherwise
    #[arg(long)]
    show_pii: bool,
    #[command(flatten)]
    filter: Filter,
}

/// Counts by name.
#[derive(Debug, Default)]
struct Counts(BTreeMap<String, u64>);

/// What was counted.
#[derive(Debug, Default)]
struct Totals {
    events: u64,
    levels: Counts,
    categories: Counts,
    sources: Counts,
    kinds: Counts,
    span: Option<(i64, i64)>,
    /// Events that are nowhere, as the accounts say; `None` where they do not know.
    missing: Option<u64>,
}

impl StatsArgs {
    pub(in crate::cli) fn run(&self, at: &Where, out: &mut Out) -> Result<u8, Failure> {
        let schema = Schema::load()?;
        let sources = at.sources(&self.paths)?;
        let bytes: u64 = sources.iter().map(|source| place::length(&source.path()).unwrap_or(0)).sum();
        let mut totals = Totals::default();
        let mut walk = Walk::new(&schema, &self.filter)?;
        walk.events(&sources, false, |_, facts, body, _| {
            let meant = !self.filter.needs_fields()
                || self.filter.wants_fields(&ShownEvent::of(&schema, *facts, body, self.show_pii));
            if meant {
                totals.add(&schema, facts);
            }
            Ok(())
        })?;
        let files = sources.len() as u64 - walk.gone();
        // What cannot be read has been told, and may be what is missing.
        totals.missing = match walk.code() {
            DONE => accounts::missing_in(&at.views(&self.paths)?),
            _ => None,
        };
        if self.json {
            writeln!(out, "{}", totals.json(files, bytes))?;
        } else {
            totals.tables(files, bytes, out)?;
        }
        Ok(walk.code())
    }
}

impl Counts {
    fn add(&mut self, name: &str) {
        let known = self.0.contains_key(name) || self.0.len() < MOST_NAMES;
        let name = if known { name } else { OTHERS };
        if let Some(count) = self.0.get_mut(name) {
            *count += 1;
        } else {
            self.0.insert(name.to_owned(), 1);
        }
    }

    fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, count)| (name.as_str(), *count))
    }
}

impl Totals {
    fn add(&mut self, schema: &Schema, facts: &Facts<'_>) {
        self.events += 1;
        self.levels.add(&shown::level(facts.level));
        self.categories.add(&shown::category(facts.category));
        self.sources.add(facts.source);
        self.kinds.add(&schema.kind(facts.fields).map_or_else(|| "unknown".to_owned(), names::of_kind));
        let (oldest, newest) = self.span.unwrap_or((facts.timestamp_ms, facts.timestamp_ms));
        self.span = Some((oldest.min(facts.timestamp_ms), newest.max(facts.timestamp_ms)));
    }

    fn json(&self, files: u64, bytes: u64) -> String {
        let mut object =
            Object::new().number("files", files).number("bytes", bytes).number("events", self.events);
        if let Some(missing) = self.missing {
            object = object.number("missing", missing);
        }
        if let Some((oldest, newest)) = self.span {
            object = object.text("oldest", &time::show(oldest)).text("newest", &time::show(newest));
        }
        object
            .counts("levels", self.levels.iter())
            .counts("categories", self.categories.iter())
            .counts("sources", self.sources.iter())
            .counts("kinds", self.kinds.iter())
            .end()
    }

    fn tables(&self, files: u64, bytes: u64, out: &mut Out) -> Result<(), Failure> {
        writeln!(
            out,
            "{}, {}, {}",
            counted(files, "file"),
            HumanBytes(bytes),
            counted(self.events, "event")
        )?;
        if let Some((oldest, newest)) = self.span {
            writeln!(out, "oldest {} ({} ago)", time::show(oldest), time::age(oldest))?;
            writeln!(out, "newest {} ({} ago)", time::show(newest), time::age(newest))?;
        }
        let groups = [
            ("LEVEL", &self.levels),
            ("CATEGORY", &self.categories),
            ("SOURCE", &self.sources),
            ("KIND", &self.kinds),
        ];
        for (heading, counts) in groups {
            let mut table = Table::new(&[heading, "EVENTS"]);
            let mut rows: Vec<_> = counts.iter().collect();
            rows.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
            rows.into_iter().for_each(|(name, count)| table.row([name.to_owned(), count.to_string()]));
            if !table.is_empty() {
                writeln!(out)?;
                out.table(&table)?;
            }
        }
        Ok(())
    }
}
