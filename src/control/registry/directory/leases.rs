//! Which lease ends next: an ordered queue, so that a tick looks at those that are due and at no others.
//!
//! A renewal writes the record alone. Its place in the queue is then too early: when that comes, the lease is put where it
//! belongs by now. So a renewal costs nothing here, and each lease is moved once a term. Places are multiples of
//! [`limits::LEASE_STEP`], rounded up: a lease never ends early.

use std::collections::BTreeSet;
use std::time::Duration;

use coregate_core::base::limits;

/// A place in the queue: a number of steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Step(u64);

impl Step {
    /// The first step at which a lease that ends at `at` is over.
    pub(super) fn of(at: Duration) -> Self {
        Self(at.as_nanos().div_ceil(limits::LEASE_STEP.as_nanos()).try_into().unwrap_or(u64::MAX))
    }

    /// When it is.
    pub(super) fn at(self) -> Duration {
        limits::LEASE_STEP.saturating_mul(self.0.try_into().unwrap_or(u32::MAX))
    }
}

/// The leases of all instances, each once.
#[derive(Debug, Default)]
pub(super) struct Leases {
    queue: BTreeSet<(Step, usize)>,
}

impl Leases {
    /// Puts one in.
    pub(super) fn put(&mut self, step: Step, key: usize) {
        self.queue.insert((step, key));
    }

    /// Takes one out.
    pub(super) fn take(&mut self, step: Step, key: usize) {
        let was_there = self.queue.remove(&(step, key));
        debug_assert!(was_there, "a lease stands where its record says");
    }

    /// Takes the first out whose place has come at `now`.
    pub(super) fn due(&mut self, now: Duration) -> Option<usize> {
        let first = self.queue.first().filter(|(step, _)| step.at() <= now)?;
        let key = first.1;
        self.queue.pop_first();
        Some(key)
    }

    /// When the first place comes.
    pub(super) fn next(&self) -> Option<Duration> {
        self.queue.first().map(|(step, _)| step.at())
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }
}
