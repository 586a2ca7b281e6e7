//! Rates: examples, properties against slow references, and threads whose clocks lag.

use std::num::NonZeroU64;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proptest::prelude::*;

use crate::base::cells::{Decision, Rate, Terms};

fn terms(period: u64, burst: u64) -> Terms {
    Terms::new(NonZeroU64::new(period).unwrap(), burst)
}

/// A spend that was admitted: the clock's reading, and how many tokens.
type Spent = (u64, u64);

/// In every span between two readings, at most what the terms allow. As slow as the definition.
fn keeps(terms: Terms, spent: &[Spent]) -> Result<(), String> {
    let period = u128::from(terms.period().get());
    for &(from, _) in spent {
        for &(to, _) in spent {
            let inside = spent.iter().filter(|(at, _)| (from..=to).contains(at));
            let sum: u128 = inside.map(|(_, cost)| u128::from(*cost)).sum();
            let allowed = u128::from(to.saturating_sub(from)) + u128::from(terms.burst()) * period;
            if sum * period > allowed {
                return Err(format!("{sum} tokens from {from} to {to} under {terms:?}: {spent:?}"));
            }
        }
    }
    Ok(())
}

#[test]
fn a_burst_and_then_one_a_period() {
    let word = AtomicU64::new(0);
    let (rate, terms) = (Rate::new(&word), terms(100, 3));
    for remaining in [2, 1, 0] {
        assert_eq!(rate.spend(1_000, 1, terms), Decision::Admitted { remaining });
    }
    let wait = Some(Duration::from_nanos(100));
    assert_eq!(rate.spend(1_000, 1, terms), Decision::Refused { wait, remaining: 0 });
    let wait = Some(Duration::from_nanos(1));
    assert_eq!(rate.spend(1_099, 1, terms), Decision::Refused { wait, remaining: 0 });
    assert!(rate.spend(1_100, 1, terms).is_admitted());
    // The bucket is full after three periods and no fuller after a thousand.
    for _ in 0..3 {
        assert!(rate.spend(101_100, 1, terms).is_admitted());
    }
    assert!(!rate.spend(101_100, 1, terms).is_admitted());
}

#[test]
fn burst_1_and_10_a_minute_are_exact() {
    let word = AtomicU64::new(0);
    let rate = Rate::new(&word);
    let terms = Terms::per(NonZeroU64::new(10).unwrap(), Duration::from_secs(60), 1);
    let milli = 1_000_000;
    let admitted = (0..600_000).filter(|at| rate.spend(at * milli, 1, terms).is_admitted()).count();
    assert_eq!(admitted, 100, "ten minutes");
}

#[test]
fn periods_are_rounded_up_so_that_a_rate_is_not_exceeded() {
    for (count, seconds, period) in
        [(3, 1, 333_333_334), (1_000, 1, 1_000_000), (7, 60, 8_571_428_572), (u64::MAX, 1, 1)]
    {
        let window = Duration::from_secs(seconds);
        let terms = Terms::per(NonZeroU64::new(count).unwrap(), window, 1);
        assert_eq!(terms.period().get(), period);
    }
    assert_eq!(Terms::per(NonZeroU64::MIN, Duration::MAX, 1).period().get(), u64::MAX);
    assert_eq!(Terms::per(NonZeroU64::MIN, Duration::ZERO, 1).period().get(), 1);
}

#[test]
fn a_refusal_and_a_check_write_nothing() {
    let word = AtomicU64::new(0);
    let (rate, terms) = (Rate::new(&word), terms(100, 2));
    assert_eq!(rate.check(5, 2, terms), Decision::Admitted { remaining: 0 });
    assert_eq!(rate.full_at(), 0);
    assert_eq!(rate.spend(5, 3, terms), Decision::Refused { wait: None, remaining: 2 });
    assert_eq!(rate.full_at(), 0);
    assert!(rate.spend(5, 2, terms).is_admitted());
    assert_eq!(rate.full_at(), 205);
    assert!(!rate.spend(6, 1, terms).is_admitted());
    assert_eq!(rate.full_at(), 205);
}

#[test]
fn a_burst_of_0_admits_nothing() {
    let word = AtomicU64::new(0);
    let refused = Decision::Refused { wait: None, remaining: 0 };
    assert_eq!(Rate::new(&word).spend(u64::MAX / 2, 1, terms(1, 0)), refused);
}

#[test]
fn terms_change_without_a_reset() {
    let word = AtomicU64::new(0);
    let rate = Rate::new(&word);
    let (slow, fast) = (terms(1_000, 10), terms(10, 5));
    assert!(rate.spend(0, 10, slow).is_admitted());
    assert!(!rate.spend(0, 1, fast).is_admitted(), "never more at once than either allows");
    // The debt of the slow terms is 10,000 ns long; settled, the bucket is as empty as the fast ones know it.
    assert!(!rate.check(1_000, 1, fast).is_admitted());
    assert!(rate.settle(1_000, fast));
    assert!(!rate.check(1_000, 1, fast).is_admitted());
    assert!(rate.check(1_010, 1, fast).is_admitted());
    assert!(!rate.settle(1_010, fast), "nothing is left to forgive");
    assert!(!rate.settle(1_010, slow));
}

