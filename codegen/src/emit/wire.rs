//! The calls that encode a payload, field by field in the order of numbers, so that the bytes equal prost's.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use crate::model::{Field, Message, Oneof, Presence, Scalar, Type, WellKnown};
use crate::names;

/// `impl wire::Message for` a payload type, which says where in it `personal` data stands.
pub(crate) fn encoding(message: &Message, personal: Option<TokenStream>) -> TokenStream {
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
    let lens = message.fields.iter().map(|field| {
        let (Call { len, codecs, number, .. }, value) = (call(field), value(field, false));
        quote!(wire::#len #codecs (#number #value))
    });
    let writes = message.fields.iter().map(|field| {
        let (Call { write, codecs, number, .. }, value) = (call(field), value(field, true));
        quote!(wire::#write #codecs (#number #value, out);)
    });
    quote! {
        impl wire::Message for #ty #lifetime {
            #personal

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

/// `impl wire::Message for` the enum of a oneof: a field, without anything around it.
pub(crate) fn alternatives(oneof: &Oneof) -> TokenStream {
    let ty = names::ident(&oneof.rust_name);
    let lifetime = oneof.borrows.then(|| quote!(<'_>));
    let arms = |writes: bool| {
        oneof.variants.iter().map(move |field| {
            let (variant, codec) = (names::ident(&names::camel(&field.name)), codec(&field.ty));
            let number = Literal::u32_unsuffixed(field.number);
            match writes {
                true => quote!(Self::#variant(one) => wire::always::<#codec, _>(#number, one, out)),
                false => quote!(Self::#variant(one) => wire::always_len::<#codec, _>(#number, one)),
            }
        })
    };
    let (lens, writes) = (arms(false), arms(true));
    quote! {
        impl wire::Message for #ty #lifetime {
            #[inline]
            fn encoded_len(&self) -> usize {
                match *self {
                    #(#lens,)*
                }
            }

            #[inline]
            fn encode(&self, out: &mut ::std::vec::Vec<u8>) {
                match *self {
                    #(#writes,)*
                }
            }
        }
    }
}

fn value(field: &Field, counted: bool) -> TokenStream {
    let name = names::ident(&names::snake(&field.name));
    cut(field, quote!(self.#name), counted)
}

/// The `value` of a field, no longer than the schema allows; whether that is `counted` as a cut.
pub(crate) fn cut(field: &Field, value: TokenStream, counted: bool) -> TokenStream {
    let Some(max) = field.max_len.map(Literal::u32_unsuffixed) else { return value };
    let function = names::ident(if counted { "cut_counted" } else { "cut" });
    match field.presence {
        Presence::Explicit if !field.required => {
            quote!(#value.map(|one| wire::#function(one, #max)))
        }
        _ => quote!(wire::#function(#value, #max)),
    }
}

/// The functions of `wire` for a field, and their type arguments.
struct Call {
    write: proc_macro2::Ident,
    len: proc_macro2::Ident,
    /// Type arguments and the field's number, unless it is a oneof, whose fields say them.
    codecs: TokenStream,
    number: TokenStream,
}

fn call(field: &Field) -> Call {
    if let Type::Oneof(_) = field.ty {
        return Call {
            write: names::ident("oneof"),
            len: names::ident("oneof_len"),
            codecs: TokenStream::new(),
            number: TokenStream::new(),
        };
    }
    let codec = codec(&field.ty);
    let single = quote!(#codec, _);
    let (function, codecs) = match (&field.ty, field.presence) {
        (_, Presence::Map { key }) => {
            let key = scalar(key);
            ("map", quote!(#key, #codec, _, _))
        }
        (_, Presence::Repeated { packed: true }) => ("packed", single),
        (_, Presence::Repeated { packed: false }) => ("repeated", single),
        (Type::Scalar(_) | Type::WellKnown(WellKnown::Null), Presence::Implicit) => ("implicit", single),
        _ if field.required => ("always", single),
        _ => ("optional", single),
    };
    let number = Literal::u32_unsuffixed(field.number);
    Call {
        write: names::ident(function),
        len: names::ident(&format!("{function}_len")),
        codecs: quote!(::<#codecs>),
        number: quote!(#number,),
    }
}

fn codec(ty: &Type) -> TokenStream {
    match ty {
        Type::Scalar(one) => scalar(*one),
        Type::Enum(_) | Type::WellKnown(WellKnown::Null) => quote!(wire::Enum),
        Type::Message { group: true, .. } => quote!(wire::Group),
        Type::WellKnown(WellKnown::Empty) => quote!(wire::Empty),
        Type::WellKnown(WellKnown::Wrapper(one)) => {
            let one = scalar(*one);
            quote!(wire::Wrapped<#one>)
        }
        Type::Message { .. } | Type::Oneof(_) | Type::WellKnown(_) => quote!(wire::Sub),
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
