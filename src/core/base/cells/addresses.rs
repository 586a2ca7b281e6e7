//! Address permits: how many connections are open of each address, of any number of addresses, in fixed memory.
//!
//! A key is a keyed hash of an address ([`bucket`](super::bucket)). It says which set the address is in: one line of eight entries, a word
//! each. Beside the sets, elsewhere, each has a word of *overflow*, which counts all that have no entry, together.
//!
//! ```text
//! entry      bits  0..16  taken by even epochs    16..32  by odd epochs    32..64  tag: half of the key, never 0
//! overflow   bits  0..30  taken by even epochs    30..60  by odd epochs    62  parity of who has locked it    63  locked
//! ```
//!
//! Who finds the entry of his address takes there, by one compare-and-swap. Who does not find it locks the overflow, looks again, and claims
//! an entry of which none is taken, or, where there is no such entry, takes in the overflow. What is taken is given back where it was taken.
//! Whoever takes in an entry adds what the overflow says to what the entry says: it may be of the same address.
//!
//! # Proof: under one limit no address has more than that, for any interleaving
//!
//! **I1. At most one entry of a set has a tag.** A tag is written by who holds the lock alone, after he has looked for it under the lock
//! (`Acquire`), so he has seen all that were written under it before (`Release`). It is written by the same swap that takes the first.
//!
//! **I2. A tag stands still while anything is taken under it.** A claim swaps from a word of which nothing is taken, exactly that word
//! (fact 1 of the [page of proof](super)). So who takes in an entry takes under the tag that he read: both are one word.
//!
//! **I3. While an address has something in its entry, nothing is taken of it in the overflow.** Who takes there holds the lock and has found
//! no entry. One that there was before was claimed away under the lock, at none taken (I2), and none comes while he holds it.
//!
//! Let some permits of an address be held at one moment, and look at the last of them that was taken.
//!
//! - *It was taken in the entry.* Those that are held in the entry were all taken before it in the order of that word, and are not given
//!   back: the word that it swapped in counts all of them. Those that are held in the overflow were taken before the entry was
//!   claimed (I3: since then something was taken in the entry, or another would have claimed it, and the claim after that is the one
//!   meant). The claimer had the lock after them, so his write to the overflow comes behind theirs; our swap acquires his claim (fact 3), and
//!   our reading of the overflow, which comes after the swap, is not older than that (fact 2). So it counts them. The sum of both was
//!   within the limit, or the permit was given back at once.
//! - *It was taken in the overflow.* Nothing is held in an entry then (I3), and the swap has seen all that is held in the overflow. ∎
//!
//! *Nobody is refused below the limit* as long as the overflow of his set counts none: then his entry counts his own alone, and what was
//! taken to be given back at once is found there only where the overflow counts some. Where all eight entries are in use those without
//! one share a count, and those with one have it added to theirs: that refuses too many, never too few, and is told (`shared`).
//! Two addresses of one key share their count always: 48 bits of a keyed hash, so once in 2^48 pairs, and nobody can choose them.
//!
//! *Each half is what its process holds*: a take adds one to its process' own field, a release takes one off, wherever it was taken, by one
//! read-modify-write each. A take that would carry into another field fails.
//!
//! # What a process that dies leaves behind
//!
//! Every change is one write to one word (fact 4): its fields are what it had taken and not given back, and [`forget`](AddressPermits::forget)
//! empties them. Killed with the lock, it leaves the lock alone, which is found by its parity and taken off: I1 to I3 hold at each
//! step of who holds it. Killed between a take and giving it back at once, it has one more in its fields, which are emptied.
//!
//! # A lock that is not free
//!
//! It is held for some tens of instructions, by who finds no entry alone. Who finds it locked tries again a bounded number of times and is
//! then refused: what cannot be decided fails closed.
//!
//! # Obligations of the callers
//!
//! - Each place that was given is given back once, by the same process, also where a future is dropped or panics.
//! - `forget` only when the process of the other epoch is gone; one thread at a time.

use super::layout::ADDRESSES_OF_SET;
use super::pages::Pages;
use super::sync::{self, AtomicU64, Ordering};
use crate::base::limits;

/// Models try every way in which others hold it.
const TRIES: usize = if cfg!(all(test, loom)) { 2 } else { limits::LOCK_TRIES };

/// Bits of a count in an entry, and in the overflow.
const ENTRY_BITS: u32 = 16;
const OVERFLOW_BITS: u32 = 30;
const TAG_AT: u32 = 2 * ENTRY_BITS;
const ODD: u64 = 1 << 62;
const LOCKED: u64 = 1 << 63;

