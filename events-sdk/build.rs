//! Generates emitters, payloads and wire types from the schema, and its descriptors for the command.

use std::{env, error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let (protos, includes) = (["base.proto", "events/event_messages.proto"], ["../proto"]);
    let builder = events_codegen::Builder::sdk();
    builder.compile(&protos, &includes)?;
    if env::var_os("CARGO_FEATURE_CLI").is_some() {
        let out_dir = env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?;
        fs::write(Path::new(&out_dir).join("schema.bin"), builder.descriptor_set(&protos, &includes)?)?;
    }
    Ok(())
}
