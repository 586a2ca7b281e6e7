//! Rates: spenders at once never take more than there is, whatever their clocks show.

use std::sync::Arc;

use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

use super::{EVERY, model, word};
use crate::base::cells::{Rate, Terms};

fn terms(period: u64, burst: u64) -> Terms {
    Terms::new(period.try_into().unwrap(), burst)
}

/// How many of spenders with these clocks are admitted, one token each.
fn admitted(readings: [u64; 2], terms: Terms, spend: fn(&AtomicU64, u64, Terms) -> bool) -> usize {
    let word = word(0);
    let others: Vec<_> = readings
        .into_iter()
        .map(|now| {
            let word = Arc::clone(&word);
            thread::spawn(move || spend(&word, now, terms))
        })
        .collect();
    others.into_iter().map(|other| other.join().unwrap()).filter(|yes| *yes).count()
}

fn real(word: &AtomicU64, now: u64, terms: Terms) -> bool {
    Rate::new(word).spend(now, 1, terms).is_admitted()
}

#[test]
fn of_two_spenders_one_has_the_last_token() {
    model(EVERY, || assert_eq!(admitted([100, 100], terms(10, 1), real), 1));
}

#[test]
fn a_clock_that_lags_gives_no_second_one() {
    model(EVERY, || assert_eq!(admitted([109, 100], terms(10, 1), real), 1));
}

#[test]
fn what_is_there_for_both_is_given_to_both() {
    model(EVERY, || assert_eq!(admitted([100, 100], terms(10, 2), real), 2));
}

#[test]
#[should_panic(expected = "left: 2")]
fn a_spend_must_be_a_compare_and_swap() {
    let torn = |word: &AtomicU64, now: u64, terms| {
        let copy = AtomicU64::new(word.load(Ordering::Relaxed));
        let yes = Rate::new(&copy).spend(now, 1, terms).is_admitted();
        word.store(copy.load(Ordering::Relaxed), Ordering::Relaxed);
        yes
    };
    model(EVERY, move || assert_eq!(admitted([100, 100], terms(10, 1), torn), 1));
}

/// Three spends by two threads, of which one checks first, as a request does.
#[test]
fn a_check_before_the_spend_changes_nothing() {
    model(EVERY, || {
        let word = word(0);
        let other = Arc::clone(&word);
        let terms = terms(10, 2);
        let other = thread::spawn(move || {
            let rate = Rate::new(&other);
            rate.check(100, 1, terms).is_admitted() && rate.spend(100, 1, terms).is_admitted()
        });
        let ours = [95, 100].map(|now| Rate::new(&word).spend(now, 1, terms).is_admitted());
        let sum = ours.into_iter().map(usize::from).sum::<usize>();
        assert_eq!(sum + usize::from(other.join().unwrap()), 2);
        // Both tokens and what refills of the first, if the clock that lags came first.
        assert!([115, 120].contains(&Rate::new(&word).full_at()));
    });
}
