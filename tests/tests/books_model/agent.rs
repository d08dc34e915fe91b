//! A process with an event system, to be told what to do and killed.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use events_sdk::{DurabilityMode, Level};

use crate::PATIENCE;

/// What it says of itself, by name.
pub(crate) type Counts = HashMap<String, u64>;

/// How it is to work.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    pub(crate) durability: DurabilityMode,
    /// So many bytes may lie on disk.
    pub(crate) quota: usize,
    /// While Toggle is away what is emitted stays in memory, if that is not told otherwise.
    pub(crate) is_patient: bool,
}

/// `agent` of `src/bin/agent.rs`.
pub(crate) struct Agent {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Agent {
    pub(crate) fn start(endpoint: &str, spool: &Path, manner: Manner) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_agent"));
        command.arg(endpoint).arg(spool).arg("500").stdin(Stdio::piped()).stdout(Stdio::piped());
        command.env("AGENT_DURABILITY", manner.durability.name());
        command.env("AGENT_QUOTA", manner.quota.to_string());
        if manner.is_patient {
            command.env("AGENT_PATIENT", "1");
        }
        let mut process = command.spawn().expect("an agent");
        let input = process.stdin.take();
        let output = BufReader::new(process.stdout.take().expect("its output"));
        let mut agent = Self { process, input, output };
        agent.read();
        agent
    }

    fn read(&mut self) -> Counts {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("text");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("the agent said {line:?}"))
    }

    fn ask(&mut self, command: &str) -> Counts {
        writeln!(self.input.as_mut().expect("its input"), "{command}").expect("it listens");
        self.read()
    }

    pub(crate) fn stats(&mut self) -> Counts {
        self.ask("stats")
    }

    pub(crate) fn emit(&mut self, from: usize, count: usize, level: Level) -> Counts {
        self.ask(&format!("emit {from} {count} {}", level.name()))
    }

    pub(crate) fn flush(&mut self, limit: Duration) -> Counts {
        self.ask(&format!("flush {}", limit.as_millis()))
    }

    /// Asks until all is as wanted.
    pub(crate) fn wait_until(&mut self, wanted: impl Fn(&Counts) -> bool) -> Counts {
        let start = Instant::now();
        loop {
            let counts = self.stats();
            if wanted(&counts) {
                return counts;
            }
            assert!(start.elapsed() < PATIENCE, "{counts:#?}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until nothing moves any more but what is tried in vain.
    pub(crate) fn wait_for_quiet(&mut self) -> Counts {
        let place = |counts: &Counts| {
            let of = |name: &str| counts[name];
            (of("life_accepted"), of("life_delivered"), of("life_dropped"), of("in_memory") + of("in_flight"))
        };
        let (mut last, mut same) = (self.stats(), 0);
        let start = Instant::now();
        while same < 5 {
            thread::sleep(Duration::from_millis(20));
            let counts = self.stats();
            // A probe is in flight, whether it comes from memory or from disk.
            let is_still = counts["in_flight"] == 0 && place(&counts) == place(&last);
            same = if is_still { same + 1 } else { 0 };
            last = counts;
            assert!(start.elapsed() < PATIENCE, "{last:#?}");
        }
        last
    }

    /// Shuts it down and waits for its end.
    pub(crate) fn shut_down(mut self, limit: Duration) -> Counts {
        let counts = self.ask(&format!("shutdown {}", limit.as_millis()));
        self.input = None;
        assert!(self.process.wait().expect("a child").success(), "{counts:#?}");
        counts
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.process.kill().expect("a child of ours");
        self.process.wait().expect("a child of ours");
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It has ended already unless the test failed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
