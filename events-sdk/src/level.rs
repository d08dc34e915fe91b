//! Stand-ins for what the generator writes from the schema: `Level` in order of severity, and `Category`.

/// How grave an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// trace
    Trace = 1,
    /// debug
    Debug,
    /// info
    Info,
    /// warn
    Warn,
    /// error
    Error,
    /// critical
    Critical,
    /// essential
    Essential,
}

impl Level {
    /// Every level, the least grave first.
    pub const ALL: &'static [Self] =
        &[Self::Trace, Self::Debug, Self::Info, Self::Warn, Self::Error, Self::Critical, Self::Essential];

    /// Its place in the order of severity, from 1 on.
    pub const fn severity(self) -> u8 {
        self as u8
    }

    /// Its number on the wire.
    pub const fn number(self) -> i32 {
        match self {
            Self::Trace => 7,
            Self::Debug => 6,
            Self::Info => 1,
            Self::Warn => 2,
            Self::Error => 3,
            Self::Critical => 4,
            Self::Essential => 5,
        }
    }

    /// Its name in lower case, as in configuration files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Critical => "critical",
            Self::Essential => "essential",
        }
    }

    /// The level with this number on the wire.
    pub fn from_number(number: i32) -> Option<Self> {
        Self::ALL.iter().copied().find(|level| level.number() == number)
    }
}

/// The area of the node an event speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Category {
    /// system
    System = 1,
    /// storage
    Storage = 2,
    /// data transfer
    DataTransfer = 10,
}

impl Category {
    /// Every category, by number.
    pub const ALL: &'static [Self] = &[Self::System, Self::Storage, Self::DataTransfer];

    /// Its number on the wire.
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// Its name in lower case with underscores, as in configuration files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Storage => "storage",
            Self::DataTransfer => "data_transfer",
        }
    }

    /// The category with this number on the wire.
    pub fn from_number(number: i32) -> Option<Self> {
        Self::ALL.iter().copied().find(|category| category.number() == number)
    }
}
