//! Breaks lines of generated Rust that are too long, as rustfmt's relatives do.
//!
//! It knows what the generator writes, not all of Rust: heads of functions and implementations, calls, lists, chains of
//! methods, sums, and arms of a match. A line that it cannot break stays long, which is no error.

use crate::text::INDENT;

/// Longer lines are broken, in bytes: what prettyplease takes, so that the text looks like that of other generators.
const WIDTH: usize = 89;

/// The lines to write instead of `text`, each with how much deeper it is; `None` where it fits or cannot be broken.
pub(crate) fn broken(text: &str, depth: usize) -> Option<Vec<(usize, String)>> {
    if depth * INDENT.len() + text.len() <= WIDTH {
        return None;
    }
    let mut lines = Vec::new();
    parts(text, depth, 0, &mut lines).then_some(lines)
}

/// Adds `text` to `lines`, broken where it is too long.
fn add(text: &str, depth: usize, deeper: usize, lines: &mut Vec<(usize, String)>) {
    let fits = (depth + deeper) * INDENT.len() + text.len() <= WIDTH;
    if fits || !parts(text, depth, deeper, lines) {
        lines.push((deeper, text.to_owned()));
    }
}

/// Adds the parts of a text that is too long; says no where it has none.
fn parts(text: &str, depth: usize, deeper: usize, lines: &mut Vec<(usize, String)>) -> bool {
    let places = Places::of(text);
    if text.starts_with("impl ") {
        let Some((head, target)) = places.target.and_then(|at| text.split_at_checked(at)) else {
            return false;
        };
        lines.extend([head.trim_end(), target].map(|line| (deeper, line.to_owned())));
        return true;
    }
    if let Some((pattern, value)) = places.arm.and_then(|at| text.split_at_checked(at)) {
        let value = value.trim_start_matches("=> ").trim_end_matches(',');
        lines.push((deeper, format!("{pattern}=> {{")));
        add(value, depth, deeper + 1, lines);
        lines.push((deeper, "}".to_owned()));
        return true;
    }
    if !places.sums.is_empty() {
        let ends = places.sums.iter().copied().chain([text.len()]);
        let mut begin = 0;
        for (index, end) in ends.enumerate() {
            add(text.get(begin..end).unwrap_or_default().trim(), depth, deeper + index.min(1), lines);
            begin = end;
        }
        return true;
    }
    if let [first, second, ..] = *places.dots.as_slice() {
        // A short word keeps its first method beside it.
        let from = if first < INDENT.len() { second } else { first };
        let dots: Vec<usize> = places.dots.iter().copied().filter(|at| *at >= from).collect();
        lines.push((deeper, text.get(..from).unwrap_or_default().to_owned()));
        for (index, begin) in dots.iter().enumerate() {
            let end = dots.get(index + 1).copied().unwrap_or(text.len());
            add(text.get(*begin..end).unwrap_or_default(), depth, deeper + 1, lines);
        }
        return true;
    }
    let Some((open, close)) = places.group else { return false };
    let (Some(head), Some(inside), Some(tail)) =
        (text.get(..=open), text.get(open + 1..close), text.get(close..))
    else {
        return false;
    };
    lines.push((deeper, head.to_owned()));
    for item in items(inside) {
        add(&format!("{item},"), depth, deeper + 1, lines);
    }
    lines.push((deeper, tail.to_owned()));
    true
}

/// The parts of a list.
fn items(list: &str) -> Vec<&str> {
    let mut ends = Places::of(list).commas;
    ends.push(list.len());
    let mut begin = 0;
    let items = ends.into_iter().map(|end| {
        let item = list.get(begin..end).unwrap_or_default().trim();
        begin = end + 1;
        item
    });
    items.filter(|item| !item.is_empty()).collect()
}

/// Where a text may be broken, outside of all brackets and quotes.
#[derive(Default)]
struct Places {
    commas: Vec<usize>,
    /// Dots before a method or a field.
    dots: Vec<usize>,
    /// Plus signs between two values.
    sums: Vec<usize>,
    /// The arrow of an arm.
    arm: Option<usize>,
    /// The last parentheses or brackets with something in them.
    group: Option<(usize, usize)>,
    /// The word `for`, behind which a type stands that something is implemented for.
    target: Option<usize>,
}

