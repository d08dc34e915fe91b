//! The life of an event, in four acts and under half a minute:
//!
//! 1. one event of every kind goes to Toggle and is printed as it arrives;
//! 2. Toggle dies, and the program goes on emitting: memory fills, and spill files appear;
//! 3. Toggle comes back, and the backlog drains;
//! 4. the books are closed: what was emitted must be what Toggle stored, to the last event.
//!
//! ```text
//! cargo run --release --bin quickstart
//! ```
//!
//! It needs no arguments and no installation: Toggle is the test kit's, in this very process, and the spill files lie
//! in a temporary directory. On a terminal it draws bars, in a log it prints a line a second. The exit code is 1 if the
//! account does not balance.
//!
//! To copy from here: [`stage`] configures the event system, [`emit_all`] calls every emitter, and [`run`] starts it and
//! shuts it down.

mod account;
mod describe;
mod emit_all;
mod load;
mod screen;
mod stage;

use std::{
    error::Error,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use events_sdk::{self as events, FlushOutcome, Stats, testing::Mode};
use indicatif::{HumanBytes, HumanCount};

use self::{account::Account, describe::Describer, screen::Screen, stage::Stage};

/// How long a person looks at the events of one category.
const READING_TIME: Duration = Duration::from_millis(250);

/// How many events are emitted while Toggle is away.
const OUTAGE_EVENTS: u64 = 50_000;

/// How long emitting them takes: long enough to watch. The SDK would need a few milliseconds.
const OUTAGE: Duration = Duration::from_secs(10);

/// How long Toggle takes to answer after the outage, as one on another continent would, so that there is a drain to
/// watch.
const ROUND_TRIP: Duration = Duration::from_millis(60);

/// How often the picture is refreshed.
const FRAME: Duration = Duration::from_millis(40);

/// The backlog drains in a quarter of a minute, as it begins after a random pause and gently; a machine that needs longer than
/// this is stuck.
const DRAIN_LIMIT: Duration = Duration::from_secs(90);

/// What `flush` and `shutdown` may take.
const DEADLINE: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    match run() {
        Ok(account) if account.balances() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            #[allow(clippy::print_stderr, reason = "the last word of a program that cannot go on")]
            {
                eprintln!("quickstart cannot go on: {error}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<Account, Box<dyn Error>> {
    let screen = Screen::new();
    let stage = Stage::new()?;

    // All that a program has to do before it emits. Toggle need not be there yet.
    events::initialize(stage.config.clone())?;

    let mut emitted = every_kind(&screen, &stage)?;
    emitted += outage(&screen, &stage)?;
    drain(&screen, &stage, emitted)?;

    // Whatever is still in memory goes to disk first, and then to Toggle while time is left.
    let report = events::shutdown(DEADLINE).ok_or("the event system was shut down by somebody else")?;
    let account = Account::new(emitted, &stage.toggle, report.stats);
    account.print(&screen)?;
    Ok(account)
}

/// Act 1: one event of every kind, printed as Toggle receives it.
fn every_kind(screen: &Screen, stage: &Stage) -> Result<u64, Box<dyn Error>> {
    let kinds = events::kinds::ALL.len();
    screen.title(&format!(
        "1  One event of each of the {kinds} kinds, as Toggle at {} sees it",
        stage.toggle.endpoint()
    ))?;
    let describer = Describer::new()?;
    let arriving = stage.toggle.subscribe();
    let mut emitted = 0;
    for emit_category in emit_all::CATEGORIES {
        let tickets = emit_category();
        emitted += tickets.iter().filter(|ticket| ticket.is_queued()).count() as u64;
        // A batch leaves when it is full or 30 s old. Nobody wants to wait for that here.
        if events::flush(DEADLINE) == FlushOutcome::TimedOut {
            return Err("Toggle does not take events".into());
        }
        for event in arriving.try_iter() {
            screen.line(&describer.line(&event, screen.has_colour())?)?;
        }
        thread::sleep(READING_TIME);
    }
    Ok(emitted)
}

/// Act 2: Toggle dies in the middle of a batch, and the program does not notice.
fn outage(screen: &Screen, stage: &Stage) -> Result<u64, Box<dyn Error>> {
    screen
        .title(&format!("2  Toggle dies, and {} events are emitted meanwhile", HumanCount(OUTAGE_EVENTS)))?;
    // The nastiest way to go: what it has stored it no longer acknowledges. Those batches will be sent again.
    stage.toggle.set_mode(Mode::StoreThenFail);
    let failed_before = events::stats().uplink.attempts_failed;
    let mut runs = true;

    let mut spill_files = stage.watch_spool();
    let mut gauge = screen.gauge("memory", events::stats().buffer.flush_threshold as u64)?;
    let (mut tried, mut emitted) = (0, 0);
    let start = Instant::now();
    while tried < OUTAGE_EVENTS {
        let due = OUTAGE_EVENTS as f64 * start.elapsed().as_secs_f64() / OUTAGE.as_secs_f64();
        while tried < OUTAGE_EVENTS.min(due as u64) {
            emitted += u64::from(load::emit_one(tried).is_queued());
            tried += 1;
        }
        let stats = events::stats();
        if runs && stats.uplink.attempts_failed > failed_before {
            stage.toggle.stop();
            runs = false;
            screen.line(
                "Toggle is gone: it stored what it was sent, did not answer, and now refuses connections",
            )?;
        }
        for (name, bytes) in spill_files.appeared()? {
            screen.line(&format!("spill file {name}, {}", HumanBytes(bytes)))?;
        }
        gauge.show(stats.in_memory, &whereabouts(&stats, tried))?;
        thread::sleep(FRAME);
    }
    gauge.end();
    let stats = events::stats();
    screen.line(&format!("All emitted; nothing waited for Toggle. Now {}", whereabouts(&stats, emitted)))?;
    if let Some(error) = &stats.last_error {
        screen.line(&format!("What the event system says of Toggle: {}: {error}", stats.uplink.state))?;
    }
    Ok(emitted)
}

fn whereabouts(stats: &Stats, emitted: u64) -> String {
    format!(
        "{} emitted, {} in memory, {} on disk (spill files: {})",
        HumanCount(emitted),
        HumanCount(stats.in_memory + stats.in_flight),
        HumanCount(stats.on_disk),
        stats.spool.files
    )
}

/// Act 3: Toggle is back on the same port, and finds out what it missed.
fn drain(screen: &Screen, stage: &Stage, emitted: u64) -> Result<(), Box<dyn Error>> {
    screen.title(&format!("3  Toggle comes back, {} ms away", ROUND_TRIP.as_millis()))?;
    stage.toggle.set_mode(Mode::Slow(ROUND_TRIP));
    stage.toggle.restart()?;

    let mut gauge = screen.gauge("delivered", emitted)?;
    let start = Instant::now();
    loop {
        let stats = events::stats();
        // Less than a batch may stay in memory: it waits for company, and the shutdown will send it. A file goes a moment after
        // the last of it was acknowledged, once the accounts that say so are on stable storage.
        let is_drained = stats.on_disk + stats.in_flight + stats.spool.files == 0
            && stats.in_memory < stage.config.batch_size as u64;
        gauge.show(
            stats.delivered,
            &format!(
                "{} of {}, {} on disk (spill files: {})",
                HumanCount(stats.delivered),
                HumanCount(emitted),
                HumanCount(stats.on_disk),
                stats.spool.files
            ),
        )?;
        if is_drained || start.elapsed() > DRAIN_LIMIT {
            break;
        }
        thread::sleep(FRAME);
    }
    gauge.end();
    let stats = events::stats();
    screen.line(&format!(
        "{} delivered within {:.1} s; spill files left: {}",
        HumanCount(stats.delivered),
        start.elapsed().as_secs_f64(),
        stats.spool.files
    ))?;
    Ok(())
}
