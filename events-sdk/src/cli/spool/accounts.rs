//! `events spool accounts`: what became of every event that was ever accepted here, and whether that adds up.

use std::{
    io::{self, Write},
    path::PathBuf,
    thread,
    time::Duration,
};

use clap::Args;

use crate::{
    accounts,
    cli::{
        failure::{BROKEN, DONE, FOUND, Failure},
        json::Object,
        out::{Out, Table, note},
        peek::peek,
        place::{self, End, Source, Where},
        time,
    },
    ledger::{self, Known, Ledger, Totals},
    plural::{counted, is_or_are},
    segment,
    spool::{ANY_LEDGER, FileName, Holder, Passed, SpoolError, SpoolFile, View},
};

/// The books of a live spool are read until they do not change while the files are counted, at most so often.
const ATTEMPTS: u32 = 5;

/// The pause in between, where files seem to be missing: where room is made, or a file is written anew, the agent books that a moment
/// later.
const PAUSE: Duration = Duration::from_millis(50);

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
    /// Events of the books in files.
    in_files: u64,
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
    /// Of some of them nothing but the books says how many events they held.
    is_more: bool,
    /// Who works here.
    holder: Holder,
    /// What is in memory lies in segments too.
    has_segments: bool,
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
            Some(dir) => place::must_be_there(dir.clone())?,
            None => at.existing()?,
        };
        let view = View::of(&dir);
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

/// Says how many events are missing in these spools, where the books know, and what is wrong with books that cannot be read. In which
/// files they were nobody knows. Returns the exit code for that.
pub(super) fn tell_missing(views: &[View]) -> u8 {
    let mut code = DONE;
    for view in views {
        match Found::settled(view, false) {
            Ok(found) => {
                let told = found.missing().map(|missing| found.tell(missing));
                let Some(told) = told.or_else(|| found.tell_gone()) else { continue };
                note(&told);
                code = code.max(FOUND);
            }
            // Where there are none nobody knows.
            Err(Trouble::None(_)) => {}
            Err(trouble) => {
                code = code.max(if matches!(trouble, Trouble::Damaged(_)) { FOUND } else { BROKEN });
                note(Failure::from(trouble).text().unwrap_or_default());
            }
        }
    }
    code
}

/// How many events the books have in memory or in files that do not say whose they are; `None` where nobody can say.
pub(super) fn unaccounted(view: &View) -> Option<u64> {
    let found = Found::settled(view, false).ok()?;
    // What was set aside since may be the rest of an event that its file still holds as well.
    let most = |found: &Found| found.rest().most.max(0).unsigned_abs() + found.aside();
    (found.unreadable == 0 && !found.moving).then(|| most(&found))
}

/// How many events of ours the books note in spill files, how many wait there, and how many wait in files that do not say whose they are.
#[cfg(feature = "testing")]
pub(crate) fn in_files(dir: &std::path::Path) -> io::Result<[u64; 3]> {
    let found = Found::look(&View::of(dir))
        .map_err(|trouble| io::Error::other(Failure::from(trouble).text().unwrap_or_default().to_owned()))?;
    Ok([found.ledger.in_files(), found.in_files, found.unclear])
}

/// The files that end too early, and in which state the end of each is.
fn torn(view: &View) -> Result<Vec<(String, End)>, Failure> {
    let sources = place::everything(view)?;
    let ends = sources.iter().filter_map(|source| Some((source.label(), source.end().ok()?)));
    Ok(ends.filter(|(_, end)| *end != End::There).collect())
}

/// Why there are no numbers.
#[derive(Debug)]
enum Trouble {
    /// There are no books.
    None(String),
    /// The books are damaged, or something else has their name.
    Damaged(String),
    /// The books, or what lies there, cannot be read.
    Other(Failure),
}

impl Trouble {
    /// Where there are no books though files say that there were, says so.
    fn with_what_is_left(self, view: &View) -> Self {
        let Self::None(text) = self else { return self };
        let sources = place::everything(view).unwrap_or_default();
        let names_books = |source: &Source| {
            is_segment(source) || source.inspect().is_ok_and(|(file, _)| file.names_ledger())
        };
        let left = sources.iter().filter(|source| names_books(source)).count() as u64;
        Self::None(match left {
            0 => text,
            _ => format!(
                "{text}; {} {} to accounts that are gone: put them back, or the next start begins anew and nobody can tell what \
                 earlier processes lost",
                counted(left, "file"),
                if left == 1 { "belongs" } else { "belong" },
            ),
        })
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::None(text) | Trouble::Damaged(text) => Self::Broken(text),
            Trouble::Other(failure) => failure,
        }
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Other(failure)
    }
}

impl From<SpoolError> for Trouble {
    fn from(error: SpoolError) -> Self {
        Self::Other(error.into())
    }
}

