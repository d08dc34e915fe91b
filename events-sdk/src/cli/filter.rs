//! Which events are meant.

use std::str::FromStr;

use clap::Args;
use prost_reflect::{FieldDescriptor, Kind as Type, MessageDescriptor};

use super::{event::Facts, failure::Failure, names, out::note, schema::Schema, shown::ShownEvent, time};
use crate::{Category, Kind, Level, kinds};

/// Which events are meant; without any of these, all.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Which events")]
pub(super) struct Filter {
    /// This level and graver ones
    #[arg(long, value_name = "LEVEL", value_parser = names::level, help = names::level_help("This level and graver ones"))]
    pub(super) level: Option<Level>,
    /// These categories, by comma
    #[arg(long, value_name = "CATEGORY", value_delimiter = ',', value_parser = names::category, help = names::category_help("These categories, by comma"))]
    pub(super) category: Vec<Category>,
    /// These sources, by comma: zfs-pool-manager
    #[arg(long, value_name = "SOURCE", value_delimiter = ',')]
    pub(super) source: Vec<String>,
    /// These kinds, by comma: storage.pool
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = names::kind)]
    pub(super) kind: Vec<&'static Kind>,
    /// Emitted at this time or later: RFC 3339, or how long ago (15m, 2h, 3d)
    #[arg(long, value_name = "TIME", value_parser = time::when, allow_hyphen_values = true)]
    pub(super) since: Option<i64>,
    /// Emitted before this time
    #[arg(long, value_name = "TIME", value_parser = time::when, allow_hyphen_values = true)]
    pub(super) until: Option<i64>,
    /// A field of the payload or, with meta., of the metadata has this value: pool_name=tank, meta.task=t-42
    #[arg(long, value_name = "NAME=VALUE")]
    pub(super) field: Vec<FieldIs>,
}

/// A field and the value it must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FieldIs {
    path: String,
    value: String,
}

impl FromStr for FieldIs {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((path, value)) if !path.is_empty() => {
                Ok(Self { path: path.to_owned(), value: value.to_owned() })
            }
            _ => {
                Err(format!("`{text}` is no condition: write a field and its value, such as pool_name=tank"))
            }
        }
    }
}

/// Whether such a message has a field at this path.
fn has_field(message: &MessageDescriptor, path: &str) -> bool {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    message.get_field_by_name(name).is_some_and(|field| match (field.kind(), rest) {
        (_, None) => true,
        (Type::Message(inner), Some(rest)) => field.is_map() || has_field(&inner, rest),
        (_, Some(_)) => false,
    })
}

impl Filter {
    /// Fails where a field is named that none of the events can have: what this schema does not know is never shown. A source may be
    /// that of a newer agent, or of somebody else, and is only told.
    pub(super) fn check(&self, schema: &Schema) -> Result<(), Failure> {
        time::must_be_a_range(self.since, self.until)?;
        let meant = if self.kind.is_empty() { kinds::ALL } else { &self.kind };
        let payloads = meant.iter().map(|kind| schema.payload(kind)).collect::<Result<Vec<_>, _>>()?;
        let paths = self.field.iter().map(|field| field.path.as_str());
        for path in paths.filter(|path| !path.starts_with("meta.") && !path.starts_with("metadata.")) {
            if payloads.iter().any(|payload| has_field(payload, path)) {
                continue;
            }
            let names: Vec<_> = payloads.iter().flat_map(MessageDescriptor::fields).collect();
            let hint = names::meant(path, names.iter().map(FieldDescriptor::name));
            return Err(Failure::Usage(format!(
                "`{path}` is no field of these events{hint} (`events kinds KIND` lists those of a kind; a key of the metadata is meta.KEY)"
            )));
        }
        for source in &self.source {
            if !kinds::ALL.iter().any(|kind| kind.source == source) {
                let hint = names::meant(source, kinds::ALL.iter().map(|kind| kind.source));
                note(&format!("`{source}` is no source that this version knows{hint}"));
            }
        }
        Ok(())
    }

    /// Whether the event is meant, as far as its envelope says.
    pub(super) fn wants(&self, schema: &Schema, facts: &Facts<'_>) -> bool {
        let grave = |level: Level| facts.known_level().is_some_and(|of| of.severity() >= level.severity());
        self.level.is_none_or(grave)
            && self.wants_category(facts.category)
            && (self.source.is_empty() || self.source.iter().any(|source| source == facts.source))
            && self.since.is_none_or(|since| facts.timestamp_ms >= since)
            && self.until.is_none_or(|until| facts.timestamp_ms < until)
            && (self.kind.is_empty() || self.wants_kind(schema, facts))
    }

    /// Whether the event is meant, as far as its fields say.
    pub(super) fn wants_fields(&self, event: &ShownEvent<'_>) -> bool {
        self.field.iter().all(|field| event.has(&field.path, &field.value))
    }

    /// Whether the fields of an event matter.
    pub(super) fn needs_fields(&self) -> bool {
        !self.field.is_empty()
    }

    fn wants_category(&self, number: i32) -> bool {
        self.category.is_empty() || self.category.iter().any(|category| category.number() == number)
    }

    fn wants_kind(&self, schema: &Schema, facts: &Facts<'_>) -> bool {
        schema.kind(facts.fields).is_some_and(|kind| self.kind.iter().any(|wanted| wanted.name == kind.name))
    }
}
