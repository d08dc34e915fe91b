//! `events spool prune`: deletes events, when there is no other way to make room.
//!
//! A file of which something remains gets a new identity, because its pieces are others now: under the old one Toggle
//! would take them for what it may have seen already. Events of it that were delivered before a crash may so come twice;
//! their `event_id` tells.

use std::{collections::BTreeMap, io::Write, path::Path};

use clap::Args;

use super::rewrite::rewrite;
use crate::{
    Category, DropReason, Kind, Level,
    cli::{
        event::Facts,
        failure::{BROKEN, DONE, FOUND, Failure},
        json::Object,
        names,
        out::{Out, Table, note},
        owner,
        place::{Source, Where},
        progress::Progress,
        schema::Schema,
        shown, time,
    },
    id::IdGenerator,
    ledger::{self, Known, Ledger},
    spool::{FileName, Item, Sealing, Spool, SpoolFile},
};

/// Deletes events that meet all of the conditions.
#[derive(Debug, Args)]
pub(in crate::cli) struct PruneArgs {
    /// Events older than this: 7d
    #[arg(long, value_name = "TIME", value_parser = time::span)]
    older_than: Option<i64>,
    /// Events less grave than this level
    #[arg(long, value_name = "LEVEL", value_parser = names::level)]
    below: Option<Level>,
    /// Events of these categories, by comma
    #[arg(long, value_name = "CATEGORY", value_delimiter = ',', value_parser = names::category)]
    category: Vec<Category>,
    /// Events of these kinds, by comma
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = names::kind)]
    kind: Vec<&'static Kind>,
    /// Really delete; otherwise only say what would be
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
    /// Only say what would be deleted: the default
    #[arg(long)]
    dry_run: bool,
    /// One JSON object instead of a table
    #[arg(long)]
    json: bool,
}

/// The spool and its accounts, as long as nobody else may touch them.
struct Hold {
    spool: Spool,
    /// None where no agent with this SDK has used the spool.
    ledger: Option<Ledger>,
}

impl Hold {
    fn open(dir: &Path) -> Result<Self, Failure> {
        let spool = Spool::open(dir)?;
        let ledger = dir.join(ledger::FILE).exists().then(|| Ledger::open(dir, 1)).transpose();
        let ledger = ledger.map_err(|error| {
            Failure::Broken(format!("cannot open the accounts of {}: {error}", dir.display()))
        })?;
        Ok(Self { spool, ledger })
    }

    /// Takes a file up as an agent does at its start: what was delivered of pieces that are not dealt with in full waits
    /// again. Gives how many events at its beginning do not wait any more; all of them where it was only to be removed.
    fn take_up(&mut self, source: &Source) -> Result<u64, Failure> {
        let Some(ledger) = &mut self.ledger else { return Ok(0) };
        let file = self.spool.inspect(&source.name)?;
        let is_ours = file.is_of(ledger.id());
        Ok(match ledger.found(file.id, u64::from(file.events), is_ours) {
            Known::Finished => u64::MAX,
            Known::From(step) => step.events,
        })
    }

    /// Books what was dropped of a file, which then is only to be removed, and removes it.
    fn remove(&mut self, file: &SpoolFile, dropped: &BTreeMap<(i32, i32), u64>) -> Result<(), Failure> {
        if let Some(ledger) = &mut self.ledger {
            let foreign = !file.is_of(ledger.id());
            for (&(level, category), &count) in dropped {
                let severity = Level::from_number(level).map_or(0, Level::severity);
                let category = Category::from_number(category).map_or(0, |category| category as u8);
                ledger.drop_events(DropReason::Pruned, category, severity, count, foreign);
            }
            ledger.finish(file.id, 0, foreign);
            ledger.file().map_or(Ok(()), |books| books.sync_data()).map_err(|error| {
                Failure::Broken(format!("cannot bring the accounts to stable storage: {error}"))
            })?;
        }
        self.spool.remove(file)?;
        if let Some(ledger) = &mut self.ledger {
            ledger.forget(file.id);
        }
        Ok(())
    }

    fn close(self) {
        if let Some(mut ledger) = self.ledger {
            ledger.leave();
        }
    }
}

/// What was, or would be, deleted.
#[derive(Debug, Default)]
struct Tally {
    dropped: BTreeMap<(i32, i32), u64>,
    kept: u64,
    removed: u64,
    rewritten: u64,
    damaged: u64,
    /// Files that could not be read or written, and are as they were.
    unreadable: u64,
}

