//! `events spool repair`: damaged files become sealed ones with what is good in them.
//!
//! An agent does as much when it delivers them. This is for spools that shall be taken elsewhere, or looked at by others,
//! before. The file keeps its name and identity: its good events are the ones that an agent would have sent from the
//! damaged file, in the same pieces under the same ids, so that Toggle still recognises a repeat.

use std::{io::Write, path::PathBuf};

use clap::Args;

use crate::{
    cli::{
        failure::{BROKEN, DONE, Failure},
        json::Object,
        out::{Out, Table, note},
        owner,
        place::{self, Source, Where},
        progress::Progress,
        spool::{rewrite::rewrite, verify},
    },
    generated::SCHEMA_FINGERPRINT,
    plural::counted,
    spool::{Sealing, Spool},
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

impl RepairArgs {
    pub(in crate::cli) fn run(&self, at: &Where, out: &mut Out) -> Result<u8, Failure> {
        let dir = at.to_work_on(self.dir.as_deref())?;
        // Held until the end.
        let spool = if self.dry_run { None } else { Some(Spool::open(&dir)?) };
        let sources = Where::files(&dir)?;
        let progress = Progress::over(&sources, false);
        let mut table = Table::new(&["FILE", "KEPT", "SET ASIDE", "BAD BYTES", "WHAT WAS WRONG"]);
        let (mut lines, mut code) = (Vec::new(), DONE);
        for source in &sources {
            progress.at(&source.label());
            let verdict = match mend(source, spool.as_ref(), &progress) {
                Ok(verdict) => verdict,
                Err(failure) => {
                    note(failure.text().unwrap_or_default());
                    code = BROKEN;
                    continue;
                }
            };
            let Some(wrong) = verdict.wrong else { continue };
            let numbers = [verdict.good, verdict.lost, verdict.damaged_bytes];
            lines.push(
                Object::new()
                    .text("file", &source.label())
                    .number("kept", numbers[0])
                    .number("set_aside", numbers[1])
                    .number("damaged_bytes", numbers[2])
                    .flag("done", spool.is_some())
                    .text("wrong", &wrong)
                    .end(),
            );
            let numbers = numbers.map(|number| number.to_string());
            table.row([source.label()].into_iter().chain(numbers).chain([wrong]));
        }
        drop(progress);
        if spool.is_some() {
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

/// Checks a file and, where there is a spool to work in, mends it.
fn mend(source: &Source, spool: Option<&Spool>, progress: &Progress) -> Result<verify::Verdict, Failure> {
    let verdict = verify::check(source, progress)?;
    let Some(spool) = spool.filter(|_| verdict.wrong.is_some()) else { return Ok(verdict) };
    let file = spool.inspect(&source.name)?;
    // First, durably: what is not in the new file is in the quarantine.
    spool.quarantine(&file)?;
    if verdict.good == 0 {
        spool.remove(&file)?;
        return Ok(verdict);
    }
    let fingerprint = source.view.scan(&source.name)?.seen().fingerprint;
    let sealing = Sealing {
        id: file.id,
        timestamp_ms: file.timestamp_ms,
        whole: file.whole,
        offered: file.offered,
        fingerprint: fingerprint.unwrap_or(SCHEMA_FINGERPRINT),
        ledger: file.ledger,
    };
    rewrite(source, &source.path(), sealing, true, 0, |_| true)?;
    Ok(verdict)
}
