//! `events spool accounts`: what became of every event that was ever accepted here, and whether that adds up.

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
};

use clap::Args;

use crate::{
    accounts,
    cli::{
        failure::{BROKEN, DONE, FOUND, Failure},
        json::Object,
        out::{Out, Table, note},
        place::{self, Source, Where},
        time,
    },
    ledger::{self, Known, Ledger, Totals},
    spool::View,
};

/// The books of a live spool are read until they do not change while the files are counted, at most so often.
const ATTEMPTS: u32 = 5;

/// Shows the accounts.
#[derive(Debug, Args)]
pub(in crate::cli) struct AccountsArgs {
    /// The spool directory, instead of that of the configuration
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
    /// One JSON object instead of a table
    #[arg(long)]
    json: bool,
}

/// The books, and what is there.
struct Found {
    ledger: Ledger,
    totals: Totals,
    /// Events of the books in files and segments.
    on_disk: u64,
    /// Events in files that others put there.
    others: u64,
    /// Events in the quarantine.
    quarantined: u64,
    /// Files and segments that could not be read.
    unreadable: u64,
    /// An agent changed the books meanwhile.
    moving: bool,
}

impl AccountsArgs {
    pub(in crate::cli) fn run(&self, at: &Where, out: &mut Out) -> Result<u8, Failure> {
        let dir = match &self.dir {
            Some(dir) => dir.clone(),
            None => at.existing()?,
        };
        let mut found = Found::look(&View::of(&dir))?;
        for _ in 1..ATTEMPTS {
            if !found.moving || found.unreadable > 0 {
                break;
            }
            found = Found::look(&View::of(&dir))?;
        }
        if self.json {
            writeln!(out, "{}", found.json())?;
        } else {
            out.table(&found.table())?;
            writeln!(out, "\n{}", found.verdict())?;
        }
        Ok(match (found.unreadable, found.balances()) {
            (1.., _) => BROKEN,
            (0, true) => DONE,
            (0, false) => FOUND,
        })
    }
}

fn read(view: &View) -> Result<Ledger, Failure> {
    let path = view.dir().join(ledger::FILE);
    let failed = |what: &str| Failure::Broken(format!("{}: {what}", path.display()));
    let bytes = fs::read(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => failed(&format!(
            "{error}; the accounts are made when an agent with this SDK first uses the spool"
        )),
        _ => failed(&format!("{error}; look as the user whose spool it is, or as root")),
    })?;
    Ledger::read(&bytes).map_err(|error| {
        failed(&format!("{error}; the next start of the agent sets it aside and begins anew"))
    })
}

impl Found {
    fn look(view: &View) -> Result<Self, Failure> {
        let mut ledger = read(view)?;
        let before = ledger.totals();
        let (mut on_disk, mut others, mut unreadable) = (0, 0, 0);
        for source in place::everything(view)? {
            let (file, _) = match source.inspect() {
                Ok(seen) => seen,
                Err(error) if place::is_gone(&error) => continue,
                Err(error) => {
                    note(&error.to_string());
                    unreadable += 1;
                    continue;
                }
            };
            let is_ours = is_segment(&source) || file.is_of(ledger.id());
            let Known::From(step) = ledger.found(file.id, u64::from(file.events), is_ours) else { continue };
            let waits = u64::from(file.events).saturating_sub(step.events);
            *(if is_ours { &mut on_disk } else { &mut others }) += waits;
        }
        let quarantined = view.quarantined_events()?;
        let totals = ledger.totals();
        let moving = read(view)?.totals() != before;
        Ok(Self { ledger, totals, on_disk, others, quarantined, unreadable, moving })
    }

    /// What the books say is neither delivered, dropped, set aside nor on disk.
    fn rest(&self) -> i64 {
        let accepted = self.totals.accepted - self.others;
        let elsewhere = self.totals.delivered + self.quarantined + self.totals.dropped + self.on_disk;
        accepted.cast_signed() - elsewhere.cast_signed()
    }

    /// Where nothing is in memory the rest must be zero. Nobody can tell while a file cannot be read.
    fn balances(&self) -> bool {
        if self.unreadable > 0 {
            return false;
        }
        self.moving || self.rest() == 0 || (self.rest() > 0 && !self.ledger.was_closed())
    }

    fn verdict(&self) -> String {
        match self.rest() {
            _ if self.unreadable > 0 => format!(
                "{} files or segments cannot be read, so nobody can say whether the accounts balance; mend their \
                 permissions or the disk, or look as the user whose spool it is",
                self.unreadable
            ),
            _ if self.moving => {
                "an agent is at work, and the numbers changed while they were read".to_owned()
            }
            0 => "the accounts balance".to_owned(),
            rest @ 1.. if !self.ledger.was_closed() => format!(
                "the accounts balance: {rest} events are in the memory of the agent that is running; if none is, they were \
                 lost with it, and the next start counts them as `process_ended`"
            ),
            rest @ 1.. => format!(
                "{rest} events are missing: they were on disk when the last agent ended, and files were taken out of the spool \
                 since; the next start counts them as `vanished`"
            ),
            rest => format!(
                "{} events more are there than the books know of, after a loss of power for one; the next start takes them over",
                rest.unsigned_abs()
            ),
        }
    }

    fn table(&self) -> Table {
        let mut table = Table::new(&["EVENTS", "COUNT"]);
        let since = i64::try_from(self.totals.begun_ms).unwrap_or(i64::MAX);
        let mut row = |name: String, count: u64| table.row([name, count.to_string()]);
        row(format!("accepted since {}", time::show(since)), self.totals.accepted);
        row("  delivered".to_owned(), self.totals.delivered);
        row("  on disk".to_owned(), self.on_disk + self.others);
        row("  quarantined".to_owned(), self.quarantined);
        let elsewhere = match self.unreadable {
            0 => "  in memory, or lost with it",
            _ => "  in what cannot be read, in memory, or lost with it",
        };
        row(elsewhere.to_owned(), self.rest().max(0).unsigned_abs());
        row("  dropped".to_owned(), self.totals.dropped);
        for drop in accounts::list(&self.ledger.drops()) {
            let category = drop.category.map_or("-", |category| category.name());
            let level = drop.level.map_or("-", |level| level.name());
            row(format!("    {} {category} {level}", drop.reason), drop.count);
        }
        table
    }

    fn json(&self) -> String {
        let drops: Vec<String> = accounts::list(&self.ledger.drops())
            .iter()
            .map(|drop| {
                let mut object = Object::new().text("reason", drop.reason.name());
                if let Some(category) = drop.category {
                    object = object.text("category", category.name());
                }
                if let Some(level) = drop.level {
                    object = object.text("level", level.name());
                }
                object.number("count", drop.count).end()
            })
            .collect();
        Object::new()
            .number("since_ms", self.totals.begun_ms)
            .number("accepted", self.totals.accepted)
            .number("delivered", self.totals.delivered)
            .number("on_disk", self.on_disk + self.others)
            .number("quarantined", self.quarantined)
            .number("in_memory_or_lost", self.rest().max(0).unsigned_abs())
            .number("dropped", self.totals.dropped)
            .raw("drops", &format!("[{}]", drops.join(",")))
            .flag("closed", self.ledger.was_closed())
            .number("unreadable", self.unreadable)
            .flag("moving", self.moving)
            .flag("balances", self.balances())
            .text("verdict", &self.verdict())
            .end()
    }
}

fn is_segment(source: &Source) -> bool {
    source.segment.is_some()
}
