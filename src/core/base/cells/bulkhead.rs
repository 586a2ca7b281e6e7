//! Bulkheads: how many requests of a service, or to an instance, are in flight on this host, and how many wait for that.
//!
//! ```text
//!  63        54 53        44 43                  22 21                   0
//! ┌────────────┬────────────┬──────────────────────┬──────────────────────┐
//! │ wait, odd  │ wait, even │ in flight, odd       │ in flight, even      │   odd, even: the epoch of the process
//! └────────────┴────────────┴──────────────────────┴──────────────────────┘
//! ```
//!
//! [`SharedPermits`](super::SharedPermits) with those who wait in the same word. Whoever takes says what the limit is. Two processes at
//! most live at a time (an upgrade), each has fields of its own, and when one is gone the other empties them
//! ([`forget_other`](super::Cells::forget_other)). A word in use has a mark on its page ([`pages`](super::pages)).
//!
//! # Proof
//!
//! *In flight never exceeds the limit it was taken under; those who wait, the places.* Every change is one compare-and-swap of the
//! whole word, from a value whose sums it has looked at (fact 1). What is given back lowers a sum.
//!
//! *No permit is lost or doubled.* Each success moves one field by one, or two fields by one each; what a process that died had is
//! in fields of its own, and is emptied by one write: nothing is ever in between two words (fact 4).
//!
//! *Nobody waits while there is room and nobody knows.* Whether there is room and whether somebody waits is one word. So in its
//! modification order (fact 1) each change sees all before it, and whoever's change leaves both room and somebody waiting behind
//! has seen that, and must see to it: give the room to one who waits, or tell a worker that has one. It follows one of these:
//!
//! | change | leaves both behind | whose duty |
//! |---|---|---|
//! | one leaves | where somebody waits | theirs |
//! | one who waits gives up | where others wait and there is room | theirs |
//! | one who waits is let in | where others wait and there is more room | theirs |
//! | one comes, and waits | only where that was so before | that of who left it so |
//!
//! Room elsewhere (an instance with its own limit) is given back *before* the change of the service's word, and looked for *after*
//! one has been counted as waiting there. If the release comes first in the order of the service's word, whoever then waits finds
//! what it gave back (a read-modify-write acquires what those before it released, fact 3); if it comes second, it sees who waits.

use super::pages::Pages;
use super::sync::{AtomicU64, Ordering};

/// Bits of a count of requests in flight.
const TAKEN_BITS: u32 = 22;
/// Bits of a count of those who wait.
const WAITING_BITS: u32 = 10;
const TAKEN: u64 = (1 << TAKEN_BITS) - 1;
const WAITING: u64 = (1 << WAITING_BITS) - 1;

/// A word that counts who is in, and who waits.
#[derive(Debug, Clone, Copy)]
pub struct Bulkhead<'a> {
    pages: Pages<'a>,
    at: usize,
    odd: bool,
}

/// What such a word says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BulkheadWord(u64);

/// What becomes of somebody who comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// In: answered by one [`leave`](Bulkhead::leave).
    Entered,
    /// Counted as waiting: answered by one [`promote`](Bulkhead::promote) or [`give_up`](Bulkhead::give_up).
    Waits,
    /// There is room for neither.
    Full,
}

impl BulkheadWord {
    /// How many are in flight, on the host.
    pub fn taken(self) -> u64 {
        self.field(taken_at(false), TAKEN) + self.field(taken_at(true), TAKEN)
    }

    /// How many wait, on the host.
    pub fn waiting(self) -> u64 {
        self.field(waiting_at(false), WAITING) + self.field(waiting_at(true), WAITING)
    }

    fn field(self, at: u32, mask: u64) -> u64 {
        (self.0 >> at) & mask
    }

    /// One more or less at a place; `None`: the field is full, or empty.
    fn plus(self, at: u32, mask: u64) -> Option<Self> {
        (self.field(at, mask) < mask).then(|| Self(self.0 + (1 << at)))
    }

    fn minus(self, at: u32, mask: u64) -> Option<Self> {
        (self.field(at, mask) > 0).then(|| Self(self.0 - (1 << at)))
    }
}

const fn taken_at(odd: bool) -> u32 {
    if odd { TAKEN_BITS } else { 0 }
}

const fn waiting_at(odd: bool) -> u32 {
    2 * TAKEN_BITS + if odd { WAITING_BITS } else { 0 }
}

impl<'a> Bulkhead<'a> {
    /// The view of a word, for a process of odd epoch or an even one; a word of zero: nobody is in, nobody waits.
    pub(super) const fn new(pages: Pages<'a>, at: usize, odd: bool) -> Self {
        Self { pages, at, odd }
    }

