//! Where generated code finds the runtime and the wire types.

use std::collections::BTreeSet;

use crate::model::{Message, Oneof};
use crate::names;
use crate::text::{Code, INDENT};

/// The package of the SDK's own schema: its root is the SDK's `proto` module.
const SDK_PACKAGE: &str = "rodent";

/// What prost's code is not held to. The attribute stands at the outermost depth.
const ALLOWED: &[&str] = &[
    "missing_docs",
    "deprecated",
    "rustdoc::all",
    "clippy::all",
    "clippy::pedantic",
    "unreachable_pub",
    "unused_qualifications",
];

/// A module of wire types that prost wrote: its path below `proto`, and its file in `OUT_DIR`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ProtoModule {
    pub(crate) path: Vec<String>,
    pub(crate) file: String,
}

/// Paths into the runtime and to the wire types.
#[derive(Clone)]
pub(crate) struct Paths {
    runtime: String,
    in_sdk: bool,
    /// The files whose wire types are the SDK's.
    sdk_files: BTreeSet<String>,
}

impl Paths {
    pub(crate) fn new(runtime: &str, in_sdk: bool, sdk_files: impl IntoIterator<Item = String>) -> Self {
        Self { runtime: runtime.to_owned(), in_sdk, sdk_files: sdk_files.into_iter().collect() }
    }

    /// The code becomes part of the SDK itself.
    pub(crate) fn in_sdk(&self) -> bool {
        self.in_sdk
    }

    /// An item of the runtime's hidden module.
    pub(crate) fn private(&self, item: &str) -> String {
        format!("{}::__private::{item}", self.runtime)
    }

    /// The runtime's `Level`, as seen from where the emitters are: in the SDK it is generated beside them.
    pub(crate) fn level(&self) -> String {
        match self.in_sdk {
            true => "Level".to_owned(),
            false => self.private("Level"),
        }
    }

    /// The wire type of a message is generated with it, and not the SDK's.
    pub(crate) fn owns(&self, message: &Message) -> bool {
        self.in_sdk || !self.sdk_files.contains(&message.file)
    }

    /// The prost type of a message, as seen from inside the `payload` module.
    pub(crate) fn wire_type(&self, message: &Message) -> String {
        let name = names::ident(&names::camel(message.short_name()));
        format!("{}::{name}", self.wire_module(message, false))
    }

    /// The prost type of a message's oneof, as seen from there.
    pub(crate) fn wire_oneof(&self, message: &Message, oneof: &Oneof) -> String {
        format!("{}::{}", self.wire_module(message, true), names::ident(&oneof.wire_name))
    }

    /// The module of a message's prost type, or that of the types inside the message.
    fn wire_module(&self, message: &Message, inside: bool) -> String {
        let from_sdk = self.in_sdk || self.sdk_files.contains(&message.file);
        let (base, package) = match from_sdk {
            true => (
                format!("{}::proto", self.runtime),
                message.package.strip_prefix(SDK_PACKAGE).unwrap_or(&message.package),
            ),
            false => ("super::proto".to_owned(), message.package.as_str()),
        };
        let within = message.full_name.strip_prefix(&message.package).unwrap_or(&message.full_name);
        let mut outer: Vec<&str> = within.split('.').filter(|part| !part.is_empty()).collect();
        if !inside {
            outer.pop();
        }
        let modules = package.split('.').filter(|part| !part.is_empty()).chain(outer);
        modules.fold(base, |path, part| path + "::" + &names::ident(&names::snake(part)))
    }
}

/// `pub mod proto` with the wire types (sorted), for a crate that is not the SDK.
pub(crate) fn proto_module(proto: &[ProtoModule], code: &mut Code) {
    if proto.is_empty() {
        return;
    }
    code.line("/// The messages of the wire, for whoever reads events: tools, tests, servers.");
    code.line("#[allow(");
    code.line(format_args!("{INDENT}{}", ALLOWED.join(&format!(",\n{INDENT}"))));
    code.line(")]");
    code.open("pub mod proto");
    tree(proto, 0, code);
    code.close();
}

/// The modules of `proto` (sorted), nested from `depth` on.
fn tree(proto: &[ProtoModule], depth: usize, code: &mut Code) {
    for module in proto.iter().filter(|module| module.path.len() == depth) {
        let file = format!("/{}", module.file);
        code.fit(format_args!("include!(concat!(env!(\"OUT_DIR\"), {file:?}));"));
    }
    let mut names: Vec<&String> = proto.iter().filter_map(|module| module.path.get(depth)).collect();
    names.dedup();
    for name in names {
        let inner: Vec<ProtoModule> =
            proto.iter().filter(|module| module.path.get(depth) == Some(name)).cloned().collect();
        // prost's module paths are escaped already.
        code.open(format_args!("pub mod {}", names::ident(names::unraw(name))));
        tree(&inner, depth + 1, code);
        code.close();
    }
}
