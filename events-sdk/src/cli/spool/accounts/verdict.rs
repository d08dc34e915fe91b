//! What the numbers mean, in words.

use super::found::{Found, Rest};
use crate::{
    cli::out::some_of,
    plural::{counted, is_or_are},
    spool::Holder,
};

impl Found {
    pub(super) fn verdict(&self) -> String {
        let Rest { least, most } = self.rest();
        if self.unreadable > 0 {
            let unreadable = match self.unreadable {
                1 => "1 file or segment".to_owned(),
                more => format!("{more} files or segments"),
            };
            return format!(
                "{unreadable} cannot be read, so nobody can say whether the accounts balance; mend their \
                 permissions or the disk, or look as the user whose spool it is"
            );
        }
        if let Some(gone) = self.tell_gone() {
            return gone;
        }
        if self.moving {
            return "an agent is at work, and the numbers changed while they were read".to_owned();
        }
        if let Some(missing) = self.missing() {
            let rest = least.max(0).unsigned_abs() - missing;
            let missing = self.tell(missing);
            return if rest > 0 { format!("{missing}; {}", self.in_memory(rest)) } else { missing };
        }
        if most < 0 {
            let more = most.unsigned_abs();
            return format!(
                "{} more {} there than the books know of, after a loss of power for one; the next start takes them over",
                counted(more, "event"),
                is_or_are(more)
            );
        }
        if least > 0 {
            let elsewhere = self.in_memory(least.unsigned_abs());
            // What is lost comes first.
            return match self.holder {
                Holder::Nobody => format!("{elsewhere}; with that the accounts balance"),
                _ => format!("the accounts balance: {elsewhere}"),
            };
        }
        if least == 0 && most == 0 {
            return "the accounts balance".to_owned();
        }
        let events = least.min(0).unsigned_abs().max(self.unclear);
        format!(
            "the accounts balance as far as can be known: {} {} in damaged files that do not say whose they are, or set aside out of \
             such; the next start takes up what the books do not know of",
            counted(events, "event"),
            is_or_are(events)
        )
    }

    /// Where events are that are in no file.
    fn in_memory(&self, events: u64) -> String {
        let (number, are) = (counted(events, "event"), is_or_are(events));
        let (was, it) = if events == 1 { ("was", "it") } else { ("were", "them") };
        let looking =
            "it has not looked at all yet that earlier ones left, and counts what is lost when it has";
        match self.holder {
            Holder::Process(id) if self.ledger.is_looking() => format!(
                "{number} {are} in the memory of process {id}, or {was} in that of an earlier one and lost with it: {looking}"
            ),
            Holder::Process(id) => format!("{number} {are} in the memory of process {id}"),
            Holder::Nobody => {
                let or = if self.has_segments { ", or in segments that were removed since" } else { "" };
                format!(
                    "{number} {was} in memory when the process ended, and lost with it{or}; the next start counts {it} as `process_ended`"
                )
            }
            Holder::Unknown => format!(
                "{number} {are} in the memory of the agent; if that has ended, they were lost with it, and the next start counts \
                 {it} as `process_ended`"
            ),
        }
    }

    /// What is to be said of events that are missing.
    pub(super) fn tell(&self, missing: u64) -> String {
        let events = format!("{} {} missing", counted(missing, "event"), is_or_are(missing));
        let gone = match self.gone().as_slice() {
            [] => String::new(),
            names => format!(" ({} among them)", some_of(names, "events spool accounts --json")),
        };
        let (since, at) = match self.holder {
            Holder::Process(_) => {
                ("are not there any more", "the agent counts them as `vanished` when it is their turn")
            }
            _ if self.ledger.was_closed() => (
                "were removed, cut short, emptied or replaced since the last agent ended",
                "the next start counts them as `vanished`",
            ),
            _ => (
                "were removed, cut short, emptied or replaced since the last agent ended or was killed",
                "the next start counts them as `vanished`",
            ),
        };
        match (self.torn.as_slice(), &self.holder) {
            ([], Holder::Process(_)) => format!(
                "{events}, as the accounts say: files or segments{gone} {since}; put them back, or {at}"
            ),
            // A file that was cut short and repaired since looks like any other.
            ([], _) => format!(
                "{events}, as the accounts say: files or segments{gone} {since}; what was removed may be put back, what was cut off \
                 a file that was repaired since is lost; {at}"
            ),
            (torn, _) => {
                let (end, is) = if torn.len() == 1 { ("ends", "is") } else { ("end", "are") };
                format!(
                    "{events}, as the accounts say: {} {end} too early or {is} written over, or files and segments{gone} {since}; look at the disk; {at}",
                    some_of(torn, "events spool verify")
                )
            }
        }
    }

    /// What is to be said of files that the agent misses, where it changes the books too fast to be compared with what is there.
    pub(super) fn tell_gone(&self) -> Option<String> {
        let gone = self.ledger.files_gone();
        let files = match gone {
            0 => return None,
            1 => "1 spill file is gone that the agent knows: somebody removed it; put it back".to_owned(),
            more => format!(
                "{more} spill files are gone that the agent knows: somebody removed them; put them back"
            ),
        };
        let told =
            format!("{files}, or their events are lost, and counted as `vanished`, when it is their turn");
        self.moving.then_some(told)
    }
}
