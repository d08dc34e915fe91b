//! A level for a kind whose operation says it.

use events_sdk::{Events, emit};

/// As the generator writes it.
pub mod acme {
    use events_sdk::Ticket;

    pub fn emit_acme_job(_: kinds::acme_job::Payload, _: ()) -> Ticket {
        panic!("only looked at by the compiler")
    }

    pub mod kinds {
        pub mod acme_job {
            use events_sdk::{Durability, Kind};

            pub struct Payload;

            impl Payload {
                pub const fn __unset() -> Self {
                    Self
                }
            }

            pub static KIND: Kind = Kind {
                name: "acme_job",
                payload: "acme.JobPayload",
                category: 1,
                category_name: "acme",
                source: "acme",
                level: None,
                level_by_operation: true,
                durability: Durability::Spill,
                owner: None,
                since: None,
                head: &[],
                category_tag: &[],
                kind_tag: &[],
            };

            pub const REQUIRED: &[(&str, &str)] = &[];
        }
    }
}

pub fn report(events: &Events) {
    emit!(acme::acme_job, warn, {}); //~ warn: leave the level out
    emit!(acme::acme_job, {});
}
