//! Shared permits: one process, two processes, and one that is gone.

use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use crate::base::cells::Cells;
use crate::base::ids::InstanceSlot;

const HALF: u64 = u32::MAX as u64;

#[test]
fn all_or_none_and_a_lowered_limit_waits() {
    let cells = Cells::owned(1);
    let permits = cells.instance_permits(InstanceSlot(0));
    assert!(permits.take(3, 5) && !permits.take(3, 5) && permits.take(2, 5));
    assert_eq!((permits.taken(), permits.held()), (5, 5));
    permits.release(2);
    assert!(!permits.take(1, 3) && permits.take(1, 4));
    permits.release(4);
    assert!(!permits.take(1, 0) && permits.taken() == 0);
}

#[test]
fn halves_do_not_run_into_each_other() {
    for odd in [0, 1] {
        let cells = Cells::owned(4);
        let ours = cells.clone().in_epoch(odd);
        let theirs = cells.in_epoch(odd + 1);
        let [ours, theirs] = [&ours, &theirs].map(|cells| cells.instance_permits(InstanceSlot(0)));
        assert!(
            ours.take(HALF, u64::MAX) && !ours.take(1, u64::MAX) && !ours.take(u64::MAX, u64::MAX)
        );
        assert!(theirs.take(HALF, u64::MAX) && !theirs.take(1, u64::MAX));
        assert_eq!((ours.taken(), ours.held(), theirs.held()), (2 * HALF, HALF, HALF));
        ours.release(HALF);
        assert_eq!((ours.taken(), ours.held(), theirs.held()), (HALF, 0, HALF));
    }
}

#[test]
fn what_the_dead_held_is_given_back_everywhere_and_nothing_else() {
    let old = Cells::owned(1_000).in_epoch(4);
    let new = old.clone().in_epoch(5);
    let (first, slot) = (InstanceSlot(0), InstanceSlot(999));
    let all = |cells: &Cells| {
        let permits = [cells.instance_permits(first), cells.instance_permits(slot)];
        let connections = cells.instance_connections(slot);
        [permits[0], permits[1], connections].map(|permits| (permits.taken(), permits.held()))
    };
    for cells in [&old, &new, &old] {
        assert!(cells.instance_permits(first).take(2, 10));
        assert!(cells.instance_permits(slot).take(3, 10));
        assert!(cells.instance_connections(slot).take(1, 10));
    }
    assert_eq!(all(&new), [(6, 2), (9, 3), (3, 1)]);
    assert_eq!((new.forget_other(), new.forget_other()), (12, 0));
    assert_eq!(all(&new), [(2, 2), (3, 3), (1, 1)]);
    assert_eq!(all(&old), [(2, 0), (3, 0), (1, 0)]);
    // The next but one has the half of the first.
    let next = new.clone().in_epoch(6);
    assert!(next.instance_permits(first).take(1, 3));
    assert_eq!((next.forget_other(), all(&next)), (6, [(1, 1), (0, 0), (0, 0)]));
}

#[test]
fn threads_of_two_processes_never_hold_more_than_the_limit() {
    const LIMIT: u64 = 3;
    let cells = Cells::owned(4);
    let (held, turns) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for epoch in 0..4 {
            let cells = cells.clone().in_epoch(epoch);
            let (held, turns) = (&held, &turns);
            scope.spawn(move || {
                for _ in 0..20_000 {
                    let permits = cells.instance_permits(InstanceSlot(1));
                    if !permits.take(1, LIMIT) {
                        continue;
                    }
                    assert!(held.fetch_add(1, Ordering::SeqCst) < LIMIT);
                    turns.fetch_add(1, Ordering::Relaxed);
                    held.fetch_sub(1, Ordering::SeqCst);
                    permits.release(1);
                }
            });
        }
    });
    assert_eq!(cells.instance_permits(InstanceSlot(1)).taken(), 0);
    assert!(turns.into_inner() > 0);
}

proptest! {
    /// Any play of two processes, either of which may die at any time and be followed by another.
    #[test]
    fn the_sum_is_what_is_held(steps in prop::collection::vec((any::<bool>(), 0..4_u8, 1_u64..4), 0..80), limit in 0_u64..12) {
        let cells = Cells::owned(4);
        let both = [0, 1].map(|epoch| cells.clone().in_epoch(epoch));
        let mut held = [0_u64; 2];
        for (second, step, n) in steps {
            let who = usize::from(second);
            let permits = both[who].instance_permits(InstanceSlot(3));
            match step {
                0 | 1 => {
                    let taken = permits.take(n, limit);
                    prop_assert_eq!(taken, held[0] + held[1] + n <= limit);
                    held[who] += if taken { n } else { 0 };
                }
                2 => {
                    let n = n.min(held[who]);
                    permits.release(n);
                    held[who] -= n;
                }
                _ => {
                    prop_assert_eq!(both[1 - who].forget_other(), held[who]);
                    held[who] = 0;
                }
            }
            prop_assert_eq!((permits.taken(), permits.held()), (held[0] + held[1], held[who]));
        }
    }
}
