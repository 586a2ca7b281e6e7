//! Keys: examples, any play against exact buckets, threads, and processes that were killed.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use crate::base::cells::keys::{Entry, KeyTable, Lock, Words};
use crate::base::cells::pages::Pages;
use crate::base::cells::{BucketTable, Cells, Decision, Rate, Terms};
use crate::base::limits;

fn terms(period: u64, burst: u64) -> Terms {
    Terms::new(NonZeroU64::new(period).unwrap(), burst)
}

/// A small table.
struct Table {
    sets: Vec<[Words; 4]>,
    overflow: Vec<AtomicU64>,
    marks: [AtomicU64; 1],
}

impl Table {
    fn new(sets: usize) -> Self {
        let word = |_| AtomicU64::new(0);
        Self {
            sets: (0..sets).map(|_| [0; 4].map(|_| [0; 2].map(word))).collect(),
            overflow: (0..sets).map(|_| AtomicU64::new(0)).collect(),
            marks: [AtomicU64::new(0)],
        }
    }

    fn of(&self, odd: bool) -> KeyTable<'_> {
        KeyTable::new(&self.sets, Pages::new(&self.overflow, &self.marks), odd)
    }

    fn keys(&self) -> KeyTable<'_> {
        self.of(false)
    }

    /// All words.
    fn words(&self) -> Vec<u64> {
        let sets = self.sets.iter().flatten().flatten();
        sets.chain(&self.overflow).map(|word| word.load(Ordering::Relaxed)).collect()
    }
}

fn spend(keys: KeyTable<'_>, key: u64, now: u64, terms: Terms) -> bool {
    keys.spend(key, 1, terms, || now).decision.is_admitted()
}

#[test]
fn each_key_has_a_bucket_of_its_own() {
    let (table, terms) = (Table::new(1), terms(100, 2));
    for key in 1..=4 {
        let taken = [(); 3].map(|()| spend(table.keys(), key, 1_000, terms));
        assert_eq!(taken, [true, true, false], "{key}");
    }
    let drawn = table.keys().check(3, 1_000, 1, terms);
    assert!(!drawn.shared && drawn.full_at == 1_200 && !drawn.decision.is_admitted());
    assert_eq!((table.keys().in_use(1_000, 1), table.keys().in_use(1_200, 1)), (4, 0));
}

#[test]
fn a_full_set_shares_its_overflow_and_harms_nobody_who_has_an_entry() {
    let (table, terms) = (Table::new(1), terms(100, 2));
    for key in 1..=4 {
        assert!(spend(table.keys(), key, 1_000, terms));
    }
    let drawn = [5, 6, 7].map(|key| table.keys().spend(key, 1, terms, || 1_000));
    assert_eq!(drawn.map(|drawn| drawn.decision.is_admitted()), [true, true, false]);
    assert!(drawn.iter().all(|drawn| drawn.shared));
    assert!(table.keys().check(8, 1_000, 1, terms).shared);
    for key in 1..=4 {
        assert!(spend(table.keys(), key, 1_000, terms), "{key}");
        assert!(!table.keys().check(key, 1_000, 1, terms).shared);
    }
    // Once entries are free, and what was spent beside them is made up for, all is as at first.
    for key in 5..=8 {
        let drawn = [(); 3].map(|()| table.keys().spend(key, 1, terms, || 1_200));
        let taken = drawn.map(|drawn| drawn.decision.is_admitted());
        assert_eq!((taken, drawn[0].shared), ([true, true, false], false), "{key}");
    }
}

#[test]
fn what_was_spent_beside_the_entries_is_not_forgotten_by_one() {
    let (table, long, short) = (Table::new(1), terms(100, 5), terms(10, 1));
    for key in 1..=4 {
        assert!(spend(table.keys(), key, 1_000, short));
    }
    for _ in 0..5 {
        assert!(spend(table.keys(), 5, 1_000, long));
    }
    // Entries are free from 1,010 on, and key 5 has spent all until 1,500.
    assert!(!spend(table.keys(), 5, 1_010, long));
    assert!(spend(table.keys(), 5, 1_100, long));
    assert!(!spend(table.keys(), 5, 1_100, long));
    assert_eq!(table.keys().in_use(1_100, 1), 1);
}

