//! One layer of configuration, file or environment, as a list of settings: a known key, its value, its place.
//!
//! Owns the spelling of keys: snake_case, the camelCase of the earlier agent, and what was probably meant by anything
//! else. What a value means is decided later.

use std::{collections::HashMap, path::Path};

use super::{
    error::{Place, Problem},
    keys::{KEYS, Key, RIVALS},
    value,
    yaml::{self, Data, Node},
};

/// The key of the file that is ours.
const SECTION: &str = "events";

/// No name that is longer, in bytes, is taken for a misspelling of [`SECTION`]: comparing takes memory for each pair of
/// letters.
const LONGEST_SIMILAR: usize = 4 * SECTION.len();

/// A known key with a value.
pub(super) struct Setting {
    pub(super) key: &'static Key,
    pub(super) value: Node,
    pub(super) place: Place,
}

/// What a layer says, what is wrong with it, and what is worth a warning.
#[derive(Default)]
pub(super) struct Layer {
    pub(super) settings: Vec<Setting>,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
}

/// The layer of the file's text.
pub(super) fn from_yaml(file: &Path, text: &str) -> Layer {
    let at = |line| Place::Line { file: file.to_owned(), line };
    let mut layer = Layer::default();
    let documents = match yaml::read(text) {
        Ok(documents) => documents,
        Err(error) => {
            layer.problems.push(Problem::new(at(error.line), error.message));
            return layer;
        }
    };
    let mut section: Option<(usize, &Node)> = None;
    let mut similar = None;
    for (number, document) in documents.iter().enumerate() {
        let entries = match &document.data {
            Data::Map(entries) => entries.as_slice(),
            Data::Null => &[],
            _ if number > 0 => &[],
            _ => {
                let message =
                    format!("the file must be a mapping such as `events:`, and not {}", document.what());
                layer.problems.push(Problem::new(at(document.line), message));
                &[]
            }
        };
        for (key, value) in entries {
            let Data::Text(name) = &key.data else { continue };
            if name != SECTION {
                if name.len() <= LONGEST_SIMILAR
                    && strsim::damerau_levenshtein(&value::fold(name), SECTION) <= 1
                {
                    similar = Some((key.line, name));
                }
            } else if number > 0 {
                let message =
                    "`events` stands in a second document, which is not read; move it above the `---`";
                layer.problems.push(Problem::new(at(key.line), message));
            } else if let Some((line, _)) = section {
                let message =
                    format!("`events` is given a second time (first on line {line}); put both into one");
                layer.problems.push(Problem::new(at(key.line), message));
            } else {
                section = Some((key.line, value));
            }
        }
    }
    match (section, similar) {
        (Some((line, node)), _) => layer.read_group(&at, "", line, node),
        (None, Some((line, name))) => {
            let message =
                format!("{} is not read; if it is meant for events, write `events`", value::quote(name));
            layer.warnings.push(Problem::new(at(line), message));
        }
        (None, None) => {}
    }
    layer.find_rivals();
    layer
}

impl Layer {
    fn read_group(&mut self, at: &impl Fn(usize) -> Place, group: &str, line: usize, node: &Node) {
        let entries = match &node.data {
            Data::Map(entries) => entries,
            // Everything below it is commented out.
            Data::Null => return,
            _ => {
                let name = if group.is_empty() { SECTION } else { group };
                let message =
                    format!("`{name}` must be a mapping of keys to values, and not {}", node.what());
                self.problems.push(Problem::new(at(line), message));
                return;
            }
        };
        let mut seen: HashMap<String, (usize, &str)> = HashMap::new();
        for (key, value) in entries {
            let Data::Text(name) = &key.data else {
                let message = format!("a key must be text, and not {}", key.what());
                self.problems.push(Problem::new(at(key.line), message));
                continue;
            };
            let known = KEYS.iter().find(|known| {
                let (of, plain) = known.group_and_name();
                of == group && (name == plain || *name == camel_case(plain))
            });
            let is_group = group.is_empty() && KEYS.iter().any(|known| known.group_and_name().0 == name);
            let path = match known {
                Some(known) => known.path,
                None if is_group => name,
                None => {
                    self.problems.push(Problem::new(at(key.line), unknown(group, name)));
                    continue;
                }
            };
            if let Some((first, spelling)) = seen.insert(path.to_owned(), (key.line, name)) {
                let message = if spelling == name {
                    format!("`{path}` is given a second time (first on line {first}); keep one")
                } else {
                    format!("`{name}` and `{spelling}` on line {first} are one key; keep one")
                };
                self.problems.push(Problem::new(at(key.line), message));
            } else if let Some(known) = known {
                let setting = Setting { key: known, value: value.clone(), place: at(key.line) };
                self.settings.push(setting);
            } else {
                self.read_group(at, name, key.line, value);
            }
        }
    }

