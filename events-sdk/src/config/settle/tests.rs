//! What files and variables come to, right and wrong, with the full text of the errors.

use std::{path::PathBuf, time::Duration};

use super::*;
use crate::ToggleConfig;

type Variables<'a> = &'a [(&'a str, &'a str)];

fn read(text: &str, variables: Variables<'_>) -> Result<(Config, Vec<Problem>), ConfigError> {
    Config::from_yaml("/etc/rodent", text, variables.iter().copied())
}

fn config(text: &str, variables: Variables<'_>) -> Config {
    let (config, warnings) = read(text, variables).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    config
}

fn error(text: &str, variables: Variables<'_>) -> String {
    read(text, variables).unwrap_err().to_string()
}

fn number(category: Category) -> u8 {
    category.number().try_into().unwrap()
}

fn passing(config: &Config, category: Category) -> Vec<&'static str> {
    let levels = Level::ALL.iter().filter(|level| config.filter.allows(number(category), **level));
    levels.map(|level| level.name()).collect()
}

#[test]
fn every_key_reaches_its_field() {
    let text = "
events:
  profile: high-throughput
  buffer_size: 30_000
  buffer_bytes: 48MiB
  flush_threshold: 20000
  batch_size: 250
  batch_bytes: 1 MiB
  batch_timeout: 500ms
  min_level: warn
  enabled_categories: [storage]
  spool_dir: /var/spool/rodent
  spool_max_bytes: 3GiB
  spool_min_free_bytes: 0
  quarantine_max_bytes: 1MiB
  durability: power
  sync_interval: 250ms
  pii: hash
  piiKeyFile: keys/pii
  max_in_flight: 8
  retry_initial: 1
  retry_max: 2m
  toggle:
    endpoint: https://toggle.example.com:50051
    token_file: token
    ca_file: tls/ca.pem
    client_cert_file: /tls/node.pem
    client_key_file: /tls/node.key
    domain: toggle.internal
    compression: none
    timeout: 11
    connect_timeout: 12
    keepalive_interval: 13
    keepalive_timeout: 14
";
    let expected = Config {
        profile: Profile::HighThroughput,
        buffer_size: 30_000,
        buffer_bytes: 48 << 20,
        flush_threshold: 20_000,
        batch_size: 250,
        batch_bytes: 1 << 20,
        batch_timeout: Duration::from_millis(500),
        filter: Filter::from_min_level(Level::Warn).with_only_categories([number(Category::Storage)]),
        spool_dir: "/var/spool/rodent".into(),
        spool_max_bytes: 3 << 30,
        spool_min_free_bytes: 0,
        quarantine_max_bytes: 1 << 20,
        durability: DurabilityMode::Power,
        sync_interval: Duration::from_millis(250),
        pii: Pii::Hash,
        pii_key_file: "/etc/rodent/keys/pii".into(),
        max_in_flight: 8,
        retry_initial: Duration::from_secs(1),
        retry_max: Duration::from_secs(120),
        toggle: ToggleConfig {
            endpoint: Some("https://toggle.example.com:50051".to_owned()),
            token: TokenSource::File("/etc/rodent/token".into()),
            ca_file: Some("/etc/rodent/tls/ca.pem".into()),
            client_cert_file: Some("/tls/node.pem".into()),
            client_key_file: Some("/tls/node.key".into()),
            domain: Some("toggle.internal".to_owned()),
            compression: Compression::None,
            timeout: Duration::from_secs(11),
            connect_timeout: Duration::from_secs(12),
            keepalive_interval: Duration::from_secs(13),
            keepalive_timeout: Duration::from_secs(14),
        },
    };
    assert_eq!(config(text, &[]), expected);
}

