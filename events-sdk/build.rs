//! Generates emitters, payloads and wire types from the schema.

fn main() -> Result<(), events_codegen::Error> {
    events_codegen::Builder::sdk().compile(&["base.proto", "events/event_messages.proto"], &["../proto"])
}
