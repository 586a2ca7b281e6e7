//! Verdicts by examples; what happens between threads is modelled.

use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use crate::base::cells::{Mark, Verdict};

fn begun(word: &AtomicU64, generation: u16) -> Verdict<'_> {
    let verdict = Verdict::new(word);
    verdict.begin(generation).unwrap();
    verdict
}

#[test]
fn marks_stand_against_a_pick_until_they_are_cleared() {
    let word = AtomicU64::new(0);
    let verdict = begun(&word, 5);
    assert!(verdict.load().takes_requests(5));
    assert!(!verdict.load().takes_requests(4) && !verdict.load().takes_requests(6));
    for mark in [Mark::Draining, Mark::Down] {
        assert!(!verdict.mark(5, mark).unwrap().has(mark), "it is news");
        assert!(verdict.mark(5, mark).unwrap().has(mark), "it is none");
        assert!(!verdict.load().takes_requests(5));
    }
    verdict.clear(5, Mark::Down).unwrap();
    assert!(!verdict.load().takes_requests(5), "it drains");
    verdict.clear(5, Mark::Draining).unwrap();
    assert!(verdict.load().takes_requests(5));
}

#[test]
fn what_is_gone_never_comes_back_under_its_generation() {
    let word = AtomicU64::new(0);
    let verdict = begun(&word, 5);
    assert!(!verdict.remove(5).unwrap().is_gone());
    assert!(verdict.remove(5).unwrap().is_gone(), "idempotent");
    for mark in [Mark::Draining, Mark::Down] {
        verdict.mark(5, mark).unwrap();
        verdict.clear(5, mark).unwrap();
    }
    assert!(verdict.load().is_gone() && !verdict.load().takes_requests(5));
    assert!(verdict.load().takes_first_requests(5) && !verdict.load().takes_first_requests(4));
    verdict.mark(5, Mark::Draining).unwrap();
    assert!(!verdict.load().takes_first_requests(5), "it drains");
    assert!(verdict.begin(5).is_err(), "the generation is used up");
    verdict.begin(6).unwrap();
    assert!(!verdict.load().takes_requests(5) && verdict.load().takes_requests(6));
}

#[test]
fn a_slot_in_use_does_not_begin_and_none_begins_with_generation_0() {
    let word = AtomicU64::new(0);
    assert!(Verdict::new(&word).begin(0).is_err());
    let verdict = begun(&word, 1);
    assert_eq!(verdict.begin(2).unwrap_err(), verdict.load());
    assert!(verdict.load().takes_requests(1));
    verdict.remove(1).unwrap();
    assert!(verdict.begin(0).is_err());
}

#[test]
fn who_means_another_generation_writes_nothing() {
    let word = AtomicU64::new(0);
    let verdict = begun(&word, 6);
    let before = word.load(Ordering::Relaxed);
    for generation in [0, 5, 7] {
        let now = Err(verdict.load());
        assert_eq!(verdict.mark(generation, Mark::Down), now);
        assert_eq!(verdict.clear(generation, Mark::Down), now);
        assert_eq!(verdict.remove(generation), now);
    }
    assert_eq!(word.load(Ordering::Relaxed), before);
}

#[test]
fn generations_pass_over_0() {
    let word = AtomicU64::new(0);
    assert_eq!(Verdict::new(&word).load().next_generation(), 1);
    let verdict = begun(&word, u16::MAX);
    assert_eq!(verdict.load().next_generation(), 1);
    verdict.remove(u16::MAX).unwrap();
    verdict.begin(1).unwrap();
    assert!(verdict.load().takes_requests(1));
}

proptest! {
    /// Weight and failures say nothing about a pick and outlive marks; all else stands against it.
    #[test]
    fn a_pick_reads_generation_state_and_breaker(bits: u64, asked: u16) {
        let word = AtomicU64::new(bits);
        let verdict = Verdict::new(&word);
        let generation = (bits >> 48) as u16;
        prop_assert_eq!(verdict.load().generation(), generation);
        prop_assert_eq!(
            verdict.load().takes_requests(asked),
            asked == generation && bits & 0xFFFF == 0
        );
        verdict.mark(generation, Mark::Draining).unwrap();
        verdict.mark(generation, Mark::Down).unwrap();
        prop_assert_eq!(word.load(Ordering::Relaxed), bits | 0b110);
        verdict.clear(generation, Mark::Draining).unwrap();
        verdict.clear(generation, Mark::Down).unwrap();
        prop_assert_eq!(word.load(Ordering::Relaxed), bits & !0b110);
    }
}
