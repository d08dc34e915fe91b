//! Processes that end, and a clock that steps.

use std::{
    ops::Range,
    os::unix::process::ExitStatusExt,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use events_sdk::{DropReason, DurabilityMode, testing::Toggle};
use tempfile::TempDir;

use super::{
    Outcome, Scale,
    agent::{Agent, Lifetime, STRIDE},
    random::Random,
};
use crate::spill_files;

/// Numbers that are left out after a process was killed, since it may have emitted some of them.
const GAP: usize = 1_000;
/// A process is ended within so many milliseconds of its start.
const LIFE_MS: usize = 500;
/// How long the last process may take to deliver what the others left.
const PATIENCE: Duration = Duration::from_secs(120);
/// Nothing has come for so long: nothing will.
const SILENCE: Duration = Duration::from_secs(10);

/// A process delivers what is left; then it is all counted.
fn drain(
    scale: &Scale,
    toggle: &Toggle,
    spool: &Path,
    mode: DurabilityMode,
    emitted: &[Range<usize>],
    slack: usize,
) -> Outcome {
    toggle.restart().expect("the same port");
    let mut agent = Agent::start(&scale.program, &toggle.endpoint(), spool, mode, None, 0);
    agent.wait_for_start();
    let enough: usize = emitted.iter().map(Range::len).sum();
    let (start, mut seen) = (Instant::now(), (0, Instant::now()));
    while start.elapsed() < PATIENCE && seen.1.elapsed() < SILENCE {
        let now = toggle.unique_events();
        if now != seen.0 {
            seen = (now, Instant::now());
        }
        if now >= enough && spill_files(spool).is_empty() {
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    agent.terminate();
    let said = agent.said();
    let mut outcome = Outcome::tally(toggle, emitted, slack);
    if !said.complete {
        outcome.problems.push(format!("the last process did not shut down in order: {said:?}"));
    }
    match said.lifetime {
        Some(lifetime) => compare(&lifetime, toggle, mode, &mut outcome),
        None => outcome.problems.push("the last process said nothing of the accounts".into()),
    }
    let left = spill_files(spool);
    if !left.is_empty() {
        outcome.problems.push(format!("{} files were left", left.len()));
    }
    outcome
}

/// The accounts over all processes must say what Toggle says.
fn compare(lifetime: &Lifetime, toggle: &Toggle, mode: DurabilityMode, outcome: &mut Outcome) {
    let stored = toggle.unique_events() as u64;
    let Lifetime { accepted, delivered, ended, dropped, balances } = *lifetime;
    // What Toggle stored, and nobody lived to hear of, is sent again and counted once. Unless it was in memory only: then it
    // counts as lost, since nobody knows.
    let is_right = match mode {
        DurabilityMode::Memory => delivered <= stored && accepted == delivered + ended && dropped == ended,
        _ => delivered == stored && accepted == stored && dropped == 0,
    };
    if !is_right || !balances {
        outcome.problems.push(format!("Toggle stored {stored} events, and the accounts say {lifetime:?}"));
    }
    if ended > 0 {
        outcome.dropped.push((DropReason::ProcessEnded.name(), ended));
        outcome.lost = outcome.lost.saturating_sub(usize::try_from(ended).unwrap_or(usize::MAX));
        let stored = stored.saturating_sub(delivered);
        outcome.note = format!("{}; {stored} of those counted as lost had been stored", outcome.note);
    }
}

/// Ends so many processes one after the other, with Toggle now up and now down.
fn ended(scale: &Scale, rounds: usize, seed: u64, mode: DurabilityMode, kill: bool) -> Outcome {
    let (toggle, spool) = (Toggle::start().expect("a port"), TempDir::new().expect("a directory"));
    let mut random = Random::new(seed);
    let mut emitted: Vec<Range<usize>> = Vec::new();
    let (mut next, mut early, mut problems) = (0, 0, Vec::new());
    for round in 0..rounds {
        let switch = |up: bool| if up { toggle.restart().expect("the same port") } else { toggle.stop() };
        switch(random.coin());
        let mut agent = Agent::start(&scale.program, &toggle.endpoint(), spool.path(), mode, Some(next), 0);
        let life = 1 + random.below(LIFE_MS);
        let first = random.below(life);
        thread::sleep(Duration::from_millis(first as u64));
        if random.coin() {
            switch(random.coin());
        }
        thread::sleep(Duration::from_millis((life - first) as u64));
        if kill {
            agent.kill()
        } else {
            agent.terminate()
        }
        let said = agent.said();
        // A process that is told to end before it listens to signals has emitted nothing.
        let was_early = said.next.is_none() && said.status.signal().is_some();
        early += usize::from(was_early);
        if !kill && !was_early && !said.complete {
            problems.push(format!("round {round}: no shutdown in order: {said:?}"));
        }
        if let Some(reached) = said.next {
            emitted.push(next..reached);
            next = if kill { reached + GAP } else { reached };
        }
    }
    let slack = if kill { STRIDE } else { 0 };
    let mut outcome = drain(scale, &toggle, spool.path(), mode, &emitted, slack);
    outcome.problems.extend(problems);
    outcome.seed = Some(seed);
    outcome.note = format!("{rounds} times, {early} before it emitted; {}", outcome.note);
    outcome
}

pub(super) fn terminated(scale: &Scale) -> Outcome {
    ended(scale, scale.of(5, 15), 15, DurabilityMode::Memory, false)
}

pub(super) fn killed_process(scale: &Scale) -> Outcome {
    ended(scale, scale.of(8, 200), 200, DurabilityMode::Process, true)
}

pub(super) fn killed_power(scale: &Scale) -> Outcome {
    ended(scale, scale.of(8, 200), 201, DurabilityMode::Power, true)
}

/// What was only in memory is lost with the process, as the documentation says, and the next start says how much that was.
/// Nothing may come twice or be invented.
pub(super) fn killed_memory(scale: &Scale) -> Outcome {
    ended(scale, scale.of(8, 50), 202, DurabilityMode::Memory, true)
}

pub(super) fn clock_back(scale: &Scale) -> Outcome {
    const HOUR_MS: i64 = 3_600_000;
    let (toggle, spool) = (Toggle::start().expect("a port"), TempDir::new().expect("a directory"));
    toggle.stop();
    let endpoint = toggle.endpoint();
    let mode = DurabilityMode::Memory;
    let agent = Agent::start(&scale.program, &endpoint, spool.path(), mode, Some(0), -HOUR_MS);
    thread::sleep(scale.time(Duration::from_secs(10)).max(Duration::from_secs(2)));
    agent.terminate();
    let said = agent.said();
    let reached = said.next.unwrap_or(0);
    let mut outcome = drain(scale, &toggle, spool.path(), mode, std::slice::from_ref(&(0..reached)), 0);
    // Both hours have to be among the times, or nothing was stepped.
    let times = toggle.events().into_iter().map(|event| event.timestamp);
    let (least, most) = times.fold((i64::MAX, i64::MIN), |(least, most), at| (least.min(at), most.max(at)));
    if most.saturating_sub(least) < HOUR_MS / 2 {
        outcome.problems.push(format!("the clock did not step: {least} to {most}"));
    }
    if !said.complete {
        outcome.problems.push(format!("no shutdown in order: {said:?}"));
    }
    outcome
}
