//! Keys: two keys and one entry, or one key and two entries, with everything that may come between the steps.

use std::sync::Arc;

use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

use super::{EVERY, THREE, model};
use crate::base::cells::Terms;
use crate::base::cells::keys::{Entry, KeyTable, Lock, Words};
use crate::base::cells::pages::Pages;

/// One set of so many entries.
struct Table<const N: usize> {
    sets: [[Words; N]; 1],
    overflow: [AtomicU64; 1],
    marks: [AtomicU64; 1],
}

impl<const N: usize> Table<N> {
    fn new() -> Arc<Self> {
        let word = || AtomicU64::new(0);
        let entry = || [word(), word()];
        Arc::new(Self {
            sets: [std::array::from_fn(|_| entry())],
            overflow: [word()],
            marks: [word()],
        })
    }

    fn pages(&self) -> Pages<'_> {
        Pages::new(&self.overflow, &self.marks)
    }

    fn keys(&self) -> KeyTable<'_, N> {
        KeyTable::new(&self.sets, self.pages(), false)
    }

    fn entry(&self) -> Entry<'_> {
        Entry::new(&self.sets[0][0])
    }
}

/// Two keys.
const A: u64 = 1;
const B: u64 = 2;

fn terms(burst: u64) -> Terms {
    Terms::new(10.try_into().unwrap(), burst)
}

fn spend<const N: usize>(table: &Table<N>, key: u64, now: u64, burst: u64) -> bool {
    table.keys().spend(key, 1, terms(burst), || now).decision.is_admitted()
}

/// Runs two steps at once, either of them in this thread: loom remembers of each word the last access alone, so where both read it before
/// one writes, what it tries depends on who began.
fn both<const N: usize>(
    table: &Arc<Table<N>>,
    swapped: bool,
    first: impl Fn(&Table<N>) -> bool + Send + 'static,
    second: impl Fn(&Table<N>) -> bool + Send + 'static,
) -> (bool, bool) {
    let other = Arc::clone(table);
    if swapped {
        let other = thread::spawn(move || second(&other));
        (first(table), other.join().unwrap())
    } else {
        let other = thread::spawn(move || first(&other));
        let ours = second(table);
        (other.join().unwrap(), ours)
    }
}

/// A has spent all of its burst of one at 100 and has the entry until 110. B comes at 110, whose clock shows that the entry is free; A comes too, whose
/// clock may lag. Of A's spends since, at most one is admitted, and none before 110.
fn claim_against_spend(claim: fn(&Table<1>)) {
    for (lag, swapped) in [(0, false), (5, false), (0, true), (5, true)] {
        model(EVERY, move || {
            let table = Table::new();
            assert!(spend(&table, A, 100, 1));
            let claim = move |table: &Table<1>| {
                claim(table);
                false
            };
            let first =
                both(&table, swapped, claim, move |table: &Table<1>| spend(table, A, 110 - lag, 1))
                    .1;
            let second = spend(&table, A, 112 - lag, 1);
            assert!(lag == 0 || !first && !second, "forgotten by the claim");
            assert!(!(first && second), "forgotten by the claim");
        });
    }
}

#[test]
fn a_claim_forgets_nothing_that_is_spent_meanwhile() {
    claim_against_spend(|table| {
        let _ = spend(table, B, 110, 1);
    });
}

#[test]
#[should_panic(expected = "forgotten by the claim")]
fn the_overflow_must_be_raised_to_what_was_found() {
    claim_against_spend(|table| {
        let Some(lock) = Lock::take(table.pages(), 0, false) else { return };
        if table.entry().claim(110) {
            table.entry().publish(B, 120);
        }
        let time = lock.time();
        lock.release(time);
    });
}

#[test]
#[should_panic(expected = "forgotten by the claim")]
fn a_claim_must_mark_the_entry_before_the_tag() {
    claim_against_spend(|table| {
        let Some(lock) = Lock::take(table.pages(), 0, false) else { return };
        // The tag first, and the time whatever it is by then.
        let [tag, time] = &table.sets[0][0];
        if time.load(Ordering::Acquire) <= 110 {
            tag.store(B, Ordering::Release);
            time.store(120, Ordering::Release);
        }
        lock.release(110);
    });
}

/// A has an entry that has been full since 110. A spends at 130 while B claims at 120 and spends up to what A may have seen: what A spends is A's.
fn tag_against_time(spend_a: fn(&Table<1>) -> bool) {
    for swapped in [false, true] {
        model(EVERY, move || {
            let table = Table::new();
            assert!(spend(&table, A, 100, 1));
            let spend_b = |table: &Table<1>| spend(table, B, 120, 1);
            let (theirs, ours) = both(&table, swapped, spend_b, spend_a);
            // One that was charged to the other is there for him to spend again.
            let again = spend(&table, A, 130, 1);
            assert!(!(ours && again), "charged to another key");
            assert!(theirs, "charged with another's");
        });
    }
}

#[test]
fn who_spends_in_an_entry_spends_for_its_key() {
    tag_against_time(|table| spend(table, A, 130, 1));
}