#[test]
fn a_check_a_refusal_and_a_look_write_nothing() {
    let (table, terms) = (Table::new(2), terms(100, 2));
    for key in 1..=20 {
        let _ = spend(table.keys(), key, 1_000, terms);
    }
    let before = table.words();
    for key in 1..=40 {
        let drawn = table.keys().check(key, 1_000, 1, terms);
        let _ = table.keys().check(key, 5_000, 1, terms);
        if !drawn.decision.is_admitted() {
            assert!(!spend(table.keys(), key, 1_000, terms));
        }
        assert!(!spend(table.keys(), key, 1_000, self::terms(100, 0)));
    }
    assert_eq!(table.words(), before);
}

#[test]
fn debts_go_to_a_burst_and_are_paid_in_time() {
    let (table, terms) = (Table::new(1), terms(100, 3));
    assert!(spend(table.keys(), 1, 1_000, terms));
    assert_eq!(table.keys().owe(1, 4, terms, 1_000).full_at, 1_500);
    assert_eq!(table.keys().owe(1, 100, terms, 1_000).full_at, 1_600);
    assert_eq!(table.keys().owe(1, u64::MAX, terms, 1_000).full_at, 1_600);
    assert!(!spend(table.keys(), 1, 1_399, terms) && spend(table.keys(), 1, 1_400, terms));
    // Of one that has no entry any more, too.
    assert_eq!(table.keys().owe(2, 1, terms, 9_000).full_at, 9_100);
}

#[test]
fn a_reset_fills_the_bucket_of_one_key() {
    let (table, terms) = (Table::new(1), terms(100, 1));
    assert!(spend(table.keys(), 1, 1_000, terms) && spend(table.keys(), 2, 1_000, terms));
    assert!(table.keys().reset(1, 1_000));
    assert!(!table.keys().reset(1, 1_000) && !table.keys().reset(9, 1_000));
    assert!(spend(table.keys(), 1, 1_000, terms) && !spend(table.keys(), 2, 1_000, terms));
}

#[test]
fn a_lease_is_a_slab_or_the_cost_or_nothing() {
    let (table, terms) = (Table::new(1), terms(100, 12));
    let leased = [(); 5].map(|()| table.keys().lease(1, (5, 1), terms, || 1_000).1);
    assert_eq!(leased, [5, 5, 1, 1, 0]);
}

#[test]
fn times_end_and_clocks_may_show_anything() {
    let table = Table::new(1);
    for now in [u64::MAX, 1 << 63, 1 << 62, (1 << 62) - 1] {
        assert!(!spend(table.keys(), 1, now, terms(1, 1)), "{now}");
    }
    assert!(spend(table.keys(), 1, (1 << 62) - 3, terms(1, 1)));
    assert!(!spend(table.keys(), 2, 5, terms(u64::MAX, 2)));
}

/// Where a process was killed.
#[derive(Debug, Clone, Copy)]
enum Killed {
    Locked,
    Claimed,
    Raised,
    Published,
}

/// A process of an odd epoch is killed when it puts key 5 in the place of key 1.
fn killed(at: Killed) -> Table {
    let (table, long) = (Table::new(1), terms(100, 3));
    for key in 1..=4 {
        assert!(spend(table.keys(), key, 1_000, long));
    }
    let lock = Lock::take(Pages::new(&table.overflow, &table.marks), 0, true).unwrap();
    let entry = Entry::new(&table.sets[0][0]);
    if !matches!(at, Killed::Locked) {
        assert!(entry.claim(1_100));
    }
    if matches!(at, Killed::Raised | Killed::Published) {
        lock.raise(1_100);
    }
    if matches!(at, Killed::Published) {
        entry.publish(5, 1_200);
    }
    // Nobody releases it.
    let _held = lock;
    table
}

