//! The constants of each kind of event, and what the `emit!` macro must know of its payload.

use proc_macro2::{Literal, TokenStream};
use quote::quote;
use syn::ext::IdentExt;

use super::Paths;
use super::payload::type_of;
use crate::model::{Durability, EventKind, Field, Message, Presence, Schema, Type};
use crate::names;

/// The wire type of strings and messages.
const LENGTH_DELIMITED: u64 = 2;

/// The envelope's field numbers that are the same for all events of a kind.
const CATEGORY: u64 = 3;
const SOURCE: u64 = 4;

/// `pub mod kinds`.
pub(crate) fn module(schema: &Schema, paths: &Paths) -> TokenStream {
    let kind = paths.private("Kind");
    let mods: Vec<_> = schema.kinds().map(|kind| names::ident(&kind.emitter)).collect();
    let kinds =
        schema.kinds().filter_map(|kind| Some(one(kind, schema.message(&kind.payload)?, schema, paths)));
    let allow = schema.has_deprecated().then(|| quote!(#[allow(deprecated)]));
    quote! {
        /// What is the same for all events of a kind, one module for each.
        #allow
        pub mod kinds {
            use #kind;

            /// Every kind, in the order of the schema.
            pub static ALL: &[&Kind] = &[#(&#mods::KIND),*];
            #(#kinds)*
        }
    }
}

fn one(kind: &EventKind, message: &Message, schema: &Schema, paths: &Paths) -> TokenStream {
    let module = names::ident(&kind.emitter);
    let module_doc = format!(" The kind `{}`.", kind.emitter);
    let ty = type_of(message, &quote!('a));
    let lifetime = message.borrows.then(|| quote!(<'a>));
    let constant = constant(kind, message, schema, paths);
    let required = message.required().map(|field| {
        let (name, text) = (rust_name(field), missing(kind, field, schema));
        quote!((#name, #text))
    });
    let aliases = message.fields.iter().filter_map(|field| {
        let Type::Enum(name) = &field.ty else { return None };
        if matches!(field.presence, Presence::Map { .. }) {
            return None;
        }
        let (alias, ty) = (names::ident(&names::snake(&field.name)), names::ident(&schema.enumeration(name)?.rust_name));
        let doc = format!(" The enum of the field `{}`.", field.name);
        Some(quote!(#[doc = #doc] #[allow(non_camel_case_types)] pub type #alias = super::super::super::payload::#ty;))
    });
    let aliases: Vec<_> = aliases.collect();
    let fields_doc = match aliases.is_empty() {
        true => " No field of the payload is an enum.",
        false => " The payload's enums, by the fields that hold them.",
    };
    quote! {
        #[doc = #module_doc]
        pub mod #module {
            /// What an event of this kind carries.
            pub type Payload #lifetime = super::super::payload::#ty;

            /// What is the same for all events of this kind.
            pub static KIND: super::Kind = #constant;

            /// The fields that an event cannot do without, each with what to say when it is missing.
            pub const REQUIRED: &[(&str, &str)] = &[#(#required),*];

            #[doc = #fields_doc]
            pub mod fields {
                #(#aliases)*
            }
        }
    }
}

fn constant(kind: &EventKind, message: &Message, schema: &Schema, paths: &Paths) -> TokenStream {
    let (name, payload) = (&kind.emitter, &message.full_name);
    // `check` keeps categories between 1 and 63 and every source present.
    let category = kind.category.number.and_then(|number| u8::try_from(number).ok()).unwrap_or_default();
    let category_name = &kind.category.name;
    let source = kind.source.clone().unwrap_or_default();
    let level = match level(kind, schema) {
        Some(variant) => {
            let (level, variant) = (paths.private("Level"), names::ident(&variant));
            quote!(::core::option::Option::Some(#level::#variant))
        }
        None => quote!(::core::option::Option::None),
    };
    let by_operation = kind.level_by_operation();
    let text = |text: &Option<String>| match text {
        Some(text) => quote!(::core::option::Option::Some(#text)),
        None => quote!(::core::option::Option::None),
    };
    let (owner, since) = (text(&kind.owner), text(&kind.since));
    let durability = names::ident(match kind.durability {
        Durability::BestEffort => "BestEffort",
        Durability::Spill => "Spill",
        Durability::Sync => "Sync",
    });
    let durability_type = paths.private("Durability");
    let mut head = Vec::new();
    varint(CATEGORY << 3, &mut head);
    varint(u64::from(category), &mut head);
    varint(SOURCE << 3 | LENGTH_DELIMITED, &mut head);
    varint(source.len() as u64, &mut head);
    head.extend_from_slice(source.as_bytes());
    let [head, category_tag, kind_tag] =
        [head, tag(kind.category.tag), tag(kind.tag)].map(|bytes| Literal::byte_string(&bytes));
    let category = Literal::u8_unsuffixed(category);
    quote! {
        super::Kind {
            name: #name,
            payload: #payload,
            category: #category,
            category_name: #category_name,
            source: #source,
            level: #level,
            level_by_operation: #by_operation,
            durability: #durability_type::#durability,
            owner: #owner,
            since: #since,
            head: #head,
            category_tag: #category_tag,
            kind_tag: #kind_tag,
        }
    }
}

/// The variant of `Level` that every event of the kind has.
pub(crate) fn level(kind: &EventKind, schema: &Schema) -> Option<String> {
    schema.level(kind.level.as_ref()?).map(|value| value.variant.clone())
}

/// The field as a caller writes it, without `r#`.
fn rust_name(field: &Field) -> String {
    names::ident(&names::snake(&field.name)).unraw().to_string()
}

/// What the `emit!` macro says when a required field is missing.
fn missing(kind: &EventKind, field: &Field, schema: &Schema) -> String {
    let (emitter, name) = (&kind.emitter, rust_name(field));
    let values = match &field.ty {
        Type::Enum(name) => schema.enumeration(name).map(|one| &one.values),
        _ => None,
    };
    match values {
        Some(values) => {
            let values: Vec<_> = values.iter().map(|value| value.variant.as_str()).collect();
            format!("{emitter} needs `{name}`: one of {}", values.join(", "))
        }
        None => format!("{emitter} needs `{name}`"),
    }
}

fn tag(number: u32) -> Vec<u8> {
    let mut out = Vec::new();
    varint(u64::from(number) << 3 | LENGTH_DELIMITED, &mut out);
    out
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_a_varint_of_number_and_wire_type() {
        assert_eq!(tag(1), [0x0a]);
        assert_eq!(tag(19), [0x9a, 0x01]);
        assert_eq!(tag(1000), [0xc2, 0x3e]);
    }
}