/// What the bits mean, for the layout.
pub(super) const MASKS: [u64; 4] = [(1 << ENTRY_BITS) - 1, (1 << OVERFLOW_BITS) - 1, LOCKED, ODD];

/// The permits of a host's addresses, as the process of one parity of epochs has them.
#[derive(Debug, Clone, Copy)]
pub struct AddressPermits<'a, const N: usize = ADDRESSES_OF_SET> {
    entries: Pages<'a>,
    overflow: Pages<'a>,
    sets: usize,
    odd: bool,
}

/// Where a permit was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "what was taken must be given back"]
pub struct AddressPlace(u32);

impl AddressPlace {
    /// How many there are in the host's table.
    pub const COUNT: usize =
        limits::CONNECTION_ADDRESSES + limits::CONNECTION_ADDRESSES / ADDRESSES_OF_SET;

    /// Its number, below [`COUNT`](Self::COUNT).
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The place of this number.
    pub const fn at(index: usize) -> Self {
        Self(index as u32)
    }
}

/// What becomes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressTaken {
    /// Where its permit was taken; `None`: its address has as many as it may.
    pub place: Option<AddressPlace>,
    /// Whether others had a part in that: more addresses than entries are in use where this one is.
    pub shared: bool,
}

impl AddressTaken {
    const fn refused(shared: bool) -> Self {
        Self { place: None, shared }
    }
}

/// The fields of a word, of so many bits each, and how many are taken by both processes.
fn taken(word: u64, bits: u32) -> u64 {
    field(word, bits, false) + field(word, bits, true)
}

fn field(word: u64, bits: u32, odd: bool) -> u64 {
    word >> shift(bits, odd) & ((1 << bits) - 1)
}

const fn shift(bits: u32, odd: bool) -> u32 {
    if odd { bits } else { 0 }
}

impl<'a, const N: usize> AddressPermits<'a, N> {
    /// The view of so many sets, a power of two of them, of `N` entries each, and of as many words of overflow.
    pub(super) fn new(entries: Pages<'a>, overflow: Pages<'a>, sets: usize, odd: bool) -> Self {
        debug_assert!(sets.is_power_of_two());
        Self { entries, overflow, sets, odd }
    }

    /// Takes a permit of the address of a key, of at most `limit`.
    pub fn take(self, key: u64, limit: u64) -> AddressTaken {
        let at = key as usize & (self.sets - 1);
        let tag = (key >> 32).max(1);
        let found = self.find(at, tag).and_then(|entry| self.step(at, entry, tag, limit));
        found.unwrap_or_else(|| self.take_beside(at, tag, limit))
    }

    /// Gives back what was taken at a place.
    pub fn release(self, place: AddressPlace) {
        let at = place.index();
        let (word, bits) = match at.checked_sub(self.sets * N) {
            None => (self.entries.word(at), ENTRY_BITS),
            Some(set) => (self.overflow.word(set), OVERFLOW_BITS),
        };
        let before = word.fetch_update(Ordering::Release, Ordering::Relaxed, |word| {
            (field(word, bits, self.odd) > 0).then(|| word - (1 << shift(bits, self.odd)))
        });
        debug_assert!(before.is_ok(), "more given back than taken");
    }

