//! Every emitter against `wire/emitters.tsv`, by calling it and looking at what arrives, field by field and without the
//! generated code that sent it.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    collections::HashSet,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use events_sdk::{Events, Filter, Kind, Level, kinds};
use events_tests::{
    Rig, is_uuid_v7,
    samples::{Material, Sample, Visitor, each_kind},
    schema::{branch, compiled, decode_batch, events, get, text},
};
use prost_reflect::{DynamicMessage, EnumDescriptor, MapKey, ReflectMessage, Value};

const PATIENCE: Duration = Duration::from_secs(20);

/// A line of the table.
struct Row {
    emitter: String,
    category: String,
    path: String,
    payload: String,
    source: String,
    level: Option<String>,
}

fn table() -> Vec<Row> {
    let text = include_str!("../wire/emitters.tsv");
    let mut lines = text.lines().map(|line| line.split('\t').map(str::to_owned).collect::<Vec<_>>());
    assert_eq!(lines.next().unwrap(), ["emitter", "category", "oneof_path", "payload", "source", "level"]);
    lines
        .map(|line| {
            let [emitter, category, path, payload, source, level] = line.try_into().unwrap();
            let level = level.strip_prefix("fixed ").map(str::to_owned);
            Row { emitter, category, path, payload, source, level }
        })
        .collect()
}

#[test]
fn the_kinds_are_those_of_the_emitter_table() {
    let table = table();
    assert_eq!(kinds::ALL.len(), table.len());
    for (row, kind) in table.iter().zip(kinds::ALL) {
        assert_eq!(format!("emit_{}", kind.name), row.emitter);
        assert_eq!(kind.category_name.to_uppercase(), row.category, "{}", row.emitter);
        assert_eq!(kind.payload, format!("rodent.events.{}", row.payload), "{}", row.emitter);
        assert_eq!(kind.source, row.source, "{}", row.emitter);
        assert_eq!(kind.level.map(|level| level.name().to_uppercase()), row.level, "{}", row.emitter);
    }
}

/// What a call was given, and a look at the payload that came of it.
struct Call {
    kind: &'static Kind,
    level: Level,
    matches: Box<dyn Fn(&DynamicMessage)>,
}

/// Calls every emitter once.
struct Caller<'a> {
    events: &'a Events,
    material: Material<'a>,
    calls: Vec<Call>,
}

impl<'a> Visitor<'a> for Caller<'a> {
    fn visit<P: Sample<'a>>(&mut self, kind: &'static Kind) {
        let level = Level::ALL[self.calls.len() % Level::ALL.len()];
        let payload = P::made_of(&self.material);
        let ticket =
            payload.emit(self.events, level, [("kind", kind.name), ("größe", "½ TiB"), ("leer", "")]);
        assert!(ticket.is_queued(), "{}: {:?}", kind.name, ticket.outcome());
        let sent = P::Proto::from(payload);
        let matches = Box::new(move |arrived: &DynamicMessage| {
            let arrived: P::Proto = arrived.transcode_to().unwrap();
            assert!(arrived == sent, "{}: {sent:?} was sent, {arrived:?} arrived", kind.name);
        });
        self.calls.push(Call { kind, level, matches });
    }
}

#[test]
fn what_every_emitter_sends_arrives_as_the_table_says() {
    let rig = Rig::with(|config| config.filter = Filter::from_min_level(Level::Trace));
    // More words and numbers than a payload has fields, all of them different, so that no two fields can be mixed up.
    let words: Vec<String> = (0..40).map(|number| format!("wörd {number}")).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let pairs: Vec<_> = words.iter().copied().zip(words.iter().rev().copied()).collect();
    let numbers: Vec<u64> = (0..37).map(|number| 1 + 3 * number).collect();
    let material = Material::new(&words, &pairs, &numbers);

    let mut caller = Caller { events: &rig.events, material, calls: Vec::new() };
    let before = now_ms();
    each_kind(&mut caller);
    let after = now_ms();
    let calls = caller.calls;
    let called: Vec<_> = calls.iter().map(|call| call.kind.name).collect();
    let all: Vec<_> = kinds::ALL.iter().map(|kind| kind.name).collect();
    assert_eq!(called, all, "the list in tests/src/samples.rs and the schema differ");

    assert!(rig.toggle.wait_for_events(calls.len(), PATIENCE), "{:#?}", rig.events.stats());
    let pool = compiled();
    // Batches may overtake each other, ids tell the order.
    let batches = rig.toggle.batches();
    let bodies = batches.iter().filter_map(|received| received.body());
    let mut arrived: Vec<_> = bodies.flat_map(|body| events(&decode_batch(&pool, body))).collect();
    arrived.sort_by_key(|event| text(event, "event_id"));
    assert_eq!(arrived.len(), calls.len());

    let levels = pool.get_enum_by_name("rodent.events.EventLevel").unwrap();
    let categories = pool.get_enum_by_name("rodent.events.EventCategory").unwrap();
    let name = |names: &EnumDescriptor, number: &Value| {
        names.get_value(number.as_enum_number().unwrap()).unwrap().name().to_owned()
    };
    let mut ids = HashSet::new();
    for ((event, call), row) in arrived.iter().zip(&calls).zip(table()) {
        let metadata = get(event, "metadata");
        let metadata = metadata.as_map().unwrap();
        let key = |key: &str| metadata[&MapKey::String(key.to_owned())].as_str().unwrap().to_owned();
        assert_eq!(key("kind"), call.kind.name, "ids are in the order of the calls");
        assert_eq!((key("größe"), key("leer"), metadata.len()), ("½ TiB".to_owned(), String::new(), 3));

        let id = text(event, "event_id");
        assert!(is_uuid_v7(&id), "{id}");
        assert!(ids.insert(id));
        let timestamp = get(event, "timestamp").as_i64().unwrap();
        assert!((before..=after).contains(&timestamp), "{before} <= {timestamp} <= {after}");
        assert_eq!(text(event, "source"), row.source, "{}", row.emitter);
        let category = name(&categories, &get(event, "category"));
        assert_eq!(category, format!("EVENT_CATEGORY_{}", row.category), "{}", row.emitter);
        let level = row.level.unwrap_or_else(|| call.level.name().to_uppercase());
        assert_eq!(name(&levels, &get(event, "level")), format!("EVENT_LEVEL_{level}"), "{}", row.emitter);

        let (outer, category) = branch(event);
        let (inner, payload) = branch(&category);
        assert_eq!(format!("{}.{}", outer.name(), inner.name()), row.path);
        assert_eq!(payload.descriptor().name(), row.payload);
        for field in payload.descriptor().fields() {
            assert!(payload.has_field(&field), "{} was sent without {}", row.emitter, field.name());
        }
        (call.matches)(&payload);
    }
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}