impl PruneArgs {
    pub(in crate::cli) fn run(&self, at: &Where, out: &mut Out) -> Result<u8, Failure> {
        let no_kind = self.category.is_empty() && self.kind.is_empty();
        if self.older_than.is_none() && self.below.is_none() && no_kind {
            return Err(Failure::Usage(
                "say which events to delete: --older-than, --below, --category or --kind".to_owned(),
            ));
        }
        let dir = at.existing()?;
        // Held until the end.
        let mut hold = if self.yes { Some(Hold::open(&dir)?) } else { None };
        let schema = Schema::load()?;
        let sources = Where::files(&dir)?;
        let progress = Progress::over(&sources, false);
        let before = self.older_than.map(|span| time::now_ms().saturating_sub(span));
        let doomed = |facts: &Facts<'_>| self.means(&schema, before, facts);
        let mut tally = Tally::default();
        for source in &sources {
            progress.at(&source.label());
            if let Err(failure) = self.prune(source, hold.as_mut(), &doomed, &mut tally, &progress) {
                note(failure.text().unwrap_or_default());
                tally.unreadable += 1;
            }
        }
        drop(progress);
        if let Some(hold) = hold {
            hold.close();
            owner::hand_over_all(&dir).map_err(|error| {
                Failure::Broken(format!("cannot give {} to its owner: {error}", dir.display()))
            })?;
        }
        tally.tell(self.json, self.yes, out)?;
        Ok(match (tally.unreadable, tally.damaged) {
            (1.., _) => BROKEN,
            (0, 1..) => FOUND,
            (0, 0) => DONE,
        })
    }

    fn means(&self, schema: &Schema, before: Option<i64>, facts: &Facts<'_>) -> bool {
        // A level that this version does not know may be the gravest of all.
        let light = |level: Level| facts.known_level().is_some_and(|of| of.severity() < level.severity());
        let kind = || schema.kind(facts.fields);
        before.is_none_or(|before| facts.timestamp_ms < before)
            && self.below.is_none_or(light)
            && (self.category.is_empty() || self.category.iter().any(|one| one.number() == facts.category))
            && (self.kind.is_empty()
                || kind().is_some_and(|kind| self.kind.iter().any(|wanted| wanted.name == kind.name)))
    }

    fn prune(
        &self,
        source: &Source,
        mut hold: Option<&mut Hold>,
        doomed: &impl Fn(&Facts<'_>) -> bool,
        tally: &mut Tally,
        progress: &Progress,
    ) -> Result<(), Failure> {
        let mut scan = source.view.scan(&source.name)?;
        let (mut dropped, mut kept, mut damaged) = (BTreeMap::<_, u64>::new(), 0_u64, false);
        progress.add(scan.seen().bytes);
        let fingerprint = scan.seen().fingerprint.unwrap_or_default();
        let mut delivered = hold.as_mut().map_or(Ok(0), |hold| hold.take_up(source))?;
        let skip = delivered;
        while let Some(item) = scan.next()? {
            match item {
                // Delivered, or set aside, before the last agent ended.
                Item::Event { .. } if delivered > 0 => delivered -= 1,
                Item::Event { body, .. } => {
                    let facts = Facts::of(body);
                    if doomed(&facts) {
                        *dropped.entry((facts.level, facts.category)).or_default() += 1;
                    } else {
                        kept += 1;
                    }
                }
                Item::Damage { .. } => damaged = true,
            }
        }
        if damaged && !dropped.is_empty() {
            note(&format!("{} is damaged and is left alone: `events spool repair` first", source.label()));
            tally.damaged += 1;
            return Ok(());
        }
        tally.kept += kept;
        if dropped.is_empty() {
            return Ok(());
        }
        if let Some(hold) = hold {
            let file = hold.spool.inspect(&source.name)?;
            if kept > 0 {
                let id = IdGenerator::new().next(u64::try_from(file.timestamp_ms).unwrap_or(0));
                let timestamp_ms = file.timestamp_ms;
                let target = source.view.path_of(&FileName::of(id));
                // First the new file, durably: a crash in between leaves events twice rather than not at all.
                rewrite(
                    source,
                    &target,
                    Sealing { id, timestamp_ms, whole: false, fingerprint, ledger: file.ledger },
                    false,
                    skip,
                    |facts| !doomed(facts),
                )?;
            }
            hold.remove(&file, &dropped)?;
        }
        *(if kept > 0 { &mut tally.rewritten } else { &mut tally.removed }) += 1;
        for (key, count) in dropped {
            *tally.dropped.entry(key).or_default() += count;
        }
        Ok(())
    }
}

impl Tally {
    fn tell(&self, json: bool, done: bool, out: &mut Out) -> Result<(), Failure> {
        let total: u64 = self.dropped.values().sum();
        if json {
            let rows: Vec<_> = self
                .dropped
                .iter()
                .map(|((level, category), events)| {
                    Object::new()
                        .text("level", &shown::level(*level))
                        .text("category", &shown::category(*category))
                        .number("events", *events)
                        .end()
                })
                .collect();
            let object = Object::new()
                .flag("done", done)
                .number("dropped", total)
                .number("kept", self.kept)
                .number("files_removed", self.removed)
                .number("files_rewritten", self.rewritten)
                .number("files_damaged", self.damaged)
                .raw("by", &format!("[{}]", rows.join(",")));
            writeln!(out, "{}", object.end())?;
            return Ok(());
        }
        let mut table = Table::new(&["LEVEL", "CATEGORY", "EVENTS"]);
        for ((level, category), events) in &self.dropped {
            table.row([shown::level(*level), shown::category(*category), events.to_string()]);
        }
        if !table.is_empty() {
            out.table(&table)?;
        }
        let verb = if done { "deleted" } else { "would be deleted" };
        writeln!(out, "{total} events {verb}, {} kept", self.kept)?;
        if !done && total > 0 {
            writeln!(out, "say --yes to delete them")?;
        }
        Ok(())
    }
}
