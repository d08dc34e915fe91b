//! From descriptors to the model.
//!
//! Reads what is there and judges nothing: what is missing or odd is recorded in the model, and
//! [`check`](crate::check) says what is wrong with it. Envelopes count only in the files that were asked for, so that a
//! schema that imports ours gets emitters for its own events.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use prost_reflect::{
    DescriptorPool, FieldDescriptor, FileDescriptor, Kind, MessageDescriptor, OneofDescriptor,
};

use crate::annotations;
use crate::beside::beside;
use crate::compile::Compiled;
use crate::fingerprint::fingerprint;
use crate::imports;
use crate::misplaced::misplaced;
use crate::model::{Category, Envelope, EnvelopeField, EventKind, Schema};
use crate::names;
use crate::opt_out;
use crate::origin::Origin;
use crate::read_types::Types;
use crate::source::Sources;
use crate::wire_names;

/// Reads the schema of the files that were asked for.
pub(crate) fn read(compiled: &Compiled) -> Schema {
    let Compiled { pool, roots, on_disk: paths, .. } = compiled;
    let sources = Sources::new(compiled);
    let files: Vec<FileDescriptor> = roots.iter().filter_map(|name| pool.get_file_by_name(name)).collect();
    let all: Vec<MessageDescriptor> = files.iter().flat_map(messages).collect();
    // What events are made of, and beside it all that does not need to know it.
    let (around, Schema { envelopes, strays, messages, enums, .. }) = beside(
        || Schema {
            roots: roots.clone(),
            fingerprint: fingerprint(all.iter().filter(|message| annotations::envelope(message)).cloned()),
            unused_imports: imports::unused(&files, &sources),
            allows: files.iter().flat_map(|file| opt_out::read(file, &sources)).collect(),
            files: files.iter().map(|file| sources.path(file)).collect(),
            same_modules: same_modules(pool, paths, &sources),
            nameless: nameless(pool, paths, &sources),
            ..Schema::default()
        },
        || events(&all, &sources),
    );
    let twins = wire_names::twins(pool, paths, &sources, &messages, &enums);
    let of_events: Vec<_> = all.iter().filter(|message| annotations::envelope(message)).collect();
    let misplaced = misplaced(&of_events, &messages, &enums, pool, &sources);
    let mut schema = Schema { envelopes, messages, enums, strays, misplaced, twins, ..around };
    schema.index();
    schema
}

/// The envelopes among these messages, the payloads that none of them reaches, and what the others are made of.
fn events(all: &[MessageDescriptor], sources: &Sources<'_>) -> Schema {
    let mut types = Types::new(sources);
    let envelopes: Vec<Envelope> = all
        .iter()
        .filter(|message| annotations::envelope(message))
        .map(|m| envelope(m, &mut types, sources))
        .collect();
    let reached: BTreeSet<&str> =
        envelopes.iter().flat_map(|envelope| &envelope.kinds).map(|kind| kind.payload.as_str()).collect();
    let strays = all
        .iter()
        .filter(|message| is_payload(message) && !reached.contains(message.full_name()))
        .map(|message| (message.name().to_owned(), sources.message(message)))
        .collect();
    let (messages, enums) = types.finish();
    Schema { envelopes, strays, messages, enums, ..Schema::default() }
}

/// All messages of a file, each before those inside it.
pub(crate) fn messages(file: &FileDescriptor) -> Vec<MessageDescriptor> {
    let mut out = Vec::new();
    let mut open: Vec<MessageDescriptor> = file.messages().collect();
    open.reverse();
    while let Some(message) = open.pop() {
        if message.is_map_entry() {
            continue;
        }
        let inner: Vec<_> = message.child_messages().collect();
        open.extend(inner.into_iter().rev());
        out.push(message);
    }
    out
}

fn is_payload(message: &MessageDescriptor) -> bool {
    annotations::event(message).is_some()
        || (message.parent_message().is_none() && message.name().ends_with(names::PAYLOAD_SUFFIX))
}

