//! Where generated code finds the runtime and the wire types.

use std::collections::BTreeSet;

use proc_macro2::TokenStream;
use quote::quote;

use crate::model::{Message, Oneof};
use crate::names;

/// The package of the SDK's own schema: its root is the SDK's `proto` module.
const SDK_PACKAGE: &str = "rodent";

/// A module of wire types that prost wrote: its path below `proto`, and its file in `OUT_DIR`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ProtoModule {
    pub(crate) path: Vec<String>,
    pub(crate) file: String,
}

/// Paths into the runtime and to the wire types.
#[derive(Clone)]
pub(crate) struct Paths {
    runtime: syn::Path,
    in_sdk: bool,
    /// The files whose wire types are the SDK's.
    sdk_files: BTreeSet<String>,
    proto: Vec<ProtoModule>,
}

impl Paths {
    pub(crate) fn new(
        runtime: syn::Path,
        in_sdk: bool,
        sdk_files: impl IntoIterator<Item = String>,
        mut proto: Vec<ProtoModule>,
    ) -> Self {
        proto.sort();
        Self { runtime, in_sdk, sdk_files: sdk_files.into_iter().collect(), proto }
    }

    /// The code becomes part of the SDK itself.
    pub(crate) fn in_sdk(&self) -> bool {
        self.in_sdk
    }

    /// An item of the runtime's hidden module.
    pub(crate) fn private(&self, item: &str) -> TokenStream {
        let (runtime, item) = (&self.runtime, names::ident(item));
        quote!(#runtime::__private::#item)
    }

    /// The runtime's `Level`, as seen from where the emitters are: in the SDK it is generated beside them.
    pub(crate) fn level(&self) -> TokenStream {
        match self.in_sdk {
            true => quote!(Level),
            false => self.private("Level"),
        }
    }

    /// The wire type of a message is generated with it, and not the SDK's.
    pub(crate) fn owns(&self, message: &Message) -> bool {
        self.in_sdk || !self.sdk_files.contains(&message.file)
    }

    /// The prost type of a message, as seen from inside the `payload` module.
    pub(crate) fn wire_type(&self, message: &Message) -> TokenStream {
        let (outer, name) =
            (self.wire_module(message, false), names::ident(&names::camel(message.short_name())));
        quote!(#outer::#name)
    }

    /// The prost type of a message's oneof, as seen from there.
    pub(crate) fn wire_oneof(&self, message: &Message, oneof: &Oneof) -> TokenStream {
        let (outer, name) = (self.wire_module(message, true), names::ident(&oneof.wire_name));
        quote!(#outer::#name)
    }

    /// The module of a message's prost type, or that of the types inside the message.
    fn wire_module(&self, message: &Message, inside: bool) -> TokenStream {
        let from_sdk = self.in_sdk || self.sdk_files.contains(&message.file);
        let runtime = &self.runtime;
        let (base, package) = match from_sdk {
            true => (
                quote!(#runtime::proto),
                message.package.strip_prefix(SDK_PACKAGE).unwrap_or(&message.package),
            ),
            false => (quote!(super::proto), message.package.as_str()),
        };
        let within = message.full_name.strip_prefix(&message.package).unwrap_or(&message.full_name);
        let mut outer: Vec<&str> = within.split('.').filter(|part| !part.is_empty()).collect();
        if !inside {
            outer.pop();
        }
        let modules = package.split('.').filter(|part| !part.is_empty()).chain(outer);
        let modules = modules.map(|part| names::ident(&names::snake(part)));
        quote!(#base #(::#modules)*)
    }

    /// `pub mod proto` with the wire types, for a crate that is not the SDK.
    pub(crate) fn modules(&self) -> Option<TokenStream> {
        if self.in_sdk || self.proto.is_empty() {
            return None;
        }
        let tree = tree(&self.proto, 0);
        Some(quote! {
            /// The messages of the wire, for whoever reads events: tools, tests, servers.
            #[allow(
                missing_docs,
                deprecated,
                rustdoc::all,
                clippy::all,
                clippy::pedantic,
                unreachable_pub,
                unused_qualifications
            )]
            pub mod proto {
                #tree
            }
        })
    }
}

/// The modules of `proto` (sorted), nested from `depth` on.
fn tree(proto: &[ProtoModule], depth: usize) -> TokenStream {
    let mut out = TokenStream::new();
    for module in proto.iter().filter(|module| module.path.len() == depth) {
        let file = format!("/{}", module.file);
        out.extend(quote!(include!(concat!(env!("OUT_DIR"), #file));));
    }
    let mut names: Vec<&String> = proto.iter().filter_map(|module| module.path.get(depth)).collect();
    names.dedup();
    for name in names {
        let inner: Vec<ProtoModule> =
            proto.iter().filter(|module| module.path.get(depth) == Some(name)).cloned().collect();
        // prost's module paths are escaped already.
        let ident = names::ident(name.strip_prefix("r#").unwrap_or(name));
        let inner = tree(&inner, depth + 1);
        out.extend(quote!(pub mod #ident { #inner }));
    }
    out
}
