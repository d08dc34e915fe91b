//! Edits of .proto text that know its words, lines and blocks.

use crate::choices::Choices;

/// Words that mean something somewhere in a schema.
const WORDS: &[&str] = &[
    "",
    "_",
    "__",
    "_1",
    "1",
    "string",
    "bytes",
    "bool",
    "int32",
    "double",
    "optional",
    "repeated",
    "required",
    "message",
    "enum",
    "oneof",
    "group",
    "map<string, string>",
    "map<bool, Event>",
    "map<int32, bytes>",
    "extend",
    "extensions 100 to max;",
    "Event",
    "DemoEvent",
    "Payload",
    "DemoPayload",
    "Operation",
    "operation",
    "self",
    "Self",
    "super",
    "crate",
    "type",
    "async",
    "gen",
    "Vec",
    "String",
    "Option",
    "Some",
    "None",
    "Result",
    "Default",
    "Debug",
    "new",
    "wire",
    "payload",
    "kinds",
    "fields",
    "proto",
    "level",
    "metadata",
    "rodent.events.Event",
    "rodent.events.EventLevel",
    "google.protobuf.Timestamp",
    "google.protobuf.Duration",
    "google.protobuf.Struct",
    "google.protobuf.Value",
    "google.protobuf.Any",
    "google.protobuf.StringValue",
    "google.protobuf.NullValue",
    "google.protobuf.FieldMask",
    "google.protobuf.Empty",
    "option allow_alias = true;",
    "group Part = 7 { optional int32 one = 1; }",
    "google.protobuf.FieldDescriptorProto",
    "torture.parts.Mood",
    "{",
    "}",
    "{}",
    ";",
    "=",
    "[",
    "]",
    "option",
    "true",
    "false",
    "// [x](y) ```\n",
    "/* ` */",
    "// */ /* \\ \" \u{2028}\n",
    "reserved 1 to max;",
    "proto2",
    "2023",
    "import \"google/protobuf/any.proto\";",
    "package a.b;",
    "package rodent.events;",
    "service S { rpc Connect (Event) returns (stream Event); }",
    "option allow_alias = true;",
    "password",
    "api_token",
    "event_id",
    "category",
    "source",
    "timestamp",
];

/// Names that mean something in a schema or in Rust.
const NAMES: &[&str] = &[
    "_",
    "__",
    "_1",
    "Event",
    "DemoEvent",
    "Payload",
    "DemoPayload",
    "DEMO",
    "Operation",
    "operation",
    "self",
    "Self",
    "super",
    "crate",
    "type",
    "async",
    "gen",
    "Vec",
    "String",
    "Option",
    "Some",
    "None",
    "Ok",
    "Result",
    "Default",
    "Debug",
    "Clone",
    "Copy",
    "new",
    "clone",
    "wire",
    "Wire",
    "payload",
    "kinds",
    "fields",
    "proto",
    "level",
    "Level",
    "Category",
    "Events",
    "EmitExt",
    "Kind",
    "KIND",
    "ALL",
    "REQUIRED",
    "metadata",
    "password",
    "api_token",
    "category",
    "source",
    "timestamp",
    "demo_event",
    "event_id",
    "out",
    "i32",
    "str",
    "core",
    "std",
    "prost",
    "A",
    "a",
    "aB",
    "a_b",
    "a_B",
    "A_B",
    "a__b",
    "UNSPECIFIED",
];

const NUMBERS: &[&str] = &[
    "0",
    "-1",
    "1",
    "2",
    "3",
    "4",
    "5",
    "6",
    "10",
    "15",
    "16",
    "63",
    "64",
    "100",
    "18999",
    "19000",
    "20000",
    "536870911",
    "536870912",
    "2147483647",
    "-2147483648",
    "2147483648",
    "4294967295",
    "4294967296",
    "18446744073709551615",
    "18446744073709551616",
    "9999999999999999999999",
    "1e9",
    "1.5",
    "0x7f",
    "017",
    "inf",
    "nan",
];

