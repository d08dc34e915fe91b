//! The names of kinds, levels and categories on the command line: `storage.pool`, `warn`, `storage`.

use crate::{Category, Kind, Level, config::nearest, kinds};

/// How the command calls a kind: the category, a dot, the rest of its emitter's name.
pub(super) fn of_kind(kind: &Kind) -> String {
    match kind.name.strip_prefix(kind.category_name).and_then(|rest| rest.strip_prefix('_')) {
        Some(rest) => format!("{}.{rest}", kind.category_name),
        None => kind.name.to_owned(),
    }
}

/// The kind of this name; dots, hyphens and underscores are the same.
pub(super) fn kind(text: &str) -> Result<&'static Kind, String> {
    let wanted = text.trim().to_ascii_lowercase().replace(['.', '-'], "_");
    let wanted = wanted.strip_prefix("emit_").unwrap_or(&wanted);
    kinds::ALL.iter().copied().find(|kind| kind.name == wanted).ok_or_else(|| {
        let names: Vec<String> = kinds::ALL.iter().map(|kind| of_kind(kind)).collect();
        unknown("kind of event", text, &names)
    })
}

/// The help of an option that takes a level.
pub(super) fn level_help(what: &str) -> String {
    format!("{what} [possible values: {}]", level_names().join(", "))
}

/// The help of an option that takes categories.
pub(super) fn category_help(what: &str) -> String {
    format!("{what} [possible values: {}]", category_names().join(", "))
}

fn level_names() -> Vec<String> {
    Level::ALL.iter().map(|level| level.name().to_owned()).collect()
}

fn category_names() -> Vec<String> {
    Category::ALL.iter().map(|category| category.name().to_owned()).collect()
}

/// The level of this name.
pub(super) fn level(text: &str) -> Result<Level, String> {
    Level::from_name(text.trim()).ok_or_else(|| unknown("level", text, &level_names()))
}

/// The category of this name.
pub(super) fn category(text: &str) -> Result<Category, String> {
    let wanted = text.trim().to_ascii_lowercase().replace(['.', '-'], "_");
    let found = Category::ALL.iter().copied().find(|category| category.name() == wanted);
    found.ok_or_else(|| unknown("category", text, &category_names()))
}

/// Says that there is no such thing, which one may have been meant, and which there are.
pub(super) fn unknown(what: &str, text: &str, names: &[String]) -> String {
    let hint = meant(text, names.iter().map(String::as_str));
    format!("`{text}` is no {what}{hint} (one of: {})", names.join(", "))
}

/// Asks whether the nearest of these names was meant; nothing where none is near.
pub(super) fn meant<'a>(text: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    nearest(text, names).map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}
