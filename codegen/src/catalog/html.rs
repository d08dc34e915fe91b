//! The catalogue as one page that needs nothing but itself: no server, no network, and without scripts all but the search.

use super::{Catalog, Entry, Field};

const HEAD: &str = include_str!("head.html");

const TAIL: &str = include_str!("tail.html");

pub(super) fn write(catalog: &Catalog) -> String {
    let mut text = HEAD.to_owned();
    let mut categories: Vec<&str> = catalog.events.iter().map(|one| one.category.as_str()).collect();
    categories.dedup();
    text += "<nav aria-label=\"Events\">\n";
    for category in &categories {
        text += &format!("<div class=\"group\"><h2>{}</h2><ul>\n", escape(category));
        for one in catalog.events.iter().filter(|one| one.category == **category) {
            let name = escape(&one.emitter);
            text += &format!("<li><a href=\"#{name}\">{name}</a></li>\n");
        }
        text += "</ul></div>\n";
    }
    text += "</nav>\n<main>\n";
    catalog.events.iter().for_each(|one| text += &article(one));
    text += "<p id=\"none\" hidden>No event has all of these words.</p>\n</main>\n";
    text + TAIL
}

fn article(one: &Entry) -> String {
    let name = escape(&one.emitter);
    let mut text = format!("<article id=\"{name}\">\n<h2><a href=\"#{name}\">emit_{name}</a></h2>\n");
    if one.deprecated {
        text += "<p><strong class=\"tag\">deprecated</strong></p>\n";
    }
    for paragraph in one.docs.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()) {
        text += &format!("<p>{}</p>\n", prose(paragraph));
    }
    text += &format!(
        "<pre><code>{}</code></pre>\n<dl><div><dt>Category</dt><dd>{}</dd></div><div><dt>Level</dt><dd>{}</dd></div>\
         <div><dt>Source</dt><dd>{}</dd></div><div><dt>Payload</dt><dd>{}</dd></div>",
        escape(&one.signature),
        escape(&one.category),
        escape(&one.level()),
        escape(&one.source),
        escape(&one.payload)
    );
    for (name, fact) in one.facts() {
        text += &format!("<div><dt>{name}</dt><dd>{}</dd></div>", escape(fact));
    }
    text += "</dl>\n";
    if !one.fields.is_empty() {
        text += "<table><thead><tr><th>Field</th><th>Type</th><th>Meaning</th></tr></thead><tbody>\n";
        one.fields.iter().for_each(|field| text += &row(field));
        text += "</tbody></table>\n";
    }
    text + &format!(
        "<div class=\"examples\"><figure><figcaption>Rust</figcaption><pre><code>{}</code></pre></figure>\
         <figure><figcaption>JSON</figcaption><pre><code>{}</code></pre></figure></div>\n</article>\n",
        escape(&one.rust),
        escape(&one.json)
    )
}

fn row(field: &Field) -> String {
    let tag = |yes: bool, text: &str| match yes {
        true => format!(" <strong class=\"tag\">{}</strong>", escape(text)),
        false => String::new(),
    };
    let values: Vec<String> =
        field.values.iter().map(|one| format!("<code>{}</code>", escape(one))).collect();
    let values = match values.is_empty() {
        true => String::new(),
        false => format!("<br>One of {}.", values.join(", ")),
    };
    let measure = match field.measure() {
        text if text.is_empty() => text,
        text => format!(" <span class=\"measure\">{}</span>", escape(&text)),
    };
    format!(
        "<tr><th scope=\"row\"><code>{}</code>{}{}{}</th><td><code>{}</code></td><td>{}{measure}{values}</td></tr>\n",
        escape(&field.name),
        tag(field.required, "required"),
        tag(field.sensitivity != "public", &field.sensitivity),
        tag(field.deprecated, "deprecated"),
        escape(&field.ty),
        prose(&field.docs)
    )
}

/// Text with what stands between backticks as code.
fn prose(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    // An even number of parts has a backtick without its partner.
    if parts.len().is_multiple_of(2) {
        return escape(text);
    }
    let parts = parts.iter().enumerate().map(|(index, part)| match index % 2 {
        0 => escape(part),
        _ => format!("<code>{}</code>", escape(part)),
    });
    parts.collect()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
