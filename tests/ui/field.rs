//! Fields that the payload does not have, and values that its fields do not hold.

use events_sdk::emit;

pub fn report(name: String) {
    emit!(storage_pool, warn, { pol_name: &name, operation: Created }); //~ pol_name: no field named `pol_name`
    emit!(storage_pool, warn, { pool_name: name, operation: Created }); //~ name: mismatched types
    emit!(storage_pool, warn, { operation: Created, size_bytes: "4 TB" }); //~ "4 TB": mismatched types
    emit!(storage_pool, warn, { operation: Creatd }); //~ Creatd: named `Creatd` found for enum
    emit!(storage_pool, warn, { pool_name: Tank, operation: Created }); //~ pool_name: `pool_name` in `fields`
}
