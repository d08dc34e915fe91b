//! Numbers of things in words.

/// So many of them: `1 event`, `2 events`.
pub(crate) fn counted(number: u64, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// What follows such a number.
#[cfg(feature = "cli")]
pub(crate) fn is_or_are(number: u64) -> &'static str {
    if number == 1 { "is" } else { "are" }
}

/// The same of what is past.
#[cfg(feature = "cli")]
pub(crate) fn was_or_were(number: u64) -> &'static str {
    if number == 1 { "was" } else { "were" }
}