    /// How many connections of how many addresses are counted; those of the overflow as one address a set.
    pub fn open(self) -> (u64, usize) {
        let count = |pages: Pages<'a>, bits| {
            let words = pages.used().flat_map(|(_, words)| words);
            let counts = words.map(move |word| taken(word.load(Ordering::Relaxed), bits));
            counts.filter(|count| *count > 0).fold((0, 0), |(all, of), count| (all + count, of + 1))
        };
        let (entries, overflow) =
            (count(self.entries, ENTRY_BITS), count(self.overflow, OVERFLOW_BITS));
        (entries.0 + overflow.0, entries.1 + overflow.1)
    }

    /// Empties the fields of the other process, which is gone, and takes its locks off; says how many it had. Idempotent.
    pub(super) fn forget(self) -> u64 {
        let odd = !self.odd;
        let clear = |pages: Pages<'a>, bits: u32| {
            let words = pages.used().flat_map(|(_, words)| words);
            let fields = ((1 << bits) - 1) << shift(bits, odd);
            let had =
                |word: &AtomicU64| field(word.fetch_and(!fields, Ordering::AcqRel), bits, odd);
            words.map(had).sum::<u64>()
        };
        let had = clear(self.entries, ENTRY_BITS) + clear(self.overflow, OVERFLOW_BITS);
        for word in self.overflow.used().flat_map(|(_, words)| words) {
            if word.load(Ordering::Acquire) & (LOCKED | ODD) == lock(odd) {
                word.fetch_and(!(LOCKED | ODD), Ordering::Release);
            }
        }
        had
    }

    fn find(self, at: usize, tag: u64) -> Option<usize> {
        (at * N..at * N + N)
            .find(|entry| self.entries.word(*entry).load(Ordering::Acquire) >> TAG_AT == tag)
    }

    /// Takes in an entry; `None`: it is another's by now.
    fn step(self, at: usize, entry: usize, tag: u64, limit: u64) -> Option<AddressTaken> {
        let word = self.entries.word(entry);
        let mut now = word.load(Ordering::Acquire);
        let before = loop {
            if now >> TAG_AT != tag {
                return None;
            }
            let Some(next) = self.more(now, ENTRY_BITS, limit) else {
                return Some(AddressTaken::refused(false));
            };
            match word.compare_exchange_weak(now, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(before) => break before,
                Err(found) => now = found,
            }
        };
        Some(self.settle(at, entry, taken(before, ENTRY_BITS) + 1, limit))
    }

    /// What was taken in an entry, which then counted so many, stays taken if that and what the overflow says are within the limit.
    fn settle(self, at: usize, entry: usize, count: u64, limit: u64) -> AddressTaken {
        let beside = taken(self.overflow.word(at).load(Ordering::Acquire), OVERFLOW_BITS);
        let place = AddressPlace::at(entry);
        if count + beside > limit {
            self.release(place);
            return AddressTaken::refused(true);
        }
        AddressTaken { place: Some(place), shared: beside > 0 }
    }

    /// Takes for an address that has no entry.
    #[cold]
    fn take_beside(self, at: usize, tag: u64, limit: u64) -> AddressTaken {
        if !self.lock(at) {
            return AddressTaken::refused(true);
        }
        let taken = self.take_locked(at, tag, limit);
        self.unlock(at);
        taken
    }

    /// The same under the lock.
    fn take_locked(self, at: usize, tag: u64, limit: u64) -> AddressTaken {
        let found = self.find(at, tag).and_then(|entry| self.step(at, entry, tag, limit));
        if let Some(taken) = found {
            return taken;
        }
        if let Some(entry) = self.claim(at, tag) {
            return self.settle(at, entry, 1, limit);
        }
        let place = AddressPlace::at(self.sets * N + at);
        let change = |word| self.more(word, OVERFLOW_BITS, limit);
        let word = self.overflow.word(at);
        let taken = word.fetch_update(Ordering::AcqRel, Ordering::Relaxed, change).is_ok();
        AddressTaken { place: taken.then_some(place), shared: true }
    }

    /// Claims an entry of the set of which nothing is taken, with one taken. For who holds the lock.
    pub(super) fn claim(self, at: usize, tag: u64) -> Option<usize> {
        (at * N..at * N + N).find(|entry| {
            let word = self.entries.word(*entry);
            let now = word.load(Ordering::Relaxed);
            if taken(now, ENTRY_BITS) > 0 {
                return false;
            }
            if now == 0 {
                self.entries.mark(*entry);
            }
            let ours = tag << TAG_AT | 1 << shift(ENTRY_BITS, self.odd);
            // Else somebody has taken there, and the next one is as good.
            word.compare_exchange(now, ours, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        })
    }

    /// The word with one more in this process' field, if it stays within the limit.
    fn more(self, word: u64, bits: u32, limit: u64) -> Option<u64> {
        let room = field(word, bits, self.odd) < (1 << bits) - 1;
        (taken(word, bits) < limit && room).then(|| word + (1 << shift(bits, self.odd)))
    }

    pub(super) fn lock(self, at: usize) -> bool {
        let word = self.overflow.word(at);
        for _ in 0..TRIES {
            let now = word.load(Ordering::Relaxed);
            if now & LOCKED == 0 {
                if now == 0 {
                    self.overflow.mark(at);
                }
                let held = now | lock(self.odd);
                let (taken, not) = (Ordering::AcqRel, Ordering::Relaxed);
                if word.compare_exchange_weak(now, held, taken, not).is_ok() {
                    return true;
                }
            }
            sync::relax();
        }
        false
    }

    pub(super) fn unlock(self, at: usize) {
        self.overflow.word(at).fetch_and(!(LOCKED | ODD), Ordering::Release);
    }
}

const fn lock(odd: bool) -> u64 {
    if odd { LOCKED | ODD } else { LOCKED }
}

const _: () = assert!(limits::CONNECTIONS_PER_ADDRESS_MAX < (1 << ENTRY_BITS));
