//! Changes of events: where they travel, how they are emitted, and what is the same for all of a kind.

use super::{ADDED, Comparison};
use crate::baseline::{Breaks, Contract, Event, Path};

impl<'a> Comparison<'a> {
    pub(super) fn events(&mut self) {
        let (accepted, now) = (self.accepted, self.now);
        for (path, was) in &accepted.events {
            match now.events.get(path) {
                Some(is) => self.event(was, is),
                // An event that is gone altogether is told as the field that is gone.
                None => {
                    let new = now.events.iter().filter(|(path, _)| !accepted.events.contains_key(*path));
                    let mut new =
                        new.filter(|(_, is)| is.payload == was.payload || is.emitter == was.emitter);
                    if let Some((to, is)) = new.next() {
                        self.event_moved((path, was), (to, is));
                    }
                }
            }
        }
        for (path, is) in now.events.iter().filter(|(path, _)| !accepted.events.contains_key(*path)) {
            if leaf(now, path).is_none_or(|leaf| !self.moved.contains(&leaf)) {
                self.note(ADDED, &is.at, None, format!("the event `{}` was added", is.emitter));
            }
        }
    }

    fn event_moved(&mut self, (from, was): (&Path, &Event), (to, is): (&Path, &Event)) {
        self.moved.extend(leaf(self.accepted, from));
        self.moved.extend(leaf(self.now, to));
        self.breaking(
            "event-moved",
            Breaks::WIRE.and(Breaks::MEANING),
            (&is.at, &was.at),
            format!("the event `{}` travelled as {}.{} of {} and travels as {}.{}", was.emitter, from.category,
                from.leaf, from.envelope, to.category, to.leaf),
            "put its field back under its number; an event may be listed a second time elsewhere, under another name",
        );
    }

    fn event(&mut self, was: &Event, is: &Event) {
        let at = (&is.at, &was.at);
        let name = &is.emitter;
        if was.emitter != is.emitter {
            self.breaking(
                "emitter-renamed",
                Breaks::SOURCE,
                at,
                format!("`emit_{}` is called `emit_{name}` now", was.emitter),
                format!("add `name: \"{}\"` to its `event` option", was.emitter),
            );
        }
        if was.category != is.category {
            self.breaking(
                "category-changed",
                Breaks::MEANING,
                at,
                format!("the category of `{name}` was `{}` and is `{}`", was.category, is.category),
                "put it back: filters and readers tell events apart by their category",
            );
        }
        if was.source != is.source {
            self.breaking(
                "source-changed",
                Breaks::MEANING,
                at,
                format!("the source of `{name}` was \"{}\" and is \"{}\"", was.source, is.source),
                format!("write `source: \"{}\"` again: readers tell components apart by it", was.source),
            );
        }
        if was.level != is.level {
            let show = |level: &Option<String>| level.clone().unwrap_or_else(|| "the caller's".to_owned());
            // With or without a parameter is another signature; another fixed level is not.
            let signature = was.level.is_some() != is.level.is_some();
            self.breaking(
                "level-changed",
                if signature { Breaks::SOURCE.and(Breaks::MEANING) } else { Breaks::MEANING },
                at,
                format!("the level of `{name}` was {} and is {}", show(&was.level), show(&is.level)),
                match &was.level {
                    Some(level) => format!("write `level: \"{level}\"` again"),
                    None => "remove `level` from the option again".to_owned(),
                },
            );
        }
        if was.facts != is.facts {
            let show = |event: &Event| match event.facts.is_empty() {
                true => "nothing".to_owned(),
                false => event
                    .facts
                    .iter()
                    .map(|(key, value)| format!("{key}: {value}"))
                    .collect::<Vec<_>>()
                    .join(", "),
            };
            self.breaking(
                "annotation-changed",
                Breaks::MEANING,
                at,
                format!("the annotations of `{name}` said {} and say {}", show(was), show(is)),
                "write the annotation as it was, or accept the change knowingly",
            );
        }
    }
}

/// What no longer compiles without a field: calls of an emitter, if events travelled through it.
pub(super) fn callers(contract: &Contract, owner: &str, number: u32) -> String {
    let of_event = |path: &Path| leaf(contract, path) == Some((owner, number));
    let of_category = |path: &Path| path.envelope == owner && path.category == number;
    if let Some((_, event)) = contract.events.iter().find(|(path, _)| of_event(path)) {
        return format!("what calls `emit_{}`", event.emitter);
    }
    match contract.events.keys().any(of_category) {
        true => "what emits its events".to_owned(),
        false => "what sets it".to_owned(),
    }
}

/// The field that lists the event: its category message and its number there.
fn leaf<'a>(contract: &'a Contract, path: &Path) -> Option<(&'a str, u32)> {
    let branch = contract.messages.get(&path.envelope)?.fields.get(&path.category)?;
    Some((branch.ty.as_str(), path.leaf))
}
