//! The books themselves: whether there are any, and what to do where there are none.

use std::io;

use crate::{
    cli::{
        failure::Failure,
        peek::peek,
        place::{self, Source},
    },
    ledger::{self, Ledger},
    plural::counted,
    spool::{Holder, SpoolError, View},
};

/// Why there are no numbers.
#[derive(Debug)]
pub(super) enum Trouble {
    /// There are no books.
    None(String),
    /// There were some, as files say.
    Gone(String),
    /// The books are damaged, or something else has their name.
    Damaged(String),
    /// The books, or what lies there, cannot be read.
    Other(Failure),
}

impl Trouble {
    /// Where there are no books though files say that there were, says so.
    pub(super) fn with_what_is_left(self, view: &View) -> Self {
        let Self::None(text) = self else { return self };
        match (files_without(view, true), view.holder()) {
            (None, _) => Self::None(text),
            (_, Holder::Process(_)) => Self::Gone(text),
            (Some(files), _) => Self::Gone(format!("{text}; {files}")),
        }
    }
}

/// What is to be said of files, `with_segments` or not, that belong to accounts, where there are none; `None` where none do.
pub(in crate::cli::spool) fn files_without(view: &View, with_segments: bool) -> Option<String> {
    let sources = place::everything(view).unwrap_or_default();
    let names_books = |source: &Source| {
        let names_them = || source.inspect().is_ok_and(|(file, _)| file.names_ledger());
        if source.segment.is_some() { with_segments } else { names_them() }
    };
    let left = sources.iter().filter(|source| names_books(source)).count() as u64;
    let belong = if left == 1 { "belongs" } else { "belong" };
    (left > 0).then(|| {
        format!(
            "{} {belong} to accounts that are gone: put {} back, or the next start begins anew and nobody can tell what earlier \
             processes lost",
            counted(left, "file"),
            ledger::FILE,
        )
    })
}

/// What becomes of books that are damaged or gone: whoever works here has the numbers in memory. `otherwise` is what is true where nobody does.
pub(in crate::cli::spool) fn remade(holder: Holder, otherwise: &str) -> String {
    let anew = "makes them anew out of its memory within seconds: run this again then; if they are as they were, its log says why";
    match holder {
        Holder::Process(id) => format!("process {id}, which works here, {anew}"),
        Holder::Nobody => otherwise.to_owned(),
        Holder::Unknown => format!("an agent that works here {anew}; where none does, {otherwise}"),
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::None(text) | Trouble::Gone(text) | Trouble::Damaged(text) => Self::Broken(text),
            Trouble::Other(failure) => failure,
        }
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Other(failure)
    }
}

impl From<SpoolError> for Trouble {
    fn from(error: SpoolError) -> Self {
        Self::Other(error.into())
    }
}

pub(super) fn read(view: &View) -> Result<Ledger, Trouble> {
    let path = view.dir().join(ledger::FILE);
    let told = |what: &str| format!("{}: {what}", path.display());
    // One more than there should be: a longer one is told from it.
    let bytes = peek(&path, ledger::BYTES + 1).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            let otherwise = "the accounts are made when an agent with this SDK first uses the spool";
            Trouble::None(told(&format!("{error}; {}", remade(view.holder(), otherwise))))
        }
        io::ErrorKind::InvalidInput => Trouble::Damaged(told(&error.to_string())),
        _ => Trouble::Other(Failure::Broken(told(&format!(
            "{error}; look as the user whose spool it is, or as root"
        )))),
    })?;
    Ledger::read(&bytes).map_err(|error| {
        let otherwise = "the next start of the agent sets them aside and begins anew";
        let then = remade(view.holder(), otherwise);
        Trouble::Damaged(told(&format!("the accounts are damaged: {error}; {then}")))
    })
}
