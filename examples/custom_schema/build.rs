//! Generates `emit_storage_backup` from the schema.

fn main() -> Result<(), events_codegen::Error> {
    events_codegen::Builder::new().compile(&["acme/backup.proto"], &["proto"])
}
