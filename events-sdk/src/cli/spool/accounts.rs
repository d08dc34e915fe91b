//! `events spool accounts`: what became of every event that was ever accepted here, and whether that adds up.

mod books;
mod found;
mod verdict;

use std::{io::Write, path::PathBuf};

use clap::Args;
use uuid::Uuid;

pub(super) use self::books::{files_without, remade};
use self::{books::Trouble, found::Found};
use crate::{
    accounts,
    cli::{
        failure::{BROKEN, DONE, FOUND, Failure},
        json::Object,
        out::{Out, Table, note},
        place::{self, Where},
        time,
    },
    ledger::{Known, Step},
    spool::View,
};

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

impl AccountsArgs {
    pub(in crate::cli) fn run(&self, at: &Where, out: &mut Out) -> Result<u8, Failure> {
        let dir = match &self.dir {
            Some(dir) => place::must_be_there(dir.clone())?,
            None => at.existing()?,
        };
        let view = View::of(&dir);
        place::tell_unused(&view)?;
        let found = Found::settled(&view, true).map_err(|trouble| trouble.with_what_is_left(&view))?;
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

/// Says how many events are missing in these spools, where the books know, and what is wrong with books that cannot be read, or are
/// gone. In which files they were nobody knows. Returns the exit code for that.
pub(super) fn tell_missing(views: &[View]) -> u8 {
    let mut code = DONE;
    for view in views {
        let trouble = match Found::settled(view, false) {
            Ok(found) => {
                code = code.max(if found.tell_if_missing() { FOUND } else { DONE });
                continue;
            }
            // A directory to which files were copied never had any.
            Err(trouble) if view.was_used() => trouble.with_what_is_left(view),
            Err(trouble) => trouble,
        };
        code = code.max(match trouble {
            // Where there never were any nobody knows.
            Trouble::None(_) => continue,
            Trouble::Gone(_) | Trouble::Damaged(_) => FOUND,
            Trouble::Other(_) => BROKEN,
        });
        note(Failure::from(trouble).text().unwrap_or_default());
    }
    code
}

/// Says how many events are missing in these spools, and nothing of books that are. Gives the sum where the books know it.
pub(super) fn missing_in(views: &[View]) -> Option<u64> {
    let mut sum = None;
    for view in views {
        let Ok(found) = Found::settled(view, false) else { continue };
        found.tell_if_missing();
        if found.unreadable == 0 && !found.moving {
            *sum.get_or_insert(0) += found.missing().unwrap_or_default();
        }
    }
    sum
}

/// How many events the books have in memory or in files that do not say whose they are; `None` where nobody can say.
pub(super) fn unaccounted(view: &View) -> Option<u64> {
    let found = Found::settled(view, false).ok()?;
    // What was set aside since may be the rest of an event that its file still holds as well.
    let most = |found: &Found| found.rest().most.max(0).unsigned_abs() + found.aside();
    (found.unreadable == 0 && !found.moving).then(|| most(&found))
}

/// How far a file is dealt with, as the books say; `None` where it is only to be removed.
pub(super) fn step_of(view: &View, file: Uuid) -> Option<Step> {
    // Without books all of it is sent again.
    let Ok(mut ledger) = books::read(view) else { return Some(Step::none(file)) };
    match ledger.found(file, 0, true) {
        Known::From(step) => Some(step),
        Known::Finished => None,
    }
}

/// How many events of ours the books note in spill files, how many wait there, and how many wait in files that do not say whose they are.
#[cfg(feature = "testing")]
pub(crate) fn in_files(dir: &std::path::Path) -> std::io::Result<[u64; 3]> {
    let found = Found::look(&View::of(dir)).map_err(|trouble| {
        std::io::Error::other(Failure::from(trouble).text().unwrap_or_default().to_owned())
    })?;
    Ok([found.ledger.in_files(), found.in_files, found.unclear])
}

impl Found {
    /// Says how many events are missing, or that files are. Gives whether any are.
    fn tell_if_missing(&self) -> bool {
        let told = self.missing().map(|missing| self.tell(missing)).or_else(|| self.tell_gone());
        if let Some(told) = &told {
            note(told);
        }
        told.is_some()
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
        row("  missing".to_owned(), self.missing().unwrap_or_default());
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
            .number("missing", self.missing().unwrap_or_default())
            .texts("missing_files", &self.gone())
            .number("dropped", self.totals.dropped)
            .raw("drops", &format!("[{}]", drops.join(",")))
            .flag("closed", self.ledger.was_closed())
            .flag("surveyed", !self.ledger.is_looking())
            .number("unreadable", self.unreadable)
            .flag("moving", self.moving)
            .flag("balances", self.balances())
            .text("verdict", &self.verdict())
            .end()
    }
}
