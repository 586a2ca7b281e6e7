//! Permits: never above the limit, none lost, and one holder comes after the other.

use std::sync::Arc;
use std::sync::atomic::AtomicU64 as Held;

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

use super::{EVERY, THREE, model, word};
use crate::base::cells::Permits;

/// Two threads and this one each take a permit of `limit`, hold it for a moment, and give it back.
fn play(limit: u64, take: fn(&AtomicU64, u64) -> bool) {
    model(THREE, move || {
        let word = word(0);
        let held = Arc::new(Held::new(0));
        let hold = move |word: &AtomicU64, held: &Held| {
            if take(word, limit) {
                // In one step with the take, and with the release: loom stops a thread only before it touches a word of
                // loom's.
                assert!(held.fetch_add(1, Ordering::SeqCst) < limit, "above the limit");
                Permits::new(word).release(1);
                held.fetch_sub(1, Ordering::SeqCst);
            }
        };
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (word, held) = (Arc::clone(&word), Arc::clone(&held));
                thread::spawn(move || hold(&word, &held))
            })
            .collect();
        hold(&word, &held);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(Permits::new(&word).taken(), 0, "lost or doubled");
    });
}

fn real(word: &AtomicU64, limit: u64) -> bool {
    Permits::new(word).take(1, limit)
}

#[test]
fn one_of_three_at_a_time() {
    play(1, real);
}

#[test]
fn two_of_three_at_a_time() {
    play(2, real);
}

#[test]
#[should_panic(expected = "above the limit")]
fn a_take_must_be_a_compare_and_swap() {
    play(1, |word, limit| {
        let free = Permits::new(word).taken() < limit;
        if free {
            word.fetch_add(1, Ordering::Relaxed);
        }
        free
    });
}

/// With a limit of one, what a permit guards is touched by one thread at a time, and each sees what the last one did.
fn guards(release: fn(&AtomicU64)) {
    model(EVERY, move || {
        let (word, guarded) = (word(0), Arc::new(UnsafeCell::new(())));
        let touch = move |word: &AtomicU64, guarded: &UnsafeCell<()>| {
            if Permits::new(word).take(1, 1) {
                guarded.with_mut(|_| ());
                release(word);
            }
        };
        let other = (Arc::clone(&word), Arc::clone(&guarded));
        let other = thread::spawn(move || touch(&other.0, &other.1));
        touch(&word, &guarded);
        other.join().unwrap();
    });
}

#[test]
fn the_next_holder_comes_after_the_last() {
    guards(|word| Permits::new(word).release(1));
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_release_must_release() {
    guards(|word| {
        word.fetch_sub(1, Ordering::Relaxed);
    });
}
