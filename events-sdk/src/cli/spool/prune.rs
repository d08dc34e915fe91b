//! `events spool prune`: deletes events, when there is no other way to make room.
//!
//! A file of which something remains gets a new identity, because its pieces are others now: under the old one Toggle
//! would take them for what it may have seen already. Events of it that were delivered before a crash may so come twice;
//! their `event_id` tells. At no time are both files there for an agent to find, and at no time is neither: see
//! [`Spool::swap`](crate::spool::Spool::swap).
//!
//! Often the disk is full when somebody prunes. So what goes as a whole goes first, which takes no room, and of the rest what needs
//! the least; a file for which there is none stays as it is.

use std::{
    collections::BTreeMap,
    io::Write,
    path::{Path, PathBuf},
};

use clap::Args;
use uuid::Uuid;

use super::{
    hold::{Books, Hold, tell_holder},
    rewrite::rewrite,
    waiting::Waiting,
};
use crate::{
    Category, Kind, Level,
    cli::{
        event::Facts,
        failure::{BROKEN, DONE, FOUND, Failure},
        json::Object,
        names,
        out::{Out, Table, note, some_of, visible},
        owner,
        place::{self, Source, Where},
        progress::Progress,
        schema::Schema,
        shown, time,
    },
    id::IdGenerator,
    plural::counted,
    spool::{Aside, FileName, Item, Passed, Sealing, SpoolFile, View, free_bytes},
};

/// What a file has beside its events, the rest of a block included.
const OVERHEAD: u64 = 8 << 10;

/// Each event has a checksum in the seal.
const CHECKSUM: u64 = 4;

/// Deletes events that meet all of the conditions.
#[derive(Debug, Args)]
pub(in crate::cli) struct PruneArgs {
    /// The spool directory, instead of that of the configuration
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Events older than this: 7d
    #[arg(long, value_name = "TIME", value_parser = time::span)]
    older_than: Option<i64>,
    /// Events less grave than this level
    #[arg(long, value_name = "LEVEL", value_parser = names::level, help = names::level_help("Events less grave than this level"))]
    below: Option<Level>,
    /// Events of these categories, by comma
    #[arg(long, value_name = "CATEGORY", value_delimiter = ',', value_parser = names::category, help = names::category_help("Events of these categories, by comma"))]
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

/// Deletes, or only finds out what would be deleted.
#[allow(clippy::large_enum_variant, reason = "there is one of them")]
enum Work {
    /// In a spool that is ours.
    Really(Hold),
    /// In one that is not: with its accounts, and how many bytes its disk has room for.
    Seemingly(Books, u64),
}

/// What is to become of a file.
struct Plan<'a> {
    source: &'a Source,
    file: SpoolFile,
    fingerprint: u64,
    /// Which of its events wait.
    waiting: Waiting,
    dropped: BTreeMap<(i32, i32), u64>,
    kept: u64,
    /// How long it is with what is kept.
    kept_bytes: u64,
}

impl Plan<'_> {
    fn dropped(&self) -> u64 {
        self.dropped.values().sum()
    }
}

/// What was, or would be, deleted.
#[derive(Debug, Default)]
struct Tally {
    dropped: BTreeMap<(i32, i32), u64>,
    kept: u64,
    /// Events among these that are damaged.
    kept_damaged: u64,
    removed: u64,
    rewritten: u64,
    damaged: u64,
    /// Files that are as they were, though something in them was meant: they could not be written anew.
    failed: Vec<String>,
    /// Files that could not be read.
    unreadable: u64,
    damaged_accounts: bool,
    accounts_are_gone: bool,
}

