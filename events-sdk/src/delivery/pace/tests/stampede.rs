//! Nodes that lost Toggle together and find it again together, in simulated time.
//!
//! Each has the [`Pace`], the [`Link`] and the [`Backoff`] of the delivery task and decides as that does: probes while
//! Toggle is away, live batches and pieces of the backlog at their pace and in their places once it is back.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::*;
use crate::{
    SendError, SendErrorKind,
    backoff::Backoff,
    delivery::link::{Change, Link},
};

/// Pieces are all alike.
const FULL: Size = Size { bytes: 40_000, events: 125 };
const NODES: usize = 200;
/// Batches that wait at each node.
const BACKLOG: u32 = 250;
/// What an answer takes.
const LATENCY: Duration = Duration::from_millis(20);
/// As configured by default.
const MAX_IN_FLIGHT: usize = 4;
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

struct Node {
    link: Link,
    pace: Pace,
    chance: Backoff,
    /// Batches that are neither in flight nor with Toggle.
    left: u32,
    /// Batches that an earlier process left.
    found: u64,
    in_flight: usize,
    /// Live batches a second, as long as there is a backlog, and when the next one is due.
    live: f64,
    live_at: Instant,
    /// Until when it sleeps, unless an answer comes.
    wake_at: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Wake,
    Answer { taken: bool, away: bool, what: What, sent_at: Instant },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Probe,
    Live,
    Piece,
}

/// A Toggle that is away at first, and then takes so many batches a second.
struct Toggle {
    back_at: Instant,
    capacity: f64,
    /// A bucket, a tenth of a second deep.
    tokens: f64,
    counted: Instant,
    arrivals: Vec<Instant>,
    rejected: u32,
    /// What comes too fast waits its turn instead, and this is when the last of it has had its.
    queue: Option<Instant>,
    longest: Duration,
}

struct World {
    toggle: Toggle,
    due: BinaryHeap<Reverse<(Instant, usize, Event)>>,
}

impl World {
    fn send(&mut self, node: usize, what: What, now: Instant) {
        let toggle = &mut self.toggle;
        let away = now < toggle.back_at;
        let (mut taken, mut answered) = (false, now + LATENCY);
        if let Some(free_at) = toggle.queue.filter(|_| !away) {
            taken = true;
            let done = free_at.max(now) + Duration::from_secs_f64(1.0 / toggle.capacity);
            toggle.queue = Some(done);
            answered = done + LATENCY;
            toggle.longest = toggle.longest.max(answered - now);
        } else if !away {
            toggle.arrivals.push(now);
            let earned = (now - toggle.counted).as_secs_f64() * toggle.capacity;
            toggle.tokens = (toggle.tokens + earned).min(toggle.capacity / 10.0);
            toggle.counted = now;
            taken = toggle.tokens >= 1.0;
            if taken {
                toggle.tokens -= 1.0;
            } else {
                toggle.rejected += 1;
            }
        }
        let answer = Event::Answer { taken, away, what, sent_at: now };
        self.due.push(Reverse((answered, node, answer)));
    }
}

impl Node {
    fn new(seed: u64, live: f64, backlog: u32) -> Self {
        let mut chance = Backoff::seeded(RETRY.0, RETRY.1, !seed);
        Self {
            link: Link::new(Backoff::seeded(RETRY.0, RETRY.1, seed)),
            pace: Pace::new(Instant::now()),
            left: backlog,
            found: u64::from(backlog),
            in_flight: 0,
            live,
            live_at: Instant::now() + Duration::from_secs_f64(chance.chance() / live.max(0.01)),
            chance,
            wake_at: None,
        }
    }

    fn sleep_until(&mut self, index: usize, at: Instant, world: &mut World) {
        self.wake_at = Some(at);
        world.due.push(Reverse((at, index, Event::Wake)));
    }

