//! `events spool repair`: damaged files become sealed ones with what is good in them.
//!
//! An agent does as much when it delivers them. This is for spools that shall be taken elsewhere, or looked at by others,
//! before. The file keeps its name and identity. One of which pieces were sent stays as it is: without what is damaged its pieces would
//! begin and end elsewhere, and Toggle would not know a repeat.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use clap::Args;

use crate::{
    cli::{
        failure::{BROKEN, DONE, Failure},
        json::Object,
        out::{Out, Table, note},
        owner,
        place::{self, Source, Where},
        progress::Progress,
        spool::{
            accounts,
            hold::{Books, Hold, tell_holder},
            rewrite::rewrite,
            verify,
        },
    },
    generated::SCHEMA_FINGERPRINT,
    plural::counted,
    spool::{
        ANY_LEDGER, NO_LEDGER, Sealing, Spool, SpoolError, SpoolFile, View,
        format::{PIECE_BYTES, PIECE_EVENTS},
    },
};

/// Mends files.
#[derive(Debug, Args)]
pub(in crate::cli) struct RepairArgs {
    /// The spool directory, instead of that of the configuration
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// One JSON object a line instead of a table
    #[arg(long)]
    json: bool,
}

/// The spool, held until the end.
struct Work {
    hold: Hold,
    /// So many events the books have where nobody knows, files that do not say whose they are among it.
    unaccounted: u64,
    /// So many events are in the quarantine that the books do not have there.
    not_booked: u64,
}

impl RepairArgs {
    pub(in crate::cli) fn run(&self, at: &Where, out: &mut Out) -> Result<u8, Failure> {
        let dir = at.to_work_on(self.dir.as_deref())?;
        if self.dry_run {
            tell_holder(&dir);
        }
        let mut work = if self.dry_run { None } else { Some(Work::begin(&dir)?) };
        let seen =
            if self.dry_run { Some(Books::look(&dir, "what is set aside is not counted")?) } else { None };
        let sources = Where::files(&dir)?;
        let progress = Progress::over(&sources, false);
        let mut table = Table::new(&["FILE", "KEPT", "SET ASIDE", "BAD BYTES", "WHAT WAS WRONG"]);
        let (mut lines, mut code) = (Vec::new(), DONE);
        for source in &sources {
            progress.at(&source.label());
            let verdict = match mend(source, work.as_mut(), &progress) {
                Ok(verdict) => verdict,
                Err(failure) => {
                    note(failure.text().unwrap_or_default());
                    code = BROKEN;
                    continue;
                }
            };
            let Some(mut wrong) = verdict.wrong else { continue };
            let books = seen.as_ref().or(work.as_ref().map(|work| &work.hold.books));
            if books.is_some_and(|books| is_begun(books, source)) {
                note(&format!(
                    "{}: {wrong}; it stays as it is, because pieces of it were sent, for all that is known: the agent delivers the rest, and sets aside what is \
                     damaged",
                    source.label()
                ));
                continue;
            }
            let is_removed = verdict.good == 0;
            if is_removed {
                wrong.push_str(if work.is_some() { "; the file is gone" } else { "; the file would go" });
            }
            let numbers = [verdict.good, verdict.with_bytes, verdict.damaged_bytes];
            lines.push(
                Object::new()
                    .text("file", &source.label())
                    .number("kept", numbers[0])
                    .number("set_aside", numbers[1])
                    .number("damaged_bytes", numbers[2])
                    .flag("removed", is_removed)
                    .flag("done", work.is_some())
                    .text("wrong", &wrong)
                    .end(),
            );
            let numbers = numbers.map(|number| number.to_string());
            table.row([source.label()].into_iter().chain(numbers).chain([wrong]));
        }
        drop(progress);
        if work.is_some() {
            owner::hand_over_all(&dir).map_err(|error| {
                Failure::Broken(format!("cannot give {} to its owner: {error}", dir.display()))
            })?;
        }
        if self.json {
            for line in &lines {
                writeln!(out, "{line}")?;
            }
            return Ok(code);
        }
        if !table.is_empty() {
            out.table(&table)?;
        }
        let done = if self.dry_run { "would be repaired" } else { "repaired" };
        writeln!(out, "{} of {} {done}", lines.len(), counted(sources.len() as u64, "file"))?;
        place::tell_segments(&dir)?;
        Ok(code)
    }
}

