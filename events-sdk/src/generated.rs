//! What the generator makes of the schema: levels, categories, payloads, kinds and emitters.

include!(concat!(env!("OUT_DIR"), "/events.rs"));
