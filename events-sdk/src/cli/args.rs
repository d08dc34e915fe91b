//! The command line.

use std::ffi::OsString;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use super::{emit, failure::Failure, kinds, manual, out::Out, place::Where, spool};

/// What every help page ends with, but for those that have exit codes of their own.
const AFTER: &str = "\
Exit codes: 0 done; 1 verify found damage or that events or the accounts are missing, grep found nothing, accounts do not add up, or prune left a \
damaged file alone or found the accounts damaged or gone; \
2 the command line or the configuration makes no sense, nothing was done; 3 something could not be read or written (emit: the event \
is lost); 4 an agent is using the spool, nothing was done.";

/// What it reads beside its arguments. The long help and the manual end with it.
const READS: &str = "\
Files: /etc/rodent/rodent.yml, or rodent.yml in the directory of --config, its section `events`: `spool_dir` says where the spool is. \
emit also heeds `toggle`, the filters, `pii`, `spool_max_bytes` and `spool_min_free_bytes`.

Environment: RODENT_EVENTS_ and the path of a key in capitals (RODENT_EVENTS_SPOOL_DIR, RODENT_EVENTS_TOGGLE_ENDPOINT) goes before the \
file; NO_COLOR and TERM=dumb turn colours off.";

/// Looks into spools of events, mends them, and emits events from shell scripts
#[derive(Debug, Parser)]
#[command(
    name = "events",
    bin_name = "events",
    version,
    after_help = AFTER,
    after_long_help = format!("{AFTER}\n\n{READS}"),
    arg_required_else_help = true
)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Look into a spool, or mend it
    Spool(SpoolArgs),
    /// Emit one event, for shell scripts
    Emit(emit::EmitArgs),
    /// List the kinds of events, or the fields of one
    Kinds(kinds::KindsArgs),
    /// Write the manual, one page for each command
    Man(manual::ManArgs),
    /// Print the completions for a shell
    Completions(manual::CompletionsArgs),
}

#[derive(Debug, clap::Args)]
struct SpoolArgs {
    #[command(flatten)]
    at: Where,
    #[command(subcommand)]
    command: SpoolCommand,
}

#[derive(Debug, Subcommand)]
enum SpoolCommand {
    /// List the files, with what is in them
    ///
    /// STATE is one of these. `sealed`: it is all there by its seal, and `events spool verify` tells whether each event is what was
    /// written. `plain`: without a seal, as other writers leave it, and nothing is wrong with it. `damaged`: its seal, or an event of a
    /// file without one, is not what was written. `torn`: it ends too early. `empty`: nothing is left of it. `segment`: what a process
    /// that is at work, or was killed, has in memory; the next start makes a file of it.
    Ls(spool::ls::LsArgs),
    /// Show events
    Cat(spool::cat::CatArgs),
    /// Show the events that a regular expression matches
    Grep(spool::cat::GrepArgs),
    /// Count events by level, category, source and kind
    Stats(spool::stats::StatsArgs),
    /// Show what became of every event ever accepted here; exit code 1 if that does not add up
    Accounts(spool::accounts::AccountsArgs),
    /// Check every byte of every file; exit code 1 tells of damage, or that events are missing
    Verify(spool::verify::VerifyArgs),
    /// Write damaged files anew with what is good in them, and set the rest aside; not beside an agent
    Repair(spool::repair::RepairArgs),
    /// Move events that Toggle refused back into the spool; not beside an agent
    Requeue(spool::requeue::RequeueArgs),
    /// Write events to a file: JSON lines, or one EventBatch
    Export(spool::export::ExportArgs),
    /// Delete events that meet all of the conditions; not beside an agent
    Prune(spool::prune::PruneArgs),
}

impl Args {
    /// The command line, with the exit codes on every page.
    pub(super) fn whole() -> clap::Command {
        with_exit_codes(Self::command())
    }

    /// What these arguments say.
    pub(super) fn of(
        args: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    ) -> Result<Self, clap::Error> {
        Self::from_arg_matches(&Self::whole().try_get_matches_from(args)?)
    }

    /// Does what was asked for. Returns the exit code.
    pub(super) fn run(&self, out: &mut Out) -> Result<u8, Failure> {
        match &self.command {
            Command::Emit(args) => args.run(out),
            Command::Kinds(args) => args.run(out),
            Command::Man(args) => args.run(&Self::whole(), out),
            Command::Completions(args) => args.run(Self::command(), out),
            Command::Spool(SpoolArgs { at, command }) => match command {
                SpoolCommand::Ls(args) => args.run(at, out),
                SpoolCommand::Cat(args) => args.run(at, out),
                SpoolCommand::Grep(args) => args.run(at, out),
                SpoolCommand::Stats(args) => args.run(at, out),
                SpoolCommand::Accounts(args) => args.run(at, out),
                SpoolCommand::Verify(args) => args.run(at, out),
                SpoolCommand::Repair(args) => args.run(at, out),
                SpoolCommand::Requeue(args) => args.run(at, out),
                SpoolCommand::Export(args) => args.run(at, out),
                SpoolCommand::Prune(args) => args.run(at, out),
            },
        }
    }
}

fn with_exit_codes(command: clap::Command) -> clap::Command {
    let command = if command.get_after_help().is_none() { command.after_help(AFTER) } else { command };
    command.mut_subcommands(with_exit_codes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::whole().debug_assert();
    }
}
