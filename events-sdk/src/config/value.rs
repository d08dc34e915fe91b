//! How numbers, sizes and times are written in configuration, read and shown.
//!
//! Pure functions of text. What is read back from what is shown is the same value.

use std::time::Duration;

/// Units of size. The first that divides a value evenly is the one it is shown in.
const SIZES: [(&str, usize); 7] = [
    ("gib", 1 << 30),
    ("mib", 1 << 20),
    ("kib", 1 << 10),
    ("gb", 1_000_000_000),
    ("mb", 1_000_000),
    ("kb", 1_000),
    ("b", 1),
];

/// A whole number, with or without `_` between digits.
pub(super) fn count(text: &str) -> Option<usize> {
    let text = text.trim();
    let digits = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    if !digits || text.starts_with('_') || text.ends_with('_') {
        return None;
    }
    text.replace('_', "").parse().ok()
}

/// A number of bytes, or a number with a unit: `32MiB`, `64 kB`.
pub(super) fn bytes(text: &str) -> Option<usize> {
    let (number, unit) = split_unit(text)?;
    if unit.is_empty() {
        return Some(number);
    }
    let (_, size) = SIZES.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    number.checked_mul(*size)
}

/// Whole seconds, or a number with a unit: `500ms`, `30s`, `2m`, `1h`.
pub(super) fn time(text: &str) -> Option<Duration> {
    let (number, unit) = split_unit(text)?;
    let number = u64::try_from(number).ok()?;
    match unit {
        "" | "s" => Some(Duration::from_secs(number)),
        "ms" => Some(Duration::from_millis(number)),
        "m" | "min" => number.checked_mul(60).map(Duration::from_secs),
        "h" => number.checked_mul(3600).map(Duration::from_secs),
        _ => None,
    }
}

fn split_unit(text: &str) -> Option<(usize, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((count(number)?, unit.trim_start()))
}

/// A size as a person would write it.
pub(super) fn show_bytes(bytes: usize) -> String {
    let binary = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match binary.iter().find(|(size, _)| bytes >= *size && bytes.is_multiple_of(*size)) {
        Some((size, unit)) => format!("{}{unit}", bytes / size),
        None => format!("{bytes}"),
    }
}

/// A time as a person would write it.
pub(super) fn show_time(time: Duration) -> String {
    let (seconds, millis) = (time.as_secs(), time.subsec_millis());
    match seconds {
        _ if !time.subsec_nanos().is_multiple_of(1_000_000) => format!("{time:?}"),
        _ if millis != 0 => format!("{}ms", time.as_millis()),
        0 => "0s".to_owned(),
        _ if seconds.is_multiple_of(3600) => format!("{}h", seconds / 3600),
        _ if seconds.is_multiple_of(60) && seconds > 60 => format!("{}m", seconds / 60),
        _ => format!("{seconds}s"),
    }
}

/// A word without case, dashes, underscores and blanks, so that spellings of one name meet.
pub(super) fn fold(word: &str) -> String {
    word.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).flat_map(char::to_lowercase).collect()
}

/// The candidate that was probably meant by `word`, if one is near enough.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = fold(word);
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let folded = fold(candidate);
            let letters = folded.chars().count();
            let difference = word.chars().count().abs_diff(letters);
            // A third of the letters may be wrong; `warning` for `warn` is closer to the mind than to the letters.
            let most = letters.div_ceil(3);
            let is_longer = (folded.len() > 2 && word.starts_with(&folded))
                || (word.len() > 2 && folded.starts_with(&word));
            let distance = if is_longer || difference > most {
                // It is no less than that, and finding it takes memory for each pair of letters.
                difference
            } else {
                strsim::damerau_levenshtein(&word, &folded)
            };
            (is_longer || distance <= most).then_some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The longest piece of somebody's text that an error repeats: enough to recognise it by, short enough to read on.
const QUOTED_CHARS: usize = 40;

/// Somebody's text inside an error: on one line, cut when it is long.
pub(super) fn quote(text: &str) -> String {
    let mut shown: String = text.chars().take(QUOTED_CHARS).flat_map(char::escape_debug).collect();
    if text.chars().nth(QUOTED_CHARS).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_whole_numbers() {
        assert_eq!(count("20000"), Some(20_000));
        assert_eq!(count(" 20_000 "), Some(20_000));
        for wrong in ["", "_1", "1_", "-1", "+1", "1.5", "1e3", "0x10", "ten", "99999999999999999999999"] {
            assert_eq!(count(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sizes_take_binary_and_decimal_units_in_any_case() {
        assert_eq!(bytes("4096"), Some(4096));
        assert_eq!(bytes("32MiB"), Some(32 << 20));
        assert_eq!(bytes("32 mib"), Some(32 << 20));
        assert_eq!(bytes("64kB"), Some(64_000));
        assert_eq!(bytes("7b"), Some(7));
        for wrong in ["", "MiB", "32M", "32MiBs", "1.5MiB", "-1MiB", "99999999999999999GiB"] {
            assert_eq!(bytes(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn times_are_seconds_unless_a_unit_says_otherwise() {
        assert_eq!(time("30"), Some(Duration::from_secs(30)));
        assert_eq!(time("30s"), Some(Duration::from_secs(30)));
        assert_eq!(time("500 ms"), Some(Duration::from_millis(500)));
        assert_eq!(time("2m"), Some(Duration::from_secs(120)));
        assert_eq!(time("1h"), Some(Duration::from_secs(3600)));
        for wrong in ["", "s", "0.5", "0.5s", "1m30s", "30 sec", "-1", "9999999999999999999h"] {
            assert_eq!(time(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_shown_reads_back_the_same() {
        for value in [0, 1, 1023, 1024, 1 << 20, (1 << 20) + 1, 1 << 31] {
            assert_eq!(bytes(&show_bytes(value)), Some(value));
        }
        for millis in [0, 1, 200, 1000, 1500, 30_000, 60_000, 90_000, 120_000, 3_600_000] {
            let value = Duration::from_millis(millis);
            assert_eq!(time(&show_time(value)), Some(value), "{}", show_time(value));
        }
    }

    #[test]
    fn the_nearest_word_is_found_and_a_far_one_is_not() {
        let words = ["trace", "warn", "error", "critical"];
        assert_eq!(nearest("WARNING", words), Some("warn"));
        assert_eq!(nearest("eror", words), Some("error"));
        assert_eq!(nearest("Critcial", words), Some("critical"));
        assert_eq!(nearest("verbose", words), None);
    }

    #[test]
    fn quoted_text_stays_on_one_line() {
        assert_eq!(quote("a\nb\u{1b}"), r"`a\nb\u{1b}`");
        assert_eq!(quote(&"x".repeat(50)), format!("`{}…`", "x".repeat(40)));
    }
}
