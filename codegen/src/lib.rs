//! Generates typed event emitters from annotated protobuf schemas.
//!
//! A schema lists kinds of events and says of each, in options of its own (`events/annotations.proto`), who reports it,
//! at what level, and what it cannot do without. From that this crate writes, for a build script:
//!
//! * for each kind an emitter, `emit_storage_pool(level, payload, metadata)`, as a function and as a method;
//! * `payload`: borrowed payload types with real Rust enums, which encode themselves to the bytes that prost would write;
//! * `kinds`: the constants of each kind;
//! * `proto`: prost's types and tonic's services, for whoever reads events.
//!
//! The passes, each a module: [`compile`] (.proto to descriptors, in pure Rust; or [`descriptors`], from a set that another
//! compiler wrote), [`read`] (descriptors to a [`model`]), [`check`] (the model's mistakes, all at once), [`emit`] (the model
//! to Rust, laid out by [`text`]) and [`wire_types`] (descriptors to the types of prost and tonic). [`compile`] reads the
//! schema from disk, [`builder`] writes what was generated, and nothing else touches the disk. Beside them, [`baseline`]
//! compares a schema with what was accepted before, [`coverage`] finds out who emits what, [`catalog`] describes every event,
//! and [`explain`] every rule.
//!
//! # In a crate of your own
//!
//! ```toml
//! [dependencies]
//! events-sdk = "0.1"
//!
//! [build-dependencies]
//! events-codegen = "0.1"
//! ```
//!
//! ```no_run
//! // build.rs
//! fn main() -> Result<(), events_codegen::Error> {
//!     events_codegen::Builder::new().compile(&["acme/events.proto"], &["proto"])
//! }
//! ```
//!
//! ```text
//! // src/lib.rs
//! pub mod events {
//!     include!(concat!(env!("OUT_DIR"), "/events.rs"));
//! }
//! ```
//!
//! The schema imports `events/annotations.proto` (and `events/event_messages.proto` for the levels); the generator
//! carries both. A mistake in it fails the build: every finding of every file, each
//! under its source line, with its rule, why there is one, and the cure. Warnings come as warnings of cargo. All rules are listed
//! in `RULES.md` beside this crate's manifest, and explained by `events-codegen explain`.

#![allow(rustdoc::private_intra_doc_links)]

mod annotations;
mod baseline;
mod beside;
mod builder;
mod catalog;
mod check;
mod compile;
mod coverage;
mod descriptors;
mod docs;
mod emit;
mod error;
mod explain;
mod finding;
mod fingerprint;
mod imports;
mod layout;
mod mask;
mod misplaced;
mod model;
mod names;
mod opt_out;
mod origin;
mod positions;
mod read;
mod read_types;
mod refused;
mod render;
mod report;
mod secret;
mod source;
mod text;
mod texts;
mod type_names;
mod wire_names;
mod wire_types;

pub use baseline::{Breaks, Change, Contract};
pub use builder::{Builder, EVENTS_FILE, Generated};
pub use catalog::Catalog;
pub use coverage::Coverage;
pub use error::{Error, ErrorKind};
pub use explain::{Example, Rule};
pub use finding::{Finding, Severity};
pub use origin::Origin;
pub use render::Look;
pub use report::Report;
