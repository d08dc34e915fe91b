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
    let Call { sdk, kind, .. } = call;
    let private = quote!(#sdk::__private);
    let schema = call.schema.as_ref().map_or_else(|| sdk.clone(), ToTokens::to_token_stream);
    let here = at(kind.span());
    let emitter = format_ident!("emit_{}", kind, span = kind.span());

    let given = call.fields.iter().map(|field| field.name.unraw().to_string());
    let required = quote_spanned! {here=>
        const _: () = #private::require(__kind::REQUIRED, &[#(#given),*]);
    };

    let (let_level, level, argument) = level(call, &private, here);
    let payload = payload(&call.fields, here);
    let metadata = metadata(&call.metadata);
    let arguments = quote!(#argument #payload, #metadata);

    let (imports, let_handle, refusal, emit) = match &call.handle {
        None => (
            quote_spanned!(here=> use #schema::{kinds::#kind as __kind, #emitter as __emit};),
            None,
            quote!(#private::refuses(&__kind::KIND, #level)),
            quote_spanned!(here=> __emit(#arguments)),
        ),
        Some(handle) => {
            let place = at(handle.span());
            let events = Ident::new("events", Span::mixed_site());
            (
                quote_spanned!(here=> use #schema::kinds::#kind as __kind;),
                Some(quote_spanned!(place=> let #events: &#sdk::Events = &#handle;)),
                quote!(#events.__refuses(&__kind::KIND, #level)),
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
        #let_level
        match #refusal {
            ::core::option::Option::Some(ticket) => ticket,
            #[allow(clippy::needless_update)]
            ::core::option::Option::None => #emit,
        }
    }}
}
