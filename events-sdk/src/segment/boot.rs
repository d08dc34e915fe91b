//! Which start of the machine this is: what was stored in mapped files is all there in the same one, and may be torn in another.

use std::{fs, sync::LazyLock};

use uuid::Uuid;

/// Linux makes up a new one at every start.
const FILE: &str = "/proc/sys/kernel/random/boot_id";

static THIS: LazyLock<u64> = LazyLock::new(|| {
    let id = fs::read_to_string(FILE).ok().and_then(|text| Uuid::parse_str(text.trim()).ok());
    id.map_or(UNKNOWN, |id| (id.as_u128() ^ id.as_u128() >> 64) as u64 | 1)
});

/// The system does not tell.
pub(super) const UNKNOWN: u64 = 0;

#[cfg(test)]
thread_local! {
    /// Where a test has the machine start again.
    pub(crate) static OTHER: std::cell::Cell<Option<u64>> = const { std::cell::Cell::new(None) };
}

/// This start of the machine.
pub(crate) fn this() -> u64 {
    #[cfg(test)]
    if let Some(other) = OTHER.get() {
        return other;
    }
    *THIS
}
