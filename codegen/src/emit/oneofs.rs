//! Oneofs inside payloads: Rust enums of borrowed values, one variant for each field.

use proc_macro2::{Ident, TokenStream};
use quote::quote;

use super::payload::{convert, element, field_docs, oneof_type};
use super::{Paths, wire};
use crate::docs;
use crate::model::{Field, Message, Oneof, Schema, Sensitivity};
use crate::names;

/// The enums for the oneofs of a message.
pub(crate) fn emit(message: &Message, schema: &Schema, paths: &Paths) -> TokenStream {
    let enums = message.oneofs().map(|(field, oneof)| {
        let parts = [
            enumeration(field, oneof, message, schema),
            debug(oneof, message, paths),
            wire::alternatives(oneof),
            to_wire_type(oneof, message, paths),
        ];
        quote!(#(#parts)*)
    });
    quote!(#(#enums)*)
}

fn variant(field: &Field) -> Ident {
    names::ident(&names::camel(&field.name))
}

fn enumeration(field: &Field, oneof: &Oneof, message: &Message, schema: &Schema) -> TokenStream {
    let otherwise = format!("What `{}` of `{}` can be.", field.name, message.full_name);
    let attributes = docs::attributes(&field.docs, &otherwise);
    let ty = oneof_type(oneof, &quote!('a));
    let variants = oneof.variants.iter().map(|field| {
        let (docs, name, ty) = (field_docs(field), variant(field), element(&field.ty, schema));
        let deprecated = docs::deprecated(field.deprecated);
        quote!(#docs #deprecated #name(#ty))
    });
    let debug = (!oneof.has_pii()).then(|| quote!(Debug,));
    quote! {
        #attributes
        #[derive(#debug Clone, Copy, PartialEq)]
        #[non_exhaustive]
        pub enum #ty {
            #(#variants,)*
        }
    }
}

/// `Debug` by hand where a variant is personal data, for ours and, unless it is the SDK's, for the wire type.
fn debug(oneof: &Oneof, message: &Message, paths: &Paths) -> TokenStream {
    if !oneof.has_pii() {
        return TokenStream::new();
    }
    let ours = debug_of(&oneof_type(oneof, &quote!('_)), oneof);
    if !paths.owns(message) {
        return ours;
    }
    let theirs = debug_of(&paths.wire_oneof(message, oneof), oneof);
    quote!(#ours #theirs)
}

fn debug_of(ty: &TokenStream, oneof: &Oneof) -> TokenStream {
    let arms = oneof.variants.iter().map(|field| {
        let name = variant(field);
        let shown = names::camel(&field.name);
        match field.sensitivity {
            Sensitivity::Pii => quote!(Self::#name(_) => wire::masked(#shown, f)),
            _ => quote!(Self::#name(one) => f.debug_tuple(#shown).field(one).finish()),
        }
    });
    quote! {
        impl ::core::fmt::Debug for #ty {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                match self {
                    #(#arms,)*
                }
            }
        }
    }
}

/// `From` for prost's enum.
fn to_wire_type(oneof: &Oneof, message: &Message, paths: &Paths) -> TokenStream {
    let (ty, target) = (oneof_type(oneof, &quote!('_)), paths.wire_oneof(message, oneof));
    let arms = oneof.variants.iter().map(|field| {
        let (name, one) = (variant(field), quote!(one));
        let value = convert(&field.ty, &one).unwrap_or(one);
        let from = names::ident(&oneof.rust_name);
        quote!(#from::#name(one) => Self::#name(#value))
    });
    quote! {
        impl ::core::convert::From<#ty> for #target {
            fn from(oneof: #ty) -> Self {
                match oneof {
                    #(#arms,)*
                }
            }
        }
    }
}
