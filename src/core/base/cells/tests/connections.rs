//! Connection permits: one process, two processes, and one that is gone.

use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use crate::base::cells::{Cells, ConnectionPermits};

#[test]
fn never_more_than_the_limit() {
    let permits = ConnectionPermits::new(Cells::owned(0), 0, 100);
    let taken = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..100 {
                    if permits.acquire() {
                        taken.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(taken.load(Ordering::Relaxed), 100);
    assert_eq!((permits.open(), permits.held(), permits.limit()), (100, 100, 100));
    permits.release(40);
    assert!(permits.acquire());
    assert_eq!((permits.open(), permits.held()), (61, 61));
}

#[test]
fn two_processes_share_a_limit() {
    let cells = Cells::owned(0);
    let old = ConnectionPermits::new(cells.clone(), 4, 3);
    let new = ConnectionPermits::new(cells, 5, 3);
    assert!(old.acquire() && old.acquire() && new.acquire());
    assert!(!old.acquire() && !new.acquire());
    assert_eq!((old.open(), new.open(), old.held(), new.held()), (3, 3, 2, 1));
    old.release(1);
    assert!(new.acquire());
}

#[test]
fn what_the_dead_held_is_given_back_once() {
    let cells = Cells::owned(0);
    let old = ConnectionPermits::new(cells.clone(), 0, 10);
    let new = ConnectionPermits::new(cells.clone(), 1, 10);
    for _ in 0..4 {
        assert!(old.acquire() && new.acquire());
    }
    drop(old);
    assert_eq!(new.forget(0), 4);
    assert_eq!(new.forget(0), 0);
    assert_eq!((new.open(), new.held()), (4, 4));
    // The next but one has the place of the first.
    let next = ConnectionPermits::new(cells, 2, 10);
    assert!(next.acquire());
    assert_eq!((next.held(), next.open()), (1, 5));
    assert_eq!(next.forget(1), 4);
    assert_eq!(next.open(), 1);
}

#[test]
fn a_successor_that_failed_is_forgotten_too() {
    let cells = Cells::owned(0);
    let old = ConnectionPermits::new(cells.clone(), 0, 2);
    for _ in 0..3 {
        let failed = ConnectionPermits::new(cells.clone(), 1, 2);
        assert!(failed.acquire() && failed.acquire());
        assert!(!old.acquire());
        drop(failed);
        assert_eq!(old.forget(1), 2);
    }
    assert!(old.acquire() && old.acquire());
}

proptest! {
    /// Any play of two processes, either of which may die at any time and be followed by another: the total is what the
    /// living and those not yet forgotten hold.
    #[test]
    fn the_total_is_what_is_held(steps in prop::collection::vec((any::<bool>(), 0..4_u8, 1_u64..4), 0..80), limit in 0_u64..12) {
        let cells = Cells::owned(0);
        let both = [0, 1].map(|epoch| ConnectionPermits::new(cells.clone(), epoch, limit));
        let mut held = [0_u64; 2];
        for (second, step, n) in steps {
            let who = usize::from(second);
            match step {
                0 | 1 => {
                    let taken = both[who].acquire();
                    prop_assert_eq!(taken, held[0] + held[1] < limit);
                    held[who] += u64::from(taken);
                }
                2 => {
                    let n = n.min(held[who]);
                    both[who].release(n);
                    held[who] -= n;
                }
                _ => {
                    prop_assert_eq!(both[1 - who].forget(who as u64), held[who]);
                    held[who] = 0;
                }
            }
            prop_assert_eq!(both[who].open(), held[0] + held[1]);
            prop_assert_eq!(both[who].held(), held[who]);
        }
    }
}
