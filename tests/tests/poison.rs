//! Events that Toggle refuses: they are found, set aside with the reason, and stop nobody else.

use std::{collections::HashSet, fs, time::Duration};

use events_tests::{NUMBER, Rig, storm, wait_until};

const EVENTS: usize = 5_000;
/// One in so many is refused.
const POISON: usize = 1_000;
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn poisonous_events_are_set_aside_alone_and_all_others_are_delivered() {
    let rig = Rig::start();
    rig.toggle.refuse_when(|event| {
        event
            .metadata
            .get(NUMBER)
            .and_then(|text| text.parse::<usize>().ok())
            .is_some_and(|number| number % POISON == 0)
    });
    storm(&rig.events, 0..EVENTS, 2_000);
    let bad = EVENTS / POISON;
    let stats = wait_until(&rig.events, PATIENCE, |stats| {
        stats.delivered as usize == EVENTS - bad && stats.quarantined as usize == bad
    });
    assert_eq!((stats.delivered as usize, stats.quarantined as usize), (EVENTS - bad, bad), "{stats:#?}");
    assert_eq!(stats.dropped_total(), 0);
    let numbers: HashSet<usize> =
        rig.toggle.events().iter().filter_map(|event| event.metadata.get(NUMBER)?.parse().ok()).collect();
    assert_eq!(numbers.len(), EVENTS - bad);
    let reasons = fs::read_dir(rig.spool.path().join("quarantine"))
        .expect("the quarantine")
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "txt"));
    let reasons: Vec<_> = reasons.map(|path| fs::read_to_string(path).expect("a reason")).collect();
    assert_eq!(reasons.len(), bad);
    assert!(reasons.iter().all(|reason| reason.contains("INVALID_ARGUMENT")), "{reasons:?}");
}

#[test]
fn when_toggle_refuses_everything_nothing_is_set_aside() {
    let rig = Rig::start();
    rig.toggle.refuse_when(|_| true);
    storm(&rig.events, 0..EVENTS, 5_000);
    std::thread::sleep(Duration::from_secs(2));
    rig.toggle.refuse_nothing();
    rig.assert_all_delivered(EVENTS, PATIENCE);
    assert_eq!(rig.events.stats().quarantined, 0);
}
