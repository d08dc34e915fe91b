//! Whether a configuration makes sense: every setting in its range, and all of them together.

use std::collections::{HashMap, HashSet};

use http::Uri;

use super::{
    Config, DurabilityMode,
    error::{Place, Problem},
    keys::{KEYS, Slot},
    value,
};
use crate::segment::{self, quota};

/// Which settings were given, where, and which of them have been complained about already.
#[derive(Default)]
pub(super) struct Origins {
    pub(super) places: HashMap<&'static str, Place>,
    pub(super) bad: HashSet<&'static str>,
}

/// Everything that is wrong with it.
pub(super) fn check(config: &Config, origins: &Origins) -> Vec<Problem> {
    let mut check = Check { config, origins, bad: origins.bad.clone(), problems: Vec::new() };
    check.ranges();
    check.sizes();
    check.toggle();
    check.problems
}

struct Check<'a> {
    config: &'a Config,
    origins: &'a Origins,
    bad: HashSet<&'static str>,
    problems: Vec<Problem>,
}

impl Check<'_> {
    /// A problem of these keys together. It stands where the first of them stands that was given at all.
    fn problem(&mut self, keys: &[&'static str], message: String) {
        let place =
            keys.iter().find_map(|key| self.origins.places.get(key)).cloned().unwrap_or(Place::Program);
        self.problems.push(Problem::new(place, message));
        self.bad.extend(keys);
    }

    /// Whether these settings are fine by themselves, so that it makes sense to compare them.
    fn fine(&self, keys: &[&'static str]) -> bool {
        keys.iter().all(|key| !self.bad.contains(key))
    }

    fn ranges(&mut self) {
        let mut config = self.config.clone();
        for key in KEYS.iter().filter(|key| !self.origins.bad.contains(key.path)) {
            let range = match &key.slot {
                Slot::Count(at, range) if !range.contains(at(&mut config)) => {
                    format!("from {} to {}", range.start(), range.end())
                }
                Slot::Bytes(at, range) if !range.contains(at(&mut config)) => {
                    format!(
                        "from {} to {}",
                        value::show_bytes(*range.start()),
                        value::show_bytes(*range.end())
                    )
                }
                Slot::Time(at, range) if !range.contains(at(&mut config)) => {
                    format!("from {} to {}", value::show_time(*range.start()), value::show_time(*range.end()))
                }
                Slot::Folder(at) if at(&mut config).as_os_str().is_empty() => {
                    "the path of a folder".to_owned()
                }
                Slot::KeyFile(at) if at(&mut config).as_os_str().is_empty() => {
                    "the path of a file".to_owned()
                }
                _ => continue,
            };
            let shown = value::quote(&key.shown(&config));
            self.problem(&[key.path], format!("`{}` is {shown}; it must be {range}", key.path));
        }
    }

    fn sizes(&mut self) {
        let Config { buffer_size, flush_threshold, batch_size, retry_initial, retry_max, .. } = *self.config;
        if self.fine(&["flush_threshold", "buffer_size"]) && flush_threshold >= buffer_size {
            let fitting = (buffer_size / 10 * 9).max(1);
            let message = format!(
                "`flush_threshold` is {flush_threshold}; it must be below `buffer_size`, which is {buffer_size}: \
                 set it to {fitting}, say"
            );
            self.problem(&["flush_threshold", "buffer_size"], message);
        }
        let Config { buffer_bytes, spool_max_bytes, durability, .. } = *self.config;
        if self.fine(&["buffer_bytes", "spool_max_bytes"]) && spool_max_bytes < buffer_bytes.saturating_mul(2)
        {
            let message = format!(
                "`spool_max_bytes` is {}; it must be at least twice `buffer_bytes`, which is {}: what waits in memory must \
                 find a place on disk. Raise the one, or lower the other",
                value::show_bytes(spool_max_bytes),
                value::show_bytes(buffer_bytes)
            );
            self.problem(&["buffer_bytes", "spool_max_bytes"], message);
        }
        let segment = segment::capacity_for_batch(batch_size);
        let least = segment.saturating_mul(quota::SHARE as usize);
        if durability != DurabilityMode::Memory
            && self.fine(&["spool_max_bytes", "batch_size"])
            && spool_max_bytes < least
        {
            let message = format!(
                "`spool_max_bytes` is {}; with `durability: {}` a quarter of it is for segments, and one for \
                 `batch_size`, which is {batch_size}, takes {}: set it to {} at least, or lower `batch_size`",
                value::show_bytes(spool_max_bytes),
                durability.name(),
                value::show_bytes(segment),
                value::show_bytes(least)
            );
            self.problem(&["spool_max_bytes", "batch_size", "durability"], message);
        }
        if self.fine(&["batch_size", "flush_threshold"]) && batch_size > flush_threshold {
            let message = format!(
                "`batch_size` is {batch_size}; it must be at most `flush_threshold`, which is {flush_threshold}"
            );
            self.problem(&["batch_size", "flush_threshold"], message);
        }
        if self.fine(&["retry_initial", "retry_max"]) && retry_initial > retry_max {
            let message = format!(
                "`retry_initial` is {}; it must be at most `retry_max`, which is {}",
                value::show_time(retry_initial),
                value::show_time(retry_max)
            );
            self.problem(&["retry_initial", "retry_max"], message);
        }
    }

    fn toggle(&mut self) {
        let toggle = &self.config.toggle;
        if !toggle.compression.is_built_in() {
            let name = toggle.compression.name();
            let message = format!(
                "`toggle.compression` is {name}, which this build cannot do: build events-sdk with the feature \
                 `{name}`, or choose none"
            );
            self.problem(&["toggle.compression"], message);
        }
        let one_of_pair = match (&toggle.client_cert_file, &toggle.client_key_file) {
            (Some(_), None) => Some(("toggle.client_cert_file", "toggle.client_key_file")),
            (None, Some(_)) => Some(("toggle.client_key_file", "toggle.client_cert_file")),
            _ => None,
        };
        if let Some((given, missing)) = one_of_pair
            && self.fine(&[given, missing])
        {
            self.problem(
                &[given],
                format!("`{given}` is given without `{missing}`; a certificate needs both"),
            );
        }
        let Some(endpoint) = &toggle.endpoint else { return };
        match scheme(endpoint) {
            None => {
                let message = match endpoint.as_str() {
                    // What stands before the @ is a secret as a rule.
                    text if text.contains('@') => {
                        "`toggle.endpoint` must not carry a user name; use `toggle.token_file`".to_owned()
                    }
                    text => {
                        let host = text.split_once("://").map_or(text, |(_, rest)| rest);
                        let host = host
                            .split('/')
                            .next()
                            .filter(|host| scheme(&format!("https://{host}")).is_some());
                        let example = host.unwrap_or("toggle.example.com:443");
                        let shown = value::quote(text);
                        format!(
                            "`toggle.endpoint` is {shown}; it must be an address such as https://{example}"
                        )
                    }
                };
                self.problem(&["toggle.endpoint"], message);
            }
            Some("http") => {
                let tls = [
                    ("toggle.ca_file", toggle.ca_file.is_some()),
                    ("toggle.client_cert_file", toggle.client_cert_file.is_some()),
                    ("toggle.domain", toggle.domain.is_some()),
                ];
                if let Some((key, _)) = tls.into_iter().find(|(_, given)| *given) {
                    let message = format!(
                        "`toggle.endpoint` begins with http://, so nothing would be encrypted, but `{key}` is given: \
                         write https://, or remove `{key}`"
                    );
                    self.problem(&["toggle.endpoint", key], message);
                }
            }
            Some(_) => {}
        }
    }
}

/// `http` or `https`, if this is the address of a server and nothing more.
fn scheme(endpoint: &str) -> Option<&'static str> {
    // A fragment, in which anything may stand, would be passed over.
    let uri: Uri = endpoint.parse().ok().filter(|_| !endpoint.contains('#'))?;
    let authority = uri.authority()?;
    let plain = !authority.as_str().contains('@') && !authority.host().is_empty();
    let bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
    match uri.scheme_str() {
        Some("http") if plain && bare => Some("http"),
        Some("https") if plain && bare => Some("https"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{Compression, ToggleConfig};

    fn problems(config: &Config) -> Vec<String> {
        config.validate().map_or_else(
            |error| error.problems().iter().map(|problem| problem.message().to_owned()).collect(),
            |()| Vec::new(),
        )
    }

    fn with_toggle(toggle: ToggleConfig) -> Vec<String> {
        problems(&Config { toggle, ..Config::default() })
    }

    #[test]
    fn values_out_of_range_are_named_with_their_range() {
        let config = Config {
            buffer_size: 0,
            buffer_bytes: 1,
            batch_size: 0,
            batch_timeout: Duration::ZERO,
            spool_dir: "".into(),
            max_in_flight: 65,
            ..Config::default()
        };
        assert_eq!(
            problems(&config),
            [
                "`buffer_size` is `0`; it must be from 2 to 10000000",
                "`buffer_bytes` is `1`; it must be from 4KiB to 2GiB",
                "`batch_size` is `0`; it must be from 1 to 100000",
                "`batch_timeout` is `0s`; it must be from 1ms to 1h",
                "`spool_dir` is ``; it must be the path of a folder",
                "`max_in_flight` is `65`; it must be from 1 to 64",
            ]
        );
    }

    #[test]
    fn sizes_must_fit_each_other() {
        let config = Config { buffer_size: 10_000, ..Config::default() };
        assert_eq!(
            problems(&config),
            [
                "`flush_threshold` is 18000; it must be below `buffer_size`, which is 10000: set it to 9000, say"
            ]
        );
        let config =
            Config { batch_size: 18_001, retry_initial: Duration::from_secs(11), ..Config::default() };
        assert_eq!(
            problems(&config),
            [
                "`batch_size` is 18001; it must be at most `flush_threshold`, which is 18000",
                "`retry_initial` is 11s; it must be at most `retry_max`, which is 10s",
            ]
        );
        let config = Config { spool_max_bytes: 60 << 20, ..Config::default() };
        assert_eq!(
            problems(&config),
            [
                "`spool_max_bytes` is 60MiB; it must be at least twice `buffer_bytes`, which is 32MiB: what waits in memory must \
              find a place on disk. Raise the one, or lower the other"
            ]
        );
        let edge = Config { buffer_size: 2, flush_threshold: 1, batch_size: 1, ..Config::default() };
        assert!(problems(&edge).is_empty());
    }

    #[test]
    fn a_quota_without_room_for_a_segment_is_a_problem_where_there_are_to_be_any() {
        let config = |durability, spool_max_bytes| Config {
            durability,
            spool_max_bytes,
            batch_size: 1_000,
            buffer_bytes: 64 << 10,
            ..Config::default()
        };
        assert_eq!(
            problems(&config(DurabilityMode::Process, 1 << 20)),
            [
                "`spool_max_bytes` is 1MiB; with `durability: process` a quarter of it is for segments, and one for `batch_size`, \
              which is 1000, takes 512KiB: set it to 2MiB at least, or lower `batch_size`"
            ]
        );
        for (durability, fits) in [
            (DurabilityMode::Memory, 1 << 20),
            (DurabilityMode::Process, 2 << 20),
            (DurabilityMode::Power, 2 << 20),
        ] {
            assert!(problems(&config(durability, fits)).is_empty(), "{durability:?}");
        }
        // As many as a batch may have, in a segment of the largest size.
        let most = Config {
            batch_size: 100_000,
            buffer_size: 200_000,
            flush_threshold: 150_000,
            ..Config::default()
        };
        let config = Config { durability: DurabilityMode::Power, ..most };
        assert!(problems(&config).is_empty());
    }

    #[test]
    fn an_endpoint_is_the_address_of_a_server() {
        let check = |endpoint: &str| {
            with_toggle(ToggleConfig { endpoint: Some(endpoint.to_owned()), ..ToggleConfig::default() })
        };
        for good in [
            "https://toggle.example.com",
            "https://toggle:50051/",
            "http://127.0.0.1:50051",
            "https://[::1]:1",
        ] {
            assert!(check(good).is_empty(), "{good}");
        }
        assert_eq!(
            check("toggle:50051"),
            ["`toggle.endpoint` is `toggle:50051`; it must be an address such as https://toggle:50051"]
        );
        assert_eq!(
            check("ftp://toggle/path"),
            ["`toggle.endpoint` is `ftp://toggle/path`; it must be an address such as https://toggle"]
        );
        assert_eq!(
            check("https://toggle/path"),
            ["`toggle.endpoint` is `https://toggle/path`; it must be an address such as https://toggle"]
        );
        assert_eq!(
            check("no host here"),
            [
                "`toggle.endpoint` is `no host here`; it must be an address such as https://toggle.example.com:443"
            ]
        );
        assert_eq!(
            check("https://toggle#\u{1b}[2J"),
            ["`toggle.endpoint` is `https://toggle#\\u{1b}[2J`; it must be an address such as \
                 https://toggle.example.com:443"]
        );
        let text = check("https://node:hunter2@toggle").join("");
        assert!(text.contains("must not carry a user name") && !text.contains("hunter2"), "{text}");
    }

    #[test]
    fn a_certificate_needs_its_key() {
        let toggle = ToggleConfig { client_key_file: Some("k".into()), ..ToggleConfig::default() };
        assert_eq!(
            with_toggle(toggle),
            ["`toggle.client_key_file` is given without `toggle.client_cert_file`; a certificate needs both"]
        );
    }

    #[test]
    fn certificates_for_a_connection_in_the_clear_are_an_error() {
        let toggle = ToggleConfig {
            endpoint: Some("http://toggle:1".to_owned()),
            ca_file: Some("ca.pem".into()),
            ..ToggleConfig::default()
        };
        assert_eq!(
            with_toggle(toggle),
            [
                "`toggle.endpoint` begins with http://, so nothing would be encrypted, but `toggle.ca_file` is given: \
              write https://, or remove `toggle.ca_file`"
            ]
        );
    }

    #[test]
    fn compression_must_be_built_in() {
        for compression in Compression::ALL {
            let toggle = ToggleConfig { compression: *compression, ..ToggleConfig::default() };
            assert_eq!(with_toggle(toggle).is_empty(), compression.is_built_in(), "{compression:?}");
        }
    }
}
