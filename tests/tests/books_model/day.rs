//! One day: agents one after the other, and what happens to their spool in between.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use events_sdk::{
    Batch, Config, DurabilityMode, Events, Level, SendError, SendErrorKind, Uplink,
    testing::{Mode, Toggle},
    uplink::SendFuture,
};
use events_tests::{Dice, NUMBER, emit_number, losses_in};
use tempfile::TempDir;

use crate::{
    PATIENCE,
    agent::{Agent, Counts, Manner},
    tool::{self, Books},
};

/// So many agents work on a day, before the last one.
const LIVES: usize = 8;

/// One event of so many is refused; each takes a while, since it is looked for in ever smaller batches.
const REFUSED: usize = 397;

/// Events of others have numbers from here on.
const OF_OTHERS: usize = 1_000_000;

/// What kind of day it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Toggle is there or not, and who is killed has its disk done: all is known to the event.
    Calm,
    /// The same with little room on disk.
    Full,
    /// Answers are lost, and agents are killed whatever they are at.
    Wild,
}

/// A Toggle that is never there.
struct Away;

impl Uplink for Away {
    fn send(&self, _: Arc<Batch>) -> SendFuture<'_> {
        Box::pin(async { Err(SendError::new(SendErrorKind::Unavailable, "away")) })
    }

    fn target(&self) -> String {
        "nowhere".to_owned()
    }
}

/// The spool, Toggle, and the model of both.
pub(crate) struct Day {
    name: String,
    kind: Kind,
    dice: Dice,
    toggle: Toggle,
    around: TempDir,
    dir: PathBuf,
    /// Events that agents emitted.
    emitted: usize,
    /// Events that others put there.
    others: usize,
    /// Those of them that were taken away before the books knew them.
    others_removed: u64,
    /// Events of ours that somebody removed.
    removed: u64,
    /// Events that were in the memory of killed agents, as the books said before the next start.
    ended: u64,
    /// Files that were cut, perhaps in the middle of an event.
    cuts: u64,
    /// Events that were removed and count as lost with memory: they were written just before a kill.
    removed_unnoted: u64,
    /// Events that were delivered out of the middle of files, and wait again.
    again: u64,
    /// The last agent ended with nothing under way on its disk.
    is_exact: bool,
    begun: Instant,
}

impl Day {
    pub(crate) fn new(seed: u64, kind: Kind) -> Self {
        let (toggle, around) = (Toggle::start().expect("loopback"), TempDir::new().expect("a folder"));
        let dir = around.path().join("spool");
        let text = format!(
            "events: {{spool_dir: '{}', toggle: {{endpoint: '{}'}}}}\n",
            dir.display(),
            toggle.endpoint()
        );
        fs::write(around.path().join("rodent.yml"), text).expect("a file");
        toggle.refuse_when(|event| {
            let number = event.metadata.get(NUMBER).and_then(|text| text.parse::<usize>().ok());
            number.is_some_and(|number| number % REFUSED == 13)
        });
        Self {
            name: format!("seed {seed} {kind:?}"),
            kind,
            dice: Dice::new(seed),
            toggle,
            around,
            dir,
            emitted: 0,
            others: 0,
            others_removed: 0,
            removed: 0,
            ended: 0,
            cuts: 0,
            removed_unnoted: 0,
            again: 0,
            is_exact: true,
            begun: Instant::now(),
        }
    }

    pub(crate) fn run(mut self) {
        for _ in 0..LIVES {
            self.live();
            let mut books = self.check("after the agent");
            for _ in 0..self.dice.below(4) {
                books = self.meddle(books);
            }
            self.ended = books.process_ended + books.in_memory;
        }
        self.drain();
    }

    /// For whoever reads of a failure.
    fn tell(&self, what: &str) {
        println!("{:6.2} {what}", self.begun.elapsed().as_secs_f32());
    }

    /// What to say where something is wrong.
    fn wrong(&self, what: &str) -> String {
        format!("{}: {what}", self.name)
    }

    /// An agent starts, works and ends.
    fn live(&mut self) {
        let manner = Manner {
            durability: self.dice.of(DurabilityMode::ALL),
            quota: if self.kind == Kind::Full { 1 << 20 } else { 64 << 20 },
            is_patient: self.dice.below(2) == 0,
        };
        self.switch();
        self.tell(&format!("start {manner:?}"));
        let mut agent = Agent::start(&self.toggle.endpoint(), &self.dir, manner);
        if self.kind == Kind::Wild && self.dice.below(4) == 0 {
            thread::sleep(Duration::from_millis(self.dice.below(20) as u64));
            self.is_exact = false;
            // Whether it had surveyed is not known: what is missing is compared once it is.
            self.tell("killed at its start");
            agent.kill();
            return;
        }
        let counts = agent.wait_until(|counts| counts["surveyed"] == 1);
        self.surveyed(&counts);
        for _ in 0..1 + self.dice.below(5) {
            self.work(&mut agent);
        }
        self.end(agent, manner);
    }