impl Work {
    fn begin(dir: &Path) -> Result<Self, Failure> {
        let hold = Hold::open(dir, "what is set aside is not counted")?;
        // What is put there once more is told from what is new.
        let quarantined = hold.spool.quarantined_events()?;
        let unaccounted = accounts::unaccounted(&View::of(dir)).unwrap_or_default();
        let not_booked = quarantined.saturating_sub(hold.books.quarantined());
        Ok(Self { hold, unaccounted, not_booked })
    }

    /// Whose a file is, as its new seal is to say. One that does not say so any more is ours where the books miss as many events as it
    /// held, and somebody else's otherwise; where there are no books that stays open.
    fn ledger_of(&mut self, file: &SpoolFile) -> u64 {
        let (ANY_LEDGER, Some(id)) = (file.ledger, self.hold.books.id()) else { return file.ledger };
        let events = u64::from(file.events);
        if events > self.unaccounted {
            return NO_LEDGER;
        }
        self.unaccounted -= events;
        id
    }

    /// Puts a sealed file with what is good in the place of a damaged one. At no time is an event in neither it nor the quarantine; in
    /// both it is only while the new file gets its name.
    fn mend(&mut self, source: &Source, good: u64) -> Result<(), Failure> {
        let file = self.hold.spool.inspect(&source.name)?;
        let ledger = self.ledger_of(&file);
        let mut aside = Aside::default();
        if good > 0 {
            let fingerprint = source.view.scan(&source.name)?.seen().fingerprint;
            let sealing = Sealing {
                id: file.id,
                timestamp_ms: file.timestamp_ms,
                whole: file.whole,
                offered: file.offered,
                fingerprint: fingerprint.unwrap_or(SCHEMA_FINGERPRINT),
                ledger,
            };
            // The disk may be full: then nothing of it is set aside either.
            let before = || {
                aside = set_aside(&self.hold.spool, &file)?;
                Ok(())
            };
            rewrite(source, &source.path(), sealing, true, |_, _| true, before)?;
        } else {
            aside = set_aside(&self.hold.spool, &file)?;
            self.hold.spool.remove(&file)?;
        }
        // What the file did not count is in no books twice.
        let counted = u64::from(file.events).saturating_sub(good);
        let events = aside.events.min(counted);
        let twice = aside.twice.min(events);
        let booked = twice.saturating_sub(self.not_booked);
        self.not_booked -= twice - booked;
        self.hold.set_aside(ledger, events, booked)
    }
}

/// Whether pieces of a file were sent, whose ends depend on what is damaged.
fn is_begun(books: &Books, source: &Source) -> bool {
    let has_ends =
        |file: &SpoolFile| !file.whole && (file.events > PIECE_EVENTS || file.bytes > PIECE_BYTES as u64);
    source.inspect().is_ok_and(|(file, _)| has_ends(&file) && books.is_begun(&file))
}

/// What was set aside of a file.
#[derive(Debug, Default)]
struct Aside {
    events: u64,
    /// So many of them were in the quarantine before.
    twice: u64,
}

/// Sets aside what is damaged of a file, durably.
fn set_aside(spool: &Spool, file: &SpoolFile) -> Result<Aside, SpoolError> {
    let events = spool.quarantine(file, None)?.map_or(0, |damage| u64::from(damage.events));
    Ok(Aside { events, twice: spool.counted_twice().min(events) })
}

/// Checks a file and, where there is a spool to work in, mends it.
fn mend(source: &Source, work: Option<&mut Work>, progress: &Progress) -> Result<verify::Verdict, Failure> {
    let verdict = verify::check(source, progress)?;
    if let Some(work) = work.filter(|work| verdict.wrong.is_some() && !is_begun(&work.hold.books, source)) {
        work.mend(source, verdict.good)?;
    }
    Ok(verdict)
}
