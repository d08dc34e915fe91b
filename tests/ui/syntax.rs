//! What is not a call at all.

use events_sdk::{Level, emit};

pub fn report(level: Level) {
    emit!(); //~ emit: what is to be emitted is missing
    emit!(storage_pool); //~ storage_pool: the fields of `storage_pool` are missing
    emit!(storage_pool, warn); //~ storage_pool: the fields of `storage_pool` are missing
    emit!(storage_pool, level, { operation: Created }); //~ level: stands in parentheses: `(level)`
    emit!(storage_pool, warn, { operation: Created }, { "component", "zfs" }); //~ , "zfs": metadata is written
    emit!(storage_pool, warn, { operation: Created, ..base }); //~ ..base: leave `..` out
}