    fn surveyed(&mut self, counts: &Counts) {
        let (vanished, ended) = (counts["life_vanished"], counts["life_process_ended"]);
        self.tell(&format!("surveyed: vanished {vanished}, ended {ended}"));
        // Of a file that was cut within an event the rest of that may be in the quarantine, also when it is cut once more.
        let is_right = vanished <= self.removed + self.cuts && vanished + self.cuts >= self.removed;
        let both = vanished + ended;
        let all = self.removed + self.ended;
        assert!(
            if self.is_exact {
                // Found there before its file is read again, it stands for one that is lost.
                is_right && ended <= self.ended && ended + self.cuts >= self.ended
            } else {
                both <= all + self.cuts && both + self.cuts + self.removed_unnoted >= all
            },
            "{}",
            self.wrong(&format!("removed {}, ended {}: {counts:#?}", self.removed, self.ended))
        );
        (self.removed, self.ended, self.removed_unnoted) = (vanished, ended, 0);
    }

    /// Toggle comes or goes.
    fn switch(&mut self) {
        if self.dice.below(5) < 2 {
            self.tell("Toggle goes");
            self.toggle.stop();
            return;
        }
        let modes = match self.kind {
            Kind::Wild => {
                [Mode::Ok, Mode::StoreThenFail, Mode::Unavailable, Mode::DropConnections].as_slice()
            }
            Kind::Calm | Kind::Full => &[Mode::Ok, Mode::Ok, Mode::Ok, Mode::Unavailable],
        };
        let mode = self.dice.of(modes);
        self.tell(&format!("Toggle comes: {mode:?}"));
        self.toggle.set_mode(mode);
        self.toggle.restart().expect("the same port");
    }

    fn work(&mut self, agent: &mut Agent) {
        match self.dice.below(6) {
            0..=2 => {
                let most: &[usize] =
                    if self.kind == Kind::Full { &[100, 900, 2_500] } else { &[10, 100, 700] };
                let count = self.dice.of(most);
                let level = self.dice.of(&[Level::Info, Level::Info, Level::Warn, Level::Error]);
                self.tell(&format!("emit {count} {level:?}"));
                // In pieces, so that not all of it meets a full memory.
                for from in (0..count).step_by(100) {
                    agent.emit(self.emitted, 100.min(count - from), level);
                    self.emitted += 100.min(count - from);
                    thread::sleep(Duration::from_millis(5));
                }
            }
            3 => self.switch(),
            4 => {
                self.tell("flush");
                agent.flush(Duration::from_millis(500));
            }
            _ => thread::sleep(Duration::from_millis(self.dice.of(&[20, 200, 700]))),
        }
    }

    /// The agent ends, in one way or another.
    fn end(&mut self, mut agent: Agent, manner: Manner) {
        match self.dice.below(3) {
            0 => {
                let counts = agent.shut_down(Duration::from_millis(self.dice.of(&[200, 10_000])));
                // Where its deadline came first, a file may have been written that nobody noted any more.
                self.is_exact = counts["in_memory"] + counts["in_flight"] == 0;
                self.again += counts["life_delivered"] - Books::of(&self.dir).delivered;
                self.tell(&format!("shut down: {counts:?}"));
            }
            1 if self.kind == Kind::Wild => {
                thread::sleep(Duration::from_millis(self.dice.below(50) as u64));
                self.is_exact = false;
                self.tell("killed");
                agent.kill();
            }
            _ => {
                self.toggle.stop();
                let counts = agent.wait_for_quiet();
                agent.kill();
                self.is_exact = true;
                self.tell(&format!("killed in quiet: {counts:?}"));
                let books = Books::of(&self.dir);
                // A piece that was delivered before others of its file is sent again, and so waits by the tool.
                self.again += counts["life_delivered"].saturating_sub(books.delivered);
                let there = ["life_delivered", "life_on_disk", "in_memory", "in_flight", "life_quarantined"];
                let there: u64 = there.iter().map(|name| counts[*name]).sum();
                let all = books.delivered + books.on_disk + books.in_memory + books.quarantined;
                // The rest of an event that was cut is in the quarantine as soon as its file has been read, and the agent has it on disk
                // until all else of that is delivered. One that found it there, and was not at the file since, has it twice.
                let twice = there.checked_sub(all);
                let aside = books.quarantined.checked_sub(counts["life_quarantined"]);
                let are_of_cuts = [twice, aside].iter().all(|one| one.is_some_and(|one| one <= self.cuts));
                let same = books.delivered <= counts["life_delivered"]
                    && books.accepted + twice.unwrap_or_default() == counts["life_accepted"]
                    && books.dropped == counts["life_dropped"];
                assert!(same && are_of_cuts, "{}", self.wrong(&format!("{books:#?}")));
                // On a full spool there is no room for segments.
                let is_kept = manner.durability != DurabilityMode::Memory && self.kind != Kind::Full;
                assert!(!is_kept || books.in_memory == 0, "{}", self.wrong(&format!("{books:#?}")));
            }
        }
    }

