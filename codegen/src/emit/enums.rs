//! The enums of payloads: real Rust enums without an "unspecified" variant.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::Paths;
use crate::docs;
use crate::model::{Alias, Enum, EnumValue, Schema};
use crate::names;

/// One enum of the `payload` module.
pub(crate) fn emit(one: &Enum, schema: &Schema, paths: &Paths) -> TokenStream {
    let (level, said) = level(one, schema, paths).unzip();
    let ty = names::ident(&one.rust_name);
    let attributes = docs::attributes(&one.docs, &format!("The values of `{}`.", one.full_name));
    let idents: Vec<_> = one.values.iter().map(|value| names::ident(&value.variant)).collect();
    let numbers: Vec<_> = one.values.iter().map(|value| Literal::i32_unsuffixed(value.number)).collect();
    let shorts: Vec<&str> = one.values.iter().map(|value| value.short.as_str()).collect();
    let lines = one.values.iter().zip(&idents).zip(&numbers).map(|((value, ident), number)| {
        let docs = docs::attributes(&value.docs, &format!("`{}`", value.name));
        let deprecated = docs::deprecated(value.deprecated);
        quote!(#docs #deprecated #ident = #number)
    });
    let aliases = one.aliases.iter().filter_map(|alias| {
        let of = one.values.iter().find(|value| value.number == alias.number)?;
        // A name that differs in its letters' case alone may be the variant's very own.
        (of.variant != alias.constant).then(|| constant(alias, of))
    });
    let deprecated = docs::deprecated(one.deprecated);
    quote! {
        #attributes
        #deprecated
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i32)]
        #[non_exhaustive]
        pub enum #ty {
            #(#lines,)*
        }

        impl #ty {
            /// Every value, as the schema lists them.
            pub const ALL: &'static [Self] = &[#(Self::#idents),*];

            #(#aliases)*

            /// Its number on the wire.
            pub const fn number(self) -> i32 {
                self as i32
            }

            /// Its name in snake case, without the name of the enum.
            pub const fn name(self) -> &'static str {
                match self {
                    #(Self::#idents => #shorts,)*
                }
            }

            #level
        }

        impl wire::Enumeration for #ty {
            fn number(self) -> i32 {
                self as i32
            }

            #said
        }
    }
}

/// One more name for the value `of`.
fn constant(alias: &Alias, of: &EnumValue) -> TokenStream {
    let otherwise = format!("`{}`, another name for `{}`.", alias.value.name, of.name);
    let docs = docs::attributes(&alias.value.docs, &otherwise);
    let deprecated = docs::deprecated(alias.value.deprecated);
    let (name, variant) = (names::ident(&alias.constant), names::ident(&of.variant));
    quote! {
        #docs
        #deprecated
        pub const #name: Self = Self::#variant;
    }
}

/// The level of an event that says the value, where the schema gives each value one: as a function, and as what the `emit!`
/// macro asks.
fn level(one: &Enum, schema: &Schema, paths: &Paths) -> Option<(TokenStream, TokenStream)> {
    if !one.has_levels() {
        return None;
    }
    // As seen from inside the `payload` module.
    let level = match paths.in_sdk() {
        true => quote!(super::Level),
        false => paths.private("Level"),
    };
    let arms = one.values.iter().filter_map(|value| {
        let known = schema.level(value.level.as_deref()?)?;
        let (value, known) = (names::ident(&value.variant), names::ident(&known.variant));
        Some(quote!(Self::#value => #level::#known))
    });
    let function = quote! {
        /// The level that the schema gives to an event that says this.
        pub const fn level(self) -> #level {
            match self {
                #(#arms,)*
            }
        }
    };
    let said = quote! {
        fn level(self) -> ::core::option::Option<#level> {
            ::core::option::Option::Some(Self::level(self))
        }
    };
    Some((function, said))
}
