//! The command's output: lines and tables on standard output, colour only for a person at a terminal.

use std::{
    env,
    io::{self, BufWriter, IsTerminal, Stdout, Write},
};

use crate::Level;

/// Where the output goes.
pub(super) struct Out {
    to: BufWriter<Stdout>,
    colour: bool,
    terminal: bool,
}

/// Rows below a heading.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Out {
    /// Standard output.
    pub(super) fn stdout() -> Self {
        let stdout = io::stdout();
        let plain = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || env::var_os("TERM").is_some_and(|term| term == "dumb");
        let terminal = stdout.is_terminal();
        Self { colour: terminal && !plain, terminal, to: BufWriter::new(stdout) }
    }

    /// A level, padded, in the colour of its gravity.
    pub(super) fn level(&self, level: Option<Level>, name: &str) -> String {
        let padded = format!("{name:<9}");
        let code = match level {
            _ if !self.colour => return padded,
            Some(Level::Trace | Level::Debug) => 2,
            Some(Level::Warn) => 33,
            Some(Level::Error) => 31,
            Some(Level::Critical | Level::Essential) => 35,
            _ => return padded,
        };
        format!("\u{1b}[{code}m{padded}\u{1b}[0m")
    }

    /// Writes a table.
    pub(super) fn table(&mut self, table: &Table) -> io::Result<()> {
        let columns = table.rows.first().map_or(0, Vec::len);
        let width = |column: usize| {
            table.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
        };
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        for row in &table.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(cell);
                line.extend(std::iter::repeat_n(' ', width + 2 - cell.chars().count().min(*width)));
            }
            writeln!(self.to, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        // A person sees each line at once, however far it is to the next.
        if self.terminal && bytes.ends_with(b"\n") {
            self.to.flush()?;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

impl Table {
    /// A table with this heading.
    pub(super) fn new(heading: &[&str]) -> Self {
        Self { rows: vec![heading.iter().map(|cell| (*cell).to_owned()).collect()] }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| visible(&cell)).collect());
    }

    /// Whether it has rows.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.len() < 2
    }
}

/// So many files are named in a sentence. More make it unreadable.
const NAMED: usize = 5;

/// The first of these names, in a sentence. `all` lists the others too.
pub(super) fn some_of(names: &[String], all: &str) -> String {
    match names.split_at_checked(NAMED) {
        Some((named, more @ [_, ..])) => {
            format!("{} and {} more (`{all}` lists all)", named.join(", "), more.len())
        }
        _ => names.join(", "),
    }
}

/// Whether a character could command a terminal, or have it show a line in another order than it has, or as two.
pub(super) fn is_unsafe(c: char) -> bool {
    let turns =
        matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}')
}

/// The text with whatever is unsafe written out: it comes from files that anybody may have written.
pub(super) fn visible(text: &str) -> String {
    if !text.chars().any(is_unsafe) {
        return text.to_owned();
    }
    text.chars().flat_map(|c| if is_unsafe(c) { c.escape_default().collect() } else { vec![c] }).collect()
}

/// Says something beside the output.
pub(super) fn note(text: &str) {
    // When nobody can be told, there is nothing better to do.
    let _ = writeln!(io::stderr(), "events: {}", visible(text));
}

/// Says why the command stops. What is wrong with a regular expression or a configuration takes several lines.
pub(super) fn complain(text: &str) {
    let lines: Vec<_> = text.lines().map(visible).collect();
    // As above.
    let _ = writeln!(io::stderr(), "events: {}", lines.join("\n"));
}
