//! Marks by compare-and-swap: none is lost, none lands on another generation.

use std::sync::Arc;

use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

use super::{EVERY, model, word};
use crate::base::cells::{Mark, Verdict};

const DOWN_BIT: u64 = 1 << 2;

fn begun() -> Arc<AtomicU64> {
    let word = word(0);
    Verdict::new(&word).begin(1).unwrap();
    word
}

/// Two threads mark at once, a third removes.
#[test]
fn no_mark_is_lost() {
    model(EVERY, || {
        let word = begun();
        let (one, other) = (Arc::clone(&word), Arc::clone(&word));
        let one = thread::spawn(move || Verdict::new(&one).mark(1, Mark::Down).unwrap());
        let other = thread::spawn(move || Verdict::new(&other).mark(1, Mark::Draining).unwrap());
        Verdict::new(&word).remove(1).unwrap();
        one.join().unwrap();
        other.join().unwrap();
        let last = Verdict::new(&word).load();
        assert!(last.has(Mark::Down) && last.has(Mark::Draining) && last.is_gone());
    });
}

/// A probe of the old instance comes back while the slot begins anew.
fn late_probe(mark: fn(&AtomicU64)) {
    model(EVERY, move || {
        let word = begun();
        Verdict::new(&word).remove(1).unwrap();
        let late = Arc::clone(&word);
        let probe = thread::spawn(move || mark(&late));
        Verdict::new(&word).begin(2).unwrap();
        probe.join().unwrap();
        assert!(Verdict::new(&word).load().takes_requests(2), "marked for its predecessor");
    });
}

#[test]
fn a_late_mark_lands_on_no_other_generation() {
    late_probe(|word| {
        let _: Result<_, _> = Verdict::new(word).mark(1, Mark::Down);
    });
}

#[test]
#[should_panic(expected = "marked for its predecessor")]
fn a_mark_must_be_a_compare_and_swap() {
    late_probe(|word| {
        if Verdict::new(word).load().generation() == 1 {
            word.fetch_or(DOWN_BIT, Ordering::Relaxed);
        }
    });
}

/// Of two that remove or begin, each sees the other's word whole.
#[test]
fn a_slot_begins_once() {
    model(EVERY, || {
        let word = word(0);
        let other = Arc::clone(&word);
        let other = thread::spawn(move || Verdict::new(&other).begin(1).is_ok());
        let ours = Verdict::new(&word).begin(2).is_ok();
        assert!(ours != other.join().unwrap());
    });
}
