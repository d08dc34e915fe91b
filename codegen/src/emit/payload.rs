//! The payload types: borrowed, with public fields, and with `new` for what an event cannot do without.

use proc_macro2::{Ident, TokenStream};
use quote::quote;

use super::{Paths, enums, oneofs, personal, wire};
use crate::docs;
use crate::model::{Field, Message, Oneof, Presence, Scalar, Schema, Sensitivity, Type, WellKnown};
use crate::names;

/// What stands in `Debug` output for personal data.
const MASK: &str = "<pii>";

/// `pub mod payload`.
pub(crate) fn module(schema: &Schema, paths: &Paths) -> TokenStream {
    let personal = personal::Tables::new(schema);
    let types = schema.messages.iter().map(|message| {
        let parts = [
            structure(message, schema),
            constructors(message, schema),
            debug(message, paths),
            wire::encoding(message, personal.of(message)),
            to_wire_type(message, paths),
            oneofs::emit(message, schema, paths),
        ];
        quote!(#(#parts)*)
    });
    let tables = personal.module();
    let enums = schema.enums.iter().map(|one| enums::emit(one, schema, paths));
    // Every kind has a payload, and every payload is encoded: the import is always used, and no type is in lower case.
    let wire = (!schema.messages.is_empty()).then(|| paths.private("wire")).map(|wire| quote!(use #wire;));
    let allow = schema.has_deprecated().then(|| quote!(#[allow(deprecated)]));
    quote! {
        /// What events carry: borrowed types for emitting, with the enums of the schema as Rust enums.
        #allow
        pub mod payload {
            #wire

            #(#types)*
            #(#enums)*
            #tables
        }
    }
}

/// The type's name with its lifetime, if it has one.
pub(crate) fn type_of(message: &Message, lifetime: &TokenStream) -> TokenStream {
    let name = names::ident(&message.rust_name);
    match message.borrows {
        true => quote!(#name<#lifetime>),
        false => quote!(#name),
    }
}

/// The name of an enum made of a oneof, with its lifetime, if it has one.
pub(crate) fn oneof_type(oneof: &Oneof, lifetime: &TokenStream) -> TokenStream {
    let name = names::ident(&oneof.rust_name);
    match oneof.borrows {
        true => quote!(#name<#lifetime>),
        false => quote!(#name),
    }
}

fn field_ident(field: &Field) -> Ident {
    names::ident(&names::snake(&field.name))
}

/// The Rust type of one value of the field.
pub(crate) fn element(ty: &Type, schema: &Schema) -> TokenStream {
    match ty {
        Type::Scalar(one) => scalar(*one),
        Type::Enum(name) => {
            let name = names::ident(schema.enumeration(name).map_or("", |one| &one.rust_name));
            quote!(#name)
        }
        Type::Message { full_name, recursive, .. } => {
            let ty = schema.message(full_name).map(|message| type_of(message, &quote!('a)));
            match recursive {
                true => quote!(&'a #ty),
                false => quote!(#ty),
            }
        }
        Type::Oneof(oneof) => oneof_type(oneof, &quote!('a)),
        Type::WellKnown(one) => match one {
            WellKnown::Timestamp => quote!(wire::Timestamp),
            WellKnown::Duration => quote!(wire::Duration),
            WellKnown::Struct => quote!(wire::Struct<'a>),
            WellKnown::Value => quote!(wire::Value<'a>),
            WellKnown::List => quote!(wire::List<'a>),
            WellKnown::Empty => quote!(()),
            WellKnown::Any => quote!(wire::Any<'a>),
            WellKnown::FieldMask => quote!(wire::FieldMask<'a>),
            WellKnown::Null => quote!(wire::Null),
            WellKnown::Wrapper(inner) => scalar(*inner),
        },
    }
}

fn scalar(scalar: Scalar) -> TokenStream {
    match scalar {
        Scalar::Double => quote!(f64),
        Scalar::Float => quote!(f32),
        Scalar::Int32 | Scalar::Sint32 | Scalar::Sfixed32 => quote!(i32),
        Scalar::Int64 | Scalar::Sint64 | Scalar::Sfixed64 => quote!(i64),
        Scalar::Uint32 | Scalar::Fixed32 => quote!(u32),
        Scalar::Uint64 | Scalar::Fixed64 => quote!(u64),
        Scalar::Bool => quote!(bool),
        Scalar::String => quote!(&'a str),
        Scalar::Bytes => quote!(&'a [u8]),
    }
}

/// The field may be left out, which `None` says.
fn is_option(field: &Field) -> bool {
    match (field.presence, &field.ty) {
        (Presence::Repeated { .. } | Presence::Map { .. }, _)
        | (Presence::Implicit, Type::Scalar(_) | Type::WellKnown(WellKnown::Null)) => false,
        _ => !field.required,
    }
}

/// The Rust type of the field.
fn field_type(field: &Field, schema: &Schema) -> TokenStream {
    let element = element(&field.ty, schema);
    match field.presence {
        Presence::Repeated { .. } => quote!(&'a [#element]),
        Presence::Map { key } => {
            let key = scalar(key);
            quote!(&'a [(#key, #element)])
        }
        _ if is_option(field) => quote!(::core::option::Option<#element>),
        _ => element,
    }
}

/// What the schema says of a field, as documentation.
pub(crate) fn field_docs(field: &Field) -> TokenStream {
    let mut lines = docs::lines(&field.docs);
    if lines.is_empty() {
        lines.push(format!("The field `{}`.", field.name));
    }
    if field.sensitivity == Sensitivity::Pii {
        lines.extend([String::new(), "Masked in `Debug` output.".to_owned()]);
    }
    if let Some(unit) = &field.unit {
        // As the comments are: what is written is shown, and is no markup.
        lines.push(String::new());
        lines.extend(docs::lines(&format!("Unit: {unit}.")));
    }
    if let Some(max) = field.max_len {
        lines.extend([String::new(), format!("At most {max} bytes: a longer text is cut, and counted.")]);
    }
    docs::plain(&lines)
}

fn structure(message: &Message, schema: &Schema) -> TokenStream {
    let attributes = docs::attributes(&message.docs, &format!("The message `{}`.", message.full_name));
    let ty = type_of(message, &quote!('a));
    let fields = message.fields.iter().map(|field| {
        let (docs, name, ty) = (field_docs(field), field_ident(field), field_type(field, schema));
        let deprecated = docs::deprecated(field.deprecated);
        quote!(#docs #deprecated pub #name: #ty)
    });
    let default = message.required().next().is_none().then(|| quote!(, Default));
    let debug = (!message.has_pii()).then(|| quote!(Debug,));
    let deprecated = docs::deprecated(message.deprecated);
    quote! {
        #attributes
        #deprecated
        #[derive(#debug Clone, Copy, PartialEq #default)]
        pub struct #ty {
            #(#fields,)*
        }
    }
}

fn constructors(message: &Message, schema: &Schema) -> TokenStream {
    let (generics, ty) = (message.borrows.then(|| quote!(<'a>)), type_of(message, &quote!('a)));
    let unset = message.fields.iter().map(|field| {
        let (name, value) = (field_ident(field), unset(field, schema));
        quote!(#name: #value)
    });
    let new = message.required().next().map(|_| {
        let names: Vec<_> = message.required().map(field_ident).collect();
        let types = message.required().map(|field| field_type(field, schema));
        let rest = (names.len() < message.fields.len()).then(|| quote!(..Self::__unset()));
        let attribute = lint(names.len());
        quote! {
            /// With what the event cannot do without; every other field is empty.
            #attribute
            pub const fn new(#(#names: #types),*) -> Self {
                Self { #(#names,)* #rest }
            }
        }
    });
    quote! {
        impl #generics #ty {
            #new

            /// Every field empty, and those that must be given at the first value there is. For the `emit!` macro.
            #[doc(hidden)]
            pub const fn __unset() -> Self {
                Self { #(#unset,)* }
            }
        }
    }
}

/// clippy counts arguments; how many an event needs is for its schema to say.
fn lint(arguments: usize) -> Option<TokenStream> {
    /// clippy's own limit.
    const TOO_MANY: usize = 7;
    (arguments > TOO_MANY).then(|| quote!(#[allow(clippy::too_many_arguments)]))
}

fn unset(field: &Field, schema: &Schema) -> TokenStream {
    if matches!(field.presence, Presence::Repeated { .. } | Presence::Map { .. }) {
        return quote!(&[]);
    }
    if is_option(field) {
        return quote!(::core::option::Option::None);
    }
    match &field.ty {
        Type::Scalar(one) | Type::WellKnown(WellKnown::Wrapper(one)) => match one {
            Scalar::String => quote!(""),
            Scalar::Bytes => quote!(&[]),
            Scalar::Bool => quote!(false),
            Scalar::Double | Scalar::Float => quote!(0.0),
            _ => quote!(0),
        },
        Type::WellKnown(WellKnown::Timestamp) => quote!(wire::Timestamp::UNIX_EPOCH),
        Type::WellKnown(WellKnown::Duration) => quote!(wire::Duration::ZERO),
        Type::WellKnown(WellKnown::Struct) => quote!(wire::Struct(&[])),
        Type::WellKnown(WellKnown::Value) => quote!(wire::Value::Null),
        Type::WellKnown(WellKnown::List) => quote!(wire::List(&[])),
        Type::WellKnown(WellKnown::Empty) => quote!(()),
        Type::WellKnown(WellKnown::Any) => quote!(wire::Any { type_url: "", value: &[] }),
        Type::WellKnown(WellKnown::FieldMask) => quote!(wire::FieldMask(&[])),
        Type::WellKnown(WellKnown::Null) => quote!(wire::Null),
        Type::Enum(name) => {
            let one = schema.enumeration(name);
            let ty = names::ident(one.map_or("", |one| &one.rust_name));
            let first = one.and_then(|one| one.values.first()).map_or("", |value| &value.variant);
            let first = names::ident(first);
            quote!(#ty::#first)
        }
        Type::Message { full_name, .. } => {
            let ty = names::ident(schema.message(full_name).map_or("", |message| &message.rust_name));
            quote!(#ty::__unset())
        }
        // A oneof is never required, so it has been dealt with above.
        Type::Oneof(_) => quote!(::core::option::Option::None),
    }
}

/// `Debug` by hand where a field is personal data, for the payload and, unless it is the SDK's, for its wire type.
fn debug(message: &Message, paths: &Paths) -> TokenStream {
    if !message.has_pii() {
        return TokenStream::new();
    }
    let ty = type_of(message, &quote!('_));
    let ours = debug_of(&ty, message, |field| {
        let name = field_ident(field);
        quote!(&self.#name)
    });
    if !paths.owns(message) {
        return ours;
    }
    let theirs = debug_of(&paths.wire_type(message), message, |field| {
        let name = field_ident(field);
        match (field.presence, &field.ty) {
            // prost keeps a number, and has a function of the same name that says the enum.
            (Presence::Implicit | Presence::Required, Type::Enum(_) | Type::WellKnown(WellKnown::Null)) => {
                quote!(&self.#name())
            }
            _ => quote!(&self.#name),
        }
    });
    quote!(#ours #theirs)
}

fn debug_of(ty: &TokenStream, message: &Message, show: impl Fn(&Field) -> TokenStream) -> TokenStream {
    let name = &message.rust_name;
    let fields = message.fields.iter().map(|field| {
        let (name, value) = (&field.name, show(field));
        match field.sensitivity {
            Sensitivity::Pii => quote!(.field(#name, &::core::format_args!(#MASK))),
            _ => quote!(.field(#name, #value)),
        }
    });
    quote! {
        impl ::core::fmt::Debug for #ty {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_struct(#name) #(#fields)* .finish()
            }
        }
    }
}

/// `From` for the prost type.
fn to_wire_type(message: &Message, paths: &Paths) -> TokenStream {
    let (ty, target) = (type_of(message, &quote!('_)), paths.wire_type(message));
    let fields = message.fields.iter().map(|field| {
        let (name, value) = (field_ident(field), owned(field));
        quote!(#name: #value)
    });
    let payload = match message.fields.is_empty() {
        true => quote!(_payload),
        false => quote!(payload),
    };
    quote! {
        impl ::core::convert::From<#ty> for #target {
            fn from(#payload: #ty) -> Self {
                Self { #(#fields,)* }
            }
        }
    }
}

/// The field as prost holds it.
fn owned(field: &Field) -> TokenStream {
    let name = field_ident(field);
    let one = quote!(one);
    let value = wire::cut(field, quote!(payload.#name), false);
    match (field.presence, &field.ty) {
        (Presence::Repeated { .. }, ty) => match convert(ty, &one) {
            None => quote!(#value.to_vec()),
            Some(one) => quote!(#value.iter().map(|&one| #one).collect()),
        },
        (Presence::Map { key }, ty) => {
            let key = convert(&Type::Scalar(key), &quote!(key)).unwrap_or_else(|| quote!(key));
            let one = convert(ty, &one).unwrap_or(one);
            quote!(#value.iter().map(|&(key, one)| (#key, #one)).collect())
        }
        // prost holds an enum without presence as a number, and 0 for none.
        (Presence::Implicit, Type::Enum(_)) if is_option(field) => {
            quote!(#value.map_or(0, |one| one.number()))
        }
        (Presence::Implicit | Presence::Required, ty) => convert(ty, &value).unwrap_or(value),
        (Presence::Explicit, ty) if is_option(field) => match convert(ty, &one) {
            None => value,
            Some(one) => quote!(#value.map(|one| #one)),
        },
        (Presence::Explicit, ty) => {
            let one = convert(ty, &value).unwrap_or(value);
            quote!(::core::option::Option::Some(#one))
        }
    }
}

/// A borrowed value made owned, or `None` where it already is.
pub(crate) fn convert(ty: &Type, value: &TokenStream) -> Option<TokenStream> {
    match ty {
        Type::Scalar(one) | Type::WellKnown(WellKnown::Wrapper(one)) => match one {
            Scalar::String => Some(quote!(#value.to_owned())),
            Scalar::Bytes => Some(quote!(#value.to_vec())),
            _ => None,
        },
        Type::WellKnown(WellKnown::Empty) => None,
        Type::Enum(_) | Type::WellKnown(WellKnown::Null) => Some(quote!(#value.number())),
        Type::Message { recursive: true, .. } => Some(quote!(::std::boxed::Box::new((*#value).into()))),
        Type::Message { .. } | Type::Oneof(_) | Type::WellKnown(_) => Some(quote!(#value.into())),
    }
}
