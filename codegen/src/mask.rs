//! Takes prost's `Debug` from the wire types that hold personal data; [`emit`](crate::emit) writes one that masks it.
//!
//! prost-build can be told to leave `Debug` out, but then it does so for everything inside the message too. So the
//! attribute that its derive understands is put on the very structs that are meant.

use quote::ToTokens;
use syn::{Attribute, Item};

use crate::error::Error;
use crate::model::Message;
use crate::names;

/// `text`, a module that prost wrote, with the types of `messages` that hold personal data left without `Debug`.
pub(crate) fn without_debug<'a>(
    text: String,
    messages: impl Iterator<Item = &'a Message>,
    format: bool,
) -> Result<String, Error> {
    let personal: Vec<(Vec<&str>, String)> = messages.flat_map(personal).collect();
    if personal.is_empty() {
        return Ok(text);
    }
    let mut file = syn::parse_file(&text)
        .map_err(|error| Error::internal(format!("prost-build wrote what is not Rust: {error}")))?;
    for (outer, name) in personal {
        let ident = names::ident(&name);
        let mut items = Some(&mut file.items);
        for part in outer {
            let module = names::ident(&names::snake(part));
            items = items.and_then(|items| {
                items.iter_mut().find_map(|item| match item {
                    Item::Mod(one) if one.ident == module => one.content.as_mut().map(|(_, items)| items),
                    _ => None,
                })
            });
        }
        let attributes = items.and_then(|items| {
            items.iter_mut().find_map(|item| match item {
                Item::Struct(one) if one.ident == ident => Some(&mut one.attrs),
                Item::Enum(one) if one.ident == ident => Some(&mut one.attrs),
                _ => None,
            })
        });
        let attribute: Attribute = syn::parse_quote!(#[prost(skip_debug)]);
        match attributes {
            Some(attributes) => attributes.push(attribute),
            None => return Err(Error::internal(format!("prost-build wrote no type `{name}`"))),
        }
    }
    let header = text.lines().next().filter(|line| line.starts_with("//")).unwrap_or_default();
    let code = match format {
        true => prettyplease::unparse(&file),
        false => file.into_token_stream().to_string(),
    };
    Ok(format!("{header}\n{code}"))
}

/// The types of a message that hold personal data: the messages that each is in, and its name.
fn personal(message: &Message) -> Vec<(Vec<&str>, String)> {
    let within = message.full_name.strip_prefix(&message.package).unwrap_or(&message.full_name);
    let inside: Vec<&str> = within.split('.').filter(|part| !part.is_empty()).collect();
    let mut types = Vec::new();
    if message.has_pii() {
        let outer = inside.iter().take(inside.len().saturating_sub(1)).copied().collect();
        types.push((outer, names::camel(message.short_name())));
    }
    let oneofs = message.oneofs().filter(|(_, oneof)| oneof.has_pii());
    types.extend(oneofs.map(|(_, oneof)| (inside.clone(), oneof.wire_name.clone())));
    types
}
