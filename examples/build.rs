//! Compiles the schema to descriptors, with which `quickstart` prints events of any kind.

use std::{env, error::Error, fs, path::Path};

use protox::Compiler;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=../proto");
    let mut compiler = Compiler::new(["../proto"])?;
    compiler.include_imports(true).open_file("events/event_messages.proto")?;
    let out_dir = env::var_os("OUT_DIR").ok_or("OUT_DIR is not set: run this through cargo")?;
    // This encoding keeps the options of our own, which say what is personal data.
    fs::write(Path::new(&out_dir).join("schema.bin"), compiler.encode_file_descriptor_set())?;
    Ok(())
}