#[test]
fn threads_with_lagging_clocks_stay_within_the_bound() {
    let (clock, word) = (AtomicU64::new(1_000_000), AtomicU64::new(0));
    let terms = terms(50, 20);
    let spent = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for lag in [0, 1, 700, 3_000] {
            let (clock, word, spent) = (&clock, &word, &spent);
            scope.spawn(move || {
                let mut own = Vec::new();
                for _ in 0..2_000 {
                    let now = clock.fetch_add(3, Ordering::Relaxed) - lag;
                    if Rate::new(word).spend(now, 1, terms).is_admitted() {
                        own.push((now, 1));
                    }
                }
                spent.lock().unwrap().extend(own);
            });
        }
    });
    let spent = spent.into_inner().unwrap();
    keeps(terms, &spent).unwrap();
    // 24,000 ns passed: the bound is 20 + 480, and somebody asked all the time.
    assert!(spent.len() >= 400, "{} admitted", spent.len());
}

/// What the definition admits, for readings in order: the sum in each span that ends now stays within it.
fn reference(terms: Terms, spent: &[Spent], now: u64, cost: u64) -> bool {
    let period = u128::from(terms.period().get());
    let fits = |from: u64| {
        let sum: u128 = spent.iter().filter(|(at, _)| *at >= from).map(|s| u128::from(s.1)).sum();
        (sum + u128::from(cost)) * period
            <= u128::from(now - from) + u128::from(terms.burst()) * period
    };
    fits(now) && spent.iter().all(|(from, _)| fits(*from))
}

proptest! {
    #[test]
    fn admits_what_the_definition_admits(
        period in 1_u64..40, burst in 0_u64..12,
        calls in prop::collection::vec((0_u64..60, 1_u64..4), 1..60),
    ) {
        let (word, terms) = (AtomicU64::new(0), terms(period, burst));
        let (mut now, mut spent) = (0, Vec::new());
        for (later, cost) in calls {
            now += later;
            let expected = reference(terms, &spent, now, cost);
            prop_assert_eq!(Rate::new(&word).check(now, cost, terms).is_admitted(), expected);
            prop_assert_eq!(Rate::new(&word).spend(now, cost, terms).is_admitted(), expected);
            if expected {
                spent.push((now, cost));
            }
        }
    }

    /// A spend is one step on the word, so spends in any order of clock readings are all interleavings of any workers.
    #[test]
    fn lag_gives_nobody_more(
        period in 1_u64..40, burst in 0_u64..12,
        calls in prop::collection::vec((0_u64..30, 0_u64..500, 1_u64..4), 1..60),
    ) {
        let (word, terms) = (AtomicU64::new(0), terms(period, burst));
        let (mut clock, mut spent) = (500, Vec::new());
        for (later, lag, cost) in calls {
            clock += later;
            let now = clock - lag;
            if Rate::new(&word).spend(now, cost, terms).is_admitted() {
                spent.push((now, cost));
            }
        }
        prop_assert_eq!(keeps(terms, &spent), Ok(()));
    }

    /// While terms change to and fro, the looser of each bound holds.
    #[test]
    fn changing_terms_stay_within_the_looser_bound(
        both in prop::array::uniform2((1_u64..40, 0_u64..12)),
        calls in prop::collection::vec((0_u64..30, any::<bool>()), 1..60),
    ) {
        let (word, both) = (AtomicU64::new(0), both.map(|(period, burst)| terms(period, burst)));
        let (mut now, mut spent) = (0, Vec::new());
        for (later, second) in calls {
            now += later;
            if Rate::new(&word).spend(now, 1, both[usize::from(second)]).is_admitted() {
                spent.push((now, 1));
            }
        }
        let period = both.iter().map(|t| t.period().get()).min().unwrap();
        let ahead = both.iter().map(|t| t.period().get() * t.burst()).max().unwrap();
        prop_assert_eq!(keeps(terms(period, ahead.div_ceil(period)), &spent), Ok(()));
    }

    /// Whatever the numbers: no overflow, the three inequalities of the proof, and a wait that is right to the ns.
    #[test]
    fn any_numbers(word: u64, now: u64, cost: u64, period in edges(), burst in edges(), small: bool) {
        let terms = terms(period.max(1), burst);
        let cost = if small { cost % 8 } else { cost };
        let cell = AtomicU64::new(word);
        let rate = Rate::new(&cell);
        let decision = rate.check(now, cost, terms);
        prop_assert_eq!(rate.spend(now, cost, terms), decision);
        let (after, period) = (u128::from(rate.full_at()), u128::from(terms.period().get()));
        let debt = u128::from(cost) * period;
        let most = u128::from(now) + u128::from(burst) * period;
        match decision {
            Decision::Admitted { remaining } => {
                prop_assert_eq!(after, u128::from(word.max(now)) + debt);
                prop_assert!(after + u128::from(remaining) * period <= most);
            }
            Decision::Refused { wait, .. } => {
                prop_assert_eq!(rate.full_at(), word);
                let fits = u128::from(word.max(now)) + debt <= most.min(u128::from(u64::MAX));
                prop_assert!(!fits);
                if let Some(wait) = wait {
                    let wait = u64::try_from(wait.as_nanos()).unwrap();
                    prop_assert!(wait > 0);
                    prop_assert!(!rate.check(now + (wait - 1), cost, terms).is_admitted());
                    prop_assert!(rate.check(now + wait, cost, terms).is_admitted());
                }
            }
        }
    }
}

/// Small numbers, the largest ones, and everything between.
fn edges() -> impl Strategy<Value = u64> {
    prop_oneof![0_u64..20, any::<u32>().prop_map(u64::from), any::<u64>(), u64::MAX - 3..=u64::MAX]
}
