//! `events emit`: one event from a shell script, typed by the schema.
//!
//! It goes to Toggle if that answers soon enough, and into the spool otherwise, as one sealed file under a new name: for
//! that no lock is needed, and an agent that runs there takes it up within seconds. Both times the batch has the same id,
//! so that Toggle recognises an event whose answer was lost.

use std::{collections::HashMap, io::Write, path::PathBuf, sync::Arc, time::Duration};

use clap::Args;
use prost::Message;
use prost_reflect::{DynamicMessage, ReflectMessage};
use uuid::Uuid;

use super::{
    event::Facts,
    failure::{DONE, Failure},
    json::Object,
    names,
    out::{Out, note, visible},
    owner, personal,
    place::Where,
    schema::Schema,
    shown::ShownEvent,
    time,
    value::Payload,
};
use crate::{
    Batch, Config, Kind, Level, Uplink,
    generated::SCHEMA_FINGERPRINT,
    id::IdGenerator,
    metadata::{MASK, is_secret},
    proto,
    spool::{self, Quota, Sealing},
    uplink::{GrpcConfig, GrpcUplink},
};

/// Tag of `EventBatch.events`.
const EVENTS_TAG: u8 = 0x0A;

/// Metadata is written with this in front of its key.
const METADATA: &str = "meta.";

/// Emits an event.
#[derive(Debug, Args)]
#[command(after_help = "\
Example: events emit storage.pool --level warn pool_name=tank operation=CREATED meta.task=t-42
`events kinds storage.pool` lists the fields. A field that is given again and again is a list.
Exit code 0 says that Toggle has the event, or that it is safe in the spool, or that the configuration filters it out; \
2 that it is not what the schema says, or the configuration is wrong; 3 that it is lost.
Beside an agent whose spool has all that it may, an event in the spool may have to give way to graver ones; it is counted then.")]
pub(super) struct EmitArgs {
    /// The kind of event: storage.pool
    #[arg(value_parser = names::kind)]
    kind: &'static Kind,
    /// The payload's fields, and metadata with meta. in front
    #[arg(value_name = "FIELD=VALUE")]
    fields: Vec<String>,
    /// How serious it is; for kinds whose level the schema does not say
    #[arg(long, short, value_parser = names::level, help = names::level_help("How serious it is; for kinds whose level the schema does not say"))]
    level: Option<Level>,
    /// How long Toggle may take before the event goes into the spool, in seconds or with a unit (500ms, 2s); 0 leaves it there at once
    #[arg(long, default_value = "2s", value_name = "TIME", value_parser = time::seconds)]
    timeout: i64,
    /// Check and show the event as JSON, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Say nothing when all is well
    #[arg(long, short)]
    quiet: bool,
    /// One JSON object instead of a line of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    at: Where,
}

/// What became of the event.
enum Outcome {
    Delivered,
    Spooled(PathBuf),
    Filtered,
}

impl EmitArgs {
    pub(super) fn run(&self, out: &mut Out) -> Result<u8, Failure> {
        let schema = Schema::load()?;
        let now_ms = time::now_ms();
        let mut ids = IdGenerator::new();
        let event_id = ids.next(now_ms.unsigned_abs());
        let (level, metadata, payload) = self.event(&schema).map_err(|problem| {
            Failure::Usage(format!(
                "{problem}; nothing was emitted, `events kinds {}` lists its fields",
                names::of_kind(self.kind)
            ))
        })?;
        let descriptor = payload.descriptor();
        let payload = payload.encode_to_vec();
        self.at.configuration_directory()?;
        if self.dry_run {
            let body = self.encode(event_id, now_ms, level, metadata, &payload);
            writeln!(out, "{}", ShownEvent::of(&schema, Facts::of(&body), &body, true).json(""))?;
            return Ok(DONE);
        }
        let config = self.at.configuration()?;
        let payload = personal::treat(&schema, &config, &descriptor, payload)?;
        if !self.quiet {
            let mut masked: Vec<_> = metadata.keys().filter(|key| is_secret(key)).collect();
            masked.sort();
            for key in masked {
                note(&format!("`{METADATA}{key}` is sent as {MASK}: metadata is no place for secrets"));
            }
        }
        let body = self.encode(event_id, now_ms, level, metadata, &payload);
        let outcome = if config.filter.allows(self.kind.category, level) {
            self.deliver(&config, ids.next(now_ms.unsigned_abs()), now_ms, level, &body)?
        } else {
            Outcome::Filtered
        };
        if !self.quiet {
            self.tell(event_id, &outcome, out)?;
        }
        Ok(DONE)
    }

    /// The event as the schema has it: its level, its metadata and its payload.
    fn event(&self, schema: &Schema) -> Result<(Level, HashMap<String, String>, DynamicMessage), String> {
        let descriptor =
            schema.payload(self.kind).map_err(|failure| failure.text().unwrap_or_default().to_owned())?;
        let mut payload = Payload::new(schema, DynamicMessage::new(descriptor));
        let mut metadata = HashMap::new();
        for field in &self.fields {
            let (name, value) =
                field.split_once('=').ok_or_else(|| format!("`{field}` is no field: write NAME=VALUE"))?;
            match name.strip_prefix(METADATA) {
                Some(key) => {
                    let sent = if is_secret(key) { MASK } else { value };
                    if metadata.insert(key.to_owned(), sent.to_owned()).is_some() {
                        return Err(format!("`{name}` is given twice"));
                    }
                }
                None => payload.set(name, value)?,
            }
        }
        let operation = payload.operation();
        let payload = payload.end()?;
        let level = self.level(operation.and_then(|operation| schema.level_of(&operation)))?;
        Ok((level, metadata, payload))
    }

