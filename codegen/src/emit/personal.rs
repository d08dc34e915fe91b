//! Where in the bytes of payloads personal data stands: tables for the runtime, which hashes or leaves out what they name.
//!
//! Only messages that hold personal data, themselves or in a message inside them, have a table. Tables refer to each other
//! as the messages do, so they are statics: a message may hold itself.

use std::collections::BTreeSet;

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use crate::model::{Field, Message, Presence, Scalar, Schema, Sensitivity, Type, WellKnown};
use crate::names;

/// The tables of a schema.
pub(crate) struct Tables<'a> {
    schema: &'a Schema,
    /// The full names of the messages that have one.
    with: BTreeSet<&'a str>,
}

impl<'a> Tables<'a> {
    pub(crate) fn new(schema: &'a Schema) -> Self {
        let mut with = BTreeSet::new();
        loop {
            let before = with.len();
            for message in schema
                .messages
                .iter()
                .filter(|one| !with.contains(one.full_name.as_str()))
                .collect::<Vec<_>>()
            {
                if message
                    .all_fields()
                    .any(|field| field.sensitivity == Sensitivity::Pii || within(field, &with).is_some())
                {
                    with.insert(message.full_name.as_str());
                }
            }
            if with.len() == before {
                return Self { schema, with };
            }
        }
    }

    /// What the message's encoding says of its table, if it has one.
    pub(crate) fn of(&self, message: &Message) -> Option<TokenStream> {
        let name = self.name(&message.full_name)?;
        Some(quote! {
            const PERSONAL: ::core::option::Option<&'static wire::Personal> = ::core::option::Option::Some(&personal::#name);
        })
    }

    /// `mod personal`, if there is anything in it.
    pub(crate) fn module(&self) -> Option<TokenStream> {
        let tables = self.schema.messages.iter().filter_map(|message| {
            let name = self.name(&message.full_name)?;
            let places = message.all_fields().filter_map(|field| {
                let (number, place) = (Literal::u32_unsuffixed(field.number), self.place(field)?);
                Some(quote!((#number, #place)))
            });
            Some(quote!(pub(super) static #name: Personal = Personal(&[#(#places),*]);))
        });
        (!self.with.is_empty()).then(|| {
            quote! {
                /// Where personal data stands in the messages that hold any.
                #[allow(non_upper_case_globals)]
                mod personal {
                    use super::wire::{Personal, Place};

                    #(#tables)*
                }
            }
        })
    }

    fn name(&self, full_name: &str) -> Option<proc_macro2::Ident> {
        let message = self.schema.message(full_name).filter(|_| self.with.contains(full_name))?;
        Some(names::ident(&message.rust_name))
    }

    /// What stands in the field, if any of it is personal.
    fn place(&self, field: &Field) -> Option<TokenStream> {
        if field.sensitivity != Sensitivity::Pii {
            let message = within(field, &self.with)?;
            let name = self.name(message)?;
            return Some(match field.presence {
                Presence::Map { .. } => quote!(Place::Within(&Personal(&[(2, Place::Within(&#name))]))),
                _ => quote!(Place::Within(&#name)),
            });
        }
        let place = match field.presence {
            Presence::Map { key: Scalar::String } => {
                let value = value(&field.ty);
                quote!(Place::Parts(&Personal(&[(1, Place::Text), (2, #value)])))
            }
            Presence::Map { .. } => quote!(Place::Other),
            _ => value(&field.ty),
        };
        Some(match field.presence {
            Presence::Required => quote!(Place::Needed(&#place)),
            _ => place,
        })
    }
}

/// The message that the field holds, if it is one of those `with` personal data.
fn within<'a>(field: &'a Field, with: &BTreeSet<&str>) -> Option<&'a str> {
    match &field.ty {
        Type::Message { full_name, .. } if with.contains(full_name.as_str()) => Some(full_name),
        _ => None,
    }
}

/// What a personal value is.
fn value(ty: &Type) -> TokenStream {
    match ty {
        Type::Scalar(Scalar::String) => quote!(Place::Text),
        Type::Scalar(Scalar::Bytes) => quote!(Place::Bytes),
        Type::WellKnown(WellKnown::Wrapper(inner @ (Scalar::String | Scalar::Bytes))) => {
            let inner = value(&Type::Scalar(*inner));
            quote!(Place::Parts(&Personal(&[(1, #inner)])))
        }
        _ => quote!(Place::Other),
    }
}
