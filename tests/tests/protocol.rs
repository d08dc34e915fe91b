//! The schema says what an existing Toggle understands: names, numbers and types as in `wire/protocol.tsv`, emitters
//! as in `wire/emitters.tsv`. Both tables were written down before the schema and are compared with its compiled
//! descriptors in both directions, so that neither can drift.
//!
//! What only this SDK uses is left out: annotations, the seal of a spill file, field numbers of 100 and above.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use heck::ToSnakeCase;
use prost_reflect::{
    Cardinality, DescriptorPool, DynamicMessage, EnumDescriptor, FieldDescriptor, FileDescriptor, Kind,
    MessageDescriptor, ServiceDescriptor, Value,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Field numbers from here on are ours: other readers skip them, and the table does not list them.
const FIRST_NUMBER_OF_OURS: u32 = 100;
/// Messages that only the SDK's own fields refer to, with all that is declared in them.
const MESSAGES_OF_OURS: [&str; 3] =
    ["rodent.BatchSeal", "rodent.LevelCount", "rodent.events.SystemEventsLostPayload"];
/// The file that speaks to the generator, not to Toggle.
const ANNOTATIONS: &str = "events/annotations.proto";

/// Rows by their key, both in the words of a table: the leading columns that name the thing, and the rest.
type Rows = BTreeMap<String, String>;

#[test]
fn names_numbers_types_labels_and_oneofs_are_those_of_the_protocol_table() {
    let table = rows("protocol.tsv", 3, 7);
    let schema = protocol(&compiled());
    assert!(!table.is_empty() && !schema.is_empty());
    let wrong = differences(&table, &schema);
    assert!(wrong.is_empty(), "proto/ and tests/wire/protocol.tsv differ:\n{}", wrong.join("\n"));
}

#[test]
fn the_annotations_give_the_emitters_of_the_emitter_table() {
    let table = rows("emitters.tsv", 1, 6);
    let schema = emitters(&compiled());
    assert!(!table.is_empty() && !schema.is_empty());
    let wrong = differences(&table, &schema);
    assert!(wrong.is_empty(), "proto/ and tests/wire/emitters.tsv differ:\n{}", wrong.join("\n"));
}

#[test]
fn a_difference_is_named_by_its_row() {
    let schema = protocol(&compiled());
    let key = "field\trodent.events.Event\ttimestamp";

    let mut table = schema.clone();
    table.insert(key.to_owned(), "5\tint32\t\t".to_owned());
    assert_eq!(
        differences(&table, &schema),
        ["field rodent.events.Event timestamp: the table says `5 int32`, the schema `5 int64`"]
    );

    table.remove(key);
    assert_eq!(
        differences(&table, &schema),
        ["field rodent.events.Event timestamp: not in the table, the schema says `5 int64`"]
    );
    assert_eq!(
        differences(&schema, &table),
        ["field rodent.events.Event timestamp: not in the schema, the table says `5 int64`"]
    );
}

#[test]
fn what_the_table_calls_deprecated_is_deprecated_and_nothing_else() {
    let marked: Vec<_> = lines("protocol.tsv")
        .into_iter()
        .filter(|columns| columns[7].contains("mark deprecated = true"))
        .map(|columns| format!("{}.{}", columns[1], columns[2]))
        .collect();
    let deprecated: Vec<_> = fields(&compiled())
        .filter(|field| field.field_descriptor_proto().options.as_ref().is_some_and(|o| o.deprecated()))
        .map(|field| field.full_name().to_owned())
        .collect();
    assert!(!marked.is_empty());
    assert_eq!(deprecated, marked);
}

#[test]
fn an_event_cannot_be_made_without_its_operation() {
    let pool = compiled();
    let of = |test: &dyn Fn(&FieldDescriptor) -> bool| -> Vec<_> {
        fields(&pool).filter(test).map(|field| field.full_name().to_owned()).collect()
    };
    let operations = of(&|field| field.name() == "operation");
    let required = of(&|field| rule(field, "required") == Some(Value::Bool(true)));
    assert!(!operations.is_empty());
    let optional: Vec<_> = operations.iter().filter(|name| !required.contains(name)).collect();
    assert!(optional.is_empty(), "operations that an event can do without: {optional:?}");
}

#[test]
fn mail_addresses_and_display_names_are_personal_data() {
    let pool = compiled();
    let kind = pool.get_enum_by_name("rodent.events.Sensitivity").unwrap();
    let personal = Value::EnumNumber(kind.get_value_by_name("SENSITIVITY_PII").unwrap().number());
    let named: Vec<_> =
        fields(&pool).filter(|field| matches!(field.name(), "email" | "display_name")).collect();
    assert!(!named.is_empty());
    for field in named {
        assert_eq!(rule(&field, "sensitivity").as_ref(), Some(&personal), "{}", field.full_name());
    }
}

#[test]
fn levels_are_ordered_by_severity_and_not_by_number() {
    let pool = compiled();
    let levels = pool.get_enum_by_name("rodent.events.EventLevel").unwrap();
    let mut order: Vec<_> = levels
        .values()
        .filter_map(|level| match extension(&pool, &level.options(), "severity")? {
            Value::U32(severity) => {
                Some((severity, level.name().trim_start_matches("EVENT_LEVEL_").to_owned()))
            }
            other => panic!("the severity of {} is {other:?}", level.name()),
        })
        .collect();
    order.sort();
    let (severities, names): (Vec<_>, Vec<_>) = order.into_iter().unzip();
    assert_eq!(names, ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "CRITICAL", "ESSENTIAL"]);
    assert_eq!(severities, [1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn only_the_event_is_an_envelope() {
    let pool = compiled();
    let envelopes: Vec<_> = pool
        .all_messages()
        .filter(|message| extension(&pool, &message.options(), "envelope") == Some(Value::Bool(true)))
        .map(|message| message.full_name().to_owned())
        .collect();
    assert_eq!(envelopes, ["rodent.events.Event"]);
}

/// The schema as build scripts see it.
fn compiled() -> DescriptorPool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto");
    let mut compiler = protox::Compiler::new([root]).unwrap();
    compiler.include_imports(true);
    compiler.open_files(["base.proto", "events/event_messages.proto"]).unwrap();
    compiler.descriptor_pool()
}

/// The data lines of a table, split into columns.
fn lines(table: &str) -> Vec<Vec<String>> {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "wire", table].iter().collect();
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut lines = text.lines().map(|line| line.split('\t').map(str::to_owned).collect::<Vec<_>>());
    let width = lines.next().map_or(0, |header| header.len());
    let lines: Vec<_> = lines.collect();
    for (index, line) in lines.iter().enumerate() {
        assert_eq!(line.len(), width, "{} line {}: wrong number of columns", path.display(), index + 2);
    }
    lines
}

/// A table's first `width` columns, of which the first `key` name the row.
fn rows(table: &str, key: usize, width: usize) -> Rows {
    let mut rows = Rows::new();
    for line in lines(table) {
        let twice = rows.insert(line[..key].join("\t"), line[key..width].join("\t"));
        assert_eq!(twice, None, "{table} lists {} twice", line[..key].join(" "));
    }
    rows
}

/// One sentence for each row that is not the same on both sides.
fn differences(table: &Rows, schema: &Rows) -> Vec<String> {
    let words = |columns: &str| columns.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut found = Vec::new();
    for (key, expected) in table {
        let (row, said) = (words(key), words(expected));
        match schema.get(key) {
            None => found.push(format!("{row}: not in the schema, the table says `{said}`")),
            Some(actual) if actual != expected => {
                found.push(format!("{row}: the table says `{said}`, the schema `{}`", words(actual)));
            }
            Some(_) => {}
        }
    }
    for (key, actual) in schema.iter().filter(|(key, _)| !table.contains_key(*key)) {
        found.push(format!("{}: not in the table, the schema says `{}`", words(key), words(actual)));
    }
    found
}

/// Everything in the schema that Toggle must understand, in the words of `protocol.tsv`.
fn protocol(pool: &DescriptorPool) -> Rows {
    let mut rows = Rows::new();
    for field in fields(pool).filter(|field| field.number() < FIRST_NUMBER_OF_OURS) {
        let oneof = field.containing_oneof().filter(|oneof| !oneof.is_synthetic());
        let key = format!("field\t{}\t{}", field.parent_message().full_name(), field.name());
        let oneof = oneof.map_or(String::new(), |oneof| oneof.name().to_owned());
        rows.insert(key, format!("{}\t{}\t{}\t{oneof}", field.number(), type_name(&field), label(&field)));
    }
    for kind in pool
        .all_enums()
        .filter(|kind| toggle_knows(&kind.parent_file()))
        .filter(|kind| !is_ours(kind.full_name()))
    {
        rows.extend(enum_rows(&kind));
    }
    for service in pool.services() {
        rows.extend(method_rows(&service));
    }
    rows
}

/// Whether it is one of our messages, or declared in one.
fn is_ours(name: &str) -> bool {
    let inside =
        |ours: &str| name.strip_prefix(ours).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    MESSAGES_OF_OURS.into_iter().any(inside)
}

fn enum_rows(kind: &EnumDescriptor) -> Rows {
    let row = |name: &str, number| (format!("enum\t{}\t{name}", kind.full_name()), format!("{number}\t\t\t"));
    kind.values().map(|value| row(value.name(), value.number())).collect()
}

fn method_rows(service: &ServiceDescriptor) -> Rows {
    let mut rows = Rows::new();
    for method in service.methods() {
        let streams = [
            method.is_client_streaming().then_some("client-stream"),
            method.is_server_streaming().then_some("server-stream"),
        ];
        let streams = streams.into_iter().flatten().collect::<Vec<_>>().join(" ");
        let (input, output) = (method.input(), method.output());
        rows.insert(
            format!("rpc\t/{}\t{}", service.full_name(), method.name()),
            format!("\t{}\t{}\t{streams}", input.full_name(), output.full_name()),
        );
    }
    rows
}

/// The emitters that the annotations ask for, in the words of `emitters.tsv`.
fn emitters(pool: &DescriptorPool) -> Rows {
    let mut rows = Rows::new();
    for category in pool.get_message_by_name("rodent.events.Event").unwrap().fields() {
        let (Some(_), Kind::Message(message)) = (category.containing_oneof(), category.kind()) else {
            continue;
        };
        for event in message.fields() {
            let Kind::Message(payload) = event.kind() else { panic!("{} is no message", event.full_name()) };
            let option = |key| event_option(pool, &event, &payload, key);
            let derived = payload.name().trim_end_matches("Payload").to_snake_case();
            let name = option("name").unwrap_or(derived);
            let level = option("level").map_or("caller".to_owned(), |level| format!("fixed {level}"));
            let source = option("source").unwrap_or_default();
            let branch = category.name().trim_end_matches("_event").to_uppercase();
            let path = format!("{}.{}", category.name(), event.name());
            let row = format!("{branch}\t{path}\t{}\t{source}\t{level}", payload.name());
            let twice = rows.insert(format!("emit_{name}"), row);
            assert_eq!(twice, None, "two events are called emit_{name}");
        }
    }
    rows
}

/// What an event's annotations say under one key: the oneof field's own go before the payload's.
fn event_option(
    pool: &DescriptorPool,
    event: &FieldDescriptor,
    payload: &MessageDescriptor,
    key: &str,
) -> Option<String> {
    [extension(pool, &event.options(), "emitter"), extension(pool, &payload.options(), "event")]
        .into_iter()
        .flatten()
        .filter_map(|options| options.as_message()?.get_field_by_name(key)?.as_str().map(str::to_owned))
        .find(|said| !said.is_empty())
}

/// What a field's annotation says under one key; `None` where it has none.
fn rule(field: &FieldDescriptor, key: &str) -> Option<Value> {
    let rules = extension(field.parent_pool(), &field.options(), "field")?;
    Some(rules.as_message()?.get_field_by_name(key)?.into_owned())
}

/// One of our options, where it is set.
fn extension(pool: &DescriptorPool, options: &DynamicMessage, name: &str) -> Option<Value> {
    let extension = pool.get_extension_by_name(&format!("rodent.events.{name}")).unwrap();
    options.has_extension(&extension).then(|| options.get_extension(&extension).into_owned())
}

/// The fields of all messages that Toggle knows.
fn fields(pool: &DescriptorPool) -> impl Iterator<Item = FieldDescriptor> {
    pool.all_messages()
        .filter(|message| toggle_knows(&message.parent_file()))
        .filter(|message| !message.is_map_entry() && !is_ours(message.full_name()))
        .flat_map(|message| message.fields().collect::<Vec<_>>())
}

fn toggle_knows(file: &FileDescriptor) -> bool {
    file.package_name() != "google.protobuf" && file.name() != ANNOTATIONS
}

fn label(field: &FieldDescriptor) -> &'static str {
    match field.cardinality() {
        _ if field.is_map() => "",
        Cardinality::Repeated => "repeated",
        Cardinality::Required => "required",
        Cardinality::Optional if field.field_descriptor_proto().proto3_optional() => "optional",
        Cardinality::Optional => "",
    }
}

fn type_name(field: &FieldDescriptor) -> String {
    match field.kind() {
        Kind::Message(entry) if field.is_map() => {
            let (key, value) = (entry.map_entry_key_field(), entry.map_entry_value_field());
            format!("map<{},{}>", type_name(&key), type_name(&value))
        }
        Kind::Message(message) => message.full_name().to_owned(),
        Kind::Enum(kind) => kind.full_name().to_owned(),
        scalar => format!("{scalar:?}").to_lowercase(),
    }
}
