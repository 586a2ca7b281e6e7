//! Allowances: nothing is spent that was not granted, and what is left at the end is what was not spent.

use std::sync::Arc;
use std::sync::atomic::AtomicU64 as Spent;

use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

use super::{THREE, model, word};
use crate::base::cells::Taken;
use crate::base::cells::allowance::Allowance;

/// Two workers take, one of them gives back; control grants, ends the use by `end`, which says what was left, and begins another with a
/// grant of its own.
fn play(take: fn(&AtomicU64, u32) -> bool, end: fn(&AtomicU64, u32) -> u32) {
    model(THREE, move || {
        let word = word(0);
        let first = Allowance::of(&word).begin();
        assert!(Allowance::of(&word).grant(first, 2, false));
        let spent = Arc::new(Spent::new(0));
        let spend = move |word: &AtomicU64, spent: &Spent| {
            // In one step with the take: loom stops a thread only before it touches a word of loom's.
            if take(word, first) {
                spent.fetch_add(1, Ordering::SeqCst);
            }
        };
        let threads: Vec<_> = (0..2)
            .map(|at| {
                let (word, spent) = (Arc::clone(&word), Arc::clone(&spent));
                thread::spawn(move || {
                    spend(&word, &spent);
                    if at == 0 {
                        spend(&word, &spent);
                    }
                })
            })
            .collect();
        let left = end(&word, first);
        let second = Allowance::of(&word).begin();
        assert!(Allowance::of(&word).grant(second, 5, true));
        for thread in threads {
            thread.join().unwrap();
        }
        let spent = spent.load(Ordering::SeqCst);
        assert_eq!(spent + u64::from(left), 2, "spent, and left");
        assert_eq!(Allowance::of(&word).left(second), Some(5), "of another use");
    });
}

fn take(word: &AtomicU64, stamp: u32) -> bool {
    matches!(Allowance::of(word).take(stamp, 1), Taken::Yes { .. })
}

fn end(word: &AtomicU64, stamp: u32) -> u32 {
    Allowance::of(word).end(stamp)
}

#[test]
fn what_is_left_was_not_spent() {
    play(take, end);
}

#[test]
#[should_panic(expected = "spent, and left")]
fn the_end_must_be_one_step() {
    play(take, |word, stamp| {
        let left = Allowance::of(word).left(stamp).unwrap_or_default();
        Allowance::of(word).end(stamp);
        left
    });
}

#[test]
#[should_panic(expected = "spent, and left")]
fn the_stamp_must_be_compared_with_what_is_left() {
    play(
        |word, stamp| {
            let one_less = |word| (word & 0x7FFF_FFFF > 0).then(|| word - 1);
            let there = Allowance::of(word).left(stamp).is_some_and(|left| left > 0);
            there && word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok()
        },
        end,
    );
}
