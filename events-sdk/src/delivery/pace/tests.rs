use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

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
    let (_, now) = run(&mut pace, now, Duration::from_secs(8), MS);
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
    pace.back(Duration::from_secs(1), 1.0, now);
    assert!((pace.rate() - before).abs() < f64::EPSILON);
    pace.back(Duration::from_secs(60), 0.5, now);
    assert!((pace.rate() - START).abs() < f64::EPSILON);
    assert!(!pace.allows(now + Duration::from_millis(14_900)));
    assert!(pace.allows(now + Duration::from_millis(15_100)));
    pace.back(Duration::from_secs(86_400), 1.0, now);
    assert_eq!(pace.next_at(now), now + SPREAD_MOST);
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

/// A deterministic stream of numbers between 0 and 1 (splitmix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// What came of two hundred nodes that come back at once.
#[derive(Debug)]
struct Stampede {
    /// Attempts in the busiest second.
    peak: u32,
    rejected: u32,
    seconds: u64,
}

/// Nodes with a backlog each, against a Toggle that takes `capacity` batches a second and answers RESOURCE_EXHAUSTED
/// to the rest.
fn stampede(nodes: usize, backlog: u32, capacity: f64, outage: Duration, seed: u64) -> Stampede {
    let start = Instant::now();
    let mut chance = Chance(seed);
    let mut all: Vec<(Pace, u32)> = (0..nodes).map(|_| (Pace::at(START, start), backlog)).collect();
    let mut due = BinaryHeap::new();
    for (node, (pace, _)) in all.iter_mut().enumerate() {
        pace.back(outage, chance.next(), start);
        due.push(Reverse((pace.next_at(start), node)));
    }
    // Toggle's token bucket, a tenth of a second deep.
    let (mut tokens, mut counted) = (capacity / 10.0, start);
    let mut arrivals = BTreeMap::<u64, u32>::new();
    let mut rejected = 0;
    let mut now = start;
    while let Some(Reverse((at, node))) = due.pop() {
        now = at;
        assert!(now < start + Duration::from_secs(24 * 3600), "it never ends");
        let (pace, left) = &mut all[node];
        if pace.allows(now) {
            pace.sent(now);
            *arrivals.entry((now - start).as_secs()).or_default() += 1;
            tokens = (tokens + (now - counted).as_secs_f64() * capacity).min(capacity / 10.0);
            counted = now;
            if tokens >= 1.0 {
                tokens -= 1.0;
                *left -= 1;
                pace.acknowledged(20 * MS, now);
            } else {
                rejected += 1;
                pace.throttled(chance.next(), now);
            }
        }
        if *left > 0 {
            due.push(Reverse((pace.next_at(now).max(now + Duration::from_micros(1)), node)));
        }
    }
    let peak = arrivals.values().copied().max().unwrap_or_default();
    Stampede { peak, rejected, seconds: (now - start).as_secs() }
}

#[test]
fn two_hundred_nodes_that_come_back_at_once_do_not_run_toggle_over() {
    // A longer outage changes nothing: its pause is as long as that of a minute.
    let (nodes, backlog, outage) = (200, 250, Duration::from_secs(60));
    println!("capacity/s  seed  peak/s  peak:capacity  rejected  drained in s  at best s");
    for capacity in [100.0, 1_000.0, 5_000.0] {
        for seed in 1..=3 {
            let outcome = stampede(nodes, backlog, capacity, outage, seed);
            let ratio = f64::from(outcome.peak) / capacity;
            let best = f64::from(backlog) * nodes as f64 / capacity;
            println!(
                "{capacity:>10}  {seed:>4}  {:>6}  {ratio:>13.2}  {:>8}  {:>12}  {best:>9.0}",
                outcome.peak, outcome.rejected, outcome.seconds
            );
            assert!(ratio <= 1.5, "{outcome:?}");
            // All of it is drained, and Toggle is not left idle for the most part.
            assert!(outcome.seconds as f64 <= best * 3.0 + 60.0, "{outcome:?}");
        }
    }
}
