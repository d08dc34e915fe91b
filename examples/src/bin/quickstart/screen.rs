//! The screen: bars that move on a terminal, a line a second in a log.
//!
//! A log gets no control characters. Errors in writing (`quickstart | head`) are returned, not panicked about.

use std::{
    env,
    error::Error,
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often a gauge says something in a log.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

/// How wide a bar is.
const BAR_WIDTH: usize = 30;

pub(crate) struct Screen {
    bars: MultiProgress,
    is_terminal: bool,
}

impl Screen {
    pub(crate) fn new() -> Self {
        let is_terminal = io::stdout().is_terminal() && env::var_os("TERM").is_none_or(|term| term != "dumb");
        let target = if is_terminal { ProgressDrawTarget::stdout() } else { ProgressDrawTarget::hidden() };
        Self { bars: MultiProgress::with_draw_target(target), is_terminal }
    }

    /// Whether lines may hold colour codes: see no-color.org.
    pub(crate) fn has_colour(&self) -> bool {
        self.is_terminal && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
    }

    /// A heading, with an empty line before it.
    pub(crate) fn title(&self, text: &str) -> io::Result<()> {
        self.line("")?;
        match self.has_colour() {
            true => self.line(&format!("\x1b[1m{text}\x1b[0m"))?,
            false => self.line(text)?,
        }
        self.line("")
    }

    /// A line, above whatever bar is drawn.
    pub(crate) fn line(&self, text: &str) -> io::Result<()> {
        self.bars.suspend(|| writeln!(io::stdout().lock(), "{text}"))
    }

    /// A bar with a name, full at `full`.
    pub(crate) fn gauge(&self, name: &'static str, full: u64) -> Result<Gauge<'_>, Box<dyn Error>> {
        let template = format!("{{prefix:>9}} [{{bar:{BAR_WIDTH}}}] {{wide_msg}}");
        let style = ProgressStyle::with_template(&template)?.progress_chars("##.");
        let bar = self.bars.add(ProgressBar::new(full).with_style(style).with_prefix(name));
        Ok(Gauge { screen: self, bar, name, full, next_line: Instant::now() + LOG_INTERVAL })
    }
}

/// A quantity that moves.
pub(crate) struct Gauge<'a> {
    screen: &'a Screen,
    bar: ProgressBar,
    name: &'static str,
    full: u64,
    next_line: Instant,
}

impl Gauge<'_> {
    /// Shows the value, and `text` beside it.
    pub(crate) fn show(&mut self, value: u64, text: &str) -> io::Result<()> {
        self.bar.set_position(value.min(self.full));
        self.bar.set_message(text.to_owned());
        let now = Instant::now();
        if self.screen.is_terminal || now < self.next_line {
            return Ok(());
        }
        self.next_line = now + LOG_INTERVAL;
        let share = value as f64 / self.full.max(1) as f64;
        let filled = ((BAR_WIDTH as f64 * share) as usize).min(BAR_WIDTH);
        let bar = "#".repeat(filled) + &".".repeat(BAR_WIDTH - filled);
        self.screen.line(&format!("{:>9} [{bar}] {text}", self.name))
    }

    /// Takes the bar from the screen.
    pub(crate) fn end(self) {
        self.bar.finish_and_clear();
    }
}
