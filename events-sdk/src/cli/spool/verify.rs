//! `events spool verify`: whether every byte of every file is what was written.

use std::{collections::BTreeMap, io::Write};

use clap::Args;

use super::accounts;
use crate::{
    cli::{
        event::Facts,
        failure::{BROKEN, DONE, FOUND, Failure},
        json::Object,
        out::{Out, Table, note},
        place::{self, Paths, Source, Where},
        progress::Progress,
    },
    plural::counted,
    spool::{Item, SpoolError, View, is_unfinished, replaces},
};

/// Checks files.
#[derive(Debug, Args)]
pub(in crate::cli) struct VerifyArgs {
    #[command(flatten)]
    paths: Paths,
    /// One JSON object for each file, sound ones among them, instead of a table of what is damaged
    #[arg(long)]
    json: bool,
}

/// What checking a file came to.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// `None` where nothing is wrong.
    pub(super) wrong: Option<String>,
    /// The file has a seal, or its start says what was in it.
    pub(super) sealed: bool,
    /// Events that are what was written, or at least events.
    pub(super) good: u64,
    /// Events that are damaged or missing, as far as can be known.
    pub(super) lost: u64,
    /// How many of these have bytes left that can be set aside: all, but for those that were cut off the file.
    pub(super) with_bytes: u64,
    /// Bytes that are not delivered.
    pub(super) damaged_bytes: u64,
    /// Nobody can tell from it how many events are missing: it ends too early, or nothing in it can be read.
    torn: bool,
    /// Length of the file.
    pub(super) bytes: u64,
}

impl VerifyArgs {
    pub(in crate::cli) fn run(&self, at: &Where, out: &mut Out) -> Result<u8, Failure> {
        let mut sources = at.sources(&self.paths)?;
        for view in at.views(&self.paths)? {
            sources
                .extend(view.list_emptied_segments()?.into_iter().map(|path| Source::segment(&view, path)));
        }
        let progress = Progress::over(&sources, self.json);
        let mut table = Table::new(&["FILE", "GOOD", "DAMAGED", "MISSING", "BAD BYTES", "WHAT IS WRONG"]);
        let (mut sums, mut code) = (Sums::default(), DONE);
        for source in &sources {
            progress.at(&source.label());
            let verdict = match check(source, &progress) {
                Ok(verdict) => verdict,
                Err(error) if place::is_gone(&error) && source.is_emptied() => Verdict::emptied(),
                Err(error) if place::is_gone(&error) => continue,
                Err(error) => {
                    note(&error.to_string());
                    code = BROKEN;
                    continue;
                }
            };
            sums.add(&verdict);
            if self.json {
                writeln!(out, "{}", verdict.json(source))?;
            } else if let Some(wrong) = &verdict.wrong {
                let [good, damaged, bytes] = [verdict.good, verdict.with_bytes, verdict.damaged_bytes]
                    .map(|number| number.to_string());
                table.row([source.label(), good, damaged, verdict.shown_missing(), bytes, wrong.clone()]);
            }
        }
        drop(progress);
        // What cannot be read has been told.
        if code == DONE || sums.torn > 0 {
            code = code.max(accounts::tell_missing(&at.views(&self.paths)?));
        }
        for view in at.views(&self.paths)? {
            tell_strangers(&view)?;
        }
        if !self.json {
            if !table.is_empty() {
                out.table(&table)?;
            }
            writeln!(out, "{}", sums.line())?;
        }
        Ok(if code == DONE && sums.wrong > 0 { FOUND } else { code })
    }
}

/// What checking all files came to.
#[derive(Debug, Default)]
struct Sums {
    files: u64,
    /// Files with which something is wrong,
    wrong: u64,
    /// and those among them that end too early.
    torn: u64,
    good: u64,
    damaged: u64,
    missing: u64,
}

impl Sums {
    fn add(&mut self, verdict: &Verdict) {
        self.files += 1;
        self.wrong += u64::from(verdict.wrong.is_some());
        self.torn += u64::from(verdict.torn);
        self.good += verdict.good;
        self.damaged += verdict.with_bytes;
        self.missing += verdict.missing();
    }

    /// Of the files that are there; what is missing with whole files the accounts know.
    fn line(&self) -> String {
        let [files, good, wrong] = [(self.files, "file"), (self.good, "good event"), (self.wrong, "file")]
            .map(|(number, what)| counted(number, what));
        if self.wrong == 0 {
            return format!("{files}, {good}, {wrong} damaged");
        }
        let missing = match (self.torn, self.missing) {
            (0, missing) => missing.to_string(),
            (_, 0) => "an unknown number".to_owned(),
            (_, least) => format!("{least} or more"),
        };
        let damaged = counted(self.damaged, "damaged event");
        format!("{files}, {good}, {wrong} damaged, with {damaged} and {missing} missing")
    }
}

