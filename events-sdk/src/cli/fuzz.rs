//! Arguments that nobody would type, and events that no emitter would make. See [`crate::fuzz`].

use std::sync::LazyLock;

use clap::Parser;
use prost::Message;
use prost_reflect::{DynamicMessage, ReflectMessage};

use super::{
    args::Args,
    event::Facts,
    filter::{FieldIs, Filter},
    names,
    out::{is_unsafe, visible},
    personal,
    schema::Schema,
    shown::ShownEvent,
    time,
    value::Payload,
};
use crate::{
    Config, Pii,
    fuzz::{Choices, MOST_EDITS, edit, edit_text, target},
    kinds,
};

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema::load().map_err(|_| "broken").unwrap());

/// An event of each kind, with something in each field that a command line can give.
static EVENTS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let event = |kind: &&'static crate::Kind| {
        let mut payload =
            Payload::new(&SCHEMA, DynamicMessage::new(SCHEMA.payload(kind).map_err(|_| ()).unwrap()));
        for (path, text) in fields(kind) {
            // One of a oneof is enough, and not every type takes every text.
            let _ = payload.set(&path, &text);
        }
        let payload = payload.end().unwrap().encode_to_vec();
        let envelope = crate::proto::events::Event {
            event_id: "0190c000-0000-7000-8000-000000005eed".to_owned(),
            level: 1,
            category: kind.category.into(),
            source: kind.source.to_owned(),
            timestamp: 1_700_000_000_000,
            metadata: [("task".to_owned(), "t-42".to_owned())].into(),
            event_payload: None,
        };
        let mut body = envelope.encode_to_vec();
        body.extend(framed(kind.category_tag, &framed(kind.kind_tag, &payload)));
        body
    };
    kinds::ALL.iter().map(event).collect()
});

fn framed(tag: &[u8], value: &[u8]) -> Vec<u8> {
    let mut field = tag.to_vec();
    prost::encoding::encode_varint(value.len() as u64, &mut field);
    field.extend_from_slice(value);
    field
}

/// Fields of a kind, with a value for each.
fn fields(kind: &crate::Kind) -> Vec<(String, String)> {
    let payload = SCHEMA.payload(kind).map_err(|_| ()).unwrap();
    let fields = payload.fields().map(|field| {
        let path = if field.is_map() { format!("{}.key", field.name()) } else { field.name().to_owned() };
        let value = super::kinds::values(&field).first().cloned().unwrap_or_else(|| "7".to_owned());
        (path, value)
    });
    fields.collect()
}

const WORDS: &[&str] = &[
    "",
    ".",
    "=",
    ",",
    "-",
    "_",
    " ",
    "meta.",
    "metadata.",
    "storage.pool",
    "emit_",
    "tank",
    "CREATED",
    "UNSPECIFIED",
    "true",
    "-1",
    "0",
    "1e999",
    "nan",
    "-inf",
    "2147483648",
    "9223372036854775807",
    "18446744073709551615",
    "99999999999999999999",
    "15m",
    "2h ago",
    "9223372036854775807w",
    "2026-01-31T12:00:00Z",
    "9999-12-31T23:59:59.999999999Z",
    "-0001-01-01T00:00:00Z",
    "99999999999-01-01T00:00:00+99:99",
    "1970-01-01",
    "T24:60:61",
    "+23:59",
    "\u{1b}[2J",
    "\u{202e}",
    "\u{0}",
    "\n",
    "é",
    "\u{10ffff}",
    "\"",
    "'",
    "\\",
    "(",
    ")",
    "[",
    "]",
    "{1000}",
    "*",
    "+",
    "(?i)",
    "\\p{L}",
    "^$",
];

fn text(choices: &mut Choices<'_>) -> String {
    let mut text = choices.word(WORDS).to_owned();
    for _ in 0..choices.below(MOST_EDITS) {
        edit_text(&mut text, WORDS, choices);
    }
    text
}

/// A complaint goes to a terminal by way of [`visible`]; it is to be short enough to read.
fn complaint(text: &str) {
    assert!(!visible(text).chars().any(is_unsafe) && text.len() < 16 << 10, "{text:?}");
}

/// The values of arguments, each by its own parser.
fn values(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let text = text(&mut choices);
    for result in [
        names::kind(&text).map(drop),
        names::level(&text).map(drop),
        names::category(&text).map(drop),
        text.parse::<FieldIs>().map(drop),
    ] {
        result.unwrap_or_else(|text| complaint(&text));
    }
    match time::span(&text) {
        Ok(span) => assert!(span >= 0),
        Err(text) => complaint(&text),
    }
    match time::when(&text) {
        Ok(when) => {
            let shown = time::show(when);
            assert!(!shown.chars().any(is_unsafe) && !time::age(when).is_empty());
            // What is shown can be given again, where its year has four digits.
            if (-62_135_596_800_000..253_402_300_800_000).contains(&when) {
                assert_eq!(time::when(&shown), Ok(when), "{shown}");
            }
        }
        Err(text) => complaint(&text),
    }
}