    /// What it says now.
    #[inline]
    pub fn load(self) -> BulkheadWord {
        BulkheadWord(self.word().load(Ordering::Acquire))
    }

    /// Whether the other process has anyone here, in flight or waiting.
    pub fn has_others(self) -> bool {
        let word = self.load();
        let other = !self.odd;
        word.field(taken_at(other), TAKEN) + word.field(waiting_at(other), WAITING) > 0
    }

    /// Somebody comes: in, if fewer than `limit` are and nobody waits; else waiting, if fewer than `places` do; else in after all, if
    /// there is room: it was left to one who waits and has yet to take it, and nobody is refused for that.
    #[inline]
    pub fn enter(self, limit: u64, places: u64) -> Entry {
        let mut entry = Entry::Full;
        self.change(|word| {
            let place = word.waiting() < places;
            if word.taken() < limit && (word.waiting() == 0 || !place) {
                entry = Entry::Entered;
                return self.taken_more(word);
            }
            entry = Entry::Waits;
            if place { word.plus(waiting_at(self.odd), WAITING) } else { None }
        })
        .map_or(Entry::Full, |_| entry)
    }

    /// One who waits is let in, if fewer than `limit` are. Gives what that leaves behind.
    pub fn promote(self, limit: u64) -> Option<BulkheadWord> {
        self.change(|word| {
            let free = word.taken() < limit;
            let waits = if free { self.waiting_less(word) } else { None };
            waits.and_then(|word| self.taken_more(word))
        })
    }

    /// One who is in waits after all, if fewer than `places` do, or is gone. Whether it waits, and what that leaves behind.
    pub fn step_back(self, places: u64) -> (bool, BulkheadWord) {
        let mut waits = false;
        let after = self.change(|word| {
            let out = self.taken_less(word);
            waits = out.waiting() < places;
            let waiting = if waits { out.plus(waiting_at(self.odd), WAITING) } else { None };
            waits = waiting.is_some();
            waiting.or(Some(out))
        });
        (waits, after.unwrap_or_default())
    }

    /// One who is in leaves. Gives what that leaves behind.
    #[inline]
    pub fn leave(self) -> BulkheadWord {
        self.change(|word| Some(self.taken_less(word))).unwrap_or_default()
    }

    /// One who waits goes. Gives what that leaves behind.
    pub fn give_up(self) -> BulkheadWord {
        self.change(|word| self.waiting_less(word).or(Some(word))).unwrap_or_default()
    }

    /// Empties the fields of the other process, which is gone: how many it had in flight. Idempotent. Only once it is gone: one that
    /// lives would go on to give back.
    pub(super) fn forget(self) -> u64 {
        let other = !self.odd;
        let fields = TAKEN << taken_at(other) | WAITING << waiting_at(other);
        let before = self.word().fetch_and(!fields, Ordering::AcqRel);
        BulkheadWord(before).field(taken_at(other), TAKEN)
    }

    /// Changes the word by one compare-and-swap, unless `to` says that there is nothing to change. Gives what it became.
    #[inline]
    fn change(
        self,
        mut to: impl FnMut(BulkheadWord) -> Option<BulkheadWord>,
    ) -> Option<BulkheadWord> {
        let mut after = None;
        let change = |word| {
            if word == 0 {
                self.pages.mark(self.at);
            }
            after = to(BulkheadWord(word));
            after.map(|word| word.0)
        };
        self.word().fetch_update(Ordering::AcqRel, Ordering::Acquire, change).ok().and(after)
    }

    #[inline]
    fn word(self) -> &'a AtomicU64 {
        self.pages.word(self.at)
    }

    fn taken_more(self, word: BulkheadWord) -> Option<BulkheadWord> {
        word.plus(taken_at(self.odd), TAKEN)
    }

    /// A release without a take is a fault of ours; it stops at zero rather than lend from the next field.
    fn taken_less(self, word: BulkheadWord) -> BulkheadWord {
        let less = word.minus(taken_at(self.odd), TAKEN);
        debug_assert!(less.is_some(), "more given back than taken");
        less.unwrap_or(word)
    }

    fn waiting_less(self, word: BulkheadWord) -> Option<BulkheadWord> {
        word.minus(waiting_at(self.odd), WAITING)
    }
}

const _: () = assert!(crate::base::limits::BULKHEAD_MAX <= TAKEN);
const _: () = assert!(crate::base::limits::BULKHEAD_QUEUE_MAX <= WAITING);
