//! The enums of payloads: real Rust enums without an "unspecified" variant.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use crate::docs;
use crate::model::Enum;
use crate::names;

/// One enum of the `payload` module.
pub(crate) fn emit(one: &Enum) -> TokenStream {
    let ty = names::ident(&one.rust_name);
    let attributes = docs::attributes(&one.docs, &format!("The values of `{}`.", one.full_name));
    let idents: Vec<_> = one.values.iter().map(|value| names::ident(&value.variant)).collect();
    let numbers: Vec<_> = one.values.iter().map(|value| Literal::i32_unsuffixed(value.number)).collect();
    let shorts: Vec<&str> = one.values.iter().map(|value| value.short.as_str()).collect();
    let lines = one.values.iter().zip(&idents).zip(&numbers).map(|((value, ident), number)| {
        let docs = docs::attributes(&value.docs, &format!("`{}`", value.name));
        quote!(#docs #ident = #number)
    });
    quote! {
        #attributes
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i32)]
        #[non_exhaustive]
        pub enum #ty {
            #(#lines,)*
        }

        impl #ty {
            /// Every value, as the schema lists them.
            pub const ALL: &'static [Self] = &[#(Self::#idents),*];

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
        }

        impl wire::Enumeration for #ty {
            fn number(self) -> i32 {
                self as i32
            }
        }
    }
}
