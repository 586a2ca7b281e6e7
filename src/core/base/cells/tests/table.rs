//! The table: what is written, what is taken over, what is refused.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::base::cells::{Cells, LAYOUT, LayoutMismatch};
use crate::base::ids::{InstanceSlot, ServiceId};

const SLOTS: usize = 3;

fn zeroed(words: usize) -> &'static [AtomicU64] {
    Box::leak(crate::base::zeroed::boxed(words))
}

fn made() -> (Cells, &'static [AtomicU64]) {
    let words = zeroed(Cells::words(SLOTS));
    (Cells::create(words, [3, 4]).unwrap(), words)
}

#[test]
fn a_table_that_was_made_can_be_adopted_and_is_the_same() {
    let (ours, words) = made();
    let theirs = Cells::adopt(words).unwrap();
    assert_eq!((ours.instances(), theirs.instances()), (SLOTS, SLOTS));
    ours.verdict(InstanceSlot(2)).begin(7).unwrap();
    assert!(theirs.verdict(InstanceSlot(2)).load().takes_requests(7));
    let untouched = [0, 1].map(|slot| theirs.verdict(InstanceSlot(slot)).load().generation());
    assert_eq!(untouched, [0, 0]);
}

#[test]
fn adopting_writes_nothing() {
    let (ours, words) = made();
    ours.verdict(InstanceSlot(0)).begin(7).unwrap();
    let before: Vec<_> = words.iter().map(|word| word.load(Ordering::Relaxed)).collect();
    Cells::adopt(words).unwrap();
    let after: Vec<_> = words.iter().map(|word| word.load(Ordering::Relaxed)).collect();
    assert_eq!(before, after);
}

#[test]
fn clones_share_an_owned_table() {
    let one = Cells::owned(SLOTS);
    let other = one.clone();
    one.verdict(InstanceSlot(1)).begin(1).unwrap();
    assert!(other.verdict(InstanceSlot(1)).load().takes_requests(1));
    assert_eq!(format!("{one:?}"), "Cells { instances: 3, .. }");
}

/// What `change` does to a table that was made makes it this mismatch.
#[track_caller]
fn refused(change: impl Fn(&[AtomicU64]), expected: LayoutMismatch) {
    let (_, words) = made();
    change(words);
    let mismatch = Cells::adopt(words).unwrap_err();
    assert_eq!(mismatch, expected);
    assert!(mismatch.to_string().contains("expected") || mismatch.to_string().contains("begins"));
}

#[test]
fn another_layout_or_capacity_is_refused() {
    let set =
        |at: usize, value| move |words: &[AtomicU64]| words[at].store(value, Ordering::Relaxed);
    refused(set(0, 0), LayoutMismatch::Magic { found: 0 });
    refused(set(1, LAYOUT ^ 1), LayoutMismatch::Layout { found: LAYOUT ^ 1 });
    refused(set(2, 4), LayoutMismatch::Capacity { stated: 4, found: SLOTS });
    refused(set(2, u64::MAX), LayoutMismatch::Capacity { stated: u64::MAX, found: SLOTS });
}

#[test]
fn a_zeroed_or_a_short_table_is_refused() {
    let least = Cells::words(0);
    assert_eq!(Cells::adopt(zeroed(least)).unwrap_err(), LayoutMismatch::Magic { found: 0 });
    for words in [0, 1, least - 1] {
        let short = LayoutMismatch::Short { words };
        assert_eq!(Cells::adopt(zeroed(words)).unwrap_err(), short);
        assert_eq!(Cells::create(zeroed(words), [3, 4]).unwrap_err(), short);
    }
    assert_eq!(Cells::create(zeroed(least), [3, 4]).unwrap().instances(), 0);
}

#[test]
fn every_service_has_a_word_and_no_other_view_has_it() {
    let (ours, words) = made();
    let theirs = Cells::adopt(words).unwrap();
    let (first, last) = (ServiceId(0), ServiceId(u16::MAX));
    assert!(ours.ejections(first).take(1, 1) && ours.ejections(last).take(2, 2));
    let taken = [first, ServiceId(1), last].map(|service| theirs.ejections(service).taken());
    assert_eq!(taken, [1, 0, 2]);
    let verdicts = [0, 1, 2].map(|slot| theirs.verdict(InstanceSlot(slot)).load().generation());
    assert_eq!(verdicts, [0, 0, 0]);
    assert_eq!(words.iter().filter(|word| word.load(Ordering::Relaxed) != 0).count(), 7);
}
