//! Random values that borrow from each other: trees, and values of JSON.

use events_sdk::well_known::{List, Struct, Value};

use crate::generated::payload::{Forest, Tree, TreeNext};

/// A name, and numbers that choose what the tree is made of.
pub(crate) type Seed = (String, u8, u8, u8);

/// Trees, one for each seed, whose parts are some of those `below`.
pub(crate) fn trees<'a>(
    seeds: &'a [Seed],
    below: &'a [Tree<'a>],
    forests: &'a [Forest<'a>],
) -> Vec<Tree<'a>> {
    let some = |at: u8| below.get(usize::from(at) % (below.len() + 1));
    let tree = |(name, left, children, next): &'a Seed| Tree {
        name,
        left: some(*left),
        children: below.get(usize::from(*children) % (below.len() + 1)..).unwrap_or_default(),
        next: match next % 3 {
            0 => None,
            1 => Some(TreeNext::None(u32::from(*next) / 3)),
            _ => forests.get(usize::from(*next) % (forests.len() + 1)).map(TreeNext::Forest),
        },
    };
    seeds.iter().map(tree).collect()
}

/// A forest of each tree.
pub(crate) fn forests<'a>(trees: &'a [Tree<'a>]) -> Vec<Forest<'a>> {
    trees.iter().map(|tree| Forest { tree: Some(tree) }).chain([Forest { tree: None }]).collect()
}

/// What a value of JSON is made of: which kind, a number and a text.
pub(crate) type Atom = (u8, f64, String);

/// Values, one for each atom, which hold `lists` and `members` where they are not simple.
pub(crate) fn json<'a>(
    atoms: &'a [Atom],
    list: &'a [Value<'a>],
    members: &'a [(&'a str, Value<'a>)],
) -> Vec<Value<'a>> {
    let value = |(kind, number, text): &'a Atom| match kind % 6 {
        0 => Value::Null,
        1 => Value::Number(*number),
        2 => Value::String(text),
        3 => Value::Bool(*number > 0.0),
        4 => Value::Struct(Struct(members)),
        _ => Value::List(List(list)),
    };
    atoms.iter().map(value).collect()
}

/// The values under the texts of the atoms they were made of; of a text that comes twice, readers take the last.
pub(crate) fn members<'a>(atoms: &'a [Atom], values: &[Value<'a>]) -> Vec<(&'a str, Value<'a>)> {
    atoms.iter().zip(values).map(|((_, _, text), value)| (text.as_str(), *value)).collect()
}

/// Each text as a `&str`.
pub(crate) fn texts(all: &[String]) -> Vec<&str> {
    all.iter().map(String::as_str).collect()
}

/// Each value as a slice.
pub(crate) fn slices(all: &[Vec<u8>]) -> Vec<&[u8]> {
    all.iter().map(Vec::as_slice).collect()
}
