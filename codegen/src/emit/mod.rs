//! From the model to Rust text.
//!
//! What is written here is thin: types, constants, and calls into the runtime's hidden module. It comes after
//! [`check`](crate::check), so whatever the model leaves open has been refused before.

mod enums;
mod functions;
mod kinds;
mod levels;
mod oneofs;
mod paths;
mod payload;
mod personal;
mod wire;

use crate::model::Schema;
use crate::text::Code;
pub(crate) use paths::{Paths, ProtoModule, proto_module};

/// Everything that is generated from a schema, but for prost's part.
pub(crate) fn emit(schema: &Schema, paths: &Paths) -> Code {
    let mut code = Code::new(&schema.roots);
    code.line("/// A number that changes with the schema's meaning: names, numbers, types and annotations.");
    code.line(format_args!("pub const SCHEMA_FINGERPRINT: u64 = {};", schema.fingerprint));
    if paths.in_sdk() {
        levels::emit(schema, &mut code);
    }
    functions::emit(schema, paths, &mut code);
    payload::module(schema, paths, &mut code);
    kinds::module(schema, paths, &mut code);
    code
}
