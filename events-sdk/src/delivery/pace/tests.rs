use super::*;

const MS: Duration = Duration::from_millis(1);
const FULL: Option<Size> = Some(Size { bytes: 40_000, events: 125 });

/// Sends for so long to a Toggle that takes everything after `took`; gives how many batches went out.
fn run(pace: &mut Pace, from: Instant, lasts: Duration, took: Duration) -> (u32, Instant) {
    let (mut now, mut sent) = (from, 0);
    while now < from + lasts {
        if pace.allows(now) {
            pace.sent(now);
            pace.acknowledged(took, FULL, now);
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
    run(&mut pace, now, Duration::from_secs(5), 200 * MS);
    assert!(pace.rate() < before, "{before} {}", pace.rate());
}

#[test]
fn a_hiccup_costs_a_pause_and_what_was_not_used_and_an_outage_begins_anew_after_a_longer_one() {
    let start = Instant::now();
    let mut pace = Pace::at(START, start);
    let (_, now) = run(&mut pace, start, Duration::from_secs(30), MS);
    let (before, used) = (pace.rate(), pace.sent_rate);
    assert!(used > 10.0 * TOGETHER, "{used}");
    pace.back(Duration::from_secs(4), 0.0, 0.5, now);
    assert!(pace.rate() <= before && pace.rate() >= before * 0.8, "{before} {}", pace.rate());
    assert!(!pace.allows(now + 999 * MS) && pace.allows(now + 1001 * MS));
    let now = now + Duration::from_secs(60);
    pace.back(Duration::from_secs(4), 0.0, 0.0, now);
    assert!((pace.rate() - TOGETHER).abs() < f64::EPSILON, "nothing was used for long: {}", pace.rate());
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

#[test]
fn what_is_found_at_the_start_waits_for_a_pause_that_grows_with_it_and_begins_slowly() {
    let start = Instant::now();
    let mut pace = Pace::new(start);
    pace.found(0, 1.0, start);
    assert!(pace.allows(start) && (pace.rate() - FRESH).abs() < f64::EPSILON, "nothing was found");
    pace.found(1, 0.5, start);
    assert!((pace.rate() - TOGETHER).abs() < f64::EPSILON);
    assert_eq!(pace.next_at(start), start + SPREAD_BATCH / 2);
    // More is found, and one chance counts.
    pace.found(10, 1.0, start + MS);
    assert_eq!(pace.next_at(start), start + SPREAD_BATCH * 5);
    pace.found(u64::MAX, 1.0, start + MS);
    assert_eq!(pace.next_at(start), start + SPREAD_START / 2);
    assert!(pace.is_starting(start + SPREAD_START - MS) && !pace.is_starting(start + SPREAD_START));
    // An outage has a pause of its own.
    pace.back(OUTAGE, 0.0, 0.0, start + MS);
    pace.found(u64::MAX, 1.0, start + 2 * MS);
    assert_eq!(pace.next_at(start + 2 * MS), start + 2 * MS);
    assert!((pace.rate() - START).abs() < f64::EPSILON);
}

/// The pieces that go out in each of so many spells over a line that carries one at a time, beside a live batch a second.
fn over_a_line<const SPELLS: usize>(spell: Duration, took: impl Fn(Duration) -> Duration) -> [u32; SPELLS] {
    let start = Instant::now();
    let mut pace = Pace::at(START, start);
    let (mut sent, mut under_way, mut at, mut live_at) = ([0; SPELLS], None, Duration::ZERO, Duration::ZERO);
    while at < spell * SPELLS as u32 {
        let now = start + at;
        if at >= live_at {
            pace.acknowledged(took(at) / 16, None, now);
            live_at += Duration::from_secs(1);
        }
        if let Some((_, took)) = under_way.take_if(|&mut (answered_at, _)| at >= answered_at) {
            pace.acknowledged(took, FULL, now);
        }
        if under_way.is_none() && pace.allows(now) {
            pace.sent(now);
            sent[at.div_duration_f64(spell) as usize] += 1;
            under_way = Some((at + took(at), took(at)));
        }
        at += 10 * MS;
    }
    sent
}

#[test]
fn small_live_batches_do_not_make_pieces_look_late() {
    let [_, sent] = over_a_line(Duration::from_secs(60), |_| 320 * MS);
    // Of the 187 that the line carries.
    assert!(sent > 180, "{sent}");
}

#[test]
fn a_line_that_has_become_longer_for_good_is_soon_the_usual() {
    let minute = Duration::from_secs(60);
    let sent = over_a_line::<6>(minute, |at| if at < minute { 10 * MS } else { 120 * MS });
    // It is slowed down, and goes on as fast as the line carries: 500 in a minute.
    assert!(sent[1] < 450 && sent[4] > 450 && sent[5] > 450, "{sent:?}");
}

#[test]
fn a_slow_toggle_gets_more_than_one_that_turns_batches_away() {
    let start = Instant::now();
    let mut pace = Pace::at(4.0, start);
    for seconds in 0..20 {
        pace.halve(START, start + Duration::from_secs(seconds));
    }
    assert!((pace.rate() - START).abs() < f64::EPSILON);
    for seconds in 20..40 {
        pace.throttled(0.0, start + Duration::from_secs(seconds));
    }
    pace.halve(START, start + Duration::from_secs(60));
    assert!((pace.rate() - LEAST).abs() < f64::EPSILON, "{}", pace.rate());
}

#[test]
fn one_place_is_taken_by_turns() {
    let start = Instant::now();
    let mut pace = Pace::new(start);
    let mut sent = String::new();
    for nth in 0..9 {
        if pace.is_pieces_turn() {
            pace.sent(start + MS * nth);
            sent.push('p');
        } else {
            pace.sent_live();
            sent.push('l');
        }
    }
    assert_eq!(sent, "lllplllpl");
}

/// Two hundred nodes.
mod stampede;
