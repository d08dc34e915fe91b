//! An event in one line, for a person.
//!
//! This is what a tool does that reads events of any schema: it knows no kind by name. The schema itself, as
//! descriptors, says which fields there are, what their values are called, and which are personal data.

use std::error::Error;

use events_sdk::{Level, kinds, proto::events::Event};
use prost::Message;
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage, Value,
};

/// The compiled schema: see `build.rs`.
const SCHEMA: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/schema.bin"));

/// The fields of a payload are shown up to this length; the rest becomes "…".
const FIELDS_WIDTH: usize = 90;

/// What stands for personal data, as in the `Debug` output of payloads.
const MASK: &str = "<pii>";

/// The number of `SENSITIVITY_PII`.
const PII: i32 = 2;

pub(crate) struct Describer {
    event: MessageDescriptor,
}

impl Describer {
    pub(crate) fn new() -> Result<Self, Box<dyn Error>> {
        let pool = DescriptorPool::decode(SCHEMA)?;
        let event =
            pool.get_message_by_name("rodent.events.Event").ok_or("the schema has no rodent.events.Event")?;
        Ok(Self { event })
    }

    /// Time, level, category, kind, source and the main fields.
    pub(crate) fn line(&self, event: &Event, colour: bool) -> Result<String, Box<dyn Error>> {
        let envelope = DynamicMessage::decode(self.event.clone(), event.encode_to_vec().as_slice())?;
        // The envelope's oneof holds the category, and the category's oneof the payload.
        let payload = held(&envelope).as_ref().and_then(held).ok_or("the event holds no payload")?;
        let full_name = payload.descriptor().full_name().to_owned();
        let kind = kinds::ALL
            .iter()
            .find(|kind| kind.payload == full_name)
            .ok_or("the SDK does not know the kind")?;
        let level = Level::from_number(event.level).map_or("?", Level::name).to_uppercase();
        Ok(format!(
            "{} {} {:13} {:20} {:27} {}",
            time_of_day(event.timestamp),
            paint(&format!("{level:9}"), event.level, colour),
            kind.category_name,
            kind.name,
            event.source,
            fields(&payload)
        ))
    }
}

/// The message in the oneof.
fn held(message: &DynamicMessage) -> Option<DynamicMessage> {
    let (_, value) = message.fields().find(|(field, _)| field.containing_oneof().is_some())?;
    value.as_message().cloned()
}

/// The fields that are set: what was done first, the others by number.
fn fields(payload: &DynamicMessage) -> String {
    let mut set: Vec<_> = payload.fields().collect();
    set.sort_by_key(|(field, _)| (field.name() != "operation", field.number()));
    let mut line = String::new();
    for (field, value) in set {
        let value = if is_pii(&field) { MASK.to_owned() } else { text(value, &field.kind()) };
        let next = if field.name() == "operation" { value } else { format!("{}={value}", field.name()) };
        if line.len() + next.len() > FIELDS_WIDTH {
            line.push_str(" …");
            break;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&next);
    }
    line
}

/// What the option `(field).sensitivity` says.
fn is_pii(field: &FieldDescriptor) -> bool {
    let Some(rules) = field.parent_pool().get_extension_by_name("rodent.events.field") else { return false };
    let options = field.options();
    let rules = options.get_extension(&rules);
    let sensitivity = rules.as_message().and_then(|rules| rules.get_field_by_name("sensitivity"));
    sensitivity.and_then(|value| value.as_enum_number()) == Some(PII)
}

fn text(value: &Value, kind: &Kind) -> String {
    match (value, kind) {
        (Value::EnumNumber(number), Kind::Enum(one)) => {
            // STORAGE_POOL_OPERATION_CREATED is "created": all values begin as the zero value does.
            let zero = one.default_value().name().to_owned();
            let prefix = zero.strip_suffix("UNSPECIFIED").unwrap_or_default();
            let name =
                one.get_value(*number).map_or_else(|| number.to_string(), |value| value.name().to_owned());
            name.strip_prefix(prefix).unwrap_or(&name).to_lowercase()
        }
        (Value::String(text), _) if text.contains(' ') => format!("{text:?}"),
        (Value::String(text), _) => text.clone(),
        (Value::List(values), _) => {
            let values: Vec<_> = values.iter().map(|value| text(value, kind)).collect();
            format!("[{}]", values.join(" "))
        }
        // Numbers and the like show themselves; maps are few.
        (Value::Map(pairs), _) => format!("{{{} entries}}", pairs.len()),
        (other, _) => other.to_string(),
    }
}

/// Hours to milliseconds, UTC.
fn time_of_day(timestamp_ms: i64) -> String {
    let ms = timestamp_ms.rem_euclid(24 * 60 * 60 * 1000);
    let seconds = ms / 1000;
    format!("{:02}:{:02}:{:02}.{:03}", seconds / 3600, seconds / 60 % 60, seconds % 60, ms % 1000)
}

/// Yellow for WARN, red above.
fn paint(text: &str, level: i32, colour: bool) -> String {
    match Level::from_number(level) {
        Some(Level::Warn) if colour => format!("\x1b[33m{text}\x1b[0m"),
        Some(Level::Error | Level::Critical) if colour => format!("\x1b[31m{text}\x1b[0m"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use events_sdk::proto::events::{IdentityEvent, IdentityUserPayload, event, identity_event};

    use super::*;

    fn event(payload: Option<IdentityUserPayload>) -> Event {
        let event_type = payload.map(identity_event::EventType::UserEvent);
        Event {
            level: Level::Warn.number(),
            source: "identity-manager".to_owned(),
            timestamp: 3_723_004,
            event_payload: Some(event::EventPayload::IdentityEvent(IdentityEvent { event_type })),
            ..Event::default()
        }
    }

    #[test]
    fn a_line_tells_the_event_and_masks_what_the_schema_calls_personal() {
        let user = IdentityUserPayload {
            username: "bob".to_owned(),
            email: "bob@example.net".to_owned(),
            groups: vec!["staff".to_owned(), "night shift".to_owned()],
            operation: 1,
            ..IdentityUserPayload::default()
        };
        let line = Describer::new().unwrap().line(&event(Some(user)), false).unwrap();
        let words: Vec<_> = line.split_whitespace().collect();
        assert_eq!(words[..5], ["01:02:03.004", "WARN", "identity", "identity_user", "identity-manager"]);
        assert!(line.ends_with(r#"created username=bob email=<pii> groups=[staff "night shift"]"#), "{line}");
    }

    #[test]
    fn an_event_without_a_payload_is_an_error() {
        assert!(Describer::new().unwrap().line(&event(None), false).is_err());
    }
}