    /// Checks what the books say while no agent works.
    fn check(&mut self, when: &str) -> Books {
        let books = Books::of(&self.dir);
        self.tell(&format!("{when}: {books:?}"));
        let wrong = || self.wrong(&format!("{when}: {books:#?}, removed {}", self.removed));
        let Books { delivered, on_disk, quarantined, in_memory, missing, dropped, .. } = books;
        assert_eq!(
            books.accepted,
            delivered + on_disk + quarantined + in_memory + missing + dropped,
            "{}",
            wrong()
        );
        let gone = self.removed.saturating_sub(books.vanished);
        let most = gone + self.cuts;
        let files = books.files;
        let there = files.ours + files.unclear;
        if self.is_exact {
            // The rest of an event that was cut may be in the quarantine, and its file gone.
            assert!(missing <= most && missing + self.cuts >= gone, "{}", wrong());
            let noted = there + missing - missing.min(self.cuts)..=there + missing + self.cuts;
            assert!(noted.contains(&files.noted), "{}", wrong());
        } else {
            assert!(missing <= most && files.noted <= there + most, "{}", wrong());
        }
        assert_eq!(books.code, i32::from(missing > 0), "{}", wrong());
        books
    }

    /// Something happens to the spool while no agent works.
    fn meddle(&mut self, before: Books) -> Books {
        let files = tool::files(&self.dir);
        let what = match self.dice.below(8) {
            0 | 1 if !files.is_empty() => {
                let file = &files[self.dice.below(files.len())];
                self.remove(file, &before)
            }
            2 if !files.is_empty() => {
                let file = &files[self.dice.below(files.len())];
                self.cut(file, &before)
            }
            3 => {
                self.copy_in();
                "a file of others".to_owned()
            }
            4 => {
                tool::emit(self.around.path(), OF_OTHERS + self.others);
                self.others += 1;
                "events emit".to_owned()
            }
            5 => format!("repair {}", tool::spool(&self.dir, &["repair"]).1),
            6 => format!("requeue {}", tool::spool(&self.dir, &["requeue"]).1),
            _ => {
                let level = self.dice.of(&["warn", "error"]);
                format!("prune {}", tool::spool(&self.dir, &["prune", "--below", level, "--yes"]).1)
            }
        };
        let after = self.check(&what);
        // What an agent wrote just before it was killed is not noted as in files, and if it is removed counts as lost with memory.
        let is_same = after.in_memory == before.in_memory;
        assert!(is_same || !self.is_exact && after.in_memory > before.in_memory, "{}", self.wrong(&what));
        self.removed_unnoted += after.in_memory - before.in_memory;
        after
    }

    /// Whether a file holds events of others.
    fn is_of_others(file: &Path) -> bool {
        tool::numbers_of(file).into_iter().flatten().any(|number| number >= OF_OTHERS)
    }

    fn remove(&mut self, file: &Path, before: &Books) -> String {
        let is_of_others = Self::is_of_others(file);
        let held = tool::numbers_of(file).len() as u64 + u64::from(self.cuts > 0);
        fs::remove_file(file).expect("a file");
        self.gone(before, held, is_of_others);
        format!("{held} events removed with {}, of others: {is_of_others}", file.display())
    }

    fn cut(&mut self, file: &Path, before: &Books) -> String {
        // Without its end nobody can tell whose a file is: one of others would be taken for ours.
        if Self::is_of_others(file) {
            return "nothing".to_owned();
        }
        let length = fs::metadata(file).expect("a file").len();
        let left = length / 4 + self.dice.below((length / 2) as usize) as u64;
        // One that was cut already may end with the rest of an event.
        let held = tool::numbers_of(file).len() as u64 + 1;
        fs::OpenOptions::new().write(true).open(file).expect("a file").set_len(left).expect("to cut it");
        self.cuts += 1;
        self.gone(before, held, false);
        format!("{left} of {length} bytes left of {}", file.display())
    }

