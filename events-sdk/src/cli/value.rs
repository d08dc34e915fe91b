//! From `name=value` to a field of a payload, as the schema types it.

use std::collections::BTreeSet;

use prost_reflect::{
    DynamicMessage, EnumDescriptor, EnumValueDescriptor, FieldDescriptor, Kind as Type, MapKey,
    ReflectMessage, Value, prost::bytes::Bytes,
};

use super::{kinds, names, schema::Schema, shown};

/// A payload being put together.
pub(super) struct Payload<'a> {
    schema: &'a Schema,
    message: DynamicMessage,
    /// Paths that were given.
    given: BTreeSet<String>,
}

impl<'a> Payload<'a> {
    pub(super) fn new(schema: &'a Schema, message: DynamicMessage) -> Self {
        Self { schema, message, given: BTreeSet::new() }
    }

    /// Sets a field, adds to a repeated one, or puts a value under a key.
    pub(super) fn set(&mut self, path: &str, text: &str) -> Result<(), String> {
        set(self.schema, &mut self.message, path, path, text, &mut self.given)
    }

    /// The value of the field `operation`.
    pub(super) fn operation(&self) -> Option<EnumValueDescriptor> {
        let field = self.message.descriptor().get_field_by_name("operation")?;
        let number = self.message.get_field(&field).as_enum_number()?;
        field.kind().as_enum()?.get_value(number)
    }

    /// The finished payload, unless something required was not given.
    pub(super) fn end(self) -> Result<DynamicMessage, String> {
        let missing: Vec<String> = self
            .message
            .descriptor()
            .fields()
            .filter(|field| self.schema.rules(field).required && !self.given.contains(field.name()))
            .map(|field| match kinds::values(&field) {
                values if values.is_empty() => format!("`{}` ({})", field.name(), kinds::type_name(&field)),
                values => format!("`{}` (one of: {})", field.name(), values.join(", ")),
            })
            .collect();
        if missing.is_empty() { Ok(self.message) } else { Err(format!("it lacks {}", missing.join(" and "))) }
    }
}

fn set(
    schema: &Schema,
    message: &mut DynamicMessage,
    whole: &str,
    path: &str,
    text: &str,
    given: &mut BTreeSet<String>,
) -> Result<(), String> {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let descriptor = message.descriptor();
    let field = descriptor.get_field_by_name(name).ok_or_else(|| {
        let all: Vec<_> = descriptor.fields().map(|field| field.name().to_owned()).collect();
        names::unknown(&format!("field of {}", descriptor.name()), name, &all)
    })?;
    if let Some(oneof) = field.containing_oneof()
        && let Some(other) = oneof.fields().find(|other| *other != field && message.has_field(other))
    {
        return Err(format!("`{name}` cannot stand beside `{}`: only one of them is meant", other.name()));
    }
    let prefix = whole.strip_suffix(path).unwrap_or_default();
    let is_new = given.insert(format!("{prefix}{name}"));
    if field.is_map() {
        let key = rest.ok_or_else(|| format!("`{whole}` holds values by key: write `{whole}.KEY=VALUE`"))?;
        let Type::Message(entry) = field.kind() else {
            return Err(format!("`{whole}` cannot be given here"));
        };
        let key = map_key(&entry.map_entry_key_field(), key)?;
        let value = scalar(schema, &entry.map_entry_value_field(), text)?;
        if let Some(map) = message.get_field_mut(&field).as_map_mut()
            && map.insert(key, value).is_some()
        {
            return Err(format!("`{whole}` is given twice"));
        }
        return Ok(());
    }
    if let (Type::Message(_), false) = (field.kind(), field.is_list()) {
        let rest =
            rest.ok_or_else(|| format!("`{whole}` has fields of its own: write `{whole}.FIELD=VALUE`"))?;
        return match message.get_field_mut(&field).as_message_mut() {
            Some(inner) => set(schema, inner, whole, rest, text, given),
            None => Err(format!("`{whole}` cannot be given here")),
        };
    }
    if rest.is_some() {
        return Err(format!("`{name}` has no fields of its own: write `{name}=VALUE`"));
    }
    let value = scalar(schema, &field, text)?;
    if field.is_list() {
        if let Some(list) = message.get_field_mut(&field).as_list_mut() {
            list.push(value);
        }
    } else if is_new {
        message.set_field(&field, value);
    } else {
        return Err(format!("`{whole}` is given twice"));
    }
    Ok(())
}

