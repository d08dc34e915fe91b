//! The calls that encode a payload, field by field in the order of numbers, so that the bytes equal prost's.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use crate::model::{Field, Message, Presence, Scalar, Type};
use crate::names;

/// `impl wire::Message for` a payload type.
pub(crate) fn encoding(message: &Message) -> TokenStream {
    let ty = names::ident(&message.rust_name);
    let lifetime = message.borrows.then(|| quote!(<'_>));
    if message.fields.is_empty() {
        return quote! {
            impl wire::Message for #ty #lifetime {
                fn encoded_len(&self) -> usize {
                    0
                }

                fn encode(&self, _out: &mut ::std::vec::Vec<u8>) {}
            }
        };
    }
    let calls: Vec<(Call, Literal, proc_macro2::Ident)> = message
        .fields
        .iter()
        .map(|field| {
            (call(field), Literal::u32_unsuffixed(field.number), names::ident(&names::snake(&field.name)))
        })
        .collect();
    let lens = calls.iter().map(|(call, number, name)| {
        let (function, codecs) = (&call.len, &call.codecs);
        quote!(wire::#function::<#codecs>(#number, self.#name))
    });
    let writes = calls.iter().map(|(call, number, name)| {
        let (function, codecs) = (&call.write, &call.codecs);
        quote!(wire::#function::<#codecs>(#number, self.#name, out);)
    });
    quote! {
        impl wire::Message for #ty #lifetime {
            #[inline]
            fn encoded_len(&self) -> usize {
                #(#lens)+*
            }

            #[inline]
            fn encode(&self, out: &mut ::std::vec::Vec<u8>) {
                #(#writes)*
            }
        }
    }
}

/// The functions of `wire` for a field, and their type arguments.
struct Call {
    write: proc_macro2::Ident,
    len: proc_macro2::Ident,
    codecs: TokenStream,
}

fn call(field: &Field) -> Call {
    let codec = codec(&field.ty);
    let single = quote!(#codec, _);
    let (function, codecs) = match (&field.ty, field.presence) {
        (_, Presence::Map { key }) => {
            let key = scalar(key);
            ("map", quote!(#key, #codec, _, _))
        }
        (_, Presence::Repeated { packed: true }) => ("packed", single),
        (_, Presence::Repeated { packed: false }) => ("repeated", single),
        (Type::Scalar(_), Presence::Implicit) => ("implicit", single),
        _ if field.required => ("always", single),
        _ => ("optional", single),
    };
    Call { write: names::ident(function), len: names::ident(&format!("{function}_len")), codecs }
}

fn codec(ty: &Type) -> TokenStream {
    match ty {
        Type::Scalar(one) => scalar(*one),
        Type::Enum(_) => quote!(wire::Enum),
        Type::Message { .. } => quote!(wire::Sub),
    }
}

/// The codec of a scalar: protobuf's name for it.
fn scalar(scalar: Scalar) -> TokenStream {
    let name = names::ident(match scalar {
        Scalar::Double => "Double",
        Scalar::Float => "Float",
        Scalar::Int32 => "Int32",
        Scalar::Int64 => "Int64",
        Scalar::Uint32 => "Uint32",
        Scalar::Uint64 => "Uint64",
        Scalar::Sint32 => "Sint32",
        Scalar::Sint64 => "Sint64",
        Scalar::Fixed32 => "Fixed32",
        Scalar::Fixed64 => "Fixed64",
        Scalar::Sfixed32 => "Sfixed32",
        Scalar::Sfixed64 => "Sfixed64",
        Scalar::Bool => "Bool",
        Scalar::String => "Str",
        Scalar::Bytes => "Bytes",
    });
    quote!(wire::#name)
}
