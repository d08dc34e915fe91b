//! The manual and the completions, made from the command line itself.

use std::{fs, io::Write, path::PathBuf};

use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;

use super::{
    failure::{DONE, Failure},
    out::Out,
};

/// Writes the manual.
#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// A directory for all pages, events-spool-cat.1 and so on; without it the main page goes to standard output
    dir: Option<PathBuf>,
}

/// Prints completions.
#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

impl ManArgs {
    pub(super) fn run(&self, command: &Command, out: &mut Out) -> Result<u8, Failure> {
        let Some(dir) = &self.dir else {
            let mut page = Vec::new();
            Man::new(command.clone()).render(&mut page)?;
            out.write_all(&page)?;
            return Ok(DONE);
        };
        let failed =
            |error| Failure::Broken(format!("cannot write the manual to {}: {error}", dir.display()));
        fs::create_dir_all(dir).map_err(failed)?;
        clap_mangen::generate_to(command.clone(), dir).map_err(failed)?;
        Ok(DONE)
    }
}

impl CompletionsArgs {
    pub(super) fn run(&self, mut command: Command, out: &mut Out) -> Result<u8, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "events", &mut script);
        out.write_all(&script)?;
        Ok(DONE)
    }
}