#[test]
fn a_process_that_was_killed_with_the_lock_costs_nobody_anything() {
    for at in [Killed::Locked, Killed::Claimed, Killed::Raised, Killed::Published] {
        let (table, long) = (killed(at), terms(100, 3));
        assert!(spend(table.keys(), 2, 1_050, long), "who has an entry goes on: {at:?}");
        let drawn = table.keys().spend(6, 1, long, || 1_100);
        assert!(drawn.shared && !drawn.decision.is_admitted(), "{at:?}");
        assert_eq!((table.of(true).forget(), table.keys().forget()), (0, 1), "{at:?}");
        assert_eq!(table.keys().forget(), 0);
        let taken = [(); 4].map(|()| spend(table.keys(), 6, 1_150, long));
        assert_eq!(taken, [true, true, true, false], "{at:?}");
        // Key 1 has spent until 1,100, entry or not: with a clock that lags, too.
        let taken = [(); 3].map(|()| spend(table.keys(), 1, 1_000, long));
        assert!(taken.iter().filter(|yes| **yes).count() <= 2, "{at:?}: {taken:?}");
    }
}

#[test]
fn memory_is_that_of_the_pages_in_use() {
    let cells = Cells::owned(0);
    let keys = cells.keys(BucketTable::Strangers);
    assert_eq!(keys.in_use(1, 1), 0);
    for key in 1..=1_000_u64 {
        assert!(spend(keys, key.wrapping_mul(0x9E37_79B9_7F4A_7C15), 1_000, terms(100, 1)));
    }
    assert!((990..=1_000).contains(&keys.in_use(1_000, 1)));
    assert!((500..=1_500).contains(&keys.in_use(1_000, 4)));
    assert_eq!(cells.keys(BucketTable::Known).in_use(1_000, 1), 0);
}

