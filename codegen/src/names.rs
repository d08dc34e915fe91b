//! From names in a schema to names in Rust.
//!
//! Types, fields and variants get the names that prost gives them, so that a payload and its wire type agree.
//! Every function here is total: a name that leaves nothing is reported by `check`, never a panic.

use heck::{ToShoutySnakeCase, ToSnakeCase, ToUpperCamelCase};
use proc_macro2::{Ident, Span};

/// What a payload message's name ends in.
pub(crate) const PAYLOAD_SUFFIX: &str = "Payload";

/// What an envelope's oneof field ends in, after the category.
const CATEGORY_SUFFIX: &str = "_event";

/// The zero value of an enum is its name and this.
pub(crate) const UNSPECIFIED: &str = "UNSPECIFIED";

/// Words that Rust keeps for itself and that `r#` makes usable.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn", "else",
    "enum", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod",
    "move", "mut", "override", "priv", "pub", "ref", "return", "static", "struct", "trait", "true", "try",
    "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// Words that not even `r#` makes usable.
const RESERVED: &[&str] = &["_", "super", "self", "Self", "extern", "crate"];

/// A Rust identifier for `name`.
pub(crate) fn ident(name: &str) -> Ident {
    if RESERVED.contains(&name) {
        return Ident::new(&format!("{name}_"), Span::call_site());
    }
    if KEYWORDS.contains(&name) {
        return Ident::new_raw(name, Span::call_site());
    }
    let text: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    match text.chars().next() {
        // `check` has refused such a schema; whatever stands here is never written out.
        None => Ident::new("nameless", Span::call_site()),
        Some('0'..='9') => Ident::new(&format!("_{text}"), Span::call_site()),
        Some('_') if text.len() == 1 => Ident::new("__", Span::call_site()),
        Some(_) => Ident::new(&text, Span::call_site()),
    }
}

/// The name of a Rust field, function or module.
pub(crate) fn snake(name: &str) -> String {
    name.to_snake_case()
}

/// The name of a Rust type.
pub(crate) fn camel(name: &str) -> String {
    name.to_upper_camel_case()
}

/// The Rust variant for `value` of the enum `owner`: without the enum's name, as prost does it.
pub(crate) fn variant(owner: &str, value: &str) -> String {
    let (prefix, name) = (camel(owner), camel(value));
    match name.strip_prefix(&prefix) {
        Some(rest) if rest.starts_with(char::is_uppercase) => rest.to_owned(),
        _ => name,
    }
}

/// The Rust constant for `value` of the enum `owner`, where it is a second name: without the enum's name, unless a digit
/// comes next.
pub(crate) fn constant(owner: &str, value: &str) -> String {
    let (prefix, name) = (owner.to_shouty_snake_case(), value.to_shouty_snake_case());
    match name.strip_prefix(&prefix).and_then(|rest| rest.strip_prefix('_')) {
        Some(rest) if rest.starts_with(char::is_alphabetic) => rest.to_owned(),
        _ => name,
    }
}

/// The emitter for a payload message: its name without `Payload`, in snake case.
pub(crate) fn emitter(message: &str) -> String {
    snake(message.strip_suffix(PAYLOAD_SUFFIX).unwrap_or(message))
}

/// The category that an envelope's oneof field speaks of: `storage_event` says `storage`.
pub(crate) fn category(field: &str) -> &str {
    field.strip_suffix(CATEGORY_SUFFIX).unwrap_or(field)
}

/// The full name of `short` among the values of the enum `owner`: `EventLevel` and `info` say `EVENT_LEVEL_INFO`.
pub(crate) fn enum_value(owner: &str, short: &str) -> String {
    format!("{}_{}", owner.to_shouty_snake_case(), short.to_shouty_snake_case())
}