#[test]
fn a_file_of_the_earlier_agent_is_understood() {
    let text = "
server: {port: 8042}
events:
    profile: \"low-latency\"
    bufferSize: 6000
    flushThreshold: 5000
    batchSize: 60
    batchTimeout: 6
    maxFileSize: 10485760
    maxRetryAttempts: 3
";
    let (config, warnings) = read(text, &[]).unwrap();
    assert_eq!((config.buffer_size, config.flush_threshold, config.batch_size), (6000, 5000, 60));
    assert_eq!(config.batch_timeout, Duration::from_secs(6));
    let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "/etc/rodent/rodent.yml:9: `max_file_size` has no effect and can be removed: a spill file holds what \
             was waiting in memory, which `buffer_bytes` bounds",
            "/etc/rodent/rodent.yml:10: `max_retry_attempts` has no effect and can be removed: sending is never \
             given up, however often it fails; `retry_max` bounds the pause between attempts",
        ]
    );
}

#[test]
fn single_keys_override_the_profile_and_the_environment_overrides_the_file() {
    let text = "events: {batch_size: 7, profile: minimal, max_in_flight: 2}";
    let config =
        config(text, &[("RODENT_EVENTS_PROFILE", "low-latency"), ("RODENT_EVENTS_MAXINFLIGHT", "3")]);
    assert_eq!((config.profile, config.buffer_size), (Profile::LowLatency, 5000));
    assert_eq!((config.batch_size, config.max_in_flight), (7, 3));
}

#[test]
fn the_environment_alone_is_enough() {
    let endpoint = ("RODENT_EVENTS_TOGGLE_ENDPOINT", "http://127.0.0.1:1");
    let config = config("", &[endpoint, ("RODENT_EVENTS_TOGGLE_TOKEN", " secret\n")]);
    assert_eq!(config.toggle.endpoint.as_deref(), Some("http://127.0.0.1:1"));
    assert_eq!(config.toggle.token, TokenSource::Value("secret".to_owned()));
    assert_eq!(config.spool_dir, PathBuf::from("/etc/rodent/events"));
    assert_eq!(config.pii_key_file, PathBuf::from("/etc/rodent/pii.key"));
}

#[test]
fn by_default_everything_from_info_up_is_processed() {
    let config = config("", &[]);
    for category in Category::ALL {
        assert_eq!(passing(&config, *category), ["info", "warn", "error", "critical", "essential"]);
    }
}

#[test]
fn minimal_processes_error_and_above() {
    let config = config("events: {profile: minimal}", &[]);
    assert_eq!(passing(&config, Category::System), ["error", "critical", "essential"]);
}

#[test]
fn levels_and_categories_are_known_in_any_spelling() {
    let text = "events:\n  enabled_levels: [INFO, critical]\n  enabled_categories: [DATA_TRANSFER, data-transfer, 1]\n";
    let config = config(text, &[]);
    assert_eq!(passing(&config, Category::DataTransfer), ["info", "critical"]);
    assert_eq!(passing(&config, Category::System), ["info", "critical"]);
    assert!(passing(&config, Category::Storage).is_empty());
}

#[test]
fn a_level_rule_of_the_environment_replaces_the_other_kind_in_the_file() {
    let config = config("events: {min_level: ERROR}", &[("RODENT_EVENTS_ENABLED_LEVELS", "DEBUG, WARN")]);
    assert_eq!(passing(&config, Category::Storage), ["debug", "warn"]);
}

#[test]
fn a_category_filter_keeps_the_levels_of_the_profile() {
    let config = config("events: {profile: minimal}", &[("RODENT_EVENTS_ENABLED_CATEGORIES", "storage")]);
    assert_eq!(passing(&config, Category::Storage), ["error", "critical", "essential"]);
    assert!(passing(&config, Category::System).is_empty());
}

