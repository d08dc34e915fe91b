//! From the model to Rust tokens.
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

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use crate::model::Schema;
pub(crate) use paths::{Paths, ProtoModule};

/// Everything that is generated from a schema, but for prost's part.
pub(crate) fn emit(schema: &Schema, paths: &Paths) -> TokenStream {
    let fingerprint = Literal::u64_unsuffixed(schema.fingerprint);
    let levels = paths.in_sdk().then(|| levels::emit(schema));
    let payload = payload::module(schema, paths);
    let kinds = kinds::module(schema, paths);
    let functions = functions::emit(schema, paths);
    let proto = paths.modules();
    quote! {
        /// A number that changes with the schema's meaning: names, numbers, types and annotations.
        pub const SCHEMA_FINGERPRINT: u64 = #fingerprint;
        #levels
        #functions
        #payload
        #kinds
        #proto
    }
}
