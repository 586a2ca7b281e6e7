//! Shared permits: two processes on one word, of which one is killed and forgotten while the other goes on.

use std::sync::Arc;

use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

use super::{THREE, model, word};
use crate::base::cells::pages::Pages;
use crate::base::cells::shared::SharedPermits;

type Words = (Arc<AtomicU64>, Arc<AtomicU64>);

fn permits((word, mark): &Words, odd: bool) -> SharedPermits<'_> {
    let one = std::slice::from_ref::<AtomicU64>;
    SharedPermits::new(Pages::new(one(word), one(mark)), 0, odd)
}

/// The old process takes one and gives one back of two that it has, and is gone. Of the new one, a thread takes and gives back while
/// another takes one, forgets the old one and keeps what it has.
fn play(limit: u64, forget: fn(&Words) -> u64) {
    model(THREE, move || {
        let words: Words = (word(0), word(0));
        assert!(permits(&words, false).take(1, limit));
        let dying = words.clone();
        let dying = thread::spawn(move || {
            let permits = permits(&dying, false);
            if permits.take(1, limit) {
                permits.release(1);
            }
        });
        let living = words.clone();
        let living = thread::spawn(move || {
            let permits = permits(&living, true);
            if permits.take(1, limit) {
                assert!(
                    permits.held() >= 1 && permits.taken() <= limit,
                    "not what the living hold"
                );
                permits.release(1);
            }
        });
        let ours = permits(&words, true).take(1, limit);
        dying.join().unwrap();
        assert_eq!(forget(&words), 1);
        living.join().unwrap();
        let left = permits(&words, true).taken();
        assert_eq!(left, u64::from(ours), "not what the living hold");
        assert_eq!(words.1.load(Ordering::Relaxed), 1, "used, and has no mark");
    });
}

#[test]
fn what_remains_is_what_the_living_hold() {
    for limit in [2, 4] {
        play(limit, |words| permits(words, true).forget());
    }
}

#[test]
#[should_panic(expected = "not what the living hold")]
fn to_forget_must_be_one_step() {
    play(4, |words| {
        let word = words.0.load(Ordering::Relaxed);
        words.0.store(word & !0xFFFF_FFFF, Ordering::Relaxed);
        word & 0xFFFF_FFFF
    });
}