    /// Two keys of one layer that speak of the same matter.
    pub(super) fn find_rivals(&mut self) {
        for (one, other) in RIVALS {
            let place =
                |path| self.settings.iter().find(|setting| setting.key.path == path).map(|s| &s.place);
            if let (Some(first), Some(second)) = (place(one), place(other)) {
                let message = format!("`{other}` and `{one}` ({first}) exclude each other; keep one");
                self.problems.push(Problem::new(second.clone(), message));
            }
        }
    }
}

/// The earlier agent's spelling: `batch_size` is `batchSize`, and `toggle.ca_file` is `toggle.caFile`.
pub(super) fn camel_case(name: &str) -> String {
    let mut upper = false;
    let mut spelled = String::with_capacity(name.len());
    for c in name.chars() {
        if c == '_' {
            upper = true;
        } else {
            spelled.push(if upper { c.to_ascii_uppercase() } else { c });
            upper = false;
        }
    }
    spelled
}

/// What to say of a key that does not exist.
fn unknown(group: &str, name: &str) -> String {
    let place = if group.is_empty() { SECTION.to_owned() } else { format!("{SECTION}.{group}") };
    let complaint = format!("{} is not a key of `{place}`", value::quote(name));
    let in_use = || KEYS.iter().filter(|key| key.is_in_use());
    let here = || in_use().map(Key::group_and_name).filter(|(of, _)| *of == group).map(|(_, name)| name);
    let groups =
        KEYS.iter().map(|key| key.group_and_name().0).filter(|of| group.is_empty() && !of.is_empty());
    let folded = value::fold(name);
    // The right name in the wrong group beats a wrong name in the right one.
    let misplaced = in_use().filter(|key| key.group_and_name().0 != group).find(|key| {
        let spellings = [key.group_and_name().1, key.path, &key.path.replace('.', "_")].map(value::fold);
        spellings.contains(&folded)
    });
    if let Some(key) = misplaced {
        return match key.group_and_name() {
            ("", plain) => format!("{complaint}; `{plain}` belongs directly under `{SECTION}`"),
            (of, plain) => format!("{complaint}; `{plain}` belongs under `{SECTION}`, `{of}`"),
        };
    }
    if let Some(near) = value::nearest(name, here().chain(groups)) {
        return format!("{complaint}; did you mean `{near}`?");
    }
    format!("{complaint}; there are {}", here().collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(text: &str) -> Layer {
        from_yaml(Path::new("rodent.yml"), text)
    }

    fn problems(text: &str) -> Vec<String> {
        layer(text).problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn both_spellings_of_a_key_are_known() {
        let layer = layer("events:\n  bufferSize: 1\n  batch_size: 2\n  toggle:\n    caFile: x\n");
        let found: Vec<_> = layer.settings.iter().map(|setting| setting.key.path).collect();
        assert_eq!(found, ["buffer_size", "batch_size", "toggle.ca_file"]);
        assert!(layer.problems.is_empty());
    }

    #[test]
    fn keys_of_others_are_left_alone() {
        let layer = layer("server: {port: 8042}\nlogs: *x\n".replace("*x", "y").as_str());
        assert!(layer.settings.is_empty() && layer.problems.is_empty() && layer.warnings.is_empty());
    }

    #[test]
    fn a_section_with_everything_commented_out_is_empty() {
        let layer = layer("events:\n  # batch_size: 5\n");
        assert!(layer.settings.is_empty() && layer.problems.is_empty());
    }

    #[test]
    fn unknown_keys_come_with_the_nearest_known_one() {
        let text = "events:\n  bufer_size: 1\n  Batch-Timeout: 2\n  colour: blue\n  endpoint: x\n  togle: {}\n  toggle.token: x\n  toggle:\n    tokn: x\n    batch_size: 1\n";
        assert_eq!(
            problems(text),
            [
                "rodent.yml:2: `bufer_size` is not a key of `events`; did you mean `buffer_size`?",
                "rodent.yml:3: `Batch-Timeout` is not a key of `events`; did you mean `batch_timeout`?",
                "rodent.yml:4: `colour` is not a key of `events`; there are profile, buffer_size, buffer_bytes, \
                 flush_threshold, batch_size, batch_bytes, batch_timeout, min_level, enabled_levels, \
                 enabled_categories, spool_dir, spool_max_bytes, spool_min_free_bytes, quarantine_max_bytes, \
                 durability, sync_interval, pii, pii_key_file, max_in_flight, retry_initial, retry_max",
                "rodent.yml:5: `endpoint` is not a key of `events`; `endpoint` belongs under `events`, `toggle`",
                "rodent.yml:6: `togle` is not a key of `events`; did you mean `toggle`?",
                "rodent.yml:7: `toggle.token` is not a key of `events`; `token` belongs under `events`, `toggle`",
                "rodent.yml:9: `tokn` is not a key of `events.toggle`; did you mean `token`?",
                "rodent.yml:10: `batch_size` is not a key of `events.toggle`; `batch_size` belongs directly under \
                 `events`",
            ]
        );
    }

    #[test]
    fn one_key_in_two_spellings_is_an_error() {
        assert_eq!(
            problems("events:\n  batch_size: 1\n  batchSize: 2\n  batch_size: 3\nevents: {}\n"),
            [
                "rodent.yml:5: `events` is given a second time (first on line 1); put both into one",
                "rodent.yml:3: `batchSize` and `batch_size` on line 2 are one key; keep one",
                "rodent.yml:4: `batch_size` and `batchSize` on line 3 are one key; keep one",
            ]
        );
    }

    #[test]
    fn keys_that_exclude_each_other_are_an_error() {
        assert_eq!(
            problems("events:\n  enabled_levels: [INFO]\n  min_level: WARN\n"),
            ["rodent.yml:2: `enabled_levels` and `min_level` (rodent.yml:3) exclude each other; keep one"]
        );
    }

    #[test]
    fn what_is_no_mapping_is_an_error_with_its_line() {
        assert_eq!(
            problems("- a\n"),
            ["rodent.yml:1: the file must be a mapping such as `events:`, and not a list"]
        );
        assert_eq!(
            problems("a: 1\nevents: 5\n"),
            ["rodent.yml:2: `events` must be a mapping of keys to values, and not text"]
        );
        assert_eq!(
            problems("events:\n  toggle: [x]\n  [a]: b\n"),
            [
                "rodent.yml:2: `toggle` must be a mapping of keys to values, and not a list",
                "rodent.yml:3: a key must be text, and not a list"
            ]
        );
        assert_eq!(
            problems("a: 1\n---\nevents: {}\n"),
            [
                "rodent.yml:3: `events` stands in a second document, which is not read; move it above the `---`"
            ]
        );
    }

    #[test]
    fn a_section_that_is_nearly_ours_is_worth_a_warning() {
        let warnings: Vec<_> =
            layer("Events:\n  batch_size: 1\n").warnings.iter().map(ToString::to_string).collect();
        assert_eq!(
            warnings,
            ["rodent.yml:1: `Events` is not read; if it is meant for events, write `events`"]
        );
        assert!(layer("event: 1\nevents: {}\n").warnings.is_empty());
    }

    #[test]
    fn a_broken_file_is_one_problem_with_its_line() {
        let problems = problems("events:\n  batch_size: [1\n");
        assert_eq!(problems.len(), 1);
        assert!(problems[0].starts_with("rodent.yml:") && problems[0].contains("not YAML"), "{problems:?}");
    }
}
