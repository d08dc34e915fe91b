//! A process to be ended: it emits numbered events until SIGTERM, and says how far it is.
//!
//! It writes `at N` after the emitters of all events below N have returned, and after a shutdown `end N COMPLETE`. A pipe
//! keeps what was written to it when the writer is killed, so whoever reads it knows what has to survive. Behind the end stand the
//! accounts of all processes that used the spool: `Lifetime`.

use std::{
    error::Error,
    io::{BufRead, BufReader, Read, Write, stdout},
    path::Path,
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use events_sdk::{DropReason, DurabilityMode, Events, testing};
use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{SignalKind, signal};

use crate::{config_for, emit_number};

/// How many events are emitted between two reports.
pub(super) const STRIDE: usize = 5;
/// How long a shutdown may take.
const DEADLINE: Duration = Duration::from_secs(20);

/// What the program does when it is called with `agent`: `ENDPOINT SPOOL DURABILITY FROM CLOCK`. `FROM` is the first
/// number, or `-` to emit nothing; `CLOCK` is by how many milliseconds the clock steps after 500 events, 0 for not at all.
///
/// # Errors
///
/// When an argument makes no sense, or the event system does not start.
pub fn main(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let [endpoint, spool, durability, from, clock] = arguments else {
        return Err("usage: faults agent ENDPOINT SPOOL DURABILITY FROM CLOCK".into());
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut terminate = {
        let _inside = runtime.enter();
        signal(SignalKind::terminate())?
    };
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    thread::spawn(move || {
        runtime.block_on(terminate.recv());
        told.store(true, Ordering::Release);
    });

    let mut config = config_for(endpoint.clone(), Path::new(spool));
    let mode = DurabilityMode::ALL.iter().find(|mode| mode.name() == durability);
    config.durability = *mode.ok_or_else(|| format!("`{durability}` is not a durability"))?;
    let first: Option<usize> = if from == "-" { None } else { Some(from.parse()?) };
    let step: i64 = clock.parse()?;
    let events = Events::start(config)?;

    let mut next = first.unwrap_or(0);
    say(&format!("at {next}"))?;
    while !stop.load(Ordering::Acquire) {
        if let Some(first) = first {
            (next..next + STRIDE).for_each(|number| emit_number(&events, number));
            next += STRIDE;
            say(&format!("at {next}"))?;
            if step != 0 && next == first + 500 {
                testing::shift_clock(step);
            }
        }
        thread::sleep(Duration::from_millis(1));
    }
    let report = events.shutdown(DEADLINE);
    let is_complete =
        u8::from(report.complete && report.dropped == report.stats.dropped_for(DropReason::ProcessEnded));
    let lifetime = report.stats.lifetime;
    let counts = [
        lifetime.accepted,
        lifetime.delivered,
        lifetime.dropped_for(DropReason::ProcessEnded),
        lifetime.dropped_total(),
        u64::from(lifetime.is_surveyed && lifetime.balances()),
    ];
    let counts = counts.map(|count| count.to_string()).join(" ");
    Ok(say(&format!("end {next} {is_complete} {counts}"))?)
}

/// The accounts of all processes that used a spool, as the last of them said.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lifetime {
    pub(super) accepted: u64,
    pub(super) delivered: u64,
    /// Lost because a process ended.
    pub(super) ended: u64,
    /// Lost for whatever reason.
    pub(super) dropped: u64,
    /// All that the others left had been found, and every event was accounted for.
    pub(super) balances: bool,
}

fn say(line: &str) -> std::io::Result<()> {
    // One write, so that a reader sees all of the line or nothing.
    let mut out = stdout().lock();
    out.write_all(format!("{line}\n").as_bytes())?;
    out.flush()
}

/// Such a process, seen from outside.
pub(super) struct Agent {
    process: Child,
    output: BufReader<ChildStdout>,
    said: String,
}

/// What it said until its end.
#[derive(Debug)]
pub(super) struct Said {
    /// All events below this number were emitted; `None` when it did not get so far as to emit.
    pub(super) next: Option<usize>,
    /// It shut down, and all was delivered or on disk.
    pub(super) complete: bool,
    /// How it ended.
    pub(super) status: ExitStatus,
    /// The accounts over all processes.
    pub(super) lifetime: Option<Lifetime>,
}

impl Agent {
    pub(super) fn start(
        program: &Path,
        endpoint: &str,
        spool: &Path,
        mode: DurabilityMode,
        from: Option<usize>,
        clock: i64,
    ) -> Self {
        let from = from.map_or_else(|| "-".to_owned(), |from| from.to_string());
        let mut process = Command::new(program)
            .args(["agent", endpoint])
            .arg(spool)
            .args([mode.name(), &from, &clock.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program");
        let output = BufReader::new(process.stdout.take().expect("a pipe"));
        Self { process, output, said: String::new() }
    }

    /// Waits until it emits and listens to signals, or has ended.
    pub(super) fn wait_for_start(&mut self) {
        self.output.read_line(&mut self.said).expect("text");
    }

    pub(super) fn terminate(&self) {
        // It has not been waited for, so the id is still its own.
        kill_process(Pid::from_child(&self.process), Signal::TERM).expect("a child of ours");
    }

    pub(super) fn kill(&mut self) {
        self.process.kill().expect("a child of ours");
    }

    /// Waits for its end.
    pub(super) fn said(mut self) -> Said {
        self.output.read_to_string(&mut self.said).expect("text");
        let status = self.process.wait().expect("a child of ours");
        let (mut next, mut complete, mut lifetime) = (None, false, None);
        for line in self.said.lines() {
            let mut words = line.split(' ');
            let what = words.next();
            next = words.next().and_then(|word| word.parse().ok());
            complete = what == Some("end") && words.next() == Some("1");
            let counts: Vec<u64> = words.filter_map(|word| word.parse().ok()).collect();
            if let [accepted, delivered, ended, dropped, balances] = counts[..] {
                lifetime = Some(Lifetime { accepted, delivered, ended, dropped, balances: balances == 1 });
            }
        }
        Said { next, complete, status, lifetime }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It has ended already unless the row failed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