const TYPES: &[&str] = &[
    "double",
    "float",
    "int32",
    "int64",
    "uint32",
    "uint64",
    "sint32",
    "sint64",
    "fixed32",
    "fixed64",
    "sfixed32",
    "sfixed64",
    "bool",
    "string",
    "bytes",
    "Event",
    "DemoEvent",
    "google.protobuf.Timestamp",
    "google.protobuf.Empty",
    "google.protobuf.ListValue",
];

const TEXTS: &[&str] = &[
    "\"\"",
    "\"é\"",
    "\"INFO\"",
    "\"info\"",
    "\"BY_OPERATION\"",
    "\"ESSENTIAL\"",
    "\"demo\"",
    "\"demo_x\"",
    "\"demo_X\"",
    "\"demo__x\"",
    "\"demo_self\"",
    "\"demo_\"",
    "\"r#x\"",
    "\"a b\"",
    "\"\\n\"",
    "\"\\\"\"",
    "\"{}\"",
    "\"\\x00\"",
    "\"\\377\"",
    "\"]\"",
    "\"`\"",
    "\"proto2\"",
    "\"proto3\"",
];

const ANNOTATIONS: &[&str] = &[
    "[deprecated = true]",
    "[packed = false]",
    "[packed = true]",
    "[default = 1]",
    "[json_name = \"x\"]",
    "[(rodent.events.field).required = true]",
    "[(rodent.events.field).sensitivity = SENSITIVITY_PII]",
    "[(rodent.events.field).sensitivity = SENSITIVITY_SECRET]",
    "[(rodent.events.field).max_len = 1]",
    "[(rodent.events.field) = { required: true, unit: \"ms\", max_len: 4294967295 }]",
    "[(rodent.events.event_level) = \"WARN\"]",
    "[(rodent.events.emitter) = { name: \"demo_other\" }]",
    "[(rodent.events.emitter).level = \"BY_OPERATION\"]",
    "[(rodent.events.severity) = 3]",
    "; option (rodent.events.envelope) = true",
    "; option (rodent.events.event) = { source: \"x\" }",
    "; option deprecated = true",
];

/// A schema as words, texts and what stands between them.
struct Schema {
    tokens: Vec<String>,
    /// Whole `message`, `enum` and `oneof` blocks.
    blocks: Vec<String>,
}

/// The schemas that edits start from, and take pieces of.
pub(crate) struct Schemas(Vec<Schema>);

impl Schemas {
    pub(crate) fn new(sources: &[(String, String)]) -> Self {
        let schema = |(_, text): &(String, String)| Schema { tokens: tokens(text), blocks: blocks(text) };
        Self(sources.iter().map(schema).collect())
    }

    /// A schema, after as many edits as the choices last, `most` at most.
    pub(crate) fn mutated(&self, choices: &mut Choices<'_>, most: usize) -> String {
        let schema = choices.of(&self.0);
        let mut tokens: Vec<&str> = schema.tokens.iter().map(String::as_str).collect();
        for _ in 0..=choices.below(most) {
            if choices.is_empty() {
                break;
            }
            self.edit(&mut tokens, choices);
        }
        tokens.concat()
    }

