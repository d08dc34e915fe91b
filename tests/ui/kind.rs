//! Kinds that no schema has.

use events_sdk::{Events, emit};

pub fn report(events: &Events) {
    emit!(storge_pool, warn, { operation: Created }); //~ storge_pool: no `storge_pool`
    emit!(on events, storge_pool, warn, { operation: Created }); //~ storge_pool: no `storge_pool`
    emit!(events_sdk::storge_pool, warn, { operation: Created }); //~ storge_pool: no `storge_pool`
    emit!(on "events", storage_pool, warn, { operation: Created }); //~ "events": mismatched types
}
