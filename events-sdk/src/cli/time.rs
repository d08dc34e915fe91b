//! Points in time as people write and read them.

use prost_types::Timestamp;

use super::failure::Failure;

/// Units in milliseconds.
const UNITS: [(&str, i64); 6] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];

/// Now, in milliseconds since the Unix epoch.
pub(super) fn now_ms() -> i64 {
    i64::try_from(crate::emit::now_ms()).unwrap_or(i64::MAX)
}

/// A point in time: RFC 3339, or how long ago (`15m`, `2h ago`). In milliseconds since the Unix epoch.
pub(super) fn when(text: &str) -> Result<i64, String> {
    let short = text.trim().strip_suffix("ago").map_or(text.trim(), str::trim_end);
    if let Ok(ms) = span(short) {
        return Ok(now_ms().saturating_sub(ms));
    }
    let time: Timestamp = text.trim().parse().map_err(|_| {
        format!("`{text}` is no time: write 2026-01-31T12:00:00Z, or how long ago with ms, s, m, h, d or w: 15m, 2h, 3d")
    })?;
    Ok(time.seconds.saturating_mul(1000).saturating_add(i64::from(time.nanos / 1_000_000)))
}

/// A length of time with its unit, in milliseconds.
pub(super) fn span(text: &str) -> Result<i64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = UNITS.iter().find(|(name, _)| *name == unit.trim_start());
    match (number.parse::<i64>(), unit) {
        (Ok(number), Some((_, ms))) => Ok(number.saturating_mul(*ms)),
        _ => Err(format!(
            "`{text}` is no length of time: write a number with ms, s, m, h, d or w, such as 15m"
        )),
    }
}

/// The same, where a number alone is a number of seconds, as in the configuration.
pub(super) fn seconds(text: &str) -> Result<i64, String> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return span(&format!("{text}s"));
    }
    span(text)
}

/// Fails where nothing can be at this time or later and before that one.
pub(super) fn must_be_a_range(since: Option<i64>, until: Option<i64>) -> Result<(), Failure> {
    match (since, until) {
        (Some(since), Some(until)) if since >= until => Err(Failure::Usage(format!(
            "nothing is both since {} and before {}: --since takes the earlier of the two",
            show(since),
            show(until)
        ))),
        _ => Ok(()),
    }
}

/// RFC 3339, in UTC, with milliseconds.
pub(super) fn show(ms: i64) -> String {
    let nanos = i32::try_from(ms.rem_euclid(1000)).unwrap_or(0) * 1_000_000;
    let text = Timestamp { seconds: ms.div_euclid(1000), nanos }.to_string();
    match text.strip_suffix('Z') {
        Some(whole) if nanos == 0 => format!("{whole}.000Z"),
        _ => text,
    }
}

/// How long ago that was, in the two largest units.
pub(super) fn age(ms: i64) -> String {
    let past = now_ms().saturating_sub(ms);
    if past < 0 {
        return "in the future".to_owned();
    }
    let seconds = past / 1000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, ..) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        assert_eq!(when("2026-01-31T12:00:00Z"), Ok(1_769_860_800_000));
        assert_eq!(when("2026-01-31T13:00:00.5+01:00"), Ok(1_769_860_800_500));
        for ago in ["15m", "15m ago", "15 m ago", "900s"] {
            let past = now_ms() - when(ago).unwrap();
            assert!((900_000..960_000).contains(&past), "{ago}: {past}");
        }
        for bad in ["", "yesterday", "15", "m", "-3d", "15 minutes", "2026-13-01T00:00:00Z"] {
            assert!(when(bad).unwrap_err().contains("15m, 2h, 3d"), "{bad}");
        }
    }

    #[test]
    fn a_number_alone_is_a_number_of_seconds_only_where_that_is_said() {
        assert_eq!(seconds("5"), Ok(5_000));
        assert_eq!(seconds("5ms"), Ok(5));
        for bad in ["", "five", "5 minutes", "99999999999999999999"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
        assert!(span("5").is_err());
    }

    #[test]
    fn times_are_shown_with_milliseconds_and_none_is_too_odd_to_show() {
        assert_eq!(show(1_769_860_800_000), "2026-01-31T12:00:00.000Z");
        assert_eq!(show(1_769_860_800_040), "2026-01-31T12:00:00.040Z");
        for odd in [0, -1, i64::MIN, i64::MAX] {
            assert!(show(odd).ends_with('Z'), "{}", show(odd));
        }
        assert_eq!(age(now_ms() + 60_000), "in the future");
        assert_eq!(age(now_ms() - 93_700_000), "1d 2h");
    }
}
