//! From comments in a .proto file to documentation of Rust items.
//!
//! What a comment says is kept, what rustdoc would make of it by accident is not: brackets are no links, angle
//! brackets no tags, indented text no test to compile.

use crate::text::Code;

/// The lines of a comment, ready to be documentation, one to a line.
pub(crate) fn lines(comment: &str) -> Vec<String> {
    let mut fenced = false;
    // Rust has no carriage return in documentation.
    let comment = comment.replace("\r\n", "\n").replace('\r', " ");
    let mut lines: Vec<String> = comment
        .lines()
        .map(|line| {
            let line = line.strip_prefix(' ').unwrap_or(line).trim_end();
            let text = line.trim_start();
            if let Some(language) = text.strip_prefix("```") {
                fenced = !fenced;
                // A fence without a language would be compiled as Rust by `cargo test`.
                return if fenced && language.is_empty() { "```text".to_owned() } else { line.to_owned() };
            }
            match fenced {
                true => line.to_owned(),
                false => escape(&outdent(line)),
            }
        })
        .collect();
    if fenced {
        lines.push("```".to_owned());
    }
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    let blank = lines.iter().take_while(|line| line.is_empty()).count();
    lines.drain(..blank);
    lines
}

/// Four spaces before text would make it a code block: three are enough to show that it was indented.
fn outdent(line: &str) -> String {
    let text = line.trim_start();
    let indent = (line.len() - text.len()).min(3);
    format!("{}{text}", " ".repeat(indent))
}

/// Takes from brackets outside backticks the meaning they have in Markdown.
fn escape(line: &str) -> String {
    // A backtick without its partner quotes nothing.
    let quotable = line.matches('`').count() / 2 * 2;
    let (mut out, mut seen) = (String::with_capacity(line.len()), 0);
    for word in line.split_inclusive(' ') {
        let quoted = seen < quotable && seen % 2 == 1;
        let bare = word.trim_end();
        if !quoted
            && (bare.starts_with("https://") || bare.starts_with("http://"))
            && !bare.contains(['<', '>'])
        {
            let address = bare.trim_end_matches(['.', ',', ';', ':', ')']);
            out.push_str(&format!("<{address}>{}", word.get(address.len()..).unwrap_or_default()));
            continue;
        }
        for c in word.chars() {
            if c == '`' {
                seen += 1;
            } else if !(seen < quotable && seen % 2 == 1) && matches!(c, '[' | ']' | '<' | '>') {
                out.push('\\');
            }
            out.push(c);
        }
    }
    out
}

/// The documentation that `text` is, or `otherwise` where the schema's author said nothing.
pub(crate) fn lines_or(text: &str, otherwise: impl FnOnce() -> String) -> Vec<String> {
    let mut lines = lines(text);
    if lines.is_empty() {
        lines.push(otherwise());
    }
    lines
}

/// Marks what stands on the next line as deprecated, where the schema says so.
pub(crate) fn deprecated(yes: bool, code: &mut Code) {
    if yes {
        code.line("#[deprecated = \"the schema marks it as deprecated\"]");
    }
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn brackets_are_no_links_and_code_keeps_them() {
        assert_eq!(lines(" see [a] or `[b]` <c>\n"), [r"see \[a\] or `[b]` \<c\>"]);
    }

    #[test]
    fn nothing_in_a_comment_becomes_a_test() {
        assert_eq!(
            lines(" a\n\n     let x;\n ```\n x[0]\n ```\n"),
            ["a", "", "   let x;", "```text", "x[0]", "```"]
        );
        assert_eq!(lines(" ```\n x"), ["```text", "x", "```"]);
    }

    #[test]
    fn an_address_becomes_a_link() {
        assert_eq!(lines(" at https://example.org/a_b. Then"), ["at <https://example.org/a_b>. Then"]);
    }
}