impl Places {
    fn of(text: &str) -> Self {
        let mut places = Self::default();
        let (mut depth, mut begin, mut before) = (0_usize, 0, ' ');
        let mut characters = text.char_indices();
        while let Some((at, c)) = characters.next() {
            match c {
                '"' => skip_text(&mut characters),
                '(' | '[' | '{' | '<' => {
                    if depth == 0 {
                        begin = at;
                    }
                    depth += 1;
                }
                '>' if before == '=' && depth == 0 => places.arm = places.arm.or(Some(at - 1)),
                // The end of an arrow closes nothing.
                '>' if matches!(before, '-' | '=') => {}
                ')' | ']' | '}' | '>' => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 && matches!(c, ')' | ']') && at > begin + 1 {
                        places.group = Some((begin, at));
                    }
                }
                _ if depth > 0 => {}
                ',' => places.commas.push(at),
                // One in front has been broken at already.
                '+' if at > 0 => places.sums.push(at),
                '.' if before != '.' && is_word(text, at + 1) => places.dots.push(at),
                'f' if before == ' ' && text.get(at..).is_some_and(|rest| rest.starts_with("for ")) => {
                    places.target = Some(at);
                }
                _ => {}
            }
            before = c;
        }
        places
    }
}

fn is_word(text: &str, at: usize) -> bool {
    text.get(at..).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_'))
}

/// Goes behind the closing quote of a text.
fn skip_text(characters: &mut std::str::CharIndices<'_>) {
    while let Some((_, c)) = characters.next() {
        match c {
            '\\' => {
                characters.next();
            }
            '"' => return,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{INDENT, WIDTH, broken};

    /// The text broken where it is just too long.
    fn lines(text: &str) -> String {
        lines_at(text, WIDTH.saturating_sub(text.len()) / INDENT.len() + 1)
    }

    fn lines_at(text: &str, depth: usize) -> String {
        let lines = broken(text, depth).unwrap_or_default();
        lines.into_iter().map(|(deeper, line)| format!("{}{line}\n", "  ".repeat(deeper))).collect()
    }

    #[test]
    fn what_fits_and_what_has_no_parts_stays() {
        assert_eq!(broken("call(one, two);", 0), None);
        assert_eq!(broken("pub type A = super::super::super::B;", 20), None);
    }

    #[test]
    fn a_list_is_broken_at_its_commas_but_not_at_those_of_others() {
        let list = "pub const A: &[B] = &[(\"a, \\\"b\", f::<C, _>(1)), D];";
        assert_eq!(lines(list), "pub const A: &[B] = &[\n  (\"a, \\\"b\", f::<C, _>(1)),\n  D,\n];\n");
        assert_eq!(
            lines_at(list, 17),
            "pub const A: &[B] = &[\n  (\n    \"a, \\\"b\",\n    f::<C, _>(1),\n  ),\n  D,\n];\n"
        );
    }

    #[test]
    fn chains_sums_arms_and_implementations_are_broken_where_they_join() {
        assert_eq!(lines("f.one(1.0).two(a.b)"), "f.one(1.0)\n  .two(a.b)\n");
        assert_eq!(lines("value: payload.one().two()"), "value: payload\n  .one()\n  .two()\n");
        assert_eq!(lines("one::<A, _>(1) + two(2)"), "one::<A, _>(1)\n  + two(2)\n");
        assert_eq!(lines("One(one) => two(one),"), "One(one) => {\n  two(one)\n}\n");
        assert_eq!(lines("impl One<'_> for Two {"), "impl One<'_>\nfor Two {\n");
    }

    #[test]
    fn a_part_that_is_still_too_long_is_broken_again() {
        assert_eq!(
            lines_at("one(1) + twenty(22, self.three.map(|one| four))", 15),
            "one(1)\n  + twenty(\n    22,\n    self\n      .three\n      .map(|one| four),\n  )\n"
        );
    }

    #[test]
    fn the_head_of_a_function_is_broken_at_its_parameters() {
        assert_eq!(
            lines("fn one(&self, two: &[u8]) -> Three {"),
            "fn one(\n  &self,\n  two: &[u8],\n) -> Three {\n"
        );
    }
}
