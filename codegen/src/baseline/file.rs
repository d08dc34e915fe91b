//! The lock file: a contract as lines that a person reviews and a version control system merges.
//!
//! One fact to a line, everything sorted, so that a difference of two versions is the change of the schema and nothing
//! else. A block begins at the margin and its lines are indented by two spaces:
//!
//! ```text
//! message rodent.events.StoragePoolPayload
//!   1 pool_name: string
//!   6 operation: enum rodent.events.StoragePoolOperation; required = true
//!   reserved 7 to 9
//!   reserved old_name
//!
//! event rodent.events.Event 11.1
//!   emitter storage_pool
//! ```
//!
//! What is read back is what was written. A line that is not understood is an error, never skipped: it may be what is
//! left of a merge.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use super::{Contract, Enum, Event, Facts, Field, Label, Message, Method, Path, Reserved, Span, Value};
use crate::error::Error;
use crate::finding::Finding;
use crate::origin::Origin;
use crate::texts::{Text, Texts};

/// The rule that a damaged lock file breaks.
const RULE: &str = "lock-file";

const HEADER: &str = "\
# What the event schema has promised, as it was accepted: numbers, types, names and annotations.
# Written by `events-codegen accept`; a review reads what changes here. `events-codegen check --lock` compares.
";

/// The first line that is no comment. A format that older generators cannot read gets another number.
const FORMAT: &str = "format 1";

/// Between the facts of a line.
const SEPARATOR: &str = "; ";

impl fmt::Display for Contract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}{FORMAT}")?;
        for (path, event) in &self.events {
            writeln!(f, "\nevent {path}")?;
            writeln!(f, "  emitter {}\n  payload {}", escape(&event.emitter), event.payload)?;
            writeln!(f, "  category {}\n  source {}", event.category, escape(&event.source))?;
            writeln!(f, "  level {}", event.level.as_deref().map_or("caller".to_owned(), escape))?;
            for (key, value) in &event.facts {
                writeln!(f, "  fact {key} = {}", escape(value))?;
            }
        }
        for (name, message) in &self.messages {
            writeln!(f, "\nmessage {name}")?;
            for (number, field) in &message.fields {
                writeln!(f, "  {number} {}: {}", field.name, field.tail())?;
            }
            write_reserved(&message.reserved, f)?;
        }
        for (name, one) in &self.enums {
            writeln!(f, "\nenum {name}")?;
            let mut values: Vec<(i32, &String, &Value)> =
                one.values.iter().map(|(name, value)| (value.number, name, value)).collect();
            values.sort_by_key(|(number, name, _)| (*number, *name));
            for (number, name, value) in values {
                writeln!(f, "  {number} {name}{}", facts(&value.facts))?;
            }
            write_reserved(&one.reserved, f)?;
        }
        for (name, method) in &self.methods {
            writeln!(f, "\nmethod {name}\n  {}", method.signature)?;
        }
        Ok(())
    }
}

impl Field {
    /// All of the line behind the name.
    pub(super) fn tail(&self) -> String {
        let label = match self.label {
            Label::Single => "",
            Label::Optional => "optional ",
            Label::Repeated => "repeated ",
            Label::Unpacked => "repeated unpacked ",
        };
        let oneof = self.oneof.as_ref().map_or_else(String::new, |oneof| format!("{SEPARATOR}oneof {oneof}"));
        format!("{label}{}{oneof}{}", self.ty, facts(&self.facts))
    }
}

fn facts(facts: &Facts) -> String {
    facts.iter().fold(String::new(), |mut text, (key, value)| {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{SEPARATOR}{key} = {}", escape(value));
        text
    })
}

fn write_reserved(reserved: &Reserved, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (first, last) in &reserved.numbers {
        match first == last {
            true => writeln!(f, "  reserved {first}")?,
            false => writeln!(f, "  reserved {first} to {last}")?,
        }
    }
    reserved.names.iter().try_for_each(|name| writeln!(f, "  reserved {name}"))
}

/// An annotation may hold any text; a line holds one line, and separators are ours.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r").replace(';', "\\s")
}

fn unescape(text: &str) -> String {
    let (mut out, mut chars) = (String::with_capacity(text.len()), text.chars());
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('n')) => out.push('\n'),
            ('\\', Some('r')) => out.push('\r'),
            ('\\', Some('s')) => out.push(';'),
            ('\\', Some(other)) => out.push(other),
            (c, _) => out.push(c),
        }
    }
    out
}

/// The block that the lines belong to.
enum Block {
    None,
    Message(String),
    Enum(String),
    Method(String),
    Event(Path),
}

impl Contract {
    /// Reads a lock file; `file` is its name, for messages to people.
    ///
    /// # Errors
    ///
    /// When a line is not one that [`Display`](fmt::Display) writes, each with its number.
    pub fn parse(file: &str, text: &str) -> Result<Self, Error> {
        let mut contract = Self::default();
        let (mut block, mut format, mut findings) = (Block::None, false, Vec::new());
        for (index, line) in text.lines().enumerate() {
            let at = Origin::at(file, u32::try_from(index + 1).unwrap_or(u32::MAX), 1);
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let understood = match line.strip_prefix("  ") {
                _ if !format => {
                    format = line == FORMAT;
                    format.then_some(())
                }
                Some(line) => contract.line(&block, line, at.clone()),
                None => contract.begin(line, at.clone()).map(|new| block = new),
            };
            if understood.is_none() {
                findings.push(not_understood(at, line));
                if !format {
                    break;
                }
            }
        }
        if findings.is_empty() && !format {
            let at = Origin::at(file, 1, 1);
            findings.push(not_understood(at, text.lines().next().unwrap_or_default()));
        }
        match findings.is_empty() {
            true => Ok(contract),
            false => Err(Error::lock(findings, Texts::new([(file.to_owned(), Text::new(text))]))),
        }
    }