#[test]
fn threads_on_one_key_take_what_there_is() {
    let (table, clock) = (Table::new(1), AtomicU64::new(1_000_000));
    let (terms, others) = (terms(50, 20), terms(10, 1));
    let mut spent: Vec<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..16_u64)
            .map(|lag| {
                let (table, clock) = (&table, &clock);
                scope.spawn(move || {
                    let mut own = Vec::new();
                    for turn in 0..5_000 {
                        let now = || clock.fetch_add(3, Ordering::Relaxed) - lag * 40;
                        let seen = std::cell::Cell::new(0);
                        let read = || {
                            seen.set(now());
                            seen.get()
                        };
                        if table.keys().spend(1, 1, terms, read).decision.is_admitted() {
                            own.push(seen.get());
                        }
                        // What comes and goes beside it takes its entry whenever it may.
                        let _ = table.keys().spend(2 + (turn * 16 + lag) % 9, 1, others, now);
                    }
                    own
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    spent.sort_unstable();
    within(terms, &spent).unwrap();
    let time = clock.into_inner() - 1_000_000;
    let most = time / 50 + 20;
    assert!(spent.len() as u64 >= most * 8 / 10, "{} of {most}", spent.len());
}

/// Spends of one token each, in the order of their clocks: in every span at most what the terms allow.
fn within(terms: Terms, spent: &[u64]) -> Result<(), String> {
    let (period, ahead) = (terms.period().get(), terms.period().get() * terms.burst());
    // The tokens until now less the time that makes them: no more above its least value than a burst.
    let mut least = i128::MAX;
    for (count, at) in spent.iter().enumerate() {
        let level = count as i128 * i128::from(period) - i128::from(*at);
        least = least.min(level);
        if level + i128::from(period) - least > i128::from(ahead) {
            return Err(format!("too many until {at}, the {count}th"));
        }
    }
    Ok(())
}

/// One of the spends of a play.
#[derive(Debug, Clone)]
struct Step {
    later: u64,
    lag: u64,
    key: u64,
    cost: u64,
    kind: u8,
}

fn steps(keys: u64, lag: u64, most: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = (0_u64..30, 0..=lag, 1..=keys, 1_u64..4, 0_u8..16);
    let step = step.prop_map(|(later, lag, key, cost, kind)| Step { later, lag, key, cost, kind });
    prop::collection::vec(step, 1..most)
}

proptest! {
    /// Against exact buckets: nothing is lost, so no key gets more; and who never shared anything gets as much.
    #[test]
    fn as_exact_buckets_or_less(
        steps in steps(14, 60, 200), terms in (1_u64..40, 1_u64..6), sets in prop::sample::select(vec![1_usize, 2, 8]),
    ) {
        let table = Table::new(sets);
        let terms = self::terms(terms.0, terms.1);
        let mut exact: HashMap<u64, AtomicU64> = HashMap::new();
        let mut sharers = HashSet::new();
        let mut clock = 1_000;
        for Step { later, lag, key, cost, kind } in steps {
            clock += later;
            let now = clock - lag;
            let oracle = exact.entry(key).or_default();
            let allowed = Rate::new(oracle).check(now, cost, terms);
            if kind == 0 {
                let owed = table.keys().owe(key, cost, terms, now);
                oracle.fetch_max(owed.full_at, Ordering::Relaxed);
                continue;
            }
            let checked = table.keys().check(key, now, cost, terms);
            let drawn = table.keys().spend(key, cost, terms, || now);
            prop_assert_eq!(checked.decision, drawn.decision);
            prop_assert!(!drawn.decision.is_admitted() || allowed.is_admitted(), "{} at {}", key, now);
            if drawn.shared {
                sharers.insert(key);
            }
            if drawn.decision.is_admitted() {
                // What the table remembers is at least what was spent.
                let _ = Rate::new(oracle).spend(now, cost, terms);
                prop_assert!(drawn.full_at >= oracle.load(Ordering::Relaxed));
            } else if allowed.is_admitted() {
                prop_assert!(sharers.contains(&key), "{} at {}: {:?}", key, now, drawn);
            }
        }
    }

    /// Without lag and with room for all keys, just as exact buckets.
    #[test]
    fn as_exact_buckets(steps in steps(4, 0, 200), terms in (1_u64..40, 1_u64..6)) {
        let (table, mut clock) = (Table::new(1), 1_000);
        let terms = self::terms(terms.0, terms.1);
        let mut exact: HashMap<u64, AtomicU64> = HashMap::new();
        for Step { later, key, cost, .. } in steps {
            clock += later;
            let expected = Rate::new(exact.entry(key).or_default()).spend(clock, cost, terms);
            let drawn = table.keys().spend(key, cost, terms, || clock);
            prop_assert_eq!(drawn.decision, expected);
            prop_assert!(!drawn.shared);
        }
    }

    /// No pattern of bits panics or loops.
    #[test]
    fn any_words(words: [u64; 9], key in 0_u64..4, now: u64, cost: u64, period in 1_u64.., burst: u64) {
        let table = Table::new(1);
        let all = table.sets.iter().flatten().flatten().chain(&table.overflow);
        for (at, (word, value)) in all.zip(words).enumerate() {
            word.store(if at % 2 == 0 && at < 8 { value % 4 } else { value }, Ordering::Relaxed);
        }
        let terms = terms(period, burst);
        let _ = table.keys().check(key, now, cost, terms);
        let drawn = table.keys().spend(key, cost, terms, || now);
        let _ = table.keys().owe(key, cost, terms, now);
        let _ = (table.keys().reset(key, now), table.keys().in_use(now, 0), table.keys().forget());
        if let Decision::Refused { wait: Some(wait), .. } = drawn.decision {
            prop_assert!(wait > std::time::Duration::ZERO || wait == limits::LOCK_WAIT);
        }
    }
}