#[test]
fn every_mistake_is_reported_at_once_in_order() {
    let text = "
events:
  profile: fast
  buffer_size: lots
  buffer_bytes: 32M
  batch_size: 0
  batch_timeout: 0.5
  enabled_levels:
    - INFO
    - warning
    - [x]
  enabled_categories: []
  spool_dir:
  retry_max: -1s
  flush_treshold: 5
  max_in_flight: {a: b}
  toggle:
    endpoint: toggle:50051
    token: [s3cret]
    compression: brotli
";
    let expected = "\
17 problems in the configuration of events
  /etc/rodent/rodent.yml:3: `profile` must be one of default, high-throughput, low-latency, minimal; it is `fast`
  /etc/rodent/rodent.yml:4: `buffer_size` must be a whole number of events, such as 20000; it is `lots`
  /etc/rodent/rodent.yml:5: `buffer_bytes` must be a number of bytes or a size with a unit (KiB, MiB, GiB), such as \
         32MiB; it is `32M`
  /etc/rodent/rodent.yml:6: `batch_size` is `0`; it must be from 1 to 100000
  /etc/rodent/rodent.yml:7: `batch_timeout` must be whole seconds or a time with a unit, such as 500ms, 30s or 2m; \
         it is `0.5`
  /etc/rodent/rodent.yml:10: `warning` in `enabled_levels` is not a level; did you mean `warn`?
  /etc/rodent/rodent.yml:11: `enabled_levels` must be a list of levels, such as [INFO, WARN]; it holds a list
  /etc/rodent/rodent.yml:12: `enabled_categories` is empty, so nothing would be processed; it takes a list of \
         categories, such as [storage, system]
  /etc/rodent/rodent.yml:13: `spool_dir` must be a path; it is empty
  /etc/rodent/rodent.yml:14: `retry_max` must be whole seconds or a time with a unit, such as 500ms, 30s or 2m; \
         it is `-1s`
  /etc/rodent/rodent.yml:15: `flush_treshold` is not a key of `events`; did you mean `flush_threshold`?
  /etc/rodent/rodent.yml:16: `max_in_flight` must be a whole number of batches, such as 4; it is a mapping
  /etc/rodent/rodent.yml:18: `toggle.endpoint` is `toggle:50051`; it must be an address such as https://toggle:50051
  /etc/rodent/rodent.yml:19: `toggle.token` must be text; it is a list
  /etc/rodent/rodent.yml:20: `toggle.compression` must be one of none, gzip, zstd; it is `brotli`
  environment variable RODENT_EVENTS_BATCH_BYTES: `batch_bytes` must be a number of bytes or a size with a unit (KiB, \
         MiB, GiB), such as 3MiB; it is `a lot`
  environment variable RODENT_EVENTS_COLOUR: there is no such setting, and none with a similar name; unset it";
    let text = error(text, &[("RODENT_EVENTS_COLOUR", "blue"), ("RODENT_EVENTS_BATCH_BYTES", "a lot")]);
    assert_eq!(text, expected);
}

#[test]
fn a_setting_that_cannot_be_read_is_not_compared_with_others() {
    let text = error("events: {buffer_size: lots, flush_threshold: 40000}", &[]);
    assert!(text.starts_with("1 problem in the configuration of events\n"), "{text}");
}

#[test]
fn settings_that_do_not_fit_are_reported_where_they_were_given() {
    assert_eq!(
        error("events:\n  buffer_size: 1000\n", &[]),
        "1 problem in the configuration of events\n  /etc/rodent/rodent.yml:2: `flush_threshold` is 18000; it must \
         be below `buffer_size`, which is 1000: set it to 900, say"
    );
    let text = error("events:\n  buffer_size: 1000\n", &[("RODENT_EVENTS_FLUSH_THRESHOLD", "1000")]);
    let place = "environment variable RODENT_EVENTS_FLUSH_THRESHOLD";
    assert!(text.contains(&format!("{place}: `flush_threshold` is 1000;")), "{text}");
}

#[test]
fn no_error_repeats_a_token() {
    for yaml in
        ["token: [hunter2]", "token: {a: hunter2}", "tokn: hunter2", "token: hunter2\n    token: hunter2"]
    {
        let text = format!("events:\n  toggle:\n    {yaml}\n");
        let text = error(&text, &[("RODENT_EVENTS_TOGGLE_TOKN", "hunter2")]);
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn a_category_number_must_lie_in_the_table() {
    let text = error("events: {enabled_categories: [0, 64, 300, 5]}", &[]);
    assert!(text.starts_with("3 problems"), "{text}");
}
