//! The schema as the generator sees it: envelopes, kinds of events, payload messages and enums.
//!
//! [`read`](crate::read) fills it from descriptors without judging: what an author left out is `None` here.
//! [`check`](crate::check) judges, and only a schema without errors reaches [`emit`](crate::emit). Neither of the two sees
//! a descriptor.

use std::collections::{BTreeSet, HashMap};

use crate::misplaced::Misplaced;
use crate::origin::Origin;
use crate::wire_names::Twin;

/// All that is generated from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Schema {
    /// The names of the files that were asked for, as `import` would name them.
    pub(crate) roots: Vec<String>,
    /// A number that changes with the schema's meaning, and with nothing else.
    pub(crate) fingerprint: u64,
    pub(crate) envelopes: Vec<Envelope>,
    /// The payload messages and every message inside them, in the order of first use.
    pub(crate) messages: Vec<Message>,
    /// The enums that the messages use, in the order of first use.
    pub(crate) enums: Vec<Enum>,
    /// Where in `messages` and `enums` each one is, by its full name.
    pub(crate) message_places: HashMap<String, usize>,
    pub(crate) enum_places: HashMap<String, usize>,
    /// Messages of the asked-for files that look like payloads and that no envelope reaches.
    pub(crate) strays: Vec<(String, Origin)>,
    /// Annotations that stand where they say nothing.
    pub(crate) misplaced: Vec<Misplaced>,
    /// Imports of the asked-for files of which they use nothing: file, place.
    pub(crate) unused_imports: Vec<(String, Origin)>,
    /// What the asked-for files allow.
    pub(crate) allows: Vec<Allow>,
    /// The asked-for files, as people know them.
    pub(crate) files: BTreeSet<String>,
    /// Messages with types inside, whose module would have the name of a package's: message, package, place.
    pub(crate) same_modules: Vec<(String, String, Origin)>,
    /// Things that would have the same name in one module of the wire types.
    pub(crate) twins: Vec<Twin>,
    /// Names that leave nothing to name a Rust item with.
    pub(crate) nameless: Vec<(String, Origin)>,
}

impl Schema {
    /// The level that `text` names: the value without the enum's name, in any case.
    pub(crate) fn level(&self, text: &str) -> Option<&EnumValue> {
        let mut levels = self.envelopes.iter().filter_map(|envelope| envelope.levels.as_ref());
        levels.find_map(|one| one.values.iter().find(|value| value.short.eq_ignore_ascii_case(text)))
    }

    pub(crate) fn message(&self, full_name: &str) -> Option<&Message> {
        self.messages.get(*self.message_places.get(full_name)?)
    }

    pub(crate) fn enumeration(&self, full_name: &str) -> Option<&Enum> {
        self.enums.get(*self.enum_places.get(full_name)?)
    }

    /// Notes where each type is: look-ups by name are many, and schemas may have thousands of types.
    pub(crate) fn index(&mut self) {
        let messages = self.messages.iter().enumerate();
        self.message_places = messages.map(|(place, one)| (one.full_name.clone(), place)).collect();
        let enums = self.enums.iter().enumerate();
        self.enum_places = enums.map(|(place, one)| (one.full_name.clone(), place)).collect();
    }

    /// Something in payloads is deprecated, so generated code uses deprecated items.
    pub(crate) fn has_deprecated(&self) -> bool {
        let message = |one: &Message| one.deprecated || one.all_fields().any(|field| field.deprecated);
        let enumeration = |one: &Enum| one.deprecated || one.values.iter().any(|value| value.deprecated);
        self.messages.iter().any(message) || self.enums.iter().any(enumeration)
    }

    pub(crate) fn kinds(&self) -> impl Iterator<Item = &EventKind> {
        self.envelopes.iter().flat_map(|envelope| &envelope.kinds)
    }
}

/// The message that wraps every event.
#[derive(Debug, Clone)]
pub(crate) struct Envelope {
    pub(crate) full_name: String,
    pub(crate) origin: Origin,
    /// Its fields outside the oneof.
    pub(crate) fields: Vec<EnvelopeField>,
    /// Where its oneofs are.
    pub(crate) oneofs: Vec<Origin>,
    pub(crate) levels: Option<Enum>,
    pub(crate) categories: Option<Enum>,
    pub(crate) branches: Vec<Category>,
    pub(crate) kinds: Vec<EventKind>,
}

/// A field of the envelope: number, name and type as the .proto file would say it.
#[derive(Debug, Clone)]
pub(crate) struct EnvelopeField {
    pub(crate) number: u32,
    pub(crate) name: String,
    pub(crate) ty: String,
    pub(crate) origin: Origin,
}

