//! Writes a spill file anew with some of its events, with the memory of one.

use std::{io, path::Path};

use crate::{
    cli::{event::Facts, failure::Failure, owner, place::Source},
    spool::{Composer, Item, Sealing},
};

/// Writes the events of `source` that `keeps` wants to `target` in the same directory. What is damaged stays out.
/// Returns how many events were written. `replace` says that another file may be there.
/// `before` is done when all is written and synced, and before it has its name: where it fails, all is as it was.
pub(super) fn rewrite(
    source: &Source,
    target: &Path,
    sealing: Sealing,
    replace: bool,
    mut keeps: impl FnMut(&[u8], &Facts<'_>) -> bool,
    before: impl FnOnce() -> Result<(), Failure>,
) -> Result<u32, Failure> {
    let dir = source.view.dir();
    let mut scan = source.view.scan(&source.name)?;
    let mut composer = Composer::begin(dir, sealing.id)?;
    while let Some(item) = scan.next()? {
        if let Item::Event { entry, body } = item {
            let facts = Facts::of(body);
            if keeps(entry, &facts) {
                composer.push(entry, facts.level)?;
            }
        }
    }
    let events = composer.events();
    let mut failure = None;
    let finished = composer.finish(target, sealing, replace, |temp| {
        owner::hand_over(dir, temp)?;
        before().map_err(|error| {
            failure = Some(error);
            io::Error::other("what must be done before it failed")
        })
    });
    match failure {
        Some(failure) => Err(failure),
        None => Ok(finished.map(|_| events)?),
    }
}