fn read(view: &View) -> Result<Ledger, Trouble> {
    let path = view.dir().join(ledger::FILE);
    let told = |what: &str| format!("{}: {what}", path.display());
    // One more than there should be: a longer one is told from it.
    let bytes = peek(&path, ledger::BYTES + 1).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Trouble::None(told(&format!(
            "{error}; the accounts are made when an agent with this SDK first uses the spool"
        ))),
        io::ErrorKind::InvalidInput => Trouble::Damaged(told(&error.to_string())),
        _ => Trouble::Other(Failure::Broken(told(&format!(
            "{error}; look as the user whose spool it is, or as root"
        )))),
    })?;
    Ledger::read(&bytes).map_err(|error| {
        Trouble::Damaged(told(&format!(
            "the accounts are damaged: {error}; the next start of the agent sets them aside and begins anew"
        )))
    })
}

impl Found {
    /// Looks until nothing changes meanwhile, or that is given up. `all` says that whatever is not there matters, not only what the
    /// books know to be missing.
    fn settled(view: &View, all: bool) -> Result<Self, Trouble> {
        let mut found = Self::look(view)?;
        for _ in 1..ATTEMPTS {
            let may_change = found.missing().is_some() && found.holder != Holder::Nobody;
            if found.unreadable > 0 || !(found.moving || may_change) {
                break;
            }
            if may_change {
                thread::sleep(PAUSE);
            }
            found = Self::look(view)?;
        }
        if found.missing().is_some() {
            let torn = torn(view).or_else(|failure| if all { Err(failure) } else { Ok(Vec::new()) })?;
            found.is_more = torn.iter().any(|(_, end)| *end == End::Torn);
            found.torn = torn.into_iter().map(|(label, _)| label).collect();
        }
        Ok(found)
    }

    fn look(view: &View) -> Result<Self, Trouble> {
        let mut ledger = read(view)?;
        let before = (ledger.totals(), ledger.in_files());
        let (mut in_files, mut in_segments, mut others, mut unclear, mut unreadable) = (0, 0, 0, 0, 0);
        for source in place::everything(view)? {
            let passed = |file: &SpoolFile| Passed::of(ledger.step(file.id, true));
            let seen = source.inspect_rest(passed).and_then(|file| Ok((file, source.damaged_in_segment()?)));
            let (file, damaged) = match seen {
                Ok(seen) => seen,
                Err(error) if place::is_gone(&error) => continue,
                Err(error) => {
                    note(&error.to_string());
                    unreadable += 1;
                    continue;
                }
            };
            // The next start sets them aside.
            in_segments += damaged;
            let is_ours = is_segment(&source) || file.is_of(ledger.id());
            let Known::From(step) = ledger.found(file.id, u64::from(file.events), is_ours) else { continue };
            let waits = u64::from(file.events).saturating_sub(step.events);
            *(match file.ledger {
                _ if is_segment(&source) => &mut in_segments,
                ANY_LEDGER => &mut unclear,
                _ if is_ours => &mut in_files,
                _ => &mut others,
            }) += waits;
        }
        let quarantined = view.quarantined_events()?;
        let totals = ledger.totals();
        let now = read(view)?;
        let moving = (now.totals(), now.in_files()) != before;
        let (torn, holder) = (Vec::new(), view.holder());
        let has_segments = view.dir().join(segment::FOLDER).is_dir();
        let on_disk = in_files + in_segments;
        Ok(Self {
            ledger,
            totals,
            in_files,
            on_disk,
            others,
            unclear,
            quarantined,
            unreadable,
            moving,
            torn,
            is_more: false,
            holder,
            has_segments,
        })
    }

    /// What the books say is neither delivered, dropped, set aside nor on disk.
    fn rest(&self) -> Rest {
        let accepted = self.totals.accepted - self.others;
        let elsewhere = self.totals.delivered + self.quarantined + self.totals.dropped + self.on_disk;
        let rest = accepted.cast_signed() - elsewhere.cast_signed();
        // What was set aside since the last agent ended may have been another's.
        let most = if rest < 0 { (rest + self.aside().cast_signed()).min(0) } else { rest };
        Rest { least: rest - self.unclear.cast_signed(), most }
    }

    /// How many events are missing at least, if that is known: where nothing was left in memory, all that are nowhere, and otherwise
    /// those that the books have in files which are not there, and what a process that was killed had in segments.
    fn missing(&self) -> Option<u64> {
        if self.unreadable > 0 || self.moving {
            return None;
        }
        let nowhere = self.rest().least.max(0).unsigned_abs();
        let of_files = self.ledger.in_files().saturating_sub(self.in_files + self.unclear + self.aside());
        let missing = match (self.ledger.was_closed(), self.ledger.most_unkept()) {
            (true, _) => nowhere,
            (false, Some(unkept)) if matches!(self.holder, Holder::Nobody) => {
                nowhere.min(of_files.max(nowhere.saturating_sub(unkept)))
            }
            (false, _) => nowhere.min(of_files),
        };
        (missing > 0).then_some(missing)
    }