fn envelope(message: &MessageDescriptor, types: &mut Types<'_>, sources: &Sources<'_>) -> Envelope {
    let enum_of = |name: &str| match message.get_field_by_name(name)?.kind() {
        Kind::Enum(one) => Some(one),
        _ => None,
    };
    let (levels, categories) = (enum_of("level"), enum_of("category"));
    let mut envelope = Envelope {
        full_name: message.full_name().to_owned(),
        origin: sources.message(message),
        fields: Vec::new(),
        oneofs: real_oneofs(message).map(|oneof| sources.oneof(&oneof)).collect(),
        levels: levels.map(|one| types.enumeration(&one)),
        categories: categories.as_ref().map(|one| types.enumeration(one)),
        branches: Vec::new(),
        kinds: Vec::new(),
    };
    for field in message.fields() {
        if real_oneof(&field).is_none() {
            envelope.fields.push(EnvelopeField {
                number: field.number(),
                name: field.name().to_owned(),
                ty: proto_type(&field),
                origin: sources.field(&field),
            });
            continue;
        }
        let name = names::category(field.name()).to_owned();
        let value =
            categories.as_ref().map_or_else(|| name.clone(), |one| names::enum_value(one.name(), &name));
        let number =
            categories.as_ref().and_then(|one| one.get_value_by_name(&value)).map(|value| value.number());
        let mut category = Category {
            name,
            field: field.name().to_owned(),
            tag: field.number(),
            value,
            number,
            origin: sources.field(&field),
            unfit: Vec::new(),
            is_message: false,
        };
        if let Kind::Message(branch) = field.kind() {
            category.is_message = true;
            category.unfit = branch
                .fields()
                .filter(|leaf| real_oneof(leaf).is_none() || !matches!(leaf.kind(), Kind::Message(_)))
                .map(|leaf| (leaf.name().to_owned(), sources.field(&leaf)))
                .collect();
            envelope.kinds.extend(kinds(&branch, &category, types, sources));
        }
        envelope.branches.push(category);
    }
    envelope
}

fn kinds(
    branch: &MessageDescriptor,
    category: &Category,
    types: &mut Types<'_>,
    sources: &Sources<'_>,
) -> Vec<EventKind> {
    let mut kinds = Vec::new();
    for leaf in branch.fields().filter(|leaf| real_oneof(leaf).is_some()) {
        let Kind::Message(payload) = leaf.kind() else { continue };
        let here = annotations::emitter(&leaf).unwrap_or_default();
        let place = |said: bool, key| match said {
            true => annotations::emitter_place(sources, &leaf, key),
            false => annotations::event_place(sources, &payload, key),
        };
        let level_origin = place(here.level.is_some(), "level");
        let name_origin = place(here.name.is_some(), "name");
        let options = here.or(annotations::event(&payload).unwrap_or_default());
        let named = options.name.is_some();
        let level_origin = if options.level.is_some() { level_origin } else { sources.message(&payload) };
        types.message(&payload);
        kinds.push(EventKind {
            emitter: options.name.unwrap_or_else(|| names::emitter(payload.name())),
            category: category.clone(),
            payload: payload.full_name().to_owned(),
            tag: leaf.number(),
            source: options.source,
            level: options.level,
            owner: options.owner,
            since: options.since,
            durability: options.durability.unwrap_or_default(),
            deprecated: annotations::deprecated(&leaf.options()),
            origin: sources.field(&leaf),
            payload_origin: sources.message(&payload),
            level_origin,
            name_origin: if named { name_origin } else { sources.message(&payload) },
        });
    }
    kinds
}

/// The oneof that a field was written in. `optional` makes one of its own, which nobody wrote.
pub(crate) fn real_oneof(field: &FieldDescriptor) -> Option<OneofDescriptor> {
    match field.field_descriptor_proto().proto3_optional() {
        true => None,
        false => field.containing_oneof(),
    }
}

pub(crate) fn real_oneofs(message: &MessageDescriptor) -> impl Iterator<Item = OneofDescriptor> + '_ {
    message.oneofs().filter(|oneof| oneof.fields().any(|field| real_oneof(&field).is_some()))
}

