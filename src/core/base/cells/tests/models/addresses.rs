//! Address permits: one or two entries, two addresses, and what may come between the steps.

use std::sync::Arc;

use loom::sync::atomic::AtomicU64;
use loom::thread;

use super::{EVERY, THREE, model};
use crate::base::cells::addresses::{AddressPermits, AddressPlace};
use crate::base::cells::pages::Pages;

/// One set of so many entries.
struct Table<const N: usize> {
    entries: [AtomicU64; N],
    rest: [[AtomicU64; 1]; 3],
}

impl<const N: usize> Table<N> {
    fn new() -> Arc<Self> {
        let word = || AtomicU64::new(0);
        Arc::new(Self {
            entries: std::array::from_fn(|_| word()),
            rest: [[word()], [word()], [word()]],
        })
    }

    fn view(&self) -> AddressPermits<'_, N> {
        let [overflow, marks, other] = &self.rest;
        AddressPermits::new(Pages::new(&self.entries, marks), Pages::new(overflow, other), 1, false)
    }

    fn take(&self, tag: u64, limit: u64) -> Option<AddressPlace> {
        self.view().take(tag << 32, limit).place
    }
}

const A: u64 = 1;
const B: u64 = 2;

/// Two threads begin one address at once, of at most one, where one of two entries is given back meanwhile: one of them succeeds at most.
fn two_begin(take: fn(&Table<2>) -> bool) {
    model(THREE, move || {
        let table = Table::new();
        let held = table.take(B, 1).unwrap();
        let others = [Arc::clone(&table), Arc::clone(&table)];
        let [first, second] = others;
        let other = thread::spawn(move || take(&first));
        let gone = thread::spawn(move || second.view().release(held));
        let ours = take(&table);
        let theirs = other.join().unwrap();
        gone.join().unwrap();
        assert!(!(ours && theirs), "more than the limit");
    });
}

#[test]
fn one_address_has_one_entry() {
    two_begin(|table| table.take(A, 1).is_some());
}

#[test]
#[should_panic(expected = "more than the limit")]
fn an_entry_must_be_claimed_under_the_lock() {
    two_begin(|table| {
        let view = table.view();
        let free = |entry: &AtomicU64| entry.load(loom::sync::atomic::Ordering::Acquire) >> 32 != A;
        table.entries.iter().all(free) && view.claim(0, A).is_some()
    });
}

/// A has one in the overflow, of at most one; the entry becomes free, and A comes twice more.
fn beside(take: fn(&Table<1>) -> bool) {
    model(EVERY, move || {
        let table = Table::new();
        let held = table.take(B, 1).unwrap();
        let other = Arc::clone(&table);
        let theirs = thread::spawn(move || other.take(A, 1).is_some());
        table.view().release(held);
        let ours = take(&table);
        assert!(!(theirs.join().unwrap() && ours), "more than the limit");
    });
}

#[test]
fn what_is_in_the_overflow_counts() {
    beside(|table| table.take(A, 1).is_some());
}

#[test]
#[should_panic(expected = "more than the limit")]
fn the_overflow_must_be_added() {
    beside(|table| {
        let view = table.view();
        let free = table.entries[0].load(loom::sync::atomic::Ordering::Acquire) >> 32 != A;
        let claimed = free && view.lock(0) && {
            let claimed = view.claim(0, A).is_some();
            view.unlock(0);
            claimed
        };
        claimed
    });
}

/// Two take and give back: nothing stays, whoever met whom.
#[test]
fn nothing_is_lost() {
    model(EVERY, || {
        let table = Table::<1>::new();
        let other = Arc::clone(&table);
        let step = |table: &Table<1>, tag| {
            if let Some(place) = table.take(tag, 2) {
                table.view().release(place);
            }
        };
        let theirs = thread::spawn(move || step(&other, A));
        step(&table, B);
        theirs.join().unwrap();
        assert_eq!(table.view().open(), (0, 0));
    });
}
