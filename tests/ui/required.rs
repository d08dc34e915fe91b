//! Fields that an event cannot do without, left out.

use events_sdk::{Events, emit};

pub fn report(events: &Events, name: &str) {
    emit!(storage_pool, warn, { pool_name: name }); //~ storage_pool: storage_pool needs `operation`: one of Created,
    emit!(on events, system_startup, {}); //~ system_startup: system_startup needs `operation`: one of
}