/// A whole command line, as far as it is read before anything is done.
fn command_line(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let commands: [&[&str]; 8] = [
        &["emit", "storage.pool", "--level", "warn", "pool_name=tank", "operation=CREATED"],
        &["spool", "grep", "tank", "--since", "15m", "--until", "2026-01-31T12:00:00Z"],
        &["spool", "cat", "--level", "warn", "--kind", "storage.pool", "--field", "pool_name=tank"],
        &["spool", "--spool", "x", "ls", "--json"],
        &["spool", "prune", "--older-than", "3d"],
        &["spool", "export", "--format", "json", "--out", "x"],
        &["kinds", "storage.pool"],
        &["completions", "bash"],
    ];
    let mut line: Vec<String> =
        ["events"].iter().chain(*choices.of(&commands)).map(|it| (*it).to_owned()).collect();
    for _ in 0..choices.below(MOST_EDITS) {
        let at = 1 + choices.below(line.len());
        match choices.below(3) {
            0 => line.insert(at.min(line.len()), text(&mut choices)),
            1 if at < line.len() => edit_text(&mut line[at], WORDS, &mut choices),
            _ => line.truncate(at.max(1)),
        }
    }
    // What clap makes of it is either a command or a text.
    if let Err(error) = Args::try_parse_from(&line) {
        let _ = error.render().to_string();
    }
}

/// The fields of a payload on the command line.
fn emit(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let kind = *choices.of(kinds::ALL);
    let mut payload =
        Payload::new(&SCHEMA, DynamicMessage::new(SCHEMA.payload(kind).map_err(|_| ()).unwrap()));
    let mut given = fields(kind);
    for _ in 0..choices.below(MOST_EDITS) {
        let at = choices.below(given.len() + 1);
        match given.get_mut(at) {
            None => given.push((text(&mut choices), text(&mut choices))),
            Some((path, _)) if choices.below(3) == 0 => edit_text(path, WORDS, &mut choices),
            Some((_, value)) => *value = text(&mut choices),
        }
    }
    for (path, value) in &given {
        if let Err(text) = payload.set(path, value) {
            complaint(&text);
        }
    }
    let _ = payload.operation();
    match payload.end() {
        Ok(message) => {
            let descriptor = message.descriptor();
            let encoded = message.encode_to_vec();
            // Neither is the order of a map the same each time, nor any NaN equal to itself.
            let decoded = DynamicMessage::decode(descriptor.clone(), encoded.as_slice()).unwrap();
            assert_eq!(decoded.encoded_len(), encoded.len());
            let config = Config { pii: Pii::Drop, ..Config::default() };
            let treated = personal::treat(&SCHEMA, &config, &descriptor, encoded).map_err(|_| ()).unwrap();
            DynamicMessage::decode(descriptor, treated.as_slice()).unwrap();
        }
        Err(text) => complaint(&text),
    }
}

/// Any event is shown as one line of valid JSON and one line of text that commands no terminal.
fn rendering(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let mut event = choices.of(&EVENTS).clone();
    for _ in 0..choices.below(MOST_EDITS) {
        edit(&mut event, 0..usize::MAX, &mut choices);
    }
    show(&event, &mut choices);
    show(bytes, &mut choices);
    // Bytes as text in every place where one may stand.
    let text = String::from_utf8_lossy(bytes).into_owned();
    let event = crate::proto::events::Event {
        event_id: text.clone(),
        source: text.clone(),
        metadata: [(text.clone(), text.clone())].into(),
        timestamp: choices.byte().into(),
        ..Default::default()
    };
    show(&event.encode_to_vec(), &mut choices);
}

fn show(body: &[u8], choices: &mut Choices<'_>) {
    let facts = Facts::of(body);
    let filter = Filter {
        level: choices.yes().then_some(crate::Level::Info),
        kind: if choices.yes() { vec![kinds::ALL[0]] } else { Vec::new() },
        since: choices.yes().then_some(0),
        ..Filter::default()
    };
    let _ = filter.wants(&SCHEMA, &facts);
    let event = ShownEvent::of(&SCHEMA, facts, body, choices.yes());
    let _ = event.has("meta.task", "t-42") || event.has("pool_name", "7") || event.has("", "");
    let (json, line) = (event.json("x\u{1b}.pb"), event.plain());
    for text in [&json, &line] {
        assert!(!text.chars().any(is_unsafe), "{text:?}");
    }
    let parsed: serde_json::Value =
        serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}"));
    assert_eq!(parsed["event_id"], facts.id);
    assert_eq!(parsed["source"], facts.source);
    assert_eq!(parsed["timestamp_ms"], facts.timestamp_ms);
}

#[test]
fn any_value_of_an_argument_is_taken_or_refused() {
    target!("values", 64, values);
}

#[test]
fn any_command_line_is_taken_or_refused() {
    target!("command_lines", 64, command_line);
}

#[test]
fn any_fields_are_a_payload_or_their_mistakes_are_named() {
    target!("payloads", 96, emit);
}

#[test]
fn any_event_is_shown_as_valid_json_and_commands_no_terminal() {
    target!("shown", 96, rendering);
}
