//! The generator against schemas that nobody would write: it answers with Rust or with findings, never with a panic.
//!
//! Three targets: mutated .proto text, mutated descriptor sets, and raw bytes. Each takes bytes and makes its choices by
//! them, so that `cargo bolero test` can drive it by coverage. Under `cargo test` the bytes are random; how many inputs
//! each target is given says `BOLERO_RANDOM_ITERATIONS`. What it starts from are the golden schemas, the torture schema
//! and `corpus`, where every schema lies that was once answered wrongly.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod base;
mod choices;
mod descriptors;
mod oracle;
mod text;

use std::sync::LazyLock;

use base::{ANNOTATIONS, Base, ROOT, Set};
use choices::Choices;

/// Inputs of each target under `cargo test`, unless the environment says otherwise: a second or two without optimisation.
const INPUTS: usize = 300;

/// More edits than this leave nothing of a schema that is worth a look.
const MOST_EDITS: usize = 6;

static BASE: LazyLock<Base> = LazyLock::new(Base::load);

/// A mutated schema has the formatter's attention in one of so many inputs: it costs more than all the rest.
const FORMATTED: usize = 16;

#[test]
fn mutated_text_is_answered_with_rust_or_findings() {
    let schemas = text::Schemas::new(&BASE.sources);
    bolero::check!().with_iterations(INPUTS).with_max_len(96).for_each(|bytes| {
        let mut choices = Choices::new(bytes);
        let format = choices.below(FORMATTED) == 1;
        let text = schemas.mutated(&mut choices, MOST_EDITS);
        oracle::text(&BASE, &text, format);
    });
}

#[test]
fn a_mutated_descriptor_set_is_answered_with_rust_or_findings() {
    bolero::check!().with_iterations(INPUTS).with_max_len(96).for_each(|bytes| {
        let mut choices = Choices::new(bytes);
        let format = choices.below(FORMATTED) == 1;
        let (set, root) = descriptors::mutated(&BASE, &mut choices, MOST_EDITS);
        oracle::set(&set, &root, format);
    });
}

#[test]
fn damaged_bytes_are_answered_with_rust_or_findings() {
    bolero::check!().with_iterations(INPUTS).with_max_len(512).for_each(|bytes: &[u8]| {
        // As a set of their own, behind what a schema imports, and as a few changed bytes in a set that was good.
        oracle::set(bytes, ROOT, false);
        let annotated = [BASE.imports.alone([ANNOTATIONS.to_owned()]).as_slice(), bytes].concat();
        oracle::set(&annotated, ROOT, false);
        let mut choices = Choices::new(bytes);
        let Set { bytes: mut set, own } = BASE.sets[choices.below(BASE.sets.len())].clone();
        for _ in 0..MOST_EDITS.min(bytes.len() / 3) {
            // Most of a set are the imports, which are the same for all.
            let at = own + choices.below(set.len() - own);
            set[at] = choices.byte();
        }
        oracle::set(&set, ROOT, false);
    });
}

#[test]
fn every_schema_of_the_corpus_is_answered_with_rust_or_findings() {
    let (mut accepted, mut refused) = (0, 0);
    for (name, source) in &BASE.sources {
        for format in [false, true] {
            match oracle::text(&BASE, source, format) {
                Some(true) => accepted += 1,
                _ => refused += 1,
            }
        }
        oracle::disk(name, source);
    }
    for set in &BASE.damaged {
        oracle::set(set, ROOT, true);
    }
    // A base that refuses everything, or nothing, would prove nothing.
    assert!(accepted > refused / 20, "{accepted} accepted, {refused} refused");
}

#[test]
fn edits_leave_many_schemas_whole_and_break_many() {
    let schemas = text::Schemas::new(&BASE.sources);
    let (mut accepted, mut refused, mut unread) = (0_u32, 0_u32, 0_u32);
    for seed in 0..200_u64 {
        let bytes = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
        match oracle::text(&BASE, &schemas.mutated(&mut Choices::new(&bytes), 2), false) {
            Some(true) => accepted += 1,
            Some(false) => refused += 1,
            None => unread += 1,
        }
    }
    assert!(accepted > 10 && refused > 20 && unread > 10, "{accepted}, {refused}, {unread}");
}