/// One branch of the envelope: a category and the message that lists its kinds.
#[derive(Debug, Clone)]
pub(crate) struct Category {
    /// `storage`
    pub(crate) name: String,
    /// The oneof field, `storage_event`.
    pub(crate) field: String,
    /// The oneof field's number.
    pub(crate) tag: u32,
    /// The enum's value that the name asks for, `EVENT_CATEGORY_STORAGE`.
    pub(crate) value: String,
    /// The value's number, if the enum has it.
    pub(crate) number: Option<i32>,
    pub(crate) origin: Origin,
    /// The fields of the category message that cannot be an event: not in a oneof, or not a message.
    pub(crate) unfit: Vec<(String, Origin)>,
    /// Whether the branch is a message at all.
    pub(crate) is_message: bool,
}

/// One kind of event: what an emitter is generated for.
#[derive(Debug, Clone)]
pub(crate) struct EventKind {
    /// `storage_pool`
    pub(crate) emitter: String,
    pub(crate) category: Category,
    /// The full name of the payload message.
    pub(crate) payload: String,
    /// The number of the oneof field in the category message.
    pub(crate) tag: u32,
    pub(crate) source: Option<String>,
    /// The name of the level that every event of the kind has, as the annotation says it.
    pub(crate) level: Option<String>,
    pub(crate) owner: Option<String>,
    pub(crate) since: Option<String>,
    pub(crate) durability: Durability,
    /// The oneof field is marked `deprecated`, which only the documentation tells: an event of an earlier generation may
    /// go on being emitted. Where it may not, the payload message is the one to mark.
    pub(crate) deprecated: bool,
    /// Where the oneof field is.
    pub(crate) origin: Origin,
    /// Where the payload message is.
    pub(crate) payload_origin: Origin,
    /// Where the level is said; the payload message where it is not.
    pub(crate) level_origin: Origin,
    /// Where the emitter's name is said; the payload message where it is not.
    pub(crate) name_origin: Origin,
}

/// A warning that the author does not want.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Allow {
    /// The name of the rule.
    pub(crate) rule: String,
    /// Where it is said.
    pub(crate) origin: Origin,
    /// Where it holds.
    pub(crate) over: Origin,
}

/// A payload message, or a message inside one.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) full_name: String,
    /// The name of the generated type.
    pub(crate) rust_name: String,
    pub(crate) package: String,
    /// The import name of its file.
    pub(crate) file: String,
    pub(crate) docs: String,
    pub(crate) origin: Origin,
    /// In the order of their numbers, as they are encoded.
    pub(crate) fields: Vec<Field>,
    /// It holds a reference, so the generated type has a lifetime.
    pub(crate) borrows: bool,
    pub(crate) deprecated: bool,
    /// What cannot be generated, and why.
    pub(crate) unfit: Vec<Unfit>,
}

impl EventKind {
    /// The operation says the level.
    pub(crate) fn level_by_operation(&self) -> bool {
        self.level.as_ref().is_some_and(|level| level.eq_ignore_ascii_case(BY_OPERATION))
    }
}

impl Message {
    /// Its name without the names of what it is in.
    pub(crate) fn short_name(&self) -> &str {
        self.full_name.rsplit('.').next().unwrap_or(&self.full_name)
    }

    pub(crate) fn required(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|field| field.required)
    }

    /// Its oneofs, each with the field that holds it.
    pub(crate) fn oneofs(&self) -> impl Iterator<Item = (&Field, &Oneof)> {
        self.fields.iter().filter_map(|field| match &field.ty {
            Type::Oneof(oneof) => Some((field, &**oneof)),
            _ => None,
        })
    }

    /// Its fields as the schema has them, those in oneofs too.
    pub(crate) fn all_fields(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().flat_map(|field| match &field.ty {
            Type::Oneof(oneof) => oneof.variants.iter(),
            _ => std::slice::from_ref(field).iter(),
        })
    }

    /// A field of it, outside its oneofs, is personal data.
    pub(crate) fn has_pii(&self) -> bool {
        self.fields.iter().any(|field| field.sensitivity == Sensitivity::Pii)
    }
}

/// A part of a message that the generator has no Rust for.
#[derive(Debug, Clone)]
pub(crate) struct Unfit {
    pub(crate) name: String,
    pub(crate) what: String,
    pub(crate) cure: &'static str,
    pub(crate) origin: Origin,
}

/// A field of a message, or a whole oneof of it, which stands where the least of its numbers does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) number: u32,
    pub(crate) ty: Type,
    pub(crate) presence: Presence,
    pub(crate) required: bool,
    pub(crate) sensitivity: Sensitivity,
    pub(crate) unit: Option<String>,
    /// A longer string is cut, in bytes.
    pub(crate) max_len: Option<u32>,
    pub(crate) deprecated: bool,
    pub(crate) docs: String,
    pub(crate) origin: Origin,
    pub(crate) places: FieldPlaces,
}

