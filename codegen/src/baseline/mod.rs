//! The baseline: what a schema has promised, kept in a file that people review.
//!
//! A [`Contract`] is all of a schema that somebody outside of it relies on: the numbers, types and names of messages,
//! enums and services, and what the annotations say of fields and events. Comments and the order of things are no part
//! of it. [`read`] takes it from descriptors, [`file`] writes it to a lock file and reads it back, [`compare`] tells what
//! changed between two of them and what each change breaks.
//!
//! Annotations are kept as they are written, key by key, so that one that does not exist yet is watched from its first
//! day on.

mod compare;
mod file;
mod read;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::origin::Origin;

pub(crate) use read::read;

/// What a schema promises to whoever sends, reads or writes its events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contract {
    /// By full name.
    messages: BTreeMap<String, Message>,
    /// By full name.
    enums: BTreeMap<String, Enum>,
    /// By the full name of the service and the method's own, as `rodent.RodentService/SendEvents`.
    methods: BTreeMap<String, Method>,
    events: BTreeMap<Path, Event>,
}

/// What an annotation says, by its key, as text.
type Facts = BTreeMap<String, String>;

/// The keys under which one says something else than the other.
fn changed<'a>(was: &'a Facts, is: &'a Facts) -> BTreeSet<&'a str> {
    was.keys().chain(is.keys()).map(String::as_str).filter(|key| was.get(*key) != is.get(*key)).collect()
}

/// What is said under a key, for people.
fn said(facts: &Facts, key: &str) -> String {
    facts.get(key).map_or_else(|| "not said".to_owned(), |value| format!("`{value}`"))
}

/// Numbers from the first to the last, both included.
type Span = (i64, i64);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Message {
    at: Origin,
    fields: BTreeMap<u32, Field>,
    reserved: Reserved,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Field {
    at: Origin,
    /// The full name in brackets, if it is an extension.
    name: String,
    /// As a .proto file would say it, with full names and without a label.
    ty: String,
    label: Label,
    oneof: Option<String>,
    facts: Facts,
}

/// How often a field may occur, in the words of the lock file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Label {
    #[default]
    Single,
    Optional,
    Repeated,
    /// Numbers that do not share a tag although they could.
    Unpacked,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Enum {
    at: Origin,
    /// By name: two names may share a number.
    values: BTreeMap<String, Value>,
    reserved: Reserved,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Value {
    at: Origin,
    number: i32,
    facts: Facts,
}

/// Numbers and names that must not be used again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Reserved {
    numbers: BTreeSet<Span>,
    names: BTreeSet<String>,
}

impl Reserved {
    fn has_number(&self, number: i64) -> bool {
        self.numbers.iter().any(|(first, last)| (*first..=*last).contains(&number))
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Method {
    at: Origin,
    /// `(rodent.EventBatch) returns (rodent.EventBatchResponse)`
    signature: String,
}

/// Where an event travels: its envelope, the number of the category's field and that of the event's own.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Path {
    envelope: String,
    category: u32,
    leaf: u32,
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}.{}", self.envelope, self.category, self.leaf)
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Event {
    at: Origin,
    emitter: String,
    payload: String,
    /// The value of the category enum with its number, `EVENT_CATEGORY_STORAGE = 2`.
    category: String,
    source: String,
    /// In capitals; `None` where the caller says it.
    level: Option<String>,
    /// What else the annotations say.
    facts: Facts,
}

/// Who notices a change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Breaks {
    /// Bytes that are on their way, on disk or written by another version are read wrongly.
    pub wire: bool,
    /// Code that calls the emitters or reads the wire types no longer compiles.
    pub source: bool,
    /// All is read as before, and means something else: filters, masks and evaluations are wrong.
    pub meaning: bool,
}

impl Breaks {
    const NOTHING: Self = Self { wire: false, source: false, meaning: false };
    const WIRE: Self = Self { wire: true, ..Self::NOTHING };
    const SOURCE: Self = Self { source: true, ..Self::NOTHING };
    const MEANING: Self = Self { meaning: true, ..Self::NOTHING };

    const fn and(self, other: Self) -> Self {
        Self {
            wire: self.wire || other.wire,
            source: self.source || other.source,
            meaning: self.meaning || other.meaning,
        }
    }

    /// Whether anybody notices.
    pub fn any(self) -> bool {
        self != Self::NOTHING
    }
}

impl fmt::Display for Breaks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [(self.wire, "wire"), (self.source, "source"), (self.meaning, "meaning")];
        let words: Vec<&str> = words.iter().filter(|(yes, _)| *yes).map(|(_, word)| *word).collect();
        match words.is_empty() {
            true => f.write_str("nothing"),
            false => f.write_str(&words.join(", ")),
        }
    }
}

/// One difference between the accepted schema and the present one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Change {
    /// Where it is in the schema; for what was removed, where it was taken from.
    pub origin: Origin,
    /// The name of the rule, such as `field-removed`.
    pub rule: &'static str,
    /// What changed.
    pub message: String,
    /// The line of the lock file that says otherwise, if there is one.
    pub accepted: Option<Origin>,
    /// Who notices.
    pub breaks: Breaks,
    /// How to change the schema without breaking that; empty if nothing breaks.
    pub cure: String,
}

impl Change {
    /// The line for the changelog.
    pub fn changelog(&self) -> String {
        match self.breaks.any() {
            true => format!("* **Breaks {}**: {}.", self.breaks, self.message),
            false => format!("* Schema: {}.", self.message),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, rule, message, accepted, breaks, cure } = self;
        let sort = if breaks.any() { "error" } else { "note" };
        write!(f, "{sort}[{rule}]: {origin}: {message}")?;
        if let Some(accepted) = accepted {
            write!(f, "\n  accepted: {}:{}", accepted.file, accepted.line)?;
        }
        if breaks.any() {
            write!(f, "\n  breaks: {breaks}\n  cure: {cure}")?;
        }
        Ok(())
    }
}
