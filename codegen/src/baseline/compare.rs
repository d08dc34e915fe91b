//! What changed between the accepted schema and the present one, and what each change breaks.
//!
//! Every difference of two contracts is told exactly once, as a break or as a note; where one cause shows in several
//! places (an event that moved is also a field that is gone) the cause is told and the traces are not.

mod events;
mod fields;

use std::collections::BTreeSet;

use super::{Breaks, Change, Contract, Enum, Reserved, Value};
use crate::origin::Origin;

/// What is new and breaks nothing.
const ADDED: &str = "added";

/// What is gone, with its number and its name kept from being used again.
const RETIRED: &str = "retired";

impl Contract {
    /// What changed from this contract, which was accepted, to `now`: the breaks first, then the notes.
    pub fn changes(&self, now: &Self) -> Vec<Change> {
        let mut comparison = Comparison { accepted: self, now, moved: BTreeSet::new(), changes: Vec::new() };
        // First, for it says which fields have been told of already.
        comparison.events();
        comparison.messages();
        comparison.enums();
        comparison.methods();
        let mut changes = comparison.changes;
        changes.sort_by(|a, b| (!a.breaks.any()).cmp(&!b.breaks.any()).then_with(|| a.cmp(b)));
        changes
    }
}

/// What of something that was removed could be used again.
struct Missing {
    what: String,
    /// The lines that reserve it.
    lines: String,
    breaks: Breaks,
}

/// `is_kept` says of the number and of the name whether nothing else can get it.
fn missing(is_kept: (bool, bool), number: i64, name: &str) -> Option<Missing> {
    let lines = (format!("`reserved {number};`"), format!("`reserved \"{name}\";`"));
    let (what, lines, breaks) = match is_kept {
        (true, true) => return None,
        // Under another number the name would mean something else, in JSON and to people.
        (true, false) => (format!("its name `{name}`"), lines.1, Breaks::SOURCE.and(Breaks::MEANING)),
        (false, true) => (format!("its number {number}"), lines.0, Breaks::WIRE.and(Breaks::SOURCE)),
        (false, false) => (
            "its number and its name".to_owned(),
            format!("{} and {}", lines.0, lines.1),
            Breaks::WIRE.and(Breaks::SOURCE),
        ),
    };
    Some(Missing { what, lines, breaks })
}

struct Comparison<'a> {
    accepted: &'a Contract,
    now: &'a Contract,
    /// Fields of category messages whose events moved: their message and number.
    moved: BTreeSet<(&'a str, u32)>,
    changes: Vec<Change>,
}

impl<'a> Comparison<'a> {
    fn breaking(
        &mut self,
        rule: &'static str,
        breaks: Breaks,
        (origin, accepted): (&Origin, &Origin),
        message: String,
        cure: impl Into<String>,
    ) {
        self.changes.push(Change {
            origin: origin.clone(),
            rule,
            message,
            accepted: Some(accepted.clone()),
            breaks,
            cure: cure.into(),
        });
    }

    fn note(&mut self, rule: &'static str, origin: &Origin, accepted: Option<&Origin>, message: String) {
        self.changes.push(Change {
            origin: origin.clone(),
            rule,
            message,
            accepted: accepted.cloned(),
            breaks: Breaks::NOTHING,
            cure: String::new(),
        });
    }

    fn enums(&mut self) {
        for (name, accepted) in &self.accepted.enums {
            match self.now.enums.get(name) {
                Some(now) => self.enumeration(name, accepted, now),
                None => self.type_removed("enum", name, &accepted.at),
            }
        }
        for (name, now) in &self.now.enums {
            if !self.accepted.enums.contains_key(name) {
                self.note(ADDED, &now.at, None, format!("enum `{name}` was added"));
            }
        }
    }

    fn enumeration(&mut self, owner: &str, accepted: &Enum, now: &Enum) {
        self.reserved(owner, (&accepted.reserved, &accepted.at), (&now.reserved, &now.at), |number| {
            now.values.values().any(|value| i64::from(value.number) == number)
        });
        for (name, was) in &accepted.values {
            match now.values.get(name) {
                Some(is) if is.number != was.number => self.breaking(
                    "value-renumbered",
                    Breaks::WIRE.and(Breaks::MEANING),
                    (&is.at, &was.at),
                    format!("`{name}` of {owner} had the number {} and has {}", was.number, is.number),
                    format!("give it back the number {}, or give the new value another name", was.number),
                ),
                Some(is) if is.facts != was.facts => self.facts_of_value(name, was, is),
                Some(_) => {}
                None => self.value_removed(owner, name, (accepted, was), now),
            }
        }
        for (name, is) in &now.values {
            if accepted.values.contains_key(name) || self.told_as_reuse(accepted, now, is.number) {
                continue;
            }
            match accepted.reserved.has_number(i64::from(is.number)) || accepted.reserved.names.contains(name)
            {
                true => self.reused(owner, name, i64::from(is.number), &is.at, &accepted.at),
                false => {
                    self.note(ADDED, &is.at, None, format!("`{name} = {}` was added to {owner}", is.number));
                }
            }
        }
    }

    /// The number had a name that is gone: [`value_removed`](Self::value_removed) tells both.
    fn told_as_reuse(&self, accepted: &Enum, now: &Enum, number: i32) -> bool {
        accepted.values.iter().any(|(name, was)| was.number == number && !now.values.contains_key(name))
    }

