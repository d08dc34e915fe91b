//! `Level` and `Category`: written for the SDK alone, whose filters and counters every other schema shares.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use crate::docs;
use crate::model::{Enum, EnumValue, Schema};
use crate::names;

/// Both enums, from the first envelope.
pub(crate) fn emit(schema: &Schema) -> TokenStream {
    let envelope = schema.envelopes.first();
    let level = envelope.and_then(|envelope| envelope.levels.as_ref()).map(level);
    let category = envelope.and_then(|envelope| envelope.categories.as_ref()).map(category);
    quote!(#level #category)
}

fn level(levels: &Enum) -> TokenStream {
    let mut values: Vec<&EnumValue> = levels.values.iter().collect();
    values.sort_by_key(|value| value.severity);
    let docs = docs::attributes(&levels.docs, "How grave an event is.");
    let severities = values.iter().map(|value| Literal::u32_unsuffixed(value.severity.unwrap_or_default()));
    let variants = variants(&values, severities);
    let (names, numbers) = names_and_numbers(&values);
    let own = quote! {
        /// Its place in the order of severity, from 1 on.
        pub const fn severity(self) -> u8 {
            self as u8
        }

        /// Its number on the wire, which has nothing to do with its severity.
        pub const fn number(self) -> i32 {
            match self {
                #(Self::#names => #numbers,)*
            }
        }
    };
    let common = common("Level", "level", "the least grave first", &values, own);
    quote! {
        #docs
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Level {
            #variants
        }

        #common
    }
}

fn category(categories: &Enum) -> TokenStream {
    let mut values: Vec<&EnumValue> = categories.values.iter().collect();
    values.sort_by_key(|value| value.number);
    let docs = docs::attributes(&categories.docs, "The area of the node an event speaks of.");
    let variants = variants(&values, values.iter().map(|value| Literal::i32_unsuffixed(value.number)));
    let own = quote! {
        /// Its number on the wire.
        pub const fn number(self) -> i32 {
            self as i32
        }
    };
    let common = common("Category", "category", "by number", &values, own);
    quote! {
        #docs
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum Category {
            #variants
        }

        #common
    }
}

fn variants(values: &[&EnumValue], numbers: impl Iterator<Item = Literal>) -> TokenStream {
    let lines = values.iter().zip(numbers).map(|(value, number)| {
        let docs = docs::attributes(&value.docs, &format!("`{}`", value.name));
        let name = names::ident(&value.variant);
        quote!(#docs #name = #number)
    });
    quote!(#(#lines,)*)
}

fn names_and_numbers(values: &[&EnumValue]) -> (Vec<proc_macro2::Ident>, Vec<Literal>) {
    values.iter().map(|value| (names::ident(&value.variant), Literal::i32_unsuffixed(value.number))).unzip()
}

/// What both have, behind what is a type's `own`: the list, names, and the ways back from name and number.
fn common(ty: &str, noun: &str, order: &str, values: &[&EnumValue], own: TokenStream) -> TokenStream {
    let ty = names::ident(ty);
    let (names, numbers) = names_and_numbers(values);
    let shorts: Vec<&str> = values.iter().map(|value| value.short.as_str()).collect();
    let all_doc = format!(" Every {noun}, {order}.");
    let number_doc = format!(" The {noun} with this number on the wire.");
    let name_doc = format!(" The {noun} with this name, in upper or lower case.");
    quote! {
        impl #ty {
            #own

            #[doc = #all_doc]
            pub const ALL: &'static [Self] = &[#(Self::#names),*];

            /// Its name in lower case with underscores, as in configuration files.
            pub const fn name(self) -> &'static str {
                match self {
                    #(Self::#names => #shorts,)*
                }
            }

            #[doc = #number_doc]
            pub const fn from_number(number: i32) -> ::core::option::Option<Self> {
                match number {
                    #(#numbers => ::core::option::Option::Some(Self::#names),)*
                    _ => ::core::option::Option::None,
                }
            }

            #[doc = #name_doc]
            pub fn from_name(name: &str) -> ::core::option::Option<Self> {
                Self::ALL.iter().copied().find(|one| one.name().eq_ignore_ascii_case(name))
            }
        }

        impl ::core::fmt::Display for #ty {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.pad(self.name())
            }
        }
    }
}
