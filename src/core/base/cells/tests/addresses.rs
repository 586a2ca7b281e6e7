//! Address permits: limits, a full set, two processes and one that is gone; against a plain count, and by threads.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use crate::base::cells::addresses::{AddressPermits, AddressPlace, AddressTaken};
use crate::base::cells::pages::Pages;
use crate::base::cells::{Cells, sync};
use crate::base::limits;

/// A key of this tag, of the set `at`.
fn key(at: u64, tag: u64) -> u64 {
    tag << 32 | at
}

/// One set of two entries.
struct Small([Box<[AtomicU64]>; 4]);

impl Small {
    fn new() -> Self {
        Self([2, 1, 1, 1].map(sync::zeroed))
    }

    fn view(&self, odd: bool) -> AddressPermits<'_, 2> {
        let [entries, overflow, marks, other] = &self.0;
        AddressPermits::new(Pages::new(entries, marks), Pages::new(overflow, other), 1, odd)
    }
}

fn place(taken: AddressTaken) -> AddressPlace {
    taken.place.expect("a permit")
}

#[test]
fn each_address_has_its_own_limit() {
    let cells = Cells::owned(0);
    let permits = cells.addresses();
    let held = [1, 1, 2].map(|tag| place(permits.take(key(5, tag), 2)));
    let refused = AddressTaken { place: None, shared: false };
    assert_eq!(permits.take(key(5, 1), 2), refused);
    assert_eq!(permits.open(), (3, 2));
    permits.release(held[0]);
    let again = permits.take(key(5, 1), 2);
    assert_eq!((again.place, again.shared), (Some(held[0]), false));
    // A limit that was lowered takes nothing back, and gives nothing.
    assert_eq!(permits.take(key(5, 1), 1), refused);
    for place in [held[1], held[2], place(again)] {
        permits.release(place);
    }
    assert_eq!(permits.open(), (0, 0));
}

#[test]
fn those_without_an_entry_share_a_count_that_weighs_on_all() {
    let small = Small::new();
    let permits = small.view(false);
    let held = [1, 2, 3, 4].map(|tag| permits.take(key(0, tag), 3));
    assert_eq!(held.map(|taken| taken.shared), [false, false, true, true]);
    let [one, _, three, four] = held.map(place);
    assert_eq!(three, four, "in the overflow");
    // One of its own and two of others: it may be that these are its own.
    assert_eq!(permits.take(key(0, 1), 3), AddressTaken { place: None, shared: true });
    assert_eq!(permits.open(), (4, 3));
    permits.release(three);
    let more = permits.take(key(0, 1), 3);
    assert!(more.shared && more.place == Some(one));
    permits.release(four);
    assert!(!permits.take(key(0, 1), 3).shared, "nobody is beside the entries any more");
}

#[test]
fn an_entry_of_which_none_is_taken_is_anybodys() {
    let small = Small::new();
    let permits = small.view(false);
    let [first, second] = [1, 2].map(|tag| place(permits.take(key(0, tag), 1)));
    permits.release(first);
    assert_eq!(place(permits.take(key(0, 3), 1)), first);
    permits.release(second);
    // What the first has taken in the overflow still counts once it has an entry.
    let fourth = place(permits.take(key(0, 4), 1));
    let beside = place(permits.take(key(0, 1), 1));
    permits.release(fourth);
    assert_eq!(permits.take(key(0, 1), 1), AddressTaken { place: None, shared: true });
    permits.release(beside);
    assert!(permits.take(key(0, 1), 1).place.is_some());
}

#[test]
fn what_a_process_that_is_gone_had_is_given_back() {
    let small = Small::new();
    let (old, new) = (small.view(false), small.view(true));
    for tag in [1, 1, 2, 3] {
        let _ = place(old.take(key(0, tag), 4));
    }
    let ours = place(new.take(key(0, 1), 4));
    assert_eq!(new.take(key(0, 1), 4).place, None, "both processes count, and the overflow");
    // It was killed with the lock.
    assert!(old.lock(0));
    assert_eq!(new.take(key(0, 5), 9), AddressTaken { place: None, shared: true });
    assert_eq!((new.forget(), new.forget()), (4, 0));
    assert_eq!(new.open(), (1, 1));
    let _ = place(new.take(key(0, 5), 1));
    new.release(ours);
    assert_eq!(new.open(), (1, 1));
}

