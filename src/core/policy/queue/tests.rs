//! The queue by examples, and in a simulation: open arrivals at a multiple of what the slots behind it can do.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use proptest::prelude::*;

use super::*;

const WAIT: Duration = Duration::from_millis(100);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn next(queue: &mut Queue<u32>) -> Option<u32> {
    let (ticket, _) = queue.next()?;
    queue.leave(ticket)
}

#[test]
fn the_highest_class_is_next_and_of_a_class_the_oldest() {
    let mut queue = Queue::default();
    for (class, who) in [(Class::Low, 1), (Class::Normal, 2), (Class::High, 3), (Class::Normal, 4)]
    {
        queue.push(class, who, ms(0));
    }
    assert_eq!(queue.best(), Some(Class::High));
    let order: Vec<_> = std::iter::from_fn(|| next(&mut queue)).collect();
    assert_eq!(order, [3, 2, 4, 1]);
}

#[test]
fn a_standing_queue_lets_the_newest_in_and_waits_for_a_fourth() {
    let mut queue = Queue::default();
    for (who, at) in [(1, 0), (2, 60), (3, 90), (4, 99)] {
        queue.push(Class::Normal, who, ms(at));
    }
    assert_eq!(queue.late(WAIT, ms(99)), None);
    assert_eq!(queue.late(WAIT, ms(100)).map(|late| late.1), Some(1));
    assert_eq!(queue.late(WAIT, ms(100)).map(|late| late.1), Some(2), "25 ms are enough now");
    assert_eq!(queue.late(WAIT, ms(100)), None);
    assert_eq!(next(&mut queue), Some(4));
    assert_eq!(next(&mut queue), Some(3));
    queue.push(Class::Normal, 5, ms(100));
    assert_eq!(queue.late(WAIT, ms(199)), None, "it was empty a moment ago");
}

#[test]
fn a_full_queue_makes_room_for_those_above() {
    let mut queue = Queue::default();
    queue.push(Class::Normal, 1, ms(0));
    queue.push(Class::Low, 2, ms(1));
    queue.push(Class::Low, 3, ms(2));
    assert_eq!(queue.displace(Class::Low), None, "who was there first stays");
    assert_eq!(queue.displace(Class::Normal), Some((Class::Low, 2)));
    assert_eq!(queue.displace(Class::High), Some((Class::Low, 3)));
    assert_eq!(queue.displace(Class::Normal), None);
    assert_eq!(queue.late(WAIT, ms(99)), None);
    assert_eq!(queue.displace(Class::Normal), None);
    queue.push(Class::Normal, 4, ms(90));
    assert_eq!(queue.late(WAIT, ms(100)), Some((Class::Normal, 1)), "standing by now");
    assert_eq!(queue.displace(Class::Normal), Some((Class::Normal, 4)));
    assert_eq!(queue.displace(Class::High), None, "nobody is there");
}

#[test]
fn whoever_left_is_gone() {
    let mut queue = Queue::default();
    let [first, second] = [1, 2].map(|who| queue.push(Class::Low, who, ms(0)));
    assert_eq!((queue.leave(first), queue.leave(first)), (Some(1), None));
    assert_eq!((queue.len(), queue.leave(second), queue.is_empty()), (1, Some(2), true));
}

/// What came of four simulated seconds: goodput as a part of capacity, and the 99th percentile of those who were let in, waiting and
/// service together.
struct Outcome {
    goodput: f64,
    p99: Duration,
    refused: [u32; 3],
    served: [u32; 3],
}

const SLOTS: usize = 16;
const SERVICE: Duration = Duration::from_millis(10);
const TIME: Duration = Duration::from_secs(4);

/// Arrivals by a Poisson process (splitmix64) at `load` times the capacity; `class` of each by its number.
fn simulate(seed: u64, load: f64, places: usize, class: fn(u64) -> Class) -> Outcome {
    let mut state = seed;
    let mut random = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    };
    let rate = load * SLOTS as f64 / SERVICE.as_secs_f64();
    let (mut queue, mut busy) = (Queue::default(), BinaryHeap::<Reverse<Duration>>::new());
    let mut times = Vec::new();
    let (mut refused, mut served) = ([0; 3], [0; 3]);
    let (mut arrival, mut number) = (Duration::ZERO, 0);
    while arrival < TIME {
        let ends = busy.peek().map(|end| end.0).filter(|end| *end <= arrival);
        let now = ends.unwrap_or(arrival);
        // Whoever is late is refused before anybody is let in, as a worker does it.
        while let Some((class, _)) = queue.late(WAIT, now) {
            refused[class as usize] += 1;
        }
        if ends.is_some() {
            busy.pop();
        } else {
            let class = class(number);
            number += 1;
            let uniform = (random() >> 11) as f64 / (1_u64 << 53) as f64;
            arrival += Duration::from_secs_f64(-(1.0 - uniform).ln() / rate);
            let mut room = queue.len() < places;
            if !room && let Some((class, _)) = queue.displace(class) {
                refused[class as usize] += 1;
                room = true;
            }
            match room {
                true => drop(queue.push(class, (class, now), now)),
                false => refused[class as usize] += 1,
            }
        }
        while busy.len() < SLOTS
            && let Some((ticket, _)) = queue.next()
            && let Some((class, since)) = queue.leave(ticket)
        {
            busy.push(Reverse(now + SERVICE));
            times.push(now + SERVICE - since);
            served[class as usize] += 1;
        }
    }
    times.sort_unstable();
    let capacity = SLOTS as f64 * TIME.as_secs_f64() / SERVICE.as_secs_f64();
    let p99 = times[times.len() * 99 / 100];
    Outcome { goodput: times.len() as f64 / capacity, p99, refused, served }
}

