//! Books that a loss of power, a disk or another program left. See [`crate::fuzz`].

use std::{fs, path::Path};

use super::{file::DAMAGED, slots::*, *};
use crate::fuzz::{Choices, INPUTS, edit, target};

const FILES: [Uuid; 3] = [
    Uuid::from_u128(0x0192_AAAA_0000_7000_8000_0123_4567_89AB),
    Uuid::from_u128(0x0192_BBBB_0000_7000_8000_0123_4567_89AB),
    Uuid::from_u128(0x0192_CCCC_0000_7000_8000_0123_4567_89AB),
];

/// Places where something stands that matters.
const PLACES: &[usize] = &[
    MAGIC_AT,
    ID,
    ACCEPTED,
    DELIVERED,
    QUARANTINED,
    CLEAN,
    BEGUN,
    TOLD_UNTIL,
    IN_FILES,
    FILES_GONE,
    unkept::LOOKING,
    0,
    1,
    2,
    3,
    4,
    SLOTS_AT,
    SLOTS_AT + 1,
    SLOTS_AT + STATE,
    SLOTS_AT + PIECES,
    SLOTS_AT + EVENTS,
    SLOTS_AT + DELIVERED_IN,
    SLOTS_AT + DELIVERED_OF,
    SLOTS_AT + BEYOND,
    SLOTS_AT + CHECK - 1,
    SLOTS_AT + CHECK,
    SLOTS_AT + SLOT + STATE,
    SLOTS_AT + SLOT + EVENTS,
    SLOTS_AT + SLOT + DELIVERED_OF,
    SLOTS_AT + SLOT + BEYOND,
    SLOTS_AT + (SLOTS - 1) * SLOT + STATE,
    DROPPED_AT,
    DROPPED_AT + 77,
    TOLD_AT,
    CELLS - 1,
];

/// Numbers that matter.
const NUMBERS: &[u64] =
    &[0, 1, 2, 7, 100, USED, USED | 0x4567_89AB, FINISHED, FINISHED | USED, 1 << 40, (1 << 48) - 1, MAGIC];

/// Books of a process that had accepted a hundred events, and had begun to deliver two files.
fn books() -> Cells {
    let mut ledger = Ledger::in_memory(1);
    (0..100).for_each(|_| ledger.accept());
    ledger.deliver(20, Some(FILES[2]));
    ledger.drop_events(DropReason::BufferFull, 2, 3, 5, false);
    let mut step = Step::none(FILES[0]);
    for place in [0, 2, 60] {
        step.note(place, 10, 10);
        ledger.deliver_piece(10, &step);
    }
    ledger.set_aside_piece(2, &Step { foreign: true, ..Step::none(FILES[1]) });
    ledger.cells
}

fn a_damaged_file(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let mut cells = books();
    let mut small = true;
    for _ in 0..choices.below(8) {
        let number = *choices.of(NUMBERS);
        small &= number < 1 << 40;
        // Right in itself, as after a loss of power.
        cells.store(*choices.of(PLACES), number);
    }
    if choices.yes() {
        // Numbers of a slot that belong together, whatever they are.
        seal(&mut cells, SLOTS_AT);
        seal(&mut cells, SLOTS_AT + SLOT);
    }
    let mut file: Vec<u8> =
        (0..CELLS).flat_map(|at| cells::sealed(at, cells.load(at)).to_le_bytes()).collect();
    if choices.below(4) == 0 {
        edit(&mut file, 0..usize::MAX, &mut choices);
    }
    let dir = tempfile::tempdir().unwrap();
    let opened = if choices.below(8) == 0 {
        fs::write(dir.path().join(FILE), &file).unwrap();
        // There is a ledger whatever there was.
        Some(Ledger::open(dir.path(), 5).unwrap())
    } else {
        read(&file)
    };
    if let Some(mut ledger) = opened {
        use_it(&mut ledger, small, &mut choices);
    }
}

#[cfg(feature = "cli")]
fn read(bytes: &[u8]) -> Option<Ledger> {
    Ledger::read(bytes).ok()
}

#[cfg(not(feature = "cli"))]
fn read(bytes: &[u8]) -> Option<Ledger> {
    let cells = Cells::read(bytes, CELLS).ok()?;
    (cells.load(MAGIC_AT) == MAGIC).then(|| Ledger::on(cells, false))
}

/// What an agent does with it. Where no number is near its limit, the books balance at the end of the survey.
fn use_it(ledger: &mut Ledger, small: bool, choices: &mut Choices<'_>) {
    let is_new = ledger.is_surveyed();
    let mut waiting = 0;
    for file in FILES {
        let (events, is_ours) = (u64::from(choices.byte()), choices.yes());
        if let Known::From(step) = ledger.found(file, events, is_ours)
            && is_ours
        {
            waiting += events.saturating_sub(step.events);
        }
        let mut step = ledger.step(file, is_ours);
        for place in [0, 1, 2, 3, 48, 400, u32::MAX] {
            step.note(place, 1, 1);
            // There are no more of them than that.
            assert!(step.has(place) || place > step.pieces || step.pieces == u32::MAX);
        }
    }
    let quarantined = u64::from(choices.byte() % 8);
    for (reason, lost) in ledger.survey(quarantined) {
        assert!(lost > 0);
        ledger.drop_events(reason, 0, 0, lost, false);
    }
    let totals = ledger.totals();
    if small && !is_new {
        let accepted = totals.accepted - ledger.foreign;
        assert_eq!(accepted, totals.delivered + totals.dropped + waiting + quarantined, "{totals:?}");
    }
    let step = Step { foreign: choices.yes(), pieces: 2, events: 20, delivered: 15, ..Step::none(FILES[0]) };
    ledger.deliver_piece(5, &step);
    ledger.set_aside_piece(5, &step);
    ledger.finish(FILES[1], 3, choices.yes());
    ledger.forget(FILES[1]);
    ledger.clear(DropReason::QuarantineFull, u64::from(choices.byte()));
    ledger.tell(&ledger.drops(), 7);
    let _ = (ledger.told(), ledger.told_until_ms(), ledger.totals());
    let mut memory = Ledger::in_memory(1);
    memory.accept();
    memory.move_to(read_again(ledger));
    ledger.close();
}

fn read_again(ledger: &Ledger) -> Ledger {
    let mut cells = Cells::in_memory(CELLS);
    (0..CELLS).for_each(|at| cells.store(at, ledger.cells.load(at)));
    Ledger::on(cells, false)
}

#[test]
fn any_books_are_read_or_set_aside_and_balance_after_the_survey() {
    target!("ledger", 64, a_damaged_file, INPUTS / 5);
}

#[test]
fn any_bytes_are_books_or_are_set_aside() {
    let judge = |bytes: &[u8]| {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), bytes).unwrap();
        let ledger = Ledger::open(dir.path(), 5).unwrap();
        assert_eq!(ledger.totals().accepted, 0);
        assert_eq!(fs::read(dir.path().join(Path::new(DAMAGED))).unwrap(), bytes);
    };
    target!("ledger_bytes", 64, judge, INPUTS / 5);
}
