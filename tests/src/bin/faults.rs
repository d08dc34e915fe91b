//! Runs the fault table and prints it: `faults [--quick] [--row NAME]… [--list]`.
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

use events_tests::faults::{
    ELSEWHERE, HEADINGS, Outcome, ROWS, Row, Scale, Shown, Verdict, agent, live, row,
};

const USAGE: &str = "usage: faults [--quick] [--row NAME]... [--list]";

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
    let (mut quick, mut lines) = (false, Vec::new());
    let mut words = arguments.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match word {
            "--quick" => quick = true,
            "--list" => {
                ROWS.iter().for_each(|row| println!("{:<18} {}", row.name, row.about));
                ELSEWHERE.iter().for_each(|shown| println!("{:<18} {}", shown.name, shown.about));
                return ExitCode::SUCCESS;
            }
            "--row" => match words.next().and_then(Line::named) {
                Some(line) => lines.push(line),
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
    if lines.is_empty() {
        lines.extend(ROWS.iter().map(Line::Row));
        if !quick {
            lines.extend(ELSEWHERE.iter().map(Line::Shown));
        }
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
    let outcomes = lines.into_iter().map(|line| {
        if stderr().is_terminal() {
            eprint!("{} …\r", line.name());
        }
        let start = Instant::now();
        let (outcome, cells) = line.run(&scale);
        print_row(line.name(), &outcome, &cells, start.elapsed().as_secs_f64());
        outcome.verdict()
    });
    let verdicts: Vec<Verdict> = outcomes.collect();
    let count = |wanted| verdicts.iter().filter(|&&verdict| verdict == wanted).count();
    let (ok, failed, skipped) = (count(Verdict::Ok), count(Verdict::Failed), count(Verdict::Skipped));
    println!("\n{ok} rows show what they are to show, {failed} do not, {skipped} could not be run here");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A line of the table.
#[derive(Debug, Clone, Copy)]
enum Line {
    Row(&'static Row),
    Shown(&'static Shown),
}

impl Line {
    fn named(name: &str) -> Option<Self> {
        let shown = || ELSEWHERE.iter().find(|shown| shown.name == name).map(Self::Shown);
        row(name).map(Self::Row).or_else(shown)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Row(row) => row.name,
            Self::Shown(shown) => shown.name,
        }
    }

    /// What came of it, and the columns of [`HEADINGS`].
    fn run(self, scale: &Scale) -> (Outcome, [String; 8]) {
        match self {
            Self::Row(row) => {
                let outcome = row.run(scale);
                let cells = outcome.cells();
                (outcome, cells)
            }
            Self::Shown(shown) => (shown.run(), std::array::from_fn(|_| "-".to_owned())),
        }
    }
}

fn print_head() {
    println!("| row | {} | seconds | verdict | remarks |", HEADINGS.join(" | "));
    println!("|---|{}---:|---|---|", "---:|".repeat(HEADINGS.len()));
}

fn print_row(name: &str, outcome: &Outcome, cells: &[String; 8], seconds: f64) {
    let verdict = match outcome.verdict() {
        Verdict::Ok => "ok",
        Verdict::Failed => "FAILED",
        Verdict::Skipped => "skipped",
    };
    let cells = cells.join(" | ");
    println!("| {name} | {cells} | {seconds:.1} | {verdict} | {} |", outcome.remarks());
}
