//! Walks over the events of many files, holding one at a time.

use super::{
    event::Facts,
    failure::{BROKEN, DONE, Failure},
    filter::Filter,
    out::note,
    place::{self, Source},
    progress::Progress,
    schema::Schema,
    shown::ShownEvent,
};
use crate::{
    plural::{counted, was_or_were},
    spool::Item,
};

/// A walk, and what was met on it.
pub(super) struct Walk<'a> {
    schema: &'a Schema,
    filter: &'a Filter,
    /// Files that could not be read.
    unreadable: u64,
    /// Files that were gone before they could be opened.
    gone: u64,
}

impl<'a> Walk<'a> {
    /// Fails where the filter makes no sense.
    pub(super) fn new(schema: &'a Schema, filter: &'a Filter) -> Result<Self, Failure> {
        filter.check(schema)?;
        Ok(Self { schema, filter, unreadable: 0, gone: 0 })
    }

    /// Calls `visit` for each event that the filter wants, as far as the envelope says: with its file, its facts, its
    /// body and its whole entry. Says on standard error what of a file cannot be read.
    pub(super) fn events(
        &mut self,
        sources: &[Source],
        lines: bool,
        mut visit: impl FnMut(&Source, &Facts<'_>, &[u8], &[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let progress = Progress::over(sources, lines);
        for source in sources {
            progress.at(&source.label());
            let mut scan = match source.scan() {
                Ok(scan) => scan,
                Err(error) => {
                    self.missed(&error);
                    continue;
                }
            };
            let (mut places, mut lost, mut cut, mut flaw) = (0_u64, 0_u64, 0_u64, None);
            loop {
                match scan.next() {
                    Ok(None) => {
                        flaw = match (scan.is_cut_off(), scan.is_seal_damaged()) {
                            (true, _) => Some("ends too early"),
                            (false, true) => Some("has a damaged seal, or ends too early"),
                            (false, false) => None,
                        };
                        break;
                    }
                    Ok(Some(Item::Event { entry, body })) => {
                        progress.add(entry.len() as u64);
                        let facts = Facts::of(body);
                        if self.filter.wants(self.schema, &facts) {
                            visit(source, &facts, body, entry)?;
                        }
                    }
                    // Cut off a segment.
                    Ok(Some(Item::Damage { bytes: 0, events, .. })) => cut += u64::from(events),
                    Ok(Some(Item::Damage { events, .. })) => {
                        places += 1;
                        lost += u64::from(events);
                    }
                    Err(error) => {
                        self.missed(&error);
                        break;
                    }
                }
            }
            if places > 0 || cut > 0 {
                let damaged = match (places, lost) {
                    (0, _) => "ends too early".to_owned(),
                    (_, 0) => format!("is damaged in {}", counted(places, "place")),
                    _ => format!(
                        "is damaged in {}, with {} at least",
                        counted(places, "place"),
                        counted(lost, "event")
                    ),
                };
                let missing = match cut {
                    0 => String::new(),
                    _ => format!(", and {} {} cut off it", counted(cut, "event"), was_or_were(cut)),
                };
                note(&format!("{} {damaged}{missing}; `events spool verify` says more", source.label()));
            } else if let Some(flaw) = flaw {
                note(&format!("{} {flaw}; `events spool verify` says more", source.label()));
            }
        }
        Ok(())
    }

    /// The same for events that the filter wants with all that it says.
    pub(super) fn shown(
        &mut self,
        sources: &[Source],
        show_pii: bool,
        mut visit: impl FnMut(&Source, &ShownEvent<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let (schema, filter) = (self.schema, self.filter);
        self.events(sources, true, |source, facts, body, _| {
            let event = ShownEvent::of(schema, *facts, body, show_pii);
            if filter.wants_fields(&event) { visit(source, &event) } else { Ok(()) }
        })
    }

    /// How many files were gone before they could be opened.
    pub(super) fn gone(&self) -> u64 {
        self.gone
    }

    /// The exit code as far as the walk goes.
    pub(super) fn code(&self) -> u8 {
        if self.unreadable > 0 { BROKEN } else { DONE }
    }

    fn missed(&mut self, error: &crate::spool::SpoolError) {
        if place::is_gone(error) {
            self.gone += 1;
        } else {
            self.unreadable += 1;
            note(&error.to_string());
        }
    }
}
