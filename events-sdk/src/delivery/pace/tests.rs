use super::*;

const MS: Duration = Duration::from_millis(1);

/// Sends for so long to a Toggle that takes everything after `took`; gives how many batches went out.
fn run(pace: &mut Pace, from: Instant, lasts: Duration, took: Duration) -> (u32, Instant) {
    let (mut now, mut sent) = (from, 0);
    while now < from + lasts {
        if pace.allows(now) {
            pace.sent(now);
            pace.acknowledged(took, now);
            sent += 1;
        }
        now = pace.next_at(now).max(now + Duration::from_micros(200));
    }
    (sent, now)
}

#[test]
fn a_healthy_toggle_gets_more_and_more() {
    let start = Instant::now();
    let mut pace = Pace::at(START, start);
    let (first, now) = run(&mut pace, start, Duration::from_secs(1), MS);
    let (second, now) = run(&mut pace, now, Duration::from_secs(1), MS);
    let (_, now) = run(&mut pace, now, Duration::from_secs(37), MS);
    let (last, _) = run(&mut pace, now, Duration::from_secs(1), MS);
    assert!((1..=5).contains(&first), "{first}");
    assert!(second >= first && last > 500, "{first} {second} {last}");
}

#[test]
fn a_node_that_knows_of_no_outage_begins_faster() {
    let start = Instant::now();
    let (fresh, _) = run(&mut Pace::new(start), start, Duration::from_secs(1), MS);
    let (after, _) = run(&mut Pace::at(START, start), start, Duration::from_secs(1), MS);
    assert!(fresh >= 50 && fresh > after * 10, "{fresh} {after}");
}

#[test]
fn what_toggle_asks_for_is_waited_for() {
    let start = Instant::now();
    let mut pace = Pace::new(start);
    pace.throttled(0.0, start);
    pace.hold(Duration::from_secs(20), start);
    assert!(!pace.allows(start + Duration::from_secs(19)));
    assert!(pace.allows(start + Duration::from_secs(20)));
}

#[test]
fn a_throttled_pace_is_halved_once_for_all_that_was_under_way_and_grows_gently() {
    let start = Instant::now();
    let mut pace = Pace::at(START, start);
    let (_, now) = run(&mut pace, start, Duration::from_secs(4), MS);
    let before = pace.rate();
    for _ in 0..4 {
        pace.throttled(0.5, now);
    }
    let after = pace.rate();
    assert!(after <= before * 0.65 && after >= before * 0.2, "{before} {after}");
    assert!(!pace.allows(now));
    let (_, _) = run(&mut pace, now, Duration::from_secs(2), MS);
    assert!(pace.rate() > after && pace.rate() < after * 1.4, "{after} {}", pace.rate());
}

#[test]
fn acknowledgements_that_take_ever_longer_slow_it_down() {
    let start = Instant::now();
    let mut pace = Pace::at(START, start);
    let (_, now) = run(&mut pace, start, Duration::from_secs(4), MS);
    let before = pace.rate();
    run(&mut pace, now, Duration::from_secs(1), 200 * MS);
    assert!(pace.rate() < before, "{before} {}", pace.rate());
}

#[test]
fn a_hiccup_changes_nothing_and_an_outage_begins_anew_after_a_pause() {
    let start = Instant::now();
    let mut pace = Pace::at(START, start);
    let (_, now) = run(&mut pace, start, Duration::from_secs(3), MS);
    let before = pace.rate();
    pace.back(Duration::from_secs(1), 0.0, 1.0, now);
    assert!((pace.rate() - before).abs() < f64::EPSILON);
    pace.back(Duration::from_secs(60), START, 0.5, now);
    assert!((pace.rate() - START).abs() < f64::EPSILON);
    assert!(!pace.allows(now + Duration::from_millis(14_900)));
    assert!(pace.allows(now + Duration::from_millis(15_100)));
    pace.back(Duration::from_secs(86_400), 0.0, 1.0, now);
    assert_eq!(pace.next_at(now), now + SPREAD_MOST);
    pace.back(Duration::from_secs(60), 10.0, 1.0, now);
    assert!((pace.rate() - 5.0).abs() < f64::EPSILON, "half of what comes in live");
}

#[test]
fn what_was_allowed_and_not_used_is_not_saved_up() {
    let start = Instant::now();
    let mut pace = Pace::at(START, start);
    let hour = start + Duration::from_secs(3600);
    assert!(pace.allows(hour));
    pace.sent(hour);
    assert!(!pace.allows(hour));
    assert!(pace.next_at(hour) > hour);
}

/// Two hundred nodes.
mod stampede;
