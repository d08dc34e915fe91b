//! The catalogue as Markdown.

use super::{Catalog, Entry, Field};

pub(super) fn write(catalog: &Catalog) -> String {
    let mut text = "# Events\n\n| emitter | category | level | source |\n|---|---|---|---|\n".to_owned();
    for one in &catalog.events {
        let name = &one.emitter;
        text += &format!(
            "| [`emit_{name}`](#emit_{name}) | {} | {} | {} |\n",
            cell(&one.category),
            cell(&one.level()),
            cell(&one.source)
        );
    }
    catalog.events.iter().for_each(|one| text += &section(one));
    text
}

fn section(one: &Entry) -> String {
    let mut text = format!("\n## emit_{}\n\n", one.emitter);
    if one.deprecated {
        text += "**Deprecated.**\n\n";
    }
    if !one.docs.is_empty() {
        text += &format!("{}\n\n", escape(&one.docs));
    }
    text += &format!("Category `{}`, source `{}`, level {}.", one.category, one.source, one.level());
    for (name, fact) in one.facts() {
        text += &format!(" {name} {}.", escape(fact));
    }
    text += &format!("\n\n```text\n{}\n```\n", one.signature);
    if !one.fields.is_empty() {
        text += "\n| field | type | required | sensitivity | meaning |\n|---|---|---|---|---|\n";
    }
    for field in &one.fields {
        let required = if field.required { "yes" } else { "" };
        text += &format!(
            "| `{}` | `{}` | {required} | {} | {} |\n",
            field.name,
            field.ty.replace('|', "\\|"),
            field.sensitivity,
            cell(&meaning(field))
        );
    }
    text + &format!("\n```rust,ignore\n{}\n```\n\n```json\n{}\n```\n", one.rust, one.json)
}

fn meaning(field: &Field) -> String {
    let deprecated = if field.deprecated { "Deprecated. " } else { "" };
    let values = match field.values.is_empty() {
        true => String::new(),
        false => format!(" One of {}.", field.values.join(", ")),
    };
    let measure = match field.measure() {
        text if text.is_empty() => text,
        text => format!(" {text}"),
    };
    format!("{deprecated}{}{measure}{values}", field.docs).trim().to_owned()
}

/// Text in a table: one line, without what ends a cell.
fn cell(text: &str) -> String {
    escape(&text.split_whitespace().collect::<Vec<_>>().join(" ")).replace('|', "\\|")
}

/// A comment may speak of <T>, which is no tag. Between backticks Markdown leaves it as it is.
fn escape(text: &str) -> String {
    let parts = text.split('`').enumerate();
    let escaped = parts.map(|(index, part)| match index % 2 {
        0 => part.replace('<', "&lt;"),
        _ => part.to_owned(),
    });
    escaped.collect::<Vec<_>>().join("`")
}