#[test]
fn a_lock_of_the_living_stays() {
    let small = Small::new();
    let (old, new) = (small.view(false), small.view(true));
    assert!(new.lock(0));
    assert_eq!(new.forget(), 0);
    assert!(!old.lock(0));
    new.unlock(0);
    assert!(old.lock(0));
}

#[test]
fn a_field_that_is_full_lends_nothing() {
    let cells = Cells::owned(0);
    let permits = cells.addresses();
    for _ in 0..limits::CONNECTIONS_PER_ADDRESS_MAX {
        let _ = place(permits.take(key(0, 1), u64::MAX));
    }
    assert_eq!(permits.take(key(0, 1), u64::MAX).place, None);
    assert_eq!(permits.open(), (limits::CONNECTIONS_PER_ADDRESS_MAX, 1));
}

/// A million addresses: what does not fit in entries is counted all the same, and given back.
#[test]
fn a_million_addresses_are_counted_in_the_same_memory() {
    let cells = Cells::owned(0);
    let permits = cells.addresses();
    let addresses = if cfg!(miri) { 2_000 } else { 1_000_000 };
    let key = |address: u64| {
        let mut hasher = cells.hasher();
        hasher.word(address);
        hasher.key()
    };
    let places: Vec<_> = (0..addresses).map(|at| place(permits.take(key(at), 1_000))).collect();
    assert_eq!(permits.open().0, addresses);
    assert!(permits.open().1 <= AddressPlace::COUNT);
    places.into_iter().for_each(|place| permits.release(place));
    assert_eq!(permits.open(), (0, 0));
    assert!(!permits.take(key(7), 1).shared);
}

#[test]
fn threads_never_have_more_than_the_limit() {
    let small = Small::new();
    let held: [AtomicU64; 5] = Default::default();
    std::thread::scope(|scope| {
        for thread in 0..4_usize {
            let (small, held) = (&small, &held);
            scope.spawn(move || {
                let permits = small.view(thread % 2 == 1);
                for round in 0..if cfg!(miri) { 50 } else { 20_000 } {
                    let tag = (thread + round) % held.len();
                    let Some(place) = permits.take(key(0, tag as u64 + 1), 2).place else {
                        continue;
                    };
                    assert!(held[tag].fetch_add(1, Ordering::SeqCst) < 2, "more than the limit");
                    held[tag].fetch_sub(1, Ordering::SeqCst);
                    permits.release(place);
                }
            });
        }
    });
    assert_eq!(small.view(false).open(), (0, 0));
}

proptest! {
    /// Whatever comes and goes: no address above its limit, none refused below it while entries suffice, nothing lost.
    #[test]
    fn like_a_plain_count(steps in prop::collection::vec((1_u64..5, any::<bool>(), any::<bool>()), 0..200)) {
        let small = Small::new();
        let mut held: HashMap<u64, Vec<(bool, AddressPlace)>> = HashMap::new();
        for (tag, odd, comes) in steps {
            let own = held.entry(tag).or_default();
            if comes {
                let taken = small.view(odd).take(key(0, tag), 3);
                prop_assert!(taken.place.is_none() || own.len() < 3);
                prop_assert!(taken.place.is_some() || taken.shared || own.len() >= 3);
                own.extend(taken.place.map(|place| (odd, place)));
            } else if let Some((odd, place)) = own.pop() {
                small.view(odd).release(place);
            }
            let all = held.values().map(|held| held.len() as u64).sum::<u64>();
            prop_assert_eq!(small.view(false).open().0, all);
        }
    }
}
