//! Permits by examples, and by threads that take and give back.

use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use crate::base::cells::Permits;

#[test]
fn all_or_none() {
    let word = AtomicU64::new(0);
    let permits = Permits::new(&word);
    assert!(permits.take(3, 5));
    assert!(!permits.take(3, 5));
    assert_eq!(permits.taken(), 3);
    assert!(permits.take(2, 5));
    permits.release(5);
    assert_eq!(permits.taken(), 0);
    assert!(!permits.take(1, 0));
}

#[test]
fn a_lowered_limit_waits_and_a_raised_one_gives_at_once() {
    let word = AtomicU64::new(0);
    let permits = Permits::new(&word);
    assert!(permits.take(10, 10));
    assert!(!permits.take(1, 5));
    permits.release(5);
    assert!(!permits.take(1, 5));
    assert!(permits.take(1, 6));
}

#[test]
fn numbers_at_the_end_do_not_wrap() {
    let word = AtomicU64::new(0);
    let permits = Permits::new(&word);
    assert!(permits.take(u64::MAX, u64::MAX));
    assert!(!permits.take(1, u64::MAX));
    permits.release(u64::MAX);
    assert_eq!(permits.taken(), 0);
}

#[test]
fn threads_never_hold_more_than_the_limit() {
    const LIMIT: u64 = 3;
    let (word, held, turns) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20_000 {
                    if !Permits::new(&word).take(1, LIMIT) {
                        continue;
                    }
                    assert!(held.fetch_add(1, Ordering::SeqCst) < LIMIT);
                    turns.fetch_add(1, Ordering::Relaxed);
                    held.fetch_sub(1, Ordering::SeqCst);
                    Permits::new(&word).release(1);
                }
            });
        }
    });
    assert!(turns.load(Ordering::Relaxed) > 0);
    assert_eq!(Permits::new(&word).taken(), 0);
}

proptest! {
    /// Against a list of what each take got.
    #[test]
    fn the_count_is_what_is_held(steps in prop::collection::vec((any::<bool>(), 0_u64..9, 0_u64..20), 0..60)) {
        let word = AtomicU64::new(0);
        let permits = Permits::new(&word);
        let mut held = Vec::new();
        for (take, n, limit) in steps {
            let sum: u64 = held.iter().sum();
            if take {
                let taken = permits.take(n, limit);
                prop_assert_eq!(taken, sum + n <= limit);
                held.extend(taken.then_some(n));
            } else if let Some(n) = held.pop() {
                permits.release(n);
            }
            prop_assert_eq!(permits.taken(), held.iter().sum::<u64>());
        }
    }
}