    /// As `Delivery::send`, and `Delivery::prepare_to_wait`.
    fn act(&mut self, index: usize, now: Instant, world: &mut World) {
        if let Some(at) = self.link.held_until(now) {
            return self.sleep_until(index, at, world);
        }
        if let Some(retry_at) = self.link.retry_at() {
            if self.in_flight == 0 && self.left > 0 {
                if now < retry_at {
                    return self.sleep_until(index, retry_at, world);
                }
                self.launch(index, What::Probe, now, world);
            }
            return;
        }
        let comes_live = self.live > 0.0 && self.left > 0;
        if comes_live && now >= self.live_at && self.in_flight < MAX_IN_FLIGHT {
            self.live_at = now + Duration::from_secs_f64(1.0 / self.live);
            self.left += 1;
            self.launch(index, What::Live, now, world);
        }
        while self.left > 0 && self.in_flight < self.pace.places(MAX_IN_FLIGHT) {
            if self.pace.is_starting(now) {
                self.pace.found(self.found, self.chance.chance(), now);
            }
            if !self.pace.allows(now) {
                let next_at = self.pace.next_at(now);
                let at = if comes_live { next_at.min(self.live_at) } else { next_at };
                return self.sleep_until(index, at, world);
            }
            self.pace.sent(now);
            self.launch(index, What::Piece, now, world);
        }
        if comes_live && self.in_flight < MAX_IN_FLIGHT {
            self.sleep_until(index, self.live_at, world);
        }
    }

    fn launch(&mut self, index: usize, what: What, now: Instant, world: &mut World) {
        self.left -= 1;
        self.in_flight += 1;
        world.send(index, what, now);
    }

    /// As `Delivery::delivered` and `Delivery::not_delivered`.
    fn hear(&mut self, taken: bool, away: bool, what: What, took: Duration, now: Instant) {
        self.in_flight -= 1;
        if taken {
            let piece = (what != What::Live).then_some(FULL);
            self.pace.acknowledged(took, piece, now);
            if let Change::Back(after) = self.link.delivered(now) {
                self.pace.back(after, self.live, self.chance.chance(), now);
            }
            return;
        }
        self.left += 1;
        if away {
            let error = SendError::new(SendErrorKind::Unavailable, "away");
            self.link.failed(&error, what == What::Probe, now);
            return;
        }
        self.pace.throttled(self.chance.chance(), now);
        if what != What::Piece {
            self.link.busy(&SendError::new(SendErrorKind::Busy, "less"), what == What::Probe, now);
        }
    }
}

/// What came of it.
#[derive(Debug)]
struct Outcome {
    /// Attempts in the busiest second, wherever that begins.
    peak: usize,
    rejected: u32,
    seconds: u64,
    /// What an answer took.
    longest: Duration,
}

/// What the nodes meet.
#[derive(Debug, Clone, Copy)]
struct Case {
    capacity: f64,
    live: f64,
    outage: Duration,
    backlog: u32,
    queues: bool,
}

fn stampede(case: Case, seed: u64) -> Outcome {
    let Case { capacity, live, outage, backlog, queues } = case;
    let node = |node| Node::new(seed << 32 | node, live, backlog);
    let mut nodes: Vec<_> = (0..NODES as u64).map(node).collect();
    // After all of them, or what they did at first would depend on how long it took to make them.
    let start = Instant::now();
    let back_at = start + outage;
    let toggle = Toggle {
        back_at,
        capacity,
        tokens: capacity / 10.0,
        counted: back_at,
        arrivals: Vec::new(),
        rejected: 0,
        queue: queues.then_some(back_at),
        longest: Duration::ZERO,
    };
    let mut world = World { toggle, due: BinaryHeap::new() };
    // All lose Toggle in the same instant.
    for (index, node) in nodes.iter_mut().enumerate() {
        node.sleep_until(index, start, &mut world);
    }
    let mut now = start;
    while let Some(Reverse((at, index, event))) = world.due.pop() {
        now = at;
        assert!(now < start + Duration::from_secs(24 * 3600), "it never ends");
        let node = &mut nodes[index];
        match event {
            Event::Answer { taken, away, what, sent_at } => {
                node.hear(taken, away, what, now - sent_at, now);
            }
            // An answer came before, and it sleeps anew.
            Event::Wake if node.wake_at != Some(at) => continue,
            Event::Wake => {}
        }
        node.wake_at = None;
        node.act(index, now, &mut world);
    }
    assert!(nodes.iter().all(|node| node.left == 0 && node.in_flight == 0), "something is left");
    let Toggle { arrivals, rejected, longest, .. } = world.toggle;
    let peak = busiest(&arrivals, Duration::from_secs(1));
    Outcome { peak, rejected, seconds: (now - back_at).as_secs(), longest }
}

