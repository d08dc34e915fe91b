//! `events spool accounts`: what became of every event that was ever accepted here, and whether that adds up.

use std::{
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
        peek::peek,
        place::{self, Source, Where},
        time,
    },
    ledger::{self, Known, Ledger, Totals},
    plural::{counted, is_or_are},
    spool::{ANY_LEDGER, View},
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
    /// Events in files that do not say whose they are, because they are damaged or were repaired.
    unclear: u64,
    /// Events in the quarantine.
    quarantined: u64,
    /// Files and segments that could not be read.
    unreadable: u64,
    /// An agent changed the books meanwhile.
    moving: bool,
    /// Files that end too early, where something is missing.
    torn: Vec<String>,
    /// The process that works here, or did so last.
    process: Option<u32>,
}

/// How many events the books say are neither delivered, dropped, set aside nor on disk: at least, and at most. They differ by those
/// that are in the books or not.
#[derive(Debug, Clone, Copy)]
struct Rest {
    least: i64,
    most: i64,
}

impl AccountsArgs {
    pub(in crate::cli) fn run(&self, at: &Where, out: &mut Out) -> Result<u8, Failure> {
        let dir = match &self.dir {
            Some(dir) => {
                place::must_be_around_segments(dir)?;
                dir.clone()
            }
            None => at.existing()?,
        };
        let mut found = Found::look(&View::of(&dir))?;
        for _ in 1..ATTEMPTS {
            if !found.moving || found.unreadable > 0 {
                break;
            }
            found = Found::look(&View::of(&dir))?;
        }
        if found.missing().is_some() {
            found.torn = torn(&View::of(&dir))?;
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

/// Says how many events are missing in these spools, where the books know. In which files they were nobody knows.
pub(super) fn tell_missing(views: &[View]) {
    for view in views {
        // Where they cannot be read nobody knows.
        let Some(missing) = Found::look(view).ok().and_then(|found| found.missing()) else { continue };
        let torn = torn(view).unwrap_or_default();
        let (events, are) = (counted(missing, "event"), is_or_are(missing));
        let (files, end) = (torn.join(", "), if torn.len() == 1 { "ends" } else { "end" });
        note(&match torn.len() {
            0 => format!(
                "{events} {are} missing, as the accounts say: files or segments were removed, emptied or replaced since the \
                 last agent ended"
            ),
            _ => format!(
                "{events} more {are} missing, as the accounts say: {files} {end} too early, or files and segments were removed or \
                 replaced since the last agent ended"
            ),
        });
    }
}

/// The files that end too early.
fn torn(view: &View) -> Result<Vec<String>, Failure> {
    let sources = place::everything(view)?;
    let torn = sources.iter().filter(|source| source.is_torn().unwrap_or_default());
    Ok(torn.map(Source::label).collect())
}

fn read(view: &View) -> Result<Ledger, Failure> {
    let path = view.dir().join(ledger::FILE);
    let failed = |what: &str| Failure::Broken(format!("{}: {what}", path.display()));
    // One more than there should be: a longer one is told from it.
    let bytes = peek(&path, ledger::BYTES + 1).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => failed(&format!(
            "{error}; the accounts are made when an agent with this SDK first uses the spool"
        )),
        io::ErrorKind::InvalidInput => failed(&error.to_string()),
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
        let (mut on_disk, mut others, mut unclear, mut unreadable) = (0, 0, 0, 0);
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
            *(match file.ledger {
                ANY_LEDGER if !is_segment(&source) => &mut unclear,
                _ if is_ours => &mut on_disk,
                _ => &mut others,
            }) += waits;
        }
        let quarantined = view.quarantined_events()?;
        let totals = ledger.totals();
        let moving = read(view)?.totals() != before;
        let torn = Vec::new();
        let process = view.process();
        Ok(Self { ledger, totals, on_disk, others, unclear, quarantined, unreadable, moving, torn, process })
    }

    /// What the books say is neither delivered, dropped, set aside nor on disk.
    fn rest(&self) -> Rest {
        let accepted = self.totals.accepted - self.others;
        let elsewhere = self.totals.delivered + self.quarantined + self.totals.dropped + self.on_disk;
        let rest = accepted.cast_signed() - elsewhere.cast_signed();
        // What was set aside since the last agent ended may have been another's.
        let aside = self.quarantined.saturating_sub(self.totals.quarantined);
        let most = if rest < 0 { (rest + aside.cast_signed()).min(0) } else { rest };
        Rest { least: rest - self.unclear.cast_signed(), most }
    }

    /// How many events are missing at least, if that is known.
    fn missing(&self) -> Option<u64> {
        let is_known = self.unreadable == 0 && !self.moving && self.ledger.was_closed();
        (is_known && self.rest().least > 0).then(|| self.rest().least.unsigned_abs())
    }

    /// Where nothing is in memory the rest must be zero. Nobody can tell while a file cannot be read.
    fn balances(&self) -> bool {
        let Rest { most, .. } = self.rest();
        self.unreadable == 0 && (self.moving || (most >= 0 && self.missing().is_none()))
    }

    fn verdict(&self) -> String {
        let Rest { least, most } = self.rest();
        if self.unreadable > 0 {
            let unreadable = match self.unreadable {
                1 => "1 file or segment".to_owned(),
                more => format!("{more} files or segments"),
            };
            return format!(
                "{unreadable} cannot be read, so nobody can say whether the accounts balance; mend their \
                 permissions or the disk, or look as the user whose spool it is"
            );
        }
        if self.moving {
            return "an agent is at work, and the numbers changed while they were read".to_owned();
        }
        if let Some(missing) = self.missing() {
            let files = self.torn.join(", ");
            let missing = format!("{} {} missing", counted(missing, "event"), is_or_are(missing));
            return match self.torn.len() {
                0 => format!(
                    "{missing}: they were on disk when the last agent ended, and files or segments were \
                     removed, emptied or replaced since; the next start counts them as `vanished`"
                ),
                _ => format!(
                    "{missing}: they were on disk when the last agent ended, and files end too early since \
                     ({files}), or were removed or replaced; look at the disk; the next start counts them as `vanished`"
                ),
            };
        }
        if most < 0 {
            let more = most.unsigned_abs();
            return format!(
                "{} more {} there than the books know of, after a loss of power for one; the next start takes them over",
                counted(more, "event"),
                is_or_are(more)
            );
        }
        if least > 0 {
            let process = self.process.map_or("the agent".to_owned(), |id| format!("process {id}"));
            let events = counted(least.unsigned_abs(), "event");
            return format!(
                "the accounts balance: {events} {} in the memory of {process}; if that has ended, they were lost \
                 with it, and the next start counts them as `process_ended`",
                is_or_are(least.unsigned_abs())
            );
        }
        if least == 0 && most == 0 {
            return "the accounts balance".to_owned();
        }
        let events = least.min(0).unsigned_abs().max(self.unclear);
        format!(
            "the accounts balance as far as can be known: {} {} in damaged files that do not say whose they are, or set aside out of \
             such; the next start takes up what the books do not know of",
            counted(events, "event"),
            is_or_are(events)
        )
    }

    /// Events that were accepted, by the books or by the next start.
    fn accepted(&self) -> u64 {
        let Rest { least, most } = self.rest();
        let unknown = if most < 0 { 0 } else { least.min(0).unsigned_abs() };
        self.totals.accepted + unknown
    }

    /// Events that are in memory, or lost with it.
    fn elsewhere(&self) -> u64 {
        self.rest().least.max(0).unsigned_abs()
    }

    fn waiting(&self) -> u64 {
        self.on_disk + self.others + self.unclear
    }

    fn table(&self) -> Table {
        let mut table = Table::new(&["EVENTS", "COUNT"]);
        let since = i64::try_from(self.totals.begun_ms).unwrap_or(i64::MAX);
        let mut row = |name: String, count: u64| table.row([name, count.to_string()]);
        row(format!("accepted since {}", time::show(since)), self.accepted());
        row("  delivered".to_owned(), self.totals.delivered);
        row("  on disk".to_owned(), self.waiting());
        row("  quarantined".to_owned(), self.quarantined);
        let elsewhere = match self.unreadable {
            0 => "  in memory, or lost with it",
            _ => "  in what cannot be read, in memory, or lost with it",
        };
        row(elsewhere.to_owned(), self.elsewhere());
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
            .number("accepted", self.accepted())
            .number("delivered", self.totals.delivered)
            .number("on_disk", self.waiting())
            .number("unclear", self.unclear)
            .number("quarantined", self.quarantined)
            .number("in_memory_or_lost", self.elsewhere())
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
