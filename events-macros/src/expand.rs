//! From a [`Call`] to the code that a person would write: ask whether the event is wanted, then call its emitter.
//!
//! Every generated token has the place of the token of the call that it follows from, so that rustc's complaint about a
//! kind, a level, a field or a value stands where it was written. User code stays outside of closures: `?`, `return`
//! and `.await` in it mean what they say.

use heck::ToUpperCamelCase;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{Expr, ExprLit, Lit, ext::IdentExt, spanned::Spanned};

use crate::call::{Call, Field, Level, Metadata, Value};

/// A block whose value is the ticket.
pub(crate) fn expand(call: &Call) -> TokenStream {
    let kind = &call.kind;
    let here = at(kind.span());
    let sdk = moved(&call.sdk, here);
    let schema = call.schema.as_ref().map_or_else(|| sdk.clone(), ToTokens::to_token_stream);
    let emitter = format_ident!("emit_{}", kind, span = here);

    let given = call.fields.iter().map(|field| field.name.unraw().to_string());
    let required = quote_spanned!(here=> const _: () = #sdk::__private::require(__kind::REQUIRED, &[#(#given),*]););
    let (before, level, argument) = level(call);
    let payload = payload(&call.fields, kind.span());
    let metadata = metadata(&call.metadata);
    let arguments = quote!(#argument #payload, #metadata);

    let (imports, let_handle, refusal, emit) = match &call.handle {
        None => (
            quote_spanned!(here=> use #schema::{kinds::#kind as __kind, #emitter as __emit};),
            None,
            quote_spanned!(here=> #sdk::__private::refuses(&__kind::KIND, #level)),
            quote_spanned!(here=> __emit(#arguments)),
        ),
        Some(handle) => {
            let place = at(handle.span());
            let events = Ident::new("events", Span::mixed_site());
            let sdk = moved(&sdk, place);
            (
                quote_spanned!(here=> use #schema::kinds::#kind as __kind;),
                Some(quote_spanned!(place=> let #events: &#sdk::Events = &#handle;)),
                quote_spanned!(here=> #events.__refuses(&__kind::KIND, #level)),
                match &call.schema {
                    None => quote_spanned!(here=> #events.#emitter(#arguments)),
                    Some(schema) => quote_spanned!(here=> #schema::EmitExt::#emitter(#events, #arguments)),
                },
            )
        }
    };
    quote! {{
        #imports
        #required
        #let_handle
        #before
        match #refusal {
            ::core::option::Option::Some(ticket) => ticket,
            #[allow(clippy::needless_update)]
            ::core::option::Option::None => #emit,
        }
    }}
}

/// The place of `span`, with names resolved where the macro is called: what is reported there is known to come out of a
/// macro, and lints about the caller's own style stay silent.
fn at(span: Span) -> Span {
    Span::mixed_site().located_at(span)
}

/// The same tokens at another place. `$crate` goes on meaning the crate whose macro said it.
fn moved(tokens: &TokenStream, place: Span) -> TokenStream {
    let moved = tokens.clone().into_iter().map(|mut token| {
        token.set_span(token.span().located_at(place));
        token
    });
    moved.collect()
}

/// What comes before the question whether the event is wanted, the level, and the emitter's argument for it.
fn level(call: &Call) -> (TokenStream, TokenStream, Option<TokenStream>) {
    let place = match &call.level {
        None => at(call.kind.span()),
        Some(Level::Named(name)) => at(name.span()),
        Some(Level::Computed(value)) => at(value.span()),
    };
    let sdk = moved(&call.sdk, place);
    // As a part of a type it is looked at first: before rustc finds that the emitter has no room for a level.
    let check = quote_spanned!(place=> let _: [(); #sdk::__private::takes_level(&__kind::KIND)];);
    match &call.level {
        None => {
            let level = quote_spanned!(place=> const { #sdk::__private::fixed_level(&__kind::KIND) });
            (TokenStream::new(), level, None)
        }
        Some(Level::Named(name)) => {
            let variant = Ident::new(&name.unraw().to_string().to_upper_camel_case(), place);
            let level = quote_spanned!(place=> #sdk::Level::#variant);
            (check, level.clone(), Some(quote!(#level,)))
        }
        Some(Level::Computed(value)) => {
            let level = Ident::new("level", place);
            let binding = quote_spanned!(place=> let #level: #sdk::Level = #value;);
            (quote!(#check #binding), level.to_token_stream(), Some(quote!(#level,)))
        }
    }
}

/// The payload: what is given over what is empty.
fn payload(fields: &[Field], here: Span) -> TokenStream {
    let fields = fields.iter().map(|Field { name, value }| match value {
        Value::Shorthand => name.to_token_stream(),
        Value::Expr(value) => quote!(#name: #value),
        // A field that may be left out holds an `Option` of its enum, hence `into`.
        Value::Variant(variant) => {
            let variant = quote_spanned!(at(variant.span())=> __kind::fields::#name::#variant);
            let place = at(variant.span());
            quote_spanned!(place=> #name: ::core::convert::Into::into(#variant))
        }
    });
    quote_spanned!(here=> __kind::Payload { #(#fields,)* ..__kind::Payload::__unset() })
}

fn metadata(metadata: &Metadata) -> TokenStream {
    match metadata {
        Metadata::Expr(value) => value.to_token_stream(),
        Metadata::Pairs(pairs) if pairs.is_empty() => quote!(()),
        Metadata::Pairs(pairs) => {
            let pairs = pairs.iter().map(|(key, value)| {
                let (key, value) = (text(key), text(value));
                quote!((#key, #value))
            });
            quote!([#(#pairs),*])
        }
    }
}

/// A `&str` of whatever is text, so that texts of several types fit into one array.
fn text(value: &Expr) -> TokenStream {
    match value {
        Expr::Lit(ExprLit { attrs, lit: Lit::Str(literal) }) if attrs.is_empty() => literal.to_token_stream(),
        value => quote_spanned!(at(value.span())=> ::core::convert::AsRef::<str>::as_ref(&#value)),
    }
}