#[test]
fn at_twice_the_capacity_the_slots_stay_busy_and_nobody_waits_long() {
    for seed in 0..8 {
        for (places, load) in [(100, 2.0), (1_000, 2.0), (16, 2.0), (100, 1.2), (1_000, 8.0)] {
            let Outcome { goodput, p99, .. } = simulate(seed, load, places, |_| Class::Normal);
            assert!(goodput > 0.95, "seed {seed}, {places} places, load {load}: {goodput}");
            assert!(p99 < WAIT, "seed {seed}, {places} places, load {load}: {p99:?}");
        }
    }
}

#[test]
fn below_the_capacity_hardly_anybody_is_refused() {
    for seed in 0..4 {
        let Outcome { refused, served, p99, .. } = simulate(seed, 0.8, 100, |_| Class::Normal);
        // Chance alone may keep the queue from being empty for 100 ms.
        assert!(refused[1] * 1_000 < served[1], "seed {seed}: {refused:?} of {served:?}");
        assert!(p99 < SERVICE * 3, "seed {seed}: {p99:?}");
    }
}

#[test]
fn whoever_is_above_gets_what_there_is() {
    // A quarter high, half normal, a quarter low, at twice the capacity: high is half of it, normal the other half and as much again.
    let class =
        |number| [Class::High, Class::Normal, Class::Normal, Class::Low][number as usize % 4];
    for seed in 0..4 {
        let Outcome { refused, served, .. } = simulate(seed, 2.0, 100, class);
        let part = |class: Class| {
            let at = class as usize;
            f64::from(served[at]) / f64::from(served[at] + refused[at])
        };
        assert!(part(Class::High) > 0.999, "seed {seed}: {served:?} {refused:?}");
        assert!((0.4..0.6).contains(&part(Class::Normal)), "seed {seed}: {served:?} {refused:?}");
        assert!(part(Class::Low) < 0.01, "seed {seed}: {served:?} {refused:?}");
    }
}

proptest! {
    /// Whatever happens: who came is in, refused, or waits; none is let in late or out of the order of classes.
    #[test]
    fn nobody_is_lost(steps in prop::collection::vec((0..5_u8, 0..3_usize, 0..60_u64), 0..200)) {
        let mut queue = Queue::default();
        let mut tickets = Vec::new();
        let (mut now, mut came, mut gone) = (Duration::ZERO, 0_usize, 0_usize);
        for (step, class, later) in steps {
            now += ms(later);
            let class = Class::ALL[class];
            match step {
                0 | 1 => {
                    tickets.push(queue.push(class, (class, now), now));
                    came += 1;
                }
                2 => while let Some((_, (_, since))) = queue.late(WAIT, now) {
                    prop_assert!(now - since >= WAIT / limits::BULKHEAD_STANDING_SHARE);
                    gone += 1;
                },
                3 => {
                    while queue.late(WAIT, now).is_some() {
                        gone += 1;
                    }
                    if let Some((ticket, _)) = queue.next() {
                        let best = queue.best();
                        let (class, since) = queue.leave(ticket).unwrap();
                        prop_assert_eq!(Some(class), best);
                        prop_assert!(now - since < WAIT);
                        gone += 1;
                    }
                }
                _ => match queue.displace(class) {
                    Some((lowest, _)) => {
                        prop_assert!(lowest >= class);
                        gone += 1;
                    }
                    None => prop_assert!(queue.is_empty() || queue.classes[2].is_empty() || class == Class::Low),
                },
            }
            prop_assert_eq!(queue.len(), came - gone);
        }
        gone += tickets.into_iter().filter(|ticket| queue.leave(*ticket).is_some()).count();
        prop_assert!(queue.is_empty() && came == gone && queue.busy.is_none());
    }
}
