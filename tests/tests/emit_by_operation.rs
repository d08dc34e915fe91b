//! `emit!` for a kind whose level follows from its operation: the call leaves the level out.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{cell::Cell, time::Duration};

use annotated::payload::Operation;
use events_sdk::{Filter, Level, Outcome, emit};
use events_tests::Rig;
use prost::Message as _;

/// Its operation `Started` is INFO, and `Failed` is ERROR.
#[allow(missing_docs)]
pub mod annotated {
    include!("../golden/by_operation.rs");
}

/// What a request holds, with the events of that schema.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Batch {
    /// The events.
    #[prost(message, repeated, tag = "1")]
    pub events: Vec<annotated::proto::golden::by_operation::Event>,
}

const PATIENCE: Duration = Duration::from_secs(10);

/// A value, and a note that it was evaluated.
fn pass<T>(evaluated: &Cell<u32>, value: T) -> T {
    evaluated.set(evaluated.get() + 1);
    value
}

#[test]
fn the_operation_says_the_level_of_the_event() {
    let rig = Rig::start();
    let operation = Operation::Failed;
    assert!(emit!(on rig.events, annotated::demo, { operation: Started }).is_queued());
    assert!(emit!(on rig.events, annotated::demo, { operation }).is_queued());
    assert!(rig.toggle.wait_for_events(2, PATIENCE), "{:#?}", rig.events.stats());
    let batches = rig.toggle.batches();
    let bodies = batches.iter().filter_map(|batch| batch.body());
    let mut events: Vec<_> = bodies.flat_map(|body| Batch::decode(body).unwrap().events).collect();
    events.sort_by(|one, other| one.event_id.cmp(&other.event_id));
    let levels: Vec<_> = events.iter().map(|event| event.level).collect();
    assert_eq!(levels, [Level::Info, Level::Error].map(Level::number));
}

#[test]
fn an_event_of_an_unwanted_operation_is_filtered_once() {
    let rig = Rig::with(|config| config.filter = Filter::from_min_level(Level::Error));
    let evaluated = Cell::new(0);
    let ticket =
        emit!(on rig.events, annotated::demo, { operation: Started }, { "title" => pass(&evaluated, "a") });
    assert_eq!((ticket.outcome(), evaluated.get()), (Outcome::Filtered, 0), "the variant says the level");
    let operation = Operation::Started;
    let ticket = emit!(on rig.events, annotated::demo, { operation: pass(&evaluated, operation) });
    assert_eq!(
        (ticket.outcome(), evaluated.get()),
        (Outcome::Filtered, 1),
        "the variable has to be looked at"
    );
    assert_eq!(rig.events.stats().filtered, 2);
    assert!(emit!(on rig.events, annotated::demo, { operation: Failed }).is_queued());

    rig.events.set_filter(&Filter::from_levels([]));
    let ticket = emit!(on rig.events, annotated::demo, { operation: pass(&evaluated, operation) });
    assert_eq!((ticket.outcome(), evaluated.get()), (Outcome::Filtered, 1), "no level would do");
    assert_eq!(rig.events.stats().filtered, 3);
}

#[test]
fn without_an_event_system_nothing_is_evaluated() {
    let evaluated = Cell::new(0);
    let ticket = emit!(annotated::demo, {
        operation: pass(&evaluated, Operation::Failed)
    });
    assert!(!ticket.is_queued());
    assert_eq!(evaluated.get(), 0);
}
