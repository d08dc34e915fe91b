//! What it costs to generate from schemas of 100 to 2,000 kinds of events: from an encoded descriptor set to the text of
//! every file.
//!
//! Each row is a process of its own, so that its peak of memory is its own too. `milliseconds` is what whoever builds waits,
//! on a second thread for a part of the way; `processor` what both threads take, which a busy machine does not change much;
//! `from .proto` what it is when the text is compiled first.
//! Needs Linux.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

mod large;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use std::{env, fs};

use events_codegen::Builder;

const KINDS: &[usize] = &[100, 500, 1000, 2000];

/// Of so many runs the fastest counts: what slows the others is not the generator.
const RUNS: usize = 5;

const FILE: &str = "large.proto";

fn main() {
    let arguments: Vec<String> = env::args().collect();
    if let [_, one, set] = arguments.as_slice()
        && one == "--one"
    {
        return child(Path::new(set));
    }
    let folder = tempfile::tempdir().expect("a temporary directory");
    println!("kinds  milliseconds  µs per kind  processor ms  peak MiB  text MiB  from .proto ms");
    for kinds in KINDS {
        let set = folder.path().join("set.pb");
        fs::write(folder.path().join(FILE), large::schema(*kinds)).expect("a file");
        let bytes = Builder::new().descriptor_set(&[FILE], &includes(folder.path())).expect("a valid schema");
        fs::write(&set, bytes).expect("a file");
        let this = env::current_exe().expect("this program");
        let output = Command::new(this).arg("--one").arg(&set).output().expect("this program runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).expect("numbers");
        let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let [seconds, processor, peak, size, whole] = numbers.as_slice() else {
            panic!("five numbers, not {text:?}")
        };
        println!(
            "{kinds:>5}  {:>12.0}  {:>11.0}  {:>12.0}  {:>8.0}  {:>8.1}  {:>14.0}",
            seconds * 1e3,
            seconds * 1e6 / *kinds as f64,
            processor * 1e3,
            peak / 1024.0,
            size / 1024.0 / 1024.0,
            whole * 1e3
        );
    }
}

fn includes(folder: &Path) -> [PathBuf; 2] {
    [folder.to_owned(), Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto")]
}

/// Generates and prints seconds, those of the processor, peak of memory in KiB, size of the text in bytes, and the seconds
/// that it takes from the .proto file on.
fn child(path: &Path) {
    let set = fs::read(path).expect("the set");
    let (mut fastest, mut least, mut size) = (f64::INFINITY, f64::INFINITY, 0);
    for _ in 0..RUNS {
        let (begin, used) = (Instant::now(), processor_time());
        let generated = Builder::new().generate_from_descriptors(&set, &[FILE]);
        fastest = fastest.min(begin.elapsed().as_secs_f64());
        least = least.min(processor_time() - used);
        size = generated.expect("a schema without mistakes").files.values().map(String::len).sum();
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0");
    let peak = peak.split_whitespace().next().unwrap_or("0");
    let folder = path.parent().expect("a folder");
    let mut whole = f64::INFINITY;
    for _ in 0..RUNS {
        let begin = Instant::now();
        Builder::new().generate(&[FILE], &includes(folder)).expect("a schema without mistakes");
        whole = whole.min(begin.elapsed().as_secs_f64());
    }
    println!("{fastest} {least} {peak} {size} {whole}");
}

/// Seconds of processor time that this process has used so far, its threads that have ended included.
fn processor_time() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name of the program, which is in parentheses: fields 14 and 15 are hundredths of seconds in user and kernel.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks = fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}
