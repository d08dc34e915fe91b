//! JSON, written with two spaces for each level.

use std::fmt;

/// A value; `Plain` is written as it is: a number, `true`, `null`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Json {
    Plain(String),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    fn write(&self, indent: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = indent + 2;
        match self {
            Self::Plain(text) => f.write_str(text),
            Self::Text(one) => text(one, f),
            Self::List(list) if list.is_empty() => f.write_str("[]"),
            Self::Object(entries) if entries.is_empty() => f.write_str("{}"),
            Self::List(list) => {
                for (index, one) in list.iter().enumerate() {
                    write!(f, "{}\n{:inner$}", if index == 0 { "[" } else { "," }, "")?;
                    one.write(inner, f)?;
                }
                write!(f, "\n{:indent$}]", "")
            }
            Self::Object(entries) => {
                for (index, (key, one)) in entries.iter().enumerate() {
                    write!(f, "{}\n{:inner$}", if index == 0 { "{" } else { "," }, "")?;
                    text(key, f)?;
                    f.write_str(": ")?;
                    one.write(inner, f)?;
                }
                write!(f, "\n{:indent$}}}", "")
            }
        }
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(0, f)
    }
}

fn text(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("\"")?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
            c => write!(f, "{c}")?,
        }
    }
    f.write_str("\"")
}

#[cfg(test)]
mod tests {
    use super::Json;

    #[test]
    fn texts_are_escaped_and_values_indented() {
        let list = Json::List(vec![Json::Plain("1".into()), Json::List(Vec::new())]);
        let object = Json::Object(vec![("a\"".into(), Json::Text("x\\\n\u{1}é".into())), ("b".into(), list)]);
        assert_eq!(
            object.to_string(),
            "{\n  \"a\\\"\": \"x\\\\\\n\\u0001é\",\n  \"b\": [\n    1,\n    []\n  ]\n}"
        );
    }
}