#[test]
#[should_panic(expected = "to another key")]
fn the_tag_must_be_read_after_the_time() {
    tag_against_time(|table| {
        let [tag, time] = &table.sets[0][0];
        if tag.load(Ordering::Acquire) != A {
            return spend(table, A, 130, 1);
        }
        let found = time.load(Ordering::Acquire);
        found >> 63 == 0
            && found <= 130
            && time.compare_exchange(found, 140, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    });
}

/// Two threads spend for a key that has no entry, of which two are free.
fn two_inserters(insert: fn(&Table<2>) -> bool) {
    model(EVERY, move || {
        let table = Table::new();
        let other = Arc::clone(&table);
        let other = thread::spawn(move || insert(&other));
        let ours = insert(&table);
        let sum = u8::from(ours) + u8::from(other.join().unwrap());
        assert!(sum <= 1, "the burst of one twice");
        assert!(sum == 1, "none at all");
        let tags = table.sets[0].iter().filter(|[tag, _]| tag.load(Ordering::Relaxed) == A);
        assert_eq!(tags.count(), 1);
    });
}

#[test]
fn of_two_inserters_of_one_key_one_has_the_last_token() {
    two_inserters(|table| spend(table, A, 100, 1));
}

#[test]
#[should_panic(expected = "the burst of one twice")]
fn an_inserter_must_look_again_under_the_lock() {
    two_inserters(|table| {
        let found = table.sets[0].iter().any(|[tag, _]| tag.load(Ordering::Relaxed) == A);
        if found {
            return spend(table, A, 100, 1);
        }
        let Some(lock) = Lock::take(table.pages(), 0, false) else { return false };
        let free = table.sets[0].iter().map(Entry::new).find(|entry| entry.claim(0));
        free.inspect(|entry| entry.publish(A, 110));
        let time = lock.time();
        lock.release(time);
        free.is_some()
    });
}

#[test]
#[should_panic(expected = "the burst of one twice")]
fn an_inserter_must_have_the_lock() {
    two_inserters(|table| {
        let found = table.sets[0].iter().any(|[tag, _]| tag.load(Ordering::Relaxed) == A);
        if found {
            return spend(table, A, 100, 1);
        }
        let free = table.sets[0].iter().map(Entry::new).find(|entry| entry.claim(0));
        free.inspect(|entry| entry.publish(A, 110));
        free.is_some()
    });
}

/// B has the one entry until 110. A spends beside it at 109, by one thread, and in it at 110, by another: its burst of one lasts until 119.
fn overflow_against_claim(beside: fn(&Table<1>) -> bool) {
    for swapped in [false, true] {
        model(EVERY, move || {
            let table = Table::new();
            assert!(spend(&table, B, 100, 1));
            let (ours, theirs) =
                both(&table, swapped, |table: &Table<1>| spend(table, A, 110, 1), beside);
            assert!(!(ours && theirs), "spent in the overflow and forgotten");
            assert!(ours || theirs, "none at all");
            assert!(!spend(&table, A, 118, 1), "spent in the overflow and forgotten");
        });
    }
}

#[test]
fn a_claim_remembers_what_was_spent_in_the_overflow() {
    overflow_against_claim(|table| spend(table, A, 109, 1));
}

#[test]
#[should_panic(expected = "spent in the overflow and forgotten")]
fn the_overflow_must_be_spent_from_under_the_lock() {
    overflow_against_claim(|table| {
        let [overflow] = &table.overflow;
        let found = overflow.load(Ordering::Acquire);
        let time = found & (u64::MAX >> 2);
        let after = found - time + 119;
        time <= 109
            && overflow.compare_exchange(found, after, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    });
}

/// Two workers lease slabs of two of a bucket of three.
fn leases(lease: fn(&Table<1>) -> u64) {
    model(EVERY, move || {
        let table = Table::new();
        assert!(spend(&table, A, 100, 4));
        let other = Arc::clone(&table);
        let other = thread::spawn(move || lease(&other));
        let ours = lease(&table);
        let sum = ours + other.join().unwrap();
        assert_eq!(sum, 3, "not what there was");
    });
}

#[test]
fn slabs_are_what_there_was() {
    leases(|table| table.keys().lease(A, (2, 1), terms(4), || 100).1);
}

#[test]
#[should_panic(expected = "not what there was")]
fn a_slab_must_be_taken_by_the_swap_that_saw_it() {
    leases(|table| {
        let drawn = table.keys().check(A, 100, 2, terms(4));
        let slab = if drawn.decision.is_admitted() { 2 } else { 1 };
        // Whatever became of it since.
        let _ = table.keys().owe(A, slab, terms(4), 100);
        slab
    });
}

/// A process is killed in the act of giving A's entry to B; another thread takes its lock off while A spends on.
#[test]
fn who_was_killed_with_the_lock_leaves_nothing_to_spend_twice() {
    for published in [false, true] {
        model(THREE, move || {
            let table = Table::<1>::new();
            assert!(spend(&table, A, 100, 1));
            let dying = Arc::clone(&table);
            let dying = thread::spawn(move || {
                let Some(lock) = Lock::take(dying.pages(), 0, true) else { return };
                if dying.entry().claim(110) && published {
                    lock.raise(110);
                    dying.entry().publish(B, 120);
                }
            });
            let first = spend(&table, A, 110, 1);
            dying.join().unwrap();
            table.keys().forget();
            assert!(!spend(&table, A, 109, 1), "forgotten by the dead");
            let second = spend(&table, A, 119, 1);
            assert!(!(first && second), "forgotten by the dead");
            // Nobody has the lock any more.
            assert!(spend(&table, A, 140, 1) && spend(&table, B, 200, 1));
        });
    }
}
