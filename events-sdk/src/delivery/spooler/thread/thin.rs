//! How room is made.

use super::{Reply, Thread};
use crate::{
    delivery::spooler::Part,
    fault,
    spool::{Spool, SpoolError, SpoolErrorKind, SpoolFile},
};

impl Thread {
    /// Drops a part of a file.
    pub(super) fn thin(&mut self, file: SpoolFile, part: Part) -> Reply {
        self.reader = None;
        let mut done = None;
        let mut result = self.guarded("make room in", |thread| {
            fault::point("spool thin");
            thread.sync_freed()?;
            if matches!(part, Part::Rest(..)) {
                // Pieces of it were delivered, and it is gone then.
                thread.sync_books()?;
            }
            let thin = |spool: &Spool| match part {
                Part::Level(thinning) => spool.thin(&file, thinning),
                Part::Rest(passed) => spool.drop_rest(&file, passed),
            };
            let thinned = thread.spool().and_then(|spool| spool.with_ballast(thin));
            if thinned.as_ref().is_err_and(|error| error.kind() == SpoolErrorKind::Missing) {
                thread.forget_missing(file.id);
            }
            let thinned = done.insert(thinned?);
            fault::point("spool thinned");
            thread.known.remove(&file.id);
            thread.known.extend(thinned.file.as_ref().map(|file| file.id));
            Ok(())
        });
        if matches!(&result, Err(error) if error.is_panic()) && done.is_some() {
            // It panicked behind the work.
            result = Ok(());
            self.known.remove(&file.id);
            self.known.extend(done.iter().filter_map(|thinned| Some(thinned.file.as_ref()?.id)));
        }
        let missing = || SpoolError::panicked("make room in", &self.directory, "nothing was done");
        let result = result.and_then(|()| done.ok_or_else(missing));
        Reply::Thinned(file, result)
    }
}