/// Reads all of a file, and has the progress go on with it.
pub(super) fn check(source: &Source, progress: &Progress) -> Result<Verdict, SpoolError> {
    let (_, mut claimed_levels) = source.inspect()?;
    let mut scan = source.scan()?;
    let seen = scan.seen().clone();
    let mut verdict =
        Verdict { sealed: seen.sealed_events.is_some(), bytes: seen.bytes, ..Verdict::default() };
    let (mut levels, mut damaged, mut cut) = (BTreeMap::<i32, u32>::new(), 0_u64, 0_u64);
    while let Some(item) = scan.next()? {
        match item {
            Item::Event { entry, body } => {
                progress.add(entry.len() as u64);
                verdict.good += 1;
                *levels.entry(Facts::of(body).level).or_default() += 1;
            }
            Item::Damage { offset, bytes, events, reason } => {
                progress.add(bytes);
                verdict.damaged_bytes += bytes;
                // Of what was cut off a segment there are no bytes.
                *(if bytes > 0 { &mut damaged } else { &mut cut }) += u64::from(events);
                verdict.wrong.get_or_insert_with(|| format!("at byte {offset}: {reason}"));
            }
        }
    }
    claimed_levels.retain(|_, events| *events > 0);
    let claimed = seen.sealed_events.map_or(verdict.good, u64::from);
    let missing = claimed.saturating_sub(verdict.good);
    (verdict.lost, verdict.with_bytes) = if seen.is_cut {
        // What is left of the end may look like an event.
        (missing, damaged.min(missing))
    } else {
        (damaged.max(missing) + cut, damaged.max(missing))
    };
    verdict.torn = scan.is_open()
        || source.segment.is_none()
            && seen.sealed_events.is_none()
            && (verdict.wrong.is_some() || scan.is_cut_off() || scan.is_seal_damaged());
    if scan.is_seal_damaged() && verdict.lost == 0 {
        verdict.wrong = Some("its seal is damaged".to_owned());
    } else if verdict.torn || scan.is_seal_damaged() {
        verdict.wrong.get_or_insert_with(|| {
            if seen.bytes == 0 { "it is empty" } else { "its end is missing, and the seal with it" }
                .to_owned()
        });
    }
    if seen.sealed_events.is_none() || verdict.wrong.is_some() {
        return Ok(verdict);
    }
    verdict.wrong = if claimed != verdict.good {
        Some(format!("its seal counts {}", counted(claimed, "event")))
    } else if !seen.intact {
        Some("its checksum is wrong, though every event is good".to_owned())
    } else if claimed_levels != levels {
        Some("its seal counts other levels".to_owned())
    } else {
        None
    };
    Ok(verdict)
}

impl Verdict {
    /// Of a segment without a byte.
    fn emptied() -> Self {
        let wrong = "it is empty: it was emptied, or the machine stopped as it was made; nobody can tell what was in it";
        Self { wrong: Some(wrong.to_owned()), torn: true, ..Self::default() }
    }

    /// How many events are not there any more, as far as the file tells: those that are damaged are.
    fn missing(&self) -> u64 {
        self.lost.saturating_sub(self.with_bytes)
    }

    fn shown_missing(&self) -> String {
        match (self.torn, self.missing()) {
            (false, missing) => missing.to_string(),
            (true, 0) => "?".to_owned(),
            (true, least) => format!("{least}+"),
        }
    }

    fn json(&self, source: &Source) -> String {
        let object = Object::new()
            .text("file", &source.label())
            .flag("sound", self.wrong.is_none())
            .flag("sealed", self.sealed)
            .number("good", self.good)
            .number("lost", self.lost)
            .number("missing", self.missing())
            .flag("lost_is_known", !self.torn)
            .number("damaged_bytes", self.damaged_bytes)
            .number("bytes", self.bytes);
        match &self.wrong {
            Some(wrong) => object.text("wrong", wrong).end(),
            None => object.end(),
        }
    }
}

/// Says what else lies in the directory that an agent would not look at.
fn tell_strangers(view: &View) -> Result<(), Failure> {
    for (name, is_file) in view.others()? {
        let text = name.to_string_lossy();
        let path = view.dir().join(&name);
        if is_unfinished(&name) {
            note(&format!(
                "{} is being written, or was when its writer died; it counts for nothing",
                path.display()
            ));
        } else if let Some(old) = replaces(&name) {
            note(&format!(
                "{} holds what is left of {old} after events were dropped to make room; the next start of the agent takes it up, or removes it while {old} is there",
                path.display()
            ));
        } else if !is_file && text.ends_with(".pb") {
            note(&format!("{} is no regular file and is never read", path.display()));
        }
    }
    Ok(())
}