/// Where the parts of a field are; its name where one is not there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FieldPlaces {
    pub(crate) ty: Origin,
    pub(crate) required: Origin,
    pub(crate) sensitivity: Origin,
    pub(crate) max_len: Origin,
}

/// What a field, or each element of it, holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Type {
    Scalar(Scalar),
    /// By its full name.
    Enum(String),
    Message {
        full_name: String,
        /// The message reaches the one that the field is in, so it is held by reference.
        recursive: bool,
        /// A group of proto2, which is written between two tags.
        group: bool,
    },
    Oneof(Box<Oneof>),
    WellKnown(WellKnown),
}

/// The types of `google.protobuf` that payloads can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WellKnown {
    Timestamp,
    Duration,
    Struct,
    Value,
    List,
    Empty,
    Any,
    FieldMask,
    /// An enum with one value, which is 0.
    Null,
    /// A message with one scalar: `StringValue` and the like.
    Wrapper(Scalar),
}

/// A oneof inside a payload: at most one of its fields is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Oneof {
    /// The name of the generated enum.
    pub(crate) rust_name: String,
    /// The name of prost's enum, in the module of the message.
    pub(crate) wire_name: String,
    /// A variant holds a reference, so the generated enum has a lifetime.
    pub(crate) borrows: bool,
    /// The fields, in the order of the schema; none of them is a oneof.
    pub(crate) variants: Vec<Field>,
}

impl Oneof {
    /// A field of it is personal data.
    pub(crate) fn has_pii(&self) -> bool {
        self.variants.iter().any(|field| field.sensitivity == Sensitivity::Pii)
    }
}

/// How often a field may occur, and whether its absence can be told from its default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// proto3 without a label: the default value is not sent.
    Implicit,
    /// `optional`, and every message.
    Explicit,
    /// proto2's `required`: always sent.
    Required,
    Repeated {
        packed: bool,
    },
    Map {
        key: Scalar,
    },
}

/// The scalar types of protobuf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scalar {
    Double,
    Float,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    String,
    Bytes,
}

/// What `level` says in `EventOptions` where the operation says the level.
pub(crate) const BY_OPERATION: &str = "BY_OPERATION";

/// The field that says what was done.
pub(crate) const OPERATION: &str = "operation";

/// How much is done so that an event is not lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Durability {
    BestEffort,
    #[default]
    Spill,
    Sync,
}

/// How carefully a field is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Sensitivity {
    /// Nothing was said, which is the same as public unless the field's name smells of a secret.
    #[default]
    Unsaid,
    Public,
    /// Masked in `Debug` output.
    Pii,
    /// Refused.
    Secret,
}

/// An enum. `values` holds all but the zero value.
#[derive(Debug, Clone, Default)]
pub(crate) struct Enum {
    pub(crate) full_name: String,
    pub(crate) package: String,
    pub(crate) rust_name: String,
    pub(crate) deprecated: bool,
    pub(crate) docs: String,
    pub(crate) origin: Origin,
    /// An enum of proto2, which may have no value with number 0.
    pub(crate) closed: bool,
    /// The name of the value with number 0, if there is one.
    pub(crate) zero: Option<String>,
    /// Where that value is, or else the first; or else the enum.
    pub(crate) zero_origin: Origin,
    /// Without the zero value and without second names for a number.
    pub(crate) values: Vec<EnumValue>,
    /// The second names, but for those of zero.
    pub(crate) aliases: Vec<Alias>,
}

impl Enum {
    /// Its values say levels.
    pub(crate) fn has_levels(&self) -> bool {
        self.values.iter().any(|value| value.level.is_some())
    }
}

/// One more name for a value of an enum.
#[derive(Debug, Clone)]
pub(crate) struct Alias {
    /// What it is in Rust: the name of a constant.
    pub(crate) constant: String,
    /// The value, by its number.
    pub(crate) number: i32,
    pub(crate) value: EnumValue,
}

/// A value of an enum.
#[derive(Debug, Clone)]
pub(crate) struct EnumValue {
    pub(crate) name: String,
    /// The Rust variant: without the enum's name before it.
    pub(crate) variant: String,
    /// As configuration files and people write it: the variant in snake case.
    pub(crate) short: String,
    pub(crate) number: i32,
    pub(crate) severity: Option<u32>,
    /// The name of the level that an event with this value has.
    pub(crate) level: Option<String>,
    pub(crate) deprecated: bool,
    pub(crate) docs: String,
    pub(crate) origin: Origin,
    /// Where its level is said, or else its name.
    pub(crate) level_origin: Origin,
    /// Where its severity is said, or else its name.
    pub(crate) severity_origin: Origin,
}
