//! Leases: tokens of the host's buckets that a worker took in advance, a slab at a time, so that most requests touch no memory of others.
//!
//! A limit of burst `b` that `W` workers draw on is leased in slabs of `s = b / 100 W` tokens, where that is at least two and pays for
//! two requests. What is leased is never returned. The host's bucket then runs with a burst of `b - 2 W s`.
//!
//! # Proof: at most `t / T + b` in every span
//!
//! A request is admitted by a token that was leased before the span, or taken from the host's bucket within it. Of the latter there are at
//! most `t / T + b - 2 W s` (the proof of the [rate](crate::base::cells::Rate)). Of the former a worker has at most `s`: it leases a
//! slab when what is left is less than one request's cost, and spends that cost of it at once. In an upgrade two processes live, so there
//! are at most `2 W` workers, and those of a process that is gone spend nothing. The sum is at most `t / T + b`. ∎
//!
//! - *A key that finds its place taken* by another leases nothing and draws on the host's bucket directly: with the same smaller burst,
//!   so the proof holds. The place is free again when its tokens are spent, or when the bucket they came from is full without them.
//! - *Terms that change*: what was leased under others is not spent under these. In that span the sum is within the looser of both.
//! - *An upgrade that changes the number of workers* so that one process leases and the other does not lets the former's slabs come on top
//!   of the latter's burst: once, at most a hundredth of it.
//! - *Limits of several terms for one bucket* (groups, and nothing that tells consumers apart) are not leased: the terms of one would
//!   keep the others' slabs from being spent.
//!
//! A lone worker gets what there is: tokens that are too few for a slab are taken one request at a time.

use std::cell::{Cell, OnceCell};

use crate::base::cells::Terms;
use crate::base::limits;

/// What one worker has leased: a fixed number of places, one of which a key may be in.
#[derive(Debug, Default)]
pub(super) struct Leases {
    /// Made when the first slab is leased.
    places: OnceCell<Box<[Cell<Lease>]>>,
}

/// Tokens of one bucket.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Lease {
    /// Whose; 0: nobody's.
    pub(super) key: u64,
    /// Of which terms: period and burst.
    pub(super) of: (u64, u64),
    /// How many are left.
    pub(super) tokens: u64,
    /// Whole tokens that were left in the host's bucket when it was last seen.
    pub(super) remaining: u64,
    /// When that is full, in ns of the monotonic clock.
    pub(super) full_at: u64,
}

/// How a bucket is leased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slab {
    /// So many tokens at a time.
    pub(super) tokens: u64,
    /// What the host's bucket runs with.
    pub(super) terms: Terms,
}

impl Slab {
    /// How buckets of these terms are leased to so many workers, for requests of this cost; `None`: not at all.
    pub(super) fn of(terms: Terms, cost: u64, workers: u64) -> Option<Self> {
        let tokens = terms.burst() / (limits::LEASE_SHARE * workers);
        let least = cost.saturating_mul(2).max(2);
        let kept = terms.burst() - 2 * workers * tokens;
        (tokens >= least).then(|| Self { tokens, terms: Terms::new(terms.period(), kept) })
    }
}

const _: () = assert!(limits::LEASED_BUCKETS.is_power_of_two() && limits::LEASE_SHARE > 2);

impl Leases {
    /// What is leased of a bucket, if it is enough.
    #[inline]
    pub(super) fn of(&self, key: u64, terms: Terms, cost: u64) -> Option<Lease> {
        let lease = self.places.get()?[place(key)].get();
        (lease.key == key && lease.tokens >= cost && lease.of == parts(terms)).then_some(lease)
    }

    /// Takes what a request costs of what is leased, if it is enough; gives what is left.
    #[inline]
    pub(super) fn take(&self, key: u64, terms: Terms, cost: u64) -> Option<Lease> {
        let mut lease = self.of(key, terms, cost)?;
        lease.tokens -= cost;
        self.set(lease);
        Some(lease)
    }

    /// The place of a key for what is to be leased, if none has it, with what is left there; `now` in ns of the monotonic clock.
    pub(super) fn room(&self, key: u64, terms: Terms, now: u64) -> Option<Lease> {
        let there = self.places().get(place(key))?.get();
        let own = there.key == key && there.of == parts(terms);
        let free = there.tokens == 0 || there.full_at <= now;
        if own {
            return Some(there);
        }
        free.then(|| Lease { key, of: parts(terms), ..Lease::default() })
    }

    /// Puts a lease into its place.
    #[inline]
    pub(super) fn set(&self, lease: Lease) {
        self.places()[place(lease.key)].set(lease);
    }

    #[inline]
    fn places(&self) -> &[Cell<Lease>] {
        self.places.get_or_init(|| vec![Cell::default(); limits::LEASED_BUCKETS].into())
    }
}

/// The bits of a key that do not say where it is in the host's table.
#[inline]
const fn place(key: u64) -> usize {
    (key >> 40) as usize & (limits::LEASED_BUCKETS - 1)
}

#[inline]
const fn parts(terms: Terms) -> (u64, u64) {
    (terms.period().get(), terms.burst())
}
