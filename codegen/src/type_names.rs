//! The names of generated types, side by side in one module.
//!
//! A type has its own name there, and an enum of a oneof that of its message and its own: `StorageBackup` and
//! `target` make `StorageBackupTarget`. Where several types would have the same name, those inside messages take the names
//! of these before their own, from the inside out; where that is not enough, all take those of their packages. So two
//! payloads of the same name in different packages can both be emitted, and `check` has nothing to say unless nothing
//! tells two types apart.

use std::collections::BTreeMap;

use crate::model::{Enum, Message, Type};
use crate::names;

/// A type that is to have a name.
struct Candidate<'a> {
    /// What the name can begin with: words around the type, the innermost first.
    around: Vec<String>,
    /// How many of them are messages.
    messages: usize,
    /// How many of them it begins with.
    taken: usize,
    own: String,
    name: &'a mut String,
}

impl<'a> Candidate<'a> {
    fn new(package: &str, full_name: &str, own: String, name: &'a mut String) -> Self {
        let outside = full_name.rsplit_once('.').map_or("", |(outside, _)| outside);
        let within = outside.strip_prefix(package).unwrap_or(outside);
        let words = |path: &str| -> Vec<String> {
            path.rsplit('.').filter(|word| !word.is_empty()).map(names::camel).collect()
        };
        let mut around = words(within);
        let messages = around.len();
        around.extend(words(package));
        Self { around, messages, taken: 0, own, name }
    }

    fn current(&self) -> String {
        let before = self.around.iter().take(self.taken).rev();
        before.map(String::as_str).chain([self.own.as_str()]).collect()
    }
}

/// Names the types of `messages`, of their oneofs, and `enums`.
pub(crate) fn settle(messages: &mut [Message], enums: &mut [Enum]) {
    let mut all: Vec<Candidate<'_>> = Vec::new();
    for message in messages {
        let Message { full_name, package, rust_name, fields, .. } = message;
        let own = names::camel(short(full_name));
        for field in fields {
            if let Type::Oneof(oneof) = &mut field.ty {
                let message = own.strip_suffix(names::PAYLOAD_SUFFIX).unwrap_or(&own);
                let own = format!("{message}{}", names::camel(&field.name));
                all.push(Candidate::new(package, full_name, own, &mut oneof.rust_name));
            }
        }
        all.push(Candidate::new(package, full_name, own, rust_name));
    }
    for one in enums {
        let Enum { full_name, package, rust_name, .. } = one;
        let own = names::camel(short(full_name));
        all.push(Candidate::new(package, full_name, own, rust_name));
    }
    loop {
        let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (index, one) in all.iter().enumerate() {
            groups.entry(one.current()).or_default().push(index);
        }
        let mut changed = false;
        for group in groups.into_values().filter(|group| group.len() > 1) {
            // Places come from counting `all`, so each is in it.
            let inside = group.iter().any(|&at| all[at].taken < all[at].messages);
            for at in group {
                let one = &mut all[at];
                let words = if inside { one.messages } else { one.around.len() };
                if one.taken < words {
                    one.taken += 1;
                    changed = true;
                }
            }
        }
        if !changed {
            break;
        }
    }
    for one in all {
        *one.name = one.current();
    }
}

fn short(full_name: &str) -> &str {
    full_name.rsplit('.').next().unwrap_or(full_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(types: &[(&str, &str)]) -> Vec<String> {
        let mut enums: Vec<Enum> = types
            .iter()
            .map(|(package, full_name)| Enum {
                package: (*package).to_owned(),
                full_name: (*full_name).to_owned(),
                ..Enum::default()
            })
            .collect();
        settle(&mut [], &mut enums);
        enums.into_iter().map(|one| one.rust_name).collect()
    }

    #[test]
    fn a_type_whose_name_is_its_own_keeps_it() {
        assert_eq!(settled(&[("a", "a.Outer.Kind"), ("a", "a.Other")]), ["Kind", "Other"]);
    }

    #[test]
    fn types_inside_messages_give_way_first() {
        assert_eq!(settled(&[("a", "a.Outer.Kind"), ("a", "a.Kind")]), ["OuterKind", "Kind"]);
        assert_eq!(settled(&[("a", "a.One.Kind"), ("a", "a.Two.Kind")]), ["OneKind", "TwoKind"]);
    }

    #[test]
    fn types_of_different_packages_are_told_apart_by_them() {
        assert_eq!(settled(&[("a.disk", "a.disk.Probe"), ("net", "net.Probe")]), ["DiskProbe", "NetProbe"]);
        assert_eq!(settled(&[("a.v1", "a.v1.P"), ("b.v1", "b.v1.P"), ("", "P")]), ["AV1P", "BV1P", "P"]);
    }

    #[test]
    fn types_that_nothing_tells_apart_end_the_search() {
        assert_eq!(settled(&[("a", "a.Kind"), ("a", "a.KIND")]), ["AKind", "AKind"]);
    }
}
