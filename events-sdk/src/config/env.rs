//! The layer of the environment: `RODENT_EVENTS_…` overrides what the file says.
//!
//! A key's variable is its path in capitals, `RODENT_EVENTS_TOGGLE_ENDPOINT`; the earlier agent's spelling, without the
//! underscores inside a name (`RODENT_EVENTS_BUFFERSIZE`), is known too. A variable that is set to nothing counts as not
//! set, as service files do it.

use std::{collections::HashSet, ffi::OsString};

use super::{
    error::{Place, Problem},
    keys::{KEYS, Key},
    layer::{Layer, Setting, camel_case},
    value,
    yaml::{Data, Node},
};

/// What the names of our variables begin with.
pub(super) const PREFIX: &str = "RODENT_EVENTS_";

/// The names of the variables that set a key.
pub(super) fn spellings(key: &Key) -> HashSet<String> {
    let camel = camel_case(key.path).replace('.', "_").to_uppercase();
    HashSet::from([key.variable(), format!("{PREFIX}{camel}")])
}

/// The layer of these variables. Those of others are left alone.
pub(super) fn from_env(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Layer {
    let mut layer = Layer::default();
    let mut ours: Vec<(String, OsString)> = variables
        .into_iter()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _)| name.starts_with(PREFIX))
        .collect();
    ours.sort();
    for (name, text) in ours {
        let place = Place::Variable(name.clone());
        let Some(key) = KEYS.iter().find(|key| spellings(key).contains(&name)) else {
            let known: Vec<String> = KEYS.iter().filter(|key| key.is_in_use()).map(Key::variable).collect();
            let ends = known.iter().filter_map(|name| name.strip_prefix(PREFIX));
            let message = match value::nearest(name.trim_start_matches(PREFIX), ends) {
                Some(near) => format!("there is no such setting; did you mean {PREFIX}{near}?"),
                None => "there is no such setting, and none with a similar name; unset it".to_owned(),
            };
            layer.problems.push(Problem::new(place, message));
            continue;
        };
        if text.is_empty() {
            continue;
        }
        let Ok(text) = text.into_string() else {
            layer.problems.push(Problem::new(place, "the value is not UTF-8 text"));
            continue;
        };
        if let Some(first) = layer.settings.iter().find(|setting| setting.key.path == key.path) {
            let message = format!("this and {} are one setting; unset one", first.place);
            layer.problems.push(Problem::new(place, message));
            continue;
        }
        // Lines mean nothing here: the place is the variable.
        layer.settings.push(Setting { key, value: Node { line: 0, data: Data::Text(text) }, place });
    }
    layer.find_rivals();
    layer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(variables: &[(&str, &str)]) -> Layer {
        from_env(variables.iter().map(|(name, value)| (name.into(), value.into())))
    }

    fn problems(variables: &[(&str, &str)]) -> Vec<String> {
        layer(variables).problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn variables_of_both_spellings_and_of_groups_are_known() {
        let layer = layer(&[
            ("RODENT_EVENTS_BATCH_SIZE", "1"),
            ("RODENT_EVENTS_BUFFERSIZE", "2"),
            ("RODENT_EVENTS_TOGGLE_CA_FILE", "x"),
            ("RODENT_TOGGLE_JWT", "not ours"),
            ("RODENT_EVENTS", "not ours either"),
            ("HOME", "/"),
        ]);
        let found: Vec<_> = layer.settings.iter().map(|setting| setting.key.path).collect();
        assert_eq!(found, ["batch_size", "buffer_size", "toggle.ca_file"]);
        assert!(layer.problems.is_empty());
    }

    #[test]
    fn a_variable_set_to_nothing_is_not_set() {
        let layer = layer(&[("RODENT_EVENTS_BATCH_SIZE", "")]);
        assert!(layer.settings.is_empty() && layer.problems.is_empty());
    }

    #[test]
    fn unknown_variables_come_with_the_nearest_known_one() {
        let all = problems(&[("RODENT_EVENTS_BATCH_SZE", "1"), ("RODENT_EVENTS_TOGGLE_ENDPONT", "x")]);
        assert_eq!(
            all,
            [
                "environment variable RODENT_EVENTS_BATCH_SZE: there is no such setting; \
                 did you mean RODENT_EVENTS_BATCH_SIZE?",
                "environment variable RODENT_EVENTS_TOGGLE_ENDPONT: there is no such setting; \
                 did you mean RODENT_EVENTS_TOGGLE_ENDPOINT?",
            ]
        );
        assert_eq!(
            problems(&[("RODENT_EVENTS_COLOUR", "blue")]),
            [
                "environment variable RODENT_EVENTS_COLOUR: there is no such setting, and none with a similar name; \
              unset it"
            ]
        );
    }

    #[test]
    fn one_setting_in_two_variables_is_an_error() {
        assert_eq!(
            problems(&[("RODENT_EVENTS_BATCHSIZE", "1"), ("RODENT_EVENTS_BATCH_SIZE", "1")]),
            [
                "environment variable RODENT_EVENTS_BATCH_SIZE: this and environment variable RODENT_EVENTS_BATCHSIZE \
              are one setting; unset one"
            ]
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_value_that_is_not_text_is_an_error() {
        use std::os::unix::ffi::OsStringExt;
        let value = OsString::from_vec(vec![0xff]);
        let layer = from_env([("RODENT_EVENTS_SPOOL_DIR".into(), value)]);
        assert_eq!(layer.problems[0].message(), "the value is not UTF-8 text");
    }
}
