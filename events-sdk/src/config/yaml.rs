//! Reads a YAML text into nodes that know their line.
//!
//! Scalars stay text here, as they were written; what a value means is decided where it is used, by the kind of the key.
//! Guarantees to come back from any text, without recursion and without more memory than a small multiple of it: the
//! loader on top of the parser recurses, so a line of ten thousand dashes would end the process.

use saphyr_parser::{Event, Parser, ScalarStyle};

/// How deep lists and mappings may lie in each other. Ours need three levels; nobody writes thirty by hand.
const MAX_DEPTH: usize = 64;

/// A value and the line on which it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) data: Data,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Data {
    /// Nothing, `~` or `null`.
    Null,
    Text(String),
    List(Vec<Node>),
    /// In the order of the text. A key may come twice.
    Map(Vec<(Node, Node)>),
    /// `*name`. What it stands for is not looked up.
    Alias,
}

impl Node {
    /// What it is, for an error text.
    pub(super) fn what(&self) -> &'static str {
        match self.data {
            Data::Null => "nothing",
            Data::Text(_) => "text",
            Data::List(_) => "a list",
            Data::Map(_) => "a mapping",
            Data::Alias => "an alias (`*name`), which is not supported here",
        }
    }
}

/// The text is not YAML.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SyntaxError {
    pub(super) line: usize,
    pub(super) message: String,
}

/// A list or a mapping that is still open.
enum Open {
    List(Vec<Node>),
    Map(Vec<(Node, Node)>, Option<Node>),
}

/// The documents of the text.
pub(super) fn read(text: &str) -> Result<Vec<Node>, SyntaxError> {
    let mut documents = Vec::new();
    let mut open: Vec<(usize, Open)> = Vec::new();
    for step in Parser::new_from_str(text) {
        let (event, span) = step.map_err(|error| SyntaxError {
            line: error.marker().line(),
            message: format!("this is not YAML: {}", error.info()),
        })?;
        let line = span.start.line();
        let node = match event {
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                if open.len() == MAX_DEPTH {
                    let message =
                        format!("lists and mappings lie more than {MAX_DEPTH} deep; write it flatter");
                    return Err(SyntaxError { line, message });
                }
                let list = matches!(event, Event::SequenceStart(..));
                open.push((line, if list { Open::List(Vec::new()) } else { Open::Map(Vec::new(), None) }));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some((line, Open::List(items))) => Node { line, data: Data::List(items) },
                Some((line, Open::Map(entries, _))) => Node { line, data: Data::Map(entries) },
                None => continue,
            },
            Event::Scalar(text, style, ..) => Node { line, data: scalar(&text, style) },
            Event::Alias(_) => Node { line, data: Data::Alias },
            _ => continue,
        };
        match open.last_mut() {
            None => documents.push(node),
            Some((_, Open::List(items))) => items.push(node),
            Some((_, Open::Map(entries, key))) => match key.take() {
                None => *key = Some(node),
                Some(key) => entries.push((key, node)),
            },
        }
    }
    Ok(documents)
}

fn scalar(text: &str, style: ScalarStyle) -> Data {
    match text {
        "" | "~" | "null" | "Null" | "NULL" if style == ScalarStyle::Plain => Data::Null,
        _ => Data::Text(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(line: usize, text: &str) -> Node {
        Node { line, data: Data::Text(text.to_owned()) }
    }

    #[test]
    fn nodes_know_their_line_and_scalars_stay_as_written() {
        let documents = read("# comment\na: 0x10\nb:\n  - 1.0\n  - \"~\"\nc:\nd: {e: [yes]}\n").unwrap();
        let list = Node { line: 4, data: Data::List(vec![text(4, "1.0"), text(5, "~")]) };
        let inner = Node { line: 7, data: Data::List(vec![text(7, "yes")]) };
        let map = Node { line: 7, data: Data::Map(vec![(text(7, "e"), inner)]) };
        let null = Node { line: 6, data: Data::Null };
        let Data::Map(entries) = &documents[0].data else { panic!("{documents:?}") };
        assert_eq!(entries[0], (text(2, "a"), text(2, "0x10")));
        assert_eq!(entries[1], (text(3, "b"), list));
        assert_eq!(entries[2].0, text(6, "c"));
        assert_eq!(entries[2].1.data, null.data);
        assert_eq!(entries[3], (text(7, "d"), map));
    }

    #[test]
    fn nothing_but_comments_is_nothing() {
        for empty in ["", "\n", "# all commented out\n", "---\n", "\u{feff}"] {
            let documents = read(empty).unwrap();
            assert!(documents.iter().all(|node| node.data == Data::Null), "{empty:?}: {documents:?}");
        }
    }

    #[test]
    fn a_key_that_comes_twice_is_kept_twice() {
        let documents = read("a: 1\na: 2\n").unwrap();
        assert!(matches!(&documents[0].data, Data::Map(entries) if entries.len() == 2));
    }

    #[test]
    fn what_is_not_yaml_is_an_error_with_its_line() {
        let error = read("a: 1\nb: [1, 2\nc: 3\n").unwrap_err();
        assert!(error.line >= 2, "{error:?}");
        assert!(error.message.starts_with("this is not YAML: "), "{error:?}");
        assert_eq!(read("a: *nobody\n").unwrap_err().line, 1);
    }

    #[test]
    fn deep_nesting_is_an_error_and_not_the_end_of_the_process() {
        for deep in ["- ".repeat(100_000), "[".repeat(100_000), "{a: ".repeat(100_000), "? ".repeat(100_000)]
        {
            assert!(read(&deep).is_err());
        }
    }

    #[test]
    fn any_text_is_either_read_or_refused() {
        const SEED: &str =
            "events:\n  profile: &a default\n  x: [1, {b: 'c'}, *a]\n  ? k\n  : |\n    text\n---\n!!str z\n";
        const PIECES: [&str; 16] =
            ["\n", "  ", ":", "- ", "[", "]", "{", "}", "\"", "'", "&a", "*a", "!!", "|", "\t", "\u{0}"];
        // A small linear congruential generator: the same texts on every run.
        let mut state = 0x9e37_79b9_u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        for _ in 0..5_000 {
            let mut text: Vec<char> = SEED.chars().collect();
            for _ in 0..=random(6) {
                let at = random(text.len());
                let piece = PIECES[random(PIECES.len())];
                if random(2) == 0 {
                    text.splice(at..at, piece.chars());
                } else {
                    text.splice(at..(at + 1 + random(3)).min(text.len()), piece.chars());
                }
            }
            let text: String = text.into_iter().collect();
            let _read_or_refused = read(&text);
        }
    }
}
