//! Levels that are misspelt, are something else, are missing, or are not for the caller to say.

use events_sdk::{Events, emit};

pub fn report(events: &Events) {
    emit!(storage_pool, wran, { operation: Created }); //~ wran: named `Wran` found for enum
    emit!(storage_pool, (5), { operation: Created }); //~ 5: mismatched types
    emit!(storage_pool, { operation: Created }); //~ storage_pool: 3 arguments but 2 arguments were supplied
    emit!(on events, storage_pool, { operation: Created }); //~ storage_pool: 3 arguments but 2 arguments were supplied
    emit!(system_startup, warn, { operation: Registered }); //~ warn: leave the level out
    emit!(on events, system_startup, warn, { operation: Registered }); //~ warn: leave the level out
}