    fn begin(&mut self, line: &str, at: Origin) -> Option<Block> {
        let (word, name) = line.split_once(' ')?;
        let owned = name.to_owned();
        // A block that is there twice is what a careless merge leaves.
        let (new, block) = match word {
            "message" => {
                let entry = Message { at, ..Message::default() };
                (self.messages.insert(owned.clone(), entry).is_none(), Block::Message(owned))
            }
            "enum" => {
                let entry = Enum { at, ..Enum::default() };
                (self.enums.insert(owned.clone(), entry).is_none(), Block::Enum(owned))
            }
            "method" => {
                let entry = Method { at, ..Method::default() };
                (self.methods.insert(owned.clone(), entry).is_none(), Block::Method(owned))
            }
            "event" => {
                let (envelope, numbers) = name.rsplit_once(' ')?;
                let (category, leaf) = numbers.split_once('.')?;
                let path = Path {
                    envelope: envelope.to_owned(),
                    category: category.parse().ok()?,
                    leaf: leaf.parse().ok()?,
                };
                let entry = Event { at, ..Event::default() };
                (self.events.insert(path.clone(), entry).is_none(), Block::Event(path))
            }
            _ => return None,
        };
        new.then_some(block)
    }

    fn line(&mut self, block: &Block, line: &str, at: Origin) -> Option<()> {
        match block {
            Block::None => None,
            Block::Message(name) => {
                let message = self.messages.get_mut(name)?;
                if let Some(reserved) = line.strip_prefix("reserved ") {
                    return read_reserved(&mut message.reserved, reserved);
                }
                let (number, field) = read_field(line, at)?;
                message.fields.insert(number, field).is_none().then_some(())
            }
            Block::Enum(name) => {
                let one = self.enums.get_mut(name)?;
                if let Some(reserved) = line.strip_prefix("reserved ") {
                    return read_reserved(&mut one.reserved, reserved);
                }
                let mut parts = line.split(SEPARATOR);
                let (number, name) = parts.next()?.split_once(' ')?;
                let facts = parts.map(read_fact).collect::<Option<_>>()?;
                let value = Value { at, number: number.parse().ok()?, facts };
                one.values.insert(name.to_owned(), value).is_none().then_some(())
            }
            Block::Method(name) => {
                line.clone_into(&mut self.methods.get_mut(name)?.signature);
                Some(())
            }
            Block::Event(path) => {
                let event = self.events.get_mut(path)?;
                match line.split_once(' ')? {
                    ("emitter", text) => event.emitter = unescape(text),
                    ("payload", text) => text.clone_into(&mut event.payload),
                    ("category", text) => text.clone_into(&mut event.category),
                    ("source", text) => event.source = unescape(text),
                    ("level", "caller") => event.level = None,
                    ("level", text) => event.level = Some(unescape(text)),
                    ("fact", text) => event.facts.extend([read_fact(text)?]),
                    _ => return None,
                }
                Some(())
            }
        }
    }
}

fn not_understood(at: Origin, line: &str) -> Finding {
    /// Enough to recognise the line by; a file that is no lock at all may have endless ones.
    const SHOWN: usize = 80;
    let shown: String = line.chars().take(SHOWN).collect();
    Finding::new(
        RULE,
        &at,
        format!("this is not a line of a lock file: `{shown}`"),
        "restore the committed file, or write it anew with `events-codegen accept` and read the difference",
    )
}

fn read_field(line: &str, at: Origin) -> Option<(u32, Field)> {
    let (number, rest) = line.split_once(' ')?;
    let (name, rest) = rest.split_once(": ")?;
    let mut parts = rest.split(SEPARATOR).peekable();
    let ty = parts.next()?;
    let labels = [
        ("optional ", Label::Optional),
        ("repeated unpacked ", Label::Unpacked),
        ("repeated ", Label::Repeated),
    ];
    let (ty, label) = labels
        .iter()
        .find_map(|(word, label)| Some((ty.strip_prefix(word)?, *label)))
        .unwrap_or((ty, Label::Single));
    let oneof = parts.peek().and_then(|part| part.strip_prefix("oneof ")).map(str::to_owned);
    if oneof.is_some() {
        parts.next();
    }
    let facts = parts.map(read_fact).collect::<Option<_>>()?;
    Some((number.parse().ok()?, Field { at, name: name.to_owned(), ty: ty.to_owned(), label, oneof, facts }))
}

fn read_fact(text: &str) -> Option<(String, String)> {
    let (key, value) = text.split_once(" = ")?;
    Some((key.to_owned(), unescape(value)))
}

fn read_reserved(reserved: &mut Reserved, text: &str) -> Option<()> {
    let number = |text: &str| i64::from_str(text).ok();
    let span: Option<Span> = match text.split_once(" to ") {
        Some((first, last)) => Some((number(first)?, number(last)?)),
        None => number(text).map(|one| (one, one)),
    };
    match span {
        Some(span) => reserved.numbers.insert(span),
        None => reserved.names.insert(text.to_owned()),
    }
    .then_some(())
}

#[cfg(test)]
mod tests {
    use super::{escape, unescape};

    #[test]
    fn any_text_comes_back_from_a_line() {
        for text in ["", "plain", "a; b = c", "\\s", "line\nline\r", " x "] {
            let line = escape(text);
            assert!(!line.contains(['\n', '\r', ';']), "{line}");
            assert_eq!(unescape(&line), text);
        }
    }
}
