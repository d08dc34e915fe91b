//! What is shown by commands of their own: they look into parts of the SDK that only its own tests see.

use std::{env, ffi::OsString, process::Command};

use super::Outcome;

/// A command of cargo's that shows something, and what its output says.
#[derive(Debug, Clone, Copy)]
pub struct Shown {
    /// What to call it by.
    pub name: &'static str,
    /// What is broken.
    pub about: &'static str,
    arguments: &'static [&'static str],
    read: fn(&str) -> Result<String, String>,
}

/// All of them, in the order of the table.
pub const ELSEWHERE: &[Shown] = &[
    Shown {
        name: "power-loss",
        about: "a loss of power before every operation of a simulated disk",
        arguments: &["test", "--workspace", "--lib", "no_loss_of_power"],
        read: tests_that_passed,
    },
    Shown {
        name: "stampede",
        about: "200 nodes come back at once to a Toggle that answers RESOURCE_EXHAUSTED, simulated",
        arguments: &["test", "--workspace", "--lib", "two_hundred_nodes", "--", "--nocapture"],
        read: worst_peak,
    },
    Shown {
        name: "emit-cost",
        about: "what an emit costs with the durability process, beside memory",
        arguments: &["bench", "-p", "events-sdk", "--bench", "emit"],
        read: cost,
    },
];

/// What arrives at Toggle at most, in what it accepts.
const PEAK: f64 = 1.5;

/// What an emit with the durability `process` costs at most, in what one with `memory` does.
const COST: f64 = 1.25;

impl Shown {
    /// What to type for it alone.
    pub fn command(&self) -> String {
        format!("cargo {}", self.arguments.join(" "))
    }

    /// Runs it with the cargo that runs this program.
    pub fn run(&self) -> Outcome {
        let Some(cargo) = env::var_os("CARGO") else {
            return Outcome::skipped(&format!("cargo does not run this; `{}`", self.command()));
        };
        self.run_with(cargo).map_or_else(
            |problem| Outcome::failed(&format!("{problem}; `{}`", self.command())),
            |note| Outcome { note, ..Outcome::default() },
        )
    }

    fn run_with(&self, cargo: OsString) -> Result<String, String> {
        let mut command = Command::new(cargo);
        let output = command.args(self.arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
        let output = output.map_err(|error| format!("cargo does not start: {error}"))?;
        if !output.status.success() {
            return Err(format!("it ends with {}", output.status));
        }
        (self.read)(&String::from_utf8_lossy(&output.stdout))
    }
}

fn tests_that_passed(output: &str) -> Result<String, String> {
    match output.lines().filter(|line| line.starts_with("test ") && line.ends_with(" ... ok")).count() {
        0 => Err("no test ran".to_owned()),
        tests => Ok(format!("{tests} tests passed")),
    }
}

fn worst_peak(output: &str) -> Result<String, String> {
    let peaks = output.lines().filter_map(|line| {
        let numbers: Option<Vec<f64>> = line.split_whitespace().map(|word| word.parse().ok()).collect();
        numbers?.get(5).copied()
    });
    let peak = peaks.reduce(f64::max).ok_or("its output has no peaks")?;
    let told = format!("the worst peak is {peak:.2} x what Toggle accepts");
    if peak <= PEAK { Ok(told) } else { Err(told) }
}

/// What is best in many bursts says what it costs; the median says what else the machine had to do.
fn cost(output: &str) -> Result<String, String> {
    let line = output.lines().find(|line| line.trim_start().starts_with("with process"));
    let numbers =
        line.into_iter().flat_map(str::split_whitespace).filter_map(|word| word.parse::<f64>().ok());
    let [_, _, median, best] = numbers.collect::<Vec<_>>()[..] else {
        return Err("its output has no costs".to_owned());
    };
    let told = format!("{best:.2} x memory at best, {median:.2} x in the median");
    if best <= COST { Ok(told) } else { Err(told) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_commands_print_is_read() {
        assert_eq!(
            tests_that_passed("running 1 test\ntest a ... ok\n\ntest b ... FAILED\n").unwrap(),
            "1 tests passed"
        );
        assert!(tests_that_passed("running 0 tests\n").is_err());
        let peaks = |worst| {
            format!(
                "outage s  backlog\n  60  250  0  100  1.16  1.16  33  0.0  6  5\n 60 250 0 100 1.2 {worst} 3 0.0 5 5\n"
            )
        };
        assert_eq!(worst_peak(&peaks("1.46")).unwrap(), "the worst peak is 1.46 x what Toggle accepts");
        assert!(worst_peak(&peaks("1.51")).is_err() && worst_peak("").is_err());
        let costs = |best| {
            format!("  events-sdk  321  185   1.00  1.00\n    with process   400  209   1.23  {best}\n")
        };
        assert_eq!(cost(&costs("1.13")).unwrap(), "1.13 x memory at best, 1.23 x in the median");
        assert!(cost(&costs("1.26")).is_err() && cost("").is_err());
    }
}
