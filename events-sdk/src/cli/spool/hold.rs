//! A spool that the command works on: its lock, and its accounts, which must agree with what is done.

use std::{
    collections::{BTreeMap, HashSet},
    io,
    path::Path,
};

use uuid::Uuid;

use super::{
    accounts::{files_without, remade},
    waiting::Waiting,
};
use crate::{
    Category, DropReason, Level,
    cli::{failure::Failure, out::note, owner, peek::peek},
    ledger::{self, Known, Ledger, Step},
    spool::{ANY_LEDGER, FileName, Holder, NO_LEDGER, Spool, SpoolFile, View},
};

/// The spool and its accounts, as long as nobody else may touch them.
pub(super) struct Hold {
    pub(super) spool: Spool,
    pub(super) books: Books,
}

/// The accounts of a spool.
pub(super) struct Books {
    /// None where no agent with this SDK has used the spool, or where they are damaged.
    ledger: Option<Ledger>,
    /// What is wrong with them.
    pub(super) damage: Option<String>,
    /// There are none, and files belong to some.
    pub(super) are_gone: bool,
}

/// Says that an agent has the lock, where it is only asked what would be done.
pub(super) fn tell_holder(dir: &Path) {
    if let Holder::Process(id) = View::of(dir).holder() {
        note(&format!(
            "process {id} uses the spool, so that the command would refuse to change anything now: stop the agent first"
        ));
    }
}

/// Removes the segments of which there is a spill file by now, as the next start of the agent would: what is done to that must not come
/// back out of them.
fn remove_copied_segments(spool: &Spool, view: &View) -> Result<(), Failure> {
    let files: HashSet<FileName> = view.list()?.into_iter().collect();
    for (path, _) in view.list_segments()?.into_iter().filter(|(_, batch)| files.contains(batch)) {
        spool.adopt_segment(&path)?.left.map_or(Ok(()), |(_, error)| Err(error))?;
    }
    Ok(())
}

impl Hold {
    /// Takes the lock. `meanwhile` says what is done where the accounts are damaged or gone.
    pub(super) fn open(dir: &Path, meanwhile: &str) -> Result<Self, Failure> {
        let spool = Spool::open(dir)?;
        remove_copied_segments(&spool, &View::of(dir))?;
        let mut books = Books::of(dir, Ledger::visit(dir))?;
        books.complain(dir, meanwhile, Holder::Nobody);
        Ok(Self { spool, books })
    }

    /// Removes a file, and books that all of it was dropped.
    pub(super) fn remove(
        &mut self,
        file: &SpoolFile,
        dropped: &BTreeMap<(i32, i32), u64>,
    ) -> Result<(), Failure> {
        self.spool.remove(file)?;
        self.spool.sync_removals();
        self.book(file, dropped)
    }

    /// Puts what is kept of a file, which waits or has its name already, in its place, and books what was dropped.
    pub(super) fn replace(
        &mut self,
        file: &SpoolFile,
        waiting: Option<&Path>,
        name: &FileName,
        dropped: &BTreeMap<(i32, i32), u64>,
    ) -> Result<(), Failure> {
        self.spool.swap(file, waiting, name)?;
        self.book(file, dropped)
    }

    /// Books that so many events of a file were set aside, whose place it keeps without them, or left. `booked` of them an agent found in
    /// the quarantine before.
    pub(super) fn set_aside(&mut self, ledger: u64, events: u64, booked: u64) -> Result<(), Failure> {
        if let Some(books) = &mut self.books.ledger {
            let foreign = ledger != books.id() && ledger != ANY_LEDGER;
            books.set_aside_of(events - booked, foreign);
            if !foreign {
                books.set_aside_again(booked);
            }
        }
        self.books.sync()
    }

    /// Books that a file of the quarantine waits in the spool again. After a kill before this the next start does so.
    pub(super) fn came_back(&mut self, name: &FileName) -> Result<(), Failure> {
        let file = self.spool.inspect(name)?;
        if let Some(books) = self.books.ledger.as_mut().filter(|books| file.is_of(books.id())) {
            books.enter_files(file.events.into());
        }
        self.books.sync()
    }

