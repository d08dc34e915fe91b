//! A small agent for tests with real processes: it emits numbered events as its standard input says.
//!
//! `agent ENDPOINT SPOOL_DIR FLUSH_THRESHOLD` starts an event system. Every line of input is a command: `emit FROM COUNT`,
//! `stats`, `flush MILLISECONDS`, `shutdown MILLISECONDS`. After the start and after every command it prints its accounts
//! as one line of JSON. The environment variable `AGENT_DURABILITY` may ask for the durability `process` or `power`, and
//! `AGENT_QUOTA` for a spool of so many bytes and a memory for few events, which stay there with `AGENT_PATIENT`. A third word behind `emit` is the level.
//! `wait FROM COUNT` emits like `emit`, and waits for each of its events to be on stable storage or delivered. It ends with its input. When something fails it says so on standard error, with exit code 1.

#![allow(clippy::print_stdout, reason = "the tests read it")]

use std::{
    error::Error,
    io::{BufRead, Write, stdin, stdout},
    path::Path,
    time::Duration,
};

use events_sdk::{Config, DropReason, DurabilityMode, Events, Level, Stats, WaitOutcome};
use events_tests::{config_for, queue_number, storm_of};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [endpoint, spool, threshold] = arguments.as_slice() else {
        return Err("usage: agent ENDPOINT SPOOL_DIR FLUSH_THRESHOLD".into());
    };
    let mut config = config_for(endpoint.clone(), Path::new(spool));
    config.flush_threshold = threshold.parse()?;
    config.batch_size = config.batch_size.min(config.flush_threshold);
    if let Ok(name) = std::env::var("AGENT_DURABILITY") {
        let mode = DurabilityMode::ALL.iter().find(|mode| mode.name() == name);
        config.durability = *mode.ok_or_else(|| format!("`{name}` is not a durability"))?;
    }
    if let Ok(quota) = std::env::var("AGENT_QUOTA") {
        let is_patient = std::env::var_os("AGENT_PATIENT").is_some();
        config = Config {
            spool_max_bytes: quota.parse()?,
            spool_min_free_bytes: 0,
            buffer_size: 1_000,
            buffer_bytes: 400 << 10,
            batch_timeout: if is_patient { Duration::from_secs(600) } else { Duration::from_millis(50) },
            retry_max: Duration::from_millis(200),
            ..config
        };
    }
    let events = Events::start(config)?;
    answer(&events.stats())?;

    for line in stdin().lock().lines() {
        let line = line?;
        let mut words = line.split_whitespace();
        let command = words.next().unwrap_or_default();
        let mut number = || -> Result<u64, Box<dyn Error>> {
            Ok(words.next().ok_or_else(|| format!("`{line}` lacks a number"))?.parse()?)
        };
        match command {
            "emit" => {
                let (from, count) = (usize::try_from(number()?)?, usize::try_from(number()?)?);
                let named = words.next().unwrap_or(Level::Info.name());
                let level = Level::ALL.iter().copied().find(|level| level.name().eq_ignore_ascii_case(named));
                let level = level.ok_or_else(|| format!("`{named}` is not a level"))?;
                storm_of(&events, from..from + count, 1_000_000, |_| level);
            }
            "wait" => {
                let (from, count) = (usize::try_from(number()?)?, usize::try_from(number()?)?);
                for number in from..from + count {
                    let ticket = queue_number(&events, number);
                    let outcome = events.wait(&ticket, Duration::from_secs(30));
                    if outcome != WaitOutcome::Settled {
                        return Err(format!("event {number}: {outcome:?}").into());
                    }
                }
            }
            "stats" => {}
            "flush" => drop(events.flush(Duration::from_millis(number()?))),
            "shutdown" => drop(events.shutdown(Duration::from_millis(number()?))),
            other => return Err(format!("`{other}` is not a command").into()),
        }
        answer(&events.stats())?;
    }
    Ok(())
}

fn answer(stats: &Stats) -> Result<(), Box<dyn Error>> {
    let life = &stats.lifetime;
    let counts = [
        ("accepted", stats.accepted),
        ("adopted", stats.adopted),
        ("delivered", stats.delivered),
        ("in_memory", stats.in_memory),
        ("in_flight", stats.in_flight),
        ("on_disk", stats.on_disk),
        ("quarantined", stats.quarantined),
        ("dropped", stats.dropped_total()),
        ("not_initialized", stats.not_initialized),
        ("surveyed", life.is_surveyed.into()),
        ("life_accepted", life.accepted),
        ("life_delivered", life.delivered),
        ("life_on_disk", life.on_disk),
        ("life_quarantined", life.quarantined),
        ("life_dropped", life.dropped_total()),
        ("life_vanished", life.dropped_for(DropReason::Vanished)),
        ("life_process_ended", life.dropped_for(DropReason::ProcessEnded)),
    ];
    let fields: Vec<_> = counts.iter().map(|(name, count)| format!("\"{name}\":{count}")).collect();
    println!("{{{}}}", fields.join(","));
    Ok(stdout().flush()?)
}