    fn edit<'a>(&'a self, tokens: &mut Vec<&'a str>, choices: &mut Choices<'_>) {
        if tokens.is_empty() {
            return;
        }
        let at = choices.below(tokens.len());
        // What knows the language comes more often than what does not: that seldom leaves valid protobuf.
        let edit = choices.below(36);
        match if edit < 6 { edit } else { 6 + edit % 10 } {
            0 => tokens[at] = choices.word(WORDS),
            1 => tokens[at] = tokens[choices.below(tokens.len())],
            2 => {
                let other = choices.below(tokens.len());
                tokens.swap(at, other);
            }
            3 => {
                let end = (at + choices.below(12)).min(tokens.len());
                tokens.drain(at..end);
            }
            4 => {
                let (end, to) = ((at + choices.below(30)).min(tokens.len()), choices.below(tokens.len()));
                let copy: Vec<&str> = tokens[at..end].to_vec();
                tokens.splice(to..to, copy);
            }
            5 => {
                tokens.insert(at, " ");
                tokens.insert(at, choices.word(WORDS));
                tokens.insert(at, " ");
            }
            6 => {
                tokens.drain(line(tokens, at));
            }
            7 => {
                let line = line(tokens, at);
                let copy: Vec<&str> = tokens[line.clone()].to_vec();
                tokens.splice(line.end..line.end, copy);
            }
            8 => {
                let (from, copied) = (line(tokens, at), choices.below(tokens.len()));
                let moved: Vec<&str> = tokens[line(tokens, copied)].to_vec();
                tokens.splice(from.start..from.start, moved);
            }
            9 => replace(tokens, at, choices.word(NUMBERS), |word| {
                word.starts_with(|c: char| c.is_ascii_digit())
            }),
            10 => replace(tokens, at, choices.word(TYPES), |word| TYPES.contains(&word)),
            11 => replace(tokens, at, choices.word(TEXTS), |word| word.starts_with('"')),
            12 => {
                if let Some(end) = tokens.iter().skip(at).position(|token| *token == ";") {
                    tokens.insert(at + end, choices.word(ANNOTATIONS));
                }
            }
            13 => {
                let other = choices.of(&self.0);
                if !other.blocks.is_empty() {
                    let start = line(tokens, at).start;
                    tokens.insert(start, choices.of(&other.blocks).as_str());
                }
            }
            14 => replace(tokens, at, choices.word(NAMES), is_name),
            _ => {
                // The same name for two things.
                let name =
                    tokens.iter().skip(choices.below(tokens.len())).find(|word| is_name(word)).copied();
                if let Some(name) = name {
                    replace(tokens, at, name, is_name);
                }
            }
        }
    }
}

fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Replaces the first token from `at` on that is `meant`.
fn replace<'a>(tokens: &mut [&'a str], at: usize, with: &'a str, meant: impl Fn(&str) -> bool) {
    if let Some(token) = tokens.iter_mut().skip(at).find(|token| meant(token)) {
        *token = with;
    }
}

/// The line of the first `;` from a token on, with its end.
fn line(tokens: &[&str], at: usize) -> std::ops::Range<usize> {
    let at = tokens[at..].iter().position(|token| *token == ";").map_or(at, |next| at + next);
    let start = tokens[..at].iter().rposition(|token| token.contains('\n')).map_or(0, |end| end + 1);
    let end =
        tokens[at..].iter().position(|token| token.contains('\n')).map_or(tokens.len(), |end| at + end + 1);
    start..end
}

/// Words, texts in quotes, and single characters.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let (mut in_word, mut in_text) = (false, false);
    for c in text.chars() {
        let is_word = c.is_alphanumeric() || c == '_';
        match tokens.last_mut() {
            Some(token) if in_text || (is_word && in_word) => token.push(c),
            _ => tokens.push(c.to_string()),
        }
        in_word = is_word && !in_text;
        in_text = (c == '"') != in_text && c != '\n';
    }
    tokens
}

/// Every block with its head and comment-free of what is around it.
fn blocks(text: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    for (start, _) in text.match_indices('{') {
        let head = text[..start].rfind('\n').map_or(0, |end| end + 1);
        let mut depth = 0_usize;
        let end = text[start..].char_indices().find_map(|(at, c)| {
            depth = match c {
                '{' => depth + 1,
                '}' => depth.saturating_sub(1),
                _ => depth,
            };
            (depth == 0).then_some(start + at + 1)
        });
        if let Some(end) = end {
            blocks.push(format!("{}\n", &text[head..end]));
        }
    }
    blocks
}
