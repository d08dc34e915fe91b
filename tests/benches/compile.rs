//! How long rustc takes for generated code, beside prost's own output for the same messages.
//!
//! Three crates are compiled: nothing but the import of the SDK, prost's own output, and the same with ours. Differences are
//! reported, by kind of event: once as `cargo check` does it, once with machine code. Run it with
//! `cargo bench -p events-tests --bench compile --profile dev`, so that nothing is built for it but what tests use anyway.
//!
//! Prost's own output has its `Debug`. In ours that one gives way to one that masks personal data, so what it costs more or
//! less is counted as ours. The time is that of the processor, so that a busy machine does not count; it needs Linux.

#![allow(clippy::expect_used, clippy::print_stdout, missing_docs)]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use events_codegen::{Builder, EVENTS_FILE};

#[path = "../../codegen/benches/large/mod.rs"]
mod large;

const KINDS: &[usize] = &[100, 500];

/// What we add to prost's output where a type holds personal data.
const WITHOUT_DEBUG: &str = "#[prost(skip_debug)]";

/// Of so many runs the fastest counts.
const RUNS: usize = 3;

fn main() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let libraries = env::current_exe().expect("this program").parent().expect("its folder").to_owned();
    let sdk = newest(&libraries);
    println!("kinds  emit      prost ms per kind  ours ms per kind  ours/prost");
    for kinds in KINDS {
        fs::write(folder.path().join("large.proto"), large::schema(*kinds)).expect("a file");
        let generated = Builder::new().generate(&["large.proto"], &[folder.path()]).expect("a schema");
        for (name, text) in &generated.files {
            // Beside prost's part, ours includes it by the folder that cargo would give.
            fs::write(folder.path().join(name), text).expect("a file");
        }
        let wire = generated.files.iter().find(|(name, _)| *name != EVENTS_FILE).expect("prost's part").1;
        fs::write(folder.path().join("own.rs"), wire.replace(WITHOUT_DEBUG, "")).expect("a file");
        let crates = [
            ("base", "pub use events_sdk::Level;".to_owned()),
            ("prost", "pub mod proto { pub mod large { include!(\"own.rs\"); } }".to_owned()),
            ("both", format!("include!(\"{EVENTS_FILE}\");")),
        ];
        for emit in ["metadata", "link"] {
            let times = crates.clone().map(|(name, text)| {
                let file = folder.path().join(format!("{name}.rs"));
                fs::write(&file, text).expect("a file");
                let seconds = (0..RUNS).map(|_| rustc(&file, emit, &sdk, &libraries));
                seconds.fold(f64::INFINITY, f64::min)
            });
            let [base, prost, both] = times.map(|seconds| seconds * 1e3 / *kinds as f64);
            println!(
                "{kinds:>5}  {emit:<8}  {:>17.2}  {:>16.2}  {:>10.2}",
                prost - base,
                both - prost,
                (both - prost) / (prost - base)
            );
        }
    }
}

/// The newest library of the SDK beside this program: the one that it was linked with, when it was built just now.
fn newest(libraries: &Path) -> PathBuf {
    let candidates = fs::read_dir(libraries).expect("the folder of this program").filter_map(|entry| {
        let entry = entry.ok()?;
        let name = entry.file_name().into_string().ok()?;
        let is_sdk = name.starts_with("libevents_sdk-") && name.ends_with(".rlib");
        is_sdk.then_some((entry.metadata().ok()?.modified().ok()?, entry.path()))
    });
    candidates.max().expect("the SDK's library beside this program").1
}

/// Compiles the crate, and gives the seconds of processor time that it took.
fn rustc(file: &Path, emit: &str, sdk: &Path, libraries: &Path) -> f64 {
    let out = tempfile::tempdir().expect("a temporary directory");
    let mut command = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    command.args(["--edition=2024", "--crate-type=lib", "--cap-lints=allow"]).arg(format!("--emit={emit}"));
    command.arg("--extern").arg(format!("events_sdk={}", sdk.display()));
    // Macros are built for this machine: elsewhere when the libraries are built for another target.
    for folder in [libraries.to_owned(), libraries.join("../../../debug/deps")] {
        command.arg("-L").arg(format!("dependency={}", folder.display()));
    }
    command.env("OUT_DIR", file.parent().expect("its folder")).arg("--out-dir").arg(out.path()).arg(file);
    let begin = processor_time_of_children();
    let output = command.output().expect("rustc to run");
    let time = processor_time_of_children() - begin;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    time
}

/// Seconds that ended children of this process have used so far, in user and system mode. Linux counts in hundredths.
fn processor_time_of_children() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name before may contain spaces; the children's times are the fourteenth and fifteenth field behind it.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(13).take(2);
    fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}
