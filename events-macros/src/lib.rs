//! The procedural macro behind `events_sdk::emit!`.
//!
//! `events-sdk` wraps it in a macro of its own, which passes on the path to the SDK and carries the documentation; use
//! it from there. What an event may hold is not known here: the expansion names the generated items, and rustc checks
//! it against them. Owned here are the grammar (`call`) and what is made of it (`expand`).

mod call;
mod expand;

use proc_macro::TokenStream;

/// `emit_event!(sdk; …)`: the expansion of `emit!(…)`, with `sdk` as the path to the SDK.
#[doc(hidden)]
#[proc_macro]
pub fn emit_event(input: TokenStream) -> TokenStream {
    match syn::parse::<call::Call>(input) {
        Ok(call) => expand::expand(&call).into(),
        Err(error) => error.into_compile_error().into(),
    }
}
