//! `events spool ls`: the files, and what is in them.

use std::{collections::BTreeMap, io::Write};

use clap::Args;
use indicatif::HumanBytes;

use super::accounts;
use crate::{
    Level,
    cli::{
        failure::{BROKEN, DONE, Failure},
        json::Object,
        names,
        out::{Out, Table, note},
        place::{self, End, Paths, Source, Where},
        shown, time,
    },
    plural::counted,
    spool::{QUARANTINE, SpoolError, View},
};

/// States of files that do not hold all that was in them. The help of the command says what each state means.
const EMPTY: &str = "empty";
const TORN: &str = "torn";

/// In this state something in a file is not what was written.
const DAMAGED: &str = "damaged";

/// Lists files.
#[derive(Debug, Args)]
pub(in crate::cli) struct LsArgs {
    #[command(flatten)]
    paths: Paths,
    /// One JSON object a line instead of a table
    #[arg(long)]
    json: bool,
    /// Files that hold events of this level or a graver one
    #[arg(long, value_name = "LEVEL", value_parser = names::level, help = names::level_help("Files that hold events of this level or a graver one"))]
    level: Option<Level>,
    /// Files begun at this time or later: RFC 3339, or how long ago (15m, 2h, 3d)
    #[arg(long, value_name = "TIME", value_parser = time::when, allow_hyphen_values = true)]
    since: Option<i64>,
    /// Files begun before this time
    #[arg(long, value_name = "TIME", value_parser = time::when, allow_hyphen_values = true)]
    until: Option<i64>,
}

/// What the list says of a file.
struct Row {
    events: u64,
    bytes: u64,
    timestamp_ms: i64,
    /// Events by level; by the level's number on the wire.
    levels: BTreeMap<i32, u64>,
    state: &'static str,
    whole: bool,
}

impl LsArgs {
    pub(in crate::cli) fn run(&self, at: &Where, out: &mut Out) -> Result<u8, Failure> {
        time::must_be_a_range(self.since, self.until)?;
        let mut code = DONE;
        let mut table = Table::new(&["FILE", "EVENTS", "SIZE", "AGE", "STATE", "LEVELS"]);
        let (mut files, mut torn, mut events, mut bytes) = (0_u64, 0_u64, 0, 0);
        for source in at.sources(&self.paths)? {
            let row = match Row::of(&source) {
                Ok(row) => row,
                Err(error) if place::is_gone(&error) => continue,
                Err(error) => {
                    note(&error.to_string());
                    code = BROKEN;
                    continue;
                }
            };
            if !self.wants(&row) {
                continue;
            }
            files += 1;
            torn += u64::from(matches!(row.state, EMPTY | TORN));
            events += row.events;
            bytes += row.bytes;
            if self.json {
                writeln!(out, "{}", row.json(&source))?;
            } else {
                table.row(row.cells(&source));
            }
        }
        if self.paths.quarantine {
            for view in at.views(&self.paths)? {
                let Some(quarantine) = view.quarantine()? else { continue };
                self.damaged(&quarantine, &mut table, out)?;
            }
        }
        if !self.json {
            out.table(&table)?;
            writeln!(out, "{}, {}, {}", counted(files, "file"), counted(events, "event"), HumanBytes(bytes))?;
        }
        let views = at.views(&self.paths)?;
        if torn > 0 {
            accounts::tell_missing(&views);
        } else if code == DONE {
            accounts::missing_in(&views);
        }
        Ok(code)
    }

    fn wants(&self, row: &Row) -> bool {
        let grave = |number: &i32, level: Level| {
            Level::from_number(*number).is_some_and(|of| of.severity() >= level.severity())
        };
        self.level.is_none_or(|level| row.levels.keys().any(|number| grave(number, level)))
            && self.since.is_none_or(|since| row.timestamp_ms >= since)
            && self.until.is_none_or(|until| row.timestamp_ms < until)
    }

    /// Damaged bytes that were set aside: files in the quarantine that are no spill files.
    fn damaged(&self, quarantine: &View, table: &mut Table, out: &mut Out) -> Result<(), Failure> {
        if self.level.is_some() {
            return Ok(());
        }
        for (name, is_file) in quarantine.others()? {
            let path = quarantine.dir().join(&name);
            let name = name.to_string_lossy();
            if !is_file || !name.ends_with(".damaged") {
                continue;
            }
            let (label, bytes) = (format!("{QUARANTINE}/{name}"), place::length(&path).unwrap_or(0));
            let reason = place::reason(&path).unwrap_or_else(|| "nobody wrote why".to_owned());
            if self.json {
                let object = Object::new().text("file", &label).number("bytes", bytes).text("state", DAMAGED);
                writeln!(out, "{}", object.text("reason", &reason).end())?;
            } else {
                let size = HumanBytes(bytes).to_string();
                table.row([label, String::new(), size, String::new(), DAMAGED.to_owned(), reason]);
            }
        }
        Ok(())
    }
}

impl Row {
    fn of(source: &Source) -> Result<Self, SpoolError> {
        let (about, levels) = source.inspect()?;
        let levels = levels.into_iter().map(|(level, events)| (level, u64::from(events))).collect();
        let mut row = Self {
            events: about.events.into(),
            bytes: about.bytes,
            timestamp_ms: about.timestamp_ms,
            levels,
            state: "sealed",
            whole: about.whole,
        };
        if source.segment.is_some() {
            row.state = "segment";
            // As the accounts count them, and as with spill files.
            row.events += source.damaged_in_segment()?;
        } else if about.bytes == 0 {
            row.state = EMPTY;
        } else if about.sealed {
            // The end is what was written; the start repeats a part of it.
            if source.view.is_seal_damaged(&source.name)? {
                row.state = DAMAGED;
            }
        } else {
            // Only its bytes tell whether it is all there.
            row.state = match source.end()? {
                End::Cut | End::Torn => TORN,
                End::Damaged | End::Blank => DAMAGED,
                End::There => "plain",
            };
        }
        Ok(row)
    }

    /// Events by level, the gravest first.
    fn levels(&self) -> Vec<(String, u64)> {
        let mut levels: Vec<_> = self.levels.iter().map(|(number, events)| (*number, *events)).collect();
        levels.sort_by_key(|(number, _)| {
            std::cmp::Reverse(Level::from_number(*number).map_or(0, Level::severity))
        });
        levels.into_iter().map(|(number, events)| (shown::level(number), events)).collect()
    }

    fn cells(&self, source: &Source) -> [String; 6] {
        let levels: Vec<_> = self.levels().iter().map(|(name, events)| format!("{name}={events}")).collect();
        let levels = match source.reason() {
            Some(reason) => format!("{} ({reason})", levels.join(" ")),
            None => levels.join(" "),
        };
        [
            source.label(),
            self.events.to_string(),
            HumanBytes(self.bytes).to_string(),
            if self.timestamp_ms > 0 { time::age(self.timestamp_ms) } else { String::new() },
            self.state.to_owned(),
            levels,
        ]
    }

    fn json(&self, source: &Source) -> String {
        let levels = self.levels();
        let object = Object::new()
            .text("file", &source.label())
            .number("events", self.events)
            .number("bytes", self.bytes);
        // A segment whose header is gone does not say when it was begun.
        let object = match self.timestamp_ms {
            ..=0 => object,
            begun => object.text("time", &time::show(begun)),
        };
        let object = object
            .text("state", self.state)
            .flag("whole", self.whole)
            .counts("levels", levels.iter().map(|(name, events)| (name.as_str(), *events)));
        match source.reason() {
            Some(reason) => object.text("reason", &reason).end(),
            None => object.end(),
        }
    }
}
