//! Runs the fault table and prints it: `faults [--quick | --nightly] [--row NAME]… [--list]`.
//!
//! Exit code 0 when every row shows what it is to show, 1 when one does not, 2 when the arguments make no sense. Called as
//! `faults agent …` or `faults live …` it is the process that rows start.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program with a table to print")]

use std::{
    env,
    io::{IsTerminal, stderr},
    process::ExitCode,
    time::Instant,
};

use events_tests::faults::{ELSEWHERE, HEADINGS, Outcome, ROWS, Row, Scale, Verdict, agent, live, row};

const USAGE: &str = "usage: faults [--quick | --nightly] [--row NAME]... [--list]";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [first, rest @ ..] = arguments.as_slice()
        && let Some(process) = match first.as_str() {
            "agent" => Some(agent::main(rest)),
            "live" => Some(live::main(rest)),
            _ => None,
        }
    {
        return match process {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("faults {first}: {error}");
                ExitCode::FAILURE
            }
        };
    }
    let (mut quick, mut nightly, mut rows) = (false, false, Vec::new());
    let mut words = arguments.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match word {
            "--quick" => quick = true,
            "--nightly" => nightly = true,
            "--list" => {
                ROWS.iter().for_each(|row| println!("{:<18} {}", row.name, row.about));
                return ExitCode::SUCCESS;
            }
            "--row" => match words.next().and_then(row) {
                Some(row) => rows.push(row),
                None => {
                    eprintln!("`--row` needs the name of a row; `faults --list` names them");
                    return ExitCode::from(2);
                }
            },
            other => {
                eprintln!("`{other}` is not an argument; {USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    if quick && nightly {
        eprintln!("`--quick` and `--nightly` exclude each other; {USAGE}");
        return ExitCode::from(2);
    }
    if rows.is_empty() {
        rows.extend(ROWS.iter().filter(|row| quick || nightly || !row.nightly));
    }
    let program = match env::current_exe() {
        Ok(program) => program,
        Err(error) => {
            eprintln!("the path of this program is unknown, and it has to start itself: {error}");
            return ExitCode::FAILURE;
        }
    };
    let scale = Scale { quick, program };

    print_head();
    let outcomes = rows.into_iter().map(|row| {
        if stderr().is_terminal() {
            eprint!("{} …\r", row.name);
        }
        let start = Instant::now();
        let outcome = row.run(&scale);
        print_row(row, &outcome, start.elapsed().as_secs_f64());
        outcome.verdict()
    });
    let verdicts: Vec<Verdict> = outcomes.collect();
    let count = |wanted| verdicts.iter().filter(|&&verdict| verdict == wanted).count();
    let (ok, failed, skipped) = (count(Verdict::Ok), count(Verdict::Failed), count(Verdict::Skipped));
    println!("\nNo rows, but shown by commands of their own:");
    ELSEWHERE.iter().for_each(|(about, command)| println!("* {about}: `{command}`"));
    println!("\n{ok} rows show what they are to show, {failed} do not, {skipped} could not be run here");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print_head() {
    println!("| row | {} | seconds | verdict | remarks |", HEADINGS.join(" | "));
    println!("|---|{}---:|---|---|", "---:|".repeat(HEADINGS.len()));
}

fn print_row(row: &Row, outcome: &Outcome, seconds: f64) {
    let verdict = match outcome.verdict() {
        Verdict::Ok => "ok",
        Verdict::Failed => "FAILED",
        Verdict::Skipped => "skipped",
    };
    let cells = outcome.cells().join(" | ");
    println!("| {} | {cells} | {seconds:.1} | {verdict} | {} |", row.name, outcome.remarks());
}
