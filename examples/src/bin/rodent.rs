//! The skeleton of an agent: load the configuration, start, emit, stop on SIGTERM or Ctrl-C.
//!
//! ```text
//! mkdir /tmp/rodent && cp examples/rodent.yml /tmp/rodent
//! cargo run --bin rodent -- /tmp/rodent
//! ```
//!
//! No Toggle has to be there: what cannot be delivered lies in `/tmp/rodent/events`, and goes out when one is.

// A program that shows something prints it.
#![allow(clippy::print_stderr, clippy::print_stdout)]

use std::{
    env,
    error::Error,
    process::{self, ExitCode},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use events_sdk::{
    self as events, Config, Level,
    payload::{
        ServiceStatusOperation, ServiceStatusPayload, SystemShutdownOperation, SystemShutdownPayload,
        SystemStartupOperation, SystemStartupPayload,
    },
};
use tokio::{
    signal::unix::{SignalKind, signal},
    time,
};

/// How often the agent reports that it is well.
const HEALTH_INTERVAL: Duration = Duration::from_secs(5);

/// How long stopping may take: well below what service managers allow before they kill, 90 s with systemd.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(5);

/// The name under which it reports.
const SERVICE: &str = "rodent-controller";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rodent: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    // What the event system has to say of itself goes to whoever subscribes; without one it is not heard.
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();

    let config_dir = env::args_os().nth(1).ok_or("usage: rodent DIRECTORY, where rodent.yml lies")?;
    let config = Config::load(config_dir)?;
    // The event system has a thread of its own, so it does not matter which runtime the agent has, or whether it has one.
    events::initialize(config)?;

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let worked = runtime.block_on(work());

    // Last of all, and outside of the runtime, since it blocks: what the agent emits until here is still taken.
    if let Some(report) = events::shutdown(SHUTDOWN_DEADLINE) {
        println!(
            "stopped: {} delivered, {} on disk for the next start, {} dropped, {} undecided",
            report.delivered, report.on_disk, report.dropped, report.undecided
        );
    }
    worked
}

/// What the agent does until somebody stops it.
async fn work() -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    events::emit_system_startup(
        SystemStartupPayload {
            boot_time_seconds: i64::try_from(now.as_secs())?,
            services_started: &[SERVICE],
            version: env!("CARGO_PKG_VERSION"),
            ..SystemStartupPayload::new(SystemStartupOperation::Started)
        },
        (),
    );

    // A process that dies of a signal takes what is only in memory with it.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut health = time::interval(HEALTH_INTERVAL);
    loop {
        tokio::select! {
            _ = health.tick() => report_health(start.elapsed()),
            _ = terminate.recv() => return say_goodbye("SIGTERM"),
            _ = interrupt.recv() => return say_goodbye("Ctrl-C"),
        }
    }
}

fn say_goodbye(reason: &str) -> Result<(), Box<dyn Error>> {
    events::emit_system_shutdown(
        SystemShutdownPayload {
            reason,
            graceful: true,
            ..SystemShutdownPayload::new(SystemShutdownOperation::Shutdown)
        },
        (),
    );
    Ok(())
}

fn report_health(uptime: Duration) {
    events::emit_service_status(
        Level::Info,
        ServiceStatusPayload {
            service_name: SERVICE,
            status: "running",
            pid: i32::try_from(process::id()).unwrap_or_default(),
            uptime_seconds: i64::try_from(uptime.as_secs()).unwrap_or_default(),
            ..ServiceStatusPayload::new(ServiceStatusOperation::HealthCheck)
        },
        (),
    );
    let stats = events::stats();
    println!(
        "Toggle at {} is {}: {} delivered, {} in memory, {} on disk",
        stats.uplink.target,
        stats.uplink.state,
        stats.delivered,
        stats.in_memory + stats.in_flight,
        stats.on_disk
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = include_str!("../../rodent.yml");
    const NO_VARIABLES: [(&str, &str); 0] = [];

    #[test]
    fn the_sample_file_is_the_default_configuration_with_an_endpoint() {
        let (config, warnings) = Config::from_yaml("/etc/rodent", SAMPLE, NO_VARIABLES).unwrap();
        let mut expected = Config::default();
        expected.toggle.endpoint = config.toggle.endpoint.clone();
        assert_eq!(config, expected);
        assert!(config.toggle.endpoint.is_some() && warnings.is_empty());
    }

    #[test]
    fn the_defaults_in_the_sample_file_are_the_defaults() {
        // These have no default to compare with, or say the same thing as another key.
        const EXAMPLES: [&str; 8] = [
            "enabled_levels",
            "enabled_categories",
            "token",
            "token_file",
            "ca_file",
            "client_cert_file",
            "client_key_file",
            "domain",
        ];
        let uncommented: Vec<_> = SAMPLE
            .lines()
            .filter_map(|line| {
                let (indent, key) = line.split_once('#').unwrap_or((line, ""));
                let name = key.split_once(':').map_or("", |(name, _)| name);
                let is_key = !key.starts_with(' ') && !name.is_empty();
                (is_key && !EXAMPLES.contains(&name))
                    .then(|| format!("{indent}{key}"))
                    .or_else(|| key.is_empty().then(|| line.to_owned()))
            })
            .collect();
        let (config, warnings) =
            Config::from_yaml("/etc/rodent", &uncommented.join("\n"), NO_VARIABLES).unwrap();
        let mut expected = Config::default();
        expected.toggle.endpoint = config.toggle.endpoint.clone();
        assert_eq!(config, expected);
        assert!(warnings.is_empty());
    }

    #[test]
    fn the_sample_file_names_every_key() {
        let reference = Config::reference();
        let keys: Vec<_> = reference
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
            .map(|(key, _)| key.rsplit('.').next().unwrap_or(key))
            .collect();
        assert!(keys.len() > 20, "{keys:?}");
        for key in keys {
            let stands = SAMPLE.lines().any(|line| {
                line.trim_start()
                    .trim_start_matches('#')
                    .strip_prefix(key)
                    .is_some_and(|rest| rest.starts_with(':'))
            });
            assert!(stands, "rodent.yml does not say `{key}`");
        }
    }
}