fn scalar(schema: &Schema, field: &FieldDescriptor, text: &str) -> Result<Value, String> {
    let wrong = || format!("`{text}` does not fit `{}`: it takes a {}", field.name(), one_type(field));
    let value = match field.kind() {
        Type::String => Value::String(cut(text, schema.rules(field).max_len).to_owned()),
        Type::Bytes => Value::Bytes(Bytes::copy_from_slice(text.as_bytes())),
        Type::Bool => Value::Bool(match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "1" => true,
            "false" | "no" | "0" => false,
            _ => return Err(wrong()),
        }),
        Type::Int32 | Type::Sint32 | Type::Sfixed32 => Value::I32(text.parse().map_err(|_| wrong())?),
        Type::Int64 | Type::Sint64 | Type::Sfixed64 => Value::I64(text.parse().map_err(|_| wrong())?),
        Type::Uint32 | Type::Fixed32 => Value::U32(text.parse().map_err(|_| wrong())?),
        Type::Uint64 | Type::Fixed64 => Value::U64(text.parse().map_err(|_| wrong())?),
        Type::Float => Value::F32(text.parse().map_err(|_| wrong())?),
        Type::Double => Value::F64(text.parse().map_err(|_| wrong())?),
        Type::Enum(descriptor) => Value::EnumNumber(enum_number(&descriptor, field, text)?),
        Type::Message(_) => {
            return Err(format!("`{}` holds messages, which a command line cannot give", field.name()));
        }
    };
    Ok(value)
}

fn one_type(field: &FieldDescriptor) -> String {
    let name = kinds::type_name(field);
    name.strip_suffix(", repeated").unwrap_or(&name).to_owned()
}

/// By its short name or its full one, whatever the case.
fn enum_number(descriptor: &EnumDescriptor, field: &FieldDescriptor, text: &str) -> Result<i32, String> {
    let wanted = text.trim().replace('-', "_");
    let found = descriptor.values().filter(|value| value.number() != 0).find(|value| {
        let short = shown::short_name(descriptor, value.name());
        short.eq_ignore_ascii_case(&wanted) || value.name().eq_ignore_ascii_case(&wanted)
    });
    found
        .map(|value| value.number())
        .ok_or_else(|| names::unknown(&format!("value of `{}`", field.name()), text, &kinds::values(field)))
}

fn map_key(field: &FieldDescriptor, text: &str) -> Result<MapKey, String> {
    let wrong = || format!("`{text}` does not fit a key of this map: it takes a {}", one_type(field));
    Ok(match field.kind() {
        Type::String => MapKey::String(text.to_owned()),
        Type::Bool => MapKey::Bool(text.parse().map_err(|_| wrong())?),
        Type::Int32 | Type::Sint32 | Type::Sfixed32 => MapKey::I32(text.parse().map_err(|_| wrong())?),
        Type::Int64 | Type::Sint64 | Type::Sfixed64 => MapKey::I64(text.parse().map_err(|_| wrong())?),
        Type::Uint32 | Type::Fixed32 => MapKey::U32(text.parse().map_err(|_| wrong())?),
        Type::Uint64 | Type::Fixed64 => MapKey::U64(text.parse().map_err(|_| wrong())?),
        _ => return Err(wrong()),
    })
}

/// As the emitters cut: at the end of a character. 0 is any length.
fn cut(text: &str, max_len: usize) -> &str {
    if max_len == 0 || text.len() <= max_len {
        return text;
    }
    let end = (0..=max_len).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(cut("déjà", 0), "déjà");
        assert_eq!(cut("déjà", 6), "déjà");
        assert_eq!(cut("déjà", 2), "d");
        assert_eq!(cut("é", 1), "");
    }
}