    /// Books what was dropped of a file that is gone. After a kill before this the next start of the agent counts it as vanished.
    fn book(&mut self, file: &SpoolFile, dropped: &BTreeMap<(i32, i32), u64>) -> Result<(), Failure> {
        if let Some(ledger) = &mut self.books.ledger {
            let foreign = !file.is_of(ledger.id());
            ledger.leave_files(dropped.values().sum(), foreign);
            for (&(level, category), &count) in dropped {
                let severity = Level::from_number(level).map_or(0, Level::severity);
                let category = Category::from_number(category).map_or(0, |category| category as u8);
                ledger.drop_events(DropReason::Pruned, category, severity, count, foreign);
            }
            ledger.forget(file.id);
        }
        self.books.sync()
    }
}

impl Books {
    /// Only to look at, of a spool that may be another process's.
    pub(super) fn look(dir: &Path, meanwhile: &str) -> Result<Self, Failure> {
        let read =
            peek(&dir.join(ledger::FILE), ledger::BYTES + 1).and_then(|bytes| Ledger::read(&bytes).map(Some));
        let mut books = Self::of(
            dir,
            match read {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                read => read,
            },
        )?;
        books.complain(dir, meanwhile, View::of(dir).holder());
        Ok(books)
    }

    fn of(dir: &Path, ledger: io::Result<Option<Ledger>>) -> Result<Self, Failure> {
        match ledger {
            Ok(ledger) => Ok(Self { ledger, damage: None, are_gone: false }),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Ok(Self { ledger: None, damage: Some(error.to_string()), are_gone: false })
            }
            Err(error) => {
                let path = dir.join(ledger::FILE);
                let is_odd = owner::is_link(&error)
                    || matches!(error.kind(), io::ErrorKind::IsADirectory | io::ErrorKind::InvalidInput);
                Err(Failure::Broken(match is_odd {
                    true => format!("{}: it is no regular file; move it away", path.display()),
                    false => format!(
                        "cannot open the accounts {}: {error}; mend their permissions or the disk first",
                        path.display()
                    ),
                }))
            }
        }
    }

    fn complain(&mut self, dir: &Path, meanwhile: &str, holder: Holder) {
        if self.ledger.is_none()
            && self.damage.is_none()
            && let Some(files) = files_without(&View::of(dir), false)
        {
            self.are_gone = true;
            note(&format!(
                "there are no accounts {}: {meanwhile}; {}",
                dir.join(ledger::FILE).display(),
                remade(holder, &files)
            ));
        }
        if let Some(damage) = &self.damage {
            note(&format!(
                "the accounts {} are damaged: {damage}; they are left as they are, and {meanwhile}; {}",
                dir.join(ledger::FILE).display(),
                remade(holder, "the next start of the agent sets them aside and begins new ones")
            ));
        }
    }

    /// How many events they have in the quarantine.
    pub(super) fn quarantined(&self) -> u64 {
        self.ledger.as_ref().map_or(0, Ledger::quarantined)
    }

    /// Whose the books say they are; `None` where there are none.
    pub(super) fn id(&self) -> Option<u64> {
        self.ledger.as_ref().map(Ledger::id)
    }

    /// Takes a file up as an agent does at its start: what was delivered of pieces that are not dealt with in full waits
    /// again. Gives which of its events do.
    pub(super) fn take_up(&mut self, file: &SpoolFile) -> Waiting {
        let known = match &mut self.ledger {
            None => Known::From(Step::none(file.id)),
            Some(ledger) => {
                let is_ours = file.is_of(ledger.id());
                ledger.found(file.id, u64::from(file.events), is_ours)
            }
        };
        Waiting::of(file, known)
    }

    /// Whether something of a file was sent to Toggle, as far as they know.
    pub(super) fn is_begun(&self, file: &SpoolFile) -> bool {
        let Some(ledger) = &self.ledger else {
            // Nobody can say, but for files of an agent that had none.
            return self.damage.is_some() || ![NO_LEDGER, ANY_LEDGER].contains(&file.ledger);
        };
        ledger.was_offered(file.id) || ledger.step(file.id, true).pieces > 0
    }

    /// Has them know nothing of a file, durably: a new one comes under this identity, all of whose events wait.
    pub(super) fn forget(&mut self, file: Uuid) -> Result<(), Failure> {
        if let Some(ledger) = &mut self.ledger {
            ledger.forget(file);
        }
        self.sync()
    }

    fn sync(&self) -> Result<(), Failure> {
        let file = self.ledger.as_ref().and_then(Ledger::file);
        file.map_or(Ok(()), |file| file.sync_data()).map_err(|error| {
            Failure::Broken(format!("cannot bring the accounts to stable storage: {error}; look at the disk"))
        })
    }
}
