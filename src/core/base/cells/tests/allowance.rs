//! Allowances by examples, against an oracle, and by threads that spend while one grants and ends.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use proptest::prelude::*;

use crate::base::cells::{Cells, Taken};
use crate::base::ids::QuotaSlot;

#[test]
fn what_was_granted_is_spent_and_no_more() {
    let cells = Cells::owned(0);
    let word = cells.allowance(QuotaSlot(7));
    assert_eq!(word.take(0, 1), Taken::Empty, "nobody has begun it");
    let stamp = word.begin();
    assert_eq!((stamp, word.left(stamp), word.left(0)), (1, Some(0), None));
    assert_eq!(word.take(0, 1), Taken::Stale);
    assert!(word.grant(stamp, 3, false) && !word.grant(0, 3, false));
    assert_eq!(word.take(stamp, 2), Taken::Yes { left: 1, more: true });
    assert_eq!(word.take(stamp, 2), Taken::Empty);
    assert!(word.grant(stamp, 1, true));
    assert_eq!(word.take(stamp, 3), Taken::Spent { left: 2 });
    assert_eq!(word.take(stamp, 2), Taken::Yes { left: 0, more: false });
    word.give_back(stamp, 2);
    assert_eq!((word.end(stamp), word.end(stamp)), (2, 0));
    word.give_back(stamp, 2);
    assert_eq!((word.take(stamp, 1), word.begin()), (Taken::Stale, 3));
    assert_eq!(word.left(3), Some(0), "nothing comes over from an earlier use");
}

#[test]
fn numbers_at_the_end_do_not_run_over() {
    let cells = Cells::owned(0);
    let word = cells.allowance(QuotaSlot(0));
    let stamp = word.begin();
    assert!(word.grant(stamp, u32::MAX, true) && word.grant(stamp, u32::MAX, true));
    assert_eq!(word.left(stamp), Some(i32::MAX as u32));
    assert_eq!(word.take(stamp, u32::MAX), Taken::Spent { left: i32::MAX as u32 });
}

#[test]
fn threads_spend_what_was_granted_less_what_was_left() {
    let cells = Cells::owned(0);
    let word = cells.allowance(QuotaSlot(1));
    let (stamp, over) = (AtomicU64::new(word.begin().into()), AtomicBool::new(false));
    let spent = AtomicU64::new(0);
    let mut counted = 0;
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let word = cells.allowance(QuotaSlot(1));
                while !over.load(Ordering::Acquire) {
                    let stamp = stamp.load(Ordering::Relaxed) as u32;
                    if let Taken::Yes { .. } = word.take(stamp, 2) {
                        spent.fetch_add(2, Ordering::Relaxed);
                    }
                }
            });
        }
        for _ in 0..2_000 {
            let now = stamp.load(Ordering::Relaxed) as u32;
            for n in 1..9 {
                assert!(word.grant(now, n, n == 8));
                counted += u64::from(n);
            }
            counted -= u64::from(word.end(now));
            stamp.store(word.begin().into(), Ordering::Relaxed);
        }
        over.store(true, Ordering::Release);
    });
    assert_eq!(spent.load(Ordering::Relaxed), counted);
}

proptest! {
    /// Against two numbers, whatever is done in which order, by whom of which use.
    #[test]
    fn a_word_is_two_numbers(steps in prop::collection::vec((0_u8..5, 0_u32..50, 0_u32..3), 0..80)) {
        let cells = Cells::owned(0);
        let word = cells.allowance(QuotaSlot(3));
        let (mut stamp, mut left) = (word.begin(), 0_u32);
        for (what, n, old) in steps {
            let (by, own) = (stamp - old.min(stamp), old == 0);
            match what {
                0 => {
                    let taken = matches!(word.take(by, n), Taken::Yes { .. });
                    prop_assert_eq!(taken, own && n <= left);
                    left -= if taken { n } else { 0 };
                }
                1 => {
                    word.give_back(by, n);
                    left += if own { n } else { 0 };
                }
                2 => {
                    prop_assert_eq!(word.grant(by, n, n == 0), own);
                    left += if own { n } else { 0 };
                }
                3 => {
                    prop_assert_eq!(word.end(by), if own { left } else { 0 });
                    if own {
                        (stamp, left) = (stamp + 1, 0);
                    }
                }
                _ => (stamp, left) = (word.begin(), 0),
            }
            prop_assert_eq!(word.left(stamp), Some(left));
        }
    }
}
