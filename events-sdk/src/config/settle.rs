//! From settings to a configuration: the profile, the file's layer on top of it, the environment's on top of that.
//!
//! Owns what each value means. Goes on after a mistake, so that one run finds all of them.

use std::path::Path;

use super::{
    Compression, Config, ConfigError, DurabilityMode, Filter, Pii, Profile, TokenSource,
    check::{self, Origins},
    error::{Place, Problem},
    keys::{Key, Slot},
    layer::{Layer, Setting},
    value,
    yaml::{Data, Node},
};
use crate::{Category, Level};

/// The configuration that these layers give, and its warnings.
pub(super) fn settle(
    config_dir: &Path,
    file: Layer,
    environment: Layer,
) -> Result<(Config, Vec<Problem>), ConfigError> {
    let mut draft = Draft {
        config_dir,
        config: Config::default(),
        levels: None,
        categories: None,
        origins: Origins::default(),
        problems: Vec::new(),
        warnings: Vec::new(),
    };
    let mut settings = Vec::new();
    for layer in [file, environment] {
        draft.problems.extend(layer.problems);
        draft.warnings.extend(layer.warnings);
        settings.extend(layer.settings);
    }
    // The profile first: it is what the others override, wherever it stands.
    for setting in settings.iter().filter(|setting| matches!(setting.key.slot, Slot::Profile)) {
        draft.read_profile(setting);
    }
    let config = Config::profile(draft.config.profile);
    draft.config = Config {
        spool_dir: config_dir.join(super::SPOOL_FOLDER),
        pii_key_file: config_dir.join(super::PII_KEY_FILE),
        ..config
    };
    for setting in settings.iter().filter(|setting| !matches!(setting.key.slot, Slot::Profile)) {
        draft.read(setting);
    }
    draft.finish()
}

