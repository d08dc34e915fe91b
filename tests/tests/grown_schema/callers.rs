// Callers as they were written before the schema grew: every way to make a payload and to look at an enum. `sdk` is
// what they are compiled against.

use events_sdk::{Level, Ticket};

use super::sdk::payload::{StoragePoolOperation, StoragePoolPayload};

/// A literal that names some fields and takes the others as they are.
pub fn literal() -> StoragePoolPayload<'static> {
    StoragePoolPayload {
        pool_name: "tank",
        devices: &["/dev/sda", "/dev/sdb"],
        size_bytes: 4 << 40,
        ..StoragePoolPayload::new(StoragePoolOperation::Created)
    }
}

/// Only what is required, and what is filled in later.
pub fn filled() -> StoragePoolPayload<'static> {
    let mut payload = StoragePoolPayload::new(StoragePoolOperation::ScrubCompleted);
    payload.raid_type = "raidz2";
    payload.used_bytes = 7;
    payload
}

/// A look at an enum, and at part of a payload.
pub fn verb(payload: StoragePoolPayload<'_>) -> &'static str {
    let StoragePoolPayload { operation, .. } = payload;
    match operation {
        StoragePoolOperation::Created | StoragePoolOperation::Imported => "came",
        StoragePoolOperation::Deleted | StoragePoolOperation::Exported => "went",
        _ => "changed",
    }
}

/// Through the event system of the process.
pub fn emit() -> Ticket {
    super::sdk::emit_storage_pool(Level::Info, filled(), [("reason", "test")])
}