/// Words of names that measure something.
const MEASURES: &[&str] = &[
    "age",
    "bandwidth",
    "capacity",
    "delay",
    "distance",
    "duration",
    "elapsed",
    "frequency",
    "height",
    "interval",
    "latency",
    "length",
    "lifetime",
    "memory",
    "period",
    "rate",
    "size",
    "speed",
    "temperature",
    "throughput",
    "time",
    "timeout",
    "timestamp",
    "ttl",
    "uptime",
    "voltage",
    "weight",
    "width",
];

/// Words of names that say the unit themselves.
const UNITS: &[&str] = &[
    "bit",
    "bits",
    "byte",
    "bytes",
    "celsius",
    "count",
    "day",
    "days",
    "fahrenheit",
    "gb",
    "gib",
    "hertz",
    "hour",
    "hours",
    "hz",
    "kb",
    "kelvin",
    "kib",
    "mb",
    "mib",
    "micros",
    "microseconds",
    "millis",
    "milliseconds",
    "min",
    "minutes",
    "mm",
    "mps",
    "ms",
    "nanos",
    "nanoseconds",
    "ns",
    "pb",
    "per",
    "percent",
    "percentage",
    "pib",
    "ratio",
    "rpm",
    "s",
    "sec",
    "seconds",
    "secs",
    "tb",
    "tib",
    "us",
    "volts",
    "watts",
];

/// The word of `name` that says that a number measures something, unless the name says in which unit.
pub(crate) fn measure(name: &str) -> Option<&'static str> {
    let name = snake(name);
    if name.split('_').any(|word| UNITS.contains(&word)) {
        return None;
    }
    MEASURES.iter().copied().find(|measure| name.split('_').any(|word| word == *measure))
}

/// The nearest of `known` to `word`, if it is near enough to be what was meant.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// Below this a suggestion confuses more than it helps; strsim's own examples of typing errors lie above 0.8.
    const NEAR_ENOUGH: f64 = 0.75;
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&word.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(likeness, _)| *likeness >= NEAR_ENOUGH)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_what_prost_makes_of_them() {
        assert_eq!(camel("AccessACLPayload"), "AccessAclPayload");
        assert_eq!(variant("AccessACLOperation", "ACCESS_ACL_OPERATION_GRANTED"), "Granted");
        assert_eq!(variant("Foo", "FOOBAR"), "Foobar");
        assert_eq!(constant("DiskState", "DISK_STATE_SLOW_DOWN"), "SLOW_DOWN");
        assert_eq!(constant("Phase", "PHASE_2ND"), "PHASE_2ND");
        assert_eq!(ident("type").to_string(), "r#type");
        assert_eq!(ident("self").to_string(), "self_");
        assert_eq!(ident("3d").to_string(), "_3d");
    }

    #[test]
    fn an_emitter_is_the_payload_without_its_suffix() {
        assert_eq!(emitter("AccessACLPayload"), "access_acl");
        assert_eq!(emitter("StorageDiskProbePayload"), "storage_disk_probe");
        assert_eq!(category("data_transfer_event"), "data_transfer");
        assert_eq!(enum_value("EventCategory", "data_transfer"), "EVENT_CATEGORY_DATA_TRANSFER");
    }

    #[test]
    fn no_name_makes_an_identifier_panic() {
        for name in ["", "_", "__", "é", "a-b", "1", "self", "Self", "r#x", " "] {
            assert!(!ident(name).to_string().is_empty(), "{name:?}");
        }
    }

    #[test]
    fn a_measure_without_its_unit_is_known_by_its_name() {
        assert_eq!(measure("file_size"), Some("size"));
        assert_eq!(measure("readLatency"), Some("latency"));
        for name in ["size_bytes", "duration_ms", "bytes_used", "resize_count", "name", "times"] {
            assert_eq!(measure(name), None, "{name}");
        }
    }

    #[test]
    fn only_what_is_near_is_suggested() {
        assert_eq!(nearest("INFOO", ["INFO", "WARN"]), Some("INFO"));
        assert_eq!(nearest("banana", ["INFO", "WARN"]), None);
    }
}