impl PruneArgs {
    pub(in crate::cli) fn run(&self, at: &Where, out: &mut Out) -> Result<u8, Failure> {
        let no_kind = self.category.is_empty() && self.kind.is_empty();
        if self.older_than.is_none() && self.below.is_none() && no_kind {
            return Err(Failure::Usage(
                "say which events to delete: --older-than, --below, --category or --kind".to_owned(),
            ));
        }
        let dir = at.to_work_on(self.dir.as_deref())?;
        let meanwhile = "what is deleted is not counted";
        // Held until the end.
        let mut work = if self.yes {
            Work::Really(Hold::open(&dir, meanwhile)?)
        } else {
            tell_holder(&dir);
            let ballast = View::of(&dir).ballast_bytes();
            let room = free_bytes(&dir).map_or(u64::MAX, |free| free + ballast);
            Work::Seemingly(Books::look(&dir, meanwhile)?, room)
        };
        let schema = Schema::load()?;
        let sources = Where::files(&dir)?;
        let progress = Progress::over(&sources, false);
        let before = self.older_than.map(|span| time::now_ms().saturating_sub(span));
        let aside = View::of(&dir).aside()?;
        let doomed = |facts: &Facts<'_>| self.means(&schema, before, facts);
        let mut tally = Tally {
            damaged_accounts: work.books().damage.is_some(),
            accounts_are_gone: work.books().are_gone,
            ..Tally::default()
        };
        let mut in_part = Vec::new();
        for source in &sources {
            progress.at(&source.label());
            match plan(source, &aside, work.books(), &doomed, &mut tally, &progress) {
                Ok(None) => {}
                // What goes as a whole needs no room, and makes some.
                Ok(Some(plan)) if plan.kept == 0 => work.remove(&plan, &mut tally),
                Ok(Some(plan)) => in_part.push(plan),
                Err(failure) => {
                    note(failure.text().unwrap_or_default());
                    tally.unreadable += 1;
                }
            }
        }
        // Each that is written anew makes room for the next.
        in_part.sort_by_key(|plan| plan.kept_bytes);
        for plan in &in_part {
            progress.at(&plan.source.label());
            work.rewrite(plan, &doomed, &mut tally);
        }
        drop(progress);
        if self.yes {
            owner::hand_over_all(&dir).map_err(|error| {
                Failure::Broken(format!("cannot give {} to its owner: {error}", dir.display()))
            })?;
        }
        tally.tell(self.json, self.yes, out)?;
        place::tell_segments(&dir)?;
        Ok(tally.code())
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
}

/// What is to become of a file; `None` where all of it stays.
fn plan<'a>(
    source: &'a Source,
    aside: &Aside,
    books: &mut Books,
    doomed: &impl Fn(&Facts<'_>) -> bool,
    tally: &mut Tally,
    progress: &Progress,
) -> Result<Option<Plan<'a>>, Failure> {
    let opened = source.inspect().and_then(|(file, _)| Ok((file, source.scan()?)));
    let (file, mut scan) = match opened {
        // Delivered meanwhile, where it is only asked what would be.
        Err(error) if place::is_gone(&error) => return Ok(None),
        opened => opened?,
    };
    progress.add(scan.seen().bytes);
    // What is dealt with is known to the books.
    let refused = source.refused_of(aside, &file, Passed::default())?;
    let waiting = books.take_up(&file).without(refused);
    let mut plan = Plan {
        source,
        file,
        fingerprint: scan.seen().fingerprint.unwrap_or_default(),
        waiting,
        dropped: BTreeMap::new(),
        kept: 0,
        kept_bytes: OVERHEAD,
    };
    let (mut waiting, mut damaged, mut good) = (plan.waiting.clone(), false, 0_u64);
    while let Some(item) = scan.next()? {
        good += u64::from(matches!(item, Item::Event { .. }));
        match item {
            // Delivered, or set aside, before the last agent ended.
            Item::Event { entry, .. } if !waiting.next(entry) => {}
            Item::Event { entry, body } => {
                let facts = Facts::of(body);
                if doomed(&facts) {
                    *plan.dropped.entry((facts.level, facts.category)).or_default() += 1;
                } else {
                    plan.kept += 1;
                    plan.kept_bytes += entry.len() as u64 + CHECKSUM;
                }
            }
            Item::Damage { .. } => damaged = true,
        }
    }
    damaged |= scan.is_cut_off() || scan.is_seal_damaged();
    // They stay, whatever becomes of the others.
    let bad = u64::from(plan.file.events).saturating_sub(good);
    tally.kept += bad;
    tally.kept_damaged += bad;
    if plan.dropped.is_empty() {
        tally.kept += plan.kept;
        return Ok(None);
    }
    if damaged {
        note(&format!("{} is damaged and is left alone: `events spool repair` first", source.label()));
        tally.kept += plan.kept + plan.dropped();
        tally.damaged += 1;
        return Ok(None);
    }
    Ok(Some(plan))
}

impl Work {
    fn books(&mut self) -> &mut Books {
        match self {
            Self::Really(hold) => &mut hold.books,
            Self::Seemingly(books, _) => books,
        }
    }

    /// Removes a file that goes as a whole.
    fn remove(&mut self, plan: &Plan<'_>, tally: &mut Tally) {
        let removed = match self {
            Self::Really(hold) => hold.remove(&plan.file, &plan.dropped),
            Self::Seemingly(_, room) => {
                *room = room.saturating_add(plan.file.bytes);
                Ok(())
            }
        };
        tally.add(plan, removed);
    }

