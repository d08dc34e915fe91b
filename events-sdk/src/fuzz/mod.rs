//! What the fuzz targets of this crate share.
//!
//! A target stands in a module `fuzz` beside the tests of what it feeds with bytes from disk or network. It takes bytes and
//! makes its choices by them, as the targets of the generator do, so that `cargo bolero test` can drive it by coverage.
//! Under `cargo test` the bytes are random; how many inputs each target is given says `BOLERO_RANDOM_ITERATIONS`.
//!
//! What was once answered wrongly lies in `corpus`, in a folder for each target, and is given to it first.

#[path = "../../../codegen/tests/fuzz/choices.rs"]
#[allow(dead_code, reason = "the generator makes choices of more kinds")]
mod choices;
mod edits;

use std::{fs, path::Path};

pub(crate) use choices::Choices;
pub(crate) use edits::{edit, edit_text};

/// Inputs of each target under `cargo test`, unless the environment says otherwise: about a second for all of them.
pub(crate) const INPUTS: usize = 300;

/// More edits than this leave nothing of a file that is worth a look.
pub(crate) const MOST_EDITS: usize = 6;

/// Gives a target what is in its folder of the corpus.
pub(crate) fn corpus(target: &str, judge: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/fuzz/corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files.iter().for_each(|file| judge(&fs::read(file).unwrap()));
}

/// A target: first its corpus, then what the engine comes up with. `$longest` is the length of its inputs, `$inputs` how many
/// there are where each takes long.
macro_rules! target {
    ($folder:literal, $longest:expr, $judge:expr) => {
        $crate::fuzz::target!($folder, $longest, $judge, $crate::fuzz::INPUTS)
    };
    ($folder:literal, $longest:expr, $judge:expr, $inputs:expr) => {
        $crate::fuzz::corpus($folder, $judge);
        bolero::check!().with_iterations($inputs).with_max_len($longest).for_each($judge)
    };
}

pub(crate) use target;