/// The most moments that lie within so long of each other; they are in order.
fn busiest(moments: &[Instant], within: Duration) -> usize {
    let (mut most, mut first) = (0, 0);
    for (index, &moment) in moments.iter().enumerate() {
        while moments.get(first).is_some_and(|&at| moment - at >= within) {
            first += 1;
        }
        most = most.max(index + 1 - first);
    }
    most
}

/// Seeds for each Toggle, unless the environment says otherwise.
const SEEDS: u64 = 2;

/// Says how many.
const VARIABLE: &str = "STAMPEDE_SEEDS";

/// Runs each case with some seeds, prints what came of it, and holds it to what is promised.
fn hold_to_the_promise(cases: impl IntoIterator<Item = Case>) {
    let seeds = std::env::var(VARIABLE).ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(SEEDS);
    println!(
        "outage s  backlog   live/s  capacity/s   peak:capacity   rejected  longest  drained in s  at best s"
    );
    println!("                                         median  worst     worst  worst s         worst");
    for case in cases {
        let Case { capacity, live, outage, backlog, .. } = case;
        let mut outcomes: Vec<Outcome> = (1..=seeds).map(|seed| stampede(case, seed)).collect();
        outcomes.sort_by_key(|outcome| outcome.peak);
        let ratio = |outcome: &Outcome| outcome.peak as f64 / capacity;
        let (median, worst) = (&outcomes[outcomes.len() / 2], outcomes.last().unwrap());
        let rejected = outcomes.iter().map(|outcome| outcome.rejected).max().unwrap();
        let seconds = outcomes.iter().map(|outcome| outcome.seconds).max().unwrap();
        let longest = outcomes.iter().map(|outcome| outcome.longest).max().unwrap().as_secs_f64();
        let live = live * NODES as f64;
        let best = f64::from(backlog) * NODES as f64 / (capacity - live);
        println!(
            "{:>8}  {backlog:>7}  {live:>7}  {capacity:>10}  {:>7.2} {:>6.2} {rejected:>9}  {longest:>7.2} {seconds:>13}  {best:>9.0}",
            outage.as_secs(),
            ratio(median),
            ratio(worst)
        );
        // So much is promised.
        assert!(ratio(worst) <= 1.5, "{worst:?}");
        // A Toggle that queues has all places of all nodes in its queue when nobody holds back.
        let all_places = (NODES * MAX_IN_FLIGHT) as f64 / capacity;
        assert!(longest <= all_places / 2.0 + LATENCY.as_secs_f64(), "{worst:?}");
        // Toggle is not left idle for the most part.
        assert!(seconds as f64 <= best * 3.0 + 60.0, "{seconds} s");
    }
}

/// Without live events, and a Toggle that takes somewhat or far more than those that come live.
const TOGGLES: [(f64, f64); 6] =
    [(0.0, 100.0), (0.0, 300.0), (0.0, 1000.0), (0.0, 5000.0), (2.0, 500.0), (2.0, 2_000.0)];

#[test]
fn two_hundred_nodes_that_come_back_at_once_do_not_run_toggle_over() {
    let outages = [60, 3_600].map(Duration::from_secs);
    hold_to_the_promise(outages.into_iter().flat_map(|outage| {
        TOGGLES.map(|(live, capacity)| Case { capacity, live, outage, backlog: BACKLOG, queues: false })
    }));
}

#[test]
fn nor_do_those_that_start_at_once_or_meet_a_hiccup() {
    let backlogs = [4, 24, BACKLOG];
    // A start alone is no reason to spare a Toggle that takes half a batch a second from each.
    let toggles = [(0.0, 300.0), (0.0, 1000.0), (0.0, 5000.0), (1.0, 300.0), (1.0, 1000.0)];
    hold_to_the_promise([0, 4].map(Duration::from_secs).into_iter().flat_map(|outage| {
        backlogs.into_iter().flat_map(move |backlog| {
            toggles.map(|(live, capacity)| Case { capacity, live, outage, backlog, queues: false })
        })
    }));
}

#[test]
fn a_toggle_that_answers_late_instead_of_asking_for_less_is_not_run_over_either() {
    // One that takes hardly more than it must is late for good, and that is got used to.
    let toggles = [(0.0, 300.0), (0.0, 1000.0), (0.0, 5000.0), (2.0, 2_000.0)];
    let outage = Duration::from_secs(60);
    hold_to_the_promise(toggles.map(|(live, capacity)| Case {
        capacity,
        live,
        outage,
        backlog: BACKLOG,
        queues: true,
    }));
}
