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

/// The field that says the level where the caller does not.
const OPERATION: &str = "operation";

/// A block whose value is the ticket.
pub(crate) fn expand(call: &Call) -> TokenStream {
    let kind = &call.kind;
    let here = at(kind.span());
    let sdk = moved(&call.sdk, here);
    let schema = call.schema.as_ref().map_or_else(|| sdk.clone(), ToTokens::to_token_stream);
    let emitter = format_ident!("emit_{}", kind, span = here);

    let given = call.fields.iter().map(|field| field.name.unraw().to_string());
    let required =
        quote_spanned!(here=> const _: () = #sdk::__private::require(__kind::REQUIRED, &[#(#given),*]););
    let Levels { before, refuses, question, argument } = level(call);
    let payload = payload(&call.fields, kind.span());
    let metadata = metadata(&call.metadata);
    let arguments = quote!(#argument #payload, #metadata);

    let (imports, let_handle, refusal, emit) = match &call.handle {
        None => (
            quote_spanned!(here=> use #schema::{kinds::#kind as __kind, #emitter};),
            None,
            {
                let refuses = Ident::new(refuses.0, here);
                quote_spanned!(here=> #sdk::__private::#refuses(&__kind::KIND, #question))
            },
            quote_spanned!(here=> #emitter(#arguments)),
        ),
        Some(handle) => {
            let place = at(handle.span());
            let events = Ident::new("events", place);
            let handle_type = moved(&quote!(#sdk::Events), place);
            (
                quote_spanned!(here=> use #schema::kinds::#kind as __kind;),
                // In two steps, so that the type is no hint for the expression: anything that derefs to a handle will do.
                Some(quote_spanned!(place=> let #events = &#handle; let #events: &#handle_type = #events;)),
                {
                    let refuses = Ident::new(refuses.1, here);
                    quote_spanned!(here=> #sdk::__private::#refuses(#events, &__kind::KIND, #question))
                },
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

/// What follows from how a call says the level.
struct Levels {
    /// What comes before the question whether the event is wanted.
    before: TokenStream,
    /// The functions that answer it, without and with a handle.
    refuses: (&'static str, &'static str),
    /// Their arguments for the level.
    question: TokenStream,
    /// The emitter's argument for it.
    argument: Option<TokenStream>,
}

impl Levels {
    fn said(before: TokenStream, level: TokenStream) -> Self {
        let argument = Some(quote!(#level,));
        Self { before, refuses: ("refuses", "refuses_on"), question: level, argument }
    }
}

fn level(call: &Call) -> Levels {
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
            let fixed = quote_spanned!(place=> const { #sdk::__private::schema_level(&__kind::KIND) });
            let said = said_level(call, &sdk);
            Levels {
                before: TokenStream::new(),
                refuses: ("refuses_by_schema", "refuses_on_by_schema"),
                question: quote_spanned!(place=> #fixed, #said),
                argument: None,
            }
        }
        Some(Level::Named(name)) => {
            let variant = Ident::new(&name.unraw().to_string().to_upper_camel_case(), place);
            let level = quote_spanned!(place=> #sdk::Level::#variant);
            Levels::said(check, level)
        }
        Some(Level::Computed(value)) => {
            let level = Ident::new("level", place);
            let binding = quote_spanned!(place=> let #level: #sdk::Level = #value;);
            Levels::said(quote!(#check #binding), level.to_token_stream())
        }
    }
}

/// The level that the schema gives to the operation, if the call names it by its variant and so nothing has to be evaluated.
fn said_level(call: &Call, sdk: &TokenStream) -> TokenStream {
    let operation = call.fields.iter().find_map(|field| match &field.value {
        Value::Variant(variant) if field.name == OPERATION => Some((&field.name, variant)),
        _ => None,
    });
    match operation {
        None => quote!(::core::option::Option::None),
        Some((name, variant)) => {
            let place = at(variant.span());
            let sdk = moved(sdk, place);
            let variant = quote_spanned!(place=> __kind::fields::#name::#variant);
            quote_spanned!(place=> #sdk::__private::wire::Enumeration::level(#variant))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The expansion of a call, written as a person would.
    fn expansion(call: TokenStream) -> String {
        let call = syn::parse2(quote!(::events_sdk; #call)).unwrap();
        let block = expand(&call);
        let file = syn::parse2(quote!(fn f() #block)).unwrap();
        prettyplease::unparse(&file)
    }

    #[test]
    fn a_call_becomes_a_question_and_the_emitter_that_a_person_would_call() {
        let call = quote! {
            storage_pool, warn, { pool_name: name, operation: Created }, { "component" => "zfs", "node" => node }
        };
        assert_eq!(
            expansion(call),
            r#"fn f() {
    use ::events_sdk::{kinds::storage_pool as __kind, emit_storage_pool};
    const _: () = ::events_sdk::__private::require(
        __kind::REQUIRED,
        &["pool_name", "operation"],
    );
    let _: [(); ::events_sdk::__private::takes_level(&__kind::KIND)];
    match ::events_sdk::__private::refuses(&__kind::KIND, ::events_sdk::Level::Warn) {
        ::core::option::Option::Some(ticket) => ticket,
        #[allow(clippy::needless_update)]
        ::core::option::Option::None => {
            emit_storage_pool(
                ::events_sdk::Level::Warn,
                __kind::Payload {
                    pool_name: name,
                    operation: ::core::convert::Into::into(
                        __kind::fields::operation::Created,
                    ),
                    ..__kind::Payload::__unset()
                },
                [
                    ("component", "zfs"),
                    ("node", ::core::convert::AsRef::<str>::as_ref(&node)),
                ],
            )
        }
    }
}
"#
        );
    }

    #[test]
    fn a_handle_is_evaluated_once_and_emits_by_its_method() {
        assert_eq!(
            expansion(quote!(on self.events(), system_startup, { operation })),
            r#"fn f() {
    use ::events_sdk::kinds::system_startup as __kind;
    const _: () = ::events_sdk::__private::require(__kind::REQUIRED, &["operation"]);
    let events = &self.events();
    let events: &::events_sdk::Events = events;
    match ::events_sdk::__private::refuses_on_by_schema(
        events,
        &__kind::KIND,
        const { ::events_sdk::__private::schema_level(&__kind::KIND) },
        ::core::option::Option::None,
    ) {
        ::core::option::Option::Some(ticket) => ticket,
        #[allow(clippy::needless_update)]
        ::core::option::Option::None => {
            events
                .emit_system_startup(
                    __kind::Payload {
                        operation,
                        ..__kind::Payload::__unset()
                    },
                    (),
                )
        }
    }
}
"#
        );
    }

    #[test]
    fn a_level_that_is_left_out_is_asked_of_the_operation() {
        let text = expansion(quote!(acme::job, { operation: Failed }));
        assert!(text.contains("refuses_by_schema("), "{text}");
        let said = "::events_sdk::__private::wire::Enumeration::level(\n            __kind::fields::operation::Failed,";
        assert!(text.contains(said), "{text}");
        let text = expansion(quote!(acme::job, { operation: failed() }));
        assert!(!text.contains("Enumeration") && text.matches("failed()").count() == 1, "{text}");
    }

    #[test]
    fn a_kind_of_another_schema_is_taken_from_its_module() {
        let free = expansion(quote!(crate::acme::backup, info, {}));
        assert!(free.contains("use crate::acme::{kinds::backup as __kind, emit_backup};"), "{free}");
        assert!(free.contains("::events_sdk::Level::Info"), "{free}");
        let method = expansion(quote!(on events, acme::backup, info, {}));
        assert!(method.contains("use acme::kinds::backup as __kind;"), "{method}");
        assert!(method.contains("acme::EmitExt::emit_backup(\n                events,"), "{method}");
    }

    #[test]
    fn a_computed_level_is_evaluated_once() {
        for call in [quote!(storage_pool, (level()), {}), quote!(storage_pool, level(), {})] {
            let text = expansion(call);
            assert_eq!(text.matches("level()").count(), 1, "{text}");
            assert!(text.contains("let level: ::events_sdk::Level = level();"), "{text}");
        }
        assert!(expansion(quote!(storage_pool, Level::Warn, {})).contains("Level = Level::Warn;"));
    }

    #[test]
    fn metadata_as_a_whole_is_passed_on() {
        assert!(expansion(quote!(storage_pool, warn, {}, &map)).contains("&map,"));
        assert!(expansion(quote!(storage_pool, warn, {}, {})).contains("(),"));
    }

    #[test]
    fn a_raw_field_is_required_by_its_bare_name() {
        let text = expansion(quote!(usage_quota, warn, { r#type: 1 }));
        assert!(text.contains(r#"&["type"]"#) && text.contains("r#type: 1"), "{text}");
    }
}
