//! Metadata that is not text.

use events_sdk::emit;

pub fn report(pid: u32) {
    emit!(storage_pool, warn, { operation: Created }, { "component" => "zfs", "id" => pid }); //~ pid: `u32: AsRef<str>`
    emit!(storage_pool, warn, { operation: Created }, pid); //~ pid: Metadata
}
