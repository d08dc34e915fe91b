//! The emitters: one method on the handle and one free function for each kind of event.

use proc_macro2::TokenStream;
use quote::quote;

use super::Paths;
use super::kinds::level;
use super::payload::type_of;
use crate::docs;
use crate::model::{EventKind, Message, OPERATION, Schema};
use crate::names;

/// Methods and free functions.
pub(crate) fn emit(schema: &Schema, paths: &Paths) -> TokenStream {
    let emitters: Vec<Emitter> = schema
        .kinds()
        .filter_map(|kind| Some(Emitter::new(kind, schema.message(&kind.payload)?, schema, paths)))
        .collect();
    let events = paths.private("Events");
    let methods = match paths.in_sdk() {
        true => {
            let methods = emitters.iter().map(|emitter| emitter.method(&quote!(pub)));
            quote! {
                /// One method for each kind of event.
                impl #events {
                    #(#methods)*
                }
            }
        }
        false => {
            let signatures = emitters.iter().map(Emitter::signature);
            let methods = emitters.iter().map(|emitter| emitter.body(&TokenStream::new()));
            // A method of an implementation cannot be marked as deprecated itself.
            let deprecated = emitters.iter().any(|emitter| emitter.deprecated.is_some());
            let allow = deprecated.then(|| quote!(#[allow(deprecated)]));
            quote! {
                /// One method on the handle for each kind of event of this schema.
                pub trait EmitExt {
                    #(#signatures)*
                }

                #allow
                impl EmitExt for #events {
                    #(#methods)*
                }
            }
        }
    };
    let functions = emitters.iter().map(Emitter::function);
    quote!(#methods #(#functions)*)
}

/// The parts of an emitter.
struct Emitter {
    docs: TokenStream,
    deprecated: Option<TokenStream>,
    name: proc_macro2::Ident,
    module: proc_macro2::Ident,
    /// The level parameter, unless the kind fixes it.
    parameter: Option<TokenStream>,
    level: TokenStream,
    payload: TokenStream,
    metadata: TokenStream,
    ticket: TokenStream,
    emit: TokenStream,
}

impl Emitter {
    fn new(kind: &EventKind, message: &Message, schema: &Schema, paths: &Paths) -> Self {
        let level_type = paths.level();
        let (parameter, level) = match level(kind, schema) {
            None if kind.level_by_operation() => {
                let operation = names::ident(OPERATION);
                (None, quote!(payload.#operation.level()))
            }
            None => (Some(quote!(level: #level_type,)), quote!(level)),
            Some(variant) => {
                let variant = names::ident(&variant);
                (None, quote!(#level_type::#variant))
            }
        };
        Self {
            docs: docs::plain(&documentation(kind, message)),
            // Its payload is deprecated too, which is not news here.
            deprecated: docs::deprecated(message.deprecated).map(|one| quote!(#one #[allow(deprecated)])),
            name: names::ident(&format!("emit_{}", kind.emitter)),
            module: names::ident(&kind.emitter),
            parameter,
            level,
            payload: type_of(message, &quote!('_)),
            metadata: paths.private("Metadata"),
            ticket: paths.private("Ticket"),
            emit: paths.private("emit"),
        }
    }

    fn parameters(&self) -> TokenStream {
        let Self { parameter, payload, metadata, .. } = self;
        quote!(#parameter payload: payload::#payload, metadata: impl #metadata)
    }

    fn method(&self, visibility: &TokenStream) -> TokenStream {
        let (Self { docs, deprecated, .. }, body) = (self, self.body(visibility));
        quote!(#docs #deprecated #body)
    }

    fn signature(&self) -> TokenStream {
        let (Self { docs, deprecated, name, ticket, .. }, parameters) = (self, self.parameters());
        quote!(#docs #deprecated fn #name(&self, #parameters) -> #ticket;)
    }

    fn body(&self, visibility: &TokenStream) -> TokenStream {
        let (Self { name, module, level, ticket, .. }, parameters) = (self, self.parameters());
        quote! {
            #visibility fn #name(&self, #parameters) -> #ticket {
                self.__emit(&kinds::#module::KIND, #level, &payload, metadata)
            }
        }
    }

    fn function(&self) -> TokenStream {
        let (Self { docs, deprecated, name, module, level, ticket, emit, .. }, parameters) =
            (self, self.parameters());
        quote! {
            #docs
            #deprecated
            pub fn #name(#parameters) -> #ticket {
                #emit(&kinds::#module::KIND, #level, &payload, metadata)
            }
        }
    }
}

/// The payload's comment, and behind it what the schema fixes.
fn documentation(kind: &EventKind, message: &Message) -> Vec<String> {
    let mut lines = docs::lines(&message.docs);
    if lines.is_empty() {
        lines.push(format!("Emits the event `{}`.", kind.emitter));
    }
    lines.push(String::new());
    let level = match &kind.level {
        Some(_) if kind.level_by_operation() => "level by the operation".to_owned(),
        Some(level) => format!("level always `{}`", level.to_uppercase()),
        None => "level as the caller says".to_owned(),
    };
    let source = kind.source.as_deref().unwrap_or_default();
    lines.push(format!("Category `{}`, source `{source}`, {level}.", kind.category.name));
    let said = [("Owner", &kind.owner), ("Since", &kind.since)];
    let said: Vec<_> =
        said.iter().filter_map(|(what, text)| Some(format!("{what}: {}.", text.as_ref()?))).collect();
    if !said.is_empty() {
        lines.push(String::new());
        lines.extend(docs::lines(&said.join(" ")));
    }
    if kind.deprecated {
        lines.push(String::new());
        lines.push(
            "The schema marks this event as one of the earlier generation: Toggle still reads it.".to_owned(),
        );
    }
    lines
}
