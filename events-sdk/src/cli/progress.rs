//! A progress bar for a person at a terminal; nothing in pipes and logs.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::place::{self, Source};

/// How far a long work has come.
#[derive(Debug)]
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// Over the bytes of these files. `lines` says that lines go to standard output meanwhile: a bar would stand
    /// between them if that is a terminal as well.
    pub(super) fn over(sources: &[Source], lines: bool) -> Self {
        if !io::stderr().is_terminal() || (lines && io::stdout().is_terminal()) {
            return Self(ProgressBar::hidden());
        }
        let total = sources.iter().map(|source| place::length(&source.path()).unwrap_or(0)).sum();
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
        if let Ok(style) =
            ProgressStyle::with_template("{bar:16} {bytes}/{total_bytes} {bytes_per_sec} {eta} {wide_msg}")
        {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// Now at this file.
    pub(super) fn at(&self, label: &str) {
        self.0.set_message(label.to_owned());
    }

    /// So many bytes are done.
    pub(super) fn add(&self, bytes: u64) {
        self.0.inc(bytes);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
