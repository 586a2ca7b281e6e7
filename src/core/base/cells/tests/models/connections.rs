//! Connection permits: a process is killed anywhere in an acquire or a release; its successor forgets it while it goes on
//! itself, and the total never falls below what the living hold.

use std::sync::Arc;

use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

use super::{EVERY, THREE, model, word};
use crate::base::cells::Permits;
use crate::base::cells::connections::ConnectionWords;

/// Enough for all: what is refused at the limit is in the model of permits.
const LIMIT: u64 = 4;

/// Where a process is killed.
#[derive(Clone, Copy)]
enum Killed {
    InAcquire,
    AfterAcquire,
    InRelease,
    AfterRelease,
}

/// The old process has one connection, does what it still does, and is gone; two threads of the new one, one of which
/// forgets the old one, each open a connection before and close it after. `acquire` and `let_go` are the halves that come
/// first.
fn play(
    killed: Killed,
    acquire: fn(&AtomicU64, &AtomicU64),
    let_go: fn(&AtomicU64, &AtomicU64),
    left: u64,
) {
    model(THREE, move || {
        let (total, old, new) = (word(0), word(0), word(0));
        assert!(ConnectionWords::new(&total, &old).acquire(LIMIT));
        let dying = (Arc::clone(&total), Arc::clone(&old));
        let dying = thread::spawn(move || {
            let words = ConnectionWords::new(&dying.0, &dying.1);
            match killed {
                Killed::InAcquire => acquire(&dying.0, &dying.1),
                Killed::AfterAcquire => assert!(words.acquire(LIMIT)),
                Killed::InRelease => let_go(&dying.0, &dying.1),
                Killed::AfterRelease => words.release(1),
            }
        });
        let living = (Arc::clone(&total), Arc::clone(&new));
        let living = thread::spawn(move || {
            let words = ConnectionWords::new(&living.0, &living.1);
            if words.acquire(LIMIT) {
                assert!(words.total.taken() >= 1, "fewer than the living hold");
                words.release(1);
            }
        });
        let words = ConnectionWords::new(&total, &new);
        let ours = words.acquire(LIMIT);
        dying.join().unwrap();
        ConnectionWords::new(&total, &old).forget();
        assert!(words.total.taken() >= u64::from(ours), "fewer than the living hold");
        living.join().unwrap();
        assert_eq!(old.load(Ordering::Relaxed), 0);
        let over = words.total.taken().checked_sub(u64::from(ours));
        assert_eq!(over, Some(left), "fewer than the living hold, or more than was in between");
    });
}

fn raise_total(total: &AtomicU64, _: &AtomicU64) {
    assert!(Permits::new(total).take(1, LIMIT));
}

fn lower_held(total: &AtomicU64, held: &AtomicU64) {
    ConnectionWords::new(total, held).let_go(1);
}

#[test]
fn killed_in_an_acquire() {
    play(Killed::InAcquire, raise_total, lower_held, 1);
}

#[test]
fn killed_after_an_acquire() {
    play(Killed::AfterAcquire, raise_total, lower_held, 0);
}

#[test]
fn killed_in_a_release() {
    play(Killed::InRelease, raise_total, lower_held, 1);
}

#[test]
fn killed_after_a_release() {
    play(Killed::AfterRelease, raise_total, lower_held, 0);
}

#[test]
#[should_panic(expected = "than the living hold")]
fn the_total_must_be_raised_first() {
    let raise_held = |_: &AtomicU64, held: &AtomicU64| {
        held.fetch_add(1, Ordering::Release);
    };
    play(Killed::InAcquire, raise_held, lower_held, 1);
}

#[test]
#[should_panic(expected = "than the living hold")]
fn the_total_must_be_lowered_last() {
    let lower_total = |total: &AtomicU64, _: &AtomicU64| Permits::new(total).release(1);
    play(Killed::InRelease, raise_total, lower_total, 1);
}

/// Two threads of the successor forget at once: what was left is given back once.
#[test]
fn forgetting_twice_at_once_gives_back_once() {
    model(EVERY, || {
        let (total, old) = (word(0), word(0));
        for _ in 0..2 {
            assert!(ConnectionWords::new(&total, &old).acquire(LIMIT));
        }
        let other = (Arc::clone(&total), Arc::clone(&old));
        let other = thread::spawn(move || ConnectionWords::new(&other.0, &other.1).forget());
        let ours = ConnectionWords::new(&total, &old).forget();
        assert_eq!(ours + other.join().unwrap(), 2);
        assert_eq!(Permits::new(&total).taken(), 0);
    });
}
