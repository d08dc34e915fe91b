//! The stage: a Toggle to talk to, a directory for spill files, and the configuration that says so.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use events_sdk::{Config, ToggleConfig, testing::Toggle};
use tempfile::TempDir;

pub(crate) struct Stage {
    pub(crate) toggle: Toggle,
    pub(crate) config: Config,
    /// Removed with everything in it when the stage is dropped.
    _directory: TempDir,
}

impl Stage {
    pub(crate) fn new() -> io::Result<Self> {
        let toggle = Toggle::start()?;
        let directory = tempfile::Builder::new().prefix("events-quickstart-").tempdir()?;
        // An agent would load this from its `rodent.yml`: `Config::load("/etc/rodent")`.
        let config = Config {
            spool_dir: directory.path().join("events"),
            // Look for Toggle every second at least, so that the drain begins promptly. The default is 10 s.
            retry_max: Duration::from_secs(1),
            toggle: ToggleConfig { endpoint: Some(toggle.endpoint()), ..ToggleConfig::default() },
            ..Config::default()
        };
        Ok(Self { toggle, config, _directory: directory })
    }

    /// Tells which spill files appear from now on.
    pub(crate) fn watch_spool(&self) -> SpoolWatch {
        SpoolWatch { directory: self.config.spool_dir.clone(), seen: BTreeSet::new() }
    }
}

/// Looks into the spool directory. A spill file is complete when it is there under its name, so looking is safe.
pub(crate) struct SpoolWatch {
    directory: PathBuf,
    seen: BTreeSet<String>,
}

impl SpoolWatch {
    /// Names and sizes of the spill files that were not there the last time, oldest first.
    pub(crate) fn appeared(&mut self) -> io::Result<Vec<(String, u64)>> {
        let mut new = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if Path::new(&name).extension().is_none_or(|ending| ending != "pb") {
                continue;
            }
            // It may have been delivered and removed since it was listed.
            let Ok(metadata) = entry.metadata() else { continue };
            if self.seen.insert(name.clone()) {
                new.push((name, metadata.len()));
            }
        }
        // Names are UUIDv7s: their order is that of time.
        new.sort();
        Ok(new)
    }
}