    /// Writes a file anew without what is to be deleted.
    fn rewrite(&mut self, plan: &Plan<'_>, doomed: &impl Fn(&Facts<'_>) -> bool, tally: &mut Tally) {
        let written = match self {
            Self::Really(hold) => {
                let id = IdGenerator::new().next(u64::try_from(plan.file.timestamp_ms).unwrap_or(0));
                let name = FileName::of(id);
                let waiting = hold.spool.waiting_for(id, &plan.file.name);
                let target = waiting.clone().unwrap_or_else(|| plan.source.view.path_of(&name));
                let written = rewritten(plan, id, &target, doomed).or_else(|failure| match failure {
                    Failure::Full(_) => {
                        // For a moment like this it was set aside; the agent does so again. Some file systems give back what was
                        // freed only after a sync.
                        hold.spool.drop_ballast();
                        hold.spool.sync_removals();
                        rewritten(plan, id, &target, doomed)
                    }
                    failure => Err(failure),
                });
                written.and_then(|()| hold.replace(&plan.file, waiting.as_deref(), &name, &plan.dropped))
            }
            Self::Seemingly(_, room) if *room < plan.kept_bytes => {
                Err(Failure::Full(format!("{} bytes are needed, and {room} are free", plan.kept_bytes)))
            }
            Self::Seemingly(_, room) => {
                *room = room.saturating_sub(plan.kept_bytes).saturating_add(plan.file.bytes);
                Ok(())
            }
        };
        tally.add(plan, written);
    }
}

/// Writes what is kept of a file under another identity, durably.
fn rewritten(
    plan: &Plan<'_>,
    id: Uuid,
    target: &Path,
    doomed: &impl Fn(&Facts<'_>) -> bool,
) -> Result<(), Failure> {
    let Plan { source, file, fingerprint, waiting, .. } = plan;
    let mut waiting = waiting.clone();
    let sealing = Sealing {
        id,
        timestamp_ms: file.timestamp_ms,
        whole: false,
        offered: false,
        fingerprint: *fingerprint,
        ledger: file.ledger,
    };
    let keeps = |entry: &[u8], facts: &Facts<'_>| waiting.next(entry) && !doomed(facts);
    rewrite(source, target, sealing, false, keeps, || Ok(())).map(drop)
}

impl Tally {
    /// Counts a file that was dealt with, or that could not be.
    fn add(&mut self, plan: &Plan<'_>, result: Result<(), Failure>) {
        if let Err(failure) = result {
            let label = plan.source.label();
            let why = failure.text().unwrap_or_default();
            let or = match failure {
                Failure::Full(_) => "; what empties whole files, as `--older-than` may, needs no room",
                _ => "",
            };
            note(&format!("{label} cannot be pruned and is kept as it is: {why}{or}"));
            self.kept += plan.kept + plan.dropped();
            self.failed.push(label);
            return;
        }
        self.kept += plan.kept;
        *(if plan.kept > 0 { &mut self.rewritten } else { &mut self.removed }) += 1;
        for (key, count) in &plan.dropped {
            *self.dropped.entry(*key).or_default() += count;
        }
    }

    fn code(&self) -> u8 {
        if self.unreadable > 0 || !self.failed.is_empty() {
            BROKEN
        } else if self.damaged > 0 || self.damaged_accounts || self.accounts_are_gone {
            FOUND
        } else {
            DONE
        }
    }

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
                .number("kept_damaged", self.kept_damaged)
                .number("files_removed", self.removed)
                .number("files_rewritten", self.rewritten)
                .number("files_damaged", self.damaged)
                .texts("files_failed", &self.failed)
                .number("files_unreadable", self.unreadable)
                .flag("accounts_damaged", self.damaged_accounts)
                .flag("accounts_gone", self.accounts_are_gone)
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
        write!(out, "{} {verb}, {} kept", counted(total, "event"), self.kept)?;
        match self.kept_damaged {
            0 => writeln!(out)?,
            damaged => writeln!(out, ", {damaged} of them damaged")?,
        }
        let would = if done { "could" } else { "can" };
        match self.failed.len() {
            0 => {}
            1 => writeln!(out, "1 file {would} not be pruned: {}", visible(&self.failed[0]))?,
            files => writeln!(
                out,
                "{files} files {would} not be pruned: {}",
                visible(&some_of(&self.failed, "--json"))
            )?,
        }
        if !done && total > 0 {
            writeln!(out, "say --yes to delete them")?;
        }
        Ok(())
    }
}
