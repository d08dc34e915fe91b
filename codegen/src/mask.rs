//! Takes prost's `Debug` from the wire types that hold personal data; [`emit`](crate::emit) writes one that masks it.
//!
//! prost-build can be told to leave `Debug` out, but then it does so for everything inside the message too. So the
//! attribute that its derive understands is put on the very structs that are meant.

use syn::{Attribute, Item};

use crate::error::Error;
use crate::model::Message;
use crate::names;

/// `text`, a module that prost wrote, with the messages `personal` left without `Debug`.
pub(crate) fn without_debug<'a>(
    text: String,
    personal: impl Iterator<Item = &'a Message>,
) -> Result<String, Error> {
    let mut personal = personal.peekable();
    if personal.peek().is_none() {
        return Ok(text);
    }
    let mut file = syn::parse_file(&text)
        .map_err(|error| Error::internal(format!("prost-build wrote what is not Rust: {error}")))?;
    for message in personal {
        let within = message.full_name.strip_prefix(&message.package).unwrap_or(&message.full_name);
        let mut outer: Vec<&str> = within.split('.').filter(|part| !part.is_empty()).collect();
        let name = names::ident(&names::camel(outer.pop().unwrap_or_default()));
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
        let structure = items.and_then(|items| {
            items.iter_mut().find_map(|item| match item {
                Item::Struct(one) if one.ident == name => Some(one),
                _ => None,
            })
        });
        let attribute: Attribute = syn::parse_quote!(#[prost(skip_debug)]);
        match structure {
            Some(structure) => structure.attrs.push(attribute),
            None => {
                return Err(Error::internal(format!(
                    "prost-build wrote no struct for {}",
                    message.full_name
                )));
            }
        }
    }
    let header = text.lines().next().filter(|line| line.starts_with("//")).unwrap_or_default();
    Ok(format!("{header}\n{}", prettyplease::unparse(&file)))
}
