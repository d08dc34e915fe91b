//! What stands behind a command's name.

use std::path::PathBuf;

use super::Failure;

/// The arguments of a command: each option that any command has, and what is no option.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    pub(super) includes: Vec<PathBuf>,
    pub(super) out: Option<PathBuf>,
    pub(super) lock: Option<PathBuf>,
    pub(super) locked: bool,
    pub(super) breaking: bool,
    pub(super) format: Option<String>,
    pub(super) schemas: Vec<PathBuf>,
    pub(super) deny_unused: bool,
    pub(super) deny_warnings: bool,
    pub(super) rest: Vec<PathBuf>,
}

impl Arguments {
    /// Reads `arguments`, of whose options only those in `known` belong to the command.
    pub(super) fn parse(arguments: &[String], known: &[&str]) -> Result<Self, String> {
        let mut parsed = Self::default();
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let argument = if argument == "-I" { "--include" } else { argument };
            if !argument.starts_with('-') {
                parsed.rest.push(argument.into());
                continue;
            }
            if !known.contains(&argument) {
                return Err(format!("`{argument}` is not an option of this command"));
            }
            let mut value = || arguments.next().cloned().ok_or_else(|| format!("{argument} needs a value"));
            match argument {
                "--include" => parsed.includes.push(value()?.into()),
                "--out" => parsed.out = Some(value()?.into()),
                "--lock" => parsed.lock = Some(value()?.into()),
                "--format" => parsed.format = Some(value()?),
                "--schema" => parsed.schemas.push(value()?.into()),
                "--locked" => parsed.locked = true,
                "--breaking" => parsed.breaking = true,
                "--deny-warnings" => parsed.deny_warnings = true,
                "--deny-unused" => parsed.deny_unused = true,
                other => return Err(format!("`{other}` is not an option")),
            }
        }
        if parsed.includes.is_empty() {
            parsed.includes.push(PathBuf::from("."));
        }
        Ok(parsed)
    }

    /// The .proto files, of which there must be one.
    pub(super) fn files(&self) -> Result<&[PathBuf], Failure> {
        match self.rest.is_empty() {
            true => Err(Failure::Usage("no .proto file was named".to_owned())),
            false => Ok(&self.rest),
        }
    }
}