    fn value_removed(&mut self, owner: &str, name: &str, (accepted, was): (&Enum, &Value), now: &Enum) {
        let number = was.number;
        let (others, new): (Vec<_>, Vec<_>) =
            now.values.iter().filter(|(_, is)| is.number == number).partition(|(other, is)| {
                accepted.values.get(*other).is_some_and(|other| other.number == is.number)
            });
        if let [(other, is), ..] = new[..] {
            return self.breaking(
                "number-reused",
                Breaks::SOURCE.and(Breaks::MEANING),
                (&is.at, &was.at),
                format!("number {number} of {owner} was `{name}` and is `{other}`"),
                format!("give `{other}` a number that was never used, and keep `{name}` or reserve {number}"),
            );
        }
        // A second name that stays keeps the number, which cannot be reserved then.
        let is_number_kept = !others.is_empty() || now.reserved.has_number(i64::from(number));
        match missing((is_number_kept, now.reserved.names.contains(name)), i64::from(number), name) {
            None => self.note(
                RETIRED,
                &now.at,
                Some(&was.at),
                format!("`{name} = {number}` of {owner} was removed and is reserved; what says it no longer compiles"),
            ),
            Some(Missing { what, lines, breaks }) => self.breaking(
                "value-removed",
                breaks,
                (&now.at, &was.at),
                format!("`{name} = {number}` of {owner} was removed without reserving {what}"),
                format!("put it back, or write {lines} into the enum"),
            ),
        }
    }

    fn facts_of_value(&mut self, name: &str, was: &Value, is: &Value) {
        for key in super::changed(&was.facts, &is.facts) {
            let (before, after) = (super::said(&was.facts, key), super::said(&is.facts, key));
            self.breaking(
                "annotation-changed",
                Breaks::MEANING,
                (&is.at, &was.at),
                format!("`{key}` of `{name}` was {before} and is {after}"),
                "write it as it was: filters and readers compare levels",
            );
        }
    }

    fn methods(&mut self) {
        let (accepted, now) = (self.accepted, self.now);
        for (name, was) in &accepted.methods {
            let cure = "keep the method as it was and add a second one beside it";
            let breaks = Breaks::WIRE.and(Breaks::SOURCE);
            match now.methods.get(name) {
                Some(is) if is.signature != was.signature => self.breaking(
                    "method-changed",
                    breaks,
                    (&is.at, &was.at),
                    format!("the method {name} was `{}` and is `{}`", was.signature, is.signature),
                    cure,
                ),
                Some(_) => {}
                None => self.breaking(
                    "method-changed",
                    breaks,
                    (&was.at, &was.at),
                    format!("the method {name} was removed"),
                    cure,
                ),
            }
        }
        for (name, is) in now.methods.iter().filter(|(name, _)| !accepted.methods.contains_key(*name)) {
            self.note(ADDED, &is.at, None, format!("the method {name} was added"));
        }
    }

    /// A type that a field had is told by the field; one that nothing had is missed by whoever wrote its name.
    fn type_removed(&mut self, sort: &str, name: &str, was: &Origin) {
        let used = |ty: &str| ty.split([' ', ',', '<', '>']).any(|word| word == name);
        let by_field =
            self.accepted.messages.values().flat_map(|one| one.fields.values()).any(|one| used(&one.ty));
        let by_method = self.accepted.methods.values().any(|one| one.signature.contains(&format!("{name})")));
        let message = format!("{sort} `{name}` was removed or renamed");
        match by_field || by_method {
            true => {
                self.note(RETIRED, was, Some(was), format!("{message}; what names it no longer compiles"));
            }
            false => self.breaking(
                "type-removed",
                Breaks::SOURCE,
                (was, was),
                message,
                "put it back; what is no longer wanted is marked `option deprecated = true;`",
            ),
        }
    }

    fn reserved(
        &mut self,
        owner: &str,
        (was, was_at): (&Reserved, &Origin),
        (is, is_at): (&Reserved, &Origin),
        used: impl Fn(i64) -> bool,
    ) {
        for (first, last) in was.numbers.difference(&is.numbers) {
            // A reservation may have grown, or have been joined with its neighbour; a use is told as a reuse.
            let covered = is.numbers.iter().any(|(from, to)| from <= first && last <= to);
            let split = || {
                /// A larger reservation that was cut up is told as dropped: nobody reserves so many by hand.
                const MOST: i64 = 1000;
                last - first <= MOST && (*first..=*last).all(|number| is.has_number(number) || used(number))
            };
            if !covered && !split() {
                let what = if first == last { first.to_string() } else { format!("{first} to {last}") };
                self.reserved_dropped(owner, &what, is_at, was_at);
            }
        }
        for name in was.names.difference(&is.names) {
            self.reserved_dropped(owner, &format!("\"{name}\""), is_at, was_at);
        }
        if is.numbers.difference(&was.numbers).next().is_some()
            || is.names.difference(&was.names).next().is_some()
        {
            self.note(ADDED, is_at, Some(was_at), format!("{owner} reserves more than before"));
        }
    }

    fn reserved_dropped(&mut self, owner: &str, what: &str, is: &Origin, was: &Origin) {
        self.breaking(
            "reserved-dropped",
            Breaks::WIRE,
            (is, was),
            format!("{owner} no longer reserves {what}"),
            format!("write `reserved {what};` again: what once used it is still on disk somewhere"),
        );
    }

    fn reused(&mut self, owner: &str, name: &str, number: i64, is: &Origin, was: &Origin) {
        self.breaking(
            "number-reused",
            Breaks::WIRE.and(Breaks::MEANING),
            (is, was),
            format!("`{name} = {number}` of {owner} uses a number or a name that was reserved"),
            "give it a number and a name that were never used",
        );
    }
}