    /// What is to be said of files that the agent misses, where it changes the books too fast to be compared with what is there.
    fn tell_gone(&self) -> Option<String> {
        let gone = self.ledger.files_gone();
        let files = match gone {
            0 => return None,
            1 => "1 spill file is gone that the agent knows: somebody removed it; put it back".to_owned(),
            more => format!(
                "{more} spill files are gone that the agent knows: somebody removed them; put them back"
            ),
        };
        let told =
            format!("{files}, or their events are lost, and counted as `vanished`, when it is their turn");
        self.moving.then_some(told)
    }

    /// How many events were set aside since the last agent ended.
    fn aside(&self) -> u64 {
        self.quarantined.saturating_sub(self.totals.quarantined)
    }

    /// The names of the files that are missing, as far as they are known: those that were being delivered.
    fn gone(&self) -> Vec<String> {
        match self.missing() {
            Some(_) => {
                self.ledger.begun_and_gone().into_iter().map(|id| FileName::of(id).to_string()).collect()
            }
            None => Vec::new(),
        }
    }

    /// What is to be said of events that are missing.
    fn tell(&self, missing: u64) -> String {
        let events = format!("{} {} missing", counted(missing, "event"), is_or_are(missing));
        let gone = match self.gone().as_slice() {
            [] => String::new(),
            names => format!(" ({} among them)", names.join(", ")),
        };
        let (since, at) = match self.holder {
            Holder::Process(_) => {
                ("are not there any more", "the agent counts them as `vanished` when it is their turn")
            }
            _ if self.ledger.was_closed() => (
                "were removed, cut short, emptied or replaced since the last agent ended",
                "the next start counts them as `vanished`",
            ),
            _ => (
                "were removed, cut short, emptied or replaced since the last agent ended or was killed",
                "the next start counts them as `vanished`",
            ),
        };
        match (self.torn.as_slice(), &self.holder) {
            ([], Holder::Process(_)) => format!(
                "{events}, as the accounts say: files or segments{gone} {since}; put them back, or {at}"
            ),
            // A file that was cut short and repaired since looks like any other.
            ([], _) => format!(
                "{events}, as the accounts say: files or segments{gone} {since}; what was removed may be put back, what was cut off \
                 a file that was repaired since is lost; {at}"
            ),
            (torn, _) => {
                let end = if torn.len() == 1 { "ends" } else { "end" };
                let more = if self.is_more { "more " } else { "" };
                let events = format!("{} {more}{} missing", counted(missing, "event"), is_or_are(missing));
                format!(
                    "{events}, as the accounts say: {} {end} too early, or files and segments{gone} {since}; look at the disk; {at}",
                    torn.join(", ")
                )
            }
        }
    }

    /// Where nothing is in memory the rest must be zero. Nobody can tell while a file cannot be read.
    fn balances(&self) -> bool {
        let Rest { most, .. } = self.rest();
        self.unreadable == 0
            && match self.moving {
                true => self.tell_gone().is_none(),
                false => most >= 0 && self.missing().is_none(),
            }
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
        if let Some(gone) = self.tell_gone() {
            return gone;
        }
        if self.moving {
            return "an agent is at work, and the numbers changed while they were read".to_owned();
        }
        if let Some(missing) = self.missing() {
            let rest = least.max(0).unsigned_abs() - missing;
            let missing = self.tell(missing);
            return if rest > 0 { format!("{missing}; {}", self.in_memory(rest)) } else { missing };
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
            return format!("the accounts balance: {}", self.in_memory(least.unsigned_abs()));
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

    /// Where events are that are in no file.
    fn in_memory(&self, events: u64) -> String {
        let (number, are) = (counted(events, "event"), is_or_are(events));
        let (was, it) = if events == 1 { ("was", "it") } else { ("were", "them") };
        match self.holder {
            Holder::Process(id) => format!("{number} {are} in the memory of process {id}"),
            Holder::Nobody => {
                let or = if self.has_segments { ", or in segments that were removed since" } else { "" };
                format!(
                    "{number} {was} in memory when the process ended, and lost with it{or}; the next start counts {it} as `process_ended`"
                )
            }
            Holder::Unknown => format!(
                "{number} {are} in the memory of the agent; if that has ended, they were lost with it, and the next start counts \
                 {it} as `process_ended`"
            ),
        }
    }

    /// Events that were accepted, by the books or by the next start.
    fn accepted(&self) -> u64 {
        let Rest { least, most } = self.rest();
        let unknown = if most < 0 { 0 } else { least.min(0).unsigned_abs() };
        self.totals.accepted + unknown
    }

    /// Events that are in memory, or lost with it.
    fn elsewhere(&self) -> u64 {
        self.rest().least.max(0).unsigned_abs() - self.missing().unwrap_or_default()
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
