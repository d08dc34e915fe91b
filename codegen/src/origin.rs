//! Places in files: where something stands, and how far it reaches.

use std::fmt;

/// A place in a file, most often a .proto file.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Origin {
    /// The file, as it was found on disk.
    pub file: String,
    /// The line, from 1 on; 0 where it is not known.
    pub line: u32,
    /// The column, from 1 on and in bytes; 0 where it is not known.
    pub column: u32,
    /// The line on which it ends, from 1 on; 0 where it is not known.
    pub end_line: u32,
    /// The first column behind it, from 1 on and in bytes; 0 where it is not known.
    pub end_column: u32,
}

impl Origin {
    /// A file as a whole.
    pub(crate) fn file(file: impl Into<String>) -> Self {
        Self { file: file.into(), ..Self::default() }
    }

    /// A place of which only the beginning is known.
    pub(crate) fn at(file: impl Into<String>, line: u32, column: u32) -> Self {
        Self { file: file.into(), line, column, end_line: line, end_column: column }
    }

    /// Whether nothing is known of it, not even the file.
    pub(crate) fn is_unknown(&self) -> bool {
        self.file.is_empty()
    }

    /// Whether `other` begins within it.
    pub(crate) fn holds(&self, other: &Self) -> bool {
        let (begin, end) = ((self.line, self.column), (self.end_line, self.end_column));
        let whole_file = self.line == 0;
        self.file == other.file
            && (whole_file || (begin <= (other.line, other.column) && (other.line, other.column) < end))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}", self.file),
            line => write!(f, "{}:{line}:{}", self.file, self.column),
        }
    }
}
