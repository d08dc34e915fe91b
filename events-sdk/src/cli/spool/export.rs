//! `events spool export`: events as a file for other programs.

use std::{
    fs::{self, File, OpenOptions},
    io::{BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use uuid::Uuid;

use crate::{
    cli::{
        failure::Failure,
        filter::Filter,
        out::{Out, note},
        place::{Paths, Source, Where},
        schema::Schema,
        shown::ShownEvent,
        time,
        walk::Walk,
    },
    file_limit::Limited,
    generated::SCHEMA_FINGERPRINT,
    id::IdGenerator,
    plural::{counted, is_or_are},
    spool::{Composer, Sealing, SpoolError},
};

/// Writes events to a file.
#[derive(Debug, Args)]
pub(in crate::cli) struct ExportArgs {
    #[command(flatten)]
    paths: Paths,
    /// The file to write; must not exist. Without it, or for -, JSON lines go to standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// How [default: pb for a file that ends in .pb, json otherwise]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Show personal data as it is; masked otherwise. An EventBatch cannot be masked, and needs this
    #[arg(long)]
    show_pii: bool,
    #[command(flatten)]
    filter: Filter,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One JSON object a line
    Json,
    /// One sealed EventBatch, which an agent takes for a spill file
    Pb,
}

impl ExportArgs {
    pub(in crate::cli) fn run(&self, at: &Where, out: &mut Out) -> Result<u8, Failure> {
        let output = self.output.as_ref().filter(|path| path.as_os_str() != "-");
        let is_pb = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "pb");
        let by_name = if output.is_some_and(is_pb) { Format::Pb } else { Format::Json };
        if let Some(path) = output.filter(|path| fs::symlink_metadata(path).is_ok()) {
            return Err(Failure::Usage(format!(
                "{} is there already, and is not written over; name another file, or remove it",
                path.display()
            )));
        }
        let schema = Schema::load()?;
        match (self.format.unwrap_or(by_name), output) {
            (Format::Json, None) => {
                let sources = at.sources(&self.paths)?;
                let mut walk = Walk::new(&schema, &self.filter)?;
                walk.shown(&sources, self.show_pii, |source, event| {
                    Ok(writeln!(out, "{}", event.json(&source.label()))?)
                })?;
                Ok(walk.code())
            }
            (Format::Json, Some(path)) => self.json(&schema, &at.sources(&self.paths)?, path),
            (Format::Pb, Some(path)) if self.show_pii => self.batch(&schema, &at.sources(&self.paths)?, path),
            (Format::Pb, Some(_)) => Err(Failure::Usage(
                "an EventBatch holds events as they are, personal data among them; say --show-pii if that is meant"
                    .to_owned(),
            )),
            (Format::Pb, None) => {
                Err(Failure::Usage("an EventBatch needs a file: name one with -o FILE.pb".to_owned()))
            }
        }
    }

    fn json(&self, schema: &Schema, sources: &[Source], path: &Path) -> Result<u8, Failure> {
        let failed = |error| Failure::Broken(format!("cannot write {}: {error}", path.display()));
        let mut walk = Walk::new(schema, &self.filter)?;
        let mut file = BufWriter::new(Limited::new(create(path).map_err(failed)?));
        let mut events = 0_u64;
        let written = walk.shown(sources, self.show_pii, |source, event| {
            events += 1;
            writeln!(file, "{}", event.json(&source.label())).map_err(failed)
        });
        let finished = written
            .and_then(|()| file.flush().and_then(|()| file.get_ref().file().sync_all()).map_err(failed));
        // Half a file would be taken for a whole one.
        finished.inspect_err(|_| drop(fs::remove_file(path)))?;
        note(&format!("{} {} in {}", counted(events, "event"), is_or_are(events), path.display()));
        Ok(walk.code())
    }

    fn batch(&self, schema: &Schema, sources: &[Source], path: &Path) -> Result<u8, Failure> {
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let now_ms = time::now_ms();
        let id: Uuid = IdGenerator::new().next(now_ms.unsigned_abs());
        // It is written under another name first, which is nobody's concern.
        let failed = |error: SpoolError| Failure::Broken(format!("cannot write {}: {error}", path.display()));
        let mut walk = Walk::new(schema, &self.filter)?;
        let mut composer = Composer::begin(dir, id).map_err(failed)?;
        walk.events(sources, false, |_, facts, body, entry| {
            let meant = !self.filter.needs_fields()
                || self.filter.wants_fields(&ShownEvent::of(schema, *facts, body, true));
            if meant { composer.push(entry, facts.level).map_err(failed) } else { Ok(()) }
        })?;
        let events = u64::from(composer.events());
        let sealing = Sealing {
            id,
            timestamp_ms: now_ms,
            whole: false,
            offered: false,
            fingerprint: SCHEMA_FINGERPRINT,
            ledger: 0,
        };
        composer.finish(path, sealing, false, |_| Ok(())).map_err(failed)?;
        note(&format!("{} {} in {}", counted(events, "event"), is_or_are(events), path.display()));
        Ok(walk.code())
    }
}

/// A new file that only its owner may read: events name users and addresses.
fn create(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}