    /// So many events are not in a file any more, some of which were delivered perhaps.
    fn gone(&mut self, before: &Books, held: u64, is_of_others: bool) {
        let after = Books::of(&self.dir);
        // What was delivered of pieces behind the first that is not waits again, as long as its file is there.
        let again = after.delivered - before.delivered;
        let less = before.on_disk - after.on_disk;
        assert!(less <= held + again, "{}", self.wrong(&format!("{less} of {held}: {before:#?} {after:#?}")));
        let removed = if is_of_others { &mut self.others_removed } else { &mut self.removed };
        // Some of what was to come again may have been cut off before.
        *removed = (*removed + less).saturating_sub(again);
    }

    /// A file of another spool is copied in.
    fn copy_in(&mut self) {
        let other = TempDir::new().expect("a folder");
        let config = Config { spool_dir: other.path().to_owned(), ..Config::default() };
        let events = Events::start_with(config, Arc::new(Away)).expect("an event system");
        let count = 1 + self.dice.below(300);
        (0..count).for_each(|number| emit_number(&events, OF_OTHERS + self.others + number));
        assert!(events.shutdown(PATIENCE).complete);
        self.others += count;
        for file in tool::files(other.path()) {
            fs::copy(&file, self.dir.join(file.file_name().expect("a name"))).expect("a copy");
        }
    }

    /// The last agent delivers all that is left, and the books are compared with what Toggle has.
    fn drain(&mut self) {
        self.toggle.set_mode(Mode::Ok);
        self.toggle.refuse_nothing();
        self.toggle.restart().expect("the same port");
        let manner = Manner { durability: DurabilityMode::Memory, quota: 64 << 20, is_patient: false };
        let mut agent = Agent::start(&self.toggle.endpoint(), &self.dir, manner);
        self.tell("the last start");
        let counts = agent.wait_until(|counts| counts["surveyed"] == 1);
        self.surveyed(&counts);
        agent.wait_until(|counts| {
            ["life_on_disk", "in_memory", "in_flight"].iter().all(|place| counts[*place] == 0)
        });
        let counts = agent.shut_down(PATIENCE);
        self.is_exact = true;
        let books = self.check(&format!("at the end: {counts:?}"));
        assert_eq!((books.on_disk, books.in_memory, books.missing), (0, 0, 0), "{}", self.wrong("left"));

        let stored = self.toggle.events();
        let number = |event: &events_sdk::proto::events::Event| event.metadata.get(NUMBER)?.parse().ok();
        let mut known: HashSet<usize> = stored.iter().filter_map(number).collect();
        let told = stored.iter().filter(|event| losses_in(event).is_some()).count() as u64;
        // Halves of a refused batch that were taken before a kill come again in the whole of it: their `event_id` tells.
        let unique = (stored.len() - self.toggle.repeated_event_ids()) as u64;
        assert_eq!(unique, known.len() as u64 + told, "{}", self.wrong("stored twice"));
        // What is left of a batch that was cut goes by its id, under which Toggle may have all of it.
        let is_altered = self.toggle.altered_repeats() > 0 && self.cuts == 0;
        assert!(!is_altered, "{}", self.wrong("repeated under another's name"));
        let aside = tool::quarantine(&self.dir);
        // What is left of events that were cut in two has no number.
        let torn = books.quarantined.saturating_sub(aside.len() as u64);
        known.extend(aside);
        let put_in = (self.emitted + self.others) as u64;
        let own = (books.accepted + self.others_removed).checked_sub(put_in);
        let own = own.unwrap_or_else(|| panic!("{}", self.wrong(&format!("not accepted: {books:#?}"))));
        let own_lost = own.checked_sub(told);
        let own_lost = own_lost.unwrap_or_else(|| panic!("{}", self.wrong(&format!("invented: {books:#?}"))));
        let missing = put_in - self.others_removed - known.len() as u64;
        let all = || self.wrong(&format!("{missing} missing, {own} own, {told} told: {books:#?}"));
        assert!(missing <= books.dropped + torn, "{}", all());
        assert!(books.delivered <= unique, "{}", all());
        if self.kind != Kind::Wild {
            // What was to be sent again may have been pruned, or have given way, before it was.
            let lost = missing + own_lost;
            assert!(unique <= books.delivered + self.again, "{}", all());
            assert!(lost <= books.dropped + torn && books.dropped + torn <= lost + self.again, "{}", all());
        }
    }
}