struct Draft<'a> {
    config_dir: &'a Path,
    config: Config,
    levels: Option<Vec<Level>>,
    categories: Option<Vec<u8>>,
    origins: Origins,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Draft<'_> {
    fn read_profile(&mut self, setting: &Setting) {
        if let Some(profile) = self.word(setting, Profile::ALL, Profile::name) {
            self.config.profile = profile;
        }
    }

    fn read(&mut self, setting: &Setting) {
        let key = setting.key;
        match &key.slot {
            Slot::Retired(why) => {
                let message = format!("`{}` has no effect and can be removed: {why}", key.path);
                self.warnings.push(Problem::new(setting.place.clone(), message));
                return;
            }
            Slot::Profile => {}
            Slot::Count(at, _) => {
                if let Some(count) = self.scalar(setting, value::count) {
                    *at(&mut self.config) = count;
                }
            }
            Slot::Bytes(at, _) => {
                if let Some(bytes) = self.scalar(setting, value::bytes) {
                    *at(&mut self.config) = bytes;
                }
            }
            Slot::Time(at, _) => {
                if let Some(time) = self.scalar(setting, value::time) {
                    *at(&mut self.config) = time;
                }
            }
            Slot::Folder(at) | Slot::KeyFile(at) => {
                if let Some(path) = self.text(setting) {
                    *at(&mut self.config) = self.config_dir.join(path);
                }
            }
            Slot::File(at) => {
                if let Some(path) = self.text(setting) {
                    *at(&mut self.config) = Some(self.config_dir.join(path));
                }
            }
            Slot::Text(at) => {
                if let Some(text) = self.text(setting) {
                    *at(&mut self.config) = Some(text);
                }
            }
            Slot::Token => {
                if let Some(token) = self.text(setting) {
                    self.config.toggle.token = TokenSource::Value(token);
                }
            }
            Slot::TokenFile => {
                if let Some(path) = self.text(setting) {
                    self.config.toggle.token = TokenSource::File(self.config_dir.join(path));
                }
            }
            Slot::Compression => {
                if let Some(compression) = self.word(setting, Compression::ALL, Compression::name) {
                    self.config.toggle.compression = compression;
                }
            }
            Slot::Durability => {
                if let Some(mode) = self.word(setting, DurabilityMode::ALL, DurabilityMode::name) {
                    self.config.durability = mode;
                }
            }
            Slot::Pii => {
                if let Some(pii) = self.word(setting, Pii::ALL, Pii::name) {
                    self.config.pii = pii;
                }
            }
            Slot::MinLevel => {
                if let Some(min) = self.word(setting, Level::ALL, Level::name) {
                    self.levels = Some(Level::ALL.iter().copied().filter(|level| *level >= min).collect());
                }
            }
            Slot::Levels => {
                if let Some(levels) = self.list(setting, "a level", level) {
                    self.levels = Some(levels);
                }
            }
            Slot::Categories => {
                if let Some(categories) = self.list(setting, "a category", category) {
                    self.categories = Some(categories);
                }
            }
        }
        self.origins.places.insert(key.path, setting.place.clone());
    }

    fn finish(mut self) -> Result<(Config, Vec<Problem>), ConfigError> {
        if let Some(levels) = self.levels {
            self.config.filter = Filter::from_levels(levels);
        }
        if let Some(categories) = self.categories {
            self.config.filter = self.config.filter.with_only_categories(categories);
        }
        self.problems.extend(check::check(&self.config, &self.origins));
        self.problems.sort_by_cached_key(|problem| match problem.place() {
            Place::Line { line, .. } => (0, *line, String::new()),
            Place::Variable(name) => (1, 0, name.clone()),
            Place::Program => (2, 0, String::new()),
        });
        if self.problems.is_empty() {
            Ok((self.config, self.warnings))
        } else {
            Err(ConfigError::invalid(self.problems))
        }
    }

    /// A complaint about a setting, at the line of `node` within it.
    fn complain(&mut self, setting: &Setting, node: &Node, message: String) {
        let place = match &setting.place {
            // A list has a line per item; an empty value has none of its own.
            Place::Line { file, .. } if !matches!(node.data, Data::Null) => {
                Place::Line { file: file.clone(), line: node.line }
            }
            place => place.clone(),
        };
        self.problems.push(Problem::new(place, message));
        self.origins.bad.insert(setting.key.path);
    }

    fn scalar<T>(&mut self, setting: &Setting, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        let value = match &setting.value.data {
            Data::Text(text) => read(text),
            _ => None,
        };
        if value.is_none() {
            self.complain(setting, &setting.value, must_be(setting.key, &setting.value));
        }
        value
    }

    fn text(&mut self, setting: &Setting) -> Option<String> {
        self.scalar(setting, |text| Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
    }

    fn word<T: Copy>(&mut self, setting: &Setting, all: &[T], name: impl Fn(T) -> &'static str) -> Option<T> {
        let found = match &setting.value.data {
            Data::Text(text) => named(text, all, name),
            _ => Err(None),
        };
        found
            .map_err(|near| {
                let message = must_be(setting.key, &setting.value) + &did_you_mean(near);
                self.complain(setting, &setting.value, message);
            })
            .ok()
    }

    /// The items of a list, or of one text with commas, as the environment has it. All that are wrong are reported.
    fn list<T>(
        &mut self,
        setting: &Setting,
        kind: &str,
        read: impl Fn(&str) -> Result<T, Option<&'static str>>,
    ) -> Option<Vec<T>> {
        let line = setting.value.line;
        let items: Vec<Node> = match &setting.value.data {
            Data::List(items) => items.clone(),
            Data::Text(text) => {
                let parts =
                    text.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty());
                parts.map(|part| Node { line, data: Data::Text(part) }).collect()
            }
            _ => {
                self.complain(setting, &setting.value, must_be(setting.key, &setting.value));
                return None;
            }
        };
        if items.is_empty() {
            let (path, expected) = (setting.key.path, setting.key.expected());
            let message = format!("`{path}` is empty, so nothing would be processed; it takes {expected}");
            self.complain(setting, &setting.value, message);
            return None;
        }
        let mut values = Vec::with_capacity(items.len());
        for item in &items {
            let Data::Text(text) = &item.data else {
                let key = setting.key;
                let message = format!("`{}` must be {}; it holds {}", key.path, key.expected(), item.what());
                self.complain(setting, item, message);
                continue;
            };
            match read(text) {
                Ok(value) => values.push(value),
                Err(near) => {
                    let message = format!("{} in `{}` is not {kind}", value::quote(text), setting.key.path);
                    self.complain(setting, item, message + &did_you_mean(near));
                }
            }
        }
        (values.len() == items.len()).then_some(values)
    }
}

fn must_be(key: &Key, value: &Node) -> String {
    let found = match (&key.slot, &value.data) {
        (Slot::Token, Data::Text(_)) | (_, Data::Null) => "empty".to_owned(),
        (_, Data::Text(text)) => value::quote(text),
        _ => value.what().to_owned(),
    };
    format!("`{}` must be {}; it is {found}", key.path, key.expected())
}

fn did_you_mean(near: Option<&str>) -> String {
    near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

/// The one of these that has this name, or the name that was probably meant.
fn named<T: Copy>(
    text: &str,
    all: &[T],
    name: impl Fn(T) -> &'static str,
) -> Result<T, Option<&'static str>> {
    let folded = value::fold(text.trim());
    let found = all.iter().copied().find(|one| value::fold(name(*one)) == folded);
    found.ok_or_else(|| value::nearest(text, all.iter().map(|one| name(*one))))
}

fn level(text: &str) -> Result<Level, Option<&'static str>> {
    named(text, Level::ALL, Level::name)
}

/// A category by name or, for schemas with categories of their own, by number.
fn category(text: &str) -> Result<u8, Option<&'static str>> {
    match text.trim().parse::<u8>() {
        Ok(number) if (1..super::FILTER_CATEGORIES).contains(&usize::from(number)) => Ok(number),
        Ok(_) => Err(None),
        // Category numbers fit: a test of the filter holds the generator to it.
        Err(_) => {
            named(text, Category::ALL, Category::name).map(|found| u8::try_from(found.number()).unwrap_or(0))
        }
    }
}

#[cfg(test)]
mod tests;