    /// The bytes of the event. The payload is laid into its category as bytes, because a personal field of it may have
    /// been written anew.
    fn encode(
        &self,
        id: Uuid,
        now_ms: i64,
        level: Level,
        metadata: HashMap<String, String>,
        payload: &[u8],
    ) -> Vec<u8> {
        let envelope = proto::events::Event {
            event_id: id.to_string(),
            level: level.number(),
            category: self.kind.category.into(),
            source: self.kind.source.to_owned(),
            timestamp: now_ms,
            metadata,
            event_payload: None,
        };
        let mut body = envelope.encode_to_vec();
        let kind = framed(self.kind.kind_tag, payload);
        body.extend(framed(self.kind.category_tag, &kind));
        body
    }

    fn level(&self, by_operation: Option<Level>) -> Result<Level, String> {
        let name = names::of_kind(self.kind);
        let fixed = self.kind.level.or(if self.kind.level_by_operation { by_operation } else { None });
        match (fixed, self.level) {
            (Some(fixed), Some(asked)) if fixed != asked => {
                Err(format!("events of the kind {name} have the level {fixed} here; leave --level out"))
            }
            (Some(level), _) | (None, Some(level)) => Ok(level),
            (None, None) => {
                let all: Vec<_> = Level::ALL.iter().map(|level| level.name()).collect();
                Err(format!("events of the kind {name} need --level (one of: {})", all.join(", ")))
            }
        }
    }

    fn deliver(
        &self,
        config: &Config,
        id: Uuid,
        now_ms: i64,
        level: Level,
        body: &[u8],
    ) -> Result<Outcome, Failure> {
        let entry = framed(&[EVENTS_TAG], body);
        let timeout = Duration::from_millis(self.timeout.unsigned_abs());
        let trouble = match (&config.toggle.endpoint, timeout) {
            (None, _) | (_, Duration::ZERO) => None,
            (Some(_), _) => match send(config, Batch::new(id, now_ms, entry.clone(), 1), timeout) {
                Ok(()) => return Ok(Outcome::Delivered),
                Err(trouble) => Some(trouble),
            },
        };
        let dir = self.at.directory()?;
        let sealing = Sealing {
            id,
            timestamp_ms: now_ms,
            whole: true,
            offered: false,
            fingerprint: SCHEMA_FINGERPRINT,
            ledger: 0,
        };
        let is_new = !dir.exists();
        let quota =
            Quota { max_bytes: config.spool_max_bytes as u64, min_free: config.spool_min_free_bytes as u64 };
        let left = spool::leave(&dir, quota, sealing, &entry, level.number(), |temp| {
            if is_new {
                owner::hand_over_directory(&dir)?;
            }
            owner::hand_over(&dir, temp)
        });
        match (left, trouble) {
            (Ok(path), trouble) => {
                if config.toggle.endpoint.is_none() && !self.quiet {
                    note("no Toggle is configured; the event waits in the spool");
                }
                if let Some(trouble) = trouble
                    && !self.quiet
                {
                    note(&format!("Toggle did not take the event: {trouble}"));
                }
                Ok(Outcome::Spooled(path))
            }
            (Err(error), trouble) => {
                let trouble = trouble.map(|trouble| format!("; Toggle did not take it: {trouble}"));
                Err(Failure::Broken(format!("the event is lost: {error}{}", trouble.unwrap_or_default())))
            }
        }
    }

    fn tell(&self, id: Uuid, outcome: &Outcome, out: &mut Out) -> Result<(), Failure> {
        let (word, path) = match outcome {
            Outcome::Delivered => ("delivered", None),
            Outcome::Spooled(path) => ("spooled", Some(path.display().to_string())),
            Outcome::Filtered => ("filtered", None),
        };
        if self.json {
            let object = Object::new().text("outcome", word).text("event_id", &id.to_string());
            let object = path.iter().fold(object, |object, path| object.text("file", path));
            writeln!(out, "{}", object.end())?;
        } else {
            writeln!(out, "{word} {}", path.map_or_else(|| id.to_string(), |path| visible(&path)))?;
        }
        Ok(())
    }
}

/// A field of bytes: its tag, its length, its value.
fn framed(tag: &[u8], value: &[u8]) -> Vec<u8> {
    let mut field = tag.to_vec();
    prost::encoding::encode_varint(value.len() as u64, &mut field);
    field.extend_from_slice(value);
    field
}

/// Sends one batch, once.
fn send(config: &Config, batch: Batch, timeout: Duration) -> Result<(), String> {
    let text = |error: &dyn std::error::Error| error.to_string();
    let mut grpc = GrpcConfig::from_toggle(&config.toggle).map_err(|error| text(&error))?;
    grpc.timeout = grpc.timeout.min(timeout);
    grpc.connect_timeout = grpc.connect_timeout.min(timeout);
    let uplink = GrpcUplink::new(grpc).map_err(|error| text(&error))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| text(&error))?;
    let sent = runtime.block_on(async { tokio::time::timeout(timeout, uplink.send(Arc::new(batch))).await });
    // Looking up a name may still hold a thread; nobody waits for it.
    runtime.shutdown_background();
    match sent {
        Ok(result) => result.map_err(|error| text(&error)),
        Err(_) => Err(format!("it did not answer within {} ms", timeout.as_millis())),
    }
}