/// A field's type as a .proto file would say it.
fn proto_type(field: &FieldDescriptor) -> String {
    let name = |kind: &Kind| match kind {
        Kind::Message(message) => message.full_name().to_owned(),
        Kind::Enum(one) => format!("enum {}", one.full_name()),
        scalar => format!("{scalar:?}").to_lowercase(),
    };
    match field.kind() {
        Kind::Message(entry) if field.is_map() => {
            let (key, value) = (entry.map_entry_key_field().kind(), entry.map_entry_value_field().kind());
            format!("map<{}, {}>", name(&key), name(&value))
        }
        kind if field.is_list() => format!("repeated {}", name(&kind)),
        kind if field.field_descriptor_proto().proto3_optional() => format!("optional {}", name(&kind)),
        kind => name(&kind),
    }
}

/// Messages of the files on disk whose types inside would lie in a module that a package has already: prost makes a module
/// of either.
fn same_modules(
    pool: &DescriptorPool,
    paths: &BTreeMap<String, PathBuf>,
    sources: &Sources<'_>,
) -> Vec<(String, String, Origin)> {
    let module = |name: &str| -> Vec<String> { name.split('.').map(names::snake).collect() };
    let files: Vec<FileDescriptor> = pool.files().filter(|file| paths.contains_key(file.name())).collect();
    let mut packages: BTreeMap<Vec<String>, String> = BTreeMap::new();
    for file in &files {
        let module = module(file.package_name());
        for depth in 1..=module.len() {
            let above = module.iter().take(depth).cloned().collect();
            packages.entry(above).or_insert_with(|| file.package_name().to_owned());
        }
    }
    let all = files.iter().flat_map(messages).filter(wire_names::has_module);
    all.filter_map(|message| {
        let package = packages.get(&module(message.full_name()))?.clone();
        Some((message.full_name().to_owned(), package, sources.message(&message)))
    })
    .collect()
}

/// Where a file says its package.
const PACKAGE_PATH: i32 = 2;

/// Names in the files on disk that leave nothing to name a Rust item with, such as `_`.
fn nameless(
    pool: &DescriptorPool,
    paths: &BTreeMap<String, PathBuf>,
    sources: &Sources<'_>,
) -> Vec<(String, Origin)> {
    let empty = |name: &str| names::snake(name).is_empty();
    let mut found = Vec::new();
    for file in pool.files().filter(|file| paths.contains_key(file.name())) {
        if !file.package_name().is_empty() && file.package_name().split('.').any(empty) {
            found.push((file.package_name().to_owned(), sources.origin(&file, &[PACKAGE_PATH])));
        }
        for service in file.services() {
            let place = || sources.origin(&file, service.path());
            found.extend(empty(service.name()).then(|| (service.name().to_owned(), place())));
            found.extend(
                service
                    .methods()
                    .filter(|method| empty(method.name()))
                    .map(|method| (method.name().to_owned(), sources.origin(&file, method.path()))),
            );
        }
        for message in messages(&file) {
            if empty(message.name()) {
                found.push((message.name().to_owned(), sources.message(&message)));
            }
            found.extend(
                message
                    .fields()
                    .filter(|f| empty(f.name()))
                    .map(|f| (f.name().to_owned(), sources.field(&f))),
            );
            found.extend(
                message
                    .oneofs()
                    .filter(|o| empty(o.name()))
                    .map(|o| (o.name().to_owned(), sources.oneof(&o))),
            );
        }
        let nested =
            messages(&file).into_iter().flat_map(|message| message.child_enums().collect::<Vec<_>>());
        for one in file.enums().chain(nested) {
            if empty(one.name()) {
                found.push((one.name().to_owned(), sources.enumeration(&one)));
            }
            found.extend(
                one.values().filter(|v| empty(v.name())).map(|v| (v.name().to_owned(), sources.value(&v))),
            );
        }
    }
    found
}
